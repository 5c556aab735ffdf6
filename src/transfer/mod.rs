//! Sends the parts: the coordinator deals ranges to workers, and is the one writer of the journal.
//!
//! Workers return results; for each uploaded part, the coordinator first appends to the journal and then emits
//! the event. All of it runs on the caller's task: dropping the future drops every request, and the journal
//! stays true.

mod body;
mod control;
mod error;
mod journaling;
mod schedule;
mod watch;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, Aborted};
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub(crate) use control::Control;
pub use error::TransferError;
pub(crate) use journaling::JournalWriter;

pub use crate::blocks::{BLOCK_SIZE, DEFAULT_MAX_MEMORY, HostLimits, Limits, MIN_BANDWIDTH};
use crate::checksum;
use crate::client::{Client, Progress};
use crate::event::{Event, EventSink};
use crate::model::{Crc64, ObjectRef, PartNumber, PartProof, PartRecord, UploadId};
use crate::plan::{Part, Plan};
use crate::retry::Backoff;
use crate::source::Source;
use control::{Acknowledged, OnItsWay, Trouble, Unfinished};
use schedule::Schedule;
pub(crate) use watch::Watch;
use worker::{Context, Outcome};

/// How often stragglers are looked for.
const STRAGGLER_TICK: Duration = Duration::from_millis(100);
/// How long parts in flight may still get in after a gentle stop.
const GRACE: Duration = Duration::from_secs(3);

/// All parts of an object: their ranges tile it exactly, each byte once.
#[derive(Debug, Clone)]
pub(crate) struct PartList {
    parts: Vec<PartRecord>,
    crc64: Crc64,
    length: u64,
}

impl PartList {
    /// Returns the list if `parts` tile the object; only then.
    pub(crate) fn new(plan: &Plan, mut parts: Vec<PartRecord>) -> Option<Self> {
        parts.sort_by_key(|part| part.number);
        let tiles: Option<Vec<Part>> =
            parts.iter().map(|part| plan.part(part.number, part.range.len())).collect();
        if !plan.is_tiled_by(&tiles?) {
            return None;
        }
        let crc64 =
            parts.iter().fold(Crc64(0), |crc, part| checksum::combine(crc, part.crc64, part.range.len()));
        Some(Self { parts, crc64, length: plan.length() })
    }

    /// Returns the parts in ascending order.
    pub(crate) fn parts(&self) -> &[PartRecord] {
        &self.parts
    }

    /// Returns the CRC-64 of the whole object, as its bytes were read here.
    pub(crate) fn crc64(&self) -> Crc64 {
        self.crc64
    }

    /// Whether each part was compared with what the service has.
    pub(crate) fn is_proved(&self) -> bool {
        self.parts.iter().all(|part| part.proof != PartProof::Nothing)
    }

    /// Returns the object's length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// What a transfer works with.
pub(crate) struct Transfer {
    pub(crate) client: Client,
    pub(crate) object: ObjectRef,
    pub(crate) upload_id: UploadId,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    pub(crate) control: Control,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: EventSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) content_md5: bool,
}

/// A part on its way.
struct Running {
    part: Part,
    began: Instant,
    abort: AbortHandle,
}

