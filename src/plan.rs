//! How an object is cut into parts, from its length and a rule alone.
//!
//! A [`Plan`] is a sorted list of *cut points*. A part spans from one cut point to a later one, and its number
//! is 1 + the index of its first cut point. So a part's number and size give its byte range; parts may differ
//! in size and numbers may have gaps, both of which OSS allows ("CompleteMultipartUpload" page); a part can be
//! cut again at any cut point within it; and the same plan follows from the same file on another machine.

use crate::model::limits::{MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE};
use crate::model::{ByteRange, PartNumber};

/// Cut points lie at multiples of this many bytes, so that parts begin on whole blocks.
const CUT_ALIGNMENT: u64 = 256 << 10;

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
pub struct CutRule {
    /// Cut points are the multiples of this many bytes.
    pub unit: u64,
    /// The size of every part but the last, if it was fixed; a multiple of `unit`.
    pub part_size: Option<u64>,
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
            return Ok(Self { unit, part_size: None });
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
        Ok(Self { unit, part_size: Some(part_size) })
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
    length: u64,
    rule: CutRule,
}

impl Plan {
    /// Lays the rule over an object of `length` bytes.
    ///
    /// # Errors
    ///
    /// When the rule makes no plan for this length: it came from a damaged checkpoint or another file.
    pub fn new(length: u64, rule: CutRule) -> Result<Self, PlanError> {
        if length == 0 {
            return Err(PlanError::Empty);
        }
        if !(MIN_PART_SIZE..=MAX_PART_SIZE).contains(&rule.unit) {
            return Err(PlanError::PartSize { part_size: rule.unit });
        }
        let parts = length.div_ceil(rule.unit);
        if parts > u64::from(MAX_PARTS) {
            let smallest = MIN_PART_SIZE.max(length.div_ceil(u64::from(MAX_PARTS)));
            return Err(PlanError::TooManyParts { part_size: rule.unit, length, parts, smallest });
        }
        let whole_units = rule.part_size.is_none_or(|size| size > 0 && size.is_multiple_of(rule.unit));
        if !whole_units {
            return Err(PlanError::PartSize { part_size: rule.part_size.unwrap_or_default() });
        }
        Ok(Self { length, rule })
    }

    /// Returns the object's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the rule.
    pub fn rule(&self) -> CutRule {
        self.rule
    }

    /// Returns the part that a number and a size in bytes mean, or nothing if there is no such part.
    pub fn part(&self, number: PartNumber, size: u64) -> Option<Part> {
        let start = u64::from(number.get() - 1) * self.rule.unit;
        let end = start.checked_add(size)?;
        let fits = size > 0 && end <= self.length && size <= MAX_PART_SIZE && self.is_cut_point(end);
        fits.then(|| Part { number, range: ByteRange::new(start, end) })
    }

    /// Returns the part that begins at `range.start` and has at most `wish` bytes, rounded to a cut point: at
    /// least one unit, and never past the end of `range`. Both ends of `range` are cut points.
    ///
    /// # Panics
    ///
    /// If `range` is empty or does not begin at a cut point.
    pub fn cut(&self, range: ByteRange, wish: u64) -> Part {
        assert!(
            range.start < self.length && range.start.is_multiple_of(self.rule.unit),
            "parts begin at cut points"
        );
        let units = (wish.min(MAX_PART_SIZE) / self.rule.unit).max(1);
        let end = range.end.min(self.length).min(range.start + units * self.rule.unit);
        let index = u16::try_from(range.start / self.rule.unit).expect("there are at most 10,000 cut points");
        let number = PartNumber::new(index + 1).expect("there are at most 10,000 cut points");
        Part { number, range: ByteRange::new(range.start, end) }
    }

    /// Returns what `covered` leaves of the object, in order. The ranges in `covered` need no order.
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
        if at < self.length {
            gaps.push(ByteRange::new(at, self.length));
        }
        gaps
    }

    /// Whether `parts`, in ascending order, cover the object exactly, each byte once.
    pub fn is_tiled_by<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> bool {
        let mut at = 0;
        for part in parts {
            if part.range.start != at || self.part(part.number, part.range.len()) != Some(*part) {
                return false;
            }
            at = part.range.end;
        }
        at == self.length
    }

    fn is_cut_point(&self, offset: u64) -> bool {
        offset == self.length || (offset < self.length && offset.is_multiple_of(self.rule.unit))
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

    #[test]
    fn units_keep_any_object_within_10000_parts() {
        for length in [1, 100 << 10, MIB, 6 * GIB, 500 * GIB, 10_000 * GIB, MAX_OBJECT_SIZE] {
            let rule = CutRule::new(length, None).unwrap();
            assert!(length.div_ceil(rule.unit) <= 10_000, "{length}");
            assert!((MIN_PART_SIZE..=MAX_PART_SIZE).contains(&rule.unit), "{length}");
            Plan::new(length, rule).unwrap();
        }
    }

    #[test]
    fn a_fixed_part_size_is_kept_and_can_be_halved() {
        let rule = CutRule::new(6 * GIB, Some(8 * MIB)).unwrap();
        assert_eq!(rule, CutRule { unit: MIB, part_size: Some(8 * MIB) });
        let odd = CutRule::new(GIB, Some(3 * MIB + 1)).unwrap();
        assert_eq!(odd.unit, 3 * MIB + 1);
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
        let unit = plan.rule().unit;
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
            CutRule { unit: 0, part_size: None },
            CutRule { unit: MIN_PART_SIZE, part_size: None },
            CutRule { unit: MIB, part_size: Some(MIB + 1) },
            CutRule { unit: MIB, part_size: Some(0) },
        ] {
            assert!(Plan::new(20 * GIB, rule).is_err(), "{rule:?}");
        }
    }

    proptest! {
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
