//! A fleet over the emulator. Failures covered: killed before and after each request, first and while images are
//! replaced, and stopped gently; two runs at the same time, and one before the other; a plan that is another one than was agreed
//! to; a name that is another's; an import that fails; nothing to do.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::stream::{self, StreamExt as _};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::cancel::CancellationToken;
use crate::client::{Client, ClientOptions};
use crate::credentials::{BoxFuture, StaticCredentials};
use crate::emulator::testing::{every, put};
use crate::emulator::{Emulator, EmulatorOptions};
use crate::http::{Body, Transport, TransportError};
use crate::import::{CustomImage, ImportDisk, ImportRequest, Importer, Tag};
use crate::manage::Images;
use crate::model::{DiskFormat, Endpoint, ImageStatus, ObjectRef, Region};
use crate::protocol::ecs::DescribeSnapshots;
use crate::protocol::oss::ListObjects;
use crate::publish::Publish;
use crate::source::FileSource;
use crate::upload::Upload;
use crate::web::WebUrl;

const REGIONS: [&str; 2] = ["cn-hangzhou", "us-west-1"];

/// What happens right before the first request of an action.
type Hook = (&'static str, BoxFuture<'static, ()>);

/// The emulator, which dies with its client at one request: before it is carried out, or after.
struct Network {
    emulator: Emulator,
    requests: AtomicUsize,
    dies_at: Option<(usize, bool)>,
    dead: Arc<Notify>,
    log: Mutex<Vec<Done>>,
    /// Looks after each request who can be found.
    beside: Option<Importer>,
    /// Requests one after the other, so that what is seen after each is what it has made.
    in_turn: tokio::sync::Mutex<()>,
    /// How often each request lets others go first.
    dice: Mutex<Option<fastrand::Rng>>,
    hook: Mutex<Option<Hook>>,
    /// Cancelled as soon as nobody has the name.
    stop: Mutex<Option<CancellationToken>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

/// A request that was carried out, and what could be found after it.
#[derive(Debug, Clone)]
struct Done {
    number: usize,
    /// The ECS action or the method.
    action: String,
    query: String,
    missing: Missing,
}

/// In which regions no Available image has the name, and in which none is in the family.
#[derive(Debug, Clone, Copy, Default)]
struct Missing {
    name: [bool; 2],
    family: [bool; 2],
}

impl Missing {
    async fn look(beside: &Importer) -> Self {
        let mut missing = Self::default();
        for (index, place) in REGIONS.into_iter().enumerate() {
            let images = beside.images(&region(place)).await.unwrap();
            let usable = || images.iter().filter(|image| image.status == ImageStatus::Available);
            missing.name[index] = !usable().any(|image| image.name.as_deref() == Some("web"));
            missing.family[index] = !usable().any(|image| image.family.as_deref() == Some("web"));
        }
        missing
    }
}

impl Network {
    async fn act(
        &self,
        number: usize,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        let action = action_of(&request);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let _turn = self.in_turn.lock().await;
        let answer = self.emulator.send(request).await;
        let last = self.log.lock().unwrap().last().map(|done| done.missing);
        let missing = match (&self.beside, last) {
            (None, _) => Missing::default(),
            (Some(_), Some(last)) if looks(&action) => last,
            (Some(beside), _) => Missing::look(beside).await,
        };
        if let Some(stop) = self.stop.lock().unwrap().as_ref().filter(|_| missing.name != [false; 2]) {
            stop.cancel();
        }
        self.log.lock().unwrap().push(Done { number, action, query, missing });
        answer
    }

    fn log(&self) -> Vec<Done> {
        self.log.lock().unwrap().clone()
    }

    /// Does something right before the first request of an action.
    fn before(&self, action: &'static str, what: impl Future<Output = ()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some((action, Box::pin(what)));
    }
}

fn action_of(request: &http::Request<Body>) -> String {
    let action = request.headers().get("x-acs-action").map(|action| action.to_str().unwrap());
    action.unwrap_or(request.method().as_str()).to_owned()
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let turns = self.dice.lock().unwrap().as_mut().map_or(0, |dice| dice.u32(..4));
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            let action = action_of(&request);
            let hook = self.hook.lock().unwrap().take_if(|(before, _)| *before == action);
            if let Some((_, hook)) = hook {
                hook.await;
            }
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            match self.dies_at {
                Some((at, after)) if at == number => {
                    if after {
                        self.act(number, request).await?;
                    }
                    self.dead.notify_one();
                    std::future::pending().await
                }
                _ => self.act(number, request).await,
            }
        })
    }
}

