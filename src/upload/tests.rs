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
use crate::emulator::{DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET, Emulator, EmulatorOptions};
use crate::event::Event;
use crate::http::{Transport, full};
use crate::model::{ByteRange, Crc64, UploadId};
use crate::protocol::oss::{Initiate, ListUploads, PutObject, UploadPart};
use crate::source::FileSource;
use crate::state::PartRecord;
use crate::transfer::PartList;

mod damaged;
mod forgotten;
mod rate;
mod settled;
mod table;
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
        let emulator = Emulator::open(EmulatorOptions::new(folder.path().join("store"))).unwrap();
        let region: crate::model::Region = "cn-hangzhou".parse().unwrap();
        emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
        let script = Scripted::new(emulator.clone());
        let credentials = Credentials::new(DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET);
        let credentials = Arc::new(StaticCredentials::new(credentials));
        let endpoint = "http://localhost".parse().unwrap();
        // Delays are nothing: what is tested is what happens, not when.
        let options = ClientOptions::new(endpoint, region, credentials, Arc::new(script.clone()))
            .with_dice(Arc::new(|| 0.0));
        let client = Client::new(change(options));
        let bytes: Vec<u8> =
            (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(folder.path().join("disk.raw"), &bytes).unwrap();
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
            .state_dir(self.folder.path().join("state"))
            .part_size(MIB)
            .parallel(3)
    }

    /// Returns what is stored under the key, read past the script.
    async fn stored(&self) -> Option<Vec<u8>> {
        let url = crate::url::ObjectUrl::presigned(
            &self.object(),
            self.client.endpoint(),
            &crate::url::Presign {
                version: crate::protocol::sign::SignVersion::V4,
                credentials: &Credentials::new(DEFAULT_ACCESS_KEY_ID, DEFAULT_ACCESS_KEY_SECRET),
                region: self.client.region(),
                at: crate::clock::SystemClock.now(),
                validity: Duration::from_secs(600),
            },
        )
        .unwrap()
        .to_string();
        let request = http::Request::get(url).body(crate::http::empty()).unwrap();
        let answer = self.emulator.send(request).await.unwrap();
        match answer.status().as_u16() {
            200 => Some(answer.into_body().collect().await.unwrap().to_bytes().to_vec()),
            404 => None,
            status => panic!("reading the object back was answered {status}"),
        }
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
        let list = ListUploads::new("images".parse().unwrap());
        self.client.call(&list).await.unwrap().uploads.len()
    }

    /// Stores other bytes under the key, past the script.
    fn put(&self, bytes: &[u8]) {
        crate::emulator::testing::put(&self.emulator, "images", "disk.raw", bytes);
    }

    /// Stops an upload gently after so many parts.
    async fn interrupt_after(&self, parts: usize) -> UploadError {
        let cancel = CancellationToken::new();
        let (stopper, done) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(0));
        let sink = EventSink::new(move |event| {
            let part = matches!(event, Event::PartDone { .. });
            if part && done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == parts {
                stopper.cancel();
            }
        });
        self.upload().parallel(1).events(sink).cancel(cancel).run().await.unwrap_err()
    }
}

/// Returns a sink, and the sentences that it is told.
fn listening() -> (EventSink, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let sink = EventSink::new(move |event| match event {
        Event::Notice { text } => heard.lock().unwrap().push(text),
        Event::Stalled { silent, reason } => {
            heard.lock().unwrap().push(format!("{} s: {reason}", silent.as_secs()));
        }
        _ => {}
    });
    (sink, said)
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
            // Initiate is made anew before anything is counted.
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

/// A clock that is eight hours ahead.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> jiff::Timestamp {
        crate::clock::SystemClock.now() + jiff::SignedDuration::from_hours(8)
    }
}

#[tokio::test]
async fn a_skewed_clock_is_corrected_from_the_answer() {
    let world = World::with(3 * MIB, |options| options.with_clock(Arc::new(Ahead)));
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(report.stored.size, 3 * MIB);
    assert!((-28_805..=-28_795).contains(&world.client.clock_correction()));
    assert_eq!(world.script.count("Initiate"), 2, "refused once, and then signed by the right time");
}

/// A clock that somebody sets right while requests are under way.
#[derive(Debug, Default)]
struct SetRight(std::sync::atomic::AtomicBool);

impl Clock for SetRight {
    fn now(&self) -> jiff::Timestamp {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) {
            crate::clock::SystemClock.now()
        } else {
            Ahead.now()
        }
    }
}

