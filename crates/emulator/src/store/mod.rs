//! What outlives the process: buckets, objects, open uploads and records of other services, on disk.
//!
//! All records are in memory too, read once at start; a change is written to disk first (whole, by rename)
//! and seen in memory afterwards, so a killed process has lost nothing that was acknowledged. An object is a
//! list of segments of blob files; Complete and copies make new lists and move no bytes. Blob files go with
//! the last record or reader that holds them, and a crash's leavings when the store is next opened.

mod blob;
mod layout;
mod marker;
mod objects;
mod reader;
mod records;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use blob::{Blob, Blobs};
use layout::Layout;
use marker::Claim;
use ossup_core::credentials::Credentials;
use ossup_core::model::{BucketName, ObjectKey, PartNumber, UploadId};

pub(crate) use blob::{BlobWriter, Written};
pub(crate) use reader::{ObjectReader, slice};
pub use records::{BucketRecord, Encryption, Versioning};
pub(crate) use records::{
    NULL_VERSION, ObjectHeaders, ObjectKind, ObjectRecord, PartRecord, Segment, SegmentSource, Sums,
    UploadRecord,
};

/// The account that owns everything by default.
pub(crate) const DEFAULT_OWNER: &str = "1234567890123456";

/// Why the store could not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk refused.
    #[error("cannot use `{}` of the emulator's data", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds something else. Nothing in it was touched.
    #[error("`{}` is not empty and is not a store of the emulator", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// Another emulator has the directory.
    #[error("another emulator uses `{}`", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// Another version made the directory.
    #[error("`{}` holds data of format `{}`, which this version cannot read", dir.display(), found.escape_debug())]
    Format {
        /// The data directory.
        dir: PathBuf,
        /// The version that was found.
        found: String,
    },
    /// The bucket is not there.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// The bucket is there already.
    #[error("the bucket exists")]
    BucketExists,
    /// The bucket still has objects or open uploads.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The upload is over, or never was.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// The object is there, and was not to be overwritten.
    #[error("the object exists")]
    ObjectExists,
    /// The bytes were thrown away as they came.
    #[error("the object's bytes were discarded")]
    Discarded,
}

impl StoreError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// An object and the hold on its bytes.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) record: ObjectRecord,
    holds: Vec<Arc<Blob>>,
}

impl Object {
    /// Returns an object of some of this one's segments, which holds the same bytes.
    pub(crate) fn with_segments(&self, segments: Vec<Segment>) -> Self {
        let size = segments.iter().map(|segment| segment.len).sum();
        Self { record: ObjectRecord { segments, size, ..self.record.clone() }, holds: self.holds.clone() }
    }
}

/// A part of an open upload and the hold on its bytes.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) record: PartRecord,
    _holds: Vec<Arc<Blob>>,
}

/// An open upload as it was when asked for. Its parts' bytes stay while it lives.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) record: Arc<UploadRecord>,
    pub(crate) parts: BTreeMap<PartNumber, Arc<Part>>,
}

/// An object as a listing of versions names it.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) object: Arc<Object>,
    pub(crate) latest: bool,
}

#[derive(Debug)]
struct Bucket {
    record: BucketRecord,
    /// The versions of each key, oldest first and never none; a bucket that keeps none has one each.
    objects: BTreeMap<ObjectKey, Vec<Arc<Object>>>,
    uploads: BTreeMap<(ObjectKey, UploadId), Upload>,
}

/// All that the emulator keeps.
#[derive(Debug)]
pub(crate) struct Store {
    layout: Layout,
    blobs: Blobs,
    discard: bool,
    buckets: Mutex<BTreeMap<BucketName, Bucket>>,
    /// Held while the store is open.
    claim: Claim,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.blobs.close();
    }
}

impl Store {
    /// Opens the data directory, or makes it.
    ///
    /// # Errors
    ///
    /// When the directory holds something else, another emulator has it, another version made it, or the disk
    /// refuses.
    pub(crate) fn open(dir: &Path, discard: bool) -> Result<Self, StoreError> {
        let claim = Claim::take(dir)?;
        let layout = Layout::open(dir, &claim.id)?;
        let blobs = Blobs::new(layout.blobs(), &claim.id);
        let mut buckets = BTreeMap::new();
        for path in layout.entries(&layout.buckets())? {
            let record = path.join("bucket.json");
            if record.exists() {
                let bucket = load_bucket(&layout, &blobs, layout::load(&record)?)?;
                buckets.insert(bucket.record.name.clone(), bucket);
            } else {
                // Killed while the bucket was made or deleted.
                layout.clear_bucket(&path)?;
            }
        }
        blobs.sweep().map_err(|error| StoreError::io(&layout.blobs(), error))?;
        Ok(Self { layout, blobs, discard, buckets: Mutex::new(buckets), claim })
    }

