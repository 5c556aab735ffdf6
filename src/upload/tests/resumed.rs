//! An upload that was stopped goes on, by what is known here or by what the bucket has.

use super::*;

#[tokio::test]
async fn what_was_stopped_goes_on_without_sending_a_part_twice() {
    let world = World::new(8 * MIB);
    let error = world.interrupt_after(3).await;
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.is_resumable());
    let sent = world.script.count("UploadPart");
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.count("UploadPart"), 8);
    assert_eq!(report.resumed_parts, sent);
    assert_eq!(report.bytes_sent, 8 * MIB - sent as u64 * MIB);
}

#[tokio::test]
async fn dropped_at_any_moment_the_journal_stays_true() {
    for after in 1..8 {
        let world = World::new(6 * MIB);
        let stop = CancellationToken::new();
        let (stopper, seen) = (stop.clone(), std::sync::atomic::AtomicUsize::new(0));
        let sink = EventSink::new(move |_| {
            if seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == after * 2 {
                stopper.cancel();
            }
        });
        let upload = world.upload().with_events(sink);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = upload.run() => {}
        }
        world.upload().run().await.unwrap();
        world.assert_stored().await;
    }
}

#[tokio::test]
async fn the_last_answer_lost_with_the_process_is_settled_by_the_next_run() {
    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, 1, Effect::LostAnswer);
    world.script.rule("Complete", 0, usize::MAX, Effect::Silence);
    let upload = world.upload();
    let lost = async {
        while world.script.count("Complete") < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = lost => {}
        result = upload.run() => panic!("{result:?}"),
    }
    world.script.clear();
    let report = world.upload().run().await.unwrap();
    assert_eq!((report.bytes_sent, report.resumed_parts), (0, 3));
    world.assert_stored().await;
    assert_eq!(world.script.count("UploadPart"), 3);
}

#[tokio::test]
async fn an_upload_that_is_gone_begins_anew() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let id = StateDir::new(world.folder.path().join("state")).uploads().unwrap().readable[0]
        .checkpoint
        .upload_id
        .clone();
    abort(&world.client, &world.object(), &id).await.unwrap();
    let (sink, said) = listening();
    let report = world.upload().with_events(sink).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    world.assert_stored().await;
    assert_eq!(*said.lock().unwrap(), ["the earlier upload no longer exists: a new one starts"]);
}

#[tokio::test]
async fn parts_without_a_record_are_taken_for_what_they_are() {
    let world = World::new(6 * MIB);
    world.interrupt_after(4).await;
    let folder = world.folder();
    let journal = std::fs::read(folder.join("journal")).unwrap();
    // Behind the header one record has a flipped bit, one is torn, the rest are gone.
    let mut damaged = journal[..96 + 150].to_vec();
    damaged[96 + 10] ^= 1;
    std::fs::write(folder.join("journal"), damaged).unwrap();
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 4);
    assert_eq!(world.script.count("UploadPart"), 6);
    world.assert_stored().await;
}

#[tokio::test]
async fn an_upload_that_was_begun_in_another_form_is_not_mixed_with_this_one() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let path = world.folder().join("checkpoint.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let form = "\"version\": 2, \"form\": {\"format\": {\"qcow2\": {\"compat\": \"1.1\"}}}";
    std::fs::write(&path, text.replace("\"version\": 1", form)).unwrap();
    let sent = world.script.count("UploadPart");
    let error = world.upload().run().await.unwrap_err();
    let said = format!("`{}` is being uploaded as QCOW2, not as it is", world.object());
    assert_eq!((error.to_string(), error.kind()), (said, ErrorKind::Usage));
    assert_eq!(world.script.count("UploadPart"), sent);
    world.upload().with_restart(true).run().await.unwrap();
    world.assert_stored().await;
}

#[tokio::test]
async fn of_another_upload_s_journal_no_record_is_believed() {
    let (world, other) = (World::new(6 * MIB), World::new(6 * MIB));
    world.interrupt_after(4).await;
    other.interrupt_after(4).await;
    std::fs::copy(other.folder().join("journal"), world.folder().join("journal")).unwrap();
    let (sink, said) = listening();
    let report = world.upload().with_events(sink).run().await.unwrap();
    assert_eq!(report.resumed_parts, 4, "they are found by comparison");
    assert_eq!(*said.lock().unwrap(), ["the journal is another upload's: all parts are verified instead"]);
    world.assert_stored().await;
}

