//! Where a publish begins: with the flow that an earlier run left, if it is still true, or with a new one.

use std::collections::BTreeMap;

use super::uploads::upload_all;
use super::{Publish, PublishError};
use crate::model::{ClientToken, ImageId, ObjectVersion};
use crate::state::{PublishLog, PublishState};
use crate::upload::{Upload, UploadReport};

/// The marks of the sources that become the objects, by object: length and modification time of a file.
type Sources = BTreeMap<String, (u64, i128)>;

impl Publish {
    /// Returns the flow of an earlier run of the same request, unless its image is gone.
    pub(super) async fn known_flow(&self, file: &PublishLog) -> Result<Option<PublishState>, PublishError> {
        let request = self.request_text();
        let known = file.load().map_err(PublishError::State)?.filter(|flow| flow.request == request);
        let Some(id) = known.as_ref().and_then(|flow| flow.import.image_id.clone()) else { return Ok(known) };
        // A caller who may not look it up learns more when the image is followed.
        if let Ok(None) = self.until_cancelled(self.importer.image(self.request.region(), &id)).await? {
            self.gone(&id);
            return Ok(None);
        }
        Ok(known)
    }

    /// Reports that the image of an earlier run no longer exists, nor anything that was done for it.
    pub(super) fn gone(&self, image: &ImageId) {
        self.events
            .notice(format!("the image {image} of an earlier run no longer exists: another one is made"));
    }

    /// Uploads what is to be uploaded, and returns the flow to go on with and whether an earlier run may have made its
    /// requests. `uploads` are left alone if they are done, and stay empty if the objects were imported and deleted.
    pub(super) async fn begin(
        &self,
        known: Option<PublishState>,
        uploads: &mut Option<Vec<UploadReport>>,
    ) -> Result<(PublishState, bool), PublishError> {
        let sources: Sources = self.uploads.iter().filter_map(Upload::source_mark).collect();
        let mut untouched = false;
        if let Some(flow) = known.as_ref().filter(|flow| flow.sources == sources) {
            let mut found = BTreeMap::new();
            for object in self.objects() {
                found.insert(object.clone(), self.version(&object).await?);
            }
            // Deleting is the last step: there is nothing to upload again. Unless the sources are others, or there is
            // an object again: then the image that was made is not theirs.
            let is_done = |(object, now): (&_, &Option<ObjectVersion>)| match now {
                Some(now) => is_known(flow, object, now),
                None => flow.deleted.contains(object),
            };
            untouched = found.iter().all(is_done);
            if untouched && !flow.deleted.is_empty() {
                if self.unmarked_are_those_of(flow).await? {
                    return Ok((flow.clone(), true));
                }
                untouched = false;
            }
        }
        if uploads.is_none() {
            *uploads = Some(self.send(untouched).await?);
        }
        let objects = self.present(uploads.as_deref().unwrap_or_default()).await?;
        let (mut flow, repeated) = match known {
            Some(flow) if is_same(&flow, &objects, ObjectVersion::is_same_version) => (flow, true),
            // What the image was made of is proved: that the same bytes were stored again changes nothing.
            Some(mut flow)
                if flow.import.available && is_same(&flow, &objects, ObjectVersion::has_same_bytes) =>
            {
                (flow.objects, flow.deleted) = (objects, Default::default());
                (flow, true)
            }
            // If an image of the old objects exists, it still has the name: the service will report it.
            _ => {
                let token = ClientToken::random();
                let request = self.import_request();
                let origin = request.origin(&objects);
                let origin = origin.unwrap_or_else(|| request.origin_of_token(&token));
                let mut flow = PublishState::new(self.request_text(), objects, origin, token);
                flow.completed = self.completed().await?;
                (flow, false)
            }
        };
        flow.sources = sources;
        if self.replace.is_some() {
            flow.stage();
        }
        Ok((flow, repeated))
    }

    /// Whether sources without a mark, which may be others each time, are those that deleted objects were made of.
    async fn unmarked_are_those_of(&self, flow: &PublishState) -> Result<bool, PublishError> {
        for upload in self.uploads.iter().filter(|upload| upload.source_mark().is_none()) {
            let Some(version) = flow.objects.get(&upload.object().to_string()) else { return Ok(false) };
            let is_same = self.until_cancelled(upload.makes(version)).await?.map_err(PublishError::Upload)?;
            if !is_same {
                return if upload.is_spent() { Err(other_stream(upload)) } else { Ok(false) };
            }
        }
        Ok(true)
    }

    /// Uploads all. Where source and object are what they were when the import was asked for, the object is not
    /// written again: ECS may be reading it. A source without a mark is compared with the object for that.
    async fn send(&self, untouched: bool) -> Result<Vec<UploadReport>, PublishError> {
        if !untouched {
            return upload_all(&self.uploads).await.map_err(PublishError::Upload);
        }
        let mut reports = Vec::new();
        for upload in &self.uploads {
            let there = self.until_cancelled(upload.already_there()).await?.map_err(PublishError::Upload)?;
            reports.push(match there {
                Some(report) => report,
                None if upload.is_spent() => return Err(other_stream(upload)),
                None => upload.run().await.map_err(PublishError::Upload)?,
            });
        }
        Ok(reports)
    }
}

fn other_stream(upload: &Upload) -> PublishError {
    PublishError::OtherStream { object: upload.object().clone() }
}

fn is_known(flow: &PublishState, object: &crate::model::ObjectRef, now: &ObjectVersion) -> bool {
    flow.objects.get(&object.to_string()).is_some_and(|then| then.is_same_version(now))
}

/// Whether all objects are those of a flow.
fn is_same(
    flow: &PublishState,
    objects: &BTreeMap<String, ObjectVersion>,
    same: fn(&ObjectVersion, &ObjectVersion) -> bool,
) -> bool {
    flow.objects.len() == objects.len()
        && objects.iter().all(|(name, now)| flow.objects.get(name).is_some_and(|then| same(then, now)))
}
