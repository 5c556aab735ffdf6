use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::marker::StoreId;
use super::records::{Segment, SegmentSource, Sums};
use ossup_core::checksum;

/// Zero runs are left out of blob files in units of this many bytes, a file system's usual block.
const BLOCK: u64 = 4096;
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
/// How many zero bytes at the start of a blob wait to be hashed: if nothing else follows, their sums are known.
const MAX_WAITING: u64 = 64 << 20;
/// How many MD5s of zero runs are remembered. Parts have few different lengths.
const MAX_REMEMBERED: usize = 1024;

/// Names a blob file. Made here only, so that it is safe as a file name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BlobId(u128);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl TryFrom<String> for BlobId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.to_string()
    }
}

/// All blob files: each is held by the records that point into it and goes with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Blobs(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// What the files' names end with: the store's id.
    suffix: String,
    held: Mutex<HashMap<BlobId, Weak<Blob>>>,
    /// Set when the store goes down: from then on nothing is deleted.
    closing: AtomicBool,
    /// MD5 of zero runs by their length.
    zeros: Mutex<HashMap<u64, [u8; 16]>>,
}

impl Directory {
    fn file(&self, id: BlobId) -> PathBuf {
        self.path.join(format!("{id}{}", self.suffix))
    }

    /// Returns which of the store's blobs a file is, if it is one.
    fn id_of(&self, name: &OsStr) -> Option<BlobId> {
        let id = name.to_str()?.strip_suffix(&self.suffix)?;
        BlobId::try_from(id.to_owned()).ok().filter(|found| found.to_string() == id)
    }
}

/// A hold on a blob file: the file stays while one lives.
#[derive(Debug)]
pub(crate) struct Blob {
    id: BlobId,
    home: Arc<Directory>,
}

impl Drop for Blob {
    fn drop(&mut self) {
        if self.home.closing.load(Ordering::Acquire) {
            return;
        }
        self.home.held.lock().expect("no panic while the lock is held").remove(&self.id);
        // A file that cannot be removed now is swept when the store is next opened.
        let _ = fs::remove_file(self.home.file(self.id));
    }
}

impl Blobs {
    pub(super) fn new(path: PathBuf, store: &StoreId) -> Self {
        let (held, closing, zeros) = Default::default();
        Self(Arc::new(Directory { path, suffix: format!(".{store}"), held, closing, zeros }))
    }

    /// Returns a hold on a blob that is held already or, at start, on one that a record names.
    pub(super) fn hold(&self, id: BlobId) -> Arc<Blob> {
        let mut held = self.0.held.lock().expect("no panic while the lock is held");
        if let Some(blob) = held.get(&id).and_then(Weak::upgrade) {
            return blob;
        }
        let blob = Arc::new(Blob { id, home: Arc::clone(&self.0) });
        held.insert(id, Arc::downgrade(&blob));
        blob
    }

    /// Returns holds on all blobs that `segments` point into.
    pub(super) fn hold_all(&self, segments: &[Segment]) -> Vec<Arc<Blob>> {
        let mut last = None;
        let mut holds = Vec::new();
        for segment in segments {
            if let SegmentSource::Blob { id, .. } = segment.source
                && last != Some(id)
            {
                holds.push(self.hold(id));
                last = Some(id);
            }
        }
        holds
    }

    pub(super) fn open(&self, id: BlobId) -> io::Result<File> {
        File::open(self.0.file(id))
    }

    /// Deletes the store's blobs that no record points into: the leavings of a crash. Other files stay.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let held = self.0.held.lock().expect("no panic while the lock is held");
        for entry in fs::read_dir(&self.0.path)? {
            let entry = entry?;
            if self.0.id_of(&entry.file_name()).is_some_and(|id| !held.contains_key(&id)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
    }

    /// Begins a new blob. `keep` is whether bytes are kept, `md5` whether their MD5 is wanted.
    pub(super) fn writer(&self, keep: bool, md5: bool) -> BlobWriter {
        BlobWriter {
            blobs: self.clone(),
            keep,
            file: None,
            len: 0,
            waiting: 0,
            crc: checksum::Hasher::new(),
            md5: md5.then(Md5::new),
        }
    }
}

/// Takes in the bytes of a part or an object as they arrive.
///
/// The file is made at the first byte that is not zero, and zero blocks are not written: they become holes.
/// Dropped unfinished it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    blobs: Blobs,
    keep: bool,
    file: Option<(Arc<Blob>, File)>,
    len: u64,
    /// Zero bytes, the last ones taken in, that are not hashed yet.
    waiting: u64,
    crc: checksum::Hasher,
    md5: Option<Md5>,
}

