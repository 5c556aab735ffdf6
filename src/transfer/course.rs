//! The state of a transfer between two things that happen: which parts are on their way, whether and why it stops.
//! It neither waits nor sends.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::{AbortHandle, AbortRegistration, Aborted};
use tokio::time::Instant;

use super::control::{Acknowledged, OnItsWay, Trouble, Unfinished};
use super::ledger::{Ledger, Piece};
use super::worker::Outcome;
use super::{JournalWriter, PartList, Transfer, TransferError, Transferred};
use crate::blocks::Content;
use crate::event::Event;
use crate::model::{PartNumber, PartRecord};
use crate::plan::Part;
use crate::retry::Backoff;
use crate::session::{Claim, Unproved};
use crate::supply::{Image, Supplied, SupplyError};

/// How long parts in flight may still get in after a gentle stop.
const GRACE: Duration = Duration::from_secs(3);
/// How much content may wait to be sent before more is asked for.
const AHEAD: u64 = 64 << 20;
/// How far the image passes between two reports of it.
const TOLD_EVERY: u64 = 4 << 20;
/// Parts of an earlier run that are compared at a time: the processor and the disk are shared with what is sent.
const COMPARED_AT_ONCE: usize = 2;

/// A part on its way.
struct Running {
    part: Part,
    began: Instant,
    abort: AbortHandle,
}

/// A transfer under way.
pub(super) struct Course<'a> {
    transfer: Transfer,
    ledger: Ledger,
    image: Image,
    /// How many bytes of the image were reported to have passed.
    told: u64,
    journal: &'a mut JournalWriter,
    /// Parts that are in and that the journal does not have yet.
    unrecorded: Vec<PartRecord>,
    /// Follows how many parts are in, also when the transfer fails.
    parts_in: &'a mut usize,
    running: HashMap<PartNumber, Running>,
    comparing: usize,
    began: Instant,
    stop: Option<(TransferError, Instant)>,
    /// Connections that break at once are not opened again at once.
    cuts: u32,
    hold: Instant,
    target: usize,
    /// Whether more parts may go out than can be made of what is known.
    starved: bool,
    /// Throttled and broken attempts that the controller knows of.
    troubles: (u64, u64),
}

impl<'a> Course<'a> {
    pub(super) fn new(
        transfer: Transfer,
        claims: Vec<Claim>,
        journal: &'a mut JournalWriter,
        parts_in: &'a mut usize,
    ) -> Self {
        let (began, target) = (Instant::now(), transfer.control.target());
        let troubles = (transfer.progress.throttled(), transfer.progress.broken());
        // What came before took its time, in which nothing could get in.
        transfer.progress.acknowledge();
        transfer.events.emit(Event::Concurrency { target });
        // One that is larger than what may be held could never be compared.
        let most = transfer.most_part.saturating_mul(2);
        let ledger =
            Ledger::new(transfer.plan, claims.into_iter().filter(|claim| claim.range().len() <= most));
        let image = Image::default();
        let (running, comparing, stop, cuts, hold) = (HashMap::new(), 0, None, 0, began);
        Self {
            transfer,
            ledger,
            image,
            told: 0,
            journal,
            unrecorded: Vec::new(),
            parts_in,
            running,
            comparing,
            began,
            stop,
            cuts,
            hold,
            target,
            starved: false,
            troubles,
        }
    }

    /// Stops gently if that was asked for, and deals the parts that may go out now. Returns until when no more may,
    /// if only that holds them up.
    pub(super) fn deal(&mut self) -> (Vec<(Piece, AbortRegistration)>, Option<Instant>) {
        if self.stop.is_none() && self.transfer.cancel.is_cancelled() {
            self.stop = Some((TransferError::Cancelled, Instant::now() + GRACE));
        }
        // One moment for both questions: between two, the hold might end, and the loop with bytes that wait.
        let now = Instant::now();
        let mut dealt = Vec::new();
        self.starved = false;
        while self.stop.is_none() && self.running.len() < self.transfer.control.target() && self.hold <= now {
            let wish = self.transfer.control.next_size(self.left()).min(self.transfer.most_part);
            let Some(piece) = self.ledger.deal(wish, true) else {
                self.starved = true;
                break;
            };
            let (abort, registration) = AbortHandle::new_pair();
            let part = piece.part;
            self.running.insert(part.number, Running { part, began: Instant::now(), abort });
            self.transfer.events.emit(Event::PartStarted { number: part.number, range: part.range });
            dealt.push((piece, registration));
        }
        let held = self.stop.is_none() && self.ledger.waiting() > 0 && self.hold > now;
        (dealt, held.then_some(self.hold))
    }

