//! Whether a new instance can be reached by SSH, and is the only one with its keys.

use super::{Reason, Scene, finding};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{Answer, CloudInit, Told};
use crate::inside::text::{lines, shown};
use crate::inside::tools::Tools;
use crate::inside::tree::Tree;
use crate::inside::units::{Init, Unit, Units};
use crate::rule::Rule;

/// Units that start a server, that of Debian first.
const UNITS: [&str; 6] =
    ["ssh.service", "ssh.socket", "sshd.service", "sshd.socket", "dropbear.service", "dropbear.socket"];
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/sbin/dropbear"];
/// Units that make host keys if there are none.
const KEY_MAKERS: [&str; 5] = [
    "sshd-keygen.target",
    "sshd-keygen.service",
    "sshd-keygen@.service",
    "sshdgenkeys.service",
    "ssh-keygen.service",
];
/// The configuration of OpenSSH: the administrator's, and where SUSE has its own.
const CONFIGS: [&str; 2] = ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"];
/// Keeps the units of Debian and Ubuntu from being started.
const NOT_TO_BE_RUN: &str = "/etc/ssh/sshd_not_to_be_run";
/// Most files that a line of the configuration includes.
const MOST_INCLUDED: usize = 32;
const LONGEST: usize = 64 << 10;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let units = Units::of(scene.tree)?;
    let mut states = Vec::new();
    for unit in UNITS {
        states.push((unit, state(scene.tree, &units, unit)?));
    }
    let mut program = None;
    for path in PROGRAMS {
        if program.is_none() && scene.tree.has(path)? {
            program = Some(path);
        }
    }
    let kept_off = scene.tree.has("/etc/debian_version")? && scene.tree.has(NOT_TO_BE_RUN)?;
    let tools = Tools::of(scene.tree)?;
    if let Some(found) = judge_start(&states, program, kept_off, &tools) {
        findings.push(found);
        return Ok(());
    }
    if program.is_some_and(|path| path.ends_with("/dropbear")) {
        return Ok(());
    }
    judge_config(&config(scene.tree)?, findings);
    let keys = keys(scene.tree)?;
    let by_cloud_init = cloud_init_runs(&scene.system.cloud_init)? && !keeps_keys(scene.tree)?;
    if !by_cloud_init {
        judge_keys(keys.as_deref(), makes_keys(scene.tree, &units)?, findings);
    }
    Ok(())
}

/// Tells how a unit stands; a socket that hands over to a service is of no use if that is masked.
fn state(tree: &mut Tree, units: &Units, unit: &str) -> Result<Unit, Reason> {
    let state = units.state(tree, unit)?;
    if let (Unit::Starts(_), Some(name)) = (&state, unit.strip_suffix(".socket"))
        && let masked @ Unit::Masked(_) = units.state(tree, &format!("{name}.service"))?
        && !units.text(tree, unit)?.is_some_and(|text| text.contains("Accept=yes"))
    {
        return Ok(masked);
    }
    Ok(state)
}

/// Says why no server starts, if so.
fn judge_start(
    states: &[(&str, Unit)],
    program: Option<&str>,
    kept_off: bool,
    tools: &Tools,
) -> Option<Finding> {
    const THEN: &str = "no SSH server starts at boot";
    let starts = states.iter().any(|(_, state)| matches!(state, Unit::Starts(_)));
    if starts && !kept_off {
        return None;
    }
    if starts {
        let message = format!("{NOT_TO_BE_RUN} keeps the SSH server off: {THEN}");
        return Some(finding(Rule::GSshd, Severity::Warn, message, &[format!("rm -f {NOT_TO_BE_RUN}")]));
    }
    let masked = states.iter().find_map(|(unit, state)| match state {
        Unit::Masked(path) => Some((*unit, format!("{unit} is masked by {path}"))),
        _ => None,
    });
    let disabled = || {
        let (unit, _) = states.iter().find(|(_, state)| *state == Unit::Disabled)?;
        Some((*unit, format!("{unit} is installed but not enabled")))
    };
    Some(match (masked.or_else(disabled), program) {
        (Some((unit, why)), _) => {
            let service = unit.split_once('.').map_or(unit, |(service, _)| service);
            finding(Rule::GSshd, Severity::Warn, format!("{why}: {THEN}"), &[tools.enable(service)])
        }
        (None, Some(program)) => {
            let message = format!("{program} is there, but nothing that starts it: {THEN}");
            finding(Rule::GSshd, Severity::Warn, message, &[])
        }
        (None, None) => {
            let message = format!("no SSH server is installed: {THEN}");
            finding(Rule::GSshd, Severity::Warn, message, tools.install_ssh_server().as_slice())
        }
    })
}

/// A line of the configuration: its place, the keyword in small letters, and the value.
type Line = (String, String, String);

/// Reads the lines of the configuration that hold for everyone, with those of the files that it includes.
fn config(tree: &mut Tree) -> Result<Vec<Line>, Reason> {
    let mut all = Vec::new();
    for path in CONFIGS {
        let Some(bytes) = tree.read(path, LONGEST)? else { continue };
        for line in general(path, &bytes) {
            match line.2.strip_suffix("/*.conf").filter(|_| line.1 == "include") {
                Some(folder) => {
                    let names = tree.list(folder)?.unwrap_or_default();
                    let names = names.iter().filter(|name| name.ends_with(b".conf"));
                    for name in names.take(MOST_INCLUDED).filter_map(|name| std::str::from_utf8(name).ok()) {
                        let path = format!("{folder}/{name}");
                        if let Some(bytes) = tree.read(&path, LONGEST)? {
                            all.extend(general(&shown(path.as_bytes()), &bytes));
                        }
                    }
                }
                None => all.push(line),
            }
        }
        break;
    }
    Ok(all)
}

