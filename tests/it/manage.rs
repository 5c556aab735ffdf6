//! Images after their import: found in many regions, published, tagged, retired, deleted, pruned. By the real binary.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ossup::client::{Client, ClientOptions};
use ossup::clock::{Clock, SystemClock};
use ossup::credentials::StaticCredentials;
use ossup::emulator::{Emulator, EmulatorOptions};
use ossup::import::{ImportDisk, Tag};
use ossup::manage::{Deprecation, Images};
use ossup::model::{Endpoint, EndpointKind, ImageId, Region};
use ossup::protocol::ecs::{CopyImage, DescribeSnapshots, ImportImage, ModifyImageSharePermission};
use serde_json::Value;

use crate::support::{Server, World};

const HERE: &str = "cn-hangzhou";
const REGIONS: [&str; 3] = [HERE, "us-west-1", "eu-central-1"];

/// A clock that is set from image to image, so that they have an order.
#[derive(Debug)]
struct Past(Mutex<Timestamp>);

impl Past {
    fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap() = at;
    }
}

impl Clock for Past {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn days_ago(days: i64) -> Timestamp {
    SystemClock.now() - SignedDuration::from_hours(24 * days)
}

/// The data of an emulator to come, filled without it.
struct Fleet {
    emulator: Emulator,
    clock: Arc<Past>,
    images: Images,
    source: Option<ImageId>,
}

impl Fleet {
    /// Opens the folder that the world's emulator serves.
    fn open(world: &World) -> Self {
        let clock = Arc::new(Past(Mutex::new(days_ago(365))));
        let options = EmulatorOptions::local(world.path("data")).with_clock(clock.clone());
        let region = options.region.clone();
        let emulator = Emulator::open(options).unwrap();
        let endpoint = Endpoint::for_region(&region, EndpointKind::Public);
        let anonymous = Arc::new(StaticCredentials::anonymous());
        let options = ClientOptions::new(endpoint, region, anonymous, Arc::new(emulator.clone()));
        let images = Images::new(Client::new(options.with_clock(clock.clone())));
        Self { emulator, clock, images, source: None }
    }

    /// Makes an image that was made this many days ago, which is done at once: here an import, elsewhere a copy.
    async fn make(&mut self, region: &str, name: &str, days: i64) -> ImageId {
        self.make_at(region, name, days_ago(days)).await
    }

    async fn make_at(&mut self, region: &str, name: &str, at: Timestamp) -> ImageId {
        self.clock.set(at);
        let client = self.images.client();
        let id = match &self.source {
            Some(source) if region != HERE => {
                let to: Region = region.parse().unwrap();
                let mut copy = CopyImage::new(HERE.parse().unwrap(), source.clone(), to);
                copy.name = Some(name.to_owned());
                client.call(&copy).await.unwrap().image_id
            }
            _ => {
                let disk = ImportDisk::new("oss://images/disk.qcow2".parse().unwrap());
                let mut import = ImportImage::new(region.parse().unwrap(), vec![disk]);
                import.name = Some(name.to_owned());
                client.call(&import).await.unwrap().image_id
            }
        };
        self.emulator.advance(Duration::from_secs(60)).unwrap();
        self.source.get_or_insert_with(|| id.clone());
        id
    }

    async fn tag(&self, region: &str, id: &ImageId, key: &str, value: &str) {
        let region = region.parse().unwrap();
        let image = self.images.require(&region, &id.as_str().parse().unwrap()).await.unwrap();
        let tag = Tag { key: key.to_owned(), value: value.to_owned() };
        self.images.tag(&region, &image, &[tag], false).await.unwrap();
    }

    async fn share(&self, region: &str, id: &ImageId) {
        let share = ModifyImageSharePermission::new(region.parse().unwrap(), id.clone())
            .with_add(vec!["1000000042".parse().unwrap()]);
        self.images.client().call(&share).await.unwrap();
    }

