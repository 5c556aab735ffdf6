use std::fmt::Write as _;

use ossup::image::{Finding, GuestReport, Report};
use serde_json::{Value, json};

use super::{guest_text, inspection};
use crate::args::{FormArg, ImageOrObject, InspectArgs, SourceArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::origin::Opening;
use crate::ui::advice::{self, Subject};
use crate::ui::bytes;

/// Prints what an image is and what the checks found.
pub(crate) async fn run(args: &InspectArgs, context: &Context) -> Result<(), Failure> {
    let (name, subject, report) = match &args.image {
        ImageOrObject::Image(image) => {
            let source =
                SourceArgs { member: args.member.clone(), as_is: args.as_is, ..SourceArgs::default() };
            let opening = Opening {
                context,
                args: &source,
                connection: &args.connection,
                retry: &args.retry,
                allow_busy: true,
                memory: None,
                default: FormArg::AsIs,
                dry_run: false,
            };
            let opened = opening.open(image).await?;
            let (name, subject) = (opened.name.clone(), opened.subject.clone());
            let report = opened.report(context, args.expected(name.clone())).await?;
            (name, subject, report)
        }
        ImageOrObject::Object(object) => {
            let connection = context.connect(&args.connection, &args.retry, Some(&object.bucket))?;
            let mut expected = args.expected(object.to_string());
            expected.key = Some(object.key.as_str().to_owned());
            let mut report = inspection::object(&connection.client, object, &expected).await?;
            if inspection::may_hold_system(&report) {
                report.guest = Some(GuestReport::unread("not looked at, which is done for files alone"));
            }
            (object.to_string(), Subject::object(object.key.as_str()), report)
        }
    };
    let json_fields = json_fields(&name, &subject, &report);
    context.output.text(&text(&name, &subject, &report))?;
    match inspection::judge(&name, &subject, &report, args.strict, None) {
        Ok(()) => context.output.object(json_fields),
        // JSON output is one object: the report, with the error in it.
        Err(failure) => Err(failure.with_members(json_fields)),
    }
}

fn json_fields(name: &str, subject: &Subject, report: &Report) -> Value {
    let mut object = json!({"image": name, "verdict": report.verdict()});
    if let (Some(object), Ok(Value::Object(json_fields))) =
        (object.as_object_mut(), serde_json::to_value(report))
    {
        object.extend(json_fields);
    }
    object["findings"] = report.findings.iter().map(|finding| finding_members(finding, subject)).collect();
    object
}

/// Returns a finding with its advice as text: a command can be pasted into a shell.
pub(super) fn finding_members(finding: &Finding, subject: &Subject) -> Value {
    let fix = finding.fix.as_ref();
    json!({
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "fix": fix.map(|fix| advice::text(fix, Some(subject))),
        "fix_kind": fix.map(advice::kind),
        "fix_makes": fix.and_then(|fix| advice::result(fix, subject)).map(|path| path.display().to_string()),
        "source": finding.source,
    })
}

fn text(name: &str, subject: &Subject, report: &Report) -> String {
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
    for finding in &report.findings {
        line(finding.severity.as_str(), &inspection::sentence(finding, Some(subject)));
    }
    line("verdict", &word(&report.verdict()));
    text.truncate(text.trim_end().len());
    text
}

/// Returns the JSON name of an enum's value.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
