//! A fleet over the emulator. Failures covered: killed before and after each request, first and while images are
//! replaced; two runs at the same time; a name that is another's; an import that fails; nothing to do.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::stream::{self, StreamExt as _};
use tokio::sync::Notify;

use super::*;
use crate::cancel::CancellationToken;
use crate::client::{Client, ClientOptions};
use crate::credentials::{BoxFuture, StaticCredentials};
use crate::emulator::{Emulator, EmulatorOptions};
use crate::http::{Body, Transport, TransportError};
use crate::import::{CustomImage, ImportDisk, ImportRequest, Importer};
use crate::manage::Images;
use crate::model::{DiskFormat, Endpoint, ImageStatus, ObjectRef, Region};
use crate::protocol::oss::ListObjects;
use crate::publish::Publish;
use crate::source::FileSource;
use crate::upload::Upload;
use crate::web::WebUrl;

const REGIONS: [&str; 2] = ["cn-hangzhou", "us-west-1"];

/// The emulator, which dies with its client at one request that changes something: before it is carried out, or after.
#[derive(Debug)]
struct Network {
    emulator: Emulator,
    changes: AtomicUsize,
    dies_at: Option<(usize, bool)>,
    dead: Arc<Notify>,
    /// What was carried out: the ECS action or the method, and the query.
    log: Mutex<Vec<(String, String)>>,
    /// How often each request lets others go first.
    dice: Mutex<Option<fastrand::Rng>>,
    /// Is cancelled as soon as an image has lost the name `web`.
    stop: CancellationToken,
}

impl Network {
    async fn act(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let action = request.headers().get("x-acs-action").map(|action| action.to_str().unwrap().to_owned());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let action = action.unwrap_or_else(|| request.method().to_string());
        self.log.lock().unwrap().push((action, query));
        let answer = self.emulator.send(request).await;
        if REGIONS.into_iter().any(|place| self.is_between_renames(place)) {
            self.stop.cancel();
        }
        answer
    }
}

impl Network {
    /// Whether the last name that an image of a region got is one that an image gets which hands `web` over. A name belongs
    /// to one image: between two requests it is nobody's.
    fn is_between_renames(&self, place: &str) -> bool {
        let log = self.log.lock().unwrap();
        let last = log.iter().rfind(|(action, query)| {
            action == "ModifyImageAttribute" && query.contains("ImageName=") && query.contains(place)
        });
        last.is_some_and(|(_, query)| query.contains("ImageName=web-"))
    }
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let action = request.headers().get("x-acs-action").and_then(|action| action.to_str().ok());
            let is_look = looks(action.unwrap_or(request.method().as_str()));
            let turns = self.dice.lock().unwrap().as_mut().map_or(0, |dice| dice.u32(..4));
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            // To die at a look is to die after the change before it: nothing is kept here that the next run has.
            let number = if is_look { usize::MAX } else { self.changes.fetch_add(1, Ordering::Relaxed) };
            match self.dies_at {
                Some((at, after)) if at == number => {
                    if after {
                        self.act(request).await?;
                    }
                    self.dead.notify_one();
                    std::future::pending().await
                }
                _ => self.act(request).await,
            }
        })
    }
}

/// Opens files as they are, and imports them as RAW.
struct Plain {
    importer: Importer,
    state: PathBuf,
}

impl Maker for Plain {
    fn version_of<'a>(&'a self, url: &'a WebUrl) -> BoxFuture<'a, Result<String, MakeError>> {
        Box::pin(async move { Err(format!("{url} is not there").into()) })
    }

    fn publish<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Publish, MakeError>> {
        Box::pin(async move {
            let client = self.importer.client();
            let (object, upload) = match &order.entry.source {
                Source::Object(object) => (object.clone(), None),
                Source::File(path) => {
                    let key = format!("{}disk.raw", order.folder).parse()?;
                    let object = ObjectRef::new(order.bucket.clone(), key);
                    let upload =
                        Upload::new(client.clone(), Arc::new(FileSource::open(path)?), object.clone());
                    (object, Some(upload.with_state_dir(&self.state)))
                }
                Source::Web(url) => return Err(format!("{url} is not there").into()),
            };
            let disk = ImportDisk::new(object).with_format(DiskFormat::Raw).with_size_gib(40);
            let mut request = ImportRequest::new(client.region().clone(), order.name, disk);
            for tag in order.tags {
                request = request.with_tag(tag.key, tag.value);
            }
            let publish = Publish::new(self.importer.clone(), request, &self.state);
            Ok(upload.into_iter().fold(publish, Publish::with_upload))
        })
    }
}

