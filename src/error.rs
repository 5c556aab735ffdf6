//! The kind of failure of an error, over all stages: the caller of the pipeline decides by it what to do next.

use crate::boot_test::BootTestError;
use crate::client::{CallCause, CallError};
use crate::complete::CompleteError;
use crate::http::TransportErrorKind;
use crate::import::ImportError;
use crate::manage::ManageError;
use crate::protocol::{RetryClass, ServiceError, ecs, oss, rpc};
use crate::publish::PublishError;
use crate::session::SessionError;
use crate::source::Change;
use crate::state::StateError;
use crate::sync::{ChangeError, SyncError};
use crate::transfer::TransferError;
use crate::upload::UploadError;
use crate::web::WebError;

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for is not possible.
    Usage,
    /// The image is not one that can be used.
    Image,
    /// Credentials are missing or dead, or do not allow it.
    Credentials,
    /// The network or the service gave no answer for too long.
    Network,
    /// The server's certificate was refused.
    Certificate,
    /// The source changed, or bytes arrived otherwise than they were sent.
    Integrity,
    /// Another process is doing it already, or the object exists.
    Conflict,
    /// It was stopped from outside.
    Cancelled,
    /// The import, or what else was asked of ECS, was refused or failed.
    Import,
    /// The wait ended; the import goes on.
    StillRunning,
    /// Anything else.
    Other,
}

impl CallError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match &self.cause {
            CallCause::Transport(error) => match error.kind {
                TransportErrorKind::Source => ErrorKind::Other,
                TransportErrorKind::Certificate(_) => ErrorKind::Certificate,
                _ => ErrorKind::Network,
            },
            CallCause::Credentials(error) if error.transient => ErrorKind::Network,
            CallCause::Credentials(_) => ErrorKind::Credentials,
            CallCause::Decode(_) | CallCause::PartsRemain(_) | CallCause::Request(_) => ErrorKind::Other,
            CallCause::Service(error) => match error.code.as_deref() {
                // The bucket lives elsewhere: the wrong endpoint or region was named, and no permission is missing.
                _ if self.action == RetryClass::OtherEndpoint => ErrorKind::Usage,
                // A wrong clock is not a missing permission.
                _ if self.action == RetryClass::FixClock => ErrorKind::Network,
                Some(
                    oss::code::NO_SUCH_BUCKET
                    | oss::code::INVALID_BUCKET_NAME
                    | oss::code::INVALID_OBJECT_NAME,
                ) => ErrorKind::Usage,
                Some(
                    oss::code::FILE_ALREADY_EXISTS
                    | oss::code::FILE_IMMUTABLE
                    | oss::code::BUCKET_ALREADY_EXISTS,
                ) => ErrorKind::Conflict,
                Some(oss::code::INVALID_DIGEST | oss::code::INVALID_CRC64) => ErrorKind::Integrity,
                Some(code) if code.starts_with(oss::code::INVALID_ACCESS_KEY_ID) => ErrorKind::Credentials,
                Some(code) if code.starts_with(oss::code::INVALID_SECURITY_TOKEN) => ErrorKind::Credentials,
                Some(oss::code::SIGNATURE_DOES_NOT_MATCH | rpc::code::INCOMPLETE_SIGNATURE) => {
                    ErrorKind::Credentials
                }
                // An answer that is not the service's own is not a denial.
                None if error.is_foreign() && matches!(error.status, 401 | 403) => ErrorKind::Network,
                _ if matches!(error.status, 401 | 403) => ErrorKind::Credentials,
                _ if error.status == 507 => ErrorKind::Other,
                _ if matches!(error.status, 408 | 429 | 500..) => ErrorKind::Network,
                _ => ErrorKind::Other,
            },
        }
    }
}

impl StateError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } => ErrorKind::Conflict,
            Self::Io { .. } | Self::Damaged { .. } => ErrorKind::Other,
        }
    }
}

