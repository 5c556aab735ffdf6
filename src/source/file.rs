use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Source, SourceIdentity};
use crate::model::ByteRange;

/// Why a file cannot be uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else than a file or a block device.
    #[error("`{}` is {what}, not a disk image file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with article: "a directory".
        what: &'static str,
    },
}

/// A regular file or a block device, opened once and read by position.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    identity: SourceIdentity,
    /// Whether the system can read without waiting (`RWF_NOWAIT`); cleared when it says that it cannot.
    nowait: AtomicBool,
}

impl FileSource {
    /// Opens the file and takes its identity.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a directory, a pipe or a socket.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = path.into();
        let failed = |source| SourceError::Open { path: path.clone(), source };
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let kind = std::fs::metadata(&path).map_err(failed)?.file_type();
        let what = match () {
            () if kind.is_dir() => Some("a directory"),
            () if kind.is_fifo() => Some("a pipe"),
            () if kind.is_socket() => Some("a socket"),
            () if kind.is_char_device() => Some("a character device"),
            () => None,
        };
        if let Some(what) = what {
            return Err(SourceError::NotAFile { path, what });
        }
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let length = length(&file, &metadata).map_err(failed)?;
        let identity = identity(&path, &metadata, length);
        Ok(Self { file, path, identity, nowait: AtomicBool::new(cfg!(target_os = "linux")) })
    }

    /// Returns the path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    #[cfg(target_os = "linux")]
    fn read_nowait(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut slices = [io::IoSliceMut::new(buffer)];
        Ok(rustix::io::preadv2(&self.file, &mut slices, offset, rustix::io::ReadWriteFlags::NOWAIT)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn read_nowait(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Source for FileSource {
    fn length(&self) -> Option<u64> {
        Some(self.identity.length)
    }

    fn identity(&self) -> Option<&SourceIdentity> {
        Some(&self.identity)
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        // The open file may differ from what the path now names: a rename put another one there. Either is a
        // change, and the path's is the one to report, unless only the open file's record moved.
        let named = std::fs::metadata(&self.path)?;
        let named = identity(&self.path, &named, named_length(&self.path, &named)?);
        if named.difference(&self.identity).is_some() {
            return Ok(Some(named));
        }
        let open = self.file.metadata()?;
        Ok(Some(identity(&self.path, &open, length(&self.file, &open)?)))
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.nowait.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_nowait(offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
                {
                    // This file system (or kernel) cannot; every later read goes the waiting way.
                    self.nowait.store(false, Ordering::Relaxed);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((filled > 0).then_some(filled))
    }

    fn read_exact(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    #[cfg(target_os = "linux")]
    fn will_need(&self, range: ByteRange) {
        advise(&self.file, range, rustix::fs::Advice::WillNeed);
    }

    #[cfg(target_os = "linux")]
    fn done_with(&self, range: ByteRange) {
        advise(&self.file, range, rustix::fs::Advice::DontNeed);
    }
}

/// A hint that fails costs speed at most, so its failure is not reported.
#[cfg(target_os = "linux")]
fn advise(file: &File, range: ByteRange, advice: rustix::fs::Advice) {
    let length = std::num::NonZeroU64::new(range.len());
    if rustix::fs::fadvise(file, range.start, length, advice).is_err() {
        tracing::trace!(?advice, "the file system takes no advice");
    }
}

fn length(file: &File, metadata: &Metadata) -> io::Result<u64> {
    if metadata.file_type().is_block_device() {
        // A device's record has no length; its end has. Reads are positional, so the cursor is free.
        return (&mut &*file).seek(SeekFrom::End(0));
    }
    Ok(metadata.len())
}

fn named_length(path: &Path, metadata: &Metadata) -> io::Result<u64> {
    if metadata.file_type().is_block_device() {
        return length(&File::open(path)?, metadata);
    }
    Ok(metadata.len())
}

fn identity(path: &Path, metadata: &Metadata, length: u64) -> SourceIdentity {
    let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    SourceIdentity {
        name: path.display().to_string(),
        length,
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn reads_any_range_both_ways() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let (_dir, path) = file(&bytes);
        let source = FileSource::open(&path).unwrap();
        assert_eq!(source.length(), Some(100_000));
        let mut buffer = vec![0; 5000];
        source.read_exact(77_777, &mut buffer).unwrap();
        assert_eq!(buffer, bytes[77_777..82_777]);
        let mut ready = vec![0; 5000];
        if let Some(count) = source.read_ready(77_777, &mut ready).unwrap() {
            assert_eq!(ready[..count], bytes[77_777..77_777 + count]);
        }
    }

    #[test]
    fn a_source_that_ended_early_is_an_error() {
        let (_dir, path) = file(b"0123456789");
        let source = FileSource::open(&path).unwrap();
        let mut buffer = [0; 11];
        assert_eq!(source.read_exact(0, &mut buffer).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let ready = source.read_ready(10, &mut buffer);
        assert!(matches!(&ready, Ok(None)) || ready.is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn every_change_is_noticed() {
        let (dir, path) = file(b"0123456789");
        let difference = |source: &FileSource| {
            source.current_identity().unwrap().unwrap().difference(source.identity().unwrap())
        };
        let source = FileSource::open(&path).unwrap();
        assert_eq!(difference(&source), None);

        File::options().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(difference(&source), Some("its size changed"));

        let source = FileSource::open(&path).unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, b"01234567890").unwrap();
        let times =
            std::fs::FileTimes::new().set_modified(std::fs::metadata(&path).unwrap().modified().unwrap());
        File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(difference(&source), Some("another file took its place"));

        let source = FileSource::open(&path).unwrap();
        std::thread::scope(|_| File::options().write(true).open(&path).unwrap().set_times(times).unwrap());
        assert_eq!(difference(&source), Some("its status change time (ctime) changed"));

        std::fs::remove_file(&path).unwrap();
        assert!(source.current_identity().is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = FileSource::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is a directory"), "{error}");
        let error = FileSource::open(dir.path().join("none")).unwrap_err();
        assert!(matches!(error, SourceError::Open { .. }));
        assert!(FileSource::open("/dev/null").unwrap_err().to_string().contains("a character device"));
    }
}
