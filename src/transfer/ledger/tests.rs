use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::blocks::Segment;
use crate::model::{Crc64, ETag, PartNumber, PartProof};
use crate::plan::CutRule;
use crate::protocol::oss::ListedPart;
use crate::session::{Belief, claims};
use crate::transfer::PartList;

/// The smallest distance of cut points that OSS allows.
const UNIT: u64 = 100 << 10;
const EVEN: CutRule = CutRule::Even { unit: UNIT, part_size: None };
const LADDER: CutRule = CutRule::Ladder { unit: UNIT, first: 3, rung: 2, most: 4 * UNIT };

fn open(rule: CutRule) -> Plan {
    Plan::open(rule).unwrap()
}

fn record(part: Part) -> PartRecord {
    let (etag, proof) = (ETag::new("tag"), PartProof::Crc64);
    PartRecord { number: part.number, range: part.range, etag, crc64: Crc64(0), proof }
}

fn claim(plan: Plan, number: u16, size: u64) -> Claim {
    let part = plan.part(PartNumber::new(number).unwrap(), size).unwrap();
    Claim::Listed(Unproved { part, etag: ETag::new("tag"), crc64: Some(Crc64(0)), acknowledged: true })
}

fn listed(number: u16, size: u64) -> ListedPart {
    let (number, etag) = (PartNumber::new(number).unwrap(), ETag::new("tag"));
    ListedPart { number, etag, size, crc64: None, last_modified: None }
}

fn zeros(count: u64) -> Content {
    Segment::Zeros(count).into()
}

/// Deals everything that can be dealt, and acknowledges it.
fn send_all(ledger: &mut Ledger) -> Vec<ByteRange> {
    let mut sent = Vec::new();
    while let Some(piece) = ledger.deal(UNIT, false) {
        sent.push(piece.part.range);
        ledger.is_in(record(piece.part));
    }
    sent
}

fn tiles(ledger: Ledger) -> bool {
    let (plan, parts, _) = ledger.into_parts();
    PartList::new(&plan, parts).is_some()
}

#[test]
fn a_claim_that_ends_with_the_object_is_compared_only_when_the_object_has_ended() {
    let plan = open(EVEN);
    let mut ledger = Ledger::new(plan, [claim(plan, 1, UNIT + 7)]);
    ledger.know(0, zeros(UNIT + 7)).unwrap();
    assert!(ledger.compare().is_none(), "more may follow");
    assert_eq!(ledger.waiting(), 0);
    assert!(!ledger.end(UNIT + 7).unwrap());
    let (claim, content) = ledger.compare().unwrap();
    assert_eq!((claim.part.range, content.len()), (ByteRange::new(0, UNIT + 7), UNIT + 7));
    ledger.confirm(record(plan.part(claim.part.number, UNIT + 7).unwrap()));
    assert!(tiles(ledger));
}

#[test]
fn a_claim_that_ended_a_shorter_object_is_sent_again_when_the_object_goes_on() {
    let plan = open(EVEN);
    let mut ledger = Ledger::new(plan, [claim(plan, 1, UNIT + 7)]);
    ledger.know(0, zeros(UNIT + 7)).unwrap();
    ledger.know(UNIT + 7, zeros(1)).unwrap();
    assert_eq!(ledger.waiting(), UNIT + 8);
    assert!(!ledger.end(UNIT + 8).unwrap());
    assert_eq!(send_all(&mut ledger).len(), 2);
    assert!(tiles(ledger));
}

#[test]
fn claims_of_a_longer_object_are_told_and_what_the_object_has_of_them_is_sent() {
    let plan = open(EVEN);
    for (length, waiting) in [(2 * UNIT + 5, 5), (2 * UNIT, 0), (5, 5)] {
        let mut ledger = Ledger::new(plan, [claim(plan, 3, UNIT), claim(plan, 9, 2 * UNIT)]);
        ledger.know(0, zeros(length)).unwrap();
        assert_eq!(ledger.waiting(), length.min(2 * UNIT));
        assert!(ledger.end(length).unwrap());
        assert_eq!(ledger.waiting(), length.min(2 * UNIT) + waiting * u64::from(length > 2 * UNIT));
        send_all(&mut ledger);
        assert!(tiles(ledger));
    }
}

