use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::model::limits::MAX_CLOCK_SKEW_SECONDS;

/// The earliest and the latest time that is believed of a server: 2024 to 2100. Some proxies rewrite dates to 1970.
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

    /// Takes over the server's time, which was found to explain a refusal.
    pub(super) fn learn(&self, server: Timestamp, local: Timestamp) {
        self.0.store(server.duration_since(local).as_millis() as i64, Ordering::Relaxed);
    }
}

/// When a request was signed: the time that the signature names, and the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed {
    pub(super) time: Timestamp,
    pub(super) at: Instant,
}

/// Whether a refusal for skew is about the time that the request was signed with, so that signing again by the
/// server's time can help. A server whose time agrees with that means something else.
///
/// What counts is what was signed, and not the local clock: that may have been set since.
pub(super) fn explains(signed: Option<Signed>, server: Option<(Timestamp, Instant)>) -> bool {
    let (Some(signed), Some((server, arrived))) = (signed, server) else { return false };
    let expected = signed.time + (arrived - signed.at);
    is_plausible(&server) && server.duration_since(expected).as_secs().abs() >= MAX_CLOCK_SKEW_SECONDS / 15
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

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_clock_is_corrected_by_what_the_server_says() {
        let skew = Skew::default();
        let (local, server) = (time("2026-01-01T08:00:00Z"), time("2026-01-01T00:00:00Z"));
        skew.learn(server, local);
        assert_eq!(skew.correction().apply(local), server);
        assert_eq!(skew.correction().seconds(), -8 * 3600);
    }

    #[test]
    fn what_was_signed_explains_a_refusal_and_not_the_local_clock() {
        let at = Instant::now();
        let arrived = at + std::time::Duration::from_secs(600);
        let server = time("2026-01-01T00:10:00Z");
        let explained =
            |signed: &str| explains(Some(Signed { time: time(signed), at }), Some((server, arrived)));
        assert!(explained("2025-12-31T21:00:00Z"), "behind, wherever the clock stands by now");
        assert!(explained("2026-01-01T03:00:00Z"), "ahead");
        assert!(!explained("2026-01-01T00:00:20Z"), "the right time, 600 s ago");
        assert!(!explains(None, Some((server, arrived))));
    }

    #[test]
    fn implausible_dates_are_rejected() {
        let at = Instant::now();
        let signed = Some(Signed { time: time("2026-01-01T00:00:00Z"), at });
        for server in ["1970-01-01T00:00:10Z", "2200-01-01T00:00:00Z"] {
            assert!(!explains(signed, Some((time(server), at))));
        }
        assert!(!explains(signed, None));
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
