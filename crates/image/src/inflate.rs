//! Unpacks pieces of images into a buffer, as far as they go.

use flate2::{Decompress, FlushDecompress};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// Largest window that a zstd frame may ask for, as a power of two (8 MiB): four times the largest cluster.
const WINDOW_LOG: u32 = 23;

/// Unpacks raw deflate and returns how much of `plain` is filled: less than all if the data ends or is damaged.
pub(super) fn deflate(packed: &[u8], plain: &mut [u8]) -> usize {
    let mut inflate = Decompress::new(false);
    // What came before an error counts, and is what the caller looks at.
    let _ = inflate.decompress(packed, plain, FlushDecompress::Sync);
    usize::try_from(inflate.total_out()).map_or(plain.len(), |count| count.min(plain.len()))
}

/// Unpacks zstd frames until `plain` is full, and returns how much of it is. What lies behind the last frame is the
/// rest of its sector.
pub(super) fn zstd(packed: &[u8], plain: &mut [u8]) -> usize {
    let Some(mut context) = DCtx::try_create() else { return 0 };
    if context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).is_err() {
        return 0;
    }
    let mut source = InBuffer::around(packed);
    let mut target = OutBuffer::around(plain);
    loop {
        let before = (source.pos(), target.pos());
        let failed = context.decompress_stream(&mut target, &mut source).is_err();
        if failed || target.pos() == target.capacity() || (source.pos(), target.pos()) == before {
            return target.pos();
        }
    }
}

/// Packs with raw deflate.
#[cfg(test)]
pub(super) fn deflated(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(plain).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_or_cut_is_unpacked_as_far_as_it_goes() {
        let plain: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        let mut buffer = vec![0; plain.len()];
        let packed = deflated(&plain);
        assert_eq!(deflate(&packed, &mut buffer), plain.len());
        assert!(buffer == plain);
        assert_eq!(deflate(&packed, &mut buffer[..1000]), 1000);
        let count = deflate(&packed[..packed.len() / 2], &mut buffer);
        assert!(count > 0 && count < plain.len() && buffer[..count] == plain[..count]);
        assert_eq!(deflate(&[0xFF; 20], &mut buffer), 0);
        let mut packed = vec![0; zstd_safe::compress_bound(plain.len())];
        let size = zstd_safe::compress(&mut packed[..], &plain, 3).unwrap();
        packed.truncate(size);
        let mut padded = packed.clone();
        padded.extend([0xEE; 300]);
        assert_eq!(zstd(&padded, &mut buffer), plain.len());
        assert!(buffer == plain);
        assert_eq!(zstd(&packed, &mut buffer[..1000]), 1000);
        assert!(zstd(&packed[..packed.len() / 2], &mut buffer) < plain.len());
        assert_eq!(zstd(b"no frame", &mut buffer), 0);
    }
}
