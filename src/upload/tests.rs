//! The upload over the emulator, with everything that can go wrong on the way:
//!
//! - a request or an answer lost, at every operation; nothing coming back at all; the service gone for minutes
//! - every row of the service's error table
//! - a skewed clock, a dead token
//! - bytes that arrive damaged, and an object that is damaged
//! - an upload id that is gone; parts that are gone; an object that is there already
//! - the source changed, cut short, or another one
//! - stopped gently, dropped, and taken up again: with the journal, without it, with a damaged one
//! - the state directory refusing

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;

use super::scripted::{Effect, Scripted};
use super::*;
use crate::ErrorKind;
use crate::client::{ClientOptions, Progress};
use crate::clock::Clock;
use crate::complete;
use crate::credentials::{BoxFuture, Credentials, CredentialsError, CredentialsProvider, StaticCredentials};
use crate::emulator::Emulator;
use crate::emulator::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET};
use crate::event::Event;
use crate::http::{Transport, full};
use crate::model::{ByteRange, Crc64, PartProof, PartRecord, UploadId};
use crate::protocol::oss::{InitiateMultipartUpload, ListMultipartUploads, PutObject, UploadPart};
use crate::source::FileSource;
use crate::transfer::PartList;

mod any_disk;
mod changed;
mod clock;
mod converted;
mod damaged;
mod echoed;
mod forgotten;
mod inside;
mod integrity;
mod planned;
mod rate;
mod resumed;
mod scarce;
mod settled;
mod streamed;
mod table;
mod unproved;
mod watched;

const MIB: u64 = 1 << 20;

/// A file, an emulator with one bucket, and a script between it and the client.
struct World {
    folder: tempfile::TempDir,
    emulator: Emulator,
    script: Scripted,
    client: Client,
    bytes: Vec<u8>,
}

impl World {
    fn new(length: u64) -> Self {
        Self::with(length, |options| options)
    }

    fn with(length: u64, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::open(testing::options(folder.path().join("store"))).unwrap();
        let region: crate::model::Region = "cn-hangzhou".parse().unwrap();
        emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
        let script = Scripted::new(emulator.clone());
        let credentials = Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET);
        let credentials = Arc::new(StaticCredentials::new(credentials));
        let endpoint = "http://localhost".parse().unwrap();
        // Delays are nothing: what is tested is what happens, not when.
        let options = ClientOptions::new(endpoint, region, credentials, Arc::new(script.clone()))
            .with_dice(Arc::new(|| 0.0));
        let client = Client::new(change(options));
        let bytes: Vec<u8> =
            (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(folder.path().join("disk.raw"), &bytes).unwrap();
        // A machine that has uploaded before.
        std::fs::create_dir(folder.path().join("state")).unwrap();
        Self { folder, emulator, script, client, bytes }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    fn object(&self) -> ObjectRef {
        "oss://images/disk.raw".parse().unwrap()
    }

    fn upload(&self) -> Upload {
        self.upload_of(&self.file())
    }

    fn upload_of(&self, file: &Path) -> Upload {
        let source = Arc::new(FileSource::open(file).unwrap());
        Upload::new(self.client.clone(), source, self.object())
            .with_state_dir(self.folder.path().join("state"))
            .with_part_size(MIB)
            .with_parallel(3)
    }

    /// Returns what is stored under the key, read past the script.
    async fn stored(&self) -> Option<Vec<u8>> {
        let answer = self.read_back().await;
        match answer.status().as_u16() {
            200 => Some(answer.into_body().collect().await.unwrap().to_bytes().to_vec()),
            404 => None,
            status => panic!("reading the object back was answered {status}"),
        }
    }

    async fn read_back(&self) -> http::Response<crate::http::Body> {
        let url = crate::url::ObjectUrl::presigned(
            &self.object(),
            self.client.endpoint(),
            &crate::url::Presign {
                version: crate::protocol::sign::SignVersion::V4,
                credentials: &Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET),
                region: self.client.region(),
                at: crate::clock::SystemClock.now(),
                validity: Duration::from_secs(600),
            },
        )
        .unwrap()
        .to_string();
        let request = http::Request::get(url).body(crate::http::empty()).unwrap();
        self.emulator.send(request).await.unwrap()
    }

