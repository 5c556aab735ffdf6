use super::*;
use crate::Severity::{Fix as Fixed, Refuse, Warn};
use crate::testing::*;

fn slot(code: u8, first: u32, sectors: u32) -> Slot {
    Slot { status: 0, code, first, sectors }
}

/// Reads the table of a disk; returns it and the rules that it breaks.
fn table_of(disk: &[u8]) -> (Table, Vec<Rule>) {
    let (mut table, mut findings) = (Table::default(), Findings::default());
    read(&disk.to_vec(), &Fix::from("rewrite it"), &mut table, &mut findings).unwrap();
    (table, findings.0.iter().map(|finding| finding.rule).collect())
}

fn with_record(slots: &[Slot]) -> Vec<u8> {
    let mut disk = vec![0; 8 * MIB];
    write_record(&mut disk, 0, slots);
    disk
}

#[test]
fn partitions_of_an_mbr_are_listed() {
    let (table, rules) = table_of(&mbr_disk());
    assert_eq!((table.kind, table.boot_code, rules), (TableKind::Mbr, true, vec![]));
    let partition = &table.partitions[0];
    assert_eq!((partition.number, partition.kind, partition.active), (1, PartitionKind::Linux, true));
    assert_eq!((partition.type_code.as_str(), partition.start, partition.length), ("0x83", 1 << 20, 6 << 20));
}

#[test]
fn bounds_and_overlaps_of_an_mbr_are_checked() {
    assert_eq!(table_of(&with_record(&[slot(0x83, 2048, 20000)])).1, [Rule::RMbrB]);
    assert_eq!(table_of(&with_record(&[slot(0x83, 0, 100)])).1, [Rule::RMbrB]);
    assert_eq!(table_of(&with_record(&[slot(0x83, u32::MAX, u32::MAX)])).1, [Rule::RMbrB]);
    assert_eq!(table_of(&with_record(&[slot(0x83, 4000, 100), slot(0x83, 2048, 2000)])).1, [Rule::ROver]);
    assert_eq!(table_of(&with_record(&[slot(0x83, 4000, 100), slot(0x83, 2048, 1952)])).1, []);
}

#[test]
fn what_is_no_table_has_no_partitions() {
    let mut disk = with_record(&[Slot { status: 0x41, code: 0x83, first: 1, sectors: 1 }]);
    assert_eq!(table_of(&disk).0.kind, TableKind::None, "a status that is neither 00 nor 80 is text");
    disk = with_record(&[slot(0, 2048, 2048), slot(0x83, 2048, 0)]);
    assert_eq!(table_of(&disk).0.kind, TableKind::None);
}

#[test]
fn logical_partitions_are_followed() {
    let mut disk = with_record(&[slot(0x83, 100, 100), slot(0x05, 1000, 4000)]);
    write_record(&mut disk, 1000 * 512, &[slot(0x83, 10, 50), slot(0x05, 500, 100)]);
    write_record(&mut disk, 1500 * 512, &[slot(0x82, 10, 50)]);
    let (table, rules) = table_of(&disk);
    assert_eq!(rules, []);
    let found: Vec<_> = table.partitions.iter().map(|p| (p.number, p.start / 512, p.kind)).collect();
    use PartitionKind::{Extended, Linux, Swap};
    assert_eq!(found, [(1, 100, Linux), (2, 1000, Extended), (5, 1010, Linux), (6, 1510, Swap)]);
}

#[test]
fn a_chain_of_logical_partitions_always_ends() {
    let mut disk = with_record(&[slot(0x05, 1000, 4000)]);
    write_record(&mut disk, 1000 * 512, &[slot(0x83, 10, 50), slot(0x05, 500, 100)]);
    write_record(&mut disk, 1500 * 512, &[slot(0x83, 10, 50), slot(0x05, 500, 100)]);
    assert_eq!(table_of(&disk).1, [Rule::RExt], "a record that names itself");

    let mut disk = with_record(&[slot(0x05, 1000, 10000)]);
    for number in 0..100 {
        let next = [slot(0x83, 1, 1), slot(0x05, (number + 1) * 10, 10)];
        write_record(&mut disk, (1000 + number as usize * 10) * 512, &next);
    }
    let (table, rules) = table_of(&disk);
    assert_eq!((table.partitions.len(), rules), (65, vec![Rule::RExt]), "too many");

    let disk = with_record(&[slot(0x05, 1000, 4000)]);
    assert_eq!(table_of(&disk).1, [Rule::RExt], "a record without signature");
    let mut disk = with_record(&[slot(0x0F, 1000, 4000)]);
    write_record(&mut disk, 1000 * 512, &[slot(0x05, u32::MAX, 1)]);
    assert_eq!(table_of(&disk).1, [Rule::RExt], "a record beyond the end");
}

