//! Where protocol, transport and retries meet: the only retry loop, for every service.
//!
//! For each attempt the client asks the provider for credentials, signs anew by the corrected clock, makes the
//! body anew, sends under limits of time without progress, and classifies what came back. A failure is
//! repeated for as long as the budget of time without progress lasts ([`ClientOptions::retry_timeout`]), unless
//! the service's tables say that repeating cannot help.

mod attempt;
mod error;
mod meter;
mod options;
mod progress;
mod skew;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

pub use error::{CallCause, CallError};
pub use options::{ClientOptions, DEFAULT_RETRY_TIMEOUT};
pub(crate) use progress::Progress;

use crate::credentials::Credentials;
use crate::event::{Event, EventSink};
use crate::http::{Body, TransportError, TransportErrorKind};
use crate::model::{Endpoint, PartNumber, Region, ServiceId};
use crate::protocol::{Action, Idempotence, Operation, Request, ServiceError, oss, rpc};
use crate::retry::{Decision, RetryState};
use skew::{Correction, ServiceTime, Skew};

/// How long a service that never answered is tried before the first call to it gives up: a mistyped host
/// should not cost the whole retry budget.
const FIRST_CONTACT: Duration = Duration::from_secs(60);

/// Makes a body, anew for every attempt.
pub(crate) trait MakeBody: Send + Sync {
    /// Returns the body from its beginning.
    fn make(&self) -> Body;
}

/// Speaks to OSS, ECS, RAM and STS. Clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ClientOptions,
    skew: Skew,
    time: ServiceTime,
    /// Whether any service has ever answered.
    answered: AtomicBool,
    /// Counts resets; an attempt that began before one is dropped.
    resets: watch::Sender<u64>,
}

/// What goes with one call beside the operation.
pub(crate) struct Call<'a> {
    pub(crate) body: Option<&'a dyn MakeBody>,
    pub(crate) part: Option<PartNumber>,
    pub(crate) progress: &'a Progress,
    pub(crate) events: &'a EventSink,
    /// After so many broken or silent connections the caller wants the failure, to send less at a time.
    pub(crate) max_cuts: Option<u32>,
}

impl<'a> Call<'a> {
    /// A call that streams no body, repeated as long as the budget lasts.
    pub(crate) fn new(progress: &'a Progress, events: &'a EventSink) -> Self {
        Self { body: None, part: None, progress, events, max_cuts: None }
    }
}

/// A failed attempt.
struct Failure {
    cause: CallCause,
    action: Action,
    /// Whether the service may have carried the request out.
    maybe_done: bool,
    /// The server's time, to correct the clock by.
    server_time: Option<Timestamp>,
    /// The correction that the request was signed with.
    correction: Correction,
    credentials: Option<Credentials>,
}

impl Failure {
    /// A failure of which no answer of the service tells more.
    fn new(cause: CallCause, action: Action, maybe_done: bool) -> Self {
        Self {
            cause,
            action,
            maybe_done,
            server_time: None,
            correction: Correction::default(),
            credentials: None,
        }
    }

