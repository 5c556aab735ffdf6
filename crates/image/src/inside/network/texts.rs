//! What the files of each program say.

use super::super::text::{assigned, lines, shown};
use super::super::volume::Reason;
use super::super::yaml::{self, Node, Value};
use super::{Address, Configuration, Interfaces};

fn configuration(
    file: &str,
    line: usize,
    of: Interfaces,
    address: Address,
    is_generated: bool,
) -> Configuration {
    Configuration { file: shown(file.as_bytes()), line, of, address, is_generated }
}

/// Whether cloud-init says in the text that it wrote it.
fn generated(text: &[u8]) -> bool {
    lines(text).take(8).any(|(_, line)| line.contains("cloud-init"))
}

fn named(name: &str) -> Interfaces {
    Interfaces::Named(shown(name.as_bytes()))
}

fn fixed(address: &str) -> Address {
    Address::Static(Some(shown(address.as_bytes())))
}

/// Reads netplan.
pub(super) fn netplan(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let tree = yaml::parse(text)?;
    let interfaces = tree.get("network").and_then(|network| network.get("ethernets"));
    let mut found = Vec::new();
    for (id, node) in interfaces.map(Node::entries).unwrap_or_default() {
        let of = match node.get("match") {
            None => named(id),
            Some(by) => {
                match (by.get("macaddress").and_then(Node::text), by.get("name").and_then(Node::text)) {
                    (Some(address), _) => Interfaces::Hardware(shown(address.as_bytes())),
                    (None, Some(name)) => named(name),
                    (None, None) => Interfaces::Any,
                }
            }
        };
        let first = node.get("addresses").and_then(|list| list.items().first());
        let dhcp = ["dhcp4", "dhcp6"].iter().any(|key| node.get(key).and_then(Node::truth) == Some(true));
        let address = match (dhcp, first) {
            (true, _) => Address::Dhcp,
            (false, Some(Node { value: Value::Scalar(address), .. })) => fixed(address),
            // An address with options of its own is the key of a mapping.
            (false, Some(node)) => fixed(node.entries().first().map_or("?", |(address, _)| address)),
            (false, None) => continue,
        };
        found.push(configuration(file, node.line, of, address, generated(text)));
    }
    Ok(found)
}

