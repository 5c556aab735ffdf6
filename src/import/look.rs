//! Looking at what is there: images by name and id, tasks, snapshots.

use std::collections::BTreeSet;

use super::{CustomImage, ImportError, ImportTask, Importer};
use crate::client::CallError;
use crate::model::{ImageId, Region, SnapshotId, TaskId};
use crate::protocol::ecs::{
    self, DescribeImages, DescribeSnapshots, DescribeTaskAttribute, DescribeTasks, SnapshotInfo, TaskDetail,
};

/// Most pages of a list that are read: 100,000 images are beyond any quota.
const MAX_PAGES: u32 = 1000;
/// Most snapshots that one call asks about.
const MAX_SNAPSHOT_IDS: usize = 100;

impl Importer {
    /// Returns the own image of exactly this name, in whatever state it is.
    ///
    /// # Errors
    ///
    /// When the images cannot be listed.
    pub async fn find_image(&self, region: &Region, name: &str) -> Result<Option<CustomImage>, ImportError> {
        let found = self.named(region, name).await;
        found.map_err(ImportError::call(format!("look for an image named `{name}` in {region}")))
    }

    pub(super) async fn named(&self, region: &Region, name: &str) -> Result<Option<CustomImage>, CallError> {
        let list = DescribeImages::new(region.clone()).with_name(name);
        for page in 1..=MAX_PAGES {
            let page = self.client.call(&list.clone().with_page(page)).await?;
            // The service's comparison is fuzzy.
            let exact = page.images.into_iter().find(|image| image.name.as_deref() == Some(name));
            if exact.is_some() || !page.has_more {
                return Ok(exact);
            }
        }
        Ok(None)
    }

    /// Returns an own image, in whatever state it is.
    ///
    /// # Errors
    ///
    /// When it cannot be looked up.
    pub async fn image(&self, region: &Region, id: &ImageId) -> Result<Option<CustomImage>, ImportError> {
        self.by_id(region, id).await.map_err(ImportError::call(format!("look at image {id} in {region}")))
    }

    pub(super) async fn by_id(
        &self,
        region: &Region,
        id: &ImageId,
    ) -> Result<Option<CustomImage>, CallError> {
        let page = self.client.call(&DescribeImages::new(region.clone()).with_image_id(id.clone())).await?;
        Ok(page.images.into_iter().find(|image| image.image_id == *id))
    }

