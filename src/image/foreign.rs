//! Files that ECS does not take: what to do about them, and the size of the disks among them.

use super::finding::Findings;
use super::format::{Archive, Format, Inner};
use super::inspect::convert;
use super::read::{ReadAt, ReadError, be64, le16, le32, le64, up_to};
use super::report::Wishes;
use super::rule::Rule;
use crate::model::DiskFormat;

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

/// Reports files that are no importable disk, and what makes one of them.
pub(super) fn check(format: Format, wishes: &Wishes, findings: &mut Findings) {
    let to_qcow2 = || convert(wishes, format, "qcow2");
    match format {
        Format::Empty => findings.refuse(Rule::FEmpty, "the file is empty"),
        Format::Vmdk if wishes.format == Some(DiskFormat::Vmdk) => {
            findings.warn(Rule::FFormat, "VMDK is an invitational preview; accounts without it are refused");
        }
        Format::Vmdk => findings.fix(
            Rule::FFormat,
            "VMDK is taken from invited accounts only",
            format!("{} (or import it with --format vmdk if yours is)", to_qcow2()),
        ),
        Format::Qcow1 => findings.fix(Rule::QVer, "QCOW version 1 is not accepted", to_qcow2()),
        Format::Qed | Format::Vhdx | Format::Vdi | Format::Parallels => {
            findings.fix(Rule::FFormat, format!("the format {format} is not accepted"), to_qcow2());
        }
        Format::Dmg => {
            findings.fix(Rule::FFormat, "Apple's DMG is not accepted", convert(wishes, format, "raw"))
        }
        Format::VmdkDescriptor => findings.refuse(
            Rule::FFormat,
            "this is only the descriptor of a VMDK; the data is in the files that it names",
        ),
        Format::Luks => findings.refuse(Rule::FLuks, "the whole disk is encrypted"),
        Format::Compressed(compression, inner) => {
            let name = compression.name();
            let what = match inner {
                Some(Inner::Tar) => "; inside is a tar archive, which must be unpacked too".to_owned(),
                Some(Inner::Other) | None => String::new(),
                Some(inner) => format!("; inside is {}", inner.name()),
            };
            let program = if name == "lzma" { "xz --format=lzma" } else { name };
            findings.fix(
                Rule::FCompressed,
                format!("a file compressed with {name}{what}"),
                format!("{program} -dc {} > disk.img", wishes.word()),
            );
        }
        Format::Archive(archive) => findings.fix(
            Rule::FArchive,
            format!("a {} archive, not a disk image", archive.name()),
            match archive {
                Archive::Tar => format!("tar -xf {}", wishes.word()),
                Archive::Zip => format!("unzip {}", wishes.word()),
                Archive::SevenZip | Archive::Rar => format!("7z x {}", wishes.word()),
            },
        ),
        Format::Text => findings.refuse(Rule::FText, "looks like an error page or other text, not a disk"),
        Format::Raw | Format::Qcow2 | Format::Vhd | Format::Iso => {}
    }
}

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
