//! Whether there is room on the root, and whether it grows with the disk.

use super::ssh::cloud_init_runs;
use super::{Reason, Scene, finding, first};
use crate::filesystem::FileSystem;
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{GuestVolume, Space};
use crate::inside::tools::{Packages, Tools};
use crate::rule::Rule;

const MIB: u64 = 1 << 20;
/// Less than this is little, as is less than a fiftieth of the whole.
const LITTLE: u64 = 256 * MIB;
const FEW_INODES: u64 = 1000;
/// Growing needs room itself, as do the programs that run before it: growpart makes a folder and copies of the tables.
const TO_GROW: u64 = 16 * MIB;
const INODES_TO_GROW: u64 = 100;
const GROWPART: [&str; 2] = ["/usr/bin/growpart", "/usr/sbin/growpart"];
/// What grows the root before cloud-init, or without it: parts of an initramfs of Debian and of RHEL, SUSE's, and what
/// Fedora CoreOS and Flatcar have for it.
const OTHERS: [&str; 6] = [
    "/usr/share/initramfs-tools/hooks/growroot",
    "/usr/lib/dracut/modules.d/50growroot",
    "/usr/share/dracut/modules.d/50growroot",
    "/usr/sbin/rootgrow",
    "/usr/lib/dracut/modules.d/40ignition-ostree/ignition-ostree-growfs.service",
    "/usr/lib/systemd/system/extend-filesystems.service",
];
/// Where systemd-repart is told what to grow.
const REPART: [&str; 2] = ["/etc/repart.d", "/usr/lib/repart.d"];

/// What there is to make the root larger.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Growth {
    /// The root is a logical volume, which nothing of this grows.
    is_logical: bool,
    /// Something makes its partition larger, or it has none.
    of_partition: bool,
    growpart: bool,
    /// The program that then makes the file system larger, and its package if it is not there.
    of_filesystem: Option<(&'static str, Option<&'static str>)>,
}

impl Growth {
    fn grows(&self) -> bool {
        !self.is_logical
            && self.of_partition
            && self.of_filesystem.is_some_and(|(_, lacking)| lacking.is_none())
    }
}

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let root = scene.volumes.iter().find(|volume| volume.place == scene.system.root);
    let Some(root) = root.cloned() else { return Ok(()) };
    let growth = growth(scene, &root)?;
    let tools = Tools::of(scene.tree)?;
    findings.0.extend(judge_growth(&growth, &root.place, &tools));
    findings.0.extend(root.space.and_then(|space| judge_space(&space, &root.place, growth.grows())));
    Ok(())
}

fn growth(scene: &mut Scene<'_>, root: &GuestVolume) -> Result<Growth, Reason> {
    let of_cloud_init = cloud_init_runs(&scene.system.cloud_init)?;
    let tree = &mut *scene.tree;
    let packages = Tools::of(tree)?.packages;
    let (program, paths, package): (_, &[&str], _) = match root.filesystem {
        FileSystem::Xfs => ("xfs_growfs", &["/usr/sbin/xfs_growfs", "/sbin/xfs_growfs"], "xfsprogs"),
        FileSystem::Btrfs => (
            "btrfs",
            &["/usr/sbin/btrfs", "/sbin/btrfs", "/usr/bin/btrfs", "/bin/btrfs"],
            if packages == Some(Packages::Zypper) { "btrfsprogs" } else { "btrfs-progs" },
        ),
        _ => (
            "resize2fs",
            &["/usr/sbin/resize2fs", "/sbin/resize2fs", "/usr/bin/resize2fs"],
            if packages == Some(Packages::Apk) { "e2fsprogs-extra" } else { "e2fsprogs" },
        ),
    };
    let lacking = first(tree, paths)?.is_none().then_some(package);
    let growpart = first(tree, &GROWPART)?.is_some();
    let mut of_partition = of_cloud_init && growpart || first(tree, &OTHERS)?.is_some();
    for folder in REPART {
        let files = tree.list(folder)?.unwrap_or_default();
        of_partition |= files.iter().any(|name| name.ends_with(b".conf"));
    }
    Ok(Growth {
        is_logical: root.device.is_some(),
        of_partition: of_partition || of_cloud_init && root.place == "the whole disk",
        growpart,
        of_filesystem: Some((program, lacking)),
    })
}

fn judge_growth(growth: &Growth, place: &str, tools: &Tools) -> Option<Finding> {
    if growth.grows() {
        return None;
    }
    let stays = format!("the root ({place}) does not grow with the disk of the instance");
    if growth.is_logical {
        let message =
            format!("{stays}: cloud-init enlarges partitions and file systems, not logical volumes");
        return Some(finding(Rule::GGrow, Severity::Info, message, &[]));
    }
    let mut reasons = Vec::new();
    let mut commands = Vec::new();
    if !growth.of_partition {
        if growth.growpart {
            reasons.push("growpart is there, but no cloud-init that runs it".to_owned());
        } else {
            reasons.push("growpart is not installed, which enlarges its partition".to_owned());
            commands.extend(tools.packages.and_then(|packages| {
                tools.install(match packages {
                    Packages::Apt | Packages::Pacman => "cloud-guest-utils",
                    Packages::Dnf | Packages::Yum | Packages::Apk => "cloud-utils-growpart",
                    Packages::Zypper => "growpart",
                })
            }));
        }
    }
    if let Some((program, Some(package))) = growth.of_filesystem {
        reasons.push(format!("{program} is not installed, which enlarges its file system"));
        commands.extend(tools.install(package));
    }
    Some(finding(Rule::GGrow, Severity::Info, format!("{stays}: {}", reasons.join("; ")), &commands))
}

