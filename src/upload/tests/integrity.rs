//! Bytes that arrive damaged, or not whole, or in other parts than were sent.

use super::*;

#[tokio::test]
async fn an_answer_before_the_whole_part_was_sent_is_none() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 1, Effect::Answer(200, String::new()));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.retries, 1);
    world.assert_stored().await;
}

#[tokio::test]
async fn a_part_that_arrives_damaged_is_sent_again_and_then_given_up() {
    let wrong = Effect::Header("x-oss-hash-crc64ecma", Some("1"));
    let world = World::new(MIB);
    world.script.rule("UploadPart", 0, 1, wrong.clone());
    world.upload().run().await.unwrap();
    assert_eq!(world.script.count("UploadPart"), 2);

    let world = World::new(MIB);
    world.script.rule("UploadPart", 0, 9, wrong);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(world.stored().await.is_none());
}

#[tokio::test]
async fn an_answer_without_a_checksum_is_no_mismatch() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Etag);
    assert_eq!(report.stored.crc64, None);
}

#[tokio::test]
async fn an_object_with_another_checksum_is_named_as_suspect() {
    let world = World::new(2 * MIB);
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", Some("1")));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("suspect"), "{error}");
}

#[tokio::test]
async fn a_part_that_another_attempt_replaced_is_sent_again_before_completing() {
    let world = World::new(3 * MIB);
    let (client, object) = (world.client.clone(), world.object());
    let state = world.folder.path().join("state");
    world.script.rule(
        "Complete",
        0,
        1,
        Effect::First(Arc::new(move || {
            let (client, object, state) = (client.clone(), object.clone(), state.clone());
            Box::pin(async move {
                let stored = StateDir::new(state).uploads().unwrap().readable.remove(0);
                let second = stored.journal.parts[1].number;
                replace_part(&client, &object, &stored.checkpoint.upload_id, second).await;
            })
        })),
    );
    let report = world.upload().run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(world.script.count("Complete"), 2);
    assert_eq!(report.stored.crc64, Some(crate::checksum::of(&world.bytes)));
}
