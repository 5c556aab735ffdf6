//! How an object is cut into parts, from a rule and the object's length alone; the length may come last.
//!
//! A [`Plan`] is a sorted list of *cut points*. A part spans from one cut point to a later one, and its number
//! is 1 + the index of its first cut point. So a part's number and size give its byte range; parts may differ
//! in size and numbers may have gaps, both of which OSS allows ("CompleteMultipartUpload" page); a part can be
//! cut again at any cut point within it; and the same plan follows from the same file on another machine.
//!
//! As long as the length is not known the plan is *open*: its cut points follow from the rule alone, and only the
//! last part, which ends with the object, has to wait for the end.

use crate::model::limits::{MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE};
use crate::model::{ByteRange, PartNumber};

/// Cut points lie at multiples of this many bytes, so that parts begin on whole blocks.
const CUT_ALIGNMENT: u64 = 256 << 10;
/// The first distance of cut points where the length is not known (1 MiB).
const OPEN_UNIT: u64 = 1 << 20;

/// Why an object cannot be cut into parts as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is nothing to upload.
    #[error("the source is empty")]
    Empty,
    /// The object would be larger than OSS takes.
    #[error("{length} bytes are more than the {MAX_OBJECT_SIZE} bytes (48.8 TiB) that an object can have")]
    TooLarge {
        /// Length of the source in bytes.
        length: u64,
    },
    /// The object has become longer than its cut points reach.
    #[error(
        "more than {reach} bytes do not fit into the parts that the upload was begun with: start again with \
         --restart and --expected-size, a larger --part-size or a larger --max-memory"
    )]
    TooLong {
        /// How far the cut points reach, in bytes.
        reach: u64,
    },
    /// Parts that are large enough for the object do not fit into the memory that a stream may take.
    #[error(
        "an object of {length} bytes needs parts of {part_size} bytes, and a stream holds four of them in memory: \
         give it --max-memory {}",
        part_size * 4
    )]
    Memory {
        /// About how many bytes are expected.
        length: u64,
        /// How large parts have to be, in bytes.
        part_size: u64,
    },
    /// The upload was begun with more memory than a stream may take now.
    #[error(
        "the upload was begun with parts of up to {part_size} bytes, and a stream holds four of them in memory: give \
         it --max-memory {}",
        part_size.saturating_mul(4)
    )]
    LessMemory {
        /// How large its parts are, in bytes.
        part_size: u64,
    },
    /// The part size is outside of what OSS takes.
    #[error("a part size of {part_size} bytes is not within 102400 bytes (100 KiB) to 5 GiB")]
    PartSize {
        /// The part size that was asked for, in bytes.
        part_size: u64,
    },
    /// The part size would make more than 10,000 parts.
    #[error(
        "a part size of {part_size} bytes cuts {length} bytes into {parts} parts and OSS takes 10000: \
         choose at least {smallest} bytes"
    )]
    TooManyParts {
        /// The part size that was asked for, in bytes.
        part_size: u64,
        /// Length of the source in bytes.
        length: u64,
        /// How many parts that makes.
        parts: u64,
        /// The smallest part size for this length, in bytes.
        smallest: u64,
    },
}

/// The rule that cut points follow. It is what a checkpoint keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum CutRule {
    /// For an object whose length is not known when it is begun: distances that grow along the object, so that any
    /// length needs no more than 10,000 parts.
    Ladder {
        /// The distance of the first cut points, in bytes.
        unit: u64,
        /// How many cut points keep that distance. After them it doubles.
        first: u16,
        /// After how many more cut points it doubles again, each time.
        rung: u16,
        /// The largest distance in bytes: a part of a stream has to fit into memory.
        most: u64,
    },
    /// Cut points at the multiples of `unit`.
    Even {
        /// The distance in bytes.
        unit: u64,
        /// The size of every part but the last, if it was fixed; a multiple of `unit`.
        part_size: Option<u64>,
    },
}

