//! Programs of hypervisors and of the cloud.

use super::{Reason, Scene, finding};
use crate::image::finding::{Findings, Severity};
use crate::image::inside::tools::Tools;
use crate::image::rule::Rule;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    for path in ["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"] {
        if scene.tree.has(path)? {
            let remedy = Tools::of(scene.tree)?.remove("qemu-guest-agent");
            let message = format!("the QEMU guest agent is installed ({path}): services of ECS may fail");
            findings.push(finding(Rule::GQga, Severity::Warn, message, remedy.as_slice()));
            break;
        }
    }
    Ok(())
}
