//! What is mounted beside the root: what the fstab names, and `/boot` also where nothing mounts it.

use super::facts::{FstabLine, GuestVolume};
use super::identity::Names;
use super::pages::View;
use super::tree::Tree;
use super::volume::Volume;
use crate::filesystem::FileSystem;

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::damage::DISKS;
    use super::super::facts::{Answer, GuestReport};
    use super::super::fat::tests::fat;
    use crate::boot::BootsWith;
    use crate::filesystem::FileSystem;
    use crate::finding::{Finding, Severity};
    use crate::report::Expected;
    use crate::rule::Rule;
    use crate::table::PartitionKind;

    const ROOT: &str = "11111111-2222-3333-4444-555555555555";

    /// Looks at a disk with a Debian whose EFI partition holds this, which no fstab names.
    fn look(wide: bool, boots_with: BootsWith, files: &[(&str, &[u8])]) -> (GuestReport, Vec<Finding>) {
        let disk = &DISKS[0];
        let mut report = disk.report.clone();
        let mut bytes = vec![0; usize::try_from(disk.disk.length()).unwrap()];
        disk.disk.read_at(0, &mut bytes).unwrap();
        let mut partition = report.partitions[0].clone();
        (partition.number, partition.kind, partition.name) = (9, PartitionKind::Esp, None);
        partition.filesystem = Some(if wide { FileSystem::Fat32 } else { FileSystem::Fat16 });
        let esp = fat(wide, files);
        (partition.start, partition.length) = (bytes.len() as u64, esp.len() as u64);
        bytes.extend(esp);
        report.partitions.retain(|partition| partition.kind != PartitionKind::Esp);
        report.partitions.push(partition);
        report.boot.boots_with = boots_with;
        let (guest, findings) = super::super::look(Arc::new(bytes), &Expected::default(), &report);
        (guest, findings.0)
    }

    #[test]
    fn what_the_efi_partition_points_to_has_to_be_there_where_only_uefi_starts_the_disk() {
        let judged = |wide, boots_with, uuid: &str| {
            let text = format!(
                "search.fs_uuid {uuid} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
            );
            let (guest, findings) = look(wide, boots_with, &[("EFI/debian/grub.cfg", text.as_bytes())]);
            let Answer::Found(system) = guest.system else { panic!("{:?}", guest.system) };
            assert!(system.boot_searches.iter().any(|search| search.file == "/boot/efi/EFI/debian/grub.cfg"));
            let found = findings.into_iter().find(|finding| finding.message.contains("/EFI/debian/grub.cfg"));
            found.map(|finding| (finding.rule, finding.severity))
        };
        for wide in [false, true] {
            assert_eq!(judged(wide, BootsWith::Uefi, ROOT), None);
            assert_eq!(judged(wide, BootsWith::Uefi, "gone"), Some((Rule::GGrub, Severity::Fix)));
            assert_eq!(judged(wide, BootsWith::Both, "gone"), Some((Rule::GGrub, Severity::Warn)));
        }
    }

    #[test]
    fn entries_in_the_efi_partition_are_told_with_their_root() {
        let entry = format!("title Linux\nlinux /vmlinuz\noptions root=UUID={ROOT} ro\n");
        let files = [("loader/entries/a long name.conf", entry.as_bytes()), ("vmlinuz", b"MZ")];
        let (guest, _) = look(true, BootsWith::Uefi, &files);
        let Answer::Found(system) = guest.system else { panic!("{:?}", guest.system) };
        let entries = system.boot_entries.found().unwrap();
        let own =
            entries.iter().find(|entry| entry.file == "/boot/efi/loader/entries/a long name.conf").unwrap();
        assert_eq!(own.place, Some(Answer::Found("partition 3".to_owned())));
        assert_eq!(own.kernel.as_ref().unwrap().path, Answer::Found("/boot/efi/vmlinuz".to_owned()));
        assert!(!own.is_default, "that of the root's own /boot counts");
    }
}
