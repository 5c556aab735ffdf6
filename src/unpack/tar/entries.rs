//! Entries of a tar archive one after the other: ustar, GNU and pax headers.
//!
//! `tar::Header` says where the fields stand and reads their numbers. The crate's own iterator is not used: it borrows
//! the archive, ends without an end mark, reads on behind it at nobody's request, and knows one kind of sparse files
//! of four.

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::super::UnpackError;
use super::super::stream::Stream;
use super::pax::{Extended, number};
use super::sparse::{MOST_RANGES, Map};

/// Headers and data are padded to so many bytes.
const BLOCK: usize = 512;
/// Longest extended header or long name that is read (1 MiB).
const LONGEST_HEADER: u64 = 1 << 20;
/// Where the header has the checksum, which counts as spaces in it.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name, as in the archive but for bytes that are not UTF-8.
    pub(super) name: String,
    /// A file with content of its own: no link, directory or device.
    pub(super) is_file: bool,
    /// Length of the content in bytes, with holes.
    pub(super) size: u64,
}

/// Reads an archive. [`next`](Self::next) gives the entries, [`read`](Self::read) the content of the one that it gave
/// last.
pub(super) struct Entries {
    input: Box<dyn Stream>,
    /// Bytes of the archive that were read.
    offset: u64,
    /// Bytes of the entry that are still to be read, and the padding behind them.
    stored: u64,
    padding: u64,
    map: Map,
    size: u64,
    at: u64,
    range: usize,
    ended: bool,
}

impl Entries {
    pub(super) fn new(input: Box<dyn Stream>) -> Self {
        let map = Map::default();
        Self { input, offset: 0, stored: 0, padding: 0, map, size: 0, at: 0, range: 0, ended: false }
    }

