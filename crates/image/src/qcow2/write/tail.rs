use super::{CLUSTER, CLUSTER_BITS, Compat, ENTRIES, Leaf};

/// Counts of 16 bits in a refcount block.
const COUNTS: u64 = CLUSTER / 2;
/// "QCOW\[Copied]": the cluster that an entry names has a refcount of exactly one.
const COPIED: u64 = 1 << 63;
const SECTOR: u64 = 512;

/// The tables behind the data, and the header before it, of a disk that is known to its end.
///
/// Any cluster of the tables can be made at any time, as often as needed, and none is kept.
#[derive(Debug)]
pub struct Tail {
    compat: Compat,
    /// Length of the disk in bytes, a whole number of sectors.
    virtual_size: u64,
    leaves: Vec<Leaf>,
    l1_entries: u64,
    /// Clusters of the object where each kind of table begins, and where the object ends.
    l2_at: u64,
    l1_at: u64,
    refcount_table_at: u64,
    refcount_blocks_at: u64,
    end: u64,
}

impl Tail {
    /// Lays out the tables of a disk with this many clusters of `data`.
    pub(super) fn new(compat: Compat, disk_length: u64, data: u64, leaves: Vec<Leaf>) -> Self {
        let l1_entries = disk_length.div_ceil(CLUSTER).div_ceil(ENTRIES);
        let l2_at = 1 + data;
        let l1_at = l2_at + leaves.len() as u64;
        let refcount_table_at = l1_at + l1_entries.div_ceil(ENTRIES);
        let (table, blocks) = refcount_clusters(refcount_table_at);
        let refcount_blocks_at = refcount_table_at + table;
        Self {
            compat,
            virtual_size: disk_length.next_multiple_of(SECTOR),
            leaves,
            l1_entries,
            l2_at,
            l1_at,
            refcount_table_at,
            refcount_blocks_at,
            end: refcount_blocks_at + blocks,
        }
    }

    /// Returns the offset in the object behind the data, where the tables begin.
    pub fn tables_at(&self) -> u64 {
        self.l2_at * CLUSTER
    }

    /// Makes the tables from [`tables_at`](Self::tables_at) to the object's end, a cluster of [`CLUSTER`] bytes at
    /// a time.
    #[cfg(test)]
    pub fn tables(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.end - self.l2_at).map(|index| self.table(index))
    }

    /// Makes one cluster of the tables; the first has the index 0.
    ///
    /// # Panics
    ///
    /// If the object ends before.
    pub fn table(&self, index: u64) -> Vec<u8> {
        let cluster = self.l2_at + index;
        assert!(cluster < self.end, "the object ends before the table that is asked for");
        let mut bytes = zeroed();
        if cluster < self.l1_at {
            self.l2(&self.leaves[usize::try_from(index).expect("the index of a leaf")], &mut bytes);
        } else if cluster < self.refcount_table_at {
            self.l1((cluster - self.l1_at) * ENTRIES, &mut bytes);
        } else if cluster < self.refcount_blocks_at {
            let first = self.refcount_blocks_at + (cluster - self.refcount_table_at) * ENTRIES;
            for (entry, block) in bytes.chunks_exact_mut(8).zip(first..self.end) {
                entry.copy_from_slice(&(block * CLUSTER).to_be_bytes());
            }
        } else {
            let first = (cluster - self.refcount_blocks_at) * COUNTS;
            for (count, _) in bytes.chunks_exact_mut(2).zip(first..self.end) {
                count.copy_from_slice(&1u16.to_be_bytes());
            }
        }
        bytes
    }

    /// Returns the length of the object in bytes, a whole number of clusters.
    pub fn object_length(&self) -> u64 {
        self.end * CLUSTER
    }

    /// Makes the object's first cluster, of [`CLUSTER`] bytes.
    pub fn header(&self) -> Vec<u8> {
        let mut bytes = zeroed();
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let number = |value: u64| u32::try_from(value).expect("tables of the longest disk fit").to_be_bytes();
        let l1_offset = if self.l1_entries == 0 { 0 } else { self.l1_at * CLUSTER };
        put(0, b"QFI\xFB");
        put(20, &CLUSTER_BITS.to_be_bytes());
        put(24, &self.virtual_size.to_be_bytes());
        put(36, &number(self.l1_entries));
        put(40, &l1_offset.to_be_bytes());
        put(48, &(self.refcount_table_at * CLUSTER).to_be_bytes());
        put(56, &number(self.refcount_blocks_at - self.refcount_table_at));
        match self.compat {
            Compat::V2 => put(4, &2u32.to_be_bytes()),
            Compat::V3 => {
                put(4, &3u32.to_be_bytes());
                // log2 of the bits of a refcount, and the header's length. Zeros behind it end the extensions.
                put(96, &4u32.to_be_bytes());
                put(100, &104u32.to_be_bytes());
            }
        }
        bytes
    }

    fn l2(&self, leaf: &Leaf, table: &mut [u8]) {
        for (data, at) in (leaf.first..).zip(leaf.marked()) {
            put_entry(table, at, data);
        }
    }

    /// Fills a cluster of the L1 table, whose first entry is the one with this index.
    fn l1(&self, first: u64, table: &mut [u8]) {
        let from = self.leaves.partition_point(|leaf| leaf.index < first);
        let of_this = self.leaves[from..].iter().take_while(|leaf| leaf.index < first + ENTRIES);
        for (l2, leaf) in (self.l2_at + from as u64..).zip(of_this) {
            put_entry(table, usize::try_from(leaf.index - first).expect("less than ENTRIES"), l2);
        }
    }
}

/// Returns the clusters of the refcount table and the refcount blocks of an object with `others` besides. They count
/// themselves too, so that both grow until they suffice.
fn refcount_clusters(others: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let needed = (others + table + blocks).div_ceil(COUNTS);
        if needed == blocks && blocks.div_ceil(ENTRIES) == table {
            return (table, blocks);
        }
        blocks = needed;
        table = blocks.div_ceil(ENTRIES);
    }
}

fn put_entry(table: &mut [u8], index: usize, cluster: u64) {
    table[index * 8..index * 8 + 8].copy_from_slice(&(COPIED | (cluster * CLUSTER)).to_be_bytes());
}

fn zeroed() -> Vec<u8> {
    vec![0; CLUSTER as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fewest clusters that count all clusters of an object, found by trying.
    fn by_trying(others: u64) -> (u64, u64) {
        let suffices = |blocks: u64| {
            let table = blocks.div_ceil(ENTRIES);
            (blocks * COUNTS >= others + table + blocks).then_some((table, blocks))
        };
        let least = others / COUNTS;
        (least.max(1)..).find_map(suffices).unwrap()
    }

    #[test]
    fn refcounts_are_as_few_as_count_all_clusters_and_themselves() {
        let edges = [1, 2, 3, 4, ENTRIES - 1, ENTRIES, ENTRIES + 1, 2 * ENTRIES, 3 * ENTRIES];
        for edge in edges.map(|blocks| blocks * COUNTS) {
            let itself = edge / COUNTS + edge / COUNTS / ENTRIES;
            for others in edge.saturating_sub(itself + 8).max(1)..edge.saturating_sub(itself) + 8 {
                assert_eq!(refcount_clusters(others), by_trying(others), "{others}");
            }
        }
    }
}
