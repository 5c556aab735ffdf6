//! Which of the listed parts may be the object's. Pure.

use std::collections::HashMap;

use crate::model::{ByteRange, Crc64, ETag, PartProof, PartRecord};
use crate::plan::{Part, Plan};
use crate::protocol::oss::ListedPart;

/// A part of an earlier run, as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is recorded alike, of a source that cannot have changed since.
    Proved(PartRecord),
    /// It has to be compared with the content of its range.
    Listed(Unproved),
}

/// A listed part of which it is not known whether it has the content of its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unproved {
    pub(crate) part: Part,
    pub(crate) etag: ETag,
    /// Its CRC-64, if the service lists one.
    pub(crate) crc64: Option<Crc64>,
    /// Whether a record says that this part was acknowledged: it held what was sent.
    pub(crate) acknowledged: bool,
}

impl Claim {
    /// Returns the record of a part that is in.
    pub(crate) fn proved(&self) -> Option<&PartRecord> {
        match self {
            Self::Proved(record) => Some(record),
            Self::Listed(_) => None,
        }
    }

    /// Whether it held what was sent, and so the content as it was then.
    pub(crate) fn was_acknowledged(&self) -> bool {
        match self {
            Self::Proved(_) => true,
            Self::Listed(unproved) => unproved.acknowledged,
        }
    }

    /// Returns its bytes of the object.
    pub(crate) fn range(&self) -> ByteRange {
        match self {
            Self::Proved(record) => record.range,
            Self::Listed(unproved) => unproved.part.range,
        }
    }
}

/// How far the records of an earlier run are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// As they are.
    Recorded,
    /// As far as they say how the part was proved.
    Proved,
    /// Not at all: every part is compared.
    Nothing,
}

