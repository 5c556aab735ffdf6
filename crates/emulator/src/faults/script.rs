use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::super::Disconnect;
use super::super::oss::DISK_FULL;
use super::body::{At, BodyFault, FaultyBody};
use super::plan::{Fault, FaultPlan, FaultRule, When};
use ossup_core::http::{Body, full};

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestKey {
    /// The operation's name.
    pub(crate) operation: String,
    pub(crate) key: String,
    pub(crate) part: Option<u16>,
}

/// A plan in play.
#[derive(Debug)]
pub(crate) struct Script(Mutex<State>);

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    dice: u64,
    /// How many attempts of each request there were.
    attempts: BTreeMap<RequestKey, u32>,
    /// How often each rule applied.
    struck: Vec<u64>,
}

/// An error answer that a fault asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InjectedError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

impl std::fmt::Display for InjectedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InjectedError {}

impl InjectedError {
    fn new(status: u16, code: &str, retry_after: Option<u64>) -> Self {
        let message = "The fault plan of the emulator asks for this error.".to_owned();
        Self { status, code: code.to_owned(), message, retry_after }
    }

    /// Returns the answer that a body's failure asks for.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl Script {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self(Mutex::new(State::new(plan)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// Replaces the plan; attempts count from the start again.
    pub(crate) fn replace(&self, plan: FaultPlan) {
        *self.state() = State::new(plan);
    }

    /// Returns how often each rule applied.
    pub(crate) fn struck(&self) -> Vec<u64> {
        self.state().struck.clone()
    }

    /// Returns how many requests of each operation there were.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (seen, attempts) in &self.state().attempts {
            *counts.entry(seen.operation.clone()).or_default() += u64::from(*attempts);
        }
        counts
    }

    /// Returns how far the clock is ahead, in seconds.
    pub(crate) fn clock_skew(&self) -> i64 {
        self.state().plan.clock_skew
    }

    /// Counts a request and returns what goes wrong with it.
    pub(crate) fn draw(&self, seen: RequestKey) -> InjectedFault {
        self.state().draw(seen)
    }
}

impl State {
    fn new(plan: FaultPlan) -> Self {
        let struck = vec![0; plan.rules.len()];
        Self { dice: plan.seed, plan, attempts: BTreeMap::new(), struck }
    }

    fn draw(&mut self, seen: RequestKey) -> InjectedFault {
        let attempts = self.attempts.entry(seen.clone()).or_default();
        *attempts += 1;
        let attempt = *attempts;
        for (index, rule) in self.plan.rules.iter().enumerate() {
            let spent = rule.times.is_some_and(|times| self.struck[index] >= times);
            if spent || !fits(rule, &seen, attempt) {
                continue;
            }
            if rule.probability.is_some_and(|probability| throw(&mut self.dice) >= probability) {
                continue;
            }
            self.struck[index] += 1;
            return InjectedFault(Some(rule.fault.clone()));
        }
        InjectedFault(None)
    }
}

fn fits(rule: &FaultRule, seen: &RequestKey, attempt: u32) -> bool {
    rule.operation.as_ref().is_none_or(|operation| *operation == seen.operation)
        && rule.key.as_ref().is_none_or(|key| *key == seen.key)
        && rule.part.is_none_or(|part| Some(part) == seen.part)
        && rule.attempts.is_none_or(|(first, last)| (first..=last).contains(&attempt))
}

/// Returns a random number between 0 and 1 (SplitMix64).
fn throw(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *dice;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What goes wrong with one request, if anything.
#[derive(Debug)]
pub(crate) struct InjectedFault(Option<Fault>);

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) enum Stop {
    Answer(InjectedError),
    Disconnect,
}

impl InjectedFault {
    /// Returns how many seconds the clock is ahead for this request.
    pub(crate) fn clock_skew(&self) -> i64 {
        match self.0 {
            Some(Fault::ClockSkew { seconds }) => seconds,
            _ => 0,
        }
    }

    /// Whether the request's token counts as expired.
    pub(crate) fn kills_token(&self) -> bool {
        self.0 == Some(Fault::DeadToken)
    }

    /// Applies the faults that belong after the head has arrived and, for requests whose body does not stream, before
    /// they are carried out.
    pub(crate) async fn at_head(&self, streams: bool) -> Result<(), Stop> {
        let now = |when: &When| match when {
            When::Head => true,
            When::BodyByte(_) | When::BeforeCommit => !streams,
            When::AfterCommit => false,
        };
        match &self.0 {
            Some(Fault::Status { status, code, when, retry_after }) if now(when) => {
                Err(Stop::Answer(InjectedError::new(*status, code, *retry_after)))
            }
            Some(Fault::Reset { when }) if now(when) => Err(Stop::Disconnect),
            Some(Fault::Stall { when, seconds }) if now(when) => {
                pause(*seconds).await;
                Ok(())
            }
            Some(Fault::DiskFull { .. }) if !streams => Err(Stop::Answer(disk_full())),
            _ => Ok(()),
        }
    }

