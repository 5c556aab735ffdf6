//! What makes a folder a store: a marker file, which is also the lock. It holds the id that is in the names of all
//! files that are ever cleaned up. Nothing is written into a folder, or deleted from it, without this proof.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StoreError;
use ossup_core::credentials::Credentials;

/// The file that marks a store.
const MARKER: &str = "ossup-store.json";
/// The version of the layout that this code reads and writes.
const FORMAT: u32 = 2;
/// The files of the first layout, which had no marker. Such a folder cannot be distinguished from one that merely
/// looks like it.
const UNMARKED: [&str; 2] = ["format", "lock"];
/// Most bytes of a marker that are read.
const MAX_MARKER: u64 = 4 << 10;

/// A random id that no other store has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoreId(String);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    id: StoreId,
    access_key_id: String,
    access_key_secret: String,
}

/// A folder that was proved to be a store, held against other emulators.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: StoreId,
    /// The store's own key pair: random, so that no page or program can guess it.
    pub(super) credentials: Credentials,
    /// Locked while it lives.
    _lock: File,
}

impl Claim {
    /// Takes the store in `dir`, or makes one if `dir` is empty or missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAStore`] if the folder has other files, [`StoreError::Locked`], [`StoreError::Format`], or
    /// the disk's. Nothing in the folder has changed then.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(MARKER);
        let failed = |error| StoreError::io(&path, error);
        let mut options = File::options();
        options.read(true).write(true);
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(dir).map_err(|error| StoreError::io(dir, error))?;
                refuse_others(dir)?;
                // Another emulator may begin in the same folder at this moment: the lock decides.
                options.create(true).mode(0o600).open(&path).map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(StoreError::NotAStore { dir: dir.to_owned() });
        }
        let mut text = String::new();
        (&file).take(MAX_MARKER).read_to_string(&mut text).map_err(failed)?;
        let marker = if text.is_empty() {
            // Killed right behind making it: then nothing else is there.
            refuse_others(dir)?;
            let marker = Marker::new();
            let written = file.write_all(&marker.to_json()).and_then(|()| file.sync_all());
            written.or_else(|error| file.set_len(0).and(Err(error))).map_err(failed)?;
            marker
        } else {
            Marker::read(dir, &text)?
        };
        let credentials = Credentials::new(marker.access_key_id, marker.access_key_secret);
        Ok(Self { id: marker.id, credentials, _lock: file })
    }
}

impl Marker {
    fn new() -> Self {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        Self {
            format: FORMAT,
            id: StoreId(random()),
            access_key_id: format!("LTAI{}", &random()[..20]),
            access_key_secret: random(),
        }
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a marker is plain data")
    }

    fn read(dir: &Path, text: &str) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let format = |found: String| StoreError::Format { dir: dir.to_owned(), found };
        let version: Version = serde_json::from_str(text).map_err(|_| format("unknown".to_owned()))?;
        if version.format != FORMAT {
            return Err(format(version.format.to_string()));
        }
        serde_json::from_str(text).map_err(|_| format(version.format.to_string()))
    }
}

/// Refuses a folder that has anything but the marker in it.
fn refuse_others(dir: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(dir, error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != MARKER {
            return Err(match UNMARKED.iter().all(|name| dir.join(name).is_file()) {
                true => StoreError::Format { dir: dir.to_owned(), found: "1".to_owned() },
                false => StoreError::NotAStore { dir: dir.to_owned() },
            });
        }
    }
    Ok(())
}
