use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

use super::{MAX_PARTITIONS, Partition, PartitionKind, SECTOR, Table, check_overlap, mib};
use crate::finding::{Finding, Findings, Severity};
use crate::fix::Fix;
use crate::read::{array, le16, le32, le64, up_to};
use crate::rule::Rule;
use ossup_core::read::{ReadAt, ReadError};

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// What cannot be checked while it is not seen.
const BACKUP: &str = "the backup GPT";
/// Smallest header (UEFI specification, table 5.5).
const MIN_HEADER: usize = 92;
/// Largest array of entries that is read: 64 times the usual 16 KiB.
const MAX_ARRAY: u64 = 1 << 20;
/// Attribute bit: a legacy BIOS may boot from the partition.
const LEGACY_BOOTABLE: u64 = 1 << 2;

struct Header {
    alternate: u64,
    first_usable: u64,
    last_usable: u64,
    entries_at: u64,
    entry_size: u64,
    /// Bytes of the whole array; at most [`MAX_ARRAY`].
    array: u64,
    array_crc: u32,
}

/// Whether a GPT header's signature stands at `offset`.
pub(super) fn is_at(disk: &dyn ReadAt, offset: u64) -> Result<bool, ReadError> {
    Ok(up_to(disk, offset, SIGNATURE.len())? == SIGNATURE)
}

/// Lists the partitions and checks both headers. Where the first is damaged and its backup is whole, the backup's
/// partitions count, as they do for firmware and for the tools that repair it.
pub(super) fn read(
    disk: &dyn ReadAt,
    rewrite: &Fix,
    table: &mut Table,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    if !is_at(disk, SECTOR)? && is_at(disk, 4096)? {
        table.unread = true;
        findings
            .refuse(Rule::R4K, "the partition table is made for sectors of 4096 bytes; cloud disks use 512");
        return Ok(());
    }
    let (reason, damaged) = match whole(disk, 1)? {
        Ok((header, array)) => {
            list(disk.length(), &header, &array, &mut table.partitions, findings);
            return check_backup(disk, &header, rewrite, findings);
        }
        Err(damage) => damage,
    };
    let last = (disk.length() / SECTOR).saturating_sub(1);
    let alternate = damaged.as_ref().map_or(last, |header| header.alternate);
    let Some(backup) = findings.seen(BACKUP, whole(disk, alternate))? else {
        // Whether it is whole or not, the disk has to be repaired.
        table.unread = true;
        findings.refuse(Rule::RGpt, format!("the GPT at the front is damaged: {reason}"));
        return Ok(());
    };
    if let Ok((header, array)) = backup {
        let message = format!("the GPT at the front is damaged ({reason}), its backup is whole");
        findings.fix(Rule::RGpt, message, rewrite.clone());
        list(disk.length(), &header, &array, &mut table.partitions, findings);
        return Ok(());
    }
    table.unread = true;
    findings.refuse(Rule::RGpt, format!("the GPT is damaged: {reason}"));
    match damaged {
        Some(header) => check_backup(disk, &header, rewrite, findings),
        None => Ok(()),
    }
}

/// A header with its entries, or what is wrong with it, with the header where that itself is sound.
type Whole = Result<(Header, Vec<u8>), (&'static str, Option<Header>)>;

/// Reads the header in sector `lba` and the entries that it names.
fn whole(disk: &dyn ReadAt, lba: u64) -> Result<Whole, ReadError> {
    let header = match header(disk, lba)? {
        Ok(header) => header,
        Err(reason) => return Ok(Err((reason, None))),
    };
    Ok(match entries(disk, &header)? {
        Ok(array) => Ok((header, array)),
        Err(reason) => Err((reason, Some(header))),
    })
}

/// Reads the header in sector `lba`.
fn header(disk: &dyn ReadAt, lba: u64) -> Result<Result<Header, &'static str>, ReadError> {
    let offset = lba.saturating_mul(SECTOR);
    if offset.saturating_add(SECTOR) > disk.length() {
        return Ok(Err("it would lie beyond the end of the disk"));
    }
    let mut sector: [u8; SECTOR as usize] = array(disk, offset)?;
    if !sector.starts_with(SIGNATURE) {
        return Ok(Err("its signature is missing"));
    }
    let size = le32(&sector, 12) as usize;
    if !(MIN_HEADER..=sector.len()).contains(&size) {
        return Ok(Err("its size is impossible"));
    }
    let crc = le32(&sector, 16);
    sector[16..20].fill(0);
    if crc_fast::checksum(Crc32IsoHdlc, &sector[..size]) != u64::from(crc) {
        return Ok(Err("its checksum is wrong"));
    }
    if le64(&sector, 24) != lba {
        return Ok(Err("it claims to be in another sector"));
    }
    let (count, entry_size) = (u64::from(le32(&sector, 80)), u64::from(le32(&sector, 84)));
    let array = count * entry_size;
    if entry_size < 128 || !entry_size.is_multiple_of(8) || array > MAX_ARRAY {
        return Ok(Err("it has an impossible number or size of entries"));
    }
    Ok(Ok(Header {
        alternate: le64(&sector, 32),
        first_usable: le64(&sector, 40),
        last_usable: le64(&sector, 48),
        entries_at: le64(&sector, 72).saturating_mul(SECTOR),
        entry_size,
        array,
        array_crc: le32(&sector, 88),
    }))
}

