use std::io;

use super::{DataMap, MapError};
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError, check_range};
use crate::source::{Source, SourceIdentity, Witness};

/// A source whose data is where a map says: the rest reads as zeros without a look at it, and of what the map lists
/// the source's own holes are known to be zeros too.
#[derive(Debug)]
pub struct Mapped<S> {
    source: S,
    map: DataMap,
}

impl<S: ReadAt> Mapped<S> {
    /// Joins a source with its map.
    ///
    /// # Errors
    ///
    /// If the map is of an image of another length.
    pub fn new(source: S, map: DataMap) -> Result<Self, MapError> {
        map.check_length(source.length())?;
        Ok(Self { source, map })
    }

    /// Returns the map's next range from `from` on, as far as the source reaches: a map counts in units.
    fn listed(&self, from: u64) -> Option<ByteRange> {
        let length = self.source.length();
        let next = self.map.next_data(from).filter(|range| range.start < length)?;
        Some(ByteRange::new(next.start, next.end.min(length)))
    }

    /// How many bytes from `offset` on, of at most `most`, the map treats alike, and whether they are data.
    fn alike(&self, offset: u64, most: usize) -> (usize, bool) {
        let (end, is_data) = match self.listed(offset) {
            Some(range) if range.start == offset => (range.end, true),
            Some(range) => (range.start, false),
            None => (self.source.length(), false),
        };
        (usize::try_from(end - offset).map_or(most, |count| count.min(most)), is_data)
    }
}

impl<S: ReadAt> ReadAt for Mapped<S> {
    fn length(&self) -> u64 {
        self.source.length()
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        while !buffer.is_empty() {
            let (count, is_data) = self.alike(offset, buffer.len());
            let (now, rest) = buffer.split_at_mut(count);
            if is_data {
                self.source.read_at(offset, now)?
            } else {
                now.fill(0)
            }
            (offset, buffer) = (offset + count as u64, rest);
        }
        Ok(())
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        check_range(self.length(), offset, buffer.len()).ok()?;
        let (count, is_data) = self.alike(offset, buffer.len());
        if is_data {
            return self.source.read_ready(offset, &mut buffer[..count]);
        }
        buffer[..count].fill(0);
        (count > 0).then_some(count)
    }

    fn next_data(&self, mut from: u64) -> io::Result<Option<ByteRange>> {
        while let Some(listed) = self.listed(from) {
            let Some(own) = self.source.next_data(listed.start)? else { return Ok(None) };
            if own.start < listed.end {
                return Ok(Some(ByteRange::new(own.start, own.end.min(listed.end))));
            }
            from = own.start;
        }
        Ok(None)
    }

    fn will_need(&self, range: ByteRange) {
        self.source.will_need(range);
    }

    fn done_with(&self, range: ByteRange) {
        self.source.done_with(range);
    }
}

impl<S: Source> Source for Mapped<S> {
    fn identity(&self) -> Option<&SourceIdentity> {
        self.source.identity()
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        self.source.current_identity()
    }

    fn settle(&self) {
        self.source.settle();
    }

    fn witness(&self) -> Witness {
        // The identity is the source's, and says nothing of the map: another run may have another one.
        match self.source.witness() {
            Witness::Always => Witness::WhileOpen,
            witness => witness,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of which some are holes, and all others are ones.
    #[derive(Debug)]
    struct Sparse(Vec<bool>);

    impl ReadAt for Sparse {
        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            check_range(self.length(), offset, buffer.len())?;
            for (byte, is_data) in buffer.iter_mut().zip(&self.0[offset as usize..]) {
                *byte = u8::from(*is_data);
            }
            Ok(())
        }

        fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
            let count = buffer.len().min(3);
            self.read_at(offset, &mut buffer[..count]).ok().map(|()| count)
        }

        fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
            let skipped = self.0.iter().skip(from as usize).position(|is_data| *is_data);
            Ok(skipped.map(|skipped| {
                let start = from as usize + skipped;
                let count = self.0[start..].iter().take_while(|is_data| **is_data).count();
                ByteRange::new(start as u64, (start + count) as u64)
            }))
        }
    }

    /// A map that lists these bytes.
    fn map(listed: &[bool]) -> DataMap {
        let mut data = super::super::Ranges::default();
        for (at, _) in (0..).zip(listed).filter(|(_, listed)| **listed) {
            data.push(ByteRange::new(at, at + 1)).unwrap();
        }
        DataMap { length: listed.len() as u64, unit: 1, data: data.0, checksums: Vec::new() }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn reads_and_ranges_show_what_both_call_data(bytes in prop::collection::vec(any::<(bool, bool)>(), 1..60)) {
            let (own, listed): (Vec<bool>, Vec<bool>) = bytes.iter().copied().unzip();
            let expected: Vec<u8> = bytes.iter().map(|(own, listed)| u8::from(*own && *listed)).collect();
            let mapped = Mapped::new(Sparse(own), map(&listed)).unwrap();
            let mut read = vec![9; bytes.len()];
            mapped.read_at(0, &mut read).unwrap();
            prop_assert_eq!(&read, &expected);

            let mut at = 0;
            read.fill(9);
            while at < read.len() {
                at += mapped.read_ready(at as u64, &mut read[at..]).unwrap();
            }
            prop_assert_eq!(&read, &expected);

            let (mut from, mut found) = (0, vec![0; bytes.len()]);
            while let Some(range) = mapped.next_data(from).unwrap() {
                prop_assert!(range.start >= from && !range.is_empty());
                found[range.start as usize..range.end as usize].fill(1);
                from = range.end;
            }
            prop_assert_eq!(&found, &expected);
        }
    }

    #[test]
    fn a_map_of_another_image_is_refused() {
        let of = |length, unit, image| {
            let map = DataMap { length, unit, data: Vec::new(), checksums: Vec::new() };
            Mapped::new(Sparse(vec![true; image]), map).map(|mapped| mapped.length())
        };
        assert_eq!(of(1000, 1, 1000), Ok(1000));
        assert_eq!(of(1024, 512, 1000), Ok(1000), "QEMU rounds up to sectors");
        for (length, unit, image) in
            [(1000, 1, 999), (1000, 1, 1001), (1024, 512, 512), (1024, 512, 1025), (512, 512, 0)]
        {
            let other = MapError::OtherImage { map: length, image: image as u64 };
            assert_eq!(of(length, unit, image), Err(other.clone()));
        }
    }

    #[test]
    fn a_range_that_reaches_into_the_rest_of_a_sector_ends_with_the_image() {
        let data = vec![ByteRange::new(512, 1024)];
        let map = DataMap { length: 1024, unit: 512, data, checksums: Vec::new() };
        let mapped = Mapped::new(Sparse(vec![true; 1000]), map).unwrap();
        assert_eq!(mapped.next_data(0).unwrap(), Some(ByteRange::new(512, 1000)));
        let mut read = [9; 500];
        mapped.read_at(500, &mut read).unwrap();
        assert_eq!((&read[..12], &read[12..]), (&[0; 12][..], &[1; 488][..]));
    }
}
