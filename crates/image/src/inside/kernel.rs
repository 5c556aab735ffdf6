//! The kernels of a guest, which of them starts, and where their drivers are.

use std::cmp::Reverse;

use super::facts::{Answer, BootEntry, BootFile, Driver, Drivers, Kernel};
use super::initramfs::{is_same_module, module_name};
use super::system::LONGEST_TEXT;
use super::text::shown;
use super::tree::Tree;
use super::volume::Read;

/// Most kernels that are told of.
const MOST_KERNELS: usize = 16;
/// Kernels whose drivers are looked for: the newest, and the one before it.
const MOST_LOOKED_INTO: usize = 2;

/// Most bytes of a list of modules; those of distributions take less than 1 MiB.
const LONGEST_LIST: usize = 2 << 20;

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
        let image = image(tree, release).into();
        kernels.push(Kernel { image, release: shown(&name), starts: false, drivers });
    }
    Ok((!kernels.is_empty()).then_some(kernels))
}

/// Finds the kernel itself by the names that distributions give it.
fn image(tree: &mut Tree, release: &str) -> Read<String> {
    let mut names = vec![
        format!("/boot/vmlinuz-{release}"),
        format!("/lib/modules/{release}/vmlinuz"),
        format!("/boot/Image-{release}"),
    ];
    names.extend(short_names(tree, release)?.into_iter().map(|name| format!("/boot/vmlinuz-{name}")));
    for name in names {
        if tree.has(&name)? {
            return Ok(Some(shown(name.as_bytes())));
        }
    }
    Ok(None)
}

/// Returns the names that a kernel has besides its release: Alpine takes the flavour, `virt` of `6.6.31-0-virt`, and Arch
/// the package, such as `linux-lts`.
pub(super) fn short_names(tree: &mut Tree, release: &str) -> Result<Vec<String>, String> {
    let package = tree.read(&format!("/lib/modules/{release}/pkgbase"), 256)?;
    let package = package.and_then(|name| String::from_utf8(name.trim_ascii().to_vec()).ok());
    let flavour = release.rsplit('-').next().map(str::to_owned);
    Ok(package.into_iter().chain(flavour).collect())
}

/// Marks the kernel that starts: the one that the boot loader's entry names, or else the newest. Tells whether that is
/// certain.
pub(super) fn choose(tree: &mut Tree, kernels: &mut [Kernel], entry: Option<&BootEntry>) -> bool {
    let file = entry.and_then(|entry| entry.kernel.as_ref());
    let release = entry.and_then(|entry| entry.release.as_deref());
    // What cannot be read names none.
    let named = match release {
        Some(release) => kernels.iter().position(|kernel| kernel.release == release),
        None => file.and_then(|file| position(tree, kernels, file).ok().flatten()),
    };
    let is_only = kernels.len() == 1 && file.is_none();
    if let Some(kernel) = kernels.get_mut(named.unwrap_or(0)) {
        kernel.starts = true;
        if kernel.drivers.is_none() {
            kernel.drivers = Some(drivers(tree, &kernel.release));
        }
    }
    named.is_some() || is_only
}

/// Finds the kernel that a boot loader names.
fn position(tree: &mut Tree, kernels: &[Kernel], file: &BootFile) -> Read<usize> {
    if let Some(position) = by_name(kernels, &file.name) {
        return Ok(Some(position));
    }
    // It may be a link, such as `/boot/vmlinuz`.
    let Some(path) = file.path.found() else { return Ok(None) };
    let target = tree.resolve(path.as_bytes())?;
    Ok(target.and_then(|(target, _)| by_name(kernels, &String::from_utf8_lossy(&target))))
}

fn by_name(kernels: &[Kernel], path: &str) -> Option<usize> {
    let file = path.rsplit('/').next()?;
    let is_called = |kernel: &Kernel| {
        let image = kernel.image.found().and_then(|image| image.rsplit('/').next());
        // `vmlinuz` alone stands for whatever kernel it is.
        let is_image = image == Some(file) && file.contains('-');
        is_image
            || path.split('/').any(|name| name == kernel.release)
            || file.split_once('-').is_some_and(|(_, release)| release == kernel.release)
    };
    kernels.iter().position(is_called)
}

