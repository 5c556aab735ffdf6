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
        self.by_start.insert(at, content);
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

    /// Whether all content of a range is known.
    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        let overlap = |(at, content): (&u64, &Content)| {
            (at + content.len()).min(range.end).saturating_sub((*at).max(range.start))
        };
        self.overlapping(range).map(overlap).sum::<u64>() == range.len()
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
