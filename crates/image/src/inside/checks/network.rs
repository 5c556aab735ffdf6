//! Whether an instance gets its address, which ECS gives by DHCP to interfaces whose names and hardware addresses are new.

use super::{Reason, Scene, finding};
use crate::finding::{Findings, Severity};
use crate::inside::cloud_init::{Version, version_of};
use crate::inside::facts::{Answer, GuestSystem, Told};
use crate::inside::network::{self, Address, Configuration, Interfaces, Keeper, Naming, Networks};
use crate::inside::text::is_plain;
use crate::rule::Rule;

/// Names of the first interface on ECS: without names by slot, and by usual slots.
const NAMES: [&str; 3] = ["eth0", "ens5", "enp0s5"];
/// What gives the kernel its argument, on which the next instance has `eth0`.
const BY_KERNEL: &str = "net.ifnames=0";
/// Most files that are named.
const MOST_NAMED: usize = 4;

pub(super) fn check(scene: &mut Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let found = network::read(scene.tree);
    let cloud_init = cloud_init(scene.system);
    let entries = scene.system.boot_entries.found();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.is_default));
    let naming = network::naming(scene.tree, entry)?;
    judge(&found, naming, &cloud_init, findings);
    match (found.unread, cloud_init) {
        (Some(reason), _) | (None, Told::Unread(reason)) => Err(reason),
        (None, _) => Ok(()),
    }
}

/// Tells whether cloud-init will configure the network.
fn cloud_init(system: &GuestSystem) -> Told {
    match &system.cloud_init {
        Answer::Absent => Told::No("it is not installed".to_owned()),
        Answer::Unread(reason) => Told::Unread(reason.clone()),
        Answer::Found(found) => {
            if found.version.as_deref().is_some_and(|version| version_of(version) == Version::Old) {
                return Told::No("it is too old".to_owned());
            }
            found.works().and(&found.sets_up_network)
        }
    }
}

fn judge(found: &Networks, naming: Naming, cloud_init: &Told, findings: &mut Findings) {
    let fits = |of: &Interfaces| fits(of, naming);
    let counts = |configuration: &&Configuration| !(configuration.is_generated && cloud_init.is_yes());
    let all: Vec<_> = found.configurations.iter().filter(counts).collect();
    let by_dhcp =
        |configuration: &&&Configuration| configuration.address == Address::Dhcp && fits(&configuration.of);
    let is_sound = found.automatic.is_some() || all.iter().any(|one| by_dhcp(&one));
    let is_certain = found.unread.is_none() && !matches!(cloud_init, Told::Unread(_));
    let is_well = cloud_init.is_yes() || is_sound;
    let remedy = |also: &[String]| match found.keeper {
        Some(keeper) => [also, &by_dhcp_for_all(keeper, naming)].concat(),
        None => Vec::new(),
    };
    let mut add = |rule, worst: bool, message: String, commands: &[String]| {
        let severity = if worst && is_certain { Severity::Warn } else { Severity::Info };
        findings.push(finding(rule, severity, message, commands));
    };
    for one in all.iter().take(MOST_NAMED) {
        let Configuration { file, line, of, address, .. } = one;
        match (address, of) {
            (Address::Dhcp, of) if fits(of) => {}
            // Others do without it.
            (Address::Dhcp, _) | (Address::Name(_), _) if is_well => {}
            (Address::Dhcp, Interfaces::Named(name)) => add(
                Rule::GNicName,
                true,
                match naming {
                    Naming::Kernel => format!(
                        "{file} line {line} is for {name} alone: with {BY_KERNEL} an instance on ECS has eth0, which gets no address"
                    ),
                    Naming::Slot if name == NAMES[0] => format!(
                        "{file} line {line} is for {name} alone: without {BY_KERNEL} the interface of an instance on ECS is named by its slot, and gets no address"
                    ),
                    Naming::Slot | Naming::Unknown => format!(
                        "{file} line {line} is for {name} alone: an instance on ECS need not have an interface of that name, and then gets no address"
                    ),
                },
                &remedy(&[]),
            ),
            (Address::Dhcp, Interfaces::Hardware(hardware)) => add(
                Rule::GNicName,
                true,
                format!(
                    "{file} line {line} is for the hardware address {hardware}: no instance on ECS has it, and so gets no address"
                ),
                &remedy(&[]),
            ),
            (Address::Dhcp, Interfaces::Any) => {}
            (Address::Name(name), _) => add(
                Rule::GNicName,
                true,
                format!(
                    "{file} line {line} keeps {name} for the hardware address of another machine: an instance on ECS has its interface under the next name"
                ),
                &[format!("rm -f {file}")],
            ),
            (Address::Static(value), of) => {
                let value = value.as_deref().map(|value| format!(" {value}")).unwrap_or_default();
                let whose = match of {
                    Interfaces::Any => "any interface".to_owned(),
                    Interfaces::Named(name) => name.clone(),
                    Interfaces::Hardware(hardware) => format!("the hardware address {hardware}"),
                };
                let then = match (is_well, fits(of)) {
                    (true, false) => "on ECS it is for no interface",
                    (true, true) => "on ECS it is in the way of the address that DHCP gives",
                    (false, _) => "ECS gives its addresses by DHCP, and an instance has no network",
                };
                add(
                    Rule::GDhcp,
                    !is_well || fits(of),
                    format!("{file} line {line} has the fixed address{value} for {whose}: {then}"),
                    &match is_well && !fits(of) {
                        true => Vec::new(),
                        false => remedy(&aside(file)),
                    },
                );
            }
        }
    }
    let any = all.iter().any(|one| !matches!(one.address, Address::Name(_)));
    if !is_well && !any {
        let message = "nothing configures the network: an instance on ECS gets no address".to_owned();
        add(Rule::GDhcp, true, message, &remedy(&[]));
    }
}

