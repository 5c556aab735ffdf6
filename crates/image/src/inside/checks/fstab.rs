//! Whether what fstab mounts is there on ECS.

use super::{Reason, Scene, finding};
use crate::filesystem::FileSystem;
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{Answer, FstabLine, GuestVolume};
use crate::inside::text::is_plain;
use crate::inside::tools::{Services, Tools};
use crate::rule::Rule;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let lines = match &scene.system.fstab {
        Answer::Found(lines) => lines,
        Answer::Absent => return Ok(()),
        Answer::Unread(reason) => return Err(reason.clone()),
    };
    let is_systemd = Tools::of(scene.tree)?.services == Services::Systemd;
    let disk = Disk { root: &scene.system.root, volumes: scene.volumes, is_systemd };
    for line in lines {
        findings.0.extend(judge(line, &disk));
    }
    Ok(())
}

/// What the lines are judged by.
struct Disk<'a> {
    root: &'a str,
    volumes: &'a [GuestVolume],
    /// Only of systemd it is certain what happens without a file system.
    is_systemd: bool,
}

impl Disk<'_> {
    /// Returns the UUID by which a place is mounted.
    fn uuid(&self, place: &str) -> Option<&str> {
        self.volumes.iter().find(|volume| volume.place == place)?.uuid.as_deref()
    }

    /// How much it matters that something cannot be mounted, and what happens then.
    fn without(&self, line: &FstabLine) -> (Severity, &'static str) {
        let has = |names: &[&str]| line.options.split(',').any(|option| names.contains(&option));
        let is_automatic = line
            .options
            .split(',')
            .any(|option| option.starts_with("x-systemd.automount") || option == "comment=systemd.automount");
        match &*line.mount_point {
            _ if line.filesystem == "swap" && has(&["noauto", "nofail"]) => {
                (Severity::Info, "it is not used")
            }
            _ if line.filesystem == "swap" => (Severity::Info, "starting takes 90 seconds more"),
            _ if is_automatic || has(&["nofail", "noauto", "_netdev"]) => {
                (Severity::Info, "it is not mounted")
            }
            // The initramfs mounts what the kernel's argument names.
            "/" => (Severity::Warn, "the root is not checked, and may stay read-only"),
            _ if self.is_systemd => (Severity::Fix, "the system stops in emergency mode"),
            _ => (Severity::Warn, "starting may stop there"),
        }
    }
}

fn judge(line: &FstabLine, disk: &Disk<'_>) -> Option<Finding> {
    let FstabLine { line: number, device, mount_point, filesystem, .. } = line;
    let place = match &line.place {
        None => return device_name(line, disk),
        Some(Answer::Unread(_)) => return None,
        Some(Answer::Absent) => {
            let (severity, then) = disk.without(line);
            let rule = if filesystem == "swap" { Rule::GSwap } else { Rule::GFstab };
            let message =
                format!("/etc/fstab line {number}: {device} for {mount_point} is not on this disk: {then}");
            let root = disk.uuid(disk.root).filter(|_| mount_point == "/");
            let commands = match (severity, root) {
                (Severity::Info, _) => vec![],
                (_, Some(uuid)) => replacing(device, &format!("UUID={uuid}")),
                _ if mount_point == "/" => vec![],
                _ => commenting(device),
            };
            return Some(finding(rule, severity, message, &commands));
        }
        Some(Answer::Found(place)) => place,
    };
    let volume = disk.volumes.iter().find(|volume| volume.place == *place)?;
    let (Some(is), Some(wanted)) = (family(volume.filesystem.name()), family(filesystem)) else {
        return None;
    };
    if is == wanted || mount_point == "/" {
        return None;
    }
    let (severity, then) = disk.without(line);
    let message = format!(
        "/etc/fstab line {number}: {device} for {mount_point} is {}, not {filesystem}: {then}",
        volume.filesystem
    );
    let commands = match severity {
        Severity::Info => vec![],
        _ => commenting(device),
    };
    Some(finding(Rule::GFstab, severity, message, &commands))
}

/// Returns what one driver of Linux mounts; `None` for a name that says nothing certain.
fn family(filesystem: &str) -> Option<&'static str> {
    Some(match filesystem {
        "ext2" | "ext3" | "ext4" => "ext",
        "xfs" => "xfs",
        "btrfs" => "btrfs",
        "swap" => "swap",
        "vfat" | "msdos" | "fat12" | "fat16" | "fat32" => "fat",
        _ => return None,
    })
}

