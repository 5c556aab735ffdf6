//! LZ4 as `lz4 -l` writes it and Linux reads it: blocks without a header, a checksum or an end mark.

use lz4_flex::block::decompress_into;

use super::lz4::LEGACY_MAGIC;
use super::{Codec, Fault, Step};

/// What a block becomes at most (8 MiB); only the last one may become less.
const LARGEST_BLOCK: usize = 8 << 20;
/// What a block of data that cannot be compressed takes at most.
const LARGEST_PACKED: usize = LARGEST_BLOCK + LARGEST_BLOCK / 255 + 16;

/// Decoder for LZ4 in the legacy format. Takes 16 MiB at most: a block, and what it becomes.
pub(crate) struct Lz4Legacy {
    /// How many bytes are wanted next, and those that are there: the length of a block, or the block.
    wanted: usize,
    held: Vec<u8>,
    in_block: bool,
    begun: bool,
    content: Vec<u8>,
    length: usize,
    given: usize,
}

impl Lz4Legacy {
    pub(crate) fn new() -> Self {
        Self {
            wanted: 4,
            held: Vec::new(),
            in_block: false,
            begun: false,
            content: Vec::new(),
            length: 0,
            given: 0,
        }
    }

    /// Goes on with all the bytes that are wanted.
    fn advance(&mut self) -> Result<(), Fault> {
        if self.in_block {
            self.content.resize(LARGEST_BLOCK, 0);
            self.length = decompress_into(&self.held, &mut self.content)
                .map_err(|error| Fault::Damaged(error.to_string()))?;
            self.given = 0;
            self.in_block = false;
            self.wanted = 4;
        } else {
            let word = self.held.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
            match word as usize {
                // Another file may follow, and begins so.
                _ if word == LEGACY_MAGIC => self.begun = true,
                _ if !self.begun => return Err(Fault::Damaged("this is no header of a file".to_owned())),
                length @ 1..=LARGEST_PACKED => {
                    self.in_block = true;
                    self.wanted = length;
                }
                _ => return Err(Fault::Garbage),
            }
        }
        self.held.clear();
        Ok(())
    }
}

impl Codec for Lz4Legacy {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        let mut taken = 0;
        loop {
            if self.given < self.length {
                let given = out.len().min(self.length - self.given);
                out[..given].copy_from_slice(&self.content[self.given..self.given + given]);
                self.given += given;
                return Ok(Step { taken, given });
            }
            let rest = &input[taken..];
            let more = rest.len().min(self.wanted - self.held.len());
            self.held.extend_from_slice(&rest[..more]);
            taken += more;
            if self.held.len() < self.wanted {
                return Ok(Step { taken, given: 0 });
            }
            self.advance()?;
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && !self.in_block && self.held.is_empty() && self.given == self.length
    }
}