/// Judges what is free. Where the root grows at the first start, that is not what an instance has.
fn judge_space(space: &Space, place: &str, grows: bool) -> Option<Finding> {
    let Space { total, free, free_inodes } = *space;
    let left = match free_inodes {
        _ if free < LITTLE || free < total / 50 => {
            format!("{} MiB of {} MiB are free on the root ({place})", free / MIB, total / MIB)
        }
        Some(inodes) if inodes < FEW_INODES => {
            format!("there is room for {inodes} more files on the root ({place}), of any size")
        }
        _ => return None,
    };
    let can_grow = free >= TO_GROW && free_inodes.is_none_or(|inodes| inodes >= INODES_TO_GROW);
    Some(if grows && can_grow {
        let message = format!("{left}: it grows at the first start if the disk of the instance is larger");
        finding(Rule::GSpace, Severity::Info, message, &[])
    } else {
        let then =
            if grows { "what lets it grow needs room itself" } else { "drivers and agents of ECS need room" };
        let message = format!("{left}: {then}");
        finding(Rule::GSpace, Severity::Warn, message, &[])
            .fixed_by("delete what is not needed, or enlarge the disk and the file system before the upload")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::memory;

    fn free(free: u64, inodes: Option<u64>, grows: bool) -> Option<Severity> {
        let space = Space { total: 20 << 30, free, free_inodes: inodes };
        judge_space(&space, "partition 1", grows).map(|finding| finding.severity)
    }

    #[test]
    fn little_room_is_a_warning_unless_the_root_grows() {
        assert_eq!(free(1 << 30, Some(100_000), false), None);
        assert_eq!(free(300 * MIB, Some(100_000), false), Some(Severity::Warn), "less than a fiftieth");
        assert_eq!(free(255 * MIB, None, false), Some(Severity::Warn));
        assert_eq!(free(1 << 30, Some(999), false), Some(Severity::Warn));
        assert_eq!(free(16 * MIB, Some(100), true), Some(Severity::Info));
        assert_eq!(free(15 * MIB, None, true), Some(Severity::Warn), "there is no room to grow");
        assert_eq!(free(16 * MIB, Some(99), true), Some(Severity::Warn));
        let small = Space { total: 2 << 30, free: 257 * MIB, free_inodes: None };
        assert_eq!(judge_space(&small, "partition 1", false), None);
    }

    #[test]
    fn each_distribution_has_its_own_way_to_grow_the_root() {
        let grows = |files: &[(&str, &str)]| memory::judged(check, files).is_empty();
        let cloud_init = ("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"24.1\"\n");
        let (growpart, resize) = (("/usr/bin/growpart", ""), ("/usr/sbin/resize2fs", ""));
        assert!(grows(&[cloud_init, growpart, resize]));
        assert!(!grows(&[cloud_init, growpart]));
        assert!(!grows(&[cloud_init, resize]));
        assert!(!grows(&[growpart, resize]), "nothing runs it");
        let off = ("/etc/cloud/cloud-init.disabled", "");
        assert!(!grows(&[cloud_init, growpart, resize, off]));
        for own in [
            "/usr/share/initramfs-tools/hooks/growroot",
            "/usr/share/dracut/modules.d/50growroot/module-setup.sh",
            "/usr/sbin/rootgrow",
            "/usr/lib/repart.d/50-root.conf",
        ] {
            assert!(grows(&[(own, ""), resize]), "{own}");
        }
    }

    #[test]
    fn the_root_grows_by_what_enlarges_its_partition_and_its_file_system() {
        let tools = Tools { packages: Some(Packages::Apt), ..Tools::default() };
        let told =
            |growth: &Growth| judge_growth(growth, "partition 1", &tools).map(|found| found.to_string());
        let whole = Growth {
            is_logical: false,
            of_partition: true,
            growpart: true,
            of_filesystem: Some(("resize2fs", None)),
        };
        assert_eq!(told(&whole), None);
        let found = told(&Growth { of_partition: false, growpart: false, ..whole.clone() }).unwrap();
        assert!(found.starts_with("info G-GROW: the root (partition 1) does not grow"), "{found}");
        assert!(found.ends_with("; apt-get install -y cloud-guest-utils"), "{found}");
        let found = told(&Growth { of_partition: false, ..whole.clone() }).unwrap();
        assert!(found.ends_with("no cloud-init that runs it"), "{found}");
        let found = told(&Growth { of_filesystem: Some(("xfs_growfs", Some("xfsprogs"))), ..whole.clone() });
        assert!(found.unwrap().ends_with("; apt-get install -y xfsprogs"));
        assert!(told(&Growth { is_logical: true, ..whole }).unwrap().contains("logical volumes"));
    }
}
