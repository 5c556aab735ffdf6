//! Where records lie in the data directory, and how they are written.
//!
//! ```text
//! DIR/ossup-store.json                        the marker: version, id and key pair; locked by who uses DIR
//! DIR/blobs/ID.STORE                          bytes of parts and objects; STORE is the store's id
//! DIR/buckets/BUCKET/bucket.json
//! DIR/buckets/BUCKET/objects/HASH.json        HASH is of the key, which is in the record
//! DIR/buckets/BUCKET/objects/HASH.VERSION.json  a version of a bucket that keeps them
//! DIR/buckets/BUCKET/uploads/ID/upload.json
//! DIR/buckets/BUCKET/uploads/ID/parts.log     a line for each part that came in, the last of a number counts
//! DIR/records/KIND/HASH.json                  images, tasks, …
//! ```
//!
//! No name that comes from outside becomes a path, except bucket names and upload ids, whose alphabets hold
//! neither `/` nor `.`. A record appears whole or not at all: it is written beside its place, as `NAME.STORE.tmp`, and
//! renamed. What is cleaned up after a kill has the store's id in its name; directories only go when empty.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::marker::StoreId;
use super::{NULL_VERSION, StoreError};
use ossup_core::model::{BucketName, ObjectKey, UploadId};

const UPLOAD: &str = "upload.json";
const PARTS: &str = "parts.log";

#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    /// What the names of temporary files end with.
    temporary: String,
}

impl Layout {
    /// Makes the directories of a store that was claimed.
    pub(super) fn open(dir: &Path, store: &StoreId) -> Result<Self, StoreError> {
        for sub in ["blobs", "buckets", "records"] {
            fs::create_dir_all(dir.join(sub)).map_err(|error| StoreError::io(dir, error))?;
        }
        Ok(Self { dir: dir.to_owned(), temporary: format!(".{store}.tmp") })
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    pub(super) fn buckets(&self) -> PathBuf {
        self.dir.join("buckets")
    }

    pub(super) fn bucket(&self, bucket: &BucketName) -> PathBuf {
        self.buckets().join(bucket.as_str())
    }

    pub(super) fn bucket_record(&self, bucket: &BucketName) -> PathBuf {
        self.bucket(bucket).join("bucket.json")
    }

    pub(super) fn objects(&self, bucket: &BucketName) -> PathBuf {
        self.bucket(bucket).join("objects")
    }

    /// `version` is `null` or one that this store made.
    pub(super) fn object(&self, bucket: &BucketName, key: &ObjectKey, version: &str) -> PathBuf {
        debug_assert!(version.bytes().all(|b| b.is_ascii_alphanumeric()));
        let name = hashed(key.as_str());
        let path = self.objects(bucket).join(name);
        if version == NULL_VERSION { path } else { path.with_extension(format!("{version}.json")) }
    }

    pub(super) fn uploads(&self, bucket: &BucketName) -> PathBuf {
        self.bucket(bucket).join("uploads")
    }

    /// `id` is one that this store made.
    pub(super) fn upload(&self, bucket: &BucketName, id: &UploadId) -> PathBuf {
        debug_assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
        self.uploads(bucket).join(id.as_str())
    }

    pub(super) fn parts(&self, bucket: &BucketName, id: &UploadId) -> PathBuf {
        self.upload(bucket, id).join(PARTS)
    }

    pub(super) fn upload_record(&self, bucket: &BucketName, id: &UploadId) -> PathBuf {
        self.upload(bucket, id).join(UPLOAD)
    }

    pub(super) fn records(&self, kind: &'static str) -> PathBuf {
        self.dir.join("records").join(kind)
    }

    pub(super) fn record(&self, kind: &'static str, id: &str) -> PathBuf {
        self.records(kind).join(hashed(id))
    }

    fn temporary(&self, path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(&self.temporary);
        name.into()
    }

    fn is_temporary(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(&self.temporary))
    }

