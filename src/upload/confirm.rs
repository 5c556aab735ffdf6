//! That the service has the parts as they were sent, before it makes the object of them.

use super::{Upload, UploadError};
use crate::client::Progress;
use crate::model::PartRecord;
use crate::session::Session;
use crate::transfer::PartList;

/// What the service has of the parts that were sent.
pub(super) enum Confirmed {
    /// All of them.
    All(PartList),
    /// These, and others are damaged or missing.
    Some(Vec<PartRecord>),
    /// The upload is gone.
    Gone(PartList),
}

impl Upload {
    /// Compares parts before the object is made, where some were not compared when they were sent: their answers had
    /// no checksum. So an object of damaged parts never exists, if the service lists checksums.
    pub(super) async fn confirm(
        &self,
        session: &Session,
        list: PartList,
        progress: &Progress,
    ) -> Result<Confirmed, UploadError> {
        if list.is_proved() {
            return Ok(Confirmed::All(list));
        }
        let opener = self.opener(progress);
        let confirmed = opener.confirm(&session.upload_id, list.parts()).await?;
        let Some(good) = confirmed else { return Ok(Confirmed::Gone(list)) };
        // The session's own plan may have been laid out before the length was known.
        let plan = session.plan.closed(list.length()).ok();
        let all = plan.and_then(|plan| PartList::new(&plan, good.clone()));
        Ok(all.map_or(Confirmed::Some(good), Confirmed::All))
    }
}
