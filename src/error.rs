//! What kind of failure an error is, over all stages: whoever runs the pipeline decides by it what to do next.

use crate::client::{CallCause, CallError};
use crate::complete::CompleteError;
use crate::session::SessionError;
use crate::state::StateError;
use crate::transfer::TransferError;
use crate::upload::UploadError;

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
    /// The source changed, or bytes arrived otherwise than they were sent.
    Integrity,
    /// Another process drives the upload, or the object exists.
    Conflict,
    /// It was stopped from outside.
    Cancelled,
    /// Anything else.
    Other,
}

impl CallError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match &self.cause {
            CallCause::Transport(_) if self.is_source() => ErrorKind::Other,
            CallCause::Transport(_) => ErrorKind::Network,
            CallCause::Credentials(error) if error.transient => ErrorKind::Network,
            CallCause::Credentials(_) => ErrorKind::Credentials,
            CallCause::Decode(_) | CallCause::Request(_) => ErrorKind::Other,
            CallCause::Service(error) => match error.code.as_deref() {
                // The bucket lives elsewhere: the wrong endpoint was named, and no permission is missing.
                _ if error.endpoint.is_some() => ErrorKind::Usage,
                Some("NoSuchBucket" | "InvalidBucketName" | "InvalidObjectName") => ErrorKind::Usage,
                Some("FileAlreadyExists" | "FileImmutable" | "BucketAlreadyExists") => ErrorKind::Conflict,
                Some("InvalidDigest" | "InvalidCRC64") => ErrorKind::Integrity,
                Some(code) if code.starts_with("InvalidAccessKeyId") => ErrorKind::Credentials,
                Some(code) if code.starts_with("InvalidSecurityToken") => ErrorKind::Credentials,
                Some("SignatureDoesNotMatch" | "IncompleteSignature") => ErrorKind::Credentials,
                _ if matches!(error.status, 401 | 403) => ErrorKind::Credentials,
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
            Self::Session(SessionError::Plan(_) | SessionError::Adopt { .. }) => ErrorKind::Usage,
            Self::Session(SessionError::State(error)) => error.kind(),
            Self::Session(SessionError::OtherSource { .. }) => ErrorKind::Integrity,
            Self::Session(SessionError::Source { .. } | SessionError::Length) => ErrorKind::Other,
            Self::Transfer { source: TransferError::Damaged { .. }, .. } => ErrorKind::Integrity,
            Self::Cancelled | Self::Transfer { source: TransferError::Cancelled, .. } => ErrorKind::Cancelled,
            Self::Transfer { source: TransferError::State { source }, .. } => source.kind(),
            Self::Transfer { source: TransferError::Source { .. }, .. } => ErrorKind::Other,
            Self::Complete(CompleteError::State(error)) => error.kind(),
            Self::Complete(CompleteError::Exists { .. }) => ErrorKind::Conflict,
            Self::Complete(
                CompleteError::SourceChanged { .. }
                | CompleteError::Damaged { .. }
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
            Self::Transfer { source, .. } => !matches!(source, TransferError::Damaged { .. }),
            Self::Complete(error) => {
                matches!(error, CompleteError::Call { .. } | CompleteError::Exists { .. })
            }
            Self::Cancelled => true,
            Self::Session(_) => false,
        }
    }
}
