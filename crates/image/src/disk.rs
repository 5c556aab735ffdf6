//! The checks of a disk's contents, whether they lie in a RAW file or inside another format.

use super::boot::{self, BootEvidence};
use super::fat;
use super::filesystem::{self, FileSystem, Found};
use super::finding::{Finding, Findings, Severity};
use super::fix::{Fix, Setting};
use super::format::Format;
use super::read::{Slice, up_to};
use super::report::{DiskRole, Expected, Settings};
use super::rule::Rule;
use super::table::{self, Partition, PartitionKind, SECTOR, Table, TableKind};
use ossup_core::model::OsType;
use ossup_core::read::{ReadAt, ReadError};

/// Most partitions whose contents are looked at.
const MAX_PROBED: usize = 64;
/// How much of the front must be zero for a disk to count as blank (1 MiB).
const BLANK: u64 = 1 << 20;
/// What helps against encryption. Which tool does it, and from where, differs with each.
const DECRYPT: &str = "decrypt it in the system that it is from, and make the image again";
/// What cannot be checked where a loader's place is not seen.
const BOOT_FILES: &str = "what starts it";
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
    /// Whether the contents of a partition could not be seen.
    missed: bool,
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
    expected: &Expected,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let system = expected.role == DiskRole::System;
    if disk.length() < SMALLEST {
        if system {
            findings
                .refuse(Rule::FSmall, format!("{} bytes are too small for a bootable disk", disk.length()));
        }
        return Ok(());
    }
    if system && is_blank(disk, findings)? {
        findings
            .refuse(Rule::FZero, "the first MiB holds only zeros: no boot sector; is the download complete?");
        return Ok(());
    }
    table::read(disk, &Fix::rewrite_gpt(format), &mut contents.table, findings)?;
    if contents.table.kind == TableKind::None {
        // What may stand there unseen, in front of an encrypted volume or behind it, is refused as well as nothing.
        let found = findings.seen("the end of the disk", filesystem::probe(disk, 0, disk.length()))?;
        contents.bare = found.flatten().map(|found| found.filesystem);
        check_bare(disk, expected, contents, settings, findings)?;
    } else if system {
        if !contents.table.signed {
            findings.refuse(Rule::RSig, "no boot signature in the first sector, which firmware looks for");
        }
        check_disk_encryption(disk, findings)?;
    }
    probe_partitions(disk, contents, findings)?;
    if system {
        check_contents(contents, expected, findings);
        decide_boot(disk, expected, contents, settings, findings)?;
    }
    Ok(())
}

