//! Which services a guest starts with the system, as each kind of init has that written down.

use std::collections::BTreeMap;

use super::text::lines;
use super::tree::Tree;
use super::volume::{Kind, Reason};

/// Where systemd looks for units, the first that has one decides.
const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Where systemd looks for presets; of files with one name the first counts.
const PRESETS: [&str; 4] = [
    "/etc/systemd/system-preset",
    "/usr/local/lib/systemd/system-preset",
    "/usr/lib/systemd/system-preset",
    "/lib/systemd/system-preset",
];
/// Targets for which distributions have links of their own, which no administrator made.
const TARGETS: [&str; 7] = [
    "multi-user.target",
    "graphical.target",
    "basic.target",
    "sysinit.target",
    "sockets.target",
    "local-fs.target",
    "cloud-init.target",
];
/// Targets that a usual start does not reach.
const NOT_AT_BOOT: [&str; 8] = [
    "emergency.target",
    "halt.target",
    "kexec.target",
    "poweroff.target",
    "reboot.target",
    "rescue.target",
    "shutdown.target",
    "sleep.target",
];
/// Folders of the runlevels that systems start into: Debian's is 2, that of others 3 or 5.
const RUNLEVELS: [&str; 7] = [
    "/etc/rc2.d",
    "/etc/rc3.d",
    "/etc/rc5.d",
    "/etc/rc.d/rc3.d",
    "/etc/rc.d/rc5.d",
    "/etc/init.d/rc3.d",
    "/etc/init.d/rc5.d",
];
/// Most folders of links, and most files of presets, that are read.
const MOST_FILES: usize = 64;
/// Most bytes of a small text.
const LONGEST: usize = 64 << 10;

/// What starts the services of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Init {
    Systemd,
    OpenRc,
    /// Ubuntu 14.04 and older.
    Upstart,
    /// Links in the folders of runlevels.
    SysV,
}

/// How a unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// There is none of this name.
    Absent,
    /// Nothing starts it with the system.
    Disabled,
    /// This file keeps anything from starting it.
    Masked(String),
    /// It starts with the system, because of this file.
    Starts(String),
}

/// What says which units are started. It is of the guest that it was read of, and is asked with that guest's tree.
#[derive(Debug)]
pub(super) struct Units {
    pub(super) init: Init,
    /// Folders whose entries are started, with those.
    wanted: Vec<Wanted>,
    /// The presets, if systemd applies them at the next start, in order: the first that matches counts.
    presets: Option<Vec<Preset>>,
}

/// A folder and the names in it.
type Wanted = (String, Vec<Vec<u8>>);

#[derive(Debug, PartialEq, Eq)]
struct Preset {
    file: String,
    enables: bool,
    pattern: String,
}

impl Units {
    pub(super) fn of(tree: &mut Tree) -> Result<Self, Reason> {
        let init = init(tree)?;
        let mut units = Self { init, wanted: Vec::new(), presets: None };
        match init {
            Init::Systemd => {
                units.wanted = wanted(tree)?;
                if starts_first(tree)? {
                    units.presets = Some(presets(tree)?);
                }
            }
            Init::OpenRc | Init::Upstart | Init::SysV => {}
        }
        Ok(units)
    }

    /// Tells how a unit stands, which is named as systemd does: `ssh.service`. The others know services only, by what
    /// stands before the dot.
    pub(super) fn state(&self, tree: &mut Tree, name: &str) -> Result<Unit, Reason> {
        let service = name.strip_suffix(".service");
        match (self.init, service) {
            (Init::Systemd, _) => self.systemd(tree, name, service),
            (_, None) => Ok(Unit::Absent),
            (Init::OpenRc, Some(service)) => open_rc(tree, service),
            (Init::Upstart, Some(service)) => upstart(tree, service),
            (Init::SysV, Some(service)) => sys_v(tree, service),
        }
    }

