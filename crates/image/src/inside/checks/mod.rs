//! What the facts of a guest mean on ECS. Each check is a function of what was read, and says nothing of what was not.

mod agents;
mod basics;
mod boot;
mod cloud_init;
mod drivers;
mod firewall;
mod fstab;
mod growth;
mod identity;
mod network;
mod selinux;
mod ssh;
mod volumes;

use super::super::finding::{Finding, Findings, Severity};
use super::super::report::{Expected, Report};
use super::super::rule::Rule;
use super::facts::{GuestSystem, GuestVolume};
use super::tree::Tree;
use super::volume::Reason;

/// What the checks look at.
pub(super) struct Scene<'a> {
    /// The guest's files.
    pub(super) tree: &'a mut Tree,
    /// What was found of the system.
    pub(super) system: &'a GuestSystem,
    /// What the disk holds.
    pub(super) volumes: &'a [GuestVolume],
    /// The disk's tables and what would start it.
    pub(super) report: &'a Report,
    /// What the user asks for.
    pub(super) expected: &'a Expected,
}

/// A check. It fails if what it needs could not be read; what it found until then counts.
pub(super) type Check = fn(&mut Scene<'_>, &mut Findings) -> Result<(), Reason>;

/// The checks, and what each is about.
const CHECKS: &[(&str, Check)] = &[
    ("drivers", drivers::check),
    ("agents", agents::check),
    ("the clock", basics::clock),
    ("root's account", basics::account),
    ("libraries", basics::libraries),
    ("fstab", fstab::check),
    ("the network", network::check),
    ("swap", fstab::swap),
    ("the boot loader", boot::check),
    ("the disk", volumes::check),
    ("the firewall", firewall::check),
    ("the room on the root", growth::check),
    ("identities", identity::check),
    ("Customized Linux", identity::customized),
    ("SELinux", selinux::check),
    ("cloud-init", cloud_init::check),
    ("SSH", ssh::check),
];

/// Makes all checks, and says which could not be made. That is no verdict on the image.
pub(super) fn run(mut scene: Scene<'_>, findings: &mut Findings) {
    let mut unread: Vec<(Reason, Vec<&str>)> = Vec::new();
    for (about, check) in CHECKS {
        if let Err(reason) = check(&mut scene, findings) {
            match unread.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, all)) => all.push(about),
                None => unread.push((reason, vec![about])),
            }
        }
    }
    for (reason, about) in unread {
        findings.info(Rule::GRead, format!("not all was checked of {}: {reason}", about.join(", ")));
    }
    for volume in scene.volumes {
        if let Some(reason) = &volume.unread {
            let GuestVolume { place, filesystem, .. } = volume;
            findings.info(Rule::GRead, format!("{place} ({filesystem}) was not looked into: {reason}"));
        }
    }
}

/// Returns the first of these paths that is there.
fn first<'a>(tree: &mut Tree, paths: &[&'a str]) -> Result<Option<&'a str>, Reason> {
    for path in paths {
        if tree.has(path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

pub(super) use volumes::no_system;

/// Returns the disk and the number of the partition that a device's name means: `sda` and 1 of `/dev/sda1`. `None` for
/// what is not named so.
fn disk_name(device: &str) -> Option<(&str, Option<u32>)> {
    let name = device.strip_prefix("/dev/")?;
    let (disk, number) = if name.starts_with("nvme") {
        name.split_once('p').unwrap_or((name, ""))
    } else {
        let kinds = ["sd", "hd", "xvd", "vd"];
        let letters = kinds.iter().find_map(|kind| name.strip_prefix(kind))?;
        let digits = letters.trim_start_matches(|char: char| char.is_ascii_lowercase());
        if digits.len() == letters.len() {
            return None;
        }
        name.split_at(name.len() - digits.len())
    };
    match number {
        "" => Some((disk, None)),
        number => Some((disk, Some(number.parse().ok()?))),
    }
}

/// Whether a name is that of the disk that a machine starts from, usually.
fn is_first_disk(name: &str) -> bool {
    matches!(name, "sda" | "hda" | "xvda" | "vda" | "nvme0n1")
}

/// Makes a finding with what mends it in the guest.
fn finding(rule: Rule, severity: Severity, message: impl Into<String>, commands: &[String]) -> Finding {
    let finding = Finding::new(rule, severity, message);
    match commands {
        [] => finding,
        commands => finding.fixed_by(super::super::fix::Fix::in_guest(commands.iter().cloned())),
    }
}
