//! Encrypted images: the copies alone have the name, in all regions, and are made once.

use super::*;

const KEY: &str = "e522b26d-abf6-4e0d-b5da-04b7aaaaaa3c";

fn encrypted(world: &World, transport: Arc<dyn Transport>) -> Publish {
    let keys = crate::publish::Encryption::new().with_key("key-hz").with_key_in(region(REGIONS[1]), KEY);
    world.publish(transport).with_encryption(keys)
}

#[tokio::test]
async fn killed_anywhere_a_publish_ends_in_one_encrypted_image_per_region() {
    for after in [false, true] {
        // Some requests: the steps are those of a publish without encryption.
        for dies_at in (usize::from(after)..).step_by(7) {
            let world = World::new();
            world.image();
            let finished = world.survives(dies_at, after, |transport| encrypted(&world, transport)).await;
            let report = encrypted(&world, world.alive()).run().await.unwrap();
            let importer = world.importer(world.alive());
            for name in REGIONS {
                let images = importer.images(&region(name)).await.unwrap();
                let named: Vec<_> =
                    images.iter().filter(|image| image.name.as_deref() == Some("web-1")).collect();
                let [image] = named[..] else { panic!("{name}, {dies_at}: {images:?}") };
                assert_eq!(image.status, ImageStatus::Available);
                assert_eq!(report.copies[&region(name)].task.image_id, image.image_id);
                assert_eq!(image.family.as_deref(), Some("web"));
                assert_eq!(image.disks[0].encrypted, Some(true), "{name}");
            }
            assert_eq!(report.named().count(), 3);
            assert_eq!(report.image().task.region, region(REGIONS[0]));
            let own = importer.images(&region(REGIONS[0])).await.unwrap();
            let plain = own.iter().find(|image| image.image_id == report.import.task.image_id).unwrap();
            assert_eq!((own.len(), plain.name.as_deref()), (2, Some("web-1-unencrypted")));
            assert_eq!(plain.family, None, "nobody takes the unencrypted one from the family");
            let accounts = importer.shared_with(&region(REGIONS[0]), &plain.image_id).await.unwrap();
            assert!(accounts.is_empty());
            if finished {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_somebody_elses_image_has_in_any_region_is_known_before_the_first_byte() {
    let world = World::new();
    let file = world.image();
    world.occupy(REGIONS[1], "web-1", file).await;
    let publish = encrypted(&world, world.alive());
    let problems = Preflight::new(&publish).with_bucket_made(true).run().await;
    let [Problem::NameTaken { name, region: place, .. }] = &problems[..] else { panic!("{problems:?}") };
    // It carries an origin of ours, but is an import, and copies are wanted there.
    assert_eq!((name.as_str(), place), ("web-1", &region(REGIONS[1])));
}
