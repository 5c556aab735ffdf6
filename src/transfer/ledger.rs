//! Which bytes of the object are where: known or not, in already, on their way, or waiting. Pure: facts go in, work
//! comes out.
//!
//! Content may become known in any order, from the front (a file at once, a stream as it is read) or with the head
//! last. A part of an earlier run is a [`Claim`]: once the content of its range is known, it is kept or compared, and
//! its bytes are sent only if it turns out to be another part than was thought.

use std::collections::{BTreeMap, VecDeque};

use super::schedule::Schedule;
use crate::blocks::Content;
use crate::model::{ByteRange, PartRecord};
use crate::plan::{Part, Plan, PlanError};
use crate::session::{Claim, Unproved};
use crate::supply::Known;

/// A part and what it is made of.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) part: Part,
    pub(crate) content: Content,
}

/// The state of an object that is being put together.
#[derive(Debug)]
pub(crate) struct Ledger {
    schedule: Schedule,
    /// Content by its place in the object, until it is in.
    known: Known,
    /// Where the content ends that is known.
    front: u64,
    /// Whether that is all.
    ended: bool,
    /// Parts of an earlier run whose content is not known yet, by where they begin.
    claims: BTreeMap<u64, Claim>,
    /// Those that are to be compared.
    to_compare: VecDeque<Unproved>,
    /// How many bytes are in these and in those that are being compared.
    comparing: u64,
    done: Vec<PartRecord>,
    /// How many of these were in before.
    kept: usize,
}

impl Ledger {
    pub(crate) fn new(plan: Plan, claims: impl IntoIterator<Item = Claim>) -> Self {
        Self {
            schedule: Schedule::new(plan, []),
            known: Known::default(),
            front: 0,
            ended: false,
            claims: claims.into_iter().map(|claim| (claim.range().start, claim)).collect(),
            to_compare: VecDeque::new(),
            comparing: 0,
            done: Vec::new(),
            kept: 0,
        }
    }

    /// Takes in that the object has this content at `at`.
    ///
    /// # Errors
    ///
    /// When the cut points do not reach as far: no part can begin there, and no more need become known.
    pub(crate) fn know(&mut self, at: u64, content: Content) -> Result<(), PlanError> {
        let range = ByteRange::new(at, at + content.len());
        let reach = self.schedule.plan().reach();
        if range.end > reach {
            return Err(PlanError::TooLong { reach });
        }
        self.front = self.front.max(range.end);
        self.known.insert(at, content);
        let mut at = range.start;
        for claimed in self.claimed_within(range) {
            if claimed.start > at {
                self.schedule.give_back(ByteRange::new(at, claimed.start));
            }
            at = at.max(claimed.end);
        }
        if at < range.end {
            self.schedule.give_back(ByteRange::new(at, range.end));
        }
        self.review();
        Ok(())
    }

    /// Takes in that the object has `length` bytes, all of which are known. Returns whether parts that were acknowledged
    /// turned out to be of a longer object.
    ///
    /// # Errors
    ///
    /// When no object can have this length, or the plan does not reach as far.
    pub(crate) fn end(&mut self, length: u64) -> Result<bool, PlanError> {
        self.schedule.close(length)?;
        self.ended = true;
        self.review();
        let foreign = std::mem::take(&mut self.claims);
        for claim in foreign.values() {
            let range = claim.range();
            self.schedule.give_back(ByteRange::new(range.start.min(length), range.end.min(length)));
        }
        Ok(foreign.values().any(Claim::was_acknowledged))
    }

    /// Returns where the content ends that is known.
    pub(crate) fn front(&self) -> u64 {
        self.front
    }

    /// Whether all content is known.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns how many bytes wait to be sent, as far as they are known.
    pub(crate) fn waiting(&self) -> u64 {
        self.schedule.waiting()
    }

    /// Returns about how many bytes are left to deal: those that wait, and as long as the object's length is not known
    /// there may be any number more, of which `at_most` are counted. The last parts are cut small, and to no purpose
    /// if they are not the last ones.
    pub(crate) fn left(&self, at_most: u64) -> u64 {
        match self.schedule.plan().length() {
            Some(_) => self.waiting(),
            None => self.waiting().max(at_most),
        }
    }

