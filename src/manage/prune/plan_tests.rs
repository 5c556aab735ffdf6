use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::import::Tag;

const DAY: i64 = 86_400;
/// 2026-01-31T00:00:00Z.
const NOW: i64 = 1_769_817_600;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// An Available image of the family `web`, made this many days ago.
fn image(id: &str, days: i64) -> CustomImage {
    CustomImage {
        name: Some(format!("web-{id}")),
        family: Some("web".to_owned()),
        created: Some(Timestamp::from_second(NOW - days * DAY).unwrap()),
        is_public: Some(false),
        in_use: Some(false),
        ..CustomImage::available(id)
    }
}

fn rules(keep: usize) -> PruneRules {
    PruneRules::new(PruneScope::Family("web".to_owned()), keep)
}

fn verdict(judged: CustomImage, rules: &PruneRules) -> Verdict {
    // Newer ones fill the places of those that stay for their place.
    let newer = image("newer", 0);
    let id = judged.image_id.clone();
    let all = judge(&[newer, judged], rules, now());
    all.into_iter().find(|judged| judged.image.image_id == id).unwrap().verdict
}

#[test]
fn each_reason_to_stay_is_told() {
    let tagged = |key: &str, value: &str| vec![Tag { key: key.to_owned(), value: value.to_owned() }];
    let old = image("old", 90);
    let mut rules = rules(1);
    rules.keep_tags = vec![("bootimage".to_owned(), None), ("stage".to_owned(), Some("prod".to_owned()))];
    rules.older_than = Some(Duration::from_secs(30 * 86_400));
    assert_eq!(verdict(old.clone(), &rules), Verdict::Goes(Going::Surplus));
    for (changed, expected) in [
        (CustomImage { status: ImageStatus::Creating, ..old.clone() }, Staying::Pending),
        (CustomImage { status: ImageStatus::Other("Thawing".into()), ..old.clone() }, Staying::Pending),
        (CustomImage { tags: tagged("bootimage", "x"), ..old.clone() }, Staying::Tagged("bootimage".into())),
        (CustomImage { tags: tagged("stage", "prod"), ..old.clone() }, Staying::Tagged("stage".into())),
        (
            CustomImage { tags: tagged(REMOVAL_DATE_TAG, "20260201"), ..old.clone() },
            Staying::Promised("20260201".into()),
        ),
        (
            CustomImage { tags: tagged(REMOVAL_DATE_TAG, "some day"), ..old.clone() },
            Staying::Promised("some day".into()),
        ),
        (CustomImage { created: None, ..old.clone() }, Staying::NoAge),
        (image("old", 29), Staying::Young),
        (image("old", -1), Staying::FamilyHead("web".into())),
        (CustomImage { in_use: Some(true), ..old.clone() }, Staying::InUse),
        (CustomImage { is_public: Some(true), ..old.clone() }, Staying::Public),
        (CustomImage { is_shared: Some(true), ..old.clone() }, Staying::Shared),
    ] {
        assert_eq!(verdict(changed, &rules), Verdict::Stays(expected));
    }
    for (changed, expected) in [
        (CustomImage { status: ImageStatus::Deprecated, ..old.clone() }, Going::Deprecated),
        (CustomImage { status: ImageStatus::CreateFailed, ..old.clone() }, Going::Failed),
        (CustomImage { tags: tagged("stage", "test"), ..old.clone() }, Going::Surplus),
        (CustomImage { tags: tagged(REMOVAL_DATE_TAG, "20260131"), ..old }, Going::Surplus),
    ] {
        assert_eq!(verdict(changed, &rules), Verdict::Goes(expected));
    }
}

#[test]
fn a_family_is_protected_though_its_images_are_looked_at_by_name() {
    let mut head = image("head", 10);
    head.family = Some("other".to_owned());
    let rules = PruneRules::new(PruneScope::NamePrefix("web-".to_owned()), 1);
    let judged = judge(&[image("a", 1), image("b", 2), head], &rules, now());
    let stays: Vec<&str> =
        judged.iter().filter(|judged| !judged.goes()).map(|judged| judged.image.image_id.as_str()).collect();
    assert_eq!(stays, ["a", "head"]);
}

#[test]
fn after_a_roll_back_the_usable_image_stays_and_the_withdrawn_ones_go() {
    let withdrawn = |id, days| CustomImage { status: ImageStatus::Deprecated, ..image(id, days) };
    let images = [withdrawn("c", 1), withdrawn("b", 2), image("a", 9)];
    let goes: Vec<bool> = judge(&images, &rules(1), now()).iter().map(Judged::goes).collect();
    assert_eq!(goes, [true, true, false]);
}

fn status() -> impl Strategy<Value = ImageStatus> {
    prop::sample::select(
        ["Waiting", "Creating", "Available", "UnAvailable", "CreateFailed", "Deprecated", "Thawing"]
            .map(ImageStatus::from)
            .to_vec(),
    )
}

