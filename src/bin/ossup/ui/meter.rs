//! The progress of one upload, computed from its events. Pure; the time comes with each event.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use ossup::event::Event;
use ossup::model::PartNumber;

use super::bar::Line;
use super::text::{bytes, counted, duration, of, parts};

/// Throughput is measured over this long.
const WINDOW: Duration = Duration::from_secs(15);

/// Counts acknowledged bytes: never more than there are, never backwards.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) length: u64,
    /// Bytes that were already uploaded when the upload was opened.
    pub(crate) present: u64,
    /// Bytes acknowledged in this run.
    pub(crate) sent: u64,
    pub(crate) retries: u64,
    in_flight: HashSet<PartNumber>,
    started: Instant,
    recent: VecDeque<(Instant, u64)>,
    completing: bool,
    completed: bool,
}

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            length: 0,
            present: 0,
            sent: 0,
            retries: 0,
            in_flight: HashSet::new(),
            started: now,
            recent: VecDeque::new(),
            completing: false,
            completed: false,
        }
    }

    /// Takes in an event.
    pub(crate) fn apply(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Opened { length, present, .. } => {
                let length = length.unwrap_or_default();
                *self = Self { length, present: *present, retries: self.retries, ..Self::new(now) };
            }
            Event::Verified { range, good: true, .. } => self.present += range.len(),
            Event::PartStarted { number, .. } => {
                self.in_flight.insert(*number);
            }
            Event::PartReturned { number } => {
                self.in_flight.remove(number);
            }
            Event::PartDone { number, range, .. } => {
                self.in_flight.remove(number);
                let left = self.length.saturating_sub(self.present + self.sent);
                self.sent += range.len().min(left);
                self.recent.push_back((now, range.len()));
                while self.recent.front().is_some_and(|(at, _)| now - *at > WINDOW) {
                    self.recent.pop_front();
                }
            }
            Event::Retrying { .. } => self.retries += 1,
            Event::Completing => self.completing = true,
            Event::Completed => self.completed = true,
            _ => {}
        }
    }

    /// Whether the upload was opened and is not yet done.
    pub(crate) fn is_running(&self) -> bool {
        self.length > 0 && !self.completed
    }

    /// Returns the acknowledged bytes.
    pub(crate) fn done(&self) -> u64 {
        (self.present + self.sent).min(self.length)
    }

    /// Returns the throughput in bytes per second.
    pub(crate) fn throughput(&self, now: Instant) -> f64 {
        let since = self.started.max(now.checked_sub(WINDOW).unwrap_or(self.started));
        let sum: u64 = self.recent.iter().filter(|(at, _)| *at >= since).map(|(_, count)| count).sum();
        sum as f64 / (now - since).as_secs_f64().max(0.001)
    }

    /// Returns how long the rest takes at this throughput.
    pub(crate) fn remaining(&self, now: Instant) -> Option<Duration> {
        let rate = self.throughput(now);
        let left = self.length - self.done();
        (rate >= 1.0).then(|| Duration::from_secs_f64((left as f64 / rate).min(1e9)))
    }

    /// Returns what a bar shows of the upload of `name`.
    pub(crate) fn bar(&self, name: &str, now: Instant) -> Line {
        let (facts, details) = if self.completing {
            (vec!["completing the upload".to_owned(), bytes(self.length)], Vec::new())
        } else {
            (self.facts(now), self.details())
        };
        Line { percent: Some(self.percent()), facts, details, name: name.to_owned() }
    }

    /// Returns a plain line.
    pub(crate) fn line(&self, now: Instant) -> String {
        let Line { facts, details, .. } = self.bar("", now);
        format!("{}%, {}", self.percent(), [facts, details].concat().join(", "))
    }

    fn percent(&self) -> u8 {
        let percent = u128::from(self.done()) * 100 / u128::from(self.length.max(1));
        u8::try_from(percent).unwrap_or(100)
    }

    fn facts(&self, now: Instant) -> Vec<String> {
        let mut facts = vec![format!("{}/s", bytes(self.throughput(now) as u64))];
        facts.extend(self.remaining(now).map(|left| format!("{} left", duration(left))));
        facts.push(of(self.done(), self.length));
        facts
    }

    fn details(&self) -> Vec<String> {
        let mut details = vec![format!("{} in flight", parts(self.in_flight.len()))];
        if self.retries > 0 {
            details.push(counted(self.retries, "retry", "retries"));
        }
        if self.present > 0 {
            details.push(format!("{} already there", bytes(self.present)));
        }
        details
    }
}

