//! What `--dry-run` shows of uploads.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use ossup::image::Report;
use ossup::transfer::Limits;
use ossup::upload::{Estimate, Existing, Present, Upload, UploadPlan};
use serde_json::{Value, json};

use super::report_text::{finding_members, word};
use super::transfer::{self, Prepared};
use crate::args::{PlanArgs, TargetArgs, TransferArgs};
use crate::context::{Connection, Context};
use crate::failure::{self, Failure, Kind, ResumeHint};
use crate::origin::Ready;
use crate::ui::advice::Subject;
use crate::ui::{Progress, bytes, counted, duration, printable};

/// How long a probe takes.
const PROBE: Duration = Duration::from_secs(3);

/// An upload that is not run, and what the inspection of its image found.
pub(crate) struct Planned {
    name: String,
    subject: Subject,
    upload: Upload,
    report: Option<Report>,
    /// What shows its events, such as retries.
    _progress: Progress,
}

/// The plans of all uploads of a command.
pub(crate) struct Plans {
    /// Their fields for `--output json`.
    json: Value,
    text: String,
    /// Why one of them would be refused.
    refusal: Option<Failure>,
}

impl Planned {
    /// Describes the upload of an image, of which the inspection's report is given.
    pub(crate) fn new(
        context: &Context,
        connection: &Connection,
        (image, report): (Ready, Option<Report>),
        target: &TargetArgs,
        args: &TransferArgs,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let (name, subject) = (image.name.clone(), image.subject.clone());
        let Prepared { upload, progress, .. } =
            transfer::describe(context, connection, image, target, args, limits)?;
        Ok(Self { name, subject, upload, report, _progress: progress })
    }
}

impl Plans {
    /// Shows the plans, with what else the command has to show. Fails as the command would.
    pub(crate) fn show(mut self, context: &Context, more: Value, more_text: &str) -> Result<(), Failure> {
        if let (Some(fields), Value::Object(more)) = (self.json.as_object_mut(), more) {
            fields.extend(more);
        }
        let text = [self.text.as_str(), more_text].into_iter().filter(|text| !text.is_empty());
        context.output.text(&text.collect::<Vec<_>>().join("\n\n"))?;
        match self.refusal {
            None => context.output.object(self.json),
            // JSON output is one object: the plan, with the error in it.
            Some(failure) => Err(failure.with_members(self.json)),
        }
    }
}

/// Finds out what uploads would do.
pub(crate) async fn plan(
    context: &Context,
    connection: &Connection,
    uploads: &[Planned],
    limits: &Limits,
    args: PlanArgs,
) -> Result<Plans, Failure> {
    let failed = |error: &_| failure::upload(error, ResumeHint::No, &context.stop);
    let mut plans = Vec::new();
    for planned in uploads {
        let plan = context.stop.or(async { Ok(planned.upload.plan().await) }).await?;
        plans.push(plan.map_err(|error| failed(&error))?);
    }
    let missing =
        plans.iter().find(|plan| plan.existing == Existing::NoBucket).map(|plan| &plan.object.bucket);
    let mut rate = limits.bandwidth().map(|rate| (rate, "--bandwidth-limit"));
    if let (true, None, Some(first)) = (args.probe, missing, uploads.first()) {
        let said = format!("measuring the rate for {}", duration(PROBE));
        context.output.status(said);
        // A signal ends it gently, so that it is aborted in any case.
        let probed = first.upload.probe(PROBE).await.map_err(|error| failed(&error))?;
        rate = Some((probed.bytes_per_second(), "measured"));
    }
    let refusal = missing.and_then(|bucket| match &connection.local {
        Some(_) => {
            context
                .output
                .status(format!("the embedded store has no bucket `{bucket}`: an upload creates it"));
            None
        }
        None => {
            let failure = Failure::new(Kind::Usage, format!("there is no bucket `{bucket}`"));
            Some(failure.hint(format!("create it: `ossup bucket create oss://{bucket}`")))
        }
    });
    let of_all = || uploads.iter().zip(&plans);
    let fields: Vec<Value> =
        of_all().map(|(planned, plan)| fields(planned, plan, rate, &connection.url(&plan.object))).collect();
    let texts: Vec<String> = of_all().map(|(planned, plan)| text(planned, plan, rate)).collect();
    let json = json!({
        "dry_run": true,
        "uploads": fields,
        "bytes_per_second": rate.map(|(rate, _)| rate),
        "rate_measured": rate.map(|(_, source)| source == "measured"),
    });
    Ok(Plans { json, text: texts.join("\n\n"), refusal })
}

