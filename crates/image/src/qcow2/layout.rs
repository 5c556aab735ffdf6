use super::OFFSET_MASK;
use super::header::Header;
use crate::guest::{Layout, Place, Stretch, Tables, repeated, unreadable};
use crate::inflate;
use crate::read::up_to;
use ossup_core::read::{ReadAt, ReadError};

/// An entry's cluster reads as zeros (of version 3).
const ZERO: u64 = 1;
const COMPRESSED: u64 = 1 << 62;

/// Where a QCOW2 file whose tables lie inside the file keeps its disk.
#[derive(Debug, Clone)]
pub(crate) struct Qcow2(pub(super) Header);

impl Layout for Qcow2 {
    fn size(&self) -> u64 {
        self.0.size
    }

    fn locate(&self, file: &dyn ReadAt, tables: &Tables, offset: u64) -> Result<Stretch, ReadError> {
        let header = &self.0;
        let index = offset >> header.cluster_bits;
        let l1_index = index >> header.l2_bits();
        let l1_entry = u64::from_be_bytes(tables.entry(file, header.l1_offset + l1_index * 8)?);
        let l2 = l1_entry & OFFSET_MASK;
        if l2 == 0 {
            let end = (l1_index + 1) << (header.cluster_bits + header.l2_bits());
            return Ok(Stretch { place: self.unallocated()?, end });
        }
        if !l2.is_multiple_of(header.cluster()) || self.is_taken(l2) {
            return Err(unreadable("its L2 table lies where none can be"));
        }
        let l2_index = index & ((1 << header.l2_bits()) - 1);
        let width = if header.has_extended_l2() { 16 } else { 8 };
        let entry_at = l2 + l2_index * width;
        let entry = u64::from_be_bytes(tables.entry(file, entry_at)?);
        let mut end = (index + 1) << header.cluster_bits;
        if entry & COMPRESSED != 0 {
            return Ok(Stretch { place: Place::Packed(entry), end });
        }
        let data = entry & OFFSET_MASK;
        let (allocated, zero) = if header.has_extended_l2() {
            // Subclusters are the smallest unit that has its own place: 1/32 of a cluster.
            let bitmap = u64::from_be_bytes(tables.entry(file, entry_at + 8)?);
            let shift = header.cluster_bits - 5;
            let subcluster = (offset >> shift) & 31;
            end = ((offset >> shift) + 1) << shift;
            (bitmap >> subcluster & 1 != 0, bitmap >> (32 + subcluster) & 1 != 0)
        } else {
            (data != 0, header.version == 3 && entry & ZERO != 0)
        };
        if zero {
            return Ok(Stretch { place: Place::Zero, end });
        }
        if !allocated {
            return Ok(Stretch { place: self.unallocated()?, end });
        }
        if !data.is_multiple_of(header.cluster()) || data == l2 || self.is_taken(data) {
            return Err(unreadable("its cluster lies where none can be"));
        }
        self.data(file, data, offset, end)
    }

    fn packed_unit(&self) -> u64 {
        self.0.cluster()
    }

    /// A descriptor holds the offset in the low bits and the sectors above it.
    fn unpack(&self, file: &dyn ReadAt, descriptor: u64, plain: &mut [u8]) -> Result<(), ReadError> {
        let offset_bits = 62 - (self.0.cluster_bits - 8);
        let offset = descriptor & ((1 << offset_bits) - 1);
        let sectors = (descriptor >> offset_bits & ((1 << (62 - offset_bits)) - 1)) + 1;
        let most = usize::try_from(sectors * 512 - offset % 512).expect("at most 4 MiB");
        if offset >= file.length() {
            return Err(ReadError::PastEnd { offset, length: most as u64 });
        }
        let packed = up_to(file, offset, most)?;
        let written =
            if self.0.is_zstd() { inflate::zstd(&packed, plain) } else { inflate::deflate(&packed, plain) };
        if written == plain.len() { Ok(()) } else { Err(unreadable("a compressed cluster is damaged")) }
    }
}

impl Qcow2 {
    /// Looks for what cannot be seen from one entry of the L1 table alone.
    pub(crate) fn check_tables(&self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let header = &self.0;
        let l2 = |entry| Some(u64::from_be_bytes(entry) & OFFSET_MASK).filter(|l2| *l2 != 0);
        match repeated::<8>(file, header.l1_offset, header.needed_l1_entries(), l2)? {
            Some(index) => Err(ReadError::Unreadable {
                offset: index << (header.cluster_bits + header.l2_bits()),
                reason: "its L2 table is that of another part of the disk",
            }),
            None => Ok(()),
        }
    }

    /// What is not in the file is zero, or in the backing file.
    fn unallocated(&self) -> Result<Place, ReadError> {
        if self.0.backing_offset == 0 {
            Ok(Place::Zero)
        } else {
            Err(unreadable("it is in the backing file"))
        }
    }

    /// Whether the header, the L1 table or the refcount table has (part of) the cluster at `at`.
    fn is_taken(&self, at: u64) -> bool {
        let header = &self.0;
        let end = at + header.cluster();
        let overlaps = |start: u64, length: u64| at < start + length && start < end;
        at == 0
            || overlaps(header.l1_offset, header.l1_entries * 8)
            || overlaps(header.refcount_offset, header.refcount_clusters * header.cluster())
    }

    /// Finds a byte of the cluster whose data is at `data`. The last one may be cut short at the end of the file;
    /// the rest of it is zero.
    fn data(&self, file: &dyn ReadAt, data: u64, offset: u64, end: u64) -> Result<Stretch, ReadError> {
        let at = data + (offset & (self.0.cluster() - 1));
        if data >= file.length() {
            return Err(ReadError::PastEnd { offset: at, length: end - offset });
        }
        match file.length().saturating_sub(at) {
            0 => Ok(Stretch { place: Place::Zero, end }),
            held => Ok(Stretch { place: Place::At(at), end: end.min(offset.saturating_add(held)) }),
        }
    }
}
