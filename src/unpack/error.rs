//! Why a stream cannot be unpacked, and what to do about it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::image::Compression;

/// Why a stream cannot be unpacked. Offsets count the bytes of the layer that is at fault, before it is unpacked.
///
/// [`Unpacked`](super::Unpacked) hands it out inside an [`io::Error`], and again on every later read;
/// [`of`](Self::of) gets it back.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The bytes to unpack cannot be read.
    #[error("cannot read the packed bytes at offset {offset}")]
    Input {
        /// First byte that was not read.
        offset: u64,
        /// What the input said.
        source: Arc<io::Error>,
    },
    /// The input ends inside a compressed file.
    #[error(
        "the {} data ends too early, after {offset} bytes: it was cut off on its way, so get it again, whole",
        .format.name()
    )]
    Truncated {
        /// How the bytes are compressed.
        format: Compression,
        /// Length of the input.
        offset: u64,
    },
    /// The bytes are not what the format wants, or a checksum is wrong.
    #[error(
        "the {} data is damaged at or before byte {offset} ({reason}): get the file again, or pack it again",
        .format.name()
    )]
    Damaged {
        /// How the bytes are compressed.
        format: Compression,
        /// How far it was read.
        offset: u64,
        /// What the decoder says.
        reason: String,
    },
    /// Something follows the compressed data.
    #[error(
        "something that is not {} follows the compressed data at byte {offset}: get the file again, or cut it off \
         there if it is known to end there",
        .format.name()
    )]
    TrailingGarbage {
        /// How the bytes are compressed.
        format: Compression,
        /// First byte of what follows.
        offset: u64,
    },
    /// The data is compressed in a way that is not supported.
    #[error("{what} cannot be unpacked: unpack it with `{}` and pipe what comes out", .format.name())]
    Unsupported {
        /// How the bytes are compressed.
        format: Compression,
        /// The kind that is not supported.
        what: &'static str,
    },
    /// Unpacking would take more memory than [`Options::with_memory`](super::Options::with_memory) allows.
    #[error(
        "unpacking this {} data takes {} MiB of memory{}, and {} MiB are allowed for it: allow more, or pack it again \
         with a smaller window or dictionary",
        .format.name(), .needed.unwrap_or(*.limit) >> 20, if .needed.is_some() { "" } else { " and more" },
        .limit >> 20
    )]
    Memory {
        /// How the bytes are compressed.
        format: Compression,
        /// What it takes, in bytes, if that can be told.
        needed: Option<u64>,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// More comes out than [`Options::new`](super::Options::new) allows.
    #[error("more than {limit} bytes come out of the packed data, and nothing larger can be stored")]
    TooLarge {
        /// Most bytes that may come out.
        limit: u64,
    },
    /// Compressed more than once.
    #[error(
        "there is {} data inside {} data: unpack it once and pipe what comes out",
        .inner.name(), .outer.name()
    )]
    CompressedTwice {
        /// What was unpacked first.
        outer: Compression,
        /// What is inside.
        inner: Compression,
    },
    /// A tar archive as the member of another.
    #[error("the member {} of the tar archive is a tar archive itself: extract it and give that", Quoted(.member))]
    ArchiveTwice {
        /// The member's name.
        member: String,
    },
    /// The input ends inside the archive or without its end mark.
    #[error(
        "the tar archive ends too early, after {offset} bytes: it was cut off on its way, so get it again, whole"
    )]
    ArchiveTruncated {
        /// Length of the archive.
        offset: u64,
    },
    /// The archive is damaged.
    #[error("the tar archive is damaged at byte {offset} ({reason}): get the file again, or pack it again")]
    ArchiveDamaged {
        /// Where the block or header begins.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A member has no image in it that could be told.
    #[error(
        "there is no disk image in the tar archive; it holds {held}: name the member with `--member NAME`"
    )]
    NoImage {
        /// What is there.
        held: Names,
    },
    /// More than one member may be the disk image.
    #[error(
        "the tar archive holds several files that may be the disk image, {found}: choose with `--member NAME`"
    )]
    SeveralImages {
        /// Those that may be it.
        found: Names,
    },
    /// The member that was asked for is not there.
    #[error("there is no member {} in the tar archive; it holds {held}", Quoted(.member))]
    NoMember {
        /// The name that was asked for.
        member: String,
        /// What is there.
        held: Names,
    },
    /// The member that was asked for is there twice.
    #[error("the tar archive holds {} more than once: extract the one that is meant and give that", Quoted(.member))]
    MemberTwice {
        /// The member's name.
        member: String,
    },
    /// The member that was asked for is not a file.
    #[error("the member {} of the tar archive is no regular file: name the file itself", Quoted(.member))]
    MemberIsNoFile {
        /// The member's name.
        member: String,
    },
    /// An OVA.
    #[error(
        "this is an OVA, whose description {} nobody would read: extract it with `tar -xf` and convert its disk with \
         `qemu-img convert -O qcow2`, or name a disk in it that needs no conversion with `--member NAME`",
        Quoted(.description)
    )]
    Ova {
        /// Name of the OVF file.
        description: String,
    },
    /// A member was asked for, and there is no archive.
    #[error("the member {} was asked for, but this is no tar archive: leave `--member` out", Quoted(.member))]
    NoArchive {
        /// The name that was asked for.
        member: String,
    },
}

impl UnpackError {
    /// Returns the error that is inside an error of [`Unpacked`](super::Unpacked).
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<UnpackError> for io::Error {
    fn from(error: UnpackError) -> Self {
        let kind = match &error {
            UnpackError::Input { source, .. } => source.kind(),
            UnpackError::Truncated { .. } | UnpackError::ArchiveTruncated { .. } => {
                io::ErrorKind::UnexpectedEof
            }
            UnpackError::Memory { .. } => io::ErrorKind::OutOfMemory,
            UnpackError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Longest name that is shown, in characters; archives may have any.
const SHOWN: usize = 255;

/// A name from an archive in backticks, with control characters escaped, cut where it is too long.
struct Quoted<'name>(&'name str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(SHOWN).map(|(end, _)| end);
        let cut = if end.is_some() { "…" } else { "" };
        write!(f, "`{}{cut}`", self.0[..end.unwrap_or(self.0.len())].escape_debug())
    }
}

/// Names of members, the first few of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    first: Vec<String>,
    more: u64,
}

impl Names {
    /// How many are kept.
    const KEPT: usize = 20;

    /// Adds a name.
    pub(super) fn push(&mut self, name: &str) {
        if self.first.len() < Self::KEPT {
            // One character more than is shown, so that it is seen to be cut.
            self.first.push(name.chars().take(SHOWN + 1).collect());
        } else {
            self.more += 1;
        }
    }

    /// Returns the names, at most the first twenty, and at most the first 256 characters of each.
    pub fn first(&self) -> &[String] {
        &self.first
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first.is_empty() {
            return f.write_str("nothing");
        }
        for (n, name) in self.first.iter().enumerate() {
            write!(f, "{}{}", if n > 0 { ", " } else { "" }, Quoted(name))?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}
