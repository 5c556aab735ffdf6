//! Bytes that arrive damaged, or not whole, or in other parts than were sent.

use super::*;
use crate::read::{ReadAt, ReadError};

#[tokio::test]
async fn an_answer_before_the_whole_part_was_sent_is_none() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 1, Effect::Answer(200, String::new()));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.retries, 1);
    world.assert_stored().await;
}

/// A link that flips a bit now and then is an ordinary event.
#[tokio::test(start_paused = true)]
async fn a_part_that_the_network_damages_goes_out_again_within_the_budget() {
    let wrong = Effect::Header("x-oss-hash-crc64ecma", Some("1"));
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, 9, wrong.clone());
    let (sink, said) = listening();
    let report = world.upload().with_events(sink).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!(report.retries, 9);
    {
        let said = said.lock().unwrap();
        assert!(said.len() == 1 && said[0].contains("arrived damaged"), "it is said once: {said:?}");
    }
    assert!(world.script.resets() >= 1, "it goes out over another connection");

    let world = World::with(MIB, |options| options.with_dice(Arc::new(|| 0.5)));
    world.script.rule("UploadPart", 0, usize::MAX, wrong);
    let began = Instant::now();
    let error = world.upload().run().await.unwrap_err();
    assert_eq!((error.kind(), error.is_resumable()), (ErrorKind::Integrity, true));
    assert!(world.stored().await.is_none());
    let minutes = began.elapsed().as_secs() / 60;
    assert!((29..35).contains(&minutes), "gave up after {minutes} minutes");
}

/// Bytes that are others at each read.
#[derive(Debug, Default)]
struct Unstable(std::sync::atomic::AtomicU8);

impl ReadAt for Unstable {
    fn length(&self) -> u64 {
        MIB
    }
    fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }
}

impl Source for Unstable {
    fn identity(&self) -> Option<&crate::source::SourceIdentity> {
        None
    }
    fn current_identity(&self) -> std::io::Result<Option<crate::source::SourceIdentity>> {
        Ok(None)
    }
}

#[tokio::test]
async fn bytes_that_differ_between_two_reads_end_it_at_once() {
    let world = World::new(MIB);
    world.script.rule("UploadPart", 0, 1, Effect::Header("x-oss-hash-crc64ecma", Some("1")));
    let upload = Upload::new(world.client.clone(), Arc::new(Unstable::default()), world.object());
    let error = upload.run().await.unwrap_err();
    assert!(
        matches!(&error, UploadError::Transfer { source: TransferError::Unstable { .. }, .. }),
        "{error:?}"
    );
    assert_eq!((error.kind(), error.is_resumable()), (ErrorKind::Integrity, false));
    assert_eq!(world.script.count("UploadPart"), 1);
}

#[tokio::test]
async fn an_answer_without_a_checksum_is_no_mismatch() {
    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", None));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Etag);
    assert_eq!(report.stored.crc64, None);
    assert_eq!(world.script.order(), ["Initiate", "UploadPart", "ListParts", "Complete"]);
}

const NO_CRC: Effect = Effect::Header("x-oss-hash-crc64ecma", None);

/// Lets no CRC-64 through, in no answer.
fn strip_checksums(world: &World) {
    for operation in ["UploadPart", "Complete", "HeadObject"] {
        world.script.rule(operation, 0, usize::MAX, NO_CRC);
    }
    let without = |listing: &str| listing.replace("HashCrc64ecma", "Nothing");
    world.script.rule("ListParts", 0, usize::MAX, Effect::Body(without));
}

/// Behind a gateway that removes headers the CRC-64 of a part is known only from the listing.
#[tokio::test]
async fn a_part_that_arrives_damaged_unheard_is_sent_again_before_the_object_is_made() {
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, 1, Effect::Damaged);
    for operation in ["UploadPart", "Complete", "HeadObject"] {
        world.script.rule(operation, 0, usize::MAX, NO_CRC);
    }
    let report = world.upload().with_parallel(1).run().await.unwrap();
    world.assert_stored().await;
    assert_eq!((world.script.count("UploadPart"), world.script.count("Complete")), (4, 1));
    assert_eq!(report.stored.verified, complete::Verified::Etag);

    let world = World::new(2 * MIB);
    world.script.rule("UploadPart", 0, usize::MAX, Effect::Damaged);
    let error = world.upload().run().await.unwrap_err();
    assert!(matches!(error, UploadError::Complete(CompleteError::PartsDamaged { parts: 2, .. })), "{error}");
    assert_eq!((error.kind(), world.script.count("Complete")), (ErrorKind::Integrity, 0));
}

