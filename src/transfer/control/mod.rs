//! How many parts in flight, and how large. Pure: it is fed with measurements and with the time.
//!
//! What counts is goodput: bytes of acknowledged parts over the time that they took. Bytes that were handed to
//! the kernel say nothing about a distant link, whose socket buffers swallow megabytes at once.
//!
//! - [`climb`] finds the number: it multiplies while that pays, then tries a few more or fewer now and then.
//! - [`pace`] knows how long a part should take. The next part's size follows from it, and which part is late.
//!
//! Nothing here knows what limits the link. The service's rate for one connection, the line, the disk and a
//! bandwidth limit all look alike: goodput that more connections raise or do not.
//!
//! On simulated links, from default settings, as a share of what the link can carry (medians of six runs):
//!
//! | connection, line in MB/s | latency | object | share | test |
//! |---|---|---|---|---|
//! | 20, 500 | 40 ms | 2 GiB | 92 % | `a_distant_link_is_filled_from_default_settings` |
//! | 20, 500 | 40 ms | 6 GiB | 97 % | the same |
//! | 5, 50 | – | 1 GiB | 97 % | `slow_connections_are_added_up` |
//! | any, 20 | – | 256 MiB | 100 %, at most 8 connections, later 4 | `a_line_that_few_connections_fill_gets_few` |
//! | 25, 5, 80 in turn, 400 | 40 ms | 50 GiB | 92 % | `a_link_that_changes_all_the_time_is_followed` |
//! | any, 0.03 to 12.5 shared | queue of 50 ms to 2 s | to 1 GiB | 100 %, 96 at worst | `a_line_that_all_share_is_filled_and_nothing_goes_out_twice` |
//! | 20, 500, a cut per GB | 40 ms | 20 GiB | 99 % | `a_broken_connection_now_and_then_changes_nothing` |
//!
//! Connections that share a line get unequal shares of it, for seconds on end. So a step is judged by all parts on
//! their way and not by those that come in first, and a slow part is dropped only where the line has room that the
//! others do not use.
//!
//! Tried and given up: judging a step of the search by half of its parts (on a line that all share, the lucky ones
//! promise more than there is); parts of one size (those that begin together end together, and the link is idle
//! while all connections wait for their answers); following the bytes handed to the kernel (it sees nothing of a
//! distant link); returning to the last number that paid when a doubling does not (it loses a fifth where the knee
//! lies between); looking for fewer connections soon after the search (on a short transfer it never earns back what
//! it costs).

mod climb;
mod pace;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

use climb::Climb;
use pace::Pace;

/// Size of the first parts in bytes, and the smallest that is wished for.
const FIRST_PART: u64 = 1 << 20;
/// Size that no part passes, in bytes, unless the plan's unit does. A connection that breaks costs half a part
/// on average, and above this size the cost of a request no longer shows.
const LARGEST_PART: u64 = 16 << 20;
/// The sizes in bytes that parts have unless one is given or the plan's unit is larger.
pub(crate) const PART_SIZES: RangeInclusive<u64> = FIRST_PART..=LARGEST_PART;
/// How long a part should take while the number of connections is searched: the search goes by whole parts.
const SEARCH_PART_TIME: Duration = Duration::from_millis(50);
/// How long a part should take later, as a share of the time that the transfer has run, because judging a trial
/// takes the time of several parts; within [`LEAST_PART_TIME`] and [`MOST_PART_TIME`].
const PART_TIME_SHARE: f64 = 0.1;
/// The least time that a part should take later.
const LEAST_PART_TIME: Duration = Duration::from_millis(250);
/// The most time that a part should take.
const MOST_PART_TIME: Duration = Duration::from_secs(3);
/// By how much parts differ in size, as a share of it: from 0.6 to 1.4 times.
const UNEVEN: f64 = 0.8;
/// Towards the end each connection gets the rest in at least this many parts, so that all end together.
const PARTS_AT_THE_END: f64 = 1.5;
/// For this long after the service throttled no part counts as late: it may just be waiting as it was asked to.
const PATIENCE_WHEN_THROTTLED: Duration = Duration::from_secs(60);

/// How many parts may be in flight, and how large the next one should be.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    level: Level,
    part_size: Option<u64>,
    pace: Pace,
    /// Whether a part was dropped: then also parts of a given size get smaller towards the end.
    straggled: bool,
    /// How many parts were dealt.
    dealt: u32,
    throttled: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Level {
    Fixed(usize),
    Adaptive(Box<Climb>),
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The service asked for less.
    Throttled,
    /// A connection broke or was silent.
    Broken,
}

/// A part that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged<'a> {
    pub(crate) bytes: u64,
    /// Since the part was begun.
    pub(crate) took: Duration,
    /// The parts that are still on their way.
    pub(crate) others: &'a [Unfinished],
    /// Bytes that are not dealt yet.
    pub(crate) waiting: u64,
}

/// A part in flight, whose progress is not known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unfinished {
    pub(crate) bytes: u64,
    /// Since the part was begun.
    pub(crate) age: Duration,
}

/// A part on its way, and what else there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnItsWay {
    pub(crate) bytes: u64,
    /// Since the part was begun.
    pub(crate) age: Duration,
    /// Parts in flight beside it,
    pub(crate) others: usize,
    /// and their bytes.
    pub(crate) others_bytes: u64,
    /// Bytes that are not dealt yet.
    pub(crate) waiting: u64,
}

