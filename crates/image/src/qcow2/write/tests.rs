use proptest::prelude::*;

use super::*;
use crate::finding::Findings;
use crate::guest::Guest;
use crate::qcow2::check;
use crate::read::{be16, be32, be64};
use ossup_core::read::ReadAt as _;

/// A stretch of a disk: whether it holds data, and its clusters.
type Run = (bool, u64);

fn written(compat: Compat, runs: &[Run], disk_length: u64) -> Tail {
    let mut writer = Writer::new(compat);
    let mut expected = CLUSTER;
    for (is_data, clusters) in runs {
        if *is_data {
            assert_eq!(writer.data(*clusters), Ok(expected), "data follows data");
            expected += clusters * CLUSTER;
        } else {
            writer.zeros(*clusters).unwrap();
        }
    }
    writer.finish(disk_length).unwrap()
}

fn disk_length(runs: &[Run]) -> u64 {
    runs.iter().map(|(_, clusters)| clusters * CLUSTER).sum()
}

/// The clusters of the disk that hold data.
fn data_clusters(runs: &[Run]) -> impl Iterator<Item = u64> {
    let starts = runs.iter().scan(0, |at, (_, clusters)| {
        *at += clusters;
        Some(*at - clusters)
    });
    let data = runs.iter().zip(starts).filter(|((is_data, _), _)| *is_data);
    data.flat_map(|((_, clusters), start)| start..start + clusters)
}

/// What a cluster of the disk holds: something else in each one that is data.
fn content(cluster: u64) -> Vec<u8> {
    let mut bytes = vec![0; CLUSTER as usize];
    bytes[7..15].copy_from_slice(&(cluster + 1).to_be_bytes());
    bytes[CLUSTER as usize - 1] = cluster as u8 | 1;
    bytes
}

/// The whole object, with the data where the writer put it.
fn object(tail: &Tail, runs: &[Run]) -> Vec<u8> {
    let mut object = tail.header();
    data_clusters(runs).for_each(|cluster| object.extend(content(cluster)));
    assert_eq!(object.len() as u64, tail.tables_at());
    tail.tables().for_each(|table| object.extend(table));
    assert_eq!(object.len() as u64, tail.object_length());
    object
}

/// Follows the tables of an object by the specification, and counts each cluster's uses. Returns the disk's clusters
/// with the clusters of the object that hold them.
fn follow(tail: &Tail) -> Vec<(u64, u64)> {
    let header = tail.header();
    let length = tail.object_length();
    let cluster_at = |offset: u64| {
        assert!(offset != 0 && offset.is_multiple_of(CLUSTER) && offset < length, "{offset} of {length}");
        offset / CLUSTER
    };
    let read = |cluster: u64| tail.table(cluster - tail.tables_at() / CLUSTER);
    let mut used = vec![0u16; usize::try_from(length / CLUSTER).unwrap()];
    let mut uses = |cluster: u64| used[cluster as usize] += 1;
    uses(0);
    let (size, l1_entries) = (be64(&header, 24), u64::from(be32(&header, 36)));
    assert_eq!(l1_entries, size.div_ceil(512 << 20));
    let mut places = Vec::new();
    for l1_cluster in 0..l1_entries.div_ceil(ENTRIES) {
        let l1_at = cluster_at(be64(&header, 40)) + l1_cluster;
        uses(l1_at);
        for (index, l2) in (l1_cluster * ENTRIES..).zip(read(l1_at).chunks_exact(8)) {
            let entry = be64(l2, 0);
            if entry == 0 {
                continue;
            }
            assert!(index < l1_entries && entry >> 63 == 1, "{entry:x}");
            let l2_at = cluster_at(entry & !(1 << 63));
            uses(l2_at);
            let before = places.len();
            for (inside, entry) in (0..).zip(read(l2_at).chunks_exact(8).map(|entry| be64(entry, 0))) {
                if entry != 0 {
                    assert_eq!(entry >> 63, 1, "{entry:x}");
                    let data = cluster_at(entry & !(1 << 63));
                    uses(data);
                    places.push((index * ENTRIES + inside, data));
                }
            }
            assert!(places.len() > before, "an L2 table with nothing in it");
        }
    }
    let (refcounts_at, table_clusters) = (cluster_at(be64(&header, 48)), u64::from(be32(&header, 56)));
    let mut blocks = Vec::new();
    for cluster in refcounts_at..refcounts_at + table_clusters {
        uses(cluster);
        blocks.extend(read(cluster).chunks_exact(8).map(|entry| be64(entry, 0)));
    }
    let in_use = blocks.iter().rposition(|block| *block != 0).unwrap() + 1;
    assert!(
        in_use as u64 > (table_clusters - 1) * ENTRIES,
        "a cluster of the refcount table without an entry"
    );
    let mut counts = Vec::new();
    for block in &blocks[..in_use] {
        let block = cluster_at(*block);
        uses(block);
        counts.extend(read(block).chunks_exact(2).map(|count| be16(count, 0)));
    }
    assert!(used.iter().all(|uses| *uses == 1), "a cluster leaks or has two uses");
    let (inside, behind) = counts.split_at(used.len());
    assert!(inside.iter().all(|count| *count == 1) && behind.iter().all(|count| *count == 0));
    places
}

