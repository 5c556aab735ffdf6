//! Over a volume that mkntfs made and the library of ntfs-3g filled (`.ci/windows_guest.py`).

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::super::damage::{Damaged, unpacked};
use super::super::pages::{Pages, View};
use super::super::volume::Kind;
use super::Ntfs;

/// Where the volume begins on the disk.
const START: u64 = 1 << 20;

fn pages(changes: &[(u64, u8)]) -> Rc<Pages> {
    let disk = unpacked(include_bytes!("../../../../../tests/data/images/guest-windows-bios.raw.gz")).disk;
    let changes = changes.iter().map(|(at, value)| (START + at, *value)).collect();
    Pages::new(Arc::new(Damaged { disk, changes, unreadable: BTreeSet::new() }))
}

fn volume(changes: &[(u64, u8)]) -> Result<Ntfs, String> {
    let pages = pages(changes);
    Ntfs::open(&View::new(&pages, START, 8 << 20))
}

#[test]
fn names_are_found_in_any_case_and_with_either_slash() {
    let ntfs = volume(&[]).unwrap();
    for path in [
        "/Windows/System32/config/SYSTEM",
        "windows\\SYSTEM32\\Config\\system",
        "/WINDOWS/system32\\config/System",
    ] {
        assert_eq!(ntfs.kind(path.as_bytes()), Ok(Some(Kind::File)), "{path}");
        assert_eq!(ntfs.file(path.as_bytes()).unwrap().unwrap().front(4).unwrap(), b"regf");
    }
    assert_eq!(ntfs.kind(b"/windows"), Ok(Some(Kind::Directory)));
    assert_eq!(ntfs.kind("/Pieces/größe".as_bytes()), Ok(Some(Kind::File)));
    for path in [
        "/Windows/System3",
        "/Windows/System32/config/SYSTEM/more",
        "/nothing/at/all",
        "/Windows/Größe",
        "/zzz",
    ] {
        assert_eq!(ntfs.kind(path.as_bytes()), Ok(None), "{path}");
    }
    assert_eq!(ntfs.kind(b"/\xff"), Ok(None), "no name of NTFS");
    assert!(ntfs.file(b"/Windows").unwrap().is_none());
}

#[test]
fn every_name_of_a_directory_of_several_blocks_is_listed_and_found() {
    let ntfs = volume(&[]).unwrap();
    let names = ntfs.list(b"/Windows/System32/drivers", 100).unwrap().unwrap();
    assert_eq!(names.len(), 66);
    for name in &names {
        let path = [b"/windows/system32/DRIVERS/".as_slice(), name].concat();
        assert_eq!(ntfs.kind(&path), Ok(Some(Kind::File)), "{}", String::from_utf8_lossy(name));
    }
    assert!(ntfs.list(b"/Windows/System32/drivers", 60).unwrap_err().contains("more than 60"));
    assert_eq!(ntfs.list(b"/bootmgr", 60), Ok(None));
}

#[test]
fn a_file_of_many_pieces_and_one_with_holes_are_read_at_any_place() {
    let ntfs = volume(&[]).unwrap();
    let many = ntfs.file(b"/pieces/many").unwrap().unwrap();
    assert_eq!(many.length(), 400 * 4096);
    let whole = many.front(usize::MAX).unwrap();
    for (number, piece) in (0_u32..).zip(whole.chunks(4096)) {
        assert!(piece.chunks(4).all(|word| word == number.to_le_bytes()), "piece {number}");
    }
    let mut across = [0; 8];
    many.fill(299 * 4096 - 4, &mut across).unwrap();
    assert_eq!(across, [42, 1, 0, 0, 43, 1, 0, 0]);
    assert!(many.fill(400 * 4096 - 4, &mut across).is_err());
    let holes = ntfs.file(b"/pieces/holes").unwrap().unwrap().front(usize::MAX).unwrap();
    assert_eq!(holes.len(), (300 << 10) + 3);
    assert!(holes.starts_with(b"front\0") && holes.ends_with(b"\0end"));
    assert_eq!(ntfs.file("/pieces/Größe".as_bytes()).unwrap().unwrap().front(9).unwrap(), "groß".as_bytes());
}

#[test]
fn a_boot_sector_that_cannot_be_is_refused() {
    assert!(volume(&[]).is_ok());
    for (at, value) in
        [(3, b'M'), (0x0C, 0), (0x0D, 0), (0x0D, 3), (0x0D, 0x81), (0x37, 0x7F), (0x40, 0), (0x40, 0xE0)]
    {
        let error = volume(&[(at, value)]).unwrap_err();
        assert!(!error.is_empty(), "{at}");
    }
}

#[test]
fn what_was_not_written_whole_is_unread_and_not_absent() {
    // The last bytes of the first sector of the root's record, which are in each sector alike.
    let mut boot = [0; 64];
    View::new(&pages(&[]), START, 64).fill(0, &mut boot).unwrap();
    let mft = u64::from_le_bytes(boot[0x30..0x38].try_into().unwrap()) * 4096;
    let torn = volume(&[(mft + 5 * 1024 + 510, 0xAA), (mft + 5 * 1024 + 511, 0xAA)]).unwrap();
    assert!(torn.kind(b"/Windows").unwrap_err().contains("not written whole"));
    let unused = volume(&[(mft + 5 * 1024 + 0x16, 0)]).unwrap();
    assert!(unused.kind(b"/Windows").unwrap_err().contains("not in use"));
}

#[test]
fn the_state_of_the_volume_is_told() {
    let ntfs = volume(&[]).unwrap();
    assert_eq!(ntfs.was_unmounted(), Ok(true));
}
