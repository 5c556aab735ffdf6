//! The RPC-style services on the same port: ECS, RAM and STS.
//!
//! A call passes method, signature, version and action, in this order, before its business is looked at.

mod answer;
mod auth;
mod call;
mod clock;
mod cloud;
mod ecs;
mod entry;
mod instance;
mod options;
mod ram;
mod sts;
#[cfg(test)]
mod tests;
mod world;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};
use jiff::Timestamp;
use serde_json::Value;

use super::Emulator;
use super::faults::InjectedError;
use super::store::Store;
use ossup_core::http::Body;

pub(crate) use cloud::Cloud;
pub use options::{EcsOptionError, EcsOptions};

use answer::{Envelope, Refusal};
use call::Call;
use clock::Millis;
use cloud::State;

/// A call of an RPC-style service with its whole body.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// A UUID in upper case.
    pub(crate) request_id: String,
    /// The emulator's time, a scripted skew included.
    pub(crate) now: Timestamp,
}

/// A call that is believed, and all that its business needs.
struct Service<'a> {
    emulator: &'a Emulator,
    state: &'a mut State,
    call: &'a Call,
    /// The time of day.
    now: Timestamp,
    /// The time of imports and copies.
    millis: Millis,
}

impl Service<'_> {
    fn store(&self) -> &Store {
        self.emulator.store()
    }
}

/// The actions of ECS, RAM and STS that are known.
pub(super) const ACTIONS: &[&str] = &[
    "AssumeRole",
    "AssumeRoleWithOIDC",
    "AttachPolicyToRole",
    "CancelCopyImage",
    "CancelTask",
    "CopyImage",
    "CreateRole",
    "DeleteImage",
    "DeleteInstance",
    "DeleteSnapshot",
    "DescribeImageSharePermission",
    "DescribeImages",
    "DescribeInstances",
    "DescribeRegions",
    "DescribeSnapshots",
    "DescribeTaskAttribute",
    "DescribeTasks",
    "GetCallerIdentity",
    "GetInstanceConsoleOutput",
    "GetRole",
    "ImportImage",
    "ListPoliciesForRole",
    "ListTagResources",
    "ModifyImageAttribute",
    "ModifyImageSharePermission",
    "RunInstances",
    "TagResources",
    "UntagResources",
    "UpdateRole",
];

/// Returns the name of the action that is called; empty if there is none.
pub(crate) fn action(request: &ApiRequest) -> String {
    Call::read(request).action
}

/// Writes an error that a fault plan asks for.
pub(crate) fn scripted(emulator: &Emulator, request: &ApiRequest, error: &InjectedError) -> Response<Body> {
    let call = Call::read(request);
    let envelope = Envelope {
        action: &call.action,
        request_id: &request.request_id,
        host: &call.host,
        format: call.format,
        stringly: emulator.cloud().state().options.stringly_typed,
    };
    let mut response = envelope.response(Err(Refusal::new(error.status, &*error.code, &*error.message)));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Answers a call.
pub(crate) async fn handle(emulator: &Emulator, request: &ApiRequest) -> Response<Body> {
    let mut call = Call::read(request);
    let mut state = emulator.cloud().state();
    let outcome = answer(emulator, request, &mut call, &mut state);
    let envelope = Envelope {
        action: &call.action,
        request_id: &request.request_id,
        host: &call.host,
        format: call.format,
        stringly: state.options.stringly_typed,
    };
    envelope.response(outcome)
}

fn answer(
    emulator: &Emulator,
    request: &ApiRequest,
    call: &mut Call,
    state: &mut State,
) -> Result<Value, Refusal> {
    if request.uri.path() != "/" || !matches!(request.method, Method::GET | Method::POST) {
        let message = "The specified HTTP method is not supported.";
        return Err(Refusal::new(403, "UnsupportedHTTPMethod", message));
    }
    if call.action.is_empty() {
        return Err(Refusal::missing("Action"));
    }
    if call.version.is_empty() {
        return Err(Refusal::missing("Version"));
    }
    if emulator.options().verify && !sts::is_unsigned(call) {
        call.access_key = auth::verify(request, call, emulator.keys(), state)?;
    }
    state.settle(request.now, emulator.store())?;
    let millis = state.millis(request.now);
    let service = Service { emulator, state, call, now: request.now, millis };
    match service.call.version.as_str() {
        "2014-05-26" => ecs::answer(service),
        "2015-05-01" => ram::answer(service),
        "2015-04-01" => sts::answer(service),
        _ => Err(Refusal::new(400, "NoSuchVersion", "The specified version is not valid.")),
    }
}

/// Refuses an action that exists, or may exist, but is not emulated.
fn not_implemented(action: &str) -> Refusal {
    let shown: String = action.chars().take(64).collect();
    Refusal::new(400, "NotImplemented", format!("This emulator does not know the action \"{shown}\"."))
}
