use crate::fat::Bootable;
use crate::read::{le32, le64, up_to};
use crate::table::{Partition, PartitionKind, SECTOR, Table, TableKind};
use ossup_core::model::{Architecture, BootMode};
use ossup_core::read::{ReadAt, ReadError};

/// Where a partition without a known file system must hold something that boot code can load.
const FRONT: usize = 64 << 10;
/// Last sector that a GPT itself takes at the front of a disk.
const GPT_END: u64 = 33;

/// What speaks for BIOS and what for UEFI.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BootEvidence {
    /// The first 440 bytes hold something.
    pub boot_code: bool,
    /// What the boot code loads is there: GRUB's core image, or a boot partition that is not empty.
    pub bios_next_stage: bool,
    /// A partition is marked active, or bootable by a legacy BIOS.
    pub active_partition: bool,
    /// There is a partition for a BIOS boot loader.
    pub bios_boot_partition: bool,
    /// There is an EFI system partition.
    pub efi_system_partition: bool,
    /// For which architectures there is a loader that firmware starts by itself.
    pub efi_loaders: Vec<Architecture>,
    /// For which architectures there are loaders elsewhere, which firmware starts only if it was configured to.
    pub other_efi_loaders: Vec<Architecture>,
    /// For which architectures partitions are marked by their types.
    pub marked_for: Vec<Architecture>,
    /// The EFI system partition is FAT32 and too small for it.
    pub undersized_fat32: bool,
    /// What follows.
    pub boots_with: BootsWith,
}

/// The firmware that can start a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootsWith {
    /// Not looked at: a data disk, or the contents cannot be seen.
    #[default]
    Unknown,
    /// No firmware.
    Nothing,
    /// BIOS only.
    Bios,
    /// UEFI only.
    Uefi,
    /// BIOS and UEFI.
    Both,
}

impl BootEvidence {
    /// Collects what a partition table shows, and what the partitions hold that it names.
    ///
    /// # Errors
    ///
    /// When the disk cannot be read.
    pub(crate) fn of(disk: &dyn ReadAt, table: &Table) -> Result<Self, ReadError> {
        let has = |kind| table.partitions.iter().any(|partition| partition.kind == kind);
        Ok(Self {
            boot_code: table.boot_code,
            bios_next_stage: table.boot_code && next_stage(disk, table)?,
            active_partition: table.partitions.iter().any(|partition| partition.active),
            bios_boot_partition: has(PartitionKind::BiosBoot),
            efi_system_partition: has(PartitionKind::Esp),
            marked_for: marked_for(&table.partitions),
            ..Self::default()
        })
    }

    /// What a disk shows that is one file system from its first sector on, whose boot sector may work.
    pub(crate) fn of_bare(boot_code: bool, found: Option<Bootable>) -> Self {
        let bios_next_stage = boot_code && found.as_ref().is_none_or(|found| found.bios_system);
        // The first bytes of FAT are its own, and say nothing by themselves.
        let mut evidence = Self { boot_code: bios_next_stage, bios_next_stage, ..Self::default() };
        if let Some(found) = found {
            evidence.add(found, false);
        }
        evidence.conclude(TableKind::None);
        evidence
    }

    /// Adds what a FAT file system holds; `esp` says whether it is marked as an EFI system partition.
    pub(crate) fn add(&mut self, found: Bootable, esp: bool) {
        self.undersized_fat32 |= esp && found.undersized && !found.loaders.is_empty();
        for (into, from) in
            [(&mut self.efi_loaders, found.loaders), (&mut self.other_efi_loaders, found.elsewhere)]
        {
            let new: Vec<_> = from.into_iter().filter(|architecture| !into.contains(architecture)).collect();
            into.extend(new);
        }
    }

    /// Concludes what starts the disk, once everything is collected.
    pub(crate) fn conclude(&mut self, table: TableKind) {
        self.boots_with = match (self.bios_next_stage, self.has_fallback_loader()) {
            (true, true) => BootsWith::Both,
            (true, false) => BootsWith::Bios,
            (false, true) => BootsWith::Uefi,
            // Nothing else can start it; that firmware finds no loader is warned of.
            (false, false) if self.efi_system_partition => BootsWith::Uefi,
            // Code in front of a GPT without a boot partition: some loaders keep block lists, so BIOS may work.
            (false, false) if self.boot_code && table == TableKind::Gpt && !self.bios_boot_partition => {
                BootsWith::Bios
            }
            (false, false) => BootsWith::Nothing,
        };
    }

    /// Whether firmware finds a loader by itself. ECS has no UEFI of 32 bits.
    pub(super) fn has_fallback_loader(&self) -> bool {
        self.efi_loaders.iter().any(|architecture| *architecture != Architecture::I386)
    }

    pub(super) fn may_boot_with_uefi(&self) -> bool {
        self.efi_system_partition || self.has_fallback_loader()
    }

