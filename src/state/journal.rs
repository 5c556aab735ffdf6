//! The append-only log of acknowledged parts.
//!
//! A record has [`RECORD_SIZE`] bytes, integers little-endian:
//!
//! | Offset | Field |
//! |---|---|
//! | 0 | record kind: 1 part, 2 completing |
//! | 1 | content kind of the part: 0 source |
//! | 2 | part number, u16 |
//! | 4, 12 | start and end of its range, u64 |
//! | 20 | CRC-64 of its bytes, u64 |
//! | 28 | length of the ETag |
//! | 29 | the ETag, padded with zeros |
//! | 87 | how the part was proved: 0 not, 1 by CRC-64, 2 by MD5 |
//! | 88 | CRC-64 of the 88 bytes before, u64 |

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{StateError, file};
use crate::checksum;
use crate::model::limits::MAX_PARTS;
use crate::model::{ByteRange, Crc64, ETag, PartNumber, PartProof, PartRecord};

const RECORD_SIZE: usize = 96;
const CHECKED: usize = RECORD_SIZE - 8;
const ETAG_AT: usize = 29;
const PROOF_AT: usize = CHECKED - 1;
const MAX_ETAG: usize = PROOF_AT - ETAG_AT;
/// The journal of an upload with every part number used stays under 1 MiB.
const _: () = assert!(RECORD_SIZE <= 100 && RECORD_SIZE * (MAX_PARTS as usize + 1) <= 1 << 20);

/// Longest journal that is read (60 MiB): a part is recorded each time that it gets in, and that is seldom twice.
pub(super) const MAX_JOURNAL: u64 = (RECORD_SIZE as u64) * 655_360;

const KIND_PART: u8 = 1;
const KIND_COMPLETING: u8 = 2;
const CONTENT_SOURCE: u8 = 0;

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalContents {
    /// The parts, in the order of their numbers; of several records of one number the last.
    pub parts: Vec<PartRecord>,
    /// Whether Complete may have been sent.
    pub completing: bool,
    /// How many records were damaged and are ignored.
    pub damaged: usize,
}

