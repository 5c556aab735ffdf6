use std::ops::Range;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{MapError, malformed};
use crate::model::ByteRange;

const ZEROS: [u8; 4096] = [0; 4096];

/// The checksum that a range of an image has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checksum {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

/// A range of an image does not have the checksum that its map says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the image's bytes {} to {} do not have the checksum of its map: the image or the map is another one, or damaged; \
     fetch both again",
    .0.start, .0.end - 1
)]
pub struct Mismatch(pub ByteRange);

/// Compares an image with the checksums of its map, as its data passes in order.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// In order, and each without a byte of another.
    expected: std::vec::IntoIter<(ByteRange, Checksum)>,
    current: Option<(ByteRange, Checksum, Hash)>,
    /// Up to where the image has passed.
    at: u64,
}

#[derive(Debug)]
enum Hash {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// Reads digits of the kind that a bmap file names.
    pub(super) fn parse(kind: &str, digits: &str) -> Result<Self, MapError> {
        match kind {
            "sha1" => hex(digits).map(Self::Sha1),
            "sha256" => hex(digits).map(Self::Sha256),
            _ => {
                return Err(malformed(format_args!(
                    "its checksums are of the kind `{kind}`, not sha256 or sha1"
                )));
            }
        }
        .ok_or_else(|| malformed(format_args!("`{digits}` is no {kind} checksum")))
    }

    /// Whether all of `pieces`, one behind the other, have this checksum.
    pub(super) fn is_of(&self, pieces: &[&[u8]]) -> bool {
        let mut hash = Hash::new(self);
        pieces.iter().for_each(|piece| hash.update(piece));
        hash.finish() == *self
    }
}

