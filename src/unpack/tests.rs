//! What must hold: what the programs pack comes out; nothing that was cut, changed or added to comes to an end; an
//! archive with no image or two is refused; memory and output are bounded.

use std::io::Read;
use std::path::Path;

use ::tar::{EntryType, Header};
use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 4 * MIB;

/// The files that `make.sh` makes, with what is in them: byte i of the content is i² / 61 with a period of 200.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| ((i % 200).pow(2) / 61) as u8).collect()
}

/// The disk of `make.sh`: 4 KiB of content, the last 1096 bytes zeros, at every 40th block of six.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; MIB as usize];
    for n in 0..6 {
        disk[n * 40 * 4096..][..3000].copy_from_slice(&content(3000));
    }
    disk
}

fn packed(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/packed");
    std::fs::read(dir.join(name)).unwrap()
}

fn unpack_with(bytes: &[u8], options: &Options) -> Result<(Vec<u8>, Vec<String>), UnpackError> {
    let mut unpacked = open(io::Cursor::new(bytes.to_vec()), options)?;
    let layers = unpacked.layers().iter().map(ToString::to_string).collect();
    let mut out = Vec::new();
    match unpacked.read_to_end(&mut out) {
        Ok(_) => {
            assert_eq!(unpacked.read(&mut [0; 9]).unwrap(), 0, "the end is the end");
            Ok((out, layers))
        }
        Err(error) => {
            let error = UnpackError::of(&error).expect("it is one of ours").clone();
            let again = unpacked.read(&mut [0; 9]).expect_err("an error stays");
            assert_eq!(again.to_string(), error.to_string());
            Err(error)
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), UnpackError> {
    unpack_with(bytes, &Options::new(LIMIT).with_threads(2))
}

/// The compressed fixtures, with content and the layer's name.
fn compressed() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let one = content(3000);
    // The second half of the content goes on with the period.
    let two = content(6000);
    vec![
        ("members.gz", two.clone(), "gzip"),
        ("blocks.xz", [content(60_000), one].concat(), "xz"),
        ("frames.zst", two.clone(), "zstd"),
        ("streams.bz2", two, "bzip2"),
        ("frames.lz4", [content(200_000), content(3000)].concat(), "lz4"),
    ]
}

/// One entry: header and data, padded.
fn entry(name: &str, kind: EntryType, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let padding = data.len().wrapping_neg() % 512;
    [header.as_bytes().as_slice(), data, &vec![0; padding]].concat()
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    entry(name, EntryType::Regular, data)
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

/// A disk just large enough to be taken for one.
fn image() -> Vec<u8> {
    let mut image = vec![0; SMALLEST_IMAGE as usize];
    image[..3000].copy_from_slice(&content(3000));
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::Compress::new_gzip(flate2::Compression::fast(), 15);
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    encoder.compress_vec(bytes, &mut out, flate2::FlushCompress::Finish).unwrap();
    out
}

/// Gives its bytes one at a time, with interruptions.
struct Trickle(io::Cursor<Vec<u8>>, bool);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = out.len().min(1);
        self.0.read(&mut out[..length])
    }
}

