//! Sends the parts: the coordinator deals ranges to workers, and is the one writer of the journal.
//!
//! Content comes from a supply; the ledger says what is to be done with it, the course what follows from what
//! happened. Workers return results; for each uploaded part, the coordinator first appends to the journal and
//! then emits the event. All of it runs on the caller's task: dropping the future drops every request, and the journal
//! stays true.

mod body;
mod compare;
mod control;
mod course;
mod error;
mod journaling;
mod ledger;
mod part_list;
mod schedule;
mod watch;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cancel::CancellationToken;
use futures::StreamExt;
use futures::future::Abortable;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) use control::{Control, PART_SIZES};
pub use error::TransferError;
pub(crate) use journaling::JournalWriter;
pub(crate) use part_list::PartList;

pub use crate::blocks::{BLOCK_SIZE, DEFAULT_MAX_MEMORY, HostLimits, Limits, MIN_BANDWIDTH};
use crate::client::{Client, Progress};
use crate::event::EventSink;
use crate::model::{ObjectRef, UploadId};
use crate::plan::Plan;
use crate::session::Claim;
use crate::supply::{Image, Supply};
use course::Course;
pub(crate) use watch::Watch;
use worker::Context;

/// How often stragglers are looked for.
const STRAGGLER_TICK: Duration = Duration::from_millis(100);

/// What a transfer works with.
pub(crate) struct Transfer {
    pub(crate) client: Client,
    pub(crate) object: ObjectRef,
    pub(crate) upload_id: UploadId,
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    /// The largest part in bytes: what is held in memory has to fit there.
    pub(crate) most_part: u64,
    pub(crate) control: Control,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: EventSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) content_md5: bool,
    /// Whether parts without a CRC-64 in their answers are proved by MD5.
    pub(crate) prove_by_md5: bool,
    /// Whether a part of an earlier run that differs ends the transfer: the content cannot be the same, and whoever
    /// began the upload may still want it.
    pub(crate) must_match: bool,
}

/// What a transfer achieved.
#[derive(Debug)]
pub(crate) struct Transferred {
    /// All parts of the object.
    pub(crate) list: PartList,
    /// How many of them were in before.
    pub(crate) kept: usize,
    /// What was found out about the image.
    pub(crate) image: Image,
}

impl Transfer {
    /// Sends what is supplied, apart from parts that are in already, and returns all parts. `parts_in` follows how
    /// many parts are in, also when it fails.
    ///
    /// # Errors
    ///
    /// The first failure that retries cannot overcome. Uploaded parts are kept, and so are their journal records.
    ///
    /// # Cancellation
    ///
    /// The token stops it gently: parts in flight get a few seconds. Dropping the future stops it at once.
    pub(crate) async fn run(
        self,
        mut supply: Supply,
        claims: Vec<Claim>,
        journal: &mut JournalWriter,
        parts_in: &mut usize,
    ) -> Result<Transferred, TransferError> {
        let context = &Context {
            client: self.client.clone(),
            object: self.object.clone(),
            upload_id: self.upload_id.clone(),
            limits: self.limits.clone(),
            progress: Arc::clone(&self.progress),
            events: self.events.clone(),
            content_md5: self.content_md5,
            prove_by_md5: self.prove_by_md5,
            damage_told: AtomicBool::new(false),
        };
        let cancel = self.cancel.clone();
        let mut watch = Watch::new(&self.client, "parts are on their way, and no attempt has failed");
        let mut course = Course::new(self, claims, journal, parts_in);
        let mut workers = FuturesUnordered::new();
        let mut comparisons = FuturesUnordered::new();
        let mut ticks = watch::ticks();
        let mut straggler_ticks = tokio::time::interval(STRAGGLER_TICK);
        straggler_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (dealt, held) = course.deal();
            for (piece, registration) in dealt {
                let part = piece.part;
                let work = Abortable::new(worker::send(context, piece), registration);
                workers.push(async move { (part, work.await) });
            }
            while let Some((claim, content)) = course.compare() {
                comparisons.push(compare::compare(claim, content, context));
            }
            if course.is_over() && held.is_none() {
                break;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !course.is_stopping() => {}
                () = sleep_until(course.grace_ends()) => break,
                () = sleep_until(held) => {}
                Some((part, outcome)) = workers.next() => course.ended(part, outcome),
                Some((claim, outcome)) = comparisons.next() => course.compared(&claim, outcome),
                supplied = supply.next(), if course.wants_content() => course.supplied(supplied),
                _ = ticks.tick() => {
                    course.sync().await;
                    let Transfer { client, progress, events, .. } = course.transfer();
                    watch.tick(client, progress, events);
                }
                _ = straggler_ticks.tick(), if !course.is_stopping() => course.cut_stragglers(),
            }
            course.adapt();
        }
        drop((workers, comparisons));
        course.end().await
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
