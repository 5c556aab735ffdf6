//! What mends a guest, as a shell script.

use std::fmt::Write as _;

use ossup::image::{Answer, Finding, Report, Severity};

use crate::ui::advice::{self, Subject};
use crate::ui::{printable, quoted};

/// Returns a POSIX shell script of all remedies that were found, the worst first, each of which may be run again.
pub(super) fn script(name: &str, subject: &Subject, report: &Report) -> String {
    let mut text = format!(
        "#!/bin/sh\n\
         # What mends {} for ECS. Run it as root in the guest, or in a chroot to its root; it may be run again.\n\
         # Where virt-customize is installed, it runs it in the image: virt-customize -a {} --run THIS_FILE\n\
         set -eu\n",
        printable(name),
        quoted(name.as_bytes()),
    );
    let findings = report.worst_first();
    let commands = |finding: &Finding| {
        finding.fix.as_ref().map(|fix| advice::in_guest(fix).to_vec()).unwrap_or_default()
    };
    for finding in &findings {
        let commands = commands(finding);
        if !commands.is_empty() {
            let _ = writeln!(text, "\n{}", comment(finding, ""));
            commands.iter().for_each(|command| {
                let _ = writeln!(text, "{command}");
            });
        }
    }
    let by_hand =
        findings.iter().filter(|finding| finding.severity >= Severity::Warn && commands(finding).is_empty());
    for finding in by_hand {
        let fix = finding.fix.as_ref().map(|fix| format!(" ({})", advice::text(fix, Some(subject))));
        let _ = writeln!(text, "\n# Not mended here:\n{}", comment(finding, &fix.unwrap_or_default()));
    }
    let system = report.guest.as_ref().and_then(|guest| guest.system.found());
    if system.is_some_and(|system| matches!(system.cloud_init, Answer::Found(_))) {
        text += "\n# What cloud-init knows of this machine is forgotten, so that each instance is set up anew.\n\
                 cloud-init clean\n";
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns a finding as one line of comment.
fn comment(finding: &Finding, fix: &str) -> String {
    let text = format!("# {} {}: {}{fix}", finding.severity, finding.rule, finding.message);
    printable(&text).into_owned()
}