#[test]
fn what_the_programs_compress_comes_out() {
    for (name, content, layer) in compressed() {
        let (out, layers) = unpack(&packed(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out == content, "{name}: {} bytes", out.len());
        assert_eq!(layers, [layer], "{name}");
    }
}

#[test]
fn sparse_files_of_each_kind_come_out_with_their_holes_as_zeros() {
    for kind in ["gnu", "pax-0.0", "pax-0.1", "pax-1.0"] {
        let name = format!("sparse-{kind}.tar.xz");
        let (out, layers) = unpack(&packed(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out == disk(), "{name}: {} bytes", out.len());
        assert_eq!(layers, ["xz", "tar member `disk.raw`"], "{name}");
    }
}

#[test]
fn long_names_are_read_from_gnu_and_pax_headers() {
    let long = format!("{}/{}.raw", "d".repeat(120), "f".repeat(60));
    for name in ["long-gnu.tar.xz", "long-pax.tar.xz"] {
        let (out, _) = unpack_with(&packed(name), &Options::new(LIMIT).with_member(&long)).unwrap();
        assert!(out == disk(), "{name}");
    }
}

#[test]
fn what_is_not_packed_passes_unchanged() {
    for length in [0, 1, 5, 511, 512, 513, 100_000] {
        let bytes = content(length);
        assert_eq!(unpack(&bytes).unwrap(), (bytes, vec![]));
    }
    let unpacked = open(io::empty(), &Options::new(LIMIT)).unwrap();
    assert_eq!((unpacked.layers(), unpacked.size_hint()), ([].as_slice(), None));
}

#[test]
fn a_stream_that_trickles_unpacks_to_the_same() {
    let tar = archive(&[file("disk.raw", &image())]);
    let names = ["frames.lz4", "sparse-gnu.tar.xz", "sparse-pax-1.0.tar.xz"];
    let mut inputs = compressed().iter().map(|(name, ..)| packed(name)).collect::<Vec<_>>();
    inputs.extend(names.map(packed));
    inputs.extend([gzip(&tar), tar]);
    for bytes in inputs {
        let (whole, _) = unpack(&bytes).unwrap();
        let trickle = Trickle(io::Cursor::new(bytes), false);
        let mut unpacked = open(trickle, &Options::new(LIMIT).with_threads(2)).unwrap();
        let mut out = Vec::new();
        let mut buffer = [0; 777];
        loop {
            let read = unpacked.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            out.extend_from_slice(&buffer[..read]);
        }
        assert!(out == whole);
    }
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for (name, ..) in compressed() {
        let bytes = packed(name);
        for cut in 8..bytes.len() {
            // Between two members, streams or frames, a cut cannot be told from an end.
            if let Ok((out, _)) = unpack(&bytes[..cut]) {
                let whole = unpack(&bytes).unwrap().0;
                assert!(whole.starts_with(&out) && out.len() >= 3000, "{name} at {cut}");
                assert!(is_end(&bytes, cut), "{name} at {cut}");
            }
        }
    }
}

/// Whether another member, stream or frame, or padding, begins at `at`.
fn is_end(bytes: &[u8], at: usize) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [
        b"\x1F\x8B\x08",
        b"\xFD7zXZ\0",
        b"\0\0\0\0",
        b"\x28\xB5\x2F\xFD",
        b"BZh",
        b"\x04\x22\x4D\x18",
        b"\x53\x2A\x4D\x18",
    ];
    BEGINNINGS.iter().any(|magic| bytes[at..].starts_with(magic))
}

#[test]
fn a_changed_byte_is_an_error_or_changes_nothing() {
    for (name, content, _) in compressed() {
        let bytes = packed(name);
        // Without its magic number it is something else, and passes.
        for at in 6..bytes.len() {
            let change = [1, 0x80, 0xFF][at % 3];
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            if let Ok((out, _)) = unpack(&bytes) {
                assert!(out == content, "{name}: {change:#x} at {at}");
            }
        }
    }
}

#[test]
fn only_the_padding_that_a_format_knows_may_follow() {
    for (name, content, layer) in compressed() {
        for (tail, passes) in [
            (b"x".as_slice(), &[] as &[&str]),
            (b"\0", &["gzip"]),
            (b"\0\0\0", &["gzip"]),
            (b"\0\0\0\0", &["gzip", "xz"]),
            (&[0; 1000], &["gzip", "xz"]),
            (b"\0\0\0\0x", &[]),
            (b"\x1F", &[]),
            (b"garbage that is a little longer", &[]),
        ] {
            match unpack(&[&packed(name), tail].concat()) {
                Ok((out, _)) => assert!(out == content && passes.contains(&layer), "{name} and {tail:?}"),
                Err(error) => assert!(!passes.contains(&layer), "{name} and {tail:?}: {error}"),
            }
        }
    }
    let error = unpack(&[packed("streams.bz2"), b"x".to_vec()].concat()).unwrap_err();
    assert!(matches!(error, UnpackError::TrailingGarbage { .. }), "{error}");
}

#[test]
fn the_legacy_format_of_lz4_is_refused_with_the_way_out() {
    let error = unpack(&packed("legacy.lz4")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LZ4 data in the legacy format (`lz4 -l`) cannot be unpacked: unpack it with `lz4` and pipe what comes out"
    );
}

#[test]
fn a_window_beyond_the_memory_is_refused() {
    let error = unpack(&packed("long.zst")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unpacking this zstd data takes 2048 MiB of memory, and 256 MiB are allowed for it: allow more, or pack it \
         again with a smaller window or dictionary"
    );
    let options = Options::new(LIMIT).with_memory(MIB);
    for name in ["frames.zst", "blocks.xz"] {
        let error = unpack_with(&packed(name), &options).unwrap_err();
        assert!(matches!(error, UnpackError::Memory { limit: MIB, .. }), "{name}: {error}");
    }
}

#[test]
fn a_skippable_frame_at_the_front_belongs_to_what_follows() {
    let skippable = b"\x50\x2A\x4D\x18\x03\0\0\0abc";
    for name in ["frames.zst", "frames.lz4"] {
        let bytes = packed(name);
        let whole = unpack(&bytes).unwrap();
        assert_eq!(unpack(&[skippable.as_slice(), skippable, &bytes].concat()).unwrap(), whole, "{name}");
    }
    let far = [b"\x50\x2A\x4D\x18\0\x10\0\0".as_slice(), &[7; 4096]].concat();
    let bytes = packed("frames.zst");
    assert_eq!(unpack(&[far.as_slice(), &bytes].concat()).unwrap(), unpack(&bytes).unwrap());
    assert!(matches!(unpack(&far[..far.len() - 1]), Err(UnpackError::Truncated { .. })));
}

#[test]
fn output_beyond_the_limit_is_an_error() {
    let bytes = gzip(&vec![0; 1_000_000]);
    assert!(bytes.len() < 10_000);
    assert_eq!(unpack_with(&bytes, &Options::new(1_000_000)).unwrap().0.len(), 1_000_000);
    let error = unpack_with(&bytes, &Options::new(999_999)).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge { limit: 999_999 }), "{error}");
    let error = unpack_with(&content(100), &Options::new(99)).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge { limit: 99 }), "{error}");
}

