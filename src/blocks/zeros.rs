/// Bytes that are tested before the first look at the result: long enough to keep the vector units busy, short enough
/// to stop early in data.
const STRIDE: usize = 4096;
/// Bytes that are taken together, as eight words: a cache line, and four registers of SSE2, two of AVX2 or one of
/// AVX-512.
const LINE: usize = 64;

/// Whether all bytes are zero. Empty is zero.
///
/// Written so that the compiler makes vector code of it for whatever machine it builds for. `memcmp`, which others
/// take, is as fast with glibc only.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    let (lines, end) = rest.as_chunks::<LINE>();
    strides.iter().all(|stride| lines_are_zero(stride.as_chunks().0))
        && lines_are_zero(lines)
        && end.iter().all(|byte| *byte == 0)
}

/// Inlined, since it is vector code only where the compiler knows how long a stride is.
#[inline(always)]
fn lines_are_zero(lines: &[[u8; LINE]]) -> bool {
    let mut seen = [0; LINE / 8];
    for line in lines {
        let words = line.as_chunks::<8>().0;
        for at in 0..LINE / 8 {
            seen[at] |= u64::from_ne_bytes(words[at]);
        }
    }
    seen.iter().all(|seen| *seen == 0)
}

#[cfg(test)]
mod tests {
    // By its path, for a bench includes this file and drops the tests.
    #[test]
    fn a_single_bit_anywhere_is_seen() {
        for length in [0, 1, 7, 8, 63, 64, 65, 127, 128, 4095, 4096, 4097, 8300] {
            let mut bytes = vec![0; length];
            assert!(super::is_zero(&bytes), "{length}");
            // Every place of a line and of a rest, far into the strides.
            for at in (0..length).filter(|at| length < 200 || at % 61 == 0 || at / 64 == 64 || *at > 8190) {
                bytes[at] = 1 << (at % 8);
                assert!(!super::is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn what_lies_beside_the_bytes_is_not_seen() {
        let mut bytes = vec![0; 9000];
        for start in 1..70 {
            let end = 8500 + start;
            (bytes[start - 1], bytes[end]) = (0xFF, 0xFF);
            assert!(super::is_zero(&bytes[start..end]), "{start}");
            (bytes[start - 1], bytes[end]) = (0, 0);
        }
    }
}