#[tokio::test]
async fn parts_that_a_set_clock_refuses_all_at_once_all_get_in() {
    let clock = Arc::new(SetRight::default());
    let world = World::with(3 * MIB, |options| options.with_clock(clock.clone()));
    let sink = EventSink::new(move |event| {
        // Initiate has taught the eight hours by now, and no part is signed yet. Nor is the clock watched at this
        // moment: a jump that is noticed has all parts sent anew.
        if matches!(event, Event::Opened { .. }) {
            clock.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let all = Arc::new(tokio::sync::Barrier::new(3));
    let wait = move || -> BoxFuture<'static, ()> {
        let all = Arc::clone(&all);
        Box::pin(async move {
            all.wait().await;
        })
    };
    world.script.rule("UploadPart", 0, 3, Effect::First(Arc::new(wait)));
    world.upload().events(sink).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.client.clock_correction(), 0);
    assert_eq!(world.script.count("UploadPart"), 6, "each refused once");
}

#[tokio::test]
async fn an_answer_before_the_whole_part_was_sent_is_none() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 1, Effect::Answer(200, String::new()));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.retries, 1);
    world.assert_stored().await;
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
        .part_size(MIB)
        .events(sink)
        .run()
        .await
        .unwrap();
    assert_eq!(targets.lock().unwrap()[..2], [4, 3]);
}

/// A provider whose first token is dead; it counts how often it had to make a new one.
#[derive(Debug, Default)]
struct Renewing {
    renewals: std::sync::atomic::AtomicUsize,
}

impl CredentialsProvider for Renewing {
    fn credentials<'a>(
        &'a self,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>> {
        use std::sync::atomic::Ordering;
        let old = |credentials: &Credentials| credentials.access_key_id == "STS.old";
        if rejected.is_some_and(old) {
            self.renewals.store(1, Ordering::Relaxed);
        }
        let name = if self.renewals.load(Ordering::Relaxed) == 0 { "old" } else { "new" };
        let credentials = Credentials::new(format!("STS.{name}"), "secret").with_token(name);
        Box::pin(std::future::ready(Ok(Some(credentials))))
    }
}

#[tokio::test]
async fn sixty_four_parts_whose_token_ends_at_once_all_get_in() {
    let provider = Arc::new(Renewing::default());
    let world = World::with(64 * MIB, |mut options| {
        options.credentials = provider.clone();
        options
    });
    let token = |name: &str, expires: &str| {
        Credentials::new(format!("STS.{name}"), "secret")
            .with_token(name)
            .with_expiry(expires.parse().unwrap())
    };
    // The old token is good for Initiate, and dead when the parts arrive.
    world.emulator.add_credentials(token("old", "2100-01-01T00:00:00Z"));
    world.emulator.add_credentials(token("new", "2100-01-01T00:00:00Z"));
    let emulator = world.emulator.clone();
    let killed = token("old", "2020-01-01T00:00:00Z");
    let kill: Effect = Effect::First(Arc::new(move || {
        emulator.add_credentials(killed.clone());
        Box::pin(std::future::ready(()))
    }));
    world.script.rule("UploadPart", 0, 1, kill);
    let report = world.upload().parallel(64).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(report.parts, 64);
    assert!(report.retries <= 64);
}

#[tokio::test]
async fn a_static_token_that_dies_ends_resumably() {
    let world = World::new(3 * MIB);
    world.script.rule(
        "UploadPart",
        1,
        usize::MAX,
        Effect::Answer(403, "<Error><Code>SecurityTokenExpired</Code></Error>".to_owned()),
    );
    let error = world.upload().parallel(1).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.is_resumable());
    world.script.clear();
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 1);
}

#[tokio::test]
async fn a_part_that_arrives_damaged_is_sent_again_and_then_given_up() {
    let wrong = Effect::Header("x-oss-hash-crc64ecma", Some("1"));
    let world = World::new(MIB);
    world.script.rule("UploadPart", 0, 1, wrong.clone());
    world.upload().run().await.unwrap();
    assert_eq!(world.script.count("UploadPart"), 2);

    let world = World::new(MIB);
    world.script.rule("UploadPart", 0, 9, wrong);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(world.stored().await.is_none());
}

#[tokio::test]
async fn an_answer_without_a_checksum_is_no_mismatch() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Etag);
    assert_eq!(report.stored.crc64, None);
}

#[tokio::test]
async fn an_object_with_another_checksum_is_named_as_suspect() {
    let world = World::new(2 * MIB);
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", Some("1")));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("suspect"), "{error}");
}