struct World {
    folder: tempfile::TempDir,
    emulator: Emulator,
}

/// Returns a folder in memory where there is one: what a run writes is synchronised often, and here nothing has to last.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let folder = folder();
        // Hours pass in no time: the first look finds everything done.
        let options = EmulatorOptions::local(folder.path().join("store")).with_speed(1e8);
        let emulator = Emulator::open(options).unwrap();
        emulator.create_bucket("images".parse().unwrap(), region(REGIONS[0])).unwrap();
        let world = Self { folder, emulator };
        world.build(1);
        world
    }

    /// Returns a world in which the same has happened.
    fn fork(&self) -> Self {
        fn copy(from: &Path, to: &Path) {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let (entry, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
                let to = to.join(entry.file_name().unwrap());
                if kind.is_dir() {
                    copy(&entry, &to);
                } else {
                    std::fs::copy(&entry, &to).unwrap();
                }
            }
        }
        let folder = folder();
        copy(self.folder.path(), folder.path());
        let options = EmulatorOptions::local(folder.path().join("store")).with_speed(1e8);
        Self { emulator: Emulator::open(options).unwrap(), folder }
    }

    /// Writes the file that the image is made of.
    fn build(&self, version: u8) {
        let mut disk = crate::emulator::testing::disk();
        *disk.last_mut().unwrap() = version;
        std::fs::write(self.disk(), disk).unwrap();
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    fn network(&self, dies_at: Option<(usize, bool)>) -> Arc<Network> {
        Arc::new(Network {
            emulator: self.emulator.clone(),
            changes: AtomicUsize::new(0),
            dies_at,
            dead: Arc::default(),
            log: Mutex::default(),
            dice: Mutex::default(),
            stop: CancellationToken::new(),
        })
    }

    fn importer(&self, network: Arc<Network>) -> Importer {
        // The emulator takes the region from the host's name.
        let endpoint: Endpoint = format!("http://oss-{}.aliyuncs.com", REGIONS[0]).parse().unwrap();
        let anonymous = Arc::new(StaticCredentials::anonymous());
        let options = ClientOptions::new(endpoint, region(REGIONS[0]), anonymous, network)
            .with_rpc_endpoint("http://localhost".parse().unwrap())
            .with_dice(Arc::new(|| 0.0));
        Importer::new(Client::new(options))
    }

    /// A run on a machine of this name.
    fn sync(&self, network: Arc<Network>, settings: &str, machine: &str) -> Fleet {
        let text = format!(
            "fleet = \"fleet\"\nbucket = \"oss://images/in\"\n[image.web]\nsource = \"{}\"\nregions = [\"us-west-1\"]\n{settings}",
            self.disk().display()
        );
        let file = SyncFile::parse(&text, |_| None).unwrap();
        let importer = self.importer(network);
        let maker = Plain { importer: importer.clone(), state: self.folder.path().join(machine) };
        Fleet::new(importer, file, Arc::new(maker))
    }

    async fn images(&self, place: &str) -> Vec<CustomImage> {
        let images = Images::new(self.importer(self.network(None)).client().clone());
        images.list(&region(place), &Default::default()).await.unwrap()
    }

    /// Runs until the process dies.
    async fn killed(&self, at: usize, after: bool, settings: &str) -> Arc<Network> {
        let network = self.network(Some((at, after)));
        let sync = self.sync(network.clone(), settings, "one");
        tokio::select! {
            biased;
            () = network.dead.notified() => {}
            // In another order, it may be one change less.
            report = sync.run() => no_failure(report),
        }
        network
    }

    /// Runs on another machine, and asserts that everything is as the file says.
    async fn finish(&self, settings: &str) {
        no_failure(self.sync(self.network(None), settings, "two").run().await);
        let network = self.network(None);
        let sync = self.sync(network.clone(), settings, "three");
        let left = sync.plan().await.unwrap();
        assert!(left.changes.is_empty(), "{left:?}");
        only_looks(&network);
    }

    async fn assert_is_so(&self, settings: &str, version: u8, count: usize) {
        for place in REGIONS {
            let images = self.images(place).await;
            assert_eq!(images.len(), count, "{place}: {images:?}");
            let current = self.current(&images, settings).await;
            let current = current.unwrap_or_else(|| panic!("{place} has no image {version}: {images:?}"));
            assert_eq!(current.family.as_deref(), Some("web"));
            assert!(current.tags.iter().any(|tag| tag.key == "team" && tag.value == "a"));
        }
        assert!(self.objects().await.is_empty(), "an object is left");
    }

    /// Returns the image that is made of what the file is now, if it has its name.
    async fn current(&self, images: &[CustomImage], settings: &str) -> Option<CustomImage> {
        let sync = self.sync(self.network(None), settings, "three");
        let content =
            maker::content_of(sync.importer.client(), &sync.files, &*sync.maker, &sync.file.entries[0])
                .await
                .unwrap();
        let name = &sync.file.entries[0].name;
        let name = name.handed_over().map_or_else(|| name.of_content(&content), str::to_owned);
        let is_current = |image: &&CustomImage| {
            image.tags.iter().any(|tag| tag.key == CONTENT_TAG && tag.value == content)
                && image.name.as_ref() == Some(&name)
                && image.status == ImageStatus::Available
        };
        images.iter().find(is_current).cloned()
    }

    /// Lists the objects of the bucket.
    async fn objects(&self) -> Vec<String> {
        let list = ListObjects::new("images".parse().unwrap());
        let page = self.importer(self.network(None)).client().call(&list).await.unwrap();
        page.objects.into_iter().map(|object| object.key).collect()
    }
}

