use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::http::Transport;
use crate::retry::{Rng, random_dice};

/// How long a download goes on without a new byte before it is given up.
pub const DEFAULT_RETRY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long a server that never answered is tried: a mistyped host should not cost the whole retry budget.
pub const DEFAULT_FIRST_CONTACT: Duration = Duration::from_secs(60);
/// How long a connection may be silent before another is made.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How files on the web are read.
#[derive(Clone)]
#[non_exhaustive]
pub struct WebOptions {
    /// Sends the requests. They are never signed, and carry none of the services' credentials.
    pub transport: Arc<dyn Transport>,
    /// The time of day, for waits that a server asks for until a date.
    pub clock: Arc<dyn Clock>,
    /// Randomness for delays.
    pub dice: Rng,
    /// How long a download goes on without a new byte; [`DEFAULT_RETRY_TIMEOUT`] by default.
    pub retry_timeout: Duration,
    /// How long a server that never answered is tried; [`DEFAULT_FIRST_CONTACT`] by default.
    pub first_contact: Duration,
    /// How long a connection may be silent; [`DEFAULT_STALL_TIMEOUT`] by default.
    pub stall_timeout: Duration,
}

impl WebOptions {
    /// Returns options with the transport and defaults for the rest.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(SystemClock),
            dice: random_dice(),
            retry_timeout: DEFAULT_RETRY_TIMEOUT,
            first_contact: DEFAULT_FIRST_CONTACT,
            stall_timeout: DEFAULT_STALL_TIMEOUT,
        }
    }

    /// Uses another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses another source of randomness for delays.
    #[must_use]
    pub fn with_dice(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }

    /// Sets how long a download goes on without a new byte.
    #[must_use]
    pub fn with_retry_timeout(mut self, timeout: Duration) -> Self {
        self.retry_timeout = timeout;
        self
    }

    /// Sets how long a server that never answered is tried.
    #[must_use]
    pub fn with_first_contact(mut self, limit: Duration) -> Self {
        self.first_contact = limit;
        self
    }

    /// Sets how long a connection may be silent.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }
}

impl fmt::Debug for WebOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebOptions")
            .field("transport", &self.transport)
            .field("retry_timeout", &self.retry_timeout)
            .field("first_contact", &self.first_contact)
            .field("stall_timeout", &self.stall_timeout)
            .finish_non_exhaustive()
    }
}
