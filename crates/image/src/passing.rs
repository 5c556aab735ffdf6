//! An image that passes once, from front to end: from a pipe, a decompressor, a server without ranges.
//!
//! The front is held, and the end as it passes by. The inspection looks at the front and says where it would read on:
//! those places are kept when they come, and it looks again, so that a partition in the middle is seen as in a file.
//! What it asks for after it passed is gone; the report then says what that was, and concludes nothing from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::format::Format;
use super::inspect::look;
use super::report::{Expected, Report};
use ossup_core::model::ByteRange;
use ossup_core::read::{ReadAt, ReadError, check_range};

/// Most bytes that are kept besides the front and the end (8 MiB): partitions take 100 KiB each.
const KEPT: u64 = 8 << 20;
/// How much is kept in front of a place, where the entries of a backup GPT are (32 KiB).
const BEFORE: u64 = 32 << 10;
/// Fewest bytes that are kept from a place on: what is asked for next is often behind it (64 KiB).
const BEHIND: u64 = 64 << 10;
/// How much of the end of a disk is held (64 KiB): the usual backup GPT has 17 KiB, the footer of a VHD 512 bytes.
const END: usize = 64 << 10;
/// How much of the end of a file with tables is held (2 MiB), where some writers put the tables.
const END_WITH_TABLES: usize = 2 << 20;
/// The length of an image whose end is to come: what no image reaches, so that nothing seems to be behind the end.
const OPEN_END: u64 = 1 << 62;

/// Inspects an image that passes once, without keeping it: at most 10 MiB of it, and 2 MiB more of QCOW2 and VHD.
///
/// ```
/// # use ossup_image::{PassingImage, Expected, Verdict};
/// # let mut pipe = std::io::repeat(0).take(3 << 20);
/// # use std::io::Read as _;
/// let mut image = PassingImage::new(Expected::default());
/// let mut buffer = vec![0; 1 << 20];
/// while let count @ 1.. = pipe.read(&mut buffer)? {
///     image.push(&buffer[..count]);
///     if image.so_far().is_some_and(|report| report.verdict().is_refused()) {
///         break; // before anything more of it is sent
///     }
/// }
/// assert!(image.finish()?.verdict().is_refused());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PassingImage {
    expected: Expected,
    passed: u64,
    /// What is kept, by its start; no two overlap.
    kept: BTreeMap<u64, Vec<u8>>,
    /// What is to be kept when it comes: sorted, apart from each other, and none ends before what has passed.
    wanted: Vec<ByteRange>,
    /// The end, from where the front is over.
    end: Option<End>,
    report: Option<Report>,
}

impl PassingImage {
    /// How much must have passed, unless the image ended before, until something is said of it (2 MiB).
    pub const FRONT: u64 = 2 << 20;

