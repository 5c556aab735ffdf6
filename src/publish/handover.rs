//! Names pass from the old images to the new ones, once these can be used everywhere.
//!
//! A name belongs to one image of a region, so the old image has to lose it before the new one can get it
//! ([`Images::hand_over`](crate::manage::Images)). Nothing but these two requests lies between, and nothing can go wrong there
//! that was not tried before: the old image was just tagged, the new one is Available.
//!
//! A process that dies between the two leaves the name to nobody. That is seen in the images alone: the old one has the
//! tag [`REPLACED_BY_TAG`] and a name that says so, the new one is under the name that it was made with. So the first
//! thing that the next run does, on whatever machine and with whatever image, is to give the name to the new one.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use super::replaced::{REPLACED_BY_TAG, lost_to};
use super::steps::Steps;
use super::{Publish, PublishError, PublishReport, names};
use crate::import::{CustomImage, ImportError, Tag, has_origin};
use crate::manage::ManageError;
use crate::model::{ImageId, ImageStatus, Region};

/// How often a name is asked for, while others want it too or the service has not noticed that it is free.
const ATTEMPTS: u32 = 10;
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(2);
/// As [`PAUSE`], of services on this machine.
const QUICK_PAUSE: Duration = Duration::from_millis(20);
/// Names that are looked up at a time.
const AT_ONCE: usize = 8;

/// A name of a region, and the image that is to have it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) region: Region,
    pub(super) name: String,
    pub(super) image: ImageId,
}

/// What is to be done so that an image has a name.
#[derive(Debug)]
enum Move {
    /// It has it.
    Done,
    /// Nobody has it.
    Take,
    /// Another image has it, and may lose it.
    Replace(CustomImage),
    /// Another image has it, and keeps it.
    Refused(CustomImage),
}

fn decide(publish: &Publish, slot: &Slot, holder: Option<CustomImage>) -> Move {
    match holder {
        None => Move::Take,
        Some(holder) if holder.image_id == slot.image => Move::Done,
        Some(holder) if publish.may_lose_name(&holder) => Move::Replace(holder),
        Some(holder) => Move::Refused(holder),
    }
}

impl Steps<'_> {
    /// Returns the names that are wanted, each with the image that is to have it.
    pub(super) fn slots(&self, report: &PublishReport) -> Vec<Slot> {
        let mut images: BTreeMap<(Region, String), ImageId> = BTreeMap::new();
        for (region, name) in self.publish.names() {
            let is_import =
                name == self.publish.import_request().name() && region == report.import.task.region;
            let made = if is_import { Some(&report.import) } else { report.copies.get(&region) };
            images.extend(made.map(|made| ((region, name), made.task.image_id.clone())));
        }
        let slot = |((region, name), image)| Slot { region, name, image };
        images.into_iter().map(slot).collect()
    }

    /// Gives all images the names that they are to have.
    pub(super) async fn take_names(&self, report: &mut PublishReport) -> Result<(), PublishError> {
        let has_name = |slot: &Slot| {
            let image =
                report.all().find(|made| made.task.image_id == slot.image && made.task.region == slot.region);
            image
                .and_then(|made| made.image.as_ref())
                .is_some_and(|image| image.name.as_ref() == Some(&slot.name))
        };
        let mut slots = self.slots(report);
        if self.publish.replace.is_none() {
            slots.retain(|slot| !has_name(slot));
        }
        for slot in &slots {
            self.publish.hand_over(slot).await?;
        }
        // Another publish may have been at the same names, in another order.
        for slot in &slots {
            let holder = self.publish.holder(&slot.region, &slot.name).await?;
            if holder.as_ref().is_none_or(|holder| holder.image_id != slot.image) {
                let (region, name) = (slot.region.clone(), slot.name.clone());
                return Err(PublishError::Superseded {
                    region,
                    name,
                    image: holder.map(|holder| holder.image_id),
                });
            }
        }
        report.named_as(&slots);
        Ok(())
    }
}

impl Publish {
    /// Returns the names that are wanted: the import's, then the copies'.
    pub(super) fn names(&self) -> Vec<(Region, String)> {
        let import = (self.request.region().clone(), self.import_request().name().to_owned());
        let copies = self.destinations().into_iter().map(|region| (region, self.request.name().to_owned()));
        std::iter::once(import).chain(copies).collect()
    }

