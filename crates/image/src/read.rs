//! How the checks read: bounded, in parts, and number by number.

use std::sync::atomic::{AtomicU64, Ordering};

use ossup_core::read::{ReadAt, ReadError, check_range};

/// Counts what is read and stops at a limit.
#[derive(Debug)]
pub(super) struct Budgeted<'a> {
    inner: &'a dyn ReadAt,
    left: AtomicU64,
}

impl<'a> Budgeted<'a> {
    pub(super) fn new(inner: &'a dyn ReadAt, limit: u64) -> Self {
        Self { inner, left: AtomicU64::new(limit) }
    }
}

impl ReadAt for Budgeted<'_> {
    fn length(&self) -> u64 {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let wanted = buffer.len() as u64;
        let spent =
            self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(wanted));
        spent.map_err(|_| ReadError::Budget)?;
        self.inner.read_at(offset, buffer)
    }
}

/// What can be read without waiting. The rest is [`ReadError::Missing`].
#[derive(Debug)]
pub(super) struct Ready<'a, F>(pub(super) &'a F);

impl<F: ReadAt> ReadAt for Ready<'_, F> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        match self.0.read_ready(offset, buffer) {
            Some(count) if count == buffer.len() => Ok(()),
            _ => Err(ReadError::Missing { offset, length: buffer.len() as u64 }),
        }
    }
}

/// Part of another source, as a source itself.
#[derive(Debug)]
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
}
