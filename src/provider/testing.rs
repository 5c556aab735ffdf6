//! A clock for the tests of what ends at a time.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// A clock that stands until it is put forward.
#[derive(Debug)]
pub(super) struct Standing(Mutex<Timestamp>);

impl Standing {
    pub(super) fn at(now: &str) -> Self {
        Self(Mutex::new(now.parse().unwrap()))
    }

    pub(super) fn pass(&self, seconds: u64) {
        let mut now = self.0.lock().unwrap();
        *now += Duration::from_secs(seconds);
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