    /// Ends the handovers that an earlier run has left half done. What fails here is tried again in its turn.
    pub(super) async fn close_gaps(&self) -> Result<(), PublishError> {
        if self.replace.is_none() {
            return Ok(());
        }
        let looks: Vec<_> =
            self.names().into_iter().map(|(region, name)| self.close_gap(region, name)).collect();
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            if let Err(cancelled @ PublishError::Cancelled { .. }) = looked {
                return Err(cancelled);
            }
        }
        Ok(())
    }

    async fn close_gap(&self, region: Region, name: String) -> Result<(), PublishError> {
        if self.holder(&region, &name).await?.is_some() {
            return Ok(());
        }
        let images =
            self.until_cancelled(self.importer.images(&region)).await?.map_err(PublishError::Import)?;
        let heirs: Vec<ImageId> = images.iter().filter_map(|old| lost_to(old, &name)).collect();
        let is_heir = |image: &&CustomImage| {
            heirs.contains(&image.image_id)
                && image.status == ImageStatus::Available
                && has_origin(image)
                && image.name.as_ref().is_some_and(|found| names::is_staged(found, &name))
        };
        let Some(heir) = images.iter().find(is_heir) else { return Ok(()) };
        self.images().give_name(&region, &name, &heir.image_id).await.map_err(PublishError::Manage)
    }

    /// Gives one image its name, and the image that has it another one.
    async fn hand_over(&self, slot: &Slot) -> Result<(), PublishError> {
        let mut refused = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.until_cancelled(tokio::time::sleep(self.pause())).await?;
            }
            let holder = self.holder(&slot.region, &slot.name).await?;
            let taken = match decide(self, slot, holder) {
                Move::Done => return Ok(()),
                Move::Refused(holder) => return Err(kept(self, slot, holder)),
                Move::Take => self.images().give_name(&slot.region, &slot.name, &slot.image).await,
                Move::Replace(old) => self.replace_one(slot, &old).await?,
            };
            match taken {
                Ok(()) => return Ok(()),
                Err(error) if error.may_pass() => refused = Some(error),
                Err(error) => return Err(PublishError::Manage(error)),
            }
        }
        Err(PublishError::Manage(refused.expect("every attempt but a refused one has returned")))
    }

    /// Takes the name from one image and gives it to another. Returns why the service has refused that.
    async fn replace_one(
        &self,
        slot: &Slot,
        old: &CustomImage,
    ) -> Result<Result<(), ManageError>, PublishError> {
        let Slot { region, name, image } = slot;
        let mark = Tag { key: REPLACED_BY_TAG.to_owned(), value: image.to_string() };
        if !old.tags.contains(&mark) {
            let tagged = self.until_cancelled(self.images().tag(region, old, &[mark], false)).await?;
            tagged.map_err(PublishError::Manage)?;
        }
        let other = names::replaced(name, &old.image_id);
        // Nobody stops it here.
        let taken = self.images().hand_over(region, name, (&old.image_id, &other), image).await;
        if taken.is_ok() {
            let old = &old.image_id;
            self.events.notice(format!("{region}: image {image} is `{name}` now, and {old} `{other}`"));
        }
        Ok(taken)
    }

    /// Returns the own image of exactly this name.
    async fn holder(&self, region: &Region, name: &str) -> Result<Option<CustomImage>, PublishError> {
        let look = self.importer.find_image(region, name);
        self.until_cancelled(look).await?.map_err(PublishError::Import)
    }

    fn pause(&self) -> Duration {
        if self.importer.client().options().rpc_is_local() { QUICK_PAUSE } else { PAUSE }
    }
}

/// Returns the error that names the image that keeps the name.
fn kept(publish: &Publish, slot: &Slot, holder: CustomImage) -> PublishError {
    let (name, region, image_id) = (slot.name.clone(), slot.region.clone(), holder.image_id.clone());
    match publish.replace.is_some() && !has_origin(&holder) {
        true => PublishError::NotOurs { name, region, image_id },
        false => {
            PublishError::Import(ImportError::NameTaken { name, region, image_id, status: holder.status })
        }
    }
}
