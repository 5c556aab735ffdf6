use std::collections::BTreeMap;
use std::io;

use super::{Image, Known, Supplied, Supply, SupplyError};
use crate::blocks::{Limits, digest, located};
use crate::checksum::{self, Hasher};
use crate::model::{ByteRange, Crc64};

/// Makes an object only for its length in bytes, its CRC-64, and what is found out about the image. Nothing if it turns
/// out to have more than `most` bytes: the rest is not read then.
///
/// # Errors
///
/// [`SupplyError`] when what it is made of cannot be read.
pub(crate) async fn whole(
    mut supply: Supply,
    most: u64,
    limits: &Limits,
) -> Result<Option<(u64, Crc64, Image)>, SupplyError> {
    // Content becomes known from the front, or with the head last: a few runs, of which each goes on where it ended.
    let mut runs: BTreeMap<u64, (u64, Hasher)> = BTreeMap::new();
    loop {
        match supply.next().await? {
            Supplied::Content { at, content, .. } => {
                if at + content.len() > most {
                    return Ok(None);
                }
                let before = runs.range(..at).next_back().filter(|(_, (end, _))| *end == at);
                let start = before.map_or(at, |(start, _)| *start);
                let (end, hasher) = runs.entry(start).or_insert_with(|| (at, Hasher::new()));
                *end += content.len();
                digest::update(hasher, content, limits).await.map_err(|error| failed(error, at))?;
            }
            Supplied::End { length, image } => {
                let crc64 = runs.iter().fold(Crc64(0), |crc, (start, (end, next))| {
                    checksum::combine(crc, next.value(), end - start)
                });
                return Ok((length <= most).then_some((length, crc64, image)));
            }
        }
    }
}

/// Why made content is not what it was before.
pub(crate) enum ComparisonFailed {
    /// These bytes of the object differ.
    Differs(ByteRange),
    /// What it is made of cannot be read.
    Unreadable(SupplyError),
}

/// Makes an object only to compare its parts with their checksums. The parts tile the object. `compared` is called
/// after each.
///
/// # Errors
///
/// [`ComparisonFailed`].
pub(crate) async fn compare(
    mut supply: Supply,
    parts: impl IntoIterator<Item = (ByteRange, Crc64)>,
    limits: &Limits,
    mut compared: impl FnMut(),
) -> Result<(), ComparisonFailed> {
    let mut parts: BTreeMap<u64, (ByteRange, Crc64)> =
        parts.into_iter().map(|(range, crc64)| (range.start, (range, crc64))).collect();
    let (mut known, mut front) = (Known::default(), 0);
    loop {
        match supply.next().await.map_err(ComparisonFailed::Unreadable)? {
            Supplied::Content { at, content, .. } => {
                front = front.max(at + content.len());
                known.insert(at, content);
            }
            Supplied::End { length, .. } => {
                let differs = parts.values().map(|(range, _)| *range).next();
                let beyond = differs.or_else(|| known.first().map(|at| ByteRange::new(at, length)));
                return beyond.map_or(Ok(()), |range| Err(ComparisonFailed::Differs(range)));
            }
        }
        let passed = parts.range(..front).map(|(_, (range, _))| *range).filter(|range| range.end <= front);
        let whole: Vec<ByteRange> = passed.filter(|range| known.covers(*range)).collect();
        for range in whole {
            let Some((content, (_, before))) = known.whole(range).zip(parts.remove(&range.start)) else {
                continue;
            };
            known.release(range);
            let now = digest::crc64(content, limits).await;
            let now = now.map_err(|error| ComparisonFailed::Unreadable(failed(error, range.start)))?;
            if now != before {
                return Err(ComparisonFailed::Differs(range));
            }
            compared();
        }
    }
}

fn failed(error: io::Error, at: u64) -> SupplyError {
    let (offset, source) = located(error, at);
    SupplyError { offset, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{Content, Segment};
    use crate::supply::on_thread;

    const LENGTH: u64 = 1000;

    fn bytes() -> Vec<u8> {
        (0..LENGTH).map(|at| (at % 251) as u8).collect()
    }

    /// Supplies an object in these pieces.
    fn supply(bytes: &[u8], pieces: &[(usize, usize)]) -> Supply {
        let pieces: Vec<_> =
            pieces.iter().map(|(from, to)| (*from as u64, bytes[*from..*to].to_vec())).collect();
        let length = bytes.len() as u64;
        let told = on_thread(move |out| {
            for (at, bytes) in pieces {
                let content = Content::from(Segment::Held(bytes.into()));
                out.blocking_send(Ok(Supplied::Content { at, content, passed: 0 })).unwrap();
            }
            out.blocking_send(Ok(Supplied::End { length, image: Image::default() })).unwrap();
        });
        Supply::reading(told.unwrap())
    }

    /// From the front, with the head last, and backwards.
    fn orders() -> [Vec<(usize, usize)>; 3] {
        [
            vec![(0, 1), (1, 300), (300, 1000)],
            vec![(7, 300), (300, 1000), (0, 7)],
            vec![(900, 1000), (20, 900), (0, 20)],
        ]
    }

    fn parts(bytes: &[u8]) -> Vec<(ByteRange, Crc64)> {
        let ends = [(0, 100), (100, 101), (101, 1000)];
        let of = |(from, to): (usize, usize)| {
            (ByteRange::new(from as u64, to as u64), checksum::of(&bytes[from..to]))
        };
        ends.map(of).to_vec()
    }

    #[tokio::test]
    async fn the_checksum_is_that_of_the_object_in_whatever_order_it_becomes_known() {
        let bytes = bytes();
        for order in orders() {
            let most = bytes.len() as u64;
            let short = whole(supply(&bytes, &order), most - 1, &Limits::default()).await.unwrap();
            assert_eq!(short, None);
            let made = whole(supply(&bytes, &order), most, &Limits::default()).await.unwrap();
            let (length, crc64, _) = made.unwrap();
            assert_eq!((length, crc64), (LENGTH, checksum::of(&bytes)), "{order:?}");
        }
    }

    #[tokio::test]
    async fn parts_are_compared_in_whatever_order_they_become_known() {
        let bytes = bytes();
        for order in orders() {
            let mut count = 0;
            let compared = || count += 1;
            let same = compare(supply(&bytes, &order), parts(&bytes), &Limits::default(), compared).await;
            assert!(same.is_ok());
            assert_eq!(count, 3, "{order:?}");
            for (at, start) in [(0, 0), (100, 100), (101, 101), (999, 101)] {
                let mut other = bytes.clone();
                other[at] ^= 1;
                let result = compare(supply(&other, &order), parts(&bytes), &Limits::default(), || ()).await;
                let Err(ComparisonFailed::Differs(range)) = result else { panic!("{at} differs") };
                assert_eq!(range.start, start);
            }
        }
    }

    #[tokio::test]
    async fn an_object_that_is_longer_or_shorter_than_its_parts_differs() {
        let bytes = bytes();
        for length in [999, 1001] {
            let mut other = bytes.clone();
            other.resize(length, 7);
            let result =
                compare(supply(&other, &[(0, length)]), parts(&bytes), &Limits::default(), || ()).await;
            assert!(matches!(result, Err(ComparisonFailed::Differs(_))), "{length}");
        }
    }
}