#[tokio::test]
async fn parts_that_a_comparison_proved_are_not_read_again_by_the_next_run() {
    let world = World::new(6 * MIB);
    world.interrupt_after(3).await;
    std::fs::write(world.folder().join("journal"), "").unwrap();
    let cancel = CancellationToken::new();
    let (stopper, left) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(3));
    let sink = EventSink::new(move |event| {
        let good = matches!(event, Event::Verified { good: true, .. });
        if good && left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            stopper.cancel();
        }
    });
    world.upload().with_parallel(1).with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let compared = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&compared);
    let sink = EventSink::new(move |event| {
        let one = usize::from(matches!(event, Event::Verified { .. }));
        count.fetch_add(one, std::sync::atomic::Ordering::Relaxed);
    });
    let report = world.upload().with_events(sink).run().await.unwrap();
    assert!(report.resumed_parts >= 3, "{report:?}");
    assert_eq!(compared.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_listed_part_of_other_bytes_is_sent_again() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let state = StateDir::new(world.folder.path().join("state"));
    let stored = state.uploads().unwrap().readable.remove(0);
    let number = stored.journal.parts[0].number;
    replace_part(&world.client, &world.object(), &stored.checkpoint.upload_id, number).await;
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.resumed_parts, 1);
    world.assert_stored().await;
}

#[tokio::test]
async fn another_machine_adopts_the_upload() {
    let world = World::new(6 * MIB);
    world.interrupt_after(3).await;
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    let report = world.upload().with_adopt(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 3);
    world.assert_stored().await;

    let error = world.upload().with_overwrite(true).with_adopt(true).run().await.unwrap_err();
    assert!(error.to_string().contains("0 open uploads"), "{error}");
}

#[tokio::test]
async fn verify_resume_compares_every_part_with_the_file() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    // The content changes, and everything that the file system records of it stays.
    let times = std::fs::metadata(world.file()).unwrap().modified().unwrap();
    let mut changed = world.bytes.clone();
    changed[0] ^= 1;
    std::fs::write(world.file(), &changed).unwrap();
    let file = std::fs::File::options().write(true).open(world.file()).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(times)).unwrap();
    let report = world.upload().with_verify_resume(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 1);
    assert_eq!(world.stored().await, Some(changed));
}

#[tokio::test]
async fn a_changed_file_is_refused_until_it_is_begun_anew() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let mut changed = world.bytes.clone();
    changed.push(1);
    std::fs::write(world.file(), &changed).unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("disk.raw"), "the first file is named: {error}");
    let report = world.upload().with_restart(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    assert_eq!(world.stored().await, Some(changed));
}

#[tokio::test]
async fn a_copy_of_the_file_elsewhere_is_verified_and_not_refused() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let copy = world.folder.path().join("copy.raw");
    std::fs::copy(world.file(), &copy).unwrap();
    let times = std::fs::metadata(world.file()).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&copy).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(times)).unwrap();
    assert_eq!(world.upload_of(&copy).run().await.unwrap().resumed_parts, 2);
    world.assert_stored().await;
}

#[tokio::test]
async fn the_checkpoint_keeps_what_a_resume_elsewhere_must_know() {
    let world = World::with(4 * MIB, |mut options| {
        options.endpoint = options.endpoint.with_style(crate::model::AddressingStyle::Path).unwrap();
        options
    });
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::PartDone { .. }) {
            stopper.cancel();
        }
    });
    let upload = world
        .upload()
        .with_storage_class(StorageClass::InfrequentAccess)
        .with_cancellation(cancel)
        .with_events(sink);
    upload.run().await.unwrap_err();
    let state = StateDir::new(world.folder.path().join("state"));
    let checkpoint = state.uploads().unwrap().readable.remove(0).checkpoint;
    assert_eq!(checkpoint.addressing_style, Some(crate::model::AddressingStyle::Path));
    assert_eq!(checkpoint.storage_class, StorageClass::InfrequentAccess);
}

#[tokio::test]
async fn another_part_size_keeps_the_old_plan() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let (sink, said) = listening();
    let report = world.upload().with_part_size(2 * MIB).with_events(sink).run().await.unwrap();
    assert_eq!((report.parts, report.resumed_parts), (4, 2));
    assert_eq!(*said.lock().unwrap(), ["the upload was started with another part size, which it keeps"]);
    world.assert_stored().await;
}
