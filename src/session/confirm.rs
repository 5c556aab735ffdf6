//! Whether the service has the parts as they were sent.

use std::collections::HashMap;

use super::{Opener, SessionError};
use crate::model::{PartProof, PartRecord, UploadId};

impl Opener<'_> {
    /// Looks up all parts of an upload that is about to be completed, of which some were not compared when they
    /// were sent, and returns those that are good; nothing if the upload is gone.
    pub(crate) async fn confirm(
        &self,
        upload_id: &UploadId,
        parts: &[PartRecord],
    ) -> Result<Option<Vec<PartRecord>>, SessionError> {
        let Some(listed) = self.list(upload_id).await? else { return Ok(None) };
        let listed: HashMap<_, _> = listed.iter().map(|part| (part.number, part)).collect();
        let mut good = Vec::with_capacity(parts.len());
        for part in parts {
            // A part that is not listed proves nothing, not even that it is missing: Complete will report it if it is.
            let Some(there) = listed.get(&part.number) else {
                good.push(part.clone());
                continue;
            };
            let is_same = there.etag == part.etag
                && there.size == part.range.len()
                && there.crc64.is_none_or(|crc64| crc64 == part.crc64);
            if is_same {
                let proof = if there.crc64.is_some() { PartProof::Crc64 } else { part.proof };
                good.push(PartRecord { proof, ..part.clone() });
            }
        }
        Ok(Some(good))
    }
}
