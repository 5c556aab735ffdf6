//! Disks with damage here and there, for the tests and for a fuzzer.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::{Arc, LazyLock, Mutex};

use super::super::inspect::inspect;
use super::super::open::open_disk;
use super::super::report::{Expected, Report};
use super::look;
use ossup_core::read::{ReadAt, ReadError};

const SOUND: &str = "the disks here are sound";
const HELD: &str = "nothing panics while the lock is held";

/// Looks inside a disk of which some of the bytes that matter are others: the first byte says which disk, four each say
/// which byte becomes what.
pub fn look_at_damaged(bytes: &[u8]) {
    look_at_one_of(&all().collect::<Vec<_>>(), bytes);
}

/// The same of a disk with a Windows.
pub fn look_at_damaged_windows(bytes: &[u8]) {
    look_at_one_of(&WINDOWS.iter().collect::<Vec<_>>(), bytes);
}

fn look_at_one_of(disks: &[&Disk], bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let disk = disks[usize::from(*which) % disks.len()];
    let (changes, _) = rest.as_chunks::<4>();
    let changes = changes.iter().map(|[a, b, c, value]| {
        let at = u32::from_le_bytes([*a, *b, *c, 0]) as usize % disk.telling.len();
        (disk.telling[at], *value)
    });
    let damaged =
        Damaged { disk: disk.disk.clone(), changes: changes.take(64).collect(), unreadable: BTreeSet::new() };
    let (guest, _) = look(Arc::new(damaged), &Expected::default(), &disk.report);
    assert!(guest.read_bytes <= super::pages::MOST_READ);
}

/// A disk with what an inspection says of it.
pub(super) struct Disk {
    pub(super) disk: Arc<dyn ReadAt>,
    pub(super) report: Report,
    /// The bytes that are not zero, of the pages that are read.
    pub(super) telling: Vec<u64>,
}

pub(super) static DISKS: LazyLock<[Disk; 4]> = LazyLock::new(|| {
    [
        unpacked(include_bytes!("../../../../tests/data/images/guest-ext4.raw.gz")),
        unpacked(include_bytes!("../../../../tests/data/images/guest-xfs.qcow2.gz")),
        unpacked(include_bytes!("../../../../tests/data/images/guest-btrfs.qcow2.gz")),
        unpacked(include_bytes!("../../../../tests/data/images/guest-lvm.raw.gz")),
    ]
});

/// A Linux whose kernel and loader's configuration are in the EFI partition, and systems whose root is put together when they
/// start.
static OTHERS: LazyLock<[Disk; 3]> = LazyLock::new(|| {
    [
        unpacked(include_bytes!("../../../../tests/data/guests/guest-arch-systemd-boot.qcow2.gz")),
        unpacked(include_bytes!("../../../../tests/data/guests/guest-fedora-coreos-38.qcow2.gz")),
        unpacked(include_bytes!("../../../../tests/data/guests/guest-flatcar-3975.qcow2.gz")),
    ]
});

/// All disks with a Linux.
pub(super) fn all() -> impl Iterator<Item = &'static Disk> {
    DISKS.iter().chain(&*OTHERS)
}

pub(super) static WINDOWS: LazyLock<[Disk; 2]> = LazyLock::new(|| {
    [
        unpacked(include_bytes!("../../../../tests/data/images/guest-windows-bios.raw.gz")),
        unpacked(include_bytes!("../../../../tests/data/images/guest-windows-uefi.raw.gz")),
    ]
});

pub(super) fn unpacked(packed: &[u8]) -> Disk {
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).expect(SOUND);
    let report = inspect(&image, &Expected::default()).expect(SOUND);
    let disk = open_disk(Arc::new(image)).expect(SOUND);
    let traced = Arc::new(Traced { disk: disk.clone(), telling: Mutex::default() });
    look(traced.clone(), &Expected::default(), &report);
    let telling = traced.telling.lock().expect(HELD).iter().copied().collect();
    Disk { disk, report, telling }
}

/// Notes which bytes that are not zero are read.
#[derive(Debug)]
struct Traced {
    disk: Arc<dyn ReadAt>,
    telling: Mutex<BTreeSet<u64>>,
}

impl ReadAt for Traced {
    fn length(&self) -> u64 {
        self.disk.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.disk.read_at(offset, buffer)?;
        let bytes = (offset..).zip(buffer.iter()).filter(|(_, byte)| **byte != 0);
        self.telling.lock().expect(HELD).extend(bytes.map(|(at, _)| at));
        Ok(())
    }
}

/// A disk with other bytes here and there, or that cannot be read from somewhere on.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) disk: Arc<dyn ReadAt>,
    pub(super) changes: Vec<(u64, u8)>,
    pub(super) unreadable: BTreeSet<u64>,
}

impl ReadAt for Damaged {
    fn length(&self) -> u64 {
        self.disk.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end = offset + buffer.len() as u64;
        if self.unreadable.range(offset..end).next().is_some() {
            return Err(ReadError::Unreadable { offset, reason: "it is damaged here" });
        }
        self.disk.read_at(offset, buffer)?;
        for (at, value) in self.changes.iter().filter(|(at, _)| (offset..end).contains(at)) {
            buffer[usize::try_from(at - offset).expect("inside the buffer")] = *value;
        }
        Ok(())
    }
}
