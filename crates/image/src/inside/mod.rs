//! What is installed on a disk: its file systems, read without mounting them, and what their files say.
//!
//! [`look_inside`] opens the file systems of the partitions that an inspection found, looks for the one that holds a
//! system, and reads what tells which. What that means on ECS is judged by the `checks`, each a function of facts and of
//! the texts of a few files.
//!
//! Three crates read the file systems of Linux: `ext4-view`, `lamxfs` and `lambutter`. None has `unsafe` code, and none
//! panicked on damaged file systems in some ten thousand runs each, as the one for NTFS did, which is read here. What `ext4-view`
//! believes of the disk is checked first (`volume`), links are followed here and not by them (`tree`), and everything is
//! read through one cache with one budget (`pages`), which makes an error of what would never end.

mod checks;
mod cloud_init;
#[cfg(any(test, feature = "testing"))]
pub(super) mod damage;
#[cfg(test)]
mod distribution_tests;
mod facts;
mod fat;
mod fields;
mod flatcar;
mod fstab;
mod identity;
mod ignition;
pub(super) mod initramfs;
mod kernel;
mod loader;
mod lvm;
mod md;
#[cfg(test)]
mod memory;
mod mounts;
mod network;
mod ntfs;
mod ostree;
mod pages;
mod places;
mod settings;
mod space;
mod subvolumes;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod tree;
mod units;
mod volume;
mod windows;
mod yaml;

use std::sync::Arc;

pub use facts::{
    Answer, BootEntry, BootFile, BootSearch, CloudInit, Driver, Drivers, FstabLine, GuestReport, GuestSystem,
    GuestVolume, Ignition, Initramfs, Kernel, OsRelease, Space, Told, WindowsBoot, WindowsDriver,
    WindowsEntry, WindowsSystem,
};
use identity::Names;
use pages::{Pages, View};
use tree::Tree;
use volume::{Read, Volume};

use super::filesystem::FileSystem;
use super::finding::Findings;
use super::open::open_limited;
use super::report::{Expected, Report};
use super::rule::Rule;
use ossup_core::read::ReadAt;

/// Most bytes that are unpacked for one look (512 MiB): each of a few places that are read may lie in a large cluster.
const UNPACK_BUDGET: u64 = 512 << 20;

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
    if let Some(system) = &guest.windows {
        windows::settle(system, expected, report, &mut findings);
    }
    report.guest = Some(guest);
    report.findings.extend(findings.0);
}

fn look(disk: Arc<dyn ReadAt>, expected: &Expected, report: &Report) -> (GuestReport, Findings) {
    let pages = Pages::new(disk);
    let (mut places, mut names) = places::places(&pages, report);
    names.more_disks = expected.more_disks;
    let mut findings = Findings::default();
    windows::dynamic_disks(&report.partitions, &mut findings);
    let mut windows = None;
    let found = match find_system(&mut places, &names, expected.initramfs, &mut findings) {
        Some(found) => Answer::Found(found),
        None => match windows::find(&mut places) {
            Some(installed) => {
                windows = Some(windows::look(&installed, &places, report, expected, &mut findings));
                // What was not read may hold a Linux beside it, which is not what starts.
                Answer::Absent
            }
            None => nothing_found(&places, &names),
        },
    };
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
    // What could not be read may hold it.
    if system == Answer::Absent && windows.is_none() {
        checks::no_system(&volumes, report, expected, &mut findings);
    }
    (GuestReport { system, windows, volumes, read_bytes: pages.read_bytes() }, findings)
}

/// Finds the file system that holds the system, and tells what that is. Of several it is the one that the boot loader of
/// the first starts, else the first. With `deep` its initial RAM file system is looked into too.
fn find_system(
    places: &mut [(View, GuestVolume)],
    names: &Names,
    deep: bool,
    findings: &mut Findings,
) -> Option<(Tree, GuestSystem)> {
    let mut found = Vec::new();
    for (view, volume) in places.iter_mut() {
        if volume.unread.is_some() || !may_hold_linux(volume) || volume.filesystem.is_fat() {
            continue;
        }
        // Of the members of an array one is enough.
        let is_known =
            |(_, other): &(Tree, GuestVolume)| other.array.is_some() && other.array == volume.array;
        match root(view, volume.filesystem) {
            Ok(Some(_)) if found.iter().any(is_known) => {}
            Ok(Some(tree)) => found.push((tree, volume.clone())),
            Ok(None) => {}
            Err(reason) => volume.unread = Some(reason),
        }
    }
    if found.is_empty() {
        found.extend(put_together(places));
    }
    let roots: Vec<_> = found.iter().map(|(_, volume)| volume.place.clone()).collect();
    let mut found = found.into_iter();
    let (mut tree, volume) = found.next()?;
    let mut system = describe(&mut tree, volume.place, places, names, deep);
    let default =
        system.boot_entries.found().and_then(|entries| entries.iter().find(|entry| entry.is_default));
    let started = default.and_then(|entry| entry.place.as_ref()?.found()).cloned();
    if let Some((mut other, volume)) = found.find(|(_, volume)| Some(&volume.place) == started.as_ref()) {
        system = describe(&mut other, volume.place, places, names, deep);
        tree = other;
    }
    // Of several versions of a system the one that starts counts.
    if let Some(named) = ostree::started(&system).map(str::to_owned)
        && let Some((view, volume)) = places.iter().find(|(_, volume)| volume.place == system.root)
        && let Ok(Some(mut other)) = ostree::root(&mut opener(view, volume), Some(&named))
    {
        system = describe(&mut other, system.root, places, names, deep);
        tree = other;
    }
    if roots.len() > 1 {
        let message =
            format!("there are systems on {}: that on {} was looked at", roots.join(", "), system.root);
        findings.info(Rule::GRoot, message);
    }
    Some((tree, system))
}

