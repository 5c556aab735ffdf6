//! Which modules an initial RAM file system holds, read as a stream.
//!
//! The file is a row of segments: cpio archives as they are, each padded with zeros, and compressed ones, known by their
//! first bytes and not by what a configuration says. Of the archives only the headers matter. What lies between is passed
//! over, and nothing is read once all that is wanted was seen.

mod cpio;
mod find;
mod hint;
mod input;
mod segment;

use std::fmt;

pub(super) use find::look;
pub(super) use hint::{Hint, hint};

use super::volume::Reason;
use input::Input;

/// What one look may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the file that are read.
    read: u64,
    /// Bytes that come out of compressed segments.
    unpacked: u64,
    /// Files in the archives.
    entries: u32,
    /// Segments, and compressed streams one behind the other in them.
    segments: u32,
}

/// Several times what the largest ones have.
const LIMITS: Limits = Limits { read: 256 << 20, unpacked: 1 << 30, entries: 200_000, segments: 4_000 };
/// File systems inside of it that hold the modules where dracut was told so; they are not looked into.
const INNER: [&[u8]; 3] = [b"squash-root.img", b"squashfs-root.img", b"erofs-root.img"];

/// A file that can be read at any position.
pub(super) trait File {
    /// Fills the beginning of `buffer` from `offset` on, and returns how much; 0 at the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason>;
}

/// Bytes in order, of which some may be passed over.
trait Stream {
    /// Returns bytes that come next; none at the end.
    fn fill(&mut self) -> Result<&[u8], Reason>;

    /// Takes bytes of those.
    fn consume(&mut self, count: usize);

    /// Passes over bytes. An end before them shows in the next read.
    fn skip(&mut self, count: u64) -> Result<(), Reason>;
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// For each of the wanted modules, whether it was seen.
    pub(super) seen: Vec<bool>,
    /// Whether any module of this kernel was seen.
    pub(super) any_module: bool,
    /// How the first compressed segment is compressed.
    pub(super) compression: Option<&'static str>,
    /// Why not everything was read. What was not seen may still be there.
    pub(super) unread: Option<Reason>,
    /// Bytes of the file that were read.
    pub(super) read: u64,
    /// Bytes that came out of compressed segments.
    pub(super) unpacked: u64,
}

/// Looks for modules of a kernel in an initial RAM file system.
pub(super) fn look_for(wanted: &[&str], release: &str, file: &mut dyn File) -> Contents {
    look_within(LIMITS, wanted, release, file)
}

fn look_within(limits: Limits, wanted: &[&str], release: &str, file: &mut dyn File) -> Contents {
    let mut search = Search::new(limits, wanted, release);
    let mut input = Input::new(file, limits.read);
    let ended = if search.is_complete() { Ok(()) } else { segment::read_all(&mut input, &mut search) };
    let unread = match ended {
        _ if search.is_complete() => None,
        Err(reason) => Some(reason),
        Ok(()) => search.inner.map(|inner| format!("{inner} in it is not looked into")),
    };
    Contents {
        seen: search.wanted.iter().map(|(_, seen)| *seen).collect(),
        any_module: search.any_module,
        compression: search.compression,
        unread,
        read: input.read(),
        unpacked: search.unpacked,
    }
}

/// What is looked for, and what it may cost.
struct Search<'a> {
    limits: Limits,
    wanted: Vec<(&'a str, bool)>,
    release: &'a str,
    any_module: bool,
    inner: Option<&'static str>,
    compression: Option<&'static str>,
    entries: u32,
    segments: u32,
    unpacked: u64,
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl<'a> Search<'a> {
    fn new(limits: Limits, wanted: &[&'a str], release: &'a str) -> Self {
        Self {
            limits,
            wanted: wanted.iter().map(|name| (*name, false)).collect(),
            release,
            any_module: false,
            inner: None,
            compression: None,
            entries: 0,
            segments: 0,
            unpacked: 0,
        }
    }

    /// Whether all was seen, so that nothing more need be read.
    fn is_complete(&self) -> bool {
        self.wanted.iter().all(|(_, seen)| *seen)
    }

    /// Takes note of the name of a file.
    fn note(&mut self, path: &[u8]) -> Result<(), Reason> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(format!("it holds more than {} files", self.limits.entries));
        }
        let file = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if let Some(inner) = INNER.into_iter().find(|inner| *inner == file) {
            self.inner = std::str::from_utf8(inner).ok();
        }
        let Some(name) = module_name(file) else { return Ok(()) };
        if other_release(path).is_some_and(|other| other != self.release.as_bytes()) {
            return Ok(());
        }
        self.any_module = true;
        for (wanted, seen) in &mut self.wanted {
            *seen |= is_same_module(name, wanted.as_bytes());
        }
        Ok(())
    }
}

/// Returns the name of the module in a file of this name, compressed or not.
pub(super) fn module_name(file: &[u8]) -> Option<&[u8]> {
    let plain = [b".xz".as_slice(), b".zst", b".gz"].into_iter().find_map(|ending| file.strip_suffix(ending));
    plain.unwrap_or(file).strip_suffix(b".ko")
}

/// Whether two names are of one module: `-` and `_` are the same in them.
pub(super) fn is_same_module(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    one.len() == other.len() && one.iter().map(plain).eq(other.iter().map(plain))
}

/// Returns the release of the kernel that modules in this place are for, if the place tells.
fn other_release(path: &[u8]) -> Option<&[u8]> {
    let mut names = path.split(|byte| *byte == b'/').skip_while(|name| *name != b"modules").skip(1);
    // The first releases of RHEL had them in `lib` itself.
    let release = names.next()?;
    names.next().is_some().then_some(release)
}

#[cfg(any(test, feature = "testing"))]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
