use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StateError;

/// The holder of a lock, as it described itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// The machine's name.
    pub host: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Holder {
    /// Describes this process.
    pub fn this_process(now: Timestamp) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { pid: std::process::id(), host, since: Some(now) }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("it did not write down which");
        }
        write!(f, "process {} on `{}`", self.pid, self.host.escape_debug())?;
        match self.since {
            Some(since) => write!(f, " since {since:.0}"),
            None => Ok(()),
        }
    }
}

/// An exclusive lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes down who has it.
    ///
    /// # Errors
    ///
    /// [`StateError::Locked`] if another process has it.
    pub fn acquire(path: &Path, holder: &Holder) -> Result<Self, StateError> {
        loop {
            let file = Self::open_locked(path)?;
            // The last holder may have removed the file between our opening and locking it; such a lock
            // would keep nobody out.
            if !is_named(&file, path).map_err(StateError::io("lock", path))? {
                continue;
            }
            let text = serde_json::to_vec(holder).expect("a holder is plain data");
            file.set_len(0).and_then(|()| (&file).write_all(&text)).map_err(StateError::io("write", path))?;
            return Ok(Self { _file: file });
        }
    }

    /// Returns who has the lock, without taking it; nothing if it is free.
    ///
    /// # Errors
    ///
    /// When the lock cannot be checked.
    pub fn holder(path: &Path) -> Result<Option<Holder>, StateError> {
        super::file::check_regular(path).map_err(StateError::io("open", path))?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io("open", path)(error)),
        };
        // Shared, so that a process that wants the lock can distinguish this check from an owner.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&file))),
            Err(TryLockError::Error(error)) => Err(StateError::io("look at", path)(error)),
        }
    }

    fn open_locked(path: &Path) -> Result<File, StateError> {
        super::file::check_regular(path).map_err(StateError::io("open", path))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(StateError::io("open", path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                // It is only looked at, which is over at once.
                Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
                    file.unlock().map_err(StateError::io("lock", path))?;
                    std::thread::yield_now();
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StateError::Locked { holder: read_holder(&file) });
                }
                Err(TryLockError::Error(error)) => return Err(StateError::io("lock", path)(error)),
            }
        }
    }
}

/// Returns what the holder wrote. It may be writing at this moment; then it goes unnamed.
fn read_holder(file: &File) -> Holder {
    let mut text = String::new();
    let read = file.take(4096).read_to_string(&mut text);
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok(named.ino() == ours.ino() && named.dev() == ours.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let holder = Holder::this_process(Timestamp::UNIX_EPOCH);
        let lock = Lock::acquire(&path, &holder).unwrap();
        let error = Lock::acquire(&path, &holder).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        Lock::acquire(&path, &holder).unwrap();
    }

    #[test]
    fn a_look_at_a_pipe_in_a_lock_s_place_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let error = Lock::holder(&path).unwrap_err();
        assert!(error.to_string().contains("cannot open"), "{error}");
    }

    #[test]
    fn a_look_at_a_lock_takes_it_from_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(Lock::holder(&path).unwrap(), None);
        let holder = Holder::this_process(Timestamp::UNIX_EPOCH);
        let lock = Lock::acquire(&path, &holder).unwrap();
        assert_eq!(Lock::holder(&path).unwrap(), Some(holder.clone()));
        drop(lock);
        assert_eq!(Lock::holder(&path).unwrap(), None);
        // Somebody looks for a moment while another wants it.
        let look = File::open(&path).unwrap();
        look.try_lock_shared().unwrap();
        std::thread::scope(|scope| {
            let wanted = scope.spawn(|| Lock::acquire(&path, &holder));
            std::thread::yield_now();
            drop(look);
            wanted.join().unwrap().unwrap();
        });
    }
}
