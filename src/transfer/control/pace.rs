//! How long a part should take: its pace in seconds per byte, and how much that varies.

use std::time::Duration;

use super::OnItsWay;

/// Weight of the newest part in the average pace.
const NEWEST: f64 = 0.25;
/// A late part has taken so many deviations more than the average: as a TCP sender waits before it repeats
/// (RFC 6298).
const DEVIATIONS: f64 = 4.0;
/// It has also taken at least so many times as long as the average,
const AT_LEAST: f64 = 1.5;
/// and so much more in any case: the time of a request itself, a lost packet.
const SLACK: Duration = Duration::from_millis(300);
/// The end is near once the others have so many parts of its size left to send.
const ROUNDS_TO_THE_END: u64 = 2;
/// Before that a slow connection costs less than sending its bytes again: patience is longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Each part that is dropped before another gets in doubles the limit, up to this many times: if it is the
/// service that became slow, the parts must get in at last.
const DOUBLINGS: u32 = 10;
/// From so many other parts in flight on, one of them should get in now and then. If none does, it is the link
/// that stands still and not the connection.
const QUORUM: usize = 3;

#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    known: Option<Known>,
    /// Parts that were dropped since one got in.
    dropped: u32,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// Seconds per byte, on average.
    mean: f64,
    /// How far parts lie from that.
    deviation: f64,
    /// When a part last got in.
    last: Duration,
}

impl Pace {
    pub(super) fn acknowledged(&mut self, bytes: u64, took: Duration, now: Duration) {
        let pace = took.as_secs_f64().max(1e-6) / bytes.max(1) as f64;
        let known =
            self.known.map_or(Known { mean: pace, deviation: pace / 2.0, last: now }, |known| Known {
                mean: known.mean + NEWEST * (pace - known.mean),
                deviation: known.deviation + NEWEST * ((pace - known.mean).abs() - known.deviation),
                last: now,
            });
        self.known = Some(known);
        self.dropped = 0;
    }

    /// Takes in that a part was dropped because it was late.
    pub(super) fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// Returns when a part last got in.
    pub(super) fn last(&self) -> Duration {
        self.known.map_or(Duration::ZERO, |known| known.last)
    }

    /// Returns how many bytes one connection sends in `time`, if that is known.
    pub(super) fn bytes_in(&self, time: Duration) -> Option<u64> {
        Some((time.as_secs_f64() / self.known?.mean) as u64)
    }

    /// Whether a part has taken so long that its bytes should go over other connections.
    pub(super) fn is_late(&self, part: OnItsWay, now: Duration) -> bool {
        let Some(known) = self.known else { return false };
        let bytes = part.bytes as f64;
        let usual = bytes * known.mean;
        let late =
            Duration::from_secs_f64((usual * AT_LEAST).max(usual + bytes * DEVIATIONS * known.deviation));
        let ending = part.waiting <= ROUNDS_TO_THE_END * part.others as u64 * part.bytes;
        let patience = if ending { SLACK } else { SLACK + PATIENCE };
        let late = (late + patience) * 2u32.pow(self.dropped.min(DOUBLINGS));
        let quiet = now.saturating_sub(known.last);
        let link_moves = quiet < SLACK.max(Duration::from_secs_f64(usual / 2.0));
        part.age > late && (part.others < QUORUM || link_moves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A link of 1 MiB/s for each connection, on which a part got in at 100 s.
    fn even() -> Pace {
        let mut pace = Pace::default();
        for n in 0..40 {
            pace.acknowledged(4 * MIB, seconds(4.0), seconds(61.0 + f64::from(n)));
        }
        pace
    }

    fn part(age: f64, others: usize, waiting: u64) -> OnItsWay {
        OnItsWay { bytes: 4 * MIB, age: seconds(age), others, waiting }
    }

    #[test]
    fn at_the_end_half_a_parts_time_is_waited() {
        let pace = even();
        assert!(!pace.is_late(part(6.2, 7, 0), seconds(100.1)));
        assert!(pace.is_late(part(6.4, 7, 0), seconds(100.1)));
    }

    #[test]
    fn while_others_have_bytes_to_send_patience_is_longer() {
        let pace = even();
        assert!(!pace.is_late(part(8.0, 7, 1 << 30), seconds(100.1)));
        assert!(pace.is_late(part(9.0, 7, 1 << 30), seconds(100.1)));
    }

    #[test]
    fn when_nothing_gets_in_it_is_the_link() {
        let pace = even();
        assert!(!pace.is_late(part(30.0, 7, 0), seconds(103.0)));
        assert!(pace.is_late(part(30.0, 0, 0), seconds(103.0)), "the last part alone");
    }

    #[test]
    fn a_link_that_slows_down_makes_no_stragglers() {
        let mut pace = even();
        // Ten times slower from here on; the first of eight parts gets in.
        pace.acknowledged(4 * MIB, seconds(40.0), seconds(140.0));
        assert!(!pace.is_late(part(39.9, 7, 0), seconds(140.0)));
    }

    #[test]
    fn a_service_that_became_slow_gets_more_time_with_every_part_that_is_dropped() {
        let mut pace = even();
        for _ in 0..20 {
            pace.dropped();
        }
        assert!(!pace.is_late(part(60.0, 0, 0), seconds(160.0)));
        pace.acknowledged(4 * MIB, seconds(4.0), seconds(160.0));
        assert!(pace.is_late(part(60.0, 0, 0), seconds(160.0)));
    }

    #[test]
    fn nothing_is_late_before_anything_is_known() {
        assert!(!Pace::default().is_late(part(1e6, 7, 0), seconds(1e6)));
        assert_eq!(Pace::default().bytes_in(seconds(1.0)), None);
    }
}
