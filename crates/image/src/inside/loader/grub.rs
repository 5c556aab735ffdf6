//! `grub.cfg`, and the `menu.lst` of the GRUB before it.

use super::super::text::lines;
use super::menu::{Item, MOST_ENTRIES, Menu, Search, Start};
use super::script::{Variables, statements};

/// Most file systems that are searched for by one configuration.
const MOST_SEARCHES: usize = 64;

/// Reads a `grub.cfg`; `variables` are those of the environment block, to which those are added that it sets.
pub(super) fn read(file: &str, bytes: &[u8], variables: &mut Variables) -> Menu {
    let mut menu = Menu { file: file.to_owned(), ..Menu::default() };
    // The braces that are open, with the entry or menu that each belongs to, if to one.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut is_for_once = false;
    for (line, text) in lines(bytes) {
        for words in statements(text, variables) {
            let mut words = words.iter().map(String::as_str).peekable();
            while words.next_if(|word| matches!(*word, "then" | "else" | "{")).is_some() {}
            let Some(command) = words.next() else { continue };
            let rest: Vec<&str> = words.collect();
            let item = open.iter().rev().find_map(|item| *item);
            match command {
                "menuentry" | "submenu" if menu.items.len() < MOST_ENTRIES => {
                    open.push(Some(menu.items.len()));
                    menu.items.push(titled(&rest, command == "submenu", item));
                    continue;
                }
                "}" => drop(open.pop()),
                "linux" | "linux16" | "linuxefi" => start(&mut menu, item, file, line, &rest),
                "initrd" | "initrd16" | "initrdefi" => add_initrds(&mut menu, item, &rest),
                "blscfg" => menu.specified_at = menu.specified_at.or(Some(menu.items.len())),
                "search" | "search.fs_uuid" | "search.fs_label" if menu.searches.len() < MOST_SEARCHES => {
                    let device = searched(command, &rest);
                    menu.searches.extend(device.map(|device| Search { line, device, item }));
                }
                "set" => {
                    let Some((name, value)) = rest.first().and_then(|word| word.split_once('=')) else {
                        continue;
                    };
                    let is_known = !value.is_empty() && !value.starts_with('$');
                    if name != "default" {
                        // What the environment block says counts more: such lines are for where it says nothing.
                        variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
                    } else if text.contains("next_entry") {
                        is_for_once = is_known;
                        menu.default = is_known.then(|| value.to_owned());
                    } else if !is_for_once {
                        menu.default = is_known.then(|| value.to_owned());
                    }
                }
                _ => {}
            }
            if rest.last().is_some_and(|word| *word == "{") {
                open.push(None);
            }
            if rest.last().is_some_and(|word| *word == "}") {
                open.pop();
            }
        }
    }
    menu
}

/// Makes an entry of what follows `menuentry`.
fn titled(words: &[&str], is_menu: bool, inside: Option<usize>) -> Item {
    let id = words.windows(2).find(|pair| matches!(pair[0], "--id" | "$menuentry_id_option"));
    let id = id.map(|pair| pair[1].to_owned());
    let id = id.or_else(|| Some(words.iter().find_map(|word| word.strip_prefix("--id="))?.to_owned()));
    let title = words.first().copied().unwrap_or_default().to_owned();
    Item { id, title, inside, is_menu, starts: Vec::new() }
}

fn start(menu: &mut Menu, item: Option<usize>, file: &str, line: usize, words: &[&str]) {
    let item = item.unwrap_or_else(|| {
        // A configuration without a menu is one entry.
        menu.items.push(Item::default());
        menu.items.len() - 1
    });
    let mut words = words.iter().map(|word| (*word).to_owned());
    let kernel = words.next();
    let arguments = words.collect();
    let starts = &mut menu.items[item].starts;
    if starts.len() < 8 {
        starts.push(Start { file: file.to_owned(), line, kernel, arguments, ..Start::default() });
    }
}

fn add_initrds(menu: &mut Menu, item: Option<usize>, words: &[&str]) {
    let item = match item {
        Some(item) => menu.items.get_mut(item),
        None => menu.items.last_mut(),
    };
    if let Some(start) = item.and_then(|item| item.starts.last_mut()) {
        start.initrds.extend(words.iter().take(8).map(|word| (*word).to_owned()));
        start.initrds.truncate(8);
    }
}

