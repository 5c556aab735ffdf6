//! The room against the emulator. Failures covered: killed before and after each request, answer lost, refused half-way,
//! image gone meanwhile, name taken, in use, shared, public, deprecated, being made, another account's, more than a page.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::*;
use crate::client::ClientOptions;
use crate::clock::Clock;
use crate::credentials::{BoxFuture, Credentials, StaticCredentials};
use crate::emulator::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET, disk, put};
use crate::emulator::{EcsOptions, Emulator};
use crate::http::{Body, Transport, TransportError, full};
use crate::import::{ImportDisk, Tag};
use crate::model::{AccountId, Endpoint, EndpointKind, ImageStatus};
use crate::protocol::ecs::{ImportImage, ModifyImageSharePermission};

mod prune;

/// The emulator behind a network at which the process dies, or which refuses one action.
#[derive(Debug)]
struct Network {
    emulator: Emulator,
    sent: AtomicUsize,
    /// At which request the process dies, and whether the service still acts on it.
    dies: Mutex<Option<(usize, bool)>>,
    dead: Notify,
    /// At which request it waits for somebody else.
    waits: Mutex<Option<usize>>,
    goes_on: Notify,
    /// An action that is not allowed.
    denied: Mutex<Option<&'static str>>,
    /// What DescribeImages answers instead.
    canned: Mutex<Option<String>>,
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let dies = *self.dies.lock().unwrap();
            if let Some((_, acts)) = dies.filter(|(at, _)| *at == number) {
                if acts {
                    self.emulator.send(request).await?;
                }
                self.dead.notify_one();
                return std::future::pending().await;
            }
            let waits = self.waits.lock().unwrap().take_if(|at| *at == number).is_some();
            if waits {
                self.dead.notify_one();
                self.goes_on.notified().await;
            }
            let action = request.headers()["x-acs-action"].to_str().unwrap().to_owned();
            if *self.denied.lock().unwrap() == Some(action.as_str()) {
                let body = serde_json::json!({"Code": "Forbidden.RAM", "Message": "no", "RequestId": "R"});
                let mut response = http::Response::new(full(body.to_string()));
                *response.status_mut() = http::StatusCode::FORBIDDEN;
                return Ok(response);
            }
            let canned = self.canned.lock().unwrap().clone().filter(|_| action == "DescribeImages");
            match canned {
                Some(body) => Ok(http::Response::new(full(body))),
                None => self.emulator.send(request).await,
            }
        })
    }
}

/// A clock that tests put forward: images that are made in one second have no order.
#[derive(Debug)]
struct Steps(Mutex<Timestamp>);

