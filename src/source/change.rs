//! What distinguishes an unchanged source from a changed one.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What distinguishes one source from another and an unchanged source from a changed one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Where the source is, for messages: a file's path as it was given.
    pub name: String,
    /// The bytes of that path in hexadecimal, if they are not text and `name` does not have all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_name: Option<String>,
    /// Length in bytes.
    pub length: u64,
    /// Time of the last change of the content, in nanoseconds since 1970; 0 for a block device, which has none.
    pub modified_ns: i128,
    /// Time of the last change of the file's record (ctime), in nanoseconds since 1970; for a block device
    /// how much was written to it since the system started, where that is known.
    pub changed_ns: i128,
    /// The device that holds the file, or is the source.
    pub device: u64,
    /// The file's number on its device.
    pub inode: u64,
}

/// How far an identity shows that the content changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Witness {
    /// Every change moves it, between runs too.
    Always,
    /// Every change moves it as long as the source is open. Another run has to compare bytes.
    WhileOpen,
    /// The content may change without moving it: only a comparison of bytes shows a change.
    Never,
}

/// What differs between two looks at one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Its size.
    Size,
    /// Its modification time: the content was written to.
    Modified,
    /// Another file has the path now.
    Replaced,
    /// Its ctime alone, or what was written to a device: perhaps the content, perhaps only a link or a mode.
    Status,
    /// Its bytes, as a comparison found.
    Bytes,
    /// It can no longer be inspected.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "its size changed",
            Self::Modified => "its modification time changed",
            Self::Replaced => "another file took its place",
            Self::Status => "its status change time (ctime) changed",
            Self::Bytes => "its bytes are not those that were sent",
            Self::Gone => "it can no longer be inspected",
        })
    }
}

impl SourceIdentity {
    /// Whether this is most likely the same content as in an earlier run: same length and modification time.
    /// A copy on another machine passes; its parts are then verified by checksum.
    pub fn same_content(&self, other: &Self) -> bool {
        self.length == other.length && self.modified_ns == other.modified_ns
    }

    /// Whether this is the very file of an earlier run.
    pub fn same_file(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Returns what differs from `earlier`, or nothing if it is the same file, unchanged.
    pub fn difference(&self, earlier: &Self) -> Option<Change> {
        if self.length != earlier.length {
            Some(Change::Size)
        } else if self.modified_ns != earlier.modified_ns {
            Some(Change::Modified)
        } else if !self.same_file(earlier) {
            Some(Change::Replaced)
        } else if self.changed_ns != earlier.changed_ns {
            Some(Change::Status)
        } else {
            None
        }
    }

    /// Returns the path of the source.
    pub fn path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt;
        let raw = self.raw_name.as_deref().and_then(from_hex);
        raw.map_or_else(|| PathBuf::from(&self.name), |bytes| std::ffi::OsString::from_vec(bytes).into())
    }
}

/// Returns the bytes of a path in hexadecimal, if they are not text.
pub(super) fn raw_name(path: &std::path::Path) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    let raw = path.to_str().is_none().then(|| path.as_os_str().as_bytes())?;
    Some(raw.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_that_is_no_text_is_kept_whole() {
        let identity = |path: &Path| SourceIdentity {
            name: path.display().to_string(),
            raw_name: raw_name(path),
            length: 0,
            modified_ns: 0,
            changed_ns: 0,
            device: 0,
            inode: 0,
        };
        for bytes in [&b"/images/d\xffsk.raw"[..], b"/images/disk.raw", "/\u{fffd}".as_bytes()] {
            let path = Path::new(OsStr::from_bytes(bytes));
            let text = serde_json::to_string(&identity(path)).unwrap();
            let read: SourceIdentity = serde_json::from_str(&text).unwrap();
            assert_eq!(read.path(), path);
        }
    }
}
