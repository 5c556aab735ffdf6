//! How many parts in flight, and how large. Pure: it is fed with measurements and with the time.
//!
//! What counts is goodput: bytes of acknowledged parts. Bytes that were handed to the kernel say nothing about
//! a distant link.

use std::time::Duration;

const MIB: u64 = 1 << 20;
/// Parts in flight at the start.
const START: usize = 4;
/// Size of the first parts, until a rate is known.
const FIRST_PART: u64 = MIB;
/// Size that no part passes unless the plan's unit does.
const LARGEST_PART: u64 = 64 * MIB;
/// How long a part should take, once the rate of a connection is known.
const PART_TIME: Duration = Duration::from_millis(2500);
/// How long one level of concurrency is observed.
const OBSERVE: Duration = Duration::from_millis(1500);
/// Goodput must rise by so much of what the added connections promise for them to be kept.
const KEEP: f64 = 0.25;

/// How many parts may be in flight, and how large the next one should be.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    mode: Mode,
    part_size: Option<u64>,
    /// Bytes per second of one connection.
    connection_rate: Option<f64>,
}

#[derive(Debug, Clone)]
enum Mode {
    Fixed(usize),
    Adaptive(Adaptive),
}

#[derive(Debug, Clone)]
struct Adaptive {
    target: usize,
    max: usize,
    /// The level before the last step up, and the goodput that it had.
    before: Option<(usize, f64)>,
    since: Duration,
    acknowledged: u64,
    /// No step up before then.
    hold_until: Duration,
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The service asked for less.
    Throttled,
    /// A connection broke or was silent.
    Broken,
}

impl Control {
    /// Keeps `concurrency` parts in flight, of `part_size` bytes if that is given.
    pub(crate) fn fixed(concurrency: usize, part_size: Option<u64>) -> Self {
        Self { mode: Mode::Fixed(concurrency.max(1)), part_size, connection_rate: None }
    }

    /// Finds out how many parts in flight pay, up to `max`.
    pub(crate) fn adaptive(max: usize, part_size: Option<u64>) -> Self {
        let max = max.max(1);
        let adaptive = Adaptive {
            target: START.min(max),
            max,
            before: None,
            since: Duration::ZERO,
            acknowledged: 0,
            hold_until: Duration::ZERO,
        };
        Self { mode: Mode::Adaptive(adaptive), part_size, connection_rate: None }
    }

    /// Returns how many parts may be in flight.
    pub(crate) fn target(&self) -> usize {
        match &self.mode {
            Mode::Fixed(concurrency) => *concurrency,
            Mode::Adaptive(adaptive) => adaptive.target,
        }
    }

    /// Returns how large the next part should be when `waiting` bytes are left to deal.
    pub(crate) fn next_size(&self, waiting: u64) -> u64 {
        if let Some(size) = self.part_size {
            return size;
        }
        let Some(rate) = self.connection_rate else { return FIRST_PART };
        let steady = (rate * PART_TIME.as_secs_f64()) as u64;
        // Towards the end parts get smaller, so that all connections end together.
        let fair = waiting / (2 * self.target() as u64);
        steady.min(LARGEST_PART).min(fair).max(FIRST_PART)
    }

    /// Returns how long a part of `bytes` should take, if that is known.
    pub(crate) fn expected(&self, bytes: u64) -> Option<Duration> {
        Some(Duration::from_secs_f64(bytes as f64 / self.connection_rate?))
    }

    /// Takes in that a part of `bytes` was acknowledged `took` after it was begun.
    pub(crate) fn acknowledged(&mut self, bytes: u64, took: Duration, now: Duration) {
        let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
        let smoothed = self.connection_rate.map_or(rate, |before| before * 0.7 + rate * 0.3);
        self.connection_rate = Some(smoothed);
        if let Mode::Adaptive(adaptive) = &mut self.mode {
            adaptive.acknowledged += bytes;
            adaptive.step(now);
        }
    }

    /// Takes in a failed attempt.
    pub(crate) fn trouble(&mut self, trouble: Trouble, now: Duration) {
        let Mode::Adaptive(adaptive) = &mut self.mode else { return };
        let cut = match trouble {
            Trouble::Throttled => adaptive.target / 2,
            Trouble::Broken => adaptive.target * 3 / 4,
        };
        adaptive.target = cut.max(1);
        adaptive.before = None;
        adaptive.restart(now);
        adaptive.hold_until = now + Duration::from_secs(10);
    }
}

impl Adaptive {
    fn restart(&mut self, now: Duration) {
        self.since = now;
        self.acknowledged = 0;
    }

    fn step(&mut self, now: Duration) {
        let observed = now.saturating_sub(self.since);
        if observed < OBSERVE {
            return;
        }
        let goodput = self.acknowledged as f64 / observed.as_secs_f64();
        if let Some((level, before)) = self.before {
            let promised = before * (self.target as f64 / level as f64 - 1.0);
            if goodput - before < KEEP * promised {
                self.target = level;
                self.before = None;
                self.hold_until = now + Duration::from_secs(30);
                self.restart(now);
                return;
            }
        }
        if now >= self.hold_until && self.target < self.max {
            self.before = Some((self.target, goodput));
            self.target = (self.target * 2).min(self.max);
        }
        self.restart(now);
    }
}
