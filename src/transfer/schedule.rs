//! Which bytes go next. Pure.

use std::collections::BTreeMap;

use crate::model::ByteRange;
use crate::plan::{Part, Plan, PlanError};

/// The ranges that are neither uploaded nor in flight. They need not end at cut points: what lies before the first or
/// behind the last one of a range waits for its neighbours.
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

    /// Returns the plan.
    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// Takes in that the object has `length` bytes.
    ///
    /// # Errors
    ///
    /// When no object can have this length, or the plan does not reach as far.
    pub(crate) fn close(&mut self, length: u64) -> Result<(), PlanError> {
        self.plan = self.plan.closed(length)?;
        Ok(())
    }

    /// Deals the first waiting bytes as a part of about `wish` bytes. A range that ends at `growing` is about to
    /// become longer, and a part that would be shorter than the wish only because of that is not dealt.
    pub(crate) fn deal(&mut self, wish: u64, growing: Option<u64>) -> Option<Part> {
        let (start, end, part) = self.waiting.iter().find_map(|(&start, &end)| {
            let from = self.plan.first_cut_from(start);
            let to = if self.plan.is_end(end) { end } else { self.plan.last_cut_to(end) };
            if from >= to {
                return None;
            }
            let bound = self.smaller.iter().filter(|(range, _)| (range.start..range.end).contains(&from));
            let wish = bound.map(|(_, size)| *size).fold(wish, u64::min);
            let part = self.plan.cut(ByteRange::new(from, to), wish);
            let cut_short = growing == Some(end) && part.range.end == to && part.range.len() < wish;
            (!cut_short).then_some((start, end, part))
        })?;
        self.waiting.remove(&start);
        if start < part.range.start {
            self.waiting.insert(start, part.range.start);
        }
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
        let first = schedule.deal(4 * MIB, None).unwrap();
        let second = schedule.deal(4 * MIB, None).unwrap();
        assert_eq!(second.range, ByteRange::new(4 * MIB, 8 * MIB));
        schedule.give_back(first.range);
        assert_eq!(schedule.waiting(), 6 * MIB);
        assert_eq!(schedule.deal(MIB, None).unwrap().range, ByteRange::new(0, MIB));
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(MIB, 4 * MIB));
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(8 * MIB, 10 * MIB));
        assert_eq!(schedule.deal(MIB, None), None);
    }

    #[test]
    fn a_range_that_broke_goes_out_in_shorter_parts() {
        let plan = plan(16 * MIB);
        let mut schedule = Schedule::new(plan, plan.remaining([]));
        let first = schedule.deal(8 * MIB, None).unwrap();
        schedule.give_back_in(first.range, first.range.len() / 2);
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range.len(), 4 * MIB);
        let second = schedule.deal(8 * MIB, None).unwrap();
        schedule.give_back_in(second.range, second.range.len() / 2);
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(4 * MIB, 6 * MIB));
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(6 * MIB, 8 * MIB));
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range.len(), 8 * MIB, "the rest is not concerned");
    }

    #[test]
    fn what_may_grow_waits_for_the_size_that_is_wished() {
        let plan = Plan::open(CutRule::Even { unit: MIB, part_size: None }).unwrap();
        let mut schedule = Schedule::new(plan, [ByteRange::new(0, 5 * MIB + 7)]);
        assert_eq!(schedule.deal(8 * MIB, Some(5 * MIB + 7)), None);
        assert_eq!(schedule.deal(4 * MIB, Some(5 * MIB + 7)).unwrap().range, ByteRange::new(0, 4 * MIB));
        assert_eq!(schedule.deal(4 * MIB, None).unwrap().range, ByteRange::new(4 * MIB, 5 * MIB));
        assert_eq!(schedule.deal(4 * MIB, None), None, "the end may be further on");
        schedule.close(5 * MIB + 7).unwrap();
        assert_eq!(schedule.deal(4 * MIB, None).unwrap().range, ByteRange::new(5 * MIB, 5 * MIB + 7));
    }

    #[test]
    fn a_head_that_comes_last_is_dealt_last() {
        let plan = Plan::open(CutRule::Even { unit: MIB, part_size: None }).unwrap();
        let mut schedule = Schedule::new(plan, [ByteRange::new(MIB / 16, 3 * MIB)]);
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(MIB, 3 * MIB));
        assert_eq!(schedule.deal(8 * MIB, None), None);
        schedule.give_back(ByteRange::new(0, MIB / 16));
        assert_eq!(schedule.deal(8 * MIB, None).unwrap().range, ByteRange::new(0, MIB));
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
                match schedule.deal(wish, None) {
                    Some(part) if lost => schedule.give_back(part.range),
                    Some(part) => done.push(part),
                    None => break,
                }
            }
            while let Some(part) = schedule.deal(MIB, None) {
                done.push(part);
            }
            done.sort_by_key(|part| part.number);
            prop_assert!(plan.is_tiled_by(&done));
        }
    }
}
