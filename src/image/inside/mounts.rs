//! What is mounted beside the root: what the fstab names, and `/boot` also where nothing mounts it.

use super::facts::{FstabLine, GuestVolume};
use super::identity::Names;
use super::pages::View;
use super::tree::Tree;
use super::volume::Volume;
use crate::image::filesystem::FileSystem;

/// What is mounted, as far as anything is looked at there.
const MOUNT_POINTS: [&str; 4] = ["/boot", "/usr", "/boot/efi", "/efi"];
/// What stands at the top of a file system that is there for the boot loader.
const SIGNS: [&str; 3] = ["/loader/entries", "/grub2", "/grub"];

/// Mounts what the lines of the fstab mount.
pub(super) fn of_fstab(tree: &mut Tree, lines: &[FstabLine], places: &[(View, GuestVolume)], names: &Names) {
    for line in lines {
        // What the boot loader reads is in `/boot`, also where the system does not mount it by itself.
        let always = line.mount_point.starts_with("/boot") || line.mount_point == "/efi";
        let wanted = MOUNT_POINTS.contains(&line.mount_point.as_str());
        if wanted && (always || !line.options.split(',').any(|option| option == "noauto")) {
            tree.mount(&line.mount_point, mounted(line, places, names));
        }
    }
}

/// Opens what a line of the fstab mounts.
fn mounted(line: &FstabLine, places: &[(View, GuestVolume)], names: &Names) -> Result<Volume, String> {
    let because = |reason: &str| format!("{} is mounted from {}, {reason}", line.mount_point, line.device);
    let index = names
        .volume(&line.device)
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

/// Mounts at `/boot` the file system that is made for it, if no line of the fstab mounts one: some systems find it by its
/// label or its type. Tells whether there is one.
pub(super) fn unnamed_boot(
    tree: &mut Tree,
    root: &str,
    lines: &[FstabLine],
    places: &[(View, GuestVolume)],
    names: &Names,
) -> bool {
    if lines.iter().any(|line| line.mount_point == "/boot") {
        return false;
    }
    let is_used = |place: &str| {
        let mut named = lines.iter().filter_map(|line| line.place.as_ref()?.found());
        place == root || named.any(|named| named == place)
    };
    let mut found = Vec::new();
    for (view, volume) in places {
        let is_left_out = volume.unread.is_some() || volume.filesystem == FileSystem::Swap;
        if is_left_out || is_used(&volume.place) || names.efi.contains(&volume.place) {
            continue;
        }
        let Ok(Some(opened)) = Volume::open(view, volume.filesystem, None) else { continue };
        let mut inner = Tree::new(opened);
        if SIGNS.iter().any(|sign| inner.has(sign) == Ok(true)) {
            found.push((view, volume));
        }
    }
    let opened = match &found[..] {
        [] => return false,
        [(view, volume)] => Volume::open(view, volume.filesystem, None),
        [(_, first), (_, second), ..] => {
            Err(format!("it is not certain which of {} and {} is /boot", first.place, second.place))
        }
    };
    tree.mount("/boot", opened.and_then(|opened| opened.ok_or_else(|| "it has no files".to_owned())));
    true
}

/// Mounts the EFI partition, also where no line of the fstab does, and returns where. Of several it is the first.
pub(super) fn efi(
    tree: &mut Tree,
    lines: &[FstabLine],
    places: &[(View, GuestVolume)],
    names: &Names,
) -> Option<String> {
    let mut partitions = places.iter().filter(|(_, volume)| names.efi.contains(&volume.place));
    let (view, volume) = partitions.find(|(_, volume)| volume.filesystem.is_fat())?;
    let is_mounted = |line: &&FstabLine| {
        let place = line.place.as_ref().and_then(|place| place.found());
        place == Some(&volume.place) && MOUNT_POINTS.contains(&&*line.mount_point)
    };
    if let Some(line) = lines.iter().find(is_mounted) {
        return Some(line.mount_point.clone());
    }
    let point = "/boot/efi".to_owned();
    let opened = Volume::open(view, volume.filesystem, None);
    tree.mount(&point, opened.and_then(|opened| opened.ok_or_else(|| "it has no files".to_owned())));
    Some(point)
}
