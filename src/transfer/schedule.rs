//! Which bytes go next. Pure.

use std::collections::BTreeMap;

use crate::model::ByteRange;
use crate::plan::{Part, Plan};

/// The ranges that are neither uploaded nor in flight. Their ends are cut points.
#[derive(Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    /// Start to end; neighbours are merged.
    waiting: BTreeMap<u64, u64>,
    /// Ranges that go out in smaller parts than before, each with the size in bytes that those may have.
    smaller: Vec<(ByteRange, u64)>,
}

impl Schedule {
    pub(crate) fn new(plan: Plan, remaining: impl IntoIterator<Item = ByteRange>) -> Self {
        let mut schedule = Self { plan, waiting: BTreeMap::new(), smaller: Vec::new() };
        for range in remaining {
            schedule.give_back(range);
        }
        schedule
    }

    /// Returns how many bytes wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.iter().map(|(start, end)| end - start).sum()
    }

    /// Deals the first waiting bytes as a part of about `wish` bytes.
    pub(crate) fn deal(&mut self, wish: u64) -> Option<Part> {
        let (&start, &end) = self.waiting.iter().next()?;
        let bound = self.smaller.iter().filter(|(range, _)| (range.start..range.end).contains(&start));
        let wish = bound.map(|(_, size)| *size).fold(wish, u64::min);
        let part = self.plan.cut(ByteRange::new(start, end), wish);
        self.waiting.remove(&start);
        if part.range.end < end {
            self.waiting.insert(part.range.end, end);
        }
        Some(part)
    }

    /// Takes back a range that is sent again in parts of at most `size` bytes: its connection broke, or other
    /// connections are to help with it.
    pub(crate) fn give_back_in(&mut self, range: ByteRange, size: u64) {
        self.smaller.retain(|(old, _)| old.start != range.start);
        self.smaller.push((range, size));
        self.give_back(range);
    }

    /// Takes back a range that was dealt and not uploaded.
    pub(crate) fn give_back(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        if let Some((&before, &before_end)) = self.waiting.range(..start).next_back()
            && before_end == start
        {
            self.waiting.remove(&before);
            start = before;
        }
        if let Some(after_end) = self.waiting.remove(&end) {
            end = after_end;
        }
        self.waiting.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::CutRule;

    const MIB: u64 = 1 << 20;

    fn plan(length: u64) -> Plan {
        Plan::new(length, CutRule::new(length, None).unwrap()).unwrap()
    }

    #[test]
    fn what_is_given_back_is_dealt_again_from_the_front() {
        let plan = plan(10 * MIB);
        let mut schedule = Schedule::new(plan, plan.remaining([]));
        let first = schedule.deal(4 * MIB).unwrap();
        let second = schedule.deal(4 * MIB).unwrap();
        assert_eq!(second.range, ByteRange::new(4 * MIB, 8 * MIB));
        schedule.give_back(first.range);
        assert_eq!(schedule.waiting(), 6 * MIB);
        assert_eq!(schedule.deal(MIB).unwrap().range, ByteRange::new(0, MIB));
        assert_eq!(schedule.deal(8 * MIB).unwrap().range, ByteRange::new(MIB, 4 * MIB));
        assert_eq!(schedule.deal(8 * MIB).unwrap().range, ByteRange::new(8 * MIB, 10 * MIB));
        assert_eq!(schedule.deal(MIB), None);
    }

    #[test]
    fn a_range_that_broke_goes_out_in_shorter_parts() {
        let plan = plan(16 * MIB);
        let mut schedule = Schedule::new(plan, plan.remaining([]));
        let first = schedule.deal(8 * MIB).unwrap();
        schedule.give_back_in(first.range, first.range.len() / 2);
        assert_eq!(schedule.deal(8 * MIB).unwrap().range.len(), 4 * MIB);
        let second = schedule.deal(8 * MIB).unwrap();
        schedule.give_back_in(second.range, second.range.len() / 2);
        assert_eq!(schedule.deal(8 * MIB).unwrap().range, ByteRange::new(4 * MIB, 6 * MIB));
        assert_eq!(schedule.deal(8 * MIB).unwrap().range, ByteRange::new(6 * MIB, 8 * MIB));
        assert_eq!(schedule.deal(8 * MIB).unwrap().range.len(), 8 * MIB, "the rest is not concerned");
    }

    proptest! {
        #[test]
        fn whatever_fails_on_the_way_the_parts_tile_the_object(
            length in 1u64..60 * MIB,
            steps in prop::collection::vec((0u64..9 * MIB, any::<bool>()), 1..40),
        ) {
            let plan = plan(length);
            let mut schedule = Schedule::new(plan, plan.remaining([]));
            let mut done = Vec::new();
            for (wish, lost) in steps {
                match schedule.deal(wish) {
                    Some(part) if lost => schedule.give_back(part.range),
                    Some(part) => done.push(part),
                    None => break,
                }
            }
            while let Some(part) = schedule.deal(MIB) {
                done.push(part);
            }
            done.sort_by_key(|part| part.number);
            prop_assert!(plan.is_tiled_by(&done));
        }
    }
}
