//! What lies on a server, read here and there by few requests.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ossup::model::ByteRange;
use ossup::read::{ReadAt, ReadError, check_range};

/// Unit in which ranges are fetched (64 KiB): one request brings the neighbourhood of what was asked.
const WINDOW: u64 = 64 << 10;
/// Most that is fetched at once (4 MiB), where it is read in order.
const MOST_AHEAD: u64 = 4 << 20;
/// Most requests of a look that leaves out the initial RAM file system.
pub(crate) const MOST_REQUESTS: usize = 64;
/// Most requests with it: 256 MiB of it in the largest ranges, and as many again.
pub(crate) const MOST_DEEP_REQUESTS: usize = 256;

/// Fetches a range. It is called on a thread that may block.
type Fetch<E> = Box<dyn Fn(ByteRange) -> Result<Bytes, E> + Send + Sync>;

/// An object, or a file on the web. What was fetched is held, and no more is asked for than `most` ranges.
///
/// Whoever reads a disk takes a failure for a gap in it, of which nothing follows. The first one is kept here, and makes
/// all that was found void: an answer that failed is no property of the image.
pub(crate) struct Ranged<E> {
    length: u64,
    fetch: Fetch<E>,
    most: usize,
    state: Mutex<State<E>>,
}

struct State<E> {
    pieces: BTreeMap<u64, Bytes>,
    requests: usize,
    /// Where the last fetch ended, and how much it brought.
    last: (u64, u64),
    failure: Option<E>,
}

impl<E> fmt::Debug for Ranged<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranged").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<E> Ranged<E> {
    pub(crate) fn new(
        length: u64,
        most: usize,
        fetch: impl Fn(ByteRange) -> Result<Bytes, E> + Send + Sync + 'static,
    ) -> Self {
        let state = State { pieces: BTreeMap::new(), requests: 0, last: (u64::MAX, 0), failure: None };
        Self { length, fetch: Box::new(fetch), most, state: Mutex::new(state) }
    }

    /// Takes the first failure of a fetch.
    pub(crate) fn failure(&self) -> Option<E> {
        self.state().failure.take()
    }

    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what is missing from `offset` on, of which `wanted` bytes are needed.
    fn fetch(&self, state: &mut State<E>, offset: u64, wanted: u64) -> Result<(), ReadError> {
        if state.requests >= self.most {
            return Err(ReadError::Budget);
        }
        let before =
            state.pieces.range(..=offset).next_back().map_or(0, |(at, piece)| at + piece.len() as u64);
        let after = state.pieces.range(offset..).next().map_or(self.length, |(at, _)| *at);
        let start = (offset / WINDOW * WINDOW).max(before);
        let (last_end, last_length) = state.last;
        // What is read in order is fetched in ever larger ranges.
        let ahead = if last_end == start { (2 * last_length).min(MOST_AHEAD) } else { WINDOW };
        let needed = (offset + wanted).div_ceil(WINDOW) * WINDOW;
        let end = needed.min(start + MOST_AHEAD).max(start + ahead).min(after).min(self.length);
        let failed = || ReadError::Io {
            offset,
            length: wanted,
            source: io::Error::other("the server did not give it"),
        };
        if state.failure.is_some() {
            return Err(failed());
        }
        state.requests += 1;
        match (self.fetch)(ByteRange::new(start, end)) {
            Ok(bytes) if bytes.len() as u64 == end - start => {
                state.last = (end, end - start);
                state.pieces.insert(start, bytes);
                Ok(())
            }
            Ok(_) => Err(failed()),
            Err(error) => {
                state.failure = Some(error);
                Err(failed())
            }
        }
    }
}

impl<E: Send> ReadAt for Ranged<E> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        let mut state = self.state();
        while !buffer.is_empty() {
            let held = state.pieces.range(..=offset).next_back().and_then(|(at, piece)| {
                piece.get(usize::try_from(offset - at).ok()?..).filter(|rest| !rest.is_empty())
            });
            let Some(held) = held else {
                self.fetch(&mut state, offset, buffer.len() as u64)?;
                continue;
            };
            let count = held.len().min(buffer.len());
            let (now, rest) = std::mem::take(&mut buffer).split_at_mut(count);
            now.copy_from_slice(&held[..count]);
            (buffer, offset) = (rest, offset + count as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Asked = Arc<Mutex<Vec<(u64, u64)>>>;

    fn ranged(length: u64, most: usize) -> (Ranged<&'static str>, Asked) {
        let asked = Asked::default();
        let noted = Arc::clone(&asked);
        let fetch = move |range: ByteRange| {
            noted.lock().unwrap().push((range.start, range.len()));
            let bytes: Vec<u8> = (range.start..range.end).map(|at| (at / 7) as u8).collect();
            if range.start >= 100 << 20 { Err("gone") } else { Ok(bytes.into()) }
        };
        (Ranged::new(length, most, fetch), asked)
    }

    fn read(ranged: &Ranged<&'static str>, offset: u64, length: usize) -> Result<(), ReadError> {
        let mut buffer = vec![0; length];
        ranged.read_at(offset, &mut buffer)?;
        assert!(
            buffer.iter().zip(offset..).all(|(byte, at)| *byte == (at / 7) as u8),
            "{length} at {offset}"
        );
        Ok(())
    }

    #[test]
    fn what_is_near_or_follows_costs_no_request_each() {
        let (ranged, asked) = ranged(10 << 20, 64);
        read(&ranged, 70_000, 10).unwrap();
        read(&ranged, 131_000, 10).unwrap();
        assert_eq!(asked.lock().unwrap()[..], [(65_536, 65_536)], "the neighbourhood came too");
        for at in 2..32 {
            read(&ranged, at << 16, 65_536).unwrap();
        }
        let sizes: Vec<_> = asked.lock().unwrap().iter().map(|(_, length)| *length >> 16).collect();
        assert_eq!(sizes, [1, 2, 4, 8, 16], "what is read in order is fetched ahead");
        read(&ranged, 60_000, 20_000).unwrap();
        read(&ranged, (10 << 20) - 5, 5).unwrap();
        read(&ranged, 3 << 20, 6 << 20).unwrap();
        let asked = asked.lock().unwrap();
        let total: u64 = asked.iter().map(|(_, length)| length).sum();
        assert!(total <= 10 << 20, "nothing is fetched twice: {asked:?}");
    }

    #[test]
    fn no_more_ranges_are_fetched_than_allowed_and_that_is_no_failure() {
        let (ranged, asked) = ranged(100 << 20, 3);
        for at in 0..3 {
            read(&ranged, at << 20, 1).unwrap();
        }
        assert!(matches!(read(&ranged, 9 << 20, 1), Err(ReadError::Budget)));
        assert_eq!((asked.lock().unwrap().len(), ranged.failure()), (3, None));
    }

    #[test]
    fn an_answer_that_failed_is_kept_and_nothing_is_asked_after_it() {
        let (ranged, asked) = ranged(200 << 20, 64);
        assert!(matches!(read(&ranged, 150 << 20, 1), Err(ReadError::Io { .. })));
        assert!(matches!(read(&ranged, 1 << 20, 1), Err(ReadError::Io { .. })));
        assert_eq!((asked.lock().unwrap().len(), ranged.failure()), (1, Some("gone")));
        assert!(matches!(read(&ranged, 200 << 20, 1), Err(ReadError::PastEnd { .. })));
    }
}