#[test]
fn a_part_that_was_never_acknowledged_tells_nothing_about_the_length() {
    let plan = open(EVEN);
    let claims = claims(&plan, &[], vec![listed(3, UNIT)], Belief::Nothing);
    let mut ledger = Ledger::new(plan, claims);
    ledger.know(0, zeros(UNIT)).unwrap();
    assert!(ledger.has_open_claims());
    assert!(!ledger.end(UNIT).unwrap());
    assert!(!ledger.has_open_claims());
}

#[test]
fn a_head_that_is_known_last_is_compared_last_and_what_is_behind_it_before() {
    let plan = open(EVEN);
    let mut ledger = Ledger::new(plan, [claim(plan, 1, UNIT), claim(plan, 2, UNIT)]);
    ledger.know(9, zeros(2 * UNIT - 9)).unwrap();
    assert_eq!(ledger.compare().unwrap().0.part.number.get(), 2);
    assert!(ledger.compare().is_none());
    ledger.know(0, zeros(9)).unwrap();
    assert_eq!(ledger.compare().unwrap().0.part.number.get(), 1);
    assert_eq!(ledger.waiting(), 0);
}

#[test]
fn what_is_compared_counts_until_it_is_decided() {
    let plan = open(EVEN);
    let mut ledger = Ledger::new(plan, [claim(plan, 1, UNIT), claim(plan, 2, UNIT)]);
    ledger.know(0, zeros(3 * UNIT)).unwrap();
    assert_eq!((ledger.waiting(), ledger.undecided()), (UNIT, 3 * UNIT));
    let (first, second) = (ledger.compare().unwrap().0, ledger.compare().unwrap().0);
    assert!(!ledger.has_to_compare());
    assert_eq!(ledger.undecided(), 3 * UNIT);
    ledger.refute(first.part.range);
    assert_eq!((ledger.waiting(), ledger.undecided()), (2 * UNIT, 3 * UNIT));
    ledger.confirm(record(plan.part(second.part.number, UNIT).unwrap()));
    assert_eq!(ledger.undecided(), 2 * UNIT);
}

#[test]
fn more_than_the_cut_points_reach_is_refused_as_soon_as_it_is_known() {
    let plan = open(EVEN);
    let (mut ledger, reach) = (Ledger::new(plan, []), plan.reach());
    ledger.know(0, zeros(reach)).unwrap();
    assert_eq!(ledger.know(reach, zeros(1)), Err(PlanError::TooLong { reach }));
    assert_eq!(ledger.waiting(), reach, "what no part can be made of does not wait");
    while let Some(piece) = ledger.deal(u64::MAX, false) {
        assert!(piece.part.range.end <= reach);
    }
}

/// How the parts of an earlier run came about, in units from the beginning: a gap, a length, an odd end, and whether
/// the bytes are the same.
type Earlier = (u64, u64, Option<u64>, bool);

/// An object, and what happens while it is sent.
#[derive(Debug, Clone)]
struct Case {
    length: u64,
    rule: CutRule,
    /// Whether the length is known from the beginning.
    closed: bool,
    /// Whether the first bytes are known last, and how many.
    head_last: Option<u64>,
    chunks: Vec<u64>,
    earlier: Vec<Earlier>,
    belief: Belief,
    steps: Vec<(u8, usize, u64)>,
}

