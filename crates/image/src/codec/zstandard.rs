//! zstd (RFC 8878): frames one after the other, skippable ones among them, nothing behind the last.

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Codec, Fault, Step};

/// Binary logarithms of the windows that the library can be limited to: 1 KiB to 2 GiB.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=31;

/// Decoder for zstd. Checksums are verified where frames have them, as the program writes them by default.
pub struct Zstd {
    context: DCtx<'static>,
    memory: u64,
    /// Between two frames.
    between: bool,
    /// At least one frame is done.
    begun: bool,
}

impl Zstd {
    /// Decodes frames whose windows are not larger than `memory` bytes, nor than 2 GiB.
    pub fn new(memory: u64) -> Result<Self, Fault> {
        let mut context = DCtx::try_create().ok_or(Fault::Memory { needed: None, limit: memory })?;
        let log = memory.max(1).ilog2().clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end());
        context
            .set_parameter(DParameter::WindowLogMax(log))
            .map_err(|code| Fault::Damaged(zstd_safe::get_error_name(code).to_owned()))?;
        Ok(Self { context, memory, between: true, begun: false })
    }

    /// Explains an error at `input`.
    fn fault(&self, code: usize, input: &[u8]) -> Fault {
        let is = |kind| zstd_safe::is_error_kind(code, kind);
        if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge)
            || is(ZSTD_ErrorCode::ZSTD_error_memory_allocation)
        {
            let needed = if self.between { window(input) } else { None };
            Fault::Memory { needed, limit: self.memory }
        } else if is(ZSTD_ErrorCode::ZSTD_error_dictionary_wrong) {
            Fault::Unsupported("zstd data that was compressed with a dictionary")
        } else if is(ZSTD_ErrorCode::ZSTD_error_prefix_unknown) && self.begun {
            Fault::Garbage
        } else {
            Fault::Damaged(zstd_safe::get_error_name(code).to_owned())
        }
    }
}

impl Codec for Zstd {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        if self.between && input.is_empty() {
            return Ok(Step::default());
        }
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(out);
        let left = self.context.decompress_stream(&mut target, &mut source);
        let left = left.map_err(|code| self.fault(code, input))?;
        self.between = left == 0;
        self.begun |= self.between;
        Ok(Step { taken: source.pos(), given: target.pos() })
    }

    fn is_whole(&self) -> bool {
        self.between && self.begun
    }
}

/// Returns what the first frame says of its content's length.
pub fn content_size(head: &[u8]) -> Option<u64> {
    zstd_safe::get_frame_content_size(head).ok().flatten()
}

/// Returns the size of the window that a frame's header asks for, if all of that is there: of its own, or as large as
/// the content.
fn window(frame: &[u8]) -> Option<u64> {
    let (flags, window) = (*frame.get(4)?, *frame.get(5)?);
    if flags & 0x20 != 0 {
        return content_size(frame);
    }
    let eighth = 1_u64 << (7 + (window >> 3));
    Some(eighth * (8 + u64::from(window & 7)))
}
