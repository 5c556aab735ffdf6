//! What each instance should have for itself, and what Customized Linux asks for.

use super::{Reason, Scene, finding};
use crate::finding::{Findings, Severity};
use crate::inside::facts::{Answer, FstabLine};
use crate::inside::tree::Tree;
use crate::inside::volume::Kind;
use crate::rule::Rule;

const CONFIG: &str = "/aliyun_custom_image/os.conf";
const SEEDS: [&str; 3] =
    ["/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/misc/random-seed"];

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let tree = &mut *scene.tree;
    let mut found = Vec::new();
    let mut commands = Vec::new();
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
        if is_filled(tree, path)? {
            found.push(path.to_owned());
            // systemd makes a new one for an empty file; that of D-Bus comes back if it is missing.
            commands.push(match path {
                "/etc/machine-id" => format!("truncate -s 0 {path}"),
                _ => format!("rm -f {path}"),
            });
        }
    }
    if tree.list("/var/lib/cloud/instances")?.is_some_and(|names| !names.is_empty()) {
        found.push("/var/lib/cloud/instances".to_owned());
        commands.push("rm -rf /var/lib/cloud/instances /var/lib/cloud/instance".to_owned());
    }
    for path in SEEDS {
        if tree.has(path)? {
            found.push(path.to_owned());
            commands.push(format!("rm -f {path}"));
        }
    }
    if !found.is_empty() {
        let message = format!("{} of this machine: every instance begins with the same", found.join(", "));
        findings.push(finding(Rule::GIdentity, Severity::Info, message, &commands));
    }
    Ok(())
}

/// Whether a machine has its id in this file itself, not in one that it is a link to.
fn is_filled(tree: &mut Tree, path: &str) -> Result<bool, Reason> {
    if tree.link(path)?.is_some() || !matches!(tree.resolve(path.as_bytes())?, Some((_, Kind::File))) {
        return Ok(false);
    }
    let id = tree.read(path, 64)?.unwrap_or_default();
    Ok(id.trim_ascii().len() == 32 && id.trim_ascii().iter().all(u8::is_ascii_hexdigit))
}

/// Looks on the first partition for what tells ECS how a Customized Linux is set up.
pub(super) fn customized(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    if scene.expected.platform.as_deref() != Some("Customized Linux") {
        return Ok(());
    }
    let Some(number) = scene.report.partitions.iter().map(|partition| partition.number).min() else {
        return Ok(());
    };
    let place = format!("partition {number}");
    let lines = match &scene.system.fstab {
        Answer::Found(lines) => lines.as_slice(),
        Answer::Absent | Answer::Unread(_) => &[],
    };
    let point = mount_point(&place, &scene.system.root, lines).filter(|point| scene.tree.is_mounted(point));
    let Some(point) = point else {
        return Err(format!("{place}, where {CONFIG} has to be, is not looked into"));
    };
    if !scene.tree.has(&format!("{point}{CONFIG}"))? {
        let message = format!("{place} has no {CONFIG}: ECS does not set up an instance of Customized Linux");
        let write = "write it as the page \"Customize Linux images\" of ECS says";
        findings.push(finding(Rule::GCustom, Severity::Warn, message, &[]).fixed_by(write));
    }
    Ok(())
}

/// Finds where a partition is mounted, without a slash at the end.
fn mount_point(place: &str, root: &str, fstab: &[FstabLine]) -> Option<String> {
    if place == root {
        return Some(String::new());
    }
    let line = fstab.iter().find(|line| line.place == Some(Answer::Found(place.to_owned())))?;
    line.mount_point.starts_with('/').then(|| line.mount_point.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::memory;

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        memory::judged(check, files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_machine_wrote_for_itself_is_told_with_what_clears_it() {
        let id = "0123456789abcdef0123456789abcdef\n";
        let all = [
            ("/etc/machine-id", id),
            ("/var/lib/dbus/machine-id", id),
            ("/var/lib/cloud/instances/i-1/user-data.txt", "secret"),
            ("/var/lib/systemd/random-seed", "\u{1}\u{2}"),
        ];
        let found = told(&all);
        assert_eq!(
            found,
            ["info G-IDENTITY: /etc/machine-id, /var/lib/dbus/machine-id, /var/lib/cloud/instances, \
              /var/lib/systemd/random-seed of this machine: every instance begins with the same; \
              truncate -s 0 /etc/machine-id; rm -f /var/lib/dbus/machine-id; \
              rm -rf /var/lib/cloud/instances /var/lib/cloud/instance; rm -f /var/lib/systemd/random-seed"]
        );
    }

    #[test]
    fn what_was_cleared_is_not_told() {
        for id in ["", "uninitialized\n"] {
            let files = [
                ("/etc/machine-id", id),
                ("/var/lib/dbus/machine-id", "-> /etc/machine-id"),
                ("/var/lib/cloud/instances/", ""),
            ];
            assert!(told(&files).is_empty());
        }
    }

    #[test]
    fn the_first_partition_is_found_by_the_root_or_what_mounts_it() {
        let mut lines = crate::inside::fstab::read(b"UUID=a /boot/ ext4 defaults 0 2\n", &Default::default());
        lines[0].place = Some(Answer::Found("partition 1".to_owned()));
        assert_eq!(mount_point("partition 1", "partition 1", &[]).as_deref(), Some(""));
        assert_eq!(mount_point("partition 1", "partition 2", &lines).as_deref(), Some("/boot"));
        assert_eq!(mount_point("partition 3", "partition 2", &lines), None);
    }
}