/// Returns what a bar shows of an upload that has started, sends and completes.
#[cfg(test)]
pub(super) fn stages(name: &str) -> [Line; 3] {
    use ossup::model::{ByteRange, UploadId};

    let start = Instant::now();
    let mut meter = Meter::new(start);
    let opened = Event::Opened {
        object: "oss://images/x".parse().expect("an object"),
        upload_id: UploadId::new("1"),
        length: Some(30 << 30),
        present: 1 << 30,
        present_parts: 16,
    };
    meter.apply(&opened, start);
    let began = meter.bar(name, start);
    for number in 1..=12 {
        let (number, range) = (PartNumber::new(number).expect("a number"), ByteRange::new(0, 128 << 20));
        meter.apply(&Event::PartStarted { number, range }, start);
        meter.apply(&Event::PartDone { number, range, took: Duration::ZERO }, start + WINDOW);
        meter.apply(&Event::PartStarted { number, range }, start + WINDOW);
    }
    let reason = "the connection broke".to_owned();
    let (delay, left) = (Duration::ZERO, Duration::ZERO);
    let operation = "UploadPart";
    meter.apply(&Event::Retrying { operation, part: None, attempts: 1, reason, delay, left }, start + WINDOW);
    let sending = meter.bar(name, start + WINDOW);
    meter.apply(&Event::Completing, start + WINDOW);
    [began, sending, meter.bar(name, start + WINDOW)]
}

#[cfg(test)]
mod tests {
    use ossup::model::{ByteRange, UploadId};
    use proptest::prelude::*;

    use super::*;

    fn number(number: u16) -> PartNumber {
        PartNumber::new(number).unwrap()
    }

    fn opened(length: u64, present: u64) -> Event {
        Event::Opened {
            object: "oss://images/x".parse().unwrap(),
            upload_id: UploadId::new("1"),
            length: Some(length),
            present,
            present_parts: 0,
        }
    }

    fn done(part: u16, start: u64, end: u64) -> Event {
        Event::PartDone { number: number(part), range: ByteRange::new(start, end), took: Duration::ZERO }
    }

    #[test]
    fn a_line_says_what_is_in_sent_and_already_there() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        meter.apply(&opened(100 << 20, 50 << 20), start);
        meter.apply(
            &Event::PartStarted { number: number(7), range: ByteRange::new(50 << 20, 60 << 20) },
            start,
        );
        let later = start + Duration::from_secs(2);
        meter.apply(&done(6, 50 << 20, 60 << 20), later);
        assert_eq!(
            meter.line(later),
            "60%, 5.0 MiB/s, 8 s left, 60.0 of 100.0 MiB, 1 part in flight, 50.0 MiB already there"
        );
        meter.apply(&Event::Completing, later);
        assert_eq!(meter.line(later), "60%, completing the upload, 100.0 MiB");
    }

    proptest! {
        /// Even from events that contradict each other.
        #[test]
        fn progress_is_never_above_the_total_and_never_goes_back(
            length in 1_u64..1000, present in 0_u64..1000, parts in prop::collection::vec((1_u16..50, 0_u64..300), 0..30)
        ) {
            let now = Instant::now();
            let mut meter = Meter::new(now);
            meter.apply(&opened(length, present), now);
            let mut last = meter.done();
            for (part, size) in parts {
                meter.apply(&done(part, 0, size), now);
                prop_assert!(meter.done() >= last && meter.done() <= length);
                last = meter.done();
                let _ = meter.line(now);
            }
        }
    }
}
