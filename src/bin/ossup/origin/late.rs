//! What is seen of an image that passes once, by its end: too late to be asked for when the upload begins.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ossup::image::{Expected, GuestReport, PassingImage, Report, Rule, look_inside};
use ossup::model::ObjectRef;
use ossup::read::{ReadAt, ReadError, check_range};

use crate::commands::inspection::holds_files;
use crate::ui::bytes;

/// Most bytes of data that are held of an image while it passes, so that it can be looked into at its end (24 MiB).
const MOST_HELD: u64 = 24 << 20;
/// Which part of the memory that was allowed they may take at most.
const SHARE_HELD: u64 = 8;
/// Unit in which they are held (64 KiB).
const BLOCK: usize = 64 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Why nothing is said of the system on a disk, where nothing passed.
const NOTHING_PASSED: &str = "not looked at: the object was there, and nothing was read";

/// Returns how many bytes of data are held, where so much memory was allowed.
pub(super) fn most_held(memory: Option<u64>) -> u64 {
    memory.map_or(MOST_HELD, |memory| MOST_HELD.min(memory / SHARE_HELD))
}

/// What was seen of an image by its end.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) report: Report,
    /// Why the system on it was not looked at.
    pub(super) unread: Option<String>,
}

/// An image that is inspected while it passes, and looked into at its end if its data are few enough to be held.
pub(super) struct Watched {
    image: PassingImage,
    expected: Expected,
    /// How many bytes may be held, if the system on the disk is to be looked at.
    most: Option<u64>,
    held: Option<Held>,
}

impl Watched {
    /// Begins before the first byte. The system on the disk is looked at too if so many bytes may be held for that.
    pub(super) fn new(expected: Expected, most: Option<u64>) -> Self {
        let image = PassingImage::new(expected.clone());
        Self { image, expected, most, held: most.map(|_| Held::default()) }
    }

    /// Takes the next bytes.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        self.image.push(bytes);
        self.hold(|held| held.data(bytes));
    }

    /// Takes as many zeros.
    pub(super) fn zeros(&mut self, count: u64) {
        self.image.push_zeros(count);
        self.hold(|held| held.length = held.length.saturating_add(count));
    }

    fn hold(&mut self, hold: impl FnMut(&mut Held)) {
        self.held.iter_mut().for_each(hold);
        // No look can make do with a part of it.
        self.held.take_if(|held| Some(held.bytes()) > self.most);
    }

    /// Reports on the whole image, which ends here.
    pub(super) fn finish(self) -> Result<Seen, ReadError> {
        let mut report = self.image.finish()?;
        let mut unread = None;
        match (self.most.filter(|_| holds_files(&report)), self.held) {
            (None, _) => {}
            (Some(_), Some(held)) => look_inside(Arc::new(held), &self.expected, &mut report),
            (Some(most), None) => {
                let reason = format!(
                    "not looked at: the image passes once, and has more data than are held meanwhile ({})",
                    bytes(most)
                );
                report.guest = Some(GuestReport::unread(&*reason));
                unread = Some(reason);
            }
        }
        Ok(Seen { report, unread })
    }
}

/// An image as far as it has passed: its blocks that are not zeros.
#[derive(Debug, Default)]
struct Held {
    length: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Held {
    fn bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK) as u64
    }

    fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (block, at) = place(self.length);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - at));
            if *now != ZEROS[..now.len()] {
                let block = self.blocks.entry(block).or_insert_with(|| vec![0; BLOCK].into());
                block[at..at + now.len()].copy_from_slice(now);
            }
            self.length += now.len() as u64;
            bytes = later;
        }
    }
}

impl ReadAt for Held {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        while !buffer.is_empty() {
            let (block, at) = place(offset);
            let count = buffer.len().min(BLOCK - at);
            let (now, rest) = std::mem::take(&mut buffer).split_at_mut(count);
            match self.blocks.get(&block) {
                Some(block) => now.copy_from_slice(&block[at..at + count]),
                None => now.fill(0),
            }
            (buffer, offset) = (rest, offset + count as u64);
        }
        Ok(())
    }
}

