use crate::fix::Fix;
use crate::format::Format;
use crate::read::{be16, be32, be64};

/// The largest geometry: cylinders, heads, sectors. What is larger than it can describe (127 GiB), or was not to be
/// described by it, carries it too, so that it says nothing.
const MAX_GEOMETRY: (u16, u8, u8) = (65_535, 16, 255);

/// How a VHD keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fixed,
    Dynamic,
    Differencing,
    Other(u32),
}

/// A footer of 512 bytes.
#[derive(Debug, Clone)]
pub(super) struct Footer {
    /// Whether the checksum is right.
    pub(super) sound: bool,
    pub(super) data_offset: u64,
    pub(super) creator: [u8; 4],
    pub(super) current_size: u64,
    cylinders: u16,
    heads: u8,
    sectors: u8,
    pub(super) kind: Kind,
    pub(super) saved_state: bool,
}

impl Footer {
    pub(super) fn read(bytes: &[u8; 512]) -> Self {
        Self {
            sound: checksum(bytes, 64) == be32(bytes, 64),
            data_offset: be64(bytes, 16),
            creator: [bytes[28], bytes[29], bytes[30], bytes[31]],
            current_size: be64(bytes, 48),
            cylinders: be16(bytes, 56),
            heads: bytes[58],
            sectors: bytes[59],
            kind: match be32(bytes, 60) {
                2 => Kind::Fixed,
                3 => Kind::Dynamic,
                4 => Kind::Differencing,
                other => Kind::Other(other),
            },
            saved_state: bytes[84] == 1,
        }
    }

    /// Returns the bytes that the geometry describes.
    pub(super) fn chs_size(&self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors) * 512
    }

    /// Whether the geometry is the largest one.
    fn has_max_geometry(&self) -> bool {
        (self.cylinders, self.heads, self.sectors) == MAX_GEOMETRY
    }

    /// Returns the size that a reader which believes the geometry sees. QEMU believes that of Virtual PC and of its
    /// own images without force_size, unless it is the largest; of all other creators it takes the current size.
    pub(super) fn geometry_size(&self) -> Option<u64> {
        let believed = [*b"vpc ", *b"qemu"].contains(&self.creator) && !self.has_max_geometry();
        believed.then(|| self.chs_size())
    }

    /// Returns what makes a QCOW2 of the same size of it.
    pub(super) fn to_qcow2(&self) -> Fix {
        match self.geometry_size() {
            Some(size) if size != self.current_size => Fix::vhd_by_current_size(),
            _ => Fix::to_qcow2(Format::Vhd),
        }
    }

    /// Whether the geometry means to say something, and says another size than the footer.
    pub(super) fn geometry_differs(&self) -> bool {
        !self.has_max_geometry() && self.chs_size() != self.current_size
    }
}

/// The header of a dynamic disk.
#[derive(Debug, Clone)]
pub(super) struct DynamicHeader {
    pub(super) table_offset: u64,
    pub(super) entries: u64,
    pub(super) block_size: u64,
}

impl DynamicHeader {
    /// Bytes of the header.
    pub(super) const LENGTH: u64 = 1024;

    pub(super) fn read(bytes: &[u8; Self::LENGTH as usize]) -> Result<Self, &'static str> {
        if !bytes.starts_with(b"cxsparse") {
            return Err("its signature is missing");
        }
        if checksum(bytes, 36) != be32(bytes, 36) {
            return Err("its checksum is wrong");
        }
        Ok(Self {
            table_offset: be64(bytes, 16),
            entries: be32(bytes, 28).into(),
            block_size: be32(bytes, 32).into(),
        })
    }

    /// Returns the bytes of the bitmap in front of each block: a bit per sector, in whole sectors.
    pub(super) fn bitmap(&self) -> u64 {
        (self.block_size / 4096).next_multiple_of(512).max(512)
    }
}

/// Returns the one's complement of the sum of all bytes but the four at `skip`.
pub(super) fn checksum(bytes: &[u8], skip: usize) -> u32 {
    let others = bytes[..skip].iter().chain(&bytes[skip + 4..]);
    !others.fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}