#[tokio::test]
async fn a_part_that_another_attempt_replaced_is_sent_again_before_completing() {
    let world = World::new(3 * MIB);
    let (client, object) = (world.client.clone(), world.object());
    let state = world.folder.path().join("state");
    world.script.rule(
        "Complete",
        0,
        1,
        Effect::First(Arc::new(move || {
            let (client, object, state) = (client.clone(), object.clone(), state.clone());
            Box::pin(async move {
                let stored = StateDir::new(state).uploads().unwrap().readable.remove(0);
                let second = stored.journal.parts[1].number;
                replace_part(&client, &object, &stored.checkpoint.upload_id, second).await;
            })
        })),
    );
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.count("Complete"), 2);
    assert_eq!(report.stored.crc64, Some(crate::checksum::of(&world.bytes)));
}

async fn replace_part(client: &Client, object: &ObjectRef, id: &UploadId, number: crate::model::PartNumber) {
    struct Zeros;
    impl crate::client::MakeBody for Zeros {
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
async fn what_was_stopped_goes_on_without_sending_a_part_twice() {
    let world = World::new(8 * MIB);
    let error = world.interrupt_after(3).await;
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.is_resumable());
    let sent = world.script.count("UploadPart");
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.count("UploadPart"), 8);
    assert_eq!(report.resumed_parts, sent);
    assert_eq!(report.bytes_sent, 8 * MIB - sent as u64 * MIB);
}

#[tokio::test]
async fn dropped_at_any_moment_the_journal_stays_true() {
    for after in 1..8 {
        let world = World::new(6 * MIB);
        let stop = CancellationToken::new();
        let (stopper, seen) = (stop.clone(), std::sync::atomic::AtomicUsize::new(0));
        let sink = EventSink::new(move |_| {
            if seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == after * 2 {
                stopper.cancel();
            }
        });
        let upload = world.upload().events(sink);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = upload.run() => {}
        }
        world.upload().run().await.unwrap();
        world.assert_stored().await;
    }
}

#[tokio::test]
async fn the_last_answer_lost_with_the_process_is_settled_by_the_next_run() {
    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, 1, Effect::LostAnswer);
    world.script.rule("Complete", 0, usize::MAX, Effect::Silence);
    let upload = world.upload();
    let lost = async {
        while world.script.count("Complete") < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = lost => {}
        result = upload.run() => panic!("{result:?}"),
    }
    world.script.clear();
    let report = world.upload().run().await.unwrap();
    assert_eq!((report.bytes_sent, report.resumed_parts), (0, 3));
    world.assert_stored().await;
    assert_eq!(world.script.count("UploadPart"), 3);
}

#[tokio::test]
async fn an_upload_that_is_gone_begins_anew() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let id = StateDir::new(world.folder.path().join("state")).uploads().unwrap().readable[0]
        .checkpoint
        .upload_id
        .clone();
    abort(&world.client, &world.object(), &id).await.unwrap();
    let (sink, said) = listening();
    let report = world.upload().events(sink).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    world.assert_stored().await;
    assert_eq!(*said.lock().unwrap(), ["the earlier upload is gone from the bucket: a new one begins"]);
}

#[tokio::test]
async fn parts_without_a_record_are_taken_for_what_they_are() {
    let world = World::new(6 * MIB);
    world.interrupt_after(4).await;
    let folder = world.folder();
    let journal = std::fs::read(folder.join("journal")).unwrap();
    // One record is torn, one has a flipped bit, the rest are gone.
    let mut damaged = journal[..150].to_vec();
    damaged[10] ^= 1;
    std::fs::write(folder.join("journal"), damaged).unwrap();
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 4);
    assert_eq!(world.script.count("UploadPart"), 6);
    world.assert_stored().await;
}

#[tokio::test]
async fn parts_that_a_comparison_proved_are_not_read_again_by_the_next_run() {
    let world = World::new(6 * MIB);
    world.interrupt_after(3).await;
    std::fs::write(world.folder().join("journal"), "").unwrap();
    world.interrupt_after(1).await;
    let compared = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&compared);
    let sink = EventSink::new(move |event| {
        let one = usize::from(matches!(event, Event::Verified { .. }));
        count.fetch_add(one, std::sync::atomic::Ordering::Relaxed);
    });
    let report = world.upload().events(sink).run().await.unwrap();
    assert!(report.resumed_parts >= 4, "{report:?}");
    assert_eq!(compared.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_listed_part_of_other_bytes_is_sent_again() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let state = StateDir::new(world.folder.path().join("state"));
    let stored = state.uploads().unwrap().readable.remove(0);
    let number = stored.journal.parts[0].number;
    replace_part(&world.client, &world.object(), &stored.checkpoint.upload_id, number).await;
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 1);
    world.assert_stored().await;
}

#[tokio::test]
async fn another_machine_adopts_the_upload() {
    let world = World::new(6 * MIB);
    world.interrupt_after(3).await;
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    let report = world.upload().adopt(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 3);
    world.assert_stored().await;

    let error = world.upload().overwrite(true).adopt(true).run().await.unwrap_err();
    assert!(error.to_string().contains("0 open uploads"), "{error}");
}

