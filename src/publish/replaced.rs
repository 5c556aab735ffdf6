//! What becomes of the images that lost the name.

use super::steps::Steps;
use super::{Publish, PublishError, PublishReport, names};
use crate::import::{CustomImage, has_origin};
use crate::manage::{DeleteOptions, Deprecation, Images, ManageError};
use crate::model::{ImageId, ImageStatus, Region};

/// The key of the tag of an image that lost its name. The value is the id of the image that got it.
pub const REPLACED_BY_TAG: &str = "ossup:replaced-by";

/// What becomes of an image that another one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replaced {
    /// It keeps everything but its name.
    Rename,
    /// It is taken back from everybody, and deprecated: see [`Images::deprecate`].
    Deprecate,
    /// It is taken back from everybody, and deleted with its snapshots. One that instances use is kept.
    Delete,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It has another name.
    Renamed,
    /// It has another name and is deprecated.
    Deprecated,
    /// It is deleted.
    Deleted,
    /// It has another name, and was to be deleted, but instances use it.
    InUse,
}

/// An image that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplacedImage {
    /// Where it is.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// The name that it has now.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
}

impl Steps<'_> {
    /// Retires the images that lost a name to one of ours, also those that an earlier run renamed, on whatever machine.
    pub(super) async fn retire(&self, report: &mut PublishReport) -> Result<(), PublishError> {
        let Some(how) = self.publish.replace else { return Ok(()) };
        let images = self.publish.images();
        for slot in self.slots(report) {
            let list = self.publish.importer.images(&slot.region);
            let mut old = self.publish.until_cancelled(list).await?.map_err(PublishError::Import)?;
            old.retain(|image| was_replaced(image, &slot.name, &slot.image));
            for image in old {
                let fate = self.retire_one(&images, how, &slot.region, &image, &slot.name).await?;
                report.replaced.push(ReplacedImage {
                    region: slot.region.clone(),
                    name: names::replaced(&slot.name, &image.image_id),
                    image_id: image.image_id,
                    fate,
                });
            }
            if how == Replaced::Delete {
                // An earlier run may have died between an image and its snapshots.
                self.managed(images.finish_deletions(&slot.region)).await?;
            }
        }
        Ok(())
    }

    async fn retire_one(
        &self,
        images: &Images,
        how: Replaced,
        region: &Region,
        image: &CustomImage,
        name: &str,
    ) -> Result<Fate, PublishError> {
        let id = &image.image_id;
        match how {
            Replaced::Rename => Ok(Fate::Renamed),
            // One that failed can never be used, and has no state to change.
            Replaced::Deprecate if image.status.is_failed() => Ok(Fate::Renamed),
            Replaced::Deprecate => {
                let now = self.publish.importer.client().now();
                let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
                let deprecation = Deprecation::new(today).with_replacement(Some(name.to_owned()));
                self.managed(images.deprecate(region, id, &deprecation)).await?;
                if image.status != ImageStatus::Deprecated {
                    self.publish.events.notice(format!("{region}: the replaced image {id} is deprecated"));
                }
                Ok(Fate::Deprecated)
            }
            Replaced::Delete => {
                let options = DeleteOptions::default().with_snapshots(true).with_withdraw(true);
                match self.publish.until_cancelled(images.delete(region, id, options)).await? {
                    Ok(deleted) => {
                        self.publish.events.notice(format!("{region}: the replaced image {id} is deleted"));
                        for (snapshot, why) in &deleted.kept {
                            self.publish
                                .events
                                .notice(format!("{region}: snapshot {snapshot} is kept: {why}"));
                        }
                        Ok(Fate::Deleted)
                    }
                    Err(ManageError::InUse { .. }) => {
                        self.publish.events.notice(format!(
                            "{region}: the replaced image {id} is kept, because instances use it"
                        ));
                        Ok(Fate::InUse)
                    }
                    Err(error) => Err(PublishError::Manage(error)),
                }
            }
        }
    }
}

/// Whether an image lost `name` to `new`. The name, the mark and the origin all have to say so: an image that got a name
/// back later has the mark as well.
fn was_replaced(image: &CustomImage, name: &str, new: &ImageId) -> bool {
    lost_to(image, name).is_some_and(|by| by == *new)
}

/// Returns the image that an image lost `name` to.
pub(super) fn lost_to(image: &CustomImage, name: &str) -> Option<ImageId> {
    if image.name.as_deref() != Some(&names::replaced(name, &image.image_id)) || !has_origin(image) {
        return None;
    }
    image.tag(REPLACED_BY_TAG)?.parse().ok()
}

impl Publish {
    /// Returns what manages the images, over the same client.
    pub(super) fn images(&self) -> Images {
        Images::new(self.importer.client().clone())
    }

    /// Whether an image that has the name may lose it: it can, if some command of ours made it.
    pub(super) fn may_lose_name(&self, image: &CustomImage) -> bool {
        self.replace.is_some() && has_origin(image) && !image.status.is_pending()
    }

    /// Makes a deprecated image of an earlier run Available again, which is to have the name.
    pub(super) async fn restored(
        &self,
        region: &Region,
        image: &mut CustomImage,
    ) -> Result<(), PublishError> {
        if self.replace.is_none() || image.status != ImageStatus::Deprecated {
            return Ok(());
        }
        let restored = self.until_cancelled(self.images().restore(region, &image.image_id)).await?;
        restored.map_err(PublishError::Manage)?;
        image.status = ImageStatus::Available;
        Ok(())
    }
}
