//! Objects whose length is not known at the beginning, where answers have no checksums.

use std::io;

use super::*;
use crate::model::{ObjectFormat, Qcow2Compat};
use crate::source::Stream;

const NO_CRC64: Effect = Effect::Header("x-oss-hash-crc64ecma", None);

fn stream(world: &World) -> Upload {
    let stream = Stream::new("standard input", io::Cursor::new(world.bytes.clone())).with_memory(8 * MIB);
    Upload::from_stream(world.client.clone(), stream, world.object())
        .with_state_dir(world.folder.path().join("state"))
        .with_part_size(MIB)
        .with_parallel(1)
}

fn conversion(world: &World) -> Upload {
    let format = ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 };
    world.upload().with_form(ObjectForm { format, ..ObjectForm::default() })
}

#[tokio::test]
async fn parts_are_compared_with_the_list_and_the_object_is_made_at_once() {
    for upload in [stream, conversion] {
        let world = World::new(3 * MIB + 7);
        world.script.rule("UploadPart", 0, usize::MAX, NO_CRC64);
        let report = upload(&world).run().await.unwrap();
        assert_eq!(world.script.count("UploadPart"), report.parts);
        assert_eq!(world.script.count("ListParts"), 1);
    }
}

#[tokio::test]
async fn a_damaged_part_of_a_conversion_is_made_again_and_sent_alone() {
    let world = World::new(3 * MIB + 7);
    world.script.rule("UploadPart", 1, 1, Effect::Damaged);
    let report = conversion(&world).run().await.unwrap();
    assert_eq!(world.script.count("UploadPart"), report.parts + 1);
}

/// What has passed cannot be sent again, so the next run does it: that a part arrived damaged does not make the stream
/// another one.
#[tokio::test]
async fn a_damaged_part_of_a_stream_makes_no_object_and_is_sent_again_by_the_next_run() {
    let world = World::new(3 * MIB + 7);
    world.script.rule("UploadPart", 1, 1, Effect::Damaged);
    stream(&world).run().await.unwrap_err();
    assert_eq!(world.stored().await, None);
    let report = stream(&world).run().await.unwrap();
    assert_eq!(report.resumed_parts, report.parts - 1);
    assert_eq!(world.script.count("UploadPart"), report.parts + 1);
    world.assert_stored().await;
}
