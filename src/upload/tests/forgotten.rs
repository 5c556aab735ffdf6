//! State that is lost, or knows less than the bucket.

use super::*;

/// The upload became the object in a run whose journal had no room for all of its parts.
#[tokio::test]
async fn an_upload_that_is_gone_is_recognised_without_its_journal() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let folder = world.folder();
    let checkpoint = std::fs::read(folder.join("checkpoint.json")).unwrap();
    let journal = std::fs::read(folder.join("journal")).unwrap();
    world.upload().run().await.unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("checkpoint.json"), checkpoint).unwrap();
    std::fs::write(folder.join("journal"), journal).unwrap();
    let sent = world.script.count("UploadPart");
    let report = world.upload().with_overwrite(true).run().await.unwrap();
    assert_eq!(world.script.count("UploadPart"), sent);
    assert_eq!((report.bytes_sent, report.stored.verified), (0, complete::Verified::Crc64));
}

/// The object is what another file became that looks the same to the file system.
#[tokio::test]
async fn a_gone_upload_of_another_file_is_not_taken_for_this_one() {
    for other_inode in [true, false] {
        let world = World::new(3 * MIB);
        world.script.rule("Complete", 0, usize::MAX, Effect::SilentAnswer);
        let upload = world.upload();
        let lost = async {
            while world.stored().await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            result = upload.run() => panic!("{result:?}"),
            () = lost => {}
        }
        world.script.clear();
        let mut changed = world.bytes.clone();
        changed[0] ^= 1;
        let times = std::fs::metadata(world.file()).unwrap().modified().unwrap();
        let file = if other_inode { world.folder.path().join("copy.raw") } else { world.file() };
        std::fs::write(&file, &changed).unwrap();
        let opened = std::fs::File::options().write(true).open(&file).unwrap();
        opened.set_times(std::fs::FileTimes::new().set_modified(times)).unwrap();
        let upload = world.upload_of(&file).with_overwrite(true).with_verify_resume(!other_inode);
        let report = upload.run().await.unwrap();
        assert_eq!(world.stored().await, Some(changed));
        assert_eq!(report.bytes_sent, 3 * MIB);
    }
}

/// Parts that nobody knows of are paid for. Where state was lost they are named, and else nothing is asked.
#[tokio::test]
async fn where_state_was_lost_other_open_uploads_are_named() {
    type Lose = fn(&World);
    let damaged: Lose = |world| std::fs::write(world.folder().join("checkpoint.json"), "{").unwrap();
    let flipped: Lose = |world| {
        let path = world.folder().join("checkpoint.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let id = StateDir::new(world.folder.path().join("state")).uploads().unwrap().readable[0]
            .checkpoint
            .upload_id
            .to_string();
        std::fs::write(path, text.replace(&id, &format!("X{}", &id[1..]))).unwrap();
    };
    let folder: Lose = |world| std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    for (lose, restart) in [(damaged, true), (flipped, false), (folder, false)] {
        let world = World::new(3 * MIB);
        world.interrupt_after(1).await;
        let id = StateDir::new(world.folder.path().join("state")).uploads().unwrap().readable.remove(0);
        lose(&world);
        let (sink, said) = listening();
        world.upload().with_restart(restart).with_events(sink).run().await.unwrap();
        world.assert_stored().await;
        let named = format!("open: {}", id.checkpoint.upload_id);
        assert!(said.lock().unwrap().contains(&named), "{said:?}");
        assert_eq!(world.script.count("ListUploads"), 1);
    }
}

/// The key pair need not be allowed to list uploads, and the upload does not depend on it.
#[tokio::test]
async fn that_others_cannot_be_listed_is_said_and_ends_nothing() {
    for lost in [true, false] {
        let world = World::new(2 * MIB);
        world.script.refuse("ListUploads", 1, 403, "AccessDenied");
        if !lost {
            std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
        }
        let (sink, said) = listening();
        world.upload().with_restart(lost).with_events(sink).run().await.unwrap();
        world.assert_stored().await;
        let said = said.lock().unwrap().iter().any(|text| text.contains("is not known"));
        assert_eq!(said, lost, "a new machine has lost nothing");
    }
}

#[tokio::test]
async fn one_of_several_open_uploads_is_adopted_by_its_id() {
    let world = World::new(4 * MIB);
    world.interrupt_after(3).await;
    let state = StateDir::new(world.folder.path().join("state"));
    let first = state.uploads().unwrap().readable.remove(0).checkpoint.upload_id;
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    world.interrupt_after(1).await;
    let second = state.uploads().unwrap().readable.remove(0).checkpoint.upload_id;
    let (sink, said) = listening();
    let report = world.upload().with_adopted_upload(first).with_events(sink).run().await.unwrap();
    assert_eq!(report.resumed_parts, 3, "and not that one which the state knows");
    assert!(said.lock().unwrap().contains(&format!("open: {second}")), "{said:?}");
    world.assert_stored().await;
    let gone = world
        .upload()
        .with_overwrite(true)
        .with_adopted_upload(UploadId::new("NONE"))
        .run()
        .await
        .unwrap_err();
    assert!(matches!(gone, UploadError::Session(SessionError::Adopt { count: 0, .. })), "{gone}");
}

#[tokio::test]
async fn what_is_only_to_be_resumed_is_not_begun_again() {
    let world = World::new(3 * MIB);
    world.interrupt_after(1).await;
    let state = StateDir::new(world.folder.path().join("state"));
    let id = state.uploads().unwrap().readable.remove(0).checkpoint.upload_id;
    abort(&world.client, &world.object(), &id).await.unwrap();
    let error = world.upload().with_resume_only(true).run().await.unwrap_err();
    assert!(matches!(error, UploadError::Gone { .. }), "{error}");
    assert_eq!(world.script.count("Initiate"), 1);
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 0, "the same call without that sends all");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_leaves_no_upload_on_the_bucket() {
    let world = World::new(MIB);
    let state = StateDir::new(world.folder.path().join("state"));
    drop(
        state
            .lock(
                &world.client.service(),
                world.client.region(),
                &world.object(),
                jiff::Timestamp::UNIX_EPOCH,
            )
            .unwrap(),
    );
    // The probe can be written, and the checkpoint cannot.
    std::fs::create_dir(world.folder().join("checkpoint.tmp")).unwrap();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(world.script.order()[..2], ["Initiate", "Abort"]);
    assert_eq!(world.open_uploads().await, 0);
}

#[tokio::test]
async fn a_restart_leaves_one_upload_and_not_two() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    assert_eq!(world.open_uploads().await, 1);
    let report = world.upload().with_restart(true).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    assert_eq!(world.open_uploads().await, 0);
    world.assert_stored().await;
}

