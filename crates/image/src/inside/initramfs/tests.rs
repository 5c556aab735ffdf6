//! Over archives that are made here, and over those that the programs made (`tests/data/initramfs`).

use std::io::Write as _;

use super::fixture::archive;
use super::*;

const RELEASE: &str = "6.1.0-28-amd64";
const ALL: [(&str, Option<&str>, &[u8]); 8] = [
    ("plain", None, include_bytes!("../../../../../tests/data/initramfs/plain.img")),
    ("gzip", Some("gzip"), include_bytes!("../../../../../tests/data/initramfs/gzip.img")),
    ("zstd", Some("zstd"), include_bytes!("../../../../../tests/data/initramfs/zstd.img")),
    ("xz", Some("xz"), include_bytes!("../../../../../tests/data/initramfs/xz.img")),
    ("lzma", Some("lzma"), include_bytes!("../../../../../tests/data/initramfs/lzma.img")),
    ("bzip2", Some("bzip2"), include_bytes!("../../../../../tests/data/initramfs/bzip2.img")),
    ("lz4", Some("lz4"), include_bytes!("../../../../../tests/data/initramfs/lz4.img")),
    ("lz4 -l", Some("lz4"), include_bytes!("../../../../../tests/data/initramfs/lz4-legacy.img")),
];

fn look(wanted: &[&str], bytes: &[u8]) -> Contents {
    look_for(wanted, RELEASE, &mut &*bytes)
}