/// Reads the array of entries.
fn entries(disk: &dyn ReadAt, header: &Header) -> Result<Result<Vec<u8>, &'static str>, ReadError> {
    if header.entries_at.saturating_add(header.array) > disk.length() {
        return Ok(Err("its entries would lie beyond the end of the disk"));
    }
    let array = up_to(disk, header.entries_at, usize::try_from(header.array).expect("at most 1 MiB"))?;
    if crc_fast::checksum(Crc32IsoHdlc, &array) != u64::from(header.array_crc) {
        return Ok(Err("the checksum of its entries is wrong"));
    }
    Ok(Ok(array))
}

fn list(
    length: u64,
    header: &Header,
    array: &[u8],
    partitions: &mut Vec<Partition>,
    findings: &mut Findings,
) {
    let size = usize::try_from(header.entry_size).expect("at most 1 MiB");
    let used =
        (1..).zip(array.chunks_exact(size)).filter(|(_, entry)| entry[..16].iter().any(|byte| *byte != 0));
    for (number, entry) in used.take(MAX_PARTITIONS) {
        let (first, last) = (le64(entry, 32), le64(entry, 40));
        let sectors = last.saturating_sub(first).saturating_add(1);
        let partition = Partition {
            number,
            kind: kind(entry[..16].try_into().expect("16 bytes")),
            type_code: guid(entry[..16].try_into().expect("16 bytes")),
            name: name(&entry[56..128]),
            start: first.saturating_mul(SECTOR),
            length: sectors.saturating_mul(SECTOR),
            active: le64(entry, 48) & LEGACY_BOOTABLE != 0,
            filesystem: None,
        };
        let end = partition.start.saturating_add(partition.length);
        if first > last || first < header.first_usable || last > header.last_usable {
            findings.refuse(
                Rule::RGptP,
                format!("partition {number} lies outside the sectors that the GPT may use"),
            );
        } else if end > length {
            let missing = mib(end - length);
            findings.refuse(
                Rule::RGptP,
                format!("partition {number} ends {missing} MiB beyond the end of the disk; truncated?"),
            );
        }
        partitions.push(partition);
    }
    check_overlap(&partitions.iter().collect::<Vec<_>>(), findings);
}

/// Checks that the backup is whole and in the last sector: a file that was cut, or enlarged later, shows there.
fn check_backup(
    disk: &dyn ReadAt,
    primary: &Header,
    rewrite: &Fix,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let end = primary.alternate.saturating_add(1).saturating_mul(SECTOR);
    if end > disk.length() {
        let missing = end - disk.length();
        let amount =
            if missing < 1 << 20 { format!("{missing} bytes") } else { format!("{} MiB", mib(missing)) };
        findings
            .refuse(Rule::RGptB, format!("the disk is truncated: {amount} are missing up to its backup GPT"));
        return Ok(());
    }
    let Some(backup) = findings.seen(BACKUP, whole(disk, primary.alternate))? else { return Ok(()) };
    let last = disk.length() / SECTOR - 1;
    if let Err((reason, _)) = backup {
        let at = primary.alternate;
        findings.fix(
            Rule::RGptB,
            format!("the backup GPT in sector {at} is damaged: {reason}; is the file complete?"),
            rewrite.clone(),
        );
    } else if primary.alternate != last && findings.seen(BACKUP, is_at(disk, last * SECTOR))?.is_some() {
        // More may follow as long as that sector is not there.
        findings.push(
            Finding::new(Rule::RGptB, Severity::Warn, "the backup GPT is not in the last sector of the disk")
                .fixed_by(rewrite.clone()),
        );
    }
    Ok(())
}

/// Reads a name of UTF-16 units up to the first zero.
fn name(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> =
        (0..bytes.len() / 2).map(|index| le16(bytes, index * 2)).take_while(|unit| *unit != 0).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// Writes a GUID as text; its first three fields are stored little-endian.
fn guid(bytes: &[u8; 16]) -> String {
    let tail: String = bytes[10..].iter().map(|byte| format!("{byte:02X}")).collect();
    format!(
        "{:08X}-{:04X}-{:04X}-{:02X}{:02X}-{tail}",
        le32(bytes, 0),
        le16(bytes, 4),
        le16(bytes, 6),
        bytes[8],
        bytes[9]
    )
}

fn kind(bytes: &[u8; 16]) -> PartitionKind {
    match guid(bytes).as_str() {
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" => PartitionKind::Esp,
        // GRUB's BIOS boot partition, and FreeBSD's boot partition.
        "21686148-6449-6E6F-744E-656564454649" | "83BD6B9D-7F41-11DC-BE0B-001560B84F0F" => {
            PartitionKind::BiosBoot
        }
        // Linux data; roots for x86-64, arm64 and x86; /usr for x86-64 and arm64; /home; the boot partition.
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
        | "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
        | "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
        | "44479540-F297-41B2-9AF7-D131D5F0458A"
        | "8484680C-9521-48C6-9C11-B0720656F69E"
        | "B0E01050-EE5F-4390-949A-9101B17104E9"
        | "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"
        | "BC13C2FF-59E6-4262-A352-B275FD6F7172" => PartitionKind::Linux,
        "E6D6D379-F507-44C2-A23C-238F2A3DF928" => PartitionKind::Lvm,
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" => PartitionKind::Swap,
        "A19D880F-05FC-4D3B-A006-743F0F84911E" => PartitionKind::Raid,
        // Basic data, and the recovery partition.
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7" | "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" => {
            PartitionKind::Windows
        }
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE" => PartitionKind::Reserved,
        // FreeBSD: UFS, ZFS, swap.
        "516E7CB6-6ECF-11D6-8FF8-00022D09712B"
        | "516E7CBA-6ECF-11D6-8FF8-00022D09712B"
        | "516E7CB5-6ECF-11D6-8FF8-00022D09712B" => PartitionKind::Bsd,
        _ => PartitionKind::Other,
    }
}
