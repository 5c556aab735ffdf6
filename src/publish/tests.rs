//! Publishing over the emulator: interrupted at every request, it ends in one image per region.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::uploads::upload_all;
use super::*;
use crate::client::{Client, ClientOptions};
use crate::credentials::{BoxFuture, StaticCredentials};
use crate::emulator::{
    BucketRecord, Emulator, EmulatorOptions, Encryption, Fault, FaultPlan, FaultRule, When,
};
use crate::http::{Body, Transport, TransportError};
use crate::import::ImportDisk;
use crate::model::{ClientToken, DiskFormat, Endpoint, ImageStatus};
use crate::source::FileSource;

mod boot_test;
mod completion;
mod encryption;
mod ours;
mod public;
mod replace;
mod streams;

/// The emulator, which dies with its client at one request: before it is carried out, or after.
#[derive(Debug)]
struct Dying {
    emulator: Emulator,
    requests: AtomicUsize,
    dies_at: usize,
    after: bool,
    dead: Arc<Notify>,
}

impl Transport for Dying {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            if self.requests.fetch_add(1, Ordering::Relaxed) != self.dies_at {
                return self.emulator.send(request).await;
            }
            if self.after {
                self.emulator.send(request).await?;
            }
            self.dead.notify_one();
            std::future::pending().await
        })
    }
}

struct World {
    folder: tempfile::TempDir,
    emulator: Emulator,
}

const REGIONS: [&str; 3] = ["cn-hangzhou", "us-west-1", "eu-central-1"];

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Hours pass in no time: the first look finds everything done.
        let options = EmulatorOptions::local(folder.path().join("store")).with_speed(1e8);
        Self { emulator: Emulator::open(options).unwrap(), folder }
    }

    fn image(&self) -> PathBuf {
        let path = self.folder.path().join("disk.raw");
        std::fs::write(&path, bootable()).unwrap();
        path
    }

    fn importer(&self, transport: Arc<dyn Transport>) -> Importer {
        self.importer_in(REGIONS[0], transport)
    }

    fn importer_in(&self, name: &str, transport: Arc<dyn Transport>) -> Importer {
        // The emulator takes the region from the host's name.
        let endpoint: Endpoint = format!("http://oss-{name}.aliyuncs.com").parse().unwrap();
        let anonymous = Arc::new(StaticCredentials::anonymous());
        let options = ClientOptions::new(endpoint, region(name), anonymous, transport)
            .with_rpc_endpoint("http://localhost".parse().unwrap())
            .with_dice(Arc::new(|| 0.0));
        Importer::new(Client::new(options))
    }

    fn publish(&self, transport: Arc<dyn Transport>) -> Publish {
        self.publish_over(transport, false)
    }

    fn publish_over(&self, transport: Arc<dyn Transport>, overwrite: bool) -> Publish {
        let importer = self.importer(transport);
        let object: ObjectRef = "oss://images/disk.raw".parse().unwrap();
        let source = Arc::new(FileSource::open(self.folder.path().join("disk.raw")).unwrap());
        let state = self.folder.path().join("state");
        let upload = Upload::new(importer.client().clone(), source, object.clone());
        let upload = upload.with_state_dir(&state).with_overwrite(overwrite);
        let disk = ImportDisk::new(object).with_format(DiskFormat::Raw).with_size_gib(40);
        let request = ImportRequest::new(region(REGIONS[0]), "web-1", disk);
        Publish::new(importer, request, state)
            .with_upload(upload)
            .with_copies_in([region(REGIONS[1]), region(REGIONS[2])])
            .with_family("web".to_owned())
            .with_accounts(["1234567890123456".parse().unwrap()])
    }

    /// Runs a publish whose client dies at one request, before the request is carried out or after. Returns whether it
    /// ended without getting that far.
    async fn survives(
        &self,
        dies_at: usize,
        after: bool,
        publish: impl FnOnce(Arc<dyn Transport>) -> Publish,
    ) -> bool {
        let dead = Arc::new(Notify::new());
        let (emulator, requests) = (self.emulator.clone(), AtomicUsize::new(0));
        let dying = Dying { emulator, requests, dies_at, after, dead: Arc::clone(&dead) };
        let publish = publish(Arc::new(dying));
        tokio::select! {
            biased;
            () = dead.notified() => false,
            result = publish.run() => result.map(|_| true).unwrap(),
        }
    }

    fn alive(&self) -> Arc<dyn Transport> {
        Arc::new(self.emulator.clone())
    }

    /// Imports another image under a name in another region.
    async fn occupy(&self, place: &str, name: &str, file: PathBuf) -> ImportTask {
        let importer = self.importer_in(place, self.alive());
        self.emulator.create_bucket("elsewhere".parse().unwrap(), region(place)).unwrap();
        let object: ObjectRef = "oss://elsewhere/disk.raw".parse().unwrap();
        let source = Arc::new(FileSource::open(file).unwrap());
        Upload::new(importer.client().clone(), source, object.clone()).run().await.unwrap();
        let disk = ImportDisk::new(object).with_format(DiskFormat::Raw).with_size_gib(40);
        let other = ImportRequest::new(region(place), name, disk);
        let token = ClientToken::random();
        importer.submit(&other, &token, &other.origin_of_token(&token)).await.unwrap()
    }

    async fn assert_one_image_in_each_region(&self) {
        let importer = self.importer(self.alive());
        for name in REGIONS {
            let images = importer.images(&region(name)).await.unwrap();
            assert_eq!(images.len(), 1, "{name}: {images:?}");
            assert_eq!(images[0].status, ImageStatus::Available, "{name}");
            assert_eq!(images[0].family.as_deref(), Some("web"), "{name}");
            let accounts = importer.shared_with(&region(name), &images[0].image_id).await.unwrap();
            assert_eq!(accounts.len(), 1, "{name}");
        }
    }
}