/// Returns the claims that follow from what the service lists. Of overlapping ones (an upload that was cut otherwise
/// before) the first stays; any other part is ignored: it is not named in CompleteMultipartUpload, and its number may
/// be sent again.
pub(crate) fn claims(
    plan: &Plan,
    recorded: &[PartRecord],
    listed: Vec<ListedPart>,
    belief: Belief,
) -> Vec<Claim> {
    let recorded: HashMap<_, _> = recorded.iter().map(|part| (part.number, part)).collect();
    let mut claims: Vec<Claim> = Vec::new();
    for there in listed {
        let Some(part) = plan.part(there.number, there.size) else { continue };
        if claims.last().is_some_and(|before| before.range().end > part.range.start) {
            continue;
        }
        let record = recorded
            .get(&there.number)
            .filter(|here| here.range == part.range && here.etag == there.etag)
            .filter(|here| there.crc64.is_none_or(|crc64| crc64 == here.crc64))
            .map(|record| {
                let proof = if there.crc64.is_some() { PartProof::Crc64 } else { record.proof };
                PartRecord { proof, ..(*record).clone() }
            });
        let acknowledged = record.is_some();
        let record = record.filter(|record| match belief {
            Belief::Recorded => true,
            Belief::Proved => record.proof != PartProof::Nothing,
            Belief::Nothing => false,
        });
        claims.push(match record {
            Some(record) => Claim::Proved(record),
            None => {
                let ListedPart { etag, crc64, .. } = there;
                Claim::Listed(Unproved { part, etag, crc64, acknowledged })
            }
        });
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PartNumber;
    use crate::plan::CutRule;

    const UNIT: u64 = 1 << 20;

    fn open() -> Plan {
        Plan::open(CutRule::Even { unit: UNIT, part_size: None }).unwrap()
    }

    fn listed(number: u16, size: u64, crc64: Option<u64>) -> ListedPart {
        let (number, etag, crc64) = (PartNumber::new(number).unwrap(), ETag::new("tag"), crc64.map(Crc64));
        ListedPart { number, etag, size, crc64, last_modified: None }
    }

    fn record(number: u16, range: (u64, u64), crc64: u64, proof: PartProof) -> PartRecord {
        let (number, range) = (PartNumber::new(number).unwrap(), ByteRange::new(range.0, range.1));
        PartRecord { number, range, etag: ETag::new("tag"), crc64: Crc64(crc64), proof }
    }

    fn ranges(plan: &Plan, there: Vec<ListedPart>) -> Vec<(u64, u64)> {
        let claims = claims(plan, &[], there, Belief::Nothing);
        claims.iter().map(|claim| (claim.range().start, claim.range().end)).collect()
    }

    #[test]
    fn of_overlapping_parts_the_first_stays() {
        let there = vec![
            listed(1, 3 * UNIT, None),
            listed(2, UNIT, None),
            listed(3, 2 * UNIT, None),
            listed(5, 7, None),
        ];
        assert_eq!(ranges(&open(), there), [(0, 3 * UNIT), (4 * UNIT, 4 * UNIT + 7)]);
    }

    #[test]
    fn a_part_that_is_listed_twice_or_out_of_order_is_claimed_once() {
        let there =
            vec![listed(2, UNIT, None), listed(2, UNIT, None), listed(1, UNIT, None), listed(3, UNIT, None)];
        assert_eq!(ranges(&open(), there), [(UNIT, 2 * UNIT), (2 * UNIT, 3 * UNIT)]);
    }

    #[test]
    fn parts_that_the_plan_does_not_have_are_no_claims() {
        let closed = open().closed(3 * UNIT + 5).unwrap();
        let there = || {
            vec![
                listed(1, UNIT - 1, None),
                listed(2, UNIT, None),
                listed(4, 5, None),
                listed(9, UNIT, None),
                listed(10, 0, None),
            ]
        };
        assert_eq!(ranges(&closed, there()), [(UNIT, 2 * UNIT), (3 * UNIT, 3 * UNIT + 5)]);
        let of_open = ranges(&open(), there());
        assert_eq!(of_open.len(), 4, "any end may be the object's: {of_open:?}");
        assert_eq!(
            ranges(&open(), vec![listed(10_000, UNIT, None), listed(10_000, UNIT + 1, None)]).len(),
            1
        );
    }

    #[test]
    fn a_record_is_believed_if_it_is_of_this_part_and_as_far_as_is_asked_for() {
        let proved = |record: PartRecord, there: ListedPart, belief| {
            claims(&open(), &[record], vec![there], belief)[0].proved().map(|record| record.proof)
        };
        let (nothing, crc64) = (PartProof::Nothing, PartProof::Crc64);
        let of = |proof| record(1, (0, UNIT), 7, proof);
        assert_eq!(proved(of(nothing), listed(1, UNIT, None), Belief::Recorded), Some(nothing));
        assert_eq!(proved(of(nothing), listed(1, UNIT, None), Belief::Proved), None);
        assert_eq!(proved(of(crc64), listed(1, UNIT, None), Belief::Proved), Some(crc64));
        assert_eq!(proved(of(crc64), listed(1, UNIT, None), Belief::Nothing), None);
        // What the service lists proves a record, or shows that it is another part's.
        assert_eq!(proved(of(nothing), listed(1, UNIT, Some(7)), Belief::Proved), Some(crc64));
        assert_eq!(proved(of(crc64), listed(1, UNIT, Some(8)), Belief::Recorded), None);
        assert_eq!(proved(of(crc64), listed(1, 2 * UNIT, None), Belief::Recorded), None);
        let other_tag = PartRecord { etag: ETag::new("other"), ..of(crc64) };
        assert_eq!(proved(other_tag, listed(1, UNIT, Some(7)), Belief::Recorded), None);
    }

    #[test]
    fn a_part_was_acknowledged_if_a_record_of_it_is_alike_believed_or_not() {
        let acknowledged = |number, crc64| {
            let recorded = [record(1, (0, UNIT), 7, PartProof::Nothing)];
            let listed = vec![listed(number, UNIT, Some(crc64))];
            claims(&open(), &recorded, listed, Belief::Nothing)[0].was_acknowledged()
        };
        assert!(acknowledged(1, 7));
        assert!(!acknowledged(1, 8), "it arrived damaged, or is another one");
        assert!(!acknowledged(2, 7));
    }
}
