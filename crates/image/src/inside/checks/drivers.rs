//! Whether the kernel that starts sees its disk and its network on ECS.

use super::{Reason, Scene, finding};
use crate::finding::{Finding, Findings, Severity};
use crate::fix::Fix;
use crate::inside::facts::{Answer, BootEntry, Driver, Drivers};
use crate::inside::initramfs::{Hint, hint};
use crate::inside::tools::Tools;
use crate::rule::Rule;
use ossup_core::model::Architecture;

/// Platforms whose passwords the service hands over by `qemu_fw_cfg` only.
const BY_FW_CFG: [&str; 6] = ["CentOS Stream", "Anolis", "AlmaLinux", "UOS", "Kylin", "Rocky Linux"];

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let system = scene.system;
    if let Answer::Unread(reason) = &system.kernels {
        return Err(reason.clone());
    }
    let Some(kernel) = system.kernel() else {
        let message = "no kernel with modules is installed (/lib/modules): its drivers are not known";
        findings.info(Rule::GKernel, message);
        return Ok(());
    };
    let count = system.kernels.found().map_or(0, Vec::len);
    findings.info(Rule::GKernel, told(&kernel.release, system.is_kernel_certain, count));
    let Some(drivers) = &kernel.drivers else { return Ok(()) };
    let tools = Tools::of(scene.tree);
    let hint = match is_open(drivers) {
        true => hint(scene.tree).unwrap_or(None),
        false => None,
    };
    let entries = system.boot_entries.found();
    let judged = Judged {
        release: &kernel.release,
        is_certain: system.is_kernel_certain,
        drivers,
        entry: entries.and_then(|entries| entries.iter().find(|entry| entry.is_default)),
        needs_fw_cfg: system.platform.is_some_and(|platform| BY_FW_CFG.contains(&platform))
            || system.architecture == Answer::Found(Architecture::Arm64),
        // Without them there are words instead of commands.
        tools: tools.as_ref().copied().unwrap_or_default(),
        hint,
    };
    judge(&judged, findings);
    tools.map(drop)
}

/// Whether something of the initial RAM file system could not be told.
fn is_open(drivers: &Drivers) -> bool {
    drivers.disk_drivers().iter().any(|(name, _)| drivers.is_early(name).is_none())
}

/// Tells which of the kernels is judged, and why.
fn told(release: &str, is_certain: bool, count: usize) -> String {
    let why = match (is_certain, count) {
        (_, ..=1) => "it is the only one with modules".to_owned(),
        (true, _) => format!("the boot loader starts it of {count} that are installed"),
        (false, _) => format!("it is the newest of {count}, and which of them starts could not be told"),
    };
    format!("kernel {release} is looked at: {why}")
}

/// What the verdicts follow from.
struct Judged<'a> {
    /// The kernel that starts.
    release: &'a str,
    /// Whether it is certain that it does.
    is_certain: bool,
    drivers: &'a Drivers,
    /// What the boot loader starts by default.
    entry: Option<&'a BootEntry>,
    needs_fw_cfg: bool,
    tools: Tools,
    hint: Option<Hint>,
}

fn judge(judged: &Judged<'_>, findings: &mut Findings) {
    judged.disk(
        Rule::GVirtio,
        &["virtio_blk", "virtio_pci"],
        "the system stops before its root is mounted, since its disk is attached by virtio",
        findings,
    );
    judged.network(findings);
    judged.disk(
        Rule::GNvme,
        &["nvme"],
        "it does not start where disks are attached by NVMe (g7se, g8i and others), and NvmeSupport must not be declared",
        findings,
    );
    // That it is ready is told by the setting that follows.
    if judged.drivers.is_nvme_ready() == Some(true) {
        judged.nvme_timeout(findings);
    }
    judged.fw_cfg(findings);
    judged.age(findings);
}