/// Tells where a kernel has its drivers. What of them is in its initial RAM file system is looked at later.
fn drivers(tree: &mut Tree, release: &str) -> Drivers {
    let mut text = |name: &str| tree.read(&format!("/lib/modules/{release}/{name}"), LONGEST_LIST);
    // It stands even where there are no modules to list, if a kernel was installed as a whole.
    let built_in = text("modules.builtin").map(|list| list.filter(|list| !list.is_empty()));
    let modules = text("modules.dep");
    // All that it says is in those lists, where they are.
    let config = if matches!(built_in, Ok(Some(_))) { Ok(None) } else { config(tree, release) };
    let driver = |name: &str, option: &str| Answer::from(driver(name, option, &built_in, &modules, &config));
    Drivers {
        virtio_blk: driver("virtio_blk", "CONFIG_VIRTIO_BLK"),
        virtio_pci: driver("virtio_pci", "CONFIG_VIRTIO_PCI"),
        virtio_net: driver("virtio_net", "CONFIG_VIRTIO_NET"),
        nvme: driver("nvme", "CONFIG_BLK_DEV_NVME"),
        fw_cfg: driver("qemu_fw_cfg", "CONFIG_FW_CFG_SYSFS"),
        initramfs: Answer::Unread("it is not the kernel that starts".to_owned()),
    }
}

