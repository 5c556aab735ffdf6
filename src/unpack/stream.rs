//! Bytes as they pass from layer to layer.

use std::io::{self, Read};
use std::sync::Arc;

use super::UnpackError;

/// Bytes in order, with errors as values. Nobody reads on after an error or the end.
pub(super) trait Stream: Send {
    /// Fills the beginning of `out`, which is not empty, and returns how much; 0 says that everything was read and
    /// all that can be checked was right.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError>;
}

/// What the caller gave.
pub(super) struct Input<R> {
    reader: R,
    offset: u64,
}

impl<R: Read + Send> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, offset: 0 }
    }
}

impl<R: Read + Send> Stream for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        loop {
            match self.reader.read(out) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(UnpackError::Input { offset: self.offset, source: Arc::new(error) });
                }
            }
        }
    }
}

/// A stream whose first bytes were looked at.
pub(super) struct Peeked {
    head: Vec<u8>,
    given: usize,
    rest: Box<dyn Stream>,
    ended: bool,
}

impl Peeked {
    /// Reads at least `length` bytes ahead, less only where the stream ends.
    pub(super) fn new(mut rest: Box<dyn Stream>, length: usize) -> Result<Self, UnpackError> {
        let mut head = vec![0; length];
        let mut filled = 0;
        let mut ended = false;
        while filled < length && !ended {
            let read = rest.read(&mut head[filled..])?;
            filled += read;
            ended = read == 0;
        }
        head.truncate(filled);
        Ok(Self { head, given: 0, rest, ended })
    }

    /// Returns the bytes that were read ahead.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Stream for Peeked {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        let left = &self.head[self.given..];
        if left.is_empty() {
            return if self.ended { Ok(0) } else { self.rest.read(out) };
        }
        let length = left.len().min(out.len());
        out[..length].copy_from_slice(&left[..length]);
        self.given += length;
        Ok(length)
    }
}
