//! How many parts in flight pay: a climb by measured goodput.
//!
//! It goes by rounds. A round counts only parts that were begun since the number last changed and that ran with
//! that number in flight, those too that are still on their way; its goodput is the number times the mean rate of
//! one part, which does not depend on where in time the parts happen to end.
//!
//! 1. *Search*: the number is multiplied for as long as goodput follows. A round is as many parts as there are
//!    connections, or half of them where the link is too fast to be a line that all share, so the number doubles
//!    within one part's time. When more no longer pays, the number becomes what the goodput needs at the rate that
//!    a connection had before, and some to spare.
//! 2. *Hold*: the number stays, and now and then
//! 3. *Try*: a few more are tried, which are kept if they pay (and the search goes on), or a few less, which are
//!    kept if they cost nothing. Each try without gain delays the next of its kind. When goodput changes by itself,
//!    because the link has, the next try comes at once.
//!
//! Tries need no model of the link and no memory of old measurements, so the climb finds its way after any
//! change; the price is a fifth of the goodput for the time of two or three parts, ever more rarely.

use std::time::Duration;

use super::{Acknowledged, Trouble, Unfinished};

/// Parts in flight at the start.
const START: usize = 4;
/// If no part was acknowledged for this long from the start, it is not the link that an earlier upload measured.
const DOUBT_AFTER: Duration = Duration::from_secs(1);
/// Fewer than this are not tried: one would leave the link idle between parts.
const FEWEST: usize = 2;
/// More connections are kept if goodput rises by this share of what they promise.
const PAYS: f64 = 0.3;
/// If it rises by this share of it, the next step of the search is twice as long, within the limits of [`EARLY`] and
/// [`STEEP_BELOW`].
const STEEP: f64 = 0.8;
/// Longer steps are taken only within this time from the start: later there is no hurry, and the rise may be chance.
const EARLY: Duration = Duration::from_secs(3);
/// Longer steps are taken only below this many connections: a service that throttles should not get many more at once.
const STEEP_BELOW: usize = 16;
/// From this goodput on, in bytes per second, half of the parts of a step will do, and the first step is four times as
/// long. Below that a line may be one that all connections share unevenly.
const FAST: f64 = 25e6;
/// From this goodput on few connections are needed, and the first step is twice as long.
const VERY_FAST: f64 = 100e6;
/// The search ends with this many times the connections that the goodput needs, to fill the pauses between parts.
const HEADROOM: f64 = 1.3;
/// Where goodput rose by less than this, the search ends with the connections that it had before.
const RISEN: f64 = 0.1;
/// Fewer connections are kept if goodput falls by no more than this.
const SPARES: f64 = 0.02;
/// A fall by this ends the try at once.
const COSTS: f64 = 0.12;
/// Goodput that differs by this share from before, with as many connections, means that the link has changed.
const CHANGED: f64 = 0.25;
/// The factor by which more connections are tried once the search is over.
const MORE: f64 = 1.5;
/// The factor by which fewer are tried.
const FEWER: f64 = 0.75;
/// A round outside of the search has at least this many parts, for chance to average out.
const ROUND: usize = 8;
/// A round outside of the search takes at least this long.
const ROUND_TIME: Duration = Duration::from_millis(500);
/// A change of the link calls for a try, but not for another within this time: on a busy machine goodput changes
/// all the time.
const CHANGE_TRIED_EVERY: Duration = Duration::from_secs(5);
/// How long after the search, or after a change of the link, fewer connections are tried.
const FEWER_AFTER: Duration = Duration::from_secs(10);
/// How long after the search, or after a change of the link, more connections are tried.
const MORE_AFTER: Duration = Duration::from_secs(15);
/// A try without gain makes the wait for the next one this many times as long.
const LONGER: u32 = 3;
/// The longest wait for a try of fewer connections, which costs goodput while it lasts.
const FEWER_AT_LEAST_EVERY: Duration = Duration::from_secs(240);
/// The longest wait for a try of more connections.
const MORE_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// The share of the connections that is kept after the service throttled.
const KEPT_WHEN_THROTTLED: f64 = 0.5;
/// The share of the connections that is kept after too many broke.
const KEPT_WHEN_BROKEN: f64 = 0.75;
/// For this long after connections were given up, no more are given up and none are tried.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// For this long after connections were given up, their number limits what is tried ([`CEILING`]).
const REMEMBERED: Duration = Duration::from_secs(60);
/// The share of a number that was too high above which nothing is tried.
const CEILING: f64 = 0.75;
/// This many broken connections call for fewer; uploaded parts make up for some ([`MADE_UP`]).
const TOO_MANY_BROKEN: f64 = 3.0;
/// How many broken connections each uploaded part makes up for.
const MADE_UP: f64 = 0.25;

