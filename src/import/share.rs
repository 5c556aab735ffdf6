//! Sharing an image with other accounts, proved by looking at the list, and putting it into a family.

use std::collections::BTreeSet;

use super::{ImportError, Importer};
use crate::model::{AccountId, ImageId, Region};
use crate::protocol::ecs::{DescribeImageSharePermission, ModifyImageAttribute, ModifyImageSharePermission};

/// Most pages of accounts that are read; an image can be shared with fewer than one page holds.
const MAX_PAGES: u32 = 100;

impl Importer {
    /// Shares an image with accounts, and looks whether they are on its list. Those that are already on it
    /// stay, so the same call again finishes an interrupted one.
    ///
    /// # Errors
    ///
    /// [`ImportError::Call`] if the service refuses, [`ImportError::NotShared`] if it does not list an account
    /// afterwards.
    pub async fn share(
        &self,
        region: &Region,
        image: &ImageId,
        accounts: &[AccountId],
    ) -> Result<(), ImportError> {
        let listed = self.shared_with(region, image).await?;
        let missing: Vec<AccountId> =
            accounts.iter().filter(|account| !listed.contains(account)).cloned().collect();
        for some in missing.chunks(ModifyImageSharePermission::MAX_ACCOUNTS) {
            let add = ModifyImageSharePermission::new(region.clone(), image.clone()).with_add(some.to_vec());
            self.client.call(&add).await.map_err(ImportError::call(format!("share image {image}")))?;
        }
        let listed = self.shared_with(region, image).await?;
        let missing: Vec<AccountId> =
            accounts.iter().filter(|account| !listed.contains(account)).cloned().collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(ImportError::NotShared { image_id: image.clone(), accounts: missing })
        }
    }

    /// Puts an image into a family, from which instances can take the newest one. The same call again changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ImportError::Call`] if the service refuses.
    pub async fn set_family(
        &self,
        region: &Region,
        image: &ImageId,
        family: &str,
    ) -> Result<(), ImportError> {
        let mut modify = ModifyImageAttribute::new(region.clone(), image.clone());
        modify.family = Some(family.to_owned());
        let modified = self.client.call(&modify).await;
        modified.map_err(ImportError::call(format!("put image {image} into the family `{family}`")))?;
        Ok(())
    }

    /// Takes an image back from accounts.
    ///
    /// # Errors
    ///
    /// [`ImportError::Call`] if the service refuses.
    pub async fn unshare(
        &self,
        region: &Region,
        image: &ImageId,
        accounts: &[AccountId],
    ) -> Result<(), ImportError> {
        for some in accounts.chunks(ModifyImageSharePermission::MAX_ACCOUNTS) {
            let remove =
                ModifyImageSharePermission::new(region.clone(), image.clone()).with_remove(some.to_vec());
            let removed = self.client.call(&remove).await;
            removed.map_err(ImportError::call(format!("take image {image} back from other accounts")))?;
        }
        Ok(())
    }

    /// Returns the accounts that an image is shared with.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn shared_with(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<BTreeSet<AccountId>, ImportError> {
        let mut list = DescribeImageSharePermission::new(region.clone(), image.clone());
        let mut accounts = BTreeSet::new();
        for page in 1..=MAX_PAGES {
            list.page = page;
            let shares = self.client.call(&list).await;
            let shares =
                shares.map_err(ImportError::call(format!("list with whom image {image} is shared")))?;
            accounts.extend(shares.accounts);
            if !shares.has_more {
                break;
            }
        }
        Ok(accounts)
    }
}
