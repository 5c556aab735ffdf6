//! Which subvolumes of btrfs may hold the root, if it is not the one that is mounted by default.

use super::tree::Tree;
use super::volume::{Reason, Volume};
use super::{FileSystem, View};

/// Where distributions keep their root.
const USUAL: [&str; 3] = ["@", "@rootfs", "root"];
/// Where snapper keeps its snapshots, from the top level on.
const SNAPSHOTS: [&str; 2] = ["@/.snapshots", ".snapshots"];
/// Most snapshots, and most other subvolumes at the top level, that are looked into.
const MOST: usize = 8;

/// Lists the paths of subvolumes in the order in which they are to be looked into: the usual ones, snapshots, the newest
/// first, and what else stands at the top level, which need not be a subvolume.
pub(super) fn of(view: &View) -> Result<Vec<String>, Reason> {
    let mut paths: Vec<String> = USUAL.map(str::to_owned).to_vec();
    let Some(top) = Volume::open(view, FileSystem::Btrfs, Some("/"))? else { return Ok(paths) };
    let mut top = Tree::new(top);
    for folder in SNAPSHOTS {
        let names = top.list(&format!("/{folder}"))?.unwrap_or_default();
        paths.extend(snapshots(&names).into_iter().map(|number| format!("{folder}/{number}/snapshot")));
    }
    let names = top.list("/")?.unwrap_or_default();
    let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
    paths.extend(names.filter(|name| !USUAL.contains(&name.as_str()) && name != ".snapshots").take(MOST));
    Ok(paths)
}

/// Returns the numbers of the newest snapshots.
fn snapshots(names: &[Vec<u8>]) -> Vec<u32> {
    let numbers = names.iter().filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.truncate(MOST);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_snapshots_come_first_and_not_all() {
        let names: Vec<Vec<u8>> = (1..=12).map(|number: u32| number.to_string().into_bytes()).collect();
        assert_eq!(snapshots(&names), [12, 11, 10, 9, 8, 7, 6, 5]);
        assert_eq!(snapshots(&[b"grub-snapshot.cfg".to_vec(), b"3".to_vec()]), [3]);
    }
}