/// Nobody misses the family at any moment, nor a name for longer than from one request of its region to the next. After a
/// kill in between, the next run only looks, or gives names, until it has closed the gap.
fn assert_never_missing(settings: &str, first: &[Done], second: &[Done], when: &str) {
    let all = || first.iter().chain(second);
    for done in all() {
        assert_eq!(done.missing.family, [false; 2], "{when}: {done:?}");
    }
    if settings != HANDED_OVER {
        return;
    }
    for (index, place) in REGIONS.into_iter().enumerate() {
        let (mut gap, mut waiting) = (false, false);
        for (number, done) in all().enumerate() {
            waiting = gap && (waiting || number >= first.len());
            let renames = done.action == "ModifyImageAttribute";
            if waiting {
                assert!(renames || looks(&done.action), "{when}, {place}: {done:?} in {second:?}");
            } else if gap && done.query.contains(place) {
                let closes = renames && !done.missing.name[index];
                assert!(closes, "{when}, {place}: the name is missing for two requests: {first:?}");
            }
            gap = done.missing.name[index];
        }
        assert!(!gap, "{when}: {place} has lost its name");
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
            requests: AtomicUsize::new(0),
            dies_at,
            dead: Arc::default(),
            log: Mutex::default(),
            beside: None,
            in_turn: tokio::sync::Mutex::default(),
            dice: Mutex::default(),
            hook: Mutex::default(),
            stop: Mutex::default(),
        })
    }

    /// A network that sees what can be found after each request.
    fn watched(&self, dies_at: Option<(usize, bool)>) -> Arc<Network> {
        let beside = Some(self.importer(Arc::new(self.emulator.clone())));
        let network = Arc::into_inner(self.network(dies_at)).unwrap();
        Arc::new(Network { beside, ..network })
    }

    fn importer(&self, network: Arc<dyn Transport>) -> Importer {
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
        self.sync_of(&self.disk().display().to_string(), network, settings, machine)
    }

    /// A run whose image is made of `source`.
    fn sync_of(&self, source: &str, network: Arc<Network>, settings: &str, machine: &str) -> Fleet {
        let text = format!(
            "fleet = \"fleet\"\nbucket = \"oss://images/in\"\n[image.web]\nsource = \"{source}\"\nregions = [\"us-west-1\"]\n{settings}"
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
        let network = self.watched(Some((at, after)));
        let sync = self.sync(network.clone(), settings, "one");
        tokio::select! {
            biased;
            () = network.dead.notified() => {}
            // In another order, it may be one request less.
            report = sync.run() => no_failure(report),
        }
        network
    }

    /// Runs on another machine, and asserts that everything is as the file says.
    async fn finish(&self, settings: &str) -> Vec<Done> {
        let finishing = self.watched(None);
        no_failure(self.sync(finishing.clone(), settings, "two").run().await);
        let network = self.network(None);
        let sync = self.sync(network.clone(), settings, "three");
        let left = sync.plan().await.unwrap();
        assert!(left.changes.is_empty(), "{left:?}");
        only_looks(&network);
        finishing.log()
    }

    async fn assert_is_so(&self, settings: &str, version: u8, count: usize) {
        for place in REGIONS {
            let images = self.images(place).await;
            assert_eq!(images.len(), count, "{place}: {images:?}");
            let current = self.current(&images, settings).await;
            let current = current.unwrap_or_else(|| panic!("{place} has no image {version}: {images:?}"));
            assert_eq!(current.family.as_deref(), Some("web"));
            assert!(current.tags.iter().any(|tag| tag.key == "team" && tag.value == "a"));
            assert_eq!(self.snapshots_without(place, &current, "team").await, 0, "{place}");
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

    /// Counts the snapshots of an image that lack a tag.
    async fn snapshots_without(&self, place: &str, image: &CustomImage, key: &str) -> usize {
        let client = self.importer(self.network(None)).client().clone();
        let snapshots = client.call(&DescribeSnapshots::new(region(place), image.snapshots())).await.unwrap();
        let snapshots = snapshots.snapshots;
        assert!(!snapshots.is_empty());
        snapshots.iter().filter(|snapshot| snapshot.tags.iter().all(|tag| tag.key != key)).count()
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
    for done in network.log() {
        assert!(looks(&done.action), "{done:?}");
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

/// How many of the requests that only look are passed over: nothing is kept that the next run has, so that to die at one of
/// them is much as to die at the change before it.
const LOOKS_PASSED: usize = 6;

/// Kills a run of `world` at every request, before it is carried out and after, and calls `then` with each world. Much of the
/// time goes by in waiting, so many of them go on at once.
async fn killed_everywhere<F: Future<Output = ()>>(
    world: &World,
    settings: &str,
    then: impl Fn(World, Arc<Network>, String) -> F,
) {
    let whole = world.fork();
    let network = whole.network(None);
    no_failure(whole.sync(network.clone(), settings, "one").run().await);
    let log = network.log();
    let changes = log.iter().filter(|done| !looks(&done.action)).count();
    assert!(changes > 10 && log.len() > 2 * changes, "{changes} changes, {} requests", log.len());
    let (mut kills, mut looked) = (Vec::new(), 0);
    for done in log {
        if !looks(&done.action) {
            kills.extend([(done.number, false), (done.number, true)]);
            continue;
        }
        // It is all the same whether a client dies before a request that changes nothing, or after it.
        if looked % every(LOOKS_PASSED) == 0 {
            kills.push((done.number, false));
        }
        looked += 1;
    }
    // The futures make their worlds themselves: there is room for some at a time.
    let kills = kills.into_iter().map(|(at, after)| {
        let then = &then;
        async move {
            let fork = world.fork();
            let network = fork.killed(at, after, settings).await;
            then(fork, network, format!("killed {} request {at}", if after { "after" } else { "before" }))
                .await;
        }
    });
    stream::iter(kills).buffer_unordered(32).collect::<()>().await;
}

#[tokio::test]
async fn killed_at_every_request_the_first_run_is_finished_on_another_machine() {
    killed_everywhere(&World::new(), HANDED_OVER, async |world, _, _| {
        world.finish(HANDED_OVER).await;
        world.assert_is_so(HANDED_OVER, 1, 1).await;
    })
    .await;
}

async fn killed_while_replacing(settings: &str, kept: usize) {
    let first = World::new();
    no_failure(first.sync(first.network(None), settings, "one").run().await);
    first.build(2);
    killed_everywhere(&first, settings, async |world, network, when| {
        let second = world.finish(settings).await;
        assert_never_missing(settings, &network.log(), &second, &when);
        world.assert_is_so(settings, 2, kept).await;
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_request_a_new_image_takes_the_name_over_and_nothing_is_missing_meanwhile() {
    killed_while_replacing(HANDED_OVER, 1).await;
}

#[tokio::test]
async fn killed_at_every_request_a_new_image_takes_the_family_over_and_nothing_is_missing_meanwhile() {
    killed_while_replacing(SIDE_BY_SIDE, 2).await;
}

#[tokio::test]
async fn a_run_that_is_to_end_leaves_no_name_to_nobody() {
    for seed in 0..8 {
        let world = World::new();
        no_failure(world.sync(world.network(None), HANDED_OVER, "one").run().await);
        world.build(2);
        let (network, stop) = (world.watched(None), CancellationToken::new());
        *network.stop.lock().unwrap() = Some(stop.clone());
        *network.dice.lock().unwrap() = Some(fastrand::Rng::with_seed(seed));
        let ended = world.sync(network.clone(), HANDED_OVER, "one").with_cancellation(stop).run().await;
        assert!(matches!(ended, Err(SyncError::Cancelled)), "{ended:?}");
        assert_eq!(network.log().last().unwrap().missing.name, [false; 2]);
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
    let log = network.log();
    let tagged = log.iter().filter(|done| done.action == "TagResources" && done.query.contains("team"));
    let kinds: Vec<bool> = tagged.map(|done| done.query.contains("ResourceType=snapshot")).collect();
    assert_eq!(kinds.iter().filter(|is_snapshot| **is_snapshot).count(), REGIONS.len(), "{log:?}");
    let first_image = kinds.iter().position(|is_snapshot| !is_snapshot);
    assert!(first_image.is_some_and(|at| at > 0), "{log:?}");
}

/// Bug: a slow run imported its image when the fast one had already given the name under which both make it to its own.
#[tokio::test]
async fn of_two_runs_that_make_the_same_one_after_the_other_the_slow_one_leaves_no_spare_image() {
    for action in ["ImportImage", "CopyImage"] {
        let world = World::new();
        let importer = world.importer(Arc::new(world.emulator.clone()));
        let object: ObjectRef = "oss://images/golden.raw".parse().unwrap();
        let source = Arc::new(FileSource::open(world.disk()).unwrap());
        Upload::new(importer.client().clone(), source, object.clone()).run().await.unwrap();
        let settings = "family = \"web\"\ntags = { team = \"a\" }";
        let run = |network, machine| world.sync_of(&object.to_string(), network, settings, machine);
        let fast = run(world.network(None), "fast");
        let slow = world.network(None);
        let ((here, at), (done, fast_done)) = (oneshot::channel(), oneshot::channel());
        slow.before(action, async move {
            here.send(()).unwrap();
            fast_done.await.unwrap();
        });
        let fast = async {
            at.await.unwrap();
            no_failure(fast.run().await);
            done.send(()).unwrap();
        };
        let slow = run(slow, "slow");
        let (report, ()) = tokio::join!(slow.run(), fast);
        let spare = |change: &Change| matches!(change.action, Action::Delete { reason: Reason::Spare, .. });
        let removed = report.as_ref().unwrap().done.iter().filter(|change| spare(change)).count();
        assert!(removed > 0, "{report:?}");
        no_failure(report);
        for place in REGIONS {
            let images = world.images(place).await;
            assert!(matches!(&images[..], [image] if image.name.as_deref() == Some("web")), "{images:?}");
        }
        assert!(run(world.network(None), "three").plan().await.unwrap().changes.is_empty());
    }
}

#[tokio::test]
async fn tags_that_the_file_drops_go_from_images_and_snapshots_and_those_of_others_stay() {
    let world = World::new();
    let with = |tags: &str| format!("family = \"web\"\ntags = {{ {tags} }}");
    no_failure(world.sync(world.network(None), &with("team = \"a\", stage = \"x\""), "one").run().await);
    let images = Images::new(world.importer(world.network(None)).client().clone());
    for place in REGIONS {
        let image = world.images(place).await.remove(0);
        assert_eq!(world.snapshots_without(place, &image, "stage").await, 0);
        let by_hand = [Tag { key: "by".to_owned(), value: "hand".to_owned() }];
        images.tag(&region(place), &image, &by_hand, false).await.unwrap();
    }
    let fewer = with("team = \"a\"");
    // Killed anywhere, it is finished by the next run.
    for at in (0..60).step_by(every(5)) {
        for after in [false, true] {
            let fork = world.fork();
            fork.killed(at, after, &fewer).await;
            fork.finish(&fewer).await;
            fork.assert_is_so(&fewer, 1, 1).await;
            for place in REGIONS {
                let image = fork.images(place).await.remove(0);
                let tags = (image.tag("stage"), image.tag("by"));
                assert_eq!(tags, (None, Some("hand")), "{at} {after}: {image:?}");
                assert_eq!(fork.snapshots_without(place, &image, "stage").await, 1, "{at} {after}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_does_not_boot_gets_no_name_and_no_copy_and_the_next_run_tests_it_again() {
    let world = World::new();
    no_failure(world.sync(world.network(None), HANDED_OVER, "one").run().await);
    world.build(2);
    let tested = format!(
        "{HANDED_OVER}\nboot-test = {{ instance-type = \"ecs.g7.large\", vswitch = \"vsw-emulated\", security-group = \"sg-emulated\" }}"
    );
    let panic =
        "Linux version 6.1\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    world.emulator.update_ecs(|ecs| ecs.console = Some(panic.to_owned()));
    let report = world.sync(world.network(None), &tested, "one").run().await.unwrap();
    let failure = &report.failures["web"];
    assert!(
        matches!(failure, SyncError::Change { change, source }
            if matches!(change.action, Action::BootTest { .. }) && matches!(**source, ChangeError::BootTest(_))),
        "{failure:?}"
    );
    assert_eq!((world.images(REGIONS[0]).await.len(), world.images(REGIONS[1]).await.len()), (2, 1));
    assert_eq!(Missing::look(&world.importer(world.network(None))).await.name, [false; 2]);
    world.emulator.update_ecs(|ecs| ecs.console = None);
    world.finish(&tested).await;
    world.assert_is_so(&tested, 2, 1).await;
    // One that was refused as a dry run, before the import, and two instances.
    assert_eq!(world.emulator.requests()["RunInstances"], 3);
}

#[tokio::test]
async fn what_was_not_agreed_to_is_not_done() {
    let world = World::new();
    no_failure(world.sync(world.network(None), HANDED_OVER, "one").run().await);
    world.build(2);
    let agreed = world.sync(world.network(None), HANDED_OVER, "one").plan().await.unwrap();
    let goes = |change: &Change| matches!(change.action, Action::Delete { .. });
    assert_eq!(agreed.changes.iter().filter(|change| goes(change)).count(), 2, "{agreed:?}");

    // The file is written again before somebody has answered.
    let other = world.fork();
    other.build(3);
    let network = other.network(None);
    let fleet = other.sync_of(&other.disk().display().to_string(), network.clone(), HANDED_OVER, "one");
    let error = fleet.with_agreed(&agreed).run().await.unwrap_err();
    assert!(error.to_string().contains("are no longer those that were confirmed"), "{error}");
    only_looks(&network);

    // Another image would go that was not there.
    let fewer = FleetPlan::default();
    let network = world.network(None);
    let fleet = world.sync(network.clone(), HANDED_OVER, "one").with_agreed(&fewer);
    let error = fleet.run().await.unwrap_err();
    assert!(matches!(&error, SyncError::NotAgreed { change } if change.entry == "web"), "{error}");
    only_looks(&network);

    // One that comes while the run goes on stays, and everything else is done.
    let late = world.fork();
    let images = Images::new(late.importer(Arc::new(late.emulator.clone())).client().clone());
    let network = late.network(None);
    let fleet = late.sync(network.clone(), HANDED_OVER, "one").with_agreed(&agreed);
    let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
    let tags = [tag(ENTRY_TAG, "fleet/web"), tag(CONTENT_TAG, "another")];
    network.before("ModifyImageAttribute", async move {
        let place = region(REGIONS[0]);
        let image = images.list(&place, &Default::default()).await.unwrap();
        let image = image.iter().find(|image| image.name.as_deref() == Some("web")).unwrap().clone();
        let object: ObjectRef = "oss://images/late.raw".parse().unwrap();
        put(&late.emulator, "images", "late.raw", &crate::emulator::testing::disk());
        let disk = ImportDisk::new(object).with_format(DiskFormat::Raw);
        let mut request = ImportRequest::new(place.clone(), "late", disk);
        for tag in tags {
            request = request.with_tag(tag.key, tag.value);
        }
        let importer = Importer::new(images.client().clone());
        let token = "late".parse().unwrap();
        let task = importer.submit(&request, &token, &request.origin_of_token(&token)).await.unwrap();
        importer.follow(&task).await.unwrap();
        assert_ne!(image.image_id, task.image_id);
    });
    let report = fleet.run().await.unwrap();
    let failure = report.failures.get("web").unwrap();
    assert!(
        failure.to_string().contains("would be deleted, and that is not what was confirmed"),
        "{failure}"
    );
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
    assert_eq!(log.iter().filter(|done| done.action == "DescribeImages").count(), REGIONS.len());
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