    /// Returns the next entry. None comes after the end mark, when the input has ended behind it with zeros alone.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        if self.ended {
            return Ok(None);
        }
        self.skip_entry()?;
        let mut extended = Extended::default();
        loop {
            let begins = self.offset;
            let block = self.block()?;
            if is_zero(&block) {
                self.end()?;
                return Ok(None);
            }
            let damaged = |reason| UnpackError::ArchiveDamaged { offset: begins, reason };
            let header = Header::from_byte_slice(&block);
            if !is_sound(header) {
                return Err(damaged("the checksum of a header is wrong"));
            }
            let size = header.entry_size().map_err(|_| damaged("the size in a header is no number"))?;
            self.expect(size);
            match header.entry_type() {
                EntryType::XHeader => extended.read(&self.whole()?).map_err(damaged)?,
                EntryType::GNULongName => {
                    let name = self.whole()?;
                    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    extended.name = Some(String::from_utf8_lossy(name).into_owned());
                }
                // What these say is of no interest here.
                EntryType::XGlobalHeader | EntryType::GNULongLink => self.skip_entry()?,
                kind => return self.entry(header, kind, extended).map(Some),
            }
        }
    }

    /// Reads content of the current entry, holes as zeros. Returns 0 at its end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        if self.at == self.size {
            return Ok(0);
        }
        let (length, is_data) = self.map.at(self.at, self.size, &mut self.range);
        let length = usize::try_from(length).map_or(out.len(), |length| length.min(out.len()));
        let out = &mut out[..length];
        let read = if is_data {
            let read = self.take(out)?;
            self.stored -= read as u64;
            read
        } else {
            out.fill(0);
            length
        };
        self.at += read as u64;
        Ok(read)
    }

    /// Completes an entry from its header and what was said before it.
    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        mut extended: Extended,
    ) -> Result<Entry, UnpackError> {
        let begins = self.offset - BLOCK as u64;
        let damaged = |reason| UnpackError::ArchiveDamaged { offset: begins, reason };
        let name = extended.take_name();
        let name = name.unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
        // Links, directories and devices have no data, whatever the header says.
        let is_empty = matches!(
            kind,
            EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Directory
                | EntryType::Fifo
        );
        let is_file = kind.is_file() && !name.ends_with('/') || kind.is_contiguous() || kind.is_gnu_sparse();
        if let Some(size) = extended.size {
            self.expect(size);
        }
        if is_empty {
            self.expect(0);
        }
        let real_size = if kind.is_gnu_sparse() {
            let gnu = header.as_gnu().ok_or(damaged("a sparse file has no header of its kind"))?;
            let mut map = Map::default();
            gnu.sparse.iter().try_for_each(|range| map.push_header(range)).map_err(damaged)?;
            let mut more = gnu.is_extended();
            while more {
                let mut next = GnuExtSparseHeader::new();
                next.as_mut_bytes().copy_from_slice(&self.block()?);
                next.sparse().iter().try_for_each(|range| map.push_header(range)).map_err(damaged)?;
                more = next.is_extended();
            }
            self.map = map;
            Some(gnu.real_size().map_err(|_| damaged("the size of a sparse file is no number"))?)
        } else if extended.map_in_data {
            self.map = self.map_in_data()?;
            Some(extended.real_size.ok_or(damaged("the size of a sparse file is missing"))?)
        } else if let Some(map) = extended.map {
            self.map = map;
            Some(extended.real_size.ok_or(damaged("the size of a sparse file is missing"))?)
        } else {
            None
        };
        if let Some(size) = real_size {
            self.map.check(size, self.stored).map_err(damaged)?;
            self.size = size;
        }
        Ok(Entry { name, is_file, size: self.size })
    }

    /// Reads the map that stands before the data, decimal numbers in lines, padded to a block.
    fn map_in_data(&mut self) -> Result<Map, UnpackError> {
        let mut map = Map::default();
        let mut line = Vec::new();
        let mut numbers = Vec::with_capacity(2);
        let mut left = None;
        while left != Some(0) {
            let begins = self.offset;
            let damaged = |reason| UnpackError::ArchiveDamaged { offset: begins, reason };
            let rest = self.stored.checked_sub(BLOCK as u64);
            let rest = rest.ok_or(damaged("the map of a sparse file is cut off"))?;
            let block = self.block()?;
            self.stored = rest;
            for byte in block {
                if left == Some(0) {
                    break;
                }
                if byte != b'\n' {
                    line.push(byte);
                    if line.len() > 20 {
                        return Err(damaged("the map of a sparse file is no number"));
                    }
                    continue;
                }
                let value = number(&line).map_err(damaged)?;
                line.clear();
                let Some(count) = &mut left else {
                    if value > MOST_RANGES as u64 {
                        return Err(damaged("the map of a sparse file is too long"));
                    }
                    left = Some(value);
                    continue;
                };
                numbers.push(value);
                if let [offset, length] = numbers[..] {
                    map.push(offset, length).map_err(damaged)?;
                    numbers.clear();
                    *count -= 1;
                }
            }
        }
        Ok(map)
    }

    /// An entry follows with `size` bytes of data.
    fn expect(&mut self, size: u64) {
        self.stored = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        self.map = Map::solid(size);
        (self.size, self.at, self.range) = (size, 0, 0);
    }

    /// Reads what remains of the current entry.
    fn skip_entry(&mut self) -> Result<(), UnpackError> {
        let mut scratch = vec![0; 64 << 10];
        for mut left in [std::mem::take(&mut self.stored), std::mem::take(&mut self.padding)] {
            while left > 0 {
                let length = usize::try_from(left).map_or(scratch.len(), |left| left.min(scratch.len()));
                left -= self.take(&mut scratch[..length])? as u64;
            }
        }
        (self.size, self.at) = (0, 0);
        Ok(())
    }

    /// Returns the data of the current entry, a header of some kind.
    fn whole(&mut self) -> Result<Vec<u8>, UnpackError> {
        if self.stored > LONGEST_HEADER {
            return Err(UnpackError::ArchiveDamaged { offset: self.offset, reason: "a header is too long" });
        }
        let mut data = vec![0; self.stored as usize];
        let mut filled = 0;
        while filled < data.len() {
            filled += self.take(&mut data[filled..])?;
        }
        self.stored = 0;
        self.skip_entry()?;
        Ok(data)
    }

    /// Reads behind the first block of zeros: another one, which ends the archive, then zeros to the end of the input.
    fn end(&mut self) -> Result<(), UnpackError> {
        self.ended = true;
        let begins = self.offset;
        if !is_zero(&self.block()?) {
            return Err(UnpackError::ArchiveDamaged { offset: begins, reason: "half an end mark" });
        }
        let mut scratch = vec![0; 64 << 10];
        loop {
            let begins = self.offset;
            let read = self.input.read(&mut scratch)?;
            self.offset += read as u64;
            if read == 0 {
                return Ok(());
            }
            if !is_zero(&scratch[..read]) {
                let reason = "something follows the end mark, such as another archive";
                return Err(UnpackError::ArchiveDamaged { offset: begins, reason });
            }
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], UnpackError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            filled += self.take(&mut block[filled..])?;
        }
        Ok(block)
    }

    /// Reads some bytes, which must be there.
    fn take(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        let read = self.input.read(out)?;
        self.offset += read as u64;
        if read == 0 {
            return Err(UnpackError::ArchiveTruncated { offset: self.offset });
        }
        Ok(read)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether a header has the checksum that it says.
fn is_sound(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let fields = bytes[..CHECKSUM.start].iter().chain(&bytes[CHECKSUM.end..]);
    let sum = fields.map(|byte| u32::from(*byte)).sum::<u32>() + CHECKSUM.len() as u32 * u32::from(b' ');
    header.cksum().is_ok_and(|checksum| checksum == sum)
}
