//! Where the data of a sparse file lies: GNU's maps, of the old headers and of pax 0.0, 0.1 and 1.0.

use tar::GnuSparseHeader;

/// Most ranges that a map may have; one takes 16 bytes of memory.
pub(super) const MOST_RANGES: usize = 1 << 20;

/// The ranges of a file that have data, in order. What lies between them reads as zeros.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Map {
    ranges: Vec<(u64, u64)>,
    /// Bytes of data in all.
    stored: u64,
}

impl Map {
    /// A file that is data from end to end.
    pub(super) fn solid(size: u64) -> Self {
        Self { ranges: vec![(0, size)], stored: size }
    }

    /// Adds `length` bytes of data at `offset`.
    pub(super) fn push(&mut self, offset: u64, length: u64) -> Result<(), &'static str> {
        let end = self.ranges.last().map_or(0, |(offset, length)| offset + length);
        if offset < end || offset.checked_add(length).is_none() {
            return Err("the map of a sparse file is out of order");
        }
        if length > 0 {
            if self.ranges.len() == MOST_RANGES {
                return Err("the map of a sparse file is too long");
            }
            self.ranges.push((offset, length));
            self.stored += length;
        }
        Ok(())
    }

    /// Adds what stands in an old header.
    pub(super) fn push_header(&mut self, header: &GnuSparseHeader) -> Result<(), &'static str> {
        if header.is_empty() {
            return Ok(());
        }
        let number =
            |number: std::io::Result<u64>| number.map_err(|_| "the map of a sparse file is no number");
        self.push(number(header.offset())?, number(header.length())?)
    }

    /// Checks the map against the file's size and the data that the archive has of it.
    pub(super) fn check(&self, size: u64, stored: u64) -> Result<(), &'static str> {
        let end = self.ranges.last().map_or(0, |(offset, length)| offset + length);
        if end > size || self.stored != stored {
            return Err("the map of a sparse file does not fit its data");
        }
        Ok(())
    }

    /// Returns how many bytes from `at` on are alike, and whether they are data. `range` is where to look first, and
    /// where to look next.
    pub(super) fn at(&self, at: u64, size: u64, range: &mut usize) -> (u64, bool) {
        while let Some((offset, length)) = self.ranges.get(*range) {
            if at < *offset {
                return (offset - at, false);
            }
            if at < offset + length {
                return (offset + length - at, true);
            }
            *range += 1;
        }
        (size - at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_holes_alternate() {
        let mut map = Map::default();
        for (offset, length) in [(10, 5), (15, 5), (30, 0), (40, 1)] {
            map.push(offset, length).unwrap();
        }
        assert_eq!(map.check(50, 11), Ok(()));
        let mut range = 0;
        let mut at = 0;
        let mut runs = Vec::new();
        while at < 50 {
            let (length, is_data) = map.at(at, 50, &mut range);
            runs.push((length, is_data));
            at += length;
        }
        assert_eq!(runs, [(10, false), (5, true), (5, true), (20, false), (1, true), (9, false)]);
    }

    #[test]
    fn a_map_that_cannot_be_is_refused() {
        let mut map = Map::default();
        map.push(10, 5).unwrap();
        assert!(map.push(14, 1).is_err(), "overlaps");
        assert!(map.push(u64::MAX, 1).is_err(), "beyond all offsets");
        assert!(map.check(14, 5).is_err(), "beyond the size");
        assert!(map.check(20, 6).is_err(), "not the data that is there");
    }
}
