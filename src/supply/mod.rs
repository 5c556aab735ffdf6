//! What an object is made of, in the order in which that becomes known.
//!
//! The transfer knows no files and no formats: it is supplied with content for places of the object, and at the end
//! with the object's length. A file as it is is known at once. What has to be read in order, because it passes once,
//! because it is converted or because it is looked at, is read on a thread of its own.

mod convert;
mod digest;
mod forecast;
mod known;
mod maker;
mod reading;
mod recipe;
mod saving;

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};

pub(crate) use digest::{ComparisonFailed, compare, whole};
pub use forecast::Forecast;
pub(crate) use known::Known;
pub(crate) use recipe::{Passages, Recipe};
pub use saving::{WORTH_SAVING, saving};

use crate::blocks::Content;
use crate::checksum_file::Sha256;
use crate::model::ByteRange;
use crate::source::Source;

/// Messages between the thread that reads and the transfer. What is held in memory is bounded by the blocks.
const MESSAGES: usize = 16;

/// What a supply gives.
#[derive(Debug)]
pub(crate) enum Supplied {
    /// The object has this content from `at` on. So far `passed` bytes of the image were read in their order; 0 if
    /// they are not.
    Content { at: u64, content: Content, passed: u64 },
    /// The object has `length` bytes, and all of them were supplied.
    End { length: u64, image: Image },
}

/// What was found out about the image that the object is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// Its digest, if that was asked for.
    pub(crate) sha256: Option<Sha256>,
}

/// What is uploaded cannot be read, or is refused.
#[derive(Debug)]
pub(crate) struct SupplyError {
    /// Where, in bytes from its start.
    pub(crate) offset: u64,
    /// Why.
    pub(crate) source: io::Error,
}

/// Gives the content of one object, once.
#[derive(Debug)]
pub(crate) struct Supply {
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// The object is the source, which may be looked at beside.
    Whole(Arc<dyn Source>, Option<Receiver<Told>>),
    Reading(Receiver<Told>),
    Ended(u64, Image),
}

/// What a thread that reads has to tell.
type Told = Result<Supplied, SupplyError>;

/// Has `work` read on a thread of its own, and returns what that tells. Nobody waits for the thread to end: a read of a
/// pipe may never do.
fn on_thread(work: impl FnOnce(Sender<Told>) + Send + 'static) -> Result<Receiver<Told>, SupplyError> {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let spawned = std::thread::Builder::new().name("source".to_owned()).spawn(move || work(sender));
    spawned.map(|_| receiver).map_err(|source| SupplyError { offset: 0, source })
}

impl Supply {
    /// Supplies an object that has the bytes of a source, all of which are known at once. Its end waits for the thread
    /// that looks at all of them, if there is one.
    pub(crate) fn whole(source: Arc<dyn Source>, looking: Option<Receiver<Told>>) -> Self {
        Self { step: Step::Whole(source, looking) }
    }

    /// Supplies what a thread tells.
    fn reading(told: Receiver<Told>) -> Self {
        Self { step: Step::Reading(told) }
    }

    /// Returns what becomes known next; after the end only the end again. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`SupplyError`]: nothing more can be supplied.
    pub(crate) async fn next(&mut self) -> Result<Supplied, SupplyError> {
        match &mut self.step {
            Step::Whole(source, looking) => {
                let length = source.length();
                let content = Content::read(Arc::clone(source), ByteRange::new(0, length));
                self.step = match looking.take() {
                    Some(receiver) => Step::Reading(receiver),
                    None => Step::Ended(length, Image { bytes: length, sha256: None }),
                };
                Ok(Supplied::Content { at: 0, content, passed: 0 })
            }
            Step::Reading(receiver) => {
                let lost = || io::Error::other("the thread that reads the source has ended");
                let supplied =
                    receiver.recv().await.unwrap_or_else(|| Err(SupplyError { offset: 0, source: lost() }));
                if let Ok(Supplied::End { length, image }) = supplied {
                    self.step = Step::Ended(length, image);
                }
                supplied
            }
            Step::Ended(length, image) => Ok(Supplied::End { length: *length, image: *image }),
        }
    }
}