    /// Begins before the first byte. The bytes that a file takes on its disk say nothing of a stream.
    pub fn new(expected: Expected) -> Self {
        Self {
            expected: Expected { allocated_size: None, ..expected },
            passed: 0,
            kept: BTreeMap::new(),
            wanted: vec![ByteRange::new(0, Self::FRONT)],
            end: None,
            report: None,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pass(Run::Bytes(bytes));
    }

    /// Takes the next `count` bytes, which are zeros.
    pub fn push_zeros(&mut self, count: u64) {
        self.pass(Run::Zeros(count.min(OPEN_END.saturating_sub(self.passed))));
    }

    /// Returns how many bytes have passed.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Returns how many bytes are held.
    pub fn held(&self) -> u64 {
        let end = self.end.as_ref().map_or(0, |end| end.ring.len());
        self.kept() + end as u64
    }

    fn kept(&self) -> u64 {
        self.kept.values().map(|piece| piece.len() as u64).sum()
    }

    /// Returns what can be said before the end, once [`PassingImage::FRONT`] has passed. A refusal in it is final; what
    /// is missing in it is to come. Its file size is what has passed.
    pub fn so_far(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Reports on the whole image, which ends here. Its format may be another than before: a fixed VHD begins as a RAW
    /// disk, and says what it is in its last bytes.
    ///
    /// # Errors
    ///
    /// As those of [`inspect`](super::inspect()) over bytes in memory.
    pub fn finish(self) -> Result<Report, ReadError> {
        look(&View::whole(&self), &self.expected, true)
    }

    /// Passes bytes up to each place where something begins or ends to be wanted, so that it does not matter how they
    /// are divided.
    fn pass(&mut self, mut run: Run<'_>) {
        while !run.is_empty() {
            let next = self.wanted.first().copied().unwrap_or(ByteRange::new(u64::MAX, u64::MAX));
            let inside = next.start <= self.passed;
            let stop = if inside { next.end } else { next.start };
            let (now, later) = run.split_at(stop - self.passed);
            if inside {
                now.append_to(self.kept.entry(next.start).or_default());
            }
            if let Some(end) = &mut self.end {
                end.push(now, self.passed);
            }
            self.passed += now.len();
            run = later;
            if self.passed == next.end {
                self.look();
            }
        }
    }

    /// Looks at what is held, and wants what the inspection asked for in vain.
    fn look(&mut self) {
        let view = View::open(self);
        // What an inspection cannot read here it cannot read at the end, which says so.
        let report = look(&view, &self.expected, false).ok();
        let asked = view.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut room = (Self::FRONT + KEPT).saturating_sub(self.kept());
        self.wanted = joined(asked);
        self.wanted.retain(|range| {
            let left = room.checked_sub(range.len());
            room = left.unwrap_or(room);
            left.is_some()
        });
        let with_tables =
            report.as_ref().is_some_and(|report| matches!(report.format, Format::Qcow2 | Format::Vhd));
        self.end
            .get_or_insert_with(|| End::new(if with_tables { END_WITH_TABLES } else { END }, self.passed));
        self.report = report.map(|report| Report { file_size: self.passed, ..report });
    }
}

/// Sorts ranges and joins those that overlap or touch.
fn joined(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<ByteRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

/// Bytes that pass together.
#[derive(Debug, Clone, Copy)]
enum Run<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

impl Run<'_> {
    fn len(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => count,
        }
    }

    fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Divides it behind `count` bytes; the second is empty if there are no more.
    fn split_at(self, count: u64) -> (Self, Self) {
        let count = count.min(self.len());
        match self {
            Self::Bytes(bytes) => {
                let (now, later) =
                    bytes.split_at(usize::try_from(count).expect("at most the length of a slice"));
                (Self::Bytes(now), Self::Bytes(later))
            }
            Self::Zeros(all) => (Self::Zeros(count), Self::Zeros(all - count)),
        }
    }

    fn append_to(self, piece: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => piece.extend_from_slice(bytes),
            Self::Zeros(count) => {
                let count = usize::try_from(count).expect("at most what is wanted");
                piece.resize(piece.len() + count, 0);
            }
        }
    }
}

/// The last bytes that passed: a ring, in which each byte stands at its offset modulo the length.
#[derive(Debug)]
struct End {
    ring: Vec<u8>,
    /// Where it begins to be filled.
    since: u64,
}

impl End {
    fn new(length: usize, since: u64) -> Self {
        Self { ring: vec![0; length], since }
    }

    fn index(&self, offset: u64) -> usize {
        usize::try_from(offset % self.ring.len() as u64).expect("less than a usize")
    }

    /// Takes the bytes from `offset` on, the last ones of which stay.
    fn push(&mut self, run: Run<'_>, offset: u64) {
        let (passing, mut run) = run.split_at(run.len().saturating_sub(self.ring.len() as u64));
        let mut offset = offset + passing.len();
        while !run.is_empty() {
            let index = self.index(offset);
            let (now, later) = run.split_at((self.ring.len() - index) as u64);
            let length = usize::try_from(now.len()).expect("at most the ring's length");
            let place = &mut self.ring[index..index + length];
            match now {
                Run::Bytes(bytes) => place.copy_from_slice(bytes),
                Run::Zeros(_) => place.fill(0),
            }
            offset += now.len();
            run = later;
        }
    }