#[test]
fn partitions_of_a_gpt_are_listed() {
    let (table, rules) = table_of(&gpt_disk(&[(ESP, 2048, 4095, 0), (LINUX, 4096, 8191, 4)]));
    assert_eq!((table.kind, table.boot_code, rules), (TableKind::Gpt, false, vec![]));
    let [esp, root] = table.partitions.as_slice() else { panic!() };
    assert_eq!((esp.kind, esp.start, esp.length, esp.active), (PartitionKind::Esp, 1 << 20, 1 << 20, false));
    assert_eq!(esp.type_code, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    assert_eq!((root.kind, root.name.as_deref(), root.active), (PartitionKind::Linux, Some("root"), true));
}

/// The fields of a GPT's front whose damage is noticed: place, bytes, and whether the header is sealed again.
const DAMAGE: [(usize, &[u8], bool); 9] = [
    (512, b"XXX", false),
    (512 + 56, b"XXX", false),
    (1024 + 200, b"XXX", false),
    (512 + 24, &[7], true),
    (512 + 12, &u32::MAX.to_le_bytes(), false),
    (512 + 80, &u32::MAX.to_le_bytes(), true),
    (512 + 84, &u32::MAX.to_le_bytes(), true),
    (512 + 84, &0u32.to_le_bytes(), true),
    (512 + 72, &u64::MAX.to_le_bytes(), true),
];

fn damaged(disk: &[u8], (at, bytes, seal): (usize, &[u8], bool)) -> Vec<u8> {
    let mut disk = disk.to_vec();
    put(&mut disk, at, bytes);
    if seal {
        seal_gpt_header(&mut disk, 512);
    }
    disk
}

#[test]
fn a_damaged_gpt_without_a_whole_backup_is_refused() {
    let mut good = gpt_disk(&[(LINUX, 2048, 4095, 0)]);
    let last = good.len() - 512;
    put(&mut good, last, b"XXX");
    for damage in DAMAGE {
        let (table, rules) = table_of(&damaged(&good, damage));
        assert!(
            rules[0] == Rule::RGpt && table.unread && table.partitions.is_empty(),
            "{damage:?} {rules:?}"
        );
    }
}

#[test]
fn the_backup_counts_where_the_front_is_damaged() {
    let good = gpt_disk(&[(LINUX, 2048, 4095, 0)]);
    for damage in DAMAGE {
        let (mut table, mut findings) = (Table::default(), Findings::default());
        let rewrite = Fix::from("rewrite it");
        read(&damaged(&good, damage), &rewrite, &mut table, &mut findings).unwrap();
        let found: Vec<_> = findings.0.iter().map(|finding| (finding.rule, finding.severity)).collect();
        assert_eq!(found, [(Rule::RGpt, Fixed)], "{damage:?}");
        assert_eq!(findings.0[0].fix, Some(rewrite));
        assert!(!table.unread && table.partitions.len() == 1, "{damage:?}");
    }
}

#[test]
fn the_backup_tells_what_is_missing() {
    let good = gpt_disk(&[(LINUX, 2048, 4095, 0)]);
    let rule = |disk: &[u8]| {
        let (mut table, mut findings) = (Table::default(), Findings::default());
        read(&disk.to_vec(), &Fix::from("rewrite it"), &mut table, &mut findings).unwrap();
        findings.0.iter().map(|finding| (finding.rule, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(rule(&good), []);
    assert_eq!(rule(&good[..good.len() - 1]), [(Rule::RGptB, Refuse)]);
    let mut grown = good.clone();
    grown.resize(9 * MIB, 0);
    assert_eq!(rule(&grown), [(Rule::RGptB, Warn)]);
    let mut damaged = good.clone();
    let last = good.len() - 512;
    put(&mut damaged, last, b"XXX");
    assert_eq!(rule(&damaged), [(Rule::RGptB, Fixed)]);
    let mut damaged = good.clone();
    put(&mut damaged, good.len() - 33 * 512 + 60, b"XXX");
    assert_eq!(rule(&damaged), [(Rule::RGptB, Fixed)], "the backup's entries count too");
    let mut far = good.clone();
    put(&mut far, 512 + 32, &u64::MAX.to_le_bytes());
    seal_gpt_header(&mut far, 512);
    assert_eq!(rule(&far), [(Rule::RGptB, Refuse)]);
}

#[test]
fn partitions_of_a_gpt_lie_in_its_bounds() {
    assert_eq!(table_of(&gpt_disk(&[(LINUX, 10, 4095, 0)])).1, [Rule::RGptP]);
    assert_eq!(table_of(&gpt_disk(&[(LINUX, 4095, 2048, 0)])).1, [Rule::RGptP]);
    assert_eq!(table_of(&gpt_disk(&[(LINUX, 2048, u64::MAX, 0)])).1, [Rule::RGptP]);
    assert_eq!(table_of(&gpt_disk(&[(LINUX, u64::MAX, u64::MAX, 0)])).1, [Rule::RGptP]);
    assert_eq!(table_of(&gpt_disk(&[(LINUX, 2048, 4095, 0), (LINUX, 4000, 5000, 0)])).1, [Rule::ROver]);
}

#[test]
fn a_gpt_for_large_sectors_is_told_apart() {
    let mut disk = gpt_disk(&[(LINUX, 2048, 4095, 0)]);
    disk.copy_within(512..1024, 4096);
    disk[512..1024].fill(0);
    assert_eq!(table_of(&disk).1, [Rule::R4K]);
    disk[446..512].fill(0);
    assert_eq!(table_of(&disk).1, [Rule::R4K], "without a protective entry too");
}

#[test]
fn a_gpt_without_its_protective_entry_is_read() {
    let mut disk = gpt_disk(&[(LINUX, 2048, 4095, 0)]);
    disk[446..512].fill(0);
    let (table, _) = table_of(&disk);
    assert_eq!((table.kind, table.signed, table.partitions.len()), (TableKind::Gpt, false, 1));
}

#[test]
fn a_stale_gpt_behind_an_mbr_is_not_read() {
    let mut disk = gpt_disk(&[(ESP, 2048, 4095, 0)]);
    write_record(&mut disk, 0, &[slot(0x83, 2048, 2048)]);
    let (table, rules) = table_of(&disk);
    assert_eq!((table.kind, rules), (TableKind::Mbr, vec![]));
}
