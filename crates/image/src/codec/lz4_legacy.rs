//! LZ4 as `lz4 -l` writes it and Linux reads it: blocks without a header, a checksum or an end mark.

use lz4_flex::block::decompress_into;

use super::block::Blocks;
use super::lz4::LEGACY_MAGIC;
use super::{Codec, Fault, Step};

/// What a block becomes at most (8 MiB); only the last one may become less.
const LARGEST_BLOCK: usize = 8 << 20;
/// What a block of data that cannot be compressed takes at most.
const LARGEST_PACKED: usize = LARGEST_BLOCK + LARGEST_BLOCK / 255 + 16;

/// Decoder for LZ4 in the legacy format. Takes 16 MiB at most: a block, and what it becomes.
pub struct Lz4Legacy {
    /// Wants the length of a block, or the block.
    blocks: Blocks,
    in_block: bool,
    begun: bool,
}

impl Lz4Legacy {
    /// Begins at the start of a stream.
    pub fn begin() -> Self {
        Self { blocks: Blocks::wanting(4), in_block: false, begun: false }
    }

    /// Goes on with all the bytes that are wanted.
    fn advance(&mut self) -> Result<(), Fault> {
        let blocks = &mut self.blocks;
        if self.in_block {
            blocks.content.resize(LARGEST_BLOCK, 0);
            blocks.length = decompress_into(&blocks.held, &mut blocks.content)
                .map_err(|error| Fault::Damaged(error.to_string()))?;
            blocks.given = 0;
            self.in_block = false;
            blocks.wanted = 4;
        } else {
            let word = blocks.held.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
            match word as usize {
                // Another file may follow, and begins so.
                _ if word == LEGACY_MAGIC => self.begun = true,
                _ if !self.begun => return Err(Fault::Damaged("this is no header of a file".to_owned())),
                length @ 1..=LARGEST_PACKED => {
                    self.in_block = true;
                    blocks.wanted = length;
                }
                _ => return Err(Fault::Garbage),
            }
        }
        blocks.held.clear();
        Ok(())
    }
}

impl Codec for Lz4Legacy {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        let mut taken = 0;
        loop {
            if let Some(step) = self.blocks.give(taken, out) {
                return Ok(step);
            }
            taken += self.blocks.take(&input[taken..]);
            if !self.blocks.is_full() {
                return Ok(Step { taken, given: 0 });
            }
            self.advance()?;
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && !self.in_block && self.blocks.is_idle()
    }
}