/// A disk of 2 MiB with boot code and one active partition.
fn bootable() -> Vec<u8> {
    let mut disk = vec![0u8; 2 << 20];
    disk[0..4].copy_from_slice(&[0xEB, 0x63, 0x90, 0x10]);
    disk[446] = 0x80;
    disk[450] = 0x83;
    disk[454..458].copy_from_slice(&2048u32.to_le_bytes());
    disk[458..462].copy_from_slice(&2048u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    let superblock = 2048 * 512 + 1024;
    disk[superblock + 56..superblock + 58].copy_from_slice(&[0x53, 0xEF]);
    disk
}

#[tokio::test]
async fn a_publish_makes_one_image_in_each_region_and_says_so() {
    let world = World::new();
    world.image();
    let report = world.publish(world.alive()).run().await.unwrap();
    assert_eq!(report.uploads.len(), 1);
    assert_eq!(report.copies.len(), 2);
    assert_eq!(report.shared_with.len(), 1);
    assert!(report.import.task.task_id.is_some());
    world.assert_one_image_in_each_region().await;

    // The same again finds everything there.
    let again = world.publish(world.alive()).run().await.unwrap();
    assert_eq!(again.import.task.image_id, report.import.task.image_id);
    assert_eq!(again.uploads[0].bytes_sent, 0);
    world.assert_one_image_in_each_region().await;
}

#[tokio::test]
async fn killed_at_every_request_it_ends_in_one_image_per_region() {
    // Looks at running imports are many and alike; past the last step nothing is left to be killed.
    for after in [false, true] {
        for dies_at in 0.. {
            let world = World::new();
            world.image();
            let finished = world.survives(dies_at, after, |dying| world.publish(dying)).await;
            world.publish(world.alive()).run().await.unwrap();
            world.assert_one_image_in_each_region().await;
            if finished {
                assert!(dies_at > 10, "a publish takes more requests than {dies_at}");
                break;
            }
        }
    }
}

/// Bug: killed between the deletion of its object and the note of it, an import could not be told again.
#[tokio::test]
async fn killed_at_every_request_an_import_that_deletes_its_object_names_its_image_again() {
    for after in [false, true] {
        for dies_at in 0.. {
            let world = World::new();
            world.image();
            world.publish(world.alive()).uploads[0].run().await.unwrap();
            let import = |transport| {
                let import = Publish { uploads: Vec::new(), ..world.publish(transport) };
                import.with_delete_objects(true)
            };
            let finished = world.survives(dies_at, after, import).await;
            let again = import(world.alive()).run().await;
            let again = again.unwrap_or_else(|error| panic!("{dies_at}, {after}: {error}"));
            assert_eq!(again.deleted.len(), 1);
            world.assert_one_image_in_each_region().await;
            if finished {
                break;
            }
        }
    }
}

/// Bug: a copy that could not be looked at was forgotten, and where its tags leave no room for its origin, not found.
#[tokio::test]
async fn a_copy_that_may_not_be_looked_at_for_a_while_is_not_forgotten() {
    let world = World::new();
    world.image();
    let denied = || Fault::Status {
        status: 403,
        code: "Forbidden.RAM".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    let emulator = world.emulator.clone();
    let blind = EventSink::new(move |event| {
        if matches!(event, crate::event::Event::Submitted { task_id: None, .. }) {
            emulator.set_faults(FaultPlan::of([FaultRule::on("DescribeImages", denied())]));
        }
    });
    let publish = world.publish(world.alive()).with_keep_going(true);
    let mut request = publish.request.clone();
    for tag in 0..20 {
        request = request.with_tag(format!("tag-{tag}"), "x");
    }
    let copy_to = vec![region(REGIONS[1])];
    let publish = Publish { request, copy_to, ..publish };
    let importer = publish.importer.clone().with_events(blind);
    let report = Publish { importer, ..publish.clone() }.run().await.unwrap();
    assert_eq!(report.failures.len(), 1, "{report:?}");
    world.emulator.set_faults(FaultPlan::default());
    let again = publish.run().await.unwrap();
    assert!(again.failures.is_empty(), "{again:?}");
    assert_eq!(publish.importer.images(&region(REGIONS[1])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn objects_are_deleted_last_and_not_uploaded_again() {
    let world = World::new();
    world.image();
    let report = world.publish(world.alive()).with_delete_objects(true).run().await.unwrap();
    assert_eq!(report.deleted.len(), 1);
    let again = world.publish(world.alive()).with_delete_objects(true).run().await.unwrap();
    assert!(again.uploads.is_empty());
    world.assert_one_image_in_each_region().await;
}

#[tokio::test]
async fn a_changed_file_is_not_published_as_the_image_of_the_deleted_object() {
    let world = World::new();
    let file = world.image();
    world.publish(world.alive()).with_delete_objects(true).run().await.unwrap();
    let mut other = bootable();
    other[1 << 20] ^= 1;
    other.resize(3 << 20, 0);
    std::fs::write(file, other).unwrap();
    let error = world.publish(world.alive()).with_delete_objects(true).run().await.unwrap_err();
    assert!(
        matches!(error, PublishError::Import(ImportError::NameTaken { .. })),
        "the old image has the name: {error:?}"
    );
}

#[tokio::test]
async fn a_region_that_fails_keeps_the_images_from_being_shared() {
    let world = World::new();
    let file = world.image();
    // Another image has the name in one of the regions.
    world.occupy(REGIONS[1], "web-1", file).await;

    let report = world.publish(world.alive()).with_keep_going(true).run().await.unwrap();
    assert!(matches!(
        report.failures.get(&region(REGIONS[1])),
        Some(PublishError::Import(ImportError::NameTaken { .. }))
    ));
    assert_eq!(report.copies.len(), 1);
    assert!(report.shared_with.is_empty());

    let error = world.publish(world.alive()).run().await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Import);
}

#[tokio::test]
async fn what_stands_in_the_way_is_known_before_the_first_byte() {
    let world = World::new();
    world.image();
    world.publish(world.alive()).run().await.unwrap();
    let publish = world.publish(world.alive());
    let again = Preflight::new(&publish).run().await;
    assert_eq!(again, [], "the image is of the same request, whichever machine has made it");
    let other = publish.request.clone().with_description("another request");
    let other = Publish { request: other, ..publish.clone() };
    let problems = Preflight::new(&other).run().await;
    assert!(matches!(problems.as_slice(), [Problem::NameTaken { .. }]), "{problems:?}");
    let preflight = Preflight::new(&publish).with_name_taken(true);
    assert_eq!(preflight.run().await, []);

    let images = "images".parse().unwrap();
    let change = |change: fn(&mut BucketRecord)| world.emulator.update_bucket(&images, change).unwrap();
    change(|bucket| bucket.owner = "4242".to_owned());
    let problems = preflight.run().await;
    assert!(matches!(&problems[..], [Problem::BucketOwner { owner, .. }] if owner == "4242"), "{problems:?}");
    assert!(problems[0].refuses());
    change(|bucket| bucket.storage_class = "ColdArchive".to_owned());
    change(|bucket| {
        bucket.encryption = Some(Encryption { algorithm: "KMS".to_owned(), ..Encryption::default() });
    });
    let problems = preflight.run().await;
    let [encrypted, archived, foreign] = &problems[..] else { panic!("{problems:?}") };
    assert!(matches!(encrypted, Problem::BucketEncrypted { .. }) && encrypted.refuses());
    assert!(matches!(archived, Problem::BucketArchived { .. }) && !archived.refuses());
    assert!(matches!(foreign, Problem::BucketOwner { .. }));
}

#[tokio::test]
async fn what_may_not_be_looked_at_stops_nothing() {
    let world = World::new();
    world.image();
    world.emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
    let denied = ["GetBucketInfo", "GetCallerIdentity", "DescribeImages", "GetRole"];
    let publish = world.publish(world.alive());
    let preflight = Preflight::new(&publish);
    for operation in denied {
        let denied = Fault::Status {
            status: 403,
            code: "Forbidden.RAM".to_owned(),
            when: When::default(),
            retry_after: None,
        };
        world.emulator.set_faults(FaultPlan::of([FaultRule::on(operation, denied)]));
        let problems = preflight.run().await;
        assert!(matches!(&problems[..], [problem] if !problem.refuses()), "{operation}: {problems:?}");
    }
}

#[tokio::test]
async fn another_family_than_that_of_an_earlier_run_is_said() {
    let world = World::new();
    world.image();
    let (sink, said) = notices();
    world.publish(world.alive()).with_events(sink.clone()).run().await.unwrap();
    world.publish(world.alive()).with_events(sink.clone()).run().await.unwrap();
    assert!(said.lock().unwrap().is_empty(), "nothing is reported for the same family again");
    let report =
        world.publish(world.alive()).with_family("other".to_owned()).with_events(sink).run().await.unwrap();
    assert_eq!(report.family.as_deref(), Some("other"));
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("`web`") && said[0].contains("`other`"), "{said:?}");
}

/// Bug: data disks of some MiB were sent one after the other, each with the link idle while it waited.
#[tokio::test]
async fn small_disks_go_beside_a_large_one() {
    let world = World::new();
    world.image();
    let (sink, order) = (EventSink::new, Arc::new(Mutex::new(Vec::new())));
    let sizes = [("large.raw", 65u64 << 20), ("one.raw", 2 << 20), ("two.raw", 1 << 20)];
    let importer = world.importer(world.alive());
    let uploads: Vec<Upload> = sizes
        .iter()
        .map(|&(name, length)| {
            let path = world.folder.path().join(name);
            std::fs::File::create(&path).unwrap().set_len(length).unwrap();
            let object = format!("oss://images/{name}").parse().unwrap();
            let order = Arc::clone(&order);
            let source = Arc::new(FileSource::open(path).unwrap());
            Upload::new(importer.client().clone(), source, object).with_events(sink(move |event| {
                if matches!(event, crate::event::Event::Completed) {
                    order.lock().unwrap().push(name);
                }
            }))
        })
        .collect();
    // The large one hangs until the others must be done.
    let stall = Fault::Stall { when: When::default(), seconds: Some(1.0) };
    world
        .emulator
        .set_faults(FaultPlan::of([FaultRule::on("CompleteMultipartUpload", stall).with_key("large.raw")]));
    let reports = upload_all(&uploads).await.unwrap();
    let sent: Vec<u64> = reports.iter().map(|report| report.stored.size).collect();
    assert_eq!(sent, sizes.map(|(_, length)| length), "reports are in the order that was given");
    assert_eq!(order.lock().unwrap().last(), Some(&"large.raw"));

    // One that fails stops the others, and is the reason.
    let refused = Fault::Status {
        status: 403,
        code: "AccessDenied".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    let stall = Fault::Stall { when: When::default(), seconds: Some(60.0) };
    world.emulator.set_faults(FaultPlan::of([
        FaultRule::always(refused).with_key("two.raw"),
        FaultRule::on("UploadPart", stall).with_key("large.raw"),
    ]));
    let again: Vec<Upload> = uploads.into_iter().map(|upload| upload.with_overwrite(true)).collect();
    let error = tokio::time::timeout(Duration::from_secs(30), upload_all(&again)).await.unwrap().unwrap_err();
    assert_eq!(error.call().and_then(|call| call.service()?.code.clone()).as_deref(), Some("AccessDenied"));
}

/// The events of a publish without its progress.
fn notices() -> (EventSink, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&said);
    let sink = EventSink::new(move |event| {
        if let crate::event::Event::Notice { text } = event {
            list.lock().unwrap().push(text);
        }
    });
    (sink, said)
}
