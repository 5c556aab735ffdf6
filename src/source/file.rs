use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DeviceIdentity, FileIdentity, Source, SourceIdentity, Witness, device, holes};
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError, check_range};

/// Why a file cannot be uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
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
    /// It is a block device that something else may write to.
    #[error("`{}` is in use: {why}", path.display())]
    InUse {
        /// The device.
        path: PathBuf,
        /// What uses it.
        why: String,
    },
}

/// A regular file or a block device, opened once and read by position.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    length: u64,
    identity: SourceIdentity,
    /// Whether the system can read without waiting (`RWF_NOWAIT`); cleared when it says that it cannot.
    nowait: AtomicBool,
    /// Whether the file's times may be trusted: the last [`Source::settle`] succeeded.
    settled: AtomicBool,
}

impl FileSource {
    /// Opens the file and takes its identity. A block device is opened exclusively, where the system can do that:
    /// nothing can mount it until the source is dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a directory, a pipe or a socket, or a device that is mounted or otherwise
    /// in use.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        Self::open_as(path.into(), true)
    }

    /// Opens a file, also a block device that is in use. What is read of one is of no single moment.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a directory, a pipe or a socket.
    pub fn open_shared(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        Self::open_as(path.into(), false)
    }

    fn open_as(path: PathBuf, exclusive: bool) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Open { path: path.clone(), source };
        // Looked at before it is opened: opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(&path).map_err(failed)?;
        let kind = metadata.file_type();
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
        let file = match device::open(&path, exclusive && kind.is_block_device()) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                return Err(SourceError::InUse { why: device::used_by(metadata.rdev()), path });
            }
            opened => opened.map_err(failed)?,
        };
        let metadata = file.metadata().map_err(failed)?;
        if kind.is_block_device()
            && let Err(error) = file.sync_data()
        {
            // What was written before is to be counted before. If it is not, the bytes are compared at the end.
            tracing::debug!(%error, "the device cannot be synced");
        }
        let length = length(&file, &metadata).map_err(failed)?;
        let identity = identity(&path, length, &metadata);
        let nowait = AtomicBool::new(cfg!(target_os = "linux"));
        Ok(Self { file, path, length, identity, nowait, settled: AtomicBool::new(false) })
    }

    /// Whether it is a block device.
    pub fn is_device(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
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

impl ReadAt for FileSource {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        let length = buffer.len() as u64;
        self.file.read_exact_at(buffer, offset).map_err(|source| ReadError::Io { offset, length, source })
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        if !self.nowait.load(Ordering::Relaxed) {
            return None;
        }
        let (filled, supported) = fill_ready(buffer, |at, rest| self.read_nowait(offset + at as u64, rest));
        if !supported {
            // This file system, kernel or sandbox cannot; every later read goes the waiting way.
            self.nowait.store(false, Ordering::Relaxed);
        }
        (filled > 0).then_some(filled)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
        holes::next_data(&self.file, self.length, from)
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

impl Source for FileSource {
    fn identity(&self) -> Option<&SourceIdentity> {
        Some(&self.identity)
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        // The open file may differ from what the path now names: a rename put another one there. Either is a
        // change, and the path's is the one to report, unless only the open file's record moved. The path is
        // opened, since a network file system asks its server for the times only then.
        let metadata = std::fs::metadata(&self.path)?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the path leads to no file any more"));
        }
        let named = match device::open(&self.path, false) {
            Ok(named) => identity_of(&self.path, &named)?,
            // Whoever may no longer open it can still read the file that is open.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                identity(&self.path, length(&self.file, &metadata)?, &metadata)
            }
            Err(error) => return Err(error),
        };
        if named.difference(&self.identity).is_some_and(|change| !change.is_suspicion()) {
            return Ok(Some(named));
        }
        identity_of(&self.path, &self.file).map(Some)
    }

    fn settle(&self) {
        // Pages that a writer keeps mapped count as written once; only after they went to disk does the next write
        // to them move the times.
        let synced = self.file.sync_data();
        if let Err(error) = &synced {
            tracing::debug!(%error, "the source cannot be synced: its bytes are compared at the end");
        }
        self.settled.store(synced.is_ok(), Ordering::Relaxed);
    }

    fn witness(&self) -> Witness {
        if !self.settled.load(Ordering::Relaxed) {
            return Witness::Never;
        }
        device::witness(&self.file)
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

/// Fills as much as `read` gives without waiting, and returns how much that was and whether it is worth asking again.
/// Any answer other than bytes decides nothing: some systems and file systems know the flag and implement it wrongly.
fn fill_ready(buffer: &mut [u8], read: impl Fn(usize, &mut [u8]) -> io::Result<usize>) -> (usize, bool) {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(filled, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let supported = !matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::PermissionDenied
                );
                return (filled, supported);
            }
        }
    }
    (filled, true)
}