/// Whether a Linux may be there: NTFS is that of Windows, and swap has no files.
fn may_hold_linux(volume: &GuestVolume) -> bool {
    !matches!(volume.filesystem, FileSystem::Swap | FileSystem::Ntfs)
}

/// Says that no system was found, or what of the disk was not read, and may hold one.
fn nothing_found<T>(places: &[(View, GuestVolume)], names: &Names) -> Answer<T> {
    let unread = places.iter().find_map(|(_, volume)| {
        Some(format!("{} ({}): {}", volume.place, volume.filesystem, volume.unread.as_ref()?))
    });
    let unknown = || Some(format!("{} holds what is not known", names.unknown.as_ref()?));
    match unread.or_else(|| made_later(places)).or_else(unknown) {
        Some(unread) => Answer::Unread(format!("no system was found; {unread}")),
        None => Answer::Absent,
    }
}

/// Says which place holds what a root is made of when the system starts.
fn made_later(places: &[(View, GuestVolume)]) -> Option<String> {
    const SIGNS: [(&str, &str); 2] = [
        ("/ostree/deploy", "deployments of ostree, none of which could be looked into"),
        ("/lib/os-release", "a /usr whose root is made when it starts"),
    ];
    places.iter().filter(|(_, volume)| may_hold_linux(volume)).find_map(|(view, volume)| {
        let mut tree = Tree::new(opener(view, volume)().ok().flatten()?);
        let (_, what) = SIGNS.iter().find(|(sign, _)| tree.has(sign) == Ok(true))?;
        Some(format!("{} ({}) holds {what}", volume.place, volume.filesystem))
    })
}

/// Returns what opens a file system, as often as it is called.
fn opener(view: &View, volume: &GuestVolume) -> impl FnMut() -> Read<Volume> + use<> {
    let (view, filesystem) = (view.clone(), volume.filesystem);
    move || Volume::open(&view, filesystem, None)
}

/// Opens a root that is put together when the system starts, with the place that counts as its own.
fn put_together(places: &[(View, GuestVolume)]) -> Option<(Tree, GuestVolume)> {
    let readable = || places.iter().filter(|(_, volume)| volume.unread.is_none() && may_hold_linux(volume));
    let of_ostree = |(view, volume): &(View, GuestVolume)| {
        let tree = ostree::root(&mut opener(view, volume), None).ok()??;
        Some((tree, volume.clone()))
    };
    let named = |name: &'static str| {
        readable().find(move |(_, volume)| {
            [&volume.partition_label, &volume.label].contains(&&Some(name.to_owned()))
        })
    };
    let of_flatcar = || {
        let (root, volume) = named(flatcar::ROOT)?;
        let (usr, of_usr) = flatcar::USR.into_iter().find_map(named)?;
        let mut tree = flatcar::root(opener(root, volume)().ok()??, &mut opener(usr, of_usr)).ok()??;
        if let Some((oem, of_oem)) = named(flatcar::OEM) {
            let opened = opener(oem, of_oem)().and_then(|opened| opened.ok_or("it has no files".to_owned()));
            tree.mount("/oem", opened);
        }
        Some((tree, volume.clone()))
    };
    readable().find_map(of_ostree).or_else(of_flatcar)
}

/// Opens a file system, if it holds a system.
fn root(view: &View, filesystem: FileSystem) -> Read<Tree> {
    let mut unread = Ok(None);
    let mut subvolumes = vec![None];
    if filesystem == FileSystem::Btrfs {
        match subvolumes::of(view) {
            Ok(paths) => subvolumes.extend(paths.into_iter().map(Some)),
            Err(reason) => unread = Err(reason),
        }
    }
    for subvolume in subvolumes {
        let Some(volume) = Volume::open(view, filesystem, subvolume.as_deref())? else { continue };
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

fn describe(
    tree: &mut Tree,
    root: String,
    places: &[(View, GuestVolume)],
    names: &Names,
    deep: bool,
) -> GuestSystem {
    let names = &names.with_opened(tree.read("/etc/crypttab", system::LONGEST_TEXT));
    let fstab = tree.read("/etc/fstab", system::LONGEST_TEXT);
    let fstab = fstab.map(|bytes| bytes.map(|bytes| fstab::read(&bytes, names)));
    let lines = fstab.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
    mounts::of_fstab(tree, lines, places, names);
    let os = Answer::from(system::os_release(tree));
    let (architecture, foreign_machine) = system::architecture(tree);
    let efi = mounts::efi(tree, lines, places, names);
    let mut loader = loader::read(tree, names, efi.as_deref());
    if !matches!(loader, Ok(Some(_))) && mounts::unnamed_boot(tree, &root, lines, places, names) {
        loader = loader::read(tree, names, efi.as_deref());
    }
    let (boot_entries, boot_searches) = match loader {
        Ok(Some((entries, searches))) => (Answer::Found(entries), searches),
        // What is mounted is not known without it.
        Ok(None) if fstab.is_err() => (Answer::Unread("/etc/fstab could not be read".to_owned()), Vec::new()),
        Ok(None) => (Answer::Absent, Vec::new()),
        Err(reason) => (Answer::Unread(reason), Vec::new()),
    };
    let default = boot_entries.found().and_then(|entries| entries.iter().find(|entry| entry.is_default));
    let resume = default.and_then(|entry| names.find(entry.argument("resume")?));
    let (kernels, is_kernel_certain) = kernels(tree, default, deep);
    let cloud_init = cloud_init::read(tree, &boot_entries);
    let ignition = ignition::read(tree, &os, &boot_entries);
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
        ignition,
        boot_entries,
        boot_searches,
        resume,
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
