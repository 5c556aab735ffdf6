use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use super::{SourceIdentity, StreamIdentity};
use crate::checksum_file::Sha256;

/// How much of a stream is held in memory by default, in bytes (256 MiB): what was read and is not acknowledged yet.
pub const DEFAULT_STREAM_MEMORY: u64 = 256 << 20;
/// The least memory that a stream is given, in bytes (8 MiB): a quarter of it is a part of any size that OSS takes.
const LEAST_MEMORY: u64 = 8 << 20;

/// An image that passes once, from its beginning to its end: standard input, a pipe, what is unpacked on the way.
///
/// Nothing of it can be had again, so what was read is held in memory until the service has acknowledged it. That also
/// bounds how large a part can be, and with it how long a stream: parts are at most a quarter of the memory.
pub struct Stream {
    identity: SourceIdentity,
    reader: Mutex<Option<Box<dyn Read + Send>>>,
    expected: Option<u64>,
    fetched: Option<Sha256>,
    memory: u64,
}

impl Stream {
    /// Takes a stream that is read on a thread of its own, and what to call it in messages:
    /// [`STANDARD_INPUT`](super::STANDARD_INPUT), the path of a pipe, a URL. A reader that fails ends the upload; only
    /// one that reads to its end makes an object.
    pub fn new(name: impl AsRef<str>, reader: impl Read + Send + 'static) -> Self {
        Self {
            identity: SourceIdentity::Stream(StreamIdentity::new(name.as_ref(), None)),
            reader: Mutex::new(Some(Box::new(reader))),
            expected: None,
            fetched: None,
            memory: DEFAULT_STREAM_MEMORY,
        }
    }

    /// Says about how many bytes will come. It is no promise: parts are chosen so that as many fit well.
    #[must_use]
    pub fn with_expected_size(mut self, bytes: u64) -> Self {
        self.expected = Some(bytes);
        self
    }

    /// Sets how many bytes are held at most, [`DEFAULT_STREAM_MEMORY`] by default.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes.max(LEAST_MEMORY);
        self
    }

    /// Says that the reader fails at its end unless what was fetched for it has this SHA-256, as
    /// [`Sha256Checked`](super::Sha256Checked) does. It is not compared here: two streams of which the same is said are
    /// the same.
    #[must_use]
    pub fn with_fetched_sha256(mut self, sha256: Sha256) -> Self {
        self.fetched = Some(sha256);
        self
    }

    /// Returns the SHA-256 of what is fetched for it, if that was said.
    pub(crate) fn fetched(&self) -> Option<Sha256> {
        self.fetched
    }

    /// Returns about how many bytes will come, if that was said.
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    pub(crate) fn identity(&self) -> &SourceIdentity {
        &self.identity
    }

    /// Returns how many bytes are held at most.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory
    }

    /// Whether the reader was taken.
    pub(crate) fn has_passed(&self) -> bool {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Takes the reader, which is there once.
    pub(crate) fn take(&self) -> Option<Box<dyn Read + Send>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Looks at an image's bytes as they pass, in their order, on the thread that reads them.
pub trait Passage: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Why the image is refused. Nothing more is sent then, and no object is made.
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes as many zeros.
    ///
    /// # Errors
    ///
    /// As [`Passage::data`].
    fn zeros(&mut self, count: u64) -> io::Result<()>;

    /// Whether nothing may be sent yet, because it is not decided whether the image is refused. Of a stream no more than
    /// half of its memory is held back for that.
    fn holds(&self) -> bool {
        false
    }

    /// Takes in that the image has ended.
    ///
    /// # Errors
    ///
    /// As [`Passage::data`].
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}
