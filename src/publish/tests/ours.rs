//! What is returned and what is deleted, whatever happens in between, checked by a log of what the emulator has done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;

use fastrand::Rng;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::clock::Clock;
use crate::emulator::testing::put;
use crate::http::{TransportErrorKind, full};
use crate::model::{ImageId, ObjectVersion};
use crate::protocol::oss::HeadObject;

/// How many random sequences the test runs.
const STORIES: u64 = 24;
/// How many things happen in each.
const STEPS: usize = 9;

/// A clock that is a second later whenever it is read: times of storage have no finer unit.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let base: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        base + SignedDuration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the emulator did, as seen from beside it.
#[derive(Debug, Default)]
struct Log {
    /// The object that each image was imported from, as it was at that moment.
    imported: BTreeMap<ImageId, ObjectVersion>,
    /// The image that each copy was made of.
    copied: BTreeMap<ImageId, ImageId>,
    /// Objects that were deleted though no image of theirs is Available.
    wrongly_deleted: Vec<ObjectVersion>,
}

/// The emulator on a day on which everything happens, seen from one run of a publish.
#[derive(Debug)]
struct Witness {
    emulator: Emulator,
    /// Asks the emulator beside the run, and disturbs nothing.
    beside: Importer,
    log: Arc<Mutex<Log>>,
    rng: Mutex<Rng>,
    dead: Arc<Notify>,
    /// How many in a thousand requests are refused, lost before or after they are carried out, or the last.
    trouble: u32,
    /// How many in a thousand requests find that somebody else has stored an object under the same key.
    competitors: u32,
    /// Whether the services forget tokens, and objects have no checksum.
    forgetful: bool,
    without_checksums: bool,
}

fn object() -> ObjectRef {
    "oss://images/disk.raw".parse().unwrap()
}

/// What befalls a request.
enum Fate {
    Served,
    Refused,
    Lost,
    AnswerLost,
    DiesBefore,
    DiesAfter,
}

impl Witness {
    fn fate(&self) -> Fate {
        let mut rng = self.rng.lock().unwrap();
        if rng.u32(..1000) >= self.trouble {
            return Fate::Served;
        }
        match rng.u32(..10) {
            0..3 => Fate::Refused,
            3..5 => Fate::Lost,
            5..8 => Fate::AnswerLost,
            8 => Fate::DiesBefore,
            _ => Fate::DiesAfter,
        }
    }

    async fn head(&self) -> Option<ObjectVersion> {
        let head = self.beside.client().call(&HeadObject::new(object())).await;
        head.ok().map(|head| head.version())
    }

    /// Carries a request out and writes down what it did.
    async fn serve(&self, mut request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let action = request.headers().get("x-acs-action").map(|name| name.to_str().unwrap().to_owned());
        let deletes = request.method() == http::Method::DELETE && !query.contains("uploadId");
        let competes = self.rng.lock().unwrap().u32(..1000) < self.competitors;
        // Between the look before a deletion and the deletion nothing can be proved.
        if competes && !deletes && self.head().await.is_some() {
            let mut bytes = bootable();
            bytes[1 << 20] = self.rng.lock().unwrap().u8(100..);
            put(&self.emulator, "images", "disk.raw", &bytes);
        }
        if self.forgetful && action.is_some() {
            let path = request.uri().path_and_query().unwrap().as_str();
            let kept: Vec<&str> = path.split('&').filter(|pair| !pair.contains("ClientToken=")).collect();
            let uri = request.uri().to_string().replace(path, &kept.join("&"));
            *request.uri_mut() = uri.parse().unwrap();
        }
        let before = self.head().await;
        if deletes && let Some(version) = &before {
            let made: Vec<ImageId> = {
                let log = self.log.lock().unwrap();
                let of_this = log.imported.iter().filter(|(_, of)| of.has_same_bytes(version));
                of_this.map(|(id, _)| id.clone()).collect()
            };
            let images = self.beside.images(&region(REGIONS[0])).await.unwrap();
            let available = |id: &ImageId| {
                images.iter().any(|image| image.image_id == *id && image.status == ImageStatus::Available)
            };
            if !made.iter().any(available) {
                self.log.lock().unwrap().wrongly_deleted.push(version.clone());
            }
        }
        let (mut head, body) = self.emulator.send(request).await?.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if head.status.is_success() && matches!(action.as_deref(), Some("ImportImage" | "CopyImage")) {
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let id: ImageId = answer["ImageId"].as_str().unwrap().parse().unwrap();
            let mut log = self.log.lock().unwrap();
            match action.as_deref() {
                // A repeated answer is about an import that began before.
                Some("ImportImage") => drop(log.imported.entry(id).or_insert(before.unwrap())),
                _ => {
                    let source = query.split('&').find_map(|pair| pair.strip_prefix("ImageId="));
                    log.copied.entry(id).or_insert(source.unwrap().parse().unwrap());
                }
            }
        }
        if self.without_checksums {
            head.headers.remove("x-oss-hash-crc64ecma");
        }
        Ok(http::Response::from_parts(head, full(body)))
    }
}

