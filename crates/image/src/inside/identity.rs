//! By which names the partitions of a disk and their file systems are known.

use super::facts::{Answer, GuestVolume};
use super::pages::{Unreadable, View};
use super::text;
use super::volume::Read;
use crate::filesystem::FileSystem;
use crate::read::{le16, le32, le64};
use crate::report::Report;
use crate::table::TableKind;

/// The UUID and the label of a file system.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uuid: Option<String>,
    pub(super) label: Option<String>,
}

/// Reads what a file system is known by.
pub(super) fn identify(view: &View, filesystem: FileSystem) -> Result<Identity, Unreadable> {
    let named = |uuid: Option<String>, label: &[u8]| Identity { uuid, label: label_of(label) };
    Ok(match filesystem {
        FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 => {
            let head = view.head::<136>(1024)?;
            named(uuid(&head[104..120]), &head[120..136])
        }
        FileSystem::Xfs => {
            // The UUID of the user; that of the metadata may differ.
            let head = view.head::<120>(0)?;
            named(uuid(&head[32..48]), &head[108..120])
        }
        FileSystem::Btrfs => {
            let head = view.head::<560>(65_536)?;
            named(uuid(&head[32..48]), &head[299..555])
        }
        FileSystem::Swap => {
            let head = view.head::<44>(1024)?;
            named(uuid(&head[12..28]), &head[28..44])
        }
        FileSystem::Fat32 => serial(&view.head::<90>(0)?, 67),
        FileSystem::Fat12 | FileSystem::Fat16 => serial(&view.head::<90>(0)?, 39),
        FileSystem::Ntfs => {
            let serial = le64(&view.head::<80>(0)?, 72);
            named(Some(format!("{serial:016X}")), b"")
        }
        FileSystem::Luks => {
            let head = view.head::<208>(0)?;
            Identity { uuid: label_of(&head[168..208]), label: None }
        }
        _ => Identity::default(),
    })
}

/// The serial number and label of FAT, which a byte before them says are there.
fn serial(head: &[u8], at: usize) -> Identity {
    let signature = head[at - 1];
    if !matches!(signature, 0x28 | 0x29) {
        return Identity::default();
    }
    let uuid = format!("{:04X}-{:04X}", le16(head, at + 2), le16(head, at));
    let label = label_of(&head[at + 4..at + 15]).filter(|label| signature == 0x29 && label != "NO NAME");
    Identity { uuid: Some(uuid), label }
}

/// Writes the bytes of a UUID as Linux does; `None` if all are zero.
fn uuid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    (bytes != [0; 16]).then(|| uuid::Uuid::from_bytes(bytes).to_string())
}

fn label_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let label = text::shown(bytes[..end].trim_ascii_end());
    (!label.is_empty()).then_some(label)
}

/// Reads `PARTUUID` of a partition: a GUID, or the signature of the disk and the number.
pub(super) fn partition_uuid(disk: &View, report: &Report, number: u32) -> Result<Option<String>, String> {
    disk.pages().begin();
    let uuid = read_partition_uuid(disk, report, number);
    uuid.map_err(|_| disk.pages().failure().unwrap_or_else(|| "the first GPT is damaged".to_owned()))
}

fn read_partition_uuid(disk: &View, report: &Report, number: u32) -> Result<Option<String>, Unreadable> {
    Ok(match report.partition_table {
        TableKind::None => None,
        TableKind::Mbr => {
            let signature = le32(&disk.head::<444>(0)?, 440);
            (signature != 0).then(|| format!("{signature:08x}-{number:02x}"))
        }
        TableKind::Gpt => {
            let header = disk.head::<92>(512)?;
            if !header.starts_with(b"EFI PART") {
                // The partitions are those of the backup, which is to be repaired first.
                return Err(Unreadable);
            }
            let size = u64::from(le32(&header, 84));
            let index = u64::from(number.saturating_sub(1));
            let at = le64(&header, 72).saturating_mul(512).saturating_add(index.saturating_mul(size));
            let entry = disk.head::<32>(at)?;
            (entry[16..32] != [0; 16]).then(|| {
                let bytes: [u8; 16] = entry[16..32].try_into().expect("16 bytes");
                uuid::Uuid::from_bytes_le(bytes).to_string()
            })
        }
    })
}

