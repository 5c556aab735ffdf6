use proptest::prelude::*;

use super::*;
use crate::finding::Findings;
use crate::testing::{dynamic_vhd, mbr_disk, put};
use crate::{qcow2, vhd};

/// How a cluster of the disk is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nowhere,
    /// With the zero flag, in front of bytes that are not zero.
    Zero,
    Data,
    Packed,
}

/// What a cluster of the disk holds.
fn content(index: usize, cluster: usize) -> Vec<u8> {
    let mut bytes = vec![index as u8 | 1; cluster];
    bytes[..8].copy_from_slice(&(index as u64 + 1).to_be_bytes());
    bytes
}

/// Writes a QCOW2 file of at most 64 L2 tables, its clusters in their order or in the opposite one, and returns
/// it with its disk.
fn image(bits: u32, kept: &[Kept], reversed: bool) -> (Vec<u8>, Vec<u8>) {
    let cluster = 1usize << bits;
    let per_table = cluster / 8;
    let tables = kept.len().div_ceil(per_table);
    let mut file = vec![0; (4 + tables) * cluster];
    put(&mut file, 0, b"QFI\xFB\0\0\0\x03");
    for (at, value) in [(20, bits), (36, tables as u32), (56, 1), (96, 4), (100, 104)] {
        put(&mut file, at, &value.to_be_bytes());
    }
    for (at, value) in [(24, kept.len() * cluster), (40, 3 * cluster), (48, cluster)] {
        put(&mut file, at, &(value as u64).to_be_bytes());
    }
    for table in 0..tables {
        put(&mut file, 3 * cluster + table * 8, &((4 + table) as u64 * cluster as u64).to_be_bytes());
    }
    let mut disk = vec![0; kept.len() * cluster];
    let mut order: Vec<usize> = (0..kept.len()).collect();
    if reversed {
        order.reverse();
    }
    for index in order {
        let bytes = content(index, cluster);
        let entry = match kept[index] {
            Kept::Nowhere => 0,
            Kept::Packed => {
                let at = file.len() as u64;
                let packed = crate::inflate::deflated(&bytes);
                let sectors = (at + packed.len() as u64 - 1) / 512 - at / 512;
                file.extend(packed);
                1 << 62 | sectors << (62 - (bits - 8)) | at
            }
            other => {
                file.resize(file.len().next_multiple_of(cluster), 0);
                let at = file.len() as u64;
                file.extend(&bytes);
                at | u64::from(other == Kept::Zero)
            }
        };
        if matches!(kept[index], Kept::Data | Kept::Packed) {
            put(&mut disk, index * cluster, &bytes);
        }
        put(&mut file, 4 * cluster + index * 8, &entry.to_be_bytes());
    }
    (file, disk)
}

fn guest(file: Vec<u8>) -> Guest<Vec<u8>, qcow2::Qcow2> {
    let layout =
        qcow2::check(&file, &mut Findings::default()).unwrap().layout.expect("its tables can be followed");
    Guest::new(file, layout)
}

fn ranges(disk: &dyn ReadAt) -> Vec<ByteRange> {
    let mut found: Vec<ByteRange> = Vec::new();
    let mut from = 0;
    while let Some(range) = disk.next_data(from).unwrap() {
        assert!(range.start >= from && !range.is_empty() && range.end <= disk.length(), "{range:?}");
        from = range.end;
        found.push(range);
    }
    found
}

fn kept() -> impl Strategy<Value = Vec<Kept>> {
    let one = prop_oneof![Just(Kept::Nowhere), Just(Kept::Zero), Just(Kept::Data), Just(Kept::Packed)];
    let run = (one, 1usize..20).prop_map(|(kept, count)| vec![kept; count]);
    prop::collection::vec(run, 1..12).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_range_of_the_disk_is_what_was_written(
        kept in kept(),
        bits in 9u32..14,
        reversed: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..20),
    ) {
        let (file, disk) = image(bits, &kept, reversed);
        let guest = guest(file);
        prop_assert_eq!(guest.length(), disk.len() as u64);
        for (start, length) in places {
            let start = start.index(disk.len());
            let length = length.index(disk.len() - start + 1);
            let mut read = vec![0xEE; length];
            guest.read_at(start as u64, &mut read).unwrap();
            prop_assert!(read == disk[start..start + length]);
            let mut ready = vec![0xEE; length];
            let count = guest.read_ready(start as u64, &mut ready).unwrap_or_default();
            prop_assert!(ready[..count] == disk[start..start + count]);
            let packed = kept[start >> bits] == Kept::Packed;
            prop_assert!(length == 0 || (count == 0) == packed, "only what is compressed has to be waited for");
        }
        let cluster = 1u64 << bits;
        let found = ranges(&guest);
        for (index, kept) in (0u64..).zip(&kept) {
            let within = found.iter().any(|range| (range.start..range.end).contains(&(index * cluster)));
            prop_assert_eq!(within, matches!(kept, Kept::Data | Kept::Packed), "cluster {}", index);
        }
        prop_assert!(guest.next_data(guest.length()).unwrap().is_none());
    }

    #[test]
    fn broken_tables_neither_panic_nor_give_more_than_the_disk(
        kept in kept(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            any::<u64>(),
            (0u64..64).prop_map(|cluster| cluster << 9),
            (0u32..64).prop_map(|bit| 1 << bit),
        ]), 1..6),
    ) {
        let (mut file, disk) = image(9, &kept, false);
        let tables = 3 * 512..(4 + kept.len().div_ceil(64)) * 512;
        for (at, value) in damage {
            let at = tables.start + at.index(tables.len() / 8) * 8;
            put(&mut file, at, &value.to_be_bytes());
        }
        let checked = qcow2::check(&file, &mut Findings::default()).unwrap();
        let Some(layout) = checked.layout else { return Ok(()) };
        let guest = Guest::new(file, layout);
        for (index, _) in kept.iter().enumerate() {
            let offset = index as u64 * 512;
            let read = guest.read_at(offset, &mut [0; 512]);
            let named = matches!(
                &read,
                Ok(()) | Err(ReadError::Unreadable { .. } | ReadError::Truncated { .. })
            );
            prop_assert!(named, "{:?}", read);
            if let Err(ReadError::Unreadable { offset: at, .. } | ReadError::Truncated { offset: at, .. }) = read {
                prop_assert_eq!(at, offset);
            }
        }
        let mut from = 0;
        while let Ok(Some(range)) = guest.next_data(from) {
            prop_assert!(range.start >= from && !range.is_empty() && range.end <= disk.len() as u64);
            from = range.end;
        }
    }
}