fn no_failure(report: Result<SyncReport, SyncError>) {
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    assert!(report.failures.is_empty(), "{report:?}");
}

fn only_looks(network: &Network) {
    for (action, query) in network.log.lock().unwrap().iter() {
        assert!(looks(action), "{action} {query}");
    }
}

fn looks(action: &str) -> bool {
    action.starts_with("Describe") || ["GET", "HEAD"].contains(&action)
}

const HANDED_OVER: &str =
    "family = \"web\"\ntags = { team = \"a\" }\nkeep = 1\nshare-with = [\"1234567890123456\"]";
const SIDE_BY_SIDE: &str =
    "name = \"web-{content}\"\nfamily = \"web\"\ntags = { team = \"a\" }\nvisibility = \"public\"";

#[tokio::test]
async fn a_plan_changes_nothing_and_a_run_leaves_nothing_to_plan() {
    let world = World::new();
    let network = world.network(None);
    let planned = world.sync(network.clone(), HANDED_OVER, "one").plan().await.unwrap();
    only_looks(&network);
    assert!(world.images(REGIONS[0]).await.is_empty() && world.objects().await.is_empty());
    let report = world.sync(world.network(None), HANDED_OVER, "one").run().await.unwrap();
    // All that was planned was done, and the object that it needed is gone.
    assert_eq!(report.done.len(), planned.changes.len() + 1);
    world.finish(HANDED_OVER).await;
    world.assert_is_so(HANDED_OVER, 1, 1).await;
    world.build(2);
    world.finish(HANDED_OVER).await;
    world.assert_is_so(HANDED_OVER, 2, 1).await;
}

/// Kills a run of `world` at every change, before it is carried out and after, and calls `then` with each world. Much of the
/// time goes by in waiting, so many of them go on at once.
async fn killed_everywhere<F: Future<Output = ()>>(
    world: &World,
    settings: &str,
    then: impl Fn(World, Arc<Network>, String) -> F,
) {
    let whole = world.fork();
    let network = whole.network(None);
    no_failure(whole.sync(network.clone(), settings, "one").run().await);
    let count = network.changes.load(Ordering::Relaxed);
    assert!(count > 10, "{count} changes");
    let kills = (0..count).flat_map(|at| [(at, false), (at, true)]);
    let kills: Vec<_> = kills
        .map(|(at, after)| {
            let (fork, then) = (world.fork(), &then);
            async move {
                let network = fork.killed(at, after, settings).await;
                then(fork, network, format!("killed {} change {at}", if after { "after" } else { "before" }))
                    .await;
            }
        })
        .collect();
    stream::iter(kills).buffer_unordered(32).collect::<()>().await;
}