    /// Returns what is held from `offset` on, after `passed` bytes.
    fn at(&self, offset: u64, passed: u64) -> Option<&[u8]> {
        let first = self.since.max(passed.saturating_sub(self.ring.len() as u64));
        let index = self.index(offset);
        let left = usize::try_from(passed.checked_sub(offset)?).unwrap_or(usize::MAX);
        let held = &self.ring[index..];
        (offset >= first).then(|| &held[..held.len().min(left)]).filter(|held| !held.is_empty())
    }
}

/// What an inspection sees of the image, and what it asks for that is to come.
#[derive(Debug)]
struct View<'a> {
    image: &'a PassingImage,
    ended: bool,
    asked: Mutex<Vec<ByteRange>>,
}

impl<'a> View<'a> {
    /// Sees an image whose end is to come.
    fn open(image: &'a PassingImage) -> Self {
        Self { image, ended: false, asked: Mutex::default() }
    }

    /// Sees an image that has passed to its end.
    fn whole(image: &'a PassingImage) -> Self {
        Self { image, ended: true, asked: Mutex::default() }
    }

    /// Returns what is held from `offset` on.
    fn at(&self, offset: u64) -> Option<&[u8]> {
        let (start, piece) = self.image.kept.range(..=offset).next_back()?;
        let kept = piece.get(usize::try_from(offset - start).ok()?..).filter(|rest| !rest.is_empty());
        // The end moves on: what is seen in it is seen for good only when nothing follows.
        kept.or_else(|| self.image.end.as_ref().filter(|_| self.ended)?.at(offset, self.image.passed))
    }

    fn ask(&self, range: ByteRange) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(range);
    }
}

