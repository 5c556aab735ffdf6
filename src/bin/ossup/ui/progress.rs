//! Progress on stderr: a bar, plain lines, JSON events, or nothing.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use ossup::event::{Event, EventSink};
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::meter::Meter;
use super::text::{bytes, counted, duration, json_line};
use super::trouble::Trouble;
use super::{Output, events, terminal};
use crate::args::ProgressArg;

/// How often a plain line is printed.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// How often a bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(250);

/// The resolved format of the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Bar,
    Plain,
    Json,
    None,
}

impl Form {
    /// Resolves `auto` and `--quiet`.
    pub(crate) fn choose(wanted: ProgressArg, quiet: bool, terminal: bool) -> Self {
        match wanted {
            ProgressArg::Json => Self::Json,
            _ if quiet => Self::None,
            ProgressArg::None => Self::None,
            ProgressArg::Auto if terminal => Self::Bar,
            ProgressArg::Auto | ProgressArg::Plain => Self::Plain,
            ProgressArg::Bar => Self::Bar,
        }
    }
}

/// The progress of one upload; what it shows ends when it is dropped.
pub(crate) struct Progress {
    shown: Arc<Shown>,
    _ticker: Option<AbortOnDropHandle<()>>,
}

struct Shown {
    label: String,
    meter: Mutex<Meter>,
    trouble: Mutex<Trouble>,
    /// Made when the upload is opened: several may be prepared and run one after the other.
    bar: OnceLock<ProgressBar>,
    output: Output,
}

impl Progress {
    /// Starts to show the progress of `label`, an image of this length if that is known.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) fn start(label: impl Into<String>, image_length: Option<u64>, output: Output) -> Self {
        let label = label.into();
        let interval = match output.progress() {
            Form::Bar => Some(BAR_INTERVAL),
            Form::Plain => Some(PLAIN_INTERVAL),
            Form::Json | Form::None => None,
        };
        let meter = Mutex::new(Meter::new(image_length, Instant::now()));
        let shown = Arc::new(Shown { label, meter, trouble: Mutex::default(), bar: OnceLock::new(), output });
        let ticker = interval.map(|interval| {
            let shown = Arc::clone(&shown);
            AbortOnDropHandle::new(tokio::spawn(async move {
                let mut ticks = ticks(interval);
                ticks.tick().await;
                loop {
                    ticks.tick().await;
                    shown.draw();
                }
            }))
        });
        Self { shown, _ticker: ticker }
    }

    /// Returns where the upload's events go.
    pub(crate) fn sink(&self) -> EventSink {
        let shown = Arc::clone(&self.shown);
        EventSink::new(move |event| shown.take(&event))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shown.clear();
    }
}

impl Shown {
    fn take(&self, event: &Event) {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner).apply(event, Instant::now());
        if self.output.progress() == Form::Json {
            if let Some(line) = events::json(event) {
                terminal::write(format!("{}\n", json_line(&line)).as_bytes());
            }
            return;
        }
        let trouble =
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).apply(event, Instant::now());
        if let Some(text) = trouble {
            self.output.status(text);
        }
        match event {
            Event::Completed => self.clear(),
            Event::Notice { text } => self.output.status(text),
            Event::Opened { present, present_parts, .. } if *present_parts > 0 => {
                let size = bytes(*present);
                let parts = counted(*present_parts, "part", "parts");
                self.output.status(format!("resuming: {parts} ({size}) already there"));
            }
            Event::Verified { number, good: false, .. } => {
                self.output.status(format!("part {number} has other bytes there than here"));
            }
            Event::Stalled { silent, reason } => {
                self.output.status(format!("nothing acknowledged for {}: {reason}", duration(*silent)));
            }
            Event::Retrying { operation, part, attempts, reason, delay, .. } => {
                let part = part.map(|part| format!(" of part {part}")).unwrap_or_default();
                let wait = delay.as_secs_f64();
                self.output.verbose(format!(
                    "{operation}{part}: attempt {attempts} failed, retrying in {wait:.1} s: {reason}"
                ));
            }
            _ => {}
        }
    }

    fn draw(&self) {
        let now = Instant::now();
        let meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        if !meter.is_running() {
            return;
        }
        if self.output.progress() == Form::Bar {
            let bar = self.bar.get_or_init(terminal::bar);
            bar.set_message(meter.bar(&self.label, now).fit(terminal::width()));
        } else {
            self.output.status(format!("{}: {}", self.label, meter.line(now)));
        }
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            terminal::end_bar(bar);
        }
    }
}

/// Returns a clock that ticks once after a pause, however long: a stopped process shows no burst of equal lines
/// when it continues.
fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_a_bar_on_a_terminal_alone_and_quiet_is_quiet() {
        assert_eq!(Form::choose(ProgressArg::Auto, false, true), Form::Bar);
        assert_eq!(Form::choose(ProgressArg::Auto, false, false), Form::Plain);
        assert_eq!(Form::choose(ProgressArg::Auto, true, true), Form::None);
        assert_eq!(Form::choose(ProgressArg::Bar, false, false), Form::Bar);
        assert_eq!(Form::choose(ProgressArg::Json, true, false), Form::Json);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_shows_one_line_when_it_goes_on() {
        let began = tokio::time::Instant::now();
        let mut ticks = ticks(PLAIN_INTERVAL);
        ticks.tick().await;
        tokio::time::advance(20 * PLAIN_INTERVAL).await;
        ticks.tick().await;
        assert_eq!(began.elapsed(), 20 * PLAIN_INTERVAL);
        ticks.tick().await;
        assert_eq!(began.elapsed(), 21 * PLAIN_INTERVAL, "the ticks that were missed are not made up for");
    }

    #[test]
    fn the_place_of_a_bar_is_well_formed() {
        terminal::end_bar(&terminal::bar());
    }
}