#[derive(Debug, Clone)]
pub(super) struct Climb {
    target: usize,
    max: usize,
    phase: Phase,
    round: Round,
    more: Tries,
    fewer: Tries,
    /// When a try last ended.
    tried: Duration,
    broken: f64,
    /// Whether the number is what an earlier upload found, and this one has not seen yet that it is right.
    unproved: bool,
    /// The best goodput of a round, in bytes per second.
    best: f64,
    /// When connections were last given up after trouble, and the most that are tried while that is remembered.
    gave_up: Option<(Duration, usize)>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// `before` is what the last smaller number gave.
    Search { before: Option<Measured> },
    /// `goodput` is what the number gave in the last round.
    Hold { goodput: Option<f64> },
    /// Another number is tried than that of `before`.
    Try { before: Measured },
}

/// Goodput in bytes per second with `target` parts in flight.
#[derive(Debug, Clone, Copy)]
struct Measured {
    target: usize,
    goodput: f64,
}

/// The parts that were begun and acknowledged since the number last changed.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    since: Duration,
    parts: usize,
    bytes: u64,
    took: Duration,
}

/// When a number is tried next.
#[derive(Debug, Clone, Copy)]
struct Tries {
    at: Duration,
    wait: Duration,
}

impl Climb {
    pub(super) fn new(max: usize) -> Self {
        Self {
            target: START.min(max),
            max,
            phase: Phase::Search { before: None },
            round: Round::default(),
            more: Tries { at: MORE_AFTER, wait: MORE_AFTER },
            fewer: Tries { at: FEWER_AFTER, wait: FEWER_AFTER },
            tried: Duration::ZERO,
            broken: 0.0,
            unproved: false,
            best: 0.0,
            gave_up: None,
        }
    }

    /// Starts with as many as an earlier upload found.
    pub(super) fn start_at(&mut self, parallel: usize) {
        if parallel > self.target {
            self.unproved = true;
            self.hold(parallel, None, Duration::ZERO);
        }
    }

    /// Returns the number, if a fast link takes more than there are at the start.
    pub(super) fn learnt(&self) -> Option<usize> {
        let settled = match self.phase {
            Phase::Search { .. } => None,
            Phase::Hold { .. } => Some(self.target),
            Phase::Try { before } => Some(before.target),
        };
        settled
            .filter(|target| *target > START && self.best >= FAST && self.gave_up.is_none() && !self.unproved)
    }

    pub(super) fn is_unproved(&self) -> bool {
        self.unproved
    }

    /// Looks whether anything came in at all since the start.
    pub(super) fn doubt(&mut self, now: Duration) {
        if self.unproved && self.round.parts == 0 && now >= DOUBT_AFTER {
            self.search_from_the_start(now);
        }
    }

    fn search_from_the_start(&mut self, now: Duration) {
        self.unproved = false;
        self.phase = Phase::Search { before: None };
        self.set(START, now);
    }

    pub(super) fn target(&self) -> usize {
        self.target
    }

