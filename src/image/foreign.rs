//! The virtual size of formats that ECS does not take, for the report.

use super::format::Format;
use super::read::{ReadAt, ReadError, be64, le16, le32, le64, up_to};

/// Where a VHDX keeps its region table.
const VHDX_REGIONS_AT: u64 = 192 << 10;
/// Most entries of a VHDX table (2047 by its specification); more are not looked at.
const VHDX_MOST_ENTRIES: usize = 128;
/// GUID of the region that holds a VHDX's metadata (8B7CA206-4790-4B9A-B8FE-575F050F886E).
const VHDX_METADATA: [u8; 16] =
    [0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E];
/// GUID of the metadata item with the size (2FA54224-CD1B-4876-B211-5DBED83BF4B8).
const VHDX_DISK_SIZE: [u8; 16] =
    [0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8];

/// Reads the virtual size from a header, where the format has it at a known place.
pub(super) fn virtual_size(file: &dyn ReadAt, format: Format) -> Result<Option<u64>, ReadError> {
    let head = up_to(file, 0, 512)?;
    if head.len() < 512 {
        return Ok(None);
    }
    Ok(match format {
        Format::Qcow1 => Some(be64(&head, 24)),
        Format::Qed => Some(le64(&head, 48)),
        Format::Vdi => Some(le64(&head, 368)),
        Format::Vmdk if head.starts_with(b"KDMV") => le64(&head, 12).checked_mul(512),
        Format::Parallels if head.starts_with(b"WithouFreSpacExt") => le64(&head, 36).checked_mul(512),
        Format::Parallels => Some(u64::from(le32(&head, 36)) * 512),
        Format::Vhdx => return vhdx_size(file),
        _ => None,
    })
}

fn vhdx_size(file: &dyn ReadAt) -> Result<Option<u64>, ReadError> {
    let regions = up_to(file, VHDX_REGIONS_AT, 16 + 32 * VHDX_MOST_ENTRIES)?;
    if !regions.starts_with(b"regi") {
        return Ok(None);
    }
    let Some(region) = entry(&regions, 16, usize::from(le16(&regions, 8)), &VHDX_METADATA) else {
        return Ok(None);
    };
    let metadata_at = le64(region, 16);
    let metadata = up_to(file, metadata_at, 32 + 32 * VHDX_MOST_ENTRIES)?;
    if !metadata.starts_with(b"metadata") {
        return Ok(None);
    }
    let Some(item) = entry(&metadata, 32, usize::from(le16(&metadata, 10)), &VHDX_DISK_SIZE) else {
        return Ok(None);
    };
    let size = up_to(file, metadata_at.saturating_add(le32(item, 16).into()), 8)?;
    Ok((size.len() == 8).then(|| le64(&size, 0)))
}

/// Returns the entry of 32 bytes that begins with `guid`, in a table after a header of `skip` bytes.
fn entry<'a>(table: &'a [u8], skip: usize, count: usize, guid: &[u8; 16]) -> Option<&'a [u8]> {
    table.get(skip..)?.chunks_exact(32).take(count).find(|entry| entry.starts_with(guid))
}
