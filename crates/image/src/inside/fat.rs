//! Files of a FAT file system, by their long names. Crates for it want a cursor that writes.

use super::pages::View;
use super::volume::{Kind, Read, Reason};
use crate::fat::{Layout, Root};
use crate::read::{le16, le32};

/// Most bytes of one directory.
const LONGEST_DIRECTORY: usize = 512 << 10;
const DELETED: u8 = 0xE5;
const LONG_NAME: u8 = 0x0F;
const VOLUME_LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

/// An open FAT file system. Names are compared without case, as it does.
pub(super) struct Fat {
    view: View,
    layout: Layout,
}

/// A file that is read piece by piece.
pub(super) struct FatFile {
    first: u32,
    length: u32,
    /// The number of the cluster in the file that was read last, and which that is.
    at: u64,
    cluster: u32,
}

/// An entry of a directory.
struct Entry {
    name: String,
    short: String,
    kind: Kind,
    first: u32,
    length: u32,
}

impl Fat {
    /// Opens the file system that the boot sector describes.
    pub(super) fn open(view: View) -> Result<Self, Reason> {
        let sector = view.head::<512>(0).map_err(|error| error.to_string())?;
        let layout = crate::fat::layout(&sector).ok_or("its boot sector makes no sense")?;
        Ok(Self { view, layout })
    }

    /// Tells what stands at a path.
    pub(super) fn kind(&self, path: &[u8]) -> Read<Kind> {
        Ok(self.find(path)?.map(|entry| entry.kind))
    }

    /// Opens the file at a path.
    pub(super) fn file(&self, path: &[u8]) -> Read<FatFile> {
        let entry = self.find(path)?.filter(|entry| entry.kind == Kind::File);
        Ok(entry.map(|Entry { first, length, .. }| FatFile { first, length, at: 0, cluster: first }))
    }

