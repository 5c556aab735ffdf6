//! The look at an image before anything is sent.

use std::os::unix::fs::MetadataExt;

use ossup::client::Client;
use ossup::image::{DiskFile, Finding, ReadError, Report, Severity, Windows, Wishes, inspect};
use ossup::model::{ByteRange, ObjectRef};
use ossup::protocol::oss::HeadObject;
use ossup::source::{FileSource, Source};

use super::range::ReadRange;
use crate::args::InspectionArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::Output;

/// Inspects a file.
pub(crate) fn file(source: &FileSource, mut wishes: Wishes) -> Result<Report, Failure> {
    let length = source.length().unwrap_or_default();
    wishes.allocated_size = source.file().metadata().ok().map(|metadata| metadata.blocks() * 512);
    inspect(&DiskFile::with_length(source.file(), length), &wishes).map_err(|error| unreadable(&error))
}

/// Inspects an object by reading a few of its ranges.
pub(crate) async fn object(client: &Client, object: &ObjectRef, wishes: &Wishes) -> Result<Report, Failure> {
    let head = client.call(&HeadObject::new(object.clone())).await?;
    let mut windows = Windows::new(head.size);
    loop {
        match inspect(&windows, wishes) {
            Err(ReadError::Missing { offset, length }) => {
                let range = ByteRange::new(offset, offset + length);
                windows.insert(offset, client.call(&ReadRange::new(object.clone(), range)).await?);
            }
            result => return result.map_err(|error| unreadable(&error)),
        }
    }
}

/// Inspects a file before it is uploaded, shows what matters, and stops if it is refused.
pub(crate) fn before_upload(
    context: &Context,
    source: &FileSource,
    wishes: Wishes,
    args: &InspectionArgs,
) -> Result<Option<Report>, Failure> {
    if args.no_inspect {
        return Ok(None);
    }
    let name = source.path().display().to_string();
    let report = file(source, wishes)?;
    show(&report, context.output);
    judge(&name, &report, args.strict, args.force)?;
    Ok(Some(report))
}

/// Shows the findings that matter even to those who did not ask for an inspection.
pub(crate) fn show(report: &Report, output: Output) {
    for finding in report.findings.iter().filter(|finding| finding.severity >= Severity::Warn) {
        output.remark(format!("{}: {}", finding.severity, sentence(finding)));
    }
}

/// Fails if the verdict stops the image.
pub(crate) fn judge(name: &str, report: &Report, strict: bool, force: bool) -> Result<(), Failure> {
    let verdict = report.verdict();
    if !verdict.stops(strict, force) {
        return Ok(());
    }
    let worst = if verdict.is_refused() { Severity::Fix } else { Severity::Warn };
    let why: Vec<_> =
        report.findings.iter().filter(|finding| finding.severity >= worst).map(sentence).collect();
    let failure = Failure::new(Kind::ImageRefused, format!("`{name}` is refused: {}", why.join("; ")));
    Err(if verdict.is_refused() {
        failure.hint("mend the image or the options that are named; --force goes on all the same")
    } else {
        failure.hint("without --strict, warnings do not stop")
    })
}

/// Returns a finding in one sentence.
pub(crate) fn sentence(finding: &Finding) -> String {
    let fix = finding.fix.as_ref().map(|fix| format!(" ({fix})")).unwrap_or_default();
    format!("{} [{}]{fix}", finding.message, finding.rule.id())
}

fn unreadable(error: &ReadError) -> Failure {
    Failure::from_error(Kind::Other, error)
}
