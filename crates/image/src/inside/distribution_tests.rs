//! Over small disks that `.ci/make-distributions.sh` lays out as distributions lay theirs out: each is understood, and
//! none is found wanting but for what its maintainers would say of it themselves.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::super::inspect::inspect;
use super::*;
use crate::finding::Severity;
use crate::rule::Rule;

struct Distribution {
    disk: &'static [u8],
    title: &'static str,
    platform: Option<&'static str>,
    root: &'static str,
    kernel: &'static str,
    /// Where its kernels are, and where the default entry of the loader is.
    image: Option<&'static str>,
    loader: &'static str,
    cloud_init: &'static str,
    /// Warnings that are right: an image that was installed from the ISO has no data source, and one name of an interface.
    warned: &'static [Rule],
}

macro_rules! disk {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/data/guests/guest-", $name, ".qcow2.gz"))
    };
}

const DISTRIBUTIONS: [Distribution; 5] = [
    Distribution {
        disk: disk!("rocky-9"),
        title: "Rocky Linux 9.3 (Blue Onyx)",
        platform: Some("Rocky Linux"),
        root: "partition 4",
        kernel: "5.14.0-362.8.1.el9_3.x86_64",
        image: Some("/boot/vmlinuz-5.14.0-362.8.1.el9_3.x86_64"),
        loader: "/boot/loader/entries/0f4d1a5c6e2b4f37a8c90d1e2f3a4b5c-5.14.0-362.8.1.el9_3.x86_64.conf",
        cloud_init: "23.1.1-11.el9",
        warned: &[],
    },
    Distribution {
        disk: disk!("ubuntu-22.04-iso"),
        title: "Ubuntu 22.04.3 LTS",
        platform: Some("Ubuntu"),
        root: "partition 2",
        kernel: "5.15.0-91-generic",
        image: Some("/boot/vmlinuz-5.15.0-91-generic"),
        loader: "/boot/grub/grub.cfg",
        cloud_init: "23.3.3-0ubuntu0~22.04.1",
        warned: &[Rule::GCiDs, Rule::GNicName],
    },
    Distribution {
        disk: disk!("opensuse-leap-15.5"),
        title: "openSUSE Leap 15.5",
        platform: Some("OpenSUSE"),
        root: "partition 3",
        kernel: "5.14.21-150500.55.36-default",
        image: Some("/boot/vmlinuz-5.14.21-150500.55.36-default"),
        loader: "/boot/grub2/grub.cfg",
        cloud_init: "23.1-150100.8.71.1",
        warned: &[],
    },
    Distribution {
        disk: disk!("alpine-3.19"),
        title: "Alpine Linux v3.19",
        platform: None,
        root: "partition 2",
        kernel: "6.6.7-0-virt",
        image: Some("/boot/vmlinuz-virt"),
        loader: "/boot/extlinux.conf",
        cloud_init: "23.4.1",
        warned: &[],
    },
    Distribution {
        disk: disk!("arch-systemd-boot"),
        title: "Arch Linux",
        platform: None,
        root: "partition 2",
        kernel: "6.6.8-arch1-1",
        image: None,
        loader: "/boot/loader/entries/arch.conf",
        cloud_init: "23.4.1",
        warned: &[],
    },
];

fn looked_at(packed: &[u8]) -> Report {
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    let mut report = inspect(&image, &Expected::default()).unwrap();
    look_inside(Arc::new(image), &Expected::default(), &mut report);
    report
}

/// The rules of the guest that find something which is this bad.
fn found(report: &Report, severities: &[Severity]) -> BTreeSet<Rule> {
    let bad = report.findings.iter().filter(|finding| severities.contains(&finding.severity));
    bad.map(|finding| finding.rule).filter(|rule| rule.id().starts_with("G-")).collect()
}

#[test]
fn the_layout_of_each_distribution_is_understood() {
    for distribution in &DISTRIBUTIONS {
        let Distribution { title, .. } = distribution;
        let guest = looked_at(distribution.disk).guest.unwrap();
        let Answer::Found(system) = &guest.system else { panic!("{title}: {:?}", guest.system) };
        assert_eq!(system.os.found().unwrap().title(), *title);
        assert_eq!(system.platform, distribution.platform, "{title}");
        assert_eq!(system.root, distribution.root, "{title}");
        let cloud_init = system.cloud_init.found().unwrap();
        assert_eq!(cloud_init.version.as_deref(), Some(distribution.cloud_init), "{title}");
        let kernels = system.kernels.found().unwrap();
        assert_eq!((kernels.len(), &*kernels[0].release), (1, distribution.kernel), "{title}");
        if let Some(image) = distribution.image {
            assert_eq!(kernels[0].image, Answer::Found(image.to_owned()), "{title}");
        }
        let drivers = kernels[0].drivers.as_ref().unwrap();
        for driver in [&drivers.virtio_blk, &drivers.virtio_pci, &drivers.virtio_net, &drivers.nvme] {
            assert!(driver.found().is_some(), "{title}: {drivers:?}");
        }
        match &system.boot_entries {
            Answer::Found(entries) => {
                let default = entries.iter().find(|entry| entry.is_default).unwrap();
                assert_eq!(default.file, distribution.loader, "{title}");
                assert_eq!(default.place, Some(Answer::Found(distribution.root.to_owned())), "{title}");
                let kernel = default.kernel.as_ref().unwrap();
                assert!(matches!(kernel.path, Answer::Found(_)), "{title}: {kernel:?}");
            }
            other => panic!("{title}: {other:?}"),
        }
        let missing = system.fstab.found().unwrap().iter().filter(|line| line.is_missing()).count();
        assert_eq!(missing, 0, "{title}");
        assert!(guest.read_bytes < 4 << 20, "{title}: {} bytes", guest.read_bytes);
    }
}

