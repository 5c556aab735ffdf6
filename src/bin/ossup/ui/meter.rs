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
    /// Length of the object; unknown for as long as it is made on the way.
    pub(crate) length: Option<u64>,
    /// Length of the image that it is made of, if that is known.
    image_length: Option<u64>,
    /// How far that was read, where the object is made of it on the way.
    passed: Option<u64>,
    /// Bytes that were already uploaded when the upload was opened.
    pub(crate) present: u64,
    /// Bytes acknowledged in this run.
    pub(crate) sent: u64,
    pub(crate) retries: u64,
    in_flight: HashSet<PartNumber>,
    started: Instant,
    recent: VecDeque<(Instant, u64)>,
    opened: bool,
    completing: bool,
    completed: bool,
}

impl Meter {
    pub(crate) fn new(image_length: Option<u64>, now: Instant) -> Self {
        Self {
            length: None,
            image_length,
            passed: None,
            present: 0,
            sent: 0,
            retries: 0,
            in_flight: HashSet::new(),
            started: now,
            recent: VecDeque::new(),
            opened: false,
            completing: false,
            completed: false,
        }
    }

    /// Takes in an event.
    pub(crate) fn apply(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Opened { length, present, .. } => {
                let (retries, fresh) = (self.retries, Self::new(self.image_length, now));
                *self = Self { length: *length, present: *present, retries, opened: true, ..fresh };
            }
            Event::Verified { range, good: true, .. } => self.present += range.len(),
            Event::Passed { image_bytes, .. } => self.passed = self.passed.max(Some(*image_bytes)),
            Event::Sized { length } => self.length = Some(*length),
            Event::PartStarted { number, .. } => {
                self.in_flight.insert(*number);
            }
            Event::PartReturned { number } => {
                self.in_flight.remove(number);
            }
            Event::PartDone { number, range, .. } => {
                self.in_flight.remove(number);
                let left =
                    self.length.map_or(u64::MAX, |length| length.saturating_sub(self.present + self.sent));
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
        self.opened && !self.completed
    }

    /// Returns the acknowledged bytes.
    pub(crate) fn done(&self) -> u64 {
        (self.present + self.sent).min(self.length.unwrap_or(u64::MAX))
    }

    /// Returns the throughput in bytes per second.
    pub(crate) fn throughput(&self, now: Instant) -> f64 {
        let since = self.started.max(now.checked_sub(WINDOW).unwrap_or(self.started));
        let sum: u64 = self.recent.iter().filter(|(at, _)| *at >= since).map(|(_, count)| count).sum();
        sum as f64 / (now - since).as_secs_f64().max(0.001)
    }

    /// Returns how long the rest takes at this throughput. Without a length of the object, it is as long as the rest of
    /// the image takes.
    pub(crate) fn remaining(&self, now: Instant) -> Option<Duration> {
        let seconds = match (self.length, self.passed.zip(self.image_length)) {
            (Some(length), _) => {
                let rate = self.throughput(now);
                (length - self.done()) as f64 / (rate >= 1.0).then_some(rate)?
            }
            (None, Some((passed, image))) => {
                let passed = (passed > 0).then_some(passed)?;
                let elapsed = (now - self.started).as_secs_f64();
                elapsed * image.saturating_sub(passed) as f64 / passed as f64
            }
            (None, None) => return None,
        };
        Some(Duration::from_secs_f64(seconds.min(1e9)))
    }

    /// Returns what a bar shows of the upload of `name`.
    pub(crate) fn bar(&self, name: &str, now: Instant) -> Line {
        let (facts, details) = if self.completing {
            (vec!["completing the upload".to_owned(), bytes(self.length.unwrap_or(self.done()))], Vec::new())
        } else {
            (self.facts(now), self.details())
        };
        Line { percent: self.percent(), facts, details, name: name.to_owned() }
    }

    /// Returns a plain line.
    pub(crate) fn line(&self, now: Instant) -> String {
        let Line { facts, details, percent, .. } = self.bar("", now);
        let percent = percent.map(|percent| format!("{percent}%"));
        percent.into_iter().chain(facts).chain(details).collect::<Vec<_>>().join(", ")
    }

    /// Returns how much is done: of the object, or else of the image.
    fn percent(&self) -> Option<u8> {
        let (done, length) = match (self.length, self.passed.zip(self.image_length)) {
            (Some(length), _) => (self.done(), length),
            // What was read has still to be sent.
            (None, Some((passed, image))) => (passed.min(image.saturating_sub(1)), image),
            (None, None) => return None,
        };
        let percent = u128::from(done) * 100 / u128::from(length.max(1));
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }

    fn facts(&self, now: Instant) -> Vec<String> {
        let mut facts = vec![format!("{}/s", bytes(self.throughput(now) as u64))];
        facts.extend(self.remaining(now).map(|left| format!("{} left", duration(left))));
        let sent = self.length.map_or_else(|| bytes(self.done()), |length| of(self.done(), length));
        match (self.passed, self.image_length) {
            // What is not made on the way is the image.
            (None, _) => facts.push(sent),
            (Some(passed), Some(image)) => {
                facts.extend([format!("{} read", of(passed.min(image), image)), format!("{sent} sent")]);
            }
            (Some(passed), None) => facts.extend([format!("{} read", bytes(passed)), format!("{sent} sent")]),
        }
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
    let mut meter = Meter::new(None, start);
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
        let mut meter = Meter::new(None, start);
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

    #[test]
    fn what_is_made_on_the_way_shows_what_was_read_and_what_was_sent() {
        let start = Instant::now();
        let later = start + Duration::from_secs(2);
        let of_unknown = |image: Option<u64>| {
            let mut meter = Meter::new(image, start);
            let Event::Opened { object, upload_id, .. } = opened(0, 0) else { unreachable!() };
            let (present, present_parts) = (0, 0);
            let opened = Event::Opened { object, upload_id, length: None, present, present_parts };
            meter.apply(&opened, start);
            assert!(meter.is_running());
            meter.apply(&Event::Passed { image_bytes: 50 << 20, object_bytes: 12 << 20 }, later);
            meter.apply(&done(1, 0, 10 << 20), later);
            meter
        };
        let mut meter = of_unknown(Some(100 << 20));
        let line = "50%, 5.0 MiB/s, 2 s left, 50.0 of 100.0 MiB read, 10.0 MiB sent, 0 parts in flight";
        assert_eq!(meter.line(later), line);
        meter.apply(&Event::Passed { image_bytes: 100 << 20, object_bytes: 20 << 20 }, later);
        assert!(meter.line(later).starts_with("99%"), "what was read has still to be sent");
        meter.apply(&Event::Sized { length: 20 << 20 }, later);
        let line =
            "50%, 5.0 MiB/s, 2 s left, 100.0 of 100.0 MiB read, 10.0 of 20.0 MiB sent, 0 parts in flight";
        assert_eq!(meter.line(later), line);
        let line = "5.0 MiB/s, 50.0 MiB read, 10.0 MiB sent, 0 parts in flight";
        assert_eq!(of_unknown(None).line(later), line);
    }

    proptest! {
        /// Even from events that contradict each other.
        #[test]
        fn progress_is_never_above_the_total_and_never_goes_back(
            length in 1_u64..1000, present in 0_u64..1000, parts in prop::collection::vec((1_u16..50, 0_u64..300), 0..30)
        ) {
            let now = Instant::now();
            let mut meter = Meter::new(None, now);
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
