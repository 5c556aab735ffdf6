//! Maps that builders publish beside images: which ranges of an image hold data.
//!
//! A map declares: what it does not list *is* zeros, whatever the image's file holds there. bmap files are made
//! under that meaning, with unlisted blocks that were never written. So an image with a map is read through
//! [`Mapped`], which reads zeros there, and not even looks. A map that leaves out data cannot be found out but by
//! reading everything, which is what it saves; what can be found out is refused: a map of an image of another length,
//! a damaged file, and data that does not have the checksum that a bmap file gives it (`verify`).

mod bmap;
mod mapped;
mod passage;
mod qemu;
#[cfg(test)]
mod testing;
pub(crate) mod verify;

use std::fmt;

pub use mapped::Mapped;
pub use passage::MapPassage;
pub use verify::Mismatch;

use crate::model::ByteRange;
use verify::{Checksum, Verifier};

/// Longest file of a map that is read, in bytes (64 MiB): half a million ranges.
pub const MAX_MAP_FILE: usize = 64 << 20;

/// Which ranges of an image hold data. The rest is zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataMap {
    /// In units, so that the image may end inside the last one.
    length: u64,
    unit: u64,
    /// In order, apart from each other, not empty.
    data: Vec<ByteRange>,
    /// In order, apart from each other.
    checksums: Vec<(ByteRange, Checksum)>,
}

/// Why a map cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// It is longer than [`MAX_MAP_FILE`].
    #[error("the map is longer than {MAX_MAP_FILE} bytes; is it the map?")]
    TooLong,
    /// It has not the form of a map.
    #[error("the map cannot be understood: {0}")]
    Malformed(String),
    /// A bmap file of a version that is not read.
    #[error(
        "the bmap file has version `{0}`, and 1.4 to 2.0 can be read; make it anew with `bmaptool create`"
    )]
    Version(String),
    /// A bmap file does not have the checksum that it says.
    #[error("the bmap file does not have its own checksum: it is damaged or was edited; fetch it again")]
    Damaged,
    /// Its parts contradict each other.
    #[error("the map contradicts itself: {0}")]
    Contradiction(String),
    /// It is of an image of another length.
    #[error("the map is of another image: of {map} bytes, and this image has {image}")]
    OtherImage {
        /// The length of the image that was mapped, in bytes.
        map: u64,
        /// The length of the image at hand, in bytes.
        image: u64,
    },
}

impl DataMap {
    /// Reads a bmap file of the versions 1.4 to 2.0, with its checksums.
    ///
    /// # Errors
    ///
    /// If it is malformed or damaged, or its counts or ranges contradict each other.
    pub fn from_bmap(file: &[u8]) -> Result<Self, MapError> {
        bmap::parse(bounded(file)?)
    }

    /// Reads what `qemu-img map --output=json` writes, for an image of any format: what counts is the disk inside.
    ///
    /// # Errors
    ///
    /// If it is malformed, or its ranges do not follow each other from the disk's start on.
    pub fn from_qemu(json: &[u8]) -> Result<Self, MapError> {
        qemu::parse(bounded(json)?)
    }

    /// Returns the bytes of the ranges that hold data.
    pub fn data_bytes(&self) -> u64 {
        self.data.iter().map(|range| range.len()).sum()
    }

    /// Checks that the map can be one of an image of `length` bytes.
    ///
    /// # Errors
    ///
    /// If it is of another image.
    fn check_length(&self, length: u64) -> Result<(), MapError> {
        if length.checked_next_multiple_of(self.unit) == Some(self.length) {
            Ok(())
        } else {
            Err(MapError::OtherImage { map: self.length, image: length })
        }
    }

    /// Returns the next range of data from `from` on.
    fn next_data(&self, from: u64) -> Option<ByteRange> {
        let next = self.data.partition_point(|range| range.end <= from);
        self.data.get(next).map(|range| ByteRange::new(range.start.max(from), range.end))
    }

    /// Returns what compares the data with the checksums of the map; none if it has none.
    pub(crate) fn verifier(&self) -> Option<Verifier> {
        (!self.checksums.is_empty()).then(|| Verifier::new(self.checksums.clone()))
    }
}

fn bounded(file: &[u8]) -> Result<&[u8], MapError> {
    if file.len() > MAX_MAP_FILE { Err(MapError::TooLong) } else { Ok(file) }
}

/// Ranges of data as they are read from a file, which must come in order.
#[derive(Debug, Default)]
struct Ranges(Vec<ByteRange>);

impl Ranges {
    /// Adds a range that begins where the last one ends, or behind.
    fn push(&mut self, range: ByteRange) -> Result<(), MapError> {
        match self.0.last_mut() {
            Some(last) if range.start < last.end => Err(contradiction(format_args!(
                "the range from byte {} on begins before the end of the one before, {}",
                range.start, last.end
            ))),
            Some(last) if range.start == last.end => {
                last.end = range.end;
                Ok(())
            }
            _ => {
                self.0.push(range);
                Ok(())
            }
        }
    }
}

fn contradiction(what: fmt::Arguments<'_>) -> MapError {
    MapError::Contradiction(what.to_string())
}

fn malformed(what: fmt::Arguments<'_>) -> MapError {
    // What comes from the file may be long, and hold anything.
    MapError::Malformed(what.to_string().chars().take(200).flat_map(char::escape_debug).collect())
}