#[test]
fn the_only_image_of_an_archive_is_taken() {
    let mut kernel = image();
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    let tar = archive(&[
        entry("./", EntryType::Directory, b""),
        file("./SHA256SUMS", &[b'0'; 64]),
        file("./manifest", &"package 1.0\n".repeat(9000).into_bytes()),
        file("./vmlinuz", &kernel),
        file("./disk.raw", &image()),
        file("./disk.raw.sig", &[0xFE; 600]),
        entry("./latest.raw", EntryType::Symlink, b""),
    ]);
    for (bytes, layers) in
        [(tar.clone(), vec!["tar member `disk.raw`"]), (gzip(&tar), vec!["gzip", "tar member `disk.raw`"])]
    {
        assert_eq!(unpack(&bytes).unwrap(), (image(), layers.into_iter().map(str::to_owned).collect()));
    }
    let unpacked = open(io::Cursor::new(tar), &Options::new(LIMIT)).unwrap();
    assert_eq!(unpacked.size_hint(), Some(SMALLEST_IMAGE));
}

#[test]
fn a_compressed_image_in_an_archive_is_unpacked_too() {
    let inner = [gzip(&image()), vec![0; SMALLEST_IMAGE as usize]].concat();
    let tar = archive(&[file("disk.raw.gz", &inner), file("README", b"text")]);
    let (out, layers) = unpack(&gzip(&tar)).unwrap();
    assert!(out == image());
    assert_eq!(layers, ["gzip", "tar member `disk.raw.gz`", "gzip"]);
}

