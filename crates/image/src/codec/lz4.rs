//! LZ4 frames, one after the other, skippable ones among them, nothing behind the last.
//!
//! The frame is read here and only its blocks by `lz4_flex`, whose own reader of frames takes an input that ends
//! between two blocks for a whole one.

use std::hash::Hasher;

use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

use super::block::Blocks;
use super::{Codec, Fault, Step};

const MAGIC: u32 = 0x184D_2204;
/// What `lz4 -l` writes: blocks without a header, a checksum or an end mark.
pub const LEGACY_MAGIC: u32 = 0x184C_2102;
/// Sixteen magic numbers of frames that decoders skip; zstd has the same.
pub const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;
/// How far back a block may point into the blocks before it (64 KiB).
const WINDOW: usize = 64 << 10;
/// The bit of a block's length that says that the block is not compressed.
const STORED: u32 = 1 << 31;

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Magic,
    /// The two bytes that tell how long the descriptor is.
    Flags,
    Descriptor,
    BlockLength,
    Block {
        stored: bool,
    },
    ContentChecksum,
    SkippedLength,
    Skipped(u32),
}

/// What the descriptor of the current frame says, and how far its content went.
struct Frame {
    linked: bool,
    block_checksums: bool,
    content_checksum: Option<XxHash32>,
    content_size: Option<u64>,
    largest_block: usize,
    length: u64,
}

/// Decoder for LZ4 frames. Takes 10 MiB at most: a block, what it becomes and the window.
pub struct Lz4 {
    state: State,
    blocks: Blocks,
    frame: Frame,
    window: Vec<u8>,
    begun: bool,
}

impl Lz4 {
    /// Begins at the start of a stream.
    pub fn begin() -> Self {
        let frame = Frame {
            linked: false,
            block_checksums: false,
            content_checksum: None,
            content_size: None,
            largest_block: 0,
            length: 0,
        };
        Self { state: State::Magic, blocks: Blocks::wanting(4), frame, window: Vec::new(), begun: false }
    }

    fn expect(&mut self, state: State, wanted: usize) {
        self.state = state;
        self.blocks.want(wanted);
    }

    /// Goes on with all the bytes that the state wants.
    fn advance(&mut self) -> Result<(), Fault> {
        match self.state {
            State::Magic => match le32(&self.blocks.held) {
                MAGIC => {
                    self.begun = true;
                    self.expect(State::Flags, 2);
                }
                magic if SKIPPABLE.contains(&magic) => self.expect(State::SkippedLength, 4),
                _ if self.begun => return Err(Fault::Garbage),
                _ => return Err(damaged("this is no header of a frame")),
            },
            State::Flags => {
                let flags = self.blocks.held[0];
                self.state = State::Descriptor;
                self.blocks.wanted += usize::from(flags & 8) + usize::from(flags & 1) * 4 + 1;
            }
            State::Descriptor => {
                self.frame = descriptor(&self.blocks.held)?;
                self.blocks.content.resize(self.frame.largest_block, 0);
                self.window.clear();
                self.expect(State::BlockLength, 4);
            }
            State::BlockLength => match le32(&self.blocks.held) {
                0 => self.end_frame()?,
                word => {
                    let length = (word & !STORED) as usize;
                    if length > self.frame.largest_block {
                        return Err(damaged("a block is longer than the frame says"));
                    }
                    let checksum = if self.frame.block_checksums { 4 } else { 0 };
                    self.expect(State::Block { stored: word & STORED != 0 }, length + checksum);
                }
            },
            State::Block { stored } => {
                self.decode_block(stored)?;
                self.expect(State::BlockLength, 4);
            }
            State::ContentChecksum => {
                let wrong = self
                    .frame
                    .content_checksum
                    .take()
                    .is_some_and(|hasher| hasher.finish() != u64::from(le32(&self.blocks.held)));
                if wrong {
                    return Err(damaged("the checksum of the content is wrong"));
                }
                self.expect(State::Magic, 4);
            }
            State::SkippedLength => {
                let length = le32(&self.blocks.held);
                self.expect(State::Skipped(length), 0);
            }
            State::Skipped(_) => self.expect(State::Magic, 4),
        }
        Ok(())
    }

