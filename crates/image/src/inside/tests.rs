//! Over small disks that `.ci/make-images.sh` makes, alike on each file system.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::damage::{DISKS, Damaged, Disk, unpacked};
use super::pages::MOST_READ;
use super::*;
use ossup_core::model::Architecture;

const ROOT: &str = "11111111-2222-3333-4444-555555555555";
const ELSEWHERE: &str = "UUID=99999999-2222-3333-4444-555555555555";

fn system(guest: &GuestReport) -> &GuestSystem {
    match &guest.system {
        Answer::Found(system) => system,
        other => panic!("{other:?}"),
    }
}

fn look_at_report(disk: Arc<dyn ReadAt>, report: &Report) -> GuestReport {
    look(disk, &Expected::default(), report).0
}

fn look_at(disk: &Disk) -> GuestReport {
    look_at_report(disk.disk.clone(), &disk.report)
}

#[test]
fn the_system_is_told_alike_on_every_file_system() {
    for (disk, filesystem) in DISKS.iter().zip(["ext4", "xfs", "btrfs", "ext4 on LVM"]) {
        let guest = look_at(disk);
        assert!(guest.read_bytes < 4 << 20, "{} bytes of {filesystem}", guest.read_bytes);
        let system = system(&guest);
        let logical = filesystem == "ext4 on LVM";
        assert_eq!(system.root, if logical { "logical volume system/root" } else { "partition 3" });
        assert_eq!(system.os.found().unwrap().title(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(system.platform, Some("Debian"));
        assert_eq!(system.init.found().map(String::as_str), Some("/usr/lib/systemd/systemd"));
        assert_eq!(system.architecture, Answer::Found(Architecture::X86_64));
        let cloud_init = system.cloud_init.found().unwrap();
        assert_eq!(cloud_init.version.as_deref(), Some("22.4.2"));
        assert!(
            cloud_init.finds_ecs.is_yes() && matches!(cloud_init.runs, Told::Unread(_)),
            "{cloud_init:?}"
        );
        let kernels = system.kernels.found().unwrap();
        assert_eq!(kernels.len(), 2);
        assert_eq!(kernels[0].release, "6.1.0-28-cloud-amd64");
        assert_eq!(kernels[0].image, Answer::Found("/boot/vmlinuz-6.1.0-28-cloud-amd64".to_owned()));
        let drivers = kernels[0].drivers.as_ref().unwrap();
        assert_eq!(drivers.virtio_blk, Answer::Found(Driver::Module));
        assert_eq!(drivers.nvme, Answer::Found(Driver::BuiltIn));
        assert_eq!(kernels[1].image, Answer::Absent);
        assert!(matches!(kernels[1].drivers.as_ref().unwrap().nvme, Answer::Unread(_)));
    }
}

#[test]
fn what_is_mounted_and_started_is_looked_for_on_the_disk() {
    for disk in DISKS.iter() {
        let guest = look_at(disk);
        let system = system(&guest);
        let fstab = system.fstab.found().unwrap();
        let places: Vec<_> = fstab.iter().map(|line| (line.line, line.place.clone())).collect();
        let found = |place: &str| Some(Answer::Found(place.to_owned()));
        assert_eq!(
            places,
            [
                (2, found(&system.root)),
                (3, found("partition 2")),
                (4, Some(Answer::Absent)),
                (5, None),
                (6, None)
            ]
        );
        assert_eq!(fstab[2].mount_point, "/srv old");
        let entries = system.boot_entries.found().unwrap();
        assert_eq!(entries[0].place, found(&system.root));
        assert_eq!(
            entries[0].kernel.as_ref().unwrap().path,
            Answer::Found("/boot/vmlinuz-6.1.0-28-cloud-amd64".to_owned())
        );
        assert_eq!((entries[0].is_default, entries[1].is_default), (true, false));
        assert_eq!(entries[0].argument("console"), Some("ttyS0,115200"));
        assert_eq!(entries[0].initrds[0].path, Answer::Absent);
        assert_eq!((entries[1].root.as_deref(), &entries[1].place), (Some(ELSEWHERE), &Some(Answer::Absent)));
        if system.root != "partition 3" {
            continue;
        }
        let volumes: Vec<_> =
            guest.volumes.iter().map(|volume| (&*volume.place, volume.uuid.as_deref())).collect();
        assert_eq!(volumes, [("partition 2", Some("1234-5678")), ("partition 3", Some(ROOT))]);
        assert_eq!(guest.volumes[1].label.as_deref(), Some("system"));
        assert_eq!(guest.volumes[1].partition_label.as_deref(), Some("root"));
        assert_eq!(guest.volumes[1].partition_uuid.as_deref(), Some("33333333-1111-1111-1111-111111111111"));
    }
}

#[test]
fn links_are_followed_inside_of_the_guest_and_not_for_ever() {
    for disk in DISKS.iter() {
        let pages = Pages::new(disk.disk.clone());
        let (view, volume) = places::places(&pages, &disk.report).0.pop().unwrap();
        let mut tree = root(&view, volume.filesystem).unwrap().unwrap();
        assert!(tree.read("/etc/loop", 10).unwrap_err().contains("links"));
        assert_eq!(tree.read("/etc/above", 11).unwrap().as_deref(), Some(b"PRETTY_NAME".as_slice()));
        assert_eq!(tree.resolve(b"/sbin/../../bin/sh").unwrap().unwrap().0, b"/usr/bin/dash");
        assert_eq!(tree.read("/etc", 10), Ok(None));
        assert_eq!(tree.read("/etc/passwd/more", 10), Ok(None));
        assert_eq!(tree.list("/boot").unwrap().unwrap().len(), 3);
        assert_eq!(tree.list("/etc/nothing"), Ok(None));
        tree.mount("/usr", Err("the disk is away".to_owned()));
        assert_eq!(tree.read("/etc/os-release", 10), Err("the disk is away".to_owned()));
        assert_eq!(tree.read("/etc/passwd", 4).unwrap().as_deref(), Some(b"root".as_slice()));
    }
}

#[test]
fn what_cannot_be_read_is_never_missing() {
    for disk in DISKS.iter() {
        let guest = look_at(disk);
        let whole = system(&guest);
        // One page after the other is taken away: each answer stays, or becomes "could not be read".
        let pages: BTreeSet<_> = disk.telling.iter().map(|at| at >> 14 << 14).collect();
        let mut unread = 0;
        for page in pages {
            let damaged =
                Damaged { disk: disk.disk.clone(), changes: Vec::new(), unreadable: BTreeSet::from([page]) };
            let guest = look_at_report(Arc::new(damaged), &disk.report);
            match guest.system {
                Answer::Found(part) => {
                    fn kept<T: PartialEq + std::fmt::Debug>(part: &Answer<T>, whole: &Answer<T>) -> bool {
                        assert!(part == whole || matches!(part, Answer::Unread(_)), "{part:?}");
                        part == whole
                    }
                    let all = [
                        kept(&part.os, &whole.os),
                        kept(&part.init, &whole.init),
                        kept(&part.architecture, &whole.architecture),
                        match (part.cloud_init.found(), whole.cloud_init.found().unwrap()) {
                            (None, _) => matches!(part.cloud_init, Answer::Unread(_)),
                            (Some(part), whole) => {
                                assert_eq!(part.version, whole.version);
                                assert!(!matches!(part.works(), Told::No(_)), "{part:?}");
                                part == whole
                            }
                        },
                    ];
                    unread += usize::from(all.contains(&false));
                }
                Answer::Absent => panic!("page {page:#x}"),
                Answer::Unread(_) => unread += 1,
            }
        }
        assert!(unread > 0);
    }
}

#[test]
fn a_logical_volume_is_known_by_each_of_its_names() {
    let mut names = Names { volumes: look_at(&DISKS[3]).volumes, ..Names::default() };
    assert_eq!(names.volumes.iter().map(|volume| &volume.unread).collect::<Vec<_>>()[1..], [&None, &None]);
    names.volumes[2].device = Some("/dev/a-b/c-d".to_owned());
    let place = Some(Answer::Found("logical volume system/root".to_owned()));
    for device in
        ["/dev/a-b/c-d", "/dev/mapper/a--b-c--d", "LABEL=system", "UUID=11111111-2222-3333-4444-555555555555"]
    {
        assert_eq!(names.find(device), place, "{device}");
    }
    for device in ["/dev/mapper/a-b-c-d", "/dev/mapper/luks", "/dev/sda1", "none"] {
        assert_eq!(names.find(device), None, "{device}");
    }
    assert_eq!(names.find("LABEL=other"), Some(Answer::Absent));
    names.volumes[1].unread = Some("a mirror".to_owned());
    assert!(matches!(names.find("LABEL=other"), Some(Answer::Unread(_))));
}

#[test]
fn of_several_systems_it_is_the_one_that_the_loader_of_the_first_starts() {
    let disk = &DISKS[0];
    let mut report = disk.report.clone();
    let mut second = report.partitions.iter().find(|partition| partition.number == 3).unwrap().clone();
    (second.number, second.name) = (5, Some("second".to_owned()));
    report.partitions.push(second);
    let looked = |changes| {
        let damaged = Damaged { disk: disk.disk.clone(), changes, unreadable: BTreeSet::new() };
        let (guest, findings) = look(Arc::new(damaged), &Expected::default(), &report);
        let told = findings.0.into_iter().find(|finding| finding.rule == Rule::GRoot).unwrap();
        assert!(told.message.contains("systems on partition 3, partition 5: that on"), "{}", told.message);
        system(&guest).root.clone()
    };
    assert_eq!(looked(Vec::new()), "partition 3", "both have the UUID that it names");
    let old = format!("root=UUID={ROOT}");
    let new = format!("{:<width$}", "root=PARTLABEL=second", width = old.len());
    let pages: BTreeSet<_> = disk.telling.iter().map(|at| at >> 14 << 14).collect();
    let mut changes = Vec::new();
    for page in pages {
        let mut bytes = vec![0; (disk.disk.length() - page).min(1 << 14) as usize];
        disk.disk.read_at(page, &mut bytes).unwrap();
        let named = bytes.windows(old.len()).enumerate().filter(|(_, window)| *window == old.as_bytes());
        changes.extend(named.flat_map(|(at, _)| (page + at as u64..).zip(new.bytes())));
    }
    assert_eq!(looked(changes), "partition 5");
}

#[test]
fn a_logical_volume_that_its_group_does_not_have_is_missing() {
    let pages = Pages::new(DISKS[3].disk.clone());
    let (_, names) = places::places(&pages, &DISKS[3].report);
    assert_eq!(names.groups[0], "system");
    let found = Some(Answer::Found("logical volume system/root".to_owned()));
    assert_eq!(names.find("/dev/mapper/system-root"), found);
    for device in ["/dev/system/gone", "/dev/mapper/system-gone", "/dev/mapper/system-a--b"] {
        assert_eq!(names.find(device), Some(Answer::Absent), "{device}");
    }
    for device in
        ["/dev/other/root", "/dev/mapper/other-root", "/dev/mapper/system--root", "/dev/mapper/secret"]
    {
        assert_eq!(names.find(device), None, "{device}");
    }
    let opened = names.with_opened(Ok(Some(b"# a comment\nsystem-gone UUID=1 none luks\n".to_vec())));
    assert_eq!(opened.find("/dev/mapper/system-gone"), None, "that is opened at the start");
    assert_eq!(opened.find("/dev/system/gone"), Some(Answer::Absent));
    let unread = names.with_opened(Err("damaged".to_owned()));
    assert_eq!(unread.find("/dev/mapper/system-gone"), None);
    let more = Names { more_disks: true, ..names.clone() };
    assert!(matches!(more.find("/dev/system/gone"), Some(Answer::Unread(_))));
    let with_other = Names { logical: vec!["system/gone".to_owned()], ..names };
    assert_eq!(with_other.find("/dev/system/gone"), None, "it is there, with something unknown in it");
}

#[test]
fn what_may_lie_in_the_unknown_is_not_absent() {
    let partition = |uuid: Result<Option<&str>, &str>| {
        let uuid = uuid.map(|uuid| uuid.map(str::to_owned)).map_err(str::to_owned);
        ("partition 4".to_owned(), uuid, Some("data".to_owned()))
    };
    let mut names = Names { partitions: vec![partition(Ok(Some("ab-01")))], ..Names::default() };
    let place = Some(Answer::Found("partition 4".to_owned()));
    assert_eq!(names.find("PARTUUID=AB-01"), place, "though nothing is known of what it holds");
    assert_eq!(names.find("/dev/disk/by-partlabel/data"), place);
    assert_eq!(names.find("PARTUUID=ab-02"), Some(Answer::Absent));
    assert_eq!(names.find("UUID=1"), Some(Answer::Absent));
    names.unknown = Some("partition 4".to_owned());
    assert_eq!(names.find("PARTUUID=ab-02"), Some(Answer::Absent));
    assert!(matches!(names.find("UUID=1"), Some(Answer::Unread(_))));
    names.more_disks = true;
    assert!(matches!(names.find("PARTUUID=ab-02"), Some(Answer::Unread(_))));
    names = Names { partitions: vec![partition(Err("the table is damaged"))], ..Names::default() };
    assert!(matches!(names.find("PARTUUID=ab-02"), Some(Answer::Unread(_))));
}

#[test]
fn nothing_is_absent_from_btrfs_while_its_log_is_not_applied() {
    let btrfs = &DISKS[2];
    let at = (4 << 20) + (64 << 10);
    let mut superblock = vec![0; 4096];
    btrfs.disk.read_at(at, &mut superblock).unwrap();
    superblock[97] = 0x40;
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &superblock[32..]) as u32;
    superblock[..4].copy_from_slice(&sum.to_le_bytes());
    let changes = (at..).zip(superblock).collect();
    let damaged = Damaged { disk: btrfs.disk.clone(), changes, unreadable: BTreeSet::new() };
    let guest = look_at_report(Arc::new(damaged), &btrfs.report);
    let system = system(&guest);
    assert_eq!(system.os.found().unwrap().id.as_deref(), Some("debian"));
    let kernels = system.kernels.found().unwrap();
    assert!(matches!(&kernels[1].image, Answer::Unread(reason) if reason.contains("log")), "{kernels:?}");
}

#[test]
fn a_disk_without_a_system_has_none_and_a_damaged_one_is_unread() {
    let empty = unpacked(include_bytes!("../../../../tests/data/images/gpt-bios.raw.gz"));
    assert_eq!(look_at(&empty).system, Answer::Absent);
    let ext4 = &DISKS[0];
    let superblock = (4 << 20) + 1024;
    let damaged = Damaged {
        disk: ext4.disk.clone(),
        // The high half of the number of blocks.
        changes: vec![(superblock + 0x150, 0xFF)],
        unreadable: BTreeSet::new(),
    };
    let guest = look_at_report(Arc::new(damaged), &ext4.report);
    assert!(matches!(&guest.system, Answer::Unread(reason) if reason.contains("partition")), "{guest:?}");
    assert!(guest.volumes[1].unread.as_ref().unwrap().contains("does not fit"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_file_systems_cost_bounded_reads_and_no_panic(
        which in 0..7_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0xFF)]), 1..7),
    ) {
        let disk = damage::all().nth(which).unwrap();
        let changes = changes.into_iter().map(|(at, value)| (*at.get(&disk.telling), value)).collect();
        let damaged = Damaged { disk: disk.disk.clone(), changes, unreadable: BTreeSet::new() };
        let guest = look_at_report(Arc::new(damaged), &disk.report);
        prop_assert!(guest.read_bytes <= MOST_READ);
        serde_json::to_string(&guest).unwrap();
    }
}