/// Asserts that the tables are exact and give each cluster of the disk its data, in order.
fn assert_exact(runs: &[Run]) -> Tail {
    let tail = written(Compat::V3, runs, disk_length(runs));
    let expected: Vec<_> = data_clusters(runs).zip(1..).collect();
    assert!(follow(&tail) == expected, "the data is elsewhere");
    tail
}

/// Asserts that the inspector's reader finds nothing wrong and the same disk.
fn assert_reads_back(compat: Compat, runs: &[Run]) {
    let length = disk_length(runs);
    let tail = written(compat, runs, length);
    let object = object(&tail, runs);
    let mut findings = Findings::default();
    let layout = check(&object, &mut findings).unwrap().layout.expect("its tables can be followed");
    let guest = Guest::new(&object, layout);
    assert!(findings.0.is_empty(), "{findings:?}");
    assert_eq!(guest.length(), length);
    let mut data = data_clusters(runs).peekable();
    let mut read = vec![0; CLUSTER as usize];
    for cluster in 0..length / CLUSTER {
        let expected = data.next_if_eq(&cluster).map(content);
        // Of the many clusters of zeros the first bytes do.
        let read = if expected.is_some() { &mut read[..] } else { &mut read[..16] };
        guest.read_at(cluster * CLUSTER, read).unwrap();
        assert!(expected.map_or(read.iter().all(|byte| *byte == 0), |expected| expected == *read));
    }
}

#[test]
fn disks_with_little_in_them_are_exact() {
    let l2 = ENTRIES;
    let cases: [&[Run]; 10] = [
        &[],
        &[(false, 1)],
        &[(true, 1)],
        &[(false, l2 - 1), (true, 1)],
        &[(false, l2), (true, 1)],
        &[(true, 1), (false, l2 * 3)],
        &[(false, l2 - 1), (true, 2), (false, l2)],
        &[(true, 1), (true, 2), (false, 1), (false, 2), (true, 1)],
        &[(false, 64), (true, 64), (false, 63), (true, 2)],
        &[(true, 0), (false, 0), (true, 1), (true, 0)],
    ];
    for runs in cases {
        assert_exact(runs);
        if disk_length(runs) > 0 {
            assert_reads_back(Compat::V3, runs);
            assert_reads_back(Compat::V2, runs);
        }
    }
}

#[test]
fn full_refcount_blocks_are_exact() {
    // Besides the data there are the header, four L2 tables, the L1 table, the refcount table and its block.
    let full = 32768 - 8;
    for data in full - 3..=full + 3 {
        let tail = assert_exact(&[(true, data), (false, 7)]);
        let clusters = 1 + data + 4 + 1 + 1 + if data <= full { 1 } else { 2 };
        assert_eq!(tail.object_length(), clusters * CLUSTER);
    }
}

#[test]
fn l1_tables_of_many_clusters_are_exact() {
    // 4 TiB of disk to an L1 cluster.
    let l1 = ENTRIES * ENTRIES;
    assert_exact(&[(false, l1 - 1), (true, 2)]);
    assert_exact(&[(false, l1 * 2), (true, 1), (false, l1 * 9)]);
    assert_exact(&[(true, 1), (false, l1 * 3 - 2), (true, 1)]);
}

