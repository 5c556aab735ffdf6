use crate::checksum;
use crate::model::{Crc64, PartProof, PartRecord};
use crate::plan::{Part, Plan};

/// All parts of an object: their ranges tile it exactly, each byte once.
#[derive(Debug, Clone)]
pub(crate) struct PartList {
    parts: Vec<PartRecord>,
    crc64: Crc64,
    length: u64,
}

impl PartList {
    /// Returns the list if `parts` tile the object; only then.
    pub(crate) fn new(plan: &Plan, mut parts: Vec<PartRecord>) -> Option<Self> {
        parts.sort_by_key(|part| part.number);
        let tiles: Option<Vec<Part>> =
            parts.iter().map(|part| plan.part(part.number, part.range.len())).collect();
        if !plan.is_tiled_by(&tiles?) {
            return None;
        }
        let crc64 =
            parts.iter().fold(Crc64(0), |crc, part| checksum::combine(crc, part.crc64, part.range.len()));
        Some(Self { parts, crc64, length: plan.length()? })
    }

    /// Returns the parts in ascending order.
    pub(crate) fn parts(&self) -> &[PartRecord] {
        &self.parts
    }

    /// Returns the CRC-64 of the whole object, as its bytes were read here.
    pub(crate) fn crc64(&self) -> Crc64 {
        self.crc64
    }

    /// Whether each part was compared with what the service has.
    pub(crate) fn is_proved(&self) -> bool {
        self.parts.iter().all(|part| part.proof != PartProof::Nothing)
    }

    /// Returns the object's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}
