//! Whether SELinux may keep the system from starting.

use super::{Reason, Scene, finding};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{Answer, OsRelease};
use crate::inside::text::{assigned, lines};
use crate::rule::Rule;

const CONFIG: &str = "/etc/selinux/config";
const LONGEST: usize = 64 << 10;
/// Ids of distributions that are installed with SELinux enforcing.
const ENFORCING: [&str; 11] = [
    "almalinux",
    "anolis",
    "centos",
    "cloudlinux",
    "eurolinux",
    "fedora",
    "ol",
    "openEuler",
    "opensuse-tumbleweed",
    "rhel",
    "rocky",
];
/// Ids of those that are since this version.
const ENFORCING_SINCE: [(&str, u32); 3] = [("opensuse-leap", 16), ("sles", 16), ("sles_sap", 16)];

/// What there is of SELinux.
#[derive(Debug, Default, Clone)]
struct Found {
    /// `SELINUX`, and the number of its line.
    mode: Option<(usize, String)>,
    /// `SELINUXTYPE`.
    policy: String,
    has_policy: bool,
    /// All files get their labels at the next start.
    relabels: bool,
    /// The distribution is installed so.
    is_usual: bool,
}

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let Some(config) = scene.tree.read(CONFIG, LONGEST)? else { return Ok(()) };
    let mut found = read(&config);
    if !matches!(&found.mode, Some((_, mode)) if mode == "enforcing" || mode == "permissive") {
        return Ok(());
    }
    let entries = match &scene.system.boot_entries {
        Answer::Found(entries) => entries.as_slice(),
        Answer::Absent => &[],
        Answer::Unread(reason) => return Err(reason.clone()),
    };
    if let Some(entry) = entries.iter().find(|entry| entry.is_default) {
        if entry.argument("selinux") == Some("0") {
            return Ok(());
        }
        if let (Some("0"), Some((_, mode))) = (entry.argument("enforcing"), &mut found.mode) {
            "permissive".clone_into(mode);
        }
    }
    let policies = scene.tree.list(&format!("/etc/selinux/{}/policy", found.policy))?.unwrap_or_default();
    found.has_policy = policies.iter().any(|name| name.starts_with(b"policy."));
    found.relabels = scene.tree.has("/.autorelabel")?;
    found.is_usual = scene.system.os.found().is_some_and(is_usual);
    findings.0.extend(judge(&found));
    Ok(())
}

fn read(config: &[u8]) -> Found {
    let value = |key| {
        lines(config)
            .filter_map(|(number, line)| Some((number, assigned(line, key)?.to_ascii_lowercase())))
            .last()
    };
    let plain =
        |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let policy = value("SELINUXTYPE").map(|(_, policy)| policy).filter(plain);
    Found {
        mode: value("SELINUX"),
        policy: policy.unwrap_or_else(|| "targeted".to_owned()),
        ..Found::default()
    }
}

fn is_usual(os: &OsRelease) -> bool {
    let Some(id) = os.id.as_deref() else { return false };
    let version = os.version_id.as_deref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    ENFORCING.contains(&id)
        || ENFORCING_SINCE.iter().any(|(since, first)| *since == id && version.is_some_and(|is| is >= *first))
}

fn judge(found: &Found) -> Option<Finding> {
    let (line, mode) = found.mode.as_ref()?;
    let at = format!("{CONFIG} line {line}: SELinux is {mode}");
    let asked = "the service's image check asks for it to be off";
    if mode != "enforcing" {
        return Some(Finding::new(
            Rule::GSelinux,
            Severity::Info,
            format!("{at}: it stops nothing, but {asked}"),
        ));
    }
    let off = ["sed -i 's/^SELINUX=enforcing/SELINUX=disabled/' /etc/selinux/config".to_owned()];
    Some(if !found.has_policy {
        let policy = &found.policy;
        let then = format!("but /etc/selinux/{policy} has no policy: systemd stops where it loads that");
        finding(Rule::GSelinux, Severity::Warn, format!("{at}, {then}"), &off)
    } else if found.is_usual {
        let then = if found.relabels {
            "the first start labels all files and then starts again (/.autorelabel), which takes minutes"
        } else {
            asked
        };
        // No command: the fix script would turn off what the distribution means to be on.
        Finding::new(
            Rule::GSelinux,
            Severity::Info,
            format!("{at}, as this distribution is installed: {then}"),
        )
    } else {
        let then = "which this distribution is not by itself: files without labels stop the start";
        finding(Rule::GSelinux, Severity::Warn, format!("{at}, {then}, and {asked}"), &off)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::memory;

    const POLICY: (&str, &str) = ("/etc/selinux/targeted/policy/policy.33", "");
    const RHEL: (&str, &str) = ("/etc/os-release", "ID=\"rhel\"\nVERSION_ID=\"9.4\"\n");
    const DEBIAN: (&str, &str) = ("/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    const ENFORCING: (&str, &str) = (CONFIG, "# SELINUX= can be\nSELINUX=enforcing\nSELINUXTYPE=targeted\n");

    fn judged(files: &[(&str, &str)]) -> Vec<(Severity, bool)> {
        let found = memory::judged(check, files);
        found.iter().map(|finding| (finding.severity, finding.fix.is_some())).collect()
    }

    #[test]
    fn what_a_distribution_ships_enforcing_is_no_warning() {
        assert_eq!(judged(&[RHEL, ENFORCING, POLICY]), [(Severity::Info, false)]);
        let found = memory::judged(check, &[RHEL, ENFORCING, POLICY, ("/.autorelabel", "")]);
        assert!(found[0].message.contains("labels all files"), "{found:?}");
        let leap = |version| {
            let os = format!("ID=opensuse-leap\nVERSION_ID=\"{version}\"\n");
            judged(&[("/etc/os-release", &os), ENFORCING, POLICY])[0].0
        };
        assert_eq!((leap("15.6"), leap("16.0")), (Severity::Warn, Severity::Info));
    }

    #[test]
    fn enforcing_by_hand_or_without_a_policy_is_a_warning_with_its_line() {
        assert_eq!(judged(&[DEBIAN, ENFORCING, POLICY]), [(Severity::Warn, true)]);
        assert_eq!(judged(&[RHEL, ENFORCING]), [(Severity::Warn, true)]);
        let other = (CONFIG, "SELINUX=Enforcing\nSELINUXTYPE=../../x\n");
        let found = memory::judged(check, &[DEBIAN, other]);
        assert!(found[0].message.starts_with("/etc/selinux/config line 1: SELinux is enforcing, but"));
        assert!(!found[0].message.contains(".."), "{found:?}");
    }

    #[test]
    fn what_is_off_or_only_logs_stops_nothing() {
        assert_eq!(judged(&[RHEL, (CONFIG, "SELINUX=disabled\n"), POLICY]), []);
        assert_eq!(judged(&[RHEL, (CONFIG, "SELINUX=permissive\n")]), [(Severity::Info, false)]);
        assert_eq!(judged(&[DEBIAN]), []);
    }

    #[test]
    fn arguments_of_the_kernel_that_starts_count_more_than_the_file() {
        let with = |arguments: &str| {
            let entry = format!("title a\nlinux /vmlinuz-5\noptions root=/dev/vda1 {arguments}\n");
            judged(&[DEBIAN, ENFORCING, ("/boot/loader/entries/a.conf", &entry)])
        };
        assert_eq!(with("quiet"), [(Severity::Warn, true)]);
        assert_eq!(with("selinux=0"), []);
        assert_eq!(with("enforcing=0"), [(Severity::Info, false)]);
    }
}
