//! What to ask of ECS for the Windows that was found: what the user wishes, else what the disk says.

use crate::finding::{Finding, Findings, Severity};
use crate::fix::{Fix, Setting};
use crate::inside::facts::{Answer, WindowsSystem};
use crate::report::{DiskRole, Expected, Report};
use crate::rule::Rule;
use ossup_core::model::{Architecture, OsType};

/// The platform that claims nothing but that it is a Windows.
const NEUTRAL: &str = "Other Windows";

/// Says the platform that the disk holds where the file systems alone only told that it is a Windows.
fn name_platform(platform: &str, findings: &mut [Finding]) {
    let fixes = findings
        .iter_mut()
        .filter(|finding| finding.rule == Rule::SWin)
        .filter_map(|finding| finding.fix.as_mut());
    for fix in fixes {
        if let Fix::Set(settings) = fix {
            for setting in settings.iter_mut().filter(|setting| setting.option == "--platform") {
                setting.value = Some(platform.to_owned());
            }
        }
    }
}

/// Adds to the settings of a system disk what follows from a Windows, and tells where the user asks for something else.
/// Whether Windows is asked for at all is told by what the file systems are.
pub(in crate::inside) fn settle(
    system: &WindowsSystem,
    expected: &Expected,
    report: &mut Report,
    findings: &mut Findings,
) {
    if let Some(platform) = system.platform {
        name_platform(platform, &mut report.findings);
    }
    if expected.role != DiskRole::System || expected.os_type() == Some(OsType::Linux) {
        return;
    }
    let product = system.product.found().map_or("a Windows", String::as_str);
    if expected.os_type().is_none() {
        // What its file systems alone told is settled by that.
        report.findings.retain(|finding| finding.rule != Rule::SWin);
        findings.set(Rule::GOs, format!("OSType is windows: the disk holds {product}"));
    }
    let settings = &mut report.settings;
    settings.os_type = Some(OsType::Windows);
    settings.platform.clone_from(&expected.platform);
    match (expected.platform.as_deref(), system.platform) {
        (None, Some(platform)) => {
            settings.platform = Some(platform.to_owned());
            findings.set(Rule::GOs, format!("Platform is {platform}: the disk holds {product}"));
        }
        (Some(asked), Some(platform)) if asked != platform && asked != NEUTRAL => {
            let message = format!(
                "platform {} is asked for, but the disk holds {product}: the service sets it up as that",
                asked.chars().take(64).flat_map(char::escape_debug).collect::<String>()
            );
            findings.push(
                Finding::new(Rule::GOs, Severity::Warn, message)
                    .fixed_by(Setting::new("--platform", platform)),
            );
        }
        _ => {}
    }
    let Answer::Found(found) = system.architecture else { return };
    match expected.architecture {
        Some(asked) if asked == found => {}
        Some(asked) => {
            let severity = match asked == Architecture::Arm64 || found == Architecture::Arm64 {
                true => Severity::Fix,
                false => Severity::Warn,
            };
            let message = format!("{asked} is asked for, but the Windows on the disk is for {found}");
            let fix = Setting::new("--architecture", found.as_str());
            findings.push(Finding::new(Rule::GArch, severity, message).fixed_by(fix));
        }
        None if settings.architecture != Some(found) => {
            settings.architecture = Some(found);
            findings.set(Rule::GArch, format!("Architecture is {found}: the Windows on the disk is for it"));
        }
        None => {}
    }
}
