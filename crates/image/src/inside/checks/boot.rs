//! Whether the boot loader finds what it starts, and the kernel its root.

use super::{Reason, Scene, disk_name, finding, is_first_disk};
use crate::boot::BootsWith;
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{Answer, BootEntry, BootFile, BootSearch, GuestVolume};
use crate::inside::text::is_plain;
use crate::rule::Rule;

/// Where the boot loader's own partition has its programs.
const ESP: [&str; 3] = ["/boot/efi/EFI/", "/efi/EFI/", "/boot/EFI/"];

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let entries = match &scene.system.boot_entries {
        Answer::Found(entries) => entries,
        Answer::Absent => {
            findings.push(no_configuration(scene.report.boot.boots_with, scene.volumes)?);
            return Ok(());
        }
        Answer::Unread(reason) => return Err(reason.clone()),
    };
    let has_grubby = scene.tree.has("/usr/sbin/grubby").unwrap_or(false);
    let lines = scene.system.fstab.found().map(Vec::as_slice).unwrap_or_default();
    let mounted: Vec<_> = lines.iter().map(|line| line.mount_point.as_str()).collect();
    let disk = Disk { root: &scene.system.root, volumes: scene.volumes, mounted: &mounted, has_grubby };
    for entry in entries.iter().filter(|entry| entry.is_default) {
        findings.0.extend(default_root(entry, &disk));
        findings.0.extend(default_files(entry));
        findings.0.extend(resumed(entry, scene.system.resume.as_ref()));
    }
    findings.0.extend(others(entries));
    for search in &scene.system.boot_searches {
        let is_alone = !entries.iter().any(|entry| entry.file == search.file);
        findings.0.extend(searched(search, is_alone, scene.report.boot.boots_with, &disk));
    }
    Ok(())
}

/// Judges that there is no configuration; an error if it may be where it was not looked for.
fn no_configuration(boots_with: BootsWith, volumes: &[GuestVolume]) -> Result<Finding, Reason> {
    let is_hidden = |volume: &&GuestVolume| volume.filesystem.is_fat() && volume.unread.is_some();
    if let Some(volume) = volumes.iter().find(is_hidden).filter(|_| boots_with == BootsWith::Uefi) {
        let place = &volume.place;
        return Err(format!("its configuration may be on {place}, which was not looked into"));
    }
    let message = "no configuration of a boot loader was found: what starts the system is not known here";
    Ok(finding(Rule::GNoBoot, Severity::Warn, message, &[]))
}

/// What the entries are judged by.
struct Disk<'a> {
    root: &'a str,
    volumes: &'a [GuestVolume],
    /// What the guest mounts, besides what it finds by itself.
    mounted: &'a [&'a str],
    has_grubby: bool,
}

impl Disk<'_> {
    /// Whether a file has its path in the guest too: the EFI partition is looked at also where nothing mounts it.
    fn has_path(&self, file: &str) -> bool {
        let points = ["/boot/efi", "/efi"].into_iter();
        let mut over =
            points.filter(|point| file.strip_prefix(point).is_some_and(|rest| rest.starts_with('/')));
        over.all(|point| self.mounted.contains(&point))
    }

    /// Returns the UUID of what holds the system.
    fn uuid(&self) -> Option<&str> {
        self.volumes.iter().find(|volume| volume.place == self.root)?.uuid.as_deref()
    }

    /// Returns the commands that name the root of an entry by its UUID.
    fn by_uuid(&self, entry: &BootEntry, root: &str) -> Vec<String> {
        let Some(uuid) = self.uuid().filter(|uuid| is_plain(uuid)) else { return Vec::new() };
        // What an entry of the specification says may come from the environment block, which has a fixed size.
        if entry.file.ends_with(".conf") && entry.file.contains("/loader/entries/") {
            let command = format!("grubby --update-kernel=ALL --args=root=UUID={uuid}");
            // It changes those in /boot alone.
            let is_its = self.has_grubby && entry.file.starts_with("/boot/loader/");
            return if is_its { vec![command] } else { Vec::new() };
        }
        // A unified kernel image is a program, and signed perhaps.
        if !is_plain(root)
            || !is_plain(&entry.file)
            || entry.file.ends_with(".efi")
            || !self.has_path(&entry.file)
        {
            return Vec::new();
        }
        let pattern = root.replace('.', r"\.");
        let replace = |file: &str| {
            format!(r#"sed -i 's#\broot={pattern}\([[:blank:]"]\|$\)#root=UUID={uuid}\1#' {file}"#)
        };
        let mut commands = vec![replace(&entry.file)];
        // Also what the next configuration is made of.
        commands.push(format!("[ ! -f /etc/default/grub ] || {}", replace("/etc/default/grub")));
        commands.push(
            "[ ! -f /etc/default/grub ] || sed -i 's/^GRUB_DISABLE_LINUX_UUID=/#&/' /etc/default/grub"
                .to_owned(),
        );
        commands
    }
}