/// The place of a partition, its `PARTUUID`, or why that is not known, and its `PARTLABEL`.
pub(super) type PartitionNames = (String, Read<String>, Option<String>);

/// By which names what lies on the disk is known.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    pub(super) volumes: Vec<GuestVolume>,
    /// Every partition, also those that hold nothing known.
    pub(super) partitions: Vec<PartitionNames>,
    /// The partitions that are marked as those of EFI.
    pub(super) efi: Vec<String>,
    /// A place that holds what is not known, which may have any UUID and label.
    pub(super) unknown: Option<String>,
    /// The groups of LVM that were read whole, and each volume of theirs, as `/dev/` names them: `group/volume`.
    pub(super) groups: Vec<String>,
    pub(super) logical: Vec<String>,
    /// What the system opens by itself under `/dev/mapper/`.
    pub(super) opened: Vec<String>,
    /// Whether the system will have other disks too, which are not looked at here.
    pub(super) more_disks: bool,
}

impl Names {
    /// Finds what a device of `/etc/fstab` or of the kernel's argument `root=` is on this disk; `None` for one that is
    /// named otherwise than by what is written on the disk.
    pub(super) fn find(&self, device: &str) -> Option<Answer<String>> {
        if let Some(volume) = self.volumes.iter().find(|volume| is_mapped(volume, device)) {
            return Some(Answer::Found(volume.place.clone()));
        }
        if self.is_missing_volume(device) {
            return Some(match self.more_disks {
                true => Answer::Unread("it may be on another of the disks".to_owned()),
                false => Answer::Absent,
            });
        }
        let (tag, value) = tagged(device)?;
        let place = match &*tag {
            "UUID" | "LABEL" => self.volume(device)?.map(|index| self.volumes[index].place.clone()),
            _ => {
                let named = self.partitions.iter().find(|(_, uuid, label)| match &*tag {
                    "PARTUUID" => matches!(uuid, Ok(Some(uuid)) if uuid.eq_ignore_ascii_case(value)),
                    _ => label.as_deref() == Some(value),
                });
                if named.is_none()
                    && let Some(Err(reason)) =
                        self.partitions.iter().map(|(_, uuid, _)| uuid).find(|uuid| uuid.is_err())
                {
                    return Some(Answer::Unread(reason.clone()));
                }
                named.map(|(place, ..)| place.clone())
            }
        };
        Some(match place {
            Some(place) => Answer::Found(place),
            None if self.more_disks => Answer::Unread("it may be on another of the disks".to_owned()),
            None if tag.starts_with("PART") => Answer::Absent,
            // It may be inside of what cannot be looked into.
            None => match self.hiding() {
                Some(hiding) => Answer::Unread(format!("{hiding} is not looked into")),
                None => Answer::Absent,
            },
        })
    }