/// Reads the files of ifupdown together: what brings an interface up may stand in another than how.
pub(super) fn ifupdown(files: &[(String, Vec<u8>)]) -> Vec<Configuration> {
    let words = |line: &'_ str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let all =
        || files.iter().flat_map(|(file, text)| lines(text).map(move |(line, text)| (file, line, text)));
    let up: Vec<String> = all()
        .filter(|(_, _, text)| text.starts_with("auto") || text.starts_with("allow-"))
        .flat_map(|(_, _, text)| words(text).into_iter().skip(1))
        .collect();
    let mut found: Vec<Configuration> = Vec::new();
    let mut is_static = false;
    for (file, line, text) in all() {
        let words = words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["iface", name, ..] if name == "lo" || !up.iter().any(|other| other == name) => is_static = false,
            ["iface", name, "inet", method, ..] => {
                let address = match method {
                    "dhcp" => Address::Dhcp,
                    "static" => Address::Static(None),
                    _ => continue,
                };
                is_static = method == "static";
                let text = files.iter().find(|(other, _)| other == file).map_or(&[][..], |(_, text)| text);
                found.push(configuration(file, line, named(name), address, generated(text)));
            }
            ["iface", ..] => is_static = false,
            ["address", address, ..] if is_static => {
                if let Some(last) = found.last_mut() {
                    last.address = fixed(address);
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the lines `key = value` of a file in sections, as section, key, value and line.
fn sections(text: &[u8]) -> Vec<(&str, &str, &str, usize)> {
    let mut section = "";
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
            found.push((section, key.trim(), value.trim(), number));
        }
    }
    found
}

/// Reads a file of systemd-networkd.
pub(super) fn networkd(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let all = sections(text);
    let value = |section: &str, key: &str| {
        all.iter()
            .find(|(of, name, ..)| *of == section && *name == key)
            .map(|(_, _, value, line)| (*value, *line))
    };
    if all.iter().any(|(of, key, ..)| *of == "Match" && ["Virtualization", "Kind", "Driver"].contains(key)) {
        return Ok(Vec::new());
    }
    let of = match (value("Match", "MACAddress"), value("Match", "Name"), value("Match", "Type")) {
        (Some((address, _)), ..) => vec![Interfaces::Hardware(shown(address.as_bytes()))],
        (_, Some((names, _)), _) => names.split_whitespace().map(named).collect(),
        (_, None, Some((kind, _))) if kind != "ether" => return Ok(Vec::new()),
        _ => vec![Interfaces::Any],
    };
    let fixed_at = value("Network", "Address").or_else(|| value("Address", "Address"));
    let (address, line) = match (value("Network", "DHCP"), fixed_at) {
        (Some((dhcp, line)), _) if !matches!(dhcp, "no" | "false" | "none") => (Address::Dhcp, line),
        (_, Some((address, line))) => (fixed(address), line),
        _ => return Ok(Vec::new()),
    };
    let generated = generated(text);
    Ok(of.into_iter().map(|of| configuration(file, line, of, address.clone(), generated)).collect())
}

/// Reads a profile of NetworkManager. It may hold secrets: of what stands in it only names of interfaces, hardware
/// addresses and methods are taken.
pub(super) fn keyfile(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let all = sections(text);
    let value = |sections: &[&str], key: &str| {
        let found = all.iter().find(|(of, name, ..)| sections.contains(of) && *name == key);
        found.map(|(_, _, value, line)| (*value, *line))
    };
    let kind = value(&["connection"], "type").map(|(kind, _)| kind);
    let off =
        value(&["connection"], "autoconnect").is_some_and(|(auto, _)| matches!(auto, "false" | "no" | "0"));
    if off || !matches!(kind, Some("ethernet" | "802-3-ethernet") | None) {
        return Ok(Vec::new());
    }
    let of = match (
        value(&["ethernet", "802-3-ethernet"], "mac-address"),
        value(&["connection", "match"], "interface-name"),
    ) {
        (Some((address, _)), _) => Interfaces::Hardware(shown(address.as_bytes())),
        (None, Some((name, _))) => named(name.trim_end_matches(';')),
        (None, None) => Interfaces::Any,
    };
    let (address, line) = match value(&["ipv4"], "method") {
        Some(("auto", line)) => (Address::Dhcp, line),
        Some(("manual", line)) => (Address::Static(None), line),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![configuration(file, line, of, address, file.contains("cloud-init") || generated(text))])
}

/// Reads an `ifcfg-NAME`, of RHEL and its relatives or of SUSE.
pub(super) fn ifcfg(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let value = |keys: &[&str]| {
        lines(text).find_map(|(line, text)| keys.iter().find_map(|key| Some((assigned(text, key)?, line))))
    };
    let of_file = file.rsplit_once("ifcfg-").map_or("", |(_, name)| name);
    let is_off = value(&["ONBOOT", "STARTMODE"])
        .is_some_and(|(mode, _)| ["no", "off", "manual"].contains(&&*mode.to_ascii_lowercase()));
    let other = value(&["TYPE"]).is_some_and(|(kind, _)| !kind.eq_ignore_ascii_case("ethernet"));
    if of_file == "lo" || is_off || other || of_file.contains(['~', '.']) {
        return Ok(Vec::new());
    }
    let of = match (value(&["HWADDR", "LLADDR"]), value(&["DEVICE"])) {
        (Some((address, _)), _) => Interfaces::Hardware(shown(address.as_bytes())),
        (None, Some((name, _))) => named(name),
        (None, None) => named(of_file),
    };
    let (address, line) = match (value(&["BOOTPROTO"]), value(&["IPADDR", "IPADDR0", "IPADDR_0"])) {
        (Some((how, line)), _) if how.to_ascii_lowercase().starts_with("dhcp") => (Address::Dhcp, line),
        (_, Some((address, line))) => (fixed(address), line),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![configuration(file, line, of, address, generated(text))])
}

/// Reads `dhcpcd.conf`, which names what is not to be asked for. A profile counts for an interface only if that has no answer.
pub(super) fn dhcpcd(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let mut of = Some(Interfaces::Any);
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "interface" => of = Some(named(rest.trim())),
            "profile" | "ssid" => of = None,
            "static" => {
                let address =
                    rest.trim().strip_prefix("ip_address").map(|rest| rest.trim().trim_start_matches('='));
                if let (Some(of), Some(address)) = (&of, address.filter(|address| !address.trim().is_empty()))
                {
                    found.push(configuration(file, number, of.clone(), fixed(address.trim()), false));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Reads the rules by which older systems gave each hardware address its name for ever.
pub(super) fn rules(file: &str, text: &[u8]) -> Result<Vec<Configuration>, Reason> {
    let part = |line: &str, key: &str| Some(line.split_once(key)?.1.split_once('"')?.0.to_owned());
    let found = lines(text).filter(|(_, line)| !line.starts_with('#')).filter_map(|(number, line)| {
        let address = part(line, "ATTR{address}==\"")?;
        let name = part(line, "NAME=\"")?;
        let of = Interfaces::Hardware(shown(address.as_bytes()));
        Some(configuration(file, number, of, Address::Name(shown(name.as_bytes())), generated(text)))
    });
    Ok(found.collect())
}
