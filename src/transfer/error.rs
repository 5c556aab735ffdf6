use std::io;

use crate::client::CallError;
use crate::model::{ByteRange, Crc64, PartNumber};

/// Why not all parts got in. Those that did are kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A part could not be sent.
    #[error("cannot upload part {number} ({} bytes at offset {})", range.len(), range.start)]
    Part {
        /// The part's number.
        number: PartNumber,
        /// Its bytes of the object.
        range: ByteRange,
        /// Why.
        source: Box<CallError>,
    },
    /// The source could not be read.
    #[error("cannot read the source at offset {offset}")]
    Source {
        /// Where, in bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The service has other bytes than were sent, again after the part was read and sent once more.
    #[error("part {number} arrived damaged twice: CRC-64 {theirs} there, {ours} here")]
    Damaged {
        /// The part's number.
        number: PartNumber,
        /// What was read here.
        ours: Crc64,
        /// What the service got.
        theirs: Crc64,
    },
    /// It was stopped from outside.
    #[error("the upload was stopped")]
    Cancelled,
}