    /// Finds a file system by what is written on the disk: outer `None` if it is not named by that.
    pub(super) fn volume(&self, device: &str) -> Option<Option<usize>> {
        if let Some(index) = self.volumes.iter().position(|volume| is_mapped(volume, device)) {
            return Some(Some(index));
        }
        let (tag, value) = tagged(device)?;
        let is = |have: &Option<String>| have.as_deref() == Some(value);
        let is_in_any_case =
            |have: &Option<String>| have.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(value));
        Some(self.volumes.iter().position(|volume| match &*tag {
            "UUID" => is_in_any_case(&volume.uuid),
            "PARTUUID" => is_in_any_case(&volume.partition_uuid),
            "LABEL" => is(&volume.label),
            _ => is(&volume.partition_label),
        }))
    }

    /// Adds what a text of `/etc/crypttab` opens. If that cannot be read, nothing under `/dev/mapper/` is certain.
    pub(super) fn with_opened(&self, crypttab: Read<Vec<u8>>) -> Self {
        let mut names = self.clone();
        match crypttab {
            Ok(text) => {
                let text = text.unwrap_or_default();
                let lines = text::lines(&text).filter(|(_, line)| !line.starts_with('#'));
                names.opened =
                    lines.filter_map(|(_, line)| Some(line.split_whitespace().next()?.to_owned())).collect();
            }
            Err(_) => names.groups.clear(),
        }
        names
    }

    /// Whether a device is a logical volume of a group that has no such volume.
    fn is_missing_volume(&self, device: &str) -> bool {
        let Some(name) = device.strip_prefix("/dev/") else { return false };
        let name = match name.strip_prefix("mapper/") {
            Some(name) if self.opened.iter().any(|opened| opened == name) => return false,
            Some(name) => {
                // Between the names of the group and the volume stands one `-`, inside of them each is doubled.
                const DOUBLED: &str = "\0";
                let undoubled = name.replace("--", DOUBLED);
                let Some((group, name)) = undoubled.split_once('-') else { return false };
                format!("{group}/{name}").replace(DOUBLED, "-")
            }
            None => name.to_owned(),
        };
        let group = name.split_once('/').map(|(group, _)| group);
        group.is_some_and(|group| self.groups.iter().any(|whole| whole == group))
            && !self.logical.contains(&name)
    }

    /// Returns a place in which a file system with any UUID may lie.
    fn hiding(&self) -> Option<&str> {
        let hiding = self.volumes.iter().find(|volume| hides_others(volume));
        hiding.map(|volume| &*volume.place).or(self.unknown.as_deref())
    }
}

/// Returns the tag and the value of `UUID=…` and the like, also where it is written as a path.
fn tagged(device: &str) -> Option<(String, &str)> {
    const FOLDERS: [(&str, &str); 4] = [
        ("/dev/disk/by-uuid/", "UUID"),
        ("/dev/disk/by-label/", "LABEL"),
        ("/dev/disk/by-partuuid/", "PARTUUID"),
        ("/dev/disk/by-partlabel/", "PARTLABEL"),
    ];
    let in_folder = FOLDERS.iter().find_map(|(folder, tag)| Some((*tag, device.strip_prefix(folder)?)));
    let (tag, value) = in_folder.or_else(|| device.split_once('='))?;
    let tag = tag.to_ascii_uppercase();
    matches!(&*tag, "UUID" | "LABEL" | "PARTUUID" | "PARTLABEL")
        .then(|| (tag, value.trim_matches(['"', '\''])))
}

/// Whether volumes may lie inside that are not known, or it has a UUID and a label that are not known.
fn hides_others(volume: &GuestVolume) -> bool {
    match volume.filesystem {
        FileSystem::Lvm => volume.unread.is_some(),
        filesystem if filesystem.is_encrypted() => true,
        FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 | FileSystem::Xfs | FileSystem::Btrfs => false,
        FileSystem::Swap => false,
        // Its label is elsewhere, but it has no part in a Linux that starts.
        FileSystem::Ntfs => false,
        filesystem => !filesystem.is_fat(),
    }
}

/// Whether a device is a logical volume by another of its names, in which each `-` of a name is doubled.
fn is_mapped(volume: &GuestVolume, device: &str) -> bool {
    let parts = volume.device.as_deref().and_then(|own| own.strip_prefix("/dev/")?.split_once('/'));
    parts.is_some_and(|(group, name)| {
        let doubled = |name: &str| name.replace('-', "--");
        device == format!("/dev/{group}/{name}")
            || device == format!("/dev/mapper/{}-{}", doubled(group), doubled(name))
    })
}
