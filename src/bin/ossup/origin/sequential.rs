//! Sources that are read from their beginning to their end.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use ossup::model::ByteRange;
use ossup::source::{Change, InputError, Source};

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

impl Sequential {
    /// Whoever takes the last bytes must not take them for the rest of the first.
    fn check_unchanged(&self) -> io::Result<()> {
        self.source.settle();
        let now = self.source.current_identity()?;
        let change = now.zip(self.source.identity()).and_then(|(now, then)| now.difference(then));
        match change {
            // A new link or mode: that the content is whole, its checksums tell.
            None | Some(Change::Status) => Ok(()),
            Some(change) => Err(InputError::Changed(change).into()),
        }
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
        if count == 0 && !buffer.is_empty() {
            self.check_unchanged()?;
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ossup::source::FileSource;

    use super::*;

    #[test]
    fn a_file_that_grows_while_it_is_read_does_not_end_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw.gz");
        std::fs::write(&path, [7; 100_000]).unwrap();
        let open = || Sequential::new(Arc::new(FileSource::open(&path).unwrap()));
        let (mut whole, mut bytes) = (open(), Vec::new());
        whole.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 100_000]);
        let mut grown = open();
        grown.read_exact(&mut [0; 10]).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        let error = grown.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(InputError::of(&error), Some(&InputError::Changed(Change::Size)));
    }
}