impl CutRule {
    /// Returns the rule for `length` bytes, with parts of `part_size` bytes if that is given.
    ///
    /// # Errors
    ///
    /// When no plan within the limits of OSS follows.
    pub fn new(length: u64, part_size: Option<u64>) -> Result<Self, PlanError> {
        if length == 0 {
            return Err(PlanError::Empty);
        }
        if length > MAX_OBJECT_SIZE {
            return Err(PlanError::TooLarge { length });
        }
        let smallest = MIN_PART_SIZE.max(length.div_ceil(u64::from(MAX_PARTS)));
        let Some(part_size) = part_size else {
            // Rounding up may pass 5 GiB only at the very end of the scale, where no rounding is left.
            let unit = smallest.next_multiple_of(CUT_ALIGNMENT).min(MAX_PART_SIZE);
            return Ok(Self::Even { unit, part_size: None });
        };
        if !(MIN_PART_SIZE..=MAX_PART_SIZE).contains(&part_size) {
            return Err(PlanError::PartSize { part_size });
        }
        let parts = length.div_ceil(part_size);
        if parts > u64::from(MAX_PARTS) {
            return Err(PlanError::TooManyParts { part_size, length, parts, smallest });
        }
        // Halves of a part are cut points too where the limits allow, so that a stalled part can be cut.
        let mut unit = part_size;
        while unit.is_multiple_of(2) && unit / 2 >= smallest {
            unit /= 2;
        }
        Ok(Self::Even { unit, part_size: Some(part_size) })
    }

    /// Returns the rule for an object whose length is not known: about `expected` bytes if that is given, which is
    /// no promise. No two cut points are further apart than `most` bytes.
    ///
    /// # Errors
    ///
    /// [`PlanError::PartSize`] if the part size is not within the limits of OSS or more than `most`;
    /// [`PlanError::Memory`] if parts of `most` bytes are too small for the length that is expected.
    pub fn open(expected: Option<u64>, part_size: Option<u64>, most: u64) -> Result<Self, PlanError> {
        let most = most.min(MAX_PART_SIZE);
        if let Some(part_size) = part_size {
            if !(MIN_PART_SIZE..=most).contains(&part_size) {
                return Err(PlanError::PartSize { part_size });
            }
            return Ok(Self::Even { unit: part_size, part_size: Some(part_size) });
        }
        let (first, rung) = if expected.is_some() { (8000, 250) } else { (500, 500) };
        let length = expected.unwrap_or(0);
        let unit = (length / u64::from(first)).max(OPEN_UNIT).next_multiple_of(CUT_ALIGNMENT);
        if unit > most {
            return Err(PlanError::Memory { length, part_size: unit });
        }
        Ok(Self::Ladder { unit, first, rung, most })
    }

    /// Returns the size of every part but the last, if it was fixed.
    pub fn part_size(&self) -> Option<u64> {
        match self {
            Self::Even { part_size, .. } => *part_size,
            Self::Ladder { .. } => None,
        }
    }

    /// Returns how far apart cut points may be, in bytes.
    pub fn largest(&self) -> u64 {
        match self {
            Self::Even { unit, .. } => *unit,
            Self::Ladder { most, .. } => *most,
        }
    }

    /// Returns the offset of the cut point with this index: as many bytes lie before it.
    fn offset(&self, index: u64) -> u64 {
        match *self {
            Self::Even { unit, .. } => index * unit,
            Self::Ladder { unit, first, rung, most } => {
                let (first, rung) = (u64::from(first), u64::from(rung));
                if index <= first {
                    return index * unit;
                }
                let (mut left, mut offset, mut step) = (index - first, first * unit, unit);
                while left > 0 {
                    step = most.min(step * 2);
                    let taken = if step == most { left } else { left.min(rung) };
                    offset += taken * step;
                    left -= taken;
                }
                offset
            }
        }
    }

