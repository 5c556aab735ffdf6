//! What is known of a source from one run to the next, for each kind of source.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Change;

/// The name of a stream without a name of its own.
pub const STANDARD_INPUT: &str = "standard input";

/// What distinguishes one source from another and, as far as its kind can show that, an unchanged source from a
/// changed one.
///
/// In JSON a file looks as in 0.1.0; the other kinds have a member `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
#[non_exhaustive]
pub enum SourceIdentity {
    /// A regular file.
    File(FileIdentity),
    /// A block device.
    Device(DeviceIdentity),
    /// A file on the web, read by ranges.
    Web(WebIdentity),
    /// Bytes that come once, in their order.
    Stream(StreamIdentity),
}

/// What the system says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIdentity {
    /// The path as it was given.
    pub path: PathBuf,
    /// Length in bytes.
    pub length: u64,
    /// Time of the last change of the content (mtime), in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Time of the last change of the file's record (ctime), in nanoseconds since 1970.
    pub changed_ns: i128,
    /// The device that holds the file.
    pub device: u64,
    /// The file's number on its device.
    pub inode: u64,
}

/// What the system says of a block device. The record of its node says nothing of what the device holds, so it has no
/// part in this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// The path as it was given.
    pub path: PathBuf,
    /// Length in bytes.
    pub length: u64,
    /// The device's number. After a restart of the system it may be another device's.
    pub device: u64,
    /// How much was written to it since the system started, where that is known: another number means writes, but the
    /// same one means nothing in another run.
    pub written: Option<u64>,
}

/// What a server says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebIdentity {
    /// The URL without user, password, query and fragment, which may be secrets.
    pub url: String,
    /// Length in bytes.
    pub length: u64,
    /// The entity tag as the server sent it, with its quotes; weak ones begin with `W/`.
    pub etag: Option<String>,
    /// When the file was last modified, as the server wrote it.
    pub last_modified: Option<String>,
}

/// What is known of a stream before its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamIdentity {
    /// [`STANDARD_INPUT`], a pipe's path, or a URL without what may be secret in it.
    pub name: String,
    /// Length in bytes, where it is known beforehand.
    pub length: Option<u64>,
}

impl WebIdentity {
    /// Returns the identity of what a server has at `url`, of which only the harmless parts are kept.
    pub fn new(url: &str, length: u64, etag: Option<String>, last_modified: Option<String>) -> Self {
        Self { url: without_secrets(url), length, etag, last_modified }
    }

    /// Returns what differs between two versions, or nothing if the server says that they are one.
    fn difference(&self, earlier: &Self) -> Option<Change> {
        let opaque = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
        if let (Some(now), Some(then)) = (&self.etag, &earlier.etag) {
            if opaque(now) != opaque(then) {
                return Some(Change::Version);
            }
            // The same content may have another date on another server behind the same name.
            if now == then && !now.starts_with("W/") {
                return None;
            }
        }
        match (&self.last_modified, &earlier.last_modified) {
            (Some(now), Some(then)) if now == then => None,
            (Some(_), Some(_)) => Some(Change::Version),
            _ => Some(Change::Unknown),
        }
    }
}

impl StreamIdentity {
    /// Returns the identity of a stream. Of a URL only the harmless parts are kept.
    pub fn new(name: &str, length: Option<u64>) -> Self {
        Self { name: without_secrets(name), length }
    }
}

impl SourceIdentity {
    /// Returns the length in bytes, if it is known beforehand.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.length),
            Self::Device(device) => Some(device.length),
            Self::Web(web) => Some(web.length),
            Self::Stream(stream) => stream.length,
        }
    }

    /// Returns the same with another length: that of the disk inside, where the source is the image around it.
    #[must_use]
    pub fn with_length(mut self, length: u64) -> Self {
        match &mut self {
            Self::File(file) => file.length = length,
            Self::Device(device) => device.length = length,
            Self::Web(web) => web.length = length,
            Self::Stream(stream) => stream.length = Some(length),
        }
        self
    }

    /// Returns what the source is called, without its kind: a path, a URL, "standard input".
    pub fn name(&self) -> String {
        match self {
            Self::File(FileIdentity { path, .. }) | Self::Device(DeviceIdentity { path, .. }) => {
                path.display().to_string()
            }
            Self::Web(web) => web.url.clone(),
            Self::Stream(stream) => stream.name.clone(),
        }
    }

    /// Returns the path that another run can open again, if the source has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(FileIdentity { path, .. }) | Self::Device(DeviceIdentity { path, .. }) => Some(path),
            Self::Web(_) | Self::Stream(_) => None,
        }
    }

    /// Returns what differs from `earlier`, or nothing if the source shows that it is the same one, unchanged. A stream
    /// never shows that, whatever it is called: only its bytes do.
    pub fn difference(&self, earlier: &Self) -> Option<Change> {
        if !self.may_be_as_long(earlier) {
            return Some(Change::Size);
        }
        match (self, earlier) {
            (Self::File(now), Self::File(then)) => {
                if now.modified_ns != then.modified_ns {
                    Some(Change::Modified)
                } else if (now.device, now.inode) != (then.device, then.inode) {
                    Some(Change::Replaced)
                } else {
                    (now.changed_ns != then.changed_ns).then_some(Change::Status)
                }
            }
            (Self::Device(now), Self::Device(then)) => {
                if now.device != then.device {
                    Some(Change::Replaced)
                } else {
                    (now.written != then.written).then_some(Change::Status)
                }
            }
            (Self::Web(now), Self::Web(then)) => now.difference(then),
            (Self::Stream(_), Self::Stream(_)) => Some(Change::Unknown),
            _ => Some(Change::Replaced),
        }
    }

    /// Returns why this is not what an earlier run read, as a clause, or nothing if it most likely is: the parts of that
    /// run are then worth to be compared with it. A copy of a file on another machine passes, and so does any stream.
    pub fn mismatch(&self, earlier: &Self) -> Option<&'static str> {
        if std::mem::discriminant(self) != std::mem::discriminant(earlier) {
            return Some("it is another kind of source");
        }
        if !self.may_be_as_long(earlier) {
            return Some("its size differs");
        }
        match (self, earlier) {
            (Self::File(now), Self::File(then)) if now.modified_ns != then.modified_ns => {
                Some("its modification time differs")
            }
            (Self::Web(now), Self::Web(then)) if now.difference(then) == Some(Change::Version) => {
                Some("the server has another version of it")
            }
            _ => None,
        }
    }

    /// Whether nothing shows that the two are of different lengths.
    pub fn may_be_as_long(&self, earlier: &Self) -> bool {
        self.length().zip(earlier.length()).is_none_or(|(now, then)| now == then)
    }
}