/// The tags are the service's own: they say of which parts an object was made, and not that these are ours.
#[tokio::test]
async fn tags_of_parts_that_nobody_compared_prove_nothing() {
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, 1, Effect::Damaged);
    strip_checksums(&world);
    let (sink, said) = listening();
    let report = world.upload().with_parallel(1).with_events(sink).run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Nothing);
    assert!(said.lock().unwrap().iter().any(|text| text.contains("could not be verified")), "{said:?}");

    let world = World::new(3 * MIB);
    strip_checksums(&world);
    world.script.rule("Complete", 0, 1, Effect::LostAnswer);
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Nothing, "settled by the object alike");
}

/// Servers that only look like OSS may list nothing.
#[tokio::test]
async fn a_part_that_is_not_listed_is_not_taken_for_a_damaged_one() {
    let world = World::new(3 * MIB);
    strip_checksums(&world);
    let document = "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>".to_owned();
    world.script.rule("ListParts", 0, usize::MAX, Effect::Answer(200, document));
    let report = world.upload().run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Nothing);
    assert_eq!((world.script.count("UploadPart"), world.script.count("Complete")), (3, 1));
}

/// Complete went well, but what is there is not what was completed.
#[tokio::test]
async fn an_object_of_another_size_behind_a_complete_without_checksum_is_no_success() {
    let world = World::new(3 * MIB);
    world.script.rule(
        "HeadObject",
        0,
        1,
        Effect::Headers(&[("x-oss-hash-crc64ecma", None), ("content-length", Some("5"))]),
    );
    strip_checksums(&world);
    let error = world.upload().run().await.unwrap_err();
    assert!(matches!(error, UploadError::Complete(CompleteError::Gone { .. })), "{error:?}");
}

#[tokio::test]
async fn where_proof_is_required_parts_without_any_make_no_object() {
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, 1, Effect::Damaged);
    strip_checksums(&world);
    let error = world.upload().with_parallel(1).with_require_verified(true).run().await.unwrap_err();
    assert!(matches!(error, UploadError::Complete(CompleteError::Unproved { made: false, .. })), "{error}");
    assert_eq!((error.kind(), error.is_resumable()), (ErrorKind::Integrity, false));
    assert!(world.stored().await.is_none());
    // Without what was in between, the same call finds the damaged part, and only that.
    world.script.clear();
    let report = world.upload().with_require_verified(true).run().await.unwrap();
    assert_eq!((report.resumed_parts, report.stored.verified), (2, complete::Verified::Crc64));
    world.assert_stored().await;
}

/// An object that is there already and was proved by nothing: a tag alone that does not follow.
#[tokio::test]
async fn where_proof_is_required_an_object_without_any_is_no_success() {
    let world = World::new(2 * MIB);
    const ODD: Effect = Effect::Headers(&[("x-oss-hash-crc64ecma", None), ("etag", None)]);
    world.script.rule("Complete", 0, 1, Effect::Body(|text| text.replace("ETag", "Nothing")));
    let stripped = world.upload().with_require_verified(true).run().await.unwrap();
    assert_eq!(stripped.stored.verified, complete::Verified::Crc64, "its header has it");

    let world = World::new(2 * MIB);
    let named = "<CompleteMultipartUploadResult><Bucket>images</Bucket><Key>disk.raw</Key>\
                 </CompleteMultipartUploadResult>";
    world.script.rule("Complete", 0, 1, Effect::Instead(200, named.to_owned()));
    world.script.rule("HeadObject", 0, 1, ODD);
    let error = world.upload().with_require_verified(true).run().await.unwrap_err();
    assert!(matches!(error, UploadError::Complete(CompleteError::Unproved { made: true, .. })), "{error}");
}

#[tokio::test]
async fn tags_that_are_the_md5_of_the_local_bytes_prove_the_object() {
    // Read again to be compared, where that is required,
    let world = World::new(3 * MIB);
    strip_checksums(&world);
    let report = world.upload().with_require_verified(true).run().await.unwrap();
    assert_eq!(report.stored.verified, complete::Verified::Etag);
    // and compared as they come where the MD5 is sent, also over an interruption.
    let world = World::new(3 * MIB);
    strip_checksums(&world);
    let cancel = CancellationToken::new();
    let stopper = cancel.clone();
    let sink = EventSink::new(move |event| {
        if matches!(event, Event::PartDone { .. }) {
            stopper.cancel();
        }
    });
    world
        .upload()
        .with_parallel(1)
        .with_content_md5(true)
        .with_events(sink)
        .with_cancellation(cancel)
        .run()
        .await
        .unwrap_err();
    assert_eq!(world.script.count("ListParts"), 0);
    let report = world.upload().with_content_md5(true).run().await.unwrap();
    assert_eq!((report.resumed_parts, report.stored.verified), (1, complete::Verified::Etag));
    assert_eq!(world.script.count("ListParts"), 1, "the journal knows what was compared");
}

#[tokio::test]
async fn an_object_with_another_checksum_is_named_as_suspect() {
    let world = World::new(2 * MIB);
    world.script.rule("Complete", 0, 9, Effect::Header("x-oss-hash-crc64ecma", Some("1")));
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("is corrupt"), "{error}");
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
