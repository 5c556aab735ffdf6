use std::fmt;

use crate::credentials::CredentialsError;
use crate::http::{TransportError, TransportErrorKind};
use crate::model::PartNumber;
use crate::protocol::{DecodeError, RetryClass, ServiceError};

/// A request that failed for good, or for longer than it may.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallError {
    /// The operation's name in the vendor's documentation.
    pub operation: &'static str,
    /// The part that it would have sent.
    pub part: Option<PartNumber>,
    /// How many attempts there were.
    pub attempts: u32,
    /// Whether an attempt may have taken effect though its answer was lost.
    pub ambiguous: bool,
    /// Why the last attempt failed.
    pub cause: CallCause,
    /// What the last failure asks for.
    pub action: RetryClass,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallCause {
    /// The service answered with an error.
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// No answer arrived.
    #[error(transparent)]
    Transport(TransportError),
    /// The answer was not what the operation promises.
    #[error(transparent)]
    Decode(DecodeError),
    /// There were no credentials to sign with.
    #[error(transparent)]
    Credentials(CredentialsError),
    /// The service reported an upload as aborted, and still lists it with this many parts.
    #[error("the upload is still listed, with {0} parts")]
    PartsRemain(usize),
    /// The request cannot be written: its URL or a header is malformed.
    #[error("the request cannot be written: {0}")]
    Request(String),
}

impl CallError {
    /// Makes the error for something that was to be deleted and is still there.
    pub(crate) fn kept(operation: &'static str, attempts: u32, parts: usize) -> Self {
        let cause = CallCause::PartsRemain(parts);
        Self { operation, part: None, attempts, ambiguous: false, cause, action: RetryClass::Never }
    }

    /// Returns the service's answer, if that is why it failed.
    pub fn service(&self) -> Option<&ServiceError> {
        match &self.cause {
            CallCause::Service(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the service's code is `code`.
    pub fn is(&self, code: &str) -> bool {
        self.service().is_some_and(|error| error.is(code))
    }

    /// Whether the source of a body could not be read.
    pub fn is_source(&self) -> bool {
        matches!(&self.cause, CallCause::Transport(error) if error.kind == TransportErrorKind::Source)
    }

    /// Whether the network, and not the service, is why.
    pub fn is_network(&self) -> bool {
        matches!(&self.cause, CallCause::Transport(error) if error.kind != TransportErrorKind::Source)
    }

    /// Whether an attempt may have taken effect though its answer was lost.
    pub fn ambiguous(&self) -> bool {
        self.ambiguous
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(f, "{} failed after {} attempt{plural}", self.operation, self.attempts)
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
