//! Publishing what passes once. The same command sends the same stream again.

use std::io::{self, Cursor, Read};

use sha2::Digest;

use super::*;
use crate::checksum_file::Sha256;
use crate::event::Event;
use crate::model::{ObjectForm, Unpacked};
use crate::source::Stream;

impl World {
    fn bucket(&self) {
        let bucket = "images".parse().unwrap();
        if self.emulator.bucket(&bucket).is_none() {
            self.emulator.create_bucket(bucket, region(REGIONS[0])).unwrap();
        }
    }

    fn publish_stream(
        &self,
        transport: Arc<dyn Transport>,
        reader: impl Read + Send + 'static,
        change: impl FnOnce(Upload) -> Upload,
    ) -> Publish {
        self.bucket();
        let importer = self.importer(transport);
        let object: ObjectRef = "oss://images/disk.raw".parse().unwrap();
        let state = self.folder.path().join("state");
        let stream = Stream::new("standard input", reader).with_memory(8 << 20);
        let upload = Upload::from_stream(importer.client().clone(), stream, object.clone());
        let disk = ImportDisk::new(object).with_format(DiskFormat::Raw).with_size_gib(40);
        let request = ImportRequest::new(region(REGIONS[0]), "web-1", disk);
        let upload = change(upload.with_state_dir(&state).with_overwrite(true));
        Publish::new(importer, request, state).with_upload(upload)
    }

    async fn version(&self) -> Option<crate::model::ObjectVersion> {
        let publish = self.publish_stream(self.alive(), io::empty(), |upload| upload);
        publish.version(&"oss://images/disk.raw".parse().unwrap()).await.unwrap()
    }
}

fn same() -> Cursor<Vec<u8>> {
    Cursor::new(bootable())
}

fn other() -> Cursor<Vec<u8>> {
    let mut other = bootable();
    other[1 << 20] ^= 1;
    Cursor::new(other)
}

/// A stream of which nothing may be read.
struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("it was to stay unread"))
    }
}

#[tokio::test]
async fn a_piped_publish_that_dies_anywhere_is_ended_by_the_same_command() {
    for after in [false, true] {
        for dies_at in 0.. {
            let world = World::new();
            let publish = |dying| world.publish_stream(dying, same(), |upload| upload);
            let finished = world.survives(dies_at, after, publish).await;
            let imported = world.importer(world.alive()).images(&region(REGIONS[0])).await.unwrap();
            let before = world.version().await;
            let again = world.publish_stream(world.alive(), same(), |upload| upload).run().await;
            let again = again.unwrap_or_else(|error| panic!("{dies_at}, {after}: {error}"));
            if !imported.is_empty() {
                // ECS may be reading it.
                assert_eq!(again.uploads[0].bytes_sent, 0, "{dies_at}, {after}");
                assert_eq!(world.version().await, before, "{dies_at}, {after}");
            }
            let images = world.importer(world.alive()).images(&region(REGIONS[0])).await.unwrap();
            assert_eq!(images.len(), 1, "{dies_at}, {after}");
            if finished {
                break;
            }
        }
    }
}

