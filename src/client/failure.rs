use std::error::Error;
use std::io;

use jiff::Timestamp;
use tokio::time::Instant;

use super::skew::Signed;
use super::{CallCause, Progress};
use crate::credentials::Credentials;
use crate::http::{TransportError, TransportErrorKind};
use crate::protocol::RetryClass;

/// A failed attempt.
pub(super) struct Failure {
    pub(super) cause: CallCause,
    pub(super) action: RetryClass,
    /// Whether the service may have carried the request out.
    pub(super) maybe_done: bool,
    /// The server's time when the answer arrived, to correct the clock by.
    pub(super) server_time: Option<(Timestamp, Instant)>,
    /// The time that the request was signed with, if it was sent.
    pub(super) signed: Option<Signed>,
    pub(super) credentials: Option<Credentials>,
}

impl Failure {
    /// A failure without a response of the service that has more details.
    pub(super) fn new(cause: CallCause, action: RetryClass, maybe_done: bool) -> Self {
        Self { cause, action, maybe_done, server_time: None, signed: None, credentials: None }
    }

    /// Whether the connection was silent for too long, by this client's limits or by the system's.
    pub(super) fn timed_out(&self) -> bool {
        let CallCause::Transport(error) = &self.cause else { return false };
        let mut cause = Some(error as &(dyn Error + 'static));
        while let Some(error) = cause {
            let io = error.downcast_ref::<io::Error>();
            // An I/O error hides what it wraps from `source`.
            let inner = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<io::Error>());
            if io.into_iter().chain(inner).any(|io| io.kind() == io::ErrorKind::TimedOut) {
                return true;
            }
            cause = error.source();
        }
        error.kind == TransportErrorKind::Timeout
    }

    /// Counts what fewer requests at a time might not have met: a service that asked for less or failed, a
    /// connection that broke or was silent.
    pub(super) fn count_in(&self, progress: &Progress) {
        match &self.cause {
            CallCause::Service(error) if self.action == RetryClass::Throttled || error.status == 429 => {
                progress.throttle();
            }
            CallCause::Service(error) if error.status >= 500 || error.status == 408 => progress.broke(),
            CallCause::Transport(error)
                if matches!(error.kind, TransportErrorKind::Broken | TransportErrorKind::Timeout) =>
            {
                progress.broke();
            }
            _ => {}
        }
    }
}

/// Describes a failure in one line: the innermost causes say most.
pub(super) fn reason(cause: &CallCause) -> String {
    let mut text = cause.to_string();
    let mut below = cause.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}

/// What failed before a request could be written.
pub(super) fn malformed(reason: impl ToString) -> Box<Failure> {
    Box::new(Failure::new(CallCause::Request(reason.to_string()), RetryClass::Never, false))
}

/// What failed in transport. `answered` says whether a service ever answered: if one did, a certificate that does
/// not match, or a response that is not HTTP, comes from the network and is transient; otherwise the endpoint is wrong.
pub(super) fn broken(error: TransportError, maybe_done: bool, answered: bool) -> Box<Failure> {
    use TransportErrorKind::{Certificate, Intercepted, NotHttp, ProxyAuth, ProxyRefused, Source, Tls};
    let action = match error.kind {
        Source | ProxyAuth => RetryClass::Never,
        Certificate(_) | Tls | NotHttp | ProxyRefused | Intercepted if !answered => RetryClass::RetryFew,
        _ => RetryClass::Retry,
    };
    Box::new(Failure::new(CallCause::Transport(error), action, maybe_done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_the_system_gave_up_has_timed_out() {
        let failed = |kind, source: Option<io::ErrorKind>| {
            let error = TransportError::new(kind, "the connection broke");
            // As the HTTP library wraps it.
            let source = source.map(|kind| io::Error::other(io::Error::from(kind)));
            let error = match source {
                Some(source) => error.with_source(source),
                None => error,
            };
            broken(error, true, true).timed_out()
        };
        assert!(failed(TransportErrorKind::Timeout, None));
        assert!(failed(TransportErrorKind::Broken, Some(io::ErrorKind::TimedOut)));
        assert!(!failed(TransportErrorKind::Broken, Some(io::ErrorKind::ConnectionReset)));
        assert!(!failed(TransportErrorKind::Broken, None));
    }
}
