//! What the configuration of a boot loader starts.

mod efi;
mod extlinux;
mod grub;
mod menu;
pub(super) mod program;
mod script;
mod specified;
mod unified;

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
/// Configurations of loaders that are not read.
const OTHERS: [(&str, &str); 6] = [
    ("/etc/lilo.conf", "LILO"),
    ("/boot/refind_linux.conf", "rEFInd"),
    ("/boot/limine.conf", "Limine"),
    ("/boot/limine/limine.conf", "Limine"),
    ("/boot/limine.cfg", "Limine"),
    ("/boot/efi/limine.conf", "Limine"),
];
const ENTRIES: &str = "/boot/loader/entries";

/// Reads the configurations that there are: what they start, and what the loader looks for. `None` if there is none. `efi`
/// is where the EFI partition is mounted.
pub(super) fn read(
    tree: &mut Tree,
    names: &Names,
    efi: Option<&str>,
) -> Read<(Vec<BootEntry>, Vec<BootSearch>)> {
    let mut menus = menus(tree)?;
    let mut pointers = Vec::new();
    let mut other = other(tree)?;
    match efi.map_or_else(|| Ok(efi::Found::default()), |point| efi::read(tree, point)) {
        Ok(mut found) => {
            pointers = found.pointers;
            if let Some(menu) = found.menus.iter_mut().find(|menu| menu.specified_at.is_some()) {
                menu.put_specified(menus.as_deref_mut().map(take_specified).unwrap_or_default());
            }
            if !found.menus.is_empty() || found.direct.is_some() {
                let menus = menus.get_or_insert_default();
                menus.extend(found.menus);
                // What firmware starts itself asks no menu.
                menus.splice(0..0, found.direct);
            }
            other = other.or(found.other);
        }
        // What the system has in its own /boot counts alone then.
        Err(reason) if menus.is_none() => return Err(reason),
        Err(_) => {}
    }
    let menus = match (menus, other) {
        (Some(menus), _) => menus,
        (None, Some(reason)) => return Err(reason),
        (None, None) => return Ok(None),
    };
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
                    entries.push(entry(tree, names, efi, (item, start), is_default));
                }
            }
        }
        for search in &menu.searches {
            let Some(place) = names.find(&search.device) else { continue };
            let is_needed = default.is_some() && search.item.is_none_or(|item| Some(item) == default);
            let (file, device) = (shown(menu.file.as_bytes()), shown(search.device.as_bytes()));
            let same = |other: &BootSearch| {
                other.device == device && other.file == file && other.is_needed == is_needed
            };
            if !searches.iter().any(same) {
                searches.push(BootSearch { file, line: search.line, device, place, is_needed });
            }
        }
    }
    // Of several lines that look for it one is enough.
    let places =
        |menu: &Menu| menu.searches.iter().map(|search| names.find(&search.device)).collect::<Vec<_>>();
    let is_needed = pointers.iter().flat_map(places).all(|place| place == Some(Answer::Absent));
    for pointer in &pointers {
        for search in &pointer.searches {
            let Some(place) = names.find(&search.device) else { continue };
            let (file, device) = (shown(pointer.file.as_bytes()), shown(search.device.as_bytes()));
            searches.push(BootSearch { file, line: search.line, device, place, is_needed });
        }
    }
    if !entries.iter().any(|entry| entry.is_default)
        && let Some(first) = entries.first_mut()
    {
        first.is_default = true;
    }
    Ok(Some((entries, searches)))
}

/// Says which loader there is whose configuration is not read.
fn other(tree: &mut Tree) -> Read<String> {
    for (file, loader) in OTHERS {
        if tree.has(file)? {
            return Ok(Some(format!("{file} is the configuration of {loader}, which is not read")));
        }
    }
    Ok(None)
}