#[tokio::test]
async fn another_stream_replaces_no_object_that_an_image_was_asked_of() {
    let world = World::new();
    world.publish_stream(world.alive(), same(), |upload| upload).run().await.unwrap();
    let before = world.version().await;
    let error = world.publish_stream(world.alive(), other(), |upload| upload).run().await.unwrap_err();
    assert!(matches!(error, PublishError::OtherStream { .. }), "{error:?}");
    assert_eq!((error.kind(), world.version().await), (crate::ErrorKind::Conflict, before));
    world.publish_stream(world.alive(), same(), |upload| upload).run().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_sure_to_be_the_same_is_not_read_again() {
    let sha256 = Sha256(sha2::Sha256::digest(bootable()).into());
    let expecting = |upload: Upload| upload.with_expected_sha256(sha256);
    for deletes in [false, true] {
        let world = World::new();
        let publish = |reader: Box<dyn Read + Send>| {
            world.publish_stream(world.alive(), reader, expecting).with_delete_objects(deletes)
        };
        publish(Box::new(same())).run().await.unwrap();
        let again = publish(Box::new(Unread)).run().await.unwrap();
        let sent: Vec<_> =
            again.uploads.iter().map(|report| (report.bytes_sent, report.content_sha256)).collect();
        assert_eq!(sent, if deletes { vec![] } else { vec![(0, Some(sha256))] });
        let unsure =
            world.publish_stream(world.alive(), Unread, |upload| upload).with_delete_objects(deletes);
        let error = unsure.run().await.unwrap_err();
        assert!(matches!(error, PublishError::Upload(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_was_fetched_for_a_stream_tells_which_stream_it_is_with_the_member() {
    let world = World::new();
    let importer = world.importer(world.alive());
    let mark = |sha256: u8, member: Option<&str>| {
        let stream = Stream::new("standard input", io::empty()).with_fetched_sha256(Sha256([sha256; 32]));
        let object = "oss://images/x".parse().unwrap();
        let unpacked = Some(Unpacked { member: member.map(str::to_owned) });
        let form = ObjectForm { unpacked, ..ObjectForm::default() };
        Upload::from_stream(importer.client().clone(), stream, object).with_form(form).source_mark().unwrap()
    };
    assert_eq!(mark(1, Some("a")), mark(1, Some("a")));
    assert_ne!(mark(1, Some("a")), mark(1, Some("b")));
    assert_ne!(mark(1, None), mark(2, None));
}

#[tokio::test]
async fn of_a_deleted_object_it_is_known_what_it_was_made_of() {
    let world = World::new();
    let publish =
        |reader| world.publish_stream(world.alive(), reader, |upload| upload).with_delete_objects(true);
    assert_eq!(publish(same()).run().await.unwrap().deleted.len(), 1);
    let again = publish(same()).run().await.unwrap();
    assert!(again.uploads.is_empty() && world.version().await.is_none());
    let error = publish(other()).run().await.unwrap_err();
    assert!(matches!(error, PublishError::OtherStream { .. }) && world.version().await.is_none());
}

#[tokio::test]
async fn an_object_that_is_too_short_to_be_the_stream_ends_the_comparison() {
    let world = World::new();
    world.bucket();
    crate::emulator::testing::put(&world.emulator, "images", "disk.raw", &bootable()[..1 << 20]);
    let endless = io::repeat(7);
    let publish = world.publish_stream(world.alive(), endless, |upload| upload.with_overwrite(false));
    let error = publish.run().await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Conflict);
}

#[tokio::test]
async fn streams_go_one_after_the_other() {
    let world = World::new();
    world.bucket();
    let said = Arc::new(Mutex::new(Vec::new()));
    let importer = world.importer(world.alive());
    let uploads: Vec<Upload> = ["one", "two"]
        .map(|name| {
            let said = Arc::clone(&said);
            let stream = Stream::new(name, same()).with_memory(8 << 20);
            let object = format!("oss://images/{name}").parse().unwrap();
            Upload::from_stream(importer.client().clone(), stream, object).with_events(EventSink::new(
                move |event| match event {
                    Event::Opened { .. } => said.lock().unwrap().push((name, "opened")),
                    Event::Completed => said.lock().unwrap().push((name, "completed")),
                    _ => {}
                },
            ))
        })
        .into();
    // The first one takes long enough for the other to pass it.
    let stall = Fault::Stall { when: When::default(), seconds: Some(0.3) };
    let rule = FaultRule::on("CompleteMultipartUpload", stall).with_key("one");
    world.emulator.set_faults(FaultPlan::of([rule]));
    upload_all(&uploads).await.unwrap();
    let order = [("one", "opened"), ("one", "completed"), ("two", "opened"), ("two", "completed")];
    assert_eq!(*said.lock().unwrap(), order);
}
