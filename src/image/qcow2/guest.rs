use std::io::Read as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use ruzstd::decoding::StreamingDecoder;

use super::OFFSET_MASK;
use super::header::Header;
use crate::image::read::{array, up_to};
use crate::read::{ReadAt, ReadError, check_range};

/// Most bytes that are unpacked for one inspection (64 MiB): a few bytes may claim to unpack to a whole cluster.
const UNPACK_BUDGET: u64 = 64 << 20;

/// Largest window that a zstd frame may ask for (8 MiB): four times the largest cluster.
const MAX_WINDOW: u64 = 8 << 20;

/// The disk inside a QCOW2 file whose tables lie inside the file.
#[derive(Debug)]
pub(in crate::image) struct Guest<'a> {
    file: &'a dyn ReadAt,
    header: Header,
    /// The compressed cluster that was unpacked last, by its descriptor: neighbouring reads unpack it once.
    unpacked: Mutex<Option<(u64, Vec<u8>)>>,
    unpack_left: AtomicU64,
}

/// Where a piece of the disk is.
enum Place {
    /// Nowhere: it reads as zeros.
    Zero,
    /// At this offset of the file.
    At(u64),
    /// In the compressed cluster with this descriptor.
    Compressed(u64),
}

impl<'a> Guest<'a> {
    pub(super) fn new(file: &'a dyn ReadAt, header: Header) -> Self {
        Self { file, header, unpacked: Mutex::new(None), unpack_left: AtomicU64::new(UNPACK_BUDGET) }
    }

    /// Finds the place of the cluster (or subcluster) that holds `offset`.
    fn place(&self, offset: u64) -> Result<Place, ReadError> {
        let header = &self.header;
        let index = offset >> header.cluster_bits;
        let l1_index = index >> header.l2_bits();
        let l1_entry = u64::from_be_bytes(array(self.file, header.l1_offset + l1_index * 8)?);
        let l2 = l1_entry & OFFSET_MASK;
        if l2 == 0 {
            return self.unallocated();
        }
        let l2_index = index & ((1 << header.l2_bits()) - 1);
        let width = if header.has_extended_l2() { 16 } else { 8 };
        let entry_at = l2 + l2_index * width;
        let entry = u64::from_be_bytes(array(self.file, entry_at)?);
        if entry & (1 << 62) != 0 {
            return Ok(Place::Compressed(entry));
        }
        let data = entry & OFFSET_MASK;
        if header.has_extended_l2() {
            let bitmap = u64::from_be_bytes(array(self.file, entry_at + 8)?);
            let subcluster = (offset & (header.cluster() - 1)) >> (header.cluster_bits - 5);
            return match (bitmap >> subcluster & 1, bitmap >> (32 + subcluster) & 1) {
                (_, 1) => Ok(Place::Zero),
                (0, _) => self.unallocated(),
                _ => Ok(Place::At(data)),
            };
        }
        match data {
            _ if header.version == 3 && entry & 1 != 0 => Ok(Place::Zero),
            0 => self.unallocated(),
            _ => Ok(Place::At(data)),
        }
    }

    /// What is not in the file is zero, or in the backing file.
    fn unallocated(&self) -> Result<Place, ReadError> {
        if self.header.backing_offset == 0 {
            Ok(Place::Zero)
        } else {
            Err(ReadError::Unreadable("it is in the backing file"))
        }
    }

    /// Copies from a compressed cluster.
    fn copy_compressed(&self, entry: u64, inside: usize, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut unpacked = self.unpacked.lock().expect("unpacking does not panic");
        if unpacked.as_ref().is_none_or(|(held, _)| *held != entry) {
            *unpacked = Some((entry, self.unpack(entry)?));
        }
        let (_, cluster) = unpacked.as_ref().expect("just set");
        buffer.copy_from_slice(&cluster[inside..inside + buffer.len()]);
        Ok(())
    }

    /// Unpacks a compressed cluster. Its descriptor holds the offset in the low bits and the sectors above it.
    fn unpack(&self, entry: u64) -> Result<Vec<u8>, ReadError> {
        let spend = |left: u64| left.checked_sub(self.header.cluster());
        let spent = self.unpack_left.try_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        spent.map_err(|_| ReadError::Budget)?;
        let offset_bits = 62 - (self.header.cluster_bits - 8);
        let offset = entry & ((1 << offset_bits) - 1);
        let sectors = (entry >> offset_bits & ((1 << (62 - offset_bits)) - 1)) + 1;
        let most = usize::try_from(sectors * 512 - offset % 512).expect("at most 4 MiB");
        if offset >= self.file.length() {
            return Err(ReadError::PastEnd { offset, length: most as u64 });
        }
        let packed = up_to(self.file, offset, most)?;
        let cluster = usize::try_from(self.header.cluster()).expect("at most 2 MiB");
        let mut plain = vec![0; cluster];
        let written = if self.header.is_zstd() {
            unpack_zstd(&packed, &mut plain)
        } else {
            let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            decompress(&mut DecompressorOxide::new(), &packed, &mut plain, 0, flags).2
        };
        if written == cluster {
            Ok(plain)
        } else {
            Err(ReadError::Unreadable("a compressed cluster is damaged"))
        }
    }
}

/// Unpacks zstd frames until `plain` is full, and returns how much of it is. What lies behind the last frame is the
/// rest of its sector.
fn unpack_zstd(mut packed: &[u8], plain: &mut [u8]) -> usize {
    let mut written = 0;
    while written < plain.len() {
        let Ok(mut frame) = StreamingDecoder::new_with_max_window_size(&mut packed, MAX_WINDOW) else {
            break;
        };
        let before = written;
        while let Ok(count @ 1..) = frame.read(&mut plain[written..]) {
            written += count;
        }
        if written == before {
            break;
        }
    }
    written
}

impl ReadAt for Guest<'_> {
    fn length(&self) -> u64 {
        self.header.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        // Subclusters are the smallest unit that has its own place: 1/32 of a cluster.
        let unit =
            if self.header.has_extended_l2() { self.header.cluster() / 32 } else { self.header.cluster() };
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let left = usize::try_from(unit - position % unit).expect("at most 2 MiB");
            let count = left.min(buffer.len() - done);
            let target = &mut buffer[done..done + count];
            let inside = position % self.header.cluster();
            match self.place(position)? {
                Place::Zero => target.fill(0),
                Place::Compressed(entry) => {
                    let inside = usize::try_from(inside).expect("at most 2 MiB");
                    self.copy_compressed(entry, inside, target)?;
                }
                Place::At(data) => {
                    // The last cluster may be cut short at the end of the file; the rest of it is zero.
                    let at = data + inside;
                    if data >= self.file.length() {
                        return Err(ReadError::PastEnd { offset: at, length: count as u64 });
                    }
                    let held = up_to(self.file, at, count)?;
                    target[..held.len()].copy_from_slice(&held);
                    target[held.len()..].fill(0);
                }
            }
            done += count;
        }
        Ok(())
    }
}
