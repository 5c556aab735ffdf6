//! Whether what fstab mounts is there on ECS.

use super::{Reason, Scene, finding};
use crate::image::finding::{Findings, Severity};
use crate::image::inside::facts::{Answer, FstabLine};
use crate::image::rule::Rule;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    match &scene.system.fstab {
        Answer::Found(lines) => judge(lines, findings),
        Answer::Absent => {}
        Answer::Unread(reason) => return Err(reason.clone()),
    }
    Ok(())
}

/// Judges the lines that name what is certainly not on this disk.
fn judge(lines: &[FstabLine], findings: &mut Findings) {
    for line in lines.iter().filter(|line| line.is_missing()) {
        let FstabLine { line: number, device, mount_point, .. } = line;
        let lenient = line.options.split(',').any(|option| {
            option == "nofail" || option == "noauto" || option.starts_with("x-systemd.automount")
        });
        let (severity, then) = match (&*line.filesystem, &**mount_point) {
            ("swap", _) => (Severity::Info, "starting takes 90 seconds more"),
            _ if lenient => (Severity::Info, "it is not mounted"),
            // The initramfs mounts what the kernel's argument names.
            (_, "/") => (Severity::Warn, "the root is not checked, and may stay read-only"),
            _ => (Severity::Fix, "the system stops in emergency mode"),
        };
        let message =
            format!("/etc/fstab line {number}: {device} for {mount_point} is not on this disk: {then}");
        let commands = match severity {
            Severity::Info => vec![],
            _ => vec![format!("sed -i '{number}s/^[^#]/#&/' /etc/fstab")],
        };
        findings.push(finding(Rule::GFstab, severity, message, &commands));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> Vec<Severity> {
        let mut findings = Findings::default();
        judge(&crate::image::inside::fstab::read(line.as_bytes(), &[]), &mut findings);
        findings.0.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn what_is_mounted_from_elsewhere_stops_the_start_unless_it_need_not_be_there() {
        assert_eq!(judged("UUID=a /data ext4 defaults 0 2"), [Severity::Fix]);
        assert_eq!(judged("UUID=a /data ext4 defaults,nofail 0 2"), [Severity::Info]);
        assert_eq!(judged("UUID=a / ext4 defaults 0 1"), [Severity::Warn]);
        assert_eq!(judged("UUID=a none swap sw 0 0"), [Severity::Info]);
        assert_eq!(judged("server:/a /data nfs defaults 0 0"), []);
        assert_eq!(judged("/dev/sdb1 /data ext4 defaults 0 2"), []);
    }
}
