//! What the configuration of a guest says its initial RAM file systems hold, where they could not be read.

use std::fmt;

use crate::inside::text::{assigned, lines, shown};
use crate::inside::tree::Tree;
use crate::inside::volume::Read;

/// Most bytes of one configuration.
const LONGEST: usize = 64 << 10;
/// Most files of a folder of configurations.
const MOST_FILES: usize = 32;

/// What a configuration lets expect. It is no evidence: files are made before it is written, and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inside) struct Hint {
    /// Whether drivers of other machines are put in too.
    is_general: bool,
    file: String,
    says: &'static str,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_general, file, says } = self;
        match is_general {
            true => write!(f, "probably it has, since {file} says {says}"),
            false => write!(
                f,
                "perhaps not, since {file} says {says}, which leaves out what its own machine did not need"
            ),
        }
    }
}

/// Asks the configurations; the last word counts, in the order in which the programs read them.
pub(in crate::inside) fn hint(tree: &mut Tree) -> Read<Hint> {
    let mut last = None;
    for (file, is_folder) in [
        ("/etc/initramfs-tools/initramfs.conf", false),
        ("/etc/initramfs-tools/conf.d", true),
        ("/etc/dracut.conf", false),
        ("/usr/lib/dracut/dracut.conf.d", true),
        ("/etc/dracut.conf.d", true),
        ("/etc/mkinitcpio.conf", false),
        ("/etc/mkinitfs/mkinitfs.conf", false),
    ] {
        let files = match is_folder {
            false => vec![file.to_owned()],
            true => {
                let names = tree.list(file)?.unwrap_or_default();
                let names = names.iter().filter_map(|name| std::str::from_utf8(name).ok()).take(MOST_FILES);
                names.map(|name| format!("{file}/{name}")).collect()
            }
        };
        for file in files {
            if let Some(text) = tree.read(&file, LONGEST)?
                && let Some((is_general, says)) = said(&file, &text)
            {
                last = Some(Hint { is_general, file: shown(file.as_bytes()), says });
            }
        }
    }
    Ok(last)
}

/// Returns what one file says, the last time that it says something.
fn said(file: &str, text: &[u8]) -> Option<(bool, &'static str)> {
    lines(text).filter_map(|(_, line)| word(file, line)).last()
}

fn word(file: &str, line: &str) -> Option<(bool, &'static str)> {
    if file.contains("/initramfs-tools/") {
        return match assigned(line, "MODULES")? {
            "most" => Some((true, "MODULES=most")),
            "dep" => Some((false, "MODULES=dep")),
            _ => None,
        };
    }
    if file.contains("/dracut") {
        return match assigned(line, "hostonly")? {
            "no" => Some((true, "hostonly=no")),
            "yes" => Some((false, "hostonly=yes")),
            _ => None,
        };
    }
    if file.contains("mkinitcpio") {
        let hooks = line.strip_prefix("HOOKS=")?;
        let named = hooks
            .split(|char: char| !char.is_ascii_alphanumeric() && char != '-')
            .any(|hook| hook == "autodetect");
        return Some(if named { (false, "autodetect") } else { (true, "no autodetect") });
    }
    let features = line.strip_prefix("features=")?;
    let named = features.split(|char: char| !char.is_ascii_alphanumeric()).any(|feature| feature == "virtio");
    Some(if named { (true, "virtio") } else { (false, "no virtio") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_says_in_its_own_words_what_it_puts_in() {
        for (file, text, found) in [
            ("/etc/initramfs-tools/initramfs.conf", "# MODULES=dep\nMODULES=most\n", Some(true)),
            ("/etc/initramfs-tools/conf.d/driver-policy", "MODULES=dep\n", Some(false)),
            ("/etc/initramfs-tools/conf.d/resume", "RESUME=none\n", None),
            ("/etc/dracut.conf.d/02-generic-image.conf", "hostonly=\"no\"\n", Some(true)),
            ("/etc/dracut.conf", "hostonly=yes\n#hostonly=no\n", Some(false)),
            ("/etc/mkinitcpio.conf", "HOOKS=(base udev autodetect modconf block)\n", Some(false)),
            ("/etc/mkinitcpio.conf", "HOOKS=(base udev modconf block)\n", Some(true)),
            ("/etc/mkinitfs/mkinitfs.conf", "features=\"ata base ext4 scsi usb virtio\"\n", Some(true)),
            ("/etc/mkinitfs/mkinitfs.conf", "features=\"ata base ext4\"\n", Some(false)),
        ] {
            assert_eq!(
                said(file, text.as_bytes()).map(|(is_general, _)| is_general),
                found,
                "{file}: {text}"
            );
        }
    }

    #[test]
    fn a_hint_names_its_file() {
        let hint = Hint { is_general: true, file: "/etc/dracut.conf".to_owned(), says: "hostonly=no" };
        assert_eq!(hint.to_string(), "probably it has, since /etc/dracut.conf says hostonly=no");
    }
}
