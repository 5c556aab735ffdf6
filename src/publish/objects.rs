//! The objects of a publish: what they are before the import, whether they still are that after it, and their end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Publish, PublishError};
use crate::client::CallError;
use crate::import::ImportTask;
use crate::model::{ObjectRef, ObjectVersion};
use crate::protocol::oss::{DeleteObject, HeadObject};
use crate::upload::UploadReport;

impl Publish {
    /// Returns the objects of the request, each once.
    pub(super) fn objects(&self) -> BTreeSet<ObjectRef> {
        self.request.disks().iter().map(|disk| disk.object.clone()).collect()
    }

    /// Returns what an object is now; nothing if it is not there.
    pub(super) async fn version(&self, object: &ObjectRef) -> Result<Option<ObjectVersion>, PublishError> {
        match self.head(object).await? {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.service().is_some_and(|answer| answer.status == 404) => Ok(None),
            Err(error) => Err(failed(object, error)),
        }
    }

    /// Returns what all objects are now, by their names. Those that were uploaded must be what was uploaded.
    pub(super) async fn present(
        &self,
        uploads: &[UploadReport],
    ) -> Result<BTreeMap<String, ObjectVersion>, PublishError> {
        let mut present = BTreeMap::new();
        for object in self.objects() {
            let now = self.head(&object).await?.map_err(|error| failed(&object, error))?;
            let stored = uploads.iter().map(|report| &report.stored).find(|stored| stored.object == object);
            if stored.is_some_and(|stored| stored.version().contradicts(&now)) {
                return Err(PublishError::Replaced { object, image: None });
            }
            present.insert(object.to_string(), now);
        }
        Ok(present)
    }

    /// Checks that the objects are what they were before the import: what was stored since may have got into the
    /// image.
    pub(super) async fn check_unreplaced(
        &self,
        before: &BTreeMap<String, ObjectVersion>,
        task: &ImportTask,
    ) -> Result<(), PublishError> {
        for object in self.objects() {
            let now = self.version(&object).await?;
            let then = before.get(&object.to_string());
            match (then, now) {
                (Some(then), Some(now)) if then.contradicts(&now) => {
                    let image = Some(Box::new((task.region.clone(), task.image_id.clone())));
                    return Err(PublishError::Replaced { object, image });
                }
                (Some(then), Some(now)) if then.is_same_version(&now) => {}
                (_, Some(_)) => self.events.notice(format!(
                    "the service does not report when `{object}` was stored: it may have been replaced while it was \
                    imported"
                )),
                (_, None) => self.events.notice(format!(
                    "`{object}` no longer exists: it may have been replaced while it was imported"
                )),
            }
        }
        Ok(())
    }

    /// Whether an object still is there to be deleted; it must be the one that was imported. That it is gone is fine.
    pub(super) async fn may_be_deleted(
        &self,
        object: &ObjectRef,
        imported: Option<&ObjectVersion>,
    ) -> Result<bool, PublishError> {
        let Some(now) = self.version(object).await? else { return Ok(false) };
        if !imported.is_some_and(|imported| imported.is_same_version(&now)) {
            return Err(PublishError::Kept { object: object.clone() });
        }
        Ok(true)
    }

    /// Deletes an object that may be deleted.
    pub(super) async fn delete(&self, object: &ObjectRef) -> Result<(), PublishError> {
        let delete = DeleteObject { object: object.clone() };
        let deleted = self.until_cancelled(self.importer.client().call(&delete)).await?;
        deleted.map(drop).map_err(|error| failed(object, error))
    }

    async fn head(&self, object: &ObjectRef) -> Result<Result<ObjectVersion, CallError>, PublishError> {
        let operation = HeadObject::new(object.clone());
        let head = self.until_cancelled(self.importer.client().call(&operation)).await?;
        Ok(head.map(|head| head.version()))
    }
}

fn failed(object: &ObjectRef, error: CallError) -> PublishError {
    PublishError::Object { object: object.clone(), source: Box::new(error) }
}
