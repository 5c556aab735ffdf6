//! What is installed on a disk: its file systems, read without mounting them, and what their files say.
//!
//! [`look_inside`] opens the file systems of the partitions that an inspection found, looks for the one that holds a
//! system, and reads what tells which. What that means on ECS is judged by the `checks`, each a function of facts and of
//! the texts of a few files.
//!
//! Three crates read the file systems: `ext4-view`, `lamxfs` and `lambutter`. None has `unsafe` code, and none panicked
//! on damaged file systems in some ten thousand runs each, as one for NTFS did, which therefore is not used. What `ext4-view`
//! believes of the disk is checked first (`volume`), links are followed here and not by them (`tree`), and everything is
//! read through one cache with one budget (`pages`), which makes an error of what would never end.

mod checks;
mod cloud_init;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod damage;
mod facts;
mod fstab;
mod identity;
pub(super) mod initramfs;
mod kernel;
mod loader;
mod lvm;
#[cfg(test)]
mod memory;
mod network;
mod pages;
mod settings;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod tree;
mod units;
mod volume;
mod yaml;

use std::rc::Rc;
use std::sync::Arc;

pub use facts::{
    Answer, BootEntry, BootFile, CloudInit, Driver, Drivers, FstabLine, GuestReport, GuestSystem,
    GuestVolume, Initramfs, Kernel, OsRelease, Told,
};
use pages::{Pages, View};
use tree::Tree;
use volume::{Read, Volume};

use super::filesystem::{self, FileSystem};
use super::finding::Findings;
use super::open::open_limited;
use super::report::{Expected, Report};
use crate::read::ReadAt;

/// Most bytes that are unpacked for one look (512 MiB): each of a few places that are read may lie in a large cluster.
const UNPACK_BUDGET: u64 = 512 << 20;
/// Most partitions that are looked into.
const MOST_VOLUMES: usize = 64;
/// Where distributions keep their root on btrfs, if it is not what is mounted by default.
const SUBVOLUMES: [&str; 4] = ["@", "@rootfs", "root", "@/.snapshots/1/snapshot"];
/// What is mounted beside the root, as far as anything is looked at there.
const MOUNT_POINTS: [&str; 2] = ["/boot", "/usr"];

/// Looks for the installed system on the disk inside an image, of which `report` tells the partitions, and adds to the
/// report what it found and what that means on ECS.
///
/// Reads at most 12 MiB of the disk, usually less than 4 MiB, and holds what it read; beside that, where
/// [`Expected::initramfs`] says so, at most 256 MiB of the initial RAM file system, which pass. Whatever cannot be read is
/// said in the answer, with the reason, and never counts as missing.
pub fn look_inside(file: Arc<dyn ReadAt>, expected: &Expected, report: &mut Report) {
    let (guest, mut findings) = match open_limited(file, UNPACK_BUDGET) {
        Ok(disk) => look(disk, expected, report),
        Err(error) => (GuestReport::unread(error.to_string()), Findings::default()),
    };
    if let Answer::Found(system) = &guest.system {
        settings::settle(system, expected, report, &mut findings);
    }
    report.guest = Some(guest);
    report.findings.extend(findings.0);
}

fn look(disk: Arc<dyn ReadAt>, expected: &Expected, report: &Report) -> (GuestReport, Findings) {
    let pages = Pages::new(disk);
    let mut places = places(&pages, report);
    let mut findings = Findings::default();
    let found = find_system(&mut places, expected.initramfs);
    let volumes: Vec<_> = places.into_iter().map(|(_, volume)| volume).collect();
    let system = match found {
        Answer::Found((mut tree, system)) => {
            let scene =
                checks::Scene { tree: &mut tree, system: &system, volumes: &volumes, report, expected };
            checks::run(scene, &mut findings);
            Answer::Found(system)
        }
        Answer::Absent => Answer::Absent,
        Answer::Unread(reason) => Answer::Unread(reason),
    };
    (GuestReport { system, volumes, read_bytes: pages.read_bytes() }, findings)
}

