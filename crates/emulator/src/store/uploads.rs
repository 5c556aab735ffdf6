//! Open uploads and their parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Object, ObjectRecord, Part, PartRecord, Store, StoreError, Upload, UploadRecord, layout};
use ossup_core::model::{BucketName, ObjectKey, UploadId};

impl Store {
    /// Opens an upload. Its id must be of ASCII letters and digits.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::ObjectExists`] if `forbid_overwrite`, or the disk's.
    pub(crate) fn create_upload(
        &self,
        bucket: &BucketName,
        record: UploadRecord,
        forbid_overwrite: bool,
    ) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        if forbid_overwrite && entry.has(&record.key) {
            return Err(StoreError::ObjectExists);
        }
        self.layout.save(&self.layout.upload_record(bucket, &record.id), &record)?;
        let id = (record.key.clone(), record.id.clone());
        entry.uploads.insert(id, Upload { record: Arc::new(record), parts: BTreeMap::new() });
        Ok(())
    }

    /// Returns an open upload with its parts.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub(crate) fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
    ) -> Result<Upload, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        bucket.uploads.get(&(key.clone(), id.clone())).cloned().ok_or(StoreError::NoSuchUpload)
    }

    /// Returns the open uploads of a bucket by key, then id.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn uploads(&self, bucket: &BucketName) -> Result<Vec<Arc<UploadRecord>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(bucket.uploads.values().map(|upload| Arc::clone(&upload.record)).collect())
    }

    /// Adds a part to an upload, or replaces the part of that number. Its blobs must be held.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], or the disk's.
    pub(crate) fn put_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
        record: PartRecord,
    ) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let upload = entry.uploads.get_mut(&(key.clone(), id.clone())).ok_or(StoreError::NoSuchUpload)?;
        layout::append(&self.layout.parts(bucket, id), &record)?;
        let part = Part { _holds: self.blobs.hold_all(&record.segments), record };
        upload.parts.insert(part.record.number, Arc::new(part));
        Ok(())
    }

    /// Makes an object of an upload, which is over then. `record` names the upload.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::ObjectExists`] if
    /// `forbid_overwrite`, or the disk's. The upload stays open then.
    pub(crate) fn complete_upload(
        &self,
        bucket: &BucketName,
        upload: &Upload,
        record: ObjectRecord,
        forbid_overwrite: bool,
    ) -> Result<Arc<Object>, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let id = (upload.record.key.clone(), upload.record.id.clone());
        if !entry.uploads.contains_key(&id) {
            return Err(StoreError::NoSuchUpload);
        }
        if forbid_overwrite && entry.has(&record.key) {
            return Err(StoreError::ObjectExists);
        }
        // The commit. If the process is killed right after it, the object's upload id shows that the upload is over.
        let object = self.insert(bucket, entry, record)?;
        entry.uploads.remove(&id);
        self.layout.remove_upload(&self.layout.upload(bucket, &id.1))?;
        Ok(object)
    }

    /// Deletes an upload and its parts.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], or the disk's.
    pub(crate) fn abort_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
    ) -> Result<(), StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let upload = (key.clone(), id.clone());
        if !entry.uploads.contains_key(&upload) {
            return Err(StoreError::NoSuchUpload);
        }
        self.layout.remove_upload(&self.layout.upload(bucket, id))?;
        entry.uploads.remove(&upload);
        Ok(())
    }
}