    /// Returns the index of the last cut point at or before `offset`.
    fn index(&self, offset: u64) -> u64 {
        match *self {
            Self::Even { unit, .. } => offset / unit,
            Self::Ladder { unit, first, rung, most } => {
                let (first, rung) = (u64::from(first), u64::from(rung));
                if offset < first * unit {
                    return offset / unit;
                }
                let (mut left, mut index, mut step) = (offset - first * unit, first, unit);
                loop {
                    step = most.min(step * 2);
                    if step == most || left < rung * step {
                        return index + left / step;
                    }
                    left -= rung * step;
                    index += rung;
                }
            }
        }
    }

    /// Whether the rule's numbers make sense: they may come from a damaged checkpoint.
    fn check(&self) -> Result<(), PlanError> {
        let size = MIN_PART_SIZE..=MAX_PART_SIZE;
        match *self {
            Self::Even { unit, .. } if !size.contains(&unit) => Err(PlanError::PartSize { part_size: unit }),
            Self::Even { unit, part_size: Some(part_size) }
                if part_size == 0 || !part_size.is_multiple_of(unit) =>
            {
                Err(PlanError::PartSize { part_size })
            }
            Self::Ladder { unit, rung, most, .. } if !size.contains(&unit) || most < unit || rung == 0 => {
                Err(PlanError::PartSize { part_size: unit })
            }
            Self::Ladder { most, .. } if most > MAX_PART_SIZE => Err(PlanError::PartSize { part_size: most }),
            _ => Ok(()),
        }
    }
}

/// A part: what one UploadPart sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its number on the wire.
    pub number: PartNumber,
    /// Its bytes of the object.
    pub range: ByteRange,
}

/// The cut points of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The object's length; nothing while it is not known.
    length: Option<u64>,
    rule: CutRule,
}

impl Plan {
    /// Lays the rule over an object of `length` bytes.
    ///
    /// # Errors
    ///
    /// When the rule makes no plan for this length: it came from a damaged checkpoint or another file.
    pub fn new(length: u64, rule: CutRule) -> Result<Self, PlanError> {
        Self::open(rule)?.closed(length)
    }

    /// Lays the rule over an object whose length is not known yet.
    ///
    /// # Errors
    ///
    /// When the rule makes no plan: it came from a damaged checkpoint.
    pub fn open(rule: CutRule) -> Result<Self, PlanError> {
        rule.check()?;
        Ok(Self { length: None, rule })
    }

    /// Returns the plan of an object that turned out to have `length` bytes.
    ///
    /// # Errors
    ///
    /// When there is nothing to upload, or more than the cut points reach.
    pub fn closed(mut self, length: u64) -> Result<Self, PlanError> {
        if length == 0 {
            return Err(PlanError::Empty);
        }
        if length > MAX_OBJECT_SIZE {
            return Err(PlanError::TooLarge { length });
        }
        if length > self.reach() {
            return Err(match self.rule {
                CutRule::Even { unit, .. } => {
                    let smallest = MIN_PART_SIZE.max(length.div_ceil(u64::from(MAX_PARTS)));
                    PlanError::TooManyParts {
                        part_size: unit,
                        length,
                        parts: length.div_ceil(unit),
                        smallest,
                    }
                }
                CutRule::Ladder { .. } => PlanError::TooLong { reach: self.reach() },
            });
        }
        self.length = Some(length);
        Ok(self)
    }

    /// Returns the object's length in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the rule.
    pub fn rule(&self) -> CutRule {
        self.rule
    }

    /// Returns how long an object may be, in bytes.
    pub fn reach(&self) -> u64 {
        self.rule.offset(u64::from(MAX_PARTS)).min(MAX_OBJECT_SIZE)
    }

