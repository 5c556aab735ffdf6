use ext4_view::{Ext4, Ext4Error};
use lambutter::Btrfs;
use lamxfs::Xfs;

use super::fat::{Fat, FatFile};
use super::ntfs::Ntfs;
use super::pages::View;
use crate::filesystem::FileSystem;
use crate::read::{le16, le32, le64};

/// Why something could not be read. It is no answer to what was asked.
pub(super) type Reason = String;
/// What is there, `None` if it is certainly not, or why that could not be told.
pub(super) type Read<T> = Result<Option<T>, Reason>;

/// Most entries of a directory.
const MOST_ENTRIES: usize = 20_000;
/// Longest target of a symbolic link, as Linux has it.
const LONGEST_LINK: u64 = 4096;

/// What a name in a file system stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// A file system that can be read. Every path is absolute and free of links, `.` and `..`: the readers must not follow
/// any by themselves, since what the disk says of a link's length is theirs to believe.
pub(super) struct Volume {
    view: View,
    reader: Reader,
    /// Why there may be files that are not seen, so that nothing is certainly absent.
    partial: Option<&'static str>,
}

enum Reader {
    Ext(Ext4),
    Xfs(Box<Xfs<View>>),
    Btrfs(Box<Btrfs<View>>),
    Fat(Fat),
    #[cfg(test)]
    Memory(super::memory::Files),
    Ntfs(Box<Ntfs>),
}

impl Volume {
    /// Makes a volume of files in memory.
    #[cfg(test)]
    pub(super) fn of_files(view: View, files: super::memory::Files) -> Self {
        Self { view, reader: Reader::Memory(files), partial: None }
    }

    /// Opens a file system; btrfs at a subvolume if one is named. `None` if there is no reader for it.
    pub(super) fn open(view: &View, filesystem: FileSystem, subvolume: Option<&str>) -> Read<Self> {
        let opened = view.clone();
        guarded(view, || {
            Ok(Some(match filesystem {
                FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 => {
                    check_ext(&opened)?;
                    Reader::Ext(Ext4::load(Box::new(opened.clone())).map_err(|error| error.to_string())?)
                }
                FileSystem::Xfs => {
                    let xfs = Xfs::open(opened.clone(), opened.length());
                    Reader::Xfs(Box::new(xfs.map_err(|error| error.to_string())?))
                }
                FileSystem::Btrfs => {
                    let length = opened.length();
                    let btrfs = match subvolume {
                        None => Btrfs::open(opened.clone(), length),
                        Some(path) => Btrfs::open_subvol_path(opened.clone(), length, path.into()),
                    };
                    match btrfs {
                        Ok(btrfs) => Reader::Btrfs(Box::new(btrfs)),
                        Err(lambutter::Error::NotFound | lambutter::Error::NotASubvolume) => return Ok(None),
                        Err(error) => return Err(error.to_string()),
                    }
                }
                fat if fat.is_fat() => Reader::Fat(Fat::open(opened)?),
                FileSystem::Ntfs => Reader::Ntfs(Box::new(Ntfs::open(&opened)?)),
                _ => return Ok(None),
            }))
        })
        .and_then(|reader| {
            let Some(reader) = reader else { return Ok(None) };
            let partial = match &reader {
                Reader::Btrfs(_) if has_btrfs_log(view)? => Some("btrfs"),
                Reader::Ntfs(ntfs) if !guarded(view, || ntfs.was_unmounted())? => Some("NTFS"),
                _ => None,
            };
            Ok(Some(Self { view: view.clone(), reader, partial }))
        })
    }

    /// Tells what stands at `path`.
    pub(super) fn kind(&mut self, path: &[u8]) -> Read<Kind> {
        if path == b"/" {
            return Ok(Some(Kind::Directory));
        }
        match self.seen_kind(path)? {
            None => match self.partial {
                Some(by) => Err(format!("it may be in the log of {by}, which is not applied")),
                None => Ok(None),
            },
            kind => Ok(kind),
        }
    }

