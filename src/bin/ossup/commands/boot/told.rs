//! The verdict of a boot, for people and as JSON. Text of the guest is shown by what escapes it.

use ossup::boot::{Outcome, Reached, Stop, Verdict};
use ossup::image::{Finding, Report, Severity};
use serde_json::{Value, json};

use super::super::inspection;
use super::super::report_text::finding_members;
use super::plan::Plan;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::advice::Subject;

/// Most characters of a guest's line that are shown.
const LONGEST: usize = 160;

/// Returns the findings that explain a stop, the likeliest first; those that warn before others.
pub(crate) fn explaining<'a>(verdict: &Verdict, report: &'a Report) -> Vec<&'a Finding> {
    let Some(stop) = &verdict.stop else { return Vec::new() };
    let place = |finding: &&Finding| stop.rules.iter().position(|rule| *rule == finding.rule);
    let mut found: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Set && place(finding).is_some())
        .collect();
    found.sort_by_key(|finding| (finding.severity < Severity::Warn, place(finding)));
    found
}

/// Returns a milestone's line.
pub(super) fn milestone(reached: &Reached) -> String {
    format!("{:>7.1} s  {}: {}", reached.seconds, reached.milestone, cut(&reached.shown_by))
}

/// Shows what stands around a stop.
pub(super) fn show(plan: &Plan<'_>, verdict: &Verdict, context: &Context) {
    let Some(stop) = &verdict.stop else {
        let login = verdict.reached.iter().map(|reached| reached.seconds).fold(0.0, f64::max);
        context.output.status(format!("{}: boots, all reached after {login:.1} s", plan.title()));
        return;
    };
    show_stop(stop, &verdict.last_lines, context);
}

/// Shows where a system stopped and what it said before.
pub(super) fn show_stop(stop: &Stop, last_lines: &[String], context: &Context) {
    context.output.status(format!("{:>7.1} s  stopped: {}", stop.seconds, stop.cause));
    for clue in &stop.clues {
        context.output.status(format!("           before it: {}", cut(clue)));
    }
    if stop.by_time {
        context.output.status("the last lines of the console:");
        for line in last_lines {
            context.output.status(format!("  | {}", cut(line)));
        }
    }
}

/// Returns the failure of a boot that did not come as far as it should.
pub(super) fn failure(
    name: &str,
    plan: &Plan<'_>,
    verdict: &Verdict,
    explained: &[&Finding],
    subject: &Subject,
) -> Failure {
    let what = match verdict.outcome {
        Outcome::Unreachable => "boots, but cannot be reached",
        _ => "does not boot",
    };
    let mut text = format!("`{name}` {what} ({})", plan.title());
    if let Some(stop) = &verdict.stop {
        text = format!("{text}: {}", stop.cause);
        if let Some(line) = stop.shown_by.as_ref().or(stop.clues.first()) {
            text = format!("{text}: `{}`", cut(line));
        }
    }
    let failure = Failure::new(Kind::DoesNotBoot, text);
    match explained {
        [] => failure
            .hint("no finding of the inspection explains it; --console FILE keeps all that the console says"),
        explained => {
            let said: Vec<_> =
                explained.iter().map(|finding| inspection::sentence(finding, Some(subject))).collect();
            failure.hint(format!("this explains it: {}", said.join("; ")))
        }
    }
}

/// Returns a boot's fields for `--output json`.
pub(super) fn json_fields(
    plan: &Plan<'_>,
    verdict: &Verdict,
    explained: &[&Finding],
    subject: &Subject,
) -> Value {
    let mut fields = serde_json::to_value(verdict).unwrap_or_default();
    fields["boot_mode"] = json!(plan.mode);
    fields["disk_bus"] = json!(plan.machine.bus);
    fields["explained_by"] = explained.iter().map(|finding| finding_members(finding, subject)).collect();
    fields
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