    /// Returns the part that a number and a size in bytes mean, or nothing if there is no such part. As long as the
    /// length is not known any end may be the object's.
    pub fn part(&self, number: PartNumber, size: u64) -> Option<Part> {
        let start = self.rule.offset(u64::from(number.get() - 1));
        let end = start.checked_add(size)?;
        let fits = size > 0 && end <= self.length.unwrap_or(self.reach()) && size <= MAX_PART_SIZE;
        let ends = self.length.is_none() || self.is_end(end);
        (fits && ends).then(|| Part { number, range: ByteRange::new(start, end) })
    }

    /// Returns the part that begins at `range.start` and has at most `wish` bytes, rounded to a cut point: at
    /// least as far as the next one, and never past the end of `range`. Both ends of `range` are cut points or the
    /// object's ends.
    ///
    /// # Panics
    ///
    /// If `range` is empty or does not begin at a cut point.
    pub fn cut(&self, range: ByteRange, wish: u64) -> Part {
        let index = self.rule.index(range.start);
        assert!(
            !range.is_empty() && index < u64::from(MAX_PARTS) && self.rule.offset(index) == range.start,
            "parts begin at cut points"
        );
        let last = self.rule.index(range.start.saturating_add(wish.min(MAX_PART_SIZE))).max(index + 1);
        let end = self.rule.offset(last).min(range.end);
        let index = u16::try_from(index).expect("there are at most 10,000 cut points");
        let number = PartNumber::new(index + 1).expect("there are at most 10,000 cut points");
        Part { number, range: ByteRange::new(range.start, end) }
    }

    /// Returns the first cut point at or behind `offset`.
    pub fn first_cut_from(&self, offset: u64) -> u64 {
        let before = self.last_cut_to(offset);
        if before == offset { offset } else { self.rule.offset(self.rule.index(offset) + 1) }
    }

    /// Returns the last cut point at or before `offset`.
    pub fn last_cut_to(&self, offset: u64) -> u64 {
        self.rule.offset(self.rule.index(offset))
    }

    /// Returns what `covered` leaves of the object, in order. The ranges in `covered` need no order. Nothing is left
    /// of an object whose length is not known.
    pub fn remaining(&self, covered: impl IntoIterator<Item = ByteRange>) -> Vec<ByteRange> {
        let mut covered: Vec<_> = covered.into_iter().collect();
        covered.sort_unstable();
        let mut gaps = Vec::new();
        let mut at = 0;
        for range in covered {
            if range.start > at {
                gaps.push(ByteRange::new(at, range.start));
            }
            at = at.max(range.end);
        }
        let length = self.length.unwrap_or_default();
        if at < length {
            gaps.push(ByteRange::new(at, length));
        }
        gaps
    }

    /// Whether `parts`, in ascending order, cover the object exactly, each byte once. Never before its length is
    /// known.
    pub fn is_tiled_by<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> bool {
        let mut at = 0;
        for part in parts {
            if part.range.start != at || self.part(part.number, part.range.len()) != Some(*part) {
                return false;
            }
            at = part.range.end;
        }
        self.length == Some(at)
    }

