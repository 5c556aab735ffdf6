//! Images after their import: found, renamed, tagged, published and withdrawn, deprecated, deleted.
//!
//! Every call works on the account's own images, in one region, and goes the same way: it looks at what is there,
//! refuses what the service's pages say cannot be done before it changes anything, changes what is not yet as it
//! should be, and looks again until the service shows it. So a call that was interrupted, at whatever request, is
//! finished by the same call; nothing has to be remembered on this machine. What a call has changed before it failed is
//! in its error ([`ManageError::Partly`]).
//!
//! | Call | After a kill, the same call |
//! |---|---|
//! | [`Images::rename`], [`Images::tag`], [`Images::untag`], [`Images::set_family`] | sets the rest |
//! | [`Images::publish`], [`Images::unpublish`], [`Images::withdraw`] | goes on: each account that was taken off stays off |
//! | [`Images::deprecate`], [`Images::restore`] | goes on; the date of the first call stays |
//! | [`Images::prune`] | makes a new plan, which begins with what is left |
//! | [`Images::delete`] | goes on, also if the image is gone and its snapshots are left ([`Images::finish_deletions`]) |
//!
//! The service's own rules ("ModifyImageAttribute", "ModifyImageSharePermission", "DeleteImage", "CopyImage" pages) give
//! the order in which a whole life goes: import, copy, share, publish; unpublish, unshare, deprecate or delete. A
//! community image can be neither copied nor shared, a deprecated one neither copied nor shared nor published, and one
//! that is shared or public can be neither deprecated nor deleted.

mod delete;
mod deprecate;
mod error;
mod find;
mod prune;
mod rename;
mod tags;
#[cfg(all(test, feature = "emulator"))]
mod tests;
mod visibility;

use std::time::Duration;

use crate::client::Client;
use crate::import::{CustomImage, Importer};
use crate::model::{ImageId, Region};
use crate::protocol::Operation;

pub use delete::{DELETION_TAG, DeleteOptions, Deleted};
pub use deprecate::{DEPRECATED_ON_TAG, Deprecation, REMOVAL_DATE_TAG, REPLACEMENT_TAG};
pub use error::ManageError;
pub use find::{ImageQuery, ImageRef, Placed, family_head};
pub use prune::{
    Going, Judged, PrunePlan, PruneRules, PruneScope, Pruned, PrunedImage, Staying, Verdict, judge,
};
pub use visibility::Access;

pub use crate::protocol::ecs::{ImageOwner, TaggedIds};

/// How often a change is looked for before it counts as not made.
const LOOKS: u32 = 60;
/// Between two looks: the deletion of an image takes some minutes at most.
const PAUSE: Duration = Duration::from_secs(5);
/// As [`PAUSE`], of services on this machine.
const QUICK_PAUSE: Duration = Duration::from_millis(50);
/// Most regions that are asked at a time.
const REGIONS_AT_ONCE: usize = 8;

/// Manages the images of an account. Clones share the client.
#[derive(Debug, Clone)]
pub struct Images {
    importer: Importer,
    pause: Duration,
}

impl Images {
    /// Works through `client`.
    pub fn new(client: Client) -> Self {
        let pause = if client.options().rpc_is_local() { QUICK_PAUSE } else { PAUSE };
        Self { importer: Importer::new(client), pause }
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        self.importer.client()
    }

    /// Puts an image into a family, from which instances take the newest Available one. The same call again changes
    /// nothing. A family can be changed but not taken away ("Overview of image families" page).
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub async fn set_family(
        &self,
        region: &Region,
        image: &ImageId,
        family: &str,
    ) -> Result<(), ManageError> {
        Ok(self.importer.set_family(region, image, family).await?)
    }

    /// How long to wait before something is looked at again.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    async fn call<O: Operation>(
        &self,
        operation: &O,
        action: impl FnOnce() -> String,
    ) -> Result<O::Output, ManageError> {
        let called = self.client().call(operation).await;
        called.map_err(|source| ManageError::Call { action: action(), source: Box::new(source) })
    }

    /// Returns an own image that must be there.
    async fn look(&self, region: &Region, id: &ImageId) -> Result<CustomImage, ManageError> {
        let found = self.importer.image(region, id).await?;
        found.ok_or_else(|| ManageError::NotFound { image: id.to_string(), region: region.clone() })
    }

    /// Looks at an image until it is as it should be. Returns whether it became so.
    async fn settles(
        &self,
        region: &Region,
        id: &ImageId,
        is_so: impl Fn(Option<&CustomImage>) -> bool,
    ) -> Result<bool, ManageError> {
        for look in 1..=LOOKS {
            let image = self.importer.image(region, id).await?;
            if is_so(image.as_ref()) {
                return Ok(true);
            }
            if look < LOOKS {
                tokio::time::sleep(self.pause).await;
            }
        }
        Ok(false)
    }
}
