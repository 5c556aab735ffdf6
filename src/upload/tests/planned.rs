//! What an upload would do is found out without doing any of it.

use std::io::Read;

use super::*;
use crate::model::{ObjectForm, ObjectFormat, Qcow2Compat};
use crate::source::Stream;
use crate::upload::plan::{Estimate, Existing};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn a_plan_says_what_the_run_then_does_and_makes_nothing() {
    let world = World::new(5 * MIB + 17);
    std::fs::remove_dir(world.folder.path().join("state")).unwrap();
    let plan = world.upload().plan().await.unwrap();
    assert_eq!(world.script.order(), ["HeadObject"]);
    assert!(!world.folder.path().join("state").exists());
    assert_eq!((plan.image_bytes, plan.existing.clone()), (Some(5 * MIB + 17), Existing::Nothing));
    assert_eq!((plan.data_bytes, plan.zero_bytes), (plan.object_bytes, Some(Estimate::exactly(0))));
    assert_eq!((plan.parts, plan.requests), (Some(6..=6), Some(8..=8)));
    assert_eq!((plan.memory, plan.present), (3 << 19, Present::default()));
    let report = world.upload().run().await.unwrap();
    assert_eq!(plan.to_send, Some(Estimate::exactly(report.bytes_sent)));
    assert_eq!(report.parts, 6);
}

#[tokio::test]
async fn what_an_earlier_run_left_is_in_the_plan_and_stays_as_it_is() {
    let world = World::new(8 * MIB);
    world.interrupt_after(3).await;
    let state = world.folder.path().join("state");
    let (before, contents) = (files(&state), std::fs::read(world.folder().join("journal")).unwrap());
    let sent = world.script.count("UploadPart");
    let plan = world.upload().plan().await.unwrap();
    assert_eq!(world.script.order().split_off(2), ["ListParts", "HeadObject"]);
    assert_eq!((files(&state), std::fs::read(world.folder().join("journal")).unwrap()), (before, contents));
    assert_eq!((plan.present.parts, plan.present.bytes), (sent, sent as u64 * MIB));
    assert_eq!(
        (plan.present.compared_parts, plan.parts.clone()),
        (0, Some(8 - sent as u64..=8 - sent as u64))
    );
    let compared = world.upload().with_verify_resume(true).plan().await.unwrap();
    assert_eq!((compared.present.parts, compared.present.compared_parts), (0, sent));
    assert_eq!(
        compared.to_send.map(|bytes| (bytes.likely, bytes.most)),
        Some((8 * MIB - sent as u64 * MIB, 8 * MIB))
    );
    let anew = world.upload().with_restart(true).plan().await.unwrap();
    assert_eq!((anew.present, anew.to_send), (Present::default(), Some(Estimate::exactly(8 * MIB))));
    let report = world.upload().run().await.unwrap();
    assert_eq!(plan.to_send, Some(Estimate::exactly(report.bytes_sent)));
}

#[tokio::test]
async fn what_would_be_refused_is_refused_alike() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    std::fs::write(world.file(), vec![1; 5 << 20]).unwrap();
    let planned = world.upload().plan().await.unwrap_err();
    assert_eq!(planned.to_string(), world.upload().run().await.unwrap_err().to_string());
    assert_eq!(planned.kind(), ErrorKind::Integrity);

    let world = World::new(2 * MIB);
    let nowhere = Upload {
        session: SessionOptions { object: "oss://nowhere/x".parse().unwrap(), ..world.upload().session },
        ..world.upload()
    };
    assert_eq!(nowhere.plan().await.unwrap().existing, Existing::NoBucket);
    world.put(b"something else");
    let planned = world.upload().plan().await.unwrap_err();
    assert_eq!((planned.kind(), world.script.count("InitiateMultipartUpload")), (ErrorKind::Conflict, 0));
    let replacing = world.upload().with_overwrite(true).plan().await.unwrap();
    assert_eq!(replacing.existing, Existing::Replaced { size: 14 });
    world.put(&world.bytes);
    let compared = world.upload().plan().await.unwrap();
    assert!(matches!(compared.existing, Existing::Compared { size, crc64: Some(_) } if size == 2 * MIB));
    assert_eq!((compared.to_send, compared.parts), (Some(Estimate::exactly(0)), Some(0..=0)));

    let refused = Effect::Answer(403, "<Error><Code>AccessDenied</Code></Error>".to_owned());
    world.script.rule("HeadObject", 0, 1, refused);
    let blind = world.upload().plan().await.unwrap();
    assert!(matches!(blind.existing, Existing::Unknown { reason } if reason.contains("AccessDenied")));
}

#[tokio::test]
async fn of_a_small_disk_the_length_as_qcow2_is_known_before() {
    let world = World::new(MIB);
    let mut disk = vec![0; 12 << 20];
    disk[5 << 20..6 << 20].copy_from_slice(&world.bytes);
    std::fs::write(world.file(), &disk).unwrap();
    let format = ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 };
    let upload = || world.upload().with_form(ObjectForm { format, ..ObjectForm::default() });
    let plan = upload().plan().await.unwrap();
    assert_eq!(
        (plan.data_bytes, plan.zero_bytes),
        (Some(Estimate::exactly(MIB)), Some(Estimate::exactly(11 * MIB)))
    );
    let report = upload().run().await.unwrap();
    assert_eq!(plan.object_bytes, Some(Estimate::exactly(report.stored.size)));
    assert_eq!(
        (plan.to_send, plan.parts),
        (plan.object_bytes, Some(report.parts as u64..=report.parts as u64))
    );
}

#[tokio::test]
async fn nothing_of_a_stream_is_read_for_a_plan() {
    struct Unread;
    impl Read for Unread {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            unreachable!("a plan reads nothing of a stream")
        }
    }
    let world = World::new(1);
    let of = |stream| Upload::from_stream(world.client.clone(), stream, world.object());
    let plan = of(Stream::new("standard input", Unread)).plan().await.unwrap();
    assert_eq!((plan.image_bytes, plan.object_bytes, plan.to_send, plan.parts), (None, None, None, None));
    assert_eq!(plan.memory, (32 << 20) + crate::source::DEFAULT_STREAM_MEMORY);
    let expected =
        of(Stream::new("standard input", Unread).with_expected_size(9 << 20)).plan().await.unwrap();
    let sent = expected.to_send.unwrap();
    assert!(sent.likely == 9 << 20 && !sent.is_exact(), "{sent:?}");
    assert_eq!(expected.takes(1 << 20), Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn a_probe_measures_and_leaves_nothing() {
    let world = World::new(1);
    let probed = world.upload().probe(Duration::from_millis(20)).await.unwrap();
    assert!(probed.bytes > 0 && probed.bytes_per_second() > 0, "{probed:?}");
    assert_eq!((world.open_uploads().await, world.stored().await), (0, None));
    let refused = "<Error><Code>AccessDenied</Code></Error>".to_owned();
    world.script.rule("UploadPart", 0, 9, Effect::Answer(403, refused));
    let error = world.upload().probe(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((error.kind(), world.open_uploads().await), (ErrorKind::Credentials, 0));
}
