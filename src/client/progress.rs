use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::meter::{Meter, Together};

/// What the requests of one upload have in common: when something last succeeded, and what was counted.
///
/// It holds the budget of time without progress: as long as any part succeeds, no part is given up for taking long.
/// The budget begins with the first failure, since a large part on a slow line may take longer than the whole budget.
#[derive(Debug)]
pub(crate) struct Progress {
    acknowledged: Mutex<Instant>,
    failing: Mutex<Option<Failing>>,
    bytes_sent: AtomicU64,
    retries: AtomicU64,
    throttled: AtomicU64,
    broken: AtomicU64,
    /// Bytes per second of one connection, 0 until it was observed.
    rate: AtomicU64,
    /// Parts in flight that fill the link, 0 until that was found out.
    fills: AtomicUsize,
    /// The bodies on their way.
    bodies: Arc<Together>,
    /// Reads of the source that are under way: where, and since when.
    reads: Mutex<HashMap<u64, Instant>>,
}

/// Attempts that failed since something last succeeded.
#[derive(Debug)]
struct Failing {
    since: Instant,
    /// Why the last one did.
    reason: String,
}

/// A read of the source that is under way.
pub(crate) struct Reading<'a> {
    progress: &'a Progress,
    offset: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.progress.reads.lock().expect(HELD).remove(&self.offset);
    }
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            acknowledged: Mutex::new(Instant::now()),
            failing: Mutex::default(),
            bytes_sent: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            fills: AtomicUsize::new(0),
            bodies: Arc::default(),
            reads: Mutex::default(),
        }
    }

    /// Notes that the source is read at `offset`, until the guard is dropped.
    pub(crate) fn reading(&self, offset: u64) -> Reading<'_> {
        self.reads.lock().expect(HELD).insert(offset, Instant::now());
        Reading { progress: self, offset }
    }

    /// Returns where the source has been read for longest, and for how long.
    pub(crate) fn longest_read(&self) -> Option<(u64, Duration)> {
        let reads = self.reads.lock().expect(HELD);
        reads.iter().map(|(offset, since)| (*offset, since.elapsed())).max_by_key(|(_, since)| *since)
    }

    /// Notes that the service acknowledged something.
    pub(crate) fn acknowledge(&self) {
        *self.acknowledged.lock().expect(HELD) = Instant::now();
        *self.failing.lock().expect(HELD) = None;
    }

    /// Returns for how long nothing was acknowledged.
    pub(crate) fn silent(&self) -> Duration {
        self.acknowledged.lock().expect(HELD).elapsed()
    }

    /// Returns for how long attempts have failed and none succeeded.
    pub(crate) fn failing_for(&self) -> Duration {
        self.failing.lock().expect(HELD).as_ref().map_or(Duration::ZERO, |failing| failing.since.elapsed())
    }

    /// Returns why the last attempt failed, if none has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<String> {
        self.failing.lock().expect(HELD).as_ref().map(|failing| failing.reason.clone())
    }

    pub(super) fn failed(&self, reason: String) {
        let mut failing = self.failing.lock().expect(HELD);
        let since = failing.as_ref().map_or_else(Instant::now, |failing| failing.since);
        *failing = Some(Failing { since, reason });
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn throttle(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often the service asked for fewer requests.
    pub(crate) fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    pub(super) fn broke(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many attempts broke: the connection was cut or silent, or the service failed.
    pub(crate) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// Notes that a part arrived damaged.
    pub(crate) fn damaged(&self, reason: String) {
        self.failed(reason);
        self.broke();
        self.retried();
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the body bytes of all attempts.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Returns how many attempts followed a failed one.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Notes how many parts in flight fill the link.
    pub(crate) fn observe_fill(&self, parallel: usize) {
        self.fills.store(parallel, Ordering::Relaxed);
    }

    /// Returns how many parts in flight fill the link, if that was found out.
    pub(crate) fn fills(&self) -> Option<usize> {
        Some(self.fills.load(Ordering::Relaxed)).filter(|parallel| *parallel > 0)
    }

    /// Returns a meter for one more body.
    pub(super) fn meter(&self) -> Arc<Meter> {
        Meter::new(&self.bodies)
    }

    /// Notes the rate of one connection, in bytes per second.
    pub(crate) fn observe_rate(&self, bytes: u64, took: Duration) {
        let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
        let before = self.rate.load(Ordering::Relaxed) as f64;
        let smoothed = if before == 0.0 { rate } else { before * 0.8 + rate * 0.2 };
        self.rate.store(smoothed.max(1.0) as u64, Ordering::Relaxed);
    }

    /// Returns the observed rate of one connection, in bytes per second.
    pub(crate) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }
}

const HELD: &str = "nothing panics while the lock is held";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_budget_begins_with_the_first_failure() {
        let progress = Progress::new();
        tokio::time::advance(Duration::from_secs(7200)).await;
        assert_eq!(progress.failing_for(), Duration::ZERO, "a large part on a slow line");
        progress.failed("cut".to_owned());
        tokio::time::advance(Duration::from_secs(60)).await;
        progress.failed("cut again".to_owned());
        assert_eq!(progress.failing_for(), Duration::from_secs(60));
        assert_eq!(progress.last_failure().as_deref(), Some("cut again"));
        progress.acknowledge();
        assert_eq!((progress.failing_for(), progress.last_failure()), (Duration::ZERO, None));
    }
}