    pub(super) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Search { .. })
    }

    /// Takes in a part; `ending` is that parts are small or connections idle because little is left to send.
    pub(super) fn acknowledged(&mut self, part: Acknowledged<'_>, ending: bool, now: Duration) {
        self.broken = (self.broken - MADE_UP).max(0.0);
        if ending {
            // What is being tried cannot be judged any more.
            if let Phase::Try { before } = self.phase {
                self.hold(before.target, Some(before.goodput), now);
            }
        } else if part.others.len() >= self.target {
            // Those of a higher number are still on their way.
            self.round = Round { since: now, ..Round::default() };
        } else if part.others.len() + 1 == self.target && now.saturating_sub(part.took) >= self.round.since {
            self.round.parts += 1;
            self.round.bytes += part.bytes;
            self.round.took += part.took;
            self.judge(part.others, now);
        }
    }

    /// Decides, if the round has enough parts.
    fn judge(&mut self, others: &[Unfinished], now: Duration) {
        let goodput = self.target as f64 * self.round.rate(others, now);
        let over = self.round.parts >= self.target.max(ROUND) && now >= self.round.since + ROUND_TIME;
        let level = Measured { target: self.target, goodput };
        if self.unproved {
            if self.round.parts < self.target.div_ceil(2) {
                return;
            }
            if goodput < FAST {
                return self.search_from_the_start(now);
            }
            self.unproved = false;
        }
        if self.round.parts >= ROUND {
            self.best = self.best.max(goodput);
        }
        match self.phase {
            Phase::Search { before } if self.round.parts >= self.wave(before) => {
                self.search(before, level, now);
            }
            Phase::Try { before }
                if level.target < before.target
                    && level.goodput < before.goodput * (1.0 - COSTS)
                    && self.round.parts >= ROUND.min(level.target) =>
            {
                self.judge_try(before, level, now);
            }
            Phase::Try { before } if over => {
                self.judge_try(before, level, now);
            }
            Phase::Hold { goodput } if over => {
                self.held(goodput, level, now);
            }
            _ => {}
        }
    }

    /// How many parts end a step of the search.
    fn wave(&self, before: Option<Measured>) -> usize {
        let fast = before.is_some_and(|before| before.goodput >= FAST);
        if fast { self.target.div_ceil(2) } else { self.target }
    }

    fn search(&mut self, before: Option<Measured>, level: Measured, now: Duration) {
        let gain = before.map(|before| gain(before, level));
        if gain.is_some_and(|gain| gain < PAYS) || level.target >= self.ceiling(now) {
            let target = before.map_or(level.target, |before| enough(before, level));
            self.fewer = Tries { at: now + FEWER_AFTER, wait: FEWER_AFTER };
            self.more = Tries { at: now + MORE_AFTER, wait: MORE_AFTER };
            self.hold(target, None, now);
        } else {
            self.phase = Phase::Search { before: Some(level) };
            let early = now < EARLY && level.target < STEEP_BELOW;
            let times = match gain {
                None if (FAST..VERY_FAST).contains(&level.goodput) => 8,
                None if level.goodput >= VERY_FAST => 4,
                Some(gain) if early && gain >= STEEP => 4,
                _ => 2,
            };
            self.set(level.target * times, now);
        }
    }

    fn held(&mut self, before: Option<f64>, level: Measured, now: Duration) {
        if before.is_some_and(|before| (level.goodput / before - 1.0).abs() > CHANGED) {
            self.more = Tries { at: now.max(self.tried + CHANGE_TRIED_EVERY), wait: MORE_AFTER };
            self.fewer = Tries { at: now + FEWER_AFTER, wait: FEWER_AFTER };
        }
        if now >= self.fewer.at && self.target > FEWEST {
            self.try_fewer(level.goodput, now);
        } else if now >= self.more.at && self.target < self.ceiling(now) {
            self.phase = Phase::Try { before: level };
            self.set((self.target as f64 * MORE).ceil() as usize, now);
        } else {
            self.hold(level.target, Some(level.goodput), now);
        }
    }

    fn judge_try(&mut self, before: Measured, level: Measured, now: Duration) {
        self.tried = now;
        if level.target > before.target {
            if gain(before, level) >= PAYS {
                self.search(Some(before), level, now);
            } else {
                self.more.put_off(now, MORE_AT_LEAST_EVERY);
                self.hold(before.target, Some(before.goodput), now);
            }
        } else if level.goodput < before.goodput * (1.0 - SPARES) {
            self.fewer.put_off(now, FEWER_AT_LEAST_EVERY);
            self.hold(before.target, Some(before.goodput), now);
        } else if self.target > FEWEST {
            // Still measured against where this descent began, or small losses would add up.
            self.fewer.wait = FEWER_AFTER;
            self.try_fewer(before.goodput, now);
        } else {
            self.hold(level.target, Some(level.goodput), now);
        }
    }

    fn try_fewer(&mut self, goodput: f64, now: Duration) {
        self.phase = Phase::Try { before: Measured { target: self.target, goodput } };
        self.set(((self.target as f64 * FEWER) as usize).max(FEWEST), now);
    }

    fn hold(&mut self, target: usize, goodput: Option<f64>, now: Duration) {
        self.phase = Phase::Hold { goodput };
        self.set(target, now);
    }

    fn set(&mut self, target: usize, now: Duration) {
        self.target = target.clamp(1, self.ceiling(now));
        self.round = Round { since: now, ..Round::default() };
    }

    /// The most that are tried at present.
    fn ceiling(&self, now: Duration) -> usize {
        let remembered = self.gave_up.filter(|(at, _)| now < *at + REMEMBERED);
        remembered.map_or(self.max, |(_, ceiling)| ceiling.min(self.max))
    }

    /// Takes in a failed attempt.
    pub(super) fn trouble(&mut self, trouble: Trouble, now: Duration) {
        self.broken += f64::from(trouble == Trouble::Broken);
        let kept = match trouble {
            Trouble::Throttled => KEPT_WHEN_THROTTLED,
            Trouble::Broken if self.broken >= TOO_MANY_BROKEN => KEPT_WHEN_BROKEN,
            Trouble::Broken => return,
        };
        if self.gave_up.is_some_and(|(at, _)| now < at + COOL_DOWN) {
            return;
        }
        let share = |share: f64| ((self.target as f64 * share) as usize).max(1);
        let (kept, ceiling) = (share(kept), share(CEILING));
        self.gave_up = Some((now, ceiling));
        self.broken = 0.0;
        self.more = Tries { at: now + COOL_DOWN, wait: MORE_AFTER };
        self.fewer = Tries { at: now + REMEMBERED, wait: FEWER_AFTER };
        self.hold(kept, None, now);
    }
}