fn case() -> impl Strategy<Value = Case> {
    let chunk = prop_oneof![1 => Just(0), 2 => 1..UNIT, 4 => Just(UNIT), 3 => 1..5 * UNIT];
    let earlier = (0u64..4, 1u64..5, prop::option::weighted(0.2, 1..UNIT), prop::bool::weighted(0.7));
    let belief = prop_oneof![Just(Belief::Nothing), Just(Belief::Recorded)];
    (
        1..20 * UNIT,
        prop_oneof![Just(EVEN), Just(LADDER)],
        any::<bool>(),
        prop::option::of(1..2 * UNIT),
        prop::collection::vec(chunk, 1..12),
        prop::collection::vec(earlier, 0..7),
        belief,
        prop::collection::vec((0u8..8, any::<usize>(), 0..6 * UNIT), 1..150),
    )
        .prop_map(|(length, rule, closed, head_last, chunks, earlier, belief, steps)| Case {
            length,
            rule,
            closed,
            head_last: head_last.filter(|head| *head < length),
            chunks,
            earlier,
            belief,
            steps,
        })
}

impl Case {
    fn plan(&self) -> Plan {
        if self.closed { Plan::new(self.length, self.rule).unwrap() } else { open(self.rule) }
    }

    /// Returns what becomes known, in order.
    fn supplies(&self) -> VecDeque<ByteRange> {
        let head = self.head_last.unwrap_or(0);
        let (mut supplies, mut at) = (VecDeque::new(), head);
        for chunk in self.chunks.iter().chain(std::iter::repeat(&self.length)) {
            let next = (at + chunk).min(self.length);
            supplies.push_back(ByteRange::new(at, next));
            at = next;
            if at == self.length {
                break;
            }
        }
        supplies.extend(self.head_last.map(|head| ByteRange::new(0, head)));
        supplies
    }

    /// Returns the parts of an earlier run as the service lists them, and whether each has the object's bytes, or those of
    /// a longer object with the same beginning.
    fn listed(&self) -> Vec<(ListedPart, ByteRange, bool)> {
        let (plan, all) = (open(self.rule), ByteRange::new(0, u64::MAX >> 1));
        let (mut listed, mut at) = (Vec::new(), 0);
        for (gap, units, odd, same) in &self.earlier {
            for _ in 0..*gap {
                at = plan.cut(ByteRange { start: at, ..all }, 0).range.end;
            }
            let mut part = plan.cut(ByteRange { start: at, ..all }, 0);
            for _ in 1..*units {
                part.range.end = plan.cut(ByteRange { start: part.range.end, ..all }, 0).range.end;
            }
            part.range.end -= odd.unwrap_or(0);
            at = plan.first_cut_from(part.range.end);
            let (number, size, range) = (part.number, part.range.len(), part.range);
            let there = ListedPart { number, etag: ETag::new("tag"), size, crc64: None, last_modified: None };
            // What reaches beyond the object is another one's.
            listed.push((there, range, *same && range.end <= self.length));
        }
        listed
    }
}

/// Every byte of an object at its place.
struct Object {
    bytes: Bytes,
}

impl Object {
    fn content(&self, range: ByteRange) -> Content {
        let half = range.start + range.len() / 2;
        let mut content = Content::default();
        for (start, end) in [(range.start, half), (half, range.end)] {
            content.push(Segment::Held(self.bytes.slice(start as usize..end as usize)));
        }
        content
    }

