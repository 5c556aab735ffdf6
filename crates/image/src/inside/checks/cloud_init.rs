//! Whether cloud-init sets up an instance on ECS.

use super::{Reason, Scene, finding};
use crate::finding::{Findings, Severity};
use crate::inside::cloud_init::{self, Elsewhere, Evidence, IDENTIFY, Obstacle, Setting, Sources, Version};
use crate::inside::facts::{Ignition, Told};
use crate::inside::text::{is_plain, shown};
use crate::inside::tools::{Packages, Services, Tools};
use crate::rule::Rule;

const THEN: &str = "ECS sets no password, no SSH key and no host name";
/// What the installer of Ubuntu Server leaves behind, so that its own set-up is the last.
const INSTALLER: &str = "/etc/cloud/cloud.cfg.d/99-installer.cfg";
/// What is there until Fedora CoreOS was started once.
const FIRST_START: &str = "/boot/ignition.firstboot";
/// What is read last of all usual names.
const OURS: &str = "/etc/cloud/cloud.cfg.d/zz-ecs.cfg";
const CLEAN: &str = "cloud-init clean";
/// Its services have other names from 24.3 on; those that are not there do no harm.
const ENABLE: &str = "for unit in cloud-init-main cloud-init-local cloud-init cloud-init-network cloud-config \
                      cloud-final; do systemctl enable \"$unit.service\" 2>/dev/null || true; done";

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let Some(evidence) = cloud_init::read(scene.tree, &scene.system.boot_entries)? else {
        match &scene.system.ignition {
            // It runs at the first start alone, which it knows by this file.
            Some(found) => ignition(found, !scene.tree.has(FIRST_START)?, findings),
            None => missing(&Tools::of(scene.tree)?, findings),
        }
        return Ok(());
    };
    let tools = Tools::of(scene.tree)?;
    version(&evidence, findings);
    off(&evidence, &tools, findings);
    sources(&evidence, &tools, findings);
    let unread = [
        evidence.unread,
        evidence.sources.err(),
        evidence.keeps_cache.err(),
        evidence.one_source.err(),
        evidence.argument.err(),
        evidence.seed.err(),
        evidence.network.err(),
    ];
    match unread.into_iter().flatten().next() {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// Judges where Ignition takes its configuration from. Fedora CoreOS has an image of its own for each platform; how the
/// names of Flatcar are taken is not documented for ECS.
fn ignition(found: &Ignition, has_run: bool, findings: &mut Findings) {
    let Told::No(why) = &found.finds_ecs else { return };
    let is_certain = !why.starts_with("/oem");
    let severity = if is_certain && !has_run { Severity::Warn } else { Severity::Info };
    let message = format!(
        "{why}, not aliyun: Ignition does not take the user data of ECS, which sets up no SSH key and no password"
    );
    let remedy = "take the image that is made for aliyun (Alibaba Cloud), or have the argument \
                  ignition.platform.id=aliyun in its place";
    findings.push(crate::finding::Finding::new(Rule::GCiDs, severity, message).fixed_by(remedy));
}

fn missing(tools: &Tools, findings: &mut Findings) {
    let mut commands: Vec<_> = tools.install("cloud-init").into_iter().collect();
    if !commands.is_empty() {
        match (tools.services, tools.packages) {
            (Services::OpenRc, Some(Packages::Apk)) => commands.push("setup-cloud-init".to_owned()),
            // Of Debian and Ubuntu the package does that.
            (Services::Systemd, Some(packages)) if packages != Packages::Apt => {
                commands.push(ENABLE.to_owned())
            }
            _ => {}
        }
    }
    findings.push(finding(
        Rule::GCiVer,
        Severity::Warn,
        format!("cloud-init is not installed: {THEN}"),
        &commands,
    ));
}

fn version(evidence: &Evidence, findings: &mut Findings) {
    let Some(version) = &evidence.version else { return };
    if cloud_init::version_of(version) != Version::Old {
        return;
    }
    let message = format!(
        "cloud-init {version} in {} is older than 18 and no build of Alibaba Cloud: it may not know the metadata of \
         ECS, and then {THEN}",
        evidence.folder
    );
    let remedy = "install the newest cloud-init that the distribution has, or that of the page on installing \
                  cloud-init, which also has builds for older systems";
    findings.push(crate::finding::Finding::new(Rule::GCiVer, Severity::Warn, message).fixed_by(remedy));
}

fn off(evidence: &Evidence, tools: &Tools, findings: &mut Findings) {
    for obstacle in &evidence.obstacles {
        let message = format!("cloud-init is installed but off, since {}: {THEN}", obstacle.because());
        findings.push(finding(Rule::GCiOff, Severity::Warn, message, &switched_on(obstacle, tools)));
    }
    if let Ok(Some(Setting { file, line, .. })) = &evidence.keeps_cache {
        let message = format!(
            "{file} line {line} says manual_cache_clean: true: an instance on ECS keeps what cloud-init learnt of the \
             machine that the image was made on"
        );
        let mut commands = Vec::new();
        if is_plain(file) {
            commands.push(format!("sed -i 's/^manual_cache_clean:.*/manual_cache_clean: false/' {file}"));
            commands.push(CLEAN.to_owned());
        }
        findings.push(finding(Rule::GCiOff, Severity::Warn, message, &commands));
    }
}

fn switched_on(obstacle: &Obstacle, tools: &Tools) -> Vec<String> {
    match obstacle {
        Obstacle::File(path) => vec![format!("rm -f {path}")],
        Obstacle::Argument(..) => without("cloud-init=disabled", tools),
        Obstacle::Policy(_) => {
            vec![format!("sed -i 's/^[[:space:]]*policy[[:space:]]*:.*/policy: enabled/' {IDENTIFY}")]
        }
        Obstacle::Masked(units) => {
            let names: Vec<_> = units.iter().map(|(_, name)| *name).collect();
            vec![format!("systemctl unmask {}", names.join(" ")), ENABLE.to_owned()]
        }
        Obstacle::NotEnabled => match (tools.services, tools.packages) {
            (Services::Systemd, _) => vec![ENABLE.to_owned()],
            (Services::OpenRc, Some(Packages::Apk)) => vec!["setup-cloud-init".to_owned()],
            _ => Vec::new(),
        },
    }
}

/// Returns the commands that take what fits a pattern out of the arguments of kernels: out of the files that a boot
/// loader's configuration is made of, whichever of them there are.
fn without(pattern: &str, tools: &Tools) -> Vec<String> {
    let mut commands = vec![format!(
        "for file in /etc/default/grub /etc/default/grub.d/*.cfg /etc/kernel/cmdline \
         /boot/loader/entries/*.conf; do if [ -f \"$file\" ]; then sed -i 's/ *{pattern}//g' \
         \"$file\"; fi; done"
    )];
    commands.extend(tools.loader.map(str::to_owned));
    commands
}

/// Returns the commands that take away the argument that names a data source; none for a whole configuration.
fn without_argument(key: &str, tools: &Tools) -> Vec<String> {
    match key {
        "cc:" => Vec::new(),
        key => without(&format!("\\<{}=[^ \"]*", key.replace('.', "\\.")), tools),
    }
}

fn sources(evidence: &Evidence, tools: &Tools, findings: &mut Findings) {
    if let Ok(Some(found @ Elsewhere::Argument { key, .. })) = &evidence.argument {
        if let Told::No(_) = evidence.facts().finds_ecs {
            let message = format!("{}: cloud-init looks for no other, and {THEN}", found.because());
            findings.push(finding(Rule::GCiDs, Severity::Warn, message, &without_argument(key, tools)));
        }
        return;
    }
    let finds = evidence.finds_by_files();
    if let (Ok(Some((line, source))), Told::No(_)) = (&evidence.one_source, &finds) {
        let source = shown(source.as_bytes());
        let message =
            format!("{IDENTIFY} line {line} says datasource: {source}: cloud-init sees no ECS, and {THEN}");
        let command = format!("sed -i '/^[[:space:]]*datasource[[:space:]]*:/d' {IDENTIFY}");
        findings.push(finding(Rule::GCiDs, Severity::Warn, message, &[command, CLEAN.to_owned()]));
        return;
    }
    if finds.is_yes() {
        return;
    }
    if let (Ok(Some(seed @ Elsewhere::Seed(folder))), Told::No(why)) = (&evidence.seed, &finds)
        && *why == seed.because()
    {
        let message = format!("{why}: cloud-init takes them before what ECS has, and {THEN}");
        let commands = [format!("rm -rf {folder}"), CLEAN.to_owned()];
        findings.push(finding(Rule::GCiDs, Severity::Warn, message, &commands));
        return;
    }
    let Ok(Some(setting)) = &evidence.sources else { return };
    let (Setting { file, .. }, said) = (setting, setting.said());
    let message = match (&finds, file == INSTALLER) {
        (_, true) => {
            format!("{said}, as the installer of Ubuntu leaves it: cloud-init sees no ECS, and {THEN}")
        }
        (Told::Unread(_), _) => format!(
            "{said} in lines of their own, which ds-identify does not read: cloud-init may see no ECS, and then {THEN}"
        ),
        _ => format!("{said}: cloud-init sees no ECS, and {THEN}"),
    };
    findings.push(finding(Rule::GCiDs, Severity::Warn, message, &with_ecs(setting)));
}

/// Returns the commands that have cloud-init look for ECS.
fn with_ecs(setting: &Setting<Sources>) -> Vec<String> {
    let first = match &*setting.file {
        INSTALLER => {
            format!("rm -f {INSTALLER} /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg")
        }
        file if file < OURS || file == "/etc/cloud/cloud.cfg" => {
            format!("echo 'datasource_list: [ AliYun, None ]' > {OURS}")
        }
        // What decides is read after ours.
        file if setting.value.is_one_line && is_plain(file) => {
            format!("sed -i 's/^datasource_list:.*/datasource_list: [ AliYun, None ]/' {file}")
        }
        _ => return Vec::new(),
    };
    vec![first, CLEAN.to_owned()]
}

#[cfg(test)]
#[path = "cloud_init_tests.rs"]
mod tests;