/// Whether the first MiB is zero and no backup of a partition table is at the end.
fn is_blank(disk: &dyn ReadAt, findings: &mut Findings) -> Result<bool, ReadError> {
    // In two steps: most disks show something at once, and the rest of an object comes with one fetch.
    const FIRST: u64 = 64 << 10;
    for (offset, length) in [(0, FIRST), (FIRST, BLANK - FIRST)] {
        let length = usize::try_from(length).expect("at most 1 MiB");
        if up_to(disk, offset, length)?.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    // With a backup that is yet to come the disk would have to be repaired, so that it is refused too.
    Ok(findings.seen("the backup GPT", table::has_backup_gpt(disk))? != Some(true))
}

/// Checks a disk without a partition table. One that a boot sector or firmware starts anyway causes a warning.
fn check_bare(
    disk: &dyn ReadAt,
    expected: &Expected,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let system = expected.role == DiskRole::System;
    let bare = contents.bare;
    if bare.is_some_and(FileSystem::is_encrypted) {
        encrypted_disk(system, findings);
        return Ok(());
    }
    if !system {
        return Ok(());
    }
    check_disk_encryption(disk, findings)?;
    let code = contents.table.signed && contents.table.boot_code;
    let found = if bare.is_some_and(FileSystem::is_fat) { fat::examine(disk) } else { Ok(None) };
    let Some(found) = findings.seen(BOOT_FILES, found)? else { return Ok(()) };
    let starts = match bare {
        Some(FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 | FileSystem::Btrfs) => code,
        _ => found.as_ref().is_some_and(|found| found.has_loader() || (found.bios_system && code)),
    };
    match bare {
        Some(filesystem) if starts => {
            findings.warn(
                Rule::RBare,
                format!(
                    "a {filesystem} file system on the whole disk, without a partition table: it may start, but the \
                     requirements ask for a partition"
                ),
            );
            contents.boot = BootEvidence::of_bare(code, found);
            settings.boot_mode = boot::decide(&contents.boot, TableKind::None, expected, findings);
            settings.architecture = boot::decide_architecture(&contents.boot, expected, findings);
        }
        Some(filesystem) => findings.push(
            Finding::new(
                Rule::RBare,
                Severity::Refuse,
                format!(
                    "a {filesystem} file system on the whole disk, which nothing starts: not a system disk"
                ),
            )
            .fixed_by("if it is a data disk, inspect it with --role data and import it with --data-disk"),
        ),
        None if contents.table.signed || findings.has(Rule::R4K) => {
            if !findings.has(Rule::R4K) {
                findings.refuse(
                    Rule::RBare,
                    "neither a partition table nor a known file system: not a system disk",
                );
            }
        }
        None => findings.refuse(
            Rule::RSig,
            "no boot signature in the first sector: another file or a data disk, not a bootable system disk",
        ),
    }
    Ok(())
}

/// Refuses a disk that a boot loader in its first sector would have to decrypt.
fn check_disk_encryption(disk: &dyn ReadAt, findings: &mut Findings) -> Result<(), ReadError> {
    const LOADERS: [&[u8]; 5] =
        [b"TrueCrypt Boot Loader", b"VeraCrypt Boot Loader", b"PGPGUARD", b"SafeBoot", b"SGM400"];
    let sector = up_to(disk, 0, SECTOR as usize)?;
    let holds = |loader: &&[u8]| sector.windows(loader.len()).any(|window| window == *loader);
    if LOADERS.iter().any(holds) {
        encrypted_disk(true, findings);
    }
    Ok(())
}

/// Reports a disk that is encrypted as a whole.
pub(super) fn encrypted_disk(system: bool, findings: &mut Findings) {
    let (severity, message) = if system {
        (Severity::Refuse, "the whole disk is encrypted, and ECS has no key for it")
    } else {
        (Severity::Warn, "the whole disk is encrypted: an instance needs its key")
    };
    findings.push(Finding::new(Rule::FLuks, severity, message).fixed_by(DECRYPT));
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
        let found = filesystem::probe(disk, partition.start, partition.length);
        let Some(found) = findings.seen(format_args!("partition {}", partition.number), found)? else {
            contents.missed = true;
            continue;
        };
        let Some(found) = found else { continue };
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
fn check_contents(contents: &Contents, expected: &Expected, findings: &mut Findings) {
    let partitions = &contents.table.partitions;
    let of_kind = |kind| partitions.iter().any(|partition| partition.kind == kind);
    let holds = |filesystem| contents.found.iter().any(|found| found.filesystem == filesystem);
    let linux = contents.found.iter().any(|found| found.filesystem.is_linux_root());
    let lvm = of_kind(PartitionKind::Lvm) || holds(FileSystem::Lvm);
    let bsd = of_kind(PartitionKind::Bsd) || holds(FileSystem::Ufs2);
    let ntfs = holds(FileSystem::Ntfs);
    let encrypted = contents.found.iter().any(|found| found.filesystem.is_encrypted());
    let bitlocker = holds(FileSystem::Bitlocker);
    if lvm {
        findings.warn(
            Rule::RLvm,
            "uses LVM, which the requirements do not mention: resizing and setting a password may not work",
        );
    }
    let unsure = contents.missed || contents.table.unread;
    check_encryption(partitions, unsure, findings);
    if unsure {
        return;
    }
    check_os_type(expected, ntfs, linux, findings);
    let windows = expected.os_type() == Some(OsType::Windows) || ((ntfs || bitlocker) && !linux);
    if windows || bsd || contents.table.kind == TableKind::None {
        return;
    }
    if !of_kind(PartitionKind::Linux) && !linux && !lvm {
        findings.warn(Rule::RRoots, "no Linux partition found");
    }
    let listed = |found: &Found| found.filesystem.is_linux_root() && found.filesystem != FileSystem::Ext2;
    if !contents.found.iter().any(listed) && !lvm && !encrypted && contents.probed {
        findings
            .warn(Rule::SFs, "no partition holds a file system that the requirements list (XFS, ext3, ext4)");
    }
    if expected.platform.as_deref() == Some("Customized Linux") {
        check_customized(partitions, findings);
    }
}

/// Refuses a disk whose system is encrypted, unless one may be where nothing could be seen (`unsure`). What is left beside it (a boot partition, Windows' recovery) is small; an
/// encrypted partition beside a system that is not is worth a warning.
fn check_encryption(partitions: &[Partition], unsure: bool, findings: &mut Findings) {
    const SYSTEM: u64 = 3 << 30;
    let encrypted = |partition: &&Partition| partition.filesystem.is_some_and(FileSystem::is_encrypted);
    let largest = partitions.iter().filter(encrypted).map(|partition| partition.length).max().unwrap_or(0);
    let may_hold_a_system = |partition: &Partition| {
        let fits = match partition.filesystem {
            Some(FileSystem::Ntfs) => !partition.is_windows_recovery(),
            Some(filesystem) => {
                filesystem.is_linux_root() || filesystem == FileSystem::Ufs2 || filesystem == FileSystem::Lvm
            }
            None => false,
        };
        fits && partition.length >= largest.min(SYSTEM)
    };
    let elsewhere = unsure || partitions.iter().any(may_hold_a_system);
    for partition in partitions.iter().filter(encrypted) {
        let (number, by) = (partition.number, partition.filesystem.map_or("", FileSystem::name));
        let (severity, message) = if elsewhere {
            (Severity::Warn, format!("partition {number} is encrypted ({by})"))
        } else {
            let message =
                format!("partition {number} is encrypted ({by}), and nothing else here holds a system");
            (Severity::Refuse, message)
        };
        findings.push(Finding::new(Rule::RLuks, severity, message).fixed_by(DECRYPT));
    }
}

fn check_os_type(expected: &Expected, ntfs: bool, linux: bool, findings: &mut Findings) {
    let windows =
        || [Setting::new("--os-type", OsType::Windows.as_str()), Setting::new("--platform", "Other Windows")];
    match expected.os_type().or(expected.assumed_os_type) {
        Some(OsType::Windows) if linux && !ntfs => findings.fix(
            Rule::SWin,
            "OS type and contents disagree: Windows is asked for, the file systems are those of Linux",
            [Setting::new("--os-type", OsType::Linux.as_str()), Setting::new("--platform", "Others Linux")],
        ),
        // A Linux disk may carry an NTFS partition for exchange; a Windows disk has nothing that Linux boots from.
        Some(OsType::Linux) | None if ntfs && linux => {
            findings.warn(Rule::SWin, "an NTFS partition on a Linux disk");
        }
        Some(OsType::Linux) if ntfs => findings.fix(
            Rule::SWin,
            "OS type and contents disagree: the disk holds Windows' file system NTFS, and without an OS type the \
             service takes it for Linux",
            windows(),
        ),
        None if ntfs => findings.push(
            Finding::new(Rule::SWin, Severity::Info, "a Windows disk, by its file systems: the import must set it")
                .fixed_by(windows()),
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
            .fixed_by(Setting::new("--platform", "Others Linux")),
        );
    }
}

/// Decides boot mode and architecture of a disk with partitions.
fn decide_boot(
    disk: &dyn ReadAt,
    expected: &Expected,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let table = &contents.table;
    if table.kind == TableKind::None || !table.signed || table.unread {
        return Ok(());
    }
    // All of it is looked at before anything is concluded, so that a stream is asked for everything in time.
    let mut missed = contents.missed;
    match findings.seen(BOOT_FILES, BootEvidence::of(disk, table))? {
        Some(evidence) => contents.boot = evidence,
        None => missed = true,
    }
    for partition in table.partitions.iter().take(MAX_PROBED) {
        let esp = partition.kind == PartitionKind::Esp;
        if !esp && !partition.filesystem.is_some_and(FileSystem::is_fat) {
            continue;
        }
        let found = fat::examine(&Slice::new(disk, partition.start, partition.length));
        match findings.seen(BOOT_FILES, found)? {
            Some(Some(found)) => contents.boot.add(found, esp),
            Some(None) => {}
            None => missed = true,
        }
    }
    if missed {
        return Ok(());
    }
    contents.boot.conclude(table.kind);
    settings.boot_mode = boot::decide(&contents.boot, table.kind, expected, findings);
    settings.architecture = boot::decide_architecture(&contents.boot, expected, findings);
    Ok(())
}

/// Looks at an ISO that also has a partition table as at a disk, to see what would start it.
pub(super) fn examine_hybrid(
    disk: &dyn ReadAt,
    expected: &Expected,
    contents: &mut Contents,
    settings: &mut Settings,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    // What its tables break matters on no installer.
    let mut unused = Findings::default();
    table::read(disk, &Fix::rewrite_gpt(Format::Raw), &mut contents.table, &mut unused)?;
    probe_partitions(disk, contents, &mut unused)?;
    decide_boot(disk, expected, contents, settings, &mut unused)?;
    unused.missed().iter().for_each(|what| findings.miss(what.clone()));
    Ok(())
}

/// Checks that a RAW disk's length is whole.
pub(super) fn check_length(length: u64, table: TableKind, findings: &mut Findings) {
    let rest = length % SECTOR;
    if rest != 0 {
        let severity = if findings.has(Rule::RGptB) { Severity::Refuse } else { Severity::Warn };
        findings.push(Finding::new(
            Rule::R512,
            severity,
            format!("the length is not a whole number of sectors ({rest} bytes left over); truncated?"),
        ));
    } else if !length.is_multiple_of(1 << 20) {
        findings.push(
            Finding::new(Rule::RMib, Severity::Warn, "the length is not a whole number of MiB")
                .fixed_by(Fix::grow(Format::Raw, length.next_multiple_of(1 << 20), table == TableKind::Gpt)),
        );
    }
}