fn length(file: &File, metadata: &Metadata) -> io::Result<u64> {
    if metadata.file_type().is_block_device() {
        // A device's record has no length; its end has. Reads are positional, so the cursor is free.
        return (&mut &*file).seek(SeekFrom::End(0));
    }
    Ok(metadata.len())
}

fn identity_of(path: &Path, file: &File) -> io::Result<SourceIdentity> {
    let metadata = file.metadata()?;
    Ok(identity(path, length(file, &metadata)?, &metadata))
}

fn identity(path: &Path, length: u64, metadata: &Metadata) -> SourceIdentity {
    let path = path.to_owned();
    if metadata.file_type().is_block_device() {
        let device = metadata.rdev();
        return SourceIdentity::Device(DeviceIdentity {
            path,
            length,
            device,
            written: device::written(device),
        });
    }
    let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    SourceIdentity::File(FileIdentity {
        path,
        length,
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        device: metadata.dev(),
        inode: metadata.ino(),
    })
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
        assert_eq!(source.length(), 100_000);
        let mut buffer = vec![0; 5000];
        source.read_at(77_777, &mut buffer).unwrap();
        assert_eq!(buffer, bytes[77_777..82_777]);
        let mut ready = vec![0; 5000];
        if let Some(count) = source.read_ready(77_777, &mut ready) {
            assert_eq!(ready[..count], bytes[77_777..77_777 + count]);
        }
    }

    #[test]
    fn a_source_that_ended_early_is_an_error() {
        let (_dir, path) = file(b"0123456789");
        let source = FileSource::open(&path).unwrap();
        let mut buffer = [0; 11];
        let behind = source.read_at(0, &mut buffer);
        assert!(matches!(behind, Err(ReadError::PastEnd { offset: 0, length: 11 })), "{behind:?}");
        File::options().write(true).open(&path).unwrap().set_len(9).unwrap();
        let cut = source.read_at(0, &mut buffer[..10]).unwrap_err();
        assert!(matches!(&cut, ReadError::Io { offset: 0, length: 10, .. }), "{cut:?}");
        assert_eq!(io::Error::from(cut).kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(source.read_ready(9, &mut buffer[..1]), None);
    }

    #[test]
    fn a_fast_read_that_gives_no_bytes_decides_nothing() {
        use rustix::io::Errno;
        let answers = [
            (None, true),
            (Some(Errno::IO), true),
            (Some(Errno::NXIO), true),
            (Some(Errno::AGAIN), true),
            (Some(Errno::PERM), false),
            (Some(Errno::NOSYS), false),
            (Some(Errno::OPNOTSUPP), false),
            (Some(Errno::INVAL), false),
        ];
        for (errno, supported) in answers {
            let answer = || errno.map_or(Ok(0), |errno| Err(errno.into()));
            let mut buffer = [0; 10];
            assert_eq!(fill_ready(&mut buffer, |_, _| answer()), (0, supported));
            let later = fill_ready(&mut buffer, |at, _| if at < 4 { Ok(2) } else { answer() });
            assert_eq!(later, (4, supported));
        }
    }

    #[test]
    fn every_change_is_noticed() {
        let (dir, path) = file(b"0123456789");
        let difference = |source: &FileSource| {
            let now = source.current_identity().unwrap().unwrap();
            let change = now.difference(source.identity().unwrap())?;
            Some(change.to_string())
        };
        let source = FileSource::open(&path).unwrap();
        assert_eq!(difference(&source), None);

        File::options().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(difference(&source).as_deref(), Some("its size changed"));

        let source = FileSource::open(&path).unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, b"01234567890").unwrap();
        let times =
            std::fs::FileTimes::new().set_modified(std::fs::metadata(&path).unwrap().modified().unwrap());
        File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(difference(&source).as_deref(), Some("another file took its place"));

        let source = FileSource::open(&path).unwrap();
        std::thread::scope(|_| File::options().write(true).open(&path).unwrap().set_times(times).unwrap());
        assert_eq!(difference(&source).as_deref(), Some("its status change time (ctime) changed"));

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
