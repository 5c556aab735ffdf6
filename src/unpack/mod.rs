//! Compressed files and tar archives, as the disk image that is in them.
//!
//! [`open`] looks at the first bytes of a stream and takes off what it finds, at most
//! `compression → tar → compression`: what comes out is what a pipe of the formats' own programs would give. A stream
//! passes once, and nothing of it is written anywhere. Names say nothing, contents decide.
//!
//! # What is accepted
//!
//! | Format | Several in a row | Behind the last | Memory | Decoder |
//! |---|---|---|---|---|
//! | gzip | members | zeros | 64 KiB | `flate2` on `zlib-rs` |
//! | xz | streams, blocks | zeros, a multiple of 4 | up to [`Options::with_memory`] | `liblzma` |
//! | zstd | frames, skippable frames | nothing | up to [`Options::with_memory`] | `zstd-safe` |
//! | bzip2 | streams | nothing | 4 MiB | `bzip2` on `libbz2-rs-sys` |
//! | LZ4 | frames, skippable frames | nothing | 10 MiB | blocks by `lz4_flex` |
//! | tar | ustar, GNU, pax, sparse files of each | zeros behind the end mark | 18 MiB | headers by `tar` |
//!
//! Each layer also holds 128 KiB of input. Anything else passes unchanged, for the inspector to judge.
//!
//! # The end
//!
//! A cut, a wrong checksum, something behind the end, a second image in the archive: all of these show late. So
//! [`Unpacked`] answers `Ok(0)` only after everything was read and proved right; whatever is wrong is an error before
//! that, and stays one on each later read. Nothing may be completed from a stream that has not come to its `Ok(0)`.
//!
//! # Why these decoders
//!
//! - `liblzma` and `zstd-safe` bind the formats' own libraries, built from the source that comes with them, with a C
//!   compiler alone. No other decoder of xz works on several threads. Both have a memory limit that holds before
//!   anything is allocated.
//! - `zlib-rs` and `libbz2-rs-sys` are Rust, made from the C libraries and kept by those who made them.
//! - `lz4_flex` is Rust without unsafe code. Its reader of frames takes a cut between two blocks for an end, and
//!   `flate2`'s of gzip members any garbage behind a member: so only their lowest layers are used, and where a file
//!   ends is decided here.

mod decoder;
mod error;
mod stream;
mod tar;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read};
use std::thread::available_parallelism;

pub use error::{Names, UnpackError};
pub use tar::SMALLEST_IMAGE;

use crate::image::codec::{Codec, Fault, bzip2, gzip, lz4, xz, zstandard};
use crate::image::{Archive, Compression, Format, detect};
use decoder::Decoder;
use stream::{Input, Peeked, Stream};

/// Memory that a decoder may take for window, dictionary and threads unless told otherwise (256 MiB): all that
/// `zstd --ultra -22`, `zstd --long` and `xz -9` want, and two threads or more for `xz -6`.
pub const DEFAULT_MEMORY: u64 = 256 << 20;
/// Most threads that are used unless told otherwise.
pub const DEFAULT_THREADS: u32 = 8;
/// What may come out of a compressed archive beside the image (1 GiB).
const SURROUNDINGS: u64 = 1 << 30;
/// How much is read ahead to recognise a layer.
const HEAD: usize = 512;

/// What to unpack, and what it may cost.
#[derive(Debug, Clone)]
pub struct Options {
    max_output: u64,
    member: Option<String>,
    memory: u64,
    threads: u32,
}

impl Options {
    /// At most `max_output` bytes may come out.
    pub fn new(max_output: u64) -> Self {
        let threads =
            available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(DEFAULT_THREADS));
        Self { max_output, member: None, memory: DEFAULT_MEMORY, threads: threads.min(DEFAULT_THREADS) }
    }

    /// Takes the member of this name from an archive. Otherwise the only file in it that may be a disk image is
    /// taken: of at least [`SMALLEST_IMAGE`] bytes, and neither text nor a program.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>) -> Self {
        self.member = Some(name.into());
        self
    }

    /// Most bytes of memory that a decoder of xz or zstd may take; [`DEFAULT_MEMORY`] unless set. zstd takes a window
    /// of the largest power of two in it, up to 2 GiB (`zstd --long=31`). xz uses fewer threads where all would take
    /// more, and refuses a dictionary that is larger.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Most threads that decode xz, at least 1; as many as there are processors unless set, at most
    /// [`DEFAULT_THREADS`]. Every other format takes the reader's thread alone.
    #[must_use]
    pub fn with_threads(mut self, threads: u32) -> Self {
        self.threads = threads.max(1);
        self
    }
}

/// What was taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// A compression.
    Compressed(Compression),
    /// An archive.
    Tar {
        /// The member that is read.
        member: String,
    },
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed(format) => f.write_str(format.name()),
            Self::Tar { member } => write!(f, "tar member `{}`", member.escape_debug()),
        }
    }
}

/// What is inside a stream. Reading blocks as long as the stream does.
pub struct Unpacked {
    stream: Box<dyn Stream>,
    layers: Vec<Layer>,
    size_hint: Option<u64>,
    limit: u64,
    left: u64,
    /// How it went out, once it has.
    outcome: Option<Result<(), UnpackError>>,
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked").field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Unpacked {
    /// Returns what was taken off, the outermost first; nothing if the bytes pass unchanged.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns how many bytes will come out, as the innermost layer says in its header. Nothing is proved of it: of
    /// several zstd or LZ4 frames it is the first one's size.
    pub fn size_hint(&self) -> Option<u64> {
        self.size_hint
    }
}