    async fn snapshots(&self) -> usize {
        let mut count = 0;
        for region in REGIONS {
            let list = DescribeSnapshots::new(region.parse().unwrap(), Vec::new());
            count += self.images.client().call(&list).await.unwrap().snapshots.len();
        }
        count
    }
}

/// A world with a disk in the emulator's data folder.
fn world() -> World {
    let world = World::new();
    upload_disk(&world);
    world
}

/// Puts a disk into the bucket `images` of an emulator to come.
pub(crate) fn upload_disk(world: &World) {
    world.disk("disk.raw", 8 << 20, 1);
    let local = format!("--endpoint=local:{}", world.path("data").display());
    world.ok(&["upload", "disk.raw", "oss://images/disk.qcow2", "--no-inspect", &local]);
}

/// Makes an image of each kind, with dates that are the same in every run.
pub(crate) async fn a_few_images(world: &World) {
    let mut fleet = Fleet::open(world);
    let first: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
    for (n, name) in ["web-1", "web-used", "web-public", "web-retired", "web-prod", "web-6", "web-7"]
        .into_iter()
        .enumerate()
    {
        let at = first + SignedDuration::from_hours(24 * n as i64);
        let id = fleet.make_at(HERE, name, at).await;
        let place: Region = HERE.parse().unwrap();
        fleet.images.set_family(&place, &id, "web").await.unwrap();
        match name {
            "web-prod" => fleet.tag(HERE, &id, "stage", "prod").await,
            "web-public" => assert!(fleet.images.publish(&place, &id).await.unwrap()),
            "web-retired" => {
                let how = Deprecation::new(jiff::civil::date(2025, 2, 1));
                fleet.images.deprecate(&place, &id, &how).await.unwrap();
            }
            _ => {}
        }
    }
    for region in &REGIONS[..2] {
        let id = fleet.make_at(region, "db-1", first + SignedDuration::from_hours(24 * 9)).await;
        fleet.images.set_family(&region.parse().unwrap(), &id, "db").await.unwrap();
    }
}

/// Makes two images, `web-1` and `web-2`, of the family `web` in two regions.
async fn two_in_two_regions(world: &World) {
    let mut fleet = Fleet::open(world);
    for (name, days) in [("web-1", 9), ("web-2", 8)] {
        for region in &REGIONS[..2] {
            let id = fleet.make(region, name, days).await;
            fleet.images.set_family(&region.parse().unwrap(), &id, "web").await.unwrap();
        }
    }
}

/// Returns the names of images in a list of JSON, each with its region.
fn places(list: &Value) -> BTreeSet<(String, String)> {
    let images = list["images"].as_array().unwrap().iter();
    images.map(|image| (text(&image["region"]), text(&image["name"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const ALL: [&str; 3] = ["image", "list", "--all-regions"];

/// 40 images in three regions, and what becomes of them when `web-*` is pruned to two, ten days.
const FLEET: [(i64, &str, &str); 13] = [
    (60, "web-a", "goes"),
    (55, "web-tagged", "stays"),
    (50, "web-used", "stays"),
    (45, "web-shared", "stays"),
    (40, "web-public", "stays"),
    (38, "web-retired", "goes"),
    (36, "web-promised", "stays"),
    (34, "web-failed", "goes"),
    (32, "web-head-of-db", "stays"),
    (31, "db-older", "other"),
    (5, "web-young", "stays"),
    (3, "web-new-1", "stays"),
    (2, "web-new-2", "stays"),
];

async fn forty_images(world: &World) {
    let mut fleet = Fleet::open(world);
    for (days, name, _) in FLEET {
        for region in REGIONS {
            let fails = name == "web-failed";
            fleet.emulator.update_ecs(|ecs| {
                ecs.finished_but_failed = fails;
                ecs.copies_to_fail = u32::from(fails);
            });
            let id = fleet.make(region, name, days).await;
            let place: Region = region.parse().unwrap();
            let family = if name.contains("db") { "db" } else { "web" };
            // The older image of the family is the one that is retired by hand.
            if name == "db-older" {
                let how = Deprecation::new(jiff::civil::date(2020, 1, 1));
                fleet.images.deprecate(&place, &id, &how).await.unwrap();
            }
            fleet.images.set_family(&place, &id, family).await.unwrap();
            match name {
                "web-tagged" => fleet.tag(region, &id, "bootimage", "x").await,
                "web-promised" => fleet.tag(region, &id, "Removal date", "29991231").await,
                "web-shared" => fleet.share(region, &id).await,
                "web-public" => assert!(fleet.images.publish(&place, &id).await.unwrap()),
                "web-retired" => {
                    let how = Deprecation::new(jiff::civil::date(2020, 1, 1));
                    fleet.images.deprecate(&place, &id, &how).await.unwrap();
                }
                _ => {}
            }
        }
    }
    fleet.emulator.update_ecs(|ecs| ecs.base_duration = Duration::from_secs(1 << 30));
    fleet.make(HERE, "web-making", 1).await;
}

#[tokio::test]
async fn a_prune_of_forty_images_in_three_regions_leaves_exactly_what_its_plan_said() {
    let mut world = world();
    forty_images(&world).await;
    let server = Server::start(&mut world, &["--ecs=images_in_use=used", "--ecs=foreign_image=web-theirs"]);
    let before = places(&world.json(&ALL));
    assert_eq!(before.len(), 40);
    let prune = [
        "image",
        "prune",
        "--name-prefix=web-",
        "--keep=2",
        "--keep-tag=bootimage",
        "--older-than=10d",
        "--all-regions",
    ];
    let plan = world.json(&[&prune[..], &["--dry-run"]].concat());
    let mut going = BTreeSet::new();
    for region in plan["regions"].as_array().unwrap() {
        for image in region["images"].as_array().unwrap() {
            let (name, goes) = (text(&image["name"]), image["goes"] == true);
            let expected = FLEET.iter().find(|(_, of, _)| *of == name).map_or("stays", |(_, _, what)| what);
            assert_eq!(if goes { "goes" } else { "stays" }, expected, "{image}");
            going.extend(goes.then(|| (text(&region["region"]), name)));
        }
    }
    assert_eq!(going.len(), 9, "{plan}");
    assert_eq!(places(&world.json(&ALL)), before, "a dry run changes nothing");
    let unasked = world.fails(2, &prune);
    assert!(unasked.contains("--yes") && unasked.contains("web-promised"), "{unasked}");
    assert_eq!(places(&world.json(&ALL)), before, "nobody said yes");

    let done = world.json(&[&prune[..], &["--yes"]].concat());
    assert_eq!(done["deleted"], 9);
    let expected: BTreeSet<_> = before.difference(&going).cloned().collect();
    assert_eq!(places(&world.json(&ALL)), expected);
    // Told to, it takes what others and instances use; the family's head and the promised ones stay all the same.
    let bold = world.json(&[&prune[..], &["--shared", "--public", "--in-use", "--yes"]].concat());
    assert_eq!(bold["deleted"], 9);
    let left = places(&world.json(&ALL));
    assert!(!left.iter().any(|(_, name)| ["web-used", "web-shared", "web-public"].contains(&name.as_str())));
    assert!(world.json(&[&prune[..], &["--yes"]].concat())["deleted"] == 0);
    drop(server);
    assert_eq!(
        (left.len(), Fleet::open(&world).snapshots().await),
        (22, 22),
        "snapshots go with their images"
    );
}

#[tokio::test]
async fn a_prune_that_is_half_allowed_says_which_failed_and_is_finished_by_the_same_command() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let server = denied_once(&mut world, &["DeleteImage", "DeleteSnapshot"]);
    let prune = ["image", "prune", "--family=web", "--keep=1", "--all-regions", "--yes"];
    let stderr = world.fails(4, &prune);
    assert!(stderr.contains("is deleted, and nothing else was done"), "{stderr}");
    assert!(
        stderr.contains("cannot delete image m-") && stderr.contains("cannot delete snapshot s-"),
        "{stderr}"
    );
    assert!(
        stderr.contains("run the same command again") || stderr.contains("grant `ecs:Delete"),
        "{stderr}"
    );
    assert_eq!(places(&world.json(&ALL)).len(), 3);
    let again = world.json(&prune);
    assert_eq!(again["deleted"], 1);
    let names: Vec<_> = places(&world.json(&ALL)).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["web-2", "web-2"]);
    drop(server);
    assert_eq!(Fleet::open(&world).snapshots().await, 2);
}

#[tokio::test]
async fn an_image_is_published_tagged_and_withdrawn_by_its_name_in_all_regions() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let _server = Server::start(&mut world, &["--ecs=foreign_image=theirs"]);
    let all = |args: &[&str]| world.json(&[args, &["--all-regions"]].concat());
    let published = all(&["image", "publish", "web-1"]);
    assert_eq!(published["images"].as_array().unwrap().len(), 2);
    assert!(published["images"][0]["changed"] == true);
    assert!(all(&["image", "publish", "web-1"])["images"][1]["changed"] == false);
    let public = |name: &str| all(&["image", "list", "--name", name])["images"][0]["public"].clone();
    assert_eq!((public("web-1"), public("web-2")), (true.into(), false.into()));
    all(&["image", "unpublish", "web-1"]);
    assert_eq!(public("web-1"), false);

    // A family stands for the image that it points to, in one region as in all.
    world.ok(&["image", "tag", "family:web", "stage=prod", "team=a b", "--snapshots"]);
    let tagged = world.json(&["image", "list", "--family=web"]);
    let tags = |name: &str| {
        let images = tagged["images"].as_array().unwrap();
        images.iter().find(|image| image["name"] == name).unwrap()["tags"].as_array().unwrap().len()
    };
    assert_eq!((tags("web-2"), tags("web-1")), (2, 0));
    world.ok(&["image", "untag", "family:web", "stage", "team", "--snapshots"]);
    assert!(
        world.json(&["image", "list", "--name=web-2"])["images"][0]["tags"].as_array().unwrap().is_empty()
    );

    // The commands that are older know names as well.
    let shown = world.json(&["image", "show", "family:web"]);
    assert_eq!(shown["name"], "web-2");
    let shared = world.json(&["image", "share", "web-2", "--with=1000000042"]);
    assert_eq!((&shared["image_id"], &shared["shared_with"][0]), (&shown["image_id"], &"1000000042".into()));
    world.ok(&["image", "publish", "web-2"]);
    let public = world.fails(7, &["image", "copy", "web-2", "--to=eu-central-1"]);
    assert!(public.contains("ossup image unpublish"), "{public}");
    world.ok(&["image", "unpublish", "web-2"]);
    world.ok(&["image", "copy", "web-2", "--to=eu-central-1"]);

    let missing = world.fails(2, &["image", "publish", "web-3", "--all-regions"]);
    assert!(missing.contains("there is no image `web-3` in any of"), "{missing}");
    let theirs = world.fails(2, &["image", "tag", "m-000000000000foreign0", "a=b"]);
    assert!(theirs.contains("belongs to another account"), "{theirs}");
    let lists = |how: &str| places(&world.json(&["image", "list", how])).into_iter().map(|(_, name)| name);
    assert_eq!(lists("--shared").collect::<Vec<_>>(), ["theirs"]);
    assert_eq!(lists("--public").collect::<Vec<_>>(), ["theirs-community"]);
    assert_eq!(lists("--name=web-*").count(), 2);
    let except = world.fails(2, &["image", "list", "--all-regions", "--except=us-west1"]);
    assert!(except.contains("did you mean us-west-1?"), "{except}");
}

/// Starts an emulator that denies each of these operations once, whatever the region.
fn denied_once(world: &mut World, operations: &[&str]) -> Server {
    let denied = |operation: &&str| {
        format!(
            r#"{{"operation": "{operation}", "times": 1,
                "fault": {{"kind": "status", "status": 403, "code": "Forbidden.RAM"}}}}"#
        )
    };
    let rules: Vec<_> = operations.iter().map(denied).collect();
    std::fs::write(world.path("faults.json"), format!(r#"{{"rules": [{}]}}"#, rules.join(", "))).unwrap();
    Server::start(world, &["--faults=faults.json"])
}

#[tokio::test]
async fn a_region_that_cannot_be_asked_ends_a_change_before_it_begins() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let _server = denied_once(&mut world, &["DescribeImages"]);
    let publish = ["image", "publish", "web-1", "--all-regions"];
    let stderr = world.fails(4, &publish);
    assert!(stderr.contains("nothing was changed") && stderr.contains("--except"), "{stderr}");
    let list = world.json(&ALL);
    assert!(list["images"].as_array().unwrap().iter().all(|image| image["public"] == false), "{list}");
    world.ok(&publish);
}

#[tokio::test]
async fn a_region_that_cannot_be_asked_hides_no_other_from_a_list() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let _server = denied_once(&mut world, &["DescribeImages"]);
    let finished = world.run(&[&ALL[..], &["--output=json"]].concat());
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stderr.contains("1 of 30 regions could not be listed"), "{finished:?}");
    let list: Value = serde_json::from_str(&finished.stdout).unwrap();
    let found = places(&list).len();
    assert!((2..=4).contains(&found) && list["error"]["kind"] == "credentials", "{list}");
}