    fn decode_block(&mut self, stored: bool) -> Result<(), Fault> {
        let mut data = self.blocks.held.as_slice();
        if self.frame.block_checksums {
            let (before, checksum) = data.split_at(data.len() - 4);
            if XxHash32::oneshot(0, before) != le32(checksum) {
                return Err(damaged("the checksum of a block is wrong"));
            }
            data = before;
        }
        self.blocks.length = if stored {
            self.blocks.content[..data.len()].copy_from_slice(data);
            data.len()
        } else {
            decompress_into_with_dict(data, &mut self.blocks.content, &self.window)
                .map_err(|error| Fault::Damaged(error.to_string()))?
        };
        self.blocks.given = 0;
        let content = &self.blocks.content[..self.blocks.length];
        self.frame.length += self.blocks.length as u64;
        if let Some(hasher) = &mut self.frame.content_checksum {
            hasher.write(content);
        }
        if self.frame.linked {
            let new = &content[content.len().saturating_sub(WINDOW)..];
            let keep = self.window.len().min(WINDOW - new.len());
            self.window.drain(..self.window.len() - keep);
            self.window.extend_from_slice(new);
        }
        Ok(())
    }

    fn end_frame(&mut self) -> Result<(), Fault> {
        if self.frame.content_size.is_some_and(|size| size != self.frame.length) {
            return Err(damaged("the content has another length than the frame says"));
        }
        match self.frame.content_checksum {
            Some(_) => self.expect(State::ContentChecksum, 4),
            None => self.expect(State::Magic, 4),
        }
        Ok(())
    }
}

impl Codec for Lz4 {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        let mut taken = 0;
        loop {
            if let Some(step) = self.blocks.give(taken, out) {
                return Ok(step);
            }
            let rest = &input[taken..];
            if let State::Skipped(left @ 1..) = self.state {
                let skipped = rest.len().min(left as usize);
                self.state = State::Skipped(left - skipped as u32);
                taken += skipped;
                if skipped == 0 {
                    return Ok(Step { taken, given: 0 });
                }
                continue;
            }
            taken += self.blocks.take(rest);
            if !self.blocks.is_full() {
                return Ok(Step { taken, given: 0 });
            }
            self.advance()?;
            if self.is_whole() {
                // What follows may be no frame, and then none of it is taken.
                return Ok(Step { taken, given: 0 });
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && self.state == State::Magic && self.blocks.is_idle()
    }
}

/// Reads a frame's descriptor: flags, block size, the sizes and numbers that the flags announce, checksum.
fn descriptor(bytes: &[u8]) -> Result<Frame, Fault> {
    let (fields, checksum) = bytes.split_at(bytes.len() - 1);
    if (XxHash32::oneshot(0, fields) >> 8) as u8 != checksum[0] {
        return Err(damaged("the checksum of a frame's header is wrong"));
    }
    let (flags, block) = (fields[0], fields[1]);
    if flags & 1 != 0 {
        return Err(Fault::Unsupported("LZ4 data that was compressed with a dictionary"));
    }
    // Version 1, reserved bits clear, and a block size of 64 KiB to 4 MiB.
    if flags & 0xC2 != 0x40 || block & 0x8F != 0 || block < 0x40 {
        return Err(Fault::Unsupported("LZ4 data of a version that is not known"));
    }
    Ok(Frame {
        linked: flags & 0x20 == 0,
        block_checksums: flags & 0x10 != 0,
        content_checksum: (flags & 4 != 0).then(|| XxHash32::with_seed(0)),
        content_size: fields
            .get(2..)
            .and_then(|size| size.first_chunk())
            .map(|size| u64::from_le_bytes(*size)),
        largest_block: 1 << (8 + 2 * (block >> 4)),
        length: 0,
    })
}

/// Returns what the first frame says of its content's length.
pub fn content_size(head: &[u8]) -> Option<u64> {
    let says = head.get(4)? & 8 != 0;
    head.get(6..)?.first_chunk().filter(|_| says).map(|size| u64::from_le_bytes(*size))
}

fn damaged(reason: &str) -> Fault {
    Fault::Damaged(reason.to_owned())
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}