fn any_images() -> impl Strategy<Value = Vec<CustomImage>> {
    let flag = || prop::option::of(any::<bool>());
    let one = (
        (prop::option::of(0_i64..60), prop::option::of(prop::sample::select(vec!["web", "db"])), status()),
        (
            flag(),
            flag(),
            flag(),
            prop::option::weighted(0.2, prop::sample::select(vec!["keep", REMOVAL_DATE_TAG])),
        ),
        prop::sample::select(vec!["web", "api"]),
    );
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(n, ((days, family, status), flags, name))| {
            let (in_use, is_public, is_shared, tag) = flags;
            let base = image(&format!("m-{n}"), days.unwrap_or_default());
            CustomImage {
                name: Some(format!("{name}-{n}")),
                family: family.map(str::to_owned),
                created: days.and(base.created),
                tags: tag
                    .map(|key| Tag { key: key.to_owned(), value: "20270101".to_owned() })
                    .into_iter()
                    .collect(),
                status,
                in_use,
                is_public,
                is_shared,
                ..base
            }
        });
        made.collect()
    })
}

fn any_rules() -> impl Strategy<Value = PruneRules> {
    let scope = prop_oneof![
        Just(PruneScope::Family("web".to_owned())),
        Just(PruneScope::NamePrefix("web-".to_owned()))
    ];
    (scope, 0_usize..4, prop::option::of(0_u64..60), any::<[bool; 4]>()).prop_map(
        |(scope, keep, days, [shared, public, in_use, tag])| PruneRules {
            scope,
            keep,
            keep_tags: if tag { vec![("keep".to_owned(), None)] } else { Vec::new() },
            older_than: days.map(|days| Duration::from_secs(days * 86_400)),
            shared,
            public,
            in_use,
        },
    )
}

fn going(images: &[CustomImage], rules: &PruneRules) -> BTreeSet<ImageId> {
    judge(images, rules, now()).into_iter().filter(Judged::goes).map(|judged| judged.image.image_id).collect()
}

proptest! {
    #[test]
    fn nothing_goes_that_must_stay(images in any_images(), rules in any_rules()) {
        let judged = judge(&images, &rules, now());
        let looked_at = images.iter().filter(|image| rules.looks_at(image)).count();
        prop_assert_eq!(judged.len(), looked_at);
        for image in judged.iter().filter(|judged| judged.goes()).map(|judged| &judged.image) {
            prop_assert!(!image.status.is_pending());
            prop_assert!(rules.in_use || image.in_use != Some(true));
            prop_assert!(rules.public || image.is_public != Some(true));
            prop_assert!(rules.shared || image.is_shared != Some(true));
            prop_assert!(rules.keep_tags.is_empty() || image.tags.iter().all(|tag| tag.key != "keep"));
            prop_assert!(image.tags.iter().all(|tag| tag.key != REMOVAL_DATE_TAG));
            let age = Duration::try_from(now().duration_since(image.created.unwrap())).unwrap();
            prop_assert!(rules.older_than.is_none_or(|limit| age >= limit));
        }
        // No family points to another image than before, and none is left without one.
        let gone = going(&images, &rules);
        for family in ["web", "db"] {
            let of_family = |image: &&CustomImage| image.family.as_deref() == Some(family);
            let head = crate::manage::family_head(images.iter().filter(of_family));
            if let Some(head) = head {
                prop_assert!(!gone.contains(&head.image_id), "{family} loses {}", head.image_id);
            }
        }
    }

    #[test]
    fn as_many_stay_as_were_asked_for(images in any_images(), rules in any_rules()) {
        let usable = |image: &&CustomImage| rules.looks_at(image) && is_usable(image);
        let before = images.iter().filter(usable).count();
        let gone = going(&images, &rules);
        let after = images.iter().filter(usable).filter(|image| !gone.contains(&image.image_id)).count();
        prop_assert!(after >= rules.keep.min(before));
    }

    #[test]
    fn what_is_done_is_done(images in any_images(), rules in any_rules()) {
        let gone = going(&images, &rules);
        let left: Vec<_> = images.into_iter().filter(|image| !gone.contains(&image.image_id)).collect();
        prop_assert!(going(&left, &rules).is_empty());
    }

    #[test]
    fn whoever_keeps_more_loses_less(images in any_images(), rules in any_rules()) {
        let more = PruneRules { keep: rules.keep + 1, ..rules.clone() };
        prop_assert!(going(&images, &more).is_subset(&going(&images, &rules)));
        let bold = PruneRules { shared: true, public: true, in_use: true, ..rules.clone() };
        prop_assert!(going(&images, &rules).is_subset(&going(&images, &bold)));
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(images in any_images(), rules in any_rules()) {
        let mut turned = images.clone();
        turned.reverse();
        prop_assert_eq!(judge(&images, &rules, now()), judge(&turned, &rules, now()));
    }
}
