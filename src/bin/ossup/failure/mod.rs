//! Errors of the library for people and scripts: exit code, one hint, a JSON object.

pub(crate) mod again;
mod import;
mod manage;
mod service;
mod source;
mod store;
mod upload;
mod wrapped;

pub(crate) use import::role_advice;
pub(crate) use service::advice;
pub(crate) use upload::{ResumeHint, upload};
pub(crate) use wrapped::{Wrapped, unwrapped};

use std::error::Error;
use std::fmt::Write as _;

use ossup::client::{CallCause, CallError};

use ossup::http::TransportError;
use ossup::model::Endpoint;
use ossup::protocol::ServiceError;

use crate::settings::SettingsError;
use crate::ui::printable;
use crate::ui::terminal::Label;

/// What kind of failure. Names and exit codes never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Other,
    Usage,
    ImageRefused,
    Credentials,
    Network,
    /// The server's certificate was refused.
    Certificate,
    Integrity,
    Import,
    WaitEnded,
    /// Another process has the upload, or the object exists.
    Conflict,
    /// The image does not boot, or cannot be reached once it has.
    DoesNotBoot,
    Interrupted(Signal),
}

/// What asked the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Hangup,
    Interrupt,
    Terminate,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::ImageRefused => 3,
            Self::Credentials => 4,
            Self::Network => 5,
            Self::Integrity => 6,
            Self::Import => 7,
            Self::WaitEnded => 8,
            Self::Conflict => 9,
            Self::Certificate => 10,
            Self::DoesNotBoot => 11,
            Self::Interrupted(Signal::Hangup) => 129,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Usage => "usage",
            Self::ImageRefused => "image_refused",
            Self::Credentials => "credentials",
            Self::Network => "network",
            Self::Certificate => "certificate",
            Self::Integrity => "integrity",
            Self::Import => "import",
            Self::WaitEnded => "wait_ended",
            Self::Conflict => "conflict",
            Self::DoesNotBoot => "does_not_boot",
            Self::Interrupted(_) => "interrupted",
        }
    }
}

fn transport<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TransportError> {
    match error.downcast_ref::<CallCause>() {
        Some(CallCause::Transport(error)) => Some(error),
        _ => error.downcast_ref::<TransportError>(),
    }
}

/// Returns what failed on the network and its root cause; the HTTP library's layers in between add nothing.
fn with_root(error: &TransportError) -> String {
    let mut root: &dyn Error = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    match error.source() {
        Some(_) => format!("{error}: {root}"),
        None => error.to_string(),
    }
}

/// A failed command, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    details: Box<Details>,
}

#[derive(Debug, Default)]
struct Details {
    message: String,
    causes: Vec<String>,
    code: Option<String>,
    request_id: Option<String>,
    recommend: Option<String>,
    resumable: bool,
    hint: Option<String>,
    /// What was achieved nevertheless, for the JSON object.
    json_fields: Option<serde_json::Value>,
}

impl Failure {
    /// Returns a failure of one sentence.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, details: Box::new(Details { message: message.into(), ..Details::default() }) }
    }

    /// Returns a failure with an error and all its causes; a service's response among them gives code and request id.
    pub(crate) fn from_error(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(kind, error.to_string());
        let details = &mut failure.details;
        let mut next = Some(error);
        while let Some(error) = next {
            // Large causes are boxed, and a box is a distinct type.
            let boxed = error.downcast_ref::<Box<CallError>>().map(AsRef::as_ref);
            let call = error.downcast_ref::<CallError>().or(boxed).and_then(CallError::service);
            if let Some(service) = call.or_else(|| error.downcast_ref::<ServiceError>()) {
                details.code.clone_from(&service.code);
                details.request_id.clone_from(&service.request_id);
                details.recommend.clone_from(&service.recommend);
            }
            next = error.source();
            if let Some(cause) = next.and_then(transport) {
                details.causes.push(with_root(cause));
                break;
            }
            details.causes.extend(next.map(ToString::to_string));
        }
        failure
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hint = Some(hint.into());
        self
    }

    /// Says that the same command continues where this one stopped.
    pub(crate) fn resumable(mut self, resumable: bool) -> Self {
        self.details.resumable = resumable;
        self
    }

    /// Puts a sentence before everything else.
    pub(crate) fn context(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.details.message, message.into());
        self.details.causes.insert(0, cause);
        self
    }

    /// Adds what was achieved nevertheless to the JSON object.
    pub(crate) fn with_members(mut self, json_fields: serde_json::Value) -> Self {
        self.details.json_fields = Some(json_fields);
        self
    }

    /// Whether a signal ended the command.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self.kind, Kind::Interrupted(_))
    }

    /// Returns the advice.
    pub(crate) fn advised(&self) -> Option<&str> {
        self.details.hint.as_deref()
    }

    /// Returns message and causes in one line, and the advice.
    pub(crate) fn into_words(self) -> (String, Option<String>) {
        (self.line(), self.details.hint)
    }

    /// Returns message and causes in one line, to be shown besides another failure.
    pub(crate) fn line(&self) -> String {
        let mut line = self.details.message.clone();
        for cause in &self.details.causes {
            let _ = write!(line, ": {cause}");
        }
        line
    }

    /// Returns the text for stderr, with foreign control characters escaped.
    pub(crate) fn text(&self) -> String {
        // A command that was asked to stop did not fail.
        let label = if self.is_interruption() { String::new() } else { format!("{} ", Label::Error) };
        let mut text = format!("{label}{}\n", printable(&self.details.message));
        for cause in &self.details.causes {
            let _ = writeln!(text, "  caused by: {}", printable(cause));
        }
        if let Some(id) = &self.details.request_id {
            let _ = writeln!(text, "  request id: {}", printable(id));
        }
        if let Some(page) = &self.details.recommend {
            let _ = writeln!(text, "  see: {}", printable(page));
        }
        if let Some(hint) = &self.details.hint {
            let _ = writeln!(text, "{} {}", Label::Hint, printable(hint));
        }
        text
    }

    /// Returns the object for `--output json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut message = self.details.message.clone();
        for cause in &self.details.causes {
            message = format!("{message}: {cause}");
        }
        let error = serde_json::json!({
            "schema": 1,
            "error": {
                "kind": self.kind.name(),
                "message": message,
                "code": self.details.code,
                "request_id": self.details.request_id,
                "resumable": self.details.resumable,
                "exit_code": self.kind.exit_code(),
                "hint": self.details.hint,
            }
        });
        match &self.details.json_fields {
            Some(json_fields) => {
                let mut object = json_fields.clone();
                if let (Some(object), Some(error)) = (object.as_object_mut(), error.as_object()) {
                    object.extend(error.clone());
                }
                object
            }
            None => error,
        }
    }
}

