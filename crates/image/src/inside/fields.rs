//! Numbers in structures whose offsets and lengths the disk says: nothing is believed to lie inside.

use super::volume::Reason;

/// The bytes of a structure, and what it is, for the reason why it cannot be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    /// Says that the structure cannot be as it is.
    pub(super) fn damaged(&self) -> Reason {
        format!("{} is damaged", self.what)
    }

    pub(super) fn slice(&self, at: usize, length: usize) -> Result<&'a [u8], Reason> {
        let end = at.checked_add(length).ok_or_else(|| self.damaged())?;
        self.bytes.get(at..end).ok_or_else(|| self.damaged())
    }

    pub(super) fn rest(&self, at: usize) -> Result<&'a [u8], Reason> {
        self.bytes.get(at..).ok_or_else(|| self.damaged())
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Reason> {
        Ok(self.slice(at, N)?.try_into().expect("the slice has N bytes"))
    }

    pub(super) fn u8(&self, at: usize) -> Result<u8, Reason> {
        Ok(self.array::<1>(at)?[0])
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16, Reason> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, Reason> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: usize) -> Result<u64, Reason> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// Returns a number of 32 bits that is an offset or a length.
    pub(super) fn size(&self, at: usize) -> Result<usize, Reason> {
        usize::try_from(self.u32(at)?).map_err(|_| self.damaged())
    }
}

/// Returns the units of UTF-16 in little-endian bytes; a byte too many is left out.
pub(super) fn utf16(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect()
}