impl Clock for Steps {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    emulator: Emulator,
    clock: Arc<Steps>,
    network: Arc<Network>,
    images: Images,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(change: impl FnOnce(&mut EcsOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Steps(Mutex::new("2026-01-31T12:00:00Z".parse().unwrap())));
        let mut options = testing::options(dir.path()).with_clock(clock.clone());
        options.ecs.base_duration = Duration::from_secs(100);
        change(&mut options.ecs);
        let emulator = Emulator::open(options).unwrap();
        for name in ["cn-hangzhou", "us-west-1"] {
            emulator.create_bucket(format!("in-{name}").parse().unwrap(), region(name)).unwrap();
            put(&emulator, &format!("in-{name}"), "disk.raw", &disk());
        }
        let network = Arc::new(Network {
            emulator: emulator.clone(),
            sent: AtomicUsize::new(0),
            dies: Mutex::default(),
            dead: Notify::new(),
            waits: Mutex::default(),
            goes_on: Notify::new(),
            denied: Mutex::default(),
            canned: Mutex::default(),
        });
        let options = ClientOptions::new(
            Endpoint::for_region(&here(), EndpointKind::Public),
            here(),
            Arc::new(StaticCredentials::new(Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET))),
            network.clone(),
        )
        .with_clock(clock.clone());
        let mut images = Images::new(Client::new(options));
        images.pause = Duration::from_millis(1);
        Self { emulator, clock, network, images, _dir: dir }
    }

    async fn import(&self, region: &Region, name: &str) -> ImageId {
        *self.clock.0.lock().unwrap() += SignedDuration::from_mins(1);
        let object = format!("oss://in-{region}/disk.raw").parse().unwrap();
        let mut import = ImportImage::new(region.clone(), vec![ImportDisk::new(object)]);
        import.name = Some(name.to_owned());
        self.images.client().call(&import).await.unwrap().image_id
    }

    /// Makes an image that is Available.
    async fn made(&self, name: &str) -> ImageId {
        let id = self.import(&here(), name).await;
        self.emulator.advance(Duration::from_secs(100)).unwrap();
        id
    }

    async fn share(&self, id: &ImageId) {
        let share = ModifyImageSharePermission::new(here(), id.clone()).with_add(vec![friend()]);
        self.images.client().call(&share).await.unwrap();
    }

    async fn image(&self, id: &ImageId) -> Option<CustomImage> {
        self.images.find(&here(), &ImageRef::Id(id.clone())).await.unwrap()
    }

    async fn snapshots(&self) -> usize {
        let list = crate::protocol::ecs::DescribeSnapshots::new(here(), Vec::new());
        self.images.client().call(&list).await.unwrap().snapshots.len()
    }

    /// Runs a call that is killed at its request of this number. Returns whether it was.
    async fn killed<T>(&self, at: usize, acts: bool, call: impl Future<Output = T>) -> bool {
        self.network.sent.store(0, Ordering::Relaxed);
        *self.network.dies.lock().unwrap() = Some((at, acts));
        let killed = tokio::select! {
            _ = call => false,
            () = self.network.dead.notified() => true,
        };
        *self.network.dies.lock().unwrap() = None;
        killed
    }

    /// Runs a call, and another one to its end when the first is at its request of this number. Returns what became of the
    /// first, and whether it had so many.
    async fn overtaken<T>(
        &self,
        at: usize,
        call: impl Future<Output = T>,
        faster: impl Future<Output = T>,
    ) -> (T, bool) {
        self.network.sent.store(0, Ordering::Relaxed);
        *self.network.waits.lock().unwrap() = Some(at);
        let mut call = std::pin::pin!(call);
        tokio::select! {
            done = &mut call => {
                *self.network.waits.lock().unwrap() = None;
                return (done, false);
            }
            () = self.network.dead.notified() => {}
        }
        faster.await;
        self.network.goes_on.notify_one();
        (call.await, true)
    }

    fn deny(&self, action: Option<&'static str>) {
        *self.network.denied.lock().unwrap() = action;
    }
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn here() -> Region {
    region("cn-hangzhou")
}

fn friend() -> AccountId {
    "1111111111".parse().unwrap()
}

fn deprecation() -> Deprecation {
    Deprecation::new(date(2026, 1, 31))
        .with_removal(Some(date(2026, 7, 31)))
        .with_replacement(Some("web-2".into()))
}

fn tag(image: &CustomImage, key: &str) -> Option<String> {
    image.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone())
}

