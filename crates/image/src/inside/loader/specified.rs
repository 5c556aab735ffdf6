//! Entries of the Boot Loader Specification: a file each, for systemd-boot and the GRUB of RHEL and its relatives.

use std::cmp::Reverse;

use super::super::kernel::version_key;
use super::super::text::lines;
use super::menu::{Item, Start};
use super::script::{Variables, statements};

/// Reads an entry; `variables` are those of GRUB, which are replaced in its options.
pub(super) fn read(file: &str, bytes: &[u8], variables: &Variables) -> Option<Item> {
    let values = |key: &'static str| {
        lines(bytes).filter_map(move |(line, text)| {
            let value = text.strip_prefix(key)?;
            value.starts_with([' ', '\t']).then_some((line, value.trim()))
        })
    };
    let kernel = values("linux").next();
    let (line, _) = values("options").next().or(kernel)?;
    let options = values("options").flat_map(|(_, options)| expanded(options, variables));
    let start = Start {
        file: file.to_owned(),
        line,
        kernel: kernel.map(|(_, kernel)| kernel.to_owned()),
        release: None,
        initrds: values("initrd")
            .flat_map(|(_, names)| names.split_whitespace())
            .take(8)
            .map(str::to_owned)
            .collect(),
        arguments: options.collect(),
    };
    let title = values("title").next().map_or("", |(_, title)| title).to_owned();
    Some(Item { id: Some(id(file)), title, starts: vec![start], ..Item::default() })
}

/// Returns the id of an entry: the name of its file, without the number of tries that are left.
fn id(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_suffix(".conf").unwrap_or(name);
    let counted =
        name.rsplit_once('+').filter(|(_, tries)| tries.starts_with(|char: char| char.is_ascii_digit()));
    counted.map_or(name, |(name, _)| name).to_owned()
}

/// Replaces variables in options, which have no quotes and comments as a script has.
fn expanded(options: &str, variables: &Variables) -> Vec<String> {
    let words = options.split_whitespace().flat_map(|word| match word.contains('$') {
        true => statements(word, variables).into_iter().flatten().collect(),
        false => vec![word.to_owned()],
    });
    words.collect()
}

/// Sorts entries as loaders do: the newest first.
pub(super) fn sort(items: &mut [Item]) {
    items.sort_by_cached_key(|item| Reverse(version_key(item.id.as_deref().unwrap_or_default().as_bytes())));
}

/// Whether a name is meant by a pattern with `*` and `?`, as the `default` of systemd-boot is.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(char) if *char == '?' || *char == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((star_at, taken)) = &mut star else { return false };
                *taken += 1;
                (at, in_name) = (*star_at + 1, *taken);
            }
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_may_take_its_options_from_grub() {
        let variables = super::super::script::environment(b"kernelopts=root=UUID=b ro\ntuned_params=\n");
        let entry =
            b"title Rocky Linux (5)\nversion 5\nlinux /vmlinuz-5\ninitrd /initramfs-5.img $tuned_initrd\n\
                      options $kernelopts $tuned_params dyndbg='x'\nid rocky\n";
        let item = read("/boot/loader/entries/abc-5.conf", entry, &variables).unwrap();
        assert_eq!((&*item.title, item.id.as_deref()), ("Rocky Linux (5)", Some("abc-5")));
        let start = &item.starts[0];
        assert_eq!(start.line, 5);
        assert_eq!(start.kernel.as_deref(), Some("/vmlinuz-5"));
        assert_eq!(start.initrds, ["/initramfs-5.img", "$tuned_initrd"]);
        assert_eq!(start.arguments, ["root=UUID=b", "ro", "dyndbg='x'"]);
        let plain =
            read("c.conf", b"linux /vmlinuz-6\noptions root=UUID=c\noptions quiet\n", &variables).unwrap();
        assert_eq!(plain.starts[0].arguments, ["root=UUID=c", "quiet"]);
        assert_eq!(read("d.conf", b"title nothing\nefi /a.efi\n", &variables), None);
    }

    #[test]
    fn the_newest_comes_first_and_the_rescue_system_last() {
        let item = |id: &str| Item { id: Some(id.to_owned()), ..Item::default() };
        let mut items = [item("ab12-0-rescue"), item("ab12-5.14.0-70"), item("ab12-5.14.0-362")];
        sort(&mut items);
        assert_eq!(items, [item("ab12-5.14.0-362"), item("ab12-5.14.0-70"), item("ab12-0-rescue")]);
        assert_eq!(id("/loader/entries/arch+3-1.conf"), "arch");
        assert_eq!(id("c++.conf"), "c++");
    }

    #[test]
    fn a_pattern_has_stars_and_question_marks() {
        for (pattern, name) in
            [("*", ""), ("arch*", "arch-lts"), ("*-lts", "arch-lts"), ("a?c", "abc"), ("*a*b*", "xaxxbb")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("arch", "arch-lts"), ("a?c", "ac"), ("*b", "ba")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
