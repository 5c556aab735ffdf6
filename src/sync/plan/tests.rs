use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::change::Step;
use super::super::file::SyncFile;
use super::*;
use crate::import::Tag;

const REGIONS: [&str; 3] = ["cn-hangzhou", "cn-shanghai", "us-west-1"];
/// 2026-01-31T00:00:00Z.
const NOW: i64 = 1_769_817_600;
const CONTENT: &str = "cccccccc00000000";
const OLD: &str = "aaaaaaaa00000000";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn image(id: &str, name: &str, made: i64, tags: Vec<Tag>) -> CustomImage {
    CustomImage {
        name: Some(name.to_owned()),
        created: Timestamp::from_second(NOW + made).ok(),
        is_public: Some(false),
        in_use: Some(false),
        tags,
        ..CustomImage::available(id)
    }
}

fn ours(id: &str, name: &str, content: &str, made: i64) -> Seen {
    let tags = vec![tag(ENTRY_TAG, "fleet/web"), tag(CONTENT_TAG, content)];
    Seen::new(image(id, name, made, tags), BTreeSet::new())
}

fn file(settings: &str) -> SyncFile {
    let text = format!(
        "fleet = \"fleet\"\nbucket = \"oss://images\"\n[image.web]\nsource = \"web.raw\"\n{settings}"
    );
    SyncFile::parse(&text, |_| None).unwrap()
}

fn goal(file: &SyncFile) -> Goal<'_> {
    Goal {
        entry: &file.entries[0],
        tag: file.tag_of("web"),
        content: CONTENT.to_owned(),
        home: region(REGIONS[0]),
        regions: REGIONS.into_iter().map(region).collect(),
        folder: "fleet/web-cccccccc00000000/".to_owned(),
        removed: file.removed,
        now: Timestamp::from_second(NOW).unwrap(),
    }
}

/// An account whose service does at once what it is asked for, and refuses what the real one refuses.
struct Model {
    account: Account,
    clock: i64,
    made: u32,
}

impl Model {
    fn new(account: Account) -> Self {
        Self { account, clock: 1, made: 0 }
    }

    fn images(&mut self, region: &Region) -> &mut Vec<Seen> {
        self.account.images.entry(region.clone()).or_default()
    }

    fn make(&mut self, region: &Region, name: &str) {
        assert!(
            self.images(region).iter().all(|seen| seen.image.name.as_deref() != Some(name)),
            "{name} is taken"
        );
        self.made += 1;
        self.clock += 1;
        let (id, clock) = (format!("m-new{:04}", self.made), self.clock);
        self.images(region).push(ours(&id, name, CONTENT, clock));
    }

    fn seen(&mut self, region: &Region, id: Option<&ImageId>) -> &mut Seen {
        let id = id.expect("what can be done now is about an image that is there");
        self.images(region).iter_mut().find(|seen| seen.id() == id).unwrap()
    }