    /// Returns the text of a unit of systemd, or of the script that starts a service.
    pub(super) fn text(&self, tree: &mut Tree, name: &str) -> Result<Option<String>, Reason> {
        let of_systemd = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
        let script = name.strip_suffix(".service").map(|service| format!("/etc/init.d/{service}"));
        for path in of_systemd.filter(|_| self.init == Init::Systemd).chain(script) {
            if let Some(bytes) = tree.read(&path, LONGEST)? {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(None)
    }

    fn systemd(&self, tree: &mut Tree, name: &str, service: Option<&str>) -> Result<Unit, Reason> {
        let mut text = None;
        for folder in FOLDERS {
            let path = format!("{folder}/{name}");
            if tree.link(&path)?.is_some_and(|target| target == b"/dev/null") {
                return Ok(Unit::Masked(path));
            }
            text = tree.read(&path, LONGEST)?;
            match &text {
                // An empty file does the same.
                Some(text) if text.is_empty() => return Ok(Unit::Masked(path)),
                Some(_) => break,
                None => {}
            }
        }
        // A script counts only where there is no unit of that name: Debian keeps the links of the runlevels even when
        // the service is disabled.
        let Some(text) = text else {
            return service.map_or(Ok(Unit::Absent), |service| sys_v(tree, service));
        };
        for (folder, names) in &self.wanted {
            if names.iter().any(|wanted| wanted == name.as_bytes()) {
                return Ok(Unit::Starts(format!("{folder}/{name}")));
            }
        }
        let can_be_enabled = lines(&text).any(|(_, line)| line == "[Install]");
        Ok(match self.preset(name) {
            Some(file) if can_be_enabled => Unit::Starts(file),
            _ => Unit::Disabled,
        })
    }

    /// Returns the preset that enables a unit at the first start.
    fn preset(&self, name: &str) -> Option<String> {
        let presets = self.presets.as_ref()?;
        match presets.iter().find(|preset| matches(preset.pattern.as_bytes(), name.as_bytes())) {
            Some(preset) => preset.enables.then(|| preset.file.clone()),
            // What no preset names is enabled.
            None => Some("the presets of systemd".to_owned()),
        }
    }
}

fn init(tree: &mut Tree) -> Result<Init, Reason> {
    let program = match tree.resolve(b"/sbin/init")? {
        Some((path, Kind::File)) => Some(path),
        _ => None,
    };
    let is_systemd = match program {
        Some(path) => path.ends_with(b"/systemd"),
        None => tree.has("/usr/lib/systemd/systemd")?,
    };
    if is_systemd {
        return Ok(Init::Systemd);
    }
    // Both are started by an init that is also used without them.
    Ok(if tree.has("/etc/runlevels")? {
        Init::OpenRc
    } else if tree.has("/etc/init/rc-sysinit.conf")? {
        Init::Upstart
    } else {
        Init::SysV
    })
}

/// Lists what the targets of systemd want.
fn wanted(tree: &mut Tree) -> Result<Vec<Wanted>, Reason> {
    let mut folders = Vec::new();
    for name in tree.list(FOLDERS[0])?.unwrap_or_default() {
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        let target = name.strip_suffix(".wants").or_else(|| name.strip_suffix(".requires"));
        if target.is_some_and(|target| !NOT_AT_BOOT.contains(&target)) && folders.len() < MOST_FILES {
            folders.push(format!("{}/{name}", FOLDERS[0]));
        }
    }
    let others = FOLDERS[1..].iter();
    folders.extend(others.flat_map(|folder| TARGETS.map(|target| format!("{folder}/{target}.wants"))));
    let mut wanted = Vec::new();
    for folder in folders {
        if let Some(names) = tree.list(&folder)? {
            wanted.push((folder, names));
        }
    }
    Ok(wanted)
}

/// Whether systemd takes its next start for the first one. An empty `machine-id` is none, as machine-id(5) has it.
fn starts_first(tree: &mut Tree) -> Result<bool, Reason> {
    let id = tree.read("/etc/machine-id", 64)?;
    Ok(id.is_none_or(|id| id.trim_ascii() == b"uninitialized"))
}

fn presets(tree: &mut Tree) -> Result<Vec<Preset>, Reason> {
    let mut files = BTreeMap::new();
    for folder in PRESETS {
        for name in tree.list(folder)?.unwrap_or_default() {
            let Ok(name) = String::from_utf8(name) else { continue };
            if name.ends_with(".preset") && files.len() < MOST_FILES {
                files.entry(name).or_insert(folder);
            }
        }
    }
    let mut presets = Vec::new();
    for (name, folder) in files {
        let file = format!("{folder}/{name}");
        if let Some(bytes) = tree.read(&file, LONGEST)? {
            add_presets(&file, &bytes, &mut presets);
        }
    }
    Ok(presets)
}

fn add_presets(file: &str, bytes: &[u8], presets: &mut Vec<Preset>) {
    for (_, line) in lines(bytes) {
        let mut words = line.split_whitespace();
        let enables = match words.next() {
            Some("enable") => true,
            Some("disable" | "ignore") => false,
            _ => continue,
        };
        if let Some(pattern) = words.next() {
            presets.push(Preset { file: file.to_owned(), enables, pattern: pattern.to_owned() });
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // The last star, and where what it stands for ends so far.
    let mut star = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[of] => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((back, until)) => {
                    *until += 1;
                    (at, of) = (*back + 1, *until);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

fn open_rc(tree: &mut Tree, service: &str) -> Result<Unit, Reason> {
    if !tree.has(&format!("/etc/init.d/{service}"))? {
        return Ok(Unit::Absent);
    }
    for level in ["default", "boot", "sysinit"] {
        let path = format!("/etc/runlevels/{level}/{service}");
        if tree.has(&path)? {
            return Ok(Unit::Starts(path));
        }
    }
    Ok(Unit::Disabled)
}

fn upstart(tree: &mut Tree, service: &str) -> Result<Unit, Reason> {
    let path = format!("/etc/init/{service}.conf");
    let Some(job) = tree.read(&path, LONGEST)? else { return sys_v(tree, service) };
    let more = tree.read(&format!("/etc/init/{service}.override"), LONGEST)?.unwrap_or_default();
    let manual = lines(&job).chain(lines(&more)).any(|(_, line)| line == "manual");
    let starts = lines(&job).any(|(_, line)| line.starts_with("start on"));
    Ok(if starts && !manual { Unit::Starts(path) } else { Unit::Disabled })
}

fn sys_v(tree: &mut Tree, service: &str) -> Result<Unit, Reason> {
    if !tree.has(&format!("/etc/init.d/{service}"))? {
        return Ok(Unit::Absent);
    }
    for folder in RUNLEVELS {
        for name in tree.list(folder)?.unwrap_or_default() {
            let Some((b'S', rest)) = name.split_first() else { continue };
            if rest.get(2..) == Some(service.as_bytes()) && rest[..2].iter().all(u8::is_ascii_digit) {
                return Ok(Unit::Starts(format!("{folder}/S{}", String::from_utf8_lossy(rest))));
            }
        }
    }
    Ok(Unit::Disabled)
}

#[cfg(test)]
mod tests {
    use super::super::memory;
    use super::*;

    const SYSTEMD: (&str, &str) = ("/sbin/init", "-> /usr/lib/systemd/systemd");
    const PROGRAM: (&str, &str) = ("/usr/lib/systemd/systemd", "ELF");
    const UNIT: (&str, &str) = ("/usr/lib/systemd/system/ssh.service", "[Service]\n[Install]\n");
    const INSTALLED: (&str, &str) = ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");

    fn state(name: &str, files: &[(&str, &str)]) -> Unit {
        let mut tree = memory::tree(files);
        Units::of(&mut tree).unwrap().state(&mut tree, name).unwrap()
    }

    fn of_systemd(name: &str, files: &[(&str, &str)]) -> Unit {
        state(name, &[&[SYSTEMD, PROGRAM, INSTALLED], files].concat())
    }

    fn starts(path: &str) -> Unit {
        Unit::Starts(path.to_owned())
    }

    #[test]
    fn a_unit_of_systemd_starts_if_a_target_wants_it() {
        let by_hand = "/etc/systemd/system/multi-user.target.wants/ssh.service";
        let by_vendor = "/usr/lib/systemd/system/sysinit.target.wants/ssh.service";
        let in_rescue = "/etc/systemd/system/rescue.target.wants/ssh.service";
        let to = "-> /usr/lib/systemd/system/ssh.service";
        assert_eq!(of_systemd("ssh.service", &[UNIT, (by_hand, to)]), starts(by_hand));
        assert_eq!(of_systemd("ssh.service", &[UNIT, (by_vendor, to)]), starts(by_vendor));
        assert_eq!(of_systemd("ssh.service", &[UNIT, (in_rescue, to)]), Unit::Disabled);
        assert_eq!(of_systemd("ssh.service", &[UNIT]), Unit::Disabled);
        assert_eq!(of_systemd("ssh.service", &[(by_hand, to)]), Unit::Absent, "the package was removed");
        assert_eq!(of_systemd("ssh.socket", &[UNIT, (by_hand, to)]), Unit::Absent);
    }

    #[test]
    fn a_masked_unit_does_not_start_whatever_wants_it() {
        let wants = ("/etc/systemd/system/multi-user.target.wants/ssh.service", "-> ../ssh.service");
        let path = "/etc/systemd/system/ssh.service";
        for mask in ["-> /dev/null", ""] {
            let masked = Unit::Masked(path.to_owned());
            assert_eq!(of_systemd("ssh.service", &[UNIT, wants, (path, mask)]), masked);
        }
    }

    #[test]
    fn links_of_runlevels_count_only_where_systemd_has_no_unit() {
        let script = ("/etc/init.d/ssh", "#!/bin/sh");
        let link = ("/etc/rc3.d/S01ssh", "-> ../init.d/ssh");
        assert_eq!(of_systemd("ssh.service", &[UNIT, script, link]), Unit::Disabled);
        assert_eq!(of_systemd("ssh.service", &[script, link]), starts("/etc/rc3.d/S01ssh"));
        let kill = ("/etc/rc3.d/K01ssh", "-> ../init.d/ssh");
        assert_eq!(of_systemd("ssh.service", &[script, kill]), Unit::Disabled);
    }

    #[test]
    fn presets_count_at_the_first_start_only() {
        let presets = [
            ("/usr/lib/systemd/system-preset/90-default.preset", "# all\nenable s?h*.service\ndisable *\n"),
            ("/usr/lib/systemd/system-preset/10-mine.preset", "disable ssh.service\n"),
        ];
        let [vendor, mine] = presets;
        let at_first = |id: &[(&str, &str)], files: &[(&str, &str)]| {
            state("ssh.service", &[&[SYSTEMD, PROGRAM, UNIT], id, files].concat())
        };
        assert_eq!(at_first(&[], &[vendor]), starts(vendor.0));
        assert_eq!(at_first(&[("/etc/machine-id", "uninitialized\n")], &[vendor]), starts(vendor.0));
        assert_eq!(at_first(&[("/etc/machine-id", "")], &[vendor]), Unit::Disabled);
        assert_eq!(at_first(&[INSTALLED], &[vendor]), Unit::Disabled);
        assert_eq!(at_first(&[], &[vendor, mine]), Unit::Disabled);
        let overridden = ("/etc/systemd/system-preset/10-mine.preset", "");
        assert_eq!(at_first(&[], &[vendor, mine, overridden]), starts(vendor.0));
        assert!(matches!(at_first(&[], &[]), Unit::Starts(_)), "what none names is enabled");
    }

    #[test]
    fn a_service_of_openrc_starts_if_a_runlevel_has_it() {
        let script = ("/etc/init.d/sshd", "#!/sbin/openrc-run");
        let levels = ("/etc/runlevels/default/", "");
        let link = ("/etc/runlevels/default/sshd", "-> /etc/init.d/sshd");
        assert_eq!(state("sshd.service", &[levels, script, link]), starts(link.0));
        assert_eq!(state("sshd.service", &[levels, script]), Unit::Disabled);
        assert_eq!(state("sshd.service", &[link]), Unit::Absent);
        assert_eq!(state("sshd.socket", &[levels, script, link]), Unit::Absent);
    }

    #[test]
    fn older_systems_start_services_by_jobs_or_links() {
        let script = ("/etc/init.d/ssh", "");
        assert_eq!(state("ssh.service", &[script, ("/etc/rc3.d/S55ssh", "")]), starts("/etc/rc3.d/S55ssh"));
        assert_eq!(state("ssh.service", &[script, ("/etc/rc3.d/S55sshd", "")]), Unit::Disabled);
        let upstart = ("/etc/init/rc-sysinit.conf", "");
        let job = ("/etc/init/ssh.conf", "start on runlevel [2345]\n");
        assert_eq!(state("ssh.service", &[upstart, job]), starts(job.0));
        let manual = ("/etc/init/ssh.override", "manual\n");
        assert_eq!(state("ssh.service", &[upstart, job, manual]), Unit::Disabled);
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("s*.service", "sshd.service", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("ssh.service", "ssh.servic", false),
            ("ss?.service", "ssh.service", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
