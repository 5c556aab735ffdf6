//! Deleting an image, with the snapshots that hold its disks.
//!
//! The snapshots can go only after the image, and once the image is gone nothing of the service's says which snapshots
//! were its own: a process that dies in between would leave them, billed, for ever. So they are marked before the image
//! goes, with the tag [`DELETION_TAG`] whose value is the image's id, and whoever comes next finds them by it. Only a
//! snapshot whose image is gone is ever deleted for its mark.

use super::{Images, ManageError};
use crate::import::{CustomImage, Tag};
use crate::model::{ImageId, Region, SnapshotId};
use crate::protocol::ecs::{self, DeleteImage, DeleteSnapshot, DescribeSnapshots, SnapshotInfo};

/// Most pages of marked snapshots that are read.
const MAX_PAGES: u32 = 1000;

/// How often a snapshot is tried that the service still takes for an image's: the image's end may not have spread yet.
const ATTEMPTS: u32 = 6;

/// The key of the tag of snapshots that are to be deleted with their image. The value is the image's id.
pub const DELETION_TAG: &str = "ossup:delete-with";

/// What is deleted, and in spite of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Also if instances use the image. Their system disks can then no longer be initialised again.
    pub force: bool,
    /// With the snapshots that hold its disks, which otherwise stay and are billed.
    pub snapshots: bool,
    /// Also if others can use the image: it is taken back from them first.
    pub withdraw: bool,
}

impl DeleteOptions {
    /// Deletes also what instances use.
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Deletes the snapshots too.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: bool) -> Self {
        self.snapshots = snapshots;
        self
    }

    /// Deletes also what others can use.
    #[must_use]
    pub fn with_withdraw(mut self, withdraw: bool) -> Self {
        self.withdraw = withdraw;
        self
    }
}

/// What a deletion has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Deleted {
    /// The snapshots that are deleted.
    pub snapshots: Vec<SnapshotId>,
    /// The snapshots that the service keeps, because something was made from them, and why.
    pub kept: Vec<(SnapshotId, ManageError)>,
}

impl Images {
    /// Deletes an own image. One that is gone already is fine; its snapshots are deleted all the same.
    ///
    /// # Errors
    ///
    /// Before anything is changed: [`ManageError::Status`] while the image is being made, [`ManageError::InUse`] and
    /// [`ManageError::Shared`] where the options do not allow it. Later: [`ManageError::Partly`], and the same call again
    /// does the rest.
    pub async fn delete(
        &self,
        region: &Region,
        id: &ImageId,
        options: DeleteOptions,
    ) -> Result<Deleted, ManageError> {
        let Some(image) = self.importer.image(region, id).await? else {
            return match options.snapshots {
                true => self.finish_deletion(region, id).await,
                false => Ok(Deleted::default()),
            };
        };
        refuse(region, &image, options)?;
        let mut done = Vec::new();
        if let Err(error) = self.delete_image(region, &image, options, &mut done).await {
            return Err(error.after(done));
        }
        done.push(format!("image {id} in {region} is deleted"));
        let snapshots = if options.snapshots { image.snapshots() } else { Vec::new() };
        self.delete_snapshots(region, snapshots, ATTEMPTS).await.map_err(|error| error.after(done))
    }

