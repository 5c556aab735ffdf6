//! What to ask of ECS for the system that was found: what the user wishes, else what the disk says.

use super::facts::{Answer, GuestSystem, OsRelease};
use crate::finding::{Finding, Findings, Severity};
use crate::fix::Setting;
use crate::report::{DiskRole, Expected, Report, Settings};
use crate::rule::Rule;
use ossup_core::model::{Architecture, BootMode, OsType};

/// Platforms that claim nothing of the system.
const NEUTRAL: [&str; 2] = ["Others Linux", "Customized Linux"];

/// Adds to the settings of a system disk what follows from the system that was found, each with its reason, and tells
/// where the user asks for something else.
pub(super) fn settle(
    system: &GuestSystem,
    expected: &Expected,
    report: &mut Report,
    findings: &mut Findings,
) {
    if expected.role != DiskRole::System {
        return;
    }
    let told = report.findings.iter().any(|finding| finding.rule == Rule::SWin);
    let settings = &mut report.settings;
    if expected.os_type() == Some(OsType::Windows) {
        if !told {
            let title = system.os.found().map_or("a Linux", OsRelease::title);
            let asked = Finding::new(
                Rule::GOs,
                Severity::Warn,
                format!(
                    "Windows is asked for, but the disk holds {title}: the service would set up the wrong system"
                ),
            );
            findings.push(asked.fixed_by(Setting::new("--os-type", OsType::Linux.as_str())));
        }
    } else {
        settings.os_type = Some(OsType::Linux);
        settle_platform(system, expected, settings, findings);
    }
    settle_architecture(system, expected, settings, findings);
    settle_nvme(system, expected, settings, findings);
}

fn settle_platform(
    system: &GuestSystem,
    expected: &Expected,
    settings: &mut Settings,
    findings: &mut Findings,
) {
    settings.platform.clone_from(&expected.platform);
    let Answer::Found(os) = &system.os else { return };
    let title = os.title();
    match (expected.platform.as_deref(), system.platform) {
        (None, Some(platform)) => {
            settings.platform = Some(platform.to_owned());
            findings.set(Rule::GOs, format!("Platform is {platform}: the disk holds {title}"));
        }
        (None, None) => findings.set(
            Rule::GOs,
            format!(
                "Platform is Others Linux, which the service takes where none is set: the disk holds {title}"
            ),
        ),
        (Some(asked), _) if NEUTRAL.iter().any(|neutral| same(asked, neutral)) => {}
        (Some(asked), Some(platform)) if same(asked, platform) => {}
        // Without an id it is not known what it is.
        (Some(_), None) if os.id.is_none() => {}
        (Some(asked), platform) => {
            let asked: String = asked.chars().take(64).flat_map(char::escape_debug).collect();
            let warning = Finding::new(
                Rule::GOs,
                Severity::Warn,
                format!(
                    "platform {asked} is asked for, but the disk holds {title}: the service sets it up as {asked}"
                ),
            );
            findings.push(warning.fixed_by(Setting::new("--platform", platform.unwrap_or(NEUTRAL[0]))));
        }
    }
}

/// Whether two names of platforms are the same but for their spelling.
fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
    plain(one) == plain(other)
}

fn settle_architecture(
    system: &GuestSystem,
    expected: &Expected,
    settings: &mut Settings,
    findings: &mut Findings,
) {
    use Architecture::{Arm64, I386, X86_64};
    let program = match &system.init {
        Answer::Found(init) => init,
        _ => "the shell",
    };
    if let Some(machine) = system.foreign_machine {
        let (severity, named) = match machine {
            // A 64-bit kernel can run it where the processor can.
            40 => (Severity::Warn, "32-bit Arm".to_owned()),
            other => (Severity::Fix, format!("the ELF machine {other}")),
        };
        let message =
            format!("{program} is built for {named}, and ECS has no instances of that: it does not start");
        findings
            .push(Finding::new(Rule::GArch, severity, message).fixed_by("make the image of a 64-bit system"));
    }
    let Answer::Found(found) = system.architecture else { return };
    match (expected.architecture, settings.architecture) {
        (Some(asked), _) if asked == found => {}
        (Some(asked), _) => {
            // A processor of x86-64 runs what is built for its predecessor.
            let starts = matches!((asked, found), (X86_64, I386) | (I386, X86_64));
            let severity = if starts { Severity::Warn } else { Severity::Fix };
            let then = if starts { "not every instance family starts it" } else { "it does not start" };
            let message =
                format!("architecture {asked} is asked for, but {program} is built for {found}: {then}");
            let setting = Setting::new("--architecture", found.as_str());
            findings.push(Finding::new(Rule::GArch, severity, message).fixed_by(setting));
        }
        (None, Some(loader)) if loader == found => {}
        (None, Some(loader)) => findings.push(
            Finding::new(
                Rule::GArch,
                Severity::Warn,
                format!("{program} is built for {found}, but what starts it for {loader}: it may not start"),
            )
            .fixed_by("set --architecture to the one that is right"),
        ),
        // Its kernel is another: firmware of 32 bits does not exist on ECS.
        (None, None) if found == I386 && settings.boot_mode == Some(BootMode::Uefi) => {}
        (None, None) => {
            settings.architecture = Some(found);
            findings.set(Rule::GArch, format!("Architecture is {found}: {program} is built for it"));
            if found == Arm64 && expected.boot_mode.is_none() {
                settings.boot_mode = Some(BootMode::Uefi);
            }
        }
    }
}