/// Lists what was recognised on the disk, with the names that it is known by.
fn places(pages: &Rc<Pages>, report: &Report) -> Vec<(View, GuestVolume)> {
    let disk = View::new(pages, 0, pages.length());
    let mut places = Vec::new();
    if let Some(filesystem) = report.bare_filesystem {
        places.push((disk.clone(), volume(&disk, "the whole disk".to_owned(), filesystem)));
    }
    let known = report.partitions.iter().filter_map(|partition| Some((partition, partition.filesystem?)));
    for (partition, filesystem) in known.take(MOST_VOLUMES) {
        let length = partition.length.min(disk.length().saturating_sub(partition.start));
        let view = View::new(pages, partition.start, length);
        let mut found = volume(&view, format!("partition {}", partition.number), filesystem);
        found.partition_label.clone_from(&partition.name);
        found.partition_uuid = identity::partition_uuid(&disk, report, partition.number).unwrap_or_default();
        places.push((view, found));
    }
    let mut logical = Vec::new();
    for (view, physical) in &mut places {
        if physical.filesystem == FileSystem::Lvm {
            let looked = logical_volumes(view, &mut logical);
            physical.unread = looked.err().map(|reason| format!("not all of LVM was looked into: {reason}"));
        }
    }
    places.extend(logical);
    places
}

/// Describes what holds a file system that was recognised.
fn volume(view: &View, place: String, filesystem: FileSystem) -> GuestVolume {
    view.pages().begin();
    let identity = identity::identify(view, filesystem).unwrap_or_default();
    let unread = view.pages().failure().or_else(|| match filesystem {
        FileSystem::Swap | FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 => None,
        FileSystem::Xfs | FileSystem::Btrfs => None,
        encrypted if encrypted.is_encrypted() => Some("it is encrypted".to_owned()),
        other => Some(format!("{other} is not looked into")),
    });
    GuestVolume {
        place,
        device: None,
        filesystem,
        uuid: identity.uuid,
        label: identity.label,
        partition_uuid: None,
        partition_label: None,
        unread,
    }
}

/// Adds the logical volumes that lie on a partition; an error if there are others, of which nothing is known.
fn logical_volumes(view: &View, places: &mut Vec<(View, GuestVolume)>) -> Result<(), String> {
    let mut unread = Ok(());
    for lvm::Logical { name: (group, name), pieces } in lvm::volumes(view)? {
        let place = format!("logical volume {group}/{name}");
        let found = pieces.and_then(|pieces| {
            let view = view.parts(&pieces);
            Ok(recognise(&view)?.map(|filesystem| (view, filesystem)))
        });
        match found {
            Ok(Some((view, filesystem))) if places.len() < MOST_VOLUMES => {
                let mut volume = volume(&view, place, filesystem);
                volume.device = Some(format!("/dev/{group}/{name}"));
                places.push((view, volume));
            }
            Ok(_) => {}
            Err(reason) => unread = Err(format!("{place}: {reason}")),
        }
    }
    unread
}

/// Recognises a file system by its front.
fn recognise(view: &View) -> Read<FileSystem> {
    view.pages().begin();
    let head = view.head::<{ 68 << 10 }>(0).map(|head| head.to_vec());
    if let Some(reason) = view.pages().failure() {
        return Err(reason);
    }
    let head = head.map_err(|error| error.to_string())?;
    let found = filesystem::probe(&head, 0, head.length()).map_err(|error| error.to_string())?;
    Ok(found.map(|found| found.filesystem))
}

/// Finds the first file system that holds a system, and tells what that is; with `deep` also of its initial RAM file
/// system.
fn find_system(places: &mut [(View, GuestVolume)], deep: bool) -> Answer<(Tree, GuestSystem)> {
    for index in 0..places.len() {
        let (view, volume) = &mut places[index];
        if volume.unread.is_some() || volume.filesystem == FileSystem::Swap {
            continue;
        }
        match root(view, volume.filesystem) {
            Ok(Some(mut tree)) => {
                let root = volume.place.clone();
                let system = describe(&mut tree, root, places, deep);
                return Answer::Found((tree, system));
            }
            Ok(None) => {}
            Err(reason) => volume.unread = Some(reason),
        }
    }
    let unread = places.iter().find_map(|(_, volume)| {
        Some(format!("{} ({}): {}", volume.place, volume.filesystem, volume.unread.as_ref()?))
    });
    match unread {
        Some(unread) => Answer::Unread(format!("no Linux system was found; {unread}")),
        None => Answer::Absent,
    }
}