    async fn assert_stored(&self) {
        assert!(self.stored().await.as_deref() == Some(self.bytes.as_slice()), "the object is the file");
    }

    /// Returns the folder of the one upload that the state knows.
    fn folder(&self) -> PathBuf {
        let uploads = self.folder.path().join("state/uploads");
        std::fs::read_dir(uploads).unwrap().next().unwrap().unwrap().path()
    }

    /// Returns the uploads that are open on the bucket.
    async fn open_uploads(&self) -> usize {
        let list = ListMultipartUploads::new("images".parse().unwrap());
        self.client.call(&list).await.unwrap().uploads.len()
    }

    /// Stores other bytes under the key, past the script.
    fn put(&self, bytes: &[u8]) {
        testing::put(&self.emulator, "images", "disk.raw", bytes);
    }

    /// Stops an upload gently after this many parts.
    async fn interrupt_after(&self, parts: usize) -> UploadError {
        let cancel = CancellationToken::new();
        let (stopper, done) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(0));
        let sink = EventSink::new(move |event| {
            let part = matches!(event, Event::PartDone { .. });
            if part && done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == parts {
                stopper.cancel();
            }
        });
        self.upload().with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err()
    }
}

/// Returns a sink, and the sentences that it receives.
fn listening() -> (EventSink, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let sink = EventSink::new(move |event| match event {
        Event::Notice { text } => heard.lock().unwrap().push(text),
        Event::OthersOpen { upload_ids, .. } => {
            heard.lock().unwrap().extend(upload_ids.iter().map(|id| format!("open: {id}")));
        }
        Event::Stalled { silent, reason } => {
            heard.lock().unwrap().push(format!("{} s: {reason}", silent.as_secs()));
        }
        _ => {}
    });
    (sink, said)
}

/// Sends other bytes as a part, as another attempt would.
async fn replace_part(client: &Client, object: &ObjectRef, id: &UploadId, number: crate::model::PartNumber) {
    struct Zeros;
    impl crate::client::BodyFactory for Zeros {
        fn make(&self) -> crate::http::Body {
            full(vec![0; MIB as usize])
        }
    }
    let (progress, events) = (Progress::new(), EventSink::none());
    let call = crate::client::Call {
        body: Some(&Zeros),
        part: None,
        progress: &progress,
        events: &events,
        max_cuts: None,
    };
    let operation = UploadPart::new(object.clone(), id.clone(), number, MIB);
    client.call_with(&operation, call).await.unwrap();
}

