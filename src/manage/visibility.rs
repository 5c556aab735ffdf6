//! Who can use an image: everybody, some accounts, or its owner alone.

use std::collections::BTreeSet;

use super::{Images, ManageError};
use crate::import::CustomImage;
use crate::model::{AccountId, ImageId, ImageStatus, Region};
use crate::protocol::ecs::ModifyImageSharePermission;

/// Who can use an image besides its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Whether everybody can: it is a community image.
    pub public: bool,
    /// The accounts that it is shared with. They keep it when it is no longer public.
    pub accounts: BTreeSet<AccountId>,
}

impl Access {
    /// Whether only its owner can.
    pub fn is_private(&self) -> bool {
        !self.public && self.accounts.is_empty()
    }
}

impl Images {
    /// Makes an own image a community image, which everybody in its region can use. One that is public already is left as
    /// it is. Returns whether it was changed.
    ///
    /// Copy and share it first: the service does neither with a community image.
    ///
    /// # Errors
    ///
    /// [`ManageError::Status`] if the image is not Available; [`ManageError::Call`] if the service refuses, for instance an
    /// encrypted image, or an account that has not accepted the Community Image Agreement.
    pub async fn publish(&self, region: &Region, id: &ImageId) -> Result<bool, ManageError> {
        let image = self.look(region, id).await?;
        if image.is_public == Some(true) {
            return Ok(false);
        }
        if image.status != ImageStatus::Available {
            let (image_id, region, status) = (id.clone(), region.clone(), image.status);
            return Err(ManageError::Status { action: "publish", image_id, region, status });
        }
        self.set_public(region, id, true).await.map(|()| true)
    }

    /// Takes an own image back from the public. Accounts that it is shared with keep it. Returns whether it was changed.
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub async fn unpublish(&self, region: &Region, id: &ImageId) -> Result<bool, ManageError> {
        if self.look(region, id).await?.is_public == Some(false) {
            return Ok(false);
        }
        self.set_public(region, id, false).await.map(|()| true)
    }

    async fn set_public(&self, region: &Region, id: &ImageId, public: bool) -> Result<(), ManageError> {
        let action = if public { "publish" } else { "unpublish" };
        let modify = ModifyImageSharePermission::new(region.clone(), id.clone()).with_public(public);
        self.call(&modify, || format!("{action} image {id} in {region}")).await?;
        // Where the service does not say what an image is, its answer has to do.
        let is_so = |image: Option<&CustomImage>| {
            image.is_some_and(|image| image.is_public.is_none_or(|shown| shown == public))
        };
        match self.settles(region, id, is_so).await? {
            true => Ok(()),
            false => Err(ManageError::Unproved { action, image_id: id.clone(), region: region.clone() }),
        }
    }

    /// Returns who can use an own image.
    ///
    /// # Errors
    ///
    /// When it cannot be looked at.
    pub async fn access(&self, region: &Region, id: &ImageId) -> Result<Access, ManageError> {
        let public = self.look(region, id).await?.is_public.unwrap_or(false);
        let accounts = self.importer.shared_with(region, id).await?;
        Ok(Access { public, accounts })
    }

    /// Takes an own image back from everybody: from the public first, then from the accounts that it is shared with.
    /// Returns who could use it until now.
    ///
    /// # Errors
    ///
    /// [`ManageError::Partly`] if it was taken back from some.
    pub async fn withdraw(&self, region: &Region, id: &ImageId) -> Result<Access, ManageError> {
        let accounts = self.importer.shared_with(region, id).await?;
        let public = self.unpublish(region, id).await?;
        if !accounts.is_empty() {
            let some: Vec<AccountId> = accounts.iter().cloned().collect();
            if let Err(error) = self.importer.unshare(region, id, &some).await {
                let done = public.then(|| format!("image {id} in {region} is no longer public"));
                return Err(ManageError::from(error).after(done.into_iter().collect()));
            }
        }
        Ok(Access { public, accounts })
    }
}
