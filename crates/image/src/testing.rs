//! Disks and images built byte by byte, for tests.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

use super::{DiskRole, Expected, Report, Rule, Severity, inspect};

/// One MiB.
pub const MIB: usize = 1 << 20;
/// Type GUIDs as they are on disk.
pub const ESP: [u8; 16] =
    [0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B];
pub const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";
pub const LINUX: [u8; 16] =
    [0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4];

pub fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An entry of an MBR.
#[derive(Clone, Copy)]
pub struct Slot {
    pub status: u8,
    pub code: u8,
    pub first: u32,
    pub sectors: u32,
}

/// Writes a boot record with these entries into the sector at `at`.
pub fn write_record(disk: &mut [u8], at: usize, slots: &[Slot]) {
    for (index, slot) in slots.iter().enumerate() {
        let entry = at + 446 + index * 16;
        put(disk, entry, &[slot.status, 0, 0, 0, slot.code]);
        put(disk, entry + 8, &slot.first.to_le_bytes());
        put(disk, entry + 12, &slot.sectors.to_le_bytes());
    }
    put(disk, at + 510, &[0x55, 0xAA]);
}

pub fn boot_code(disk: &mut [u8]) {
    put(disk, 0, b"\xEB\x63\x90code");
}

/// Writes the magic of ext4 for a file system that begins at `at`.
pub fn write_ext4(disk: &mut [u8], at: usize) {
    put(disk, at + 1080, &[0x53, 0xEF]);
    put(disk, at + 1120, &[0x42]);
}

/// A disk of 8 MiB with boot code and one active Linux partition of 6 MiB from 1 MiB on.
pub fn mbr_disk() -> Vec<u8> {
    let mut disk = vec![0; 8 * MIB];
    write_record(&mut disk, 0, &[Slot { status: 0x80, code: 0x83, first: 2048, sectors: 12288 }]);
    boot_code(&mut disk);
    write_ext4(&mut disk, MIB);
    disk
}

/// A disk of 8 MiB with a GPT; each entry is type, first sector, last sector and attributes.
pub fn gpt_disk(entries: &[([u8; 16], u64, u64, u64)]) -> Vec<u8> {
    let mut disk = vec![0; 8 * MIB];
    let sectors = 8 * MIB as u64 / 512;
    let whole = u32::try_from(sectors - 1).unwrap();
    write_record(&mut disk, 0, &[Slot { status: 0, code: 0xEE, first: 1, sectors: whole }]);
    let mut array = vec![0; 128 * 128];
    for (index, (kind, first, last, attributes)) in entries.iter().enumerate() {
        let at = index * 128;
        put(&mut array, at, kind);
        put(&mut array, at + 16, &[index as u8 + 1; 16]);
        for (field, value) in [(32, first), (40, last), (48, attributes)] {
            put(&mut array, at + field, &value.to_le_bytes());
        }
        put(&mut array, at + 56, b"r\0o\0o\0t\0");
    }
    put(&mut disk, 1024, &array);
    let backup_array = disk.len() - 33 * 512;
    put(&mut disk, backup_array, &array);
    write_gpt_header(&mut disk, 1, sectors - 1, 2, &array);
    write_gpt_header(&mut disk, sectors - 1, 1, sectors - 33, &array);
    disk
}

fn write_gpt_header(disk: &mut [u8], lba: u64, alternate: u64, array_at: u64, array: &[u8]) {
    let at = lba as usize * 512;
    let sectors = disk.len() as u64 / 512;
    let header = &mut disk[at..at + 92];
    put(header, 0, b"EFI PART\0\0\x01\0");
    put(header, 12, &92u32.to_le_bytes());
    for (field, value) in [(24, lba), (32, alternate), (40, 34), (48, sectors - 34), (72, array_at)] {
        put(header, field, &value.to_le_bytes());
    }
    put(header, 80, &128u32.to_le_bytes());
    put(header, 84, &128u32.to_le_bytes());
    put(header, 88, &(crc_fast::checksum(Crc32IsoHdlc, array) as u32).to_le_bytes());
    seal_gpt_header(disk, at);
}

/// Updates the checksum of the header at `at`.
pub fn seal_gpt_header(disk: &mut [u8], at: usize) {
    put(disk, at + 16, &[0; 4]);
    let crc = crc_fast::checksum(Crc32IsoHdlc, &disk[at..at + 92]) as u32;
    put(disk, at + 16, &crc.to_le_bytes());
}

/// Bytes of a cluster of [`qcow2`].
pub const CLUSTER: usize = 64 << 10;