    /// Counts what fewer requests at a time might not have met: a service that asked for less or failed, a
    /// connection that broke or was silent.
    fn count_in(&self, progress: &Progress) {
        match &self.cause {
            CallCause::Service(error) if self.action == Action::Throttled || error.status == 429 => {
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

impl Client {
    /// Makes a client; nothing is connected yet.
    pub fn new(options: ClientOptions) -> Self {
        let shared = Shared {
            options,
            skew: Skew::default(),
            time: ServiceTime::default(),
            answered: AtomicBool::new(false),
            resets: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the OSS endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.options.endpoint
    }

    /// Returns the region of the bucket and of the images.
    pub fn region(&self) -> &Region {
        &self.shared.options.region
    }

    /// Returns which OSS is spoken to: what is kept about its uploads belongs to it alone.
    pub fn service(&self) -> ServiceId {
        let options = &self.shared.options;
        options.service.clone().unwrap_or_else(|| ServiceId::of_endpoint(&options.endpoint))
    }

    /// Returns which ECS is spoken to.
    pub fn rpc_service(&self) -> ServiceId {
        let options = &self.shared.options;
        let told = options.rpc_endpoint.as_ref().map(ServiceId::of_endpoint);
        options.service.clone().or(told).unwrap_or_else(ServiceId::public)
    }

    /// Returns the options.
    pub fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// Returns the server's time as far as it is known: the local time with the correction that was learnt.
    pub fn now(&self) -> Timestamp {
        self.shared.skew.correction().apply(self.shared.options.clock.now())
    }

    /// Returns the time by the service's own clock, as the Date header of its last good answer stated it; nothing
    /// before such an answer. The local clock has no part in it.
    pub fn service_time(&self) -> Option<Timestamp> {
        self.shared.time.now()
    }

    /// Returns by how many seconds the local clock had to be corrected.
    pub fn clock_correction(&self) -> i64 {
        self.shared.skew.correction().seconds()
    }

    /// Drops all connections and fails the attempts under way, so that they are made anew: after a sleep of
    /// the machine or a change of its network, connections look alive that are not.
    pub fn reset(&self) {
        self.shared.options.transport.reset();
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// Carries out an operation that has no streamed body.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it cannot succeed, or has not for as long as it may.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; the service may have carried it out.
    pub async fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        let progress = Progress::new();
        self.call_with(operation, Call::new(&progress, &self.shared.options.events)).await
    }

    /// Carries out an operation; [`Client::call`] with all that can go with it.
    pub(crate) async fn call_with<O: Operation>(
        &self,
        operation: &O,
        call: Call<'_>,
    ) -> Result<O::Output, CallError> {
        let options = &self.shared.options;
        let mut state = RetryState::default();
        let (mut attempts, mut cuts, mut ambiguous) = (0u32, 0u32, false);
        let mut rejected = None;
        loop {
            attempts += 1;
            let failure = match self.attempt(operation, &call, attempts, rejected.take()).await {
                Ok(output) => {
                    self.shared.answered.store(true, Ordering::Relaxed);
                    return Ok(output);
                }
                Err(failure) => failure,
            };
            if matches!(failure.cause, CallCause::Service(_)) {
                self.shared.answered.store(true, Ordering::Relaxed);
            }
            ambiguous |= failure.maybe_done;
            let reason = reason(&failure.cause);
            call.progress.failed(reason.clone());
            let budget_left = self.budget().saturating_sub(call.progress.failing_for());
            let asked = match &failure.cause {
                CallCause::Service(error) => error.retry_after.map(Duration::from_secs),
                _ => None,
            };
            let mut action = failure.action;
            if action == Action::Never && self.signed_by_others(&failure).await {
                action = Action::RefreshCredentials;
            }
            let mut decision = state.after(action, budget_left, (options.dice)(), asked);
            if failure.maybe_done && operation.idempotence() == Idempotence::Once {
                decision = Decision::GiveUp;
            }
            if let CallCause::Transport(error) = &failure.cause {
                cuts +=
                    u32::from(matches!(error.kind, TransportErrorKind::Broken | TransportErrorKind::Timeout));
                if call.max_cuts.is_some_and(|max| cuts >= max) {
                    decision = Decision::GiveUp;
                }
            }
            let give_up = |failure: Box<Failure>| CallError {
                operation: operation.name(),
                part: call.part,
                attempts,
                ambiguous,
                cause: failure.cause,
                action: failure.action,
            };
            failure.count_in(call.progress);
            let delay = match decision {
                Decision::GiveUp => return Err(give_up(failure)),
                Decision::FixClock => {
                    let local = options.clock.now();
                    if !self.shared.skew.learn(failure.server_time, local, failure.correction) {
                        return Err(give_up(failure));
                    }
                    Duration::ZERO
                }
                Decision::Refresh => {
                    rejected = failure.credentials;
                    Duration::ZERO
                }
                Decision::Again(delay) => delay,
            };
            call.progress.retried();
            call.events.emit(Event::Retrying {
                operation: operation.name(),
                part: call.part,
                attempts,
                reason,
                delay,
                left: budget_left,
            });
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// Whether a signature was refused that was made with credentials that have been replaced since.
    async fn signed_by_others(&self, failure: &Failure) -> bool {
        let refused =
            matches!(&failure.cause, CallCause::Service(error) if error.is("SignatureDoesNotMatch"));
        let Some(used) = failure.credentials.as_ref().filter(|_| refused) else { return false };
        let current = self.shared.options.credentials.credentials(None).await;
        matches!(current, Ok(Some(current)) if current != *used)
    }

    fn budget(&self) -> Duration {
        let budget = self.shared.options.retry_timeout;
        if self.shared.answered.load(Ordering::Relaxed) { budget } else { budget.min(FIRST_CONTACT) }
    }

    fn action_for(request: &Request, error: &ServiceError, temporary: bool) -> Action {
        match request {
            Request::Oss(_) => oss::action(error, temporary),
            Request::Rpc(_) => rpc::error::action(error),
        }
    }
}

/// Describes a failure in one line: the innermost causes say most.
fn reason(cause: &CallCause) -> String {
    let mut text = cause.to_string();
    let mut below = std::error::Error::source(cause);
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
fn malformed(reason: impl ToString) -> Box<Failure> {
    Box::new(Failure::new(CallCause::Request(reason.to_string()), Action::Never, false))
}

/// What failed on the way. `answered` says whether a service ever answered: where one did, a certificate that
/// does not fit, or a page that is no HTTP, is the network's doing and passes; else the endpoint is wrong.
fn broken(error: TransportError, maybe_done: bool, answered: bool) -> Box<Failure> {
    let action = match error.kind {
        TransportErrorKind::Source => Action::Never,
        TransportErrorKind::Tls | TransportErrorKind::NotHttp if !answered => Action::RetryFew,
        _ => Action::Retry,
    };
    Box::new(Failure::new(CallCause::Transport(error), action, maybe_done))
}
