//! Which of the listed parts may be the object's. Pure.

use std::collections::HashMap;

use crate::model::{ByteRange, Crc64, ETag, PartNumber, PartProof, PartRecord};
use crate::plan::{Part, Plan};
use crate::protocol::oss::ListedPart;

/// A part of an earlier run, as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is recorded alike, of a source that cannot have changed since.
    Proved(PartRecord),
    /// It has to be compared with the content of its range.
    Listed {
        part: Part,
        etag: ETag,
        /// Its CRC-64, if the service lists one.
        crc64: Option<Crc64>,
    },
}

impl Claim {
    /// Returns the record of a part that is in.
    pub(crate) fn proved(&self) -> Option<&PartRecord> {
        match self {
            Self::Proved(record) => Some(record),
            Self::Listed { .. } => None,
        }
    }

    pub(crate) fn number(&self) -> PartNumber {
        match self {
            Self::Proved(record) => record.number,
            Self::Listed { part, .. } => part.number,
        }
    }

    /// Returns its bytes of the object.
    pub(crate) fn range(&self) -> ByteRange {
        match self {
            Self::Proved(record) => record.range,
            Self::Listed { part, .. } => part.range,
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
            })
            .filter(|record| match belief {
                Belief::Recorded => true,
                Belief::Proved => record.proof != PartProof::Nothing,
                Belief::Nothing => false,
            });
        claims.push(match record {
            Some(record) => Claim::Proved(record),
            None => Claim::Listed { part, etag: there.etag, crc64: there.crc64 },
        });
    }
    claims
}
