//! What lies on the disk beside the system.

use super::{Reason, Scene, finding};
use crate::filesystem::FileSystem;
use crate::finding::{Findings, Severity};
use crate::inside::facts::GuestVolume;
use crate::report::{DiskRole, Expected, Report};
use crate::rule::Rule;
use crate::table::{Partition, PartitionKind};
use ossup_core::model::OsType;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    for message in doubled(scene.volumes) {
        findings.push(finding(Rule::GUuid, Severity::Warn, message, &[]));
    }
    let root = root_partition(&scene.system.root, scene.volumes);
    if let Some(message) = root.and_then(|root| behind(root, &scene.report.partitions)) {
        findings.info(Rule::GLast, message);
    }
    Ok(())
}

/// Says which file systems cannot be told apart by their UUID.
fn doubled(volumes: &[GuestVolume]) -> Vec<String> {
    let mut said = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        // The devices of one btrfs and the members of one array have one UUID by design.
        let is_alone = |other: &&GuestVolume| {
            other.uuid == volume.uuid
                && !(volume.filesystem == FileSystem::Btrfs && other.filesystem == FileSystem::Btrfs)
                && (volume.array.is_none() || other.array != volume.array)
        };
        let Some(uuid) = &volume.uuid else { continue };
        if let Some(other) = volumes[..index].iter().find(is_alone) {
            let also = match volume.filesystem {
                FileSystem::Xfs => ", and XFS does not mount the second",
                _ => "",
            };
            said.push(format!(
                "{} and {} have the same UUID {uuid}: either may be mounted for the other{also}",
                other.place, volume.place
            ));
        }
    }
    said
}

/// Returns the number of the partition that the root lies on.
fn root_partition(root: &str, volumes: &[GuestVolume]) -> Option<u32> {
    let place = if root.starts_with("logical volume ") {
        let mut physical = volumes.iter().filter(|volume| volume.filesystem == FileSystem::Lvm);
        let only = physical.next()?;
        physical.next().is_none().then_some(&*only.place)?
    } else {
        root
    };
    place.strip_prefix("partition ")?.parse().ok()
}

/// Says what keeps the root from growing.
fn behind(root: u32, partitions: &[Partition]) -> Option<String> {
    let own = partitions.iter().find(|partition| partition.number == root)?;
    let after = partitions.iter().filter(|partition| {
        partition.start > own.start && partition.kind != PartitionKind::Extended && partition.length > 0
    });
    let first = after.min_by_key(|partition| partition.start)?;
    Some(format!(
        "partition {} lies behind the root on partition {root}: the root does not grow with the disk",
        first.number
    ))
}