fn module(name: &str) -> String {
    format!("usr/lib/modules/{RELEASE}/kernel/drivers/{name}")
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn modules_are_seen_through_every_compression() {
    for (name, compression, bytes) in ALL {
        let found = look(&["virtio_blk", "virtio_pci", "nvme", "virtio_net"], bytes);
        assert_eq!(found.seen, [true, true, true, false], "{name}");
        assert_eq!((found.compression, found.unread.as_deref()), (compression, None), "{name}");
        assert!(found.any_module);
    }
}

#[test]
fn whatever_follows_or_is_cut_off_makes_nothing_certain() {
    for (name, compression, bytes) in ALL {
        let cut = look(&["virtio_blk", "virtio_net"], &bytes[..bytes.len() - 100]);
        assert!(cut.unread.is_some() && !cut.seen[1], "{name}: {cut:?}");
        let padded = look(&["virtio_net"], &[bytes, &[0; 4]].concat());
        assert_eq!(padded.unread, None, "{name}");
        let trailed = look(&["virtio_net"], &[bytes, b"something else"].concat());
        assert!(trailed.unread.is_some(), "{name}");
        if name == "lz4 -l" {
            // Linux takes what follows for its next block too.
            continue;
        }
        let twice = look(&["virtio_net"], &[bytes, bytes].concat());
        assert_eq!((twice.unread, twice.compression), (None, compression), "{name}");
        let more = archive(&[(&module("net/virtio_net.ko"), b"")]);
        let behind = [bytes, &*gzipped(&more)].concat();
        assert_eq!(look(&["virtio_net"], &behind).seen, [true], "{name}");
    }
}

#[test]
fn nothing_is_read_once_all_was_seen_and_no_contents_of_an_archive_as_it_is() {
    let body = vec![7; 1 << 20];
    let (first, last) = (module("a.ko"), module("z.ko.zst"));
    let long = archive(&[(&first, &body), ("etc/large", &body), ("etc/larger", &body), (&last, &body)]);
    let found = look(&["a"], &long);
    assert!(found.read <= 16 << 10, "{}", found.read);
    let found = look(&["a", "z"], &long);
    assert_eq!((&found.seen[..], &found.unread), ([true, true].as_slice(), &None));
    assert!(found.read < 1 << 18, "{}", found.read);
    let found = look(&["a"], &gzipped(&long));
    assert!(found.unpacked <= 128 << 10, "{}", found.unpacked);
    assert_eq!(look(&[], &long).read, 0);
}

#[test]
fn modules_of_another_kernel_do_not_count() {
    let other =
        archive(&[("lib/modules/5.10.0-1-amd64/kernel/virtio_blk.ko", b"x"), ("bin/virtio_blk.ko.sh", b"")]);
    let found = look(&["virtio_blk"], &other);
    assert_eq!((&found.seen[..], found.any_module, &found.unread), ([false].as_slice(), false, &None));
    // RHEL 5 has no folder for the release.
    assert_eq!(look(&["virtio_blk"], &archive(&[("lib/virtio_blk.ko", b"x")])).seen, [true]);
}

#[test]
fn what_is_in_a_file_system_inside_is_not_known() {
    let squash = archive(&[("init", b""), ("squash-root.img", b"hsqs")]);
    let found = look(&["virtio_blk"], &squash);
    assert!(found.unread.unwrap().contains("squash-root.img"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let unread = |bytes: &[u8]| look(&["virtio_blk"], bytes).unread.unwrap_or_default();
    assert_eq!(unread(b""), "");
    for (bytes, reason) in [
        (b"\x89LZO\0\r\n\x1a\n".as_slice(), "lzo"),
        (b"MZ\0\0\0\0\0", "UEFI"),
        (b"hsqs....", "not known"),
        (b"070707000000", "in the middle"),
        (&[b"070707".as_slice(), &[b'0'; 200]].concat(), "another format"),
        (&[b"070701".as_slice(), &[b'g'; 200]].concat(), "for a number"),
        (&[b"070701".as_slice(), &[b'f'; 200]].concat(), "longer than one can be"),
        (&gzipped(b"no archive"), "no archive"),
        (b"\x1F\x8B\x08\x00nothing of the kind", "gzip"),
        // A dictionary of 4 GiB.
        (b"\x5D\0\0\0\xF0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\0\0\0", "memory"),
    ] {
        assert!(unread(bytes).contains(reason), "{reason}: {}", unread(bytes));
    }
    let open = archive(&[("init", b"x")]);
    assert!(unread(&open[..open.len() - 120]).contains("middle"), "without what ends it");
}

#[test]
fn what_never_ends_comes_to_an_end() {
    struct Endless(&'static [u8]);
    impl File for Endless {
        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason> {
            buffer.iter_mut().zip((offset..).map(|at| at as usize)).for_each(|(byte, at)| {
                *byte = self.0.get(at % self.0.len().max(1)).copied().unwrap_or(0);
            });
            Ok(buffer.len())
        }
    }
    let limits = Limits { read: 1 << 20, unpacked: 2 << 20, entries: 100, segments: 50 };
    let unread = |mut file: Endless| look_within(limits, &["virtio_blk"], RELEASE, &mut file).unread.unwrap();
    assert!(unread(Endless(b"")).contains("more than 1 MiB would have to be read"), "zeros for ever");
    assert!(unread(Endless(archive(&[("x", b"")]).leak())).contains("100 files"));
    assert!(unread(Endless(gzipped(&[]).leak())).contains("50 parts"));
    assert!(unread(Endless(gzipped(&vec![0; 1 << 20]).leak())).contains("more than 2 MiB come out"));
    let old_lz4 = [b"\x02\x21\x4C\x18".as_slice(), &[4, 0, 0, 0, 0x30, 0, 0, 0]].concat().leak();
    assert!(unread(Endless(old_lz4)).contains("parts"));
}

#[test]
fn what_a_fuzzer_found_once_passes() {
    for (_, _, bytes) in ALL {
        fixture::look_through_initramfs(bytes);
    }
}

#[test]
fn names_of_modules_are_told_apart() {
    assert_eq!(module_name(b"virtio-pci.ko.xz"), Some(b"virtio-pci".as_slice()));
    assert_eq!(module_name(b"virtio_blk.ko"), Some(b"virtio_blk".as_slice()));
    assert_eq!(module_name(b"virtio_blk.ko.bz2"), None);
    assert_eq!(module_name(b"virtio_blk.kox"), None);
    assert!(is_same_module(b"virtio-pci", b"virtio_pci"));
    assert!(!is_same_module(b"virtio_pci", b"virtio_pci_legacy"));
}
