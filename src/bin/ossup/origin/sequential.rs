//! Sources that are read from their beginning to their end.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use ossup::model::ByteRange;
use ossup::source::Source;

/// How much is asked for ahead.
const AHEAD: u64 = 4 << 20;

/// A positional source, read in order: what is packed in it can be read in no other way.
#[derive(Debug)]
pub(super) struct Sequential {
    source: Arc<dyn Source>,
    at: u64,
    advised: u64,
}

impl Sequential {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self { source, at: 0, advised: 0 }
    }
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.length();
        let count = (length - self.at).min(buffer.len() as u64);
        if self.advised < length && self.advised < self.at + AHEAD / 2 {
            let to = (self.at + AHEAD).min(length);
            self.source.will_need(ByteRange::new(self.advised.min(to), to));
            self.advised = to;
        }
        let now = &mut buffer[..usize::try_from(count).expect("at most a buffer")];
        self.source.read_at(self.at, now)?;
        self.at += count;
        Ok(now.len())
    }
}

/// A pipe with a name. It is opened when it is first read, since that waits for somebody who writes.
#[derive(Debug)]
pub(super) enum NamedPipe {
    Closed(PathBuf),
    Open(File),
}

impl Read for NamedPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Closed(path) = self {
            *self = Self::Open(File::open(path)?);
        }
        match self {
            Self::Open(file) => file.read(buffer),
            Self::Closed(_) => unreachable!("it was opened above"),
        }
    }
}