/// Judges the root that the default entry names.
fn default_root(entry: &BootEntry, disk: &Disk<'_>) -> Option<Finding> {
    let root = entry.root.as_deref()?;
    let BootEntry { file, line, .. } = entry;
    let kernel = entry.kernel.as_ref().map_or("a kernel", |kernel| &kernel.name);
    if entry.place == Some(Answer::Absent) {
        let message = format!(
            "{file} line {line}: the boot loader starts {kernel} with root={root}, which is not on this disk: the kernel waits for it in vain"
        );
        return Some(finding(Rule::GGrub, Severity::Fix, message, &disk.by_uuid(entry, root)));
    }
    let (name, _) = disk_name(root).filter(|(name, _)| *name != "vda")?;
    let on = if name.starts_with("nvme") { "a virtio disk" } else { "the disk of an ECS instance" };
    let message = format!(
        "{file} line {line}: the boot loader starts {kernel} with root={root}: {on} is not {}, so the kernel may not find it",
        if is_first_disk(name) { format!("/dev/{name}") } else { "called so".to_owned() }
    );
    Some(finding(Rule::GGrubDev, Severity::Warn, message, &disk.by_uuid(entry, root)))
}

/// Says which files of the default entry are missing.
fn default_files(entry: &BootEntry) -> Option<Finding> {
    let is_missing = |file: &&BootFile| file.path == Answer::Absent;
    let missing: Vec<_> =
        entry.kernel.iter().chain(&entry.initrds).filter(is_missing).map(|file| file.name.as_str()).collect();
    if missing.is_empty() {
        return None;
    }
    let BootEntry { file, line, .. } = entry;
    let (is, then) = match missing.len() {
        1 => ("is", "the boot loader stops at it"),
        _ => ("are", "the boot loader stops at them"),
    };
    let message = format!("{file} line {line}: {} {is} not there: {then}", missing.join(" and "));
    Some(finding(Rule::GNoBoot, Severity::Warn, message, &[]))
}

/// Says once of what else the menu shows that it would not start.
fn others(entries: &[BootEntry]) -> Option<Finding> {
    let is_lost = |entry: &&BootEntry| {
        let kernel = entry.kernel.as_ref().is_some_and(|kernel| kernel.path == Answer::Absent);
        !entry.is_default && (kernel || entry.place == Some(Answer::Absent))
    };
    let lost: Vec<_> = entries.iter().filter(is_lost).collect();
    let first = lost.first()?;
    let rule = if first.place == Some(Answer::Absent) { Rule::GGrub } else { Rule::GNoBoot };
    let more = match lost.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let message = format!(
        "{} line {}: what does not start by itself ({}{more}) names a root or a kernel that is not on this disk",
        first.file,
        first.line,
        if first.title.is_empty() { "an entry" } else { &first.title }
    );
    Some(finding(rule, Severity::Info, message, &[]))
}

/// Says that what the kernel would resume from is missing.
fn resumed(entry: &BootEntry, resume: Option<&Answer<String>>) -> Option<Finding> {
    let device = entry.argument("resume").filter(|_| resume == Some(&Answer::Absent))?;
    let message = format!(
        "{} line {}: resume={device} is not on this disk: starting may take 30 seconds more",
        entry.file, entry.line
    );
    Some(finding(Rule::GGrub, Severity::Info, message, &[]))
}