/// What a [`BlobWriter`] has taken in.
#[derive(Debug)]
pub(crate) struct Written {
    /// The bytes as one segment; none if there were no bytes.
    pub(crate) segment: Option<Segment>,
    /// Keeps the file until a record holds it.
    pub(crate) _hold: Option<Arc<Blob>>,
    pub(crate) size: u64,
    pub(crate) sums: Sums,
}

impl BlobWriter {
    /// Takes in the next bytes.
    ///
    /// # Errors
    ///
    /// When the disk is full or broken.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let zeros = self.keep && all_zero(bytes);
        if zeros && self.waiting == self.len && self.len + bytes.len() as u64 <= MAX_WAITING {
            self.waiting += bytes.len() as u64;
        } else {
            self.hash_waiting();
            self.hash(bytes);
            if self.keep && !zeros {
                self.store(bytes)?;
            }
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    fn hash_waiting(&mut self) {
        while self.waiting > 0 {
            let count = self.waiting.min(BLOCK);
            self.waiting -= count;
            self.hash(&ZEROS[..usize::try_from(count).expect("a block is small")]);
        }
    }

    /// Returns the sums of all bytes.
    fn sums(&mut self) -> Sums {
        if self.waiting == 0 {
            return Sums { md5: self.md5.take().map(|md5| md5.finalize().into()), crc: self.crc.value() };
        }
        // All of it is zeros: what was computed once for this length holds.
        let blobs = self.blobs.clone();
        let mut known = blobs.0.zeros.lock().expect("no panic while the lock is held");
        let md5 = match (&self.md5, known.get(&self.len)) {
            (None, _) => None,
            (Some(_), Some(md5)) => Some(*md5),
            (Some(_), None) => {
                drop(known);
                self.hash_waiting();
                let md5: Option<[u8; 16]> = self.md5.take().map(|md5| md5.finalize().into());
                known = blobs.0.zeros.lock().expect("no panic while the lock is held");
                if let Some(md5) = md5
                    && known.len() < MAX_REMEMBERED
                {
                    known.insert(self.len, md5);
                }
                md5
            }
        };
        Sums { md5, crc: checksum::of_zeros(self.len) }
    }

    /// Returns how many bytes were taken in.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn store(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() && !self.is_zero_block(bytes, at) {
                at = self.block_end(bytes, at);
            }
            if at > start {
                let offset = self.len + start as u64;
                self.file()?.write_all_at(&bytes[start..at], offset)?;
            }
            while at < bytes.len() && self.is_zero_block(bytes, at) {
                at = self.block_end(bytes, at);
            }
        }
        Ok(())
    }

    /// Returns where the file's block that holds `bytes[at]` ends within `bytes`.
    fn block_end(&self, bytes: &[u8], at: usize) -> usize {
        let left = BLOCK - (self.len + at as u64) % BLOCK;
        bytes.len().min(at + left as usize)
    }

    fn is_zero_block(&self, bytes: &[u8], at: usize) -> bool {
        all_zero(&bytes[at..self.block_end(bytes, at)])
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let id = BlobId(uuid::Uuid::new_v4().as_u128());
            let hold = self.blobs.hold(id);
            let path = self.blobs.0.file(id);
            let file = File::options().write(true).create_new(true).open(path)?;
            self.file = Some((hold, file));
        }
        Ok(&self.file.as_ref().expect("it was just made").1)
    }

    /// Ends the blob.
    ///
    /// # Errors
    ///
    /// When the disk is full or broken.
    pub(crate) fn finish(mut self) -> io::Result<Written> {
        let sums = self.sums();
        let (source, hold) = match self.file {
            Some((hold, file)) => {
                file.set_len(self.len)?;
                (SegmentSource::Blob { id: hold.id, offset: 0 }, Some(hold))
            }
            None if self.keep => (SegmentSource::Hole, None),
            None => (SegmentSource::Discarded, None),
        };
        let segment = (self.len > 0).then_some(Segment { len: self.len, source, sums: Some(sums) });
        Ok(Written { segment, _hold: hold, size: self.len, sums })
    }
}

fn all_zero(bytes: &[u8]) -> bool {
    // Comparing slices is `memcmp`: fast, and it ends at the first byte that differs.
    bytes.chunks(ZEROS.len()).all(|block| block == &ZEROS[..block.len()])
}