/// Returns the block of a position, and where in it that is.
fn place(position: u64) -> (u64, usize) {
    let within = usize::try_from(position % BLOCK as u64).expect("less than a block");
    (position / BLOCK as u64, within)
}

/// An image whose upload begins before all of it is seen.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    pub(crate) object: ObjectRef,
    /// What is expected of the object.
    pub(crate) expected: Expected,
    /// How many bytes of data may be held, if the system on the disk is to be looked at.
    most: Option<u64>,
    /// What was said of its beginning.
    told: Vec<Rule>,
    seen: Arc<OnceLock<Seen>>,
}

impl Late {
    /// Begins with what was reported of the image's beginning.
    pub(super) fn new(
        object: &ObjectRef,
        expected: &Expected,
        most: Option<u64>,
        before: Option<&Report>,
    ) -> Self {
        let told = before.iter().flat_map(|report| &report.findings).map(|finding| finding.rule).collect();
        let mut expected = expected.clone();
        (expected.name, expected.becomes) = (object.to_string(), None);
        Self { object: object.clone(), expected, most, told, seen: Arc::default() }
    }

    /// Returns what looks at the image as it passes.
    pub(super) fn watch(&self, expected: Expected) -> Watched {
        Watched::new(expected, self.most)
    }

    /// Keeps what was seen by the end of the image.
    pub(super) fn keep(&self, seen: Seen) {
        // An image passes once.
        let _ = self.seen.set(seen);
    }

    /// Returns the report on the image, if it has passed.
    pub(crate) fn report(&self) -> Option<&Report> {
        self.seen.get().map(|seen| &seen.report)
    }

    /// Returns the rules of which something was said by now.
    pub(crate) fn told(&self) -> Vec<Rule> {
        let later = self.report().into_iter().flat_map(|report| &report.findings);
        self.told.iter().copied().chain(later.map(|finding| finding.rule)).collect()
    }

    /// Returns why the system on the disk was not looked at, unless it was, or there was no reason to.
    pub(crate) fn unread(&self) -> Option<&str> {
        self.most?;
        self.seen.get().map_or(Some(NOTHING_PASSED), |seen| seen.unread.as_deref())
    }

    /// Whether the system on the disk is to be looked at.
    pub(crate) fn looks_inside(&self) -> bool {
        self.most.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_held_as_it_passed_however_it_was_divided() {
        let mut image = vec![0; 5 * BLOCK + 100];
        image[70_000..70_010].fill(7);
        image[3 * BLOCK - 1..4 * BLOCK + 1].fill(8);
        for step in [1000, BLOCK, 2 * BLOCK + 1] {
            let mut held = Held::default();
            for (index, piece) in image.chunks(step).enumerate() {
                match piece.iter().all(|byte| *byte == 0) && index % 2 == 0 {
                    true => held.length += piece.len() as u64,
                    false => held.data(piece),
                }
            }
            let mut read = vec![1; image.len() - 9];
            held.read_at(9, &mut read).unwrap();
            assert!(read == image[9..], "{step}");
            assert_eq!((held.length(), held.blocks.len()), (image.len() as u64, 4), "{step}");
            assert!(held.read_at(10, &mut read).is_err());
        }
    }

    #[test]
    fn an_image_of_too_much_data_is_not_held_at_all() {
        let mut watched = Watched::new(Expected::default(), Some(most_held(Some(16 << 20))));
        for _ in 0..(2 << 20) / BLOCK {
            watched.data(&[1; BLOCK]);
            watched.zeros(1 << 30);
        }
        assert!(watched.held.is_some());
        watched.data(&[1]);
        assert!(watched.held.is_none());
        assert!(Watched::new(Expected::default(), None).held.is_none());
        assert_eq!((most_held(None), most_held(Some(1 << 30))), (MOST_HELD, MOST_HELD));
    }
}