    /// Lists all own images of a region, in whatever state they are.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn images(&self, region: &Region) -> Result<Vec<CustomImage>, ImportError> {
        let listed = self.all_pages(&DescribeImages::new(region.clone())).await;
        listed.map_err(ImportError::call(format!("list the images of {region}")))
    }

    /// Returns the images of all pages of a list, each once: one that is made meanwhile moves the others on, so that a page
    /// repeats some of the one before.
    pub(crate) async fn all_pages(&self, list: &DescribeImages) -> Result<Vec<CustomImage>, CallError> {
        let (mut images, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 1..=MAX_PAGES {
            let page = self.client.call(&list.clone().with_page(page)).await?;
            images.extend(page.images.into_iter().filter(|image| seen.insert(image.image_id.clone())));
            if !page.has_more {
                break;
            }
        }
        Ok(images)
    }

    /// Returns a task, or nothing if the service knows none of that id, perhaps no longer.
    ///
    /// # Errors
    ///
    /// When it cannot be looked up.
    pub async fn task(&self, region: &Region, id: &TaskId) -> Result<Option<TaskDetail>, ImportError> {
        match self.client.call(&DescribeTaskAttribute::new(region.clone(), id.clone())).await {
            Ok(task) => Ok(Some(task)),
            Err(error) if error.is(ecs::code::INVALID_TASK_ID_NOT_FOUND) => Ok(None),
            Err(error) => Err(ImportError::call(format!("look at task {id} in {region}"))(error)),
        }
    }

    /// Returns what to follow for an id that was typed: of a task (`t-…`) or of an image (`m-…`).
    ///
    /// # Errors
    ///
    /// [`ImportError::Unknown`] if there is none of that id, or it is none at all.
    pub async fn resolve(&self, region: &Region, id: &str) -> Result<ImportTask, ImportError> {
        let unknown = || ImportError::Unknown { id: id.chars().take(80).collect(), region: region.clone() };
        if id.starts_with("t-") {
            let task: TaskId = id.parse().map_err(|_| unknown())?;
            let image = self.image_of_task(region, &task).await?.ok_or_else(unknown)?;
            return Ok(ImportTask { task_id: Some(task), ..ImportTask::of_image(region.clone(), image) });
        }
        let image: ImageId = id.parse().map_err(|_| unknown())?;
        let found = self.image(region, &image).await?.ok_or_else(unknown)?;
        // The task of a failed import tells why.
        let may_tell = found.status.is_pending() || found.status.is_failed();
        let task_id = match may_tell && !found.is_copied {
            true => self.task_of_image(region, &image).await.unwrap_or_default(),
            false => None,
        };
        Ok(ImportTask { task_id, ..ImportTask::of_image(region.clone(), image) })
    }

    /// Returns the image that a task makes, if that is certain: the task names it, or it is the only one that is
    /// being made from the task's object while the task is at work.
    async fn image_of_task(&self, region: &Region, task: &TaskId) -> Result<Option<ImageId>, ImportError> {
        let list = DescribeTasks::new(region.clone()).with_task_id(task.clone());
        let page = self.client.call(&list).await;
        let page = page.map_err(ImportError::call(format!("look at task {task} in {region}")))?;
        let Some(found) = page.tasks.into_iter().find(|found| found.task_id == *task) else {
            return Ok(None);
        };
        if let Some(image) = found.resource_id.and_then(|id| id.parse().ok()) {
            return Ok(Some(image));
        }
        let Some(before) = self.task(region, task).await? else { return Ok(None) };
        let mut images = self.images(region).await?;
        let Some(after) = self.task(region, task).await? else { return Ok(None) };
        // Once it has ended, its image is one among those that were made from the object at any time, or is gone.
        if before.status.is_terminal() || after.status.is_terminal() {
            return Ok(None);
        }
        images.retain(|image| image.status.is_pending() && is_made_from(image, &before));
        Ok((images.len() == 1).then(|| images.remove(0).image_id))
    }

    /// Returns the task that makes an image, if the service says so.
    pub(super) async fn task_of_image(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<Option<TaskId>, CallError> {
        let list = DescribeTasks::new(region.clone()).with_action("ImportImage");
        for page in 1..=MAX_PAGES {
            let page = self.client.call(&list.clone().with_page(page)).await?;
            let found =
                page.tasks.into_iter().find(|task| task.resource_id.as_deref() == Some(image.as_str()));
            if found.is_some() || !page.has_more {
                return Ok(found.map(|task| task.task_id));
            }
        }
        Ok(None)
    }

    pub(super) async fn snapshots(
        &self,
        region: &Region,
        ids: &[SnapshotId],
    ) -> Result<Vec<SnapshotInfo>, CallError> {
        let ids = ids.iter().take(MAX_SNAPSHOT_IDS).cloned().collect();
        Ok(self.client.call(&DescribeSnapshots::new(region.clone(), ids)).await?.snapshots)
    }
}

/// Whether an image comes from an object that a task names.
fn is_made_from(image: &CustomImage, task: &TaskDetail) -> bool {
    task.operations.iter().any(|operation| {
        let about =
            |name: &str| operation.related.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let (Some(bucket), Some(key)) = (about("OSSBucket"), about("OSSObject")) else { return false };
        image.disks.iter().any(|disk| {
            disk.import_bucket.as_ref() == Some(bucket) && disk.import_object.as_ref() == Some(key)
        })
    })
}
