//! What shows that a source changed.

use std::fmt;

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
    /// The server has another version of it.
    Version,
    /// Nothing shows whether it changed: the server does not say which version it has, or it is a stream.
    Unknown,
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
            Self::Version => "the server has another version of it",
            Self::Unknown => "nothing shows whether it changed",
            Self::Bytes => "its bytes are not those that were sent",
            Self::Gone => "it can no longer be inspected",
        })
    }
}

impl Change {
    /// Whether the content may be the same all the same, so that only a comparison of bytes can tell.
    pub fn is_suspicion(self) -> bool {
        matches!(self, Self::Status | Self::Unknown)
    }
}
