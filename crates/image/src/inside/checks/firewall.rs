//! Whether a firewall inside the guest keeps SSH out. Rules are not evaluated: it is looked whether they know of SSH.

use super::{Reason, Scene};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::text::{assigned, lines, shown};
use crate::inside::tree::Tree;
use crate::inside::units::{Unit, Units};
use crate::rule::Rule;

const LONGEST: usize = 256 << 10;
/// Units that load rules, and the files that these are in.
const TABLES: [(&[&str], &[&str]); 3] = [
    (
        &["nftables.service"],
        &["/etc/nftables.conf", "/etc/sysconfig/nftables.conf", "/etc/nftables.nft", "/etc/nftables.rules"],
    ),
    (
        &["iptables.service"],
        &["/etc/sysconfig/iptables", "/etc/iptables/iptables.rules", "/etc/iptables/rules-save"],
    ),
    (&["netfilter-persistent.service", "iptables-persistent.service"], &["/etc/iptables/rules.v4"]),
];

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let units = Units::of(scene.tree)?;
    let tree = &mut *scene.tree;
    if starts(tree, &units, &["firewalld.service"])? {
        findings.0.extend(firewalld(tree)?);
    }
    if starts(tree, &units, &["ufw.service"])? {
        findings.0.extend(ufw(tree)?);
    }
    for (services, files) in TABLES {
        if !starts(tree, &units, services)? {
            continue;
        }
        for file in files {
            if let Some(rules) = tree.read(file, LONGEST)?
                && drops(&rules)
            {
                findings.push(closed("the firewall", file));
                break;
            }
        }
    }
    Ok(())
}