    fn seen_kind(&mut self, path: &[u8]) -> Read<Kind> {
        let reader = &mut self.reader;
        guarded(&self.view, || match reader {
            Reader::Ext(ext) => ext_answer(ext.symlink_metadata(ext_path(path)?)).map(|found| {
                found.map(|metadata| {
                    let kind = metadata.file_type();
                    kind_of(kind.is_regular_file(), kind.is_dir(), kind.is_symlink())
                })
            }),
            Reader::Xfs(xfs) => {
                let found = xfs.resolve(lamxfs::Path::new(path)).and_then(|inode| xfs.metadata(&inode));
                Ok(xfs_answer(found)?
                    .map(|found| kind_of(found.is_file(), found.is_dir(), found.is_symlink())))
            }
            Reader::Btrfs(btrfs) => {
                let found = btrfs.resolve(btrfs_path(path)?).and_then(|inode| btrfs.metadata(&inode));
                Ok(btrfs_answer(found)?
                    .map(|found| kind_of(found.is_file(), found.is_dir(), found.is_symlink())))
            }
            Reader::Fat(fat) => fat.kind(path),
            #[cfg(test)]
            Reader::Memory(files) => Ok(files.kind(path)),
            Reader::Ntfs(ntfs) => ntfs.kind(path),
        })
    }

    /// Returns the target of the link at `path`.
    pub(super) fn link(&mut self, path: &[u8]) -> Read<Vec<u8>> {
        let reader = &mut self.reader;
        let long = |length: u64| match length {
            0..=LONGEST_LINK => Ok(()),
            _ => Err("a symbolic link is longer than one can be".to_owned()),
        };
        guarded(&self.view, || match reader {
            Reader::Ext(ext) => {
                let path = ext_path(path)?;
                if let Some(metadata) = ext_answer(ext.symlink_metadata(path))? {
                    long(metadata.len())?;
                }
                Ok(ext_answer(ext.read_link(path))?.map(|target| target.as_path().as_ref().to_vec()))
            }
            Reader::Xfs(xfs) => {
                let metadata = xfs.resolve(lamxfs::Path::new(path)).and_then(|inode| xfs.metadata(&inode));
                if let Some(metadata) = xfs_answer(metadata)? {
                    long(metadata.size())?;
                }
                xfs_answer(xfs.read_link(lamxfs::Path::new(path)))
            }
            Reader::Btrfs(btrfs) => {
                let path = btrfs_path(path)?;
                let metadata = btrfs.resolve(path).and_then(|inode| btrfs.metadata(&inode));
                if let Some(metadata) = btrfs_answer(metadata)? {
                    long(metadata.size)?;
                }
                btrfs_answer(btrfs.read_link(path))
            }
            Reader::Fat(_) => Ok(None),
            #[cfg(test)]
            Reader::Memory(files) => Ok(files.bytes(path)),
            // Links of Windows are not told apart, nor followed.
            Reader::Ntfs(_) => Ok(None),
        })
    }

