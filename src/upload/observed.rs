//! The source while it is sent: a slow read can be shown as the reason of a stall.

use std::io;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::unfold;

use crate::client::Progress;
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError};
use crate::source::{Source, SourceIdentity, SourceStream, Witness};

/// A source whose reads that have to wait are noted.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) inner: Arc<dyn Source>,
    pub(super) progress: Arc<Progress>,
}

impl ReadAt for Observed {
    fn length(&self) -> u64 {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let _reading = self.progress.reading(offset);
        self.inner.read_at(offset, buffer)
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.inner.read_ready(offset, buffer)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
        self.inner.next_data(from)
    }

    fn will_need(&self, range: ByteRange) {
        self.inner.will_need(range);
    }

    fn done_with(&self, range: ByteRange) {
        self.inner.done_with(range);
    }
}

impl Source for Observed {
    fn identity(&self) -> Option<&SourceIdentity> {
        self.inner.identity()
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        self.inner.current_identity()
    }

    fn settle(&self) {
        self.inner.settle();
    }

    fn witness(&self) -> Witness {
        self.inner.witness()
    }

    fn stream(&self, range: ByteRange) -> Option<SourceStream> {
        let state = (self.inner.stream(range)?, Arc::clone(&self.progress), range.start);
        let observed = unfold(state, |(mut stream, progress, at)| async move {
            let next = {
                let _reading = progress.reading(at);
                stream.next().await?
            };
            let count = next.as_ref().map_or(0, |bytes| bytes.len() as u64);
            Some((next, (stream, progress, at + count)))
        });
        Some(observed.boxed())
    }
}