impl Hash {
    fn new(checksum: &Checksum) -> Self {
        match checksum {
            Checksum::Sha1(_) => Self::Sha1(Sha1::new()),
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> Checksum {
        match self {
            Self::Sha1(hash) => Checksum::Sha1(hash.finalize().into()),
            Self::Sha256(hash) => Checksum::Sha256(hash.finalize().into()),
        }
    }
}

impl Verifier {
    pub(super) fn new(expected: Vec<(ByteRange, Checksum)>) -> Self {
        let mut verifier = Self { expected: expected.into_iter(), current: None, at: 0 };
        verifier.next();
        verifier
    }

    /// Takes the image's bytes from `at` on; what was passed over before them is zeros. Bytes that no checksum is of
    /// may be among them.
    ///
    /// # Errors
    ///
    /// If a range that ends here does not have its checksum. The verifier is of no more use then.
    ///
    /// # Panics
    ///
    /// If `at` lies before the end of what was taken last.
    pub(crate) fn data(&mut self, at: u64, bytes: &[u8]) -> Result<(), Mismatch> {
        self.pass(at, None)?;
        self.pass(at + bytes.len() as u64, Some(bytes))
    }

    /// Ends the image; what was not taken up to its `length` is zeros.
    ///
    /// # Errors
    ///
    /// If a range does not have its checksum.
    ///
    /// # Panics
    ///
    /// If more was taken than `length`.
    pub(crate) fn finish(mut self, length: u64) -> Result<(), Mismatch> {
        self.pass(length, None)?;
        match self.current {
            None => Ok(()),
            Some((range, ..)) => Err(Mismatch(range)),
        }
    }

    /// Goes on to `to` with these bytes, or with zeros.
    fn pass(&mut self, to: u64, bytes: Option<&[u8]>) -> Result<(), Mismatch> {
        assert!(to >= self.at, "an image is verified in order");
        let from = std::mem::replace(&mut self.at, to);
        while let Some((range, _, hash)) = &mut self.current {
            let (start, end) = (range.start.max(from), range.end.min(to));
            if start < end {
                match bytes {
                    Some(bytes) => hash.update(&bytes[inside(start - from..end - from)]),
                    None => update_with_zeros(hash, end - start),
                }
            }
            if range.end > to {
                break;
            }
            self.compare()?;
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), Mismatch> {
        if let Some((range, checksum, hash)) = self.current.take()
            && hash.finish() != checksum
        {
            return Err(Mismatch(range));
        }
        self.next();
        Ok(())
    }

    fn next(&mut self) {
        let next = self.expected.next();
        self.current = next.map(|(range, checksum)| {
            let hash = Hash::new(&checksum);
            (range, checksum, hash)
        });
    }
}

fn inside(range: Range<u64>) -> Range<usize> {
    let place = |at| usize::try_from(at).expect("a place inside a slice");
    place(range.start)..place(range.end)
}

fn update_with_zeros(hash: &mut Hash, mut count: u64) {
    while count > 0 {
        let now = count.min(ZEROS.len() as u64);
        hash.update(&ZEROS[inside(0..now)]);
        count -= now;
    }
}

/// Reads exactly `N` bytes of two hexadecimal digits each.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    (pairs.len() == N).then_some(())?;
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).expect("two digits");
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Data, holes and data again; checksums over parts of all of them.
    fn image() -> Vec<u8> {
        let mut image: Vec<u8> = (0..40_000u32).map(|at| (at % 251) as u8).collect();
        image[9000..20_000].fill(0);
        image[39_000..].fill(0);
        image
    }

    fn verifier() -> Verifier {
        let image = image();
        let ranges = [(0, 5000), (5000, 8999), (12_000, 13_000), (18_000, 26_000), (38_000, 40_000)];
        let of = |(at, (start, end)): (usize, (usize, usize))| {
            let bytes = &image[start..end];
            let checksum = match at % 2 {
                0 => Checksum::Sha256(Sha256::digest(bytes).into()),
                _ => Checksum::Sha1(Sha1::digest(bytes).into()),
            };
            (ByteRange::new(start as u64, end as u64), checksum)
        };
        Verifier::new(ranges.into_iter().enumerate().map(of).collect())
    }

    /// Passes the image in pieces, without those that are zeros if `skip`.
    fn verify(image: &[u8], piece: usize, skip: bool) -> Result<(), Mismatch> {
        let mut verifier = verifier();
        for (at, bytes) in image.chunks(piece).enumerate() {
            if !skip || bytes.iter().any(|byte| *byte != 0) {
                verifier.data((at * piece) as u64, bytes)?;
            }
        }
        verifier.finish(image.len() as u64)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn any_pieces_verify_and_any_damage_to_a_range_is_found(
            piece in 1usize..50_000, skip: bool, at in 0usize..40_000, bit in 0u32..8,
        ) {
            let mut image = image();
            prop_assert_eq!(verify(&image, piece, skip), Ok(()));
            image[at] ^= 1 << bit;
            let covered = matches!(at, ..8999 | 12_000..13_000 | 18_000..26_000 | 38_000..);
            let found = verify(&image, piece, skip);
            prop_assert_eq!(found.is_err(), covered);
            if let Err(Mismatch(range)) = found {
                prop_assert!((range.start..range.end).contains(&(at as u64)));
            }
        }
    }

    #[test]
    fn an_image_that_ends_early_does_not_verify() {
        let mut verifier = verifier();
        verifier.data(0, &image()[..39_999]).unwrap();
        assert_eq!(verifier.finish(39_999), Err(Mismatch(ByteRange::new(38_000, 40_000))));
    }

    #[test]
    fn checksums_are_digits_of_their_kind() {
        assert_eq!(Checksum::parse("sha1", &"0A".repeat(20)).unwrap(), Checksum::Sha1([10; 20]));
        assert_eq!(Checksum::parse("sha256", &"fF".repeat(32)).unwrap(), Checksum::Sha256([255; 32]));
        let long = "00".repeat(33);
        for (kind, digits) in
            [("md5", "00"), ("sha1", ""), ("sha256", "0"), ("sha256", &long[..63]), ("sha256", &long)]
        {
            assert!(Checksum::parse(kind, digits).is_err(), "{kind} {digits}");
        }
        assert!(Checksum::parse("sha1", &"é".repeat(20)).is_err());
    }
}
