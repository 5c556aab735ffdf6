//! What the configuration of a boot loader starts.

mod extlinux;
mod grub;
mod menu;
mod script;
mod specified;

use super::facts::{Answer, BootEntry, BootFile, BootSearch};
use super::identity::Names;
use super::text::shown;
use super::tree::Tree;
use super::volume::Read;
use menu::{Item, Menu, Start};
use script::Variables;

/// Most entries that are told of.
const MOST_ENTRIES: usize = 32;
/// Most files of the Boot Loader Specification that are read.
const MOST_FILES: usize = 32;
/// Most arguments of one kernel that are told of.
const MOST_ARGUMENTS: usize = 64;
/// Most bytes of one configuration.
const LONGEST: usize = 256 << 10;
/// The configurations of GRUB, each with its environment block.
const GRUB: [(&str, &str); 2] =
    [("/boot/grub2/grub.cfg", "/boot/grub2/grubenv"), ("/boot/grub/grub.cfg", "/boot/grub/grubenv")];
const LEGACY: [&str; 2] = ["/boot/grub/grub.conf", "/boot/grub/menu.lst"];
const EXTLINUX: [&str; 4] = [
    "/boot/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux.cfg",
];
const ENTRIES: &str = "/boot/loader/entries";

/// Reads the configurations that there are: what they start, and what the loader looks for. `None` if there is none.
pub(super) fn read(tree: &mut Tree, names: &Names) -> Read<(Vec<BootEntry>, Vec<BootSearch>)> {
    let Some(menus) = menus(tree)? else { return Ok(None) };
    let mut entries: Vec<BootEntry> = Vec::new();
    let mut searches = Vec::new();
    for menu in &menus {
        let default = menu.default_item().filter(|_| !entries.iter().any(|entry| entry.is_default));
        for (index, item) in menu.items.iter().enumerate() {
            // Of an entry that tries several kernels, the one with the most is what must start.
            let most = item.starts.iter().max_by_key(|start| start.initrds.len());
            for start in &item.starts {
                let is_default = default == Some(index) && most.is_some_and(|most| std::ptr::eq(most, start));
                if entries.len() < MOST_ENTRIES || is_default {
                    entries.push(entry(tree, names, item, start, is_default));
                }
            }
        }
        for search in &menu.searches {
            let Some(place) = names.find(&search.device) else { continue };
            let is_needed = default.is_some() && search.item.is_none_or(|item| Some(item) == default);
            let (file, device) = (menu.file.clone(), shown(search.device.as_bytes()));
            let same = |other: &BootSearch| {
                other.device == device && other.file == file && other.is_needed == is_needed
            };
            if !searches.iter().any(same) {
                searches.push(BootSearch { file, line: search.line, device, place, is_needed });
            }
        }
    }
    if !entries.iter().any(|entry| entry.is_default)
        && let Some(first) = entries.first_mut()
    {
        first.is_default = true;
    }
    Ok(Some((entries, searches)))
}

/// Reads the menus, the one that counts first.
fn menus(tree: &mut Tree) -> Read<Vec<Menu>> {
    let mut menus = Vec::new();
    let mut variables = Variables::new();
    let mut any = false;
    let mut read = Vec::new();
    for (file, environment) in GRUB {
        // One may be a link to the other.
        let Some((path, _)) = tree.resolve(file.as_bytes())? else { continue };
        let Some(bytes) = tree.read(file, LONGEST)?.filter(|_| !read.contains(&path)) else { continue };
        read.push(path);
        any = true;
        // Without the block the defaults hold, and what it sets is not known.
        let block = tree.read(environment, 4096).ok().flatten().unwrap_or_default();
        let mut own = script::environment(&block);
        menus.push(grub::read(file, &bytes, &mut own));
        for (name, value) in own {
            variables.entry(name).or_insert(value);
        }
    }
    let folder = tree.list(ENTRIES)?;
    any |= folder.is_some();
    let mut specified = Vec::new();
    let names = folder.into_iter().flatten().filter(|name| name.ends_with(b".conf"));
    for name in names.take(MOST_FILES) {
        let Ok(name) = std::str::from_utf8(&name) else { continue };
        let file = format!("{ENTRIES}/{name}");
        if let Some(bytes) = tree.read(&file, LONGEST)? {
            specified.extend(specified::read(&file, &bytes, &variables));
        }
    }
    specified::sort(&mut specified);
    match menus.iter_mut().find(|menu| menu.specified_at.is_some()) {
        Some(menu) => menu.put_specified(specified),
        None => {
            let default = specified_default(tree, &specified)?;
            menus.push(Menu { items: specified, default, ..Menu::default() });
        }
    }
    for (files, reader) in
        [(&LEGACY[..], grub::read_legacy as fn(&str, &[u8]) -> Menu), (&EXTLINUX, extlinux::read)]
    {
        for file in files {
            if let Some(bytes) = tree.read(file, LONGEST)? {
                any = true;
                menus.push(reader(file, &bytes));
                break;
            }
        }
    }
    Ok(any.then_some(menus))
}

