//! What an object is made of, in the order in which that becomes known.
//!
//! The transfer knows no files and no formats: it is supplied with content for places of the object, and at the end
//! with the object's length.

mod digest;
mod known;
mod recipe;
mod saving;

use std::io;
use std::sync::Arc;

pub(crate) use digest::{ComparisonFailed, compare, whole};
pub(crate) use known::Known;
pub(crate) use recipe::Recipe;
pub use saving::{WORTH_SAVING, saving};

use crate::blocks::Content;
use crate::model::ByteRange;
use crate::source::Source;

/// What a supply gives.
#[derive(Debug)]
pub(crate) enum Supplied {
    /// The object has this content from `at` on.
    Content { at: u64, content: Content },
    /// The object has `length` bytes, and all of them were supplied.
    End { length: u64 },
}

/// What is uploaded cannot be read.
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
    /// The object is the source.
    Whole(Arc<dyn Source>),
    Ended(u64),
}

impl Supply {
    /// Supplies an object that has the bytes of a source, all of which are known at once.
    pub(crate) fn whole(source: Arc<dyn Source>) -> Self {
        Self { step: Step::Whole(source) }
    }

    /// Returns what becomes known next; after the end only the end again. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`SupplyError`]: nothing more can be supplied.
    pub(crate) async fn next(&mut self) -> Result<Supplied, SupplyError> {
        match &self.step {
            Step::Whole(source) => {
                let length = source.length();
                let content = Content::read(Arc::clone(source), ByteRange::new(0, length));
                self.step = Step::Ended(length);
                Ok(Supplied::Content { at: 0, content })
            }
            Step::Ended(length) => Ok(Supplied::End { length: *length }),
        }
    }
}
