//! How a guest configures its network: what each of its files says, by whatever program reads it.

mod naming;
mod texts;

use std::collections::BTreeSet;

use super::text::lines;
use super::tree::Tree;
use super::units::{Unit, Units};
use super::volume::Reason;
pub(super) use naming::{Naming, naming};

/// Most files of one folder that are read.
const MOST_FILES: usize = 32;
/// Most bytes of one.
const LONGEST: usize = 64 << 10;
const INTERFACES: &str = "/etc/network/interfaces";
const DHCPCD: &str = "/etc/dhcpcd.conf";
const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
/// Makes up a configuration for each interface of Debian's older cloud images.
const HELPER: &str = "/etc/network/cloud-ifupdown-helper";

/// What a file says of interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) file: String,
    /// From 1 on.
    pub(super) line: usize,
    pub(super) of: Interfaces,
    pub(super) address: Address,
    /// Whether cloud-init wrote it, which it does anew on another instance.
    pub(super) is_generated: bool,
}

/// Which interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interfaces {
    Any,
    /// Those with this name, which may have `*` and `?`.
    Named(String),
    /// The one with this hardware address.
    Hardware(String),
}

/// How they get their address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Dhcp,
    /// It is written here, unless what is written may be secret.
    Static(Option<String>),
    /// It only gives a name.
    Name(String),
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Networks {
    pub(super) configurations: Vec<Configuration>,
    /// What configures any interface by DHCP that no file is for.
    pub(super) automatic: Option<&'static str>,
    /// The program that would take a further file, for remedies.
    pub(super) keeper: Option<Keeper>,
    /// Why not all could be read.
    pub(super) unread: Option<Reason>,
}

/// What takes configurations of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    Netplan,
    NetworkManager,
    Networkd,
    Ifupdown,
    Wicked,
    Scripts,
}

type Reader = fn(&str, &[u8]) -> Result<Vec<Configuration>, Reason>;

/// Reads what each program would take.
pub(super) fn read(tree: &mut Tree) -> Networks {
    let mut found = Networks::default();
    if let Err(reason) = found.gather(tree) {
        found.unread = Some(reason);
    }
    found
}

impl Networks {
    fn gather(&mut self, tree: &mut Tree) -> Result<(), Reason> {
        let units = Units::of(tree)?;
        let starts =
            |tree: &mut Tree, name: &str| units.state(tree, name).map(|unit| matches!(unit, Unit::Starts(_)));
        let manager = starts(tree, "NetworkManager.service")?;
        let networkd = starts(tree, "systemd-networkd.service")?;
        let wicked = starts(tree, "wicked.service")? || starts(tree, "wickedd.service")?;
        let dhcpcd = starts(tree, "dhcpcd.service")?;
        let folders: [(bool, &str, &str, Reader); 6] = [
            (true, "/etc/netplan", ".yaml", texts::netplan),
            (networkd, "/etc/systemd/network", ".network", texts::networkd),
            (networkd, "/usr/lib/systemd/network", ".network", texts::networkd),
            (manager, "/etc/NetworkManager/system-connections", ".nmconnection", texts::keyfile),
            (true, "/etc/sysconfig/network-scripts", "", texts::ifcfg),
            (true, "/etc/sysconfig/network", "", texts::ifcfg),
        ];
        let mut unread = None;
        for (_, folder, end, reader) in folders.into_iter().filter(|(reads, ..)| *reads) {
            for name in tree.list(folder)?.unwrap_or_default().into_iter().take(MOST_FILES * 4) {
                let Ok(name) = String::from_utf8(name) else { continue };
                if name.ends_with(end) && (!end.is_empty() || name.starts_with("ifcfg-")) {
                    unread = self.take(tree, &format!("{folder}/{name}"), reader).err().or(unread);
                }
            }
        }
        self.ifupdown(tree)?;
        if dhcpcd {
            self.take(tree, DHCPCD, texts::dhcpcd)?;
        }
        self.take(tree, RULES, texts::rules)?;
        let netplan = tree.has("/usr/sbin/netplan")?;
        if manager && !waits_for_files(tree)? {
            self.automatic = Some("NetworkManager");
        } else if dhcpcd {
            self.automatic = Some("dhcpcd");
        } else if tree.has(HELPER)? {
            self.automatic = Some(HELPER);
        }
        self.keeper = if netplan {
            Some(Keeper::Netplan)
        } else if manager {
            Some(Keeper::NetworkManager)
        } else if wicked {
            Some(Keeper::Wicked)
        } else if networkd {
            Some(Keeper::Networkd)
        } else if tree.has(INTERFACES)? {
            Some(Keeper::Ifupdown)
        } else if tree.has("/etc/sysconfig/network-scripts")? {
            Some(Keeper::Scripts)
        } else {
            None
        };
        unread.map_or(Ok(()), Err)
    }

    fn take(&mut self, tree: &mut Tree, file: &str, reader: Reader) -> Result<(), Reason> {
        if let Some(text) = tree.read(file, LONGEST)? {
            let found = reader(file, &text).map_err(|reason| format!("{file}: {reason}"))?;
            self.configurations.extend(found);
        }
        Ok(())
    }

    fn ifupdown(&mut self, tree: &mut Tree) -> Result<(), Reason> {
        let Some(main) = tree.read(INTERFACES, LONGEST)? else { return Ok(()) };
        let mut files = vec![(INTERFACES.to_owned(), main)];
        let folders: BTreeSet<String> = lines(&files[0].1)
            .filter_map(|(_, line)| {
                let (word, path) = line.split_once(char::is_whitespace)?;
                let path = path.trim();
                match word {
                    "source" => path.rsplit_once('/').map(|(folder, _)| folder.to_owned()),
                    "source-directory" => Some(path.trim_end_matches('/').to_owned()),
                    _ => None,
                }
            })
            .map(|folder| if folder.starts_with('/') { folder } else { format!("/etc/network/{folder}") })
            .collect();
        for folder in folders.into_iter().take(4) {
            for name in tree.list(&folder)?.unwrap_or_default().into_iter().take(MOST_FILES) {
                let Ok(name) = String::from_utf8(name) else { continue };
                let file = format!("{folder}/{name}");
                if let Some(text) = tree.read(&file, LONGEST)? {
                    files.push((file, text));
                }
            }
        }
        self.configurations.extend(texts::ifupdown(&files));
        Ok(())
    }
}

/// Whether NetworkManager is told to make no configuration by itself.
fn waits_for_files(tree: &mut Tree) -> Result<bool, Reason> {
    let mut files = vec!["/etc/NetworkManager/NetworkManager.conf".to_owned()];
    for folder in ["/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"] {
        for name in tree.list(folder)?.unwrap_or_default().into_iter().take(MOST_FILES) {
            let Ok(name) = String::from_utf8(name) else { continue };
            files.push(format!("{folder}/{name}"));
        }
    }
    for file in files {
        let text = tree.read(&file, LONGEST)?.unwrap_or_default();
        if lines(&text).any(|(_, line)| line.replace(' ', "") == "no-auto-default=*") {
            return Ok(true);
        }
    }
    Ok(false)
}
