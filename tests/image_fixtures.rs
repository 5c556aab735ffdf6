//! Verdicts over disk images of every kind, made by qemu-img, sfdisk and mkfs (see `.ci/make-images.sh`).
//!
//! The small ones are in `tests/data/images`, packed. With `OSSUP_IMAGE_DIR` set to a directory that the script
//! filled, all of them are inspected there, and compared with what `qemu-img info` says.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ossup::image::{
    DiskRole, Expected, FetchedRanges, Format, PassingImage, READ_BUDGET, Report, Rule, Severity, Verdict,
    inspect, open_disk,
};
use ossup::read::{ReadAt, ReadError};
use ossup::source::FileSource;
use proptest::prelude::*;

/// Image, format, virtual size, what starts it, verdict, and the findings from warnings up.
///
/// Those with `*` are too big for the repository.
const EXPECTED: &str = include_str!("data/images/expected.txt");

struct Case {
    name: String,
    only_in_directory: bool,
    line: String,
}

fn cases() -> Vec<Case> {
    let lines = EXPECTED.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parse = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("a name and more");
        Case {
            name: name.trim_start_matches('*').to_owned(),
            only_in_directory: name.starts_with('*'),
            line: rest.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    };
    lines.map(parse).collect()
}

/// Writes a report as a line of the table.
fn line(report: &Report) -> String {
    fn word<T: serde::Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap().trim_matches('"').to_owned()
    }
    let size = report.virtual_size.map_or("-".to_owned(), |size| size.to_string());
    let mut line =
        format!("{} {size} {} {}", report.format, word(&report.boot.boots_with), word(&report.verdict()),);
    for finding in report.findings.iter().filter(|finding| finding.severity >= Severity::Warn) {
        write!(line, " {}:{}", finding.severity, finding.rule).unwrap();
    }
    line
}

fn expected(name: &str) -> Expected {
    Expected::new(DiskRole::System, name)
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

/// Unpacks an image of the repository.
fn unpack(name: &str) -> Vec<u8> {
    let path = data().join(format!("{name}.gz"));
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
    plain
}

/// The names of the images of the repository. They are unpacked one at a time: together they fill 600 MiB.
fn small_images() -> Vec<String> {
    let small = cases().into_iter().filter(|expected| !expected.only_in_directory);
    small.map(|expected| expected.name).collect()
}

/// Counts the bytes that are read.
#[derive(Debug)]
struct Counting<'a, R: ReadAt + ?Sized> {
    inner: &'a R,
    bytes: AtomicU64,
}