    fn apply(&mut self, change: &Change) {
        let region = &change.region;
        let image = change.action.image().cloned();
        let image = image.as_ref();
        match &change.action {
            Action::Create { name } => {
                self.make(region, name);
                let object = "oss://images/fleet/web-cccccccc00000000/web.raw".parse().unwrap();
                self.account.objects.insert(object, None);
            }
            Action::Copy { from: None, .. } => {}
            Action::Copy { from: Some(from), name } => {
                let source = self.seen(&self::region(REGIONS[0]), Some(from)).image.clone();
                assert!(source.status == ImageStatus::Available && source.is_public == Some(false));
                self.make(region, name);
            }
            Action::BootTest { .. } => {
                let booted = tag(BOOTED_TAG, CONTENT);
                assert!(*region == self::region(REGIONS[0]));
                self.seen(region, image).image.tags.push(booted);
            }
            Action::Await { .. } => self.seen(region, image).image.status = ImageStatus::Available,
            Action::Restore { .. } => self.seen(region, image).image.status = ImageStatus::Available,
            Action::Tag { tags, .. } => {
                let seen = self.seen(region, image);
                seen.image.tags.retain(|old| tags.iter().all(|new| new.key != old.key));
                seen.image.tags.extend(tags.iter().cloned());
            }
            Action::Untag { tags, .. } => {
                self.seen(region, image).image.tags.retain(|tag| !tags.contains(tag));
            }
            Action::Unpublish { .. } => self.seen(region, image).image.is_public = Some(false),
            Action::Publish { .. } => {
                let seen = self.seen(region, image);
                assert!(seen.image.status == ImageStatus::Available);
                seen.image.is_public = Some(true);
            }
            Action::Share { accounts, .. } => {
                let seen = self.seen(region, image);
                assert!(seen.image.is_public == Some(false) && seen.image.status == ImageStatus::Available);
                seen.accounts.extend(accounts.iter().cloned());
            }
            Action::Unshare { accounts, .. } => {
                self.seen(region, image).accounts.retain(|account| !accounts.contains(account));
            }
            Action::Name { name, old, .. } => {
                if let Some((old, other)) = old {
                    assert!(
                        self.images(region).iter().all(|seen| seen.image.name.as_ref() != Some(other)),
                        "{other}"
                    );
                    self.seen(region, Some(old)).image.name = Some(other.clone());
                }
                assert!(
                    self.images(region).iter().all(|seen| seen.image.name.as_ref() != Some(name)),
                    "{name}"
                );
                self.seen(region, image).image.name = Some(name.clone());
            }
            Action::Reclaim { name, .. } => {
                assert!(
                    self.images(region).iter().all(|seen| seen.image.name.as_ref() != Some(name)),
                    "{name}"
                );
                self.seen(region, image).image.name = Some(name.clone());
            }
            Action::Family { family, .. } => self.seen(region, image).image.family = Some(family.clone()),
            Action::Deprecate { .. } => {
                let seen = self.seen(region, image);
                (seen.image.status, seen.image.is_public) = (ImageStatus::Deprecated, Some(false));
                seen.accounts.clear();
            }
            Action::Discard { image } | Action::Delete { image, .. } => {
                let gone = self.seen(region, Some(image)).clone();
                assert!(
                    gone.tag(ENTRY_TAG) == Some("fleet/web") && !gone.image.status.is_pending(),
                    "{gone:?}"
                );
                assert!(gone.image.in_use != Some(true) || gone.image.status.is_failed());
                self.images(region).retain(|seen| seen.id() != image);
            }
            Action::DeleteObject { object } => assert!(self.account.objects.remove(object).is_some()),
        }
    }

    /// Plans and does the first step, until nothing is left. Returns what was done.
    fn run(&mut self, goal: &Goal<'_>) -> Vec<Change> {
        let mut done = Vec::new();
        for _ in 0..30 {
            let changes = plan(goal, &self.account).unwrap();
            let Some(first) = changes.first() else { return done };
            let step = first.action.step();
            for change in changes.into_iter().filter(|change| change.action.step() == step) {
                self.apply(&change);
                done.push(change);
            }
        }
        panic!("there is no end: {:?}", plan(goal, &self.account));
    }
}

