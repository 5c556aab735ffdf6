//! Reads content, and ranges of a source in it, without ever blocking the runtime.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::content::{Content, Segment};
use super::limits::{BLOCK_SIZE, Block, BlockWaiter, Limits};
use crate::model::ByteRange;
use crate::source::{Source, SourceStream};

/// Sources of this size and above leave the page cache as they pass. Smaller ones fit beside what others have there,
/// may be read once more soon, and are read a tenth faster if nothing is dropped.
const DROPPED_FROM: u64 = 8 << 30;
/// How much of the source is asked for ahead once a read had to wait for the disk.
const READ_AHEAD: u64 = 4 << 20;

/// How finely the place of a failure is looked for.
const PAGE: usize = 4096;

/// A read that failed in spite of another attempt.
#[derive(Debug, thiserror::Error)]
#[error("cannot read at offset {offset}")]
struct ReadFailed {
    offset: u64,
    source: io::Error,
}

/// Returns where a read failed and why; `start` is where its range begins.
pub(crate) fn located(error: io::Error, start: u64) -> (u64, io::Error) {
    let failed = error.downcast::<ReadFailed>();
    failed.map_or_else(|error| (start, error), |failed| (failed.offset, failed.source))
}

/// Fills a block. What fails is read once more, page by page: an error of a moment (`ESTALE` of a network file
/// system whose server came back) is then past, and another one's place is known.
fn read_block(source: &dyn Source, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    if source.read_at(at, buffer).is_ok() {
        return Ok(());
    }
    for (index, page) in buffer.chunks_mut(PAGE).enumerate() {
        let offset = at + (index * PAGE) as u64;
        source.read_at(offset, page).map_err(|error| {
            let source = io::Error::from(error);
            io::Error::new(source.kind(), ReadFailed { offset, source })
        })?;
    }
    Ok(())
}

/// A block of what zeros are read from.
pub(crate) static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];

/// Reads content block by block, segment after segment.
pub(crate) struct ContentReader {
    /// What was not begun yet.
    rest: Content,
    reading: Option<BlockReader>,
    zeros: u64,
    limits: Limits,
}

impl ContentReader {
    pub(crate) fn new(content: Content, limits: &Limits) -> Self {
        Self { rest: content, reading: None, zeros: 0, limits: limits.clone() }
    }

    /// Returns how many bytes are still to be read.
    pub(crate) fn left(&self) -> u64 {
        self.rest.len() + self.zeros + self.reading.as_ref().map_or(0, BlockReader::left)
    }