    /// Whether BIOS certainly starts nothing, rather than by a way that is not seen here.
    pub(super) fn bios_is_ruled_out(&self) -> bool {
        !self.boot_code || (self.bios_boot_partition && !self.bios_next_stage)
    }

    /// Whether everything that names an architecture names arm64.
    pub(super) fn is_for_arm(&self) -> bool {
        let named = [&self.efi_loaders, &self.other_efi_loaders, &self.marked_for];
        let first = named.iter().find(|architectures| !architectures.is_empty());
        first.is_some_and(|architectures| architectures.as_slice() == [Architecture::Arm64])
    }

    /// Returns what names the architecture, as the beginning of a sentence.
    pub(super) fn architecture_source(&self) -> &'static str {
        if !self.efi_loaders.is_empty() || !self.other_efi_loaders.is_empty() {
            "the EFI loaders are"
        } else {
            "the partitions are marked"
        }
    }

    /// Returns why no firmware starts the disk.
    pub(super) fn why_nothing(&self) -> &'static str {
        if !self.boot_code {
            "nothing to boot from: neither boot code in the first sector nor an EFI partition"
        } else if self.bios_boot_partition {
            "nothing to boot from: the BIOS boot partition is empty, and there is no EFI partition"
        } else {
            "nothing to boot from: what the boot code loads is empty, and there is no EFI partition"
        }
    }

    /// Returns the evidence for a boot mode.
    pub(super) fn reason(&self, mode: BootMode) -> String {
        if mode == BootMode::Bios {
            return match (self.bios_next_stage, self.bios_boot_partition, self.active_partition) {
                (true, true, _) => "boot code and a BIOS boot partition that is not empty".to_owned(),
                (true, false, true) => "boot code and an active partition that is not empty".to_owned(),
                (true, false, false) => "boot code and what it loads".to_owned(),
                (false, ..) => "there is boot code and no EFI loader".to_owned(),
            };
        }
        let names: Vec<&str> = self.efi_loaders.iter().map(|architecture| architecture.as_str()).collect();
        if self.has_fallback_loader() {
            format!("there is an EFI loader for {}", names.join(" and "))
        } else {
            "there is an EFI system partition, and nothing that BIOS starts".to_owned()
        }
    }
}

/// Whether what the boot code loads is there.
fn next_stage(disk: &dyn ReadAt, table: &Table) -> Result<bool, ReadError> {
    let code = up_to(disk, 0, 440)?;
    if code.windows(5).any(|window| window == b"GRUB ") {
        return grub_core(disk, &code, table.kind);
    }
    let partitions = || table.partitions.iter().filter(|partition| partition.kind != PartitionKind::Extended);
    let named = |partition: &&Partition| partition.active || partition.kind == PartitionKind::BiosBoot;
    for partition in partitions().filter(named) {
        if is_filled(disk, partition)? {
            return Ok(true);
        }
    }
    if table.kind == TableKind::Mbr && !partitions().any(|partition| named(&partition)) {
        for partition in partitions() {
            if is_filled(disk, partition)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether the sector is filled that GRUB's boot code loads. GRUB 2 keeps its number at 0x5C, and has nothing of its
/// own at 0x3E, where GRUB 0.9x keeps its version; that keeps the number at 0x44.
fn grub_core(disk: &dyn ReadAt, code: &[u8], kind: TableKind) -> Result<bool, ReadError> {
    let legacy = code[0x3E..].starts_with(&[3, 2]);
    let sector = if legacy { u64::from(le32(code, 0x44)) } else { le64(code, 0x5C) };
    let behind_table = sector > if kind == TableKind::Gpt { GPT_END } else { 0 };
    match sector.checked_mul(SECTOR) {
        Some(at) if behind_table => Ok(up_to(disk, at, SECTOR as usize)?.iter().any(|byte| *byte != 0)),
        _ => Ok(false),
    }
}

fn is_filled(disk: &dyn ReadAt, partition: &Partition) -> Result<bool, ReadError> {
    if partition.filesystem.is_some() {
        return Ok(true);
    }
    let most = usize::try_from(partition.length).map_or(FRONT, |length| length.min(FRONT));
    Ok(up_to(disk, partition.start, most)?.iter().any(|byte| *byte != 0))
}

/// Returns the architectures for which the types of a GPT mark partitions (the Discoverable Partitions Specification).
fn marked_for(partitions: &[Partition]) -> Vec<Architecture> {
    let marks = |code: &str| match code {
        "B921B045-1DF0-41C3-AF44-4C6F280D3FAE" | "B0E01050-EE5F-4390-949A-9101B17104E9" => {
            Some(Architecture::Arm64)
        }
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709" | "8484680C-9521-48C6-9C11-B0720656F69E" => {
            Some(Architecture::X86_64)
        }
        "44479540-F297-41B2-9AF7-D131D5F0458A" => Some(Architecture::I386),
        _ => None,
    };
    let mut found = Vec::new();
    for architecture in partitions.iter().filter_map(|partition| marks(&partition.type_code)) {
        if !found.contains(&architecture) {
            found.push(architecture);
        }
    }
    found
}
