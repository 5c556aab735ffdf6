use std::collections::BTreeMap;

use bytes::Bytes;

use super::READ_BUDGET;
use ossup_core::read::{ReadAt, ReadError, check_range};

/// Unit in which ranges are fetched (64 KiB): one request brings the neighbourhood of what was asked.
const WINDOW: u64 = 64 << 10;
/// Most bytes that one fetch asks for (4 MiB).
const MAX_FETCH: u64 = 4 << 20;

/// The parts of a remote object that were fetched so far.
///
/// An inspection over it does no I/O: it ends with [`ReadError::Missing`], the caller fetches that range in
/// whatever way it likes, gives it to [`FetchedRanges::insert`] and inspects again. It ends because every round adds a
/// range and no more than [`READ_BUDGET`] is ever held.
///
/// ```
/// # use ossup_image::{inspect, FetchedRanges, Expected};
/// # use ossup_core::read::{ReadAt, ReadError};
/// # let object = vec![0u8; 1 << 20];
/// # let fetch = |offset: u64, length: u64| object[offset as usize..(offset + length) as usize].to_vec();
/// let mut windows = FetchedRanges::new(object.len() as u64);
/// let report = loop {
///     match inspect(&windows, &Expected::default()) {
///         Err(ReadError::Missing { offset, length }) => {
///             windows.insert(offset, fetch(offset, length).into()); // a GET with `Range: bytes=…`
///         }
///         other => break other?,
///     }
/// };
/// assert!(report.verdict().is_refused());
/// # Ok::<(), ReadError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FetchedRanges {
    length: u64,
    held: u64,
    pieces: BTreeMap<u64, Bytes>,
}

impl FetchedRanges {
    /// Begins with nothing fetched of an object of `length` bytes.
    pub fn new(length: u64) -> Self {
        Self { length, ..Self::default() }
    }

    /// Returns how many bytes are held.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Takes the bytes from `offset` on. They must be all that [`ReadError::Missing`] asked for: an answer that is
    /// shorter (the object was replaced) would be asked for again without end, so check its length first.
    pub fn insert(&mut self, offset: u64, bytes: Bytes) {
        self.held = self.held.saturating_add(bytes.len() as u64);
        if let Some(old) = self.pieces.insert(offset, bytes) {
            self.held = self.held.saturating_sub(old.len() as u64);
        }
    }

    /// Returns the piece that holds the byte at `offset`, from that byte on.
    fn at(&self, offset: u64) -> Option<&[u8]> {
        let (start, piece) = self.pieces.range(..=offset).next_back()?;
        let skip = usize::try_from(offset - start).ok()?;
        piece.get(skip..).filter(|rest| !rest.is_empty())
    }

    /// Returns what to fetch so that the byte at `offset` and those up to `end` are held.
    fn missing(&self, offset: u64, end: u64) -> ReadError {
        let before = self
            .pieces
            .range(..=offset)
            .next_back()
            .map_or(0, |(start, piece)| start.saturating_add(piece.len() as u64));
        let after = self.pieces.range(offset..).next().map_or(self.length, |(start, _)| *start);
        let from = (offset / WINDOW * WINDOW).max(before.min(offset));
        let to = end
            .div_ceil(WINDOW)
            .saturating_mul(WINDOW)
            .min(after)
            .min(self.length)
            .min(from.saturating_add(MAX_FETCH));
        if self.held + (to - from) > READ_BUDGET {
            return ReadError::Budget;
        }
        ReadError::Missing { offset: from, length: to - from }
    }
}

impl ReadAt for FetchedRanges {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        let end = offset + buffer.len() as u64;
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let piece = self.at(position).ok_or_else(|| self.missing(position, end))?;
            let count = piece.len().min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&piece[..count]);
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(windows: &FetchedRanges, offset: u64, length: usize) -> (u64, u64) {
        match windows.read_at(offset, &mut vec![0; length]) {
            Err(ReadError::Missing { offset, length }) => (offset, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ranges_are_aligned_and_clipped() {
        let mut windows = FetchedRanges::new(1_000_000);
        assert_eq!(missing(&windows, 100, 10), (0, 65536));
        assert_eq!(missing(&windows, 65530, 10), (0, 131_072));
        assert_eq!(missing(&windows, 999_999, 1), (983_040, 16_960));
        windows.insert(0, vec![1; 65536].into());
        assert_eq!(missing(&windows, 65530, 10), (65536, 65536));
        windows.insert(100_000, vec![2; 40].into());
        assert_eq!(missing(&windows, 65530, 10), (65536, 34_464), "up to what is held already");
        assert_eq!(missing(&windows, 100_040, 10), (100_040, 31_032), "after what is held already");
    }

    #[test]
    fn a_read_may_span_pieces() {
        let mut windows = FetchedRanges::new(20);
        windows.insert(0, b"0123456789".as_slice().into());
        windows.insert(10, b"abcdefghij".as_slice().into());
        let mut buffer = [0; 6];
        windows.read_at(7, &mut buffer).unwrap();
        assert_eq!(&buffer, b"789abc");
        assert!(matches!(windows.read_at(15, &mut buffer), Err(ReadError::PastEnd { .. })));
    }

    #[test]
    fn no_more_than_the_budget_is_asked_for() {
        let mut windows = FetchedRanges::new(u64::MAX);
        let mut offset = 0;
        loop {
            match windows.read_at(offset, &mut vec![0; 8 << 20]) {
                Err(ReadError::Missing { offset, length }) => {
                    assert!(length <= MAX_FETCH);
                    windows.insert(offset, vec![0; usize::try_from(length).unwrap()].into());
                }
                Err(ReadError::Budget) => break,
                Ok(()) => offset += 1 << 40,
                other => panic!("{other:?}"),
            }
        }
        assert!(windows.held() <= READ_BUDGET);
        assert!(matches!(windows.read_at(u64::MAX - 8, &mut [0; 8]), Err(ReadError::Budget)));
    }
}
