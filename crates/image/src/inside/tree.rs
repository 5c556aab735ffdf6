//! The guest's tree of files: its root with what its fstab mounts there, and links resolved inside of it.

use std::collections::{HashMap, VecDeque};

use super::volume::{Kind, OpenFile, Read, Volume};

/// Most links on the way to a file, as Linux has it.
const MOST_LINKS: usize = 40;
/// Longest path.
const LONGEST_PATH: usize = 4096;
/// Most kinds of files that are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// Files by the paths that they have in the running guest.
pub(super) struct Tree {
    mounts: Vec<Mount>,
    kinds: HashMap<Vec<u8>, Option<Kind>>,
}

/// What is mounted somewhere.
struct Mount {
    /// Where, without a slash at the end: the root's is empty.
    point: Vec<u8>,
    /// The folder of the volume that is seen there, likewise.
    folder: Vec<u8>,
    /// `Err` where something is mounted that cannot be read, so that nothing is known of what is there.
    volume: Result<Volume, String>,
}

impl Tree {
    pub(super) fn new(root: Volume) -> Self {
        Self::of_folder(root, "")
    }

    /// Makes a tree whose root is a folder of a volume, which is named without links.
    pub(super) fn of_folder(root: Volume, folder: &str) -> Self {
        let mut tree = Self { mounts: Vec::new(), kinds: HashMap::new() };
        tree.mount_folder("", folder, root);
        tree
    }

    /// Mounts a folder of a volume; both paths are without links.
    pub(super) fn mount_folder(&mut self, point: &str, folder: &str, volume: Volume) {
        self.mount(point, Ok(volume));
        if let Some(mount) = self.mounts.last_mut() {
            mount.folder = folder.trim_end_matches('/').as_bytes().to_vec();
        }
    }

    /// Mounts a volume at a path without links.
    pub(super) fn mount(&mut self, point: &str, volume: Result<Volume, String>) {
        self.kinds.clear();
        let point = point.trim_end_matches('/').as_bytes().to_vec();
        self.mounts.push(Mount { point, folder: Vec::new(), volume });
    }

    /// Whether a volume is mounted at a path without a slash at its end, so that its own files are seen there.
    pub(super) fn is_mounted(&self, point: &str) -> bool {
        self.mounts.iter().any(|mount| mount.point == point.as_bytes())
    }

    /// Reads the file at `path` up to `most` bytes. What is no regular file is not there.
    pub(super) fn read(&mut self, path: &str, most: usize) -> Read<Vec<u8>> {
        let Some((path, Kind::File)) = self.resolve(path.as_bytes())? else { return Ok(None) };
        let (volume, inner) = self.volume(&path)?;
        volume.read(&inner, most)
    }

    /// Opens the file at `path`, so that it can be read piece by piece. What is no regular file is not there.
    pub(super) fn open(&mut self, path: &str) -> Read<OpenFile<'_>> {
        let Some((path, Kind::File)) = self.resolve(path.as_bytes())? else { return Ok(None) };
        let (volume, inner) = self.volume(&path)?;
        volume.open_file(&inner)
    }

    /// Returns the names in the directory at `path`, in order of their bytes.
    pub(super) fn list(&mut self, path: &str) -> Read<Vec<Vec<u8>>> {
        let Some((path, Kind::Directory)) = self.resolve(path.as_bytes())? else { return Ok(None) };
        let (volume, inner) = self.volume(&path)?;
        volume.list(&inner)
    }

    /// Whether something is at `path`; a link counts by what it leads to.
    pub(super) fn has(&mut self, path: &str) -> Result<bool, String> {
        Ok(self.resolve(path.as_bytes())?.is_some())
    }

    /// Returns the target of what is itself a link at `path`, wherever it leads; `None` if no link is there.
    pub(super) fn link(&mut self, path: &str) -> Read<Vec<u8>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some((mut path, Kind::Directory)) = self.resolve(folder.as_bytes())? else { return Ok(None) };
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        if self.kind(&path)? != Some(Kind::Link) {
            return Ok(None);
        }
        let (volume, inner) = self.volume(&path)?;
        volume.link(&inner)
    }

    /// Follows `path`, from the root of the guest, to something that is no link.
    pub(super) fn resolve(&mut self, path: &[u8]) -> Read<(Vec<u8>, Kind)> {
        let mut ahead: VecDeque<Vec<u8>> = names(path);
        let mut done = Vec::new();
        let mut kind = Kind::Directory;
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if kind != Kind::Directory {
                return Ok(None);
            }
            if name == b".." {
                // That of the root is the root.
                done.truncate(done.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                continue;
            }
            let next = [&done[..], b"/", &name].concat();
            if next.len() > LONGEST_PATH {
                return Err("a path is longer than one can be".to_owned());
            }
            match self.kind(&next)? {
                None => return Ok(None),
                Some(Kind::Link) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err("more links on the way to a file than may be".to_owned());
                    }
                    let (volume, inner) = self.volume(&next)?;
                    let Some(target) = volume.link(&inner)? else { return Ok(None) };
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    for name in names(&target).into_iter().rev() {
                        ahead.push_front(name);
                    }
                }
                Some(found) => {
                    done = next;
                    kind = found;
                }
            }
        }
        if done.is_empty() {
            done.push(b'/');
        }
        Ok(Some((done, kind)))
    }

    fn kind(&mut self, path: &[u8]) -> Read<Kind> {
        if let Some(kind) = self.kinds.get(path) {
            return Ok(*kind);
        }
        let (volume, inner) = self.volume(path)?;
        let mut kind = volume.kind(&inner)?;
        // What is mounted here need not have had a place before: a root may be empty.
        let leads_to = |point: &[u8]| point.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/"));
        if kind.is_none() && self.mounts.iter().any(|mount| leads_to(&mount.point)) {
            kind = Some(Kind::Directory);
        }
        if self.kinds.len() < MOST_REMEMBERED {
            self.kinds.insert(path.to_vec(), kind);
        }
        Ok(kind)
    }

    /// Returns the volume that holds a path without links, and the path in it.
    fn volume(&mut self, path: &[u8]) -> Result<(&mut Volume, Vec<u8>), String> {
        let below = |point: &[u8]| {
            path.strip_prefix(point).filter(|inner| inner.is_empty() || inner.starts_with(b"/"))
        };
        let holding = self.mounts.iter_mut().filter(|mount| below(&mount.point).is_some());
        let mount = holding.max_by_key(|mount| mount.point.len()).expect("the root holds every path");
        let mut inner = mount.folder.clone();
        inner.extend_from_slice(below(&mount.point).unwrap_or_default());
        if inner.is_empty() {
            inner.push(b'/');
        }
        match &mut mount.volume {
            Ok(volume) => Ok((volume, inner)),
            Err(reason) => Err(reason.clone()),
        }
    }
}

/// Returns the names of a path, without those that lead nowhere.
fn names(path: &[u8]) -> VecDeque<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.map(<[u8]>::to_vec).collect()
}
