//! Objects: made, replaced, read and deleted.

use std::sync::Arc;

use super::{BlobWriter, Bucket, Object, ObjectReader, ObjectRecord, Store, StoreError, layout};
use crate::model::{BucketName, ObjectKey};

impl Store {
    /// Begins to take in bytes. `md5` asks for their MD5 even if bytes are discarded.
    pub(crate) fn writer(&self, md5: bool) -> BlobWriter {
        self.blobs.writer(!self.discard, md5 || !self.discard)
    }

    /// Returns an object.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(bucket.objects.get(key).cloned())
    }

    /// Returns the objects of a bucket by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn objects(&self, bucket: &BucketName) -> Result<Vec<Arc<Object>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(bucket.objects.values().cloned().collect())
    }

    /// Returns a reader of an object's bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Discarded`].
    pub(crate) fn reader(&self, object: &Arc<Object>) -> Result<ObjectReader, StoreError> {
        ObjectReader::new(Arc::clone(object), self.blobs.clone())
    }

    /// Makes an object, or replaces it unless `forbid_overwrite`.
    ///
    /// The blobs of its segments must be held: by a [`Written`], an [`Upload`] or an [`Object`].
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], [`StoreError::ObjectExists`], or the disk's.
    pub(crate) fn put_object(
        &self,
        bucket: &BucketName,
        record: ObjectRecord,
        forbid_overwrite: bool,
    ) -> Result<Arc<Object>, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        if forbid_overwrite && entry.objects.contains_key(&record.key) {
            return Err(StoreError::ObjectExists);
        }
        self.insert(bucket, entry, record)
    }

    /// Makes an object of what is there now, if anything; nothing changes it meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or the disk's; within, what `make` refuses with.
    pub(crate) fn update_object<E>(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        make: impl FnOnce(Option<&Object>) -> Result<ObjectRecord, E>,
    ) -> Result<Result<Arc<Object>, E>, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        match make(entry.objects.get(key).map(Arc::as_ref)) {
            Ok(record) => self.insert(bucket, entry, record).map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }

    pub(super) fn insert(
        &self,
        bucket: &BucketName,
        entry: &mut Bucket,
        record: ObjectRecord,
    ) -> Result<Arc<Object>, StoreError> {
        self.layout.save(&self.layout.object(bucket, &record.key), &record)?;
        let object = Arc::new(Object { holds: self.blobs.hold_all(&record.segments), record });
        entry.objects.insert(object.record.key.clone(), Arc::clone(&object));
        Ok(object)
    }

    /// Deletes an object and returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or the disk's.
    pub(crate) fn delete_object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<bool, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        if !entry.objects.contains_key(key) {
            return Ok(false);
        }
        layout::remove(&self.layout.object(bucket, key))?;
        Ok(entry.objects.remove(key).is_some())
    }
}
