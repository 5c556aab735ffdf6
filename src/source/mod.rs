//! Where an object's bytes come from.
//!
//! A [`Source`] states its length and identity and gives its bytes by position, so that a part's body can be
//! made again for every attempt. The transfer knows no files.

mod change;
mod device;
mod file;

use std::fmt;
use std::io;

pub use change::{Change, SourceIdentity, Witness};
pub use file::{FileSource, SourceError};

use crate::model::ByteRange;

/// How a source can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Any range, any number of times.
    Positional,
}

/// Bytes to be uploaded.
pub trait Source: Send + Sync + fmt::Debug + 'static {
    /// Returns the length in bytes, if it is known.
    fn length(&self) -> Option<u64>;

    /// Returns the identity at the time of opening, if the source has one.
    fn identity(&self) -> Option<&SourceIdentity>;

    /// Returns the identity now, for comparison.
    ///
    /// # Errors
    ///
    /// When the source can no longer be inspected: the file is gone.
    fn current_identity(&self) -> io::Result<Option<SourceIdentity>>;

    /// Waits until what was written to the source by others is on its disk, so that whatever is written from
    /// then on shows in the identity. It is called off the async runtime, before the first byte is read and
    /// after the last.
    fn settle(&self) {}

    /// Returns how far the identity shows every change of the content; to be asked after [`Source::settle`].
    fn witness(&self) -> Witness {
        Witness::Always
    }

    /// Returns how the source can be read.
    fn access(&self) -> Access {
        Access::Positional
    }

    /// Fills `buffer` from `offset` as far as that needs no waiting, and returns how many bytes that was;
    /// `None` if waiting is needed for the first of them.
    ///
    /// # Errors
    ///
    /// They mean the same as `None`: [`Source::read_exact`] decides whether the bytes can be read.
    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Fills `buffer` from `offset`, waiting as long as it takes. It is called off the async runtime.
    ///
    /// # Errors
    ///
    /// What reading gives; an end of the source within `buffer` is `UnexpectedEof`.
    fn read_exact(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Hints that `range` is read next.
    fn will_need(&self, _range: ByteRange) {}

    /// Hints that `range` is not needed again.
    fn done_with(&self, _range: ByteRange) {}
}
