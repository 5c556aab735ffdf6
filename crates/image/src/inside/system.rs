//! What a Linux says of itself: its name and its first program.

use super::facts::{Answer, OsRelease};
use super::text::{assigned, lines, shown};
use super::tree::Tree;
use super::volume::{Kind, Read};
use crate::read::{be16, le16};
use ossup_core::model::Architecture;

/// Most bytes of one text that are read.
pub(super) const LONGEST_TEXT: usize = 1 << 20;

/// Reads `os-release`, or what there was before it.
pub(super) fn os_release(tree: &mut Tree) -> Read<OsRelease> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if let Some(bytes) = tree.read(path, 64 << 10)? {
            return Ok(Some(parse_os_release(&bytes)));
        }
    }
    for path in ["/etc/redhat-release", "/etc/SuSE-release"] {
        if let Some(bytes) = tree.read(path, 4096)? {
            let name = shown(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default());
            return Ok(Some(OsRelease { name: Some(name), ..OsRelease::default() }));
        }
    }
    let version = tree.read("/etc/debian_version", 4096)?;
    Ok(version.map(|version| OsRelease {
        name: Some("Debian GNU/Linux".to_owned()),
        version_id: Some(shown(version.trim_ascii())),
        ..OsRelease::default()
    }))
}

fn parse_os_release(bytes: &[u8]) -> OsRelease {
    let mut found = OsRelease::default();
    for (_, line) in lines(bytes) {
        for (key, place) in [
            ("ID", &mut found.id),
            ("VERSION_ID", &mut found.version_id),
            ("NAME", &mut found.name),
            ("PRETTY_NAME", &mut found.pretty_name),
            ("VARIANT_ID", &mut found.variant_id),
        ] {
            if let Some(value) = assigned(line, key) {
                *place = Some(shown(value.as_bytes()));
            }
        }
    }
    found
}

/// Returns the platform that goes with an `os-release`, by its exact id: a derivative that is declared as its parent
/// would be set up as that.
pub(super) fn platform(os: &OsRelease) -> Option<&'static str> {
    let named = |word: &str| os.name.as_deref().is_some_and(|name| name.contains(word));
    Some(match os.id.as_deref()? {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        "centos" if named("Stream") => "CentOS Stream",
        "centos" => "CentOS",
        "rhel" => "RedHat",
        "almalinux" => "AlmaLinux",
        "rocky" => "Rocky Linux",
        "sles" | "sles_sap" => "SUSE",
        "opensuse-leap" | "opensuse-tumbleweed" | "opensuse" => "OpenSUSE",
        "anolis" => "Anolis",
        "alinux" => "Aliyun",
        "kylin" => "Kylin",
        "uos" => "UOS",
        "gentoo" => "Gentoo",
        "fedora" if os.variant_id.as_deref() == Some("coreos") => "Fedora CoreOS",
        "fedora" => "Fedora",
        "coreos" | "flatcar" => "CoreOS",
        _ => return None,
    })
}

/// Finds the program that the kernel starts first.
pub(super) fn init(tree: &mut Tree) -> Read<String> {
    for path in ["/sbin/init", "/etc/init", "/bin/init"] {
        if let Some((path, Kind::File)) = tree.resolve(path.as_bytes())? {
            return Ok(Some(shown(&path)));
        }
    }
    Ok(None)
}

/// Tells what the first program, or the shell, is built for, and its ELF machine where that is none of ECS.
pub(super) fn architecture(tree: &mut Tree) -> (Answer<Architecture>, Option<u16>) {
    let mut machine = None;
    for path in ["/sbin/init", "/bin/sh"] {
        match tree.read(path, 64) {
            Ok(Some(head)) => machine = machine.or_else(|| elf_machine(&head)),
            Ok(None) => {}
            Err(reason) => return (Answer::Unread(reason), None),
        }
    }
    let answer = match machine {
        Some(3) => Answer::Found(Architecture::I386),
        Some(62) => Answer::Found(Architecture::X86_64),
        Some(183) => Answer::Found(Architecture::Arm64),
        Some(other) => return (Answer::Absent, Some(other)),
        None => Answer::Absent,
    };
    (answer, None)
}

/// Returns `e_machine` of an ELF header.
fn elf_machine(head: &[u8]) -> Option<u16> {
    if head.len() < 20 || !head.starts_with(b"\x7fELF") {
        return None;
    }
    Some(if head[5] == 2 { be16(head, 18) } else { le16(head, 18) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_any_quotes() {
        let os = parse_os_release(
            b"# comment\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\nVERSION_ID=\"12\"\n\
              ID=debian\nID_LIKE=other\n\xff\nVERSION_CODENAME=bookworm\n",
        );
        assert_eq!(os.id.as_deref(), Some("debian"));
        assert_eq!(os.version_id.as_deref(), Some("12"));
        assert_eq!(os.title(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(platform(&os), Some("Debian"));
        assert_eq!(OsRelease::default().title(), "Linux");
    }

    #[test]
    fn a_derivative_has_no_platform_and_each_platform_is_one_of_the_service() {
        let of = |id: &str, name: &str, variant: &str| {
            platform(&OsRelease {
                id: Some(id.to_owned()),
                name: Some(name.to_owned()),
                variant_id: Some(variant.to_owned()),
                ..OsRelease::default()
            })
        };
        assert_eq!(of("gardenlinux", "Debian", ""), None);
        assert_eq!(of("centos", "CentOS Stream", ""), Some("CentOS Stream"));
        assert_eq!(of("centos", "CentOS Linux", ""), Some("CentOS"));
        assert_eq!(of("fedora", "Fedora Linux", "coreos"), Some("Fedora CoreOS"));
        assert_eq!(of("fedora", "Fedora Linux", "cloud"), Some("Fedora"));
        let ids = "debian ubuntu centos rhel almalinux rocky sles opensuse anolis alinux kylin uos gentoo fedora coreos";
        for id in ids.split(' ') {
            let platform = of(id, "", "").unwrap();
            assert!(crate::request::PLATFORMS.contains(&platform), "{platform}");
        }
    }

    #[test]
    fn the_machine_is_read_in_the_order_of_bytes_that_the_header_has() {
        let header = |order: u8, machine: [u8; 2]| {
            let mut header = vec![0; 20];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order]);
            header[18..].copy_from_slice(&machine);
            header
        };
        assert_eq!(elf_machine(&header(1, [62, 0])), Some(62));
        assert_eq!(elf_machine(&header(2, [0, 21])), Some(21));
        assert_eq!(elf_machine(b"#!/bin/sh and more than twenty bytes"), None);
        assert_eq!(elf_machine(b"\x7fELF"), None);
    }
}
