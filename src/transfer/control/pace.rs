//! How long a part should take: its pace in seconds per byte, and how much that varies.

use std::collections::VecDeque;
use std::time::Duration;

use super::OnItsWay;

/// Weight of the newest part in the average pace.
const NEWEST: f64 = 0.25;
/// A late part has taken this many deviations more than the average: as a TCP sender waits before it retransmits
/// (RFC 6298).
const DEVIATIONS: f64 = 4.0;
/// A late part has also taken at least this many times as long as the average.
const AT_LEAST: f64 = 1.5;
/// A late part has taken this much longer than the average in any case: the overhead of a request, a lost packet.
const SLACK: Duration = Duration::from_millis(300);
/// Once nothing waits any more, a connection that moves gets all that the others leave. If the line could have carried
/// a part this many times since then, with all else in flight, sending it again costs less than waiting.
const CARRIED: f64 = 1.5;
/// How many of the last parts the line's rate is computed from.
const LEDGER: usize = 32;
/// While bytes wait, a slow connection is left alone on a line that connections share, where they differ by more than
/// this factor: the others get what it leaves. Where none of the last parts took this many times as long as another of
/// its size, the connections do not share a line, and one that takes much longer than the slowest has stalled.
const EVEN: f64 = 2.5;
/// How many parts it takes to see that the connections are alike.
const ALIKE: usize = 8;
/// Waiting costs little until the others have less than this many parts of its size left to send: until then patience
/// is longer.
const ROUNDS_TO_THE_END: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(2);
/// No more than this share of all bytes is ever sent again because a part was late.
const SENT_AGAIN: f64 = 1.0 / 32.0;
/// Each part that is dropped before another gets in doubles the limit, up to this many times: if it is the
/// service that became slow, the parts must get in at last.
const DOUBLINGS: u32 = 10;
/// With at least this many other parts in flight, one of them should succeed now and then. If none does, the link
/// has stalled and not the connection.
const QUORUM: usize = 3;

#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    known: Option<Known>,
    /// Parts that were dropped since one got in.
    dropped: u32,
    /// The last parts that got in, in order of that.
    ledger: VecDeque<Entry>,
    /// Since when nothing waits to be dealt.
    drained: Option<Duration>,
    /// Bytes that got in, and those that were dropped.
    got_in: u64,
    sent_again: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    began: Duration,
    ended: Duration,
    bytes: u64,
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
        self.got_in += bytes;
        if self.ledger.len() == LEDGER {
            self.ledger.pop_front();
        }
        self.ledger.push_back(Entry { began: now.saturating_sub(took), ended: now, bytes });
    }

    /// Returns what all connections together have carried, in bytes per second.
    fn line(&self) -> f64 {
        let began = self.ledger.iter().map(|entry| entry.began).min().unwrap_or_default();
        let ended = self.ledger.back().map_or(began, |entry| entry.ended);
        let bytes: u64 = self.ledger.iter().map(|entry| entry.bytes).sum();
        bytes as f64 / (ended - began).as_secs_f64().max(1e-6)
    }

    /// Takes in how many bytes wait to be dealt.
    pub(super) fn waiting(&mut self, bytes: u64, now: Duration) {
        self.drained = if bytes > 0 { None } else { self.drained.or(Some(now)) };
    }

    /// Takes in that a part was dropped because it was late.
    pub(super) fn dropped(&mut self, bytes: u64) {
        self.dropped += 1;
        self.sent_again += bytes;
    }

    /// Returns when a part last got in.
    pub(super) fn last(&self) -> Duration {
        self.known.map_or(Duration::ZERO, |known| known.last)
    }

    /// Returns how many bytes one connection sends in `time`, if that is known.
    pub(super) fn bytes_in(&self, time: Duration) -> Option<u64> {
        Some((time.as_secs_f64() / self.known?.mean) as u64)
    }

    /// Whether a part has taken too long, so that its bytes should go over other connections.
    pub(super) fn is_late(&self, part: OnItsWay, now: Duration) -> bool {
        let Some(known) = self.known else { return false };
        let bytes = part.bytes as f64;
        let usual = bytes * known.mean;
        let late =
            Duration::from_secs_f64((usual * AT_LEAST).max(usual + bytes * DEVIATIONS * known.deviation));
        let late = (late + SLACK) * 2u32.pow(self.dropped.min(DOUBLINGS));
        let quiet = now.saturating_sub(known.last);
        let link_moves = quiet < SLACK.max(Duration::from_secs_f64(usual / 2.0));
        part.age > late
            && (part.others < QUORUM || link_moves)
            && match self.drained {
                Some(drained) => self.was_free(part, drained, now),
                None => self.stands_out(part),
            }
    }

    /// Whether the line could have carried the part since nothing waits any more.
    fn was_free(&self, part: OnItsWay, drained: Duration, now: Duration) -> bool {
        let since = drained.max(now.saturating_sub(part.age));
        let carried: f64 = self.ledger.iter().map(|entry| entry.bytes_since(since)).sum();
        let free = self.line() * now.saturating_sub(since).as_secs_f64() - carried - part.others_bytes as f64;
        free >= CARRIED * part.bytes as f64
    }

    /// Whether all parts but this one take about the same time.
    fn stands_out(&self, part: OnItsWay) -> bool {
        let paces = || self.ledger.iter().map(Entry::pace);
        let (fastest, slowest) = (paces().fold(f64::MAX, f64::min), paces().fold(0.0, f64::max));
        let ending = part.waiting <= ROUNDS_TO_THE_END * part.others as u64 * part.bytes;
        let patience = if ending { SLACK } else { PATIENCE };
        let most = Duration::from_secs_f64(part.bytes as f64 * slowest * AT_LEAST) + patience;
        let affordable = (self.sent_again + part.bytes) as f64 <= self.got_in as f64 * SENT_AGAIN;
        self.ledger.len() >= ALIKE && slowest <= EVEN * fastest && part.age > most && affordable
    }
}

