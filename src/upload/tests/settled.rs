//! Complete whose outcome is in doubt, and what else turns out to be there already.

use super::*;

const INTERNAL_ERROR: &str = "<Error><Code>InternalError</Code></Error>";

fn refusal(code: &str) -> String {
    format!("<Error><Code>{code}</Code></Error>")
}

/// All ways in which a Complete succeeds without our learning of it.
#[tokio::test(start_paused = true)]
async fn a_complete_that_succeeded_unheard_is_settled_by_the_object() {
    for effect in [
        Effect::LostAnswer,
        Effect::SilentAnswer,
        Effect::Instead(500, INTERNAL_ERROR.to_owned()),
        Effect::Instead(504, "<html>gateway timeout</html>".to_owned()),
        Effect::Instead(200, "<CompleteMultipartUploadRes".to_owned()),
    ] {
        let silent = matches!(effect, Effect::SilentAnswer);
        let (world, began) = (World::new(3 * MIB), Instant::now());
        world.script.rule("Complete", 0, 1, effect);
        let report = world.upload().run().await.unwrap();
        world.assert_stored().await;
        // The service may work on a huge object for ten minutes.
        assert_eq!(began.elapsed().as_secs() / 60, if silent { 10 } else { 0 });
        assert_eq!((world.script.count("Complete"), world.script.count("HeadObject")), (2, 1));
        assert_eq!(report.stored.verified, complete::Verified::Crc64);
        assert_eq!(world.open_uploads().await, 0);
    }
}

/// An answer that cannot be understood, however often: the object decides all the same.
#[tokio::test]
async fn a_complete_that_was_never_understood_is_settled_by_the_object() {
    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, 1, Effect::Instead(200, INTERNAL_ERROR.to_owned()));
    world.script.rule("Complete", 0, 9, Effect::Answer(200, INTERNAL_ERROR.to_owned()));
    let report = world.upload().run().await.unwrap();
    assert_eq!((world.script.count("Complete"), world.script.count("HeadObject")), (3, 1));
    assert_eq!(report.stored.verified, complete::Verified::Crc64);

    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, 9, Effect::Answer(200, INTERNAL_ERROR.to_owned()));
    assert!(world.upload().run().await.unwrap_err().is_resumable());
    world.script.clear();
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 3, "nothing is lost");
}

/// An answer about another object, or about none: ours is looked at, and only what is there counts.
#[tokio::test]
async fn a_complete_of_another_object_is_not_taken_for_ours() {
    let other = "<CompleteMultipartUploadResult><Bucket>images</Bucket><Key>other</Key><ETag>\"A-3\"</ETag>\
                 </CompleteMultipartUploadResult>";
    let bare = "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>";
    for (answer, completes) in [(other, 3), (bare, 1)] {
        let world = World::new(3 * MIB);
        world.script.rule("Complete", 0, 3, Effect::Answer(200, answer.to_owned()));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!(world.script.count("Complete"), completes, "{error}");
        assert!(error.is_resumable() && world.stored().await.is_none(), "{error}");
        world.script.clear();
        assert_eq!(world.upload().run().await.unwrap().resumed_parts, 3);
        world.assert_stored().await;
    }
    for answer in [other, bare] {
        let world = World::new(3 * MIB);
        world.script.rule("Complete", 0, 1, Effect::Instead(200, answer.to_owned()));
        let report = world.upload().run().await.unwrap();
        assert_eq!(report.stored.verified, complete::Verified::Crc64);
        assert_eq!(world.script.count("HeadObject"), 1);
    }
}

/// With the guard against overwriting the repeated Complete may be refused for our own object.
#[tokio::test]
async fn a_complete_that_finds_its_own_object_is_done() {
    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, 1, Effect::LostAnswer);
    world.script.rule("Complete", 0, 1, Effect::Answer(409, refusal("FileAlreadyExists")));
    let report = world.upload().run().await.unwrap();
    assert_eq!((report.parts, report.stored.verified), (3, complete::Verified::Crc64));
    world.assert_stored().await;
}

/// Without a CRC-64 the ETag that follows from our parts decides.
#[tokio::test]
async fn without_a_checksum_the_tag_settles_it() {
    const NO_CRC: (&str, Option<&str>) = ("x-oss-hash-crc64ecma", None);
    let other = Effect::Headers(&[NO_CRC, ("etag", Some("\"0123456789ABCDEF0123456789ABCDEF-3\""))]);
    for (effect, expected) in [
        (Effect::Headers(&[NO_CRC]), Ok(complete::Verified::Etag)),
        (other, Err(ErrorKind::Integrity)),
        (Effect::Headers(&[NO_CRC, ("etag", None)]), Err(ErrorKind::Integrity)),
    ] {
        let world = World::new(3 * MIB);
        world.script.rule("Complete", 0, 1, Effect::LostAnswer);
        world.script.rule("HeadObject", 0, 1, effect);
        let settled = world.upload().run().await;
        assert_eq!(settled.map(|report| report.stored.verified).map_err(|error| error.kind()), expected);
    }
}

