//! Retiring an image: nobody else can use it, and a family no longer points to it.

use jiff::civil::Date;

use super::{Access, Images, ManageError};
use crate::import::{CustomImage, Tag};
use crate::model::{ImageId, ImageStatus, Region};
use crate::protocol::ecs::{ImageAvailability, ModifyImageAttribute};

/// The key of the tag that holds the day on which an image was deprecated. The keys, and the form of the days, are those
/// of SUSE's aliyun-img-utils, which other tools read.
pub const DEPRECATED_ON_TAG: &str = "Deprecated on";
/// The key of the tag that holds the day from which an image may be removed.
pub const REMOVAL_DATE_TAG: &str = "Removal date";
/// The key of the tag that holds the name of the image to use instead.
pub const REPLACEMENT_TAG: &str = "Replacement image";

/// How an image is retired.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deprecation {
    /// Today.
    pub on: Date,
    /// The day from which the image may be removed.
    pub removal: Option<Date>,
    /// The name of the image to use instead.
    pub replacement: Option<String>,
    /// Whether the image's state is changed too: then nobody else can use it, it can no longer be copied, and no family
    /// points to it. Otherwise only its tags say that it is deprecated.
    pub status: bool,
}

impl Deprecation {
    /// Retires an image from `on`, by its state and its tags.
    pub fn new(on: Date) -> Self {
        Self { on, removal: None, replacement: None, status: true }
    }

    /// Names the day from which it may be removed.
    #[must_use]
    pub fn with_removal(mut self, removal: Option<Date>) -> Self {
        self.removal = removal;
        self
    }

    /// Names the image to use instead.
    #[must_use]
    pub fn with_replacement(mut self, name: Option<String>) -> Self {
        self.replacement = name;
        self
    }

    /// Leaves the state as it is, and only writes the tags.
    #[must_use]
    pub fn with_tags_only(mut self) -> Self {
        self.status = false;
        self
    }

    /// Returns the tags that an image lacks. The day of an earlier deprecation stays.
    fn tags(&self, image: &CustomImage) -> Vec<Tag> {
        let day = |day: Date| day.strftime("%Y%m%d").to_string();
        let wanted = [
            (
                DEPRECATED_ON_TAG,
                Some(image.tag(DEPRECATED_ON_TAG).map_or_else(|| day(self.on), str::to_owned)),
            ),
            (REMOVAL_DATE_TAG, self.removal.map(day)),
            (REPLACEMENT_TAG, self.replacement.clone()),
        ];
        wanted
            .into_iter()
            .filter_map(|(key, wanted)| Some(Tag { key: key.to_owned(), value: wanted? }))
            .filter(|tag| image.tag(&tag.key) != Some(&tag.value))
            .collect()
    }
}

impl Images {
    /// Retires an own image, in the order that the service wants: the tags, then it is taken back from the public and from
    /// the accounts that it is shared with, then its state. Instances can still be made from it by its id. Returns who
    /// could use it until now.
    ///
    /// # Errors
    ///
    /// [`ManageError::Status`] if the image is neither Available nor Deprecated; [`ManageError::Partly`] if it was only
    /// begun: the same call again does the rest.
    pub async fn deprecate(
        &self,
        region: &Region,
        id: &ImageId,
        how: &Deprecation,
    ) -> Result<Access, ManageError> {
        let image = self.look(region, id).await?;
        if !matches!(image.status, ImageStatus::Available | ImageStatus::Deprecated) {
            let (image_id, region, status) = (id.clone(), region.clone(), image.status);
            return Err(ManageError::Status { action: "deprecate", image_id, region, status });
        }
        let mut done = Vec::new();
        let tags = how.tags(&image);
        if !tags.is_empty() {
            self.tag(region, &image, &tags, false).await?;
            done.push(format!("image {id} in {region} is tagged"));
        }
        if !how.status || image.status == ImageStatus::Deprecated {
            return Ok(Access::default());
        }
        let access = match self.withdraw(region, id).await {
            Ok(access) => access,
            Err(error) => return Err(error.after(done)),
        };
        if !access.is_private() {
            done.push(format!("image {id} in {region} is private now"));
        }
        let set = self.set_availability(region, id, ImageAvailability::Deprecated).await;
        set.map(|()| access).map_err(|error| error.after(done))
    }

    /// Makes a deprecated image Available again, and takes off the tags that said otherwise. It is not shared or published
    /// again.
    ///
    /// # Errors
    ///
    /// [`ManageError::Status`] if the image is neither Available nor Deprecated; [`ManageError::Partly`] if its tags
    /// stayed.
    pub async fn restore(&self, region: &Region, id: &ImageId) -> Result<(), ManageError> {
        let image = self.look(region, id).await?;
        let mut done = Vec::new();
        match image.status {
            ImageStatus::Available => {}
            ImageStatus::Deprecated => {
                self.set_availability(region, id, ImageAvailability::Available).await?;
                done.push(format!("image {id} in {region} is Available"));
            }
            status => {
                let (image_id, region) = (id.clone(), region.clone());
                return Err(ManageError::Status { action: "restore", image_id, region, status });
            }
        }
        let is_there = |key: &&str| image.tag(key).is_some();
        let keys = [DEPRECATED_ON_TAG, REMOVAL_DATE_TAG, REPLACEMENT_TAG].into_iter().filter(is_there);
        let keys: Vec<String> = keys.map(str::to_owned).collect();
        self.untag(region, &image, &keys, false).await.map_err(|error| error.after(done))
    }

    async fn set_availability(
        &self,
        region: &Region,
        id: &ImageId,
        availability: ImageAvailability,
    ) -> Result<(), ManageError> {
        let (action, status) = match availability {
            ImageAvailability::Available => ("restore", ImageStatus::Available),
            ImageAvailability::Deprecated => ("deprecate", ImageStatus::Deprecated),
        };
        let mut modify = ModifyImageAttribute::new(region.clone(), id.clone());
        modify.availability = Some(availability);
        self.call(&modify, || format!("{action} image {id} in {region}")).await?;
        match self.settles(region, id, |image| image.is_some_and(|image| image.status == status)).await? {
            true => Ok(()),
            false => Err(ManageError::Unproved { action, image_id: id.clone(), region: region.clone() }),
        }
    }
}
