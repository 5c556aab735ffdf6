//! A part's body: blocks of its content, read when the connection asks for them, hashed while they pass.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::blocks::{BLOCK_SIZE, Content, ContentReader, Limits, located};
use crate::checksum::Hasher;
use crate::client::BodyFactory;
use crate::http::{Body, SourceFailed};
use crate::model::Crc64;

/// From this rate of one connection on, in bytes per second, a block is handed over as a whole.
const WHOLE_BLOCKS_FROM: u64 = 1 << 20;
/// Below that, or before the rate is known, bytes are handed over in pieces of this size: the HTTP library asks for
/// more only when all that it took is gone, so that on a slow line large pieces would hide the progress.
const PIECE: usize = 8 << 10;

/// Makes the body of one part, again for every attempt.
pub(crate) struct PartBody {
    content: Content,
    limits: Limits,
    /// Bytes that are handed over at a time, at most.
    piece: usize,
    /// The CRC-64 of the last attempt's bytes, once all of them were read.
    crc64: Arc<Mutex<Option<Crc64>>>,
    /// Why the source could not be read.
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl PartBody {
    /// `rate` is that of the connection in bytes per second, if it is known.
    pub(crate) fn new(content: Content, limits: Limits, rate: Option<u64>) -> Self {
        let piece = if rate.is_some_and(|rate| rate >= WHOLE_BLOCKS_FROM) { BLOCK_SIZE } else { PIECE };
        Self { content, limits, piece, crc64: Arc::default(), failure: Arc::default() }
    }

    /// Returns the CRC-64 of what the last attempt read, if it read everything.
    pub(crate) fn crc64(&self) -> Option<Crc64> {
        *self.crc64.lock().expect("nothing panics while the lock is held")
    }

    /// Takes where the source could not be read and why, if that ended an attempt; `start` is where the part begins.
    pub(crate) fn failure(&self, start: u64) -> Option<(u64, io::Error)> {
        let failure = self.failure.lock().expect("nothing panics while the lock is held").take();
        failure.map(|error| located(error, start))
    }
}

impl BodyFactory for PartBody {
    fn make(&self) -> Body {
        *self.crc64.lock().expect("nothing panics while the lock is held") = None;
        Body::new(Streamed {
            reader: ContentReader::new(self.content.clone(), &self.limits),
            limits: self.limits.clone(),
            rest: Bytes::new(),
            throttle: None,
            piece: self.piece,
            ready: Bytes::new(),
            hasher: Hasher::new(),
            crc64: Arc::clone(&self.crc64),
            failure: Arc::clone(&self.failure),
        })
    }
}

struct Streamed {
    reader: ContentReader,
    limits: Limits,
    /// What is left of the block that was read last.
    rest: Bytes,
    /// Bytes that wait for their turn under the bandwidth limit.
    throttle: Option<(Pin<Box<Sleep>>, Bytes)>,
    piece: usize,
    /// What may go out.
    ready: Bytes,
    hasher: Hasher,
    crc64: Arc<Mutex<Option<Crc64>>>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Streamed {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some((sleep, _)) = &mut self.throttle {
            ready!(sleep.as_mut().poll(cx));
            self.ready = self.throttle.take().map(|(_, bytes)| bytes).unwrap_or_default();
        }
        if !self.ready.is_empty() {
            let piece = self.ready.split_to(self.piece.min(self.ready.len()));
            return Poll::Ready(Some(Ok(piece)));
        }
        if self.rest.is_empty() {
            match ready!(self.reader.poll_next(cx)) {
                Some(Ok(bytes)) => {
                    self.hasher.update(&bytes);
                    if self.reader.left() == 0 {
                        *self.crc64.lock().expect("nothing panics while the lock is held") =
                            Some(self.hasher.value());
                    }
                    self.rest = bytes;
                }
                Some(Err(error)) => {
                    // Marked, so that it is not taken for a failure of the network.
                    let marked = io::Error::new(error.kind(), SourceFailed(error.to_string()));
                    *self.failure.lock().expect("nothing panics while the lock is held") = Some(error);
                    return Poll::Ready(Some(Err(marked)));
                }
                None => return Poll::Ready(None),
            }
        }
        let bytes = self.rest.split_to(self.limits.piece().min(self.rest.len()));
        let wait = self.limits.reserve(bytes.len(), Instant::now());
        if wait.is_zero() {
            self.ready = bytes;
        } else {
            self.throttle = Some((Box::pin(tokio::time::sleep(wait)), bytes));
        }
        self.poll_bytes(cx)
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.get_mut().poll_bytes(cx).map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.throttle.is_none() && self.ready.is_empty() && self.rest.is_empty() && self.reader.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        let waiting = self.throttle.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        let held = self.ready.len() + self.rest.len();
        SizeHint::with_exact(self.reader.left() + waiting + held as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::blocks::{BLOCK_SIZE, Segment};
    use crate::checksum;
    use crate::model::ByteRange;
    use crate::read::{ReadAt, ReadError};
    use crate::source::{Source, SourceIdentity};

    /// Bytes in memory of which every second block has to be waited for.
    #[derive(Debug)]
    struct Half(Vec<u8>);

    impl Source for Half {
        fn identity(&self) -> Option<&SourceIdentity> {
            None
        }
        fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
            Ok(None)
        }
    }

    impl ReadAt for Half {
        fn length(&self) -> u64 {
            self.0.length()
        }
        fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
            let waits = (offset / BLOCK_SIZE as u64).is_multiple_of(2);
            if waits { None } else { self.0.read_ready(offset, buffer) }
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.0.read_at(offset, buffer)
        }
    }