#[tokio::test]
async fn a_retired_image_names_its_heir_and_its_last_day() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let _server = Server::start(&mut world, &[]);
    let deprecate = ["image", "deprecate", "web-1", "--all-regions"];
    let itself = world.fails(2, &[&deprecate[..], &["--replaced-by=web-1"]].concat());
    assert!(itself.contains("cannot replace itself"), "{itself}");
    let nowhere = world.fails(2, &[&deprecate[..], &["--replaced-by=web-9"]].concat());
    assert!(nowhere.contains("web-9"), "{nowhere}");
    assert!(world.fails(2, &[&deprecate[..], &["--remove-on=2020-01-01"]].concat()).contains("in the past"));

    world.ok(&["image", "publish", "web-1"]);
    let how = ["--replaced-by=web-2", "--remove-on=2999-12-31"];
    assert!(world.fails(2, &[&deprecate[..], &how].concat()).contains("--yes"));
    let done = world.json(&[&deprecate[..], &how, &["--yes"]].concat());
    assert_eq!(done["images"].as_array().unwrap().iter().filter(|one| one["was_public"] == true).count(), 1);
    let list = world.json(&["image", "list", "--status=deprecated", "--all-regions"]);
    assert_eq!(list["images"].as_array().unwrap().len(), 2);
    let tags = list["images"][0]["tags"].to_string();
    assert!(tags.contains("Removal date=29991231") && tags.contains("Replacement image=web-2"), "{tags}");
    assert!(tags.contains("Deprecated on=2"), "{tags}");
    world.ok(&["image", "restore", "web-1", "--all-regions"]);
    assert!(world.json(&["image", "list", "--status=Deprecated"])["images"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn the_rest_of_what_was_begun_with_a_family_is_named_by_its_ids() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let _server = denied_once(&mut world, &["DeleteImage"]);
    let stderr = world.fails(4, &["image", "delete", "family:web", "--all-regions", "--yes"]);
    assert!(stderr.contains("1 of 2 images could not be deleted"), "{stderr}");
    // The same command would delete `web-1` where `web-2` is gone.
    assert!(stderr.contains("name each image that is left by its id"), "{stderr}");
    assert!(!stderr.contains("same command again"), "{stderr}");
}

#[tokio::test]
async fn a_mistyped_image_has_nothing_deleted_that_was_not_agreed_to() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let server = denied_once(&mut world, &["DeleteSnapshot"]);
    let list = world.json(&["image", "list", "--name=web-1"]);
    let id = text(&list["images"][0]["image_id"]);
    world.fails(4, &["image", "delete", "web-1", "--snapshots", "--yes"]);
    // What is left of it is not of the image that was named.
    let stderr = world.fails(2, &["image", "delete", "web-11", "--snapshots"]);
    assert!(stderr.contains("--yes"), "{stderr}");
    let stderr = world.fails(2, &["image", "delete", "m-1nothing", "--snapshots", "--yes"]);
    assert!(stderr.contains("there is no image `m-1nothing`"), "{stderr}");
    let finished = world.ok(&["image", "delete", &id, "--snapshots", "--yes"]).stderr;
    assert!(finished.contains("an earlier deletion is finished"), "{finished}");
    drop(server);
    assert_eq!(Fleet::open(&world).snapshots().await, 3);
}

