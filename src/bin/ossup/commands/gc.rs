use std::time::Duration;

use jiff::Timestamp;
use ossup::model::{BucketName, ObjectRef};
use ossup::session;
use serde_json::{Value, json};

use super::abort;
use super::open_uploads::{self, OpenUpload};
use crate::args::GcArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::{bytes, confirm, counted, duration, parts};

/// Aborts old open uploads of a bucket, whoever started them.
pub(crate) async fn run(args: &GcArgs, context: &Context) -> Result<(), Failure> {
    let bucket = &args.bucket.bucket;
    let connection = context.connect(&args.connection, &args.retry, Some(bucket))?;
    let client = &connection.client;
    let listed = session::list_uploads(client, bucket, &args.bucket.rest).await?;
    // By a wrong local clock, an upload that another machine has just started could seem old.
    let now = client.service_time().ok_or_else(|| {
        Failure::new(Kind::Other, "the service returned no Date, so the age of uploads is unknown")
    })?;
    let begun_before = |begun: Timestamp| {
        Duration::try_from(now.duration_since(begun)).is_ok_and(|age| age >= args.older_than.0)
    };
    let listed = listed.into_iter().filter(|upload| upload.initiated.is_some_and(begun_before)).collect();
    // An upload that received a part recently is kept, however old it is.
    let mut old = open_uploads::measure(client, bucket, listed).await?;
    old.retain(|upload| upload.idle(now).is_some_and(|idle| idle >= args.older_than.0));
    for upload in &old {
        context.output.status(format!("  oss://{bucket}/{}", line(upload, now)));
    }
    let total: u64 = old.iter().map(|upload| upload.bytes).sum();
    if args.dry_run {
        let count = counted(old.len() as u64, "upload", "uploads");
        context.output.status(format!("{count} would be aborted, {} freed", bytes(total)));
        let would = old.iter().map(one).collect::<Vec<_>>();
        let json_fields = json!({"bucket": bucket, "dry_run": true, "would_abort": would, "bytes": total});
        return context.output.print(json_fields, "");
    }
    if !old.is_empty() {
        let these = match old.len() {
            1 => "this upload".to_owned(),
            count => format!("these {count} uploads"),
        };
        confirm(&format!("abort {these} and delete {}?", bytes(total)), args.yes).await?;
    }
    let mut aborted = Vec::new();
    for upload in old {
        let Ok(key) = upload.listed.key.parse() else {
            context
                .output
                .warning(format!("skipped the key `{}`: it cannot be used in a request", upload.listed.key));
            continue;
        };
        let object = ObjectRef::new(bucket.clone(), key);
        match abort::forget(&connection, &object, &upload.listed.upload_id).await {
            Ok(()) => aborted.push(upload),
            // Old, but another process is still running it.
            Err(failure) if failure.kind == Kind::Conflict => {
                context.output.warning(format!("skipped `{object}`: {}", failure.line()));
            }
            Err(failure) => return Err(failure.with_members(json_fields(bucket, &aborted))),
        }
    }
    let count = counted(aborted.len() as u64, "upload", "uploads");
    context.output.status(format!("{count} aborted, {} freed", bytes(freed(&aborted))));
    context.output.print(json_fields(bucket, &aborted), "")
}

fn freed(aborted: &[OpenUpload]) -> u64 {
    aborted.iter().map(|upload| upload.bytes).sum()
}

fn json_fields(bucket: &BucketName, aborted: &[OpenUpload]) -> Value {
    json!({
        "bucket": bucket,
        "aborted": aborted.iter().map(one).collect::<Vec<_>>(),
        "bytes": freed(aborted),
    })
}

fn one(upload: &OpenUpload) -> Value {
    json!({"key": upload.listed.key, "upload_id": upload.listed.upload_id, "bytes": upload.bytes})
}

fn line(upload: &OpenUpload, now: Timestamp) -> String {
    let idle = upload.idle(now).map(duration).unwrap_or_default();
    format!("{}  {} in {}, idle for {idle}", upload.listed.key, bytes(upload.bytes), parts(upload.parts))
}