/// Says that no system was found, where there should be one that could be.
pub(in super::super) fn no_system(
    volumes: &[GuestVolume],
    report: &Report,
    expected: &Expected,
    findings: &mut Findings,
) {
    let is_other = |volume: &GuestVolume| {
        matches!(volume.filesystem, FileSystem::Ntfs | FileSystem::Bitlocker | FileSystem::Ufs2)
            || matches!(volume.filesystem, FileSystem::Geli | FileSystem::CoreStorage)
    };
    let is_bsd = report.partitions.iter().any(|partition| partition.kind == PartitionKind::Bsd);
    let is_disk = report.partitions.iter().any(|partition| partition.kind != PartitionKind::Extended)
        || report.bare_filesystem.is_some();
    if expected.role != DiskRole::System
        || expected.os_type() == Some(OsType::Windows)
        || volumes.iter().any(is_other)
        || is_bsd
        || !is_disk
        // A loader alone, or a kernel that firmware starts with all that it needs.
        || (!volumes.is_empty() && volumes.iter().all(|volume| volume.filesystem.is_fat()))
    {
        return;
    }
    let reasons: Vec<_> = volumes
        .iter()
        .map(|GuestVolume { place, filesystem, unread, .. }| match unread {
            Some(reason) => format!("{place} ({filesystem}): {reason}"),
            None => format!("{place} ({filesystem}): no /etc/os-release nor /etc/passwd"),
        })
        .collect();
    let reasons = match reasons.len() {
        0 => "nothing on it was recognised".to_owned(),
        _ => reasons.join("; "),
    };
    let message = format!("no installed system was found: {reasons}");
    findings.push(finding(Rule::GRoot, Severity::Warn, message, &[]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(place: &str, filesystem: FileSystem, uuid: &str) -> GuestVolume {
        GuestVolume { uuid: Some(uuid.to_owned()), ..GuestVolume::new(place, filesystem) }
    }

    #[test]
    fn two_file_systems_with_one_uuid_are_said_unless_they_are_one() {
        let mut volumes =
            [volume("partition 1", FileSystem::Xfs, "a"), volume("partition 2", FileSystem::Xfs, "a")];
        assert_eq!(doubled(&volumes).len(), 1);
        assert!(doubled(&volumes)[0].contains("XFS"));
        volumes[1].uuid = Some("b".to_owned());
        assert_eq!(doubled(&volumes), [""; 0]);
        let btrfs =
            [volume("partition 1", FileSystem::Btrfs, "a"), volume("partition 2", FileSystem::Btrfs, "a")];
        assert_eq!(doubled(&btrfs), [""; 0], "a btrfs of two devices");
        let mut members =
            [volume("partition 1", FileSystem::Ext4, "a"), volume("partition 2", FileSystem::Ext4, "a")];
        assert_eq!(doubled(&members).len(), 1);
        members[0].array = Some("array".to_owned());
        assert_eq!(doubled(&members).len(), 1, "only one is of an array");
        members[1].array = Some("array".to_owned());
        assert_eq!(doubled(&members), [""; 0]);
    }

    #[test]
    fn the_root_is_last_if_nothing_begins_behind_it() {
        let partition = |number, start, kind| Partition {
            number,
            kind,
            type_code: String::new(),
            name: None,
            start,
            length: 10,
            active: false,
            filesystem: None,
        };
        let partitions = [
            partition(14, 10, PartitionKind::BiosBoot),
            partition(1, 30, PartitionKind::Linux),
            partition(2, 40, PartitionKind::Extended),
        ];
        assert_eq!(behind(1, &partitions), None, "numbers are in no order");
        assert!(behind(14, &partitions).unwrap().starts_with("partition 1 lies behind"));
        let volumes =
            [volume("partition 5", FileSystem::Lvm, "x"), volume("partition 6", FileSystem::Swap, "y")];
        assert_eq!(root_partition("logical volume a/b", &volumes), Some(5));
        assert_eq!(root_partition("partition 15", &volumes), Some(15));
        assert_eq!(root_partition("the whole disk", &volumes), None);
    }

    #[test]
    fn a_system_disk_without_a_system_is_said_unless_it_may_be_another_s() {
        let mut image = vec![0; 1 << 20];
        crate::testing::put(&mut image, 446, &[0x80, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0, 0]);
        crate::testing::put(&mut image, 510, &[0x55, 0xAA]);
        let report = crate::testing::report(&image);
        let said = |volumes: &[GuestVolume], expected: &Expected| {
            let mut findings = Findings::default();
            no_system(volumes, &report, expected, &mut findings);
            findings
                .0
                .into_iter()
                .map(|finding| (finding.rule, finding.severity, finding.message))
                .collect::<Vec<_>>()
        };
        let system = Expected::default();
        let mut ext4 = volume("partition 1", FileSystem::Ext4, "a");
        let found = said(std::slice::from_ref(&ext4), &system);
        assert_eq!((found.len(), found[0].0, found[0].1), (1, Rule::GRoot, Severity::Warn));
        assert!(found[0].2.contains("partition 1 (ext4): no /etc/os-release"), "{found:?}");
        ext4.unread = Some("damaged".to_owned());
        assert!(said(&[ext4], &system)[0].2.ends_with("(ext4): damaged"));
        assert!(said(&[], &system)[0].2.contains("nothing on it was recognised"));
        for other in [FileSystem::Ntfs, FileSystem::Ufs2, FileSystem::Fat32] {
            assert_eq!(said(&[volume("partition 1", other, "a")], &system), [], "{other}");
        }
        assert_eq!(said(&[], &Expected::new(DiskRole::Data, "data")), []);
        let windows = Expected { os_type: Some(OsType::Windows), ..Expected::default() };
        assert_eq!(said(&[], &windows), []);
    }
}
