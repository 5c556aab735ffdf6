//! What an instance says on its serial line: what its image's look inside predicts.
//!
//! An image that has nothing wrong with its start comes to a login. One that has stops as a real one would, with the
//! words of its firmware, its boot loader or its initial RAM file system.

use ossup_image::{Answer, Report, Rule, Severity};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::{Entry, Origin};
use super::run_instances::{family, generation};

/// Families of this generation and later attach the system disk by NVMe. Of the seventh some do.
const NVME_GENERATION: u32 = 8;

/// Where a start ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Login,
    Firmware,
    Loader,
    Initramfs,
    Panic,
    Emergency,
}

impl Service<'_> {
    /// Returns the lines that an instance of an image will have said.
    pub(super) fn console_of(
        &self,
        image: &str,
        custom: bool,
        instance_type: &str,
    ) -> Result<Vec<String>, Refusal> {
        if let Some(scripted) = &self.state.options.console {
            return Ok(scripted.split('\n').map(str::to_owned).collect());
        }
        let report = match custom.then(|| self.system_disk_of(image)).flatten() {
            Some((bucket, key)) => match self.store().object(&bucket, &key)? {
                Some(object) => self.look(&object)?,
                // Only the object can be looked into. What was imported and deleted is taken for good.
                None => None,
            },
            None => None,
        };
        let nvme = family(instance_type).and_then(generation) >= Some(NVME_GENERATION);
        let end = report.as_ref().map_or(End::Login, |report| end_of(report, nvme));
        let title = report.as_ref().and_then(title).unwrap_or_else(|| "Linux".to_owned());
        Ok(lines(end, &title))
    }

    /// Returns the object that an image's system disk was imported from, also through copies.
    fn system_disk_of(
        &self,
        image: &str,
    ) -> Option<(ossup_core::model::BucketName, ossup_core::model::ObjectKey)> {
        let mut entry: &Entry = self.state.entries.get(image)?;
        // Copies of copies end at an import; a source is older than its copy.
        loop {
            match &entry.origin {
                Origin::Import { objects, .. } => {
                    let object = objects.first()?;
                    return Some((object.bucket.clone(), object.key.clone()));
                }
                Origin::Copy { source, .. } => {
                    entry = self.state.entries.get(source).filter(|older| older.serial < entry.serial)?;
                }
            }
        }
    }
}

/// Says where the start of a system ends, by the worst that was found.
fn end_of(report: &Report, nvme: bool) -> End {
    let end = |rule: Rule| match rule {
        Rule::FZero | Rule::RBoot | Rule::RArch => Some(End::Firmware),
        Rule::GNoBoot | Rule::GKernel => Some(End::Loader),
        Rule::GVirtio | Rule::GGrub | Rule::GGrubDev => Some(End::Initramfs),
        Rule::GNvme if nvme => Some(End::Initramfs),
        Rule::GArch | Rule::GLib => Some(End::Panic),
        Rule::GFstab | Rule::GFsDev => Some(End::Emergency),
        _ => None,
    };
    let damage = report.findings.iter().filter(|finding| finding.severity >= Severity::Fix);
    // The one that comes first in a start is the one that is seen.
    let order = |end: &End| {
        [End::Firmware, End::Loader, End::Initramfs, End::Panic, End::Emergency]
            .iter()
            .position(|it| it == end)
    };
    damage.filter_map(|finding| end(finding.rule)).min_by_key(order).unwrap_or(End::Login)
}

fn title(report: &Report) -> Option<String> {
    let Some(Answer::Found(system)) = report.guest.as_ref().map(|guest| &guest.system) else { return None };
    system.os.found().map(|os| os.title().to_owned())
}

fn lines(end: End, title: &str) -> Vec<String> {
    let firmware: &[&str] = &["SeaBIOS (version 8c24b4c)", "Booting from Hard Disk..."];
    let loader: &[&str] =
        &["GRUB loading.", "Welcome to GRUB!", "Loading Linux ...", "Loading initial ramdisk ..."];
    let kernel: &[&str] = &[
        "[    0.000000] Linux version 6.1.0-28-amd64 (gcc-12) #1 SMP PREEMPT_DYNAMIC",
        "[    0.000000] DMI: Alibaba Cloud Alibaba Cloud ECS, BIOS 8c24b4c 04/01/2014",
        "Loading, please wait...",
        "Begin: Mounting root file system ... ",
    ];
    let root: &[&str] = &[
        "[    1.513861] EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.",
        "[    2.022012] systemd[1]: systemd 252 running in system mode",
    ];
    let mut lines: Vec<String> = Vec::new();
    let mut say = |said: &[&str]| lines.extend(said.iter().map(|line| (*line).to_owned()));
    say(firmware);
    if end == End::Firmware {
        say(&["Boot failed: not a bootable disk", "", "No bootable device."]);
        return lines;
    }
    if end == End::Loader {
        say(&loader[..2]);
        say(&[
            "error: file `/boot/vmlinuz' not found.",
            "error: you need to load the kernel first.",
            "Minimal BASH-like line editing is supported.",
            "grub> ",
        ]);
        return lines;
    }
    say(loader);
    say(kernel);
    match end {
        End::Initramfs => {
            say(&[
                "Begin: Waiting for root file system ... Gave up waiting for root file system device.",
                "ALERT!  /dev/vda1 does not exist.  Dropping to a shell!",
                "(initramfs) ",
            ]);
            return lines;
        }
        End::Panic => {
            say(&root[..1]);
            say(&["[    1.990000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00"]);
            return lines;
        }
        _ => say(root),
    }
    lines.push(format!("Welcome to {title}!"));
    let mut say = |said: &[&str]| lines.extend(said.iter().map(|line| (*line).to_owned()));
    if end == End::Emergency {
        say(&[
            "[ TIME ] Timed out waiting for device dev-sdb1.device.",
            "[DEPEND] Dependency failed for local-fs.target - Local File Systems.",
            "You are in emergency mode. After logging in, type \"journalctl -xb\" to view",
            "Press Enter for maintenance",
            "(or press Control-D to continue): ",
        ]);
        return lines;
    }
    say(&[
        "[  OK  ] Reached target network.target - Network.",
        "[    8.114201] cloud-init[612]: Cloud-init v. 23.4 running 'modules:config'",
        "[  OK  ] Started ssh.service - OpenBSD Secure Shell server.",
        "[  OK  ] Reached target multi-user.target - Multi-User System.",
        "",
    ]);
    lines.push(format!("{title} iZbp1emulated ttyS0"));
    lines.push(String::new());
    lines.push("iZbp1emulated login: ".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_last_line_of_its_own_and_only_a_good_start_a_login() {
        let ends = [End::Login, End::Firmware, End::Loader, End::Initramfs, End::Panic, End::Emergency];
        for end in ends {
            let said = lines(end, "Debian GNU/Linux 12");
            let has_login = said.iter().any(|line| line.contains("login: "));
            assert_eq!(has_login, end == End::Login, "{end:?}");
            let others = ends.into_iter().filter(|other| *other != end);
            assert!(
                others.map(|other| lines(other, "x")).all(|other| other.last() != said.last()),
                "{end:?}"
            );
        }
    }
}
