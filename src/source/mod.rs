//! Where an object's bytes come from.
//!
//! A [`Source`] is read by position, so that a part's body can be made again for every attempt, and states its identity.
//! The transfer knows no files.

mod change;
mod checked;
mod device;
mod disk;
mod file;
mod holes;
mod identity;
mod made;
pub mod map;
mod stream;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;

pub use change::{Change, Witness};
pub use checked::{ExactSize, InputError, Sha256Checked};
pub use disk::DiskSource;
pub use file::{FileSource, SourceError};
pub use identity::{
    DeviceIdentity, FileIdentity, STANDARD_INPUT, SourceIdentity, StreamIdentity, WebIdentity,
};

pub(crate) use made::Made;
pub use stream::{DEFAULT_STREAM_MEMORY, Passage, Stream};

use crate::model::ByteRange;
use crate::read::ReadAt;

/// The bytes of a range in their order, as they arrive.
#[doc(hidden)]
pub type SourceStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes to be uploaded.
pub trait Source: ReadAt + 'static {
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

    /// Returns the bytes of a range as they arrive, if the source comes over a network: no thread waits for them, and
    /// one request gets all of them. The stream gives exactly as many bytes as the range has, or an error; before it
    /// is polled nothing is read.
    fn stream(&self, _range: ByteRange) -> Option<SourceStream> {
        None
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn identity(&self) -> Option<&SourceIdentity> {
        (**self).identity()
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        (**self).current_identity()
    }

    fn settle(&self) {
        (**self).settle();
    }

    fn witness(&self) -> Witness {
        (**self).witness()
    }

    fn stream(&self, range: ByteRange) -> Option<SourceStream> {
        (**self).stream(range)
    }
}
