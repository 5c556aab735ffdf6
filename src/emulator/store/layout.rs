//! Where records lie in the data directory, and how they are written.
//!
//! ```text
//! DIR/lock                                    held by the one emulator that uses DIR
//! DIR/format                                  version of this layout
//! DIR/blobs/ID                                bytes of parts and objects
//! DIR/buckets/BUCKET/bucket.json
//! DIR/buckets/BUCKET/objects/HASH.json        HASH is of the key, which is in the record
//! DIR/buckets/BUCKET/uploads/ID/upload.json
//! DIR/buckets/BUCKET/uploads/ID/parts.log     a line for each part that came in, the last of a number counts
//! DIR/records/KIND/HASH.json                  images, tasks, …
//! ```
//!
//! No name that comes from outside becomes a path, except bucket names and upload ids, whose alphabets hold
//! neither `/` nor `.`. A record appears whole or not at all: it is written beside its place and renamed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::model::{BucketName, ObjectKey, UploadId};

/// The version of the layout that this code reads and writes.
const FORMAT: &str = "1";
const TEMPORARY: &str = "tmp";

#[derive(Debug)]
pub(super) struct Layout(PathBuf);

impl Layout {
    /// Makes the directories and checks the version.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        for sub in ["blobs", "buckets", "records"] {
            fs::create_dir_all(dir.join(sub)).map_err(|error| StoreError::io(dir, error))?;
        }
        let format = dir.join("format");
        match fs::read_to_string(&format) {
            Ok(found) if found.trim() == FORMAT => {}
            Ok(found) => {
                return Err(StoreError::Format { dir: dir.to_owned(), found: found.trim().to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&format, FORMAT).map_err(|error| StoreError::io(&format, error))?;
            }
            Err(error) => return Err(StoreError::io(&format, error)),
        }
        Ok(Self(dir.to_owned()))
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    pub(super) fn buckets(&self) -> PathBuf {
        self.0.join("buckets")
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

    pub(super) fn object(&self, bucket: &BucketName, key: &ObjectKey) -> PathBuf {
        self.objects(bucket).join(hashed(key.as_str()))
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
        self.upload(bucket, id).join("parts.log")
    }

    pub(super) fn records(&self, kind: &'static str) -> PathBuf {
        self.0.join("records").join(kind)
    }

    pub(super) fn record(&self, kind: &'static str, id: &str) -> PathBuf {
        self.records(kind).join(hashed(id))
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

/// Replaces the record at `path` as a whole.
pub(super) fn save<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(path, error);
    let text = serde_json::to_vec(record).map_err(io::Error::other).map_err(failed)?;
    let parent = path.parent().expect("records lie in directories");
    fs::create_dir_all(parent).map_err(failed)?;
    let temporary = path.with_extension(TEMPORARY);
    let mut file = fs::File::create(&temporary).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    drop(file);
    fs::rename(&temporary, path).map_err(failed)
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

/// Removes a directory and all in it; that there is none is fine.
pub(super) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}

/// Returns what lies in a directory, and removes records that were not finished before a crash.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| StoreError::io(dir, error);
    let mut found = Vec::new();
    let listing = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listing => listing.map_err(failed)?,
    };
    for entry in listing {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == TEMPORARY) {
            remove(&path)?;
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
