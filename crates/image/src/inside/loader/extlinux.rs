//! The configuration of SYSLINUX and EXTLINUX.

use super::super::text::lines;
use super::menu::{Item, MOST_ENTRIES, Menu, Start};

/// Reads an `extlinux.conf`.
pub(super) fn read(file: &str, bytes: &[u8]) -> Menu {
    let mut menu = Menu::default();
    let mut marked = None;
    for (line, text) in lines(bytes) {
        let (command, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let rest = rest.trim();
        let command = command.to_ascii_lowercase();
        if command == "label" && menu.items.len() < MOST_ENTRIES {
            let start = Start { file: file.to_owned(), line, ..Start::default() };
            menu.items.push(Item {
                id: Some(rest.to_owned()),
                title: rest.to_owned(),
                starts: vec![start],
                ..Item::default()
            });
            continue;
        }
        let index = menu.items.len();
        let Some(item) = menu.items.last_mut() else {
            if command == "default" {
                menu.default = Some(rest.to_owned());
            }
            continue;
        };
        let Some(start) = item.starts.last_mut() else { continue };
        match command.as_str() {
            "default" => menu.default = Some(rest.to_owned()),
            "linux" | "kernel" => (start.kernel, start.line) = (Some(rest.to_owned()), line),
            "initrd" => start.initrds = rest.split(',').take(8).map(str::to_owned).collect(),
            "append" => {
                let (initrds, others): (Vec<_>, Vec<_>) =
                    rest.split_whitespace().partition(|word| word.starts_with("initrd="));
                let named = initrds.iter().filter_map(|word| word.strip_prefix("initrd="));
                start.initrds.extend(named.flat_map(|names| names.split(',')).take(8).map(str::to_owned));
                start.arguments = others.into_iter().map(str::to_owned).collect();
            }
            "menu" => {
                let (word, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
                match word.to_ascii_lowercase().as_str() {
                    "default" => marked = Some(index - 1),
                    "label" => item.title = value.trim().replace('^', ""),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // What only shows a menu, or starts something else, starts no kernel.
    let is_module = |kernel: &str| kernel.ends_with(".c32") || kernel.ends_with(".0");
    for item in &mut menu.items {
        item.starts.retain(|start| start.kernel.as_deref().is_some_and(|kernel| !is_module(kernel)));
    }
    if let Some(marked) = marked {
        menu.default = Some(marked.to_string());
    }
    // Here a number is the name of an entry, not its place.
    let named = menu.default.as_deref().filter(|_| marked.is_none());
    if let Some(name) = named {
        let place = menu.items.iter().position(|item| item.id.as_deref() == Some(name));
        menu.default = place.map(|place| place.to_string());
    }
    menu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_kernel_and_its_arguments() {
        // As Alpine writes it.
        let text = "# Generated\nDEFAULT menu.c32\nPROMPT 0\nMENU TITLE Alpine/Linux Boot Menu\nTIMEOUT 10\n\nLABEL virt\n  MENU DEFAULT\n\
                    MENU LABEL Linux ^virt\n  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n  APPEND root=UUID=a modules=sd-mod,ext4 quiet\n\
                    LABEL old\n KERNEL /boot/vmlinuz-old\n APPEND initrd=/boot/a.img,/boot/b.img ro\nLABEL reboot\n COM32 reboot.c32\nLABEL hd\n KERNEL chain.c32\n";
        let menu = read("/boot/extlinux.conf", text.as_bytes());
        assert_eq!(menu.default_item(), Some(0));
        let virt = &menu.items[0];
        assert_eq!((&*virt.title, virt.starts[0].line), ("Linux virt", 10));
        assert_eq!(virt.starts[0].kernel.as_deref(), Some("vmlinuz-virt"));
        assert_eq!(virt.starts[0].initrds, ["initramfs-virt"]);
        assert_eq!(virt.starts[0].arguments[0], "root=UUID=a");
        assert_eq!(menu.items[1].starts[0].initrds, ["/boot/a.img", "/boot/b.img"]);
        assert!(menu.items[2].starts.is_empty() && menu.items[3].starts.is_empty());
        let named = read("a", b"default 1\nlabel 0\nlinux x\nlabel 1\nlinux y\n");
        assert_eq!(named.default_item(), Some(1));
        assert_eq!(read("a", b"append x\ninitrd").items, []);
    }
}
