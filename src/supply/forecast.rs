//! How much of a disk is data, found out without reading all of it.

use std::io;

use super::saving::{SAMPLES, cluster_is_zero, each_run, sampled};
use crate::image::qcow2::write::{CLUSTER, DiskTooLong, Writer};
use crate::model::Qcow2Compat;
use crate::read::ReadAt;

/// How much of a disk is data, and how long it would be as QCOW2, in bytes. Counted in clusters of 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// Bytes that hold data.
    pub data: u64,
    /// The same if there are no more zeros than the disk tells by itself: by the holes of a file, the tables of an
    /// image, a map.
    pub data_at_most: u64,
    /// The length as QCOW2.
    pub qcow2: u64,
    /// The same for the most data.
    pub qcow2_at_most: u64,
    /// Whether `data` and `qcow2` are exact: all that may hold data was read. Else they follow from a sample.
    pub is_exact: bool,
}

impl Forecast {
    /// Looks at a disk: at its map, and at 16 MiB of what may hold data, spread evenly. Waits for the reads, so async
    /// code calls it on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the disk cannot be read, or is longer than the longest object.
    pub fn of(disk: &dyn ReadAt) -> io::Result<Self> {
        let length = disk.length();
        let mut clusters = 0;
        let mut writer = Writer::new(Qcow2Compat::default());
        let mut told = 0;
        each_run(disk, |first, end| {
            writer.zeros(first - told).map_err(too_long)?;
            writer.data(end - first).map_err(too_long)?;
            (told, clusters) = (end, clusters + (end - first));
            Ok(())
        })?;
        let most = writer.finish(length).map_err(too_long)?.object_length();
        let data_at_most = bytes_of(clusters, length);
        if clusters <= SAMPLES {
            return Self::exactly(disk, data_at_most, most);
        }
        let (zeros, samples) = sampled(disk, clusters)?;
        let filled = u128::from(data_at_most) * u128::from(samples - zeros) / u128::from(samples);
        let data = filled as u64;
        Ok(Self {
            data,
            data_at_most,
            qcow2: most - (data_at_most - data),
            qcow2_at_most: most,
            is_exact: false,
        })
    }

    fn exactly(disk: &dyn ReadAt, data_at_most: u64, qcow2_at_most: u64) -> io::Result<Self> {
        let (mut writer, mut told, mut clusters) = (Writer::new(Qcow2Compat::default()), 0, 0);
        each_run(disk, |first, end| {
            for at in first..end {
                if !cluster_is_zero(disk, at)? {
                    writer.zeros(at - told).map_err(too_long)?;
                    writer.data(1).map_err(too_long)?;
                    (told, clusters) = (at + 1, clusters + 1);
                }
            }
            Ok(())
        })?;
        let qcow2 = writer.finish(disk.length()).map_err(too_long)?.object_length();
        let data = bytes_of(clusters, disk.length());
        Ok(Self { data, data_at_most, qcow2, qcow2_at_most, is_exact: true })
    }
}

fn too_long(error: DiskTooLong) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, error)
}

fn bytes_of(clusters: u64, length: u64) -> u64 {
    (clusters * CLUSTER).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ByteRange;

    /// A disk whose map says that `told` holds data.
    #[derive(Debug)]
    struct Disk {
        bytes: Vec<u8>,
        told: Vec<ByteRange>,
    }

    impl ReadAt for Disk {
        fn length(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), crate::read::ReadError> {
            self.bytes.as_slice().read_at(offset, buffer)
        }

        fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
            let next = self.told.iter().find(|range| range.end > from);
            Ok(next.map(|range| ByteRange::new(range.start.max(from), range.end)))
        }
    }

    fn disk(clusters: u64, data: impl Fn(u64) -> bool, told: &[(u64, u64)]) -> Disk {
        let bytes = (0..clusters).flat_map(|at| vec![u8::from(data(at)); CLUSTER as usize]).collect();
        Disk { bytes, told: told.iter().map(|&(start, end)| ByteRange::new(start, end)).collect() }
    }

    #[test]
    fn of_a_small_disk_all_is_known() {
        let mut small = disk(
            40,
            |at| at == 3 || at == 39,
            &[(3 * CLUSTER + 7, 5 * CLUSTER), (38 * CLUSTER, 40 * CLUSTER)],
        );
        small.bytes.truncate(small.bytes.len() - 512);
        small.told[1].end -= 512;
        let forecast = Forecast::of(&small).unwrap();
        // Header, data, one L2 table, L1 table, refcount table and block.
        assert_eq!(
            forecast,
            Forecast {
                data: 2 * CLUSTER,
                data_at_most: 4 * CLUSTER,
                qcow2: 7 * CLUSTER,
                qcow2_at_most: 9 * CLUSTER,
                is_exact: true
            }
        );
    }

    #[test]
    fn of_a_large_disk_a_share_is_looked_at() {
        let clusters = 3000;
        let large =
            disk(clusters, |at| at % 4 == 0, &[(0, 1000 * CLUSTER), (2000 * CLUSTER, 3000 * CLUSTER)]);
        let forecast = Forecast::of(&large).unwrap();
        assert!(!forecast.is_exact);
        assert_eq!(forecast.data_at_most, 2000 * CLUSTER);
        let (data, right) = (forecast.data / CLUSTER, 500);
        assert!((right - 125..right + 125).contains(&data), "{data} of 500");
        assert_eq!(forecast.qcow2_at_most - forecast.qcow2, forecast.data_at_most - forecast.data);
    }

    #[test]
    fn a_disk_of_zeros_has_no_data_and_one_without_a_map_is_looked_at_as_well() {
        let zeros = disk(1000, |_| false, &[]);
        let forecast = Forecast::of(&zeros).unwrap();
        assert_eq!((forecast.data, forecast.is_exact), (0, true));
        let no_map = vec![0u8; 1000 * CLUSTER as usize];
        let forecast = Forecast::of(&no_map).unwrap();
        assert_eq!((forecast.data, forecast.data_at_most), (0, 1000 * CLUSTER));
        assert_eq!(forecast.qcow2, forecast.qcow2_at_most - 1000 * CLUSTER);
    }
}
