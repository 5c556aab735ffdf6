//! The records of a journal.
//!
//! A record has [`RECORD_SIZE`] bytes, integers little-endian. All end alike:
//!
//! | Offset | Field |
//! |---|---|
//! | 0 | record kind: 0 header, 1 part, 2 completing |
//! | 88 | CRC-64 of the 88 bytes before, u64 |
//!
//! The header comes first, and says whose the others are. The journals of 0.1.0 have none.
//!
//! | Offset | Field |
//! |---|---|
//! | 2 | `ossup journal` |
//! | 16 | [`JOURNAL_VERSION`], u32 |
//! | 20 | CRC-64 of the upload's id, u64 |
//!
//! A part:
//!
//! | Offset | Field |
//! |---|---|
//! | 1 | what it is made of: 0 bytes of the source |
//! | 2 | part number, u16 |
//! | 4, 12 | start and end of its range, u64 |
//! | 20 | CRC-64 of its bytes, u64 |
//! | 28 | length of the ETag |
//! | 29 | the ETag, padded with zeros |
//! | 87 | how the part was proved: 0 not, 1 by CRC-64, 2 by MD5 |
//!
//! A newer version may add kinds of records that can be passed over: without them, parts are verified once more than
//! they need to be. Anything that changes what the other records mean has to come with another [`JOURNAL_VERSION`].

use std::collections::BTreeMap;
use std::fmt;

use crate::checksum;
use crate::model::limits::MAX_PARTS;
use crate::model::{ByteRange, Crc64, ETag, PartNumber, PartProof, PartRecord, UploadId};

pub(super) const RECORD_SIZE: usize = 96;
/// Version of the records' format; a reader believes no record of another one.
const JOURNAL_VERSION: u32 = 1;

const MAGIC: &[u8] = b"ossup journal";
const VERSION_AT: usize = 16;
const UPLOAD_AT: usize = 20;
const CHECKED: usize = RECORD_SIZE - 8;
const ETAG_AT: usize = 29;
const PROOF_AT: usize = CHECKED - 1;
const MAX_ETAG: usize = PROOF_AT - ETAG_AT;
/// The journal of an upload with every part number used stays under 1 MiB, header and completing included.
const _: () = assert!(RECORD_SIZE <= 100 && RECORD_SIZE * (MAX_PARTS as usize + 2) <= 1 << 20);

const KIND_HEADER: u8 = 0;
const KIND_PART: u8 = 1;
const KIND_COMPLETING: u8 = 2;
const CONTENT_SOURCE: u8 = 0;

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalContents {
    /// The parts, in the order of their numbers; of several records of one number the last.
    pub parts: Vec<PartRecord>,
    /// Whether Complete may have been sent.
    pub completing: bool,
    /// How many records were damaged and are ignored.
    pub damaged: usize,
    /// How many undamaged records are of a kind that only a newer version knows, and are ignored.
    pub foreign: usize,
    /// Why nothing that the journal says is believed; it is as if it were empty then.
    pub disbelieved: Option<Disbelief>,
}

/// Why a journal is not believed, although it is not damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disbelief {
    /// It is another upload's.
    AnotherUpload,
    /// It is of another version's format.
    AnotherVersion(u32),
}

impl JournalContents {
    /// Returns what is wrong with the journal, in sentences for its user. The parts that it does not name are verified
    /// instead.
    pub fn doubts(&self) -> Vec<String> {
        let records = |count: usize, what: &str, then: &str| {
            let s = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {what} record{s}{then}"))
        };
        let doubts = [
            self.disbelieved.map(|why| format!("{why}: all parts are verified instead")),
            records(self.damaged, "damaged journal", ": those parts are verified instead"),
            records(
                self.foreign,
                "journal",
                " of a newer version of ossup: parts that nothing else names are verified instead",
            ),
        ];
        doubts.into_iter().flatten().collect()
    }
}

impl fmt::Display for Disbelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherUpload => f.write_str("the journal is another upload's"),
            Self::AnotherVersion(version) => {
                write!(f, "the journal was written by another version of ossup (format {version})")
            }
        }
    }
}