    /// Wraps the request's body so that the faults of streaming apply to it.
    pub(crate) fn request_body(&self, body: Body) -> Body {
        let at = |when: &When| match when {
            When::BodyByte(byte) => Some(At::Byte(*byte)),
            When::BeforeCommit => Some(At::End),
            When::Head | When::AfterCommit => None,
        };
        match &self.0 {
            Some(Fault::Status { status, code, when, retry_after }) => match at(when) {
                Some(at) => {
                    let error = io::Error::other(InjectedError::new(*status, code, *retry_after));
                    FaultyBody::happening(body, at, BodyFault::Fail(Some(error)))
                }
                None => body,
            },
            Some(Fault::Reset { when }) => match at(when) {
                Some(at) => {
                    let error = io::ErrorKind::ConnectionReset.into();
                    FaultyBody::happening(body, at, BodyFault::Fail(Some(error)))
                }
                None => body,
            },
            Some(Fault::Stall { when, seconds }) => match at(when) {
                Some(at) => FaultyBody::happening(body, at, BodyFault::Pause(seconds.map(duration))),
                None => body,
            },
            Some(Fault::DiskFull { byte }) => {
                let error = io::Error::other(disk_full());
                FaultyBody::happening(body, At::Byte(*byte), BodyFault::Fail(Some(error)))
            }
            Some(Fault::Slow { bytes_per_second }) => FaultyBody::slow(body, *bytes_per_second),
            Some(Fault::CorruptRequest { byte }) => FaultyBody::flipped(body, *byte),
            _ => body,
        }
    }

    /// Applies the faults that belong after the request is carried out. `refuse` writes an error answer.
    pub(crate) async fn after(
        &self,
        mut response: Response<Body>,
        refuse: impl FnOnce(&InjectedError) -> Response<Body>,
    ) -> Result<Response<Body>, Disconnect> {
        match &self.0 {
            Some(Fault::Status { status, code, when: When::AfterCommit, retry_after }) => {
                return Ok(refuse(&InjectedError::new(*status, code, *retry_after)));
            }
            Some(Fault::Reset { when: When::AfterCommit }) => return Err(Disconnect::Reset),
            Some(Fault::Stall { when: When::AfterCommit, seconds }) => pause(*seconds).await,
            Some(Fault::Page { status }) => return Ok(page(*status)),
            Some(Fault::TruncateResponse { bytes }) => {
                let error = io::ErrorKind::ConnectionReset.into();
                return Ok(response.map(|body| {
                    FaultyBody::happening(body, At::Byte(*bytes), BodyFault::Fail(Some(error)))
                }));
            }
            Some(Fault::CorruptResponse { byte }) => {
                return Ok(response.map(|body| FaultyBody::flipped(body, *byte)));
            }
            Some(Fault::WrongCrc) => wrong_crc(response.headers_mut()),
            Some(Fault::ResponseHeader { name, value }) => {
                change(response.headers_mut(), name, value.as_deref())
            }
            _ => {}
        }
        Ok(response)
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

async fn pause(seconds: Option<f64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(duration(seconds)).await,
        None => std::future::pending().await,
    }
}

fn disk_full() -> InjectedError {
    let error = io::Error::from(io::ErrorKind::StorageFull);
    let message = format!("The emulator failed: {error}");
    let (status, code) = DISK_FULL;
    InjectedError { status, code: code.to_owned(), message, retry_after: None }
}

fn page(status: u16) -> Response<Body> {
    let mut response = Response::new(full("<html><body><h1>It works!</h1></body></html>"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn wrong_crc(headers: &mut HeaderMap) {
    const CRC: &str = "x-oss-hash-crc64ecma";
    let right = headers.get(CRC).and_then(|crc| crc.to_str().ok()).and_then(|crc| crc.parse::<u64>().ok());
    if let Some(right) = right {
        headers.insert(CRC, HeaderValue::from(right ^ 1));
    }
}

/// Sets or removes a header. A plan's names and texts may be unfit for one: then nothing changes.
fn change(headers: &mut HeaderMap, name: &str, value: Option<&str>) {
    let Ok(name) = name.parse::<HeaderName>() else { return };
    match value.map(HeaderValue::from_str) {
        Some(Ok(value)) => {
            headers.insert(name, value);
        }
        Some(Err(_)) => {}
        None => {
            headers.remove(&name);
        }
    }
}
