//! What all uploading commands share.

use std::sync::{Arc, Mutex, PoisonError};

use ossup::event::{Event, EventSink};
use ossup::model::{ObjectForm, ObjectRef, UploadId};
use ossup::state::StateDir;
use ossup::transfer::{HostLimits, Limits};
use ossup::upload::{Upload, UploadReport};
use serde_json::{Value, json};

use super::abort;
use crate::args::values::Parallel;
use crate::args::{TargetArgs, TransferArgs};
use crate::context::{Connection, Context};
use crate::failure::{self, Failure, Kind, ResumeHint, again};
use crate::origin::Ready;
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

/// An upload that can be run.
pub(crate) struct Prepared {
    pub(crate) upload: Upload,
    /// What shows the progress for as long as it is kept.
    pub(crate) progress: Progress,
    pub(crate) begun: Begun,
}

/// Prepares the upload of one image, and the bucket for it.
pub(crate) fn prepare(
    context: &Context,
    connection: &Connection,
    image: Ready,
    target: &TargetArgs,
    args: &TransferArgs,
    limits: &Limits,
) -> Result<Prepared, Failure> {
    connection.prepare_bucket(&image.object.bucket, context.output)?;
    describe(context, connection, image, target, args, limits)
}

/// Describes the upload of one image. Nothing is made for it yet.
pub(crate) fn describe(
    context: &Context,
    connection: &Connection,
    image: Ready,
    target: &TargetArgs,
    args: &TransferArgs,
    limits: &Limits,
) -> Result<Prepared, Failure> {
    let output = context.output;
    let progress = Progress::start(image.label(), image.length(), output);
    let begun = Begun::default();
    let sink = match image.is_stream() {
        true => begun.noting(progress.sink()),
        false => progress.sink(),
    };
    let in_use = image.in_use();
    let memory = args.max_memory.map(|size| size.0);
    let mut upload = image
        .into_upload(connection.client.clone(), memory)
        .with_overwrite(target.overwrite)
        .with_storage_class(target.storage_class)
        .with_restart(target.restart)
        .with_adopt(target.adopt.is_some())
        .with_verify_resume(args.verify_resume)
        .with_content_md5(args.content_md5)
        .with_in_use(in_use)
        .with_require_verified(args.require_verified)
        .with_limits(limits.clone())
        .with_events(naming_others(sink, output, connection))
        .with_on_done(move |report| output.status(sentence(report)))
        .with_cancellation(context.stop.token());
    if !target.no_resume {
        upload = upload.with_state_dir(connection.settings.state_dir()?);
    }
    if let Some(Some(id)) = &target.adopt {
        upload = upload.with_adopted_upload(id.clone());
    }
    if let Some(size) = args.part_size {
        upload = upload.with_part_size(size.0);
    }
    if let Parallel::Fixed(count) = args.parallel {
        upload = upload.with_parallel(count);
    }
    if let Some(most) = args.max_parallel {
        upload = upload.with_max_parallel(usize::from(most));
    }
    Ok(Prepared { upload, progress, begun })
}

/// The upload of a stream that was opened.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<Mutex<Option<(ObjectRef, UploadId)>>>);

impl Begun {
    fn noting(&self, sink: EventSink) -> EventSink {
        let begun = Arc::clone(&self.0);
        EventSink::new(move |event| {
            let known = || begun.lock().unwrap_or_else(PoisonError::into_inner);
            match &event {
                Event::Opened { object, upload_id, .. } => {
                    *known() = Some((object.clone(), upload_id.clone()));
                }
                // Its parts are an object.
                Event::Completed => *known() = None,
                _ => {}
            }
            sink.emit(event);
        })
    }

    /// Deletes the parts of an image that is refused after some of it was sent: nothing will ever be made of them.
    pub(crate) async fn end(&self, connection: &Connection, failure: &Failure, output: Output) {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((object, id)) = begun.filter(|_| failure.kind == Kind::ImageRefused) else { return };
        match abort::forget(connection, &object, &id).await {
            Ok(()) => output.status(format!("the parts of `{object}` that were sent are deleted")),
            Err(error) => {
                let abort = again::abort(&object, &id, &connection.typed);
                output.warning(format!(
                    "the parts of `{object}` that were sent could not be deleted, and are billed: {}; `{abort}` deletes \
                     them",
                    error.line()
                ));
            }
        }
    }
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
    image: Ready,
    target: &TargetArgs,
    args: &TransferArgs,
    limits: &Limits,
) -> Result<UploadReport, Failure> {
    // What passed once cannot be opened by `ossup resume`.
    let again = match image.is_stream() {
        _ if target.no_resume => ResumeHint::No,
        true => ResumeHint::Same,
        false => ResumeHint::Resume(&connection.typed),
    };
    let Prepared { upload, progress, begun } = prepare(context, connection, image, target, args, limits)?;
    let result = upload.run().await;
    drop(progress);
    match result {
        Ok(report) => Ok(report),
        Err(error) => {
            let failure = failure::upload(&error, again, &context.stop);
            begun.end(connection, &failure, context.output).await;
            Err(failure)
        }
    }
}

/// Returns the form in which an unfinished upload of an object was begun, if this machine knows one that would go on.
pub(crate) fn begun_form(
    connection: &Connection,
    target: &TargetArgs,
    object: &ObjectRef,
) -> Result<Option<ObjectForm>, Failure> {
    if target.restart || target.no_resume {
        return Ok(None);
    }
    let (service, region) = (connection.client.service(), connection.client.region());
    let known = StateDir::new(connection.settings.state_dir()?).uploads()?.readable;
    let mut known = known.into_iter().map(|upload| upload.checkpoint);
    let found =
        known.find(|known| known.object == *object && known.region == *region && known.service() == service);
    Ok(found.map(|known| known.form))
}

/// Returns a report's JSON fields for `--output json`. `unread` says why nobody looked at the system on the disk.
pub(crate) fn object(report: &UploadReport, url: &str, unread: Option<&str>) -> Value {
    let stored = &report.stored;
    json!({
        "bucket": stored.object.bucket,
        "key": stored.object.key,
        "url": url,
        "size": stored.size,
        "form": report.form,
        "image_size": report.image_bytes,
        "image_sha256": report.content_sha256.map(|sha256| sha256.to_string()),
        "crc64": stored.crc64,
        "etag": stored.etag.as_ref().map(ossup::model::ETag::unquoted),
        "version_id": stored.version_id,
        "verified": stored.verified,
        "source_in_use": report.in_use,
        "guest_unread": unread,
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
    let made = match report.form.is_as_is() {
        true => String::new(),
        false => format!(" {}, of an image of {}", report.form, bytes(report.image_bytes)),
    };
    let sha256 = report.content_sha256.map(|sha256| format!("; the image's SHA-256 is {sha256}"));
    let sha256 = sha256.unwrap_or_default();
    format!(
        "uploaded {}{made}: {} in {}{resumed}, {} at {rate}/s; {verified}{sha256}{in_use}",
        stored.object,
        bytes(stored.size),
        parts(report.parts),
        duration(report.took),
    )
}
