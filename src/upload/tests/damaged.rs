//! State with a cut at any byte, or any bit of it flipped: the upload goes on rightly, or says clearly that it cannot.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const PARTS: u64 = 6;
const PART: u64 = 100 << 10;

/// Interrupts an upload, damages a file of its state, and runs it again; if that is refused, once more from the start.
async fn survives(file: &str, damage: impl Fn(&mut Vec<u8>)) {
    let world = World::new(PARTS * PART);
    let cancel = CancellationToken::new();
    let (stopper, done) = (cancel.clone(), std::sync::atomic::AtomicUsize::new(0));
    let sink = EventSink::new(move |event| {
        let part = matches!(event, Event::PartDone { .. });
        if part && done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 3 {
            stopper.cancel();
        }
    });
    let upload = || world.upload().with_part_size(PART).with_parallel(1);
    upload().with_events(sink).with_cancellation(cancel).run().await.unwrap_err();
    let path = world.folder().join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    if let Err(error) = upload().run().await {
        assert!(matches!(error, UploadError::Session(_)), "it is refused before anything is sent: {error:?}");
        assert_eq!(world.stored().await, None);
        upload().with_restart(true).run().await.unwrap();
    }
    world.assert_stored().await;
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn flip(bytes: &mut [u8], bit: Index) {
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_journal_damaged_anywhere_ends_in_the_right_object(cut: Index, bit: Index, both: bool) {
        run(survives("journal", |bytes| {
            flip(bytes, bit);
            if both {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
        }));
    }

    #[test]
    fn a_checkpoint_damaged_anywhere_ends_in_the_right_object_or_a_clear_error(cut: Index, bit: Index, cuts: bool) {
        run(survives("checkpoint.json", |bytes| {
            if cuts { bytes.truncate(cut.index(bytes.len())) } else { flip(bytes, bit) }
        }));
    }
}
