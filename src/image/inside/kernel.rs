//! The kernels of a guest, and where their drivers are.

use std::cmp::Reverse;

use super::facts::{Answer, Driver, Drivers, Kernel};
use super::system::LONGEST_TEXT;
use super::text::shown;
use super::tree::Tree;
use super::volume::Read;

/// Most kernels that are told of.
const MOST_KERNELS: usize = 16;
/// Kernels whose drivers are looked for: the newest, and the one before it.
const MOST_LOOKED_INTO: usize = 2;

/// Lists the kernels that have modules, the newest first.
pub(super) fn kernels(tree: &mut Tree) -> Read<Vec<Kernel>> {
    let Some(mut names) = tree.list("/lib/modules")? else { return Ok(None) };
    names.sort_by_cached_key(|name| Reverse(version_key(name)));
    let mut kernels = Vec::new();
    for name in names {
        let Ok(release) = std::str::from_utf8(&name) else { continue };
        if kernels.len() == MOST_KERNELS || !tree.has(&format!("/lib/modules/{release}/modules.dep"))? {
            continue;
        }
        let drivers = (kernels.len() < MOST_LOOKED_INTO).then(|| drivers(tree, release));
        kernels.push(Kernel { image: image(tree, release).into(), release: shown(&name), drivers });
    }
    Ok((!kernels.is_empty()).then_some(kernels))
}

/// Finds the kernel itself by the names that distributions give it.
fn image(tree: &mut Tree, release: &str) -> Read<String> {
    // Alpine and Arch name it by its flavour: `6.6.31-0-virt` is `vmlinuz-virt`.
    let flavour = release.rsplit('-').next().unwrap_or(release);
    let names = [
        format!("/boot/vmlinuz-{release}"),
        format!("/lib/modules/{release}/vmlinuz"),
        format!("/boot/Image-{release}"),
        format!("/boot/vmlinuz-{flavour}"),
    ];
    for name in names {
        if tree.has(&name)? {
            return Ok(Some(shown(name.as_bytes())));
        }
    }
    Ok(None)
}

fn drivers(tree: &mut Tree, release: &str) -> Drivers {
    let mut text = |name: &str| tree.read(&format!("/lib/modules/{release}/{name}"), LONGEST_TEXT);
    let (built_in, modules) = (text("modules.builtin"), text("modules.dep"));
    let driver = |name: &str| Answer::from(driver(name, &built_in, &modules));
    Drivers {
        virtio_blk: driver("virtio_blk"),
        virtio_pci: driver("virtio_pci"),
        virtio_net: driver("virtio_net"),
        nvme: driver("nvme"),
        initramfs: Answer::Unread("not looked at".to_owned()),
    }
}

fn driver(name: &str, built_in: &Read<Vec<u8>>, modules: &Read<Vec<u8>>) -> Read<Driver> {
    if lists(built_in, name)? {
        return Ok(Some(Driver::BuiltIn));
    }
    Ok(lists(modules, name)?.then_some(Driver::Module))
}

/// Whether a list of modules names one. What was cut off, or is not there, lists nothing that could be relied on.
fn lists(list: &Read<Vec<u8>>, name: &str) -> Result<bool, String> {
    let list = list.as_ref().map_err(Clone::clone)?;
    let list = list.as_deref().ok_or("a list of its modules is missing")?;
    let listed = list.split(|byte| *byte == b'\n').any(|line| module(line) == Some(name.replace('_', "-")));
    match listed {
        false if list.len() == LONGEST_TEXT => Err("the list of its modules is too long".to_owned()),
        listed => Ok(listed),
    }
}

/// Returns the name of the module on a line such as `kernel/drivers/net/virtio_net.ko.xz: …`, with `-` for `_`, which
/// are the same in such names.
fn module(line: &[u8]) -> Option<String> {
    let path = line.split(|byte| *byte == b':').next()?;
    let file = path.rsplit(|byte| *byte == b'/').next()?;
    let at = file.windows(3).position(|window| window == b".ko")?;
    Some(std::str::from_utf8(&file[..at]).ok()?.replace('_', "-"))
}

/// Orders releases as people do: runs of digits by their value.
pub(super) fn version_key(release: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut key = Vec::new();
    let mut rest = release;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = rest[..digits]
            .iter()
            .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        rest = &rest[digits..];
        let letters = rest.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        key.push((number, rest[..letters].to_vec()));
        rest = &rest[letters..];
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Read<Vec<u8>> {
        Ok(Some(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_driver_is_built_in_or_a_module_or_not_there() {
        let built_in = text("kernel/drivers/nvme/host/nvme.ko\nkernel/drivers/virtio/virtio-pci.ko\n");
        let modules = text(
            "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/net/virtio_net.ko\nkernel/a/nvme.ko.zst:\n",
        );
        let find = |name| driver(name, &built_in, &modules);
        assert_eq!(find("nvme"), Ok(Some(Driver::BuiltIn)));
        assert_eq!(find("virtio_pci"), Ok(Some(Driver::BuiltIn)));
        assert_eq!(find("virtio_blk"), Ok(Some(Driver::Module)));
        assert_eq!(find("virtio_net"), Ok(None), "only needed by another one");
    }

    #[test]
    fn a_list_that_could_not_be_read_whole_is_no_evidence() {
        let modules = text("kernel/drivers/block/virtio_blk.ko:\n");
        assert!(driver("virtio_blk", &Ok(None), &modules).is_err());
        assert!(driver("virtio_blk", &Err("damaged".to_owned()), &modules).is_err());
        let long = Ok(Some(vec![b'x'; LONGEST_TEXT]));
        assert!(driver("virtio_net", &modules, &long).is_err());
        assert_eq!(driver("virtio_blk", &modules, &long), Ok(Some(Driver::BuiltIn)));
    }

    #[test]
    fn the_newest_release_is_the_one_with_the_highest_numbers() {
        let mut releases = ["6.1.0-9-amd64", "6.1.0-28-amd64", "5.10.0-99", "6.1.0-28-cloud-amd64", "6.10.0"];
        releases.sort_by_key(|release| Reverse(version_key(release.as_bytes())));
        assert_eq!(releases[0], "6.10.0");
        assert_eq!(releases[3..], ["6.1.0-9-amd64", "5.10.0-99"]);
    }
}
