use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::runtime::Handle;

use crate::source::SourceStream;

/// A file on the web as a blocking reader, for a decompressor on a thread of its own. It must not be read on the
/// async runtime's threads.
pub struct WebReader {
    runtime: Handle,
    stream: SourceStream,
    chunk: Bytes,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    /// What failed once must not look like an end to whoever asks again.
    Failed,
}

impl fmt::Debug for WebReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebReader").field("state", &self.state).finish_non_exhaustive()
    }
}

impl WebReader {
    pub(super) fn new(runtime: Handle, stream: SourceStream) -> Self {
        Self { runtime, stream, chunk: Bytes::new(), state: State::Open }
    }
}

impl Read for WebReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !buffer.is_empty() {
            match self.state {
                State::Open => {}
                State::Ended => return Ok(0),
                State::Failed => return Err(io::Error::other("the download has failed before")),
            }
            match self.runtime.block_on(self.stream.next()) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => {
                    self.state = State::Failed;
                    return Err(error);
                }
                None => self.state = State::Ended,
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