impl UploadError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Session(
                SessionError::Plan(_) | SessionError::Adopt { .. } | SessionError::OtherForm { .. },
            ) => ErrorKind::Usage,
            Self::Session(SessionError::State(error)) => error.kind(),
            Self::Session(SessionError::SourceMismatch { .. }) => ErrorKind::Integrity,
            Self::Gone { .. } => ErrorKind::Other,
            Self::Transfer { source: TransferError::Plan(_), .. } => ErrorKind::Usage,
            Self::Transfer {
                source:
                    TransferError::Damaged { .. }
                    | TransferError::Unstable { .. }
                    | TransferError::OtherContent { .. },
                ..
            } => ErrorKind::Integrity,
            Self::Cancelled | Self::Transfer { source: TransferError::Cancelled, .. } => ErrorKind::Cancelled,
            // The server says that it has another file now.
            Self::Transfer { source: TransferError::Source { source, .. }, .. }
                if WebError::of(source).is_some_and(WebError::is_change) =>
            {
                ErrorKind::Integrity
            }
            Self::Transfer { source: TransferError::Source { .. }, .. } => ErrorKind::Other,
            Self::Complete(CompleteError::Exists { .. }) => ErrorKind::Conflict,
            Self::Complete(
                CompleteError::SourceChanged { .. }
                | CompleteError::Checksum { .. }
                | CompleteError::Damaged { .. }
                | CompleteError::PartsDamaged { .. }
                | CompleteError::NotMade { .. }
                | CompleteError::Unproved { .. }
                | CompleteError::Gone { .. },
            ) => ErrorKind::Integrity,
            Self::Session(SessionError::Call { .. })
            | Self::Complete(CompleteError::Call { .. })
            | Self::Transfer { source: TransferError::Part { .. }, .. } => {
                self.call().map_or(ErrorKind::Other, CallError::kind)
            }
        }
    }

    /// Returns the request that failed, if that is why.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Session(SessionError::Call { source, .. })
            | Self::Complete(CompleteError::Call { source, .. })
            | Self::Transfer { source: TransferError::Part { source, .. }, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the same call again continues where this one ended.
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Transfer { source, .. } => !matches!(source, TransferError::Unstable { .. }),
            // Where an object is in the way, the same call is refused again: the parts are kept, for another one.
            Self::Complete(error) => match error {
                CompleteError::Call { .. }
                | CompleteError::NotMade { .. }
                | CompleteError::PartsDamaged { .. } => true,
                // The next run compares the parts that are in with what the source is then.
                CompleteError::SourceChanged { change, .. } => {
                    matches!(change, Change::Status | Change::Bytes | Change::Replaced)
                }
                _ => false,
            },
            Self::Cancelled => true,
            // What was there before is still there; nothing is wrong with what was asked for.
            Self::Session(SessionError::Call { source, .. }) => {
                matches!(source.kind(), ErrorKind::Network | ErrorKind::Certificate | ErrorKind::Credentials)
            }
            Self::Session(_) | Self::Gone { .. } => false,
        }
    }
}

impl PublishError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Upload(error) => error.kind(),
            Self::Import(error) => error.kind(),
            Self::Manage(error) => error.kind(),
            Self::Impossible { .. } => ErrorKind::Usage,
            Self::Superseded { .. } | Self::NotOurs { .. } => ErrorKind::Conflict,
            Self::State(error) => error.kind(),
            Self::Object { source, .. } => source.kind(),
            Self::BootTest(error) => error.kind(),
            Self::NotCompleted(_) => ErrorKind::Image,
            Self::Replaced { .. } => ErrorKind::Integrity,
            Self::Kept { .. } | Self::OtherStream { .. } => ErrorKind::Conflict,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// Returns the request that failed, if that is why.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Upload(error) => error.call(),
            Self::Import(error) => error.call_error(),
            Self::BootTest(error) => error.call_error(),
            Self::Manage(error) => error.call_error(),
            Self::Object { source, .. } => Some(source),
            Self::State(_)
            | Self::Impossible { .. }
            | Self::Superseded { .. }
            | Self::NotOurs { .. }
            | Self::NotCompleted(_)
            | Self::Replaced { .. }
            | Self::OtherStream { .. }
            | Self::Kept { .. }
            | Self::Cancelled { .. } => None,
        }
    }
}

impl SyncError {
    /// Returns the kind of failure. What opened a source knows it of its own errors.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflicts { .. } | Self::NotAgreed { .. } => ErrorKind::Conflict,
            Self::NoRegion { .. } => ErrorKind::Usage,
            Self::Read { .. } | Self::Make { .. } | Self::Unsettled { .. } => ErrorKind::Other,
            Self::Object { source, .. } => source.kind(),
            Self::Look(error) => error.kind(),
            Self::Change { source, .. } => match &**source {
                ChangeError::Make(_) => ErrorKind::Other,
                ChangeError::FileChanged { .. } => ErrorKind::Integrity,
                ChangeError::BootTest(error) => error.kind(),
                ChangeError::Publish(error) => error.kind(),
                ChangeError::Import(error) => error.kind(),
                ChangeError::Manage(error) => error.kind(),
                ChangeError::Object { source, .. } => source.kind(),
            },
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

impl ImportError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. } | Self::Unknown { .. } => ErrorKind::Usage,
            Self::RoleMissing { .. } | Self::RoleTrust { .. } => ErrorKind::Credentials,
            Self::StillRunning { .. } => ErrorKind::StillRunning,
            Self::Call { source, .. } if source.action == RetryClass::FixClock => source.kind(),
            Self::Call { source, .. } => source.service().map_or_else(|| source.kind(), refusal_kind),
            Self::NameTaken { .. }
            | Self::DryRunIgnored { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. }
            | Self::Vanished { .. }
            | Self::NotShared { .. } => ErrorKind::Import,
        }
    }
}

