//! Writes QCOW2 in one pass: the disk is told in order, and its clusters of data follow one another in the object.
//!
//! ```text
//! header │ clusters of data, in the disk's order │ L2 tables │ L1 table │ refcount table │ refcount blocks
//!    0   │ 1 …                                   │ the tail, known when the disk has ended
//! ```
//!
//! All is pure and nothing is read: the [`Writer`] says where data goes, and the [`Tail`] makes one cluster of the
//! tables at a time. The object follows from the disk alone, byte for byte. Every cluster of the object is in use
//! exactly once, no feature bit is set, and what reads as zeros has no cluster; 512 MiB of zeros have no L2 table.
//!
//! What is kept is one bit for each cluster of the disk, in leaves of 1 KiB for 512 MiB each, and no leaf for 512 MiB
//! of zeros: 4 MiB for a disk of 2 TiB.

mod tail;
#[cfg(test)]
mod tests;

pub use tail::Tail;

use ossup_core::model::Qcow2Compat as Compat;
use ossup_core::model::limits::MAX_OBJECT_SIZE;

/// Size of a cluster, of the disk and of the object, in bytes (64 KiB, what `qemu-img` takes by itself).
pub const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;
/// Entries of an L2 table, of a cluster of the L1 table, and of a cluster of the refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// Longest disk in bytes: the longest object, which a disk full of data needs.
pub const MAX_DISK: u64 = MAX_OBJECT_SIZE;

/// The disk is longer than the longest object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk is longer than {MAX_DISK} bytes (48.8 TiB), the longest object; make it smaller")]
pub struct DiskTooLong;

/// Takes a disk from its first cluster to its last, and says where each cluster of data goes.
#[derive(Debug)]
pub struct Writer {
    compat: Compat,
    /// Clusters of the disk that were told.
    told: u64,
    /// How many of them hold data.
    data: u64,
    /// Ordered by their place.
    leaves: Vec<Leaf>,
}

/// Which clusters hold data, of those that one L2 table is for; at least one does.
#[derive(Debug)]
struct Leaf {
    /// Index of the entry of the L1 table.
    index: u64,
    /// Cluster of the object that holds the first cluster of data. The others follow.
    first: u64,
    bits: Box<[u64; ENTRIES as usize / 64]>,
}

impl Writer {
    /// Begins a disk.
    pub fn new(compat: Compat) -> Self {
        Self { compat, told: 0, data: 0, leaves: Vec::new() }
    }

    /// Passes over clusters that read as zeros. Any number of them costs the same.
    ///
    /// # Errors
    ///
    /// If the disk becomes longer than [`MAX_DISK`].
    pub fn zeros(&mut self, clusters: u64) -> Result<(), DiskTooLong> {
        self.pass(clusters)
    }

    /// Adds clusters of data, and returns the offset in the object where they go, one behind the other. The disk's
    /// last cluster is filled up with zeros if the disk ends inside.
    ///
    /// # Errors
    ///
    /// If the disk becomes longer than [`MAX_DISK`].
    pub fn data(&mut self, clusters: u64) -> Result<u64, DiskTooLong> {
        let (mut at, first) = (self.told, 1 + self.data);
        self.pass(clusters)?;
        while at < self.told {
            let index = at / ENTRIES;
            let (inside, end) = (at % ENTRIES, (self.told - index * ENTRIES).min(ENTRIES));
            self.leaf(index).mark(inside, end);
            self.data += end - inside;
            at += end - inside;
        }
        Ok(first * CLUSTER)
    }

    /// Ends the disk, with zeros from where it was told up to its length.
    ///
    /// # Errors
    ///
    /// If the disk is longer than [`MAX_DISK`].
    ///
    /// # Panics
    ///
    /// If more clusters were told than a disk of this length has.
    pub fn finish(mut self, disk_length: u64) -> Result<Tail, DiskTooLong> {
        let rest = disk_length.div_ceil(CLUSTER).checked_sub(self.told);
        self.pass(rest.expect("the disk is told up to its end and no further"))?;
        Ok(Tail::new(self.compat, disk_length, self.data, self.leaves))
    }

    fn pass(&mut self, clusters: u64) -> Result<(), DiskTooLong> {
        let told = self.told.checked_add(clusters).filter(|told| *told <= MAX_DISK / CLUSTER);
        self.told = told.ok_or(DiskTooLong)?;
        Ok(())
    }

    /// The leaf of an L1 entry: the last one, or a new one, whose first data comes now.
    fn leaf(&mut self, index: u64) -> &mut Leaf {
        if self.leaves.last().is_none_or(|leaf| leaf.index != index) {
            let bits = Box::new([0; ENTRIES as usize / 64]);
            self.leaves.push(Leaf { index, first: 1 + self.data, bits });
        }
        self.leaves.last_mut().expect("one was just pushed if there was none")
    }
}

impl Leaf {
    /// Marks the clusters `from..to` as data; both are at most [`ENTRIES`].
    fn mark(&mut self, from: u64, to: u64) {
        for (start, word) in (0..).step_by(64).zip(self.bits.iter_mut()) {
            let (from, to) = (from.clamp(start, start + 64), to.clamp(start, start + 64));
            if from < to {
                *word |= u64::MAX >> (64 - (to - from)) << (from - start);
            }
        }
    }

    /// The clusters that hold data, counted from the leaf's first one.
    fn marked(&self) -> impl Iterator<Item = usize> {
        let words = (0..).step_by(64).zip(self.bits.iter());
        words.flat_map(|(start, word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| start + bit)
        })
    }
}