/// Judges what the boot loader itself looks for; `is_alone` says that the file has no entries of its own.
fn searched(search: &BootSearch, is_alone: bool, boots_with: BootsWith, disk: &Disk<'_>) -> Option<Finding> {
    let BootSearch { file, line, device, place, is_needed } = search;
    if *place != Answer::Absent || !is_needed {
        return None;
    }
    // From the EFI partition it finds nothing else; else it falls back to where it was loaded from.
    let is_in_esp = is_alone && ESP.iter().any(|folder| file.starts_with(folder));
    let (severity, then) = match is_in_esp {
        true if boots_with == BootsWith::Uefi => (Severity::Fix, "GRUB stops at its own prompt"),
        true => (Severity::Warn, "GRUB stops at its own prompt where UEFI starts it"),
        false => (Severity::Warn, "GRUB complains, and looks on the partition that it was loaded from"),
    };
    let message =
        format!("{file} line {line}: GRUB searches for {device}, which is not on this disk: {then}");
    let old =
        device.strip_prefix("UUID=").filter(|old| is_plain(old) && is_plain(file) && disk.has_path(file));
    let boot = disk.volumes.iter().find(|volume| Some(&volume.place) == search_target(disk).as_ref());
    let command = old.zip(boot.and_then(|boot| boot.uuid.as_deref()).filter(|uuid| is_plain(uuid)));
    let command = command.map(|(old, uuid)| format!("sed -i 's#{old}#{uuid}#' {file}"));
    Some(finding(Rule::GGrub, severity, message, command.as_slice()))
}

