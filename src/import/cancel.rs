//! Cancelling an import or a copy, and deleting images and snapshots.

use super::{CustomImage, ImportError, ImportTask, Importer};
use crate::model::{ImageId, Region, SnapshotId};
use crate::protocol::ecs::{
    self, CancelCopyImage, CancelTask, DeleteImage, DeleteSnapshot, DescribeTaskAttribute,
};

/// How often the end of a cancelled task is looked for.
const LOOKS: u32 = 30;

/// The outcome of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// It was stopped. The object is untouched.
    Cancelled {
        /// Snapshots that are left, and are billed until they are deleted.
        snapshots: Vec<SnapshotId>,
    },
    /// It had ended before.
    TooLate {
        /// The image, if it exists.
        image: Option<Box<CustomImage>>,
    },
}

impl Importer {
    /// Cancels an import or a copy, and removes the image record that may be left of it.
    ///
    /// # Errors
    ///
    /// [`ImportError::Unknown`] if the service knows neither task nor image; [`ImportError::Call`] if it
    /// refuses.
    pub async fn cancel(&self, task: &ImportTask) -> Result<CancelOutcome, ImportError> {
        let before = self.image(&task.region, &task.image_id).await?;
        let mut snapshots: Vec<SnapshotId> = before.iter().flat_map(CustomImage::snapshots).collect();
        let stopped = match (&task.task_id, &before) {
            (Some(id), _) => {
                let cancelled = self.client.call(&CancelTask::new(task.region.clone(), id.clone())).await;
                match cancelled {
                    Ok(_) => true,
                    // An earlier attempt, whose answer was lost, may have done it.
                    Err(error) if error.is(ecs::code::INVALID_TASK_ID_INCORRECT_TASK_STATUS) => {
                        error.ambiguous()
                    }
                    Err(error) if error.is(ecs::code::INVALID_TASK_ID_NOT_FOUND) && before.is_none() => {
                        return Err(ImportError::Unknown { id: id.to_string(), region: task.region.clone() });
                    }
                    Err(error) => return Err(ImportError::call(format!("cancel task {id}"))(error)),
                }
            }
            (None, Some(image)) if image.is_copied => {
                let cancel = CancelCopyImage::new(task.region.clone(), task.image_id.clone());
                match self.client.call(&cancel).await {
                    Ok(_) => true,
                    Err(error) if error.is(ecs::code::INVALID_IMAGE_ID_NOT_FOUND) => error.ambiguous(),
                    Err(error) if error.is(ecs::code::INCORRECT_IMAGE_STATUS) => false,
                    Err(error) => {
                        return Err(ImportError::call(format!("cancel the copy {}", task.image_id))(error));
                    }
                }
            }
            (None, Some(image)) if !image.status.is_pending() => false,
            _ => {
                let id = task.image_id.to_string();
                return Err(ImportError::Unknown { id, region: task.region.clone() });
            }
        };
        if !stopped {
            let image = self.image(&task.region, &task.image_id).await?.map(Box::new);
            return Ok(CancelOutcome::TooLate { image });
        }
        self.await_end(task).await?;
        // What becomes of the record is not documented: whatever is left of it is removed.
        if let Some(image) = self.image(&task.region, &task.image_id).await? {
            // It was done before the cancellation reached it.
            if !image.status.is_failed() && !image.status.is_pending() {
                return Ok(CancelOutcome::TooLate { image: Some(Box::new(image)) });
            }
            snapshots.extend(image.snapshots());
            self.delete_image(&task.region, &task.image_id, false).await?;
        }
        snapshots.sort_unstable();
        snapshots.dedup();
        let left = match snapshots.as_slice() {
            [] => Vec::new(),
            ids => {
                let found = self.snapshots(&task.region, ids).await;
                let found = found.map_err(ImportError::call("look for snapshots that are left"))?;
                found.into_iter().map(|snapshot| snapshot.snapshot_id).collect()
            }
        };
        Ok(CancelOutcome::Cancelled { snapshots: left })
    }

    /// Waits until a cancelled task has ended, for a while.
    async fn await_end(&self, task: &ImportTask) -> Result<(), ImportError> {
        let Some(id) = &task.task_id else { return Ok(()) };
        for _ in 0..LOOKS {
            let detail = self.client.call(&DescribeTaskAttribute::new(task.region.clone(), id.clone())).await;
            match detail {
                Ok(detail) if detail.status.is_terminal() => return Ok(()),
                Ok(_) => tokio::time::sleep(self.pace.first).await,
                Err(error) if error.is(ecs::code::INVALID_TASK_ID_NOT_FOUND) => return Ok(()),
                Err(error) => return Err(ImportError::call(format!("look at task {id}"))(error)),
            }
        }
        Ok(())
    }

    /// Deletes an image; that there is none is fine. Its snapshots stay, and are billed.
    ///
    /// # Errors
    ///
    /// [`ImportError::Call`] if the service refuses: the image is being imported, shared, or used by an
    /// instance and `force` is not set.
    pub async fn delete_image(&self, region: &Region, id: &ImageId, force: bool) -> Result<(), ImportError> {
        match self.client.call(&DeleteImage::new(region.clone(), id.clone()).with_force(force)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is(ecs::code::INVALID_IMAGE_ID_NOT_FOUND) => Ok(()),
            Err(error) => Err(ImportError::call(format!("delete image {id} in {region}"))(error)),
        }
    }

    /// Deletes a snapshot; that there is none is fine.
    ///
    /// # Errors
    ///
    /// [`ImportError::Call`] if the service refuses: an image still needs it.
    pub async fn delete_snapshot(&self, region: &Region, id: &SnapshotId) -> Result<(), ImportError> {
        match self.client.call(&DeleteSnapshot::new(region.clone(), id.clone())).await {
            Ok(_) => Ok(()),
            Err(error) if error.is(ecs::code::INVALID_SNAPSHOT_ID_NOT_FOUND) => Ok(()),
            Err(error) => Err(ImportError::call(format!("delete snapshot {id} in {region}"))(error)),
        }
    }
}