/// Returns what a line searches for; `None` if it is a file, or cannot be told.
fn searched(command: &str, words: &[&str]) -> Option<String> {
    let (tag, value) = match command {
        "search.fs_uuid" => ("UUID", *words.first()?),
        "search.fs_label" => ("LABEL", *words.first()?),
        _ => {
            let has = |long, short| words.contains(&long) || words.contains(&short);
            let tag = match () {
                () if has("--fs-uuid", "-u") => "UUID",
                () if has("--label", "-l") || words.contains(&"--fs-label") => "LABEL",
                () => return None,
            };
            let values = words.iter().enumerate().filter(|(index, word)| {
                // The variable that is set may be a word of its own.
                let before = index.checked_sub(1).map(|before| words[before]);
                !word.starts_with('-') && !matches!(before, Some("--set" | "-s" | "--hint" | "-h"))
            });
            (tag, *values.map(|(_, word)| word).next_back()?)
        }
    };
    (!value.contains('$')).then(|| format!("{tag}={value}"))
}

/// Reads a `menu.lst` or `grub.conf` of the first GRUB.
pub(super) fn read_legacy(file: &str, bytes: &[u8]) -> Menu {
    let mut menu = Menu { file: file.to_owned(), ..Menu::default() };
    for (line, text) in lines(bytes) {
        let (command, rest) = text.split_once([' ', '\t', '=']).unwrap_or((text, ""));
        let rest = rest.trim_start_matches(['=', ' ', '\t']).trim_end();
        let words: Vec<_> = rest.split_whitespace().collect();
        let item = menu.items.len().checked_sub(1);
        match command {
            "title" if menu.items.len() < MOST_ENTRIES => {
                menu.items.push(Item { title: rest.to_owned(), ..Item::default() });
            }
            "default" if rest != "saved" => menu.default = Some(rest.to_owned()),
            "kernel" if item.is_some() => {
                // Options of the command itself come before the kernel.
                let words: Vec<_> = words.into_iter().skip_while(|word| word.starts_with("--")).collect();
                start(&mut menu, item, file, line, &words);
            }
            "initrd" => add_initrds(&mut menu, item, &words),
            "uuid" if menu.searches.len() < MOST_SEARCHES && !rest.is_empty() => {
                menu.searches.push(Search { line, device: format!("UUID={rest}"), item });
            }
            _ => {}
        }
    }
    menu
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, environment: &str) -> Menu {
        read("grub.cfg", text.as_bytes(), &mut super::super::script::environment(environment.as_bytes()))
    }

    fn kernels(menu: &Menu) -> Vec<&str> {
        let starts = menu.items.iter().flat_map(|item| &item.starts);
        starts.filter_map(|start| start.kernel.as_deref()).collect()
    }

    /// As `grub-mkconfig` of Debian writes it.
    const DEBIAN: &str = r#"
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  fi
}
search --no-floppy --fs-uuid --set=root  aaaa
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-aaaa' {
	load_video
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1  bbbb
	fi
	linux	/boot/vmlinuz-2 root=UUID=aaaa ro  quiet
	initrd	/boot/initrd.img-2
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-aaaa' {
	menuentry 'Debian GNU/Linux, with Linux 2' --class debian $menuentry_id_option 'gnulinux-2-advanced-aaaa' {
		linux	/boot/vmlinuz-2 root=UUID=aaaa ro  quiet
	}
	menuentry 'Debian GNU/Linux, with Linux 1' --class debian $menuentry_id_option 'gnulinux-1-advanced-aaaa' {
		linux	/boot/vmlinuz-1 root=UUID=aaaa ro  quiet
		initrd	/boot/ucode.img /boot/initrd.img-1
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

    #[test]
    fn a_menu_of_debian_is_read_with_its_entries_inside_of_others() {
        let menu = read_text(DEBIAN, "");
        assert_eq!(kernels(&menu), ["/boot/vmlinuz-2", "/boot/vmlinuz-2", "/boot/vmlinuz-1"]);
        let inside: Vec<_> = menu.items.iter().map(|item| item.inside).collect();
        assert_eq!(inside, [None, None, Some(1), Some(1), None]);
        let simple = &menu.items[0];
        assert_eq!(
            (&*simple.title, simple.id.as_deref()),
            ("Debian GNU/Linux", Some("gnulinux-simple-aaaa"))
        );
        assert_eq!(simple.starts[0].arguments, ["root=UUID=aaaa", "ro", "quiet"]);
        assert_eq!(menu.items[3].starts[0].initrds, ["/boot/ucode.img", "/boot/initrd.img-1"]);
        let searches: Vec<_> = menu.searches.iter().map(|search| (&*search.device, search.item)).collect();
        assert_eq!(searches, [("UUID=aaaa", None), ("UUID=bbbb", Some(0))]);
        assert_eq!(menu.default_item(), Some(0));
    }

    #[test]
    fn the_default_is_named_by_number_title_or_id_and_once_by_the_environment() {
        let named = |default: &str| {
            let text = DEBIAN.replace("default=\"0\"", &format!("default=\"{default}\""));
            read_text(&text, "saved_entry=gnulinux-advanced-aaaa>gnulinux-1-advanced-aaaa\n").default_item()
        };
        assert_eq!(named("1>1"), Some(3));
        assert_eq!(named("1"), Some(2), "the first of the menu");
        assert_eq!(named("${saved_entry}"), Some(3));
        assert_eq!(named("Advanced options for Debian GNU/Linux>0"), Some(2));
        assert_eq!(named("uefi-firmware"), Some(4));
        assert_eq!(named("no such entry"), Some(0));
        assert_eq!(named("${other}"), Some(0));
        assert_eq!(read_text(DEBIAN, "next_entry=1>1\n").default_item(), Some(3));
        assert_eq!(read_text(DEBIAN, "next_entry=\n").default_item(), Some(0));
        assert_eq!(read_text("", "").default_item(), None);
        assert_eq!(read_text("submenu a {\n}\n", "").default_item(), None);
    }

    #[test]
    fn a_file_that_only_says_where_the_entries_are_has_none_itself() {
        let text = "set default=\"${saved_entry}\"\nif [ -z \"${kernelopts}\" ]; then\n  set kernelopts=\"root=UUID=a ro \"\nfi\n\
                    insmod blscfg\nblscfg\nmenuentry 'firmware' {\n fwsetup\n}\n";
        let mut variables = Variables::new();
        let mut menu = read("grub.cfg", text.as_bytes(), &mut variables);
        assert_eq!(variables["kernelopts"], "root=UUID=a ro ");
        assert_eq!(kernels(&menu), [""; 0]);
        let item = |id: &str| Item { id: Some(id.to_owned()), ..Item::default() };
        menu.put_specified(vec![item("b"), item("a")]);
        assert_eq!(menu.default_item(), Some(0));
        menu.default = Some("a".to_owned());
        assert_eq!(menu.default_item(), Some(1));
        assert_eq!(menu.items[2].title, "firmware");
    }

    #[test]
    fn a_search_names_a_uuid_or_a_label_wherever_it_stands() {
        let of = |line: &str| read_text(line, "").searches.pop().map(|search| search.device);
        assert_eq!(of("search.fs_uuid abc root hd0,gpt2").as_deref(), Some("UUID=abc"));
        assert_eq!(of("search --set root -u abc").as_deref(), Some("UUID=abc"));
        assert_eq!(of("search --fs-uuid abc --set root").as_deref(), Some("UUID=abc"));
        assert_eq!(of("search -l boot --set=root").as_deref(), Some("LABEL=boot"));
        assert_eq!(of("search --set=root --file /vmlinuz"), None);
        assert_eq!(of("search --fs-uuid --set=root $other"), None);
        assert_eq!(of("search.fs_uuid"), None);
    }

    #[test]
    fn the_first_grub_has_its_own_words() {
        let text = "# comment\ndefault=1\ntimeout 5\nhiddenmenu\ntitle CentOS (2)\n\troot (hd0,0)\n\tkernel --no-mem-option /vmlinuz-2 ro root=/dev/sda1\n\
                    \tinitrd /initramfs-2.img\ntitle\tCentOS (1)\n\tkernel /vmlinuz-1 ro root=UUID=a\n";
        let menu = read_legacy("menu.lst", text.as_bytes());
        assert_eq!(kernels(&menu), ["/vmlinuz-2", "/vmlinuz-1"]);
        assert_eq!(menu.items[0].starts[0].initrds, ["/initramfs-2.img"]);
        assert_eq!(menu.items[0].starts[0].line, 7);
        assert_eq!(menu.items[1].title, "CentOS (1)");
        assert_eq!(menu.default_item(), Some(1));
    }

    #[test]
    fn an_odd_configuration_is_read_without_end() {
        for text in [
            "}",
            "}\n}\nlinux",
            "initrd a",
            "linux\ninitrd b",
            "menuentry",
            "submenu a {\nsubmenu b {",
            "set",
            "set default",
        ] {
            read_text(text, "").default_item();
        }
        let many = "menuentry a {\nlinux b\n".repeat(1000);
        assert_eq!(read_text(&many, "").items.len(), MOST_ENTRIES);
    }
}
