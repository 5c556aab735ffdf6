//! Uploads that 0.1.0 began go on. Its state directory is in `tests/data/state-0.1.0`.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ossup::client::{Client, ClientOptions};
use ossup::credentials::StaticCredentials;
use ossup::emulator::{Emulator, EmulatorOptions};
use ossup::event::{Event, EventSink};
use ossup::model::{ByteRange, Endpoint, EndpointKind, ObjectRef, UploadId};
use ossup::protocol::oss::InitiateMultipartUpload;
use ossup::source::{FileSource, Source, Witness};
use ossup::state::StateDir;
use ossup::upload::{Upload, UploadReport};
use serde_json::Value;

use crate::support::{World, noise};

/// The uploads of the directory: their keys, and the lengths and seeds of their sources.
const UPLOADS: [(&str, usize, u64); 2] = [("fixed.raw", 1_234_567, 1), ("grown.raw", 20_000_001, 2)];

/// A world in which the service has what 0.1.0 sent, and the state directory is as 0.1.0 left it.
struct Interrupted {
    world: World,
    emulator: Arc<Emulator>,
    client: Client,
    /// What the journals name, by key: read here, as the format was then.
    recorded: BTreeMap<&'static str, Vec<(u16, ByteRange, String)>>,
}

impl Interrupted {
    async fn new() -> Self {
        let world = World::new();
        let options = EmulatorOptions::local(world.path("store"));
        let region = options.region.clone();
        let emulator = Arc::new(Emulator::open(options).unwrap());
        // The checkpoints are of the public cloud, whose names the emulator answers to.
        let endpoint = Endpoint::for_region(&region, EndpointKind::Public);
        let anonymous = Arc::new(StaticCredentials::anonymous());
        let client = Client::new(ClientOptions::new(endpoint, region, anonymous, emulator.clone()));
        let mut interrupted = Self { world, emulator, client, recorded: BTreeMap::new() };
        for (key, length, seed) in UPLOADS {
            interrupted.make(key, &noise(length, seed)).await;
        }
        interrupted
    }

    /// Makes an upload's source, its parts on the service, and its state.
    async fn make(&mut self, key: &'static str, bytes: &[u8]) {
        let folder = folder_of(key);
        let text = fs::read_to_string(folder.join("checkpoint.json")).unwrap();
        let journal = fs::read(folder.join("journal")).unwrap();
        let checkpoint: Value = serde_json::from_str(&text).unwrap();

        let source = self.world.path(key);
        fs::write(&source, bytes).unwrap();
        let modified = Duration::from_nanos(checkpoint["source"]["modified_ns"].as_u64().unwrap());
        let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + modified);
        File::options().write(true).open(&source).unwrap().set_times(times).unwrap();

        let begin = InitiateMultipartUpload::new(object(key));
        let upload_id = self.client.call(&begin).await.unwrap();
        let parts: Vec<_> = journal.chunks(96).map(part_of).collect();
        for (number, range, etag) in &parts {
            let part = &bytes[range.start as usize..range.end as usize];
            assert_eq!(self.put(key, &upload_id, *number, part).await, *etag, "part {number} of {key}");
        }
        self.recorded.insert(key, parts);

