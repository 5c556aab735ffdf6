//! Compressed clusters.

use std::io::Read as _;

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use ruzstd::decoding::StreamingDecoder;

/// Largest window that a zstd frame may ask for (8 MiB): four times the largest cluster.
const MAX_WINDOW: u64 = 8 << 20;

/// Unpacks deflate and returns how much of `plain` is filled.
pub(super) fn deflate(packed: &[u8], plain: &mut [u8]) -> usize {
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    decompress(&mut DecompressorOxide::new(), packed, plain, 0, flags).2
}

/// Unpacks zstd frames until `plain` is full, and returns how much of it is. What lies behind the last frame is the
/// rest of its sector.
pub(super) fn zstd(mut packed: &[u8], plain: &mut [u8]) -> usize {
    let mut written = 0;
    while written < plain.len() {
        let Ok(mut frame) = StreamingDecoder::new_with_max_window_size(&mut packed, MAX_WINDOW) else {
            break;
        };
        let before = written;
        while let Ok(count @ 1..) = frame.read(&mut plain[written..]) {
            written += count;
        }
        if written == before {
            break;
        }
    }
    written
}