#[tokio::test]
async fn a_new_upload_makes_no_request_too_many() {
    let world = World::new(5 * MIB + 17);
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.order(), ["Initiate", "UploadPart", "Complete"]);
    assert_eq!(world.script.count("UploadPart"), 6);
    assert_eq!((report.parts, report.resumed_parts, report.retries), (6, 0, 0));
    assert_eq!(report.bytes_sent, 5 * MIB + 17);
    assert_eq!(report.stored.size, 5 * MIB + 17);
    assert_eq!(report.stored.verified, complete::Verified::Crc64);
    assert_eq!(report.stored.crc64, Some(crate::checksum::of(&world.bytes)));
    assert_eq!(std::fs::read_dir(world.folder.path().join("state/uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_small_file_takes_three_requests() {
    let world = World::new(MIB);
    let source = Arc::new(FileSource::open(world.file()).unwrap());
    Upload::new(world.client.clone(), source, world.object()).run().await.unwrap();
    world.assert_stored().await;
    for operation in ["Initiate", "UploadPart", "Complete"] {
        assert_eq!(world.script.count(operation), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_lost_request_or_answer_changes_nothing() {
    for operation in ["Initiate", "UploadPart", "Complete"] {
        for effect in [Effect::LostRequest, Effect::LostAnswer] {
            let world = World::new(3 * MIB);
            world.script.rule(operation, 0, 1, effect);
            let report = world.upload().run().await.unwrap();
            world.assert_stored().await;
            // Initiate is repeated before anything is counted.
            assert_eq!(report.retries, u64::from(operation != "Initiate"), "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_and_the_request_made_again() {
    for operation in ["Initiate", "UploadPart", "Complete"] {
        let world = World::new(3 * MIB);
        world.script.rule(operation, 0, 1, Effect::Silence);
        world.upload().run().await.unwrap();
        world.assert_stored().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_may_be_gone_for_five_minutes() {
    let world = World::with(8 * MIB, |options| options.with_dice(Arc::new(|| 0.5)));
    let (script, began) = (world.script.clone(), Instant::now());
    script.rule("UploadPart", 2, usize::MAX, Effect::LostRequest);
    let rules = world.script.clone();
    let back = async move {
        tokio::time::sleep(Duration::from_secs(300)).await;
        rules.clear();
        std::future::pending::<()>().await;
    };
    let upload = world.upload();
    tokio::select! {
        report = upload.run() => assert!(report.unwrap().retries > 3),
        () = back => unreachable!("it never ends"),
    }
    assert!(began.elapsed() >= Duration::from_secs(300));
    world.assert_stored().await;
}

#[tokio::test(start_paused = true)]
async fn without_any_progress_the_budget_ends_and_the_upload_can_be_resumed() {
    let world = World::with(4 * MIB, |options| options.with_dice(Arc::new(|| 0.5)));
    world.script.rule("UploadPart", 1, usize::MAX, Effect::LostRequest);
    let began = Instant::now();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_resumable());
    let minutes = began.elapsed().as_secs() / 60;
    assert!((29..35).contains(&minutes), "gave up after {minutes} minutes");
    world.script.clear();
    let report = world.upload().run().await.unwrap();
    assert_eq!((report.parts, report.resumed_parts), (4, 1));
    world.assert_stored().await;
}

#[tokio::test]
async fn another_regions_endpoint_is_named_and_not_taken() {
    let world = World::new(MIB);
    let document = "<Error><Code>AccessDenied</Code><Message>The bucket must be addressed elsewhere.</Message>\
                    <Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint></Error>";
    world.script.rule("Initiate", 0, 9, Effect::Answer(403, document.to_owned()));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let endpoint = error.call().unwrap().service().unwrap().endpoint.as_deref();
    assert_eq!(endpoint, Some("oss-cn-beijing.aliyuncs.com"));
    assert_eq!(world.script.count("Initiate"), 1);
}

#[tokio::test]
async fn a_service_that_fails_gets_fewer_parts_at_a_time() {
    let world = World::new(8 * MIB);
    world.script.refuse("UploadPart", 4, 500, "InternalError");
    let targets = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&targets);
    let sink = EventSink::new(move |event| {
        if let Event::Concurrency { target } = event {
            seen.lock().unwrap().push(target);
        }
    });
    let source = Arc::new(FileSource::open(world.file()).unwrap());
    Upload::new(world.client.clone(), source, world.object())
        .with_part_size(MIB)
        .with_events(sink)
        .run()
        .await
        .unwrap();
    assert_eq!(targets.lock().unwrap()[..2], [4, 3]);
}

#[tokio::test]
async fn an_object_that_is_there_is_not_replaced_unless_asked() {
    let world = World::new(3 * MIB);
    let put = PutObject::new(world.object(), "something else");
    world.client.call(&put).await.unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(world.script.count("UploadPart"), 0);
    world.upload().with_overwrite(true).run().await.unwrap();
    world.assert_stored().await;
    // The same object again: compared by one read of the file, nothing is sent.
    let report = world.upload().run().await.unwrap();
    assert_eq!((report.parts, report.bytes_sent), (0, 0));
}

#[tokio::test]
async fn an_object_that_appears_meanwhile_keeps_the_parts() {
    let world = World::new(3 * MIB);
    let (client, object) = (world.client.clone(), world.object());
    world.script.rule(
        "Complete",
        0,
        1,
        Effect::First(Arc::new(move || {
            let (client, object) = (client.clone(), object.clone());
            Box::pin(async move {
                client.call(&PutObject::new(object, "something else")).await.unwrap();
            })
        })),
    );
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!error.is_resumable(), "the same call would be refused again");
    let report = world.upload().with_overwrite(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 3);
    world.assert_stored().await;
}

#[tokio::test]
async fn two_processes_cannot_drive_one_upload() {
    let world = World::new(MIB);
    let state = StateDir::new(world.folder.path().join("state"));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let lock = state.lock(&world.client.service(), world.client.region(), &world.object(), now).unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    drop(lock);
    world.upload().run().await.unwrap();
}

#[tokio::test]
async fn a_state_directory_that_refuses_ends_it_before_the_first_request() {
    let world = World::new(MIB);
    let file = world.folder.path().join("not-a-directory");
    std::fs::write(&file, "").unwrap();
    let error = world.upload().with_state_dir(file).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(world.script.order(), Vec::<&str>::new());
}

#[tokio::test]
async fn the_abort_of_an_upload_is_checked() {
    let world = World::new(MIB);
    let id = world.client.call(&InitiateMultipartUpload::new(world.object())).await.unwrap();
    abort(&world.client, &world.object(), &id).await.unwrap();
    assert_eq!(world.script.count("ListParts"), 1);
    assert!(list_parts(&world.client, &world.object(), &id).await.unwrap_err().is("NoSuchUpload"));
    abort(&world.client, &world.object(), &id).await.unwrap();
}

/// A part that was in flight may land after the abort.
#[tokio::test(start_paused = true)]
async fn an_abort_that_leaves_parts_is_repeated_and_then_said_to_have_failed() {
    let world = World::new(MIB);
    for (lost, gone) in [(1, true), (9, false)] {
        let id = world.client.call(&InitiateMultipartUpload::new(world.object())).await.unwrap();
        let number = crate::model::PartNumber::new(1).unwrap();
        replace_part(&world.client, &world.object(), &id, number).await;
        world.script.clear();
        world.script.rule("Abort", 0, lost, Effect::Answer(204, String::new()));
        let result = abort(&world.client, &world.object(), &id).await;
        match result {
            Ok(()) => assert!(gone),
            Err(error) => {
                assert!(!gone);
                assert!(error.cause.to_string().contains("still listed, with 1 parts"), "{}", error.cause);
            }
        }
    }
}

#[tokio::test]
async fn odd_keys_survive_the_whole_way() {
    for key in ["a b+c%20", "*'()!~", "目录/镜像.raw", "🚀", "a/../b/./c", "a//b", "q?x=1&y#z"] {
        let world = World::new(MIB);
        let source = Arc::new(FileSource::open(world.file()).unwrap());
        let object = ObjectRef::new("images".parse().unwrap(), key.parse().unwrap());
        let report = Upload::new(world.client.clone(), source, object.clone()).run().await.unwrap();
        assert_eq!(report.stored.object, object);
        let head = world.client.call(&crate::protocol::oss::HeadObject::new(object)).await.unwrap();
        assert_eq!(head.crc64, Some(crate::checksum::of(&world.bytes)), "{key}");
    }
}

#[test]
fn parts_that_do_not_tile_make_no_list() {
    let rule = crate::plan::CutRule::new(3 * MIB, Some(MIB)).unwrap();
    let plan = crate::plan::Plan::new(3 * MIB, rule).unwrap();
    let record = |from: u64, to: u64| {
        let part = plan.cut(ByteRange::new(from * MIB, to * MIB), (to - from) * MIB);
        PartRecord {
            number: part.number,
            range: part.range,
            etag: crate::model::ETag::new("x"),
            crc64: Crc64(0),
            proof: PartProof::Nothing,
        }
    };
    assert!(PartList::new(&plan, vec![record(2, 3), record(0, 2)]).is_some());
    for parts in [vec![record(0, 2)], vec![record(0, 1), record(2, 3)], vec![record(0, 2), record(1, 3)]] {
        assert!(PartList::new(&plan, parts).is_none());
    }
}