fn settle_nvme(system: &GuestSystem, expected: &Expected, settings: &mut Settings, findings: &mut Findings) {
    settings.nvme_support = expected.nvme_support;
    match (expected.nvme_support, system.is_nvme_ready()) {
        // ECS does not take it for a system of 32 bits.
        (None, Some(true))
            if system.is_kernel_certain && settings.architecture != Some(Architecture::I386) =>
        {
            settings.nvme_support = Some(true);
            let kernel = system.kernel().map_or("", |kernel| kernel.release.as_str());
            findings.set(
                Rule::GNvme,
                format!("NvmeSupport is supported: kernel {kernel} starts from NVMe disks"),
            );
        }
        (Some(true), Some(false)) => {
            let warning = Finding::new(
                Rule::GNvme,
                Severity::Warn,
                "NvmeSupport is asked for, but the kernel that starts does not see an NVMe disk",
            );
            findings.push(warning.fixed_by(Setting::without("--nvme")));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::damage::DISKS;
    use crate::inside::facts::Driver;

    /// Settles on the fixture's system, which is a Debian for x86_64, changed as a case needs it.
    fn settled(change: impl Fn(&mut GuestSystem, &mut Expected, &mut Report)) -> (Settings, Vec<Finding>) {
        let disk = &DISKS[0];
        let mut report = disk.report.clone();
        let guest = crate::inside::look(disk.disk.clone(), &Expected::default(), &report).0;
        let Answer::Found(mut system) = guest.system else { panic!("{guest:?}") };
        let mut expected = Expected::default();
        change(&mut system, &mut expected, &mut report);
        let mut findings = Findings::default();
        settle(&system, &expected, &mut report, &mut findings);
        (report.settings, findings.0)
    }

    fn os(system: &mut GuestSystem, id: &str, platform: Option<&'static str>) {
        let os = OsRelease { id: Some(id.to_owned()), name: Some(id.to_owned()), ..OsRelease::default() };
        (system.os, system.platform) = (Answer::Found(os), platform);
    }

    /// Returns rule, severity and the setting that is advised, of each finding.
    fn told(findings: &[Finding]) -> Vec<(Rule, Severity, String)> {
        let fix = |finding: &Finding| finding.fix.as_ref().map(ToString::to_string).unwrap_or_default();
        findings.iter().map(|finding| (finding.rule, finding.severity, fix(finding))).collect()
    }

    #[test]
    fn what_nobody_asked_for_follows_from_the_disk() {
        let (settings, findings) = settled(|_, _, _| {});
        assert_eq!(settings.os_type, Some(OsType::Linux));
        assert_eq!(settings.platform.as_deref(), Some("Debian"));
        assert_eq!(settings.architecture, Some(Architecture::X86_64));
        assert_eq!(settings.nvme_support, Some(true), "the newest kernel has it built in");
        let rules: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.severity)).collect();
        let set = |rule| (rule, Severity::Set);
        assert_eq!(rules, [set(Rule::GOs), set(Rule::GArch), set(Rule::GNvme)]);
        assert!(findings[0].message.contains("Debian GNU/Linux 12"), "{}", findings[0]);
        assert!(findings[1].message.contains("/usr/lib/systemd/systemd"), "{}", findings[1]);
        assert_eq!(settled(|_, _, _| {}), (settings, findings), "the same disk gives the same settings");
    }

    #[test]
    fn a_data_disk_has_no_settings_of_a_system() {
        let (settings, findings) = settled(|_, expected, _| expected.role = DiskRole::Data);
        assert_eq!((settings.platform, settings.os_type, findings), (None, None, vec![]));
    }

    #[test]
    fn what_is_asked_for_stays_and_a_contradiction_is_told() {
        let asking = |platform: &'static str| {
            settled(move |_, expected, _| expected.platform = Some(platform.to_owned()))
        };
        for fits in ["Debian", "debian", "Others Linux", "Customized Linux"] {
            let (settings, findings) = asking(fits);
            assert_eq!(settings.platform.as_deref(), Some(fits));
            assert!(findings.iter().all(|finding| finding.rule != Rule::GOs), "{fits}: {findings:?}");
        }
        let (settings, findings) = asking("Ubuntu");
        assert_eq!(settings.platform.as_deref(), Some("Ubuntu"));
        assert_eq!(told(&findings)[0], (Rule::GOs, Severity::Warn, "--platform Debian".to_owned()));
        let (settings, findings) = asking("Windows Server 2022");
        assert_eq!((settings.platform, settings.os_type), (None, None));
        assert_eq!(told(&findings)[0], (Rule::GOs, Severity::Warn, "--os-type linux".to_owned()));
    }

    #[test]
    fn a_derivative_is_not_declared_as_its_parent() {
        let (settings, findings) = settled(|system, _, _| os(system, "gardenlinux", None));
        assert_eq!(settings.platform, None);
        assert!(findings[0].message.contains("Others Linux") && findings[0].severity == Severity::Set);
        let (_, findings) = settled(|system, expected, _| {
            os(system, "gardenlinux", None);
            expected.platform = Some("Debian".to_owned());
        });
        assert_eq!(told(&findings)[0], (Rule::GOs, Severity::Warn, "--platform 'Others Linux'".to_owned()));
        // What has no id may be anything.
        let (_, findings) = settled(|system, expected, _| {
            system.os = Answer::Found(OsRelease {
                name: Some("CentOS release 6".to_owned()),
                ..OsRelease::default()
            });
            system.platform = None;
            expected.platform = Some("CentOS".to_owned());
        });
        assert_ne!(findings[0].rule, Rule::GOs);
    }

    #[test]
    fn only_an_architecture_that_certainly_does_not_start_is_refused() {
        use Architecture::{Arm64, I386, X86_64};
        let asking = |asked: Architecture, found: Architecture| {
            let (settings, findings) = settled(|system, expected, report| {
                system.architecture = Answer::Found(found);
                expected.architecture = Some(asked);
                report.settings.architecture = Some(asked);
            });
            assert_eq!(settings.architecture, Some(asked));
            findings.iter().find(|finding| finding.rule == Rule::GArch).map(|finding| finding.severity)
        };
        assert_eq!(asking(X86_64, X86_64), None);
        assert_eq!(asking(X86_64, Arm64), Some(Severity::Fix));
        assert_eq!(asking(Arm64, X86_64), Some(Severity::Fix));
        assert_eq!(asking(X86_64, I386), Some(Severity::Warn));
        let of_machine = |machine| {
            let (settings, findings) = settled(|system, _, _| {
                (system.architecture, system.foreign_machine) = (Answer::Absent, Some(machine));
            });
            assert_eq!(settings.architecture, None);
            findings.iter().find(|finding| finding.rule == Rule::GArch).map(|finding| finding.severity)
        };
        assert_eq!((of_machine(40), of_machine(243)), (Some(Severity::Warn), Some(Severity::Fix)));
    }

    #[test]
    fn the_loader_and_the_system_may_be_of_different_architectures() {
        let (settings, findings) =
            settled(|_, _, report| report.settings.architecture = Some(Architecture::Arm64));
        assert_eq!(settings.architecture, Some(Architecture::Arm64));
        assert!(told(&findings).contains(&(
            Rule::GArch,
            Severity::Warn,
            "set --architecture to the one that is right".to_owned()
        )));
        let (settings, _) = settled(|system, _, report| {
            system.architecture = Answer::Found(Architecture::I386);
            report.settings.boot_mode = Some(BootMode::Uefi);
        });
        assert_eq!(settings.architecture, None, "no 32-bit system boots with UEFI on ECS");
        let (settings, _) = settled(|system, _, _| system.architecture = Answer::Found(Architecture::Arm64));
        assert_eq!(settings.boot_mode, Some(BootMode::Uefi));
    }

    #[test]
    fn nvme_is_declared_only_where_it_is_certain() {
        let nvme = |found: Answer<Driver>, asked: Option<bool>, certain: bool| {
            settled(|system, expected, _| {
                let Answer::Found(kernels) = &mut system.kernels else { panic!("{system:?}") };
                for drivers in kernels.iter_mut().filter_map(|kernel| kernel.drivers.as_mut()) {
                    drivers.nvme = found.clone();
                    drivers.initramfs = Answer::Unread(String::new());
                }
                (system.is_kernel_certain, expected.nvme_support) = (certain, asked);
            })
        };
        let built_in = Answer::Found(Driver::BuiltIn);
        assert_eq!(nvme(built_in.clone(), None, true).0.nvme_support, Some(true));
        assert_eq!(nvme(built_in.clone(), None, false).0.nvme_support, None, "another kernel may start");
        assert_eq!(nvme(built_in, Some(false), true).0.nvme_support, Some(false), "the user's word");
        assert_eq!(nvme(Answer::Found(Driver::Module), None, true).0.nvme_support, None);
        assert_eq!(nvme(Answer::Unread(String::new()), None, true).0.nvme_support, None);
        let (settings, findings) = nvme(Answer::Absent, Some(true), true);
        assert_eq!(settings.nvme_support, Some(true));
        assert!(told(&findings).contains(&(Rule::GNvme, Severity::Warn, "no --nvme".to_owned())));
    }
}
