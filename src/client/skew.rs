use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::limits::MAX_CLOCK_SKEW_SECONDS;

/// The earliest and the latest time that a server can tell: 2024 to 2100. Proxies have been seen that rewrite
/// dates to 1970.
const PLAUSIBLE: (i64, i64) = (1_704_067_200, 4_102_444_800);

/// How far this machine's clock is behind the server's, learnt from the server's answers.
#[derive(Debug, Default)]
pub(super) struct Skew {
    /// Milliseconds to be added to the local time.
    offset: AtomicI64,
}

impl Skew {
    /// Returns the time that the server should have now.
    pub(super) fn corrected(&self, local: Timestamp) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset.load(Ordering::Relaxed));
        local.checked_add(offset).unwrap_or(local)
    }

    /// Takes the server's time from a refusal: its error document's, else the Date header's. Returns whether
    /// it was plausible and calls for a correction.
    pub(super) fn learn(&self, server: Option<Timestamp>, local: Timestamp) -> bool {
        let Some(server) = server.filter(|t| (PLAUSIBLE.0..PLAUSIBLE.1).contains(&t.as_second())) else {
            return false;
        };
        let offset = server.duration_since(local);
        let before = SignedDuration::from_millis(self.offset.load(Ordering::Relaxed));
        // A refusal for skew with a clock that agrees comes from somewhere else; signing again cannot help.
        if (offset - before).unsigned_abs().as_secs() < MAX_CLOCK_SKEW_SECONDS as u64 / 15 {
            return false;
        }
        self.offset.store(offset.as_millis() as i64, Ordering::Relaxed);
        true
    }

    /// Returns the correction in whole seconds.
    pub(super) fn seconds(&self) -> i64 {
        self.offset.load(Ordering::Relaxed) / 1000
    }
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
        assert!(skew.learn(Some(server), local));
        assert_eq!(skew.corrected(local), server);
        assert_eq!(skew.seconds(), -8 * 3600);
        assert!(!skew.learn(Some(server), local), "nothing new");
    }

    #[test]
    fn implausible_dates_are_rejected() {
        let skew = Skew::default();
        let local: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for server in ["1970-01-01T00:00:10Z", "2200-01-01T00:00:00Z"] {
            assert!(!skew.learn(Some(server.parse().unwrap()), local));
        }
        assert!(!skew.learn(None, local));
        assert_eq!(skew.corrected(local), local);
    }

    #[test]
    fn http_dates_are_read() {
        let date = http_date("Wed, 01 Jan 2025 00:04:05 GMT").unwrap();
        assert_eq!(date.to_string(), "2025-01-01T00:04:05Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