    fn source(length: usize) -> (Arc<Half>, Vec<u8>) {
        let bytes: Vec<u8> =
            (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        (Arc::new(Half(bytes.clone())), bytes)
    }

    #[tokio::test]
    async fn the_body_is_the_range_and_its_crc_is_known_at_the_end() {
        let (source, bytes) = source(5 * BLOCK_SIZE + 17);
        for range in [0..bytes.len(), 1..2, BLOCK_SIZE - 1..3 * BLOCK_SIZE + 5] {
            let part = ByteRange::new(range.start as u64, range.end as u64);
            let body = PartBody::new(Content::read(source.clone(), part), Limits::default(), None);
            for _ in 0..2 {
                let made = body.make();
                assert_eq!(body.crc64(), None);
                assert_eq!(http_body::Body::size_hint(&made).exact(), Some(part.len()));
                let read = made.collect().await.unwrap().to_bytes();
                assert_eq!(read, bytes[range.clone()]);
                assert_eq!(body.crc64(), Some(checksum::of(&bytes[range.clone()])));
            }
        }
    }

    #[tokio::test]
    async fn a_slow_connection_gets_small_pieces() {
        let (source, bytes) = source(BLOCK_SIZE + PIECE / 2);
        for (rate, most) in [(None, PIECE), (Some(1000), PIECE), (Some(1 << 30), BLOCK_SIZE)] {
            let range = ByteRange::new(0, bytes.len() as u64);
            let content = Content::read(source.clone(), range);
            let mut made = PartBody::new(content, Limits::default(), rate).make();
            let mut sizes = Vec::new();
            while let Some(frame) = made.frame().await {
                sizes.push(frame.unwrap().into_data().unwrap().len());
            }
            assert_eq!(sizes.iter().sum::<usize>(), bytes.len());
            assert_eq!(sizes.iter().copied().max(), Some(most));
        }
    }

    #[tokio::test]
    async fn segments_of_every_kind_follow_one_another() {
        let (source, bytes) = source(100);
        let held = Bytes::from_static(b"held in memory");
        let mut content = Content::read(source.clone(), ByteRange::new(3, 50));
        content.push(Segment::Zeros(BLOCK_SIZE as u64 + 1));
        content.push(Segment::Held(held.clone()));
        content.push(Segment::Read(source, ByteRange::new(50, 100)));
        let expected = [&bytes[3..50], &vec![0; BLOCK_SIZE + 1], &held, &bytes[50..]].concat();
        let length = content.len();
        for range in [0..length, 10..20, 40..length - 60, length - 55..length, 47..48] {
            let range = ByteRange::new(range.start, range.end);
            let body = PartBody::new(content.slice(range), Limits::default(), None);
            let read = body.make().collect().await.unwrap().to_bytes();
            let expected = &expected[range.start as usize..range.end as usize];
            assert_eq!(read, expected, "{range:?}");
            assert_eq!(body.crc64(), Some(checksum::of(expected)));
        }
    }

    #[tokio::test]
    async fn a_source_that_ends_early_is_told_from_a_broken_network() {
        let (source, _) = source(100);
        let content = Content::read(source, ByteRange::new(0, 200));
        let body = PartBody::new(content, Limits::default(), None);
        let error = body.make().collect().await.unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<SourceFailed>()), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_bandwidth_limit_holds_bytes_back() {
        let (source, bytes) = source(8 * BLOCK_SIZE);
        let limits = Limits::default();
        limits.set_bandwidth(Some(1 << 20));
        let before = Instant::now();
        let content = Content::read(source, ByteRange::new(0, bytes.len() as u64));
        let body = PartBody::new(content, limits, Some(u64::MAX));
        assert_eq!(body.make().collect().await.unwrap().to_bytes(), bytes);
        let took = before.elapsed().as_secs_f64();
        assert!((1.6..2.1).contains(&took), "{took}");
    }
}