/// Whether the interface of an instance may be one of these.
fn fits(of: &Interfaces, naming: Naming) -> bool {
    let names = match naming {
        Naming::Kernel => &NAMES[..1],
        Naming::Slot => &NAMES[1..],
        Naming::Unknown => &NAMES[..],
    };
    match of {
        Interfaces::Any => true,
        Interfaces::Named(name) if name.contains(['*', '?', '[']) => {
            let front = name.split(['*', '?', '[']).next().unwrap_or_default();
            names.iter().any(|other| other.starts_with(front))
        }
        // The name of the first interface, unless that is known to be another.
        Interfaces::Named(name) => name == NAMES[0] && naming != Naming::Slot,
        Interfaces::Hardware(_) => false,
    }
}

/// Returns the command that puts a file where nothing reads it. That of ifupdown has the loopback interface too, and is
/// written anew.
fn aside(file: &str) -> Vec<String> {
    if !is_plain(file) || file == "/etc/network/interfaces" {
        return Vec::new();
    }
    let (folder, name) = file.rsplit_once('/').unwrap_or_default();
    vec![format!("if [ -e {file} ]; then mkdir -p {folder}.off; mv {file} {folder}.off/{name}; fi")]
}

/// Returns the commands that make DHCP the configuration of whatever interface there is.
fn by_dhcp_for_all(keeper: Keeper, naming: Naming) -> Vec<String> {
    let commands: &[&str] = match keeper {
        Keeper::Netplan => &[
            r#"printf 'network:\n  version: 2\n  ethernets:\n    ecs:\n      match: {name: "e*"}\n      dhcp4: true\n' > /etc/netplan/90-ecs.yaml"#,
            "chmod 600 /etc/netplan/90-ecs.yaml",
        ],
        Keeper::NetworkManager => &[
            r"printf '[connection]\nid=ecs\ntype=ethernet\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n' > /etc/NetworkManager/system-connections/ecs.nmconnection",
            "chmod 600 /etc/NetworkManager/system-connections/ecs.nmconnection",
        ],
        Keeper::Networkd => {
            &[r"printf '[Match]\nName=e*\n\n[Network]\nDHCP=yes\n' > /etc/systemd/network/05-ecs.network"]
        }
        Keeper::Ifupdown => &[
            r"printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n' > /etc/network/interfaces",
            "if [ -f /etc/default/grub ] && ! grep -q net.ifnames=0 /etc/default/grub; then sed -i 's/^GRUB_CMDLINE_LINUX=\"/&net.ifnames=0 /' /etc/default/grub; update-grub; fi",
        ],
        Keeper::Wicked => {
            &[r#"printf "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n" > /etc/sysconfig/network/ifcfg-eth0"#]
        }
        Keeper::Scripts => &[
            r"printf 'DEVICE=eth0\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\n' > /etc/sysconfig/network-scripts/ifcfg-eth0",
        ],
    };
    let mut commands: Vec<_> = commands.iter().map(|command| (*command).to_owned()).collect();
    if naming != Naming::Kernel {
        // These are for `eth0`.
        commands.extend(match keeper {
            Keeper::Wicked => Some(format!(
                "if ! grep -q {BY_KERNEL} /etc/default/grub; then sed -i 's/^GRUB_CMDLINE_LINUX_DEFAULT=\"/&{BY_KERNEL} /' /etc/default/grub; grub2-mkconfig -o /boot/grub2/grub.cfg; fi"
            )),
            Keeper::Scripts => Some(format!("grubby --update-kernel=ALL --args={BY_KERNEL}")),
            _ => None,
        });
    }
    commands
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