impl Entry {
    /// Seconds per byte.
    fn pace(&self) -> f64 {
        (self.ended - self.began).as_secs_f64() / self.bytes.max(1) as f64
    }

    /// Returns how many of its bytes passed after a moment, if they did evenly.
    fn bytes_since(&self, since: Duration) -> f64 {
        let all = (self.ended - self.began).as_secs_f64().max(1e-6);
        let after = self.ended.saturating_sub(since.max(self.began)).as_secs_f64();
        self.bytes as f64 * (after / all).min(1.0)
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

    /// Of eight parts on their way the one that is looked at, `drained` seconds after the last one was dealt.
    fn is_late(pace: &Pace, age: f64, others: usize, drained: f64, now: f64) -> bool {
        let mut pace = pace.clone();
        pace.waiting(0, seconds(now - drained));
        let others_bytes = others as u64 * 4 * MIB;
        let part = OnItsWay { bytes: 4 * MIB, age: seconds(age), others, others_bytes, waiting: 0 };
        pace.is_late(part, seconds(now))
    }

    #[test]
    fn at_the_end_half_a_parts_time_is_waited() {
        let pace = even();
        assert!(!is_late(&pace, 6.2, 0, 6.2, 106.2));
        assert!(is_late(&pace, 6.4, 0, 6.4, 106.4));
    }

    #[test]
    fn a_part_is_late_only_once_the_line_could_have_carried_it() {
        // The line carries 3.7 MiB a second, and the last part got in at 100 s.
        let pace = even();
        assert!(!is_late(&pace, 60.0, 0, 1.6, 101.6));
        assert!(is_late(&pace, 60.0, 0, 1.7, 101.7), "half as long again as the line needs for it");
        assert!(!is_late(&pace, 60.0, 2, 3.8, 103.8), "what the others have on their way goes first");
        assert!(is_late(&pace, 60.0, 2, 3.9, 103.9));
    }

    #[test]
    fn while_others_have_bytes_to_send_a_part_is_late_only_if_all_others_are_alike() {
        let late = |pace: &Pace, age: f64| {
            let (mut pace, waiting) = (pace.clone(), 1 << 30);
            pace.waiting(waiting, seconds(100.0));
            let part =
                OnItsWay { bytes: 4 * MIB, age: seconds(age), others: 7, others_bytes: 28 * MIB, waiting };
            pace.is_late(part, seconds(100.1))
        };
        let pace = even();
        assert!(!late(&pace, 7.9));
        assert!(late(&pace, 8.1));
        let mut again = pace.clone();
        again.dropped(4 * MIB);
        again.acknowledged(4 * MIB, seconds(4.0), seconds(100.0));
        assert!(!late(&again, 60.0), "one of forty is as much as may be sent again");
        let mut shared = pace.clone();
        shared.acknowledged(4 * MIB, seconds(1.5), seconds(100.0));
        assert!(!late(&shared, 60.0), "some have more of the line than others");
    }

    #[test]
    fn when_nothing_gets_in_it_is_the_link() {
        let pace = even();
        assert!(!is_late(&pace, 30.0, 3, 10.0, 110.0));
        assert!(is_late(&pace, 30.0, 2, 10.0, 110.0), "of so few none need have got in");
    }

    #[test]
    fn a_link_that_slows_down_makes_no_stragglers() {
        let mut pace = even();
        // Ten times slower from here on; the first of eight parts gets in.
        pace.acknowledged(4 * MIB, seconds(40.0), seconds(140.0));
        assert!(!is_late(&pace, 39.9, 7, 30.0, 140.0));
    }

    #[test]
    fn a_service_that_became_slow_gets_more_time_with_every_part_that_is_dropped() {
        let mut pace = even();
        for _ in 0..20 {
            pace.dropped(0);
        }
        assert!(!is_late(&pace, 60.0, 0, 60.0, 160.0));
        pace.acknowledged(4 * MIB, seconds(4.0), seconds(160.0));
        assert!(is_late(&pace, 60.0, 0, 40.0, 200.0));
    }

    #[test]
    fn nothing_is_late_before_anything_is_known() {
        assert!(!is_late(&Pace::default(), 1e6, 7, 1e6, 1e6));
        assert_eq!(Pace::default().bytes_in(seconds(1.0)), None);
    }
}
