//! Broken numbers behind right checksums: nothing panics, loops or reads without bound.

use proptest::prelude::*;

use super::testing::*;
use super::{DiskRole, Expected, inspect};
use ossup_core::read::{ReadAt, ReadError};

/// Numbers that break arithmetic.
fn nasty() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(i64::MAX as u64),
        Just(u64::from(u32::MAX)),
        (0u32..64).prop_map(|bit| 1 << bit),
        (1u32..64).prop_map(|bit| (1 << bit) - 1),
        0u64..1 << 24,
    ]
}

/// Fields to overwrite: which of a list, and with what.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u64)>> {
    prop::collection::vec((any::<prop::sample::Index>(), nasty()), 1..4)
}

/// Writes the last bytes of a number into a field.
fn write(bytes: &mut [u8], (at, width): (usize, usize), value: u64, big_endian: bool) {
    if big_endian {
        put(bytes, at, &value.to_be_bytes()[8 - width..]);
    } else {
        put(bytes, at, &value.to_le_bytes()[..width]);
    }
}

fn survives(image: &dyn ReadAt) {
    for role in [DiskRole::System, DiskRole::Data] {
        let report = inspect(image, &Expected::new(role, "x"));
        assert!(!matches!(report, Err(ReadError::Missing { .. })));
        report.expect("bytes in memory can be read");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn qcow2_headers_and_tables(changes in changes()) {
        // Every field of the header, and the first entries of refcount table, L1 and L2.
        let mut fields: Vec<(usize, usize)> = vec![
            (4, 4), (8, 8), (16, 4), (20, 4), (24, 8), (32, 4), (36, 4), (40, 8), (48, 8), (56, 4), (60, 4), (64, 8),
            (72, 8), (80, 8), (88, 8), (96, 4), (100, 4), (104, 1), (112, 4), (116, 4),
        ];
        for table in [1, 3, 4] {
            fields.extend((0..4).map(|entry| (table * CLUSTER + entry * 8, 8)));
        }
        let mut image = qcow2(&mbr_disk()[..2 * MIB]);
        for (index, value) in changes {
            write(&mut image, *index.get(&fields), value, true);
        }
        survives(&image);
    }

    #[test]
    fn vhd_footers_headers_and_tables(footer in changes(), header in changes(), table in changes()) {
        let mut image = dynamic_vhd(&mbr_disk());
        let tail = image.len() - 512;
        for (index, value) in footer {
            write(&mut image, *index.get(&[(16, 8), (40, 8), (48, 8), (56, 4), (60, 4), (28, 4)]), value, true);
        }
        seal_vhd(&mut image[..512], 64);
        image.copy_within(..512, tail);
        for (index, value) in header {
            write(&mut image[512..1536], *index.get(&[(16, 8), (28, 4), (32, 4)]), value, true);
        }
        seal_vhd(&mut image[512..1536], 36);
        for (index, value) in table {
            write(&mut image, *index.get(&[(1536, 4), (1540, 4), (1544, 4), (1548, 4)]), value, true);
        }
        survives(&image);
    }

    #[test]
    fn partition_tables(header in changes(), entries in changes(), record in changes()) {
        let mut disk = gpt_disk(&[(ESP, 2048, 4095, 0), (LINUX, 4096, 8191, 4), (BIOS_BOOT, 8192, 8200, 0)]);
        for (index, value) in entries {
            write(&mut disk[1024..], *index.get(&[(32, 8), (40, 8), (160, 8), (168, 8), (288, 8)]), value, false);
        }
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &disk[1024..1024 + 16384]);
        write(&mut disk, (512 + 88, 4), crc, false);
        for (index, value) in header {
            write(&mut disk[512..], *index.get(&[(12, 4), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4)]), value, false);
        }
        seal_gpt_header(&mut disk, 512);
        survives(&disk);
        // The same numbers as extended partitions of an MBR.
        let mut disk = mbr_disk();
        disk[446..510].fill(0);
        for (index, value) in record {
            let slot = [0, 1, 2, 3][index.index(4)];
            put(&mut disk, 446 + slot * 16 + 4, &[[0x05, 0x83, 0xEF, 0x0F][(value % 4) as usize]]);
            write(&mut disk, (446 + slot * 16 + 8, 8), value, false);
        }
        survives(&disk);
    }

    #[test]
    fn fat_boot_sectors(changes in changes()) {
        let mut disk = esp(b"BOOTX64 EFI");
        for (index, value) in changes {
            let fields = [(11, 2), (13, 1), (14, 2), (16, 1), (17, 2), (19, 2), (22, 2), (32, 4), (36, 4), (44, 4)];
            write(&mut disk, *index.get(&fields), value, false);
        }
        super::fat::examine(&disk).expect("bytes in memory can be read");
    }
}