impl BootTestError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Call { source, .. } if source.action == RetryClass::FixClock => source.kind(),
            Self::Call { source, .. } => source.service().map_or_else(|| source.kind(), refusal_kind),
            Self::State(error) => error.kind(),
            Self::DoesNotBoot { .. } => ErrorKind::Image,
            Self::NoConsole { .. } => ErrorKind::Usage,
            Self::Gone { .. } | Self::DryRunIgnored { .. } | Self::Unchecked => ErrorKind::Other,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

impl ManageError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Call { source, .. } if source.action == RetryClass::FixClock => source.kind(),
            Self::Call { source, .. } => source.service().map_or_else(|| source.kind(), refusal_kind),
            Self::Import(error) => error.kind(),
            Self::Partly { source, .. } => source.kind(),
            Self::NotFound { .. } | Self::Nowhere { .. } | Self::NoRegion { .. } => ErrorKind::Usage,
            Self::Ambiguous { .. } => ErrorKind::Usage,
            Self::Foreign { .. } | Self::Status { .. } => ErrorKind::Usage,
            Self::InUse { .. } | Self::Shared { .. } | Self::NameTaken { .. } => ErrorKind::Conflict,
            Self::Unproved { .. } => ErrorKind::Other,
        }
    }
}

/// Returns the kind of a refusal by ECS or RAM, which refuse with 403 for many reasons.
fn refusal_kind(error: &ServiceError) -> ErrorKind {
    const CREDENTIALS: [&str; 10] = [
        rpc::code::FORBIDDEN,
        rpc::code::FORBBIDEN,
        rpc::code::NO_PERMISSION,
        rpc::code::UNAUTHORIZED,
        rpc::code::INVALID_ACCESS_KEY_ID,
        rpc::code::INVALID_SECURITY_TOKEN,
        rpc::code::SIGNATURE_DOES_NOT_MATCH,
        rpc::code::INCOMPLETE_SIGNATURE,
        ecs::code::INVALID_OSS_NOT_AUTHORIZED,
        rpc::code::REAL_NAME_AUTHENTICATION_ERROR,
    ];
    match error.code.as_deref() {
        Some(code) if CREDENTIALS.iter().any(|known| code.starts_with(known)) => ErrorKind::Credentials,
        Some(code) if code.starts_with(rpc::code::THROTTLING) => ErrorKind::Network,
        Some(ecs::code::INVALID_REGION_ID_NOT_FOUND) => ErrorKind::Usage,
        _ if matches!(error.status, 408 | 429 | 500..) => ErrorKind::Network,
        None if error.is_foreign() && matches!(error.status, 401 | 403) => ErrorKind::Network,
        None if matches!(error.status, 401 | 403) => ErrorKind::Credentials,
        _ => ErrorKind::Import,
    }
}

#[cfg(test)]
mod import_tests {
    use super::*;

    #[test]
    fn a_403_of_ecs_is_about_permission_only_if_its_code_says_so() {
        for (status, code, expected) in [
            (403, "Forbidden.RAM", ErrorKind::Credentials),
            (403, "NoPermission", ErrorKind::Credentials),
            (404, "InvalidAccessKeyId.NotFound", ErrorKind::Credentials),
            (403, "InvalidOSS.NotAuthorized", ErrorKind::Credentials),
            (403, "QuotaExceed.Image", ErrorKind::Import),
            (403, "InvalidImageFormat.Malformed", ErrorKind::Import),
            (400, "Throttling.User", ErrorKind::Network),
            (503, "ServiceUnavailable", ErrorKind::Network),
        ] {
            let mut error = ServiceError::default();
            (error.status, error.code) = (status, Some(code.to_owned()));
            assert_eq!(refusal_kind(&error), expected, "{code}");
        }
    }
}
