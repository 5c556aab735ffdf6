//! The checks of a disk's contents, whether they lie in a RAW file or inside another format.

use super::boot::{self, BootEvidence};
use super::fat;
use super::filesystem::{self, FileSystem, Found};
use super::finding::{Finding, Findings, Severity};
use super::format::Format;
use super::read::{ReadAt, ReadError, Slice, up_to};
use super::report::{Role, Settings, Wishes};
use super::rule::Rule;
use super::table::{self, Partition, PartitionKind, SECTOR, Table, TableKind};
use crate::model::OsType;

/// Most partitions whose contents are looked at.
const MAX_PROBED: usize = 64;
/// How much of the front must be zero for a disk to count as blank (1 MiB).
const BLANK: u64 = 1 << 20;
/// Smallest disk (1 MiB).
const SMALLEST: u64 = 1 << 20;

/// What a disk's contents are.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) table: Table,
    /// A file system that begins with the first sector, without a partition table.
    pub(super) bare: Option<FileSystem>,
    pub(super) boot: BootEvidence,
    /// Whether every partition's contents were looked at.
    probed: bool,
    found: Vec<Found>,
}

/// Examines a disk; what is wrong becomes findings, what follows becomes settings.
///
/// # Errors
///
/// When the disk cannot be read; `contents` then holds what was found before.
pub(super) fn examine(
    disk: &dyn ReadAt,
    format: Format,
    wishes: &Wishes,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let system = wishes.role == Role::System;
    if disk.length() < SMALLEST {
        if system {
            findings
                .refuse(Rule::FSmall, format!("{} bytes are too small for a bootable disk", disk.length()));
        }
        return Ok(());
    }
    if system && is_blank(disk)? {
        findings
            .refuse(Rule::FZero, "the first MiB holds only zeros: no boot sector; is the download complete?");
        return Ok(());
    }
    table::read(disk, &rewrite_table(format, wishes), &mut contents.table, findings)?;
    if contents.table.kind == TableKind::None {
        contents.bare = filesystem::probe(disk, 0, disk.length())?.map(|found| found.filesystem);
    }
    if system {
        check_first_sector(contents, findings);
    }
    probe_partitions(disk, contents, findings)?;
    if system {
        check_contents(contents, wishes, findings);
        decide_boot(disk, wishes, contents, settings, findings)?;
    }
    Ok(())
}

/// Returns the commands that put a backup GPT where it belongs: sgdisk works on RAW disks only.
fn rewrite_table(format: Format, wishes: &Wishes) -> String {
    let file = wishes.word();
    if format == Format::Raw {
        return format!("sgdisk -e {file}");
    }
    let from = format.qemu_name();
    format!(
        "qemu-img convert -f {from} -O raw {file} disk.raw && sgdisk -e disk.raw \
         && qemu-img convert -f raw -O qcow2 disk.raw out.qcow2"
    )
}