/// The same upload is region, bucket and key, however the file and the endpoint are written.
#[tokio::test]
async fn another_spelling_of_file_and_endpoint_goes_on_all_the_same() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    let mut options = world.client.options().clone();
    options.endpoint = "http://127.0.0.1:80".parse().unwrap();
    std::os::unix::fs::symlink(world.file(), world.folder.path().join("link.raw")).unwrap();
    let file = world.folder.path().join("state/../link.raw");
    let source = Arc::new(FileSource::open(&file).unwrap());
    let upload = Upload::new(Client::new(options), source, world.object());
    let report = upload.with_state_dir(world.folder.path().join("state")).run().await.unwrap();
    assert_eq!(report.resumed_parts, 2);
    world.assert_stored().await;
}

/// Returns an upload of the same object to a store of its own, with the state of the first one.
fn rehearsal(world: &World, other: &World) -> Upload {
    let mut options = other.client.options().clone();
    options.endpoint = "http://127.0.0.1:9999".parse().unwrap();
    let source = Arc::new(FileSource::open(world.file()).unwrap());
    Upload::new(Client::new(options), source, world.object())
        .with_state_dir(world.folder.path().join("state"))
        .with_part_size(MIB)
}

#[tokio::test]
async fn a_rehearsal_in_another_store_costs_the_upload_nothing() {
    let (world, other) = (World::new(4 * MIB), World::new(MIB));
    world.interrupt_after(2).await;
    let report = rehearsal(&world, &other).run().await.unwrap();
    assert_eq!(report.resumed_parts, 0);
    // Nor does one that was interrupted itself.
    other.script.rule("UploadPart", 2, 1, Effect::Answer(403, String::new()));
    rehearsal(&world, &other).with_overwrite(true).run().await.unwrap_err();
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 2);
    world.assert_stored().await;
    other.script.clear();
    assert!(rehearsal(&world, &other).with_overwrite(true).run().await.unwrap().resumed_parts >= 2);
    assert_eq!((world.open_uploads().await, other.open_uploads().await), (0, 0));
}

#[tokio::test]
async fn the_same_service_by_another_name_goes_on_with_the_upload_that_it_knows() {
    let world = World::new(4 * MIB);
    world.interrupt_after(2).await;
    assert_eq!(rehearsal(&world, &world).run().await.unwrap().resumed_parts, 2);
    world.assert_stored().await;
    assert_eq!(std::fs::read_dir(world.folder.path().join("state/uploads")).unwrap().count(), 0);
}