impl Read for Unpacked {
    /// Reads what is unpacked. `Ok(0)` says that all of the input was read and proved right.
    ///
    /// # Errors
    ///
    /// An [`UnpackError`] (see [`UnpackError::of`]), the same on each later read.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &self.outcome {
            Some(Ok(())) => return Ok(0),
            Some(Err(error)) => return Err(error.clone().into()),
            None if out.is_empty() => return Ok(0),
            None => {}
        }
        let read = self.stream.read(out).and_then(|read| {
            self.left =
                self.left.checked_sub(read as u64).ok_or(UnpackError::TooLarge { limit: self.limit })?;
            Ok(read)
        });
        match &read {
            Ok(0) => self.outcome = Some(Ok(())),
            Ok(_) => {}
            Err(error) => self.outcome = Some(Err(error.clone())),
        }
        Ok(read?)
    }
}

/// Recognises what `input` is packed in and returns what is inside. Reads the beginning of `input`, of an archive all
/// that stands before the image.
///
/// # Errors
///
/// [`UnpackError`], where the beginning already tells that it cannot be unpacked.
pub fn open(input: impl Read + Send + 'static, options: &Options) -> Result<Unpacked, UnpackError> {
    let mut stream = Peeked::new(Box::new(Input::new(input)), HEAD)?;
    let mut layers = Vec::new();
    let mut size_hint = None;
    if let Some(format) = compression(stream.head())? {
        (stream, size_hint) = decompress(format, stream, options)?;
        layers.push(Layer::Compressed(format));
    }
    if is_tar(stream.head()) {
        let (content, member, size) = tar::open(Box::new(stream), options.member.as_deref())?;
        stream = Peeked::new(Box::new(content), HEAD)?;
        layers.push(Layer::Tar { member: member.clone() });
        size_hint = Some(size);
        if let Some(format) = compression(stream.head())? {
            (stream, size_hint) = decompress(format, stream, options)?;
            layers.push(Layer::Compressed(format));
        }
        if is_tar(stream.head()) {
            return Err(UnpackError::ArchiveTwice { member });
        }
    } else if let Some(member) = &options.member {
        return Err(UnpackError::NoArchive { member: member.clone() });
    }
    if let (Some(Layer::Compressed(outer)), Some(inner)) = (layers.last(), compression(stream.head())?) {
        return Err(UnpackError::CompressedTwice { outer: *outer, inner });
    }
    let limit = options.max_output;
    Ok(Unpacked { stream: Box::new(stream), layers, size_hint, limit, left: limit, outcome: None })
}

/// Returns how a stream with this beginning is compressed, if we can decompress it.
fn compression(head: &[u8]) -> Result<Option<Compression>, UnpackError> {
    let magic = |at: usize| head.get(at..)?.first_chunk().map(|magic| u32::from_le_bytes(*magic));
    // LZ4 and zstd have the same skippable frames, and the first frame that is another kind tells. Where it is out of
    // sight, it is zstd's: programs of that begin files so.
    let mut at = 0;
    while magic(at).is_some_and(|magic| lz4::SKIPPABLE.contains(&magic)) {
        let length = magic(at + 4).unwrap_or(0) as usize;
        at = at.saturating_add(8).saturating_add(length);
    }
    if magic(at) == Some(lz4::LEGACY_MAGIC) {
        let what = "LZ4 data in the legacy format (`lz4 -l`)";
        return Err(UnpackError::Unsupported { format: Compression::Lz4, what });
    }
    Ok(match head.get(at..).map(detected) {
        Some(Format::Compressed(Compression::Lzma, _)) => None,
        Some(Format::Compressed(format, _)) => Some(format),
        _ if at > 0 => Some(Compression::Zstd),
        _ => None,
    })
}

fn is_tar(head: &[u8]) -> bool {
    detected(head) == Format::Archive(Archive::Tar)
}

fn detected(head: &[u8]) -> Format {
    // Bytes in memory can be read.
    detect(&head.to_vec()).unwrap_or(Format::Raw)
}

/// Returns what is inside, and how long it says to be.
fn decompress(
    format: Compression,
    stream: Peeked,
    options: &Options,
) -> Result<(Peeked, Option<u64>), UnpackError> {
    let size = match format {
        Compression::Zstd => zstandard::content_size(stream.head()),
        Compression::Lz4 => lz4::content_size(stream.head()),
        _ => None,
    };
    let codec = codec(format, options).map_err(|fault| match fault {
        Fault::Memory { needed, limit } => UnpackError::Memory { format, needed, limit },
        _ => UnpackError::Unsupported { format, what: "this" },
    })?;
    let limit = options.max_output.saturating_add(SURROUNDINGS);
    let decoder = Decoder::new(format, codec, Box::new(stream), limit);
    Ok((Peeked::new(Box::new(decoder), HEAD)?, size))
}

fn codec(format: Compression, options: &Options) -> Result<Box<dyn Codec>, Fault> {
    Ok(match format {
        Compression::Gzip => Box::new(gzip::Gzip::begin()),
        Compression::Xz => Box::new(xz::Xz::new(options.threads, options.memory)?),
        Compression::Zstd => Box::new(zstandard::Zstd::new(options.memory)?),
        Compression::Bzip2 => Box::new(bzip2::Bzip2::begin()),
        Compression::Lz4 => Box::new(lz4::Lz4::begin()),
        Compression::Lzma => return Err(Fault::Unsupported("lzma")),
    })
}
