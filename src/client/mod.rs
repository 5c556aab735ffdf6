//! Where protocol, transport and retries meet: the only retry loop, for every service.
//!
//! For each attempt the client asks the provider for credentials, signs by the corrected clock, builds the body
//! again, sends it under limits on time without progress, and classifies the response. A failed request is
//! retried for as long as the budget of time without progress lasts ([`ClientOptions::retry_timeout`]), unless
//! the service's error tables say that a retry cannot help.

mod attempt;
mod error;
mod failure;
mod meter;
mod options;
mod progress;
mod redact;
mod skew;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

pub use error::{CallCause, CallError};
pub use options::{ClientOptions, DEFAULT_FIRST_CONTACT, DEFAULT_RETRY_TIMEOUT};
pub(crate) use progress::Progress;

use crate::event::{Event, EventSink};
use crate::http::{Body, TransportErrorKind};
use crate::model::{Endpoint, PartNumber, Region, ServiceId};
use crate::protocol::{Idempotence, Operation, Request, RetryClass, ServiceError, oss, rpc};
use crate::retry::{Decision, RetryState};
use failure::{Failure, reason};
use skew::{ServiceTime, Skew};

/// Builds the body again for every attempt.
pub(crate) trait BodyFactory: Send + Sync {
    /// Returns the body from its beginning.
    fn make(&self) -> Body;
}

/// Calls OSS, ECS, RAM and STS. Clones share everything.
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
    /// When idle connections were last dropped because one that was in use had died.
    idle_dropped: Mutex<Option<Instant>>,
}

/// What goes with one call beside the operation.
pub(crate) struct Call<'a> {
    pub(crate) body: Option<&'a dyn BodyFactory>,
    pub(crate) part: Option<PartNumber>,
    pub(crate) progress: &'a Progress,
    pub(crate) events: &'a EventSink,
    /// After this many broken or silent connections the caller wants the failure, to send less at a time.
    pub(crate) max_cuts: Option<u32>,
}

impl<'a> Call<'a> {
    /// A call that streams no body, repeated as long as the budget lasts.
    pub(crate) fn new(progress: &'a Progress, events: &'a EventSink) -> Self {
        Self { body: None, part: None, progress, events, max_cuts: None }
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
            idle_dropped: Mutex::default(),
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

    /// Returns which OSS is used: the state of its uploads belongs to it alone.
    pub fn service(&self) -> ServiceId {
        let options = &self.shared.options;
        options.service.clone().unwrap_or_else(|| ServiceId::of_endpoint(&options.endpoint))
    }

    /// Returns which ECS is used.
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

    /// Drops all connections and fails the attempts under way, so that they are repeated over new ones: after the
    /// machine slept or its network changed, dead connections still look alive.
    pub fn reset(&self) {
        self.shared.options.transport.reset();
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// Drops the idle connections after an attempt that began at some moment timed out, or arrived damaged: what made
    /// one connection fall silent, such as an address that has moved, has most likely met all others too. Of many that
    /// time out together only the first does; connections in use are left alone.
    pub(crate) fn drop_idle(&self, began: Instant) {
        let mut dropped = self.shared.idle_dropped.lock().expect("nothing panics while the lock is held");
        if dropped.is_none_or(|at| at <= began) {
            *dropped = Some(Instant::now());
            self.shared.options.transport.reset();
        }
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
            let began = Instant::now();
            let failure = match self.attempt(operation, &call, attempts, rejected.take()).await {
                Ok(output) => {
                    self.shared.answered.store(true, Ordering::Relaxed);
                    return Ok(output);
                }
                Err(failure) => failure,
            };
            // What did not come from the service does not show whether the endpoint is right.
            if matches!(&failure.cause, CallCause::Service(error) if !error.is_foreign()) {
                self.shared.answered.store(true, Ordering::Relaxed);
            }
            if failure.timed_out() {
                self.drop_idle(began);
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
            if action == RetryClass::Never && self.signed_by_others(&failure).await {
                action = RetryClass::RefreshCredentials;
            }
            let mut decision = state.next(action, budget_left, (options.dice)(), asked);
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
                Decision::FixClock(_) if !skew::explains(failure.signed, failure.server_time) => {
                    return Err(give_up(failure));
                }
                Decision::FixClock(delay) => delay,
                Decision::Refresh => {
                    rejected.clone_from(&failure.credentials);
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
            // Only now: the local clock may have been set while this waited.
            if let (Decision::FixClock(_), Some((server, arrived))) = (decision, failure.server_time) {
                self.shared.skew.learn(server + arrived.elapsed(), options.clock.now());
            }
        }
    }

    /// Whether a signature was refused that was made with credentials that have been replaced since.
    async fn signed_by_others(&self, failure: &Failure) -> bool {
        let refused = matches!(&failure.cause, CallCause::Service(error) if error.is(oss::code::SIGNATURE_DOES_NOT_MATCH));
        let Some(used) = failure.credentials.as_ref().filter(|_| refused) else { return false };
        let current = self.shared.options.credentials.credentials(None).await;
        matches!(current, Ok(Some(current)) if current != *used)
    }

    fn budget(&self) -> Duration {
        let options = &self.shared.options;
        match self.shared.answered.load(Ordering::Relaxed) {
            true => options.retry_timeout,
            false => options.retry_timeout.min(options.first_contact),
        }
    }

    fn action_for(request: &Request, error: &ServiceError, temporary: bool) -> RetryClass {
        match request {
            Request::Oss(_) => oss::action(error, temporary),
            Request::Rpc(_) => rpc::error::action(error),
        }
    }
}