    /// Returns the next part of an earlier run that is to be compared with its content.
    pub(super) fn compare(&mut self) -> Option<(Unproved, Content)> {
        if self.stop.is_some() || self.comparing >= COMPARED_AT_ONCE {
            return None;
        }
        let next = self.ledger.compare()?;
        self.comparing += 1;
        Some(next)
    }

    /// Whether more content is wanted. However long parts are compared or held up, what is known and not sent stays
    /// bounded.
    pub(super) fn wants_content(&self) -> bool {
        let starved = self.starved && !self.ledger.has_to_compare();
        let wanted = starved || self.ledger.undecided() < AHEAD;
        wanted && self.stop.is_none() && !self.ledger.has_ended()
    }

    /// Whether nothing is on its way and nothing can be done any more.
    pub(super) fn is_over(&self) -> bool {
        self.running.is_empty() && self.comparing == 0 && (self.stop.is_some() || self.ledger.has_ended())
    }

    /// Returns when parts in flight are given up, if it stops.
    pub(super) fn grace_ends(&self) -> Option<Instant> {
        self.stop.as_ref().map(|(_, at)| *at)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Takes in what the supply gave.
    pub(super) fn supplied(&mut self, supplied: Result<Supplied, SupplyError>) {
        match supplied {
            Ok(Supplied::Content { at, content, passed }) => {
                if let Err(error) = self.ledger.know(at, content) {
                    self.stop(TransferError::Plan(error));
                } else if passed >= self.told + TOLD_EVERY {
                    self.pass(passed);
                }
            }
            Ok(Supplied::End { length, image }) => match self.ledger.end(length) {
                Ok(longer_before) if longer_before && self.transfer.must_match => {
                    self.stop(TransferError::OtherContent { offset: length });
                }
                Ok(_) => {
                    self.image = image;
                    if self.told > 0 || self.transfer.plan.length().is_none() {
                        self.pass(image.bytes);
                    }
                    if self.transfer.plan.length().is_none() {
                        self.transfer.events.emit(Event::Sized { length });
                    }
                }
                Err(error) => self.stop(TransferError::Plan(error)),
            },
            Err(SupplyError { offset, source }) => self.stop(TransferError::Source { offset, source }),
        }
        self.record();
        *self.parts_in = self.ledger.parts_in();
    }

    fn pass(&mut self, image_bytes: u64) {
        self.told = image_bytes;
        let object_bytes = self.ledger.front();
        self.transfer.events.emit(Event::Passed { image_bytes, object_bytes });
    }

    /// Takes in the outcome of a comparison.
    pub(super) fn compared(&mut self, claim: &Unproved, outcome: Result<Option<PartRecord>, TransferError>) {
        self.comparing -= 1;
        // Reading takes as long as it takes, and does not mean that the service is silent.
        self.transfer.progress.acknowledge();
        let Part { number, range, .. } = claim.part;
        match outcome {
            Ok(Some(record)) => {
                self.journal.append(&record);
                self.ledger.confirm(record);
                self.record();
                *self.parts_in = self.ledger.parts_in();
                self.transfer.events.emit(Event::Verified { number, range, good: true });
            }
            Ok(None) => {
                self.transfer.events.emit(Event::Verified { number, range, good: false });
                // One that was never acknowledged may have arrived damaged, which shows nothing about the content.
                if self.transfer.must_match && claim.acknowledged {
                    self.stop(TransferError::OtherContent { offset: range.start });
                } else {
                    self.ledger.refute(range);
                }
            }
            Err(error) => self.stop(error),
        }
    }

    /// Takes in how a part ended.
    pub(super) fn ended(&mut self, part: Part, outcome: Result<Outcome, Aborted>) {
        self.running.remove(&part.number);
        match outcome {
            Ok(Outcome::Done(record, took)) => self.done(record, took),
            Ok(Outcome::Cut(error)) => {
                self.ledger.give_back_in(part.range, part.range.len() / 2);
                self.transfer.events.emit(Event::PartReturned { number: part.number });
                self.cuts += 1;
                let options = self.transfer.client.options();
                self.hold = Instant::now() + Backoff::NORMAL.delay(self.cuts, (options.dice)());
                if self.transfer.progress.failing_for() >= options.retry_timeout && self.stop.is_none() {
                    self.stop = Some((error, Instant::now()));
                }
            }
            // The others may still get in: what they sent is not to be sent again.
            Ok(Outcome::Failed(error)) => self.stop(error),
            Err(Aborted) => {
                let smaller = self.transfer.control.dropped(part.range.len());
                self.ledger.give_back_in(part.range, smaller);
                self.transfer.events.emit(Event::PartReturned { number: part.number });
            }
        }
    }

    fn done(&mut self, record: PartRecord, took: Duration) {
        let elapsed = self.began.elapsed();
        self.cuts = 0;
        self.transfer.progress.acknowledge();
        self.transfer.progress.observe_rate(record.range.len(), took);
        let (bytes, waiting) = (record.range.len(), self.left());
        let others: Vec<Unfinished> = self.running.values().map(Running::unfinished).collect();
        self.transfer.control.acknowledged(Acknowledged { bytes, took, others: &others, waiting }, elapsed);
        let (number, range) = (record.number, record.range);
        self.unrecorded.push(record.clone());
        self.ledger.is_in(record);
        self.record();
        *self.parts_in = self.ledger.parts_in();
        self.transfer.events.emit(Event::PartDone { number, range, took });
    }

    /// Has the journal record what is in. As long as the content may turn out to be another one than that of the parts
    /// that were in before, what is sent of it must not be recorded among them.
    fn record(&mut self) {
        let other = matches!(self.stop, Some((TransferError::OtherContent { .. }, _)));
        if self.transfer.must_match && (other || self.ledger.has_open_claims()) {
            return;
        }
        for record in self.unrecorded.drain(..) {
            self.journal.append(&record);
        }
    }

    /// Aborts parts that take far longer than they should: their bytes are sent again, in smaller parts and over
    /// other connections.
    pub(super) fn cut_stragglers(&mut self) {
        let (waiting, elapsed) = (self.left(), self.began.elapsed());
        let others = self.running.len().saturating_sub(1);
        let all: u64 = self.running.values().map(|running| running.part.range.len()).sum();
        for running in self.running.values() {
            let Unfinished { bytes, age } = running.unfinished();
            let on_its_way = OnItsWay { bytes, age, others, others_bytes: all - bytes, waiting };
            if self.transfer.control.is_straggler(on_its_way, elapsed) {
                running.abort.abort();
            }
        }
    }

    /// Reports to the controller the failed attempts since the last report, including those that were retried, and to
    /// the outside what it makes of everything.
    pub(super) fn adapt(&mut self) {
        let elapsed = self.began.elapsed();
        let now = (self.transfer.progress.throttled(), self.transfer.progress.broken());
        if now.0 > self.troubles.0 {
            self.transfer.control.trouble(Trouble::Throttled, elapsed);
        }
        for _ in self.troubles.1..now.1 {
            self.transfer.control.trouble(Trouble::Broken, elapsed);
        }
        self.troubles = now;
        if self.transfer.control.target() != self.target {
            self.target = self.transfer.control.target();
            self.transfer.events.emit(Event::Concurrency { target: self.target });
        }
    }

    pub(super) fn transfer(&self) -> &Transfer {
        &self.transfer
    }

    /// Lets the disk write the journal down.
    pub(super) async fn sync(&mut self) {
        self.journal.start_sync().await;
    }

    /// Ends the transfer.
    pub(super) async fn end(self) -> Result<Transferred, TransferError> {
        if let Some(parallel) = self.transfer.control.learnt() {
            self.transfer.progress.observe_fill(parallel);
        }
        self.journal.finish_sync().await;
        if let Some((error, _)) = self.stop {
            return Err(error);
        }
        let (plan, parts, kept) = self.ledger.into_parts();
        let list = PartList::new(&plan, parts);
        let list = list.expect("nothing waits and nothing runs, so the parts that are in tile the object");
        Ok(Transferred { list, kept, image: self.image })
    }

    /// Returns about how many bytes are left to deal. Of what is held in memory, no more than fits at a time.
    fn left(&self) -> u64 {
        self.ledger.left(self.transfer.most_part.saturating_mul(4))
    }

    /// Stops, so that parts in flight may still get in.
    fn stop(&mut self, error: TransferError) {
        self.stop.get_or_insert((error, Instant::now() + GRACE));
    }
}

impl Running {
    fn unfinished(&self) -> Unfinished {
        Unfinished { bytes: self.part.range.len(), age: self.began.elapsed() }
    }
}
