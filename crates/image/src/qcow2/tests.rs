use super::*;
use crate::Severity::{Fix, Refuse, Warn};
use crate::guest::Guest;
use crate::testing::*;
use crate::{Report, TableKind, Verdict};

/// The image around [`mbr_disk`] with some of its bytes replaced, and the rules that breaks.
fn with(patches: &[(usize, &[u8])]) -> Vec<(Rule, Severity)> {
    broken(&patched(patches))
}

fn patched(patches: &[(usize, &[u8])]) -> Report {
    let mut file = qcow2(&mbr_disk());
    for (at, bytes) in patches {
        put(&mut file, *at, bytes);
    }
    report(&file)
}

#[test]
fn the_disk_inside_is_seen() {
    let report = patched(&[]);
    assert_eq!(broken(&report), []);
    assert_eq!((report.virtual_size, report.partition_table), (Some(8 << 20), TableKind::Mbr));
    assert_eq!(report.partitions[0].filesystem, Some(crate::FileSystem::Ext4));
}

#[test]
fn each_field_of_the_header_is_checked() {
    let u32 = |value: u32| value.to_be_bytes();
    let u64 = |value: u64| value.to_be_bytes();
    let inner = (Rule::QInner, Warn);
    assert_eq!(with(&[(8, &u64(600)), (16, &u32(4)), (600, b"a\nb\xFF")]), [(Rule::QBack, Fix)]);
    assert_eq!(with(&[(20, &u32(8))]), [(Rule::QClb, Refuse)]);
    assert_eq!(with(&[(20, &u32(22))]), [(Rule::QClb, Refuse)]);
    assert_eq!(with(&[(20, &u32(u32::MAX))]), [(Rule::QClb, Refuse)]);
    assert_eq!(with(&[(24, &u64(0))]), [(Rule::FZeroVirt, Refuse)]);
    assert_eq!(with(&[(24, &u64((8 << 20) - 100))]), [(Rule::QSize, Warn)]);
    assert_eq!(with(&[(24, &u64(u64::MAX))]), [(Rule::QSize, Refuse)]);
    assert_eq!(with(&[(32, &u32(1))]), [(Rule::QCrypt, Refuse)]);
    assert_eq!(with(&[(32, &u32(2))]), [(Rule::QCrypt, Refuse)]);
    assert_eq!(with(&[(24, &u64(513 << 20))]), [(Rule::QL1, Refuse)], "too few entries");
    assert_eq!(with(&[(36, &u32(u32::MAX))]), [(Rule::QL1, Refuse)], "too many entries");
    assert_eq!(with(&[(40, &u64(3 << 16 | 8))]), [(Rule::QL1, Refuse)], "not aligned");
    assert_eq!(with(&[(40, &u64(!0xFFFF))]), [(Rule::QL1, Refuse)], "far away");
    assert_eq!(with(&[(48, &u64(1 << 40))]), [(Rule::QRt, Refuse)]);
    assert_eq!(with(&[(56, &u32(u32::MAX))]), [(Rule::QRt, Refuse)]);
    assert_eq!(with(&[(60, &u32(2))]), [(Rule::QSnap, Warn)]);
    assert_eq!(with(&[(72, &u64(1))]), [(Rule::QInc, Fix)]);
    assert_eq!(with(&[(72, &u64(2))]), [(Rule::QInc, Fix)]);
    assert_eq!(with(&[(72, &u64(4))]), [(Rule::QInc, Refuse)]);
    assert_eq!(with(&[(72, &u64(8)), (104, &[1])]), [(Rule::QInc, Warn)], "zstd, but nothing compressed");
    assert_eq!(with(&[(72, &u64(1 << 5))]), [(Rule::QInc, Refuse)]);
    assert_eq!(with(&[(80, &u64(1))]), [], "lazy refcounts");
    assert_eq!(with(&[(88, &u64(1))]), [(Rule::QAuto, Warn)]);
    assert_eq!(with(&[(96, &u32(7))]), [(Rule::QRord, Refuse)]);
    assert_eq!(with(&[(100, &u32(96))]), [(Rule::QHlen, Refuse)]);
    assert_eq!(with(&[(100, &u32(109))]), [(Rule::QHlen, Refuse)]);
    assert_eq!(with(&[(104, &[1])]), [(Rule::QCtype, Refuse)]);
    assert_eq!(with(&[(72, &u64(8))]), [(Rule::QInc, Warn), (Rule::QCtype, Refuse)]);
    // Unallocated clusters of an image with a backing file are in that file.
    let blank_l1 = u64(0);
    assert_eq!(with(&[(8, &u64(600)), (16, &u32(4)), (3 << 16, &blank_l1)]), [(Rule::QBack, Fix), inner]);
}

