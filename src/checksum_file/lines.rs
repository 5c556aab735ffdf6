//! The lines of a checksum file.

use std::fmt;

use super::{ChecksumFileError, Sha256};

/// What a digest is of, as far as its length or its label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// Labelled as something else.
    Other,
}

impl Algorithm {
    /// By the number of hexadecimal digits.
    fn by_length(digits: usize) -> Option<Self> {
        Some(match digits {
            32 => Self::Md5,
            40 => Self::Sha1,
            56 => Self::Sha224,
            64 => Self::Sha256,
            96 => Self::Sha384,
            128 => Self::Sha512,
            _ => return None,
        })
    }

    /// By the label of a BSD or OpenSSL line, such as `SHA256` or `SHA2-256`.
    fn by_label(label: &str) -> Self {
        match label.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA1" | "SHA-1" => Self::Sha1,
            "SHA224" | "SHA-224" | "SHA2-224" => Self::Sha224,
            "SHA256" | "SHA-256" | "SHA2-256" => Self::Sha256,
            "SHA384" | "SHA-384" | "SHA2-384" => Self::Sha384,
            "SHA512" | "SHA-512" | "SHA2-512" => Self::Sha512,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Other => "another kind of checksum",
        })
    }
}

/// One line of a checksum file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) algorithm: Algorithm,
    digest: String,
    /// Of what; a bare checksum says nothing.
    pub(super) name: Option<String>,
}

impl Entry {
    pub(super) fn sha256(&self) -> Option<Sha256> {
        self.digest.parse().ok().filter(|_| self.algorithm == Algorithm::Sha256)
    }
}

/// Returns the text that a PGP clearsigned message signs (RFC 9580, section 7), or all of it if it is none, and
/// whether it was signed.
pub(super) fn signed_part(text: &str) -> Result<(String, bool), ChecksumFileError> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
    let mut lines = text.lines().map(str::trim_end);
    if !text.lines().any(|line| line.trim_end() == BEGIN) {
        let detached = text.lines().any(|line| line.trim_end() == SIGNATURE);
        return if detached { Err(ChecksumFileError::Signature) } else { Ok((text.to_owned(), false)) };
    }
    // What stands before the message is not signed, nor are its headers, which an empty line ends.
    lines.find(|line| *line == BEGIN);
    lines.find(|line| line.is_empty());
    let mut signed = String::with_capacity(text.len());
    for line in lines {
        if line == SIGNATURE {
            return Ok((signed, true));
        }
        signed.push_str(line.strip_prefix("- ").unwrap_or(line));
        signed.push('\n');
    }
    Err(ChecksumFileError::Cut)
}

/// Reads a line; a comment, an empty one or one of no known form is nothing.
pub(super) fn entry(line: &str) -> Option<Entry> {
    let line = line.trim_end();
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let mut entry = gnu(line).or_else(|| bsd(line))?;
    if escaped {
        entry.name = Some(unescaped(entry.name.as_deref()?)?);
    }
    Some(entry)
}

/// `HEX  name`, `HEX *name`, `HEX`.
fn gnu(line: &str) -> Option<Entry> {
    let digits = line.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (digest, rest) = line.split_at(digits);
    let algorithm = Algorithm::by_length(digits)?;
    let name = match rest.strip_prefix([' ', '\t']) {
        None if rest.is_empty() => None,
        None => return None,
        // The second character says how the file was read; some tools write none.
        Some(rest) => Some(rest.strip_prefix([' ', '*']).unwrap_or(rest)),
    };
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    Some(Entry { algorithm, digest: digest.to_owned(), name })
}

/// `SHA256 (name) = HEX` as BSD writes it, `SHA2-256(name)= HEX` as OpenSSL does.
fn bsd(line: &str) -> Option<Entry> {
    let (label, rest) = line.split_once('(')?;
    let label = label.trim_end();
    if label.is_empty() || !label.bytes().all(|c| c.is_ascii_alphanumeric() || b"-/_".contains(&c)) {
        return None;
    }
    // A name may have brackets, a digest not.
    let (name, digest) = rest.rsplit_once(')')?;
    let digest = digest.trim_start().strip_prefix('=')?.trim();
    let algorithm = Algorithm::by_label(label);
    let fits = algorithm == Algorithm::Other || Algorithm::by_length(digest.len()) == Some(algorithm);
    if name.is_empty() || digest.is_empty() || !fits || !digest.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    Some(Entry { algorithm, digest: digest.to_owned(), name: Some(name.to_owned()) })
}

/// Undoes what coreutils write for names with a backslash or a line break.
fn unescaped(name: &str) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}
