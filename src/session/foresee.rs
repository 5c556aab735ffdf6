//! What opening an upload would find, without opening or making anything.

use super::{Adopt, Belief, Claim, Opener, SessionError, claims};
use crate::model::UploadId;
use crate::plan::Plan;
use crate::protocol::oss::ListedPart;
use crate::state::{StateError, StoredUpload};

/// An upload as it would be opened.
#[derive(Debug)]
pub(crate) struct Foreseen {
    pub(crate) plan: Plan,
    /// The upload that would go on; without one a new one would begin.
    pub(crate) upload_id: Option<UploadId>,
    /// Parts that are in, or may be.
    pub(crate) claims: Vec<Claim>,
}

impl Opener<'_> {
    /// Looks for what [`open`](Self::open) would take up. It asks for nothing but lists.
    pub(crate) async fn foresee(&self) -> Result<Foreseen, SessionError> {
        let wished = self.wished()?;
        let (known, listed) = match self.known().await? {
            Some((known, listed)) => (Some(known), listed),
            None => (None, Vec::new()),
        };
        match (&self.options.adopt, known) {
            (Adopt::This(id), known)
                if known.as_ref().is_none_or(|known| known.checkpoint.upload_id != *id) =>
            {
                self.foresee_adopted(id.clone(), wished).await
            }
            (_, Some(known)) if !self.options.restart => {
                let belief = self.check(&known.checkpoint)?;
                let plan = self.plan(known.checkpoint.cut)?;
                let claims = claims(&plan, &known.journal.parts, listed, belief);
                Ok(Foreseen { plan, upload_id: Some(known.checkpoint.upload_id), claims })
            }
            (Adopt::TheOnlyOne, None) => {
                let id = self.only_open_upload().await?;
                self.foresee_adopted(id, wished).await
            }
            _ => Ok(Foreseen { plan: wished, upload_id: None, claims: Vec::new() }),
        }
    }

    /// Returns the upload of the object that the state knows and the service still has, and its parts.
    async fn known(&self) -> Result<Option<(StoredUpload, Vec<ListedPart>)>, SessionError> {
        let Some(state) = &self.options.state else { return Ok(None) };
        let (service, region) = (self.client.service(), self.client.region());
        let found = match state.find(&service, region, &self.options.object) {
            // What would be begun anew need not be readable.
            Err(_) if self.options.restart => return Ok(None),
            found => found.map_err(SessionError::State)?,
        };
        for stored in found {
            let is_ours = stored.checkpoint.service() == service;
            if let Some(holder) = stored.holder.clone().filter(|_| is_ours) {
                return Err(SessionError::State(StateError::Locked { holder }));
            }
            match self.list(&stored.checkpoint.upload_id).await {
                Ok(Some(listed)) => return Ok(Some((stored, listed))),
                // Another service's, or gone.
                Ok(None) => {}
                Err(SessionError::Call { source, .. }) if !is_ours && source.service().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn foresee_adopted(&self, upload_id: UploadId, plan: Plan) -> Result<Foreseen, SessionError> {
        let Some(listed) = self.list(&upload_id).await? else {
            return Err(SessionError::Adopt { object: self.options.object.clone(), count: 0 });
        };
        let claims = claims(&plan, &[], listed, Belief::Nothing);
        Ok(Foreseen { plan, upload_id: Some(upload_id), claims })
    }
}
