//! Objects: made, replaced, read and deleted.

use std::sync::Arc;

use super::{
    BlobWriter, Bucket, Object, ObjectHeaders, ObjectReader, ObjectRecord, Store, StoreError, Version, layout,
};
use ossup_core::model::{BucketName, ObjectKey};

impl Store {
    /// Begins to take in bytes. `md5` asks for their MD5 even if bytes are discarded.
    pub(crate) fn writer(&self, md5: bool) -> BlobWriter {
        self.blobs.writer(!self.discard, md5 || !self.discard)
    }

    /// Returns an object: its newest version, unless that stands for a deletion.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        Ok(self.newest(bucket, key)?.filter(|object| !object.record.delete_marker))
    }

    /// Returns the newest version of a key, be it a delete marker.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn newest(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(bucket.objects.get(key).and_then(|versions| versions.last()).cloned())
    }

    /// Returns a version of an object, be it a delete marker.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn version(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: &str,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        let versions = bucket.objects.get(key).map_or(&[][..], |versions| versions);
        Ok(versions.iter().find(|object| object.record.version() == version).cloned())
    }

    /// Returns the objects of a bucket by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn objects(&self, bucket: &BucketName) -> Result<Vec<Arc<Object>>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        let newest = bucket.objects.values().filter_map(|versions| versions.last());
        Ok(newest.filter(|object| !object.record.delete_marker).cloned().collect())
    }

    /// Returns all versions of a bucket by key, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`].
    pub(crate) fn versions(&self, bucket: &BucketName) -> Result<Vec<Version>, StoreError> {
        let buckets = self.buckets_now();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        let of_key = |versions: &Vec<Arc<Object>>| {
            let version =
                |(at, object): (usize, &Arc<Object>)| Version { object: Arc::clone(object), latest: at == 0 };
            versions.iter().rev().enumerate().map(version).collect::<Vec<_>>()
        };
        Ok(bucket.objects.values().flat_map(of_key).collect())
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
        if forbid_overwrite && entry.has(&record.key) {
            return Err(StoreError::ObjectExists);
        }
        self.insert(bucket, entry, record)
    }

    /// Returns an object that is in no bucket, to read what it would hold.
    pub(crate) fn hold(&self, record: ObjectRecord) -> Arc<Object> {
        Arc::new(Object { holds: self.blobs.hold_all(&record.segments), record })
    }

    /// Makes an object of what is there now, if anything; nothing changes it in between.
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
        match make(entry.newest(key).filter(|object| !object.record.delete_marker).map(Arc::as_ref)) {
            Ok(record) => self.insert(bucket, entry, record).map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Adds a version, in place of the one that has its id.
    pub(super) fn insert(
        &self,
        bucket: &BucketName,
        entry: &mut Bucket,
        mut record: ObjectRecord,
    ) -> Result<Arc<Object>, StoreError> {
        record.sequence = entry.newest(&record.key).map_or(0, |newest| newest.record.sequence + 1);
        self.layout.save(&self.layout.object(bucket, &record.key, record.version()), &record)?;
        let object = Arc::new(Object { holds: self.blobs.hold_all(&record.segments), record });
        let versions = entry.objects.entry(object.record.key.clone()).or_default();
        versions.retain(|other| other.record.version() != object.record.version());
        versions.push(Arc::clone(&object));
        Ok(object)
    }

    /// Changes what is said about a version of an object, whose bytes and place stay. Returns the version as it is
    /// then, none if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or the disk's.
    pub(crate) fn change_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: &str,
        change: impl FnOnce(&mut ObjectHeaders),
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let versions = entry.objects.get_mut(key).into_iter().flatten();
        let Some(found) = versions.into_iter().find(|object| object.record.version() == version) else {
            return Ok(None);
        };
        let mut record = found.record.clone();
        change(&mut record.headers);
        self.layout.save(&self.layout.object(bucket, key, version), &record)?;
        *found = Arc::new(Object { holds: found.holds.clone(), record });
        Ok(Some(Arc::clone(found)))
    }

    /// Deletes a version of an object for good, and returns it if it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or the disk's.
    pub(crate) fn delete_version(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: &str,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let mut buckets = self.buckets_now();
        let entry = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        let Some(versions) = entry.objects.get_mut(key) else { return Ok(None) };
        let Some(at) = versions.iter().position(|object| object.record.version() == version) else {
            return Ok(None);
        };
        layout::remove(&self.layout.object(bucket, key, version))?;
        let removed = versions.remove(at);
        if versions.is_empty() {
            entry.objects.remove(key);
        }
        Ok(Some(removed))
    }
}

impl Bucket {
    pub(super) fn newest(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.objects.get(key).and_then(|versions| versions.last())
    }

    /// Whether there is an object that is not deleted.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.newest(key).is_some_and(|object| !object.record.delete_marker)
    }
}
