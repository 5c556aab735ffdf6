//! Partition tables: the MBR with its chain of logical partitions, and the GPT with its backup.
//!
//! Written here rather than taken from a crate: `gpt` and `gptman` want a cursor over the whole disk, allocate by the
//! sizes that the table itself claims and do not report which of the two headers is wrong; `gpt_disk_types` would do,
//! but brings a dependency under MPL-2.0.

mod gpt;
mod mbr;

use super::filesystem::FileSystem;
use super::finding::Findings;
use super::fix::Fix;
use super::read::array;
use super::rule::Rule;
use ossup_core::read::{ReadAt, ReadError};

/// Bytes of a sector, as every cloud disk has them.
pub(super) const SECTOR: u64 = 512;
/// Most partitions that are reported (GPT's usual array has 128 entries).
const MAX_PARTITIONS: usize = 256;

/// How a disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// Not at all.
    #[default]
    None,
    /// By a master boot record.
    Mbr,
    /// By a GUID partition table.
    Gpt,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Partition {
    /// Number as the operating system counts: 1 to 4 for the entries of an MBR, from 5 on for logical ones.
    pub number: u32,
    /// What it is for, by its type.
    pub kind: PartitionKind,
    /// The type as the table has it: `0x83`, or a GUID.
    pub type_code: String,
    /// The name that a GPT gives it.
    pub name: Option<String>,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// Marked active (MBR) or bootable by a legacy BIOS (GPT attribute bit 2).
    pub active: bool,
    /// What was recognised inside.
    pub filesystem: Option<FileSystem>,
}

impl Partition {
    /// Whether it is one of those that Windows keeps beside its system: to start it, or to repair it.
    pub(super) fn is_windows_recovery(&self) -> bool {
        // GPT's recovery type, and the hidden one of an MBR.
        self.type_code == "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" || self.type_code == "0x27"
    }
}

/// What a partition is for, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PartitionKind {
    /// EFI system partition.
    Esp,
    /// Where a boot loader for BIOS is embedded.
    BiosBoot,
    /// A Linux file system.
    Linux,
    /// A physical volume of LVM.
    Lvm,
    /// Linux swap.
    Swap,
    /// Linux software RAID.
    Raid,
    /// NTFS, FAT or exFAT of Windows.
    Windows,
    /// Reserved by Windows.
    Reserved,
    /// FreeBSD.
    Bsd,
    /// The container of logical partitions.
    Extended,
    /// Anything else.
    Other,
}

/// What stands in the first sector and in the table behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) kind: TableKind,
    pub(super) partitions: Vec<Partition>,
    /// Whether the first sector ends in `55 AA`.
    pub(super) signed: bool,
    /// Whether the first 440 bytes hold anything.
    pub(super) boot_code: bool,
    /// Whether there is a table that could not be read, so that its partitions are not known.
    pub(super) unread: bool,
}

/// Reads the partition table of a disk. What is wrong with it becomes findings; `rewrite` is what writes
/// both copies of a GPT where they belong.
///
/// # Errors
///
/// When the disk cannot be read; `table` then holds what was found before.
pub(super) fn read(
    disk: &dyn ReadAt,
    rewrite: &Fix,
    table: &mut Table,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let sector: [u8; SECTOR as usize] = array(disk, 0)?;
    table.signed = sector[510..] == [0x55, 0xAA];
    table.boot_code = sector[..440].iter().any(|byte| *byte != 0);
    let entries = if table.signed { mbr::entries(&sector) } else { Vec::new() };
    let protective = entries.iter().any(|entry| entry.code == mbr::PROTECTIVE);
    if protective || (entries.is_empty() && gpt::is_at(disk, SECTOR)?) {
        table.kind = TableKind::Gpt;
        gpt::read(disk, rewrite, table, findings)
    } else if !entries.is_empty() {
        table.kind = TableKind::Mbr;
        mbr::read(disk, &entries, table, findings)
    } else {
        if gpt::is_at(disk, 4096)? {
            table.unread = true;
            findings.refuse(
                Rule::R4K,
                "the partition table is made for sectors of 4096 bytes; cloud disks use 512",
            );
        }
        Ok(())
    }
}

/// Whether the last sector holds a backup GPT.
pub(super) fn has_backup_gpt(disk: &dyn ReadAt) -> Result<bool, ReadError> {
    gpt::is_at(disk, (disk.length() / SECTOR).saturating_sub(1) * SECTOR)
}

/// Returns bytes as whole MiB, rounded up, for messages.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Warns of each pair of neighbours that overlap.
fn check_overlap(partitions: &[&Partition], findings: &mut Findings) {
    let mut sorted = partitions.to_vec();
    sorted.sort_by_key(|partition| (partition.start, partition.number));
    for pair in sorted.windows(2) {
        if pair[0].start.saturating_add(pair[0].length) > pair[1].start {
            findings
                .warn(Rule::ROver, format!("partitions {} and {} overlap", pair[0].number, pair[1].number));
        }
    }
}

#[cfg(test)]
mod tests;
