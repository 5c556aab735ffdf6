//! What the configuration of a boot loader starts.

use super::facts::{BootEntry, GuestVolume};
use super::identity;
use super::text::{lines, shown};
use super::tree::Tree;
use super::volume::Read;

/// Most entries that are told of.
const MOST_ENTRIES: usize = 32;
/// Most files of the Boot Loader Specification that are read.
const MOST_FILES: usize = 32;
/// Most bytes of one configuration.
const LONGEST: usize = 256 << 10;
const FILES: [&str; 6] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
];
const ENTRIES: &str = "/boot/loader/entries";

/// Reads the configurations that there are; `None` if there is none.
pub(super) fn entries(tree: &mut Tree, volumes: &[GuestVolume]) -> Read<Vec<BootEntry>> {
    let mut entries = Vec::new();
    let mut any = false;
    for file in FILES {
        if let Some(bytes) = tree.read(file, LONGEST)? {
            any = true;
            gather(file, &bytes, &mut entries);
        }
    }
    if let Some(names) = tree.list(ENTRIES)? {
        let variables = ["/boot/grub2/grubenv", "/boot/grub/grubenv"];
        let mut kernel_options = String::new();
        for file in variables {
            if let Some(bytes) = tree.read(file, 4096)? {
                let line = lines(&bytes).find_map(|(_, line)| line.strip_prefix("kernelopts="));
                kernel_options = line.unwrap_or_default().to_owned();
                break;
            }
        }
        for name in names.iter().filter(|name| name.ends_with(b".conf")).take(MOST_FILES) {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let file = format!("{ENTRIES}/{name}");
            if let Some(bytes) = tree.read(&file, LONGEST)? {
                any = true;
                gather_specified(&file, &bytes, &kernel_options, &mut entries);
            }
        }
    }
    for entry in &mut entries {
        entry.place = entry.root.as_deref().and_then(|root| identity::find(volumes, root));
    }
    Ok(any.then_some(entries))
}

/// Gathers the lines of GRUB and extlinux that name a kernel or its arguments.
fn gather(file: &str, bytes: &[u8], entries: &mut Vec<BootEntry>) {
    for (line, text) in lines(bytes) {
        let mut words = text.split_whitespace();
        let kernel = match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("linux" | "linux16" | "linuxefi" | "kernel") => words.next(),
            Some("append") => None,
            _ => continue,
        };
        add(file, line, kernel, words, "", entries);
    }
}

/// Gathers an entry of the Boot Loader Specification.
fn gather_specified(file: &str, bytes: &[u8], kernel_options: &str, entries: &mut Vec<BootEntry>) {
    let value = |key: &str| {
        lines(bytes).find_map(|(line, text)| {
            let value = text.strip_prefix(key)?;
            value.starts_with([' ', '\t']).then_some((line, value.trim()))
        })
    };
    let kernel = value("linux");
    let options = value("options");
    let Some((line, _)) = options.or(kernel) else { return };
    let words = options.map_or("", |(_, options)| options).split_whitespace();
    add(file, line, kernel.map(|(_, kernel)| kernel), words, kernel_options, entries);
}

fn add<'a>(
    file: &str,
    line: usize,
    kernel: Option<&str>,
    words: impl Iterator<Item = &'a str>,
    kernel_options: &str,
    entries: &mut Vec<BootEntry>,
) {
    let root = words
        .flat_map(|word| if word == "$kernelopts" { kernel_options } else { word }.split_whitespace())
        .filter_map(|word| word.strip_prefix("root="))
        .last();
    let kernel = kernel.map(|kernel| shown(kernel.as_bytes()));
    let root = root.map(|root| shown(root.as_bytes()));
    let same = |entry: &BootEntry| entry.file == file && entry.kernel == kernel && entry.root == root;
    if entries.len() < MOST_ENTRIES && !entries.iter().any(same) {
        entries.push(BootEntry { file: shown(file.as_bytes()), line, kernel, root, place: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loader_names_its_kernels_and_their_root() {
        let grub = b"\tlinux\t/vmlinuz-1 root=/dev/sda1 ro root=UUID=a\n\tlinux /vmlinuz-1 root=UUID=a\n\
                     linuxefi /vmlinuz-2 ro\ninsmod linux\nset root='hd0'\n";
        let mut entries = Vec::new();
        gather("grub.cfg", grub, &mut entries);
        gather("extlinux.conf", b"LABEL a\n  KERNEL /vmlinuz\n  APPEND quiet root=LABEL=x\n", &mut entries);
        let found: Vec<_> =
            entries.iter().map(|entry| (entry.kernel.as_deref(), entry.root.as_deref())).collect();
        assert_eq!(
            found,
            [
                (Some("/vmlinuz-1"), Some("UUID=a")),
                (Some("/vmlinuz-2"), None),
                (Some("/vmlinuz"), None),
                (None, Some("LABEL=x"))
            ]
        );
    }

    #[test]
    fn an_entry_of_the_specification_may_take_its_options_from_grub() {
        let mut entries = Vec::new();
        let entry = b"title Rocky\nlinux /vmlinuz-5\noptions $kernelopts $tuned_params\n";
        gather_specified("a.conf", entry, "root=UUID=b ro", &mut entries);
        gather_specified("b.conf", b"linux /vmlinuz-6\noptions root=UUID=c\n", "", &mut entries);
        gather_specified("c.conf", b"title nothing\n", "", &mut entries);
        let found: Vec<_> = entries.iter().map(|entry| (entry.line, entry.root.as_deref())).collect();
        assert_eq!(found, [(3, Some("UUID=b")), (2, Some("UUID=c"))]);
    }
}
