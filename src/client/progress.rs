use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What the requests of one upload have in common: when something last succeeded, and what was counted.
///
/// The budget of time without progress hangs on it: as long as any part gets in, no part is given up for time.
#[derive(Debug)]
pub(crate) struct Progress {
    acknowledged: Mutex<Instant>,
    last_failure: Mutex<Option<String>>,
    bytes_sent: AtomicU64,
    retries: AtomicU64,
    throttled: AtomicU64,
    /// Bytes per second of one connection, 0 until it was observed.
    rate: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            acknowledged: Mutex::new(Instant::now()),
            last_failure: Mutex::default(),
            bytes_sent: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            rate: AtomicU64::new(0),
        }
    }

    /// Notes that the service acknowledged something.
    pub(crate) fn acknowledge(&self) {
        *self.acknowledged.lock().expect(HELD) = Instant::now();
        *self.last_failure.lock().expect(HELD) = None;
    }

    /// Returns for how long nothing was acknowledged.
    pub(crate) fn silent(&self) -> Duration {
        self.acknowledged.lock().expect(HELD).elapsed()
    }

    /// Returns why the last attempt failed, if none has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().expect(HELD).clone()
    }

    pub(super) fn failed(&self, reason: String) {
        *self.last_failure.lock().expect(HELD) = Some(reason);
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
