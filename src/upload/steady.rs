//! That the object is one state of the source: what is looked at before, while and after its bytes are read.
//!
//! Timestamps show a change where every write moves them. Where they do not, or where only the ctime moved (a link, a
//! mode, an attribute), the bytes are read again and compared with the parts. If all are the same, the object is what
//! the source held at the moment between the two readings.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Upload, UploadError};
use crate::client::Progress;
use crate::complete::{CompleteError, check_unchanged};
use crate::source::{Change, SourceIdentity, Witness};
use crate::supply::{self, ComparisonFailed, Recipe, SupplyError};
use crate::transfer::{PartList, TransferError, Watch};

/// Shown as the reason of a stall before the first byte is read.
const SETTLING: &str = "the system writes the source to its disk";
/// Shown as the reason of a stall before Complete.
const COMPARING: &str = "the source is read once more";
/// How often the source is looked at while it is read.
const LOOK: Duration = Duration::from_secs(1);
/// Two writes within this time may leave the same timestamps.
const TICK: Duration = Duration::from_millis(20);
/// The same on a file system that keeps whole seconds, some of them only even ones.
const COARSE_TICK: Duration = Duration::from_secs(2);

impl Upload {
    /// Waits until every later write shows.
    pub(super) async fn settle(&self, progress: &Progress) -> Result<(), UploadError> {
        let settled = async {
            settle(&self.recipe).await;
            tokio::time::sleep(self.until_writes_show()).await;
        };
        Watch::over(&self.client, progress, &self.events, SETTLING, settled).await;
        look(&self.recipe).await.map(|_| ()).map_err(UploadError::from)
    }

    /// Returns for how long a write could still leave the times that the source has.
    fn until_writes_show(&self) -> Duration {
        let Some(SourceIdentity::File(file)) = self.recipe.identity() else { return Duration::ZERO };
        let last = file.modified_ns.max(file.changed_ns);
        let age = self.client.now().as_nanosecond() - last;
        let tick = if last % 1_000_000_000 == 0 { COARSE_TICK } else { TICK };
        u64::try_from(age).map_or(Duration::ZERO, |age| tick.saturating_sub(Duration::from_nanos(age)))
    }

    /// Checks that the parts are one state of the source. Returns whether that is not proved, of a source that may
    /// be in use.
    pub(super) async fn check_source(
        &self,
        list: &PartList,
        progress: &Progress,
    ) -> Result<bool, UploadError> {
        settle(&self.recipe).await;
        let suspicion = look(&self.recipe).await?;
        let witness = self.recipe.witness();
        if suspicion.is_none() && witness != Witness::Never {
            return Ok(false);
        }
        if self.in_use {
            self.events.notice("the source was in use while it was read: its bytes are of no single moment");
            return Ok(true);
        }
        if suspicion.is_some() {
            self.events.notice("the source may have been written to: its bytes are compared");
        }
        let compared = self.compare(list, progress);
        tokio::select! {
            biased;
            compared = Watch::over(&self.client, progress, &self.events, COMPARING, compared) => compared?,
            () = self.cancel.cancelled() => return Err(UploadError::Cancelled),
        }
        look(&self.recipe).await?;
        Ok(false)
    }

    /// Makes the object once more, only to compare it with the parts that were sent.
    async fn compare(&self, list: &PartList, progress: &Progress) -> Result<(), UploadError> {
        // Of a device the memory may hold what was read before, and not what it holds now.
        let recipe = self.recipe.clone();
        blocking(move || recipe.forget_cached()).await;
        let failed = |error| match error {
            ComparisonFailed::Differs(range) => {
                let why = format!(" (from byte {} to {})", range.start, range.end);
                CompleteError::SourceChanged { change: Change::Bytes, why }.into()
            }
            ComparisonFailed::Unreadable(SupplyError { offset, source }) => {
                let (object, parts) = (self.session.object.clone(), list.parts().len());
                UploadError::Transfer { object, parts, source: TransferError::Source { offset, source } }
            }
        };
        let parts = list.parts().iter().map(|part| (part.range, part.crc64));
        // Reading takes as long as it takes, and does not mean that the service is silent.
        let compared = || progress.acknowledge();
        let supply = self.recipe.supply().map_err(ComparisonFailed::Unreadable).map_err(failed)?;
        supply::compare(supply, parts, &self.limits, compared).await.map_err(failed)
    }
}

/// Returns when the source is seen to have changed, which is checked now and then. A check that fails for the moment
/// does not count as a change.
pub(super) async fn changed(recipe: &Recipe) -> CompleteError {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match look(recipe).await {
            Ok(_) | Err(CompleteError::SourceChanged { change: Change::Gone, .. }) => {}
            Err(changed) => return changed,
        }
    }
}

async fn settle(recipe: &Recipe) {
    let recipe = recipe.clone();
    blocking(move || recipe.settle()).await;
}

async fn look(recipe: &Recipe) -> Result<Option<Change>, CompleteError> {
    let recipe = recipe.clone();
    blocking(move || check_unchanged(&recipe)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("looking at a source does not panic")
}