#[test]
fn the_longest_disk_fits_and_one_cluster_more_is_refused() {
    let most = MAX_DISK / CLUSTER;
    let tail = written(Compat::V3, &[(true, most)], MAX_DISK);
    let block = tail.table((tail.object_length() - tail.tables_at()) / CLUSTER - 1);
    let in_use = block.chunks_exact(2).filter(|count| **count == [0, 1]).count() as u64;
    assert_eq!(in_use, tail.object_length() / CLUSTER % 32768);

    let mut writer = Writer::new(Compat::V3);
    writer.zeros(most - 1).unwrap();
    assert_eq!(writer.data(2), Err(DiskTooLong));
    assert_eq!(writer.zeros(u64::MAX), Err(DiskTooLong));
    assert_eq!(writer.data(1), Ok(CLUSTER), "what was refused leaves nothing behind");
    assert!(matches!(writer.finish(MAX_DISK + 1), Err(DiskTooLong)));
}

#[test]
fn the_virtual_size_is_a_whole_number_of_sectors() {
    for (length, size) in
        [(0, 0), (1, 512), (CLUSTER - 1, CLUSTER), (CLUSTER, CLUSTER), (CLUSTER + 513, CLUSTER + 1024)]
    {
        let tail = written(Compat::V3, &[], length);
        assert_eq!(be64(&tail.header(), 24), size);
    }
}

#[test]
fn the_header_sets_no_feature() {
    let tail = written(Compat::V3, &[(true, 1)], CLUSTER);
    assert_eq!(tail.header()[..8], *b"QFI\xFB\0\0\0\x03");
    assert!(tail.header()[72..96].iter().all(|byte| *byte == 0), "the three fields of features");
    let tail = written(Compat::V2, &[(true, 1)], CLUSTER);
    assert_eq!(tail.header()[..8], *b"QFI\xFB\0\0\0\x02");
    assert!(tail.header()[72..].iter().all(|byte| *byte == 0), "version 2 ends here");
}

