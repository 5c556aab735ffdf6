//! The append-only log of acknowledged parts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::record::{self, JournalContents, RECORD_SIZE};
use super::{StateError, file};
use crate::model::{PartRecord, UploadId};

/// Longest journal that is read (60 MiB): a part is recorded each time that it gets in, and that is seldom twice.
pub(super) const MAX_JOURNAL: u64 = (RECORD_SIZE as u64) * 655_360;

/// An open journal, to which parts are appended.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of an upload and cuts off a torn last record. One that does not exist, or that is not
    /// believed, is begun anew.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, read or written.
    pub fn open(path: &Path, upload: &UploadId) -> Result<(Self, JournalContents), StateError> {
        let bytes = match file::read(path, MAX_JOURNAL) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StateError::io("read", path)(error)),
        };
        let mut journal = Self::on(path)?;
        let contents = record::read(&bytes, upload);
        let whole = match contents.disbelieved {
            Some(_) => 0,
            None => bytes.len() - bytes.len() % RECORD_SIZE,
        };
        // No run has written anything beyond the longest journal.
        if journal.file.metadata().map_err(StateError::io("read", path))?.len() != whole as u64 {
            journal.file.set_len(whole as u64).map_err(StateError::io("repair", path))?;
        }
        if whole == 0 {
            journal.write(&record::encode_header(upload))?;
        }
        Ok((journal, contents))
    }

    /// Opens the journal to append to it, whatever it holds.
    pub(crate) fn on(path: &Path) -> Result<Self, StateError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(StateError::io("open", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends a part. A tag that is too long for a record comes from ListParts again.
    ///
    /// # Errors
    ///
    /// When the record cannot be written: the disk is full. A record written in part is cut off, here or when the
    /// journal is next opened; nothing may be appended after a failure.
    pub fn append(&mut self, part: &PartRecord) -> Result<(), StateError> {
        match record::encode_part(part) {
            Some(record) => self.write(&record),
            None => Ok(()),
        }
    }

    /// Notes that Complete is about to be sent, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn append_completing(&mut self) -> Result<(), StateError> {
        self.write(&record::encode_completing())?;
        self.sync_handle()?.sync_data().map_err(StateError::io("sync", &self.path))
    }

    /// Returns a handle for syncing off the async runtime.
    ///
    /// # Errors
    ///
    /// When the system has no more handles.
    pub fn sync_handle(&self) -> Result<File, StateError> {
        self.file.try_clone().map_err(StateError::io("sync", &self.path))
    }

    fn write(&mut self, record: &[u8; RECORD_SIZE]) -> Result<(), StateError> {
        let before = self.file.metadata().map_err(StateError::io("write", &self.path))?.len();
        self.file.write_all(record).map_err(|error| {
            // A torn last record is cut off when the journal is opened, but why leave one.
            let _ = self.file.set_len(before);
            StateError::io("write", &self.path)(error)
        })
    }

    /// Returns what a failed sync means.
    pub(crate) fn sync_failed(&self, error: io::Error) -> StateError {
        StateError::io("sync", &self.path)(error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{part, upload};
    use super::*;
    use crate::model::Crc64;

    fn open(path: &Path) -> (Journal, JournalContents) {
        Journal::open(path, &upload()).unwrap()
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, contents) = open(&path);
        assert_eq!(contents, JournalContents::default());
        for n in [3, 1, 2] {
            journal.append(&part(n)).unwrap();
        }
        let replaced = PartRecord { crc64: Crc64(7), ..part(2) };
        journal.append(&replaced).unwrap();
        journal.append_completing().unwrap();
        let (_, contents) = open(&path);
        assert_eq!(contents.parts, [part(1), replaced, part(3)]);
        assert!(contents.completing && contents.doubts().is_empty());
        assert_eq!(
            std::fs::metadata(&path).unwrap().len(),
            6 * RECORD_SIZE as u64,
            "the header is written once"
        );
    }

    #[test]
    fn a_torn_tail_is_cut_off_before_more_is_appended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let bytes = record::encode(&upload(), &[part(1), part(2)]);
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let (mut journal, contents) = open(&path);
        assert_eq!(contents.parts, [part(1)]);
        journal.append(&part(3)).unwrap();
        assert_eq!(open(&path).1.parts, [part(1), part(3)]);
    }

    #[test]
    fn a_journal_that_is_not_believed_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let other = UploadId::new("another");
        std::fs::write(&path, record::encode(&other, &[part(1), part(2)])).unwrap();
        let (mut journal, contents) = open(&path);
        assert!(contents.disbelieved.is_some());
        journal.append(&part(3)).unwrap();
        let (_, contents) = open(&path);
        assert_eq!((contents.parts, contents.disbelieved), (vec![part(3)], None));
    }

    #[test]
    fn of_a_journal_without_end_the_beginning_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, record::encode(&upload(), &[part(1)])).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(30 << 30).unwrap();
        let (mut journal, contents) = open(&path);
        assert_eq!(contents.parts, [part(1)]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX_JOURNAL);
        journal.append(&part(2)).unwrap();
    }

    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        open(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