fn fields(planned: &Planned, plan: &UploadPlan, rate: Option<(u64, &str)>, url: &str) -> Value {
    let range = |range: &Option<RangeInclusive<u64>>| {
        range.as_ref().map(|range| json!({"least": range.start(), "most": range.end()}))
    };
    let report = planned.report.as_ref();
    let findings = report.map(|report| {
        let findings = report.worst_first().into_iter();
        findings.map(|finding| finding_members(finding, &planned.subject)).collect::<Vec<_>>()
    });
    let Present { upload_id, parts, bytes, compared_parts, compared_bytes, .. } = &plan.present;
    json!({
        "image": planned.name,
        "bucket": plan.object.bucket,
        "key": plan.object.key,
        "url": url,
        "form": plan.form,
        "image_bytes": plan.image_bytes,
        "data_bytes": plan.data_bytes.map(estimate),
        "zero_bytes": plan.zero_bytes.map(estimate),
        "object_bytes": plan.object_bytes.map(estimate),
        "bytes_to_send": plan.to_send.map(estimate),
        "parts": range(&plan.parts),
        "requests": range(&plan.requests),
        "memory_bytes": plan.memory,
        "present": {
            "upload_id": upload_id,
            "parts": parts,
            "bytes": bytes,
            "parts_to_compare": compared_parts,
            "bytes_to_compare": compared_bytes,
        },
        "existing": existing_fields(&plan.existing),
        "seconds": rate.and_then(|(rate, _)| plan.takes(rate)).map(|takes| takes.as_secs_f64()),
        "verdict": report.map(Report::verdict),
        "findings": findings,
    })
}

fn estimate(of: Estimate) -> Value {
    json!({"likely": of.likely, "least": of.least, "most": of.most})
}

fn existing_fields(existing: &Existing) -> Value {
    match existing {
        Existing::NoBucket => json!({"state": "no-bucket"}),
        Existing::Replaced { size } => json!({"state": "replaced", "size": size}),
        Existing::Compared { size, crc64 } => json!({"state": "compared", "size": size, "crc64": crc64}),
        Existing::Unknown { reason } => json!({"state": "unknown", "reason": reason}),
        _ => json!({"state": "nothing"}),
    }
}

fn text(planned: &Planned, plan: &UploadPlan, rate: Option<(u64, &str)>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<16}{}", printable(value));
    };
    line("image", &planned.name);
    line("object", &format!("{}, {}", plan.object, plan.form));
    match plan.image_bytes {
        Some(length) => line("image size", &format!("{} ({length} bytes)", bytes(length))),
        None => line("image size", "not known: nothing of a stream is read before it is sent"),
    }
    if let (Some(data), Some(zeros)) = (plan.data_bytes, plan.zero_bytes) {
        let zeros = if zeros.is_exact() { about(zeros) } else { format!("about {}", bytes(zeros.likely)) };
        line("data", &format!("{}; zeros: {zeros}", about(data)));
    }
    if let Some(object) = plan.object_bytes {
        line("object size", &about(object));
    }
    if let Some(sent) = plan.to_send {
        line("to send", &about(sent));
    }
    if let (Some(parts), Some(requests)) = (&plan.parts, &plan.requests) {
        line("in", &format!("{}, {}", count(parts, "part", "parts"), count(requests, "request", "requests")));
    }
    line("memory", &format!("at most {}", bytes(plan.memory)));
    if plan.present.upload_id.is_some() {
        line("present", &present(&plan.present));
    }
    line("exists", &exists(&plan.existing));
    if let Some((rate, source)) = rate {
        match plan.takes(rate) {
            Some(takes) => {
                line("takes", &format!("{} at {}/s ({source})", duration(takes), bytes(rate)));
            }
            None => line("rate", &format!("{}/s ({source})", bytes(rate))),
        }
    }
    if let Some(report) = &planned.report {
        let found = counted(report.findings.len() as u64, "finding", "findings");
        line("checks", &format!("{}, {found}", word(&report.verdict())));
        for finding in report.worst_first() {
            let said = super::inspection::sentence(finding, Some(&planned.subject));
            line(&format!("  {}", finding.severity.as_str()), &said);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns a number of bytes, and how far it is known.
fn about(of: Estimate) -> String {
    let (likely, most) = (bytes(of.likely), bytes(of.most));
    match of.is_exact() {
        true => format!("{likely} ({} bytes)", of.likely),
        false if likely == most => format!("about {likely}"),
        false => format!("about {likely}, at most {most}"),
    }
}

fn count(range: &RangeInclusive<u64>, one: &str, several: &str) -> String {
    match range.start() == range.end() {
        true => counted(*range.start(), one, several),
        false => format!("{} to {}", range.start(), counted(*range.end(), one, several)),
    }
}

fn present(present: &Present) -> String {
    let parts = |count: usize| counted(count as u64, "part", "parts");
    let mut said = format!("{} of an earlier run, {}", parts(present.parts), bytes(present.bytes));
    if present.compared_parts > 0 {
        let compared = (parts(present.compared_parts), bytes(present.compared_bytes));
        let _ = write!(said, "; {} to be compared, {}", compared.0, compared.1);
    }
    said
}

fn exists(existing: &Existing) -> String {
    match existing {
        Existing::NoBucket => "no bucket of this name".to_owned(),
        Existing::Replaced { size } => format!("an object of {}, which is replaced", bytes(*size)),
        Existing::Compared { size, .. } => {
            format!("an object of {}, with which the image is compared", bytes(*size))
        }
        Existing::Unknown { reason } => format!("not known: {reason}"),
        _ => "nothing".to_owned(),
    }
}