#[tokio::test]
async fn verify_resume_compares_every_part_with_the_file() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    // The content changes, and everything that a file system tells of it stays.
    let times = std::fs::metadata(world.file()).unwrap().modified().unwrap();
    let mut changed = world.bytes.clone();
    changed[0] ^= 1;
    std::fs::write(world.file(), &changed).unwrap();
    let file = std::fs::File::options().write(true).open(world.file()).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(times)).unwrap();
    let report = world.upload().verify_resume(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 1);
    assert_eq!(world.stored().await, Some(changed));
}

#[tokio::test]
async fn a_changed_file_is_refused_until_it_is_begun_anew() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let mut changed = world.bytes.clone();
    changed.push(1);
    std::fs::write(world.file(), &changed).unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("disk.raw"), "the first file is named: {error}");
    let report = world.upload().restart(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    assert_eq!(world.stored().await, Some(changed));
}

#[tokio::test]
async fn a_copy_of_the_file_elsewhere_is_verified_and_not_refused() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let copy = world.folder.path().join("copy.raw");
    std::fs::copy(world.file(), &copy).unwrap();
    let times = std::fs::metadata(world.file()).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&copy).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(times)).unwrap();
    assert_eq!(world.upload_of(&copy).run().await.unwrap().resumed_parts, 2);
    world.assert_stored().await;
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_makes_no_object() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let touch = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(async move {
            use std::io::Write;
            std::fs::File::options().append(true).open(file).unwrap().write_all(b"more").unwrap();
        })
    }));
    world.script.rule("UploadPart", 2, 1, touch);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(world.script.count("Complete"), 0);
    assert!(world.stored().await.is_none());
}

#[tokio::test]
async fn a_source_that_is_cut_short_is_said_to_have_changed() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let cut = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(
            async move { std::fs::File::options().write(true).open(file).unwrap().set_len(MIB).unwrap() },
        )
    }));
    world.script.rule("Initiate", 0, 1, cut);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

#[tokio::test]
async fn an_object_that_is_there_is_not_replaced_unless_asked() {
    let world = World::new(3 * MIB);
    let put = PutObject::new(world.object(), "something else");
    world.client.call(&put).await.unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(world.script.count("UploadPart"), 0);
    world.upload().overwrite(true).run().await.unwrap();
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
    let report = world.upload().overwrite(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 3);
    world.assert_stored().await;
}

#[tokio::test]
async fn two_processes_cannot_drive_one_upload() {
    let world = World::new(MIB);
    let state = StateDir::new(world.folder.path().join("state"));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let lock = state.lock(world.client.region(), &world.object(), now).unwrap();
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
    let error = world.upload().state_dir(file).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(world.script.order(), Vec::<&str>::new());
}

#[tokio::test]
async fn the_checkpoint_keeps_what_a_resume_elsewhere_must_know() {
    let world = World::with(4 * MIB, |mut options| {
        options.endpoint = options.endpoint.with_style(crate::model::AddressingStyle::Path).unwrap();
        options
    });
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::PartDone { .. }) {
            stopper.cancel();
        }
    });
    let upload = world.upload().storage_class(StorageClass::InfrequentAccess).cancel(cancel).events(sink);
    upload.run().await.unwrap_err();
    let state = StateDir::new(world.folder.path().join("state"));
    let checkpoint = state.uploads().unwrap().readable.remove(0).checkpoint;
    assert_eq!(checkpoint.addressing_style, Some(crate::model::AddressingStyle::Path));
    assert_eq!(checkpoint.storage_class, StorageClass::InfrequentAccess);
}

#[tokio::test]
async fn another_part_size_keeps_the_old_plan() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let (sink, said) = listening();
    let report = world.upload().part_size(2 * MIB).events(sink).run().await.unwrap();
    assert_eq!((report.parts, report.resumed_parts), (4, 2));
    assert_eq!(*said.lock().unwrap(), ["the upload was begun with other parts: its plan stays"]);
    world.assert_stored().await;
}

#[tokio::test]
async fn the_abort_of_an_upload_is_checked() {
    let world = World::new(MIB);
    let id = world.client.call(&Initiate::new(world.object())).await.unwrap();
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
        let id = world.client.call(&Initiate::new(world.object())).await.unwrap();
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
        }
    };
    assert!(PartList::new(&plan, vec![record(2, 3), record(0, 2)]).is_some());
    for parts in [vec![record(0, 2)], vec![record(0, 1), record(2, 3)], vec![record(0, 2), record(1, 3)]] {
        assert!(PartList::new(&plan, parts).is_none());
    }
}