impl Transport for Witness {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let broken = || TransportError::new(TransportErrorKind::Broken, "cut");
            match self.fate() {
                Fate::Served => self.serve(request).await,
                Fate::Refused => {
                    let mut response = http::Response::new(full(r#"{"Code":"ServiceUnavailable"}"#));
                    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    Ok(response)
                }
                Fate::Lost => Err(broken()),
                Fate::AnswerLost => {
                    self.serve(request).await?;
                    Err(broken())
                }
                Fate::DiesBefore => {
                    self.dead.notify_one();
                    std::future::pending().await
                }
                Fate::DiesAfter => {
                    self.serve(request).await?;
                    self.dead.notify_one();
                    std::future::pending().await
                }
            }
        })
    }
}

/// A world, its log, and the dice of its story.
struct Story {
    world: World,
    log: Arc<Mutex<Log>>,
    rng: Rng,
    forgetful: bool,
    without_checksums: bool,
    competitors: u32,
    trouble: u32,
    /// What was returned, to see that stories come to something.
    returned: BTreeSet<ImageId>,
    refusals: Vec<PublishError>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let options = EmulatorOptions::local(folder.path().join("store"))
            .with_speed(1e8)
            .with_clock(Arc::new(Ticking::default()));
        let world = World { emulator: Emulator::open(options).unwrap(), folder };
        world.emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
        Self {
            world,
            log: Arc::default(),
            forgetful: rng.bool(),
            without_checksums: rng.u32(..3) == 0,
            competitors: if rng.bool() { 30 } else { 0 },
            trouble: 60,
            rng,
            returned: BTreeSet::new(),
            refusals: Vec::new(),
        }
    }

    /// A story in which nothing fails by itself.
    fn quiet() -> Self {
        Self { forgetful: false, without_checksums: false, competitors: 0, trouble: 0, ..Self::new(0) }
    }

    /// Writes the file: one of three contents, each of its own length.
    fn write(&self, content: u8) {
        let mut bytes = bootable();
        bytes[1 << 20] = content;
        bytes.resize((2 << 20) + usize::from(content) * 512, 0);
        std::fs::write(self.world.folder.path().join("disk.raw"), bytes).unwrap();
        // Parts of another file would be refused.
        let _ = std::fs::remove_dir_all(self.world.folder.path().join("state/uploads"));
    }

    fn beside(&self) -> Importer {
        self.world.importer(self.world.alive())
    }

    /// Publishes once. Whatever is returned was made of the file as it is.
    async fn publish(&mut self, delete: bool) -> Option<PublishReport> {
        let dead = Arc::new(Notify::new());
        let witness = Arc::new(Witness {
            emulator: self.world.emulator.clone(),
            beside: self.beside(),
            log: Arc::clone(&self.log),
            rng: Mutex::new(self.rng.fork()),
            dead: Arc::clone(&dead),
            trouble: self.trouble,
            competitors: self.competitors,
            forgetful: self.forgetful,
            without_checksums: self.without_checksums,
        });
        let publish = self.world.publish_over(witness, true).with_delete_objects(delete);
        let result = tokio::select! {
            biased;
            () = dead.notified() => return None,
            result = publish.run() => result,
        };
        assert_eq!(self.log.lock().unwrap().wrongly_deleted, []);
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                self.refusals.push(error);
                return None;
            }
        };
        let file = std::fs::read(self.world.folder.path().join("disk.raw")).unwrap();
        self.assert_made_of(&report, &file);
        self.assert_steps_are_done(&report).await;
        self.returned.insert(report.import.task.image_id.clone());
        Some(report)
    }

    fn assert_made_of(&self, report: &PublishReport, file: &[u8]) {
        let log = self.log.lock().unwrap();
        let made_of = &log.imported[&report.import.task.image_id];
        assert_eq!(made_of.crc64, Some(crate::checksum::of(file)), "an image of other bytes was returned");
        for copy in report.copies.values() {
            assert_eq!(
                log.copied[&copy.task.image_id], report.import.task.image_id,
                "a copy of another image"
            );
        }
    }

    async fn assert_steps_are_done(&self, report: &PublishReport) {
        let importer = self.beside();
        for task in std::iter::once(&report.import).chain(report.copies.values()).map(|made| &made.task) {
            let image = importer.image(&task.region, &task.image_id).await.unwrap().unwrap();
            assert_eq!((&image.status, image.family.as_deref()), (&ImageStatus::Available, Some("web")));
            assert_eq!(importer.shared_with(&task.region, &task.image_id).await.unwrap().len(), 1);
        }
    }

    /// Deletes all images of a region by hand.
    async fn delete_images(&self, name: &str) {
        let (importer, region) = (self.beside(), region(name));
        for image in importer.images(&region).await.unwrap() {
            let shared: Vec<_> =
                importer.shared_with(&region, &image.image_id).await.unwrap().into_iter().collect();
            importer.unshare(&region, &image.image_id, &shared).await.unwrap();
            importer.delete_image(&region, &image.image_id, true).await.unwrap();
        }
    }

    fn lose_the_state(&self) {
        let _ = std::fs::remove_dir_all(self.world.folder.path().join("state"));
    }
}

