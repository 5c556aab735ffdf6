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

/// How much of the source is asked for ahead once a read had to wait for the disk.
const READ_AHEAD: u64 = 4 << 20;

/// Reads a range block by block: at once what the page cache has, on another thread what the disk must bring.
///
/// One block may still be read on that thread after the reader is dropped; nothing else outlives it.
pub(crate) struct BlockReader {
    source: Arc<dyn Source>,
    at: u64,
    end: u64,
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
        Self { source, at, end, advised: at, blocks: limits.waiter(), step: Step::Idle }
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
            Err(error) => Some(Err(error)),
            Ok(Some(count)) => Some(Ok(self.pass(block, count))),
            Ok(None) => {
                self.step = Step::Reading(self.read_on_thread(block, wanted));
                None
            }
        }
    }

    fn pass(&mut self, block: Block, count: usize) -> Bytes {
        self.at += count as u64;
        block.freeze(count)
    }

    fn read_on_thread(
        &mut self,
        mut block: Block,
        wanted: usize,
    ) -> JoinHandle<(Block, usize, io::Result<()>)> {
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