fn config(tree: &mut Tree, release: &str) -> Read<Vec<u8>> {
    for path in [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")] {
        if let Some(config) = tree.read(&path, LONGEST_TEXT)? {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

fn driver(
    name: &str,
    option: &str,
    built_in: &Read<Vec<u8>>,
    modules: &Read<Vec<u8>>,
    config: &Read<Vec<u8>>,
) -> Read<Driver> {
    let configured = config.as_ref().ok().and_then(|config| configured(config.as_deref()?, option));
    match lists(built_in, name) {
        Ok(true) => return Ok(Some(Driver::BuiltIn)),
        Ok(false) => {}
        Err(reason) => match configured {
            Some(b"y") => return Ok(Some(Driver::BuiltIn)),
            // Then it is not built in.
            Some(_) => {}
            None => return Err(reason),
        },
    }
    Ok(lists(modules, name)?.then_some(Driver::Module))
}

/// Returns what the configuration of a kernel says of an option: `y`, `m`, or `n` where it is not set. Nothing if it says
/// nothing, as where it is no such configuration.
fn configured<'a>(config: &'a [u8], option: &str) -> Option<&'a [u8]> {
    let mut lines = config.split(|byte| *byte == b'\n');
    let value = |line: &'a [u8]| line.strip_prefix(option.as_bytes())?.strip_prefix(b"=");
    let unset = format!("# {option} is not set");
    lines.find_map(|line| value(line).or((line == unset.as_bytes()).then_some(b"n")))
}

/// Whether a list of modules names one. What was cut off, or is not there, lists nothing that could be relied on.
fn lists(list: &Read<Vec<u8>>, name: &str) -> Result<bool, String> {
    let list = list.as_ref().map_err(Clone::clone)?;
    let list = list.as_deref().ok_or("a list of its modules is missing")?;
    let is_listed = |line| module(line).is_some_and(|module| is_same_module(module, name.as_bytes()));
    match list.split(|byte| *byte == b'\n').any(is_listed) {
        false if list.len() == LONGEST_LIST => Err("the list of its modules is too long".to_owned()),
        listed => Ok(listed),
    }
}

/// Returns the name of the module on a line such as `kernel/drivers/net/virtio_net.ko.xz: …`.
fn module(line: &[u8]) -> Option<&[u8]> {
    let path = line.split(|byte| *byte == b':').next()?.trim_ascii_end();
    module_name(path.rsplit(|byte| *byte == b'/').next()?)
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
        let contrary = text("CONFIG_VIRTIO_BLK=y\nCONFIG_BLK_DEV_NVME=m\n");
        for config in [Ok(None), contrary] {
            let find = |name| driver(name, "CONFIG_VIRTIO_BLK", &built_in, &modules, &config);
            assert_eq!(find("nvme"), Ok(Some(Driver::BuiltIn)));
            assert_eq!(find("virtio_pci"), Ok(Some(Driver::BuiltIn)));
            assert_eq!(find("virtio_blk"), Ok(Some(Driver::Module)), "the list counts more");
            assert_eq!(find("virtio_net"), Ok(None), "only needed by another one");
        }
    }

    #[test]
    fn a_configuration_tells_what_is_built_in_where_no_list_does() {
        let config = text(
            "# CONFIG_VIRTIO_NET is not set\nCONFIG_VIRTIO_BLK_SCSI=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_NVME=y\n",
        );
        let modules = text("kernel/drivers/block/virtio_blk.ko:\n");
        for built_in in [Ok(None), Err("damaged".to_owned())] {
            let find = |name, option| driver(name, option, &built_in, &modules, &config);
            assert_eq!(find("nvme", "CONFIG_NVME"), Ok(Some(Driver::BuiltIn)));
            assert_eq!(find("virtio_blk", "CONFIG_VIRTIO_BLK"), Ok(Some(Driver::Module)));
            assert_eq!(find("virtio_net", "CONFIG_VIRTIO_NET"), Ok(None));
            assert!(find("virtio_pci", "CONFIG_VIRTIO_PCI").is_err(), "nothing is said of it");
        }
    }

    #[test]
    fn a_list_that_could_not_be_read_whole_is_no_evidence() {
        let modules = text("kernel/drivers/block/virtio_blk.ko:\n");
        fn find(name: &str, built_in: &Read<Vec<u8>>, modules: &Read<Vec<u8>>) -> Read<Driver> {
            driver(name, "CONFIG_X", built_in, modules, &Ok(None))
        }
        assert!(find("virtio_blk", &Ok(None), &modules).is_err());
        assert!(find("virtio_blk", &Err("damaged".to_owned()), &modules).is_err());
        let long = Ok(Some(vec![b'x'; LONGEST_LIST]));
        assert!(find("virtio_net", &modules, &long).is_err());
        assert_eq!(find("virtio_blk", &modules, &long), Ok(Some(Driver::BuiltIn)));
    }

    #[test]
    fn the_kernel_of_a_boot_entry_is_known_by_its_release_or_its_name() {
        let kernel = |release: &str, image: Option<&str>| Kernel {
            release: release.to_owned(),
            image: image.map(str::to_owned).map_or(Answer::Absent, Answer::Found),
            starts: false,
            drivers: None,
        };
        let kernels = [
            kernel("6.6.31-0-virt", Some("/boot/vmlinuz-virt")),
            kernel("6.1.0-28-amd64", None),
            kernel("6.9.1-arch1-1", Some("/boot/vmlinuz-linux")),
            kernel("5.14.0", Some("/lib/modules/5.14.0/vmlinuz")),
        ];
        for (path, found) in [
            ("/vmlinuz-virt", Some(0)),
            ("/boot/vmlinuz-6.1.0-28-amd64", Some(1)),
            ("/@/boot/vmlinuz-linux", Some(2)),
            ("/0123456789abcdef/6.1.0-28-amd64/linux", Some(1)),
            ("/vmlinuz-5.14.0", Some(3)),
            ("/usr/lib/modules/5.14.0/vmlinuz", Some(3)),
            ("/vmlinuz-6.1.0-9-amd64", None),
            ("/vmlinuz", None),
            ("", None),
        ] {
            assert_eq!(by_name(&kernels, path), found, "{path}");
        }
    }

    #[test]
    fn the_newest_release_is_the_one_with_the_highest_numbers() {
        let mut releases = ["6.1.0-9-amd64", "6.1.0-28-amd64", "5.10.0-99", "6.1.0-28-cloud-amd64", "6.10.0"];
        releases.sort_by_key(|release| Reverse(version_key(release.as_bytes())));
        assert_eq!(releases[0], "6.10.0");
        assert_eq!(releases[3..], ["6.1.0-9-amd64", "5.10.0-99"]);
    }
}