#[tokio::test]
async fn whatever_happens_only_images_of_this_file_are_returned_and_only_imported_objects_deleted() {
    let (mut returned, mut refused) = (0, 0);
    for seed in 0..STORIES {
        let mut story = Story::new(seed);
        story.write(0);
        for step in 0..STEPS {
            eprintln!("story {seed}, step {step}");
            match story.rng.u32(..12) {
                0..2 => {
                    let content = story.rng.u8(..3);
                    story.write(content);
                }
                2 => story.delete_images(REGIONS[0]).await,
                3 => story.delete_images(REGIONS[1]).await,
                4 => story.lose_the_state(),
                5 => put(&story.world.emulator, "images", "disk.raw", &bootable()),
                6..9 => drop(story.publish(true).await),
                _ => drop(story.publish(false).await),
            }
        }
        // In the end, with all that stands in the way deleted and nothing happening, it succeeds.
        for name in REGIONS {
            story.delete_images(name).await;
        }
        (story.trouble, story.competitors) = (0, 0);
        let delete = story.rng.bool();
        let last = story.publish(delete).await;
        let last = last.unwrap_or_else(|| panic!("story {seed}: {:?}", story.refusals.last()));
        assert_eq!(last.copies.len(), 2);
        assert_eq!(last.deleted.len(), usize::from(delete));
        returned += story.returned.len();
        refused += story.refusals.len();
    }
    assert!(returned > STORIES as usize && refused > 10, "{returned} returned, {refused} refused");
}

#[tokio::test]
async fn an_image_that_was_deleted_is_made_again_in_the_same_run() {
    for delete in [false, true] {
        let mut story = Story::quiet();
        story.write(0);
        let first = story.publish(delete).await.unwrap();
        for name in REGIONS {
            story.delete_images(name).await;
        }
        let again = story.publish(delete).await.unwrap();
        assert_ne!(again.import.task.image_id, first.import.task.image_id);
        assert_eq!((again.copies.len(), again.deleted.len()), (2, usize::from(delete)));
    }
}

#[tokio::test]
async fn a_copy_that_is_made_again_is_put_into_the_family_too() {
    let mut story = Story::quiet();
    story.write(0);
    let first = story.publish(false).await.unwrap();
    story.delete_images(REGIONS[1]).await;
    // Each publish checks family and sharing of every image.
    let again = story.publish(false).await.unwrap();
    assert_eq!(again.import.task.image_id, first.import.task.image_id);
    assert_ne!(
        again.copies[&region(REGIONS[1])].task.image_id,
        first.copies[&region(REGIONS[1])].task.image_id
    );

    // A copy of an image that is gone is none of its successor.
    story.delete_images(REGIONS[0]).await;
    assert!(story.publish(false).await.is_none());
    let refused = story.refusals.pop();
    assert!(
        matches!(&refused, Some(PublishError::Import(ImportError::NameTaken { region, .. })) if region.as_str() != REGIONS[0]),
        "{refused:?}"
    );
}

