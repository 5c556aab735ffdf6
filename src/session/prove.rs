//! Which of the listed parts are the source's.

use std::collections::HashMap;

use super::{Opener, SessionError};
use crate::blocks::{digest, located};
use crate::event::Event;
use crate::model::{ByteRange, ETag, PartNumber, PartProof, PartRecord, UploadId};
use crate::plan::{Part, Plan};
use crate::protocol::oss::{ListedPart, is_md5};

impl Opener<'_> {
    /// Returns the parts that are in, of those that the service lists: recorded alike, or equal to the local
    /// bytes. Of overlapping ones (an upload that was cut otherwise before) the first stays.
    pub(crate) async fn prove(
        &self,
        plan: &Plan,
        recorded: &[PartRecord],
        listed: Vec<ListedPart>,
        verify: bool,
    ) -> Result<Vec<PartRecord>, SessionError> {
        let recorded: HashMap<_, _> = recorded.iter().map(|part| (part.number, part)).collect();
        let mut proved: Vec<PartRecord> = Vec::new();
        for there in listed {
            let Some(part) = plan.part(there.number, there.size) else { continue };
            if proved.last().is_some_and(|before| before.range.end > part.range.start) {
                continue;
            }
            let record = recorded
                .get(&there.number)
                .filter(|here| here.range == part.range && here.etag == there.etag)
                .filter(|here| there.crc64.is_none_or(|crc64| crc64 == here.crc64));
            match record {
                Some(record) if !verify => {
                    let proof = if there.crc64.is_some() { PartProof::Crc64 } else { record.proof };
                    proved.push(PartRecord { proof, ..(*record).clone() });
                }
                _ => proved.extend(self.compare(part, there).await?),
            }
        }
        Ok(proved)
    }

    /// Compares a listed part with the local bytes: by CRC-64, or by MD5 against its tag where no CRC-64 is
    /// listed.
    async fn compare(&self, part: Part, there: ListedPart) -> Result<Option<PartRecord>, SessionError> {
        let failed = |error| unreadable(part.number, part.range, error);
        let crc64 = digest::crc64(self.source, part.range, self.limits).await.map_err(failed)?;
        let (good, proof) = match there.crc64 {
            Some(listed) => (listed == crc64, PartProof::Crc64),
            None => (self.has_md5(part.number, part.range, &there.etag).await?, PartProof::Md5),
        };
        // Reading takes as long as it takes, and does not mean that the service is silent.
        self.progress.acknowledge();
        self.events.emit(Event::Verified { number: part.number, good });
        let record = PartRecord { number: part.number, range: part.range, etag: there.etag, crc64, proof };
        Ok(good.then_some(record))
    }

    /// Looks up all parts of an upload that is about to be completed, of which some were not compared when they
    /// were sent, and returns those that are good; nothing if the upload is gone. `md5` reads those again of
    /// which the service lists no CRC-64 either, to compare their tags.
    pub(crate) async fn confirm(
        &self,
        upload_id: &UploadId,
        parts: &[PartRecord],
        md5: bool,
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
            if !is_same {
                continue;
            }
            let proof = match (there.crc64, part.proof) {
                (Some(_), _) => PartProof::Crc64,
                // If a tag is not an MD5, a difference means nothing.
                (None, PartProof::Nothing)
                    if md5 && self.has_md5(part.number, part.range, &part.etag).await? =>
                {
                    PartProof::Md5
                }
                (None, proof) => proof,
            };
            good.push(PartRecord { proof, ..part.clone() });
        }
        Ok(Some(good))
    }

    /// Whether a tag is the MD5 of the local bytes, which are read for that.
    async fn has_md5(&self, number: PartNumber, range: ByteRange, etag: &ETag) -> Result<bool, SessionError> {
        let failed = |error| unreadable(number, range, error);
        let md5 = digest::md5(self.source, range, self.limits).await.map_err(failed)?;
        self.progress.acknowledge();
        Ok(is_md5(etag, &md5))
    }
}

fn unreadable(number: PartNumber, range: ByteRange, error: std::io::Error) -> SessionError {
    let (offset, source) = located(error, range.start);
    SessionError::Source { part: number.get(), offset, source }
}
