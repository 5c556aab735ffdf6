//! Content by its place in the object, until it is not needed any more. Pure.

use std::collections::BTreeMap;

use crate::blocks::Content;
use crate::model::ByteRange;

/// The content of an object, as far as it is known. Each byte becomes known once.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_start: BTreeMap<u64, Content>,
}

impl Known {
    pub(crate) fn insert(&mut self, at: u64, content: Content) {
        // No content must not stand where other content is, or is to come.
        if content.len() > 0 {
            self.by_start.insert(at, content);
        }
    }

    /// Returns where the first content is.
    pub(crate) fn first(&self) -> Option<u64> {
        self.by_start.keys().next().copied()
    }

    /// Returns the content of a range, if all of it is known.
    pub(crate) fn whole(&self, range: ByteRange) -> Option<Content> {
        if !self.covers(range) {
            return None;
        }
        let mut whole = Content::default();
        for (at, content) in self.overlapping(range) {
            let (start, end) = (range.start.max(*at), range.end.min(at + content.len()));
            whole.extend(content.slice(ByteRange::new(start - at, end - at)));
        }
        Some(whole)
    }

    /// Whether all content of a range is known. It looks no further than to the first gap.
    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        let mut known_to = range.start;
        for (at, content) in self.overlapping(range) {
            if *at > known_to {
                return false;
            }
            known_to = at + content.len();
        }
        known_to >= range.end
    }

    /// Forgets the content of a range: what was held in memory for it is free again.
    pub(crate) fn release(&mut self, range: ByteRange) {
        let touched: Vec<u64> = self.overlapping(range).map(|(at, _)| *at).collect();
        for at in touched {
            let Some(content) = self.by_start.remove(&at) else { continue };
            let end = at + content.len();
            if at < range.start {
                self.by_start.insert(at, content.slice(ByteRange::new(0, range.start - at)));
            }
            if range.end < end {
                let rest = content.slice(ByteRange::new(range.end - at, end - at));
                self.by_start.insert(range.end, rest);
            }
        }
    }

    fn overlapping(&self, range: ByteRange) -> impl Iterator<Item = (&u64, &Content)> {
        let first = self.by_start.range(..=range.start).next_back().map_or(range.start, |(at, _)| *at);
        let ends_behind = move |(at, content): &(&u64, &Content)| *at + content.len() > range.start;
        self.by_start.range(first..range.end).filter(ends_behind)
    }
}

#[cfg(test)]
impl Known {
    /// Returns how many bytes are known and not released.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_start.values().map(Content::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::blocks::Segment;

    const LENGTH: u64 = 200;

    fn object() -> Bytes {
        (0..LENGTH as u8).collect::<Vec<_>>().into()
    }

    fn held(object: &Bytes, range: ByteRange) -> Content {
        Segment::Held(object.slice(range.start as usize..range.end as usize)).into()
    }

    fn bytes(mut content: Content) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(segment) = content.pop() {
            let Segment::Held(bytes) = segment else { unreachable!("only bytes were put in") };
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[test]
    fn no_content_takes_the_place_of_none() {
        let (object, mut known) = (object(), Known::default());
        known.insert(0, held(&object, ByteRange::new(0, 100)));
        known.insert(0, Content::default());
        known.insert(100, Content::default());
        assert!(known.covers(ByteRange::new(0, 100)));
        known.release(ByteRange::new(0, 100));
        assert_eq!(known.first(), None, "nothing is left over");
    }

    #[test]
    fn what_is_released_is_held_no_longer() {
        let content = Bytes::from(object().to_vec());
        let mut known = Known::default();
        known.insert(0, Segment::Held(content.clone()).into());
        known.release(ByteRange::new(0, 70));
        assert!(!content.is_unique(), "the rest refers to it");
        known.release(ByteRange::new(70, 200));
        assert!(content.is_unique());
    }

    proptest! {
        #[test]
        fn known_content_is_that_of_a_plain_buffer(
            cuts in prop::collection::btree_set(1..LENGTH, 0..12),
            steps in prop::collection::vec((0u8..3, any::<prop::sample::Index>(), 0..=LENGTH, 0..=LENGTH), 1..60),
        ) {
            let object = object();
            let ends: Vec<u64> = cuts.iter().copied().chain([LENGTH]).collect();
            let mut waiting: Vec<ByteRange> =
                ends.iter().scan(0, |at, end| Some(ByteRange::new(std::mem::replace(at, *end), *end))).collect();
            let (mut known, mut model) = (Known::default(), vec![false; LENGTH as usize]);
            for (kind, which, a, b) in steps {
                let range = ByteRange::new(a.min(b), a.max(b));
                let of_model = range.start as usize..range.end as usize;
                match kind {
                    0 if !waiting.is_empty() => {
                        let next = waiting.swap_remove(which.index(waiting.len()));
                        known.insert(next.start, held(&object, next));
                        model[next.start as usize..next.end as usize].fill(true);
                    }
                    1 => {
                        known.release(range);
                        model[of_model].fill(false);
                    }
                    _ => {
                        let all = model[of_model.clone()].iter().all(|known| *known);
                        prop_assert_eq!(known.covers(range), all, "{:?}", range);
                        prop_assert_eq!(known.whole(range).map(bytes), all.then(|| object[of_model].to_vec()));
                    }
                }
                let first = model.iter().position(|known| *known).map(|at| at as u64);
                prop_assert_eq!(known.first(), first);
                prop_assert_eq!(known.bytes(), model.iter().filter(|known| **known).count() as u64);
            }
        }
    }
}
