//! RAW images that go as QCOW2.

use std::io;

use super::*;
use crate::model::{ObjectFormat, Qcow2Compat};
use crate::source::Stream;

const CLUSTER: usize = 64 << 10;

fn qcow2(compat: Qcow2Compat) -> ObjectForm {
    ObjectForm { format: ObjectFormat::Qcow2 { compat }, ..ObjectForm::default() }
}

/// Makes the file of the world a disk with data, zeros and half of each, and of an odd length.
fn disk(world: &mut World) {
    let length = world.bytes.len();
    for (index, cluster) in world.bytes.chunks_mut(CLUSTER).enumerate() {
        match index % 7 {
            1 | 2 | 5 => cluster.fill(0),
            3 => cluster[..CLUSTER / 2].fill(0),
            _ => {}
        }
    }
    world.bytes.truncate(length - 100);
    std::fs::write(world.file(), &world.bytes).unwrap();
}

/// Returns the disk inside the object.
async fn disk_of(world: &World) -> Vec<u8> {
    let object: Arc<dyn crate::read::ReadAt> = Arc::new(world.stored().await.expect("an object"));
    let disk = crate::image::open_disk(object).unwrap();
    let mut bytes = vec![0; disk.length() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_raw_image_goes_as_qcow2_and_is_the_same_disk() {
    let mut world = World::new(8 * MIB);
    disk(&mut world);
    let mut expected = world.bytes.clone();
    expected.resize(expected.len().next_multiple_of(512), 0);
    let mut objects = Vec::new();
    for compat in [Qcow2Compat::V3, Qcow2Compat::V2] {
        let upload = world.upload().with_form(qcow2(compat)).with_overwrite(true).with_content_sha256(true);
        let report = upload.run().await.unwrap();
        assert_eq!(report.image_bytes, world.bytes.len() as u64);
        assert!(report.stored.size < 6 * MIB, "{}", report.stored.size);
        assert!(disk_of(&world).await == expected);
        objects.push(world.stored().await.unwrap());
    }
    assert_ne!(objects[0], objects[1]);
    // The same from a stream, in other parts.
    let stream = Stream::new("standard input", io::Cursor::new(world.bytes.clone())).with_memory(8 << 20);
    let upload = Upload::from_stream(world.client.clone(), stream, world.object());
    upload
        .with_form(qcow2(Qcow2Compat::V3))
        .with_part_size(200 << 10)
        .with_overwrite(true)
        .run()
        .await
        .unwrap();
    assert!(world.stored().await.unwrap() == objects[0]);
}

#[tokio::test]
async fn a_conversion_that_was_stopped_goes_on_and_sends_nothing_twice() {
    let mut world = World::new(16 * MIB);
    disk(&mut world);
    let upload = || world.upload_of(&world.file()).with_form(qcow2(Qcow2Compat::V3));
    let cancel = CancellationToken::new();
    let (stopper, left) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(4));
    let sink = EventSink::new(move |event| {
        let done = matches!(event, Event::PartDone { .. });
        if done && left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            stopper.cancel();
        }
    });
    upload().with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let report = upload().run().await.unwrap();
    assert!(report.resumed_parts >= 4, "{report:?}");
    assert_eq!(world.script.count("UploadPart"), report.parts);
    let mut expected = world.bytes.clone();
    expected.resize(expected.len().next_multiple_of(512), 0);
    assert!(disk_of(&world).await == expected);
    // What is there is recognised, though its length is not known before.
    let sent = world.script.count("UploadPart");
    let again = upload().run().await.unwrap();
    assert_eq!((again.stored.crc64, world.script.count("UploadPart")), (report.stored.crc64, sent));
}

#[tokio::test]
async fn another_machine_adopts_a_conversion() {
    let mut world = World::new(16 * MIB);
    disk(&mut world);
    let upload = || {
        let source = Arc::new(FileSource::open(world.file()).unwrap());
        Upload::new(world.client.clone(), source, world.object()).with_form(qcow2(Qcow2Compat::V3))
    };
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::PartDone { .. }) {
            stopper.cancel();
        }
    });
    upload().with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let elsewhere = world.folder.path().join("elsewhere");
    let report = upload().with_state_dir(elsewhere).with_adopt(true).run().await.unwrap();
    assert!(report.resumed_parts >= 1, "{report:?}");
    assert_eq!(world.script.count("UploadPart"), report.parts);
    assert_eq!(disk_of(&world).await.len() as u64, (16 * MIB - 100).next_multiple_of(512));
}

#[tokio::test]
async fn parts_that_were_made_with_a_map_are_not_taken_for_those_made_without() {
    let mut world = World::new(16 * MIB);
    disk(&mut world);
    world.bytes.truncate(15 << 20);
    std::fs::write(world.file(), &world.bytes).unwrap();
    let length = world.bytes.len();
    let map = format!(
        r#"[{{"start": 0, "length": 524288, "depth": 0, "present": true, "zero": true, "data": false}},
            {{"start": 524288, "length": {}, "depth": 0, "present": true, "zero": false, "data": true}}]"#,
        length - 524_288
    );
    let map = crate::source::map::DataMap::from_qemu(map.as_bytes()).unwrap();
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::PartDone { .. }) {
            stopper.cancel();
        }
    });
    let mapped = crate::source::map::Mapped::new(FileSource::open(world.file()).unwrap(), map).unwrap();
    let upload = Upload::new(world.client.clone(), Arc::new(mapped), world.object());
    let upload = upload.with_state_dir(world.folder.path().join("state")).with_form(qcow2(Qcow2Compat::V3));
    upload.with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let upload =
        Upload::new(world.client.clone(), Arc::new(FileSource::open(world.file()).unwrap()), world.object());
    upload
        .with_state_dir(world.folder.path().join("state"))
        .with_form(qcow2(Qcow2Compat::V3))
        .run()
        .await
        .unwrap();
    let disk = disk_of(&world).await;
    assert!(disk[..length] == world.bytes);
}

#[tokio::test]
async fn a_disk_of_zeros_is_a_few_tables() {
    let world = World::new(1);
    let file = std::fs::File::create(world.file()).unwrap();
    file.set_len(3 << 30).unwrap();
    let report = world.upload().with_form(qcow2(Qcow2Compat::V3)).run().await.unwrap();
    assert_eq!(report.image_bytes, 3 << 30);
    assert!(report.stored.size <= 5 * CLUSTER as u64, "{}", report.stored.size);
}

#[tokio::test]
async fn what_was_made_of_the_image_stands_in_the_object_s_metadata_under_either_signature() {
    use crate::protocol::sign::SignVersion;
    for version in [SignVersion::V1, SignVersion::V4] {
        let world = World::with(MIB, |options| options.with_sign_version(version));
        let kept = async || {
            let answer = world.read_back().await;
            let said = |name: &str| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
            ["x-oss-meta-ossup-form", "x-oss-meta-ossup-compat", "x-oss-meta-ossup-image-size"].map(said)
        };
        world.upload().with_form(qcow2(Qcow2Compat::V3)).run().await.unwrap();
        assert_eq!(kept().await, ["qcow2", "1.1", "1048576"].map(|value| Some(value.to_owned())));
        world.upload().with_overwrite(true).run().await.unwrap();
        assert_eq!(kept().await, [None, None, None]);
    }
}
