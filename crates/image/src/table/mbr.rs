use super::{MAX_PARTITIONS, Partition, PartitionKind, SECTOR, Table, check_overlap, mib};
use crate::finding::Findings;
use crate::read::{array, le32};
use crate::rule::Rule;
use ossup_core::read::{ReadAt, ReadError};

/// Type of the entry that covers a GPT disk.
pub(super) const PROTECTIVE: u8 = 0xEE;
/// Most extended boot records that are followed.
const MAX_LOGICAL: usize = 64;

/// An entry of a boot record that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// 1 to 4.
    pub(super) number: u32,
    active: bool,
    pub(super) code: u8,
    /// First sector, relative to what the record says.
    first: u64,
    sectors: u64,
}

impl Entry {
    fn is_extended(self) -> bool {
        matches!(self.code, 0x05 | 0x0F | 0x85)
    }

    fn partition(self, number: u32, base: u64) -> Partition {
        Partition {
            number,
            kind: kind(self.code),
            type_code: format!("{:#04x}", self.code),
            name: None,
            start: (base + self.first) * SECTOR,
            length: self.sectors * SECTOR,
            active: self.active,
            filesystem: None,
        }
    }
}

/// Returns the used entries of a boot record; none if the bytes there are not a table, which is what the boot sector of
/// a file system has at that place.
pub(super) fn entries(sector: &[u8; SECTOR as usize]) -> Vec<Entry> {
    let slots: Vec<&[u8]> = sector[446..510].chunks_exact(16).collect();
    if slots.iter().any(|slot| !matches!(slot[0], 0 | 0x80)) {
        return Vec::new();
    }
    (1..)
        .zip(slots)
        .filter(|(_, slot)| slot[4] != 0 && le32(slot, 12) != 0)
        .map(|(number, slot)| Entry {
            number,
            active: slot[0] == 0x80,
            code: slot[4],
            first: le32(slot, 8).into(),
            sectors: le32(slot, 12).into(),
        })
        .collect()
}

/// Lists primary and logical partitions and checks their bounds.
pub(super) fn read(
    disk: &dyn ReadAt,
    entries: &[Entry],
    table: &mut Table,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let partitions = &mut table.partitions;
    for entry in entries {
        let partition = entry.partition(entry.number, 0);
        check_bounds(Rule::RMbrB, &partition, disk.length(), findings);
        partitions.push(partition);
    }
    check_overlap(&partitions.iter().collect::<Vec<_>>(), findings);
    let primaries = partitions.len();
    for entry in entries.iter().filter(|entry| entry.is_extended()) {
        let chain = read_logical(disk, *entry, partitions, findings);
        table.unread |= findings.seen("logical partitions", chain)?.is_none();
    }
    check_overlap(&partitions[primaries..].iter().collect::<Vec<_>>(), findings);
    Ok(())
}

/// Follows the chain of extended boot records. Each holds one logical partition, counted from the record, and the
/// place of the next record, counted from the first.
fn read_logical(
    disk: &dyn ReadAt,
    extended: Entry,
    partitions: &mut Vec<Partition>,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let mut seen = Vec::new();
    let mut relative = 0;
    loop {
        let base = extended.first + relative;
        if base.saturating_add(1) * SECTOR > disk.length() {
            findings.refuse(
                Rule::RExt,
                format!("the chain of logical partitions leaves the disk at sector {base}; truncated?"),
            );
            return Ok(());
        }
        if seen.contains(&base) || seen.len() == MAX_LOGICAL || partitions.len() == MAX_PARTITIONS {
            findings.refuse(Rule::RExt, "the chain of logical partitions does not end");
            return Ok(());
        }
        seen.push(base);
        let sector: [u8; SECTOR as usize] = array(disk, base * SECTOR)?;
        if sector[510..] != [0x55, 0xAA] {
            findings
                .refuse(Rule::RExt, format!("the extended boot record at sector {base} has no signature"));
            return Ok(());
        }
        let found = entries(&sector);
        if let Some(logical) = found.iter().find(|entry| !entry.is_extended()) {
            let next = partitions.iter().map(|partition| partition.number).max().unwrap_or(0).max(4) + 1;
            let partition = logical.partition(next, base);
            check_bounds(Rule::RExt, &partition, disk.length(), findings);
            partitions.push(partition);
        }
        match found.iter().find(|entry| entry.is_extended()) {
            Some(next) => relative = next.first,
            None => return Ok(()),
        }
    }
}

fn check_bounds(rule: Rule, partition: &Partition, length: u64, findings: &mut Findings) {
    let end = partition.start + partition.length;
    if partition.start == 0 {
        findings
            .refuse(rule, format!("partition {} begins at sector 0, over its own table", partition.number));
    } else if end > length {
        findings.refuse(
            rule,
            format!(
                "partition {} ends {} MiB beyond the end of the disk; truncated?",
                partition.number,
                mib(end - length)
            ),
        );
    }
}

fn kind(code: u8) -> PartitionKind {
    match code {
        0x05 | 0x0F | 0x85 => PartitionKind::Extended,
        0xEF => PartitionKind::Esp,
        0x83 => PartitionKind::Linux,
        0x8E => PartitionKind::Lvm,
        0x82 => PartitionKind::Swap,
        0xFD => PartitionKind::Raid,
        0x01 | 0x04 | 0x06 | 0x07 | 0x0B | 0x0C | 0x0E => PartitionKind::Windows,
        0x27 => PartitionKind::Reserved,
        0xA5 => PartitionKind::Bsd,
        _ => PartitionKind::Other,
    }
}
