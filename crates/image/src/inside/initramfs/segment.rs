//! The segments of an initial RAM file system.

use super::cpio::read_archives;
use super::input::Input;
use super::{Limits, Search, Stream};
use crate::codec::{Codec, Fault, bzip2, gzip, lz4, lz4_legacy, lzma, xz, zstandard};
use crate::inside::volume::Reason;

/// Bytes that are unpacked at once.
const PIECE: usize = 128 << 10;
/// Largest window of zstd (32 MiB). Linux itself takes no more than 128 MiB, and the tools stay below 8 MiB.
const ZSTD_MEMORY: u64 = 32 << 20;
/// What xz and lzma may take: a dictionary of 64 MiB, as `lzma -9` has, and the rest.
const LZMA_MEMORY: u64 = 66 << 20;
/// How often in a row a decoder may neither take nor give.
const IDLE: u32 = 4;

/// Ways to compress, and what begins so.
const FORMATS: [(&[u8], Format); 9] = [
    (b"\x1F\x8B", Format::Gzip),
    (b"\x28\xB5\x2F\xFD", Format::Zstd),
    (b"\xFD7zXZ\0", Format::Xz),
    (b"\x04\x22\x4D\x18", Format::Lz4),
    (b"\x02\x21\x4C\x18", Format::Lz4Legacy),
    (b"\x5D\0\0", Format::Lzma),
    (b"BZh", Format::Bzip2),
    (b"\x89LZO", Format::Lzo),
    (b"MZ", Format::Program),
];
/// Bytes that tell which it is.
const MAGIC: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Zstd,
    Xz,
    Lz4,
    Lz4Legacy,
    Lzma,
    Bzip2,
    Lzo,
    /// A unified kernel image.
    Program,
}

impl Format {
    fn of(head: &[u8]) -> Option<Self> {
        FORMATS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, format)| *format)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lz4 | Self::Lz4Legacy => "lz4",
            Self::Lzma => "lzma",
            Self::Bzip2 => "bzip2",
            Self::Lzo => "lzo",
            Self::Program => "a program",
        }
    }

    fn codec(self) -> Result<Box<dyn Codec>, Reason> {
        let explained = |fault| explain(self, fault);
        Ok(match self {
            Self::Gzip => Box::new(gzip::Gzip::begin()),
            Self::Zstd => Box::new(zstandard::Zstd::new(ZSTD_MEMORY).map_err(explained)?),
            Self::Xz => Box::new(xz::Xz::new(1, LZMA_MEMORY).map_err(explained)?),
            Self::Lz4 => Box::new(lz4::Lz4::begin()),
            Self::Lz4Legacy => Box::new(lz4_legacy::Lz4Legacy::begin()),
            Self::Lzma => Box::new(lzma::Lzma::new(LZMA_MEMORY).map_err(explained)?),
            Self::Bzip2 => Box::new(bzip2::Bzip2::begin()),
            Self::Lzo => return Err("it is compressed with lzo, which is not read".to_owned()),
            Self::Program => return Err("it is part of a program for UEFI, which is not read".to_owned()),
        })
    }
}

fn explain(format: Format, fault: Fault) -> Reason {
    let name = format.name();
    match fault {
        Fault::Damaged(reason) => format!("the {name} data in it is damaged: {reason}"),
        Fault::Garbage => format!("something else follows the {name} data in it"),
        Fault::Memory { limit, .. } => {
            format!("the {name} data in it takes more memory than {} MiB", limit >> 20)
        }
        Fault::Unsupported(what) => format!("{what} cannot be unpacked"),
    }
}

/// Reads one segment after the other, until the end or until all was seen.
pub(super) fn read_all(input: &mut Input<'_>, search: &mut Search<'_>) -> Result<(), Reason> {
    while search.segments < search.limits.segments {
        search.segments += 1;
        read_archives(input, search)?;
        let head = input.peek(MAGIC)?;
        if head.is_empty() || search.is_complete() {
            return Ok(());
        }
        let format = Format::of(head).ok_or("it is no archive, or compressed in a way that is not known")?;
        search.compression.get_or_insert(format.name());
        let mut unpacked = Unpacked::new(format, input, search)?;
        let read = read_archives(&mut unpacked, search).and_then(|()| match unpacked.fill()? {
            [] => Ok(()),
            _ if search.is_complete() => Ok(()),
            _ => Err("what was compressed in it is no archive".to_owned()),
        });
        (search.unpacked, search.segments) = (unpacked.total, unpacked.segments);
        read?;
    }
    Err(too_many(search.limits))
}

fn too_many(limits: Limits) -> Reason {
    format!("it has more than {} parts", limits.segments)
}

/// What is in a compressed segment.
struct Unpacked<'i, 'f> {
    format: Format,
    codec: Box<dyn Codec>,
    input: &'i mut Input<'f>,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    ended: bool,
    limits: Limits,
    /// Bytes that came out of this segment and those before it.
    total: u64,
    /// Segments and compressed streams so far.
    segments: u32,
}

impl<'i, 'f> Unpacked<'i, 'f> {
    fn new(format: Format, input: &'i mut Input<'f>, search: &Search<'_>) -> Result<Self, Reason> {
        Ok(Self {
            format,
            codec: format.codec()?,
            input,
            buffer: vec![0; PIECE].into_boxed_slice(),
            at: 0,
            filled: 0,
            ended: false,
            limits: search.limits,
            total: search.unpacked,
            segments: search.segments,
        })
    }

    /// Whether the segment ends here: nothing follows that begins like it.
    fn ends(&mut self) -> Result<bool, Reason> {
        let head = self.input.peek(MAGIC)?;
        // Blocks of the old LZ4 follow each other without a sign.
        let is_more = self.format == Format::Lz4Legacy || Format::of(head) == Some(self.format);
        if head.is_empty() || !is_more {
            return Ok(true);
        }
        self.segments += 1;
        if self.segments > self.limits.segments {
            return Err(too_many(self.limits));
        }
        Ok(false)
    }
}

impl Stream for Unpacked<'_, '_> {
    fn fill(&mut self) -> Result<&[u8], Reason> {
        let mut idle = 0;
        while self.at == self.filled && !self.ended {
            if self.codec.is_whole() && self.ends()? {
                self.ended = true;
                break;
            }
            let input = self.input.fill()?;
            let (there, end) = (input.len(), input.is_empty());
            let step = match self.codec.step(input, &mut self.buffer, end) {
                Ok(step) => step,
                Err(Fault::Garbage) => {
                    self.ended = true;
                    break;
                }
                Err(fault) => return Err(explain(self.format, fault)),
            };
            self.input.consume(step.taken);
            (self.at, self.filled) = (0, step.given);
            self.total = self.total.saturating_add(step.given as u64);
            if self.total > self.limits.unpacked {
                return Err(format!("more than {} MiB come out of it", self.limits.unpacked >> 20));
            }
            match (step.taken, step.given) {
                (0, 0) if end => return Err(format!("the {} data in it is cut off", self.format.name())),
                (0, 0) if there > 0 => idle += 1,
                _ => idle = 0,
            }
            if idle == IDLE {
                return Err(explain(self.format, Fault::Damaged("the decoder stands still".to_owned())));
            }
        }
        Ok(&self.buffer[self.at..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.filled);
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Reason> {
        while count > 0 {
            let here = self.fill()?.len();
            if here == 0 {
                return Ok(());
            }
            let now = usize::try_from(count).map_or(here, |count| count.min(here));
            self.consume(now);
            count -= now as u64;
        }
        Ok(())
    }
}