/// Whether the first MiB is zero and no backup of a partition table is at the end.
fn is_blank(disk: &dyn ReadAt) -> Result<bool, ReadError> {
    // In two steps: most disks show something at once, and the rest of an object comes with one fetch.
    const FIRST: u64 = 64 << 10;
    for (offset, length) in [(0, FIRST), (FIRST, BLANK - FIRST)] {
        let length = usize::try_from(length).expect("at most 1 MiB");
        if up_to(disk, offset, length)?.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(!table::has_backup_gpt(disk)?)
}

fn check_first_sector(contents: &Contents, findings: &mut Findings) {
    match contents.bare {
        Some(FileSystem::Luks) => findings.refuse(Rule::FLuks, "the whole disk is encrypted"),
        Some(filesystem) => findings.refuse(
            Rule::RBare,
            format!("a bare {filesystem} file system without partition table is not a bootable system disk"),
        ),
        None if !contents.table.signed => findings.refuse(
            Rule::RSig,
            "no boot signature in the first sector: a bare file system or a data disk, not a bootable system disk",
        ),
        None => {}
    }
}

/// Recognises the file systems, and reports what single partitions show.
fn probe_partitions(
    disk: &dyn ReadAt,
    contents: &mut Contents,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let table = &mut contents.table;
    let holders = table.partitions.iter_mut().filter(|partition| partition.kind != PartitionKind::Extended);
    for partition in holders.take(MAX_PROBED) {
        if partition.start == 0 || partition.start >= disk.length() {
            continue;
        }
        let Some(found) = filesystem::probe(disk, partition.start, partition.length)? else { continue };
        partition.filesystem = Some(found.filesystem);
        contents.found.push(found);
        if found.wide_blocks {
            findings.info(
                Rule::S64Bit,
                format!(
                    "partition {}: ext4 with 64-bit block numbers, against the page of 2021",
                    partition.number
                ),
            );
        }
        if found.project_and_quota {
            findings.warn(
                Rule::SPq,
                format!("partition {}: the ext4 features project and quota are both on", partition.number),
            );
        }
    }
    contents.probed = table.partitions.len() <= MAX_PROBED;
    Ok(())
}

/// Compares the contents with the operating system that is asked for.
fn check_contents(contents: &Contents, wishes: &Wishes, findings: &mut Findings) {
    let partitions = &contents.table.partitions;
    let of_kind = |kind| partitions.iter().any(|partition| partition.kind == kind);
    let holds = |filesystem| contents.found.iter().any(|found| found.filesystem == filesystem);
    let linux = contents.found.iter().any(|found| found.filesystem.is_linux_root());
    let lvm = of_kind(PartitionKind::Lvm) || holds(FileSystem::Lvm);
    let bsd = of_kind(PartitionKind::Bsd) || holds(FileSystem::Ufs2);
    let ntfs = holds(FileSystem::Ntfs);
    if lvm {
        findings.warn(
            Rule::RLvm,
            "uses LVM, which the requirements do not mention: resizing and setting a password may not work",
        );
    }
    check_encryption(partitions, findings);
    check_os_type(wishes, ntfs, linux, findings);
    let windows = wishes.os_type() == Some(OsType::Windows) || (ntfs && !linux);
    let unread =
        contents.table.kind == TableKind::None || findings.has(Rule::RGpt) || findings.has(Rule::R4K);
    if windows || bsd || unread {
        return;
    }
    if !of_kind(PartitionKind::Linux) && !linux && !lvm {
        findings.warn(Rule::RRoots, "no Linux partition found");
    }
    let listed = |found: &Found| found.filesystem.is_linux_root() && found.filesystem != FileSystem::Ext2;
    if !contents.found.iter().any(listed) && !lvm && !holds(FileSystem::Luks) && contents.probed {
        findings
            .warn(Rule::SFs, "no partition holds a file system that the requirements list (XFS, ext3, ext4)");
    }
    if wishes.platform.as_deref() == Some("Customized Linux") {
        check_customized(partitions, findings);
    }
}

fn check_encryption(partitions: &[Partition], findings: &mut Findings) {
    use PartitionKind::{BiosBoot, Esp, Extended, Reserved, Swap};
    let data =
        partitions.iter().filter(|p| !matches!(p.kind, BiosBoot | Esp | Extended | Reserved | Swap)).count();
    for partition in partitions.iter().filter(|partition| partition.filesystem == Some(FileSystem::Luks)) {
        let number = partition.number;
        if data == 1 {
            findings.refuse(Rule::RLuks, format!("partition {number}, the only one with data, is encrypted"));
        } else {
            findings.warn(Rule::RLuks, format!("partition {number} is encrypted"));
        }
    }
}

fn check_os_type(wishes: &Wishes, ntfs: bool, linux: bool, findings: &mut Findings) {
    match wishes.os_type() {
        Some(OsType::Windows) if linux && !ntfs => findings.fix(
            Rule::SWin,
            "OS type and contents disagree: Windows is asked for, the file systems are those of Linux",
            "use --os-type linux and a Linux --platform",
        ),
        // A Linux disk may carry an NTFS partition for exchange; a Windows disk has nothing that Linux boots from.
        Some(OsType::Linux) | None if ntfs && linux => {
            findings.warn(Rule::SWin, "an NTFS partition on a Linux disk");
        }
        Some(OsType::Linux) | None if ntfs => findings.fix(
            Rule::SWin,
            "OS type and contents disagree: the disk holds Windows' file system NTFS",
            "use --os-type windows with a Windows --platform",
        ),
        _ => {}
    }
}

fn check_customized(partitions: &[Partition], findings: &mut Findings) {
    use FileSystem::{Ext2, Ext3, Ext4, Fat32, Ufs2};
    let first = partitions.iter().min_by_key(|partition| partition.start);
    let good = first
        .and_then(|partition| partition.filesystem)
        .is_some_and(|filesystem| matches!(filesystem, Fat32 | Ext2 | Ext3 | Ext4 | Ufs2));
    if good {
        findings.info(
            Rule::SCustom,
            "Customized Linux needs /aliyun_custom_image/os.conf on the first partition",
        );
    } else {
        findings.push(
            Finding::new(
                Rule::SCustom,
                Severity::Warn,
                "Customized Linux needs /aliyun_custom_image/os.conf on a first partition of FAT32, ext2 to ext4 or UFS",
            )
            .fixed_by("or use --platform 'Others Linux'"),
        );
    }
}

/// Decides boot mode and architecture, unless the first sector already shows that nothing boots.
fn decide_boot(
    disk: &dyn ReadAt,
    wishes: &Wishes,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    if contents.bare.is_some()
        || !contents.table.signed
        || findings.has(Rule::RGpt)
        || findings.has(Rule::R4K)
    {
        return Ok(());
    }
    contents.boot = BootEvidence::of(&contents.table);
    let esp = contents.table.partitions.iter().find(|partition| partition.kind == PartitionKind::Esp);
    if let Some(esp) = esp {
        contents.boot.efi_loaders = fat::loaders(&Slice::new(disk, esp.start, esp.length))?;
    }
    settings.boot_mode = boot::decide(&contents.boot, contents.table.kind, wishes, findings);
    settings.architecture = boot::decide_architecture(&contents.boot, wishes, findings);
    Ok(())
}

/// Checks that a RAW disk's length is whole.
pub(super) fn check_length(length: u64, findings: &mut Findings) {
    let rest = length % SECTOR;
    if rest != 0 {
        let severity = if findings.has(Rule::RGptB) { Severity::Refuse } else { Severity::Warn };
        findings.push(Finding::new(
            Rule::R512,
            severity,
            format!("the length is no whole number of sectors ({rest} bytes are over); truncated?"),
        ));
    } else if !length.is_multiple_of(1 << 20) {
        findings.warn(Rule::RMib, "the length is no whole number of MiB");
    }
}
