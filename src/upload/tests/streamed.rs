//! Sources that pass once.

use std::io::{self, Read};

use super::*;
use crate::source::{Passage, Stream};
use crate::transfer::TransferError;

impl World {
    fn upload_stream(&self, reader: impl Read + Send + 'static) -> Upload {
        let stream = Stream::new("standard input", reader).with_memory(8 << 20);
        Upload::from_stream(self.client.clone(), stream, self.object())
            .with_state_dir(self.folder.path().join("state"))
            .with_parallel(3)
    }

    fn reader(&self) -> io::Cursor<Vec<u8>> {
        io::Cursor::new(self.bytes.clone())
    }
}

/// Returns a token that is cancelled after this many parts, and the sink that does it.
fn after(parts: usize) -> (EventSink, CancellationToken) {
    let cancel = CancellationToken::new();
    let (stopper, left) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(parts));
    let sink = EventSink::new(move |event| {
        let done = matches!(event, Event::PartDone { .. });
        if done && left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            stopper.cancel();
        }
    });
    (sink, cancel)
}

#[tokio::test]
async fn a_stream_becomes_the_object() {
    for length in [1, 1000, MIB, 7 * MIB + 13] {
        let world = World::new(length);
        let report = world.upload_stream(world.reader()).run().await.unwrap();
        assert_eq!(report.image_bytes, length);
        world.assert_stored().await;
        assert_eq!(world.open_uploads().await, 0);
    }
}

#[tokio::test]
async fn an_empty_stream_is_no_object() {
    let world = World::new(1);
    let error = world.upload_stream(io::empty()).run().await.unwrap_err();
    assert!(matches!(error, UploadError::Transfer { source: TransferError::Plan(_), .. }), "{error:?}");
    assert_eq!(world.stored().await, None);
}

#[tokio::test]
async fn a_stream_that_was_stopped_goes_on_and_sends_nothing_twice() {
    let world = World::new(9 * MIB + 5);
    let (sink, cancel) = after(4);
    let stopped = world
        .upload_stream(world.reader())
        .with_parallel(1)
        .with_events(sink)
        .with_cancellation(cancel)
        .run()
        .await;
    assert!(stopped.is_err());
    let report = world.upload_stream(world.reader()).run().await.unwrap();
    assert!(report.resumed_parts >= 4, "{report:?}");
    assert_eq!(world.script.count("UploadPart"), report.parts);
    world.assert_stored().await;
}

#[tokio::test]
async fn with_less_memory_than_its_parts_need_a_stream_is_refused_and_says_how_much() {
    let world = World::new(9 * MIB);
    let with = |memory| {
        let stream = Stream::new("standard input", world.reader()).with_memory(memory);
        Upload::from_stream(world.client.clone(), stream, world.object())
            .with_state_dir(world.folder.path().join("state"))
    };
    let (sink, cancel) = after(4);
    with(64 << 20).with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let error = with(8 << 20).run().await.unwrap_err();
    let UploadError::Session(SessionError::Plan(error)) = error else { panic!("{error:?}") };
    assert!(error.to_string().ends_with(&format!("--max-memory {}", 64 << 20)), "{error}");
    with(64 << 20).run().await.unwrap();
    world.assert_stored().await;
}

#[tokio::test]
async fn another_stream_is_refused_and_the_parts_are_kept() {
    let world = World::new(9 * MIB);
    let (sink, cancel) = after(4);
    world
        .upload_stream(world.reader())
        .with_parallel(1)
        .with_events(sink)
        .with_cancellation(cancel)
        .run()
        .await
        .unwrap_err();
    let mut other = world.bytes.clone();
    other[MIB as usize + 7] ^= 1;
    let shorter = world.bytes[..3 * MIB as usize].to_vec();
    for other in [other, shorter] {
        let error = world.upload_stream(io::Cursor::new(other)).run().await.unwrap_err();
        let other =
            matches!(&error, UploadError::Transfer { source: TransferError::OtherContent { .. }, .. });
        assert!(other, "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert_eq!(world.stored().await, None);
        assert_eq!(world.open_uploads().await, 1);
    }
    world.upload_stream(world.reader()).run().await.unwrap();
    world.assert_stored().await;
}

#[tokio::test]
async fn a_stream_that_fails_is_no_object() {
    struct Broken(io::Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the producer failed")),
                count => Ok(count),
            }
        }
    }
    let world = World::new(3 * MIB);
    let error = world.upload_stream(Broken(world.reader())).run().await.unwrap_err();
    let UploadError::Transfer { source: TransferError::Source { offset, source }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.to_string(), "the producer failed");
    assert!(offset <= 3 * MIB);
    assert_eq!(world.stored().await, None);
    world.upload_stream(world.reader()).run().await.unwrap();
    world.assert_stored().await;
}

#[tokio::test]
async fn a_wrong_digest_makes_no_object() {
    use sha2::Digest;
    let world = World::new(3 * MIB);
    let right = Sha256(sha2::Sha256::digest(&world.bytes).into());
    let wrong = Sha256([7; 32]);
    for upload in [world.upload_stream(world.reader()), world.upload()] {
        let error = upload.with_expected_sha256(wrong).run().await.unwrap_err();
        let checksum = matches!(error, UploadError::Complete(CompleteError::Checksum { .. }));
        assert!(checksum, "{error:?}");
        assert_eq!(world.stored().await, None);
        abort_all(&world).await;
    }
    let report = world.upload_stream(world.reader()).with_expected_sha256(right).run().await.unwrap();
    assert_eq!(report.content_sha256, Some(right));
    let report = world.upload().with_content_sha256(true).with_overwrite(true).run().await.unwrap();
    assert_eq!(report.content_sha256, Some(right));
}

async fn abort_all(world: &World) {
    let list = ListMultipartUploads::new("images".parse().unwrap());
    for open in world.client.call(&list).await.unwrap().uploads {
        abort(&world.client, &world.object(), &open.upload_id).await.unwrap();
    }
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
}

#[tokio::test]
async fn nothing_is_sent_before_the_head_was_judged() {
    struct Judge {
        seen: u64,
        refuse: bool,
    }
    impl Passage for Judge {
        fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.zeros(bytes.len() as u64)
        }
        fn zeros(&mut self, count: u64) -> io::Result<()> {
            self.seen += count;
            match self.refuse && self.seen >= 2 * MIB {
                true => Err(io::Error::other("this is no disk")),
                false => Ok(()),
            }
        }
        fn holds(&self) -> bool {
            self.seen < 2 * MIB
        }
    }
    let world = World::new(6 * MIB);
    let upload =
        world.upload_stream(world.reader()).with_passage(|| Box::new(Judge { seen: 0, refuse: true }));
    upload.run().await.unwrap_err();
    assert_eq!(world.script.count("UploadPart"), 0);
    let upload =
        world.upload_stream(world.reader()).with_passage(|| Box::new(Judge { seen: 0, refuse: false }));
    upload.run().await.unwrap();
    world.assert_stored().await;
}