    /// Returns how many bytes are known and on no way yet: those that wait, and those that are compared.
    pub(crate) fn undecided(&self) -> u64 {
        self.waiting() + self.comparing
    }

    /// Whether there are claims of which it is not known whether they are this object's.
    pub(crate) fn has_open_claims(&self) -> bool {
        !self.claims.is_empty() || self.comparing > 0
    }

    /// Whether there are claims to compare.
    pub(crate) fn has_to_compare(&self) -> bool {
        !self.to_compare.is_empty()
    }

    /// Returns the next claim to compare with its content.
    pub(crate) fn compare(&mut self) -> Option<(Unproved, Content)> {
        let claim = self.to_compare.pop_front()?;
        let content = self.content(claim.part.range);
        Some((claim, content))
    }

    /// Deals the first waiting bytes as a part of about `wish` bytes. `growing` says that more content may follow
    /// soon, which a part that is shorter than that waits for.
    pub(crate) fn deal(&mut self, wish: u64, growing: bool) -> Option<Piece> {
        let may_grow = (growing && self.schedule.plan().length().is_none()).then_some(self.front);
        let part = self.schedule.deal(wish, may_grow)?;
        Some(Piece { part, content: self.content(part.range) })
    }

    /// Takes in that a part is in.
    pub(crate) fn is_in(&mut self, record: PartRecord) {
        self.known.release(record.range);
        self.done.push(record);
    }

    /// Takes in that a claim that was compared is this part.
    pub(crate) fn confirm(&mut self, record: PartRecord) {
        self.comparing -= record.range.len();
        self.keep(record);
    }

    /// Takes in that the claim to a range was compared and is another part: the range is sent.
    pub(crate) fn refute(&mut self, range: ByteRange) {
        self.comparing -= range.len();
        self.schedule.give_back(range);
    }

    /// Takes back a range that is sent again in parts of at most `size` bytes.
    pub(crate) fn give_back_in(&mut self, range: ByteRange, size: u64) {
        self.schedule.give_back_in(range, size);
    }

    /// Returns how many parts are in.
    pub(crate) fn parts_in(&self) -> usize {
        self.done.len()
    }

    /// Returns all parts that are in, and how many of them were in before.
    pub(crate) fn into_parts(self) -> (Plan, Vec<PartRecord>, usize) {
        (self.schedule.plan(), self.done, self.kept)
    }

    /// Settles the claims whose content is known by now.
    fn review(&mut self) {
        let begun = self.claims.range(..self.front).map(|(_, claim)| claim.range());
        // What the front has not passed is not known. That is looked at first: content may come in very small pieces.
        let passed = begun.filter(|range| range.end <= self.front);
        let known: Vec<_> = passed.filter(|range| self.known.covers(*range)).collect();
        for range in known {
            let ends = self.schedule.plan().is_end(range.end);
            if !ends && self.front == range.end {
                // It may be the object's last part.
                continue;
            }
            match self.claims.remove(&range.start) {
                Some(Claim::Proved(record)) if ends => self.keep(record),
                Some(Claim::Listed(unproved)) if ends => {
                    self.comparing += range.len();
                    self.to_compare.push_back(unproved);
                }
                // The last part of an object that ended here. This one goes on.
                _ => self.schedule.give_back(range),
            }
        }
    }

    fn keep(&mut self, record: PartRecord) {
        self.kept += 1;
        self.is_in(record);
    }

    /// Returns the claimed ranges that overlap a range, in order.
    fn claimed_within(&self, range: ByteRange) -> Vec<ByteRange> {
        let before = self.claims.range(..range.start).next_back().map(|(_, claim)| claim.range());
        let before = before.filter(|claimed| claimed.end > range.start);
        let within = self.claims.range(range.start..range.end).map(|(_, claim)| claim.range());
        before.into_iter().chain(within).collect()
    }

    fn content(&self, range: ByteRange) -> Content {
        self.known.whole(range).expect("what is dealt or compared is known until it is in")
    }
}

#[cfg(test)]
mod tests;
