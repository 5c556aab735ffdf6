//! What lies on a disk: partitions, logical volumes and members of a RAID, with the names that each is known by.

use std::rc::Rc;

use super::facts::GuestVolume;
use super::identity::{self, Names};
use super::pages::{Pages, View};
use super::volume::Read;
use super::{lvm, md, space};
use crate::filesystem::{self, FileSystem};
use crate::report::Report;
use crate::table::{Partition, PartitionKind};
use ossup_core::read::ReadAt;

/// Most places that are looked into.
const MOST_VOLUMES: usize = 64;

/// Lists what was recognised on the disk, with the names that it is known by.
pub(super) fn places(pages: &Rc<Pages>, report: &Report) -> (Vec<(View, GuestVolume)>, Names) {
    let disk = View::new(pages, 0, pages.length());
    let mut places: Vec<(View, GuestVolume)> = Vec::new();
    let mut names = Names::default();
    if let Some(filesystem) = report.bare_filesystem {
        places.push((disk.clone(), volume(&disk, "the whole disk".to_owned(), filesystem)));
    }
    for partition in report.partitions.iter().filter(|partition| partition.kind != PartitionKind::Extended) {
        let length = partition.length.min(disk.length().saturating_sub(partition.start));
        let mut view = View::new(pages, partition.start, length);
        let place = format!("partition {}", partition.number);
        let uuid = identity::partition_uuid(&disk, report, partition.number);
        let mut found = partition.filesystem;
        let mut array = None;
        if found.is_none() && !is_empty(partition, &view) {
            // What cannot be read here holds what is not known.
            if let Ok(Some((of, filesystem))) = member(&mut view) {
                (array, found) = (Some(of), filesystem);
            }
            if found.is_none() {
                names.unknown.get_or_insert_with(|| place.clone());
            }
        }
        if let Some(filesystem) = found.filter(|_| places.len() < MOST_VOLUMES) {
            let mut found = volume(&view, place.clone(), filesystem);
            found.partition_label.clone_from(&partition.name);
            found.partition_uuid = uuid.clone().ok().flatten();
            found.array = array;
            places.push((view, found));
        }
        if partition.kind == PartitionKind::Esp {
            names.efi.push(place.clone());
        }
        names.partitions.push((place, uuid, partition.name.clone()));
    }
    let mut logical = Vec::new();
    for (view, physical) in &mut places {
        if physical.filesystem == FileSystem::Lvm {
            let looked = logical_volumes(view, &mut logical, &mut names);
            physical.unread = looked.err().map(|reason| format!("not all of LVM was looked into: {reason}"));
        }
    }
    places.extend(logical);
    note_arrays(&mut places);
    names.volumes = places.iter().map(|(_, volume)| volume.clone()).collect();
    (places, names)
}

/// Whether a partition has nothing in it that could be mounted.
fn is_empty(partition: &Partition, view: &View) -> bool {
    let is_reserved = matches!(partition.kind, PartitionKind::BiosBoot | PartitionKind::Reserved);
    is_reserved || is_blank(view)
}

/// Whether there is nothing where a file system would have what it is known by.
fn is_blank(view: &View) -> bool {
    view.head::<{ 68 << 10 }>(0).is_ok_and(|head| head.iter().all(|byte| *byte == 0))
}

/// Makes of a member of a RAID1 that begins with what describes it a view of the file system, and returns the array.
fn member(view: &mut View) -> Read<(String, Option<FileSystem>)> {
    let unreadable = |error: super::pages::Unreadable| error.to_string();
    let Some(md::Member { array, level: 1, data }) = md::at_front(view).map_err(unreadable)? else {
        return Ok(None);
    };
    *view = view.parts(&[data]);
    Ok(Some((array, recognise(view)?)))
}

/// Notes of file systems with one UUID whether they are members of one array. Others are not looked at for that.
fn note_arrays(places: &mut [(View, GuestVolume)]) {
    let uuids: Vec<_> = places.iter().map(|(_, volume)| volume.uuid.clone()).collect();
    for (view, volume) in places {
        let is_twice = volume.uuid.is_some() && uuids.iter().filter(|uuid| **uuid == volume.uuid).count() > 1;
        if is_twice && volume.array.is_none() {
            volume.array = md::at_end(view).ok().flatten().map(|member| member.array);
        }
    }
}

/// Describes what holds a file system that was recognised.
fn volume(view: &View, place: String, filesystem: FileSystem) -> GuestVolume {
    view.pages().begin();
    let identity = identity::identify(view, filesystem).unwrap_or_default();
    let space = space::space(view, filesystem).unwrap_or_default();
    let unread = view.pages().failure().or_else(|| match filesystem {
        FileSystem::Swap | FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 => None,
        FileSystem::Xfs | FileSystem::Btrfs | FileSystem::Ntfs => None,
        fat if fat.is_fat() => None,
        encrypted if encrypted.is_encrypted() => Some("it is encrypted".to_owned()),
        other => Some(format!("{other} is not looked into")),
    });
    let (uuid, label) = (identity.uuid, identity.label);
    GuestVolume { uuid, label, space, unread, ..GuestVolume::new(place, filesystem) }
}

/// Adds the logical volumes that lie on a partition; an error if there are others, of which nothing is known.
fn logical_volumes(
    view: &View,
    places: &mut Vec<(View, GuestVolume)>,
    names: &mut Names,
) -> Result<(), String> {
    let mut unread = Ok(());
    let mut groups = Vec::new();
    for lvm::Logical { name: (group, name), pieces } in lvm::volumes(view)? {
        let place = format!("logical volume {group}/{name}");
        names.logical.push(format!("{group}/{name}"));
        groups.push(group.clone());
        let found = pieces.and_then(|pieces| {
            let view = view.parts(&pieces);
            Ok((recognise(&view)?, view))
        });
        match found {
            Ok((Some(filesystem), view)) if places.len() < MOST_VOLUMES => {
                let mut volume = volume(&view, place, filesystem);
                volume.device = Some(format!("/dev/{group}/{name}"));
                places.push((view, volume));
            }
            Ok((None, view)) if is_blank(&view) => {}
            // What it holds may have any UUID.
            Ok(_) => {
                names.unknown.get_or_insert(place);
            }
            Err(reason) => unread = Err(format!("{place}: {reason}")),
        }
    }
    // Of more volumes nothing is known.
    if unread.is_ok() && groups.len() < lvm::MOST_VOLUMES {
        names.groups.extend(groups);
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
