//! The inspection of an image before anything is sent.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use ossup::client::{CallError, Client};
use ossup::image::{Answer, Expected, Finding, Report, Rule, Severity, inspect, look_inside};
use ossup::model::ObjectRef;
use ossup::protocol::oss::HeadObject;
use ossup::read::ReadError;
use ossup::source::FileSource;
use tokio::runtime::Handle;

use super::range::ReadRange;
use crate::args::InspectionArgs;
use crate::failure::{Failure, Kind};
use crate::origin::ranged::{MOST_DEEP_REQUESTS, MOST_REQUESTS, Ranged};
use crate::ui::Output;
use crate::ui::advice::{Subject, in_guest, text};

/// Inspects a file.
pub(crate) fn file(source: &FileSource, mut expected: Expected) -> Result<Report, Failure> {
    let metadata = source.file().metadata().ok().filter(std::fs::Metadata::is_file);
    expected.allocated_size = metadata.map(|metadata| metadata.blocks() * 512);
    inspect(source, &expected).map_err(|error| unreadable(&error))
}

/// How far an object is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The image alone.
    Image,
    /// The system that is installed on it, too.
    Guest,
    /// That and its initial RAM file system, which may be large.
    Deep,
}

impl Depth {
    /// Returns how far to look, with `guest` at the system too, and with `deep` at all of it.
    pub(crate) fn of(guest: bool, deep: bool) -> Self {
        match (guest, deep) {
            (false, _) => Self::Image,
            (true, false) => Self::Guest,
            (true, true) => Self::Deep,
        }
    }
}