/// Returns a journal of these parts.
pub(super) fn encode(upload: &UploadId, parts: &[PartRecord]) -> Vec<u8> {
    let parts = parts.iter().filter_map(encode_part);
    std::iter::once(encode_header(upload)).chain(parts).flatten().collect()
}

/// Returns the record that begins the journal of an upload.
pub(super) fn encode_header(upload: &UploadId) -> [u8; RECORD_SIZE] {
    let mut record = [0; RECORD_SIZE];
    record[0] = KIND_HEADER;
    record[2..2 + MAGIC.len()].copy_from_slice(MAGIC);
    record[VERSION_AT..VERSION_AT + 4].copy_from_slice(&JOURNAL_VERSION.to_le_bytes());
    record[UPLOAD_AT..UPLOAD_AT + 8].copy_from_slice(&mark(upload).to_le_bytes());
    seal(record)
}

/// Returns the record of a part; none if the part's tag is too long for one.
pub(super) fn encode_part(part: &PartRecord) -> Option<[u8; RECORD_SIZE]> {
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

/// Returns the record that says that Complete may have been sent.
pub(super) fn encode_completing() -> [u8; RECORD_SIZE] {
    let mut record = [0; RECORD_SIZE];
    record[0] = KIND_COMPLETING;
    seal(record)
}

fn seal(mut record: [u8; RECORD_SIZE]) -> [u8; RECORD_SIZE] {
    let crc = checksum::of(&record[..CHECKED]);
    record[CHECKED..].copy_from_slice(&crc.0.to_le_bytes());
    record
}

fn mark(upload: &UploadId) -> u64 {
    checksum::of(upload.as_str().as_bytes()).0
}

/// Reads what is whole and undamaged of the journal of an upload. Any bytes are read without failing.
pub(crate) fn read(bytes: &[u8], upload: &UploadId) -> JournalContents {
    let mut contents = JournalContents::default();
    let mut parts = BTreeMap::new();
    for record in bytes.chunks_exact(RECORD_SIZE) {
        match decode(record) {
            Some(Record::Header { version, .. }) if version != JOURNAL_VERSION => {
                contents.disbelieved = Some(Disbelief::AnotherVersion(version));
            }
            Some(Record::Header { upload: whose, .. }) if whose != mark(upload) => {
                contents.disbelieved = Some(Disbelief::AnotherUpload);
            }
            Some(Record::Header { .. }) => {}
            Some(Record::Part(part)) => {
                parts.insert(part.number, part);
            }
            Some(Record::Completing) => contents.completing = true,
            Some(Record::Foreign) => contents.foreign += 1,
            None => contents.damaged += 1,
        }
    }
    if contents.disbelieved.is_some() {
        return JournalContents { disbelieved: contents.disbelieved, ..JournalContents::default() };
    }
    contents.parts = parts.into_values().collect();
    contents
}

enum Record {
    Header { version: u32, upload: u64 },
    Part(PartRecord),
    Completing,
    Foreign,
}

/// Reads a record; nothing if it is damaged.
fn decode(record: &[u8]) -> Option<Record> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(record.get(at..at + 8)?.try_into().ok()?));
    if checksum::of(record.get(..CHECKED)?).0 != u64_at(CHECKED)? {
        return None;
    }
    match (record[0], record[1]) {
        (KIND_HEADER, _) if record[2..].starts_with(MAGIC) => Some(Record::Header {
            version: u32::from_le_bytes(record.get(VERSION_AT..VERSION_AT + 4)?.try_into().ok()?),
            upload: u64_at(UPLOAD_AT)?,
        }),
        (KIND_HEADER, _) => None,
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
        _ => Some(Record::Foreign),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn part(n: u16) -> PartRecord {
        let start = u64::from(n - 1) * 1000;
        PartRecord {
            number: PartNumber::new(n).unwrap(),
            range: ByteRange::new(start, start + 1000),
            etag: ETag::new(format!("\"{n:032X}\"")),
            crc64: Crc64(u64::from(n) << 40),
            proof: [PartProof::Nothing, PartProof::Crc64, PartProof::Md5][usize::from(n % 3)],
        }
    }

    pub(in super::super) fn upload() -> UploadId {
        UploadId::new("0004B9894A22E5B1888A1E29F8236E2D")
    }

    fn journal_of(parts: &[PartRecord]) -> Vec<u8> {
        encode(&upload(), parts)
    }

    #[test]
    fn records_of_older_versions_are_read_and_prove_nothing() {
        let mut record = encode_part(&part(1)).unwrap();
        record[PROOF_AT] = 0;
        let read_back = read(&seal(record), &upload()).parts;
        assert_eq!(read_back, [PartRecord { proof: PartProof::Nothing, ..part(1) }]);
        // A tag that filled all the space there was.
        record[28] = (CHECKED - ETAG_AT) as u8;
        record[ETAG_AT..CHECKED].fill(2);
        assert_eq!(read(&seal(record), &upload()).parts[0].proof, PartProof::Nothing);
    }

    #[test]
    fn a_journal_without_a_header_is_read_as_one_with_it() {
        let bytes = journal_of(&[part(1), part(2)]);
        let contents = read(&bytes, &upload());
        assert_eq!(contents.parts, [part(1), part(2)]);
        assert_eq!(read(&bytes[RECORD_SIZE..], &upload()), contents);
        assert_eq!(contents.doubts(), <[String; 0]>::default());
    }

    #[test]
    fn of_another_upload_s_journal_nothing_is_believed() {
        let bytes = [journal_of(&[part(1)]), encode_completing().to_vec()].concat();
        let contents = read(&bytes, &UploadId::new("another"));
        let disbelieved = Some(Disbelief::AnotherUpload);
        assert_eq!(contents, JournalContents { disbelieved, ..JournalContents::default() });
        let said = contents.doubts();
        assert_eq!(said, ["the journal is another upload's: all parts are verified instead"]);
    }

    #[test]
    fn of_a_journal_of_another_format_nothing_is_believed() {
        let mut header = encode_header(&upload());
        header[VERSION_AT] = 2;
        let bytes = [seal(header), encode_part(&part(1)).unwrap()].concat();
        let contents = read(&bytes, &upload());
        assert_eq!((contents.parts.len(), contents.disbelieved), (0, Some(Disbelief::AnotherVersion(2))));
        assert!(contents.doubts()[0].contains("another version of ossup (format 2)"));
    }

    #[test]
    fn an_unknown_kind_is_not_taken_for_damage() {
        let mut unknown = [0; RECORD_SIZE];
        unknown[0] = 3;
        let mut other_content = encode_part(&part(3)).unwrap();
        other_content[1] = 1;
        let mut damaged = encode_part(&part(2)).unwrap();
        damaged[5] ^= 1;
        let records = [encode_part(&part(1)).unwrap(), seal(unknown), seal(other_content), damaged];
        let contents = read(&records.concat(), &upload());
        assert_eq!((contents.foreign, contents.damaged), (2, 1));
        assert_eq!(contents.parts, [part(1)]);
        assert_eq!(
            contents.doubts(),
            [
                "1 damaged journal record: those parts are verified instead",
                "2 journal records of a newer version of ossup: parts that nothing else names are verified instead",
            ]
        );
    }

    #[test]
    fn what_a_right_checksum_covers_may_still_be_impossible() {
        let mut backwards = encode_part(&part(1)).unwrap();
        backwards[12..20].fill(0);
        backwards[4] = 1;
        let mut no_number = encode_part(&part(1)).unwrap();
        no_number[2..4].fill(0);
        let no_header = [0; RECORD_SIZE];
        let contents = read(&[backwards, no_number, no_header].map(seal).concat(), &upload());
        assert_eq!(contents, JournalContents { damaged: 3, ..JournalContents::default() });
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
            let contents = read(&bytes, &upload());
            let lost = usize::from(bit / 8 >= RECORD_SIZE);
            prop_assert_eq!((contents.damaged, contents.foreign, contents.disbelieved), (1, 0, None));
            prop_assert_eq!(contents.parts.len(), parts.len() - lost);
            bytes.truncate(cut.index(bytes.len() + 1));
            prop_assert!(read(&bytes, &upload()).parts.iter().all(|part| parts.contains(part)));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &upload());
        }
    }
}
