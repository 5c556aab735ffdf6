use std::fmt;

use super::fix::Fix;
use super::rule::Rule;
use ossup_core::read::ReadError;

/// How much a finding matters. Later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A parameter of the request follows from it.
    Set,
    /// Worth knowing; never fails an inspection.
    Info,
    /// The import may go wrong; fails an inspection that is strict.
    Warn,
    /// The service refuses the image or it would not boot; the finding's fix repairs it.
    Fix,
    /// The service refuses the image or it would not boot.
    Refuse,
}

impl Severity {
    /// Returns the word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fix => "fix",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Which check.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// What is so, in one sentence without a final period.
    pub message: String,
    /// What to run, to set or to do, if something helps.
    pub fix: Option<Fix>,
    /// Where the rule comes from: a page of the vendor or a specification.
    pub source: &'static str,
}

impl Finding {
    pub(super) fn new(rule: Rule, severity: Severity, message: impl Into<String>) -> Self {
        Self { rule, severity, message: message.into(), fix: None, source: rule.source() }
    }

    pub(super) fn fixed_by(mut self, fix: impl Into<Fix>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Whether the image is not to be uploaded unless the user forces it.
    pub fn refuses(&self) -> bool {
        self.severity >= Severity::Fix
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.rule, self.message)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

/// What all findings together mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing speaks against the import.
    Good,
    /// Something may go wrong.
    Warned,
    /// It would be refused or would not boot.
    Refused,
}

impl Verdict {
    /// Returns the verdict over `findings`.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        match findings.into_iter().map(|finding| finding.severity).max() {
            Some(Severity::Refuse | Severity::Fix) => Self::Refused,
            Some(Severity::Warn) => Self::Warned,
            Some(Severity::Info | Severity::Set) | None => Self::Good,
        }
    }

    /// Whether the image should not be uploaded.
    pub fn is_refused(self) -> bool {
        self == Self::Refused
    }

    /// Whether to stop: at refusals unless `force`, at warnings if `strict`.
    pub fn stops(self, strict: bool, force: bool) -> bool {
        match self {
            Self::Good => false,
            Self::Warned => strict,
            Self::Refused => !force,
        }
    }
}

/// The findings so far, with one method per severity; and what could not be looked at, from whose absence nothing may
/// be concluded.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>, Vec<String>);

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn refuse(&mut self, rule: Rule, message: impl Into<String>) {
        self.push(Finding::new(rule, Severity::Refuse, message));
    }

    pub(super) fn fix(&mut self, rule: Rule, message: impl Into<String>, fix: impl Into<Fix>) {
        self.push(Finding::new(rule, Severity::Fix, message).fixed_by(fix));
    }

    pub(super) fn warn(&mut self, rule: Rule, message: impl Into<String>) {
        self.push(Finding::new(rule, Severity::Warn, message));
    }

    pub(super) fn info(&mut self, rule: Rule, message: impl Into<String>) {
        self.push(Finding::new(rule, Severity::Info, message));
    }

    pub(super) fn set(&mut self, rule: Rule, message: impl Into<String>) {
        self.push(Finding::new(rule, Severity::Set, message));
    }

    /// Gives the finding of this rule what helps against it, once that is known.
    pub(super) fn fix_later(&mut self, rule: Rule, fix: impl FnOnce() -> Fix) {
        if let Some(finding) = self.0.iter_mut().find(|finding| finding.rule == rule) {
            finding.fix = Some(fix());
        }
    }

    pub(super) fn has(&self, rule: Rule) -> bool {
        self.0.iter().any(|finding| finding.rule == rule)
    }

    /// Lets the checks go on without something that passed by, or that is yet to come, and notes what it is.
    pub(super) fn seen<T>(
        &mut self,
        what: impl fmt::Display,
        read: Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match read {
            Err(ReadError::Unseen { .. }) => {
                self.miss(what.to_string());
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Notes what could not be looked at.
    pub(super) fn miss(&mut self, what: String) {
        if !self.1.contains(&what) {
            self.1.push(what);
        }
    }

    /// Returns what could not be looked at.
    pub(super) fn missed(&self) -> &[String] {
        &self.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let mut findings = Findings::default();
        assert_eq!(Verdict::of(&findings.0), Verdict::Good);
        findings.set(Rule::FSize, "size");
        findings.info(Rule::S64Bit, "64bit");
        assert_eq!(Verdict::of(&findings.0), Verdict::Good);
        findings.warn(Rule::VCopy, "copy");
        assert_eq!(Verdict::of(&findings.0), Verdict::Warned);
        findings.fix(Rule::VMte, "odd size", "convert it");
        assert!(Verdict::of(&findings.0).is_refused());
        assert_eq!(findings.0[3].to_string(), "fix V-MTE: odd size; convert it");
    }

    #[test]
    fn strict_stops_at_warnings_and_force_goes_on() {
        assert!(!Verdict::Warned.stops(false, false));
        assert!(Verdict::Warned.stops(true, true));
        assert!(Verdict::Refused.stops(false, false));
        assert!(!Verdict::Refused.stops(false, true));
        assert!(!Verdict::Good.stops(true, false));
    }
}