    /// Returns the next bytes, or nothing at the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if self.zeros > 0 {
                let count = self.zeros.min(BLOCK_SIZE as u64) as usize;
                self.zeros -= count as u64;
                return Poll::Ready(Some(Ok(Bytes::from_static(&ZEROS[..count]))));
            }
            if let Some(reading) = &mut self.reading {
                if let Some(bytes) = ready!(reading.poll_next(cx)) {
                    return Poll::Ready(Some(bytes));
                }
                self.reading = None;
            }
            match self.rest.pop() {
                Some(Segment::Held(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Segment::Zeros(count)) => self.zeros = count,
                Some(Segment::Read(source, range)) => {
                    self.reading = Some(BlockReader::new(source, range, &self.limits));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Reads a range block by block: at once what the page cache has, on another thread what the disk must bring.
///
/// Of a large source, a range of which the disk had to bring anything is taken out of the page cache again once it
/// has passed. An image larger than the memory would push out what others have there, and to reclaim its pages one by
/// one costs more CPU time than to read and send them. A range that was there stays there.
///
/// A source that comes over a network gives the range as it arrives, outside of the blocks: what waits there is one
/// buffer of its connection.
///
/// One block may still be read on that thread after the reader is dropped; nothing else outlives it.
pub(crate) struct BlockReader {
    source: Arc<dyn Source>,
    start: u64,
    at: u64,
    end: u64,
    /// Whether any of it had to be waited for, and is to leave the page cache.
    cold: bool,
    /// Up to where the disk was asked to read ahead.
    advised: u64,
    blocks: BlockWaiter,
    step: Step,
}

enum Step {
    Idle,
    Reading(JoinHandle<(Block, usize, io::Result<()>)>),
    /// Never locked: a body may be shared between threads, and a stream may not.
    Streaming(Mutex<SourceStream>),
}

impl BlockReader {
    pub(crate) fn new(source: Arc<dyn Source>, range: ByteRange, limits: &Limits) -> Self {
        let (at, end) = (range.start, range.end);
        let blocks = limits.waiter();
        let step = source.stream(range).map_or(Step::Idle, |stream| Step::Streaming(Mutex::new(stream)));
        Self { source, start: at, at, end, cold: false, advised: at, blocks, step }
    }

    /// Returns how many bytes of the range are still to be read.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Returns the next bytes, or nothing at the end of the range.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match &mut self.step {
                Step::Idle | Step::Streaming(_) if self.at == self.end => return Poll::Ready(None),
                Step::Idle => {
                    let block = ready!(self.blocks.poll_block(cx));
                    if let Some(read) = self.fill(block) {
                        return Poll::Ready(Some(read));
                    }
                }
                Step::Streaming(stream) => {
                    let stream = stream.get_mut().expect("nothing locks it");
                    let next = ready!(stream.as_mut().poll_next(cx));
                    return Poll::Ready(Some(self.arrived(next)));
                }
                Step::Reading(reading) => {
                    let read = ready!(Pin::new(reading).poll(cx));
                    self.step = Step::Idle;
                    let (block, count, result) = match read {
                        Ok(read) => read,
                        Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                    };
                    return Poll::Ready(Some(result.map(|()| self.pass(block, count))));
                }
            }
        }
    }

    /// Takes what a stream gave before the end of the range.
    fn arrived(&mut self, next: Option<io::Result<Bytes>>) -> io::Result<Bytes> {
        let failed = match next {
            Some(Ok(bytes)) if bytes.len() as u64 <= self.left() => {
                self.at += bytes.len() as u64;
                return Ok(bytes);
            }
            Some(Ok(_)) => io::Error::new(io::ErrorKind::InvalidData, "more bytes came than there are"),
            Some(Err(error)) => error,
            None => io::ErrorKind::UnexpectedEof.into(),
        };
        Err(io::Error::new(failed.kind(), ReadFailed { offset: self.at, source: failed }))
    }

    /// Reads into a block what is ready, or begins to read on a thread and returns nothing.
    fn fill(&mut self, mut block: Block) -> Option<io::Result<Bytes>> {
        let wanted = (self.end - self.at).min(BLOCK_SIZE as u64) as usize;
        match self.source.read_ready(self.at, &mut block.bytes_mut()[..wanted]) {
            Some(count) => Some(Ok(self.pass(block, count))),
            None => {
                self.step = Step::Reading(self.read_on_thread(block, wanted));
                None
            }
        }
    }

    fn pass(&mut self, block: Block, count: usize) -> Bytes {
        self.at += count as u64;
        if self.cold && self.at == self.end {
            let (source, whole) = (Arc::clone(&self.source), ByteRange::new(self.start, self.end));
            tokio::task::spawn_blocking(move || source.done_with(whole));
        }
        block.freeze(count)
    }

    fn read_on_thread(
        &mut self,
        mut block: Block,
        wanted: usize,
    ) -> JoinHandle<(Block, usize, io::Result<()>)> {
        self.cold = self.source.length() >= DROPPED_FROM;
        let (source, at) = (Arc::clone(&self.source), self.at);
        let ahead = (self.at + READ_AHEAD).min(self.end);
        let advise = ahead > self.advised + READ_AHEAD / 2 || self.advised <= self.at;
        let advised = advise.then(|| ByteRange::new(self.advised.max(at), ahead.max(at)));
        if advise {
            self.advised = ahead;
        }
        tokio::task::spawn_blocking(move || {
            if let Some(range) = advised.filter(|range| !range.is_empty()) {
                source.will_need(range);
            }
            let result = read_block(&*source, at, &mut block.bytes_mut()[..wanted]);
            (block, wanted, result)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::read::{ReadAt, ReadError};
    use crate::source::SourceIdentity;

    /// A disk whose first bytes are in the page cache. It records the hints that it gets.
    #[derive(Debug, Default)]
    struct Disk {
        length: u64,
        cached: u64,
        done: Mutex<Vec<ByteRange>>,
        /// Where reading fails, and how often.
        bad: Option<u64>,
        failures: std::sync::atomic::AtomicUsize,
        /// What comes as a stream, for each range that is asked for.
        arrives: Option<fn() -> SourceStream>,
    }

    impl Source for Disk {
        fn identity(&self) -> Option<&SourceIdentity> {
            None
        }

        fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
            Ok(None)
        }

        fn stream(&self, _range: ByteRange) -> Option<SourceStream> {
            self.arrives.map(|arrives| arrives())
        }
    }

    impl ReadAt for Disk {
        fn length(&self) -> u64 {
            self.length
        }

        fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
            let count = self.cached.saturating_sub(offset).min(buffer.len() as u64) as usize;
            (count > 0).then_some(count)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            use std::sync::atomic::Ordering;
            let bad = self.bad.is_some_and(|bad| (offset..offset + buffer.len() as u64).contains(&bad));
            match bad && self.failures.load(Ordering::Relaxed) > 0 {
                true => {
                    self.failures.fetch_sub(1, Ordering::Relaxed);
                    let (length, source) = (buffer.len() as u64, rustix::io::Errno::IO.into());
                    Err(ReadError::Io { offset, length, source })
                }
                false => Ok(()),
            }
        }

        fn done_with(&self, range: ByteRange) {
            self.done.lock().unwrap().push(range);
        }
    }

    /// Reads a range to its end and returns what was given back.
    fn given_back(length: u64, cached: u64, range: ByteRange) -> Vec<ByteRange> {
        let disk = Arc::new(Disk { length, cached, ..Disk::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let mut reader = BlockReader::new(disk.clone(), range, &Limits::default());
            let mut bytes = 0;
            while let Some(block) = poll_fn(|cx| reader.poll_next(cx)).await {
                bytes += block.unwrap().len() as u64;
            }
            assert_eq!(bytes, range.len());
            // There is one such thread, so what it was given before is done then.
            tokio::task::spawn_blocking(|| {}).await.unwrap();
        });
        let done = disk.done.lock().unwrap();
        done.clone()
    }

    #[test]
    fn a_read_that_fails_once_is_made_again_and_one_that_goes_on_failing_names_its_place() {
        let bad = 70_000;
        let read = |failures: usize| {
            let disk = Disk { bad: Some(bad), failures: failures.into(), ..Disk::default() };
            read_block(&disk, 65_536, &mut vec![0; 262_144])
        };
        assert!(read(1).is_ok());
        let (offset, error) = located(read(2).unwrap_err(), 0);
        assert_eq!((offset, error.raw_os_error()), (69_632, Some(rustix::io::Errno::IO.raw_os_error())));
        let other = located(io::ErrorKind::Other.into(), 7);
        assert_eq!((other.0, other.1.kind()), (7, io::ErrorKind::Other));
    }

    #[test]
    fn what_the_disk_brought_of_a_large_source_leaves_the_page_cache_and_what_was_there_stays() {
        let range = ByteRange::new(1 << 20, (9 << 20) + 17);
        assert_eq!(given_back(DROPPED_FROM, 0, range), [range]);
        assert_eq!(given_back(DROPPED_FROM, 2 << 20, range), [range]);
        assert_eq!(given_back(DROPPED_FROM, u64::MAX, range), []);
        assert_eq!(given_back(DROPPED_FROM - 1, 0, range), []);
    }

    #[tokio::test]
    async fn what_arrives_is_passed_on_and_a_failure_names_its_place() {
        fn arriving(end: Option<io::Result<Bytes>>) -> SourceStream {
            let first = [Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"de"))];
            Box::pin(futures::stream::iter(first.into_iter().chain(end)))
        }
        let read = async |arrives: fn() -> SourceStream| {
            let disk = Arc::new(Disk { arrives: Some(arrives), ..Disk::default() });
            let mut reader = BlockReader::new(disk, ByteRange::new(100, 106), &Limits::default());
            let mut all = Vec::new();
            while let Some(bytes) = poll_fn(|cx| reader.poll_next(cx)).await {
                all.extend_from_slice(&bytes.map_err(|error| located(error, 0))?);
            }
            Ok::<_, (u64, io::Error)>(all)
        };
        let good = || arriving(Some(Ok(Bytes::from_static(b"f"))));
        assert_eq!(read(good).await.unwrap(), b"abcdef");
        let cases: [(fn() -> SourceStream, _); 3] = [
            (|| arriving(None), io::ErrorKind::UnexpectedEof),
            (|| arriving(Some(Ok(Bytes::from_static(b"fg")))), io::ErrorKind::InvalidData),
            (|| arriving(Some(Err(io::ErrorKind::PermissionDenied.into()))), io::ErrorKind::PermissionDenied),
        ];
        for (arrives, kind) in cases {
            let (offset, error) = read(arrives).await.unwrap_err();
            assert_eq!((offset, error.kind()), (105, kind));
        }
    }
}