    async fn delete_image(
        &self,
        region: &Region,
        image: &CustomImage,
        options: DeleteOptions,
        done: &mut Vec<String>,
    ) -> Result<(), ManageError> {
        let id = &image.image_id;
        if options.withdraw {
            // Also where the list of images says nothing of it: it may be behind.
            let access = self.withdraw(region, id).await?;
            if !access.is_private() {
                done.push(format!("image {id} in {region} is private now"));
            }
        }
        let snapshots = if options.snapshots { image.snapshots() } else { Vec::new() };
        let mark = Tag { key: DELETION_TAG.to_owned(), value: id.to_string() };
        if let Err(error) = self.tag_snapshots(region, &snapshots, &[mark]).await {
            // Another deletion may have been faster, and the snapshots are gone as well.
            return match self.importer.image(region, id).await? {
                Some(_) => Err(error),
                None => Ok(()),
            };
        }
        let delete = DeleteImage::new(region.clone(), id.clone()).with_force(options.force);
        match self.call(&delete, || format!("delete image {id} in {region}")).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => {
                // The image stays for now, so its snapshots must not look as if they had outlived it. Only a refusal
                // that leaves no doubt takes the mark off.
                if error.call_error().is_some_and(|call| call.service().is_some() && !call.ambiguous()) {
                    let keys = [DELETION_TAG.to_owned()];
                    self.untag_snapshots(region, &snapshots, &keys).await?;
                }
                return Err(error);
            }
        }
        match self.settles(region, id, |image| image.is_none()).await? {
            true => Ok(()),
            false => {
                let (image_id, region) = (id.clone(), region.clone());
                Err(ManageError::Unproved { action: "delete", image_id, region })
            }
        }
    }

    /// Deletes the snapshots that were to be deleted with an image that is gone.
    ///
    /// # Errors
    ///
    /// When they cannot be listed or deleted.
    pub async fn finish_deletion(&self, region: &Region, image: &ImageId) -> Result<Deleted, ManageError> {
        let mut marked = self.marked(region).await?;
        marked.retain(|(_, of)| of == image);
        self.delete_snapshots(
            region,
            marked.into_iter().map(|(snapshot, _)| snapshot.snapshot_id).collect(),
            ATTEMPTS,
        )
        .await
    }

    /// Deletes the snapshots of a region that were to be deleted with an image, whichever it was, if that is gone: what
    /// interrupted deletions have left.
    ///
    /// # Errors
    ///
    /// When they cannot be listed or deleted.
    pub async fn finish_deletions(&self, region: &Region) -> Result<Deleted, ManageError> {
        let left = self.left_snapshots(region).await?;
        // Their images are gone for long: what is kept now is kept for something else.
        self.delete_snapshots(region, left, 1).await
    }

    /// Returns the snapshots of a region that interrupted deletions have left.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn left_snapshots(&self, region: &Region) -> Result<Vec<SnapshotId>, ManageError> {
        let mut left = Vec::new();
        for (snapshot, image) in self.marked(region).await? {
            if self.importer.image(region, &image).await?.is_none() {
                left.push(snapshot.snapshot_id);
            }
        }
        Ok(left)
    }

    /// Returns the snapshots that have a mark, each with the image that it names.
    async fn marked(&self, region: &Region) -> Result<Vec<(SnapshotInfo, ImageId)>, ManageError> {
        let mut request = DescribeSnapshots::new(region.clone(), Vec::new()).with_tag_key(DELETION_TAG);
        let mut marked = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = self.call(&request, || format!("list the snapshots of {region}")).await?;
            let named = page.snapshots.into_iter().filter_map(|snapshot| {
                let tag = snapshot.tags.iter().find(|tag| tag.key == DELETION_TAG)?;
                let image: ImageId = tag.value.parse().ok()?;
                Some((snapshot, image))
            });
            marked.extend(named);
            match page.next_token {
                Some(token) => request.next_token = Some(token),
                None => break,
            }
        }
        Ok(marked)
    }

    async fn delete_snapshots(
        &self,
        region: &Region,
        ids: Vec<SnapshotId>,
        attempts: u32,
    ) -> Result<Deleted, ManageError> {
        let mut deleted = Deleted::default();
        for id in ids {
            match self.delete_snapshot(region, &id, attempts).await? {
                None => deleted.snapshots.push(id),
                Some(why) => deleted.kept.push((id, why)),
            }
        }
        Ok(deleted)
    }

    /// Deletes a snapshot; that there is none is fine. Returns why the service keeps it, if something was made from it.
    async fn delete_snapshot(
        &self,
        region: &Region,
        id: &SnapshotId,
        attempts: u32,
    ) -> Result<Option<ManageError>, ManageError> {
        let delete = DeleteSnapshot::new(region.clone(), id.clone());
        let mut attempt = 1;
        loop {
            let Err(error) = self.call(&delete, || format!("delete snapshot {id} in {region}")).await else {
                return Ok(None);
            };
            match error.call_error().and_then(|call| call.service()?.code.as_deref()) {
                Some(ecs::code::INVALID_SNAPSHOT_ID_NOT_FOUND) => return Ok(None),
                Some(ecs::code::SNAPSHOT_CREATED_DISK) => return Ok(Some(error)),
                Some(ecs::code::SNAPSHOT_CREATED_IMAGE) if attempt >= attempts => return Ok(Some(error)),
                Some(ecs::code::SNAPSHOT_CREATED_IMAGE) => tokio::time::sleep(self.pause).await,
                _ => return Err(error),
            }
            attempt += 1;
        }
    }
}

/// Refuses what the service would refuse, before anything is changed.
fn refuse(region: &Region, image: &CustomImage, options: DeleteOptions) -> Result<(), ManageError> {
    let (image_id, region) = (image.image_id.clone(), region.clone());
    if image.status.is_pending() {
        let status = image.status.clone();
        return Err(ManageError::Status { action: "delete", image_id, region, status });
    }
    if image.in_use == Some(true) && !options.force {
        return Err(ManageError::InUse { image_id, region });
    }
    let public = image.is_public == Some(true);
    if (public || image.is_shared == Some(true)) && !options.withdraw {
        return Err(ManageError::Shared { image_id, region, public });
    }
    Ok(())
}