#[tokio::test]
async fn killed_at_every_change_the_first_run_is_finished_on_another_machine() {
    killed_everywhere(&World::new(), HANDED_OVER, async |world, _, _| {
        world.finish(HANDED_OVER).await;
        world.assert_is_so(HANDED_OVER, 1, 1).await;
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_change_a_new_image_takes_over_and_nothing_is_missing_meanwhile() {
    for (settings, kept) in [(HANDED_OVER, 1), (SIDE_BY_SIDE, 2)] {
        let first = World::new();
        no_failure(first.sync(first.network(None), settings, "one").run().await);
        first.build(2);
        killed_everywhere(&first, settings, async |world, network, when| {
            for place in REGIONS {
                let images = world.images(place).await;
                let available = |image: &&CustomImage| image.status == ImageStatus::Available;
                let mut usable = images.iter().filter(available);
                assert!(usable.clone().any(|image| image.family.as_deref() == Some("web")), "{place} {when}");
                if settings == HANDED_OVER && !usable.any(|image| image.name.as_deref() == Some("web")) {
                    assert!(network.is_between_renames(place), "{place} has lost its name, {when}");
                }
            }
            world.finish(settings).await;
            world.assert_is_so(settings, 2, kept).await;
        })
        .await;
    }
}

#[tokio::test]
async fn two_runs_at_the_same_time_do_no_harm() {
    for seed in 0..12 {
        let world = World::new();
        if seed % 2 == 1 {
            no_failure(world.sync(world.network(None), HANDED_OVER, "one").run().await);
            world.build(2);
        }
        let run = |machine: &'static str, seed: u64| {
            let network = world.network(None);
            *network.dice.lock().unwrap() = Some(fastrand::Rng::with_seed(seed));
            let sync = world.sync(network, HANDED_OVER, machine);
            async move { sync.run().await }
        };
        let (one, two) = tokio::join!(run("one", seed * 2), run("two", seed * 2 + 1));
        no_failure(one);
        no_failure(two);
        world.finish(HANDED_OVER).await;
        world.assert_is_so(HANDED_OVER, if seed % 2 == 1 { 2 } else { 1 }, 1).await;
    }
}

#[tokio::test]
async fn a_run_that_is_to_end_leaves_no_name_to_nobody() {
    for seed in 0..8 {
        let world = World::new();
        no_failure(world.sync(world.network(None), HANDED_OVER, "one").run().await);
        world.build(2);
        let network = world.network(None);
        *network.dice.lock().unwrap() = Some(fastrand::Rng::with_seed(seed));
        let sync = world.sync(network.clone(), HANDED_OVER, "one").with_cancellation(network.stop.clone());
        let ended = sync.run().await;
        assert!(matches!(ended, Err(SyncError::Cancelled)), "{ended:?}");
        for place in REGIONS {
            let images = world.images(place).await;
            let named = images.iter().filter(|image| image.name.as_deref() == Some("web")).count();
            assert_eq!(named, 1, "{place}: {images:?}");
        }
        world.finish(HANDED_OVER).await;
        world.assert_is_so(HANDED_OVER, 2, 1).await;
    }
}

/// An image that has the tags is left alone, so it must not get them before its snapshots.
#[tokio::test]
async fn an_image_has_its_tags_only_if_its_snapshots_have_them() {
    let world = World::new();
    let network = world.network(None);
    no_failure(world.sync(network.clone(), HANDED_OVER, "one").run().await);
    let log = network.log.lock().unwrap();
    let tagged = log.iter().filter(|(action, query)| action == "TagResources" && query.contains("team"));
    let kinds: Vec<bool> = tagged.map(|(_, query)| query.contains("ResourceType=snapshot")).collect();
    assert_eq!(kinds.iter().filter(|is_snapshot| **is_snapshot).count(), REGIONS.len(), "{log:?}");
    let first_image = kinds.iter().position(|is_snapshot| !is_snapshot);
    assert!(first_image.is_some_and(|at| at > 0), "{log:?}");
}

#[tokio::test]
async fn a_plan_of_many_entries_looks_at_each_region_once() {
    let (world, mut more) = (World::new(), String::new());
    for entry in ["db", "log"] {
        let disk = world.disk();
        more += &format!("[image.{entry}]\nsource = \"{}\"\nregions = [\"us-west-1\"]\n", disk.display());
    }
    let network = world.network(None);
    let plan = world.sync(network.clone(), &more, "one").plan().await.unwrap();
    let made = plan.changes.iter().filter(|change| matches!(change.action, Action::Create { .. }));
    assert_eq!(made.count(), 3);
    let log = network.log.lock().unwrap();
    assert_eq!(log.iter().filter(|(action, _)| action == "DescribeImages").count(), REGIONS.len());
}

#[tokio::test]
async fn a_file_that_is_written_again_meanwhile_is_not_taken_for_what_it_was() {
    let world = World::new();
    let sync = world.sync(world.network(None), HANDED_OVER, "one");
    sync.plan().await.unwrap();
    let entry = &sync.file.entries[0];
    assert_eq!(sync.files.changed(entry), None);
    world.build(2);
    let other_time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
    std::fs::File::options().append(true).open(world.disk()).unwrap().set_modified(other_time).unwrap();
    assert_eq!(sync.files.changed(entry), Some(world.disk()));
    // It is read again, and is another image.
    no_failure(sync.run().await);
    world.assert_is_so(HANDED_OVER, 2, 1).await;
}

#[tokio::test]
async fn a_name_of_somebody_else_s_image_stops_everything() {
    let world = World::new();
    let importer = world.importer(world.network(None));
    let object: ObjectRef = "oss://images/theirs.raw".parse().unwrap();
    let source = Arc::new(FileSource::open(world.disk()).unwrap());
    Upload::new(importer.client().clone(), source, object.clone()).run().await.unwrap();
    let request =
        ImportRequest::new(region(REGIONS[0]), "web", ImportDisk::new(object).with_format(DiskFormat::Raw));
    let token = "theirs".parse().unwrap();
    importer.submit(&request, &token, &request.origin_of_token(&token)).await.unwrap();
    let before = world.images(REGIONS[0]).await;
    let network = world.network(None);
    let error = world.sync(network.clone(), HANDED_OVER, "one").run().await.unwrap_err();
    let id = &before[0].image_id;
    assert_eq!(
        error.to_string(),
        format!(
            "`web` needs the name `web` in cn-hangzhou, which image {id} has, and that is not of this fleet's making: \
             nothing was changed"
        )
    );
    only_looks(&network);
    assert_eq!(world.images(REGIONS[0]).await.len(), 1);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_put_right_and_what_the_file_drops_goes() {
    let world = World::new();
    no_failure(world.sync(world.network(None), SIDE_BY_SIDE, "one").run().await);
    let images = Images::new(world.importer(world.network(None)).client().clone());
    let place = region(REGIONS[1]);
    let image = world.images(REGIONS[1]).await.remove(0);
    images.unpublish(&place, &image.image_id).await.unwrap();
    images.untag(&place, &image, &["team".to_owned()], false).await.unwrap();
    images.rename(&place, &image.image_id, "by-hand").await.unwrap();
    world.finish(SIDE_BY_SIDE).await;
    world.assert_is_so(SIDE_BY_SIDE, 1, 1).await;
    // Without the entry, and without a region.
    let mut sync = world.sync(world.network(None), SIDE_BY_SIDE, "one");
    sync.file.entries.clear();
    sync.file.removed = Removed::Deprecate;
    no_failure(sync.run().await);
    for place in REGIONS {
        assert!(
            world.images(place).await.iter().all(|image| image.status == ImageStatus::Deprecated),
            "{place}"
        );
    }
    // It comes back.
    world.finish(SIDE_BY_SIDE).await;
    world.assert_is_so(SIDE_BY_SIDE, 1, 1).await;
    sync.file.removed = Removed::Delete;
    no_failure(sync.run().await);
    for place in REGIONS {
        assert!(world.images(place).await.is_empty(), "{place}");
    }
}
