//! Programs of hypervisors and of clouds.

use super::{Reason, Scene, finding, first};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::tools::Tools;
use crate::inside::tree::Tree;
use crate::rule::Rule;

/// The QEMU guest agent: the program, or a unit or script that starts it from elsewhere.
const QEMU_AGENT: [&str; 7] = [
    "/usr/sbin/qemu-ga",
    "/usr/bin/qemu-ga",
    "/usr/local/bin/qemu-ga",
    "/etc/systemd/system/qemu-guest-agent.service",
    "/usr/lib/systemd/system/qemu-guest-agent.service",
    "/lib/systemd/system/qemu-guest-agent.service",
    "/etc/init.d/qemu-guest-agent",
];
/// Programs that are of use on one hypervisor or cloud only.
const TOOLS: [(&str, &[&str]); 7] = [
    ("VMware", &["/usr/bin/vmtoolsd", "/etc/vmware-tools"]),
    ("VirtualBox", &["/usr/sbin/VBoxService", "/usr/bin/VBoxClient"]),
    ("Hyper-V", &["/usr/sbin/hypervkvpd", "/usr/sbin/hv_kvp_daemon", "/usr/bin/hv_kvp_daemon"]),
    ("Xen", &["/usr/sbin/xe-daemon", "/usr/bin/xe-linux-distribution", "/usr/sbin/xe-linux-distribution"]),
    ("Azure", &["/usr/sbin/waagent", "/usr/bin/waagent"]),
    ("Google Cloud", &["/usr/bin/google_guest_agent"]),
    ("AWS", &["/usr/bin/amazon-ssm-agent", "/snap/amazon-ssm-agent"]),
];
const ADDITIONS: &str = "VBoxGuestAdditions-";
const SECURITY_CENTER: [&str; 2] = ["/usr/local/aegis", "/etc/systemd/system/aegis.service"];
const ASSISTANT: [&str; 3] = [
    "/usr/sbin/aliyun-service",
    "/etc/systemd/system/aliyun.service",
    "/usr/lib/systemd/system/aliyun.service",
];
/// Below these, each version of Cloud Assistant has a folder of its own; the second is CoreOS'.
const ASSISTANTS: [&str; 2] = ["/usr/local/share/aliyun-assist", "/opt/local/share/aliyun-assist"];

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let tree = &mut *scene.tree;
    if let Some(path) = first(tree, &QEMU_AGENT)? {
        let is_program = path.ends_with("/qemu-ga");
        let what = if is_program { "the QEMU guest agent" } else { "a unit of the QEMU guest agent" };
        // An old tool of the vendor asks for its removal, today's image check does not; and the generic images of the RHEL
        // family have it on purpose.
        let message = format!("{what} is installed ({path}): it is of no use on ECS, and may be removed");
        let remedy = Tools::of(tree)?.remove("qemu-guest-agent");
        findings.push(finding(Rule::GQga, Severity::Info, message, remedy.as_slice()));
    }
    for (hypervisor, paths) in TOOLS {
        if let Some(path) = first(tree, paths)? {
            findings.info(Rule::GTools, leftover(hypervisor, path));
        }
    }
    let optional = tree.list("/opt")?.unwrap_or_default();
    if optional.iter().any(|name| name.starts_with(ADDITIONS.as_bytes())) {
        findings.info(Rule::GTools, leftover("VirtualBox", &format!("/opt/{ADDITIONS}*")));
    }
    if !has_assistant(tree)? {
        let message = "Cloud Assistant is not installed: commands that are sent to instances do not run";
        let install = "install it as the page \"Install the Cloud Assistant Agent\" of ECS says";
        findings.push(Finding::new(Rule::GAssist, Severity::Info, message).fixed_by(install));
    }
    if first(tree, &SECURITY_CENTER)?.is_none() {
        let message = "the agent of Security Center is not installed: instances are not watched";
        let install = "install it on the instance, by the console of Security Center, if that is wanted";
        findings.push(Finding::new(Rule::GAegis, Severity::Info, message).fixed_by(install));
    }
    Ok(())
}

fn leftover(hypervisor: &str, path: &str) -> String {
    format!("{path} is of {hypervisor}: it is of no use on ECS, and may be removed")
}

fn has_assistant(tree: &mut Tree) -> Result<bool, Reason> {
    for folder in ASSISTANTS {
        if tree.list(folder)?.is_some_and(|names| !names.is_empty()) {
            return Ok(true);
        }
    }
    Ok(first(tree, &ASSISTANT)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::memory;

    /// What is told of a guest that has the cloud's own agents, so that only others are told of.
    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let own = [("/usr/local/aegis/x", ""), ("/usr/sbin/aliyun-service", "")];
        memory::judged(check, &[&own, files].concat()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_qemu_agent_is_told_by_its_program_or_its_unit_alone() {
        let apt = ("/usr/bin/apt-get", "");
        assert_eq!(
            told(&[apt, ("/usr/sbin/qemu-ga", "")]),
            [
                "info G-QGA: the QEMU guest agent is installed (/usr/sbin/qemu-ga): it is of no use on ECS, and may be removed; \
                 apt-get purge -y qemu-guest-agent"
            ]
        );
        let unit = ("/usr/lib/systemd/system/qemu-guest-agent.service", "[Unit]\n");
        assert_eq!(told(&[unit]).len(), 1);
        assert_eq!(told(&[apt]).len(), 0);
    }

    #[test]
    fn tools_of_other_hypervisors_are_worth_knowing() {
        for (path, of) in [
            ("/usr/bin/vmtoolsd", "VMware"),
            ("/opt/VBoxGuestAdditions-7.0.20/init", "VirtualBox"),
            ("/usr/sbin/hypervkvpd", "Hyper-V"),
            ("/usr/sbin/xe-daemon", "Xen"),
            ("/usr/sbin/waagent", "Azure"),
        ] {
            let found = told(&[(path, "")]);
            assert_eq!(found.len(), 1);
            assert!(found[0].starts_with("info G-TOOLS: ") && found[0].contains(of), "{found:?}");
        }
        assert_eq!(told(&[("/opt/other/x", "")]).len(), 0);
    }

    #[test]
    fn the_agents_of_the_cloud_are_found_where_they_are_put() {
        let rules = |files: &[(&str, &str)]| -> Vec<Rule> {
            memory::judged(check, files).iter().map(|finding| finding.rule).collect()
        };
        assert_eq!(rules(&[]), [Rule::GAssist, Rule::GAegis]);
        let assistant = ("/usr/local/share/aliyun-assist/2.2.3.857/aliyun-service", "");
        assert_eq!(rules(&[assistant]), [Rule::GAegis]);
        assert_eq!(rules(&[assistant, ("/usr/local/aegis/aegis_client/x", "")]), []);
    }
}