    /// Fills the beginning of `buffer` with what a file holds from `offset` on; returns how much.
    pub(super) fn read_at(
        &self,
        file: &mut FatFile,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, Reason> {
        let cluster = self.layout.cluster;
        let mut done = 0;
        while done < buffer.len() {
            let from = offset.saturating_add(done as u64);
            let left = u64::from(file.length).saturating_sub(from);
            if left == 0 {
                break;
            }
            if from / cluster < file.at {
                (file.at, file.cluster) = (0, file.first);
            }
            let shorter = || "a file is shorter than its directory says".to_owned();
            while file.at < from / cluster {
                file.cluster = self.next(file.cluster)?.ok_or_else(shorter)?;
                file.at += 1;
            }
            let at = self.layout.at(file.cluster).ok_or_else(shorter)?;
            let most = usize::try_from(left.min(cluster - from % cluster)).unwrap_or(usize::MAX);
            let end = buffer.len().min(done.saturating_add(most));
            let read = self.view.fill(at + from % cluster, &mut buffer[done..end]);
            read.map_err(|error| error.to_string())?;
            done = end;
        }
        Ok(done)
    }

    /// Reads the file at a path up to `most` bytes.
    pub(super) fn read(&self, path: &[u8], most: usize) -> Read<Vec<u8>> {
        let Some(entry) = self.find(path)?.filter(|entry| entry.kind == Kind::File) else { return Ok(None) };
        let wanted = usize::try_from(entry.length).unwrap_or(usize::MAX).min(most);
        let bytes = self.chain(entry.first, wanted)?;
        match bytes.len() == wanted {
            true => Ok(Some(bytes)),
            false => Err("a file is shorter than its directory says".to_owned()),
        }
    }

    /// Returns the names in the directory at a path.
    pub(super) fn list(&self, path: &[u8]) -> Read<Vec<Vec<u8>>> {
        let entries = match self.find(path)? {
            Some(entry) if entry.kind == Kind::Directory => self.directory(&entry)?,
            _ => return Ok(None),
        };
        Ok(Some(entries.into_iter().map(|entry| entry.name.into_bytes()).collect()))
    }

    /// Finds what stands at a path without links, `.` and `..`.
    fn find(&self, path: &[u8]) -> Read<Entry> {
        let root = match self.layout.root {
            Root::Cluster(first) => first,
            Root::Fixed(..) => 0,
        };
        let (name, short) = (String::new(), String::new());
        let mut found = Entry { name, short, kind: Kind::Directory, first: root, length: 0 };
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            if found.kind != Kind::Directory {
                return Ok(None);
            }
            let name = String::from_utf8_lossy(name).to_lowercase();
            let mut entries = self.directory(&found)?.into_iter();
            match entries
                .find(|entry| entry.name.to_lowercase() == name || entry.short.to_lowercase() == name)
            {
                Some(entry) => found = entry,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn directory(&self, entry: &Entry) -> Result<Vec<Entry>, Reason> {
        let bytes = match self.layout.root {
            // The root has a place of its own, which no other directory has.
            Root::Fixed(at, length) if entry.first == 0 => {
                let mut bytes = vec![0; length.min(LONGEST_DIRECTORY)];
                self.view.fill(at, &mut bytes).map_err(|error| error.to_string())?;
                bytes
            }
            _ => self.chain(entry.first, LONGEST_DIRECTORY)?,
        };
        let (found, is_ended) = entries(&bytes, matches!(self.layout.root, Root::Cluster(_)));
        match is_ended || bytes.len() < LONGEST_DIRECTORY {
            true => Ok(found),
            false => Err("a directory is larger than is read".to_owned()),
        }
    }

    /// Reads up to `most` bytes of a chain of clusters.
    fn chain(&self, first: u32, most: usize) -> Result<Vec<u8>, Reason> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        while bytes.len() < most {
            let Some(at) = self.layout.at(cluster) else { break };
            let length = usize::try_from(self.layout.cluster).map_err(|_| "a cluster is too large")?;
            let start = bytes.len();
            bytes.resize(start + length.min(most - start), 0);
            self.view.fill(at, &mut bytes[start..]).map_err(|error| error.to_string())?;
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(bytes)
    }

    /// Returns the cluster after `cluster`; `None` at the end of the chain.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Reason> {
        let (offset, shift) = self.layout.link(cluster);
        let raw = le32(&self.view.head::<4>(offset).map_err(|error| error.to_string())?, 0);
        Ok(self.layout.following(raw >> shift))
    }
}

/// Lists the entries of a directory, without `.`, `..`, labels and what was deleted, and tells whether its end was seen.
/// Only the numbers of clusters of FAT32 are `wide`.
fn entries(bytes: &[u8], wide: bool) -> (Vec<Entry>, bool) {
    let (records, _) = bytes.as_chunks::<32>();
    let mut found = Vec::new();
    let mut long: Vec<u16> = Vec::new();
    for record in records.iter().take_while(|record| record[0] != 0) {
        let attributes = record[11];
        if record[0] == DELETED {
            long.clear();
        } else if attributes == LONG_NAME {
            // The parts of a name come in reverse, 13 units each.
            let units = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30].map(|at| le16(record, at));
            let part = units.into_iter().take_while(|unit| *unit != 0);
            long = part.chain(std::mem::take(&mut long)).take(255).collect();
        } else if attributes & VOLUME_LABEL != 0 {
            long.clear();
        } else {
            let short = short_name(record);
            let own = String::from_utf16_lossy(&std::mem::take(&mut long));
            let name = if own.is_empty() { short.clone() } else { own };
            if record[0] != b'.' && !name.contains(['/', '\0']) {
                let kind = if attributes & DIRECTORY != 0 { Kind::Directory } else { Kind::File };
                let high = if wide { u32::from(le16(record, 20)) << 16 } else { 0 };
                let first = high | u32::from(le16(record, 26));
                found.push(Entry { name, short, kind, first, length: le32(record, 28) });
            }
        }
    }
    (found, records.iter().any(|record| record[0] == 0))
}

/// Returns the name of 8 and 3 characters, in the case that Linux shows.
fn short_name(record: &[u8; 32]) -> String {
    let part = |bytes: &[u8], is_lower: bool| {
        let text: String = bytes.trim_ascii_end().iter().map(|byte| char::from(*byte)).collect();
        if is_lower { text.to_ascii_lowercase() } else { text }
    };
    let (name, extension) =
        (part(&record[..8], record[12] & 8 != 0), part(&record[8..11], record[12] & 16 != 0));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::inside::pages::Pages;
    use crate::testing::put;

    /// Makes a FAT16 or FAT32 of 4 MiB with clusters of 512 bytes that holds these files, each with a long name. The
    /// clusters of a file lie one before the other.
    pub(in crate::inside) fn fat(wide: bool, files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut disk = vec![0; 4 << 20];
        put(&mut disk, 0, b"\xEB\x3C\x90MSDOS5.0");
        put(&mut disk, 11, &512_u16.to_le_bytes());
        put(&mut disk, 13, &[1, 1, 0, 1]);
        put(&mut disk, 19, &8192_u16.to_le_bytes());
        put(&mut disk, 510, &[0x55, 0xAA]);
        let mut maker = Maker { disk, wide, next: 3, data: if wide { 65 } else { 66 } };
        if wide {
            put(&mut maker.disk, 36, &64_u32.to_le_bytes());
            put(&mut maker.disk, 44, &2_u32.to_le_bytes());
        } else {
            put(&mut maker.disk, 17, &16_u16.to_le_bytes());
            put(&mut maker.disk, 22, &64_u16.to_le_bytes());
        }
        let root = maker.folder("", files);
        let at = if wide { maker.at(2) } else { 65 * 512 };
        assert!(root.len() <= 512, "the root has one cluster");
        put(&mut maker.disk, at, &root);
        maker.link(2, u32::MAX >> 4);
        maker.disk
    }

    struct Maker {
        disk: Vec<u8>,
        wide: bool,
        next: u32,
        data: usize,
    }

    impl Maker {
        fn at(&self, cluster: u32) -> usize {
            (self.data + cluster as usize - 2) * 512
        }

        fn link(&mut self, cluster: u32, to: u32) {
            let bytes = to.to_le_bytes();
            let width = if self.wide { 4 } else { 2 };
            put(&mut self.disk, 512 + cluster as usize * width, &bytes[..width]);
        }

        /// Stores bytes, and returns their first cluster.
        fn store(&mut self, bytes: &[u8]) -> u32 {
            let mut after = u32::MAX >> 4;
            for piece in bytes.chunks(512).rev() {
                let cluster = self.next;
                self.next += 1;
                let at = self.at(cluster);
                put(&mut self.disk, at, piece);
                self.link(cluster, after);
                after = cluster;
            }
            if bytes.is_empty() { 0 } else { after }
        }

        /// Stores what is below a folder, and returns its entries.
        fn folder(&mut self, path: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
            let mut records = Vec::new();
            let mut seen: Vec<&str> = Vec::new();
            for (file, bytes) in files {
                let Some(inner) = file.strip_prefix(path) else { continue };
                let (name, is_folder) =
                    inner.split_once('/').map_or((inner, false), |(name, _)| (name, true));
                if seen.contains(&name) {
                    continue;
                }
                seen.push(name);
                let short = format!("SHORT~{}   ", seen.len());
                let (attributes, first, length) = match is_folder {
                    true => {
                        let inner = self.folder(&format!("{path}{name}/"), files);
                        (0x10, self.store(&inner), 0)
                    }
                    false => (0x20, self.store(bytes), bytes.len() as u32),
                };
                let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
                for (index, part) in units.chunks(13).enumerate().rev() {
                    let mut record = [0xFF; 32];
                    (record[0], record[11]) = (index as u8 + 1, LONG_NAME);
                    for (unit, at) in part.iter().zip([1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]) {
                        put(&mut record, at, &unit.to_le_bytes());
                    }
                    records.extend(record);
                }
                let mut record = [0; 32];
                put(&mut record, 0, &short.as_bytes()[..8]);
                put(&mut record, 8, b"EXT");
                record[11] = attributes;
                put(&mut record, 20, &((first >> 16) as u16).to_le_bytes());
                put(&mut record, 26, &(first as u16).to_le_bytes());
                put(&mut record, 28, &length.to_le_bytes());
                records.extend(record);
            }
            records
        }
    }

    fn open(disk: Vec<u8>) -> Fat {
        let pages = Pages::new(Arc::new(disk));
        Fat::open(View::new(&pages, 0, pages.length())).unwrap()
    }

    const LONG: &str = "EFI/a vendor whose name is long/shim of an architecture.efi";

    #[test]
    fn files_are_found_by_long_and_short_names_in_any_case() {
        let large: Vec<u8> = (0..2000_u32).map(|at| (at / 7) as u8).collect();
        for wide in [false, true] {
            let fat = open(fat(wide, &[(LONG, &large), ("EFI/empty", b""), ("top", b"text")]));
            assert_eq!(fat.read(format!("/{LONG}").as_bytes(), 4000).unwrap().unwrap(), large);
            assert_eq!(
                fat.read(format!("/{}", LONG.to_uppercase()).as_bytes(), 600).unwrap().unwrap(),
                large[..600]
            );
            assert_eq!(fat.read(b"/EFI/empty", 10), Ok(Some(Vec::new())));
            assert_eq!(fat.read(b"/short~2.ext", 10), Ok(Some(b"text".to_vec())));
            assert_eq!(fat.list(b"/").unwrap().unwrap(), [b"EFI".to_vec(), b"top".to_vec()]);
            assert_eq!(fat.kind(b"/efi"), Ok(Some(Kind::Directory)));
            for missing in [&b"/EFI/none"[..], b"/top/more", b"/EFI/empty/x"] {
                assert_eq!(fat.kind(missing), Ok(None));
            }
            assert_eq!(fat.read(b"/EFI", 10), Ok(None), "that is no file");
        }
    }

    #[test]
    fn a_file_is_read_from_anywhere_forth_and_back() {
        let large: Vec<u8> = (0..2000_u32).map(|at| (at / 7) as u8).collect();
        let fat = open(fat(true, &[("large", &large)]));
        let mut file = fat.file(b"/large").unwrap().unwrap();
        for (offset, length) in [(0, 2000), (1990, 100), (3, 600), (511, 2), (2000, 1), (1024, 512)] {
            let mut buffer = vec![0; length];
            let read = fat.read_at(&mut file, offset, &mut buffer).unwrap();
            let offset = offset as usize;
            assert_eq!(buffer[..read], large[offset..(offset + length).min(2000)], "{offset}");
        }
    }

    #[test]
    fn a_chain_that_ends_early_or_never_is_an_error_or_ends() {
        let large = vec![7; 2000];
        let mut disk = fat(false, &[("large", &large)]);
        // The last of its clusters is number 3, the first 6.
        put(&mut disk, 512 + 5 * 2, &[0xFF, 0xFF]);
        let cut = open(disk.clone());
        assert!(cut.read(b"/large", 4000).unwrap_err().contains("shorter"));
        let mut file = cut.file(b"/large").unwrap().unwrap();
        assert!(cut.read_at(&mut file, 1500, &mut [0; 8]).is_err());
        put(&mut disk, 512 + 5 * 2, &[6, 0]);
        assert_eq!(open(disk).read(b"/large", 4000).unwrap().unwrap().len(), 2000);
    }
}
