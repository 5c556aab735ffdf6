//! A name passes from one image to the next: killed at every request, it is never missing but between the two requests
//! that the API makes unavoidable, and the same command ends in the same state.

use std::path::Path;

use futures::stream::{self, StreamExt as _};

use super::*;
use crate::emulator::testing::{every, put};
use crate::import::{CustomImage, Tag};
use crate::manage::{Access, Images};
use crate::model::ImageId;

/// The regions of these tests: the import's, and one with a copy.
const TWO: [&str; 2] = [REGIONS[0], REGIONS[1]];
const NAME: &str = "web-1";

/// What was requested, and in which regions no Available image had the name after it.
type Seen = Vec<(String, Vec<&'static str>)>;

/// The emulator, which dies with its client at one request, and looks after each who has the name.
#[derive(Debug)]
struct Watching {
    dying: Dying,
    beside: Importer,
    seen: Arc<Mutex<Seen>>,
}

impl Transport for Watching {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let action = request.headers().get("x-acs-action").map(|name| name.to_str().unwrap().to_owned());
            let Dying { emulator, requests, dies_at, after, dead } = &self.dying;
            let dies = requests.fetch_add(1, Ordering::Relaxed) == *dies_at;
            if dies && !after {
                dead.notify_one();
                return std::future::pending().await;
            }
            let answer = emulator.send(request).await;
            let last = self.seen.lock().unwrap().last().map(|(_, missing)| missing.clone());
            let missing = match last {
                // Nothing else is at work here.
                Some(last) if action.as_deref().is_none_or(only_reads) => last,
                _ => missing(&self.beside).await,
            };
            self.seen.lock().unwrap().push((action.unwrap_or_else(|| "OSS".to_owned()), missing));
            if dies {
                dead.notify_one();
                return std::future::pending().await;
            }
            answer
        })
    }
}

fn only_reads(action: &str) -> bool {
    action == "OSS" || action.starts_with("Describe") || action.starts_with("Get")
}

async fn missing(importer: &Importer) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for name in TWO {
        let image = importer.find_image(&region(name), NAME).await.unwrap();
        if image.is_none_or(|image| image.status != ImageStatus::Available) {
            missing.push(name);
        }
    }
    missing
}

fn publish(world: &World, transport: Arc<dyn Transport>, how: impl Into<Option<Replaced>>) -> Publish {
    let publish = world.publish(transport).with_copies_in([]).with_replaced(how);
    // The object is there: what an upload does is tested elsewhere.
    Publish { uploads: Vec::new(), copy_to: vec![region(TWO[1])], ..publish }
}

fn store(world: &World, content: u8) {
    let mut bytes = bootable();
    bytes[1 << 20] = content;
    // The emulator's tag for these objects is their length.
    bytes.resize((2 << 20) + usize::from(content) * 512, 0);
    put(&world.emulator, "images", "disk.raw", &bytes);
}

/// A world in which an image of other content has the name everywhere, is public and shared.
async fn published() -> World {
    let world = World::new();
    world.image();
    world.emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
    store(&world, 1);
    publish(&world, world.alive(), None).with_public(true).run().await.unwrap();
    store(&world, 2);
    world
}

