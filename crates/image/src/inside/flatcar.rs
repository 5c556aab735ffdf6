//! Flatcar and the CoreOS Container Linux before it: `/usr` is a partition of its own, of which there are two, and the root is
//! almost empty before the first start. Source: `build_library/disk_layout.json` and `grub.cfg` of flatcar/scripts.

use super::tree::Tree;
use super::volume::{Read, Volume};

/// Names of the partitions with `/usr`; the first is what an image is delivered with.
pub(super) const USR: [&str; 2] = ["USR-A", "USR-B"];
/// Label of the root.
pub(super) const ROOT: &str = "ROOT";
/// Label of what tells for which platform an image is made.
pub(super) const OEM: &str = "OEM";
/// Folders of the root that are but links into `/usr`, and are made at the first start.
const MADE: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];
/// Where `/usr` has what `/etc` begins with.
const ETC: [&str; 2] = ["/share/flatcar/etc", "/share/coreos/etc"];

/// Puts a root and `/usr` together as a start would. `open` opens the file system of `/usr`. `None` if that is none.
pub(super) fn root(root: Volume, open: &mut dyn FnMut() -> Read<Volume>) -> Read<Tree> {
    let Some(mut usr) = open()?.map(Tree::new) else { return Ok(None) };
    if !usr.has("/lib/os-release")? {
        return Ok(None);
    }
    let mut tree = Tree::new(root);
    let mut mounts = vec![("/usr", "/".to_owned())];
    for point in MADE {
        // There it may be a link itself.
        if let Some((folder, _)) = usr.resolve(point.as_bytes())?.filter(|_| tree.has(point) == Ok(false)) {
            mounts.push((point, String::from_utf8_lossy(&folder).into_owned()));
        }
    }
    let has_own = tree.has("/etc")?;
    for folder in ETC {
        if !has_own && usr.has(folder)? {
            mounts.push(("/etc", folder.to_owned()));
        }
    }
    for (point, folder) in mounts {
        if let Some(volume) = open()? {
            tree.mount_folder(point, &folder, volume);
        }
    }
    if has_own && !tree.has("/etc/os-release")? {
        // It lies over that of `/usr`, and only has what differs.
        tree.mount("/etc", Err("/etc is put together when the system starts".to_owned()));
    }
    Ok(Some(tree))
}

#[cfg(test)]
mod tests {
    use super::super::{memory, system};
    use super::*;

    const USR: [(&str, &str); 6] = [
        ("/lib/os-release", "ID=flatcar\nPRETTY_NAME=\"Flatcar Container Linux 3975.2.2\"\n"),
        ("/lib64/modules/6.6.54-flatcar/modules.dep", "kernel/drivers/block/virtio_blk.ko:\n"),
        ("/bin/init", "ELF"),
        ("/sbin", "-> bin"),
        ("/share/flatcar/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("/share/flatcar/etc/os-release", "-> ../usr/lib/os-release"),
    ];

    fn composed(files: &[(&str, &str)]) -> Tree {
        root(memory::volume(files), &mut || Ok(Some(memory::volume(&USR)))).unwrap().unwrap()
    }

    #[test]
    fn an_empty_root_has_what_the_first_start_makes_of_usr() {
        let mut tree = composed(&[("/lost+found/", "")]);
        let os = system::os_release(&mut tree).unwrap().unwrap();
        assert_eq!((os.title(), system::platform(&os)), ("Flatcar Container Linux 3975.2.2", Some("CoreOS")));
        assert_eq!(tree.has("/etc/passwd"), Ok(true));
        assert_eq!(system::init(&mut tree), Ok(Some("/sbin/init".to_owned())));
        assert_eq!(tree.has("/lib64/modules/6.6.54-flatcar/modules.dep"), Ok(true));
    }

    #[test]
    fn an_etc_that_lies_over_another_is_not_all() {
        let mut tree = composed(&[("/etc/hostname", "a")]);
        assert!(tree.has("/etc/passwd").is_err());
        let mut older = composed(&[("/etc/os-release", "ID=coreos\n"), ("/etc/hostname", "a")]);
        assert_eq!(older.has("/etc/passwd"), Ok(false), "the whole of it was copied");
    }

    #[test]
    fn what_is_no_usr_makes_no_root() {
        let other = || Ok(Some(memory::volume(&[("/etc/passwd", "")])));
        assert!(root(memory::volume(&[]), &mut { other }).unwrap().is_none());
        assert!(root(memory::volume(&[]), &mut || Ok(None)).unwrap().is_none());
    }
}