#[test]
fn threads_that_read_at_once_get_the_same_bytes() {
    let kept: Vec<_> =
        (0..400).map(|n| [Kept::Packed, Kept::Data, Kept::Nowhere, Kept::Data][n % 4]).collect();
    let (file, disk) = image(12, &kept, true);
    let guest = guest(file);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (guest, disk) = (&guest, &disk);
            scope.spawn(move || {
                for step in 0..disk.len() / 10_000 {
                    let start = (step * 7 + thread * 13) % (disk.len() / 10_000) * 10_000;
                    let mut read = vec![0; 10_000];
                    guest.read_at(start as u64, &mut read).unwrap();
                    assert!(read == disk[start..start + 10_000]);
                }
            });
        }
    });
}

#[test]
fn a_compressed_cluster_that_is_read_in_blocks_is_unpacked_once() {
    let (file, disk) = image(21, &[Kept::Packed], false);
    let guest = guest(file).with_unpack_limit(2 << 20);
    for start in (0..2 << 20).step_by(256 << 10) {
        let mut read = vec![0; 256 << 10];
        guest.read_at(start as u64, &mut read).unwrap();
        assert!(read == disk[start..start + (256 << 10)]);
    }
}

#[test]
fn no_more_of_the_tables_is_held_than_a_mebibyte() {
    // A file with nothing in it, whose tables would need 2 MiB.
    let file = vec![0u8; 2 << 20];
    let tables = Tables::new();
    for at in (0..2 << 20).step_by(8) {
        assert_eq!(tables.entry(&file, at).unwrap(), [0; 8]);
    }
    assert_eq!(tables.held(), 256);
}

#[test]
fn an_error_names_the_byte_of_the_disk_and_the_reason() {
    let kept = [Kept::Data; 200];
    let read = |entry_at: usize, entry: u64, cluster: u64| {
        let (mut file, _) = image(9, &kept, false);
        put(&mut file, entry_at, &entry.to_be_bytes());
        let layout = qcow2::check(&file, &mut Findings::default()).unwrap().layout.unwrap();
        let guest = Guest::new(file, layout);
        let mut whole = vec![0; 200 * 512];
        let error = guest.read_at(0, &mut whole).unwrap_err();
        assert!(
            guest.read_at(0, &mut whole[..cluster as usize * 512]).is_ok(),
            "what lies before can be read"
        );
        error.to_string()
    };
    // L1 begins at cluster 3, the four L2 tables at cluster 4.
    let l2 = |cluster: usize| 4 * 512 + cluster * 8;
    let loops = read(3 * 512 + 8, 3 * 512, 64);
    assert!(
        loops.contains("byte 32768 of the disk") && loops.contains("L2 table lies where none can be"),
        "{loops}"
    );
    let header = read(l2(70), 3 * 512, 70);
    assert!(
        header.contains("byte 35840 of the disk") && header.contains("cluster lies where none can be"),
        "{header}"
    );
    let itself = read(l2(1), 4 * 512, 1);
    assert!(itself.contains("byte 512 of the disk"), "{itself}");
    let behind = read(l2(199), 1 << 40, 199);
    assert!(behind.contains("byte 101888 of the disk") && behind.contains("which ends before"), "{behind}");
}

#[test]
fn blocks_of_a_dynamic_vhd_are_read_and_their_holes_known() {
    const BLOCK: usize = 2 << 20;
    let mut disk = mbr_disk();
    disk[2 * BLOCK..].fill(9);
    let mut file = dynamic_vhd(&disk);
    put(&mut file, 1536 + 4, &[0xFF; 4]);
    disk[BLOCK..2 * BLOCK].fill(0);
    let layout = vhd::check(&file, &mut Findings::default()).unwrap().layout.unwrap();
    let guest = Guest::new(file.clone(), layout.clone());
    let mut read = vec![0xEE; disk.len()];
    guest.read_at(0, &mut read).unwrap();
    assert!(read == disk);
    let block = BLOCK as u64;
    assert_eq!(ranges(&guest), [ByteRange::new(0, block), ByteRange::new(2 * block, 4 * block)]);
    // A block in the table, and one behind the end.
    for (entry, reason) in [(3u32, "where none can be"), (u32::MAX - 1, "which ends before")] {
        put(&mut file, 1536 + 8, &entry.to_be_bytes());
        let guest = Guest::new(&file, layout.clone());
        let error = guest.read_at(2 * block - 1, &mut [0; 2]).unwrap_err().to_string();
        assert!(error.contains("byte 4194304 of the disk") && error.contains(reason), "{error}");
    }
}