#[test]
fn memory_is_a_bit_for_each_cluster_and_none_for_zeros() {
    let mut writer = Writer::new(Compat::V3);
    writer.data(2 << 40 >> CLUSTER_BITS).unwrap();
    writer.zeros(40 << 40 >> CLUSTER_BITS).unwrap();
    let bytes: usize = writer.leaves.iter().map(|leaf| size_of_val(&*leaf.bits)).sum();
    assert_eq!((bytes, writer.leaves.len()), (4 << 20, 4096));
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let data = prop_oneof![4 => 1u64..4, 1 => 60u64..70];
    let zeros = prop_oneof![4 => 1u64..10, 2 => 60u64..70, 1 => 8100u64..8300, 1 => 1u64..20_000];
    prop::collection::vec(prop_oneof![data.prop_map(|n| (true, n)), zeros.prop_map(|n| (false, n))], 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_disk_reads_back_and_its_refcounts_are_exact(runs in runs(), v2: bool) {
        assert_exact(&runs);
        if disk_length(&runs) > 0 {
            assert_reads_back(if v2 { Compat::V2 } else { Compat::V3 }, &runs);
        }
    }

    #[test]
    fn how_the_disk_is_told_does_not_matter(runs in runs(), cuts in prop::collection::vec(1u64..5, 1..4)) {
        let mut cut = cuts.iter().cycle();
        let mut pieces = Vec::new();
        for (is_data, mut left) in runs.iter().copied() {
            while left > 0 {
                let piece = if is_data { left.min(*cut.next().unwrap()) } else { left.div_ceil(2) };
                pieces.push((is_data, piece));
                left -= piece;
            }
        }
        // The disk's length tells of the zeros at its end.
        let length = disk_length(&runs);
        while pieces.pop_if(|(is_data, _)| !*is_data).is_some() {}
        let (whole, pieces) = (written(Compat::V3, &runs, length), written(Compat::V3, &pieces, length));
        prop_assert_eq!(whole.header(), pieces.header());
        prop_assert!(whole.tables().eq(pieces.tables()));
    }
}

/// Runs `qemu-img` in a directory, if `OSSUP_IMAGE_DIR` says that it is there; it has to find nothing wrong.
#[cfg(unix)]
fn qemu_img() -> Option<(tempfile::TempDir, impl Fn(&[&str]) -> serde_json::Value)> {
    #[expect(clippy::disallowed_methods, reason = "whoever has QEMU says so")]
    std::env::var_os("OSSUP_IMAGE_DIR")?;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let run = move |arguments: &[&str]| {
        let output = std::process::Command::new("qemu-img").args(arguments).current_dir(&path).output();
        let output = output.expect("qemu-img runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    Some((directory, run))
}

/// Asserts that QEMU finds neither an error nor a leak, and the same end of the object.
#[cfg(unix)]
fn assert_qemu_checks(qemu_img: impl Fn(&[&str]) -> serde_json::Value, tail: &Tail) {
    let checked = qemu_img(&["check", "--output=json", "-f", "qcow2", "disk.qcow2"]);
    assert_eq!(checked["image-end-offset"], tail.object_length(), "{checked}");
    for trouble in ["check-errors", "leaks", "corruptions"] {
        assert!(checked[trouble].as_u64().unwrap_or(0) == 0, "{checked}");
    }
}

#[cfg(unix)]
#[test]
fn qemu_finds_no_error_and_the_same_disk() {
    let Some((directory, qemu_img)) = qemu_img() else { return };
    let l2 = ENTRIES;
    let cases: [(&[Run], u64); 7] = [
        (&[], 0),
        (&[(false, 3)], 0),
        (&[(true, 1)], 0),
        (&[(true, 1)], 1000),
        (&[(false, l2 - 1), (true, 2), (false, l2 * 3), (true, 70)], CLUSTER - 512),
        (&[(false, l2 * l2), (true, 1), (false, 2 * l2 * l2)], 0),
        (&[(true, 9), (false, 1), (true, 65), (false, 800)], 5),
    ];
    let versions = [(Compat::V3, "1.1"), (Compat::V2, "0.10")];
    for ((runs, short), (compat, name)) in
        cases.iter().flat_map(|case| versions.map(|version| (case, version)))
    {
        let length = disk_length(runs) - short;
        let raw = std::fs::File::create(directory.path().join("disk.raw")).unwrap();
        raw.set_len(length).unwrap();
        let tail = written(compat, runs, length);
        let mut object = tail.header();
        for cluster in data_clusters(runs) {
            let mut bytes = content(cluster);
            bytes.truncate(usize::try_from(CLUSTER.min(length - cluster * CLUSTER)).unwrap());
            std::os::unix::fs::FileExt::write_all_at(&raw, &bytes, cluster * CLUSTER).unwrap();
            bytes.resize(CLUSTER as usize, 0);
            object.extend(bytes);
        }
        object.extend(tail.tables().flatten());
        std::fs::write(directory.path().join("disk.qcow2"), &object).unwrap();

        assert_qemu_checks(&qemu_img, &tail);
        qemu_img(&["compare", "-f", "raw", "-F", "qcow2", "disk.raw", "disk.qcow2"]);
        let info = qemu_img(&["info", "--output=json", "-f", "qcow2", "disk.qcow2"]);
        assert_eq!(info["virtual-size"], length.next_multiple_of(512));
        let specific = &info["format-specific"]["data"];
        assert_eq!(
            (&specific["compat"], specific["corrupt"].as_bool().unwrap_or(false)),
            (&name.into(), false)
        );
    }
}

/// The data is left out of these files: it is holes.
#[cfg(unix)]
#[test]
fn qemu_finds_no_error_where_tables_are_full_and_on_the_longest_disk() {
    use std::os::unix::fs::FileExt as _;

    let Some((directory, qemu_img)) = qemu_img() else { return };
    let (full, longest) = (32768 - 8, MAX_DISK / CLUSTER);
    let cases: [&[Run]; 5] = [
        &[(true, full - 1)],
        &[(true, full), (false, 1)],
        &[(true, full + 1)],
        &[(true, 65536 - 13), (false, 1), (true, 2)],
        &[(true, 1), (false, longest - 2), (true, 1)],
    ];
    for runs in cases {
        let tail = written(Compat::V3, runs, disk_length(runs));
        let file = std::fs::File::create(directory.path().join("disk.qcow2")).unwrap();
        file.write_all_at(&tail.header(), 0).unwrap();
        for (at, table) in (tail.tables_at()..).step_by(CLUSTER as usize).zip(tail.tables()) {
            file.write_all_at(&table, at).unwrap();
        }
        assert_qemu_checks(&qemu_img, &tail);
    }
}