impl Transfer {
    /// Sends what `present` leaves of the object, and returns all of its parts. `parts_in` follows how many
    /// parts are in, also when it fails.
    ///
    /// # Errors
    ///
    /// The first failure that retries cannot overcome. Uploaded parts are kept, and so are their journal records.
    ///
    /// # Cancellation
    ///
    /// The token stops it gently: parts in flight get a few seconds. Dropping the future stops it at once.
    pub(crate) async fn run(
        mut self,
        present: Vec<PartRecord>,
        journal: &mut JournalWriter,
        parts_in: &mut usize,
    ) -> Result<PartList, TransferError> {
        let context = Context {
            client: self.client.clone(),
            object: self.object.clone(),
            upload_id: self.upload_id.clone(),
            source: Arc::clone(&self.source),
            limits: self.limits.clone(),
            progress: Arc::clone(&self.progress),
            events: self.events.clone(),
            content_md5: self.content_md5,
            damage_told: AtomicBool::new(false),
        };
        let mut schedule = Schedule::new(self.plan, self.plan.remaining(present.iter().map(|p| p.range)));
        let mut done = present;
        let mut running: HashMap<PartNumber, Running> = HashMap::new();
        let mut workers = FuturesUnordered::new();
        let mut ticks = watch::ticks();
        let mut straggler_ticks = tokio::time::interval(STRAGGLER_TICK);
        straggler_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::new(&self.client, "parts are on their way, and no attempt has failed");
        let began = Instant::now();
        let mut stop: Option<(TransferError, Instant)> = None;
        // Connections that break at once are not opened again at once.
        let (mut cuts, mut hold) = (0, Instant::now());
        let mut target = self.control.target();
        let mut troubles = (self.progress.throttled(), self.progress.broken());
        // What was verified before took its time, in which nothing could get in.
        self.progress.acknowledge();
        self.events.emit(Event::Concurrency { target });
        loop {
            if stop.is_none() && self.cancel.is_cancelled() {
                stop = Some((TransferError::Cancelled, Instant::now() + GRACE));
            }
            // One moment for both questions: between two, the hold might end, and the loop with bytes that wait.
            let now = Instant::now();
            while stop.is_none() && running.len() < self.control.target() && hold <= now {
                let Some(part) = schedule.deal(self.control.next_size(schedule.waiting())) else { break };
                let (abort, registration) = AbortHandle::new_pair();
                running.insert(part.number, Running { part, began: Instant::now(), abort });
                self.events.emit(Event::PartStarted { number: part.number, range: part.range });
                let context = &context;
                let work = async move { (part, worker::send(context, part).await) };
                workers.push(async move { (part, Abortable::new(work, registration).await) });
            }
            let held = (stop.is_none() && schedule.waiting() > 0 && hold > now).then_some(hold);
            if running.is_empty() && held.is_none() {
                break;
            }
            let grace_ends = stop.as_ref().map(|(_, at)| *at);
            tokio::select! {
                biased;
                () = self.cancel.cancelled(), if stop.is_none() => {}
                () = sleep_until(grace_ends) => break,
                () = sleep_until(held) => {}
                Some((part, outcome)) = workers.next() => {
                    running.remove(&part.number);
                    let elapsed = began.elapsed();
                    match outcome {
                        Ok((_, Outcome::Done(record, took))) => {
                            cuts = 0;
                            self.progress.acknowledge();
                            self.progress.observe_rate(record.range.len(), took);
                            let (bytes, waiting) = (record.range.len(), schedule.waiting());
                            let others: Vec<Unfinished> = running.values().map(Running::unfinished).collect();
                            let others = &others[..];
                            self.control.acknowledged(Acknowledged { bytes, took, others, waiting }, elapsed);
                            journal.append(&record);
                            let (number, range) = (record.number, record.range);
                            done.push(record);
                            *parts_in = done.len();
                            self.events.emit(Event::PartDone { number, range, took });
                        }
                        Ok((_, Outcome::Cut(error))) => {
                            schedule.give_back_in(part.range, part.range.len() / 2);
                            self.events.emit(Event::PartReturned { number: part.number });
                            cuts += 1;
                            hold = Instant::now() + Backoff::NORMAL.delay(cuts, (self.client.options().dice)());
                            if self.progress.failing_for() >= self.client.options().retry_timeout && stop.is_none() {
                                stop = Some((error, Instant::now()));
                            }
                        }
                        Ok((_, Outcome::Failed(error))) => {
                            // The others may still get in: what they sent is not to be sent again.
                            stop.get_or_insert((error, Instant::now() + GRACE));
                        }
                        Err(Aborted) => {
                            schedule.give_back_in(part.range, self.control.dropped(part.range.len()));
                            self.events.emit(Event::PartReturned { number: part.number });
                        }
                    }
                }
                _ = ticks.tick() => {
                    journal.start_sync().await;
                    watch.tick(&self.client, &self.progress, &self.events);
                }
                _ = straggler_ticks.tick(), if stop.is_none() => {
                    self.cut_stragglers(&running, schedule.waiting(), began.elapsed());
                }
            }
            self.pass_troubles(&mut troubles, began.elapsed());
            if self.control.target() != target {
                target = self.control.target();
                self.events.emit(Event::Concurrency { target });
            }
        }
        drop(workers);
        if let Some(parallel) = self.control.learnt() {
            self.progress.observe_fill(parallel);
        }
        journal.finish_sync().await;
        match stop {
            Some((error, _)) => Err(error),
            None => Ok(PartList::new(&self.plan, done)
                .expect("nothing waits and nothing runs, so the parts that are in tile the object")),
        }
    }

    /// Reports to the controller the failed attempts since the last report, including those that were retried.
    fn pass_troubles(&mut self, told: &mut (u64, u64), elapsed: Duration) {
        let now = (self.progress.throttled(), self.progress.broken());
        if now.0 > told.0 {
            self.control.trouble(Trouble::Throttled, elapsed);
        }
        for _ in told.1..now.1 {
            self.control.trouble(Trouble::Broken, elapsed);
        }
        *told = now;
    }

    /// Aborts parts that take far longer than they should: their bytes are sent again, in smaller parts and over
    /// other connections.
    fn cut_stragglers(&mut self, running: &HashMap<PartNumber, Running>, waiting: u64, elapsed: Duration) {
        let others = running.len().saturating_sub(1);
        let all: u64 = running.values().map(|running| running.part.range.len()).sum();
        for running in running.values() {
            let Unfinished { bytes, age } = running.unfinished();
            let on_its_way = OnItsWay { bytes, age, others, others_bytes: all - bytes, waiting };
            if self.control.is_straggler(on_its_way, elapsed) {
                running.abort.abort();
            }
        }
    }
}

impl Running {
    fn unfinished(&self) -> Unfinished {
        Unfinished { bytes: self.part.range.len(), age: self.began.elapsed() }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
