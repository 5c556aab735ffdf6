//! Tags of images and of their snapshots.

use super::{Images, ManageError};
use crate::import::{CustomImage, Tag};
use crate::model::{Region, SnapshotId};
use crate::protocol::ecs::{TagResources, TaggedIds, UntagResources};

impl Images {
    /// Adds tags to an own image, and to its snapshots if wanted. A key that is there already gets the new value; the same
    /// call again changes nothing.
    ///
    /// # Errors
    ///
    /// [`ManageError::Partly`] if the image was tagged, and not its snapshots.
    pub async fn tag(
        &self,
        region: &Region,
        image: &CustomImage,
        tags: &[Tag],
        snapshots: bool,
    ) -> Result<(), ManageError> {
        let id = &image.image_id;
        for some in tags.chunks(TagResources::MAX_TAGS) {
            let images = TaggedIds::Images(vec![id.clone()]);
            let tag = TagResources::new(region.clone(), images, some.to_vec());
            self.call(&tag, || format!("tag image {id} in {region}")).await?;
        }
        if snapshots {
            let tagged = self.tag_snapshots(region, &image.snapshots(), tags).await;
            tagged.map_err(|error| error.after(vec![format!("image {id} in {region} is tagged")]))?;
        }
        Ok(())
    }

    /// Adds tags to snapshots.
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub async fn tag_snapshots(
        &self,
        region: &Region,
        snapshots: &[SnapshotId],
        tags: &[Tag],
    ) -> Result<(), ManageError> {
        for ids in snapshots.chunks(TaggedIds::MAX) {
            for some in tags.chunks(TagResources::MAX_TAGS) {
                let tag =
                    TagResources::new(region.clone(), TaggedIds::Snapshots(ids.to_vec()), some.to_vec());
                self.call(&tag, || format!("tag {} in {region}", list(ids))).await?;
            }
        }
        Ok(())
    }

    /// Takes tags off an own image, and off its snapshots if wanted. A key that is not there is passed over.
    ///
    /// # Errors
    ///
    /// [`ManageError::Partly`] if the image was done, and not its snapshots.
    pub async fn untag(
        &self,
        region: &Region,
        image: &CustomImage,
        keys: &[String],
        snapshots: bool,
    ) -> Result<(), ManageError> {
        let id = &image.image_id;
        for some in keys.chunks(UntagResources::MAX_KEYS) {
            let images = TaggedIds::Images(vec![id.clone()]);
            let untag = UntagResources::new(region.clone(), images, some.to_vec());
            self.call(&untag, || format!("take tags off image {id} in {region}")).await?;
        }
        if snapshots {
            let untagged = self.untag_snapshots(region, &image.snapshots(), keys).await;
            untagged.map_err(|error| error.after(vec![format!("tags are off image {id} in {region}")]))?;
        }
        Ok(())
    }

    /// Takes tags off snapshots. A key that is not there is passed over.
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub async fn untag_snapshots(
        &self,
        region: &Region,
        snapshots: &[SnapshotId],
        keys: &[String],
    ) -> Result<(), ManageError> {
        for ids in snapshots.chunks(TaggedIds::MAX) {
            for some in keys.chunks(UntagResources::MAX_KEYS) {
                let snapshots = TaggedIds::Snapshots(ids.to_vec());
                let untag = UntagResources::new(region.clone(), snapshots, some.to_vec());
                self.call(&untag, || format!("take tags off {} in {region}", list(ids))).await?;
            }
        }
        Ok(())
    }
}

fn list(ids: &[SnapshotId]) -> String {
    let ids: Vec<&str> = ids.iter().map(SnapshotId::as_str).collect();
    format!("snapshot{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "))
}