    /// Reads the file at `path` up to `most` bytes.
    pub(super) fn read(&mut self, path: &[u8], most: usize) -> Read<Vec<u8>> {
        let reader = &mut self.reader;
        guarded(&self.view, || match reader {
            Reader::Ext(ext) => {
                let Some(mut file) = ext_answer(ext.open(ext_path(path)?))? else { return Ok(None) };
                let there = usize::try_from(file.metadata().len()).unwrap_or(usize::MAX);
                let mut bytes = vec![0; there.min(most)];
                filled(&mut bytes, |_, rest| file.read_bytes(rest).map_err(|error| error.to_string()))?;
                Ok(Some(bytes))
            }
            Reader::Xfs(xfs) => {
                let found = xfs.resolve(lamxfs::Path::new(path));
                let Some(inode) = xfs_answer(found)? else { return Ok(None) };
                let there = xfs.metadata(&inode).map_err(|error| error.to_string())?.size();
                let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX).min(most)];
                filled(&mut bytes, |at, rest| {
                    xfs.read_file_at(&inode, at, rest).map_err(|error| error.to_string())
                })?;
                Ok(Some(bytes))
            }
            Reader::Btrfs(btrfs) => {
                let found = btrfs.resolve(btrfs_path(path)?);
                let Some(inode) = btrfs_answer(found)? else { return Ok(None) };
                let there = btrfs.metadata(&inode).map_err(|error| error.to_string())?.size;
                let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX).min(most)];
                filled(&mut bytes, |at, rest| {
                    btrfs.read_file_at(&inode, at, rest).map_err(|error| error.to_string())
                })?;
                Ok(Some(bytes))
            }
            Reader::Fat(fat) => fat.read(path, most),
            #[cfg(test)]
            Reader::Memory(files) => Ok(files.bytes(path).map(|mut bytes| {
                bytes.truncate(most);
                bytes
            })),
            Reader::Ntfs(ntfs) => ntfs.file(path)?.map(|file| file.front(most)).transpose(),
        })
    }

    /// Opens the file at `path`, so that it can be read piece by piece.
    pub(super) fn open_file(&mut self, path: &[u8]) -> Read<OpenFile<'_>> {
        let reader = &mut self.reader;
        let place = guarded(&self.view, || {
            Ok(match reader {
                Reader::Ext(ext) => {
                    ext_answer(ext.open(ext_path(path)?))?.map(|file| Place::Ext(Box::new(file)))
                }
                Reader::Xfs(xfs) => xfs_answer(xfs.resolve(lamxfs::Path::new(path)))?.map(Place::Xfs),
                Reader::Btrfs(btrfs) => btrfs_answer(btrfs.resolve(btrfs_path(path)?))?.map(Place::Btrfs),
                Reader::Fat(fat) => fat.file(path)?.map(Place::Fat),
                #[cfg(test)]
                Reader::Memory(files) => files.bytes(path).map(Place::Memory),
                Reader::Ntfs(_) => return Err("files are not read piece by piece from NTFS".to_owned()),
            })
        })?;
        Ok(place.map(|place| OpenFile { volume: self, place }))
    }

    /// Returns the names in the directory at `path`, without `.` and `..`.
    pub(super) fn list(&mut self, path: &[u8]) -> Read<Vec<Vec<u8>>> {
        let reader = &mut self.reader;
        let names = guarded(&self.view, || match reader {
            Reader::Ext(ext) => {
                let Some(entries) = ext_answer(ext.read_dir(ext_path(path)?))? else { return Ok(None) };
                let names = entries.take(MOST_ENTRIES + 1).map(|entry| {
                    entry.map(|entry| entry.file_name().as_ref().to_vec()).map_err(|error| error.to_string())
                });
                names.collect::<Result<Vec<_>, _>>().map(Some)
            }
            Reader::Xfs(xfs) => {
                let found = xfs_answer(xfs.read_dir(lamxfs::Path::new(path)))?;
                Ok(found.map(|entries| entries.into_iter().map(|entry| entry.name).collect()))
            }
            Reader::Btrfs(btrfs) => {
                let found = btrfs_answer(btrfs.read_dir(btrfs_path(path)?))?;
                Ok(found.map(|entries| entries.into_iter().map(|entry| entry.name).collect()))
            }
            Reader::Fat(fat) => fat.list(path),
            #[cfg(test)]
            Reader::Memory(files) => Ok(files.list(path)),
            Reader::Ntfs(ntfs) => ntfs.list(path, MOST_ENTRIES),
        })?;
        let Some(mut names) = names else { return Ok(None) };
        if names.len() > MOST_ENTRIES {
            return Err(format!("a directory of more than {MOST_ENTRIES} entries"));
        }
        names.retain(|name| name != b"." && name != b"..");
        names.sort_unstable();
        Ok(Some(names))
    }
}

/// A file that is read piece by piece. What is read of it is not held.
pub(super) struct OpenFile<'v> {
    volume: &'v mut Volume,
    place: Place,
}

enum Place {
    Ext(Box<ext4_view::File>),
    Xfs(lamxfs::Inode),
    Btrfs(lambutter::Inode),
    Fat(FatFile),
    #[cfg(test)]
    Memory(Vec<u8>),
}