impl Judged<'_> {
    /// Judges drivers that have to be there before the root is mounted.
    fn disk(&self, rule: Rule, modules: &[&'static str], then: &str, findings: &mut Findings) {
        let release = self.release;
        let those = |wanted: &dyn Fn(&Answer<Driver>, Option<bool>) -> bool| -> Vec<&str> {
            let all = self.drivers.disk_drivers().into_iter().filter(|(name, _)| modules.contains(name));
            all.filter(|(name, driver)| wanted(driver, self.drivers.is_early(name)))
                .map(|(name, _)| name)
                .collect()
        };
        let absent = those(&|driver, _| *driver == Answer::Absent);
        let late = those(&|driver, early| *driver != Answer::Absent && early == Some(false));
        let open = those(&|_, early| early.is_none());
        if !absent.is_empty() {
            let message = format!(
                "kernel {release} has no {}, neither built in nor as a module: {then}",
                list(&absent)
            );
            let finding = finding(rule, self.severity(rule, true), message, &[]);
            findings.push(finding.fixed_by(Fix::Do(format!(
                "install a kernel that has {}, such as the usual one of the distribution",
                list(modules)
            ))));
        }
        if !late.is_empty() {
            let (place, is_proved) = match &self.drivers.initramfs {
                Answer::Found(initramfs) => (format!("not in {}", initramfs.file), initramfs.any_module),
                // One may be part of the kernel itself.
                _ => ("there is no initial RAM file system".to_owned(), false),
            };
            let message = format!("kernel {release} has {} as a module, and {place}: {then}", list(&late));
            let commands = self.tools.add_to_initramfs(&self.modules());
            let made = finding(rule, self.severity(rule, is_proved), message, &commands);
            findings.push(match commands.is_empty() {
                true => made.fixed_by(Fix::Do(format!(
                    "have {} put into the initial RAM file system, and make that again",
                    list(&late)
                ))),
                false => made,
            });
        }
        if !open.is_empty() {
            let reason = self.why_open(&open);
            let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            let names = list(&open);
            let message = format!(
                "whether kernel {release} has {names} before its root is mounted could not be told: {reason}{hint}"
            );
            findings.info(rule, message);
        }
    }

    /// Returns how bad a driver's lack is, if it is proved.
    fn severity(&self, rule: Rule, is_proved: bool) -> Severity {
        match rule {
            Rule::GVirtio if is_proved && self.is_certain => Severity::Fix,
            Rule::GVirtio => Severity::Warn,
            _ => Severity::Info,
        }
    }

    /// Returns the drivers of disks and of the network that are modules of this kernel: another one cannot be asked for.
    fn modules(&self) -> Vec<&'static str> {
        let net = ("virtio_net", &self.drivers.virtio_net);
        let all = self.drivers.disk_drivers().into_iter().chain([net]);
        all.filter(|(_, driver)| driver.found() == Some(&Driver::Module)).map(|(name, _)| name).collect()
    }

    fn why_open(&self, open: &[&str]) -> Reason {
        let unread = self.drivers.disk_drivers().into_iter().find_map(|(name, driver)| match driver {
            Answer::Unread(reason) if open.contains(&name) => Some(reason.clone()),
            _ => None,
        });
        unread.unwrap_or_else(|| match &self.drivers.initramfs {
            Answer::Found(initramfs) => {
                let reason = initramfs.unread.as_deref().unwrap_or("it was not read");
                format!("{}: {reason}", initramfs.file)
            }
            Answer::Absent => "there is no initial RAM file system".to_owned(),
            Answer::Unread(reason) => format!("its initial RAM file system was not read: {reason}"),
        })
    }

    fn network(&self, findings: &mut Findings) {
        if self.drivers.virtio_net == Answer::Absent {
            let release = self.release;
            let message = format!(
                "kernel {release} has no virtio_net, neither built in nor as a module: the instance has no network"
            );
            let finding = Finding::new(Rule::GVnet, Severity::Warn, message);
            findings.push(finding.fixed_by(Fix::Do(
                "install a kernel that has virtio_net, such as the usual one of the distribution".to_owned(),
            )));
        }
    }

    /// Judges how long NVMe waits: a disk of the cloud may take longer than one in the machine.
    fn nvme_timeout(&self, findings: &mut Findings) {
        let Some(entry) = self.entry else { return };
        let is_set =
            ["nvme_core.io_timeout", "nvme.io_timeout"].iter().any(|name| entry.argument(name).is_some());
        if is_set || entry.kernel.is_none() {
            return;
        }
        let message = format!(
            "{} line {} gives the kernel no nvme_core.io_timeout: after 30 seconds without an answer of an NVMe disk, \
             as may be in the cloud, its file systems fail",
            entry.file, entry.line
        );
        // Before 4.15 it was a number of up to 255, and the driver refuses a larger one.
        let commands = match version(self.release) >= [4, 15, 0] {
            true => self.tools.add_to_kernel("nvme_core.io_timeout", "4294967295"),
            false => Vec::new(),
        };
        let made = finding(Rule::GNvmeTo, Severity::Info, message, &commands);
        findings.push(match commands.is_empty() {
            true => made.fixed_by(Fix::Do(
                "give the kernel the argument nvme_core.io_timeout=4294967295, or 255 before Linux 4.15"
                    .to_owned(),
            )),
            false => made,
        });
    }

    fn fw_cfg(&self, findings: &mut Findings) {
        if self.drivers.fw_cfg != Answer::Absent {
            return;
        }
        let severity = if self.needs_fw_cfg { Severity::Warn } else { Severity::Info };
        let message = format!(
            "kernel {} has no qemu_fw_cfg (CONFIG_FW_CFG_SYSFS): a password or key may not reach the instance from outside",
            self.release
        );
        let finding = Finding::new(Rule::GFwcfg, severity, message);
        findings.push(finding.fixed_by(Fix::Do(
            "install a kernel that has it: Linux 4.6 or newer with CONFIG_FW_CFG_SYSFS=m".to_owned(),
        )));
    }

    fn age(&self, findings: &mut Findings) {
        let release = self.release;
        let is_old = version(release) < [2, 6, 32] && version(release) != [0; 3];
        if is_old {
            let message = format!(
                "kernel {release} is older than 2.6.32: instance families of today, from g6 and c6 on, may not start it"
            );
            let finding = Finding::new(Rule::GMoc, Severity::Info, message);
            findings
                .push(finding.fixed_by(Fix::Do("move to a newer release of the distribution".to_owned())));
        }
    }
}

fn list(modules: &[&str]) -> String {
    modules.join(" and ")
}

/// Returns the first three numbers of a release; zeros if it has none.
fn version(release: &str) -> [u32; 3] {
    let numbers = release.split('-').next().unwrap_or_default().split('.');
    let mut version = [0; 3];
    for (place, number) in version.iter_mut().zip(numbers) {
        let digits = number.find(|char: char| !char.is_ascii_digit()).map_or(number, |end| &number[..end]);
        *place = digits.parse().unwrap_or(0);
    }
    version
}

#[cfg(test)]
#[path = "drivers_tests.rs"]
mod tests;