#[test]
fn extensions_are_walked_to_their_end() {
    let extension = |kind: u32, length: u32| [kind.to_be_bytes(), length.to_be_bytes()].concat();
    assert_eq!(with(&[(112, &extension(0x0537_BE77, 16))]), [(Rule::QExt, Refuse)]);
    let behind = [extension(0x6803_F857, 5), vec![0; 8], extension(0x4441_5441, 0)].concat();
    assert_eq!(with(&[(112, &behind)]), [(Rule::QExt, Refuse)], "after one that is padded");
    assert_eq!(with(&[(112, &extension(0x6803_F857, u32::MAX))]), []);
    assert_eq!(with(&[(100, &0xFFFF_FFF8u32.to_be_bytes())]), [], "extensions behind the cluster");
}

#[test]
fn a_truncated_file_is_noticed() {
    let file = qcow2(&mbr_disk());
    let cut = |length: usize| broken(&report(&file[..length]));
    assert_eq!(cut(50), [(Rule::QHlen, Refuse)]);
    assert_eq!(cut(2 * CLUSTER), [(Rule::QL1, Refuse)]);
    assert_eq!(cut(4 * CLUSTER), [(Rule::QTrunc, Refuse)], "the L2 table is missing");
    assert_eq!(cut(file.len() - CLUSTER), [(Rule::QTrunc, Refuse)], "the refcounts show it");
    assert_eq!(cut(file.len() - 1), [(Rule::QTrunc, Warn)]);
    assert_eq!(cut(file.len() - 512), [], "the last cluster may be short");
}

#[test]
fn an_l2_table_elsewhere_is_no_panic() {
    let far = (0x00FF_FFFF_FFFF_0000u64).to_be_bytes();
    assert_eq!(with(&[(3 * CLUSTER, &far)]), [(Rule::QTrunc, Refuse)]);
    assert_eq!(with(&[(4 * CLUSTER, &far)]), [(Rule::QTrunc, Refuse)], "the first cluster is beyond the end");
}

#[test]
fn zero_and_compressed_clusters_are_read() {
    let mut disk = mbr_disk();
    disk[..CLUSTER].fill(7);
    let mut file = qcow2(&disk);
    // Cluster 0 is compressed into cluster 5, cluster 1 has the zero flag, cluster 2 is not allocated.
    let packed = crate::inflate::deflated(&disk[..CLUSTER]);
    assert!(packed.len() < 500);
    file[5 * CLUSTER..6 * CLUSTER].fill(0xEE);
    put(&mut file, 5 * CLUSTER + 100, &packed);
    put(&mut file, 4 * CLUSTER, &(1u64 << 62 | (5 * CLUSTER as u64 + 100)).to_be_bytes());
    put(&mut file, 4 * CLUSTER + 8, &(((6 * CLUSTER) as u64) | 1).to_be_bytes());
    file[6 * CLUSTER..8 * CLUSTER].fill(9);
    put(&mut file, 4 * CLUSTER + 16, &[0; 8]);
    file[8 * CLUSTER..9 * CLUSTER].fill(5);
    let mut findings = Findings::default();
    let layout = check(&file, &mut findings).unwrap().layout.unwrap();
    let guest = Guest::new(&file, layout);
    let bytes = up_to(&guest, 0, 4 * CLUSTER).unwrap();
    let expected = [7, 0, 0, 5];
    for (cluster, value) in bytes.chunks(CLUSTER).zip(expected) {
        assert!(cluster.iter().all(|byte| *byte == value), "{value}");
    }
    // Damaged, it cannot be read, and that is all.
    put(&mut file, 5 * CLUSTER + 100, &[0xFF; 8]);
    assert_eq!(broken(&report(&file)), [(Rule::QInner, Warn), (Rule::RBoot, Warn)]);
}

