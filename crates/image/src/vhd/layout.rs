use super::UNUSED;
use super::footer::DynamicHeader;
use crate::guest::{Layout, Place, Stretch, Tables, repeated, unreadable};
use ossup_core::read::{ReadAt, ReadError};

/// Where a VHD file keeps its disk.
#[derive(Debug, Clone)]
pub(crate) struct Vhd {
    size: u64,
    /// The block table of a dynamic disk; a fixed one begins with its first sector.
    blocks: Option<DynamicHeader>,
}

impl Vhd {
    pub(super) fn fixed(size: u64) -> Self {
        Self { size, blocks: None }
    }

    pub(super) fn dynamic(size: u64, header: DynamicHeader) -> Self {
        Self { size, blocks: Some(header) }
    }
}

impl Vhd {
    /// Looks for what cannot be seen from one entry of the block table alone.
    pub(crate) fn check_tables(&self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let Some(header) = &self.blocks else { return Ok(()) };
        let block = |entry| Some(u32::from_be_bytes(entry)).filter(|entry| *entry != UNUSED).map(u64::from);
        match repeated::<4>(file, header.table_offset, header.entries, block)? {
            Some(index) => Err(ReadError::Unreadable {
                offset: index * header.block_size,
                reason: "its block is that of another part of the disk",
            }),
            None => Ok(()),
        }
    }
}

impl Layout for Vhd {
    fn size(&self) -> u64 {
        self.size
    }

    fn locate(&self, file: &dyn ReadAt, tables: &Tables, offset: u64) -> Result<Stretch, ReadError> {
        let Some(header) = &self.blocks else {
            return Ok(Stretch { place: Place::At(offset), end: self.size });
        };
        let (block, inside) = (offset / header.block_size, offset % header.block_size);
        if block >= header.entries {
            return Err(unreadable("its end is not in the block table"));
        }
        let end = offset.saturating_add(header.block_size - inside);
        let entry = u32::from_be_bytes(tables.entry(file, header.table_offset + block * 4)?);
        if entry == UNUSED {
            return Ok(Stretch { place: Place::Zero, end });
        }
        let start = u64::from(entry) * 512;
        let behind = start + header.bitmap() + header.block_size;
        let table_end = header.table_offset + header.entries * 4;
        if entry == 0 || start < table_end && header.table_offset < behind {
            return Err(unreadable("its block lies where none can be"));
        }
        Ok(Stretch { place: Place::At(start + header.bitmap() + inside), end })
    }
}