#[tokio::test]
async fn an_image_is_deleted_everywhere_with_its_snapshots_and_a_killed_deletion_is_finished() {
    let mut world = world();
    two_in_two_regions(&world).await;
    let server = denied_once(&mut world, &["DeleteSnapshot"]);
    world.ok(&["image", "publish", "web-1"]);
    let delete = ["image", "delete", "web-1", "--all-regions", "--snapshots", "--yes"];
    // The public one is refused, the other is deleted, and its snapshot is not.
    let stderr = world.fails(9, &delete);
    assert!(stderr.contains("is public") && stderr.contains("--withdraw"), "{stderr}");
    assert!(stderr.contains("2 of 2 images could not be deleted"), "{stderr}");
    world.ok(&[&delete[..], &["--withdraw"]].concat());
    let names: Vec<_> = places(&world.json(&ALL)).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["web-2", "web-2"]);
    // What the first run left has no image any more: the same command finds it by its mark.
    let finished = world.ok(&delete).stderr;
    assert!(finished.contains("an earlier deletion is finished; it had left s-"), "{finished}");
    let gone = world.fails(2, &delete);
    assert!(gone.contains("there is no image `web-1`"), "{gone}");
    drop(server);
    assert_eq!(Fleet::open(&world).snapshots().await, 2);
}