    /// Returns the key pair that belongs to this store.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.claim.credentials
    }

    fn buckets_now(&self) -> MutexGuard<'_, BTreeMap<BucketName, Bucket>> {
        self.buckets.lock().expect("no panic while the lock is held")
    }

    // Buckets

    /// Returns all buckets by name.
    pub(crate) fn buckets(&self) -> Vec<BucketRecord> {
        self.buckets_now().values().map(|bucket| bucket.record.clone()).collect()
    }

    /// Returns a bucket's settings.
    pub(crate) fn bucket(&self, name: &BucketName) -> Option<BucketRecord> {
        self.buckets_now().get(name).map(|bucket| bucket.record.clone())
    }

    /// Makes a bucket.
    ///
    /// # Errors
    ///
    /// [`StoreError::BucketExists`], or the disk's.
    pub(crate) fn create_bucket(&self, record: BucketRecord) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        if buckets.contains_key(&record.name) {
            return Err(StoreError::BucketExists);
        }
        self.layout.save(&self.layout.bucket_record(&record.name), &record)?;
        let name = record.name.clone();
        buckets.insert(name, Bucket { record, objects: BTreeMap::new(), uploads: BTreeMap::new() });
        Ok(())
    }

    /// Changes a bucket's settings; its name must stay.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or the disk's.
    pub(crate) fn update_bucket(
        &self,
        name: &BucketName,
        change: impl FnOnce(&mut BucketRecord),
    ) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        let bucket = buckets.get_mut(name).ok_or(StoreError::NoSuchBucket)?;
        let mut record = bucket.record.clone();
        change(&mut record);
        record.name = name.clone();
        self.layout.save(&self.layout.bucket_record(name), &record)?;
        bucket.record = record;
        Ok(())
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`], or the disk's.
    pub(crate) fn delete_bucket(&self, name: &BucketName) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        let bucket = buckets.get(name).ok_or(StoreError::NoSuchBucket)?;
        if !bucket.objects.is_empty() || !bucket.uploads.is_empty() {
            return Err(StoreError::BucketNotEmpty);
        }
        // The record first: a directory without it is not a bucket.
        layout::remove(&self.layout.bucket_record(name))?;
        buckets.remove(name);
        self.layout.clear_bucket(&self.layout.bucket(name))
    }

    // Records of other services

    /// Saves a record of `kind`, a name of ASCII letters, under any id.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub(crate) fn save_record<T: Serialize>(
        &self,
        kind: &'static str,
        id: &str,
        record: &T,
    ) -> Result<(), StoreError> {
        self.layout.save(&self.layout.record(kind, id), record)
    }

    /// Reads all records of a kind, in no order. A record holds its own id.
    ///
    /// # Errors
    ///
    /// The disk's, or that a record cannot be read.
    pub(crate) fn load_records<T: DeserializeOwned>(&self, kind: &'static str) -> Result<Vec<T>, StoreError> {
        let paths = self.layout.record_files(&self.layout.records(kind))?;
        paths.iter().map(|path| layout::load(path)).collect()
    }
}

fn load_bucket(layout: &Layout, blobs: &Blobs, record: BucketRecord) -> Result<Bucket, StoreError> {
    let mut objects = BTreeMap::new();
    for path in layout.record_files(&layout.objects(&record.name))? {
        let record: ObjectRecord = layout::load(&path)?;
        let object = Object { holds: blobs.hold_all(&record.segments), record };
        let versions: &mut Vec<Arc<Object>> = objects.entry(object.record.key.clone()).or_default();
        versions.push(Arc::new(object));
    }
    for versions in objects.values_mut() {
        versions.sort_by_key(|object| object.record.sequence);
    }
    let mut uploads = BTreeMap::new();
    for path in layout.entries(&layout.uploads(&record.name))? {
        let header = path.join("upload.json");
        let Some(upload) = header.exists().then(|| layout::load::<UploadRecord>(&header)).transpose()? else {
            // Killed while the upload was opened or aborted.
            layout.clear_upload(&path)?;
            continue;
        };
        let completed = objects.get(&upload.key).is_some_and(|versions| {
            versions.iter().any(|object| object.record.upload_id.as_ref() == Some(&upload.id))
        });
        if completed {
            layout.remove_upload(&path)?;
            continue;
        }
        let mut parts = BTreeMap::new();
        for record in layout::load_log::<PartRecord>(&layout.parts(&record.name, &upload.id))? {
            let part = Part { _holds: blobs.hold_all(&record.segments), record };
            parts.insert(part.record.number, Arc::new(part));
        }
        let id = (upload.key.clone(), upload.id.clone());
        uploads.insert(id, Upload { record: Arc::new(upload), parts });
    }
    Ok(Bucket { record, objects, uploads })
}
