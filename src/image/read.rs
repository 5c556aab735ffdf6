use std::cell::Cell;
use std::io;

/// Bytes that can be read at any position, without a cursor: a file, a buffer, an object by ranged GETs, or the
/// disk inside an image file.
pub trait ReadAt {
    /// Returns the length in bytes.
    fn length(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`ReadError::PastEnd`] if the range does not lie inside `0..length`; otherwise what the source says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError>;
}

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
    /// The range is not held yet: fetch it, give it to the [`FetchedRanges`](super::FetchedRanges) and inspect again.
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
    /// More than [`READ_BUDGET`](super::READ_BUDGET) would have to be read.
    #[error("an inspection would have to read more than it may")]
    Budget,
    /// The image's tables or compression do not let these bytes be found.
    #[error("{0}")]
    Unreadable(&'static str),
}

impl ReadError {
    /// Whether an inspection can continue without the bytes and report that, instead of failing.
    pub(super) fn is_gap(&self) -> bool {
        matches!(self, Self::Budget | Self::Unreadable(_) | Self::PastEnd { .. })
    }
}

/// Returns an error unless the range lies inside `0..length`.
pub(super) fn check_range(length: u64, offset: u64, wanted: usize) -> Result<(), ReadError> {
    match offset.checked_add(wanted as u64) {
        Some(end) if end <= length => Ok(()),
        _ => Err(ReadError::PastEnd { offset, length: wanted as u64 }),
    }
}

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        let start = usize::try_from(offset).expect("an offset inside a slice fits usize");
        buffer.copy_from_slice(&self[start..start + buffer.len()]);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> u64 {
        self.as_slice().length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.as_slice().read_at(offset, buffer)
    }
}

/// An open file whose length was read once, so that the length cannot change in the middle of an inspection.
#[cfg(unix)]
#[derive(Debug)]
pub struct DiskFile<'a> {
    file: &'a std::fs::File,
    length: u64,
}

#[cfg(unix)]
impl<'a> DiskFile<'a> {
    /// Asks for the file's length. The caller keeps and closes the file.
    ///
    /// # Errors
    ///
    /// When the file's metadata cannot be read.
    pub fn new(file: &'a std::fs::File) -> io::Result<Self> {
        Ok(Self { file, length: file.metadata()?.len() })
    }

    /// Takes a length that the caller knows; a block device's metadata says 0.
    pub fn with_length(file: &'a std::fs::File, length: u64) -> Self {
        Self { file, length }
    }
}

#[cfg(unix)]
impl ReadAt for DiskFile<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        use std::os::unix::fs::FileExt as _;

        check_range(self.length, offset, buffer.len())?;
        let length = buffer.len() as u64;
        self.file.read_exact_at(buffer, offset).map_err(|source| ReadError::Io { offset, length, source })
    }
}

/// Counts what is read and stops at a limit.
pub(super) struct Budgeted<'a> {
    inner: &'a dyn ReadAt,
    left: Cell<u64>,
}

impl<'a> Budgeted<'a> {
    pub(super) fn new(inner: &'a dyn ReadAt, limit: u64) -> Self {
        Self { inner, left: Cell::new(limit) }
    }
}

impl ReadAt for Budgeted<'_> {
    fn length(&self) -> u64 {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let left = self.left.get().checked_sub(buffer.len() as u64).ok_or(ReadError::Budget)?;
        self.inner.read_at(offset, buffer)?;
        self.left.set(left);
        Ok(())
    }
}

/// Part of another source, as a source itself.
pub(super) struct Slice<'a> {
    inner: &'a dyn ReadAt,
    start: u64,
    length: u64,
}

impl<'a> Slice<'a> {
    /// Takes `length` bytes from `start` on, less if the source ends before.
    pub(super) fn new(inner: &'a dyn ReadAt, start: u64, length: u64) -> Self {
        Self { inner, start, length: length.min(inner.length().saturating_sub(start)) }
    }
}

impl ReadAt for Slice<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        self.inner.read_at(self.start + offset, buffer)
    }
}

/// Reads exactly `N` bytes.
pub(super) fn array<const N: usize>(from: &dyn ReadAt, offset: u64) -> Result<[u8; N], ReadError> {
    let mut buffer = [0; N];
    from.read_at(offset, &mut buffer)?;
    Ok(buffer)
}

/// Reads up to `most` bytes, less at the end. `most` is a constant of the caller or checked against one.
pub(super) fn up_to(from: &dyn ReadAt, offset: u64, most: usize) -> Result<Vec<u8>, ReadError> {
    let there = from.length().saturating_sub(offset).min(most as u64);
    let mut buffer = vec![0; usize::try_from(there).expect("at most `most`, a usize")];
    if !buffer.is_empty() {
        from.read_at(offset, &mut buffer)?;
    }
    Ok(buffer)
}

/// Returns a field of a header that was read whole.
fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("the range has N bytes")
}

pub(super) fn be16(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(field(header, at))
}

pub(super) fn be32(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(field(header, at))
}

pub(super) fn be64(header: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(field(header, at))
}

pub(super) fn le16(header: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(header, at))
}

pub(super) fn le32(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(header, at))
}

pub(super) fn le64(header: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(header, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_reads_inside_its_bounds_only() {
        let bytes = b"0123456789".as_slice();
        assert_eq!(&array::<3>(&bytes.to_vec(), 7).unwrap(), b"789");
        let mut buffer = [0; 3];
        assert!(matches!(bytes.read_at(8, &mut buffer), Err(ReadError::PastEnd { offset: 8, length: 3 })));
        assert!(bytes.read_at(u64::MAX, &mut buffer).is_err());
        let whole = bytes.to_vec();
        let part = Slice::new(&whole, 4, 100);
        assert_eq!(part.length(), 6);
        assert_eq!(&array::<2>(&part, 4).unwrap(), b"89");
        assert!(array::<2>(&part, 5).is_err());
    }

    #[test]
    fn the_budget_ends_reading() {
        let bytes = vec![0u8; 100];
        let budgeted = Budgeted::new(&bytes, 60);
        assert!(up_to(&budgeted, 0, 50).is_ok());
        assert!(matches!(up_to(&budgeted, 0, 50), Err(ReadError::Budget)));
        assert!(up_to(&budgeted, 95, 50).is_ok(), "5 bytes are left of the source, 10 of the budget");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_read_at_positions() {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello world").unwrap();
        let disk = DiskFile::new(&file).unwrap();
        assert_eq!(disk.length(), 11);
        assert_eq!(&array::<5>(&disk, 6).unwrap(), b"world");
        assert!(array::<5>(&disk, 7).is_err());
        let lied = DiskFile::with_length(&file, 20);
        assert!(matches!(array::<5>(&lied, 10), Err(ReadError::Io { .. })));
    }
}