/// Returns the lines before the first `Match`.
fn general(file: &str, bytes: &[u8]) -> Vec<Line> {
    let lines = lines(bytes).filter_map(|(number, line)| {
        let (keyword, value) = line.split_once([' ', '\t', '='])?;
        let value = value.trim_start_matches(['=', ' ', '\t']).trim_matches('"');
        Some((format!("{file} line {number}"), keyword.to_ascii_lowercase(), value.to_owned()))
    });
    lines.take_while(|(_, keyword, _)| keyword != "match").collect()
}

fn judge_config(config: &[Line], findings: &mut Findings) {
    let all = |wanted: &'static str| config.iter().filter(move |(_, keyword, _)| keyword == wanted);
    let ports: Vec<_> =
        all("port").filter_map(|(at, _, port)| Some((at, port.parse::<u16>().ok()?))).collect();
    if let Some((at, port)) = ports.first()
        && ports.iter().all(|(_, port)| *port != 22)
    {
        let message = format!(
            "{at}: the SSH server listens on port {port} and not on 22: the security group has to let that in"
        );
        findings.info(Rule::GSshd, message);
    }
    // Of most keywords, the first counts.
    if let Some((at, ..)) =
        all("passwordauthentication").next().filter(|(.., value)| value.eq_ignore_ascii_case("no"))
    {
        let message = format!(
            "{at}: SSH lets nobody in by a password: give the instance a key pair, or its password opens the \
             console only"
        );
        findings.info(Rule::GSshd, message);
    }
}

/// Finds the private host keys; `None` without the folder.
fn keys(tree: &mut Tree) -> Result<Option<Vec<String>>, Reason> {
    let names = tree.list("/etc/ssh")?;
    Ok(names.map(|names| {
        let keys = names.iter().filter(|name| name.starts_with(b"ssh_host_") && name.ends_with(b"_key"));
        keys.map(|name| shown(name)).collect()
    }))
}

/// Whether something makes host keys where there are none.
fn makes_keys(tree: &mut Tree, units: &Units) -> Result<bool, Reason> {
    for unit in ["sshd.service", "ssh.service"] {
        let text = units.text(tree, unit)?.unwrap_or_default();
        if ["keygen", "gen-keys", "genkeys"].iter().any(|word| text.contains(word)) {
            return Ok(true);
        }
    }
    for unit in KEY_MAKERS {
        if units.init == Init::Systemd && units.text(tree, unit)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a cloud-init is installed that is started, as far as can be told: nothing bad follows from what could not be
/// read of it. One that finds no data source still makes host keys and lets the root grow.
pub(super) fn cloud_init_runs(cloud_init: &Answer<CloudInit>) -> Result<bool, Reason> {
    match cloud_init {
        Answer::Found(cloud_init) => Ok(!matches!(cloud_init.runs, Told::No(_))),
        Answer::Absent => Ok(false),
        Answer::Unread(reason) => Err(reason.clone()),
    }
}

/// Whether cloud-init is told to leave the host keys as they are.
fn keeps_keys(tree: &mut Tree) -> Result<bool, Reason> {
    let mut files = vec!["/etc/cloud/cloud.cfg".to_owned()];
    let more = tree.list("/etc/cloud/cloud.cfg.d")?.unwrap_or_default();
    let more = more.iter().filter(|name| name.ends_with(b".cfg")).take(MOST_INCLUDED);
    files.extend(more.map(|name| format!("/etc/cloud/cloud.cfg.d/{}", String::from_utf8_lossy(name))));
    let mut keeps = false;
    for file in files {
        let bytes = tree.read(&file, LONGEST)?.unwrap_or_default();
        let values = lines(&bytes).filter_map(|(_, line)| line.strip_prefix("ssh_deletekeys:"));
        if let Some(value) = values.last() {
            keeps = matches!(value.trim().to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off");
        }
    }
    Ok(keeps)
}

/// Judges the host keys of a system where cloud-init does not see to them.
fn judge_keys(keys: Option<&[String]>, made_at_start: bool, findings: &mut Findings) {
    match keys {
        Some([first, more @ ..]) => {
            let others = if more.is_empty() { "" } else { " and others" };
            let message = format!(
                "/etc/ssh/{first}{others} are part of the image and nothing replaces them: every instance has the \
                 same SSH host keys"
            );
            // Without them some servers do not start again.
            let commands = if made_at_start { vec!["rm -f /etc/ssh/ssh_host_*".to_owned()] } else { vec![] };
            findings.push(finding(Rule::GSshKey, Severity::Info, message, &commands));
        }
        Some([]) | None if !made_at_start => {
            let message = "there are no SSH host keys in /etc/ssh, and nothing makes them at boot: the SSH server \
                           does not start";
            let commands = ["ssh-keygen -A".to_owned()];
            findings.push(finding(Rule::GSshd, Severity::Warn, message, &commands));
        }
        Some([]) | None => {}
    }
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
