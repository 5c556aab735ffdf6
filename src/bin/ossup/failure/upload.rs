//! Failures of uploads.

use ossup::ErrorKind;
use ossup::complete::CompleteError;
use ossup::model::ObjectRef;
use ossup::session::SessionError;
use ossup::source::SourceError;
use ossup::state::StateError;
use ossup::transfer::TransferError;
use ossup::upload::UploadError;

use super::{Failure, Kind, service};
use crate::signals::Stop;

/// Turns an upload's error into a failure. `kept` says whether state is kept, so that it can go on later.
pub(crate) fn upload(error: &UploadError, kept: bool, stop: &Stop) -> Failure {
    let resumable = kept && error.is_resumable();
    let failure = match error.kind() {
        ErrorKind::Cancelled => stop.failure("stopped"),
        kind => Failure::from_error(kind.into(), error),
    };
    let again = || match error {
        UploadError::Transfer { object, parts, .. } => again(Some(object), *parts),
        _ => again(None, 0),
    };
    let hints = [advice(error), resumable.then(again)];
    let hint = hints.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let failure = failure.resumable(resumable);
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

fn again(object: Option<&ObjectRef>, parts: usize) -> String {
    let resume = object.map(|object| format!(", or `ossup resume {object}`")).unwrap_or_default();
    let kept = match parts {
        0 => String::new(),
        1 => ": 1 part is kept".to_owned(),
        _ => format!(": {parts} parts are kept"),
    };
    format!("run the same command again to go on{resume}{kept}")
}

fn advice(error: &UploadError) -> Option<String> {
    if let Some(call) = error.call() {
        return service::advice(call);
    }
    let text = match error {
        UploadError::Transfer { source: TransferError::Damaged { .. }, .. } => {
            "bytes change on their way, or differ each time they are read: check memory and disk"
        }
        UploadError::Session(SessionError::OtherSource { .. }) => {
            "to give the old upload up and begin with this file, say --restart"
        }
        UploadError::Session(SessionError::Adopt { count: 0, .. }) => {
            "leave --adopt away to begin a new upload"
        }
        UploadError::Session(SessionError::Adopt { .. }) => {
            "abort those that are not wanted: `ossup abort oss://BUCKET/KEY --upload-id ID`"
        }
        UploadError::Complete(CompleteError::SourceChanged { .. }) => {
            "no object was made; when the file is at rest, begin anew with --restart"
        }
        UploadError::Complete(CompleteError::Exists { .. }) => {
            "choose another key, or replace the object with --overwrite"
        }
        UploadError::Complete(CompleteError::Damaged { .. }) => {
            "do not import this object: delete it and upload anew"
        }
        UploadError::Complete(CompleteError::Gone { .. }) => {
            "look at the object, then begin anew with --restart"
        }
        UploadError::Session(SessionError::State(StateError::Locked { .. })) => "wait for it, or stop it",
        UploadError::Session(SessionError::State(StateError::Io { .. })) => {
            "say another --state-dir, or --no-resume to upload without keeping state"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Image => Self::ImageRefused,
            ErrorKind::Credentials => Self::Credentials,
            ErrorKind::Network => Self::Network,
            ErrorKind::Integrity => Self::Integrity,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Cancelled => Self::Interrupted(super::Signal::Interrupt),
            ErrorKind::Import => Self::Import,
            ErrorKind::StillRunning => Self::WaitEnded,
            _ => Self::Other,
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        // A path that leads to no image is a wrong argument; one that cannot be read is not.
        let kind = match &error {
            SourceError::NotAFile { .. } => Kind::Usage,
            SourceError::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::Usage,
            _ => Kind::Other,
        };
        Self::from_error(kind, &error)
    }
}