/// An open journal, to which parts are appended.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal, made empty if it does not exist, and cuts off a torn last record.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, read or written.
    pub fn open(path: &Path) -> Result<(Self, JournalContents), StateError> {
        let bytes = match file::read(path, MAX_JOURNAL) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StateError::io("read", path)(error)),
        };
        let journal = Self::on(path)?;
        let whole = bytes.len() - bytes.len() % RECORD_SIZE;
        // No run has written anything beyond the longest journal.
        if journal.file.metadata().map_err(StateError::io("read", path))?.len() != whole as u64 {
            journal.file.set_len(whole as u64).map_err(StateError::io("repair", path))?;
        }
        Ok((journal, read(&bytes)))
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
        match encode_part(part) {
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
        let mut record = [0; RECORD_SIZE];
        record[0] = KIND_COMPLETING;
        self.write(&seal(record))?;
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

/// Returns a journal of these parts.
pub(super) fn encode(parts: &[PartRecord]) -> Vec<u8> {
    parts.iter().filter_map(encode_part).flatten().collect()
}

fn encode_part(part: &PartRecord) -> Option<[u8; RECORD_SIZE]> {
    let etag = part.etag.as_str().as_bytes();
    if etag.len() > MAX_ETAG {
        return None;
    }
    let mut record = [0; RECORD_SIZE];
    record[0] = KIND_PART;
    record[1] = CONTENT_SOURCE;
    record[2..4].copy_from_slice(&part.number.get().to_le_bytes());
    record[4..12].copy_from_slice(&part.range.start.to_le_bytes());
    record[12..20].copy_from_slice(&part.range.end.to_le_bytes());
    record[20..28].copy_from_slice(&part.crc64.0.to_le_bytes());
    record[28] = etag.len() as u8;
    record[ETAG_AT..ETAG_AT + etag.len()].copy_from_slice(etag);
    record[PROOF_AT] = match part.proof {
        PartProof::Nothing => 0,
        PartProof::Crc64 => 1,
        PartProof::Md5 => 2,
    };
    Some(seal(record))
}

fn seal(mut record: [u8; RECORD_SIZE]) -> [u8; RECORD_SIZE] {
    let crc = checksum::of(&record[..CHECKED]);
    record[CHECKED..].copy_from_slice(&crc.0.to_le_bytes());
    record
}

/// Reads what is whole and undamaged. Any bytes are read without failing.
pub(crate) fn read(bytes: &[u8]) -> JournalContents {
    let mut contents = JournalContents::default();
    let mut parts = std::collections::BTreeMap::new();
    for record in bytes.chunks_exact(RECORD_SIZE) {
        match decode(record) {
            Some(Record::Part(part)) => {
                parts.insert(part.number, part);
            }
            Some(Record::Completing) => contents.completing = true,
            None => contents.damaged += 1,
        }
    }
    contents.parts = parts.into_values().collect();
    contents
}

enum Record {
    Part(PartRecord),
    Completing,
}

fn decode(record: &[u8]) -> Option<Record> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(record.get(at..at + 8)?.try_into().ok()?));
    if checksum::of(record.get(..CHECKED)?).0 != u64_at(CHECKED)? {
        return None;
    }
    match (record[0], record[1]) {
        (KIND_COMPLETING, _) => Some(Record::Completing),
        (KIND_PART, CONTENT_SOURCE) => {
            let (start, end) = (u64_at(4)?, u64_at(12)?);
            let etag = record.get(ETAG_AT..ETAG_AT + usize::from(record[28]))?;
            // In a record of an older version the byte is 0, or the last of a tag that fills all the space.
            let proof = match (etag.len() <= MAX_ETAG, record[PROOF_AT]) {
                (true, 1) => PartProof::Crc64,
                (true, 2) => PartProof::Md5,
                _ => PartProof::Nothing,
            };
            Some(Record::Part(PartRecord {
                number: PartNumber::new(u16::from_le_bytes([record[2], record[3]]))?,
                range: (start <= end).then(|| ByteRange::new(start, end))?,
                etag: ETag::new(std::str::from_utf8(etag).ok()?),
                crc64: Crc64(u64_at(20)?),
                proof,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(n: u16) -> PartRecord {
        let start = u64::from(n - 1) * 1000;
        PartRecord {
            number: PartNumber::new(n).unwrap(),
            range: ByteRange::new(start, start + 1000),
            etag: ETag::new(format!("\"{n:032X}\"")),
            crc64: Crc64(u64::from(n) << 40),
            proof: [PartProof::Nothing, PartProof::Crc64, PartProof::Md5][usize::from(n % 3)],
        }
    }

    fn journal_of(parts: &[PartRecord]) -> Vec<u8> {
        parts.iter().flat_map(|part| encode_part(part).unwrap()).collect()
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, contents) = Journal::open(&path).unwrap();
        assert_eq!(contents, JournalContents::default());
        for n in [3, 1, 2] {
            journal.append(&part(n)).unwrap();
        }
        let replaced = PartRecord { crc64: Crc64(7), ..part(2) };
        journal.append(&replaced).unwrap();
        journal.append_completing().unwrap();
        let (_, contents) = Journal::open(&path).unwrap();
        assert_eq!(contents.parts, [part(1), replaced, part(3)]);
        assert!(contents.completing);
    }

    #[test]
    fn a_torn_tail_is_cut_off_before_more_is_appended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let bytes = journal_of(&[part(1), part(2)]);
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let (mut journal, contents) = Journal::open(&path).unwrap();
        assert_eq!(contents.parts, [part(1)]);
        journal.append(&part(3)).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1.parts, [part(1), part(3)]);
    }

    #[test]
    fn records_of_older_versions_are_read_and_prove_nothing() {
        let mut record = encode_part(&part(1)).unwrap();
        record[PROOF_AT] = 0;
        let read_back = read(&seal(record)).parts;
        assert_eq!(read_back, [PartRecord { proof: PartProof::Nothing, ..part(1) }]);
        // A tag that filled all the space there was.
        record[28] = (CHECKED - ETAG_AT) as u8;
        record[ETAG_AT..CHECKED].fill(2);
        assert_eq!(read(&seal(record)).parts[0].proof, PartProof::Nothing);
    }

    #[test]
    fn of_a_journal_without_end_the_beginning_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, journal_of(&[part(1)])).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(30 << 30).unwrap();
        let (mut journal, contents) = Journal::open(&path).unwrap();
        assert_eq!(contents.parts, [part(1)]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX_JOURNAL);
        journal.append(&part(2)).unwrap();
    }

    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        Journal::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    proptest! {
        #[test]
        fn cut_anywhere_or_a_bit_flipped_it_tells_no_wrong_part(
            count in 1u16..20, cut: prop::sample::Index, bit: prop::sample::Index,
        ) {
            let parts: Vec<_> = (1..=count).map(part).collect();
            let mut bytes = journal_of(&parts);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let contents = read(&bytes);
            prop_assert_eq!(contents.damaged, 1);
            prop_assert_eq!(contents.parts.len(), parts.len() - 1);
            bytes.truncate(cut.index(bytes.len() + 1));
            prop_assert!(read(&bytes).parts.iter().all(|part| parts.contains(part)));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
