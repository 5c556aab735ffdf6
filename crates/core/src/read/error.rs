use std::io;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system or the transport failed.
    #[error("cannot read {length} bytes at offset {offset}")]
    Io {
        /// First byte of the range.
        offset: u64,
        /// Bytes wanted.
        length: u64,
        /// What went wrong.
        source: io::Error,
    },
    /// The range is not held yet: fetch it, give it to the `FetchedRanges` of the crate `ossup-image` and inspect
    /// again.
    #[error("{length} bytes at offset {offset} are not fetched yet")]
    Missing {
        /// First byte to fetch.
        offset: u64,
        /// Bytes to fetch; never 0.
        length: u64,
    },
    /// The range reaches beyond the end.
    #[error("{length} bytes at offset {offset} lie beyond the end")]
    PastEnd {
        /// First byte of the range.
        offset: u64,
        /// Bytes wanted.
        length: u64,
    },
    /// More than `ossup_image::READ_BUDGET` would have to be read.
    #[error("an inspection would have to read more than it may")]
    Budget,
    /// The bytes of an image that passes once are not held: they have not come yet, or passed before it was known that
    /// they matter.
    #[error("{length} bytes at offset {offset} of a stream are not held")]
    Unseen {
        /// First byte of the range.
        offset: u64,
        /// Bytes wanted.
        length: u64,
    },
    /// The image's tables or compression do not let a byte of the disk inside be found.
    #[error("byte {offset} of the disk inside cannot be read: {reason}")]
    Unreadable {
        /// The byte of the disk.
        offset: u64,
        /// Why.
        reason: &'static str,
    },
    /// A byte of the disk inside an image lies beyond the end of the file.
    #[error(
        "byte {offset} of the disk inside cannot be read: it would be byte {at} of the file, which ends before"
    )]
    Truncated {
        /// The byte of the disk.
        offset: u64,
        /// The first byte of the file that is not there, or one behind it.
        at: u64,
    },
}

impl ReadError {
    /// Whether an inspection can continue without the bytes and report that, instead of failing.
    pub fn is_gap(&self) -> bool {
        matches!(self, Self::Budget | Self::Unreadable { .. } | Self::Truncated { .. } | Self::PastEnd { .. })
    }
}

/// The system's own error where there is one; the rest by kind: an end is `UnexpectedEof`.
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::Io { source, .. } => return source,
            ReadError::PastEnd { .. } | ReadError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            ReadError::Unreadable { .. } => io::ErrorKind::InvalidData,
            ReadError::Missing { .. } | ReadError::Unseen { .. } | ReadError::Budget => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Returns an error unless the range lies inside `0..length`.
pub fn check_range(length: u64, offset: u64, wanted: usize) -> Result<(), ReadError> {
    match offset.checked_add(wanted as u64) {
        Some(end) if end <= length => Ok(()),
        _ => Err(ReadError::PastEnd { offset, length: wanted as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_error_stays_what_it_is_and_an_end_is_an_end() {
        let io = |error: ReadError| io::Error::from(error);
        let source = io::Error::from_raw_os_error(5);
        assert_eq!(io(ReadError::Io { offset: 7, length: 1, source }).raw_os_error(), Some(5));
        let end = io(ReadError::PastEnd { offset: 7, length: 1 });
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        assert!(end.to_string().contains("at offset 7"), "{end}");
        assert_eq!(
            io(ReadError::Unreadable { offset: 7, reason: "a loop" }).kind(),
            io::ErrorKind::InvalidData
        );
    }
}
