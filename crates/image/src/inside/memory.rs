//! A guest in memory, so that checks are tested without a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{GuestSystem, GuestVolume};
use super::pages::{Pages, View};
use super::tree::Tree;
use super::volume::{Kind, Read, Volume};
use crate::filesystem::FileSystem;
use crate::finding::{Finding, Findings};
use crate::report::Expected;

/// What stands at a path: a folder, a text or a link.
pub(super) struct Node {
    kind: Kind,
    bytes: Vec<u8>,
}

/// The files of a volume, by their paths.
#[derive(Default)]
pub(super) struct Files(BTreeMap<Vec<u8>, Node>);

impl Files {
    pub(super) fn kind(&self, path: &[u8]) -> Option<Kind> {
        self.0.get(path).map(|node| node.kind)
    }

    /// Returns the text of a file, or the target of a link.
    pub(super) fn bytes(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.0.get(path).map(|node| node.bytes.clone())
    }

    pub(super) fn list(&self, path: &[u8]) -> Option<Vec<Vec<u8>>> {
        let folder = [path.strip_suffix(b"/").unwrap_or(path), b"/"].concat();
        let inner = self.0.keys().filter_map(|other| other.strip_prefix(&folder[..]));
        Some(inner.filter(|name| !name.is_empty() && !name.contains(&b'/')).map(<[u8]>::to_vec).collect())
    }
}

/// Makes a tree of files, each a path and its text. A text of `-> TARGET` makes a link, and a path that ends in `/` a
/// folder; the folders on the way need not be named.
pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(volume(files))
}

/// Makes a volume of such files.
pub(super) fn volume(files: &[(&str, &str)]) -> Volume {
    let mut all = Files::default();
    for (path, text) in files {
        let (path, node) = match (path.strip_suffix('/'), text.strip_prefix("-> ")) {
            (Some(path), _) => (path, Node { kind: Kind::Directory, bytes: Vec::new() }),
            (None, Some(target)) => (*path, Node { kind: Kind::Link, bytes: target.into() }),
            (None, None) => (*path, Node { kind: Kind::File, bytes: text.as_bytes().into() }),
        };
        for (at, _) in path.match_indices('/').skip(1) {
            let folder = Node { kind: Kind::Directory, bytes: Vec::new() };
            all.0.entry(path.as_bytes()[..at].to_vec()).or_insert(folder);
        }
        all.0.insert(path.into(), node);
    }
    Volume::of_files(View::new(&Pages::new(Arc::new(Vec::new())), 0, 0), all)
}

/// What there is of a system that systemd starts, and that was started before.
pub(super) const SYSTEMD: [(&str, &str); 3] = [
    ("/sbin/init", "-> /usr/lib/systemd/systemd"),
    ("/usr/lib/systemd/systemd", "ELF"),
    ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
];

/// Tells what is found of a system that has these files.
pub(super) fn system(tree: &mut Tree) -> GuestSystem {
    super::describe(tree, "partition 1".to_owned(), &[], &super::identity::Names::default(), true)
}

/// Returns what a check says of a system that has these files.
pub(super) fn judged(check: super::checks::Check, files: &[(&str, &str)]) -> Vec<Finding> {
    let mut tree = tree(files);
    let (findings, unread) = judged_tree(check, &mut tree);
    assert_eq!(unread, Ok(None));
    findings
}

/// Returns what a check says of a system, and whether it could read all of it.
pub(super) fn judged_tree(check: super::checks::Check, tree: &mut Tree) -> (Vec<Finding>, Read<()>) {
    let system = system(tree);
    judged_system(check, tree, &system)
}

/// Returns what a check says of a system of which these facts are known.
pub(super) fn judged_system(
    check: super::checks::Check,
    tree: &mut Tree,
    system: &GuestSystem,
) -> (Vec<Finding>, Read<()>) {
    let report = crate::testing::report(&[0; 512]);
    let expected = Expected::default();
    let root = GuestVolume::new(&system.root, FileSystem::Ext4);
    let mut scene =
        super::checks::Scene { tree, system, volumes: &[root], report: &report, expected: &expected };
    let mut findings = Findings::default();
    let unread = check(&mut scene, &mut findings).map(|()| None);
    (findings.0, unread)
}
