//! The checksums that are published beside images: which SHA-256 does a checksum file say for an image? Pure.
//!
//! The forms are those of GNU coreutils (`HEX  name`, `HEX *name`, with escaped names), of BSD and OpenSSL
//! (`SHA256 (name) = HEX`), and a bare `HEX`; a file may list many images, and may be wrapped in a PGP clearsigned
//! message, as Fedora's are. The signature is not verified: [`Published::signed`] lets a caller say so.

mod lines;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use lines::{Algorithm, Entry};

/// The longest checksum file that is read, in bytes. Those of whole distributions stay far below.
pub const MAX_CHECKSUM_FILE: usize = 4 << 20;

/// How many names an error lists.
const LISTED: usize = 10;
/// How much of a name an error shows, in characters.
const SHOWN: usize = 120;

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

/// A text that is no SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 hexadecimal digits")]
pub struct InvalidSha256;

impl FromStr for Sha256 {
    type Err = InvalidSha256;

    fn from_str(text: &str) -> Result<Self, InvalidSha256> {
        if text.len() != 64 {
            return Err(InvalidSha256);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(InvalidSha256);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a checksum file says for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The SHA-256 of the image.
    pub sha256: Sha256,
    /// Whether it stood in a PGP signed message. Nothing here verifies the signature.
    pub signed: bool,
}

/// Why a checksum file says no SHA-256 for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumFileError {
    /// It is longer than [`MAX_CHECKSUM_FILE`].
    #[error("it is longer than {} MiB, so it is no checksum file", MAX_CHECKSUM_FILE >> 20)]
    TooLong,
    /// It has no line of a known form.
    #[error("it has no checksum in it{}", if *page { ": it is a web page" } else { "" })]
    NoChecksum {
        /// Whether it looks like HTML.
        page: bool,
    },
    /// It is the signature of another file.
    #[error("it is the signature of a checksum file, not the checksum file")]
    Signature,
    /// It is a signed message that was cut.
    #[error("it is a signed message without its end: it was cut")]
    Cut,
    /// It has checksums, but none of this image.
    #[error("it has no SHA-256 of {}; it lists {}", wanted(name.as_deref()), list(listed, *more))]
    NotListed {
        /// The image's name, if it has one.
        name: Option<String>,
        /// The names that have a SHA-256.
        listed: Vec<String>,
        /// How many more names there are.
        more: usize,
    },
    /// It has other checksums of this image, but no SHA-256.
    #[error("it has {} of {}, but no SHA-256", list(algorithms, 0), wanted(name.as_deref()))]
    OtherAlgorithm {
        /// The image's name, if it has one.
        name: Option<String>,
        /// What it has: "SHA-512".
        algorithms: Vec<String>,
    },
    /// It has several checksums that could be meant.
    #[error("it has different SHA-256 that could be of {}: {}", wanted(name.as_deref()), list(entries, *more))]
    Ambiguous {
        /// The image's name, if it has one.
        name: Option<String>,
        /// Name and digest of each.
        entries: Vec<String>,
        /// How many more there are.
        more: usize,
    },
}

fn wanted(name: Option<&str>) -> String {
    name.map_or_else(|| "an image without a name".to_owned(), |name| format!("`{}`", shown(name)))
}

fn list(items: &[String], more: usize) -> String {
    let items = items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>();
    let items = if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    if more > 0 { format!("{items} and {more} more") } else { items }
}

/// Returns a foreign name as it may be shown: short, and without what a terminal would obey.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if name.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// Returns what the checksum file says for the image called `name`, a path or a base name.
///
/// The base names are compared. A single checksum without a name is of any image; without a `name`, the file must
/// hold one SHA-256 alone.
///
/// # Errors
///
/// When the file has no SHA-256 for that image, or different ones.
pub fn published(file: &[u8], name: Option<&str>) -> Result<Published, ChecksumFileError> {
    if file.len() > MAX_CHECKSUM_FILE {
        return Err(ChecksumFileError::TooLong);
    }
    // A name that is no text cannot be the image's; its line must not keep others from being read.
    let text = String::from_utf8_lossy(file);
    let text = text.trim_start_matches('\u{feff}');
    let (text, signed) = lines::signed_part(text)?;
    let entries: Vec<Entry> = text.lines().filter_map(lines::entry).collect();
    if entries.is_empty() {
        return Err(ChecksumFileError::NoChecksum { page: text.trim_start().starts_with('<') });
    }
    let name = name.map(base_name);
    let of_image = |entry: &&Entry| match (name, &entry.name) {
        (Some(name), Some(listed)) => base_name(listed) == name,
        _ => true,
    };
    let chosen = choose(&entries, of_image, name)?;
    Ok(Published { sha256: chosen, signed })
}

fn choose(
    entries: &[Entry],
    of_image: impl Fn(&&Entry) -> bool,
    name: Option<&str>,
) -> Result<Sha256, ChecksumFileError> {
    let owned = || name.map(str::to_owned);
    let mut fitting: Vec<(&Entry, Sha256)> =
        entries.iter().filter(&of_image).filter_map(|entry| Some((entry, entry.sha256()?))).collect();
    // A line with the name says more than one without.
    if name.is_some() && fitting.iter().any(|(entry, _)| entry.name.is_some()) {
        fitting.retain(|(entry, _)| entry.name.is_some());
    }
    if let Some((_, first)) = fitting.first() {
        if fitting.iter().all(|(_, digest)| digest == first) {
            return Ok(*first);
        }
        let all = fitting.iter().map(|(entry, digest)| match &entry.name {
            Some(name) => format!("{digest} {}", shown(name)),
            None => digest.to_string(),
        });
        return Err(ChecksumFileError::Ambiguous {
            name: owned(),
            entries: all.take(LISTED).collect(),
            more: fitting.len().saturating_sub(LISTED),
        });
    }
    let mut algorithms: Vec<Algorithm> =
        entries.iter().filter(of_image).map(|entry| entry.algorithm).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    if !algorithms.is_empty() {
        let algorithms = algorithms.iter().map(ToString::to_string).collect();
        return Err(ChecksumFileError::OtherAlgorithm { name: owned(), algorithms });
    }
    let names: Vec<&String> = entries
        .iter()
        .filter(|entry| entry.sha256().is_some())
        .filter_map(|entry| entry.name.as_ref())
        .collect();
    Err(ChecksumFileError::NotListed {
        name: owned(),
        listed: names.iter().take(LISTED).map(|name| shown(name)).collect(),
        more: names.len().saturating_sub(LISTED),
    })
}

fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
