use std::io;

use crate::blocks::is_zero;
use crate::image::qcow2::write::CLUSTER;
use crate::read::ReadAt;

/// The share of a RAW disk from which on it is worth to send it as QCOW2: a fifth.
pub const WORTH_SAVING: f64 = 0.2;

/// How many clusters are read where holes do not tell enough (16 MiB of reads).
pub(super) const SAMPLES: u64 = 256;

/// Returns which share of a RAW disk, from 0 to 1, need not be sent if it goes as QCOW2: whole clusters of zeros.
///
/// Where the holes that the source knows of make up [`WORTH_SAVING`], they are all that is counted, and nothing is
/// read. Else clusters spread evenly over the data are read to estimate the rest: a disk that was written out has no
/// holes. The same disk has the same share each time. Blocks; async code calls it on a thread of its own.
///
/// # Errors
///
/// When the source cannot be read.
pub fn saving(disk: &dyn ReadAt) -> io::Result<f64> {
    let length = disk.length();
    let all = length.div_ceil(CLUSTER);
    if all == 0 {
        return Ok(0.0);
    }
    let mut data = 0;
    each_run(disk, |first, end| {
        data += end - first;
        Ok(())
    })?;
    let share = |zeros: f64| zeros / all as f64;
    let holes = (all - data) as f64;
    if share(holes) >= WORTH_SAVING || data == 0 {
        return Ok(share(holes));
    }
    let (zeros, samples) = sampled(disk, data)?;
    Ok(share(holes + zeros as f64 / samples as f64 * data as f64))
}

/// Reads clusters spread evenly over the `data` clusters that may hold data, at least one, and returns how many of them
/// hold zeros, and how many were read.
pub(super) fn sampled(disk: &dyn ReadAt, data: u64) -> io::Result<(u64, u64)> {
    let samples = data.min(SAMPLES);
    let (mut passed, mut next, mut zeros) = (0, 0, 0_u64);
    each_run(disk, |first, end| {
        // The place of the sample among the clusters with data. A file that changes is found out elsewhere.
        while let place = next * data / samples
            && next < samples
            && place < passed + (end - first)
        {
            zeros += u64::from(cluster_is_zero(disk, first + (place - passed))?);
            next += 1;
        }
        passed += end - first;
        Ok(())
    })?;
    Ok((zeros, samples))
}

/// Reads the cluster with this index, and returns whether it holds nothing but zeros.
pub(super) fn cluster_is_zero(disk: &dyn ReadAt, index: u64) -> io::Result<bool> {
    let start = index * CLUSTER;
    let mut bytes = vec![0; (disk.length() - start).min(CLUSTER) as usize];
    disk.read_at(start, &mut bytes)?;
    Ok(is_zero(&bytes))
}

/// Calls `each` with every run of clusters that may hold data: the numbers of its first and of the one behind its
/// last. The runs come in order and share no cluster.
pub(super) fn each_run(
    disk: &dyn ReadAt,
    mut each: impl FnMut(u64, u64) -> io::Result<()>,
) -> io::Result<()> {
    let (mut from, mut counted) = (0, 0);
    while let Some(range) = disk.next_data(from)? {
        let first = (range.start / CLUSTER).max(counted);
        let end = range.end.div_ceil(CLUSTER);
        if first < end {
            each(first, end)?;
            counted = end;
        }
        // What remains of the last cluster is in the run already.
        from = range.end.max(counted.saturating_mul(CLUSTER));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::model::ByteRange;
    use crate::read::ReadError;

    const MIB: u64 = 1 << 20;

    /// A disk of which every range counts as data that is not in a hole, and is written with zeros or with ones.
    #[derive(Debug, Default)]
    struct Disk {
        length: u64,
        holes: Vec<ByteRange>,
        zeros: Vec<ByteRange>,
        read: AtomicU64,
    }

    impl ReadAt for Disk {
        fn length(&self) -> u64 {
            self.length
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            let end = offset + buffer.len() as u64;
            buffer.fill(1);
            for range in self.holes.iter().chain(&self.zeros) {
                let (start, end) = (range.start.clamp(offset, end), range.end.clamp(offset, end));
                buffer[(start - offset) as usize..(end - offset) as usize].fill(0);
            }
            Ok(())
        }

        fn next_data(&self, mut from: u64) -> io::Result<Option<ByteRange>> {
            for hole in &self.holes {
                if from < hole.start {
                    return Ok(Some(ByteRange::new(from, hole.start)));
                }
                from = from.max(hole.end);
            }
            Ok((from < self.length).then(|| ByteRange::new(from, self.length)))
        }
    }

    fn ranges(ranges: &[(u64, u64)]) -> Vec<ByteRange> {
        ranges.iter().map(|(start, end)| ByteRange::new(*start, *end)).collect()
    }

    #[test]
    fn holes_tell_enough_without_a_read() {
        let disk = Disk { length: 10 * MIB, holes: ranges(&[(MIB, 8 * MIB)]), ..Disk::default() };
        assert_eq!(saving(&disk).unwrap(), 0.7);
        assert_eq!(disk.read.into_inner(), 0);
        let hole = Disk { length: MIB + 1, holes: ranges(&[(0, MIB + 1)]), ..Disk::default() };
        assert_eq!(saving(&hole).unwrap(), 1.0);
    }

    #[test]
    fn holes_smaller_than_a_cluster_save_nothing() {
        let holes: Vec<_> = (0..16).map(|n| (n * CLUSTER + 1, (n + 1) * CLUSTER - 1)).collect();
        let disk = Disk { length: MIB, holes: ranges(&holes), ..Disk::default() };
        assert_eq!(saving(&disk).unwrap(), 0.0);
        let odd = Disk { length: MIB, holes: ranges(&[(1, 8 * CLUSTER + 1)]), ..Disk::default() };
        assert_eq!(saving(&odd).unwrap(), 7.0 / 16.0);
    }

    #[test]
    fn zeros_that_were_written_are_found_by_samples() {
        let disk = Disk { length: 8 * MIB + 7, zeros: ranges(&[(MIB, 7 * MIB)]), ..Disk::default() };
        assert_eq!(saving(&disk).unwrap(), 96.0 / 129.0, "a small disk is read whole");
        let disk = Disk { length: 100 * MIB, zeros: ranges(&[(40 * MIB, 90 * MIB)]), ..Disk::default() };
        let share = saving(&disk).unwrap();
        assert!((share - 0.5).abs() < 0.01, "{share}");
        assert_eq!(disk.read.into_inner(), SAMPLES * CLUSTER, "and a large one is not");
    }

    #[test]
    fn few_holes_and_written_zeros_add_up() {
        let disk = Disk {
            length: 16 * MIB,
            holes: ranges(&[(0, MIB), (8 * MIB, 9 * MIB)]),
            zeros: ranges(&[(10 * MIB, 16 * MIB)]),
            ..Disk::default()
        };
        assert_eq!(saving(&disk).unwrap(), 0.5);
    }

    #[test]
    fn a_disk_of_data_saves_nothing_and_an_empty_one_neither() {
        assert_eq!(saving(&Disk { length: 3 * MIB, ..Disk::default() }).unwrap(), 0.0);
        assert_eq!(saving(&Disk::default()).unwrap(), 0.0);
    }
}