    /// Whether some content is that of a range: the bytes there, and no copies of them.
    fn is(&self, range: ByteRange, mut content: Content) -> bool {
        let mut at = range.start as usize;
        while let Some(Segment::Held(bytes)) = content.pop() {
            if bytes.as_ptr() != self.bytes[at..].as_ptr() {
                return false;
            }
            at += bytes.len();
        }
        content.len() == 0 && at == range.end as usize
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_parts_tile_the_object_and_what_is_in_is_not_sent(case in case()) {
        let object = Object { bytes: vec![0; case.length as usize].into() };
        let (plan, listed) = (case.plan(), case.listed());
        let same = |range: ByteRange| listed.iter().any(|(_, there, same)| *there == range && *same);
        // Records are of parts that are the same: nothing else is believed.
        let recorded: Vec<_> = listed
            .iter()
            .filter(|(.., same)| *same)
            .map(|(there, range, _)| record(Part { number: there.number, range: *range }))
            .collect();
        let claims = claims(&plan, &recorded, listed.iter().map(|(there, ..)| there.clone()).collect(), case.belief);
        let longer = claims.iter().any(|claim| claim.was_acknowledged() && claim.range().end > case.length);
        let ends = Plan::new(case.length, case.rule).unwrap();
        let keepable: Vec<_> =
            claims.iter().map(Claim::range).filter(|range| same(*range) && ends.is_end(range.end)).collect();

        let mut ledger = Ledger::new(plan, claims);
        let mut supplies = case.supplies();
        let (mut running, mut comparing) = (Vec::new(), Vec::new());
        let (mut known, mut sent, mut returned) = (0, 0, 0);
        // What chance leaves over is done in order.
        let mut steps = case.steps.iter().copied().chain([0, 2, 3, 7].map(|kind| (kind, 0, UNIT)).into_iter().cycle());
        loop {
            let (kind, which, wish) = steps.next().unwrap();
            match kind {
                0 | 1 => match supplies.pop_front() {
                    Some(range) => {
                        known += range.len();
                        ledger.know(range.start, object.content(range)).unwrap();
                    }
                    None if !ledger.has_ended() => prop_assert_eq!(ledger.end(case.length).unwrap(), longer),
                    None => {}
                },
                2 => {
                    if let Some(piece) = ledger.deal(wish, which % 2 == 0) {
                        let range = piece.part.range;
                        prop_assert!(object.is(range, piece.content));
                        let kept = |claimed: &ByteRange| claimed.start < range.end && range.start < claimed.end;
                        prop_assert!(!keepable.iter().any(kept), "{:?} is in and is sent", range);
                        sent += range.len();
                        running.push(piece.part);
                    }
                }
                3 | 4 if !running.is_empty() => {
                    ledger.is_in(record(running.swap_remove(which % running.len())));
                }
                5 | 6 if !running.is_empty() => {
                    let part = running.swap_remove(which % running.len());
                    returned += part.range.len();
                    ledger.give_back_in(part.range, wish.max(1));
                }
                7 => {
                    if let Some((claim, content)) = ledger.compare() {
                        prop_assert!(object.is(claim.part.range, content));
                        comparing.push(claim);
                    }
                    if !comparing.is_empty() {
                        let claim: Unproved = comparing.swap_remove(which % comparing.len());
                        match same(claim.part.range) {
                            true => ledger.confirm(record(claim.part)),
                            false => ledger.refute(claim.part.range),
                        }
                    }
                }
                _ => {}
            }
            let done: u64 = ledger.done.iter().map(|part| part.range.len()).sum();
            prop_assert_eq!(ledger.known.bytes(), known - done, "what is in is forgotten, and nothing else");
            let on_its_way: u64 = running.iter().map(|part| part.range.len()).sum();
            prop_assert!(ledger.undecided() + on_its_way + done <= known);
            if ledger.has_ended() {
                prop_assert_eq!(ledger.undecided() + on_its_way + done, case.length);
                if done == case.length {
                    break;
                }
            }
        }
        let kept: u64 = keepable.iter().map(|range| range.len()).sum();
        prop_assert_eq!(sent, case.length - kept + returned, "every byte is sent once, unless it came back");
        let (plan, parts, kept) = ledger.into_parts();
        prop_assert_eq!(kept, keepable.len());
        prop_assert!(PartList::new(&plan, parts).is_some());
    }
}

#[test]
fn as_long_as_the_end_is_not_known_there_may_be_any_number_more() {
    let mut ledger = Ledger::new(open(EVEN), []);
    ledger.know(0, zeros(3 * UNIT)).unwrap();
    assert_eq!(ledger.left(u64::MAX), u64::MAX);
    assert_eq!(ledger.left(UNIT), 3 * UNIT, "what waits is left in any case");
    ledger.end(3 * UNIT).unwrap();
    assert_eq!(ledger.left(u64::MAX), 3 * UNIT);
    let length = 5 * UNIT;
    let mut ledger = Ledger::new(Plan::new(length, EVEN).unwrap(), []);
    ledger.know(0, zeros(length)).unwrap();
    assert_eq!(ledger.left(u64::MAX), length, "a file is known from its beginning to its end");
}
