//! Which of the listed parts are the source's.

use std::collections::HashMap;

use super::{Opener, SessionError};
use crate::blocks::digest;
use crate::event::Event;
use crate::plan::{Part, Plan};
use crate::protocol::oss::ListedPart;
use crate::state::PartRecord;

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
                Some(record) if !verify => proved.push((*record).clone()),
                _ => proved.extend(self.compare(part, there).await?),
            }
        }
        Ok(proved)
    }

    /// Compares a listed part with the local bytes: by CRC-64, or by MD5 against its tag where no CRC-64 is
    /// listed.
    async fn compare(&self, part: Part, there: ListedPart) -> Result<Option<PartRecord>, SessionError> {
        let failed = |source| SessionError::Source { part: part.number.get(), source };
        let crc64 = digest::crc64(self.source, part.range, self.limits).await.map_err(failed)?;
        let good = match there.crc64 {
            Some(listed) => listed == crc64,
            None => {
                let md5 = digest::md5(self.source, part.range, self.limits).await.map_err(failed)?;
                let hex: String = md5.iter().map(|byte| format!("{byte:02X}")).collect();
                there.etag.unquoted().eq_ignore_ascii_case(&hex)
            }
        };
        // Reading takes as long as it takes, and is no silence of the service.
        self.progress.acknowledge();
        self.events.emit(Event::Verified { number: part.number, good });
        let record = PartRecord { number: part.number, range: part.range, etag: there.etag, crc64 };
        Ok(good.then_some(record))
    }
}
