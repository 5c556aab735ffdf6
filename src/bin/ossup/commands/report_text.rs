//! A report on an image, for people and as JSON.

use std::fmt::Write as _;

use ossup::image::{Finding, Report};
use serde_json::{Value, json};

use super::{guest_text, inspection};
use crate::ui::advice::{self, Subject};
use crate::ui::bytes;

/// Returns a report's fields for `--output json`.
pub(super) fn json_fields(name: &str, subject: &Subject, report: &Report) -> Value {
    let mut object = json!({"image": name, "verdict": report.verdict()});
    if let (Some(object), Ok(Value::Object(json_fields))) =
        (object.as_object_mut(), serde_json::to_value(report))
    {
        object.extend(json_fields);
    }
    object["findings"] =
        report.worst_first().into_iter().map(|finding| finding_members(finding, subject)).collect();
    object
}

/// Returns a finding with its advice as text: a command can be pasted into a shell.
pub(super) fn finding_members(finding: &Finding, subject: &Subject) -> Value {
    let fix = finding.fix.as_ref();
    json!({
        "rule": finding.rule,
        "vendor_item": finding.rule.vendor_item(),
        "severity": finding.severity,
        "message": finding.message,
        "fix": fix.map(|fix| advice::text(fix, Some(subject))),
        "fix_commands": fix.map(advice::in_guest),
        "fix_kind": fix.map(advice::kind),
        "fix_makes": fix.and_then(|fix| advice::result(fix, subject)).map(|path| path.display().to_string()),
        "source": finding.source,
    })
}

/// Returns a report for people: what is installed, what was found, the worst first, and what the file is.
pub(super) fn text(name: &str, subject: &Subject, report: &Report) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<16}{}", crate::ui::printable(value));
    };
    line("image", name);
    for (label, value) in
        report.guest.iter().flat_map(|guest| guest_text::rows(guest, report.boot.boots_with))
    {
        line(label, &value);
    }
    for finding in report.worst_first() {
        let (said, commands) = inspection::with_commands(finding, subject);
        line(finding.severity.as_str(), &said);
        commands.iter().for_each(|command| line("  in the guest", command));
    }
    line("format", report.format.name());
    if let Some(size) = report.virtual_size {
        line("virtual size", &format!("{} ({size} bytes)", bytes(size)));
    }
    line("file size", &format!("{} ({} bytes)", bytes(report.file_size), report.file_size));
    if let Some(size) = report.allocated_size {
        line("allocated", &format!("{} ({size} bytes)", bytes(size)));
    }
    if report.virtual_size.is_some() {
        line("partitions", &word(&report.partition_table));
    }
    for partition in &report.partitions {
        let filesystem = partition.filesystem.map_or("unknown contents", |filesystem| filesystem.name());
        let active = if partition.active { ", active" } else { "" };
        let kind = word(&partition.kind);
        line(
            &format!("  {}", partition.number),
            &format!(
                "{} at {}, {kind}, {filesystem}{active}",
                bytes(partition.length),
                bytes(partition.start)
            ),
        );
    }
    if let Some(filesystem) = report.bare_filesystem {
        line("file system", filesystem.name());
    }
    line("boots with", &word(&report.boot.boots_with));
    line("verdict", &word(&report.verdict()));
    text.truncate(text.trim_end().len());
    text
}

/// Returns the name of the system that was found.
pub(super) fn title(report: &Report) -> String {
    let system = report.guest.as_ref().and_then(|guest| guest.system.found());
    let os = system.and_then(|system| system.os.found());
    os.map(|os| os.title().to_owned()).unwrap_or_default()
}

/// Returns the JSON name of an enum's value.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
