//! What is done to the images once all are Available, and the end of the objects.

use std::collections::BTreeSet;

use super::steps::Steps;
use super::{PublishError, PublishReport, Published};
use crate::ErrorKind;
use crate::import::CustomImage;
use crate::manage::ManageError;

impl Steps<'_> {
    /// Adds the tags to the snapshots of all images: the service gives them to the images alone.
    pub(super) async fn tag_snapshots(&self, report: &PublishReport) -> Result<(), PublishError> {
        let tags = self.publish.request.tags();
        if tags.is_empty() {
            return Ok(());
        }
        let images = self.publish.images();
        for Published { task, image } in report.all() {
            let ids = image.as_ref().map(CustomImage::snapshots).unwrap_or_default();
            let tagged = images.tag_snapshots(&task.region, &ids, tags);
            match self.publish.until_cancelled(tagged).await? {
                Ok(()) => {}
                // The images are there all the same, and a policy that was enough for them must stay so.
                Err(error) if error.kind() == ErrorKind::Credentials => {
                    self.publish.events.notice(format!(
                        "{}: the snapshots of image {} have no tags: that needs ecs:TagResources",
                        task.region, task.image_id
                    ));
                }
                Err(error) => return Err(PublishError::Manage(error)),
            }
        }
        Ok(())
    }

    /// Puts the image and all copies into the family. Whether they are in it is seen in the images themselves.
    pub(super) async fn family(&mut self, report: &mut PublishReport) -> Result<(), PublishError> {
        let Some(family) = &self.publish.family else { return Ok(()) };
        for Published { task, image } in report.named() {
            match image.as_ref().and_then(|image| image.family.as_ref()) {
                Some(found) if found == family => continue,
                Some(other) => self.publish.events.notice(format!(
                    "{}: image {} is moved from the family `{other}` to `{family}`",
                    task.region, task.image_id
                )),
                None => {}
            }
            let set = self.publish.importer.set_family(&task.region, &task.image_id, family);
            self.publish.until_cancelled(set).await?.map_err(PublishError::Import)?;
        }
        report.family = Some(family.clone());
        Ok(())
    }

    /// Shares the image and all copies.
    pub(super) async fn share(&mut self, report: &mut PublishReport) -> Result<(), PublishError> {
        let accounts: BTreeSet<_> = self.publish.share_with.iter().cloned().collect();
        if accounts.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = accounts.iter().cloned().collect();
        for task in report.named().map(|published| &published.task) {
            let share = self.publish.importer.share(&task.region, &task.image_id, &list);
            self.publish.until_cancelled(share).await?.map_err(PublishError::Import)?;
        }
        report.shared_with = list;
        Ok(())
    }

    /// Deletes the objects that were imported: the image is proved to be made of them, and is Available.
    pub(super) async fn delete_objects(&mut self, report: &mut PublishReport) -> Result<(), PublishError> {
        if !self.publish.delete_objects {
            return Ok(());
        }
        for object in self.publish.objects() {
            let imported = self.flow.objects.get(&object.to_string()).cloned();
            let is_there = self.publish.may_be_deleted(&object, imported.as_ref()).await?;
            // Written down before: the next run misses no object that this one may have deleted.
            self.flow.deleted.insert(object.clone());
            self.save()?;
            if is_there {
                self.publish.delete(&object).await?;
            }
            report.deleted.push(object);
        }
        Ok(())
    }

    /// Makes the image and all copies community images.
    pub(super) async fn make_public(&self, report: &mut PublishReport) -> Result<(), PublishError> {
        if !self.publish.public {
            return Ok(());
        }
        let images = self.publish.images();
        for Published { task, .. } in report.named() {
            self.managed(images.publish(&task.region, &task.image_id)).await?;
        }
        report.public = true;
        Ok(())
    }

    pub(super) async fn managed<T>(
        &self,
        work: impl Future<Output = Result<T, ManageError>>,
    ) -> Result<T, PublishError> {
        self.publish.until_cancelled(work).await?.map_err(PublishError::Manage)
    }
}
