//! Requests that are completed once the objects are there.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::import::ImportRequest;

impl World {
    /// Publishes a file as a disk of another size each time that the request is completed.
    fn publish_growing(&self, transport: Arc<dyn Transport>, grown: &Arc<AtomicU32>) -> Publish {
        let grown = Arc::clone(grown);
        self.publish(transport).with_completion(move |request: ImportRequest| {
            let size = 41 + grown.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { Ok(sized(&request, size)) })
        })
    }

    async fn sizes(&self) -> Vec<Option<u64>> {
        let images = self.importer(self.alive()).images(&region(REGIONS[0])).await.unwrap();
        images.iter().map(|image| image.size_gib).collect()
    }
}

/// Asks for the same with a disk of this size.
fn sized(request: &ImportRequest, gib: u32) -> ImportRequest {
    let disk = request.disks()[0].clone().with_size_gib(gib);
    ImportRequest::new(request.region().clone(), request.name(), disk)
}

#[tokio::test]
async fn what_was_completed_once_is_sent_by_every_run_wherever_one_died() {
    for after in [false, true] {
        for dies_at in 0.. {
            let (world, grown) = (World::new(), Arc::default());
            world.image();
            let finished = world.survives(dies_at, after, |dying| world.publish_growing(dying, &grown)).await;
            let before = world.sizes().await;
            let completed = grown.load(Ordering::Relaxed);
            world
                .publish_growing(world.alive(), &grown)
                .run()
                .await
                .unwrap_or_else(|error| panic!("{dies_at}, {after}: {error}"));
            let sizes = world.sizes().await;
            assert_eq!(sizes.len(), 1, "{dies_at}, {after}");
            assert!(before.is_empty() || before == sizes, "{dies_at}, {after}: {before:?}, {sizes:?}");
            if completed == 1 && grown.load(Ordering::Relaxed) == 1 {
                assert_eq!(sizes, [Some(41)], "{dies_at}, {after}");
            }
            assert!(before.is_empty() || grown.load(Ordering::Relaxed) == 1, "{dies_at}, {after}");
            if finished {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_image_that_is_refused_is_not_asked_for_and_its_object_stays() {
    let world = World::new();
    world.image();
    let refusing = world.publish(world.alive()).with_completion(|_| Box::pin(async { Err("no".into()) }));
    for _ in 0..2 {
        let error = refusing.run().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (crate::ErrorKind::Image, "no".to_owned()));
        assert!(!refusing.has_begun().unwrap() && world.sizes().await.is_empty());
    }
    let willing = world.publish(world.alive()).run().await.unwrap();
    assert_eq!((willing.uploads[0].bytes_sent, world.sizes().await), (0, vec![Some(40)]));
}

#[tokio::test]
async fn a_windows_that_is_found_late_is_not_tested_for_it_has_no_console() {
    let world = World::new();
    world.image();
    let windows = |request: ImportRequest| request.with_os_type(OsType::Windows);
    let publish = world
        .publish(world.alive())
        .with_boot_test(BootTest::new("ecs.g7.large", "vsw-1", "sg-1"))
        .with_completion(move |request| Box::pin(async move { Ok(windows(request)) }));
    let error = publish.run().await.unwrap_err();
    assert!(matches!(error, PublishError::Impossible(Impossible::WindowsBootTest)), "{error:?}");
    assert!(world.sizes().await.is_empty());
}

#[tokio::test]
async fn the_name_of_the_import_stays_that_of_one_to_be_encrypted() {
    let world = World::new();
    world.image();
    let publish = world.publish_growing(world.alive(), &Arc::default());
    let publish = Publish { share_with: Vec::new(), ..publish };
    let report = publish.with_encryption(crate::publish::Encryption::new()).run().await.unwrap();
    let name = report.import.image.and_then(|image| image.name);
    assert_eq!(name.as_deref(), Some("web-1-unencrypted"));
}
