//! Which names interfaces get, for that is what configurations are bound to.

use super::super::facts::BootEntry;
use super::super::tree::Tree;
use super::super::volume::Reason;

/// Where systemd says that interfaces are named by their slots, which its udev follows from 209 on.
const BY_SLOT: [&str; 2] =
    ["/usr/lib/systemd/network/99-default.link", "/lib/systemd/network/99-default.link"];
/// What is put in the place of that, or names interfaces otherwise.
const OTHERWISE: [&str; 3] = [
    "/etc/udev/rules.d/80-net-setup-link.rules",
    "/etc/udev/rules.d/80-net-name-slot.rules",
    "/etc/udev/rules.d/70-persistent-net.rules",
];
const LINKS: &str = "/etc/systemd/network";

/// How interfaces are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inside) enum Naming {
    /// As the kernel does: the first is `eth0`.
    Kernel,
    /// By the slot that the card is in.
    Slot,
    /// That could not be told.
    Unknown,
}

/// Tells how; `entry` is what the boot loader starts by itself, if that is known.
pub(in crate::inside) fn naming(tree: &mut Tree, entry: Option<&BootEntry>) -> Result<Naming, Reason> {
    let Some(entry) = entry else { return Ok(Naming::Unknown) };
    if entry.argument("net.ifnames") == Some("0") {
        return Ok(Naming::Kernel);
    }
    for file in OTHERWISE {
        // A link to nowhere is what switches it off.
        if tree.has(file)? || tree.link(file)?.is_some() {
            return Ok(Naming::Unknown);
        }
    }
    let own = tree.list(LINKS)?.unwrap_or_default();
    if own.iter().any(|name| name.ends_with(b".link")) || entry.argument("net.ifnames").is_some() {
        return Ok(Naming::Unknown);
    }
    for file in BY_SLOT {
        if tree.has(file)? {
            return Ok(Naming::Slot);
        }
    }
    Ok(Naming::Unknown)
}
