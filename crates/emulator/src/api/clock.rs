//! The clock of imports and copies: it runs a given number of times faster than the real one, can be put
//! forward, and goes on while the emulator is closed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point of the emulator's own time in milliseconds.
pub(super) type Millis = u64;

/// Where the two clocks were seen together, and how fast ours runs from there on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VirtualClock {
    real: Timestamp,
    millis: Millis,
    speed: f64,
}

impl VirtualClock {
    /// Starts a clock.
    pub(super) fn start(real: Timestamp, speed: f64) -> Self {
        Self { real, millis: 0, speed: sane(speed) }
    }

    /// Returns the clock at `real`, to run at `speed` from there on.
    pub(super) fn resume(&self, real: Timestamp, speed: f64) -> Self {
        Self { real, millis: self.at(real), speed: sane(speed) }
    }

    /// Returns the clock put forward.
    pub(super) fn advanced(&self, by: Duration) -> Self {
        let by = Millis::try_from(by.as_millis()).unwrap_or(Millis::MAX);
        Self { millis: self.millis.saturating_add(by), ..self.clone() }
    }

    /// Returns our time when the real clock shows `real`. It never runs backwards past where it was set.
    pub(super) fn at(&self, real: Timestamp) -> Millis {
        let passed = real.duration_since(self.real).as_millis().max(0);
        // Floats are exact for centuries of milliseconds; the cast saturates.
        self.millis.saturating_add((passed as f64 * self.speed) as Millis)
    }
}

/// A speed that is not a positive number would stop the clock for ever.
fn sane(speed: f64) -> f64 {
    if speed.is_finite() && speed > 0.0 { speed } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_fast_goes_on_while_closed_and_never_back() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let clock = VirtualClock::start(time("2025-01-01T00:00:00Z"), 60.0);
        assert_eq!(clock.at(time("2025-01-01T00:00:10Z")), 600_000);
        let clock = clock.advanced(Duration::from_secs(5));
        assert_eq!(clock.at(time("2025-01-01T00:00:10Z")), 605_000);
        let later = clock.resume(time("2025-01-01T00:00:20Z"), 1.0);
        assert_eq!(later.at(time("2025-01-01T00:00:21Z")), 1_206_000);
        assert_eq!(later.at(time("2024-01-01T00:00:00Z")), 1_205_000);
        assert_eq!(VirtualClock::start(time("2025-01-01T00:00:00Z"), f64::NAN).speed, 1.0);
    }
}