fn starts(tree: &mut Tree, units: &Units, services: &[&str]) -> Result<bool, Reason> {
    for service in services {
        if matches!(units.state(tree, service)?, Unit::Starts(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn closed(firewall: &str, file: &str) -> Finding {
    let message = format!(
        "{firewall} starts at boot, and {file} has nothing that lets port 22 in: an instance may be out of reach of \
         SSH"
    );
    Finding::new(Rule::GFirewall, Severity::Warn, message)
        .fixed_by("let port 22 in, or turn the firewall off: security groups guard the instances")
}

/// Judges the default zone of firewalld, if that has a file.
fn firewalld(tree: &mut Tree) -> Result<Option<Finding>, Reason> {
    let config = tree.read("/etc/firewalld/firewalld.conf", LONGEST)?.unwrap_or_default();
    let zone = lines(&config).find_map(|(_, line)| assigned(line, "DefaultZone")).unwrap_or("public");
    if zone.is_empty() || !zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        return Ok(None);
    }
    for folder in ["/etc/firewalld/zones", "/usr/lib/firewalld/zones"] {
        let file = format!("{folder}/{zone}.xml");
        if let Some(text) = tree.read(&file, LONGEST)? {
            let is_open = lets_in(&String::from_utf8_lossy(&text));
            return Ok((!is_open).then(|| closed("firewalld", &shown(file.as_bytes()))));
        }
    }
    Ok(None)
}

/// Whether a zone of firewalld lets SSH in, as far as a look at its elements tells.
fn lets_in(zone: &str) -> bool {
    zone.split('<').any(|element| {
        let value = |name: &str| {
            let (_, value) = element.split_once(name)?.1.split_once(['"', '\''])?;
            value.split(['"', '\'']).next()
        };
        if element.starts_with("service") {
            value("name").is_some_and(|name| name == "ssh")
        } else if element.starts_with("port") {
            value(" port=").is_some_and(holds_22)
        } else {
            element.starts_with("zone") && value("target").is_some_and(|target| target == "ACCEPT")
        }
    })
}

/// Whether 22 is a port, or in a range of ports.
fn holds_22(ports: &str) -> bool {
    let (first, last) = ports.split_once(['-', ':']).unwrap_or((ports, ports));
    matches!((first.trim().parse::<u16>(), last.trim().parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&22))
}

/// Judges the rules that were made with ufw, if it is enabled and lets nothing in by itself.
fn ufw(tree: &mut Tree) -> Result<Option<Finding>, Reason> {
    let mut says = |file, key, value: &str| -> Result<bool, Reason> {
        let text = tree.read(file, LONGEST)?.unwrap_or_default();
        Ok(lines(&text).any(|(_, line)| assigned(line, key).is_some_and(|is| is.eq_ignore_ascii_case(value))))
    };
    if !says("/etc/ufw/ufw.conf", "ENABLED", "yes")?
        || says("/etc/default/ufw", "DEFAULT_INPUT_POLICY", "ACCEPT")?
    {
        return Ok(None);
    }
    for file in ["/etc/ufw/user.rules", "/lib/ufw/user.rules"] {
        if let Some(rules) = tree.read(file, LONGEST)? {
            return Ok((!names_ssh(&String::from_utf8_lossy(&rules))).then(|| closed("ufw", file)));
        }
    }
    Ok(None)
}

/// Whether rules of nftables or iptables drop what comes in, and know nothing of SSH. What includes other files is not
/// known whole.
fn drops(rules: &[u8]) -> bool {
    let text: String =
        lines(rules).filter(|(_, line)| !line.starts_with('#')).flat_map(|(_, line)| [line, "\n"]).collect();
    let by_nft = text.split("hook input").skip(1).any(|chain| {
        let chain = chain.split('}').next().unwrap_or_default();
        chain.split(';').any(|part| part.trim() == "policy drop")
    });
    let by_iptables = text.lines().any(|line| {
        line.starts_with(":INPUT DROP")
            || line.starts_with("-A INPUT -j DROP")
            || line.starts_with("-A INPUT -j REJECT")
    });
    (by_nft || by_iptables) && !text.lines().any(|line| line.starts_with("include")) && !names_ssh(&text)
}

/// Whether a text has the number 22, a range of ports that holds it, or the name of the service.
fn names_ssh(text: &str) -> bool {
    text.split(|char: char| !char.is_ascii_alphanumeric() && !matches!(char, ':' | '-'))
        .any(|word| holds_22(word) || word.eq_ignore_ascii_case("ssh") || word == "OpenSSH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::memory;

    /// What is told of a system of systemd that starts this service and has these files.
    fn told(service: &str, files: &[(&str, &str)]) -> Vec<String> {
        let unit = format!("/usr/lib/systemd/system/{service}");
        let wants = format!("/etc/systemd/system/multi-user.target.wants/{service}");
        let base = [
            ("/sbin/init", "-> /usr/lib/systemd/systemd"),
            ("/usr/lib/systemd/systemd", ""),
            ("/etc/machine-id", ""),
            (unit.as_str(), "[Install]\n"),
            (wants.as_str(), "-> /dev/zero"),
        ];
        memory::judged(check, &[&base, files].concat()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_zone_of_firewalld_lets_ssh_in_or_that_is_told() {
        let vendor = "/usr/lib/firewalld/zones/public.xml";
        let open = "<zone>\n  <service name=\"ssh\"/>\n  <service name=\"dhcpv6-client\"/>\n</zone>";
        let shut = "<zone><service name=\"dhcpv6-client\"/><port protocol=\"tcp\" port=\"80\"/></zone>";
        assert!(told("firewalld.service", &[(vendor, open)]).is_empty());
        let found = told("firewalld.service", &[(vendor, open), ("/etc/firewalld/zones/public.xml", shut)]);
        assert!(
            found[0].starts_with("warn G-FIREWALL: firewalld starts at boot, and /etc/firewalld/"),
            "{found:?}"
        );
        let ports = "<zone><port protocol=\"tcp\" port=\"20-30\"/></zone>";
        assert!(told("firewalld.service", &[(vendor, ports)]).is_empty());
        let config = ("/etc/firewalld/firewalld.conf", "DefaultZone=trusted\n");
        let trusted = ("/usr/lib/firewalld/zones/trusted.xml", "<zone target=\"ACCEPT\"></zone>");
        assert!(told("firewalld.service", &[(vendor, shut), config, trusted]).is_empty());
        assert!(told("other.service", &[(vendor, shut)]).is_empty(), "it does not start");
    }

    #[test]
    fn ufw_is_judged_by_its_rules_if_it_is_enabled() {
        let on = ("/etc/ufw/ufw.conf", "ENABLED=yes\n");
        let shut = (
            "/etc/ufw/user.rules",
            "### tuple ### allow tcp 80\n-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n",
        );
        let open = ("/etc/ufw/user.rules", "-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n");
        assert_eq!(told("ufw.service", &[on, shut]).len(), 1);
        assert!(told("ufw.service", &[on, open]).is_empty());
        assert!(told("ufw.service", &[("/etc/ufw/ufw.conf", "ENABLED=no\n"), shut]).is_empty());
        let accepts = ("/etc/default/ufw", "DEFAULT_INPUT_POLICY=\"ACCEPT\"\n");
        assert!(told("ufw.service", &[on, shut, accepts]).is_empty());
    }

    #[test]
    fn tables_that_drop_all_but_ssh_let_it_in() {
        let nft = |rules: &str| told("nftables.service", &[("/etc/nftables.conf", rules)]).len();
        let chain = |inner: &str| {
            format!(
                "table inet f {{\n chain input {{\n  type filter hook input priority 0; policy drop;\n{inner}\n }}\n}}\n"
            )
        };
        assert_eq!(nft(&chain("")), 1);
        assert_eq!(nft(&chain("# tcp dport 22 accept")), 1, "a remark lets nothing in");
        assert_eq!(nft(&chain("tcp dport ssh accept")), 0);
        assert_eq!(nft(&chain("tcp dport { 22, 80 } accept")), 0);
        assert_eq!(nft(&format!("include \"/etc/nftables/x.nft\"\n{}", chain(""))), 0);
        let debian = "flush ruleset\ntable inet filter {\n chain input {\n type filter hook input priority filter;\n }\n}\n";
        assert_eq!(nft(debian), 0);
        let iptables = |rules: &str| told("iptables.service", &[("/etc/sysconfig/iptables", rules)]).len();
        assert_eq!(iptables(":INPUT DROP [0:0]\n-A INPUT -p tcp --dport 443 -j ACCEPT\n"), 1);
        assert_eq!(
            iptables(":INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT\n"),
            0
        );
        assert_eq!(iptables(":INPUT ACCEPT [0:0]\n-A INPUT -j REJECT --reject-with x\n"), 1);
        assert_eq!(iptables(":INPUT ACCEPT [0:0]\n"), 0);
    }
}