impl<'a, R: ReadAt + ?Sized> Counting<'a, R> {
    fn new(inner: &'a R) -> Self {
        Self { inner, bytes: AtomicU64::new(0) }
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Counting<'_, R> {
    fn length(&self) -> u64 {
        self.inner.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.inner.read_at(offset, buffer)
    }
}

/// Inspects through ranges that are fetched when they are missing; returns how many fetches that took.
fn inspect_by_ranges(object: &dyn ReadAt, expected: &Expected) -> (Report, usize, u64) {
    let mut windows = FetchedRanges::new(object.length());
    for fetches in 0.. {
        match inspect(&windows, expected) {
            Err(ReadError::Missing { offset, length }) => {
                let mut bytes = vec![0; usize::try_from(length).unwrap()];
                object.read_at(offset, &mut bytes).unwrap();
                windows.insert(offset, bytes.into());
            }
            report => return (report.unwrap(), fetches, windows.held()),
        }
    }
    unreachable!("the loop has no end but its return")
}

#[test]
fn each_small_image_gets_its_verdict() {
    let mut wrong = String::new();
    for Case { name, line: want, .. } in cases().iter().filter(|expected| !expected.only_in_directory) {
        let report = inspect(&unpack(name), &expected(name)).unwrap();
        if line(&report) != *want {
            writeln!(wrong, "{name}\n  want {want}\n  got  {}", line(&report)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_packed_image_is_in_the_table() {
    let names: Vec<String> = cases().into_iter().map(|expected| expected.name).collect();
    for entry in std::fs::read_dir(data()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".gz") {
            assert!(names.iter().any(|listed| listed == name), "{name}");
        }
    }
}

#[test]
fn an_object_read_by_ranges_gives_the_same_report() {
    for name in small_images() {
        let image = unpack(&name);
        let direct = inspect(&image, &expected(&name)).unwrap();
        let (by_ranges, fetches, held) = inspect_by_ranges(&image, &expected(&name));
        assert_eq!(direct, by_ranges, "{name}");
        assert!(fetches <= 12 && held <= 8 << 20, "{name}: {fetches} fetches, {held} bytes");
    }
}

#[test]
fn the_disk_inside_is_that_of_which_qemu_img_made_the_image() {
    let disk = unpack("gpt-uefi.raw");
    let images = [
        "v2.qcow2",
        "v3.qcow2",
        "compressed.qcow2",
        "zstd.qcow2",
        "small-clusters.qcow2",
        "big-clusters.qcow2",
        "extended.qcow2",
        "refcount.qcow2",
        "snapshots.qcow2",
        "dynamic-forced.vhd",
        "fixed-forced.vhd",
        "dynamic.vhd",
        "fixed.vhd",
        "gpt-uefi.raw",
    ];
    for name in images {
        let guest = open_disk(Arc::new(unpack(name))).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Without force_size, qemu-img rounds a VHD up to whole cylinders.
        let mut read = vec![0xEE; guest.length() as usize];
        guest.read_at(0, &mut read).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(read[..disk.len()] == disk && read[disk.len()..].iter().all(|byte| *byte == 0), "{name}");
        // What no range has is zero, and is not all there is to it.
        let mut holes = 0;
        let mut from = 0;
        while let Some(range) = guest.next_data(from).unwrap() {
            assert!(read[from as usize..range.start as usize].iter().all(|byte| *byte == 0), "{name}");
            holes += range.start - from;
            from = range.end;
        }
        assert!(read[from as usize..].iter().all(|byte| *byte == 0), "{name}");
        holes += guest.length() - from;
        let is_flat = name.starts_with("fixed") || name.ends_with(".raw");
        assert!(is_flat || holes > 1 << 20, "{name}: {holes} bytes of holes");
    }
}

#[test]
fn an_image_that_does_not_hold_its_whole_disk_is_not_opened() {
    let images = [
        "aes.qcow2",
        "backing.qcow2",
        "external.qcow2",
        "corrupt.qcow2",
        "unknown-feature.qcow2",
        "truncated.qcow2",
        "truncated-tables.qcow2",
        "byte-short.qcow2",
        "truncated.vhd",
        "bad-checksum.vhd",
        "byte-short.vhd",
        "other.vdi",
        "other.vhdx",
        "sparse.vmdk",
        "packed.xz",
        "error.html",
    ];
    for name in images {
        let error = open_disk(Arc::new(unpack(name))).expect_err(name).to_string();
        assert!(error.starts_with("the disk inside cannot be read: "), "{name}: {error}");
    }
}

/// Lets an image pass once, in pieces of these sizes, one after the other and over again; runs of zeros as such where a
/// piece has no other bytes.
fn pass(image: &dyn ReadAt, expected: Expected, sizes: &[usize]) -> PassingImage {
    let mut passing = PassingImage::new(expected);
    let mut sizes = sizes.iter().cycle();
    let mut buffer = Vec::new();
    while passing.passed() < image.length() {
        let left = usize::try_from(image.length() - passing.passed()).unwrap();
        buffer.resize(left.min(*sizes.next().unwrap()), 0);
        image.read_at(passing.passed(), &mut buffer).unwrap();
        if buffer.iter().all(|byte| *byte == 0) {
            passing.push_zeros(buffer.len() as u64);
        } else {
            passing.push(&buffer);
        }
    }
    passing
}

/// Compares what was said of an image while it passed with its report as a file, and returns whether something had passed
/// unseen: then nothing that is said may be wrong, and all else must be equal.
fn passes(name: &str, image: &dyn ReadAt, sizes: &[usize], whole: &Report) -> bool {
    let passing = pass(image, expected(name), sizes);
    assert!(passing.held() <= 13 << 20, "{name}: {} bytes", passing.held());
    if let Some(so_far) = passing.so_far() {
        let early = format!("{name}: {} before the end, {} behind it", line(so_far), line(whole));
        // A VHD whose copy of the footer at the front is damaged looks like RAW until its end.
        let same_format = so_far.format == whole.format;
        assert!(!so_far.verdict().is_refused() || whole.verdict().is_refused() || !same_format, "{early}");
    }
    let report = passing.finish().unwrap();
    let told = report.findings.iter().any(|finding| finding.rule == Rule::FPassed);
    if told {
        let refused = report.verdict().is_refused();
        assert!(!refused || whole.verdict().is_refused(), "{name}: {}, not {}", line(&report), line(whole));
    } else {
        assert_eq!(report, *whole, "{name}");
    }
    told
}

#[test]
fn a_stream_gives_the_report_of_the_file_or_says_what_had_passed() {
    let mut told = Vec::new();
    for name in small_images() {
        let image = unpack(&name);
        let whole = inspect(&image, &expected(&name)).unwrap();
        if passes(&name, &image, &[1 << 20], &whole) {
            told.push(name);
        }
    }
    // What is damaged at the front, and so refused there, does not say what to keep.
    assert_eq!(told, ["bad-checksum.vhd", "gpt-bad-entries.raw", "gpt-bad-header.raw"]);
}

#[test]
fn what_is_refused_by_its_front_is_refused_before_anything_more_is_sent() {
    for name in ["luks.raw", "other.vhdx", "zero.raw", "bitlocker.raw", "gpt-4k.raw", "kernel.raw"] {
        let image = unpack(name);
        let front = image[..usize::try_from(PassingImage::FRONT).unwrap()].to_vec();
        let passing = pass(&front, expected(name), &[100_000]);
        assert!(passing.so_far().unwrap().verdict().is_refused(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn each_image_of_the_directory_gets_its_verdict_and_agrees_with_qemu() {
    #[expect(clippy::disallowed_methods, reason = "whoever made the images says here where they are")]
    let directory = std::env::var_os("OSSUP_IMAGE_DIR");
    let Some(directory) = directory.map(PathBuf::from) else { return };
    let mut wrong = String::new();
    for Case { name, line: want, .. } in cases() {
        let path = directory.join(&name);
        let report = inspect(&FileSource::open(&path).unwrap(), &expected(&name)).unwrap();
        if line(&report) != want {
            writeln!(wrong, "{name}\n  want {want}\n  got  {}", line(&report)).unwrap();
        }
        passes(&name, &FileSource::open(&path).unwrap(), &[1 << 20], &report);
        if let Some(difference) = differs_from_qemu(&path, &report) {
            writeln!(wrong, "{name}: {difference}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Compares format and virtual size with `qemu-img info`, wherever that knows better than "raw".
fn differs_from_qemu(path: &Path, report: &Report) -> Option<String> {
    let name = match report.format {
        Format::Vhd => "vpc",
        Format::Qcow1 => "qcow",
        Format::Qcow2 | Format::Raw | Format::Vhdx | Format::Vmdk | Format::Vdi | Format::Qed => {
            report.format.name()
        }
        Format::Parallels | Format::Luks => report.format.name(),
        // What is no disk image at all is "raw" for qemu-img.
        _ => return None,
    };
    let output = std::process::Command::new("qemu-img")
        .args(["info", "--output=json"])
        .arg(path)
        .output()
        .expect("qemu-img runs");
    if !output.status.success() {
        // It cannot open what is truncated or unknown; then the verdict must be a refusal too.
        return (report.verdict() != Verdict::Refused).then(|| "qemu-img cannot open it".to_owned());
    }
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let format = info["format"].as_str().unwrap();
    // qemu-img takes a fixed VHD for RAW, and a dynamic one without its footer's copy.
    if format == "raw" && report.format == Format::Vhd {
        return None;
    }
    let whole_sectors = report.file_size.is_multiple_of(512);
    let size = info["virtual-size"].as_u64();
    if format != name {
        return Some(format!("qemu-img says {format}"));
    }
    let comparable = whole_sectors && report.format != Format::Luks;
    (comparable && size != report.virtual_size).then(|| format!("qemu-img says {size:?} bytes"))
}

#[cfg(unix)]
#[test]
fn a_sparse_disk_of_100_gib_is_inspected_by_its_first_bytes() {
    use std::os::unix::fs::FileExt as _;

    let length = 100 << 30;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(length).unwrap();
    let image = unpack("mbr.raw");
    file.as_file().write_all_at(&image, 0).unwrap();
    let disk = FileSource::open(file.path()).unwrap();
    let counting = Counting::new(&disk);
    let report = inspect(&counting, &expected("big.raw")).unwrap();
    assert_eq!((report.virtual_size, report.settings.disk_size), (Some(length), Some(100)));
    assert!(counting.bytes() < 1 << 20, "{} bytes read", counting.bytes());
    // Nothing but a hole: the front is read to see that it is blank, and no more.
    let hole = tempfile::NamedTempFile::new().unwrap();
    hole.as_file().set_len(length).unwrap();
    let disk = FileSource::open(hole.path()).unwrap();
    let counting = Counting::new(&disk);
    assert!(inspect(&counting, &expected("hole.raw")).unwrap().verdict().is_refused());
    assert!(counting.bytes() < 2 << 20, "{} bytes read", counting.bytes());
}

/// An image with some of its bytes replaced, and cut at some length.
#[derive(Debug)]
struct Mutated<'a> {
    base: &'a [u8],
    length: u64,
    patches: Vec<(u64, Vec<u8>)>,
}

impl<'a> Mutated<'a> {
    /// Patches an image at places from its front, and at one that is counted from its end.
    fn of(
        base: &'a [u8],
        cut: Option<u64>,
        mut patches: Vec<(u64, Vec<u8>)>,
        tail: Option<(u64, Vec<u8>)>,
    ) -> Self {
        let length = cut.unwrap_or(base.length());
        patches.extend(tail.map(|(back, bytes)| (length.saturating_sub(back), bytes)));
        Self { base, length, patches }
    }
}

impl ReadAt for Mutated<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let (base, end) = (self.base.length(), offset.saturating_add(buffer.len() as u64));
        if end > self.length {
            return Err(ReadError::PastEnd { offset, length: buffer.len() as u64 });
        }
        let held = base.saturating_sub(offset).min(buffer.len() as u64) as usize;
        self.base.read_at(offset.min(base - held as u64), &mut buffer[..held])?;
        buffer[held..].fill(0);
        for (at, bytes) in &self.patches {
            for (skip, byte) in (0..).zip(bytes) {
                let index = at.saturating_add(skip);
                if (offset..end).contains(&index) {
                    buffer[(index - offset) as usize] = *byte;
                }
            }
        }
        Ok(())
    }
}

/// Numbers that break arithmetic.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX >> 1),
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u32..64).prop_map(|bit| (1 << bit) - 1),
        any::<u64>(),
        0u64..0x1_0000,
    ];
    (number, prop_oneof![Just(1usize), Just(2), Just(4), Just(8)], any::<bool>()).prop_map(
        |(number, width, big)| {
            if big {
                number.to_be_bytes()[8 - width..].to_vec()
            } else {
                number.to_le_bytes()[..width].to_vec()
            }
        },
    )
}

/// Places where headers and tables are.
fn places() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..128,
        2 => 440u64..600,
        2 => 512u64..2048,
        1 => (0u64..16).prop_map(|cluster| cluster << 16),
        1 => 1_048_576u64..1_048_700,
        1 => 0u64..0x80_0000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_panics_or_reads_much(
        index in any::<prop::sample::Index>(),
        patches in prop::collection::vec((places(), nasty()), 0..6),
        tail in prop::option::of((0u64..1024, nasty())),
        cut in prop::option::of(prop_oneof![0u64..2048, 0u64..0x100_0000, Just(1u64 << 62), Just(u64::MAX)]),
    ) {
        let names = small_images();
        let name = index.get(&names);
        let base = unpack(name);
        let mutated = Mutated::of(&base, cut, patches, tail);
        let counting = Counting::new(&mutated);
        let report = inspect(&counting, &expected(name)).unwrap();
        prop_assert!(counting.bytes() <= READ_BUDGET, "{name}");
        let (_, fetches, held) = inspect_by_ranges(&mutated, &expected(name));
        prop_assert!(fetches <= 300 && held <= READ_BUDGET, "{name}: {fetches} fetches, {held} bytes");
        prop_assert!(serde_json::to_value(&report).unwrap().is_object());
    }

    #[test]
    fn random_bytes_neither_panic_nor_read_much(
        magic in prop::sample::select(vec![
            &b""[..], b"QFI\xFB\0\0\0\x03", b"QFI\xFB\0\0\0\x02", b"conectix", b"KDMV", b"vhdxfile", b"\x1F\x8B\x08\x1C",
        ]),
        body in prop::collection::vec(any::<u8>(), 0..4096),
        length in prop_oneof![0u64..10_000, Just(1u64 << 30), Just(u64::MAX)],
    ) {
        let base: Vec<u8> = magic.iter().chain(&body).copied().collect();
        let random = Mutated { base: &base, length, patches: Vec::new() };
        let counting = Counting::new(&random);
        inspect(&counting, &expected("random")).unwrap();
        prop_assert!(counting.bytes() <= READ_BUDGET);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_wrong_is_said_of_a_mutated_image_that_passes_however_it_is_divided(
        index in any::<prop::sample::Index>(),
        patches in prop::collection::vec((places(), nasty()), 0..6),
        tail in prop::option::of((0u64..1024, nasty())),
        cut in prop::option::of(prop_oneof![0u64..2048, 0u64..0x100_0000]),
        sizes in prop::collection::vec(1usize..3 << 20, 1..6),
    ) {
        let names = small_images();
        let name = index.get(&names);
        let base = unpack(name);
        let mutated = Mutated::of(&base, cut, patches, tail);
        passes(name, &mutated, &sizes, &inspect(&mutated, &expected(name)).unwrap());
        let by = |sizes: &[usize]| {
            let passing = pass(&mutated, expected(name), sizes);
            (passing.so_far().cloned(), passing.held(), passing.finish().unwrap())
        };
        prop_assert_eq!(by(&sizes), by(&[1 << 20]));
    }
}
