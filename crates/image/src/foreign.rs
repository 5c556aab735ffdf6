//! Files that ECS does not take: what to do about them, and the size of the disks among them.

use super::detect::VMDK_DESCRIPTOR;
use super::finding::{Finding, Findings, Severity};
use super::fix::{Command, Fix, new_file};
use super::format::{Archive, Compression, Format, Inner};
use super::read::{be32, be64, le16, le32, le64, up_to};
use super::report::Expected;
use super::rule::Rule;
use ossup_core::model::DiskFormat;
use ossup_core::read::{ReadAt, ReadError};

/// Where a VHDX keeps its two headers.
const VHDX_HEADERS_AT: [u64; 2] = [64 << 10, 128 << 10];
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

/// Reports files that are not importable disks, and how to make one of them.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn check(
    file: &dyn ReadAt,
    format: Format,
    expected: &Expected,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let not_accepted = |format: Format| format!("the format {format} is not accepted");
    match format {
        Format::Empty => findings.refuse(Rule::FEmpty, "the file is empty"),
        Format::Vmdk if is_extent(file)? => findings.refuse(
            Rule::FFormat,
            match descriptor_of(&expected.name) {
                Some(name) => format!("one of several files of a VMDK: inspect its descriptor, `{name}`"),
                None => "one of several files of a VMDK: inspect the descriptor that names it".to_owned(),
            },
        ),
        Format::Vmdk if expected.format == Some(DiskFormat::Vmdk) => {
            findings.warn(Rule::FFormat, "VMDK is an invitational preview; accounts without it are refused");
        }
        Format::Vmdk => findings.fix(
            Rule::FFormat,
            "VMDK is accepted from invited accounts only, and with --format VMDK",
            Fix::to_qcow2(format),
        ),
        Format::Qcow1 if is_encrypted_qcow1(file)? => findings.push(
            Finding::new(Rule::QCrypt, Severity::Refuse, "encrypted, and ECS has no key for it")
                .fixed_by("convert it with its key to an image without encryption"),
        ),
        Format::Qcow1 => findings.fix(Rule::QVer, "QCOW version 1 is not accepted", Fix::to_qcow2(format)),
        Format::Vhdx if has_dirty_log(file)? => {
            let Fix::Run { mut commands, result } = Fix::to_qcow2(format) else { unreachable!("it is a command") };
            commands.insert(0, Command::new("qemu-img", "check -f vhdx -r all IMAGE"));
            let message = "the format vhdx is not accepted, and this one was not closed cleanly: its log must be replayed";
            findings.fix(Rule::FFormat, message, Fix::Run { commands, result });
        }
        Format::Qed | Format::Vhdx | Format::Vdi | Format::Parallels => {
            findings.fix(Rule::FFormat, not_accepted(format), Fix::to_qcow2(format));
        }
        Format::Dmg => findings.fix(
            Rule::FFormat,
            "Apple's DMG is not accepted",
            "convert it to a raw disk with a program that reads DMG",
        ),
        Format::VmdkDescriptor => findings.fix(
            Rule::FFormat,
            "this is only the descriptor of a VMDK; the data is in the files that it names, which must be beside it",
            Fix::to_qcow2(format),
        ),
        Format::Compressed(compression, inner) => {
            let what = match inner {
                Some(Inner::Tar) => "; inside is a tar archive, which must be unpacked too".to_owned(),
                Some(Inner::Other) | None => String::new(),
                Some(inner) => format!("; inside is {}", inner.name()),
            };
            findings.fix(
                Rule::FCompressed,
                format!("a file compressed with {}{what}", compression.name()),
                decompress(compression, inner),
            );
        }
        Format::Archive(archive) => findings.fix(
            Rule::FArchive,
            format!("a {} archive, not a disk image", archive.name()),
            unpack(archive),
        ),
        Format::Executable => findings.refuse(
            Rule::FProgram,
            "a program or a kernel, not a disk: it must be installed into a disk image first",
        ),
        Format::Text => findings.refuse(Rule::FText, "looks like an error page or other text, not a disk"),
        Format::Raw | Format::Qcow2 | Format::Vhd | Format::Iso | Format::Luks => {}
    }
    Ok(())
}

/// Decompresses into a new file: the name without its last suffix may well be that of another image.
fn decompress(compression: Compression, inner: Option<Inner>) -> Fix {
    let (program, line) = match compression {
        Compression::Lzma => ("xz", "--format=lzma -dc IMAGE"),
        other => (other.name(), "-dc IMAGE"),
    };
    let suffix = match inner {
        Some(Inner::Qcow2) => "qcow2",
        Some(Inner::Vhd) => "vhd",
        Some(Inner::Vmdk) => "vmdk",
        Some(Inner::Tar) => "tar",
        Some(Inner::Raw) => "raw",
        Some(Inner::Other) | None => "img",
    };
    let mut command = Command::new(program, line);
    command.stdout = Some(new_file(suffix));
    Fix::make([command], suffix)
}

/// Unpacks into a new folder, so that nothing that is there is replaced.
fn unpack(archive: Archive) -> Fix {
    let commands = match archive {
        Archive::Tar => {
            vec![Command::new("mkdir", "NEW.files"), Command::new("tar", "-C NEW.files -xf IMAGE")]
        }
        Archive::Zip => vec![Command::new("unzip", "-q IMAGE -d NEW.files")],
        Archive::SevenZip | Archive::Rar => vec![Command::new("7z", "x -bd -oNEW.files IMAGE")],
    };
    Fix::make(commands, "files")
}

/// Whether a sparse VMDK is one of several that a descriptor names: then the sector of its own descriptor, at 28, is 0.
fn is_extent(file: &dyn ReadAt) -> Result<bool, ReadError> {
    let head = up_to(file, 0, 512)?;
    if head.len() < 512 || !head.starts_with(b"KDMV") {
        return Ok(false);
    }
    let descriptor = match le64(&head, 28) {
        0 => return Ok(true),
        sector => up_to(file, sector.saturating_mul(512), VMDK_DESCRIPTOR.len()),
    };
    match descriptor {
        // What cannot be seen of a stream is taken for the usual.
        Err(ReadError::Unseen { .. }) => Ok(false),
        descriptor => Ok(descriptor? != VMDK_DESCRIPTOR),
    }
}

/// Returns the usual name of the descriptor of an extent: `disk.vmdk` of `disk-s001.vmdk`.
fn descriptor_of(name: &str) -> Option<String> {
    let (stem, digits) = name.strip_suffix(".vmdk")?.rsplit_once("-s")?;
    let numbered = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let shown: String = stem.chars().flat_map(char::escape_debug).collect();
    numbered.then(|| format!("{shown}.vmdk"))
}

/// Whether a QCOW of version 1 says that it is encrypted (at 36).
fn is_encrypted_qcow1(file: &dyn ReadAt) -> Result<bool, ReadError> {
    let head = up_to(file, 0, 48)?;
    Ok(head.len() == 48 && be32(&head, 4) == 1 && be32(&head, 36) != 0)
}

/// Whether a VHDX has a log that was not replayed: the newer of its two headers names one.
fn has_dirty_log(file: &dyn ReadAt) -> Result<bool, ReadError> {
    let mut newest: Option<(u64, bool)> = None;
    for at in VHDX_HEADERS_AT {
        let head = up_to(file, at, 64)?;
        if head.len() == 64 && head.starts_with(b"head") {
            let (sequence, dirty) = (le64(&head, 8), head[48..64].iter().any(|byte| *byte != 0));
            newest = newest.max(Some((sequence, dirty)));
        }
    }
    Ok(newest.is_some_and(|(_, dirty)| dirty))
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