/// Returns the number of the entry that systemd-boot starts by itself.
fn specified_default(tree: &mut Tree, items: &[Item]) -> Read<String> {
    let Some(bytes) = tree.read("/boot/loader/loader.conf", LONGEST)? else { return Ok(None) };
    let pattern = super::text::lines(&bytes).find_map(|(_, line)| {
        let value = line.strip_prefix("default")?;
        value.starts_with([' ', '\t']).then_some(value.trim())
    });
    let Some(pattern) = pattern else { return Ok(None) };
    let pattern = pattern.strip_suffix(".conf").unwrap_or(pattern);
    let place =
        items.iter().position(|item| specified::matches(pattern, item.id.as_deref().unwrap_or_default()));
    Ok(place.map(|place| place.to_string()))
}

fn entry(tree: &mut Tree, names: &Names, item: &Item, start: &Start, is_default: bool) -> BootEntry {
    let shown = |text: &str| shown(text.as_bytes());
    // What holds a variable that nothing is known of is not the root.
    let root = start.arguments.iter().filter_map(|word| word.strip_prefix("root=")).next_back();
    let root = root.filter(|root| !root.contains('$'));
    let known = |name: &&String| !name.starts_with('$');
    BootEntry {
        file: shown(&start.file),
        line: start.line,
        id: item.id.as_deref().map(shown),
        title: shown(&item.title),
        is_default,
        kernel: start.kernel.as_ref().map(|name| file(tree, &start.file, name)),
        initrds: start.initrds.iter().filter(known).map(|name| file(tree, &start.file, name)).collect(),
        arguments: start
            .arguments
            .iter()
            .filter(known)
            .take(MOST_ARGUMENTS)
            .map(|word| argument(word))
            .collect(),
        root: root.map(shown),
        place: root.and_then(|root| names.find(root)),
    }
}

/// Tells an argument of the kernel, without a value that looks like a secret.
fn argument(word: &str) -> String {
    let shown = shown(word.as_bytes());
    match shown.split_once('=') {
        Some((name, _)) if ["pass", "secret", "token", "key"].iter().any(|secret| name.contains(secret)) => {
            format!("{name}=")
        }
        _ => shown,
    }
}

/// Finds a file that the configuration in `by` names.
fn file(tree: &mut Tree, by: &str, name: &str) -> BootFile {
    let path = match candidates(by, name) {
        None => Answer::Unread("its name holds a variable".to_owned()),
        Some(candidates) => {
            let found = candidates.iter().find_map(|path| match tree.has(path) {
                Ok(true) => Some(Ok(Some(shown(path.as_bytes())))),
                Ok(false) => None,
                Err(reason) => Some(Err(reason)),
            });
            found.unwrap_or(Ok(None)).into()
        }
    };
    BootFile { name: shown(name.as_bytes()), path }
}

/// Lists where a file may be in the running system that a loader reads from the file system with `/boot`: that begins at
/// `/boot`, or is the root, or holds the root in a subvolume.
fn candidates(by: &str, name: &str) -> Option<Vec<String>> {
    // `($root)/boot/vmlinuz`, `(hd0,1)/vmlinuz`: the partition.
    let name = match name.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or(name, |(_, path)| path),
        None => name,
    };
    if name.contains('$') {
        return None;
    }
    let mut paths = Vec::new();
    if !name.starts_with('/') {
        let folder = by.rsplit_once('/').map_or("", |(folder, _)| folder);
        paths.push(format!("{folder}/{name}"));
        paths.push(format!("/boot/{name}"));
        paths.push(format!("/{name}"));
    } else if name.starts_with("/boot/") {
        paths.push(name.to_owned());
        paths.push(format!("/boot{name}"));
    } else {
        paths.push(format!("/boot{name}"));
        paths.push(name.to_owned());
        paths.extend(name.find("/boot/").map(|at| name[at..].to_owned()));
    }
    Some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_may_be_named_from_the_partition_of_boot_or_from_the_root() {
        let of = |name| candidates("/boot/extlinux/extlinux.conf", name);
        assert_eq!(of("/vmlinuz").unwrap(), ["/boot/vmlinuz", "/vmlinuz"]);
        assert_eq!(of("($root)/boot/vmlinuz").unwrap(), ["/boot/vmlinuz", "/boot/boot/vmlinuz"]);
        assert_eq!(
            of("/@/boot/vmlinuz").unwrap(),
            ["/boot/@/boot/vmlinuz", "/@/boot/vmlinuz", "/boot/vmlinuz"]
        );
        assert_eq!(of("../vmlinuz").unwrap()[0], "/boot/extlinux/../vmlinuz");
        assert_eq!(of("/vmlinuz-$version"), None);
    }

    #[test]
    fn what_looks_like_a_password_is_not_told() {
        assert_eq!(argument("rd.luks.key=/secret"), "rd.luks.key=");
        assert_eq!(argument("ipmi.password=abc"), "ipmi.password=");
        assert_eq!(argument("root=UUID=a"), "root=UUID=a");
    }
}