    /// Replaces the record at `path` as a whole.
    pub(super) fn save<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(path, error);
        let text = serde_json::to_vec(record).map_err(io::Error::other).map_err(failed)?;
        let parent = path.parent().expect("records lie in directories");
        fs::create_dir_all(parent).map_err(failed)?;
        let temporary = self.temporary(path);
        let mut file = fs::File::create(&temporary).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        drop(file);
        fs::rename(&temporary, path).map_err(failed)
    }

    /// Returns what lies in a directory, and removes records that were not finished before a crash.
    pub(super) fn entries(&self, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        for path in list(dir)? {
            if self.is_temporary(&path) {
                remove(&path)?;
            } else {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Returns the records of a directory. Other files in it are left alone.
    pub(super) fn record_files(&self, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = self.entries(dir)?;
        found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        Ok(found)
    }

    /// Removes a directory of a bucket that has no record: it was being made or deleted. What is not the store's
    /// stays, and so does the directory then.
    pub(super) fn clear_bucket(&self, dir: &Path) -> Result<(), StoreError> {
        for sub in [&dir.join("objects"), &dir.join("uploads"), dir] {
            self.entries(sub)?;
            remove_empty(sub)?;
        }
        Ok(())
    }

    /// Removes an upload. Its record goes first, by renaming it to a temporary file: parts alone are no upload.
    pub(super) fn remove_upload(&self, dir: &Path) -> Result<(), StoreError> {
        let record = dir.join(UPLOAD);
        match fs::rename(&record, self.temporary(&record)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(&record, error)),
            _ => self.clear_upload(dir),
        }
    }

    /// Removes what is left of an upload that has no record: it was being opened or removed.
    pub(super) fn clear_upload(&self, dir: &Path) -> Result<(), StoreError> {
        if list(dir)?.iter().any(|path| self.is_temporary(path)) {
            remove(&dir.join(PARTS))?;
            self.entries(dir)?;
        }
        remove_empty(dir)
    }
}

/// Returns a file name for any text.
fn hashed(text: &str) -> String {
    let mut name = String::with_capacity(69);
    for byte in Sha256::digest(text.as_bytes()) {
        name.push_str(&format!("{byte:02x}"));
    }
    name.push_str(".json");
    name
}

/// Adds a record to a log. A line that cannot be written whole is taken back.
pub(super) fn append<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(path, error);
    let mut line = serde_json::to_vec(record).map_err(io::Error::other).map_err(failed)?;
    line.push(b'\n');
    let mut file = fs::File::options().create(true).append(true).open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    file.write_all(&line).or_else(|error| file.set_len(length).and(Err(error))).map_err(failed)
}

/// Reads the records of a log; none if there is no log. A torn last line, which a kill leaves behind, is cut off.
pub(super) fn load_log<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StoreError> {
    let failed = |error| StoreError::io(path, error);
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(failed)?,
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < bytes.len() {
        let file = fs::File::options().write(true).open(path).map_err(failed)?;
        file.set_len(whole as u64).map_err(failed)?;
    }
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| failed(io::Error::other(error)))).collect()
}

/// Reads a record.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(|error| StoreError::io(path, error))?;
    serde_json::from_slice(&text).map_err(|error| StoreError::io(path, io::Error::other(error)))
}

/// Removes a record; that there is none is fine.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}

/// Removes a directory if nothing is in it.
fn remove_empty(dir: &Path) -> Result<(), StoreError> {
    use io::ErrorKind::{DirectoryNotEmpty, NotADirectory, NotFound};
    match fs::remove_dir(dir) {
        Err(error) if !matches!(error.kind(), DirectoryNotEmpty | NotADirectory | NotFound) => {
            Err(StoreError::io(dir, error))
        }
        _ => Ok(()),
    }
}

/// Returns what lies in a directory; nothing if it is none.
fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let failed = |error| StoreError::io(dir, error);
    match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), NotADirectory | NotFound) => Ok(Vec::new()),
        listing => listing.map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
    }
}
