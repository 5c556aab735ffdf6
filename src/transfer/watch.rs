use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::client::{Client, Progress};
use crate::event::{Event, EventSink};

/// How often clocks and the journal are looked at.
const TICK: Duration = Duration::from_secs(1);
/// After this long without an acknowledged part a notice gives the reason.
const SILENCE: Duration = Duration::from_secs(30);
/// A difference between wall and monotonic time that only a sleep of the machine makes, in seconds.
const SLEPT: i64 = 10;

/// For this long after connections were dropped, jumps of the clock are ignored: a clock that is set again and again
/// would let no part through.
const SETTLING: Duration = Duration::from_secs(60);

/// Notices that the machine slept, and that nothing gets through.
pub(crate) struct Watch {
    wall: Timestamp,
    monotonic: Instant,
    reset: Option<Instant>,
    silence_told: Duration,
    /// Shown as the reason when nothing has failed yet.
    waiting_for: &'static str,
}

impl Watch {
    pub(super) fn new(client: &Client, waiting_for: &'static str) -> Self {
        Self {
            wall: client.options().clock.now(),
            monotonic: Instant::now(),
            reset: None,
            silence_told: Duration::ZERO,
            waiting_for,
        }
    }

    /// Runs `work` under a watch.
    pub(crate) async fn over<T>(
        client: &Client,
        progress: &Progress,
        events: &EventSink,
        waiting_for: &'static str,
        work: impl Future<Output = T>,
    ) -> T {
        let mut watch = Self::new(client, waiting_for);
        let mut ticks = ticks();
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => watch.tick(client, progress, events),
            }
        }
    }

    pub(super) fn tick(&mut self, client: &Client, progress: &Progress, events: &EventSink) {
        let (wall, monotonic) = (client.options().clock.now(), Instant::now());
        let passed = (monotonic - self.monotonic).as_secs() as i64;
        let jump = wall.duration_since(self.wall).as_secs() - passed;
        (self.wall, self.monotonic) = (wall, monotonic);
        let settled = self.reset.is_none_or(|reset| monotonic - reset >= SETTLING);
        if jump.abs() >= SLEPT && settled {
            self.reset = Some(monotonic);
            events.notice("the machine slept or its clock was set: all connections are opened again");
            client.reset();
        }
        let silent = progress.silent();
        if silent < SILENCE {
            self.silence_told = Duration::ZERO;
        } else if silent >= self.silence_told + SILENCE {
            self.silence_told = silent;
            // A disk that does not answer is not the network's silence.
            let read = progress.longest_read().filter(|(_, since)| *since >= SILENCE / 2);
            let read = read.map(|(offset, since)| {
                let seconds = since.as_secs();
                format!("the source cannot be read: a read at offset {offset} has taken {seconds} s so far")
            });
            let failure = || progress.last_failure().unwrap_or_else(|| self.waiting_for.to_owned());
            let reason = read.unwrap_or_else(failure);
            events.emit(Event::Stalled { silent, reason });
        }
    }
}

/// Returns the ticks at which clocks are looked at.
pub(super) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
