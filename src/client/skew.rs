use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::model::limits::MAX_CLOCK_SKEW_SECONDS;

/// The earliest and the latest time that a server can tell: 2024 to 2100. Proxies have been seen that rewrite
/// dates to 1970.
const PLAUSIBLE: (i64, i64) = (1_704_067_200, 4_102_444_800);

/// Milliseconds to be added to the local time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Correction(i64);

impl Correction {
    /// Returns the time that the server should have now.
    pub(super) fn apply(self, local: Timestamp) -> Timestamp {
        local.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(local)
    }

    /// Returns it in whole seconds.
    pub(super) fn seconds(self) -> i64 {
        self.0 / 1000
    }
}

/// How far this machine's clock is behind the server's, learnt from the server's answers.
#[derive(Debug, Default)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    /// Returns the correction that is known now.
    pub(super) fn correction(&self) -> Correction {
        Correction(self.0.load(Ordering::Relaxed))
    }

    /// Takes the server's time from a refusal of a request that was signed with `used`: its error document's
    /// time, else the Date header's. Returns whether signing again can help.
    pub(super) fn learn(&self, server: Option<Timestamp>, local: Timestamp, used: Correction) -> bool {
        let Some(server) = server.filter(is_plausible) else {
            return false;
        };
        let offset = Correction(server.duration_since(local).as_millis() as i64);
        // A refusal for skew with a clock that agrees comes from somewhere else. It is compared with what the
        // request was signed with: of many that fail at once, the first has already corrected the clock.
        if (offset.0 - used.0).abs() < MAX_CLOCK_SKEW_SECONDS * 1000 / 15 {
            return false;
        }
        self.0.store(offset.0, Ordering::Relaxed);
        true
    }
}

/// What the service's last good answer said the time was, and when it said so.
#[derive(Debug, Default)]
pub(super) struct ServiceTime(Mutex<Option<(Timestamp, Instant)>>);

impl ServiceTime {
    /// Takes an answer's Date header.
    pub(super) fn observe(&self, date: &str) {
        if let Some(time) = http_date(date).filter(is_plausible) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
        }
    }

    /// Returns the service's time now; nothing as long as no answer stated it.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let (time, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        time.checked_add(at.elapsed()).ok()
    }
}

fn is_plausible(time: &Timestamp) -> bool {
    (PLAUSIBLE.0..PLAUSIBLE.1).contains(&time.as_second())
}

/// Reads an HTTP date, such as a Date header's.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_corrected_by_what_the_server_says() {
        let skew = Skew::default();
        let local: Timestamp = "2026-01-01T08:00:00Z".parse().unwrap();
        let server: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let used = skew.correction();
        assert!(skew.learn(Some(server), local, used));
        assert_eq!(skew.correction().apply(local), server);
        assert_eq!(skew.correction().seconds(), -8 * 3600);
        assert!(skew.learn(Some(server), local, used), "another request that was signed before");
        assert!(!skew.learn(Some(server), local, skew.correction()), "nothing new");
    }

    #[test]
    fn implausible_dates_are_rejected() {
        let skew = Skew::default();
        let local: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for server in ["1970-01-01T00:00:10Z", "2200-01-01T00:00:00Z"] {
            assert!(!skew.learn(Some(server.parse().unwrap()), local, Correction::default()));
        }
        assert!(!skew.learn(None, local, Correction::default()));
        assert_eq!(skew.correction(), Correction::default());
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_s_time_goes_on_from_its_last_answer() {
        let time = ServiceTime::default();
        for nonsense in ["yesterday", "Thu, 01 Jan 1970 00:00:10 GMT"] {
            time.observe(nonsense);
            assert_eq!(time.now(), None, "{nonsense}");
        }
        time.observe("Wed, 01 Jan 2025 00:04:05 GMT");
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        assert_eq!(time.now(), "2025-01-01T00:05:05Z".parse().ok());
    }

    #[test]
    fn http_dates_are_read() {
        let date = http_date("Wed, 01 Jan 2025 00:04:05 GMT").unwrap();
        assert_eq!(date.to_string(), "2025-01-01T00:04:05Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
