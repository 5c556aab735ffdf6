//! Another name for an image, and a name for another image.
//!
//! A name belongs to one image of a region (`InvalidImageName.Duplicated` on the "ModifyImageAttribute" page), so the old
//! image has to lose it before the new one can get it: between two requests nobody has it. [`Images::hand_over`] is the one
//! place where that happens.

use super::{Images, LOOKS, ManageError};
use crate::client::CallError;
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
        match self
            .call(&naming(region, id, name), || format!("rename image {id} in {region} to `{name}`"))
            .await
        {
            Ok(_) => {}
            Err(error) => {
                // Another run of the same command, or an attempt whose answer was lost, may have been first.
                let duplicated = |error: &CallError| error.is(ecs::code::INVALID_IMAGE_NAME_DUPLICATED);
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

    /// Takes a name from one own image, `old`, which gets the name `other`, and gives it to `new`.
    ///
    /// Nothing but the two requests lies between: whatever can be looked at or tried is looked at and tried before, by the
    /// caller. If the second is refused for good, the old image gets the name back. A caller whose process dies in between
    /// leaves the name to nobody: what it wrote to the images before has to tell the next one whose it is.
    ///
    /// # Errors
    ///
    /// When the service refuses; [`ManageError::may_pass`] where another run may have been first, or has the name, or an answer
    /// was lost: then look who has it.
    ///
    /// # Cancellation
    ///
    /// Not to be dropped before it ends.
    pub(crate) async fn hand_over(
        &self,
        region: &Region,
        name: &str,
        (old, other): (&ImageId, &str),
        new: &ImageId,
    ) -> Result<(), ManageError> {
        let failed =
            |action: String| move |error: CallError| ManageError::Call { action, source: Box::new(error) };
        match self.set_name(region, old, other).await {
            Ok(()) => {}
            // It has lost the name with all the rest. Or it may have lost it; if not, the new one is refused.
            Err(error) if error.is(ecs::code::INVALID_IMAGE_ID_NOT_FOUND) || error.ambiguous() => {}
            Err(error) => {
                return Err(failed(format!("take the name `{name}` from image {old} in {region}"))(error));
            }
        }
        let Err(error) = self.set_name(region, new, name).await else { return Ok(()) };
        let refused = failed(format!("give the name `{name}` to image {new} in {region}"))(error);
        if !refused.may_pass() {
            let back = self.set_name(region, old, name).await;
            back.map_err(failed(format!("give the name `{name}` back to image {old} in {region}")))?;
        }
        Err(refused)
    }

    /// Looks until the service shows that another image than `old` has a name. Returns whether it came to that.
    pub(crate) async fn shows_name_passed(
        &self,
        region: &Region,
        name: &str,
        old: &ImageId,
    ) -> Result<bool, ManageError> {
        for look in 1..=LOOKS {
            if self.importer.find_image(region, name).await?.is_some_and(|holder| holder.image_id != *old) {
                return Ok(true);
            }
            if look < LOOKS {
                tokio::time::sleep(self.pause).await;
            }
        }
        Ok(false)
    }

    /// Gives an image a name by one request, and looks at nothing.
    ///
    /// # Errors
    ///
    /// As [`Images::hand_over`].
    pub(crate) async fn give_name(
        &self,
        region: &Region,
        name: &str,
        image: &ImageId,
    ) -> Result<(), ManageError> {
        let given = self.set_name(region, image, name).await;
        let action = || format!("give the name `{name}` to image {image} in {region}");
        given.map_err(|source| ManageError::Call { action: action(), source: Box::new(source) })
    }

    async fn set_name(&self, region: &Region, image: &ImageId, name: &str) -> Result<(), CallError> {
        self.client().call(&naming(region, image, name)).await.map(drop)
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

fn naming(region: &Region, image: &ImageId, name: &str) -> ModifyImageAttribute {
    let mut modify = ModifyImageAttribute::new(region.clone(), image.clone());
    modify.name = Some(name.to_owned());
    modify
}