/// Returns what GRUB is to look on: the root, unless `/boot` may be elsewhere.
fn search_target(disk: &Disk<'_>) -> Option<String> {
    let others = disk.volumes.iter().filter(|volume| {
        let is_swap = volume.filesystem == crate::filesystem::FileSystem::Swap;
        volume.place != disk.root && !volume.filesystem.is_fat() && !is_swap
    });
    (others.count() == 0).then(|| disk.root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::FileSystem;

    fn entry(root: &str, place: Option<Answer<String>>) -> BootEntry {
        let file = |name: &str| BootFile { name: name.to_owned(), path: Answer::Found(name.to_owned()) };
        BootEntry {
            file: "/boot/grub/grub.cfg".to_owned(),
            line: 7,
            id: None,
            title: "Linux".to_owned(),
            is_default: true,
            kernel: Some(file("/boot/vmlinuz")),
            release: None,
            initrds: vec![file("/boot/initrd.img")],
            arguments: vec![format!("root={root}"), "resume=UUID=b".to_owned()],
            root: Some(root.to_owned()),
            place,
        }
    }

    fn volumes() -> Vec<GuestVolume> {
        let uuid = Some("abcd".to_owned());
        vec![GuestVolume { uuid, ..GuestVolume::new("partition 1", FileSystem::Ext4) }]
    }

    fn judged(entry: &BootEntry, has_grubby: bool) -> Option<(Rule, Severity, String)> {
        let volumes = volumes();
        let found =
            default_root(entry, &Disk { root: "partition 1", volumes: &volumes, mounted: &[], has_grubby })?;
        Some((found.rule, found.severity, found.fix.map(|fix| fix.to_string()).unwrap_or_default()))
    }

    #[test]
    fn a_root_that_is_elsewhere_does_not_start_and_a_device_s_name_may_not() {
        let (rule, severity, fix) = judged(&entry("UUID=old", Some(Answer::Absent)), false).unwrap();
        assert_eq!((rule, severity), (Rule::GGrub, Severity::Fix));
        assert!(fix.contains("root=UUID=abcd"), "{fix}");
        for root in ["/dev/sda1", "/dev/xvda1", "/dev/hda1", "/dev/nvme0n1p1"] {
            let (rule, severity, fix) = judged(&entry(root, None), false).unwrap();
            assert_eq!((rule, severity), (Rule::GGrubDev, Severity::Warn), "{root}");
            assert!(fix.contains(&format!("root={root}\\(")), "{fix}");
        }
        let there = Some(Answer::Found("partition 1".to_owned()));
        assert_eq!(judged(&entry("UUID=abcd", there), false), None);
        assert_eq!(judged(&entry("UUID=old", Some(Answer::Unread("LVM".to_owned()))), false), None);
        for root in ["/dev/vda1", "/dev/mapper/vg-root", "/dev/vg/root", "ZFS=x", "live:CDLABEL=x"] {
            assert_eq!(judged(&entry(root, None), false), None, "{root}");
        }
        let odd = judged(&entry("LABEL=a'b", Some(Answer::Absent)), false).unwrap();
        assert_eq!(odd.2, "", "no command is made of odd texts");
    }

    #[test]
    fn a_configuration_that_may_be_in_the_efi_partition_is_not_missing() {
        let mut esp = volumes();
        esp[0].filesystem = FileSystem::Fat16;
        let read = no_configuration(BootsWith::Uefi, &esp).unwrap();
        assert_eq!((read.rule, read.severity), (Rule::GNoBoot, Severity::Warn));
        esp[0].unread = Some("damaged".to_owned());
        assert!(no_configuration(BootsWith::Uefi, &esp).unwrap_err().contains("partition 1"));
        assert!(no_configuration(BootsWith::Both, &esp).is_ok(), "the one for BIOS is not there");
    }

    #[test]
    fn an_entry_of_the_specification_is_mended_by_grubby_or_not_at_all() {
        let mut entry = entry("UUID=old", Some(Answer::Absent));
        entry.file = "/boot/loader/entries/a.conf".to_owned();
        assert_eq!(judged(&entry, false).unwrap().2, "");
        assert!(judged(&entry, true).unwrap().2.contains("grubby --update-kernel=ALL --args=root=UUID=abcd"));
    }

    #[test]
    fn missing_files_of_the_default_are_said_and_those_of_others_only_told() {
        let mut entry = entry("UUID=abcd", Some(Answer::Found("partition 1".to_owned())));
        assert_eq!(default_files(&entry), None);
        entry.initrds[0].path = Answer::Unread("damaged".to_owned());
        assert_eq!(default_files(&entry), None);
        entry.kernel.as_mut().unwrap().path = Answer::Absent;
        let found = default_files(&entry).unwrap();
        assert_eq!((found.rule, found.severity), (Rule::GNoBoot, Severity::Warn));
        assert_eq!(
            found.message,
            "/boot/grub/grub.cfg line 7: /boot/vmlinuz is not there: the boot loader stops at it"
        );
        entry.initrds[0].path = Answer::Absent;
        assert!(
            default_files(&entry).unwrap().message.contains("/boot/vmlinuz and /boot/initrd.img are not")
        );
        assert_eq!(others(std::slice::from_ref(&entry)), None);
        entry.is_default = false;
        let found = others(&[entry.clone(), entry]).unwrap();
        assert_eq!((found.rule, found.severity), (Rule::GNoBoot, Severity::Info));
        assert!(found.message.contains("Linux and 1 more"), "{}", found.message);
    }

    #[test]
    fn what_the_kernel_resumes_from_only_takes_time() {
        let entry = entry("UUID=abcd", None);
        assert_eq!(resumed(&entry, Some(&Answer::Absent)).unwrap().severity, Severity::Info);
        assert_eq!(resumed(&entry, Some(&Answer::Found("partition 3".to_owned()))), None);
        assert_eq!(resumed(&entry, None), None);
    }

    #[test]
    fn a_search_in_vain_ends_at_the_prompt_if_nothing_else_is_found() {
        let volumes = volumes();
        let mut disk =
            Disk { root: "partition 1", volumes: &volumes, mounted: &["/boot/efi"], has_grubby: false };
        let mut search = BootSearch {
            file: "/boot/efi/EFI/debian/grub.cfg".to_owned(),
            line: 1,
            device: "UUID=old".to_owned(),
            place: Answer::Absent,
            is_needed: true,
        };
        let found = searched(&search, true, BootsWith::Uefi, &disk).unwrap();
        assert_eq!((found.rule, found.severity), (Rule::GGrub, Severity::Fix));
        disk.mounted = &["/"];
        let unmounted = searched(&search, true, BootsWith::Uefi, &disk).unwrap();
        assert_eq!(unmounted.fix, None, "it has no such path in the guest");
        for (is_alone, boots_with) in
            [(false, BootsWith::Uefi), (true, BootsWith::Both), (true, BootsWith::Bios)]
        {
            let found = searched(&search, is_alone, boots_with, &disk).unwrap();
            assert_eq!(found.severity, Severity::Warn, "{boots_with:?}");
        }
        assert!(found.fix.unwrap().to_string().contains("s#old#abcd#"));
        search.file = "/boot/grub/grub.cfg".to_owned();
        assert_eq!(searched(&search, true, BootsWith::Uefi, &disk).unwrap().severity, Severity::Warn);
        search.is_needed = false;
        assert_eq!(searched(&search, true, BootsWith::Uefi, &disk), None);
    }
}