/// Judges a line that names a device by what the old machine called it.
fn device_name(line: &FstabLine, disk: &Disk<'_>) -> Option<Finding> {
    let FstabLine { line: number, device, mount_point, .. } = line;
    let is_path = ["/dev/disk/by-id/", "/dev/disk/by-path/"].iter().any(|folder| device.starts_with(folder));
    let (name, partition) = match super::disk_name(device) {
        Some(found) => found,
        None if is_path => ("", None),
        None => return None,
    };
    let is_mounted = |option: &str| matches!(option, "noauto" | "bind" | "rbind" | "loop" | "_netdev");
    if name == "vda" || line.options.split(',').any(is_mounted) {
        return None;
    }
    let (severity, then) = match disk.without(line) {
        (Severity::Info, then) => (Severity::Info, then),
        (_, then) => (Severity::Warn, then),
    };
    let place = partition.filter(|_| super::is_first_disk(name)).map(|number| format!("partition {number}"));
    let place = place.filter(|place| mount_point != "/" || place == disk.root);
    let root = || (mount_point == "/").then(|| disk.root.to_owned());
    let uuid = place.or_else(root).and_then(|place| disk.uuid(&place));
    let (uuid, commands) = match uuid {
        Some(uuid) => (format!("use UUID={uuid}"), replacing(device, &format!("UUID={uuid}"))),
        None => ("use the UUID that blkid tells".to_owned(), vec![]),
    };
    let message = format!(
        "/etc/fstab line {number}: {device} for {mount_point} will have another name on ECS, such as /dev/vda: {then}; {uuid}"
    );
    Some(finding(Rule::GFsDev, severity, message, &commands))
}

/// Returns the command that names a device of the fstab otherwise.
fn replacing(device: &str, by: &str) -> Vec<String> {
    let is_safe = is_plain(device) && is_plain(by);
    let command =
        || format!(r"sed -i 's#^[[:blank:]]*{}\([[:blank:]]\)#{by}\1#' /etc/fstab", escaped(device));
    is_safe.then(command).into_iter().collect()
}

/// Returns the command that makes a comment of the lines of a device.
fn commenting(device: &str) -> Vec<String> {
    let command = || format!("sed -i 's#^[[:blank:]]*{}[[:blank:]]#\\#&#' /etc/fstab", escaped(device));
    is_plain(device).then(command).into_iter().collect()
}

/// Escapes the dots of what is looked for.
fn escaped(plain: &str) -> String {
    plain.replace('.', r"\.")
}

/// Says which partitions are swap.
pub(super) fn swap(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    if let Some(message) = swapped(scene.volumes) {
        findings.info(Rule::GSwap, message);
    }
    Ok(())
}

