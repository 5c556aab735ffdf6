//! Where the initial RAM file system of a kernel is, and what of its drivers is in it.

use super::look_for;
use crate::inside::facts::{Answer, BootFile, Driver, Drivers, Initramfs};
use crate::inside::kernel::short_names;
use crate::inside::loader::program::Program;
use crate::inside::text::shown;
use crate::inside::tree::Tree;
use crate::inside::volume::{OpenFile, Read, Reason};

/// Most files that a boot loader's entry names: microcode, and what follows it.
const MOST_FILES: usize = 8;

impl super::File for OpenFile<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason> {
        self.read_at(offset, buffer)
    }
}

/// What lies in a section of a program.
struct Section<'v> {
    open: OpenFile<'v>,
    start: u64,
    length: u64,
}

impl super::File for Section<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let end = buffer.len().min(left);
        self.open.read_at(self.start + offset.min(self.length), &mut buffer[..end])
    }
}

/// Looks for the drivers of a disk that are modules of this kernel. `named` are the files that the boot loader's entry
/// names, if there is such an entry.
pub(in crate::inside) fn look(
    tree: &mut Tree,
    release: &str,
    drivers: &Drivers,
    named: Option<&[BootFile]>,
) -> Answer<Initramfs> {
    let needed: Vec<_> = drivers
        .disk_drivers()
        .into_iter()
        .filter(|(_, driver)| driver.found() == Some(&Driver::Module))
        .map(|(name, _)| name)
        .collect();
    if needed.is_empty() {
        return Answer::Unread("no driver of a disk is a module".to_owned());
    }
    let files = match files(tree, release, named) {
        Ok(Some(files)) => files,
        Ok(None) => return Answer::Absent,
        Err(reason) => return Answer::Unread(reason),
    };
    let mut found = Initramfs { file: shown(files.join(", ").as_bytes()), ..Initramfs::default() };
    for file in &files {
        let wanted: Vec<_> = needed.iter().copied().filter(|name| !found.seen.contains(name)).collect();
        if !wanted.is_empty()
            && let Err(reason) = look_into(tree, file, release, &wanted, &mut found)
        {
            found.unread.get_or_insert(reason);
        }
    }
    match found.seen.len() {
        all if all == needed.len() => found.unread = None,
        _ if found.unread.is_some() => {}
        _ => found.missing = needed.into_iter().filter(|name| !found.seen.contains(name)).collect(),
    }
    Answer::Found(found)
}

