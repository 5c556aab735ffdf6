//! Reads a range of a source without ever blocking the runtime.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::limits::{BLOCK_SIZE, Block, BlockWaiter, Limits};
use crate::model::ByteRange;
use crate::source::Source;

/// Sources of this size and above leave the page cache as they pass. Smaller ones fit beside what others have there,
/// may be read once more soon, and are read a tenth faster if nothing is dropped.
const DROPPED_FROM: u64 = 8 << 30;
/// How much of the source is asked for ahead once a read had to wait for the disk.
const READ_AHEAD: u64 = 4 << 20;

/// Reads a range block by block: at once what the page cache has, on another thread what the disk must bring.
///
/// Of a large source, a range of which the disk had to bring anything is taken out of the page cache again once it
/// has passed. An image larger than the memory would push out what others have there, and to reclaim its pages one by
/// one costs more CPU time than to read and send them. A range that was there stays there.
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
}

impl BlockReader {
    pub(crate) fn new(source: Arc<dyn Source>, range: ByteRange, limits: &Limits) -> Self {
        let (at, end) = (range.start, range.end);
        let blocks = limits.waiter();
        Self { source, start: at, at, end, cold: false, advised: at, blocks, step: Step::Idle }
    }

    /// Returns how many bytes of the range are still to be read.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Returns the next bytes, or nothing at the end of the range.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match &mut self.step {
                Step::Idle if self.at == self.end => return Poll::Ready(None),
                Step::Idle => {
                    let block = ready!(self.blocks.poll_block(cx));
                    if let Some(read) = self.fill(block) {
                        return Poll::Ready(Some(read));
                    }
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

    /// Reads into a block what is ready, or begins to read on a thread and returns nothing.
    fn fill(&mut self, mut block: Block) -> Option<io::Result<Bytes>> {
        let wanted = (self.end - self.at).min(BLOCK_SIZE as u64) as usize;
        match self.source.read_ready(self.at, &mut block.bytes_mut()[..wanted]) {
            Ok(Some(count)) => Some(Ok(self.pass(block, count))),
            // What the fast way says decides nothing.
            Ok(None) | Err(_) => {
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
        self.cold = self.source.length().is_some_and(|length| length >= DROPPED_FROM);
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
            let result = source.read_exact(at, &mut block.bytes_mut()[..wanted]);
            (block, wanted, result)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Mutex;

    use super::*;
    use crate::source::SourceIdentity;

    /// A disk whose first bytes are in the page cache. It notes what it is told.
    #[derive(Debug, Default)]
    struct Disk {
        length: u64,
        cached: u64,
        done: Mutex<Vec<ByteRange>>,
    }

    impl Source for Disk {
        fn length(&self) -> Option<u64> {
            Some(self.length)
        }

        fn identity(&self) -> Option<&SourceIdentity> {
            None
        }

        fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
            Ok(None)
        }

        fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            let count = self.cached.saturating_sub(offset).min(buffer.len() as u64) as usize;
            Ok((count > 0).then_some(count))
        }

        fn read_exact(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<()> {
            Ok(())
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
    fn what_the_disk_brought_of_a_large_source_leaves_the_page_cache_and_what_was_there_stays() {
        let range = ByteRange::new(1 << 20, (9 << 20) + 17);
        assert_eq!(given_back(DROPPED_FROM, 0, range), [range]);
        assert_eq!(given_back(DROPPED_FROM, 2 << 20, range), [range]);
        assert_eq!(given_back(DROPPED_FROM, u64::MAX, range), []);
        assert_eq!(given_back(DROPPED_FROM - 1, 0, range), []);
    }
}
