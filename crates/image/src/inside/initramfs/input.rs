//! The file of an initial RAM file system, from its beginning on.

use super::{File, Stream};
use crate::inside::volume::Reason;

/// Most bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Bytes that are read behind a place that was jumped to, where another jump may follow.
const FIRST_PIECE: usize = 16 << 10;
/// What is not worth a jump: finding a place in a file takes the longer the further it is.
const WORTH_A_JUMP: u64 = 128 << 10;

pub(super) struct Input<'f> {
    file: &'f mut dyn File,
    /// Where the buffer ends in the file.
    offset: u64,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    piece: usize,
    read: u64,
    most: u64,
}

impl<'f> Input<'f> {
    /// Reads at most `most` bytes, and what was begun with them.
    pub(super) fn new(file: &'f mut dyn File, most: u64) -> Self {
        let buffer = vec![0; PIECE].into_boxed_slice();
        Self { file, offset: 0, buffer, at: 0, filled: 0, piece: FIRST_PIECE, read: 0, most }
    }

    /// Returns how many bytes of the file were read.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Returns the bytes that come next, at least `count` of them unless the file ends before. `count` is far less than
    /// what is read at once.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], Reason> {
        if self.filled - self.at < count {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            while self.filled < count {
                let end = (self.filled + self.piece).min(PIECE);
                if self.read >= self.most {
                    return Err(format!("more than {} MiB would have to be read", self.most >> 20));
                }
                let count = self.file.read_at(self.offset, &mut self.buffer[self.filled..end])?;
                if count == 0 {
                    break;
                }
                self.filled += count;
                self.offset = self.offset.saturating_add(count as u64);
                self.read += count as u64;
                self.piece = (self.piece * 2).min(PIECE);
            }
        }
        Ok(&self.buffer[self.at..self.filled])
    }
}

impl Stream for Input<'_> {
    fn fill(&mut self) -> Result<&[u8], Reason> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.filled);
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Reason> {
        loop {
            let here = (self.filled - self.at) as u64;
            if count <= here {
                self.at += usize::try_from(count).expect("no more than the buffer holds");
                return Ok(());
            }
            count -= here;
            self.at = self.filled;
            if count >= WORTH_A_JUMP {
                self.offset = self.offset.saturating_add(count);
                self.piece = FIRST_PIECE;
                return Ok(());
            }
            if self.peek(1)?.is_empty() {
                return Ok(());
            }
        }
    }
}