impl OpenFile<'_> {
    /// Fills the beginning of `buffer` from `offset` on, and returns how much; 0 at the end.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason> {
        let Self { volume, place } = self;
        let Volume { view, reader, .. } = &mut **volume;
        view.pages().let_pass(true);
        let read = guarded(view, || match (reader, place) {
            (_, Place::Ext(file)) => {
                if file.position() != offset {
                    file.seek_to(offset).map_err(|error| error.to_string())?;
                }
                let mut done = 0;
                // It reads a block at most.
                while done < buffer.len() {
                    match file.read_bytes(&mut buffer[done..]).map_err(|error| error.to_string())? {
                        0 => break,
                        count => done += count,
                    }
                }
                Ok(Some(done))
            }
            (Reader::Xfs(xfs), Place::Xfs(inode)) => {
                xfs.read_file_at(inode, offset, buffer).map(Some).map_err(|error| error.to_string())
            }
            (Reader::Btrfs(btrfs), Place::Btrfs(inode)) => {
                btrfs.read_file_at(inode, offset, buffer).map(Some).map_err(|error| error.to_string())
            }
            (Reader::Fat(fat), Place::Fat(file)) => fat.read_at(file, offset, buffer).map(Some),
            #[cfg(test)]
            (_, Place::Memory(bytes)) => {
                super::initramfs::File::read_at(&mut &**bytes, offset, buffer).map(Some)
            }
            _ => Err("the file is of another file system".to_owned()),
        });
        view.pages().let_pass(false);
        Ok(read?.unwrap_or(0))
    }
}

/// Asks a reader. A failure of the disk counts, whatever the reader made of it.
pub(super) fn guarded<T>(view: &View, ask: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    view.pages().begin();
    let answer = ask();
    match view.pages().failure() {
        Some(reason) => Err(reason),
        None => answer,
    }
}

/// Fills `bytes` by reads of any length, and cuts off what did not come.
fn filled(
    bytes: &mut Vec<u8>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, Reason>,
) -> Result<(), Reason> {
    let mut done = 0;
    while done < bytes.len() {
        match read(done as u64, &mut bytes[done..])? {
            0 => break,
            count => done = (done + count).min(bytes.len()),
        }
    }
    bytes.truncate(done);
    Ok(())
}

fn kind_of(file: bool, directory: bool, link: bool) -> Kind {
    match (file, directory, link) {
        (true, ..) => Kind::File,
        (_, true, _) => Kind::Directory,
        (_, _, true) => Kind::Link,
        _ => Kind::Other,
    }
}

/// Checks what the reader of ext believes: it makes room for every group of blocks that the superblock claims, and
/// counts the high half of the number of blocks even where it does not apply.
fn check_ext(view: &View) -> Result<(), Reason> {
    let superblock = view.head::<1024>(1024).map_err(|unreadable| unreadable.to_string())?;
    let shift = le32(&superblock, 0x18);
    let per_group = u64::from(le32(&superblock, 0x20));
    let blocks = u64::from(le32(&superblock, 0x150)) << 32 | u64::from(le32(&superblock, 0x4));
    let fits = shift <= 6
        && blocks.checked_mul(1024 << shift).is_some_and(|bytes| bytes <= view.length())
        && (256..=8 * (1024 << shift)).contains(&per_group)
        && le16(&superblock, 0x38) == 0xEF53;
    if fits { Ok(()) } else { Err("its superblock does not fit the partition".to_owned()) }
}

/// Whether btrfs has a log, of what was written since the last commit: it was not unmounted.
fn has_btrfs_log(view: &View) -> Result<bool, Reason> {
    let superblock = view.head::<104>(65_536).map_err(|unreadable| unreadable.to_string())?;
    Ok(le64(&superblock, 96) != 0)
}

fn ext_path(path: &[u8]) -> Result<ext4_view::Path<'_>, Reason> {
    ext4_view::Path::try_from(path).map_err(|_| "a name that the file system cannot have".to_owned())
}

fn btrfs_path(path: &[u8]) -> Result<lambutter::Path<'_>, Reason> {
    lambutter::Path::new(path).ok_or_else(|| "a path that is not absolute".to_owned())
}

fn ext_answer<T>(found: Result<T, Ext4Error>) -> Read<T> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn xfs_answer<T>(found: Result<T, lamxfs::Error>) -> Read<T> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(lamxfs::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn btrfs_answer<T>(found: Result<T, lambutter::Error>) -> Read<T> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(lambutter::Error::NotFound) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