#[test]
fn what_is_packed_twice_is_refused() {
    let error = unpack(&gzip(&packed("blocks.xz"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is xz data inside gzip data: unpack it once and pipe what comes out"
    );
    let tar = archive(&[file("disk.tar", &archive(&[file("disk.raw", &image())]))]);
    assert!(matches!(unpack(&tar), Err(UnpackError::ArchiveTwice { member }) if member == "disk.tar"));
}

#[test]
fn two_images_are_refused_with_their_names() {
    let tar = archive(&[file("a.raw", &image()), file("b.raw", &image())]);
    let error = unpack(&tar).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tar archive holds several files that may be the disk image, `a.raw`, `b.raw`: choose with `--member NAME`"
    );
    for name in ["a.raw", "./b.raw"] {
        let (out, _) = unpack_with(&tar, &Options::new(LIMIT).with_member(name)).unwrap();
        assert!(out == image(), "{name}");
    }
}

#[test]
fn no_image_is_refused_with_what_is_there() {
    let names = (0..25).map(|n| file(&format!("note{n}\u{7}"), b"text")).collect::<Vec<_>>();
    let error = unpack(&archive(&names)).unwrap_err().to_string();
    assert!(error.contains("holds `note0\\u{7}`, `note1"), "{error}");
    assert!(error.contains(" and 5 more: name the member"), "{error}");
    let error = unpack(&archive(&[entry("empty/", EntryType::Directory, b"")])).unwrap_err();
    assert!(matches!(error, UnpackError::NoImage { .. }), "{error}");
}

#[test]
fn a_name_without_end_is_cut_in_errors() {
    let long = "n".repeat(100_000);
    let record = format!("path={long}\n");
    let header = format!("{} {record}", record.len() + 7);
    let tar = archive(&[entry("x", EntryType::XHeader, header.as_bytes()), file("x", b"text")]);
    let error = unpack(&tar).unwrap_err().to_string();
    assert!(error.contains("nnn…`") && error.len() < 500, "{error}");
}

#[test]
fn a_named_member_must_be_one_file() {
    let tar = archive(&[
        file("small", b"tiny"),
        entry("link", EntryType::Symlink, b""),
        file("twice", b"1"),
        file("twice", b"2"),
    ]);
    let named = |name: &str| unpack_with(&tar, &Options::new(LIMIT).with_member(name));
    assert_eq!(named("small").unwrap().0, b"tiny");
    assert!(matches!(named("link"), Err(UnpackError::MemberIsNoFile { .. })));
    assert!(matches!(named("twice"), Err(UnpackError::MemberTwice { .. })));
    assert!(matches!(named("absent"), Err(UnpackError::NoMember { held, .. }) if held.first().len() == 4));
    let error = unpack_with(&image(), &Options::new(LIMIT).with_member("disk.raw")).unwrap_err();
    assert!(matches!(error, UnpackError::NoArchive { .. }), "{error}");
}

#[test]
fn an_ova_is_refused_unless_a_member_is_named() {
    let tar = archive(&[file("vm.ovf", b"<Envelope/>"), file("disk.qcow2", &image())]);
    let error = unpack(&tar).unwrap_err();
    assert!(matches!(&error, UnpackError::Ova { description } if description == "vm.ovf"), "{error}");
    assert!(unpack_with(&tar, &Options::new(LIMIT).with_member("disk.qcow2")).unwrap().0 == image());
}

#[test]
fn an_archive_that_is_cut_is_an_error() {
    let tar = archive(&[file("disk.raw", &image()), file("README", b"text")]);
    let header = 512;
    for cut in
        [header, header + 1, 60_000, tar.len() - 2048, tar.len() - 1024, tar.len() - 512, tar.len() - 1]
    {
        let error = unpack(&tar[..cut]).expect_err("it is cut");
        assert!(
            matches!(error, UnpackError::ArchiveTruncated { offset } if offset == cut as u64),
            "{cut}: {error}"
        );
    }
    assert!(unpack(&[tar.as_slice(), &[0; 9000]].concat()).is_ok(), "padding to a record");
}

#[test]
fn an_archive_that_is_damaged_or_goes_on_is_an_error() {
    let tar = archive(&[file("disk.raw", &image()), file("README", b"text")]);
    let half = [&tar[..tar.len() - 512], &file("c", b"")].concat();
    let more = [tar.clone(), tar.clone()].concat();
    let mut second = tar.clone();
    second[512 + SMALLEST_IMAGE as usize + 10] ^= 1;
    for (bytes, what) in
        [(half, "half an end mark"), (more, "something follows"), (second, "checksum of a header")]
    {
        let error = unpack(&bytes).unwrap_err();
        assert!(
            matches!(error, UnpackError::ArchiveDamaged { .. }) && error.to_string().contains(what),
            "{error}"
        );
    }
}

#[test]
fn an_error_of_the_input_is_passed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone"))
        }
    }
    let bytes = packed("blocks.xz");
    let (length, options) = (600, Options::new(LIMIT).with_threads(2));
    let is_right = |error: &UnpackError| {
        matches!(error, UnpackError::Input { offset, source }
            if *offset == length as u64 && source.kind() == io::ErrorKind::ConnectionReset)
    };
    match open(io::Cursor::new(bytes[..length].to_vec()).chain(Broken), &options) {
        // How far the threads have come when the first bytes are wanted is up to them.
        Err(error) => assert!(is_right(&error), "{error}"),
        Ok(mut unpacked) => {
            let error = unpacked.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(UnpackError::of(&error).is_some_and(is_right), "{error}");
        }
    }
    assert!(open(Broken, &options).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_header_is_an_error_or_changes_nothing(
        kind in prop::sample::select(vec!["gnu", "pax-0.0", "pax-0.1", "pax-1.0"]),
        at in 0..512_usize,
        change in 1..=255_u8,
    ) {
        let mut tar = Vec::new();
        let bytes = packed(&format!("sparse-{kind}.tar.xz"));
        liblzma::read::XzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).unwrap();
        tar[at] ^= change;
        if let Ok((out, layers)) = unpack(&tar) {
            // Without its magic it is something else, and passes.
            prop_assert!(layers.is_empty() && out == tar || out == disk());
        }
    }

    #[test]
    fn whatever_is_packed_comes_out(bytes: Vec<u8>, again: Vec<u8>) {
        // Not by accident something that is packed itself.
        let bytes = [b"-".as_slice(), &bytes].concat();
        let packed = [gzip(&bytes), gzip(&again)].concat();
        prop_assert_eq!(unpack(&packed).unwrap().0, [bytes, again].concat());
    }
}