/// The same world once more, with a disk of its own.
fn copied(template: &World) -> World {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(template.folder.path(), folder.path());
    let options = EmulatorOptions::local(folder.path().join("store")).with_speed(1e8);
    World { emulator: Emulator::open(options).unwrap(), folder }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

async fn run_watched(
    world: &World,
    (dies_at, after): (usize, bool),
    how: impl Into<Option<Replaced>>,
) -> (bool, Seen) {
    let (dead, seen) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let (emulator, requests) = (world.emulator.clone(), AtomicUsize::new(0));
    let dying = Dying { emulator, requests, dies_at, after, dead: Arc::clone(&dead) };
    let beside = world.importer(world.alive());
    let watching = Watching { dying, beside, seen: Arc::clone(&seen) };
    let publish = publish(world, Arc::new(watching), how).with_public(true);
    let finished = tokio::select! {
        biased;
        () = dead.notified() => false,
        result = publish.run() => result.map(|_| true).unwrap(),
    };
    let seen = seen.lock().unwrap().clone();
    (finished, seen)
}

/// Nobody misses the name for longer than from one request to the next. After a kill in between, the next run only
/// looks until it has closed the gap.
fn assert_never_missing(first: &Seen, second: &Seen, at: &str) {
    let (mut gap, mut waiting) = (false, false);
    for (index, (action, missing)) in first.iter().chain(second).enumerate() {
        waiting = gap && (waiting || index == first.len());
        if gap && !waiting {
            assert_eq!(action, "ModifyImageAttribute", "{at}: {first:?}");
            assert!(missing.is_empty(), "{at}: the name was missing for two requests: {first:?}");
        }
        if waiting && !missing.is_empty() {
            assert_eq!(action, "DescribeImages", "{at}: {second:?}");
        }
        assert!(missing.len() < 2, "{at}: one region at a time");
        gap = !missing.is_empty();
    }
    assert!(!gap, "{at}");
}

async fn all(world: &World, name: &str) -> Vec<CustomImage> {
    world.importer(world.alive()).images(&region(name)).await.unwrap()
}

async fn access(world: &World, name: &str, id: &ImageId) -> Access {
    Images::new(world.importer(world.alive()).client().clone()).access(&region(name), id).await.unwrap()
}

/// The end state: the new image has the name in every region, shared and public; the old one is what it was to be.
async fn assert_replaced(world: &World, how: Replaced, old: &[ImageId; 2], at: &str) {
    for (name, old) in TWO.into_iter().zip(old) {
        let images = all(world, name).await;
        let new: Vec<_> = images.iter().filter(|image| image.name.as_deref() == Some(NAME)).collect();
        let [new] = new[..] else { panic!("{at}: {images:?}") };
        assert!(new.image_id != *old && new.status == ImageStatus::Available, "{at}: {images:?}");
        assert_eq!(new.family.as_deref(), Some("web"));
        let now = access(world, name, &new.image_id).await;
        assert!(now.public && now.accounts.len() == 1, "{at}: {now:?}");
        let left = images.iter().find(|image| image.image_id == *old);
        assert_eq!(images.len(), if how == Replaced::Delete { 1 } else { 2 }, "{at}: {images:?}");
        match (how, left) {
            (Replaced::Delete, None) => {}
            (_, Some(left)) => {
                let name_now = left.name.clone().unwrap();
                assert!(name_now.starts_with("web-1-replaced-"), "{at}: {name_now}");
                let was = access(world, name, old).await;
                let retired = how == Replaced::Deprecate;
                assert_eq!(left.status == ImageStatus::Deprecated, retired, "{at}");
                assert_eq!(was.is_private(), retired, "{at}: {was:?}");
            }
            (_, None) => panic!("{at}: the old image is gone"),
        }
    }
}

async fn holders(world: &World) -> [ImageId; 2] {
    let importer = world.importer(world.alive());
    let mut ids = Vec::new();
    for name in TWO {
        ids.push(importer.find_image(&region(name), NAME).await.unwrap().unwrap().image_id);
    }
    ids.try_into().unwrap()
}

/// Kills a publish at every `step`th request, and at all where every kill is asked for. Much of the time goes by in waiting, so
/// many of them go on at once.
async fn killed_at_every_request(how: Replaced, step: usize) {
    let template = published().await;
    let old = holders(&template).await;
    let (_, trace) = run_watched(&copied(&template), (usize::MAX, false), how).await;
    assert!(trace.len() > 30, "{trace:?}");
    // It is all the same whether a client dies before a request that changes nothing, or after it.
    let is_same = |at: usize| trace.get(at).is_some_and(|(action, _)| only_reads(action));
    let before = (0..=trace.len()).map(|at| (at, false));
    let kills = before.chain((0..trace.len()).filter(|at| !is_same(*at)).map(|at| (at, true)));
    let kills = kills.step_by(every(step)).map(|(dies_at, after)| {
        let (template, old) = (&template, &old);
        async move {
            let at = format!("{how:?}, dies at {dies_at}, after it is carried out: {after}");
            let world = copied(template);
            let (_, first) = run_watched(&world, (dies_at, after), how).await;
            if how == Replaced::Rename {
                // Another machine knows only what the account shows.
                let _ = std::fs::remove_dir_all(world.folder.path().join("state"));
            }
            let (_, second) = run_watched(&world, (usize::MAX, false), how).await;
            assert_never_missing(&first, &second, &at);
            assert_replaced(&world, how, old, &at).await;
        }
    });
    stream::iter(kills).buffer_unordered(16).collect::<()>().await;
}

#[tokio::test]
async fn killed_at_every_request_a_deletion_of_the_old_image_never_leaves_the_name_to_nobody() {
    killed_at_every_request(Replaced::Delete, 1).await;
}

#[tokio::test]
async fn killed_at_every_request_a_deprecation_ends_as_if_it_had_not_been() {
    killed_at_every_request(Replaced::Deprecate, 5).await;
}

#[tokio::test]
async fn killed_at_every_request_a_renaming_is_ended_by_another_machine() {
    killed_at_every_request(Replaced::Rename, 5).await;
}

/// Nothing is known of the first run but what the account shows, and the source is another one by now.
#[tokio::test]
async fn a_gap_that_another_machine_left_is_closed_before_anything_else() {
    let template = published().await;
    // Where the first run of the old one would have ended in the gap: after the request that takes its name.
    let world = copied(&template);
    let (_, seen) = run_watched(&world, (usize::MAX, false), Replaced::Rename).await;
    let gap = seen.iter().position(|(_, missing)| !missing.is_empty()).unwrap();
    let world = copied(&template);
    run_watched(&world, (gap, true), Replaced::Rename).await;
    assert_eq!(missing(&world.importer(world.alive())).await.len(), 1);
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    store(&world, 3);
    let (_, seen) = run_watched(&world, (usize::MAX, false), Replaced::Rename).await;
    let open = seen.iter().take_while(|(_, missing)| !missing.is_empty());
    assert!(open.clone().all(|(action, _)| action == "DescribeImages"), "{seen:?}");
    assert!(open.count() < 6, "{seen:?}");
    assert_eq!(all(&world, TWO[0]).await.len(), 3);
}

#[tokio::test]
async fn an_image_that_nothing_proves_to_be_ours_keeps_its_name() {
    let world = World::new();
    let file = world.image();
    let theirs = world.occupy(TWO[1], NAME, file).await;
    // Somebody else's: it has no origin.
    let images = Images::new(world.importer(world.alive()).client().clone());
    let found = images.client().clone();
    let image = Importer::new(found).find_image(&region(TWO[1]), NAME).await.unwrap().unwrap();
    images.untag(&region(TWO[1]), &image, &[crate::import::ORIGIN_TAG.to_owned()], false).await.unwrap();
    let before = world.publish(world.alive()).with_replaced(Replaced::Delete);
    let problems = Preflight::new(&before).with_bucket_made(true).run().await;
    assert!(matches!(&problems[..], [Problem::NameTaken { image_id, .. }] if *image_id == theirs.image_id));
    let error = before.run().await.unwrap_err();
    assert!(
        matches!(&error, PublishError::NotOurs { image_id, .. } if *image_id == theirs.image_id),
        "{error:?}"
    );
    let image = Importer::new(images.client().clone()).find_image(&region(TWO[1]), NAME).await.unwrap();
    assert_eq!(image.unwrap().image_id, theirs.image_id);
    // Whoever owns it can hand it over.
    let tag = Tag { key: crate::import::ORIGIN_TAG.to_owned(), value: "by.hand".to_owned() };
    let image = Importer::new(images.client().clone()).find_image(&region(TWO[1]), NAME).await.unwrap();
    images.tag(&region(TWO[1]), &image.unwrap(), &[tag], false).await.unwrap();
    let report = before.run().await.unwrap();
    assert_eq!(report.replaced.len(), 1);
    assert_eq!(report.replaced[0].image_id, theirs.image_id);
}

#[tokio::test]
async fn a_region_that_fails_keeps_all_names_where_they_are() {
    let world = published().await;
    let old = holders(&world).await;
    let full = Fault::Status {
        status: 403,
        code: "QuotaExceed.Image".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    world.emulator.set_faults(FaultPlan::of([FaultRule::on("CopyImage", full)]));
    let replace = publish(&world, world.alive(), Replaced::Delete).with_keep_going(true);
    let report = replace.run().await.unwrap();
    assert!(report.failures.len() == 1 && report.replaced.is_empty(), "{report:?}");
    assert_eq!(holders(&world).await, old);
    world.emulator.set_faults(FaultPlan::default());
    replace.run().await.unwrap();
    assert_ne!(holders(&world).await, old);
}

#[tokio::test]
async fn a_refused_renaming_leaves_the_name_to_the_old_image_or_gives_it_back() {
    let template = published().await;
    let old = holders(&template).await;
    let denied = || Fault::Status {
        status: 403,
        code: "Forbidden.RAM".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    for requests in 0..12 {
        let world = copied(&template);
        // Some requests are allowed first: the families, then a renaming.
        let rule = FaultRule::on("ModifyImageAttribute", denied()).with_attempts(requests + 1, u32::MAX);
        world.emulator.set_faults(FaultPlan::of([rule]));
        let replace = publish(&world, world.alive(), Replaced::Rename).with_public(true);
        if requests == 0 {
            let problems = Preflight::new(&replace).run().await;
            assert!(matches!(&problems[..], [Problem::RenameDenied { .. }, ..]), "{problems:?}");
        }
        let outcome = replace.run().await;
        if let Err(error) = &outcome {
            assert_eq!(error.kind(), crate::ErrorKind::Credentials, "{error:?}");
        }
        world.emulator.set_faults(FaultPlan::default());
        replace.run().await.unwrap();
        assert_replaced(&world, Replaced::Rename, &old, &format!("{requests}")).await;
    }
}

#[tokio::test]
async fn the_command_of_last_week_brings_its_image_back() {
    let world = published().await;
    let first = holders(&world).await;
    // This week another object is published under the same name, and then last week's command is run again.
    let last_week = publish(&world, world.alive(), Replaced::Deprecate).with_public(true);
    let object: ObjectRef = "oss://images/new.raw".parse().unwrap();
    put(&world.emulator, "images", "new.raw", &bootable());
    let disk = ImportDisk::new(object).with_format(DiskFormat::Raw).with_size_gib(40);
    let request = ImportRequest::new(region(REGIONS[0]), NAME, disk);
    last_week.run().await.unwrap();
    let first = [holders(&world).await, first].concat();
    Publish { request, ..last_week.clone() }.run().await.unwrap();
    let second = holders(&world).await;
    assert!(second.iter().all(|id| !first.contains(id)));
    last_week.run().await.unwrap();
    assert_eq!(holders(&world).await[..], first[..2], "nothing is imported or copied again");
    for (name, id) in TWO.into_iter().zip(&second) {
        let left = world.importer(world.alive()).image(&region(name), id).await.unwrap().unwrap();
        assert_eq!(left.status, ImageStatus::Deprecated, "{left:?}");
    }
    assert!(access(&world, TWO[0], &first[0]).await.public, "it is public again");
}

#[tokio::test]
async fn two_publishes_at_once_leave_each_name_to_one_of_them() {
    let world = Arc::new(published().await);
    let one = publish(&world, world.alive(), Replaced::Rename);
    // The other is of another request, on another machine.
    let request = one.request.clone().with_description("the other");
    let state = StateDir::new(world.folder.path().join("elsewhere"));
    let other = Publish { request, state, ..publish(&world, world.alive(), Replaced::Rename) };
    let (first, second) = tokio::join!(one.run(), other.run());
    assert!(missing(&world.importer(world.alive())).await.is_empty());
    for outcome in [first, second] {
        assert!(matches!(outcome, Ok(_) | Err(PublishError::Superseded { .. })), "{outcome:?}");
    }
    // Whoever runs once more wins everywhere.
    let report = one.run().await.unwrap();
    let named: Vec<_> = report.named().map(|made| made.task.image_id.clone()).collect();
    assert_eq!(holders(&world).await.to_vec(), named);
}

/// Bug: Ctrl-C between the two requests would have left the name to nobody until the next run.
#[tokio::test]
async fn stopped_gently_a_replacement_ends_what_it_has_begun_of_a_name() {
    let world = published().await;
    let stop = CancellationToken::new();
    let (sink, _) = notices();
    let stopping = Stopping { emulator: world.emulator.clone(), stop: stop.clone() };
    let replace =
        publish(&world, Arc::new(stopping), Replaced::Rename).with_events(sink).with_cancellation(stop);
    let error = replace.run().await.unwrap_err();
    assert!(matches!(error, PublishError::Cancelled { .. }), "{error:?}");
    assert!(missing(&world.importer(world.alive())).await.is_empty());
    assert!(
        all(&world, TWO[0])
            .await
            .iter()
            .any(|image| { image.name.as_deref().is_some_and(|name| name.contains("-replaced-")) })
    );
}

/// The emulator, and a user who stops it all when a name is taken away.
#[derive(Debug)]
struct Stopping {
    emulator: Emulator,
    stop: CancellationToken,
}

impl Transport for Stopping {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let takes =
                request.uri().query().is_some_and(|query| query.contains("ImageName=web-1-replaced-"));
            let answer = self.emulator.send(request).await;
            if takes {
                self.stop.cancel();
            }
            answer
        })
    }
}

