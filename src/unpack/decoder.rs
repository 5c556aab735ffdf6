//! Drives a decoder: reads, hands out, counts, and tells an end from a cut.

use super::UnpackError;
use super::stream::Stream;
use crate::image::Compression;
use crate::image::codec::{Codec, Fault};

/// Bytes read at once.
const BLOCK: usize = 128 << 10;
/// How often in a row a decoder may get bytes and neither take nor give any.
const IDLE: u32 = 4;

/// A compressed stream, as what is in it.
pub(super) struct Decoder {
    format: Compression,
    codec: Box<dyn Codec>,
    input: Box<dyn Stream>,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    ended: bool,
    /// The output was filled to the last byte, so there may be more without another byte of input.
    more: bool,
    /// Bytes taken.
    offset: u64,
    /// Bytes that may still come out.
    left: u64,
    limit: u64,
}

impl Decoder {
    /// Decodes `input`, at most `limit` bytes of output.
    pub(super) fn new(
        format: Compression,
        codec: Box<dyn Codec>,
        input: Box<dyn Stream>,
        limit: u64,
    ) -> Self {
        let buffer = vec![0; BLOCK].into_boxed_slice();
        Self {
            format,
            codec,
            input,
            buffer,
            at: 0,
            filled: 0,
            ended: false,
            more: false,
            offset: 0,
            left: limit,
            limit,
        }
    }

    fn explain(&self, fault: Fault) -> UnpackError {
        let (format, offset) = (self.format, self.offset);
        match fault {
            Fault::Damaged(reason) => UnpackError::Damaged { format, offset, reason },
            Fault::Garbage => UnpackError::TrailingGarbage { format, offset },
            Fault::Memory { needed, limit } => UnpackError::Memory { format, needed, limit },
            Fault::Unsupported(what) => UnpackError::Unsupported { format, what },
        }
    }
}

impl Stream for Decoder {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        let mut idle = 0;
        loop {
            if self.at == self.filled && !self.ended && !self.more {
                self.filled = self.input.read(&mut self.buffer)?;
                self.at = 0;
                self.ended = self.filled == 0;
            }
            let step = self.codec.step(&self.buffer[self.at..self.filled], out, self.ended);
            let step = step.map_err(|fault| self.explain(fault))?;
            self.at += step.taken;
            self.offset += step.taken as u64;
            self.more = step.given == out.len();
            if step.given > 0 {
                self.left = self
                    .left
                    .checked_sub(step.given as u64)
                    .ok_or(UnpackError::TooLarge { limit: self.limit })?;
                return Ok(step.given);
            }
            let format = self.format;
            if self.ended && step.taken == 0 {
                let cut = UnpackError::Truncated { format, offset: self.offset };
                return if self.codec.is_whole() { Ok(0) } else { Err(cut) };
            }
            // No decoder waits with bytes before it; one that did would turn here for ever.
            idle = if step.taken == 0 && self.at < self.filled { idle + 1 } else { 0 };
            if idle == IDLE {
                return Err(self.explain(Fault::Damaged("the decoder stands still".to_owned())));
            }
        }
    }
}