/// Inspects an object by reading a few of its ranges.
pub(crate) async fn object(
    client: &Client,
    object: &ObjectRef,
    expected: &Expected,
    depth: Depth,
) -> Result<Report, Failure> {
    let failed = |error: CallError| Failure::from(error).context(format!("cannot inspect `{object}`"));
    let head = client.call(&HeadObject::new(object.clone())).await.map_err(failed)?;
    let fetch = {
        let (client, object, runtime) = (client.clone(), object.clone(), Handle::current());
        move |range| {
            let read = ReadRange::of_version(object.clone(), head.etag.clone(), range);
            runtime.block_on(client.call(&read)).map_err(Box::new)
        }
    };
    let most = if depth == Depth::Deep { MOST_DEEP_REQUESTS } else { MOST_REQUESTS };
    let ranged = Arc::new(Ranged::new(head.size, most, fetch));
    let (source, mut expected) = (Arc::clone(&ranged), expected.clone());
    expected.initramfs = depth == Depth::Deep;
    let look = move || {
        let mut report = inspect(&source, &expected)?;
        if depth != Depth::Image && holds_files(&report) {
            look_inside(source, &expected, &mut report);
        }
        Ok(report)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let looked = looked.map_err(|error| Failure::from_error(Kind::Other, &error))?;
    match ranged.failure() {
        Some(error) => Err(failed(*error)),
        None => looked.map_err(|error| unreadable(&error)),
    }
}

/// Whether anything was recognised on a disk, so that a look inside is worth it.
pub(crate) fn holds_files(report: &Report) -> bool {
    let known = |partition: &ossup::image::Partition| partition.filesystem.is_some();
    report.bare_filesystem.is_some() || report.partitions.iter().any(known)
}

/// Tells what follows from the system on the disk for the request, and why, or that nothing was looked at.
pub(crate) fn tell_settings(report: &Report, output: Output) {
    const OF_SYSTEM: [Rule; 3] = [Rule::GOs, Rule::GArch, Rule::GNvme];
    for finding in &report.findings {
        if finding.severity == Severity::Set && OF_SYSTEM.contains(&finding.rule) {
            output.status(&finding.message);
        }
    }
    if let Some(reason) = unread(report) {
        output.status(format!("the system on the disk is not known: {reason}"));
    }
}

/// Returns why nothing is known of the system on a disk, if it was asked for.
pub(crate) fn unread(report: &Report) -> Option<&str> {
    match &report.guest.as_ref()?.system {
        Answer::Unread(reason) => Some(reason),
        _ => None,
    }
}

/// Shows the findings that matter even without an explicit inspection, and fails if they stop the image. What the
/// failure says is not shown twice.
pub(crate) fn settle(
    name: &str,
    subject: &Subject,
    report: &Report,
    args: &InspectionArgs,
    output: Output,
) -> Result<(), Failure> {
    let judged = judge(name, subject, report, args.strict, Some(args.force));
    let told = judged.is_err().then(|| worst(report));
    let shown = report.findings.iter().filter(|finding| finding.severity >= Severity::Warn);
    for finding in shown.filter(|finding| told.is_none_or(|told| finding.severity < told)) {
        output.warning(sentence(finding, Some(subject)));
    }
    judged
}

/// Shows the findings that matter of what was found later. Of the rules that were told nothing is said again.
pub(crate) fn warn_of_new(report: &Report, told: &[Rule], subject: &Subject, output: Output) {
    let new = report.findings.iter().filter(|finding| !told.contains(&finding.rule));
    for finding in new.filter(|finding| finding.severity >= Severity::Warn) {
        output.warning(sentence(finding, Some(subject)));
    }
}

/// Fails if the verdict stops the image. `force` is `None` where the command has no such flag.
pub(crate) fn judge(
    name: &str,
    subject: &Subject,
    report: &Report,
    strict: bool,
    force: Option<bool>,
) -> Result<(), Failure> {
    let verdict = report.verdict();
    if !verdict.stops(strict, force.unwrap_or_default()) {
        return Ok(());
    }
    let told = report.findings.iter().filter(|finding| finding.severity >= worst(report));
    let why: Vec<_> = told.map(|finding| sentence(finding, Some(subject))).collect();
    let failure = Failure::new(Kind::ImageRefused, format!("`{name}` is refused: {}", why.join("; ")));
    let is_empty = report.findings.iter().any(|finding| finding.rule == Rule::FEmpty);
    Err(match (verdict.is_refused(), force) {
        // There is nothing to fix or to send.
        (true, _) if is_empty => failure,
        (true, Some(_)) => {
            failure.hint("fix the image or the options that are named; --force continues anyway")
        }
        (true, None) => failure.hint("fix the image"),
        (false, _) => failure.hint("without --strict, warnings are not errors"),
    })
}

/// Returns the lowest severity that stops an image of this report.
fn worst(report: &Report) -> Severity {
    if report.verdict().is_refused() { Severity::Fix } else { Severity::Warn }
}

/// Returns a finding in one sentence.
pub(crate) fn sentence(finding: &Finding, subject: Option<&Subject>) -> String {
    let fix = finding.fix.as_ref().map(|fix| format!(" ({})", text(fix, subject))).unwrap_or_default();
    format!("{} [{}]{fix}", finding.message, finding.rule.id())
}

/// Returns a finding in one sentence, with the vendor's name for what it is about, and apart from it the commands that
/// mend it in the guest.
pub(crate) fn with_commands<'a>(finding: &'a Finding, subject: &Subject) -> (String, &'a [String]) {
    let commands = finding.fix.as_ref().map(in_guest).unwrap_or_default();
    let fix = finding.fix.as_ref().filter(|_| commands.is_empty());
    let fix = fix.map(|fix| format!(" ({})", text(fix, Some(subject)))).unwrap_or_default();
    let item = finding.rule.vendor_item().map(|item| format!(", {item}")).unwrap_or_default();
    (format!("{} [{}{item}]{fix}", finding.message, finding.rule.id()), commands)
}

fn unreadable(error: &ReadError) -> Failure {
    Failure::from_error(Kind::Other, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_system_is_read_that_is_not_looked_at() {
        let depths =
            [(false, false), (false, true), (true, false), (true, true)].map(|(a, b)| Depth::of(a, b));
        assert_eq!(depths, [Depth::Image, Depth::Image, Depth::Guest, Depth::Deep]);
    }
}
