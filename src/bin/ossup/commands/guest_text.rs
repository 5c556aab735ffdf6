//! What is installed on a disk, for people: at most three lines.

use ossup::image::{Answer, BootsWith, Driver, Drivers, GuestReport, GuestSystem, GuestVolume};

/// Returns the lines with their labels.
pub(crate) fn rows(guest: &GuestReport, boots_with: BootsWith) -> Vec<(&'static str, String)> {
    match &guest.system {
        Answer::Found(system) => vec![
            ("guest", summary(system, boots_with)),
            ("  drivers", equipment(system)),
            ("  disks", disks(system, &guest.volumes)),
        ],
        Answer::Absent => vec![("guest", "no Linux system was found".to_owned())],
        Answer::Unread(reason) => vec![("guest", reason.clone())],
    }
}

fn summary(system: &GuestSystem, boots_with: BootsWith) -> String {
    let os = system.os.found().map_or("an unknown Linux", |os| os.title());
    let mut said = vec![os.to_owned()];
    said.push(match &system.kernels {
        Answer::Found(kernels) => {
            let more = match kernels.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            kernels.first().map(|kernel| format!("kernel {}{more}", kernel.release)).unwrap_or_default()
        }
        Answer::Absent => "no kernel with modules".to_owned(),
        Answer::Unread(reason) => format!("kernels unread: {reason}"),
    });
    match &system.architecture {
        Answer::Found(architecture) => said.push(architecture.to_string()),
        Answer::Absent => {}
        Answer::Unread(reason) => said.push(format!("architecture unread: {reason}")),
    }
    match boots_with {
        BootsWith::Both => said.push("UEFI+BIOS".to_owned()),
        BootsWith::Uefi => said.push("UEFI".to_owned()),
        BootsWith::Bios => said.push("BIOS".to_owned()),
        BootsWith::Nothing | BootsWith::Unknown => {}
    }
    if system.init == Answer::Absent {
        said.push("no init program".to_owned());
    }
    if let Some(platform) = system.platform {
        said.push(format!("Platform {platform}"));
    }
    said.join(", ")
}

fn equipment(system: &GuestSystem) -> String {
    let kernel = system.kernels.found().and_then(|kernels| kernels.first());
    let mut said: Vec<String> =
        kernel.and_then(|kernel| kernel.drivers.as_ref()).map(drivers).into_iter().collect();
    said.push(match &system.cloud_init {
        Answer::Found(version) => format!("cloud-init {version}"),
        Answer::Absent => "no cloud-init".to_owned(),
        Answer::Unread(reason) => format!("cloud-init unread: {reason}"),
    });
    said.join(", ")
}

fn drivers(drivers: &Drivers) -> String {
    let all = [
        ("virtio_blk", &drivers.virtio_blk),
        ("virtio_pci", &drivers.virtio_pci),
        ("virtio_net", &drivers.virtio_net),
        ("nvme", &drivers.nvme),
    ];
    let mut said: Vec<String> = all
        .iter()
        .map(|(name, answer)| match answer {
            Answer::Found(driver) => format!("{name} {driver}"),
            Answer::Absent => format!("{name} missing"),
            Answer::Unread(_) => format!("{name} unread"),
        })
        .collect();
    // A module that the disk needs has to be there before the disk is.
    if all.iter().any(|(_, answer)| answer.found() == Some(&Driver::Module)) {
        said.push("in the initramfs: not looked at".to_owned());
    }
    said.join(", ")
}

fn disks(system: &GuestSystem, volumes: &[GuestVolume]) -> String {
    let root = volumes.iter().find(|volume| volume.place == system.root);
    let filesystem = root.map(|root| root.filesystem.name()).unwrap_or_default();
    let uuid =
        root.and_then(|root| root.uuid.as_deref()).map(|uuid| format!(" UUID={uuid}")).unwrap_or_default();
    let mut said = vec![format!("root on {} ({filesystem}{uuid})", system.root)];
    let missing = |lines: Vec<String>| match lines.len() {
        0 => String::new(),
        _ => format!(", not on this disk: {}", lines.join(", ")),
    };
    said.push(match &system.fstab {
        Answer::Found(lines) => {
            let lost = lines.iter().filter(|line| line.is_missing());
            let lost =
                lost.map(|line| format!("{} for {} (line {})", line.device, line.mount_point, line.line));
            format!("fstab of {}{}", count(lines.len(), "line"), missing(lost.collect()))
        }
        Answer::Absent => "no fstab".to_owned(),
        Answer::Unread(reason) => format!("fstab unread: {reason}"),
    });
    said.push(match &system.boot_entries {
        Answer::Found(entries) => {
            let mut roots: Vec<_> = entries.iter().filter_map(|entry| entry.root.as_deref()).collect();
            roots.sort_unstable();
            roots.dedup();
            let named = match roots.len() {
                0 => ", which names no root".to_owned(),
                _ => format!(" with root={}", roots.join(", root=")),
            };
            let lost = entries.iter().filter(|entry| entry.place == Some(Answer::Absent));
            let mut lost: Vec<_> = lost.filter_map(|entry| entry.root.clone()).collect();
            lost.sort_unstable();
            lost.dedup();
            format!("boot loader{named}{}", missing(lost))
        }
        Answer::Absent => "no boot loader configuration".to_owned(),
        Answer::Unread(reason) => format!("boot loader configuration unread: {reason}"),
    });
    said.join("; ")
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
