//! What every system has: a clock, a root account, and its libraries where they are looked for.

use super::{Reason, Scene, finding, first};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::text::{assigned, lines, shown};
use crate::rule::Rule;
use ossup_core::model::Architecture;

/// Files of settings that tell how the hardware clock is kept; the variable, its values for local time, and what sets
/// it right.
const CLOCKS: [(&str, &str, &[&str], &str); 5] = [
    ("/etc/sysconfig/clock", "UTC", &["false", "no"], "sed -i 's/^UTC=.*/UTC=true/' /etc/sysconfig/clock"),
    (
        "/etc/sysconfig/clock",
        "HWCLOCK",
        &["--localtime", "-l"],
        "sed -i 's/^HWCLOCK=.*/HWCLOCK=\"-u\"/' /etc/sysconfig/clock",
    ),
    ("/etc/conf.d/hwclock", "clock", &["local"], "sed -i 's/^clock=.*/clock=\"UTC\"/' /etc/conf.d/hwclock"),
    ("/etc/default/hwclock", "UTC", &["no"], "sed -i 's/^UTC=.*/UTC=yes/' /etc/default/hwclock"),
    ("/etc/default/rcS", "UTC", &["no"], "sed -i 's/^UTC=.*/UTC=yes/' /etc/default/rcS"),
];
const PASSWD: [&str; 3] = ["/usr/bin/passwd", "/bin/passwd", "/usr/sbin/passwd"];
const LONGEST: usize = 64 << 10;

pub(super) fn clock(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let severity = match scene.system.architecture.found() {
        Some(Architecture::Arm64) => Severity::Warn,
        _ => Severity::Info,
    };
    let mut local = None;
    if let Some(adjustment) = scene.tree.read("/etc/adjtime", 4096)?
        && lines(&adjustment).any(|(number, line)| number == 3 && line == "LOCAL")
    {
        local = Some(("/etc/adjtime line 3".to_owned(), "sed -i '3s/LOCAL/UTC/' /etc/adjtime"));
    }
    for (file, key, values, command) in CLOCKS {
        let Some(text) = scene.tree.read(file, LONGEST)? else { continue };
        let is_local =
            |(_, line): &(usize, &str)| assigned(line, key).is_some_and(|value| values.contains(&value));
        if let (Some((number, _)), None) = (lines(&text).find(is_local), &local) {
            local = Some((format!("{file} line {number}"), command));
        }
    }
    if let Some((at, command)) = local {
        let message = format!(
            "{at}: the hardware clock is taken for local time, but ECS keeps it in UTC: the time is wrong by the \
             zone until NTP sets it"
        );
        findings.push(finding(Rule::GRtc, severity, message, &[command.to_owned()]));
    }
    Ok(())
}

pub(super) fn account(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    if let Some(accounts) = scene.tree.read("/etc/passwd", LONGEST)? {
        findings.0.extend(judge_root(&accounts));
    }
    if first(scene.tree, &PASSWD)?.is_none() {
        let message = "there is no program passwd: the password that is set for an instance has no effect";
        findings.info(Rule::GRootUser, message);
    }
    Ok(())
}

/// Judges whether root can log in, by what everyone may read of its account.
fn judge_root(accounts: &[u8]) -> Option<Finding> {
    let root = lines(accounts).find_map(|(number, line)| Some((number, line.strip_prefix("root:")?)));
    let Some((number, fields)) = root else {
        let message = "/etc/passwd has no account root: passwords and keys that ECS sets go to root";
        return Some(Finding::new(Rule::GRootUser, Severity::Info, message));
    };
    let shell = fields.split(':').nth(5).unwrap_or_default();
    let program = shell.rsplit('/').next().unwrap_or_default();
    matches!(program, "nologin" | "false").then(|| {
        let shell = shown(shell.as_bytes());
        let message = format!("/etc/passwd line {number}: root has the shell {shell}: root cannot log in");
        finding(Rule::GRootUser, Severity::Info, message, &["usermod -s /bin/sh root".to_owned()])
    })
}

