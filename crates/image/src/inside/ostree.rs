//! Systems that ostree keeps: each version of one is a folder that becomes the root when it starts (Fedora CoreOS, Silverblue,
//! images of bootc). The layout is that of the ostree manual, "Deployments".

use super::facts::GuestSystem;
use super::tree::Tree;
use super::volume::{Read, Reason, Volume};

/// Below this each system has a folder, with its versions and with what they share.
const SYSTEMS: &str = "/ostree/deploy";
/// Most systems, and most versions of each, that are looked at.
const MOST: usize = 8;
/// What tells that a version is whole.
const SIGN: &str = "/usr/lib/os-release";

/// Opens a version as the root that it becomes: the one that is named by a path of its file system, else the first. `open`
/// opens that file system. `None` if there is none.
pub(super) fn root(open: &mut dyn FnMut() -> Read<Volume>, named: Option<&str>) -> Read<Tree> {
    let Some(mut all) = open()?.map(Tree::new) else { return Ok(None) };
    let version = match named {
        Some(path) => all.resolve(path.as_bytes())?.and_then(|(path, _)| String::from_utf8(path).ok()),
        None => versions(&mut all)?.into_iter().next(),
    };
    let Some(version) = version.filter(|path| path.starts_with(SYSTEMS)) else { return Ok(None) };
    let Some(volume) = open()? else { return Ok(None) };
    let mut tree = Tree::of_folder(volume, &version);
    // What is in the root's own `/boot`, and what all versions share, is seen in each.
    let system = version.strip_prefix(SYSTEMS).and_then(|rest| rest.split('/').nth(1));
    let shared = system.map(|system| format!("{SYSTEMS}/{system}/var"));
    for (point, folder) in [("/boot", Some("/boot".to_owned())), ("/var", shared)] {
        let Some(folder) = folder else { continue };
        if all.list(&folder)?.is_some_and(|names| !names.is_empty())
            && let Some(volume) = open()?
        {
            tree.mount_folder(point, &folder, volume);
        }
    }
    match tree.has(SIGN)? {
        true => Ok(Some(tree)),
        false => Ok(None),
    }
}

/// Lists the paths of the versions that there are.
fn versions(all: &mut Tree) -> Result<Vec<String>, Reason> {
    let mut found = Vec::new();
    for system in names(all, SYSTEMS)? {
        let folder = format!("{SYSTEMS}/{system}/deploy");
        // Beside each there is a file that says where it came from.
        let versions = names(all, &folder)?.into_iter().filter(|name| !name.ends_with(".origin"));
        found.extend(versions.map(|version| format!("{folder}/{version}")));
    }
    Ok(found)
}

fn names(all: &mut Tree, folder: &str) -> Result<Vec<String>, Reason> {
    let names = all.list(folder)?.unwrap_or_default().into_iter();
    Ok(names.filter_map(|name| String::from_utf8(name).ok()).take(2 * MOST).collect())
}

/// Returns the version that the boot loader's default entry starts, as a path that leads there.
pub(super) fn started(system: &GuestSystem) -> Option<&str> {
    let entries = system.boot_entries.found()?;
    entries.iter().find(|entry| entry.is_default)?.argument("ostree")
}

#[cfg(test)]
mod tests {
    use super::super::memory;
    use super::*;

    const FILES: [(&str, &str); 7] = [
        ("/ostree/deploy/fedora/deploy/aa.0/usr/lib/os-release", "ID=fedora\nVERSION_ID=1\n"),
        ("/ostree/deploy/fedora/deploy/aa.0.origin", "[origin]\n"),
        ("/ostree/deploy/fedora/deploy/bb.0/usr/lib/os-release", "ID=fedora\nVERSION_ID=2\n"),
        ("/ostree/deploy/fedora/var/lib/x", "shared"),
        ("/ostree/boot.1", "-> boot.1.1"),
        ("/ostree/boot.1.1/fedora/sum/0", "-> ../../../deploy/fedora/deploy/bb.0"),
        ("/boot/loader/entries/ostree-1.conf", "linux /vmlinuz\n"),
    ];

    fn opened(files: &[(&str, &str)], named: Option<&str>) -> Option<Tree> {
        root(&mut || Ok(Some(memory::volume(files))), named).unwrap()
    }

    #[test]
    fn a_version_is_a_root_with_what_all_of_them_share() {
        for (named, version) in [(None, "1"), (Some("/ostree/boot.1/fedora/sum/0"), "2")] {
            let mut tree = opened(&FILES, named).unwrap();
            let os = tree.read("/usr/lib/os-release", 100).unwrap().unwrap();
            assert!(os.ends_with(format!("={version}\n").as_bytes()));
            assert_eq!(tree.read("/var/lib/x", 10), Ok(Some(b"shared".to_vec())));
            assert_eq!(tree.has("/boot/loader/entries/ostree-1.conf"), Ok(true));
            assert_eq!(tree.has("/ostree"), Ok(false));
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for named in ["/ostree/boot.1/fedora/sum/1", "/boot", "/", ""] {
            assert!(opened(&FILES, Some(named)).is_none(), "{named}");
        }
        assert!(opened(&[("/ostree/deploy/fedora/deploy/", "")], None).is_none());
        assert!(opened(&[("/etc/passwd", "")], None).is_none());
        assert!(opened(&[("/ostree/deploy/fedora/deploy/aa.0/etc/x", "")], None).is_none(), "not whole");
    }
}
