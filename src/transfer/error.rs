use std::io;

use crate::client::CallError;
use crate::model::{ByteRange, Crc64, PartNumber};
use crate::plan::PlanError;

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
        /// The system's error.
        source: io::Error,
    },
    /// The network damages a part, however often it is sent.
    #[error("part {number} keeps arriving damaged: CRC-64 {theirs} there, {ours} here")]
    Damaged {
        /// The part's number.
        number: PartNumber,
        /// What was read here.
        ours: Crc64,
        /// What the service got.
        theirs: Crc64,
    },
    /// The source gave other bytes when a part that had arrived damaged was read once more.
    #[error("part {number} differs each time it is read: CRC-64 {first} and then {second}")]
    Unstable {
        /// The part's number.
        number: PartNumber,
        /// What was read and sent.
        first: Crc64,
        /// What was read after that.
        second: Crc64,
    },
    /// The object cannot be cut into parts.
    #[error("the object cannot be cut into parts")]
    Plan(#[source] PlanError),
    /// What is uploaded is not what the upload was begun with: a part that is in has other bytes. All parts are kept.
    #[error("the content differs from what the upload was begun with, in the part at offset {offset}")]
    OtherContent {
        /// Where that part begins, in bytes.
        offset: u64,
    },
    /// It was stopped from outside.
    #[error("the upload was stopped")]
    Cancelled,
}