/// Takes the entries of the Boot Loader Specification that stand alone, for a menu that has them put into it.
fn take_specified(menus: &mut [Menu]) -> Vec<Item> {
    let is_of_file = |item: &Item| item.starts.iter().all(|start| start.file.starts_with(ENTRIES));
    let alone = menus.iter_mut().find(|menu| menu.file.is_empty() && menu.items.iter().all(is_of_file));
    alone.map(|menu| std::mem::take(&mut menu.items)).unwrap_or_default()
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
            let default = specified_default(tree, "/boot", &specified)?;
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

/// Returns the number of the entry that systemd-boot starts by itself, as configured below `point`.
fn specified_default(tree: &mut Tree, point: &str, items: &[Item]) -> Read<String> {
    let Some(bytes) = tree.read(&format!("{point}/loader/loader.conf"), LONGEST)? else { return Ok(None) };
    let pattern = super::text::lines(&bytes).find_map(|(_, line)| {
        let value = line.strip_prefix("default")?;
        value.starts_with([' ', '\t']).then_some(value.trim())
    });
    let Some(pattern) = pattern else { return Ok(None) };
    if pattern.starts_with('@') {
        // `@saved` is in a variable of the firmware.
        return Ok(None);
    }
    let pattern = pattern.strip_suffix(".conf").unwrap_or(pattern);
    let place =
        items.iter().position(|item| specified::matches(pattern, item.id.as_deref().unwrap_or_default()));
    Ok(place.map(|place| place.to_string()))
}

fn entry(
    tree: &mut Tree,
    names: &Names,
    efi: Option<&str>,
    (item, start): (&Item, &Start),
    is_default: bool,
) -> BootEntry {
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
        kernel: start.kernel.as_ref().map(|name| file(tree, efi, &start.file, name)),
        release: start.release.as_deref().map(shown),
        initrds: start.initrds.iter().filter(known).map(|name| file(tree, efi, &start.file, name)).collect(),
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
fn file(tree: &mut Tree, efi: Option<&str>, by: &str, name: &str) -> BootFile {
    let path = match candidates(efi, by, name) {
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
/// `/boot`, or is the root, or holds the root in a subvolume. What the EFI partition at `efi` names may be there.
fn candidates(efi: Option<&str>, by: &str, name: &str) -> Option<Vec<String>> {
    // `($root)/boot/vmlinuz`, `(hd0,1)/vmlinuz`: the partition.
    let name = match name.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or(name, |(_, path)| path),
        None => name,
    };
    if name.contains('$') {
        return None;
    }
    let mut paths = Vec::new();
    if let Some(point) = efi.filter(|point| by.starts_with(*point) && *point != "/boot") {
        paths.push(format!("{point}/{}", name.trim_start_matches('/')));
    }
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
        let of = |name| candidates(None, "/boot/extlinux/extlinux.conf", name);
        assert_eq!(of("/vmlinuz").unwrap(), ["/boot/vmlinuz", "/vmlinuz"]);
        assert_eq!(of("($root)/boot/vmlinuz").unwrap(), ["/boot/vmlinuz", "/boot/boot/vmlinuz"]);
        assert_eq!(
            of("/@/boot/vmlinuz").unwrap(),
            ["/boot/@/boot/vmlinuz", "/@/boot/vmlinuz", "/boot/vmlinuz"]
        );
        assert_eq!(of("../vmlinuz").unwrap()[0], "/boot/extlinux/../vmlinuz");
        assert_eq!(of("/vmlinuz-$version"), None);
        let efi = candidates(Some("/boot/efi"), "/boot/efi/loader/entries/a.conf", "/vmlinuz").unwrap();
        assert_eq!(efi[0], "/boot/efi/vmlinuz");
    }

    const PARTITION: &str = "/boot/efi";

    fn read_files(files: &[(&str, &str)]) -> Read<(Vec<BootEntry>, Vec<BootSearch>)> {
        read(&mut super::super::memory::tree(files), &Names::default(), Some(PARTITION))
    }

    #[test]
    fn the_efi_partition_may_hold_the_menu_of_grub_or_of_systemd_boot() {
        let grub =
            "menuentry 'CentOS' {\n linuxefi /vmlinuz-3 root=UUID=a ro\n initrdefi /initramfs-3.img\n}\n";
        let (entries, _) =
            read_files(&[("/boot/efi/EFI/centos/grub.cfg", grub), ("/boot/vmlinuz-3", "")]).unwrap().unwrap();
        assert_eq!((entries.len(), entries[0].is_default), (1, true));
        assert_eq!(entries[0].place, Some(Answer::Absent));
        assert_eq!(entries[0].kernel.as_ref().unwrap().path, Answer::Found("/boot/vmlinuz-3".to_owned()));
        let arch = "title Arch\nlinux /vmlinuz-linux\noptions root=UUID=a\n";
        let files = [
            ("/boot/efi/loader/entries/arch.conf", arch),
            ("/boot/efi/loader/entries/arch-lts.conf", "linux /vmlinuz-lts\n"),
            ("/boot/efi/loader/loader.conf", "default arch-l*\n"),
            ("/boot/efi/vmlinuz-linux", ""),
        ];
        let (entries, _) = read_files(&files).unwrap().unwrap();
        let default = entries.iter().find(|entry| entry.is_default).unwrap();
        assert_eq!(default.kernel.as_ref().unwrap().path, Answer::Absent);
        let other = entries.iter().find(|entry| !entry.is_default).unwrap();
        assert_eq!(other.kernel.as_ref().unwrap().path, Answer::Found("/boot/efi/vmlinuz-linux".to_owned()));
    }

    #[test]
    fn a_menu_in_the_efi_partition_may_have_its_entries_in_boot() {
        let files = [
            // As RHEL 8 has it.
            (
                "/boot/efi/EFI/redhat/grub.cfg",
                "set default=\"${saved_entry}\"\nblscfg\nmenuentry 'firmware' {\n fwsetup\n}\n",
            ),
            ("/boot/efi/EFI/redhat/grubenv", "saved_entry=abc-1\n"),
            ("/boot/loader/entries/abc-1.conf", "linux /vmlinuz-1\noptions root=UUID=a\n"),
            ("/boot/loader/entries/abc-2.conf", "linux /vmlinuz-2\noptions root=UUID=a\n"),
        ];
        let (entries, _) = read_files(&files).unwrap().unwrap();
        let defaults = entries.iter().filter(|entry| entry.is_default);
        assert_eq!(
            defaults.map(|entry| &*entry.file).collect::<Vec<_>>(),
            ["/boot/loader/entries/abc-1.conf"]
        );
        assert_eq!(entries.len(), 2);
    }

    /// Makes a unified kernel image that has these arguments.
    fn unified(arguments: &str) -> String {
        let image = program::tests::program(&[(".linux", b"MZ"), (".cmdline", arguments.as_bytes())]);
        String::from_utf8(image).unwrap()
    }

    #[test]
    fn a_unified_kernel_image_is_an_entry_with_its_arguments() {
        let image = unified("root=UUID=a quiet");
        let files = [("/boot/efi/EFI/Linux/arch.EFI", &*image), ("/boot/efi/EFI/Linux/no.efi", "MZ")];
        let (entries, _) = read_files(&files).unwrap().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].root.as_deref(), &*entries[0].title), (Some("UUID=a"), "arch.EFI"));
        let path = Answer::Found("/boot/efi/EFI/Linux/arch.EFI".to_owned());
        assert_eq!(entries[0].kernel.as_ref().unwrap().path, path);
        let extended = [("/boot/EFI/Linux/debian.efi", &*image), ("/boot/efi/EFI/BOOT/x", "")];
        let (entries, _) = read_files(&extended).unwrap().unwrap();
        assert_eq!(&*entries[0].file, "/boot/EFI/Linux/debian.efi", "on a partition of its own");
    }

    #[test]
    fn the_release_of_a_unified_kernel_image_is_told_by_its_section_or_by_the_kernel_in_it() {
        let release = |sections: &[(&str, &[u8])]| {
            let image = String::from_utf8(program::tests::program(sections)).unwrap();
            let (entries, _) = read_files(&[("/boot/efi/EFI/Linux/a.efi", &image)]).unwrap().unwrap();
            entries[0].release.clone()
        };
        let mut kernel = vec![0; 0x400];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x20E..0x210].copy_from_slice(&0x40_u16.to_le_bytes());
        kernel[0x240..0x255].copy_from_slice(b"6.6.8-arch1-1 (linux@");
        assert_eq!(release(&[(".linux", &kernel)]).as_deref(), Some("6.6.8-arch1-1"));
        let told = [(".linux", &*kernel), (".uname", b"6.1.0-28-amd64\n")];
        assert_eq!(release(&told).as_deref(), Some("6.1.0-28-amd64"));
        for odd in [&b"MZ"[..], &kernel[..0x208], &[0; 0x400]] {
            assert_eq!(release(&[(".linux", odd)]), None);
        }
    }

    #[test]
    fn a_kernel_that_firmware_starts_itself_is_the_default() {
        let grub = ("/boot/grub/grub.cfg", "menuentry a {\n linux /vmlinuz root=UUID=a\n}\n");
        let image = unified("root=UUID=b");
        let (entries, _) = read_files(&[grub, ("/boot/efi/EFI/BOOT/BOOTX64.EFI", &image)]).unwrap().unwrap();
        let default = entries.iter().find(|entry| entry.is_default).unwrap();
        assert_eq!((&*default.file, entries.len()), ("/boot/efi/EFI/BOOT/BOOTX64.EFI", 2));
        assert_eq!(default.root.as_deref(), Some("UUID=b"));
        let path = Answer::Found("/boot/efi/EFI/BOOT/BOOTX64.EFI".to_owned());
        assert_eq!(default.kernel.as_ref().unwrap().path, path);
    }

    #[test]
    fn a_loader_that_is_not_known_here_is_no_sign_that_a_configuration_is_missing() {
        let program = |sections| String::from_utf8(program::tests::program(sections)).unwrap();
        let (grub, plain) = (program(&[("mods", b"")]), program(&[(".text", b"")]));
        let fallback = "/boot/efi/EFI/BOOT/BOOTX64.EFI";
        for known in [
            &[(fallback, &*grub)][..],
            &[(fallback, &plain), ("/boot/efi/EFI/BOOT/grubx64.efi", "")],
            &[(fallback, &plain), ("/boot/efi/EFI/BOOT/fbx64.efi", "")],
        ] {
            assert_eq!(read_files(known), Ok(None), "{known:?}");
        }
        for (unknown, says) in [
            (&[(fallback, &*plain)][..], "no loader whose"),
            (&[(fallback, &plain), ("/boot/efi/EFI/BOOT/refind.conf", "timeout 1\n")], "is rEFInd"),
            (&[("/boot/efi/EFI/BOOT/BOOTAA64.EFI", &plain)], "BOOTAA64.EFI"),
            (&[("/boot/refind_linux.conf", "\"a\" \"root=UUID=a\"\n")], "rEFInd"),
            (&[("/etc/lilo.conf", "image=/boot/vmlinuz\n")], "LILO"),
            (&[(fallback, &grub), ("/boot/limine.conf", "/Linux\n")], "Limine"),
        ] {
            assert!(read_files(unknown).unwrap_err().contains(says), "{says}");
        }
        let menu = ("/boot/grub/grub.cfg", "menuentry a {\n linux /vmlinuz root=UUID=a\n}\n");
        assert!(read_files(&[menu, (fallback, &plain)]).unwrap().is_some(), "what is read counts");
    }

    #[test]
    fn the_lines_that_only_point_to_a_menu_are_no_configuration() {
        let pointer =
            "search.fs_uuid aaaa root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n";
        let alone = [("/boot/efi/EFI/debian/grub.cfg", pointer)];
        assert_eq!(read_files(&alone), Ok(None));
        let menu = ("/boot/grub/grub.cfg", "menuentry a {\n linux /vmlinuz root=/dev/vda1\n}\n");
        let (entries, searches) = read_files(&[alone[0], menu]).unwrap().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((searches.len(), &searches[0].place, searches[0].is_needed), (1, &Answer::Absent, true));
        let label = ("/boot/efi/EFI/other/grub.cfg", "search --set=root --label $name\nsearch -l there\n");
        let mut names = Names::default();
        names.partitions.push(("partition 1".to_owned(), Ok(None), None));
        names.unknown = Some("partition 1".to_owned());
        let mut tree = super::super::memory::tree(&[alone[0], menu, label]);
        let (_, searches) = read(&mut tree, &names, Some(PARTITION)).unwrap().unwrap();
        assert!(searches.iter().all(|search| !search.is_needed), "{searches:?}");
    }

    #[test]
    fn what_looks_like_a_password_is_not_told() {
        assert_eq!(argument("rd.luks.key=/secret"), "rd.luks.key=");
        assert_eq!(argument("ipmi.password=abc"), "ipmi.password=");
        assert_eq!(argument("root=UUID=a"), "root=UUID=a");
    }
}
