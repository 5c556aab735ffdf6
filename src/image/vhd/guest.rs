use super::UNUSED;
use super::footer::DynamicHeader;
use crate::image::read::array;
use crate::read::{ReadAt, ReadError, check_range};

/// The disk inside a VHD file.
#[derive(Debug)]
pub(in crate::image) struct Guest<'a> {
    file: &'a dyn ReadAt,
    size: u64,
    /// The block table of a dynamic disk; a fixed one begins with its first sector.
    blocks: Option<DynamicHeader>,
}

impl<'a> Guest<'a> {
    pub(super) fn fixed(file: &'a dyn ReadAt, size: u64) -> Self {
        Self { file, size, blocks: None }
    }

    pub(super) fn dynamic(file: &'a dyn ReadAt, size: u64, header: DynamicHeader) -> Self {
        Self { file, size, blocks: Some(header) }
    }
}

impl ReadAt for Guest<'_> {
    fn length(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.size, offset, buffer.len())?;
        let Some(header) = &self.blocks else { return self.file.read_at(offset, buffer) };
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let (block, inside) = (position / header.block_size, position % header.block_size);
            let left = usize::try_from(header.block_size - inside).unwrap_or(usize::MAX);
            let count = left.min(buffer.len() - done);
            let target = &mut buffer[done..done + count];
            if block >= header.entries {
                return Err(ReadError::Unreadable("its end is not in the block table"));
            }
            let entry = u32::from_be_bytes(array(self.file, header.table_offset + block * 4)?);
            if entry == UNUSED {
                target.fill(0);
            } else {
                self.file.read_at(u64::from(entry) * 512 + header.bitmap() + inside, target)?;
            }
            done += count;
        }
        Ok(())
    }
}
