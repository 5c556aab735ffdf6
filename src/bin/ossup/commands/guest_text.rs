//! What is installed on a disk, for people: at most three lines.

use ossup::image::{
    Answer, BootsWith, Drivers, GuestReport, GuestSystem, GuestVolume, Ignition, WindowsSystem,
};

use crate::ui::counted;

/// Returns the lines with their labels.
pub(crate) fn rows(guest: &GuestReport, boots_with: BootsWith) -> Vec<(&'static str, String)> {
    if let Some(system) = &guest.windows {
        return vec![("guest", windows(system, boots_with))];
    }
    match &guest.system {
        Answer::Found(system) => {
            vec![("guest", summary(system, boots_with)), ("  disks", disks(system, &guest.volumes))]
        }
        Answer::Absent => vec![("guest", "no system was found".to_owned())],
        Answer::Unread(reason) => vec![("guest", reason.clone())],
    }
}

fn windows(system: &WindowsSystem, boots_with: BootsWith) -> String {
    let product = system.product.found().map_or("an unknown Windows", String::as_str);
    let build = system.build.found().map(|build| match system.revision.found() {
        Some(revision) => format!("build {build}.{revision}"),
        None => format!("build {build}"),
    });
    let starts = |name: &str| {
        let driver = system.drivers.iter().find(|driver| driver.name == name)?;
        Some(match (&driver.start, &driver.file) {
            (Answer::Found(0), Answer::Found(_)) => "ready",
            (Answer::Unread(_), _) | (_, Answer::Unread(_)) => "not looked at",
            (Answer::Absent, _) | (_, Answer::Absent) => "missing",
            (Answer::Found(_), _) => "not started in time",
        })
    };
    let firmware = match boots_with {
        BootsWith::Both => Some("UEFI+BIOS".to_owned()),
        BootsWith::Uefi => Some("UEFI".to_owned()),
        BootsWith::Bios => Some("BIOS".to_owned()),
        BootsWith::Nothing | BootsWith::Unknown => None,
    };
    let architecture = system.architecture.found().map(ToString::to_string);
    let drivers = match (starts("viostor"), starts("stornvme")) {
        (Some(virtio), Some(nvme)) if virtio == nvme => Some(format!("virtio and NVMe {virtio}")),
        (Some(virtio), Some(nvme)) => Some(format!("virtio {virtio}, NVMe {nvme}")),
        _ => None,
    };
    let rest = [build, architecture, firmware, drivers].into_iter().flatten();
    std::iter::once(product.to_owned()).chain(rest).collect::<Vec<_>>().join(", ")
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
            let kernel = system.kernel().or(kernels.first());
            kernel.map(|kernel| format!("kernel {}{more}", kernel.release)).unwrap_or_default()
        }
        Answer::Absent => "no kernel with modules".to_owned(),
        Answer::Unread(reason) => format!("kernels unread: {reason}"),
    });
    said.extend(system.architecture.found().map(ToString::to_string));
    match boots_with {
        BootsWith::Both => said.push("UEFI+BIOS".to_owned()),
        BootsWith::Uefi => said.push("UEFI".to_owned()),
        BootsWith::Bios => said.push("BIOS".to_owned()),
        BootsWith::Nothing | BootsWith::Unknown => {}
    }
    if system.init == Answer::Absent {
        said.push("no init program".to_owned());
    }
    said.extend(system.kernel().and_then(|kernel| kernel.drivers.as_ref()).map(drivers));
    said.push(match &system.cloud_init {
        Answer::Found(found) => {
            format!("cloud-init {}", found.version.as_deref().unwrap_or("of an unknown version"))
        }
        Answer::Absent => match &system.ignition {
            Some(Ignition { platform: Some(platform), .. }) => format!("Ignition for {platform}"),
            Some(_) => "Ignition".to_owned(),
            None => "no cloud-init".to_owned(),
        },
        Answer::Unread(_) => "cloud-init not looked at".to_owned(),
    });
    said.join(", ")
}

/// Says in one word or two whether a kernel sees the disks of ECS.
fn drivers(drivers: &Drivers) -> String {
    let said = |ready| match ready {
        Some(true) => "ready",
        Some(false) => "missing",
        None => "not known",
    };
    let (virtio, nvme) = (said(drivers.is_virtio_ready()), said(drivers.is_nvme_ready()));
    match virtio == nvme {
        true => format!("virtio and NVMe {virtio}"),
        false => format!("virtio {virtio}, NVMe {nvme}"),
    }
}

fn disks(system: &GuestSystem, volumes: &[GuestVolume]) -> String {
    let root = volumes.iter().find(|volume| volume.place == system.root);
    let filesystem = root.map(|root| root.filesystem.name()).unwrap_or_default();
    let uuid =
        root.and_then(|root| root.uuid.as_deref()).map(|uuid| format!(" UUID={uuid}")).unwrap_or_default();
    let mut said = vec![format!("root on {} ({filesystem}{uuid})", system.root)];
    said.push(match &system.fstab {
        Answer::Found(lines) => format!("fstab of {}", counted(lines.len() as u64, "line", "lines")),
        Answer::Absent => "no fstab".to_owned(),
        Answer::Unread(reason) => format!("fstab unread: {reason}"),
    });
    said.push(match &system.boot_entries {
        Answer::Found(entries) => {
            let mut roots: Vec<_> = entries.iter().filter_map(|entry| entry.root.as_deref()).collect();
            roots.sort_unstable();
            roots.dedup();
            match roots.len() {
                0 => "boot loader, which names no root".to_owned(),
                _ => format!("boot loader with root={}", roots.join(", root=")),
            }
        }
        Answer::Absent => "no boot loader configuration".to_owned(),
        Answer::Unread(reason) => format!("boot loader configuration unread: {reason}"),
    });
    said.join("; ")
}