#[test]
fn a_healthy_image_of_a_distribution_gets_no_bad_verdict() {
    for Distribution { disk, title, warned, .. } in &DISTRIBUTIONS {
        let report = looked_at(disk);
        let bad = found(&report, &[Severity::Fix, Severity::Refuse]);
        assert!(bad.is_empty(), "{title}: {bad:?} {:#?}", report.findings);
        // The disks are small, so that they have little room.
        let is_right = |rule: &Rule| warned.contains(rule) || *rule == Rule::GSpace;
        let warnings = found(&report, &[Severity::Warn]).into_iter();
        let unasked: Vec<_> = warnings.filter(|rule| !is_right(rule)).collect();
        assert!(unasked.is_empty(), "{title}: {unasked:?} {:#?}", report.findings);
    }
}

/// Looks at a system that is put in place at its first start; it must get no bad verdict.
fn put_in_place(packed: &[u8]) -> GuestSystem {
    let report = looked_at(packed);
    let bad = found(&report, &[Severity::Fix, Severity::Refuse, Severity::Warn]);
    let unasked: Vec<_> = bad.iter().filter(|rule| **rule != Rule::GSpace).collect();
    assert!(unasked.is_empty(), "{unasked:?} {:#?}", report.findings);
    match report.guest.unwrap().system {
        Answer::Found(system) => system,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_of_a_system_that_ostree_keeps_is_looked_into() {
    let system = put_in_place(disk!("fedora-coreos-38"));
    assert_eq!(system.os.found().unwrap().title(), "Fedora CoreOS 38.20231027.3.2");
    assert_eq!((system.platform, &*system.root), (Some("Fedora CoreOS"), "partition 4"));
    assert_eq!(system.kernel().unwrap().release, "6.5.9-200.fc38.x86_64");
    assert!(system.is_kernel_certain);
    assert_eq!((system.is_virtio_ready(), system.is_nvme_ready()), (Some(true), Some(true)));
    let default = system.boot_entries.found().unwrap().iter().find(|entry| entry.is_default).unwrap();
    assert!(matches!(default.kernel.as_ref().unwrap().path, Answer::Found(_)), "{default:?}");
    assert_eq!(system.ignition.unwrap().finds_ecs, Told::Yes);
}

#[test]
fn a_usr_with_an_empty_root_is_looked_into() {
    let system = put_in_place(disk!("flatcar-3975"));
    assert_eq!(system.os.found().unwrap().title(), "Flatcar Container Linux by Kinvolk 3975.2.2 (Oklo)");
    assert_eq!((system.platform, &*system.root), (Some("CoreOS"), "partition 5"));
    assert_eq!(system.kernel().unwrap().release, "6.6.54-flatcar");
    assert_eq!((system.is_virtio_ready(), system.is_nvme_ready()), (Some(true), Some(true)));
    assert!(
        matches!(&system.boot_entries, Answer::Unread(reason) if reason.contains("Flatcar")),
        "{:?}",
        system.boot_entries
    );
    let ignition = system.ignition.unwrap();
    assert_eq!(ignition.platform.as_deref(), Some("qemu"));
    assert_eq!(ignition.finds_ecs, Told::No("/oem/grub.cfg line 1 names the platform qemu".to_owned()));
}

#[test]
fn the_partition_of_boot_is_read_where_no_fstab_mounts_it() {
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(&disk!("rocky-9")[..]).read_to_end(&mut image).unwrap();
    let report = inspect(&image, &Expected::default()).unwrap();
    let pages = Pages::new(crate::open::open_disk(Arc::new(image)).unwrap());
    let (places, names) = places::places(&pages, &report);
    let (view, volume) = places.iter().find(|(_, volume)| volume.place == "partition 4").unwrap();
    let mut tree = root(view, volume.filesystem).unwrap().unwrap();
    assert_eq!(tree.has("/boot/loader/entries"), Ok(false));
    let other = fstab::read(b"LABEL=none /boot ext4 defaults 0 0", &Names::default());
    assert!(
        !mounts::unnamed_boot(&mut tree, "partition 4", &other, &places, &names),
        "the fstab says which it is"
    );
    assert!(mounts::unnamed_boot(&mut tree, "partition 4", &[], &places, &names));
    assert_eq!(tree.has("/boot/loader/entries"), Ok(true));
}

#[test]
fn the_snapshot_of_a_btrfs_is_found_by_its_number() {
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(&disk!("opensuse-leap-15.5")[..]).read_to_end(&mut image).unwrap();
    let report = inspect(&image, &Expected::default()).unwrap();
    let pages = Pages::new(crate::open::open_disk(Arc::new(image)).unwrap());
    let (places, _) = places::places(&pages, &report);
    let (view, _) = places.iter().find(|(_, volume)| volume.place == "partition 3").unwrap();
    let paths = subvolumes::of(view).unwrap();
    assert_eq!(paths[..4], ["@", "@rootfs", "root", "@/.snapshots/1/snapshot"]);
    let volume = Volume::open(view, FileSystem::Btrfs, Some(&paths[3])).unwrap().unwrap();
    assert_eq!(Tree::new(volume).has("/etc/os-release"), Ok(true));
}