#[tokio::test]
async fn objects_without_a_checksum_are_told_apart() {
    let mut story = Story { without_checksums: true, ..Story::quiet() };
    story.write(0);
    let first = story.publish(false).await.unwrap();
    let again = story.publish(false).await.unwrap();
    assert_eq!(again.import.task.image_id, first.import.task.image_id, "tag, time and size are as they were");
    story.write(1);
    assert!(story.publish(false).await.is_none());
    let refused = story.refusals.pop();
    assert!(matches!(refused, Some(PublishError::Import(ImportError::NameTaken { .. }))), "{refused:?}");
}

#[tokio::test]
async fn another_machine_finds_the_image_of_the_same_object() {
    let mut story = Story::quiet();
    story.write(0);
    let first = story.publish(false).await.unwrap();
    story.lose_the_state();
    let publish = story.world.publish(story.world.alive());
    let found = publish.run().await.unwrap();
    assert_eq!(found.import.task.image_id, first.import.task.image_id);
    assert!(found.import.task.adopted && found.copies.values().all(|copy| copy.task.adopted));
}

#[tokio::test]
async fn an_object_that_an_import_may_be_reading_is_not_written_again() {
    let story = Story::quiet();
    story.write(0);
    let publish = story.world.publish_over(story.world.alive(), true);
    publish.clone().with_wait(false).run().await.unwrap();
    let before = story.beside().client().call(&HeadObject::new(object())).await.unwrap();
    let report = publish.run().await.unwrap();
    assert_eq!((report.uploads[0].bytes_sent, report.uploads[0].stored.crc64), (0, before.crc64));
    let after = story.beside().client().call(&HeadObject::new(object())).await.unwrap();
    assert_eq!(after.last_modified, before.last_modified);
}

#[tokio::test]
async fn an_object_that_was_replaced_is_neither_trusted_nor_deleted() {
    let story = Story::quiet();
    story.write(0);
    let publish = story.world.publish_over(story.world.alive(), true).with_delete_objects(true);
    let begun = publish.clone().with_wait(false).run().await.unwrap();
    // The import is done, but nobody has looked yet.
    story.beside().follow(&begun.import.task).await.unwrap();
    let replace = || put(&story.world.emulator, "images", "disk.raw", &bootable());
    replace();
    let witness = story.beside();
    let file = publish.state.flow(
        &witness.client().rpc_service(),
        publish.request.region(),
        "web-1",
        witness.client().now(),
    );
    let flow = file.as_ref().unwrap().load().unwrap().unwrap();
    drop(file);
    let error = publish.check_unreplaced(&flow.objects, &begun.import.task).await.unwrap_err();
    assert!(matches!(error, PublishError::Replaced { image: Some(_), .. }), "{error}");
    let error = publish.may_be_deleted(&object(), flow.objects.values().next()).await.unwrap_err();
    assert!(matches!(error, PublishError::Kept { .. }), "{error}");
    assert!(story.beside().client().call(&HeadObject::new(object())).await.is_ok());
}

#[tokio::test]
async fn a_rehearsal_leaves_the_publish_alone() {
    let mut story = Story::quiet();
    story.write(0);
    let first = story.publish(false).await.unwrap();
    // The same region, name and state directory, but another service that knows nothing of it all.
    let elsewhere = Story::quiet();
    let publish = story.world.publish(elsewhere.world.alive());
    let mut options = publish.importer.client().options().clone();
    options.service = Some(crate::model::ServiceId::of_folder(elsewhere.world.folder.path()));
    let client = Client::new(options);
    let source = Arc::new(FileSource::open(story.world.folder.path().join("disk.raw")).unwrap());
    let uploads = vec![Upload::new(client.clone(), source, object())];
    let rehearsal = Publish { importer: Importer::new(client), uploads, ..publish };
    let rehearsed = rehearsal.run().await.unwrap();
    assert_ne!(rehearsed.import.task.image_id, first.import.task.image_id);
    let again = story.publish(false).await.unwrap();
    assert_eq!(again.import.task.image_id, first.import.task.image_id);
}
