//! Another name for an image.

use super::{Images, ManageError};
use crate::model::{ImageId, Region};
use crate::protocol::ecs::{self, ModifyImageAttribute};

impl Images {
    /// Gives an own image another name. One that has it already is left as it is. Returns whether it was changed.
    ///
    /// A name belongs to one image of a region. To hand a name over, rename the image that has it, then the other one: in
    /// between no image has the name, so whoever must never miss it publishes under a name of its own and asks for a
    /// family.
    ///
    /// # Errors
    ///
    /// [`ManageError::NameTaken`] if another image of the account has the name; that one is not touched.
    pub async fn rename(&self, region: &Region, id: &ImageId, name: &str) -> Result<bool, ManageError> {
        if self.look(region, id).await?.name.as_deref() == Some(name) {
            return Ok(false);
        }
        self.refuse_taken(region, id, name).await?;
        let mut modify = ModifyImageAttribute::new(region.clone(), id.clone());
        modify.name = Some(name.to_owned());
        match self.call(&modify, || format!("rename image {id} in {region} to `{name}`")).await {
            Ok(_) => {}
            Err(error) => {
                // Another run of the same command, or an attempt whose answer was lost, may have been first.
                let duplicated =
                    |error: &crate::client::CallError| error.is(ecs::code::INVALID_IMAGE_NAME_DUPLICATED);
                if error.call_error().is_some_and(duplicated) {
                    self.refuse_taken(region, id, name).await?;
                    if self.look(region, id).await?.name.as_deref() == Some(name) {
                        return Ok(true);
                    }
                }
                return Err(error);
            }
        }
        match self
            .settles(region, id, |image| image.is_some_and(|image| image.name.as_deref() == Some(name)))
            .await?
        {
            true => Ok(true),
            false => {
                Err(ManageError::Unproved { action: "rename", image_id: id.clone(), region: region.clone() })
            }
        }
    }

    async fn refuse_taken(&self, region: &Region, id: &ImageId, name: &str) -> Result<(), ManageError> {
        match self.importer.find_image(region, name).await? {
            Some(other) if other.image_id != *id => Err(ManageError::NameTaken {
                name: name.to_owned(),
                region: region.clone(),
                image_id: other.image_id,
            }),
            _ => Ok(()),
        }
    }
}
