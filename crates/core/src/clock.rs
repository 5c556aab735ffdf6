//! The wall clock as a parameter: signatures, expiries and clock corrections depend on it.
//!
//! Durations and sleeps use tokio's clock, which tests pause.

use std::fmt;

use jiff::Timestamp;

/// Gives the time of day.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others stand in for")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
