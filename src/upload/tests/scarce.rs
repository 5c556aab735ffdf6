//! Streams that have only just enough memory.

use std::io;

use super::*;
use crate::model::{ObjectFormat, Qcow2Compat};
use crate::source::{Passage, Stream};

const CLUSTER: u64 = 64 << 10;
/// The least that a stream is given; parts are at most a quarter of it.
const MEMORY: u64 = 8 * MIB;
const LENGTH: u64 = 40 * MIB;

/// A disk of which one cluster in four has data.
fn sparse(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    for (index, cluster) in bytes.chunks_mut(CLUSTER as usize).enumerate().step_by(4) {
        cluster.fill(index as u8 | 1);
    }
    bytes
}

fn upload(world: &World, bytes: &[u8]) -> Upload {
    let stream = Stream::new("standard input", io::Cursor::new(bytes.to_vec())).with_memory(MEMORY);
    Upload::from_stream(world.client.clone(), stream, world.object())
        .with_state_dir(world.folder.path().join("state"))
        .with_form(ObjectForm {
            format: ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 },
            ..ObjectForm::default()
        })
        .with_part_size(MEMORY / 4)
        .with_parallel(3)
}

/// Fails instead of waiting for ever.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("there is memory to go on with")
}

#[tokio::test]
async fn data_among_zeros_takes_no_more_memory_than_its_bytes() {
    let world = World::new(1);
    let bytes = sparse(LENGTH);
    let report = soon(upload(&world, &bytes).run()).await.unwrap();
    assert_eq!(report.image_bytes, LENGTH);
    assert!((LENGTH / 4..LENGTH / 4 + MIB).contains(&report.stored.size), "{}", report.stored.size);
}

#[tokio::test]
async fn a_head_that_is_judged_is_held_in_as_many_bytes_as_it_has() {
    /// Judges late.
    struct Judge(u64);
    impl Passage for Judge {
        fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.zeros(bytes.len() as u64)
        }
        fn zeros(&mut self, count: u64) -> io::Result<()> {
            self.0 += count;
            Ok(())
        }
        fn holds(&self) -> bool {
            self.0 < 20 * MIB
        }
    }
    let world = World::new(1);
    let bytes = sparse(LENGTH);
    soon(upload(&world, &bytes).with_passage(|| Box::new(Judge(0))).run()).await.unwrap();
}

#[tokio::test]
async fn parts_of_the_largest_size_are_compared_with_as_little_memory() {
    let world = World::new(1);
    let bytes = sparse(LENGTH);
    let refused = "<Error><Code>AccessDenied</Code></Error>".to_owned();
    world.script.rule("UploadPart", 3, 1, Effect::Answer(403, refused));
    soon(upload(&world, &bytes).run()).await.unwrap_err();
    let report = soon(upload(&world, &bytes).run()).await.unwrap();
    assert!(report.resumed_parts >= 3, "{report:?}");
}