fn told(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .map(|change| {
            let action = serde_json::to_value(&change.action).unwrap();
            format!("{} {}", change.region, action["action"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_new_image_is_made_copied_and_shown_in_this_order() {
    let file = file(
        "family = \"web\"\nshare-with = [\"1234567890123456\"]\ntags = { a = \"b\" }\nvisibility = \"public\"",
    );
    let mut goal = goal(&file);
    goal.regions = REGIONS[..2].iter().copied().map(region).collect();
    let changes = plan(&goal, &Account::default()).unwrap();
    let expected = [
        "cn-hangzhou create",
        "cn-shanghai copy",
        "cn-hangzhou tag",
        "cn-shanghai tag",
        "cn-hangzhou share",
        "cn-shanghai share",
        "cn-hangzhou name",
        "cn-shanghai name",
        "cn-hangzhou family",
        "cn-shanghai family",
        "cn-hangzhou publish",
        "cn-shanghai publish",
    ];
    assert_eq!(told(&changes), expected);
    let mut model = Model::new(Account::default());
    // The object, too, goes when it has become the image.
    let done = model.run(&goal);
    assert_eq!(told(&done), [&expected[..], &["cn-hangzhou delete-object"]].concat());
    assert_eq!(plan(&goal, &model.account).unwrap(), []);
}

#[test]
fn a_name_that_somebody_else_s_image_has_is_a_conflict() {
    let file = file("");
    let goal = goal(&file);
    for (name, tags) in [
        ("web", Vec::new()),
        ("web-cccccccc", Vec::new()),
        ("web", vec![tag(ENTRY_TAG, "fleet/other"), tag(CONTENT_TAG, CONTENT)]),
        // Its own, but not of what its name says.
        ("web-cccccccc", vec![tag(ENTRY_TAG, "fleet/web"), tag(CONTENT_TAG, OLD)]),
    ] {
        let foreign = Seen::new(image("m-foreign", name, 0, tags), BTreeSet::new());
        let account =
            Account { images: BTreeMap::from([(region(REGIONS[1]), vec![foreign])]), ..Account::default() };
        let conflicts = plan(&goal, &account).unwrap_err();
        assert_eq!((conflicts.len(), conflicts[0].name.as_str()), (1, name));
    }
    // Anywhere else it is of no interest.
    let foreign = Seen::new(image("m-foreign", "web-2", 0, Vec::new()), BTreeSet::new());
    let account = Account {
        images: BTreeMap::from([(region(REGIONS[1]), vec![foreign.clone()])]),
        ..Account::default()
    };
    let mut model = Model::new(account);
    model.run(&goal);
    assert!(model.images(&region(REGIONS[1])).contains(&foreign));
}

#[test]
fn going_back_to_what_was_makes_nothing_and_points_the_family_to_it() {
    let file = file("family = \"web\"\nregions = []");
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let (mut old, mut now) = (ours("m-1", "web-cccccccc", CONTENT, 0), ours("m-2", "web", OLD, 5));
    (old.image.family, now.image.family) = (Some("web".to_owned()), Some("web".to_owned()));
    old.image.status = ImageStatus::Deprecated;
    let account =
        Account { images: BTreeMap::from([(region(REGIONS[0]), vec![old, now])]), ..Account::default() };
    let mut model = Model::new(account);
    let done = model.run(&goal);
    assert_eq!(told(&done), ["cn-hangzhou restore", "cn-hangzhou name", "cn-hangzhou deprecate"]);
    let images = model.images(&region(REGIONS[0]));
    let named: Vec<_> = images.iter().map(|seen| seen.image.name.as_deref().unwrap()).collect();
    assert_eq!(named, ["web", "web-aaaaaaaa"]);
}

#[test]
fn what_going_back_has_deprecated_is_among_the_newest_that_stay() {
    let file = file("family = \"web\"\nkeep = 3");
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let in_family = |id: &str, name: &str, content: &str, made| {
        let mut seen = ours(id, name, content, made);
        seen.image.family = Some("web".to_owned());
        seen
    };
    let images = vec![
        in_family("m-1", "web-cccccccc", CONTENT, -30),
        in_family("m-2", "web-bbbbbbbb", "bbbbbbbb00000000", -20),
        in_family("m-3", "web", OLD, -10),
    ];
    let images = BTreeMap::from([(region(REGIONS[0]), images)]);
    let mut model = Model::new(Account { images, ..Account::default() });
    let planned = plan(&goal, &model.account).unwrap();
    let done = model.run(&goal);
    assert_eq!(told(&done), ["cn-hangzhou name", "cn-hangzhou deprecate", "cn-hangzhou deprecate"]);
    assert_eq!(done, planned);
    // The next one pushes out neither what was in use nor the newest two.
    goal.content = "dddddddd00000000".to_owned();
    let changes = plan(&goal, &model.account).unwrap();
    assert!(!changes.iter().any(|change| matches!(change.action, Action::Delete { .. })), "{changes:?}");
}

#[test]
fn a_name_that_a_killed_run_left_to_nobody_is_given_at_once() {
    let file = file("");
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let (old, new) = (ours("m-1", "web-aaaaaaaa", OLD, 0), ours("m-2", "web-cccccccc", CONTENT, 5));
    let account =
        |images| Account { images: BTreeMap::from([(region(REGIONS[0]), images)]), ..Account::default() };
    // The new one is ready: it gets it.
    let changes = plan(&goal, &account(vec![old.clone(), new.clone()])).unwrap();
    assert!(
        matches!(&changes[0].action, Action::Name { image: Some(image), old: None, .. } if image.as_str() == "m-2")
    );
    // The file has changed meanwhile, and the next one takes hours: the newest that is there gets it until then.
    goal.content = "dddddddd00000000".to_owned();
    let changes = plan(&goal, &account(vec![old, new])).unwrap();
    assert!(
        matches!(&changes[0].action, Action::Reclaim { image, .. } if image.as_str() == "m-2"),
        "{changes:?}"
    );
}

#[test]
fn a_tag_that_the_file_drops_is_taken_off_if_the_file_has_set_it() {
    let (both, one, none) = (file("tags = { a = \"b\", c = \"d\" }"), file("tags = { c = \"d\" }"), file(""));
    let only_home = |file| {
        let mut goal = goal(file);
        goal.regions = BTreeSet::from([region(REGIONS[0])]);
        goal
    };
    let mut image = ours("m-1", "web", CONTENT, 0);
    image.image.tags.extend([tag("a", "b"), tag("by", "hand")]);
    let images = BTreeMap::from([(region(REGIONS[0]), vec![image])]);
    let mut model = Model::new(Account { images, ..Account::default() });
    // Nothing says that it was not somebody else.
    assert_eq!(model.run(&only_home(&none)), []);
    let keys = |model: &mut Model| {
        let tags = &model.images(&region(REGIONS[0]))[0].image.tags;
        let mut keys: Vec<String> = tags.iter().map(|tag| tag.key.clone()).collect();
        keys.sort();
        keys[..keys.len() - 2].join(" ")
    };
    model.run(&only_home(&both));
    assert_eq!(keys(&mut model), "a by c ossup:content");
    assert_eq!(told(&model.run(&only_home(&one))), ["cn-hangzhou untag", "cn-hangzhou tag"]);
    assert_eq!(keys(&mut model), "by c ossup:content");
    // Another value was set by hand.
    let tags = &mut model.images(&region(REGIONS[0]))[0].image.tags;
    tags.iter_mut().find(|tag| tag.key == "c").unwrap().value = "by hand".to_owned();
    assert_eq!(told(&model.run(&only_home(&none))), ["cn-hangzhou untag"]);
    let tags = &model.images(&region(REGIONS[0]))[0].image.tags;
    assert!(tags.contains(&tag("c", "by hand")) && tags.iter().all(|tag| tag.key != TAGS_TAG), "{tags:?}");
}

#[test]
fn of_two_images_of_the_same_the_one_goes_that_nobody_has_found() {
    let file = file("family = \"web\"");
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let mut used = ours("m-1", "web", CONTENT, 0);
    used.image.family = Some("web".to_owned());
    let spare = ours("m-2", "web-cccccccc", CONTENT, 5);
    let changes = |change: &dyn Fn(&mut Seen, &mut Seen)| {
        let (mut used, mut spare) = (used.clone(), spare.clone());
        change(&mut used, &mut spare);
        let images = BTreeMap::from([(region(REGIONS[0]), vec![used, spare])]);
        plan(&goal, &Account { images, ..Account::default() }).unwrap()
    };
    let goes = |changes: &[Change]| {
        changes.iter().any(|change| matches!(change.action, Action::Delete { reason: Reason::Spare, .. }))
    };
    let only = changes(&|_, _| {});
    assert!(goes(&only) && only.len() == 1, "{only:?}");
    let account = "1234567890123456".parse::<crate::model::AccountId>().unwrap();
    type Found<'a> = &'a dyn Fn(&mut Seen, &mut Seen);
    let found: [Found<'_>; 6] = [
        &|_, spare| spare.image.family = Some("other".to_owned()),
        &|_, spare| spare.accounts.extend([account.clone()]),
        &|_, spare| spare.image.in_use = Some(true),
        &|_, spare| spare.image.is_public = Some(true),
        &|_, spare| spare.image.tags.push(tag(TAGS_TAG, "x")),
        &|_, spare| spare.image.status = ImageStatus::Creating,
    ];
    for (index, found) in found.into_iter().enumerate() {
        assert!(!goes(&changes(found)), "{index}");
    }
}

#[test]
fn an_image_is_copied_and_named_only_when_it_was_seen_to_boot() {
    let file = file(
        "boot-test = { instance-type = \"ecs.g7.large\", vswitch = \"vsw-1\", security-group = \"sg-1\" }",
    );
    let mut goal = goal(&file);
    goal.regions = REGIONS[..2].iter().copied().map(region).collect();
    let mut model = Model::new(Account::default());
    let expected = [
        "cn-hangzhou create",
        "cn-hangzhou boot-test",
        "cn-shanghai copy",
        "cn-hangzhou name",
        "cn-shanghai name",
        "cn-hangzhou delete-object",
    ];
    assert_eq!(told(&model.run(&goal)), expected);
    // What was made without the test is tested when it is asked for, and one that is still being made is waited for.
    let mut made = ours("m-1", "web", CONTENT, 0);
    let changes = |made: &Seen| {
        let images = BTreeMap::from([(region(REGIONS[0]), vec![made.clone()])]);
        let mut goal = goal.clone();
        goal.regions = BTreeSet::from([region(REGIONS[0])]);
        told(&plan(&goal, &Account { images, ..Account::default() }).unwrap())
    };
    assert_eq!(changes(&made), ["cn-hangzhou boot-test"]);
    made.image.status = ImageStatus::Creating;
    assert_eq!(changes(&made), ["cn-hangzhou await"]);
}

#[test]
fn objects_of_others_work_are_left_until_they_are_old() {
    let file = file("");
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let images = BTreeMap::from([(region(REGIONS[0]), vec![ours("m-2", "web", CONTENT, 5)])]);
    let object =
        |content: &str| format!("oss://images/fleet/web-{content}/web.raw").parse::<ObjectRef>().unwrap();
    let at = |days: i64| Timestamp::from_second(NOW - days * 86_400).ok();
    let objects =
        BTreeMap::from([(object(CONTENT), at(0)), (object("young"), at(6)), (object("left"), at(8))]);
    let changes = plan(&goal, &Account { images, objects }).unwrap();
    let deleted = |content: &str| {
        changes.iter().any(|change| change.action == Action::DeleteObject { object: object(content) })
    };
    assert_eq!((deleted(CONTENT), deleted("young"), deleted("left"), changes.len()), (true, false, true, 2));
}

#[test]
fn what_the_file_no_longer_has_goes_as_it_says() {
    let images = vec![ours("m-1", "web", CONTENT, 0), ours("m-2", "web-x", OLD, 1)];
    let account = Account { images: BTreeMap::from([(region(REGIONS[1]), images)]), ..Account::default() };
    let other = BTreeSet::from(["fleet/api".to_owned()]);
    for (removed, expected) in [(Removed::Keep, 0), (Removed::Deprecate, 2), (Removed::Delete, 2)] {
        assert_eq!(plan_removed("fleet", &other, removed, &account).len(), expected);
        // Of another fleet, of which the name is only the beginning.
        assert!(plan_removed("flee", &other, removed, &account).is_empty());
        let still = BTreeSet::from(["fleet/web".to_owned()]);
        assert!(plan_removed("fleet", &still, removed, &account).is_empty());
    }
    // A region that was taken out of an entry, as well.
    let mut file = file("");
    file.removed = Removed::Delete;
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let mut model = Model::new(account);
    model.run(&goal);
    assert!(model.images(&region(REGIONS[1])).is_empty());
}

#[test]
fn an_image_with_a_tag_that_is_kept_stays_also_in_a_region_that_was_taken_out() {
    let mut file = file("keep = 1\nkeep-tags = [\"bootimage\", \"stage=prod\"]");
    file.removed = Removed::Delete;
    let mut goal = goal(&file);
    goal.regions = BTreeSet::from([region(REGIONS[0])]);
    let tagged = |id: &str, key: &str, value: &str| {
        let mut seen = ours(id, id, OLD, 0);
        seen.image.tags.push(tag(key, value));
        seen
    };
    let images = vec![
        tagged("m-boot", "bootimage", "x"),
        tagged("m-prod", "stage", "prod"),
        tagged("m-test", "stage", "test"),
    ];
    let account = Account { images: BTreeMap::from([(region(REGIONS[1]), images)]), ..Account::default() };
    let changes = plan(&goal, &account).unwrap();
    let gone = changes.iter().filter(|change| matches!(change.action, Action::Delete { .. }));
    let gone: Vec<&str> = gone.map(|change| change.action.image().unwrap().as_str()).collect();
    assert_eq!(gone, ["m-test"]);
}

prop_compose! {
    fn some_image()(
        number in 0u32..1000,
        named in 0..6,
        content in 0..3,
        status in 0..6,
        made in -90i64..0,
        family in any::<bool>(),
        public in any::<bool>(),
        shared in 0..3,
        in_use in prop::option::of(any::<bool>()),
        foreign in 0..6,
    ) -> Seen {
        let content: &str = [CONTENT, OLD, "bbbbbbbb00000000"][content as usize];
        let name = match named {
            0 => "web".to_owned(),
            1 => format!("web-{}", &content[..8]),
            _ => format!("odd-{number}"),
        };
        let mut seen = ours(&format!("m-{number}"), &name, content, made * 86_400);
        if foreign == 0 {
            seen.image.tags.clear();
            seen.image.name = Some(format!("foreign-{number}"));
        }
        seen.image.status = match status {
            0 => ImageStatus::Creating,
            1 => ImageStatus::CreateFailed,
            2 => ImageStatus::Deprecated,
            _ => ImageStatus::Available,
        };
        seen.image.family = family.then(|| "web".to_owned());
        seen.image.in_use = in_use;
        if seen.image.status == ImageStatus::Available {
            seen.image.is_public = Some(public);
            seen.accounts = (0..shared).map(|n| format!("100000000000000{n}").parse().unwrap()).collect();
        }
        seen
    }
}

/// Keeps one image of each name and id, as a service does.
fn region_of(images: Vec<Seen>) -> Vec<Seen> {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    images
        .into_iter()
        .filter(|seen| ids.insert(seen.id().clone()) && names.insert(seen.image.name.clone()))
        .collect()
}

proptest! {
    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_to_do_and_never_takes_what_is_needed(
        regions in prop::collection::vec(prop::collection::vec(some_image(), 0..6), 3),
        settings in prop::sample::select(vec![
            "", "family = \"web\"", "family = \"web\"\nkeep = 1", "keep = 2\nolder-than = \"30d\"\nvisibility = \"public\"",
            "name = \"web-{content}\"\nfamily = \"web\"\nkeep = 1\nshare-with = [\"1000000000000001\"]",
            "keep = 1\nboot-test = { instance-type = \"a\", vswitch = \"b\", security-group = \"c\" }",
            "visibility = \"public\"\nshare-with = [\"1000000000000001\"]\ntags = { a = \"b\" }",
        ]),
        removed in prop::sample::select(vec![Removed::Keep, Removed::Deprecate, Removed::Delete]),
        wanted in 1usize..=3,
    ) {
        let mut file = file(settings);
        file.removed = removed;
        let mut goal = goal(&file);
        goal.regions = REGIONS[..wanted].iter().copied().map(region).collect();
        let images = REGIONS.into_iter().map(region).zip(regions.into_iter().map(region_of)).collect();
        let before = Account { images, ..Account::default() };
        prop_assume!(plan(&goal, &before).is_ok());
        let mut model = Model::new(before.clone());
        let planned = plan(&goal, &before).unwrap();
        let name = goal.entry.name.handed_over();
        let has_name = |account: &Account, region: &Region| {
            account.images[region].iter().any(|seen| seen.image.name.as_deref() == name)
        };
        let is_usable = |seen: &&Seen| seen.image.status == ImageStatus::Available;
        for _ in 0..30 {
            let changes = plan(&goal, &model.account).unwrap();
            let Some(step) = changes.first().map(|change| change.action.step()) else { break };
            // Nothing is retired before the new one is everywhere what others find.
            if step == Step::Retire {
                for region in &goal.regions {
                    let is_new = |seen: &&Seen| seen.tag(CONTENT_TAG) == Some(CONTENT) && is_usable(seen);
                    prop_assert!(model.account.images[region].iter().any(|seen| is_new(&seen)), "{}", region);
                }
            }
            for change in changes.iter().filter(|change| change.action.step() == step) {
                // People have agreed to what goes by the first plan.
                if matches!(change.action, Action::Discard { .. } | Action::Deprecate { .. } | Action::Delete { .. }) {
                    prop_assert!(planned.contains(change), "{change:?} was not planned: {planned:?}");
                }
                model.apply(change);
            }
            for region in &goal.regions {
                if name.is_some() && has_name(&before, region) {
                    prop_assert!(has_name(&model.account, region), "{region} has lost the name by {changes:?}");
                }
                let head = |account: &Account| account.images[region].iter().filter(is_usable).any(|seen| seen.image.family.is_some());
                if head(&before) {
                    prop_assert!(head(&model.account), "{region} has lost the family by {changes:?}");
                }
            }
        }
        prop_assert_eq!(plan(&goal, &model.account).unwrap(), Vec::new());
        for (region, images) in &before.images {
            for foreign in images.iter().filter(|seen| seen.tag(ENTRY_TAG).is_none()) {
                prop_assert!(model.account.images[region].contains(foreign));
            }
        }
    }
}