/// For messages: the name between backticks, and the kind where the name does not show it.
impl fmt::Display for SourceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Device(_) => write!(f, "the device `{name}`"),
            Self::Stream(_) if name == STANDARD_INPUT => f.write_str(&name),
            Self::File(_) | Self::Web(_) | Self::Stream(_) => write!(f, "`{name}`"),
        }
    }
}

/// Cuts off what may be secret in a URL; any other name stays as it is.
fn without_secrets(name: &str) -> String {
    let Some((scheme, rest)) = name.split_once("://") else { return name.to_owned() };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return name.to_owned();
    }
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The members that an identity has in JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    name: String,
    /// The bytes of a path in hexadecimal, if they are not text and `name` does not have all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_ns: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_ns: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inode: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Device,
    Web,
    Stream,
}

impl From<SourceIdentity> for Stored {
    fn from(identity: SourceIdentity) -> Self {
        let name = identity.name();
        let raw_name = identity.path().and_then(raw_name);
        let common = Self { name, raw_name, length: identity.length(), ..Self::default() };
        match identity {
            SourceIdentity::File(file) => Self {
                modified_ns: Some(file.modified_ns),
                changed_ns: Some(file.changed_ns),
                device: Some(file.device),
                inode: Some(file.inode),
                ..common
            },
            SourceIdentity::Device(device) => Self {
                kind: Some(Kind::Device),
                device: Some(device.device),
                written: device.written,
                ..common
            },
            SourceIdentity::Web(web) => {
                Self { kind: Some(Kind::Web), etag: web.etag, last_modified: web.last_modified, ..common }
            }
            SourceIdentity::Stream(_) => Self { kind: Some(Kind::Stream), ..common },
        }
    }
}

impl TryFrom<Stored> for SourceIdentity {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let raw = stored.raw_name.as_deref().and_then(from_hex);
        let path = raw.map_or_else(|| PathBuf::from(&stored.name), |bytes| OsString::from_vec(bytes).into());
        let length = stored.length.ok_or("the source has no length");
        let device = stored.device.ok_or("the source has no device");
        Ok(match stored.kind {
            None => {
                let modified_ns = stored.modified_ns.ok_or("the file has no modification time")?;
                let changed_ns = stored.changed_ns.ok_or("the file has no status change time")?;
                let inode = stored.inode.ok_or("the file has no inode")?;
                // Block devices of 0.1.0, which had neither. No file has this number.
                if (modified_ns, inode) == (0, 0) {
                    let written = u64::try_from(changed_ns).ok().filter(|written| *written != 0);
                    return Ok(Self::Device(DeviceIdentity {
                        path,
                        length: length?,
                        device: device?,
                        written,
                    }));
                }
                Self::File(FileIdentity {
                    path,
                    length: length?,
                    modified_ns,
                    changed_ns,
                    device: device?,
                    inode,
                })
            }
            Some(Kind::Device) => Self::Device(DeviceIdentity {
                path,
                length: length?,
                device: device?,
                written: stored.written,
            }),
            Some(Kind::Web) => {
                let (etag, last_modified) = (stored.etag, stored.last_modified);
                Self::Web(WebIdentity::new(&stored.name, length?, etag, last_modified))
            }
            Some(Kind::Stream) => Self::Stream(StreamIdentity::new(&stored.name, stored.length)),
        })
    }
}

/// Returns the bytes of a path in hexadecimal, if they are not text.
fn raw_name(path: &Path) -> Option<String> {
    let raw = path.to_str().is_none().then(|| path.as_os_str().as_bytes())?;
    Some(raw.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
