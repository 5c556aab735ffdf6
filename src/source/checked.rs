//! What is promised of a stream, held against it as it passes. A broken promise is an error in place of the end, so that
//! nobody takes what came for the whole.

use std::io::{self, Read};
use std::sync::Arc;

use sha2::Digest as _;

use super::Change;
use crate::checksum_file::Sha256;

/// What a stream was said to be, and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It ended before as many bytes came as it was said to have.
    #[error(
        "the image ended after {found} bytes, and {expected} were expected: what sends it may have failed"
    )]
    TooShort {
        /// Bytes that were expected.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// More came than it was said to have.
    #[error("the image has more than the {expected} bytes that were expected")]
    TooLong {
        /// Bytes that were expected.
        expected: u64,
    },
    /// It does not have the checksum that it was said to have.
    #[error("what was fetched has the SHA-256 {found}, and {expected} was expected")]
    Checksum {
        /// The checksum that was expected.
        expected: Sha256,
        /// The checksum of what came.
        found: Sha256,
    },
    /// It came from a file that was another one at the end than at the beginning.
    #[error("the file changed while it was read: {0}")]
    Changed(Change),
}

impl InputError {
    /// Returns the error inside an error of a read, also where what unpacks the stream passed it on.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(inner);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // An I/O error is not the source of what holds it: it leaves itself out.
            let below = error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref);
            if let Some(found) = below.or_else(|| error.downcast_ref()).and_then(Self::of) {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl From<InputError> for io::Error {
    fn from(error: InputError) -> Self {
        let kind = match error {
            InputError::TooShort { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// A stream that ends after exactly so many bytes, or with an error.
#[derive(Debug)]
pub struct ExactSize<R> {
    reader: R,
    expected: u64,
    found: u64,
}

impl<R: Read> ExactSize<R> {
    /// Expects `bytes` of the reader.
    pub fn new(reader: R, bytes: u64) -> Self {
        Self { reader, expected: bytes, found: 0 }
    }
}

impl<R: Read> Read for ExactSize<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (expected, found) = (self.expected, self.found);
        if found > expected {
            return Err(InputError::TooLong { expected }.into());
        }
        let count = self.reader.read(buffer)?;
        self.found += count as u64;
        if self.found > expected {
            return Err(InputError::TooLong { expected }.into());
        }
        if count == 0 && !buffer.is_empty() && found < expected {
            return Err(InputError::TooShort { expected, found }.into());
        }
        Ok(count)
    }
}

/// A stream that ends only if all its bytes together have a SHA-256, and with an error otherwise. Put below what
/// unpacks the stream, it is of the bytes as they were fetched.
#[derive(Debug)]
pub struct Sha256Checked<R> {
    reader: R,
    expected: Sha256,
    hash: sha2::Sha256,
    outcome: Option<Result<(), InputError>>,
}

impl<R: Read> Sha256Checked<R> {
    /// Expects all bytes of the reader to have this checksum.
    pub fn new(reader: R, expected: Sha256) -> Self {
        Self { reader, expected, hash: sha2::Sha256::new(), outcome: None }
    }
}

impl<R: Read> Read for Sha256Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(outcome) = self.outcome {
            return outcome.map(|()| 0).map_err(io::Error::from);
        }
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() {
            let (expected, found) = (self.expected, Sha256(self.hash.finalize_reset().into()));
            let outcome =
                if found == expected { Ok(()) } else { Err(InputError::Checksum { expected, found }) };
            self.outcome = Some(outcome);
            outcome?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut reader: impl Read) -> Result<Vec<u8>, InputError> {
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => {
                let again = reader.read(&mut [0]).expect_err("what failed does not end well later");
                assert_eq!(InputError::of(&again), InputError::of(&error));
                Err(*InputError::of(&error).unwrap())
            }
        }
    }

    fn sha256(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    #[test]
    fn exactly_so_many_bytes_pass_and_no_others() {
        let bytes = [7; 1000];
        assert_eq!(all(ExactSize::new(&bytes[..], 1000)).unwrap(), bytes);
        assert_eq!(all(ExactSize::new(&bytes[..0], 0)).unwrap(), [0; 0]);
        let (expected, found) = (1001, 1000);
        assert_eq!(all(ExactSize::new(&bytes[..], 1001)), Err(InputError::TooShort { expected, found }));
        assert_eq!(all(ExactSize::new(&bytes[..], 999)), Err(InputError::TooLong { expected: 999 }));
    }

    #[test]
    fn a_stream_of_another_checksum_does_not_end() {
        let bytes = [7; 70_000];
        let (expected, found) = (sha256(b"other"), sha256(&bytes));
        assert_eq!(all(Sha256Checked::new(&bytes[..], found)).unwrap(), bytes);
        assert_eq!(all(Sha256Checked::new(&bytes[..0], sha256(b""))).unwrap(), [0; 0]);
        let error = all(Sha256Checked::new(&bytes[..], expected));
        assert_eq!(error, Err(InputError::Checksum { expected, found }));
    }

    #[test]
    fn what_unpacks_the_stream_passes_the_error_on() {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[7; 70_000]).unwrap();
        let packed = packed.finish().unwrap();
        let unpacked = |expected| {
            let reader = Sha256Checked::new(io::Cursor::new(packed.clone()), expected);
            let mut bytes = Vec::new();
            let mut inside = crate::unpack::open(reader, &crate::unpack::Options::new(1 << 20)).unwrap();
            inside.read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(unpacked(sha256(&packed)).unwrap(), [7; 70_000]);
        let expected = sha256(&[7; 70_000]);
        let error = unpacked(expected).unwrap_err();
        assert_eq!(InputError::of(&error), Some(&InputError::Checksum { expected, found: sha256(&packed) }));
    }
}