/// Opens a file system, if it holds a system.
fn root(view: &View, filesystem: FileSystem) -> Read<Tree> {
    let subvolumes = SUBVOLUMES.into_iter().map(Some).filter(|_| filesystem == FileSystem::Btrfs);
    let mut unread = Ok(None);
    for subvolume in [None].into_iter().chain(subvolumes) {
        let Some(volume) = Volume::open(view, filesystem, subvolume)? else { continue };
        let mut tree = Tree::new(volume);
        for sign in ["/etc/os-release", "/etc/passwd"] {
            match tree.has(sign) {
                Ok(true) => return Ok(Some(tree)),
                Ok(false) => {}
                // It may be in another subvolume.
                Err(reason) => unread = Err(reason),
            }
        }
    }
    unread
}

fn describe(tree: &mut Tree, root: String, places: &[(View, GuestVolume)], deep: bool) -> GuestSystem {
    let volumes: Vec<_> = places.iter().map(|(_, volume)| volume.clone()).collect();
    let fstab = tree.read("/etc/fstab", system::LONGEST_TEXT);
    let fstab = fstab.map(|bytes| bytes.map(|bytes| fstab::read(&bytes, &volumes)));
    for line in fstab.iter().flatten().flatten() {
        let wanted = MOUNT_POINTS.contains(&line.mount_point.as_str());
        if wanted && !line.options.split(',').any(|option| option == "noauto") {
            tree.mount(&line.mount_point, mounted(line, places));
        }
    }
    let os = Answer::from(system::os_release(tree));
    let (architecture, foreign_machine) = system::architecture(tree);
    let boot_entries: Answer<Vec<BootEntry>> = loader::entries(tree, &volumes).into();
    let default = boot_entries.found().and_then(|entries| entries.iter().find(|entry| entry.is_default));
    let (kernels, is_kernel_certain) = kernels(tree, default, deep);
    let cloud_init = cloud_init::read(tree, &boot_entries);
    GuestSystem {
        root,
        platform: os.found().and_then(system::platform),
        os,
        init: system::init(tree).into(),
        architecture,
        foreign_machine,
        kernels,
        is_kernel_certain,
        cloud_init: cloud_init.map(|evidence| evidence.map(|evidence| evidence.facts())).into(),
        boot_entries,
        fstab: fstab.into(),
    }
}

/// Lists the kernels, with the drivers of the one that starts as far as its initial RAM file system. Tells whether it is
/// certain which one that is.
fn kernels(tree: &mut Tree, entry: Option<&BootEntry>, deep: bool) -> (Answer<Vec<Kernel>>, bool) {
    let mut kernels = match kernel::kernels(tree) {
        Ok(Some(kernels)) => kernels,
        other => return (other.into(), false),
    };
    let is_certain = kernel::choose(tree, &mut kernels, entry);
    // Where it is uncertain which kernel starts, the files of the entry may be another's.
    let named = entry.filter(|entry| is_certain && entry.kernel.is_some()).map(|entry| &*entry.initrds);
    for Kernel { release, drivers, .. } in kernels.iter_mut().filter(|kernel| kernel.starts) {
        let Some(drivers) = drivers else { continue };
        drivers.initramfs = match deep {
            true => initramfs::look(tree, release, drivers, named),
            false => Answer::Unread("it was not asked for".to_owned()),
        };
    }
    (Answer::Found(kernels), is_certain)
}

/// Opens what a line of the fstab mounts.
fn mounted(line: &FstabLine, places: &[(View, GuestVolume)]) -> Result<Volume, String> {
    let because = |reason: &str| format!("{} is mounted from {}, {reason}", line.mount_point, line.device);
    let volumes: Vec<_> = places.iter().map(|(_, volume)| volume.clone()).collect();
    let index = identity::position(&volumes, &line.device)
        .ok_or_else(|| because("which is named by its device"))?
        .ok_or_else(|| because("which was not found on this disk"))?;
    let (view, volume) = &places[index];
    if let Some(unread) = &volume.unread {
        return Err(because(unread));
    }
    match Volume::open(view, volume.filesystem, line.subvolume()) {
        Ok(Some(volume)) => Ok(volume),
        Ok(None) => Err(because("which has no files")),
        Err(reason) => Err(because(&reason)),
    }
}
