//! Where an object's bytes come from.
//!
//! A [`Source`] states its length and identity and gives its bytes by position, so that a part's body can be
//! made again for every attempt. The transfer knows no files.

mod file;

use std::fmt;
use std::io;

pub use file::{FileSource, SourceError};

use crate::model::ByteRange;

/// How a source can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Any range, any number of times.
    Positional,
}

/// What tells one source from another and an unchanged source from a changed one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceIdentity {
    /// Where the source is, for messages: a file's path as it was given.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// Time of the last change of the content, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Time of the last change of the file's record (ctime), in nanoseconds since 1970.
    pub changed_ns: i128,
    /// The device that holds the file.
    pub device: u64,
    /// The file's number on its device.
    pub inode: u64,
}

impl SourceIdentity {
    /// Whether this is most likely the same content as in an earlier run: same length and modification time.
    /// A copy on another machine passes; its parts are then verified by checksum.
    pub fn same_content(&self, other: &Self) -> bool {
        self.length == other.length && self.modified_ns == other.modified_ns
    }

    /// Whether this is the very file of an earlier run.
    pub fn same_file(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Says what differs from `earlier`, or nothing if it is the same file, unchanged.
    pub fn difference(&self, earlier: &Self) -> Option<&'static str> {
        if self.length != earlier.length {
            Some("its size changed")
        } else if self.modified_ns != earlier.modified_ns {
            Some("its modification time changed")
        } else if !self.same_file(earlier) {
            Some("another file took its place")
        } else if self.changed_ns != earlier.changed_ns {
            Some("its status change time (ctime) changed")
        } else {
            None
        }
    }
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
    /// When the source cannot be looked at any more: the file is gone.
    fn current_identity(&self) -> io::Result<Option<SourceIdentity>>;

    /// Returns how the source can be read.
    fn access(&self) -> Access {
        Access::Positional
    }

    /// Fills `buffer` from `offset` as far as that needs no waiting, and returns how many bytes that was;
    /// `None` if waiting is needed for the first of them.
    ///
    /// # Errors
    ///
    /// What reading gives; an end of the source within `buffer` is `UnexpectedEof`.
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
