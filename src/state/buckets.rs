use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use super::StateError;
use super::dir::StateDir;
use crate::model::BucketName;

/// Most buckets that are listed.
const MOST: usize = 256;

impl StateDir {
    /// Returns the buckets that uploads from here ended on, for whoever types the next name. What cannot be read is as
    /// if it were not there.
    pub fn buckets(&self) -> Vec<BucketName> {
        let entries = std::fs::read_dir(self.buckets_path()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut buckets: Vec<BucketName> = names.take(MOST).collect();
        buckets.sort();
        buckets
    }

    /// Keeps the name of a bucket: as an empty file, so that processes cannot get in each other's way.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn remember_bucket(&self, bucket: &BucketName) -> Result<(), StateError> {
        let folder = self.buckets_path();
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        make.map_err(StateError::io("make", &folder))?;
        let path = folder.join(bucket.as_str());
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.map(drop).map_err(StateError::io("write", &path))
    }

    fn buckets_path(&self) -> PathBuf {
        self.root().join("buckets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_remembered_once_and_other_files_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::new(folder.path().join("state"));
        assert_eq!(dir.buckets(), []);
        for name in ["images", "backups", "images"] {
            dir.remember_bucket(&name.parse().unwrap()).unwrap();
        }
        std::fs::write(dir.buckets_path().join("No Bucket"), "").unwrap();
        assert_eq!(dir.buckets().iter().map(BucketName::as_str).collect::<Vec<_>>(), ["backups", "images"]);
    }
}