pub(super) fn libraries(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    for path in ["/lib", "/lib64"] {
        let Some(target) = scene.tree.link(path)? else { continue };
        if !target.starts_with(b"/") {
            continue;
        }
        let message = format!(
            "{path} is a link to {}, from the root on: what mounts this disk elsewhere to set up an instance gets \
             the wrong files",
            shown(&target)
        );
        let plain = target.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte));
        let relative = String::from_utf8_lossy(target.trim_ascii_start()).trim_start_matches('/').to_owned();
        let commands = if plain && !relative.is_empty() && !relative.starts_with('-') {
            vec![format!("ln -sfn {relative} {path}")]
        } else {
            vec![]
        };
        findings.push(finding(Rule::GLib, Severity::Warn, message, &commands));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::*;
    use crate::inside::memory;

    fn told(check: Check, files: &[(&str, &str)]) -> Vec<String> {
        memory::judged(check, files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_clock_in_local_time_is_told_by_the_file_of_each_distribution() {
        for (file, text, line) in [
            ("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n", 3),
            ("/etc/sysconfig/clock", "ZONE=\"Asia/Shanghai\"\nUTC=false\n", 2),
            ("/etc/sysconfig/clock", "HWCLOCK=\"--localtime\"\n", 1),
            ("/etc/conf.d/hwclock", "# clock=\"x\"\nclock=\"local\"\n", 2),
            ("/etc/default/rcS", "UTC=no\n", 1),
        ] {
            let found = told(clock, &[(file, text)]);
            assert_eq!(found.len(), 1, "{file}");
            assert!(found[0].starts_with(&format!("info G-RTC: {file} line {line}: ")), "{found:?}");
            assert!(found[0].contains("; sed -i ") && found[0].ends_with(file), "{found:?}");
        }
        for (file, text) in [
            ("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n"),
            ("/etc/adjtime", ""),
            ("/etc/sysconfig/clock", "UTC=true\nHWCLOCK=\"-u\"\n"),
            ("/etc/conf.d/hwclock", "clock=\"UTC\"\n"),
        ] {
            assert!(told(clock, &[(file, text)]).is_empty(), "{file}");
        }
    }

    #[test]
    fn a_clock_in_local_time_is_a_warning_on_arm64() {
        let mut tree = memory::tree(&[("/etc/adjtime", "0\n0\nLOCAL\n")]);
        let mut system = memory::system(&mut tree);
        system.architecture = crate::inside::Answer::Found(Architecture::Arm64);
        let (found, _) = memory::judged_system(clock, &mut tree, &system);
        assert_eq!(found[0].severity, Severity::Warn);
    }

    #[test]
    fn root_can_log_in_or_that_is_told_and_nothing_else_of_it() {
        let judged = |text: &str| judge_root(text.as_bytes()).map(|finding| finding.message);
        assert_eq!(judged("daemon:x:1:1::/:/bin/false\nroot:x:0:0:root:/root:/bin/ash\n"), None);
        let nologin = judged("a:b\nroot:$6$secret:0:0:root:/root:/usr/sbin/nologin\n").unwrap();
        assert_eq!(nologin, "/etc/passwd line 2: root has the shell /usr/sbin/nologin: root cannot log in");
        assert!(judged("rooty:x:0:0::/:/bin/sh\n").unwrap().contains("no account root"));
        let passwd = ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        assert_eq!(told(account, &[passwd]).len(), 1);
        let busybox = [passwd, ("/usr/bin/passwd", "-> /bin/bbsuid"), ("/bin/bbsuid", "")];
        assert!(told(account, &busybox).is_empty());
    }

    #[test]
    fn only_an_absolute_link_to_the_libraries_is_a_warning() {
        assert!(told(libraries, &[("/lib", "-> usr/lib"), ("/lib64/x", "")]).is_empty());
        let found = told(libraries, &[("/lib64", "-> /usr/lib64")]);
        assert!(found[0].starts_with("warn G-LIB: /lib64 is a link to /usr/lib64"), "{found:?}");
        assert!(found[0].ends_with("; ln -sfn usr/lib64 /lib64"), "{found:?}");
        let found = memory::judged(libraries, &[("/lib", "-> /a; reboot")]);
        assert!(found[0].fix.is_none());
    }
}
