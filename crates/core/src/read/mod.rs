//! Bytes that can be read at any position: what the checks of an image look through, and what is uploaded.

mod error;
mod memory;
mod shared;

use std::fmt;
use std::io;

pub use error::ReadError;
pub use error::check_range;

use crate::model::ByteRange;

/// Bytes that can be read at any position, without a cursor: a file, a buffer, an object by ranged GETs, or the
/// disk inside an image file. Any number of threads may read at the same time.
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// Returns the length in bytes; it does not change.
    fn length(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on, waiting as long as it takes. Async code calls it on a thread
    /// of its own.
    ///
    /// # Errors
    ///
    /// [`ReadError::PastEnd`] if the range does not lie inside `0..length`; otherwise what the source says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError>;

    /// Fills `buffer` from `offset` as far as that needs no waiting, and returns how many bytes that was, at least
    /// one; `None` if waiting is needed for the first of them, or if it is not known whether they can be read, which
    /// [`ReadAt::read_at`] decides.
    fn read_ready(&self, _offset: u64, _buffer: &mut [u8]) -> Option<usize> {
        None
    }

    /// Returns the next range from `from` on that may hold data. What lies between `from` and its start reads as
    /// zeros; with `None` everything up to the end does. The range may hold zeros as well, and more data may follow
    /// right behind it.
    ///
    /// # Errors
    ///
    /// When that cannot be found out, so that nothing may be passed over.
    fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
        let length = self.length();
        Ok((from < length).then(|| ByteRange::new(from, length)))
    }

    /// Hints that `range` is read next.
    fn will_need(&self, _range: ByteRange) {}

    /// Hints that `range` is not needed again.
    fn done_with(&self, _range: ByteRange) {}
}