#[tokio::test]
async fn a_deletion_with_snapshots_that_is_killed_anywhere_is_finished_by_the_same_call() {
    let options = DeleteOptions::default().with_snapshots(true).with_withdraw(true);
    let bench = Bench::new(|_| {});
    for acts in [false, true] {
        for at in 0.. {
            let id = bench.made(&format!("web-{acts}-{at}")).await;
            bench.share(&id).await;
            bench.images.publish(&here(), &id).await.unwrap();
            let region = here();
            let killed = bench.killed(at, acts, bench.images.delete(&region, &id, options)).await;
            bench.images.delete(&here(), &id, options).await.unwrap();
            assert_eq!((bench.image(&id).await, bench.snapshots().await), (None, 0), "{acts} {at}");
            if !killed {
                assert!(at > 6, "{at} requests");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_deletion_that_another_one_overtakes_finds_it_done() {
    let options = DeleteOptions::default().with_snapshots(true);
    let bench = Bench::new(|_| {});
    let here = here();
    for at in 0.. {
        let id = bench.made(&format!("web-{at}")).await;
        let delete = || bench.images.delete(&here, &id, options);
        let (done, overtaken) = bench.overtaken(at, delete(), delete()).await;
        assert!(done.is_ok(), "{at}: {done:?}");
        assert_eq!((bench.image(&id).await, bench.snapshots().await), (None, 0), "{at}");
        if !overtaken {
            assert!(at > 4, "{at} requests");
            break;
        }
    }
}

#[tokio::test]
async fn a_deprecation_that_is_killed_anywhere_is_finished_by_the_same_call() {
    let bench = Bench::new(|_| {});
    for acts in [false, true] {
        for at in 0.. {
            let id = bench.made(&format!("web-{acts}-{at}")).await;
            bench.share(&id).await;
            bench.images.publish(&here(), &id).await.unwrap();
            let (region, how) = (here(), deprecation());
            let killed = bench.killed(at, acts, bench.images.deprecate(&region, &id, &how)).await;
            let mut again = deprecation();
            again.on = date(2026, 2, 1);
            bench.images.deprecate(&here(), &id, &again).await.unwrap();
            let image = bench.image(&id).await.unwrap();
            assert_eq!((image.status.clone(), image.is_public), (ImageStatus::Deprecated, Some(false)));
            assert!(bench.images.access(&here(), &id).await.unwrap().is_private());
            assert_eq!(tag(&image, REMOVAL_DATE_TAG).as_deref(), Some("20260731"));
            assert_eq!(tag(&image, REPLACEMENT_TAG).as_deref(), Some("web-2"));
            let day = tag(&image, DEPRECATED_ON_TAG).unwrap();
            assert!(day == "20260131" || day == "20260201", "{day}");
            if !killed {
                assert_eq!(day, "20260131", "the first day stays");
                bench.images.restore(&here(), &id).await.unwrap();
                let image = bench.image(&id).await.unwrap();
                assert_eq!((image.status, image.tags.len()), (ImageStatus::Available, 0));
                break;
            }
        }
    }
}

#[tokio::test]
async fn tags_alone_leave_state_and_sharing_as_they_are() {
    let bench = Bench::new(|_| {});
    let id = bench.made("web-1").await;
    bench.share(&id).await;
    bench.images.deprecate(&here(), &id, &deprecation().with_tags_only()).await.unwrap();
    let image = bench.image(&id).await.unwrap();
    assert_eq!((&image.status, image.is_shared), (&ImageStatus::Available, Some(true)));
    assert_eq!(tag(&image, DEPRECATED_ON_TAG).as_deref(), Some("20260131"));
}

#[tokio::test]
async fn what_must_not_be_deleted_is_refused_before_anything_is_changed() {
    let bench = Bench::new(|options| options.images_in_use = Some("used".to_owned()));
    let (used, shared) = (bench.made("used").await, bench.made("shared").await);
    bench.share(&shared).await;
    let making = bench.import(&here(), "making").await;
    let options = DeleteOptions::default().with_snapshots(true);
    for (id, expected) in [(&used, "instances use"), (&shared, "is shared"), (&making, "it is Creating")] {
        let error = bench.images.delete(&here(), id, options).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(bench.images.access(&here(), &shared).await.unwrap().accounts.contains(&friend()));
    assert!(bench.images.left_snapshots(&here()).await.unwrap().is_empty());
    bench.images.delete(&here(), &used, options.with_force(true)).await.unwrap();
    bench.images.delete(&here(), &shared, options.with_withdraw(true)).await.unwrap();
    assert_eq!(bench.snapshots().await, 1, "that of the image which is being made");
}

#[tokio::test]
async fn a_refusal_half_way_says_what_is_done_and_leaves_no_mark() {
    let bench = Bench::new(|_| {});
    let id = bench.made("web-1").await;
    bench.share(&id).await;
    bench.deny(Some("DeleteImage"));
    let options = DeleteOptions::default().with_snapshots(true).with_withdraw(true);
    let error = bench.images.delete(&here(), &id, options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("image {id} in cn-hangzhou is private now, and nothing else was done")
    );
    assert_eq!(error.kind(), crate::ErrorKind::Credentials);
    bench.deny(None);
    // Deleted by hand, and its snapshot kept on purpose: no mark says otherwise.
    bench.images.delete(&here(), &id, DeleteOptions::default()).await.unwrap();
    assert!(bench.images.finish_deletions(&here()).await.unwrap().snapshots.is_empty());
    assert_eq!(bench.snapshots().await, 1);
}

#[tokio::test]
async fn snapshots_that_a_killed_deletion_left_are_found_by_their_mark() {
    let bench = Bench::new(|_| {});
    let (gone, there) = (bench.made("gone").await, bench.made("there").await);
    let options = DeleteOptions::default().with_snapshots(true);
    bench.deny(Some("DeleteSnapshot"));
    let error = bench.images.delete(&here(), &gone, options).await.unwrap_err();
    assert!(error.to_string().contains("is deleted, and nothing else"), "{error}");
    bench.deny(None);
    assert_eq!(bench.images.left_snapshots(&here()).await.unwrap().len(), 1);
    assert_eq!(bench.images.finish_deletions(&here()).await.unwrap().snapshots.len(), 1);
    assert!(bench.image(&there).await.is_some());
    assert_eq!(bench.snapshots().await, 1);
}

#[tokio::test]
async fn a_name_is_never_taken_from_another_image() {
    let bench = Bench::new(|_| {});
    let (one, two) = (bench.made("one").await, bench.made("two").await);
    let error = bench.images.rename(&here(), &one, "two").await.unwrap_err();
    assert!(matches!(&error, ManageError::NameTaken { image_id, .. } if *image_id == two), "{error}");
    assert!(bench.images.rename(&here(), &one, "three").await.unwrap());
    assert!(!bench.images.rename(&here(), &one, "three").await.unwrap());
    assert_eq!(bench.image(&one).await.unwrap().name.as_deref(), Some("three"));
}

#[tokio::test]
async fn images_are_found_by_id_name_and_family_in_all_regions() {
    let bench = Bench::new(|options| {
        options.foreign_image = Some("theirs".to_owned());
        options.fuzzy_neighbours = true;
    });
    let mut ids = Vec::new();
    for place in [here(), region("us-west-1")] {
        for name in ["web-1", "web-2"] {
            let id = bench.import(&place, name).await;
            bench.images.set_family(&place, &id, "web").await.unwrap();
            ids.push(id);
            bench.emulator.advance(Duration::from_secs(1000)).unwrap();
        }
    }
    let regions = bench.images.regions(&[region("eu-central-1")]).await.unwrap();
    assert!(regions.contains(&here()) && !regions.contains(&region("eu-central-1")), "{regions:?}");
    let found = |text: &str| {
        let (images, regions, image) = (&bench.images, &regions, text.parse::<ImageRef>().unwrap());
        async move { images.find_in(regions, &image).await }
    };
    let named = found("web-1").await.unwrap();
    assert_eq!(named.iter().map(|placed| &placed.image.image_id).collect::<Vec<_>>(), [&ids[0], &ids[2]]);
    let family = found("family:web").await.unwrap();
    assert_eq!(family.len(), 2);
    // A newest one that is deprecated is passed over.
    let newest = family[0].image.image_id.clone();
    bench.images.deprecate(&here(), &newest, &Deprecation::new(date(2026, 1, 1))).await.unwrap();
    let now = found("family:web").await.unwrap()[0].image.image_id.clone();
    assert!(now != newest && ids[..2].contains(&now));
    let by_id = found(ids[3].as_str()).await.unwrap();
    assert_eq!((by_id.len(), &by_id[0].region), (1, &region("us-west-1")));
    assert!(matches!(found("web-3").await, Err(ManageError::Nowhere { .. })));

    let theirs = "m-000000000000foreign0".parse().unwrap();
    let error = bench.images.require(&here(), &theirs).await.unwrap_err();
    assert!(matches!(error, ManageError::Foreign { .. }), "{error}");
    let unknown = bench.images.regions(&[region("eu-centrall-1")]).await.unwrap_err();
    assert!(matches!(unknown, ManageError::NoRegion { .. }));
}

#[tokio::test]
async fn a_list_of_many_pages_is_read_to_its_end() {
    let bench = Bench::new(|options| options.image_quota = 1000);
    for n in 0..120 {
        bench.import(&here(), &format!("web-{n}")).await;
    }
    let query = ImageQuery { name: Some("web-*".to_owned()), ..ImageQuery::default() };
    assert_eq!(bench.images.list(&here(), &query).await.unwrap().len(), 120);
    let one = ImageQuery { name: Some("web-7".to_owned()), ..ImageQuery::default() };
    assert_eq!(bench.images.list(&here(), &one).await.unwrap().len(), 1);
}

#[tokio::test]
async fn publishing_is_proved_and_only_of_what_is_available() {
    let bench = Bench::new(|_| {});
    let id = bench.import(&here(), "web-1").await;
    let early = bench.images.publish(&here(), &id).await.unwrap_err();
    assert_eq!(early.to_string(), format!("cannot publish image {id} in cn-hangzhou: it is Creating"));
    bench.emulator.advance(Duration::from_secs(100)).unwrap();
    assert!(bench.images.publish(&here(), &id).await.unwrap());
    assert!(!bench.images.publish(&here(), &id).await.unwrap());
    assert!(bench.images.access(&here(), &id).await.unwrap().public);
    assert!(bench.images.unpublish(&here(), &id).await.unwrap());
    assert!(!bench.images.unpublish(&here(), &id).await.unwrap());
}

#[tokio::test]
async fn tags_reach_the_snapshots_and_come_off_again() {
    let bench = Bench::new(|_| {});
    let id = bench.made("web-1").await;
    let image = bench.image(&id).await.unwrap();
    let tags: Vec<Tag> = (0..3).map(|n| Tag { key: format!("k{n}"), value: n.to_string() }).collect();
    bench.images.tag(&here(), &image, &tags, true).await.unwrap();
    let list = crate::protocol::ecs::DescribeSnapshots::new(here(), Vec::new()).with_tag_key("k2");
    assert_eq!(bench.images.client().call(&list).await.unwrap().snapshots[0].tags, tags);
    bench.images.untag(&here(), &image, &["k2".to_owned(), "none".to_owned()], true).await.unwrap();
    assert!(bench.images.client().call(&list).await.unwrap().snapshots.is_empty());
    assert_eq!(bench.image(&id).await.unwrap().tags.len(), 2);
}

#[tokio::test]
async fn a_name_that_several_images_have_is_not_guessed() {
    let bench = Bench::new(|_| {});
    let image =
        |id: &str, name: &str| format!(r#"{{"ImageId":"{id}","ImageName":"{name}","Status":"Available"}}"#);
    let (one, two, near) = (image("m-1", "web"), image("m-2", "web"), image("m-3", "web-1"));
    let answer = |images: &[&String]| {
        let images: Vec<&str> = images.iter().map(|image| image.as_str()).collect();
        Some(format!(r#"{{"TotalCount":{},"Images":{{"Image":[{}]}}}}"#, images.len(), images.join(",")))
    };
    let web: ImageRef = "web".parse().unwrap();
    *bench.network.canned.lock().unwrap() = answer(&[&near, &one, &two]);
    let error = bench.images.require(&here(), &web).await.unwrap_err();
    assert_eq!(error.to_string(), "`web` in cn-hangzhou is the name of several images: m-1, m-2");
    // A page that repeats an image, because another was made meanwhile, makes no second one of it.
    *bench.network.canned.lock().unwrap() = answer(&[&near, &one, &one]);
    assert_eq!(bench.images.require(&here(), &web).await.unwrap().image_id.as_str(), "m-1");
}
