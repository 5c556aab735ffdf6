use jiff::Timestamp;
use ossup::clock::{Clock, SystemClock};
use ossup::import::ImportRequest;
use ossup::model::ServiceId;
use ossup::session;
use ossup::state::{StateDir, StoredFlow, StoredUpload};
use serde_json::json;

use super::open_uploads::{self, OpenUpload};
use crate::args::ListArgs;
use crate::args::values::BucketUrl;
use crate::context::Context;
use crate::failure::Failure;
use crate::ui::{Table, bytes, duration, of};

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
    /// The service that has it, if it is known here.
    service: Option<ServiceId>,
    local: bool,
    /// Whether a process on this machine is running it.
    active: bool,
    /// Whether the bucket has it; `None` if it was not asked.
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
        // Uploads to other services cannot be judged by this one's list.
        let here = connection.client.service();
        rows.retain(|row| {
            row.remote == Some(true) || row.service.as_ref().is_none_or(|there| *there == here)
        });
    }
    let (flows, damaged) = state.flows()?;
    damaged.iter().for_each(|error| context.output.warning(error.to_string()));
    let publishes = unfinished(flows, args.bucket.as_ref());
    let now = SystemClock.now();
    let publish = |publish: &Unfinished| {
        json!({
            "name": publish.name,
            "region": publish.region,
            "image_id": publish.image,
            "objects": publish.objects,
            "waits_for": publish.waits_for,
            "active": publish.active,
        })
    };
    let object = json!({
        "publishes": publishes.iter().map(publish).collect::<Vec<_>>(),
        "uploads": rows.iter().map(|row| row.json_fields(now)).collect::<Vec<_>>(),
        "unreadable": stored.unreadable.iter().chain(&damaged).map(ToString::to_string).collect::<Vec<_>>(),
    });
    if rows.is_empty() {
        context.output.status("no open uploads");
    }
    let tables = [uploads_table(&rows, now), publishes_table(&publishes)];
    let tables: Vec<_> = tables.iter().map(Table::text).filter(|text| !text.is_empty()).collect();
    context.output.print(object, &tables.join("\n\n"))
}

fn uploads_table(rows: &[Row], now: Timestamp) -> Table {
    let mut table = Table::new(&["OBJECT", "UPLOADED", "PARTS", "AGE", "STATE", "SOURCE", "UPLOAD ID"]);
    for row in rows {
        table.row(row.cells(now));
    }
    table
}

/// A publish whose images are not all available.
struct Unfinished {
    name: String,
    region: String,
    image: Option<String>,
    objects: Vec<String>,
    waits_for: Vec<String>,
    active: bool,
}

/// Returns the unfinished publishes: those of the bucket, if one was passed.
fn unfinished(stored: Vec<StoredFlow>, bucket: Option<&BucketUrl>) -> Vec<Unfinished> {
    let wanted = |flow: &StoredFlow| {
        bucket.is_none_or(|url| flow.flow.objects.keys().any(|object| object.starts_with(&url.to_string())))
    };
    let one = |StoredFlow { flow, holder, .. }: StoredFlow| {
        let request = serde_json::from_str::<ImportRequest>(&flow.request).ok();
        let region = request.as_ref().map(|request| request.region().to_string()).unwrap_or_default();
        let import = (!flow.import.available).then(|| region.clone());
        let copies =
            flow.copies.iter().filter(|(_, copy)| !copy.available).map(|(region, _)| region.to_string());
        Unfinished {
            name: request.map(|request| request.name().to_owned()).unwrap_or_default(),
            waits_for: import.into_iter().chain(copies).collect(),
            region,
            image: flow.import.image_id.map(|id| id.to_string()),
            objects: flow.objects.into_keys().collect(),
            active: holder.is_some(),
        }
    };
    stored.into_iter().filter(|flow| !flow.is_done() && wanted(flow)).map(one).collect()
}

fn publishes_table(publishes: &[Unfinished]) -> Table {
    let mut table = Table::new(&["PUBLISH", "REGION", "IMAGE", "STATE", "NOT YET AVAILABLE IN", "OBJECTS"]);
    for publish in publishes {
        table.row([
            publish.name.clone(),
            publish.region.clone(),
            publish.image.clone().unwrap_or_default(),
            state(publish.active).to_owned(),
            publish.waits_for.join(", "),
            publish.objects.join(", "),
        ]);
    }
    table
}

fn state(active: bool) -> &'static str {
    if active { "active" } else { "interrupted" }
}

/// Merges what the bucket has with what is known here.
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
                active: false,
                remote: Some(true),
                key: upload.listed.key,
            }),
        }
    }
    rows.sort_by(|a, b| (&a.bucket, &a.key, a.begun).cmp(&(&b.bucket, &b.key, b.begun)));
}

impl Row {
    fn stored(upload: StoredUpload) -> Self {
        let StoredUpload { checkpoint, journal, holder, .. } = upload;
        Self {
            service: Some(checkpoint.service()),
            bucket: checkpoint.object.bucket.as_str().to_owned(),
            key: checkpoint.object.key.as_str().to_owned(),
            upload_id: checkpoint.upload_id.as_str().to_owned(),
            begun: Some(checkpoint.created),
            parts: journal.parts.len(),
            bytes: journal.parts.iter().map(|part| part.range.len()).sum(),
            length: checkpoint.source.length(),
            source: Some(checkpoint.source.name()),
            local: true,
            active: holder.is_some(),
            remote: None,
        }
    }

    fn age(&self, now: Timestamp) -> Option<std::time::Duration> {
        self.begun.map(|begun| std::time::Duration::try_from(now.duration_since(begun)).unwrap_or_default())
    }

    fn json_fields(&self, now: Timestamp) -> serde_json::Value {
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
            "active": self.active,
            "remote": self.remote,
        })
    }

    fn cells(&self, now: Timestamp) -> [String; 7] {
        let held = match self.length {
            Some(length) => of(self.bytes, length),
            None => bytes(self.bytes),
        };
        let state = match (self.local, self.remote) {
            (true, Some(false)) => "gone from the bucket",
            (true, _) => state(self.active),
            (false, _) => "on the bucket only",
        };
        [
            format!("oss://{}/{}", self.bucket, self.key),
            held,
            self.parts.to_string(),
            self.age(now).map(duration).unwrap_or_default(),
            state.to_owned(),
            self.source.clone().unwrap_or_default(),
            self.upload_id.clone(),
        ]
    }
}