impl Control {
    /// Keeps `concurrency` parts in flight, of `part_size` bytes if that is given.
    pub(crate) fn fixed(concurrency: usize, part_size: Option<u64>) -> Self {
        Self::new(Level::Fixed(concurrency.max(1)), part_size)
    }

    /// Finds out how many parts in flight pay, up to `max`.
    pub(crate) fn adaptive(max: usize, part_size: Option<u64>) -> Self {
        Self::new(Level::Adaptive(Box::new(Climb::new(max.max(1)))), part_size)
    }

    /// Starts with as many parts in flight as filled the link in an earlier upload, if that is known. Where the link
    /// turns out to be another one, the search begins as usual.
    pub(crate) fn starting_at(mut self, learnt: Option<usize>) -> Self {
        if let (Level::Adaptive(climb), Some(parallel)) = (&mut self.level, learnt) {
            climb.start_at(parallel);
        }
        self
    }

    /// Returns how many parts in flight filled the link, where it takes many: an upload that starts with few of them
    /// loses time only there.
    pub(crate) fn learnt(&self) -> Option<usize> {
        match &self.level {
            Level::Adaptive(climb) => climb.learnt(),
            Level::Fixed(_) => None,
        }
    }

    fn new(level: Level, part_size: Option<u64>) -> Self {
        Self { level, part_size, pace: Pace::default(), straggled: false, dealt: 0, throttled: None }
    }

    /// Returns how many parts may be in flight.
    pub(crate) fn target(&self) -> usize {
        match &self.level {
            Level::Fixed(concurrency) => *concurrency,
            Level::Adaptive(climb) => climb.target(),
        }
    }

    /// Returns how large the next part should be, in bytes, when `waiting` bytes are left to deal.
    pub(crate) fn next_size(&mut self, waiting: u64) -> u64 {
        self.dealt = self.dealt.wrapping_add(1);
        let fair = self.fair_share(waiting);
        match self.part_size {
            Some(size) if self.straggled => size.min(fair.max(FIRST_PART)),
            Some(size) => size,
            None => self.uneven(self.steady_size()).min(fair).clamp(FIRST_PART, LARGEST_PART),
        }
    }

    /// Makes parts that follow each other differ. Those that begin together would end together, and while all
    /// connections wait for their answers at the same time the link is idle.
    fn uneven(&self, size: u64) -> u64 {
        let searching = matches!(&self.level, Level::Adaptive(climb) if climb.is_searching());
        if searching || size >= LARGEST_PART {
            return size;
        }
        const GOLDEN: f64 = 0.618_033_988_749_895;
        let spread = (f64::from(self.dealt) * GOLDEN).fract() - 0.5;
        (size as f64 * (1.0 + UNEVEN * spread)) as u64
    }

    /// Takes in that a straggler of `bytes` was dropped, and returns in parts of how many bytes they go out
    /// again: all connections share them.
    pub(crate) fn dropped(&mut self, bytes: u64) -> u64 {
        self.straggled = true;
        self.pace.dropped(bytes);
        (bytes / self.target() as u64).max(FIRST_PART)
    }

    /// The size in the middle of a long transfer.
    fn steady_size(&self) -> u64 {
        let time = match &self.level {
            Level::Adaptive(climb) if climb.is_searching() => SEARCH_PART_TIME,
            _ => self.pace.last().mul_f64(PART_TIME_SHARE).clamp(LEAST_PART_TIME, MOST_PART_TIME),
        };
        // Of a link that was fast before, more than the least is sent at first.
        let known = matches!(&self.level, Level::Adaptive(climb) if climb.is_unproved());
        let first = if known { 2 * FIRST_PART } else { FIRST_PART };
        self.pace.bytes_in(time).map_or(first, |bytes| bytes.clamp(FIRST_PART, LARGEST_PART))
    }

    fn fair_share(&self, waiting: u64) -> u64 {
        (waiting as f64 / (PARTS_AT_THE_END * self.target() as f64)) as u64
    }

    /// Takes in that a part was acknowledged at `now`.
    pub(crate) fn acknowledged(&mut self, part: Acknowledged<'_>, now: Duration) {
        self.pace.acknowledged(part.bytes, part.took, now);
        // Towards the end parts are small and connections go idle: that says nothing about the link.
        let ending = self.fair_share(part.waiting) < self.part_size.unwrap_or_else(|| self.steady_size());
        if let Level::Adaptive(climb) = &mut self.level {
            climb.acknowledged(part, ending, now);
        }
    }

    /// Takes in a failed attempt.
    pub(crate) fn trouble(&mut self, trouble: Trouble, now: Duration) {
        if trouble == Trouble::Throttled {
            self.throttled = Some(now);
        }
        if let Level::Adaptive(climb) = &mut self.level {
            climb.trouble(trouble, now);
        }
    }

    /// Whether a part should be dropped and its bytes dealt again over other connections.
    pub(crate) fn is_straggler(&mut self, part: OnItsWay, now: Duration) -> bool {
        self.pace.waiting(part.waiting, now);
        if let Level::Adaptive(climb) = &mut self.level {
            climb.doubt(now);
        }
        let asked_to_wait = self.throttled.is_some_and(|at| now < at + PATIENCE_WHEN_THROTTLED);
        !asked_to_wait && self.pace.is_late(part, now)
    }
}
