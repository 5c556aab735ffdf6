//! What all uploading commands share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ossup::event::{Event, EventSink};
use ossup::model::ObjectRef;
use ossup::source::FileSource;
use ossup::transfer::{HostLimits, Limits};
use ossup::upload::{Upload, UploadReport};
use serde_json::{Value, json};

use crate::args::values::Parallel;
use crate::args::{TargetArgs, TransferArgs};
use crate::context::{Connection, Context};
use crate::failure::{self, Failure, Kind, ResumeHint, again};
use crate::ui::{Output, Progress, bytes, duration, parts};

/// Returns the limits that all uploads of the command share.
pub(crate) fn limits(args: &TransferArgs) -> Limits {
    let parallel = match args.parallel {
        Parallel::Fixed(count) => Some(count),
        Parallel::Auto => args.max_parallel.map(usize::from),
    };
    let limits = Limits::for_host(&HostLimits::detect(), args.max_memory.map(|size| size.0), parallel);
    limits.set_bandwidth(args.bandwidth_limit.map(|rate| rate.0));
    limits
}

/// Returns the path as the state keeps it, so that it is found from any folder.
pub(crate) fn absolute(image: &Path) -> Result<PathBuf, Failure> {
    if image == Path::new("-") {
        let text = "cannot upload standard input: parts are read by position, and again after a failure";
        return Err(
            Failure::new(Kind::Usage, text).hint("write it to a file first; ./- is the file named `-`")
        );
    }
    std::path::absolute(image).map_err(|error| Failure::from_error(Kind::Usage, &error))
}

/// Opens an image to be uploaded.
pub(crate) fn open(image: &Path, args: &TransferArgs) -> Result<FileSource, Failure> {
    let source = match args.allow_busy {
        true => FileSource::open_shared(image)?,
        false => FileSource::open(image)?,
    };
    Ok(source)
}

/// Prepares the upload of one image. Its progress is shown while the second is kept.
pub(crate) fn prepare(
    context: &Context,
    connection: &Connection,
    source: FileSource,
    object: &ObjectRef,
    target: &TargetArgs,
    args: &TransferArgs,
    limits: &Limits,
) -> Result<(Upload, Progress), Failure> {
    connection.prepare_bucket(&object.bucket, context.output)?;
    let label = source.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output = context.output;
    let progress = Progress::start(label, output);
    let in_use = args.allow_busy && source.is_device();
    let mut upload = Upload::new(connection.client.clone(), Arc::new(source), object.clone())
        .overwrite(target.overwrite)
        .storage_class(target.storage_class)
        .restart(target.restart)
        .adopt(target.adopt.is_some())
        .verify_resume(args.verify_resume)
        .content_md5(args.content_md5)
        .in_use(in_use)
        .require_verified(args.require_verified)
        .limits(limits.clone())
        .events(naming_others(progress.sink(), output, connection))
        .on_done(move |report| output.status(sentence(report)))
        .cancel(context.stop.token());
    if !target.no_resume {
        upload = upload.state_dir(connection.settings.state_dir()?);
    }
    if let Some(Some(id)) = &target.adopt {
        upload = upload.adopt_upload(id.clone());
    }
    if let Some(size) = args.part_size {
        upload = upload.part_size(size.0);
    }
    if let Parallel::Fixed(count) = args.parallel {
        upload = upload.parallel(count);
    }
    if let Some(most) = args.max_parallel {
        upload = upload.max_parallel(usize::from(most));
    }
    Ok((upload, progress))
}

/// Returns a sink that also advises about other open uploads of the key.
fn naming_others(sink: EventSink, output: Output, connection: &Connection) -> EventSink {
    let typed = connection.typed.clone();
    EventSink::new(move |event| {
        if let Event::OthersOpen { object, upload_ids } = &event {
            for id in upload_ids {
                let abort = again::abort(object, id, &typed);
                output.warning(format!(
                    "another upload of `{object}` is open on the bucket, and its parts are billed: `{abort}` deletes \
                     them; the same command with --adopt={id} continues that upload instead of this one"
                ));
            }
        }
        sink.emit(event);
    })
}

/// Uploads one image and shows the progress.
pub(crate) async fn upload(
    context: &Context,
    connection: &Connection,
    source: FileSource,
    object: &ObjectRef,
    target: &TargetArgs,
    args: &TransferArgs,
    limits: &Limits,
) -> Result<UploadReport, Failure> {
    let (upload, progress) = prepare(context, connection, source, object, target, args, limits)?;
    let result = upload.run().await;
    drop(progress);
    let again = if target.no_resume { ResumeHint::No } else { ResumeHint::Resume(&connection.typed) };
    result.map_err(|error| failure::upload(&error, again, &context.stop))
}

/// Returns a report's JSON fields for `--output json`.
pub(crate) fn object(report: &UploadReport, url: &str) -> Value {
    let stored = &report.stored;
    json!({
        "bucket": stored.object.bucket,
        "key": stored.object.key,
        "url": url,
        "size": stored.size,
        "crc64": stored.crc64,
        "etag": stored.etag.as_ref().map(ossup::model::ETag::unquoted),
        "version_id": stored.version_id,
        "verified": stored.verified,
        "source_in_use": report.in_use,
        "parts": report.parts,
        "resumed_parts": report.resumed_parts,
        "bytes_sent": report.bytes_sent,
        "retries": report.retries,
        "seconds": report.took.as_secs_f64(),
    })
}

/// Returns a report in a sentence.
pub(crate) fn sentence(report: &UploadReport) -> String {
    let stored = &report.stored;
    if report.parts == 0 {
        return format!("{} already exists with the same CRC-64", stored.object);
    }
    let rate = bytes((report.bytes_sent as f64 / report.took.as_secs_f64().max(0.001)) as u64);
    let resumed = match report.resumed_parts {
        0 => String::new(),
        count => format!(" ({count} from an earlier run)"),
    };
    let verified = match stored.crc64 {
        Some(crc64) if stored.verified == ossup::complete::Verified::Crc64 => {
            format!("verified by CRC-64 {crc64}")
        }
        _ if stored.verified == ossup::complete::Verified::Etag => "verified by its ETag".to_owned(),
        _ => "not verified: OSS returned no checksum".to_owned(),
    };
    let in_use = match report.in_use {
        true => "; the device was in use while it was read: the object may mix bytes from different moments",
        false => "",
    };
    format!(
        "uploaded {}: {} in {}{resumed}, {} at {rate}/s; {verified}{in_use}",
        stored.object,
        bytes(stored.size),
        parts(report.parts),
        duration(report.took),
    )
}
