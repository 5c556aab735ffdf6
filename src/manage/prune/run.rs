//! Planning a prune in a region, and doing what was planned.
//!
//! Between the two, people read the plan, and the account goes on living; a deletion takes minutes. So everything is judged
//! again before each deletion, and an image goes only if both judgements say so; what has changed since is told. One image
//! after the other, the oldest first, and a failure of one does not end it. After a kill the same command does the rest, snapshots
//! included: it begins with what an interrupted deletion has left.

use jiff::Timestamp;

use super::plan::{Judged, PruneRules, Staying, Verdict, judge};
use crate::import::CustomImage;
use crate::manage::{DeleteOptions, Deleted, ImageQuery, Images, ManageError};
use crate::model::{ImageId, Region, SnapshotId};

/// What a prune would do in a region.
#[derive(Debug)]
#[non_exhaustive]
pub struct PrunePlan {
    /// The region.
    pub region: Region,
    /// The images that the rules look at, the newest first.
    pub judged: Vec<Judged>,
    /// The time by which ages were told, by the service's clock.
    pub as_of: Timestamp,
    /// Snapshots that an earlier, interrupted deletion has left, and that go too.
    pub left: Vec<SnapshotId>,
}

impl PrunePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && !self.judged.iter().any(Judged::goes)
    }
}

/// An image that was planned to go, and what became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct PrunedImage {
    /// The image as it was when the plan was made.
    pub image: CustomImage,
    /// What became of it.
    pub outcome: Result<Pruned, ManageError>,
}

/// What became of an image that was planned to go.
#[derive(Debug)]
#[non_exhaustive]
pub enum Pruned {
    /// It is deleted.
    Deleted(Deleted),
    /// It stays, for a reason that was not there, or not known, when the plan was made.
    Stays(Staying),
    /// Somebody else has deleted it.
    Gone,
}

impl Images {
    /// Plans a prune of a region, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the region's images or snapshots cannot be listed.
    pub async fn plan_prune(&self, region: &Region, rules: &PruneRules) -> Result<PrunePlan, ManageError> {
        let images = self.list(region, &ImageQuery::default()).await?;
        let left = self.left_snapshots(region).await?;
        // By a wrong local clock an image that was made just now could seem old.
        let as_of = self.client().service_time().unwrap_or_else(|| self.client().now());
        Ok(PrunePlan { region: region.clone(), judged: judge(&images, rules, as_of), as_of, left })
    }

    /// Does what was planned for a region, and tells what became of each image as soon as it is known.
    ///
    /// # Errors
    ///
    /// When nothing could be begun: snapshots that were left cannot be deleted. The failure of one image is its outcome.
    pub async fn prune(
        &self,
        plan: &PrunePlan,
        rules: &PruneRules,
        told: impl Fn(&Region, &PrunedImage),
    ) -> Result<Vec<PrunedImage>, ManageError> {
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        let region = &plan.region;
        if !plan.left.is_empty() {
            self.finish_deletions(region).await?;
        }
        let mut pruned = Vec::new();
        for planned in plan.judged.iter().rev().filter(|judged| judged.goes()) {
            let outcome = self.prune_planned(plan, planned, rules).await;
            let one = PrunedImage { image: planned.image.clone(), outcome };
            told(region, &one);
            pruned.push(one);
        }
        Ok(pruned)
    }

    async fn prune_planned(
        &self,
        plan: &PrunePlan,
        planned: &Judged,
        rules: &PruneRules,
    ) -> Result<Pruned, ManageError> {
        let (region, id) = (&plan.region, &planned.image.image_id);
        let judged = judge(&self.list(region, &ImageQuery::default()).await?, rules, plan.as_of);
        match judged.iter().find(|judged| judged.image.image_id == *id) {
            // It is not there, or no longer what the rules look at.
            None => self.gone(region, id).await,
            Some(Judged { verdict: Verdict::Stays(why), .. }) => Ok(Pruned::Stays(why.clone())),
            Some(Judged { image, .. }) => self.prune_image(region, image, rules).await,
        }
    }

    async fn gone(&self, region: &Region, id: &ImageId) -> Result<Pruned, ManageError> {
        match self.importer.image(region, id).await? {
            None => Ok(Pruned::Gone),
            Some(_) => Ok(Pruned::Stays(Staying::Changed)),
        }
    }

    async fn prune_image(
        &self,
        region: &Region,
        image: &CustomImage,
        rules: &PruneRules,
    ) -> Result<Pruned, ManageError> {
        let withdraw = image.is_public == Some(true) || image.is_shared == Some(true);
        // The list says that an image is public, but not always that accounts have it besides.
        if withdraw && !rules.shared {
            let accounts = self.importer.shared_with(region, &image.image_id).await?;
            if !accounts.is_empty() {
                return Ok(Pruned::Stays(Staying::Shared));
            }
        }
        let options =
            DeleteOptions::default().with_snapshots(true).with_force(rules.in_use).with_withdraw(withdraw);
        match self.delete(region, &image.image_id, options).await {
            Ok(deleted) => Ok(Pruned::Deleted(deleted)),
            Err(ManageError::InUse { .. }) => Ok(Pruned::Stays(Staying::InUse)),
            Err(ManageError::Shared { public: true, .. }) => Ok(Pruned::Stays(Staying::Public)),
            Err(ManageError::Shared { .. }) => Ok(Pruned::Stays(Staying::Shared)),
            Err(error) => Err(error),
        }
    }
}
