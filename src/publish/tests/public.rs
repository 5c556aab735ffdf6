//! Community images: public in every region, or in none.

use super::*;
use crate::protocol::ecs::DescribeSnapshots;

/// Returns in which regions the image of the name is public.
async fn public_in(world: &World) -> Vec<&'static str> {
    let importer = world.importer(world.alive());
    let mut public = Vec::new();
    for name in REGIONS {
        let image = importer.find_image(&region(name), "web-1").await.unwrap();
        public.extend(image.and_then(|image| image.is_public).unwrap_or(false).then_some(name));
    }
    public
}

#[tokio::test]
async fn images_are_public_everywhere_after_they_were_shared_and_only_when_all_are_there() {
    let world = World::new();
    world.image();
    let broken = FaultRule::on(
        "CopyImage",
        Fault::Status {
            status: 403,
            code: "QuotaExceed.Image".to_owned(),
            when: When::default(),
            retry_after: None,
        },
    );
    world.emulator.set_faults(FaultPlan::of([broken]));
    let publish = world.publish(world.alive()).with_public(true).with_keep_going(true);
    let report = publish.run().await.unwrap();
    assert!(!report.failures.is_empty() && !report.public, "{report:?}");
    assert!(public_in(&world).await.is_empty(), "one region is missing");

    world.emulator.set_faults(FaultPlan::default());
    let report = publish.run().await.unwrap();
    assert!(report.public, "{report:?}");
    assert_eq!(public_in(&world).await, REGIONS);
    // The accounts were added before, and again nothing is asked for that a community image forbids.
    world.assert_one_image_in_each_region().await;
    publish.run().await.unwrap();
    world.assert_one_image_in_each_region().await;
}

#[tokio::test]
async fn killed_anywhere_a_public_publish_ends_public_everywhere() {
    for after in [false, true] {
        for dies_at in (usize::from(after)..).step_by(5) {
            let world = World::new();
            world.image();
            let public = |transport| world.publish(transport).with_public(true);
            let finished = world.survives(dies_at, after, public).await;
            public(world.alive()).run().await.unwrap();
            assert_eq!(public_in(&world).await, REGIONS, "{dies_at}");
            world.assert_one_image_in_each_region().await;
            if finished {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_ecs_never_does_is_refused_before_anything_is_sent() {
    let world = World::new();
    world.image();
    let keys = crate::publish::Encryption::new;
    let public = world.publish(world.alive()).with_public(true).with_encryption(keys());
    let without_key =
        world.publish(world.alive()).with_encryption(keys().with_key_in(region(REGIONS[1]), "key-1"));
    for publish in [public, without_key] {
        let error = publish.run().await.unwrap_err();
        assert!(matches!(error, PublishError::Impossible { .. }), "{error:?}");
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
    }
    assert!(world.emulator.bucket(&"images".parse().unwrap()).is_none(), "nothing was uploaded");
}

#[tokio::test]
async fn tags_reach_copies_and_snapshots_and_without_the_permission_that_is_said() {
    let world = World::new();
    world.image();
    let publish = world.publish(world.alive());
    let publish = Publish { request: publish.request.clone().with_tag("team", "web"), ..publish };
    let denied = Fault::Status {
        status: 403,
        code: "Forbidden.RAM".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    world.emulator.set_faults(FaultPlan::of([FaultRule::on("TagResources", denied)]));
    let (sink, said) = notices();
    publish.clone().with_events(sink).run().await.unwrap();
    let said = said.lock().unwrap().clone();
    assert!(said.len() == 3 && said[0].contains("ecs:TagResources"), "{said:?}");

    world.emulator.set_faults(FaultPlan::default());
    publish.run().await.unwrap();
    let importer = world.importer(world.alive());
    for name in REGIONS {
        let images = importer.images(&region(name)).await.unwrap();
        let tag =
            |tags: &[crate::import::Tag]| tags.iter().any(|tag| tag.key == "team" && tag.value == "web");
        let ids = images[0].snapshots();
        let listed = importer.client().call(&DescribeSnapshots::new(region(name), ids)).await.unwrap();
        assert!(tag(&images[0].tags) && tag(&listed.snapshots[0].tags), "{name}: {listed:?}");
    }
}