impl Round {
    /// Returns what one connection carries on average, in bytes per second.
    ///
    /// Connections that share a line get unequal shares, and the parts that come in first are those of the lucky ones.
    /// So the others count too, with the time that they have taken and what they may have carried: as much as a part
    /// of their age that came in, and the less of that the more they are overdue.
    fn rate(&self, others: &[Unfinished], now: Duration) -> f64 {
        let usual = self.bytes as f64 / self.took.as_secs_f64().max(1e-6);
        let (mut bytes, mut took) = (self.bytes as f64, self.took.as_secs_f64());
        for part in others.iter().filter(|part| now.saturating_sub(part.age) >= self.since) {
            let overdue = part.age.as_secs_f64() * usual / part.bytes as f64;
            bytes += part.bytes as f64 * if overdue > 1.0 { 0.5 + 0.5 / overdue } else { overdue };
            took += part.age.as_secs_f64();
        }
        bytes / took.max(1e-6)
    }
}

impl Tries {
    fn put_off(&mut self, now: Duration, at_least_every: Duration) {
        self.at = now + self.wait;
        self.wait = (self.wait * LONGER).min(at_least_every);
    }
}

/// How much of what more connections promised came.
fn gain(before: Measured, after: Measured) -> f64 {
    let promised = before.goodput * (after.target as f64 / before.target as f64 - 1.0);
    (after.goodput - before.goodput) / promised
}

/// How many connections carry what `after` gave at the rate that each had `before`, and some to spare.
fn enough(before: Measured, after: Measured) -> usize {
    if after.goodput < before.goodput * (1.0 + RISEN) {
        return before.target;
    }
    let rate = before.goodput / before.target as f64;
    ((after.goodput / rate * HEADROOM) as usize).clamp(before.target, after.target)
}