        // Only the id, which no service gives twice, is another one.
        let text = text.replace(checkpoint["upload_id"].as_str().unwrap(), upload_id.as_str());
        let kept = self.state().join("uploads").join(folder.file_name().unwrap());
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("checkpoint.json"), text).unwrap();
        fs::write(kept.join("journal"), journal).unwrap();
    }

    /// Sends a part as any client does, and returns its tag.
    async fn put(&self, key: &str, upload_id: &UploadId, number: u16, bytes: &[u8]) -> String {
        let uri = format!(
            "https://images.oss-cn-hangzhou.aliyuncs.com/{key}?partNumber={number}&uploadId={upload_id}"
        );
        let request = http::Request::put(uri)
            .header("host", "images.oss-cn-hangzhou.aliyuncs.com")
            .header("content-length", bytes.len())
            .body(ossup::http::full(bytes.to_vec()));
        let answer = self.emulator.handle(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.headers()["etag"].to_str().unwrap().to_owned()
    }

    fn state(&self) -> PathBuf {
        self.world.path("state")
    }

    /// Makes a checkpoint name the source as it is on this machine: the source of the first run, unchanged.
    fn recognize(&self, key: &str) {
        let path = self.state().join("uploads").join(folder_of(key).file_name().unwrap());
        let path = path.join("checkpoint.json");
        let mut checkpoint: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let now = fs::metadata(self.world.path(key)).unwrap();
        let source = &mut checkpoint["source"];
        source["changed_ns"] = (now.ctime() * 1_000_000_000 + now.ctime_nsec()).into();
        (source["device"], source["inode"]) = (now.dev().into(), now.ino().into());
        fs::write(&path, serde_json::to_vec(&checkpoint).unwrap()).unwrap();
    }

    fn can_show_changes(&self, key: &str) -> bool {
        let source = FileSource::open(self.world.path(key)).unwrap();
        source.settle();
        source.witness() == Witness::Always
    }

    /// Gives the same upload again, and returns its report, the ranges that it sent, and how many parts it compared.
    async fn resume(&self, key: &str) -> (UploadReport, Vec<ByteRange>, usize) {
        let seen = Arc::new(Mutex::new((Vec::new(), 0)));
        let counted = Arc::clone(&seen);
        let events = EventSink::new(move |event| match event {
            Event::PartStarted { range, .. } => counted.lock().unwrap().0.push(range),
            Event::Verified { .. } => counted.lock().unwrap().1 += 1,
            _ => {}
        });
        let source = Arc::new(FileSource::open(self.world.path(key)).unwrap());
        let upload = Upload::new(self.client.clone(), source, object(key));
        let report = upload
            .with_state_dir(self.state())
            .with_resume_only(true)
            .with_events(events)
            .run()
            .await
            .unwrap();
        let (sent, compared) = std::mem::take(&mut *seen.lock().unwrap());
        (report, sent, compared)
    }

    /// Resumes an upload and checks that exactly what was missing is sent. Returns how many parts were compared.
    async fn goes_on(&self, key: &'static str, bytes: &[u8]) -> usize {
        let (report, mut ranges, compared) = self.resume(key).await;
        let recorded = &self.recorded[key];
        assert_eq!(report.resumed_parts, recorded.len(), "{key}");
        ranges.extend(recorded.iter().map(|(_, range, _)| *range));
        ranges.sort();
        let mut end = 0;
        for range in &ranges {
            assert_eq!(range.start, end, "a part of {key} is missing or was sent twice: {ranges:?}");
            end = range.end;
        }
        assert_eq!(end, bytes.len() as u64);
        assert_eq!(report.stored.crc64, Some(ossup::checksum::of(bytes)));
        compared
    }
}

fn object(key: &str) -> ObjectRef {
    format!("oss://images/{key}").parse().unwrap()
}

/// The folder in the repository. Its name follows from service, region, bucket and key.
fn folder_of(key: &str) -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state-0.1.0/uploads");
    folders.join(match key {
        "fixed.raw" => "f9de625a5a57c80c8346867c885a6383",
        _ => "c58f6298a17f1b9e34800bcd4af26323",
    })
}

/// Number, range and tag of a part's record.
fn part_of(record: &[u8]) -> (u16, ByteRange, String) {
    let u64_at = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    assert_eq!(record[..2], [1, 0], "a part of the source");
    let etag = &record[29..29 + usize::from(record[28])];
    let number = u16::from_le_bytes([record[2], record[3]]);
    (number, ByteRange::new(u64_at(4), u64_at(12)), String::from_utf8(etag.to_vec()).unwrap())
}

#[tokio::test]
async fn an_upload_of_0_1_0_goes_on_and_sends_only_what_is_missing() {
    let interrupted = Interrupted::new().await;
    let known = StateDir::new(interrupted.state()).uploads().unwrap();
    assert!(known.unreadable.is_empty(), "{:?}", known.unreadable);
    let parts: Vec<_> = known.readable.iter().map(|upload| upload.journal.parts.len()).collect();
    assert_eq!(parts, [9, 5]);
    for (key, length, seed) in UPLOADS {
        interrupted.recognize(key);
        let compared = interrupted.goes_on(key, &noise(length, seed)).await;
        // On a file system in memory no time shows that the source is unchanged.
        assert!(compared == 0 || !interrupted.can_show_changes(key), "{compared} parts of {key} were read");
    }
    assert!(StateDir::new(interrupted.state()).uploads().unwrap().readable.is_empty());
}

#[tokio::test]
async fn an_upload_of_0_1_0_goes_on_with_a_copy_of_its_source() {
    let interrupted = Interrupted::new().await;
    for (key, length, seed) in UPLOADS {
        let compared = interrupted.goes_on(key, &noise(length, seed)).await;
        assert_eq!(compared, interrupted.recorded[key].len(), "of {key}");
    }
}