    /// Whether a part may end here.
    pub fn is_end(&self, offset: u64) -> bool {
        self.length == Some(offset)
            || (self.length.is_none_or(|length| offset < length) && self.last_cut_to(offset) == offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn plan(length: u64, part_size: Option<u64>) -> Plan {
        Plan::new(length, CutRule::new(length, part_size).unwrap()).unwrap()
    }

    fn unit_of(rule: CutRule) -> u64 {
        match rule {
            CutRule::Even { unit, .. } | CutRule::Ladder { unit, .. } => unit,
        }
    }

    #[test]
    fn a_rule_is_kept_as_it_was_kept_before() {
        let even = CutRule::Even { unit: MIB, part_size: None };
        assert_eq!(serde_json::to_string(&even).unwrap(), r#"{"unit":1048576,"part_size":null}"#);
        let fixed: CutRule = serde_json::from_str(r#"{"unit":1048576,"part_size":8388608}"#).unwrap();
        assert_eq!(fixed, CutRule::Even { unit: MIB, part_size: Some(8 * MIB) });
        let ladder = CutRule::open(None, None, 128 * MIB).unwrap();
        let text = serde_json::to_string(&ladder).unwrap();
        assert_eq!(serde_json::from_str::<CutRule>(&text).unwrap(), ladder, "{text}");
    }

    #[test]
    fn a_stream_reaches_far_with_parts_that_fit_into_memory() {
        let reach =
            |expected, most| Plan::open(CutRule::open(expected, None, most).unwrap()).unwrap().reach();
        assert!(reach(None, 64 * MIB) > 400 * GIB);
        assert!(reach(None, 128 * MIB) > 800 * GIB);
        assert!(reach(None, MAX_PART_SIZE) > 20_000 * GIB);
        for expected in [1, GIB, 500 * GIB, 1000 * GIB] {
            assert!(reach(Some(expected), 256 * MIB) >= expected + expected / 3, "{expected}");
        }
        let error = CutRule::open(Some(10_000 * GIB), None, 64 * MIB).unwrap_err();
        assert!(matches!(error, PlanError::Memory { .. }), "{error}");
        let small = CutRule::open(None, Some(MIB), 64 * MIB).unwrap();
        assert_eq!(Plan::open(small).unwrap().reach(), 10_000 * MIB);
        assert!(CutRule::open(None, Some(65 * MIB), 64 * MIB).is_err());
    }

    #[test]
    fn units_keep_any_object_within_10000_parts() {
        for length in [1, 100 << 10, MIB, 6 * GIB, 500 * GIB, 10_000 * GIB, MAX_OBJECT_SIZE] {
            let rule = CutRule::new(length, None).unwrap();
            assert!(length.div_ceil(unit_of(rule)) <= 10_000, "{length}");
            assert!((MIN_PART_SIZE..=MAX_PART_SIZE).contains(&unit_of(rule)), "{length}");
            Plan::new(length, rule).unwrap();
        }
    }

    #[test]
    fn a_fixed_part_size_is_kept_and_can_be_halved() {
        let rule = CutRule::new(6 * GIB, Some(8 * MIB)).unwrap();
        assert_eq!(rule, CutRule::Even { unit: MIB, part_size: Some(8 * MIB) });
        let odd = CutRule::new(GIB, Some(3 * MIB + 1)).unwrap();
        assert_eq!(unit_of(odd), 3 * MIB + 1);
    }

    #[test]
    fn impossible_wishes_are_refused_with_the_way_out() {
        assert_eq!(CutRule::new(0, None), Err(PlanError::Empty));
        assert_eq!(
            CutRule::new(MAX_OBJECT_SIZE + 1, None).unwrap_err(),
            PlanError::TooLarge { length: MAX_OBJECT_SIZE + 1 }
        );
        assert_eq!(
            CutRule::new(GIB, Some(MIN_PART_SIZE - 1)).unwrap_err(),
            PlanError::PartSize { part_size: MIN_PART_SIZE - 1 }
        );
        assert_eq!(CutRule::new(GIB, Some(6 * GIB)).unwrap_err(), PlanError::PartSize { part_size: 6 * GIB });
        let error = CutRule::new(6 * GIB, Some(512 << 10)).unwrap_err();
        assert!(error.to_string().contains("12288 parts"), "{error}");
        assert!(error.to_string().contains("644246 bytes"), "{error}");
    }

    #[test]
    fn number_and_size_tell_the_range() {
        let plan = plan(10 * MIB + 5, Some(2 * MIB));
        let unit = unit_of(plan.rule());
        let number = |n| PartNumber::new(n).unwrap();
        assert_eq!(plan.part(number(3), unit).unwrap().range, ByteRange::new(2 * unit, 3 * unit));
        assert_eq!(plan.part(number(1), 10 * MIB + 5).unwrap().range, ByteRange::new(0, 10 * MIB + 5));
        assert_eq!(plan.part(number(1), unit + 1), None, "ends between cut points");
        assert_eq!(plan.part(number(1), 0), None);
        assert_eq!(plan.part(number(1), 11 * MIB), None, "ends behind the object");
        assert_eq!(plan.part(number(10_000), unit), None);
    }

    #[test]
    fn a_damaged_rule_makes_no_plan() {
        for rule in [
            CutRule::Even { unit: 0, part_size: None },
            CutRule::Even { unit: MIN_PART_SIZE, part_size: None },
            CutRule::Even { unit: MIB, part_size: Some(MIB + 1) },
            CutRule::Even { unit: MIB, part_size: Some(0) },
            CutRule::Ladder { unit: 0, first: 1, rung: 1, most: MIB },
            CutRule::Ladder { unit: MIB, first: 0, rung: 0, most: MIB },
            CutRule::Ladder { unit: MIB, first: 1, rung: 1, most: MIB - 1 },
            CutRule::Ladder { unit: MIB, first: 1, rung: 1, most: u64::MAX },
            CutRule::Ladder { unit: MIB, first: 1, rung: 1, most: MIB },
        ] {
            assert!(Plan::new(20 * GIB, rule).is_err(), "{rule:?}");
        }
    }

    fn any_rule() -> impl Strategy<Value = CutRule> {
        let ladder =
            (MIN_PART_SIZE..2 * MIB, 0u16..9000, 1u16..900, 0u64..9).prop_map(|(unit, first, rung, bits)| {
                CutRule::Ladder { unit, first, rung, most: (unit << bits) + bits }
            });
        let even = (MIN_PART_SIZE..2 * MIB).prop_map(|unit| CutRule::Even { unit, part_size: None });
        prop_oneof![ladder, even]
    }

    proptest! {
        #[test]
        fn number_and_size_tell_the_range_of_open_plans_too(rule in any_rule(), index in 0u64..10_000, wish in 0..99 * MIB) {
            let plan = Plan::open(rule).unwrap();
            let (start, next) = (rule.offset(index), rule.offset(index + 1));
            prop_assert!(next > start && next - start <= MAX_PART_SIZE);
            for inside in [start, start + 1, next - 1] {
                prop_assert_eq!(rule.index(inside), index);
                prop_assert_eq!(plan.last_cut_to(inside), start);
                prop_assert_eq!(plan.first_cut_from(inside), if inside == start { start } else { next });
            }
            let part = plan.cut(ByteRange::new(start, plan.reach().max(next)), wish);
            prop_assert_eq!(u64::from(part.number.get()), index + 1);
            prop_assert!(part.range.len() <= wish.max(next - start));
            prop_assert_eq!(plan.part(part.number, part.range.len()), Some(part));
            prop_assert!(!plan.is_tiled_by(&[part]), "the end is not known");
        }

        #[test]
        fn parts_cut_in_any_way_tile_the_object(
            length in 1u64..200 * MIB,
            part_size in prop::option::of(MIN_PART_SIZE..20 * MIB),
            wishes in prop::collection::vec(0u64..30 * MIB, 1..20),
        ) {
            let plan = plan(length, part_size);
            let mut parts = Vec::new();
            let mut rest = ByteRange::new(0, length);
            let mut wishes = wishes.iter().cycle();
            while !rest.is_empty() {
                let part = plan.cut(rest, *wishes.next().unwrap());
                prop_assert_eq!(plan.part(part.number, part.range.len()), Some(part));
                rest.start = part.range.end;
                parts.push(part);
            }
            prop_assert!(plan.is_tiled_by(&parts));
            let last = parts.len() - 1;
            prop_assert!(parts[..last].iter().all(|part| part.range.len() >= MIN_PART_SIZE));
            for missing in 0..parts.len() {
                let others: Vec<_> = parts.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, p)| *p).collect();
                prop_assert!(!plan.is_tiled_by(&others));
                prop_assert_eq!(plan.remaining(others.iter().map(|p| p.range)), vec![parts[missing].range]);
            }
        }
    }
}