/// Returns an error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let failure = Self::from_error(error.kind().into(), &error);
        match advice(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let kind = if error.is_about_credentials() { Kind::Credentials } else { Kind::Usage };
        let failure = Self::from_error(kind, &error);
        match error {
            // The console shows the bucket's own host.
            SettingsError::EndpointWithoutRegion(endpoint) if without_bucket(&endpoint).is_some() => {
                let host = without_bucket(&endpoint).unwrap_or_default();
                failure.hint(format!("omit the bucket: --endpoint {host}"))
            }
            SettingsError::NoRegion | SettingsError::EndpointWithoutRegion(_) => {
                failure.hint("pass --region, for example --region cn-hangzhou")
            }
            SettingsError::RegionConflict { .. } => failure.hint("omit one of them"),
            SettingsError::NoCredentials { .. } => failure.hint(
                "set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or run `ossutil config` or \
                 `aliyun configure`",
            ),
            SettingsError::Proxy { .. } => failure.hint(
                "use http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the host \
                 if the proxy requires it",
            ),
            SettingsError::NoStateDir => failure.hint("pass --state-dir DIR"),
            _ => failure,
        }
    }
}

/// Returns the service's host, if the endpoint is the host of a bucket.
fn without_bucket(endpoint: &Endpoint) -> Option<String> {
    let authority = endpoint.authority(None);
    let (_, rest) = authority.split_once('.')?;
    let service: Endpoint = rest.parse().ok()?;
    service.region().map(|_| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot upload part 7")]
    struct Outer(#[source] ServiceError);

    fn service() -> ServiceError {
        let mut error = ServiceError::default();
        error.status = 403;
        error.code = Some("AccessDenied".to_owned());
        error.message = "no\u{1b}[2Jright".to_owned();
        error.request_id = Some("5C3D".to_owned());
        error
    }

    #[test]
    fn the_whole_chain_is_printed_and_control_characters_are_not() {
        let failure = Failure::from_error(Kind::Credentials, &Outer(service())).hint("ask");
        assert_eq!(
            failure.text(),
            "error: cannot upload part 7\n  caused by: the service answered 403 `AccessDenied`: \
             no\\u{1b}[2Jright\n  request id: 5C3D\nhint: ask\n"
        );
    }

    #[test]
    fn the_json_object_carries_code_request_id_and_exit_code() {
        let error = &Failure::from_error(Kind::Network, &Outer(service())).resumable(true).json()["error"];
        assert_eq!(error["kind"], "network");
        assert_eq!(error["code"], "AccessDenied");
        assert_eq!(error["request_id"], "5C3D");
        assert_eq!(error["resumable"], true);
        assert_eq!(error["exit_code"], 5);
    }

    #[test]
    fn exit_codes_never_change() {
        let codes = [
            (Kind::Other, 1),
            (Kind::Usage, 2),
            (Kind::ImageRefused, 3),
            (Kind::Credentials, 4),
            (Kind::Network, 5),
            (Kind::Integrity, 6),
            (Kind::Import, 7),
            (Kind::WaitEnded, 8),
            (Kind::Conflict, 9),
            (Kind::Certificate, 10),
            (Kind::DoesNotBoot, 11),
            (Kind::Interrupted(Signal::Hangup), 129),
            (Kind::Interrupted(Signal::Interrupt), 130),
            (Kind::Interrupted(Signal::Terminate), 143),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn the_host_of_a_bucket_leads_to_that_of_the_service() {
        let bucket = "https://images.oss-cn-beijing.aliyuncs.com".parse().unwrap();
        let failure: Failure = SettingsError::EndpointWithoutRegion(bucket).into();
        assert!(failure.text().contains("--endpoint oss-cn-beijing.aliyuncs.com"), "{}", failure.text());
    }

    #[test]
    fn missing_credentials_are_told_from_wrong_usage() {
        let credentials: Failure = SettingsError::NoCredentials { looked_at: vec!["x".to_owned()] }.into();
        let region: Failure = SettingsError::NoRegion.into();
        assert_eq!((credentials.kind, region.kind), (Kind::Credentials, Kind::Usage));
    }
}
