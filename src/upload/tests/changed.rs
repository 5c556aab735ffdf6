//! The source changes while it is read.

use super::*;
use crate::read::{ReadAt, ReadError};
use crate::source::{Change, Witness};

#[tokio::test]
async fn a_source_that_changes_meanwhile_makes_no_object() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let touch = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(async move {
            use std::io::Write;
            std::fs::File::options().append(true).open(file).unwrap().write_all(b"more").unwrap();
        })
    }));
    world.script.rule("UploadPart", 2, 1, touch);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(world.script.count("Complete"), 0);
    assert!(world.stored().await.is_none());
}

#[tokio::test]
async fn a_source_that_is_cut_short_is_said_to_have_changed() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let cut = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(
            async move { std::fs::File::options().write(true).open(file).unwrap().set_len(MIB).unwrap() },
        )
    }));
    world.script.rule("Initiate", 0, 1, cut);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

/// Writes bytes into a file and puts its modification time back.
fn write_unseen(file: &Path, offset: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let opened = std::fs::File::options().write(true).open(file).unwrap();
    let modified = opened.metadata().unwrap().modified().unwrap();
    opened.write_all_at(bytes, offset).unwrap();
    opened.set_times(std::fs::FileTimes::new().set_modified(modified)).unwrap();
}

/// Returns an effect that does something to the file first.
fn first(world: &World, act: impl Fn(&Path) + Send + Sync + 'static) -> Effect {
    let (file, act) = (world.file(), Arc::new(act));
    Effect::First(Arc::new(move || {
        let (file, act) = (file.clone(), Arc::clone(&act));
        Box::pin(async move { act(&file) })
    }))
}

#[tokio::test]
async fn after_a_change_that_was_noticed_every_kept_part_is_compared() {
    let world = World::new(6 * MIB);
    let change = first(&world, |file| {
        write_unseen(file, 0, b"NEW");
        write_unseen(file, 6 * MIB - 3, b"NEW");
    });
    world.script.rule("UploadPart", 3, 1, change);
    let error = world.upload().with_parallel(1).run().await.unwrap_err();
    assert!(
        matches!(&error, UploadError::Complete(CompleteError::SourceChanged { change: Change::Bytes, .. })),
        "{error}"
    );
    assert!(error.is_resumable());
    assert_eq!((world.script.count("Complete"), world.script.count("UploadPart")), (0, 6));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 5, "only the first part was of the file as it was");
    assert!(world.stored().await.unwrap() == std::fs::read(world.file()).unwrap());
}

#[tokio::test]
async fn a_record_of_other_bytes_is_believed_by_no_later_run() {
    let world = World::new(6 * MIB);
    world.interrupt_after(3).await;
    write_unseen(&world.file(), 0, b"NEW");
    // The run that finds it out is stopped before it sends the part again.
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::Opened { .. }) {
            stopper.cancel();
        }
    });
    world.upload().with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 2);
    assert!(world.stored().await.unwrap() == std::fs::read(world.file()).unwrap());
}

#[tokio::test]
async fn a_change_of_status_alone_costs_one_read_and_nothing_more() {
    let world = World::new(6 * MIB);
    let link = first(&world, |file| std::fs::hard_link(file, file.with_extension("link")).unwrap());
    world.script.rule("UploadPart", 3, 1, link);
    let (sink, said) = listening();
    world.upload().with_events(sink).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.count("UploadPart"), 6);
    assert!(said.lock().unwrap()[0].contains("its bytes are compared"), "{said:?}");
}

#[tokio::test]
async fn a_status_that_always_changes_does_not_keep_the_upload_from_its_end() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(6 * MIB);
    let mode = std::sync::atomic::AtomicU32::new(0o600);
    let touch = first(&world, move |file| {
        let mode = mode.fetch_xor(0o040, std::sync::atomic::Ordering::Relaxed);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    });
    world.script.rule("UploadPart", 0, usize::MAX, touch.clone());
    world.script.rule("ListParts", 0, usize::MAX, touch);
    world.interrupt_after(3).await;
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!((report.resumed_parts, world.script.count("UploadPart")), (3, 6));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_while_parts_are_on_their_way() {
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, usize::MAX, Effect::Silence);
    let append = first(&world, |file| {
        use std::io::Write;
        std::fs::File::options().append(true).open(file).unwrap().write_all(b"more").unwrap();
    });
    world.script.rule("Initiate", 0, 1, append);
    let began = Instant::now();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// A file whose identity does not show what is written to it.
#[derive(Debug)]
struct Mute {
    file: FileSource,
    settled: std::sync::atomic::AtomicUsize,
}

impl ReadAt for Mute {
    fn length(&self) -> u64 {
        self.file.length()
    }
    fn read_ready(&self, _offset: u64, _buffer: &mut [u8]) -> Option<usize> {
        assert!(self.settled.load(std::sync::atomic::Ordering::Relaxed) > 0, "settled before it is read");
        None
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.file.read_at(offset, buffer)
    }
}

impl Source for Mute {
    fn identity(&self) -> Option<&crate::source::SourceIdentity> {
        self.file.identity()
    }
    fn current_identity(&self) -> std::io::Result<Option<crate::source::SourceIdentity>> {
        Ok(self.file.identity().cloned())
    }
    fn settle(&self) {
        self.settled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn witness(&self) -> Witness {
        Witness::Never
    }
}

#[tokio::test]
async fn where_the_identity_tells_nothing_the_bytes_are_compared() {
    let world = World::new(6 * MIB);
    let upload = || {
        let file = FileSource::open(world.file()).unwrap();
        let source = Arc::new(Mute { file, settled: std::sync::atomic::AtomicUsize::new(0) });
        Upload::new(world.client.clone(), source, world.object())
            .with_state_dir(world.folder.path().join("state"))
            .with_part_size(MIB)
            .with_parallel(1)
    };
    world.script.rule("UploadPart", 3, 1, first(&world, |file| write_unseen(file, 0, b"NEW")));
    let error = upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert_eq!(world.script.count("Complete"), 0);
    // Nor is it trusted by the next run, to which it looks the same.
    let report = upload().run().await.unwrap();
    assert_eq!((report.resumed_parts, report.in_use), (5, false));
    assert!(world.stored().await.unwrap() == std::fs::read(world.file()).unwrap());

    // Only on demand is an object made of what was in use, and then the report says so.
    world.script.rule("UploadPart", 3, 1, first(&world, |file| write_unseen(file, 0, b"OLD")));
    let report = upload().with_overwrite(true).with_in_use(true).run().await.unwrap();
    assert!(report.in_use);
}