/// An answer to Complete that holds neither checksum nor tag: one look at the object, and no proof is claimed that
/// is not there.
#[tokio::test]
async fn an_answer_that_proves_nothing_is_told_as_that() {
    const NOTHING: Effect = Effect::Headers(&[("x-oss-hash-crc64ecma", None), ("etag", None)]);
    for (look, expected) in [(None, complete::Verified::Crc64), (Some(NOTHING), complete::Verified::Nothing)]
    {
        let world = World::new(3 * MIB);
        let bare = "<CompleteMultipartUploadResult><Bucket>images</Bucket><Key>disk.raw</Key>\
                    </CompleteMultipartUploadResult>";
        world.script.rule("Complete", 0, 1, Effect::Instead(200, bare.to_owned()));
        if let Some(effect) = look {
            world.script.rule("HeadObject", 0, 1, effect);
        }
        let report = world.upload().run().await.unwrap();
        assert_eq!(report.stored.verified, expected);
        assert_eq!(world.script.count("HeadObject"), 1);
        world.assert_stored().await;
    }
}

/// The upload is gone at Complete, and the object is absent, of another size, or of other bytes: never a success.
#[tokio::test]
async fn an_upload_that_vanished_before_complete_is_no_success() {
    for there in [None, Some(vec![1; 10]), Some(vec![1; 3 << 20])] {
        let world = World::new(3 * MIB);
        let (client, object, emulator) = (world.client.clone(), world.object(), world.emulator.clone());
        let state = StateDir::new(world.folder.path().join("state"));
        let bytes = there.clone();
        let vanish = Effect::First(Arc::new(move || {
            let id = state.uploads().unwrap().readable[0].checkpoint.upload_id.clone();
            if let Some(bytes) = &bytes {
                testing::put(&emulator, "images", "disk.raw", bytes);
            }
            let (client, object) = (client.clone(), object.clone());
            Box::pin(async move { abort(&client, &object, &id).await.unwrap() })
        }));
        world.script.rule("Complete", 0, 1, vanish);
        let error = world.upload().run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().contains("no longer exists"), "{error}");
        assert_eq!(world.stored().await, there);
    }
}

#[tokio::test]
async fn a_callback_that_failed_is_told_and_nothing_is_sent_again() {
    let world = World::new(2 * MIB);
    world.script.rule("Complete", 0, 1, Effect::Instead(203, refusal("CallbackFailed")));
    let (sink, said) = listening();
    let report = world.upload().with_events(sink).run().await.unwrap();
    assert!(said.lock().unwrap()[0].contains("callback failed"));
    assert_eq!((report.retries, world.script.count("Complete")), (0, 1));
    world.assert_stored().await;
}

#[tokio::test]
async fn parts_that_the_service_lost_are_sent_again_before_completing_once_more() {
    for code in ["InvalidPart", "FilePartNotExist"] {
        let world = World::new(3 * MIB);
        world.script.rule("Complete", 0, 1, Effect::Answer(400, refusal(code)));
        let report = world.upload().run().await.unwrap();
        world.assert_stored().await;
        assert_eq!((world.script.count("Complete"), report.parts), (2, 3), "{code}");
        assert_eq!(world.script.count("UploadPart"), 3, "{code}: those that are there count");
    }
    let world = World::new(3 * MIB);
    world.script.rule("Complete", 0, usize::MAX, Effect::Answer(400, refusal("InvalidPart")));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(world.script.count("Complete"), 3);
}

/// Parts that nobody needs any more are paid for until somebody looks.
#[tokio::test]
async fn an_object_that_somebody_else_made_of_the_same_bytes_leaves_no_parts_behind() {
    let world = World::new(3 * MIB);
    let (emulator, bytes) = (world.emulator.clone(), world.bytes.clone());
    let made = Effect::First(Arc::new(move || {
        testing::put(&emulator, "images", "disk.raw", &bytes);
        Box::pin(std::future::ready(()))
    }));
    world.script.rule("Complete", 0, 1, made);
    world.upload().run().await.unwrap();
    assert_eq!(world.open_uploads().await, 0);
}

#[tokio::test]
async fn an_object_of_the_same_size_and_other_bytes_is_refused() {
    let world = World::new(3 * MIB);
    world.put(&vec![1; 3 << 20]);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(world.script.count("UploadPart"), 0);
    let left = std::fs::read_dir(world.folder.path().join("state/uploads")).unwrap().count();
    assert_eq!(left, 0, "nothing was begun, so nothing is kept");
}

#[tokio::test]
async fn a_bucket_with_versions_gets_a_new_one_and_names_it() {
    let world = World::new(2 * MIB);
    let bucket = "images".parse().unwrap();
    let enabled = crate::emulator::Versioning::Enabled;
    world.emulator.update_bucket(&bucket, |bucket| bucket.versioning = Some(enabled)).unwrap();
    let first = world.upload().run().await.unwrap().stored.version_id.unwrap();
    let second = world.upload().run().await.unwrap();
    assert_eq!(second.parts, 2, "the guard against overwriting is ignored there");
    assert_ne!(second.stored.version_id.unwrap(), first);
}
