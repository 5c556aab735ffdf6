//! Reports, once, that requests have failed for a while and are retried: silence looks like a hang.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ossup::event::{Event, EventSink};

use super::progress::Form;
use super::text::{duration, json_line};
use super::{Output, events, terminal};

/// Failures that pass sooner are not reported.
const PATIENCE: Duration = Duration::from_secs(3);

/// A series of failed attempts. Pure; the time comes with each event.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    told: bool,
}

impl Trouble {
    /// Takes in an event and returns what to report about it.
    pub(crate) fn apply(&mut self, event: &Event, now: Instant) -> Option<String> {
        match event {
            Event::Retrying { operation, reason, delay, left, .. } => {
                let since = *self.since.get_or_insert(now);
                // The wait that follows counts: the next chance to report comes after it.
                if self.told || now + *delay < since + PATIENCE {
                    return None;
                }
                self.told = true;
                Some(format!("{operation} fails: {reason}; retrying for another {}", duration(*left)))
            }
            Event::Opened { .. } | Event::PartDone { .. } | Event::Completed => {
                *self = Self::default();
                None
            }
            _ => None,
        }
    }
}

/// Returns where requests that belong to no upload report their retries.
pub(crate) fn retries(output: Output) -> EventSink {
    let trouble = Mutex::new(Trouble::default());
    EventSink::new(move |event| {
        if output.progress() == Form::Json {
            if let Some(line) = events::json(&event) {
                terminal::write(format!("{}\n", json_line(&line)).as_bytes());
            }
            return;
        }
        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing reports that such a request succeeded, but a first attempt always belongs to another one.
        if matches!(event, Event::Retrying { attempts: 1, .. }) {
            *trouble = Trouble::default();
        }
        if let Some(text) = trouble.apply(&event, Instant::now()) {
            output.status(text);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(delay: u64) -> Event {
        Event::Retrying {
            operation: "Initiate",
            part: None,
            attempts: 1,
            reason: "no route".to_owned(),
            delay: Duration::from_secs(delay),
            left: Duration::from_secs(57),
        }
    }

    #[test]
    fn a_failure_that_lasts_is_told_once_until_something_succeeds() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.apply(&failed(0), at(0)), None);
        assert_eq!(trouble.apply(&failed(0), at(2)), None);
        let told = trouble.apply(&failed(1), at(2)).unwrap();
        assert_eq!(told, "Initiate fails: no route; retrying for another 57 s");
        assert_eq!(trouble.apply(&failed(9), at(20)), None);
        assert_eq!(trouble.apply(&Event::Completed, at(21)), None);
        assert_eq!(trouble.apply(&failed(1), at(22)), None);
        assert!(trouble.apply(&failed(5), at(23)).is_some());
    }
}