fn swapped(volumes: &[GuestVolume]) -> Option<String> {
    let swap = volumes.iter().filter(|volume| volume.filesystem == FileSystem::Swap);
    let places: Vec<_> = swap.map(|volume| volume.place.as_str()).collect();
    (!places.is_empty()).then(|| {
        let places = places.join(" and ");
        format!("there is swap on {places}: the vendor's requirements ask for none on the system disk")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::identity::Names;

    fn volume(place: &str, filesystem: FileSystem, uuid: &str) -> GuestVolume {
        GuestVolume { uuid: Some(uuid.to_owned()), ..GuestVolume::new(place, filesystem) }
    }

    fn found(text: &str, is_systemd: bool) -> Vec<Finding> {
        let volumes = vec![
            volume("partition 1", FileSystem::Ext4, "boot"),
            volume("partition 2", FileSystem::Xfs, "root"),
            volume("partition 3", FileSystem::Swap, "swap"),
            volume("partition 15", FileSystem::Fat16, "1234-ABCD"),
        ];
        let names = Names { volumes: volumes.clone(), ..Names::default() };
        let disk = Disk { root: "partition 2", volumes: &volumes, is_systemd };
        let lines = crate::inside::fstab::read(text.as_bytes(), &names);
        lines.iter().filter_map(|line| judge(line, &disk)).collect()
    }

    fn judged(text: &str) -> Vec<(Rule, Severity)> {
        found(text, true).iter().map(|finding| (finding.rule, finding.severity)).collect()
    }

    #[test]
    fn what_is_mounted_from_elsewhere_stops_the_start_unless_it_need_not_be_there() {
        for (line, severity) in [
            ("UUID=a /data ext4 defaults 0 2", Severity::Fix),
            ("/dev/disk/by-uuid/a /data ext4 defaults 0 2", Severity::Fix),
            ("LABEL=a /boot ext4 defaults 0 2", Severity::Fix),
            ("UUID=\"a\" /boot/efi vfat umask=0077 0 1", Severity::Fix),
            ("UUID=a /data ext4 defaults,nofail 0 2", Severity::Info),
            ("UUID=a /data ext4 noauto 0 2", Severity::Info),
            ("UUID=a /data ext4 x-systemd.automount 0 2", Severity::Info),
            ("UUID=a /data ext4 _netdev 0 2", Severity::Info),
            ("UUID=a / ext4 defaults 0 1", Severity::Warn),
        ] {
            assert_eq!(judged(line), [(Rule::GFstab, severity)], "{line}");
        }
        assert_eq!(judged("UUID=a none swap sw 0 0"), [(Rule::GSwap, Severity::Info)]);
        let other = found("UUID=a /data ext4 defaults 0 2", false);
        assert_eq!(other[0].severity, Severity::Warn, "what others than systemd do differs");
    }

    #[test]
    fn what_is_there_or_on_no_disk_of_its_own_is_no_finding() {
        for line in [
            "UUID=ROOT / xfs defaults 0 0",
            "UUID=root /home xfs defaults 0 0",
            "UUID=boot /boot ext3 defaults 0 0",
            "UUID=1234-abcd /boot/efi vfat umask=0077 0 1",
            "UUID=swap none swap sw 0 0",
            "UUID=boot /boot auto defaults 0 0",
            "server:/a /data nfs defaults 0 0",
            "/dev/mapper/secret /data ext4 defaults 0 2",
            "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0",
            "/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0",
            "/swapfile none swap sw 0 0",
            "/dev/vda1 /boot ext4 defaults 0 2",
            "/dev/sdb1 /mnt auto noauto 0 0",
            "/dev/sda1 /a none bind 0 0",
        ] {
            assert_eq!(judged(line), [], "{line}");
        }
    }

    #[test]
    fn a_file_system_of_another_type_is_not_mounted() {
        assert_eq!(judged("UUID=boot /boot xfs defaults 0 0"), [(Rule::GFstab, Severity::Fix)]);
        assert_eq!(judged("UUID=boot /boot/efi vfat nofail 0 0"), [(Rule::GFstab, Severity::Info)]);
        assert_eq!(judged("UUID=root / ext4 defaults 0 0"), [], "it is mounted before that is read");
    }

    #[test]
    fn a_name_of_the_old_machine_gives_way_to_the_uuid_of_the_same_partition() {
        for (line, severity, command) in [
            ("/dev/sda1 /boot ext4 defaults 0 2", Severity::Warn, Some("UUID=boot")),
            ("/dev/xvda2 / xfs defaults 0 0", Severity::Warn, Some("UUID=root")),
            ("/dev/hda1 / xfs defaults 0 0", Severity::Warn, Some("UUID=root")),
            ("/dev/nvme0n1p15 /boot/efi vfat defaults 0 0", Severity::Warn, Some("UUID=1234-ABCD")),
            ("/dev/sda3 none swap sw 0 0", Severity::Info, Some("UUID=swap")),
            ("/dev/sdb1 /data ext4 defaults 0 2", Severity::Warn, None),
            ("/dev/sdb1 /data ext4 nofail 0 2", Severity::Info, None),
            ("/dev/disk/by-id/scsi-1-part2 /data ext4 defaults 0 2", Severity::Warn, None),
        ] {
            let found = found(line, true);
            assert_eq!(
                (found.len(), found[0].rule, found[0].severity),
                (1, Rule::GFsDev, severity),
                "{line}"
            );
            let fix = found[0].fix.as_ref().map(ToString::to_string);
            assert_eq!(fix.is_some(), command.is_some(), "{line}: {fix:?}");
            assert!(command.is_none_or(|uuid| fix.unwrap().contains(&format!("#{uuid}\\1#"))), "{line}");
        }
    }

    #[test]
    fn no_text_of_the_guest_gets_into_a_command_that_could_mean_more() {
        for line in [
            "LABEL=a'b /data ext4 defaults 0 2",
            "LABEL=a#b /data ext4 defaults 0 2",
            "LABEL=$(x) / ext4 ro 0 0",
        ] {
            let found = found(line, true);
            assert_eq!(found.len(), 1, "{line}");
            let fix = found[0].fix.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(!fix.contains("a'b") && !fix.contains("a#b") && !fix.contains("$(x)\\"), "{fix}");
        }
    }

    #[test]
    fn swap_on_the_disk_is_told_with_its_places() {
        let mut volumes = vec![volume("partition 1", FileSystem::Ext4, "root")];
        assert_eq!(swapped(&volumes), None);
        volumes.push(volume("partition 2", FileSystem::Swap, "a"));
        volumes.push(volume("logical volume vg/swap", FileSystem::Swap, "b"));
        assert!(swapped(&volumes).unwrap().contains("swap on partition 2 and logical volume vg/swap: "));
    }
}