impl ReadAt for View<'_> {
    fn length(&self) -> u64 {
        if self.ended { self.image.passed } else { OPEN_END }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        let end = offset + buffer.len() as u64;
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let Some(held) = self.at(position) else {
                if position >= self.image.passed {
                    let start = position.saturating_sub(BEFORE).max(self.image.passed);
                    self.ask(ByteRange::new(start, end.max(position + BEHIND)));
                }
                return Err(ReadError::Unseen { offset: position, length: end - position });
            };
            let count = held.len().min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&held[..count]);
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::{BootsWith, DiskRole, FileSystem, Rule, TableKind, Verdict, inspect};

    const GIB: u64 = 1 << 30;

    fn told(report: &Report) -> Vec<&str> {
        let passed = report.findings.iter().filter(|finding| finding.rule == Rule::FPassed);
        passed.map(|finding| finding.message.split_once(": ").unwrap().1).collect()
    }

    #[test]
    fn partitions_far_behind_the_front_are_kept_when_they_come() {
        let mut table = vec![0; MIB];
        let slot = |first, code| Slot { status: 0x80, code, first, sectors: 8192 };
        let far = u32::try_from(3 * GIB / 512).unwrap();
        write_record(&mut table, 0, &[slot(2048, 0x83), slot(far, 0xEF)]);
        boot_code(&mut table);
        let mut partition = vec![0; 8192];
        write_ext4(&mut partition, 0);
        let mut image = PassingImage::new(Expected::default());
        image.push(&table);
        image.push(&partition);
        assert!(image.so_far().is_none(), "the front is not there yet");
        image.push_zeros(3 * GIB - image.passed());
        assert_eq!(image.so_far().unwrap().boot.boots_with, BootsWith::Unknown, "the loader is to come");
        image.push(&esp(b"BOOTX64 EFI"));
        image.push_zeros(4 * GIB - image.passed());
        assert!(image.held() < 3 << 20, "{}", image.held());
        let report = image.finish().unwrap();
        assert_eq!(told(&report), [""; 0]);
        assert_eq!((report.file_size, report.virtual_size), (4 * GIB, Some(4 * GIB)));
        let systems: Vec<_> =
            report.partitions.iter().map(|partition| partition.filesystem.unwrap()).collect();
        assert_eq!(systems, [FileSystem::Ext4, FileSystem::Fat16]);
        assert_eq!(report.boot.boots_with, BootsWith::Both);
    }

    #[test]
    fn a_backup_table_in_the_last_sectors_of_a_long_disk_is_checked() {
        let mut disk = gpt_disk(&[(LINUX, 2048, 8191, 4)]);
        disk.truncate(7 * MIB);
        let mut image = PassingImage::new(Expected::default());
        image.push(&disk);
        let whole = inspect(&disk, &Expected::default()).unwrap();
        assert!(whole.findings.iter().any(|finding| finding.rule == Rule::RGptB));
        assert!(!image.so_far().unwrap().findings.iter().any(|finding| finding.rule == Rule::RGptB));
        assert_eq!(image.finish().unwrap(), whole);
    }

    #[test]
    fn what_had_passed_when_it_was_asked_for_is_named_and_nothing_follows_from_it() {
        // The tables of this QCOW2 are behind what they point to, and its first cluster is in the middle.
        let mut file = qcow2(&mbr_disk());
        let (middle, end) = (55 * CLUSTER, file.len());
        file.extend_from_within(3 * CLUSTER..5 * CLUSTER);
        put(&mut file, 40, &(end as u64).to_be_bytes());
        put(&mut file, end, &((end + CLUSTER) as u64 | 1 << 63).to_be_bytes());
        put(&mut file, end + CLUSTER, &(middle as u64 | 1 << 63).to_be_bytes());
        file.copy_within(5 * CLUSTER..6 * CLUSTER, middle);
        put(&mut file, 2 * CLUSTER + end / CLUSTER * 2, &[0, 1, 0, 1]);
        let whole = inspect(&file, &Expected::default()).unwrap();
        assert_eq!((told(&whole), whole.partition_table), (vec![], TableKind::Mbr));
        let mut image = PassingImage::new(Expected::default());
        image.push(&file);
        let report = image.finish().unwrap();
        assert_eq!(told(&report), ["the disk's contents"]);
        assert_eq!(report.verdict(), Verdict::Warned);
        assert_eq!((report.partition_table, report.boot.boots_with), (TableKind::None, BootsWith::Unknown));
        assert_eq!(report.virtual_size, whole.virtual_size);
    }

    #[test]
    fn a_hole_of_many_tib_passes_in_no_time_and_no_length_is_too_much() {
        let mut image = PassingImage::new(Expected::new(DiskRole::Data, "hole"));
        image.push_zeros(40 << 40);
        assert_eq!(image.passed(), 40 << 40);
        image.push_zeros(u64::MAX);
        image.push_zeros(u64::MAX);
        image.push(b"and no end");
        assert!(image.finish().unwrap().verdict().is_refused());
    }

    #[test]
    fn the_ring_holds_the_last_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..200).collect();
        for step in [1, 3, 7, 8, 9, 64, 200] {
            let mut end = End::new(8, 100);
            for (index, piece) in bytes[100..].chunks(step).enumerate() {
                end.push(Run::Bytes(piece), (100 + index * step) as u64);
            }
            let held: Vec<u8> = (192..200).map(|offset| end.at(offset, 200).unwrap()[0]).collect();
            assert_eq!(held, bytes[192..], "{step}");
            assert_eq!((end.at(191, 200), end.at(200, 200)), (None, None));
        }
        let mut end = End::new(8, 0);
        end.push(Run::Bytes(b"abcdefgh"), 0);
        end.push(Run::Zeros(3), 8);
        assert_eq!(end.at(3, 11), Some(&b"defgh"[..]));
        assert_eq!(end.at(8, 11), Some(&[0; 3][..]));
        assert_eq!(End::new(8, 10).at(9, 12), None, "before it was begun");
    }

    #[test]
    fn what_is_wanted_is_in_order_and_apart() {
        let of = |ranges: &[(u64, u64)]| -> Vec<_> {
            ranges.iter().map(|(start, end)| ByteRange::new(*start, *end)).collect()
        };
        assert_eq!(joined(of(&[(20, 30), (0, 5), (5, 8), (25, 27), (29, 31)])), of(&[(0, 8), (20, 31)]));
    }
}
