use jiff::Timestamp;
use ossup::clock::{Clock, SystemClock};
use ossup::model::ServiceId;
use ossup::session;
use ossup::state::{StateDir, StoredUpload};
use serde_json::json;

use super::open_uploads::{self, OpenUpload};
use crate::args::ListArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::ui::{bytes, duration, parts, printable};

/// One upload, known here, on the bucket, or both.
struct Row {
    bucket: String,
    key: String,
    upload_id: String,
    begun: Option<Timestamp>,
    parts: usize,
    bytes: u64,
    length: Option<u64>,
    source: Option<String>,
    /// The service that has it, of one that is known here.
    service: Option<ServiceId>,
    local: bool,
    /// Whether the bucket has it; nothing if it was not asked.
    remote: Option<bool>,
}

/// Lists open uploads.
pub(crate) async fn run(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let state = StateDir::new(context.state_dir(&args.connection)?);
    let stored = state.uploads()?;
    stored.unreadable.iter().for_each(|error| context.output.warning(error.to_string()));
    let mut rows: Vec<Row> = stored.readable.into_iter().map(Row::stored).collect();
    if let Some(bucket) = &args.bucket {
        let connection = context.connect(&args.connection, &args.retry, Some(&bucket.bucket))?;
        let listed = session::list_uploads(&connection.client, &bucket.bucket, &bucket.rest).await?;
        let open = open_uploads::measure(&connection.client, &bucket.bucket, listed).await?;
        rows.retain(|row| row.bucket == bucket.bucket.as_str() && row.key.starts_with(&bucket.rest));
        rows.iter_mut().for_each(|row| row.remote = Some(false));
        merge(&mut rows, bucket.bucket.as_str(), open);
        // That this service does not have it says nothing about another one's.
        let here = connection.client.service();
        rows.retain(|row| {
            row.remote == Some(true) || row.service.as_ref().is_none_or(|there| *there == here)
        });
    }
    let now = SystemClock.now();
    let object = json!({
        "uploads": rows.iter().map(|row| row.members(now)).collect::<Vec<_>>(),
        "unreadable": stored.unreadable.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let text = rows.iter().map(|row| row.line(now)).collect::<Vec<_>>().join("\n");
    if rows.is_empty() {
        context.output.remark("no open uploads");
    }
    context.output.result(object, &text)
}

/// Joins what the bucket has to what is known here.
fn merge(rows: &mut Vec<Row>, bucket: &str, open: Vec<OpenUpload>) {
    for upload in open {
        let id = upload.listed.upload_id.as_str();
        match rows.iter_mut().find(|row| row.upload_id == id && row.key == upload.listed.key) {
            Some(row) => {
                row.remote = Some(true);
                row.begun = upload.listed.initiated.or(row.begun);
                (row.parts, row.bytes) = (upload.parts, upload.bytes);
            }
            None => rows.push(Row {
                bucket: bucket.to_owned(),
                upload_id: id.to_owned(),
                begun: upload.listed.initiated,
                parts: upload.parts,
                bytes: upload.bytes,
                length: None,
                source: None,
                service: None,
                local: false,
                remote: Some(true),
                key: upload.listed.key,
            }),
        }
    }
    rows.sort_by(|a, b| (&a.bucket, &a.key, a.begun).cmp(&(&b.bucket, &b.key, b.begun)));
}

impl Row {
    fn stored(upload: StoredUpload) -> Self {
        let StoredUpload { checkpoint, journal, .. } = upload;
        Self {
            service: Some(checkpoint.service()),
            bucket: checkpoint.object.bucket.as_str().to_owned(),
            key: checkpoint.object.key.as_str().to_owned(),
            upload_id: checkpoint.upload_id.as_str().to_owned(),
            begun: Some(checkpoint.created),
            parts: journal.parts.len(),
            bytes: journal.parts.iter().map(|part| part.range.len()).sum(),
            length: Some(checkpoint.source.length),
            source: Some(checkpoint.source.name),
            local: true,
            remote: None,
        }
    }

    fn age(&self, now: Timestamp) -> Option<std::time::Duration> {
        self.begun.map(|begun| std::time::Duration::try_from(now.duration_since(begun)).unwrap_or_default())
    }

    fn members(&self, now: Timestamp) -> serde_json::Value {
        json!({
            "bucket": self.bucket,
            "key": self.key,
            "upload_id": self.upload_id,
            "initiated": self.begun.map(|begun| begun.to_string()),
            "age_seconds": self.age(now).map(|age| age.as_secs()),
            "parts": self.parts,
            "bytes": self.bytes,
            "length": self.length,
            "source": self.source,
            "local": self.local,
            "remote": self.remote,
        })
    }

    fn line(&self, now: Timestamp) -> String {
        let held = match self.length {
            Some(length) => format!("{} of {}", bytes(self.bytes), bytes(length)),
            None => bytes(self.bytes),
        };
        let age = self.age(now).map(duration).unwrap_or_else(|| "unknown".to_owned());
        let place = match (self.local, self.remote) {
            (true, Some(true)) => "here and on the bucket",
            (true, Some(false)) => "here, but gone from the bucket",
            (true, None) => "known here",
            (false, _) => "on the bucket only",
        };
        let line = format!(
            "oss://{}/{}  {held} in {}, age {age}, {place}, upload id {}",
            self.bucket,
            self.key,
            parts(self.parts),
            self.upload_id
        );
        printable(&line).into_owned()
    }
}