#[tokio::test]
async fn without_replace_an_interrupted_replacement_takes_its_name_only_if_it_is_free() {
    for is_free in [true, false] {
        let world = if is_free { World::new() } else { published().await };
        if is_free {
            world.image();
            world.emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
            store(&world, 2);
        }
        // It dies while it looks for the copy.
        let denied = Fault::Status {
            status: 403,
            code: "QuotaExceed.Image".to_owned(),
            when: When::default(),
            retry_after: None,
        };
        world.emulator.set_faults(FaultPlan::of([FaultRule::on("CopyImage", denied)]));
        publish(&world, world.alive(), Replaced::Rename).run().await.unwrap_err();
        world.emulator.set_faults(FaultPlan::default());
        let outcome = publish(&world, world.alive(), None).run().await;
        match is_free {
            true => {
                let report = outcome.unwrap();
                assert_eq!(holders(&world).await[0], report.import.task.image_id);
                assert_eq!(all(&world, TWO[0]).await.len(), 1);
            }
            false => {
                let error = outcome.unwrap_err();
                assert!(matches!(error, PublishError::Import(ImportError::NameTaken { .. })), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_encrypted_image_replaces_an_encrypted_one_and_its_source_another_source() {
    let world = World::new();
    world.image();
    world.emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
    let encrypted = || {
        let publish = publish(&world, world.alive(), Replaced::Delete);
        publish.with_encryption(crate::publish::Encryption::new().with_key("key-1"))
    };
    store(&world, 1);
    encrypted().run().await.unwrap();
    store(&world, 2);
    let report = encrypted().run().await.unwrap();
    assert_eq!(report.replaced.len(), 3, "{report:?}");
    let mut names: Vec<_> = all(&world, TWO[0]).await.into_iter().filter_map(|image| image.name).collect();
    names.sort();
    assert_eq!(names, ["web-1", "web-1-unencrypted"]);
    assert_eq!(all(&world, TWO[1]).await.len(), 1);
    assert!(encrypted().run().await.unwrap().replaced.is_empty());
}