fn look_into(
    tree: &mut Tree,
    file: &str,
    release: &str,
    wanted: &[&'static str],
    found: &mut Initramfs,
) -> Result<(), Reason> {
    let mut open = tree.open(file)?.ok_or_else(|| format!("{} is no file", shown(file.as_bytes())))?;
    let program = Program::of(&mut open)?;
    let contents = match program.is_unified() {
        false => look_for(wanted, release, &mut open),
        true => {
            let (start, length) = program.section(b".initrd").ok_or_else(|| {
                format!(
                    "{} has none in it, and what is added to it is not looked for",
                    shown(file.as_bytes())
                )
            })?;
            look_for(wanted, release, &mut Section { open, start, length: u64::from(length) })
        }
    };
    found.compression = contents.compression.or(found.compression);
    found.any_module |= contents.any_module;
    found.read_bytes += contents.read;
    found.unpacked_bytes += contents.unpacked;
    let seen = wanted.iter().zip(contents.seen).filter(|(_, seen)| *seen);
    found.seen.extend(seen.map(|(name, _)| *name));
    contents.unread.map_or(Ok(()), Err)
}

/// Finds the files: those that the boot loader names, or else one that has one of the usual names. `None` if the boot
/// loader names none and there is none; an error if nothing tells whether there is one.
fn files(tree: &mut Tree, release: &str, named: Option<&[BootFile]>) -> Read<Vec<String>> {
    let mut files = Vec::new();
    for BootFile { name, path } in named.unwrap_or_default() {
        match path {
            _ if files.len() == MOST_FILES => {
                return Err(format!("the boot loader names more than {MOST_FILES} files for it"));
            }
            Answer::Found(path) => files.push(path.clone()),
            Answer::Absent => return Err(format!("{name}, which the boot loader names, is not there")),
            Answer::Unread(reason) => return Err(format!("{name}: {reason}")),
        }
    }
    if !files.is_empty() {
        return Ok(Some(files));
    }
    for name in usual_names(release, &short_names(tree, release)?) {
        if tree.has(&name)? {
            return Ok(Some(vec![name]));
        }
    }
    match named {
        Some(_) => Ok(None),
        None => Err("no initial RAM file system was found".to_owned()),
    }
}

/// Returns the names that distributions give it.
fn usual_names(release: &str, short: &[String]) -> Vec<String> {
    let mut names = vec![
        format!("/boot/initrd.img-{release}"),
        format!("/boot/initramfs-{release}.img"),
        format!("/boot/initrd-{release}"),
        format!("/boot/initrd-{release}.img"),
        format!("/boot/initramfs-{release}"),
        // Where the whole of a system is kept as one tree.
        format!("/lib/modules/{release}/initramfs.img"),
        format!("/lib/modules/{release}/initrd"),
    ];
    for short in short {
        names.push(format!("/boot/initramfs-{short}.img"));
        names.push(format!("/boot/initramfs-{short}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::fixture::archive;
    use super::*;
    use crate::inside::loader::program::tests::program;
    use crate::inside::memory;

    #[test]
    fn each_distribution_has_its_name_for_the_file() {
        for (release, short, name) in [
            ("6.1.0-28-amd64", "amd64", "/boot/initrd.img-6.1.0-28-amd64"),
            ("5.14.0-427.el9.x86_64", "x86_64", "/boot/initramfs-5.14.0-427.el9.x86_64.img"),
            ("6.4.0-150600.21-default", "default", "/boot/initrd-6.4.0-150600.21-default"),
            ("2.6.18-398.el5", "398.el5", "/boot/initrd-2.6.18-398.el5.img"),
            ("6.6.31-0-virt", "virt", "/boot/initramfs-virt"),
            ("6.9.1-arch1-1", "linux", "/boot/initramfs-linux.img"),
            ("6.8.5-301.fc40.x86_64", "x86_64", "/lib/modules/6.8.5-301.fc40.x86_64/initramfs.img"),
        ] {
            assert!(usual_names(release, &[short.to_owned()]).contains(&name.to_owned()), "{name}");
        }
    }

    #[test]
    fn that_of_a_unified_kernel_image_is_looked_for_inside_of_it() {
        let release = "6.1.0-28-amd64";
        let drivers = |initramfs| Drivers {
            virtio_blk: Answer::Found(Driver::Module),
            virtio_pci: Answer::Found(Driver::BuiltIn),
            virtio_net: Answer::Found(Driver::Module),
            nvme: Answer::Found(Driver::Module),
            fw_cfg: Answer::Absent,
            initramfs,
        };
        let module = format!("usr/lib/modules/{release}/kernel/drivers/block/virtio_blk.ko");
        let archive = archive(&[(&module, b"")]);
        let looked = |sections: &[(&str, &[u8])]| {
            let image = String::from_utf8(program(sections)).unwrap();
            let path = "/boot/efi/EFI/Linux/a.efi";
            let mut tree = memory::tree(&[(path, &image)]);
            let named = BootFile { name: path.to_owned(), path: Answer::Found(path.to_owned()) };
            let unread = drivers(Answer::Absent);
            drivers(look(&mut tree, release, &unread, Some(&[named])))
        };
        let whole = looked(&[(".linux", b"MZ"), (".initrd", &archive), (".sbat", b"more")]);
        assert_eq!((whole.is_virtio_ready(), whole.is_nvme_ready()), (Some(true), Some(false)));
        let without = looked(&[(".linux", b"MZ")]);
        assert_eq!(without.is_virtio_ready(), None, "it may be added when it starts");
    }
}