/// A QCOW2 file of version 3 around a disk of at most 512 MiB, each cluster in its place: header, refcount table,
/// refcount block, L1 table, L2 table, data.
pub fn qcow2(disk: &[u8]) -> Vec<u8> {
    let clusters = disk.len().div_ceil(CLUSTER);
    let mut file = vec![0; (5 + clusters) * CLUSTER];
    put(&mut file, 0, b"QFI\xFB\0\0\0\x03");
    for (at, value) in [(20, 16u32), (36, 1), (56, 1), (96, 4), (100, 112)] {
        put(&mut file, at, &value.to_be_bytes());
    }
    for (at, value) in [(24, disk.len()), (40, 3 * CLUSTER), (48, CLUSTER)] {
        put(&mut file, at, &(value as u64).to_be_bytes());
    }
    put(&mut file, CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for cluster in 0..5 + clusters {
        put(&mut file, 2 * CLUSTER + cluster * 2, &[0, 1]);
    }
    put(&mut file, 3 * CLUSTER, &((4 * CLUSTER as u64) | (1 << 63)).to_be_bytes());
    for cluster in 0..clusters {
        put(
            &mut file,
            4 * CLUSTER + cluster * 8,
            &((((5 + cluster) * CLUSTER) as u64) | (1 << 63)).to_be_bytes(),
        );
    }
    put(&mut file, 5 * CLUSTER, disk);
    file
}

/// Writes a footer's or header's checksum, the one's complement of the sum of the other bytes.
pub fn seal_vhd(bytes: &mut [u8], at: usize) {
    put(bytes, at, &[0; 4]);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    put(bytes, at, &(!sum).to_be_bytes());
}

/// A VHD footer by qemu-img with force_size.
pub fn vhd_footer(size: u64, kind: u32) -> Vec<u8> {
    let mut footer = vec![0; 512];
    put(&mut footer, 0, b"conectix\0\0\0\x02\0\x01\0\0");
    let data_offset = if kind == 2 { u64::MAX } else { 512 };
    put(&mut footer, 16, &data_offset.to_be_bytes());
    put(&mut footer, 28, b"qem2");
    put(&mut footer, 40, &size.to_be_bytes());
    put(&mut footer, 48, &size.to_be_bytes());
    put(&mut footer, 56, &[0xFF, 0xFF, 16, 255]);
    put(&mut footer, 60, &kind.to_be_bytes());
    seal_vhd(&mut footer, 64);
    footer
}

/// A fixed VHD around a disk.
pub fn fixed_vhd(disk: &[u8]) -> Vec<u8> {
    let mut file = disk.to_vec();
    file.extend(vhd_footer(disk.len() as u64, 2));
    file
}

/// A dynamic VHD around a disk that is a multiple of 2 MiB long, every block in the file.
pub fn dynamic_vhd(disk: &[u8]) -> Vec<u8> {
    let blocks = disk.len() / (2 * MIB);
    let footer = vhd_footer(disk.len() as u64, 3);
    let mut header = vec![0; 1024];
    put(&mut header, 0, b"cxsparse\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    put(&mut header, 16, &1536u64.to_be_bytes());
    put(&mut header, 24, &0x0001_0000u32.to_be_bytes());
    put(&mut header, 28, &(blocks as u32).to_be_bytes());
    put(&mut header, 32, &(2 * MIB as u32).to_be_bytes());
    seal_vhd(&mut header, 36);
    let mut file = footer.clone();
    file.extend(header);
    let mut table = vec![0xFF; 512];
    for block in 0..blocks {
        let sector = 4 + block * (1 + 4096);
        put(&mut table, block * 4, &(sector as u32).to_be_bytes());
    }
    file.extend(table);
    for block in disk.chunks(2 * MIB) {
        file.extend([0xFF; 512]);
        file.extend(block);
    }
    file.extend(footer);
    file
}

/// A FAT16 file system of 4 MiB that holds one loader, by its short name, in `\EFI\BOOT`.
pub fn esp(loader: &[u8; 11]) -> Vec<u8> {
    let mut disk = vec![0; 4 * MIB];
    put(&mut disk, 0, b"\xEB\x3C\x90MSDOS5.0");
    put(&mut disk, 11, &512u16.to_le_bytes());
    disk[13] = 1; // sectors of a cluster
    put(&mut disk, 14, &1u16.to_le_bytes()); // reserved sectors
    disk[16] = 1; // tables
    put(&mut disk, 17, &16u16.to_le_bytes()); // entries of the root
    put(&mut disk, 19, &8192u16.to_le_bytes());
    put(&mut disk, 22, &32u16.to_le_bytes());
    put(&mut disk, 54, b"FAT16   ");
    put(&mut disk, 510, &[0x55, 0xAA]);
    let entry = |name: &[u8; 11], attributes: u8, cluster: u16| {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, name);
        bytes[11] = attributes;
        put(&mut bytes, 26, &cluster.to_le_bytes());
        bytes
    };
    let root = 33 * 512;
    let cluster = |number: usize| root + 512 + (number - 2) * 512;
    for number in [2, 3, 4] {
        put(&mut disk, 512 + number * 2, &[0xFF, 0xFF]);
    }
    put(&mut disk, root, &entry(b"ESP        ", 0x08, 0));
    put(&mut disk, root + 32, &entry(b"EFI        ", 0x10, 2));
    put(&mut disk, cluster(2), &entry(b"BOOT       ", 0x10, 3));
    put(&mut disk, cluster(3), &entry(loader, 0x20, 4));
    put(&mut disk, cluster(3) + 28, &2u32.to_le_bytes());
    put(&mut disk, cluster(4), b"MZ");
    disk
}

/// Inspects as a system disk with no further expected.
pub fn report(image: &[u8]) -> Report {
    report_for(image, &Expected::new(DiskRole::System, "disk.img"))
}

pub fn report_for(image: &[u8], expected: &Expected) -> Report {
    inspect(&image.to_vec(), expected).unwrap()
}

/// Lists the rules that were broken, from warnings up, but not the size, which is small in tests.
pub fn broken(report: &Report) -> Vec<(Rule, Severity)> {
    let worse = report.findings.iter().filter(|finding| finding.severity >= Severity::Warn);
    worse
        .filter(|finding| finding.rule != Rule::FSize)
        .map(|finding| (finding.rule, finding.severity))
        .collect()
}
