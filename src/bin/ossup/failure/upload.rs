//! Failures of uploads.

use std::io::ErrorKind as IoErrorKind;

use ossup::ErrorKind;
use ossup::complete::CompleteError;
use ossup::session::SessionError;
use ossup::source::{Change, SourceError};
use ossup::state::StateError;
use ossup::transfer::TransferError;
use ossup::upload::UploadError;

use super::again::resume;
use super::{Failure, Kind, service};
use crate::args::ConnectionArgs;
use crate::signals::Stop;

/// How an upload that failed can go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ResumeHint<'a> {
    /// Not at all: no state is kept.
    No,
    /// By the same command.
    Same,
    /// By the same command, or as an upload of its own that is reached by these options.
    Resume(&'a ConnectionArgs),
}

/// Turns an upload's error into a failure.
pub(crate) fn upload(error: &UploadError, again: ResumeHint<'_>, stop: &Stop) -> Failure {
    let resumable = !matches!(again, ResumeHint::No) && error.is_resumable();
    let failure = match error.kind() {
        ErrorKind::Cancelled => stop.failure("stopped"),
        kind => Failure::from_error(kind.into(), error),
    };
    // Where an object is in the way the same command is refused again.
    let in_the_way = matches!(error, UploadError::Complete(CompleteError::Exists { .. }));
    // Nor does it help where nothing was sent yet, and what is wrong was typed.
    let begun = matches!(error, UploadError::Transfer { .. } | UploadError::Complete(_));
    let in_vain = !begun && error.call().is_some_and(service::asks_for_another_command);
    let hints =
        [advice(error, again), (resumable && !in_the_way && !in_vain).then(|| resume_hint(error, again))];
    let hint = hints.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let failure = failure.resumable(resumable);
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

fn resume_hint(error: &UploadError, again: ResumeHint<'_>) -> String {
    let (object, parts) = match error {
        UploadError::Transfer { object, parts, .. } => (Some(object), *parts),
        _ => (None, 0),
    };
    let resume = match (again, object) {
        (ResumeHint::Resume(connection), Some(object)) => format!(", or `{}`", resume(object, connection)),
        _ => String::new(),
    };
    let kept = match parts {
        0 => String::new(),
        1 => ": 1 part is kept".to_owned(),
        _ => format!(": {parts} parts are kept"),
    };
    format!("run the same command again to go on{resume}{kept}")
}

fn advice(error: &UploadError, again: ResumeHint<'_>) -> Option<String> {
    if let Some(call) = error.call() {
        return service::advice(call);
    }
    let text = match error {
        UploadError::Transfer { source: TransferError::Damaged { .. }, .. } => {
            "the local bytes are the same each time they are read, so something between here and OSS changes them: a \
             proxy, a VPN, a router or a network card; try another way to the network"
        }
        UploadError::Transfer { source: TransferError::Unstable { .. }, .. } => {
            "the same bytes of the file are not the same each time they are read: check memory and disk"
        }
        UploadError::Session(SessionError::SourceMismatch { same_length: true, .. }) => {
            "if the bytes are the same, --verify-resume compares all parts and goes on; to give the old upload \
             up and begin with this file, say --restart"
        }
        UploadError::Session(SessionError::SourceMismatch { .. }) => {
            "to give the old upload up and begin with this file, say --restart"
        }
        UploadError::Session(SessionError::Adopt { count: 0, .. }) => {
            "leave --adopt away to begin a new upload"
        }
        UploadError::Session(SessionError::Adopt { .. }) => {
            "name one: --adopt=UPLOAD_ID (`ossup list oss://BUCKET` shows the ids), or abort those that are not wanted: \
             `ossup abort oss://BUCKET/KEY --upload-id ID`"
        }
        UploadError::Gone { .. } => {
            "upload the file again, or forget the upload with `ossup abort oss://BUCKET/KEY`"
        }
        UploadError::Complete(CompleteError::SourceChanged { .. }) if matches!(again, ResumeHint::No) => {
            "no object was made; when the file is at rest, run the same command again"
        }
        UploadError::Complete(CompleteError::SourceChanged { change: Change::Size, .. }) => {
            "no object was made; when the file is at rest, begin anew with --restart"
        }
        UploadError::Complete(CompleteError::SourceChanged { change: Change::Modified, .. }) => {
            "no object was made; when the file is at rest, the same command with --verify-resume compares the \
             parts that are in and sends only those that differ"
        }
        UploadError::Complete(CompleteError::SourceChanged { .. }) => {
            "no object was made; wait until the file is at rest: the parts that are in are compared with it, \
             and only those that differ are sent again"
        }
        UploadError::Complete(CompleteError::Exists { .. }) => {
            "choose another key, or replace the object: the same command with --overwrite; parts that are in are kept"
        }
        UploadError::Complete(CompleteError::Damaged { .. }) => {
            "do not import this object: delete it and upload anew"
        }
        UploadError::Complete(CompleteError::Unproved { made: true, .. }) => {
            "read the object back and compare it with the file, or delete it; a gateway may remove the checksums \
             (x-oss-* headers): reach OSS without it"
        }
        UploadError::Complete(CompleteError::Unproved { made: false, .. }) => {
            "a gateway may remove the checksums (x-oss-* headers): reach OSS without it, and run the same command \
             again; all parts are kept. Without --require-verified the object is made unverified"
        }
        UploadError::Complete(CompleteError::PartsDamaged { .. }) => {
            "bytes change on their way: check the network, or what stands between"
        }
        UploadError::Complete(CompleteError::Gone { .. }) => {
            "look at the object, then begin anew with --restart"
        }
        UploadError::Session(SessionError::State(StateError::Locked { .. })) => "wait for it, or stop it",
        UploadError::Session(SessionError::State(StateError::Damaged { .. })) => {
            "use the version of ossup that wrote it, or begin the upload anew with --restart"
        }
        UploadError::Session(SessionError::State(StateError::Io { .. })) => {
            "say another --state-dir, or --no-resume to upload without keeping state"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let failure = Self::from_error(error.kind().into(), &error);
        match &error {
            StateError::Locked { .. } => failure.hint("wait for it, or stop it"),
            StateError::Damaged { .. } => failure.hint(
                "use the version of ossup that wrote it, or begin that upload anew with \
                 `ossup upload IMAGE oss://BUCKET/KEY --restart`",
            ),
            _ => failure,
        }
    }
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Image => Self::ImageRefused,
            ErrorKind::Credentials => Self::Credentials,
            ErrorKind::Network => Self::Network,
            ErrorKind::Certificate => Self::Certificate,
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
            SourceError::InUse { .. } => Kind::ImageRefused,
            SourceError::Open { source, .. }
                if matches!(source.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory) =>
            {
                Kind::Usage
            }
            _ => Kind::Other,
        };
        let failure = Self::from_error(kind, &error);
        match &error {
            SourceError::InUse { .. } => failure.hint(
                "unmount it or stop what uses it, or upload a snapshot of it; --allow-busy reads it all the same: \
                 the bytes of the object may then be of no single moment",
            ),
            _ => failure,
        }
    }
}