#[test]
fn subclusters_are_read() {
    let mut disk = mbr_disk();
    disk[..CLUSTER].fill(7);
    let mut file = qcow2(&disk);
    put(&mut file, 72, &(1u64 << 4).to_be_bytes());
    let l2: Vec<u64> = (0..128).map(|cluster| ((5 + cluster) * CLUSTER) as u64).collect();
    for (cluster, offset) in l2.iter().enumerate() {
        let bitmap: u64 = if cluster == 0 { 0b0101 | 0b0100 << 32 } else { 0xFFFF_FFFF };
        put(&mut file, 4 * CLUSTER + cluster * 16, &(offset | 1 << 63).to_be_bytes());
        put(&mut file, 4 * CLUSTER + cluster * 16 + 8, &bitmap.to_be_bytes());
    }
    let mut findings = Findings::default();
    let layout = check(&file, &mut findings).unwrap().layout.unwrap();
    let guest = Guest::new(&file, layout);
    let bytes = up_to(&guest, 0, 4 * 2048).unwrap();
    let values: Vec<u8> = bytes.chunks(2048).map(|subcluster| subcluster[2047]).collect();
    assert_eq!(values, [7, 0, 0, 0], "allocated, not allocated, zero (which wins), not allocated");
    assert_eq!(findings.0.len(), 1, "extended L2 is warned of");
}

#[test]
fn many_compressed_clusters_end_at_the_budget() {
    // Clusters of 2 MiB, each compressed to a few bytes: 33 of them are more than may be unpacked.
    let cluster = 2 << 20;
    let packed = crate::inflate::deflated(&vec![1; cluster]);
    let mut file = vec![0; 6 * cluster];
    let header = qcow2(&[0; CLUSTER]);
    put(&mut file, 0, &header[..112]);
    for (at, value) in [(24, 100 * cluster), (40, 3 * cluster), (48, cluster)] {
        put(&mut file, at, &(value as u64).to_be_bytes());
    }
    put(&mut file, 20, &21u32.to_be_bytes());
    put(&mut file, 3 * cluster, &(4 * cluster as u64).to_be_bytes());
    let sectors = (packed.len() as u64).div_ceil(512);
    put(&mut file, 5 * cluster, &packed);
    for entry in 0..100 {
        // Each says another number of sectors, so that none is taken for the one before.
        let descriptor = 1u64 << 62 | (sectors + entry) << 49 | (5 * cluster) as u64;
        put(&mut file, 4 * cluster + entry as usize * 8, &descriptor.to_be_bytes());
    }
    let mut findings = Findings::default();
    let layout = check(&file, &mut findings).unwrap().layout.unwrap();
    let guest = Guest::new(&file, layout).with_unpack_limit(64 << 20);
    let reads: Vec<_> = (0..100).map(|index| up_to(&guest, index * cluster as u64, 1)).collect();
    assert!(reads[..32].iter().all(|read| read.as_ref().is_ok_and(|bytes| bytes == &[1])));
    assert!(reads[32..].iter().all(|read| matches!(read, Err(ReadError::Budget))));
}

#[test]
fn a_version_2_header_has_no_features() {
    let mut file = qcow2(&mbr_disk());
    put(&mut file, 4, &2u32.to_be_bytes());
    file[72..112].fill(0xFF);
    put(&mut file, 72, &[0; 8]); // the end of the extensions
    let report = report(&file);
    assert_eq!(broken(&report), []);
    assert_eq!(report.verdict(), Verdict::Good);
}
