//! Failures of uploads.

use std::io::ErrorKind as IoErrorKind;

use ossup::ErrorKind;
use ossup::complete::CompleteError;
use ossup::model::{ObjectForm, ObjectFormat, Qcow2Compat};
use ossup::session::SessionError;
use ossup::source::{Change, SourceError};
use ossup::state::StateError;
use ossup::transfer::TransferError;
use ossup::upload::UploadError;

use super::again::resume;
use super::{Failure, Kind, service};
use crate::args::ConnectionArgs;
use crate::signals::Stop;
use crate::ui::word;

/// How a failed upload can continue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ResumeHint<'a> {
    /// Not at all: no state is kept.
    No,
    /// By the same command.
    Same,
    /// By the same command, or by `ossup resume` with these options.
    Resume(&'a ConnectionArgs),
}

/// What continues most uploads, as other advice says it too.
const SAME_COMMAND: &str = "run the same command again";

/// Turns an upload's error into a failure.
pub(crate) fn upload(error: &UploadError, again: ResumeHint<'_>, stop: &Stop) -> Failure {
    let resumable = !matches!(again, ResumeHint::No) && error.is_resumable();
    if let Some(failure) = super::source::behind(error) {
        // What was sent is kept where the same command can go on.
        return failure.resumable(resumable);
    }
    let failure = match error.kind() {
        ErrorKind::Cancelled => stop.failure("stopped"),
        kind => Failure::from_error(kind.into(), error),
    };
    // Where an object or another image is in the way, the same command is refused again.
    let in_the_way = matches!(
        error,
        UploadError::Complete(CompleteError::Exists { .. })
            | UploadError::Transfer { source: TransferError::OtherContent { .. }, .. }
    );
    // Nor does it help where nothing was sent yet and an argument is wrong.
    let begun = matches!(error, UploadError::Transfer { .. } | UploadError::Complete(_));
    let in_vain = !begun && error.call().is_some_and(service::asks_for_another_command);
    let resume = (resumable && !in_the_way && !in_vain).then(|| resume_hint(error, again));
    let failure = failure.resumable(resumable);
    match joined(advice(error, again), resume) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Returns both hints as one, which says once that the same command continues.
fn joined(advice: Option<String>, resume: Option<String>) -> Option<String> {
    let (Some(advice), Some(resume)) = (&advice, &resume) else { return advice.or(resume) };
    Some(match resume.strip_prefix(SAME_COMMAND) {
        Some(rest) if advice.ends_with(SAME_COMMAND) => format!("{advice}{rest}"),
        _ => format!("{advice}; {resume}"),
    })
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
    format!("{SAME_COMMAND} to continue{resume}{kept}")
}

fn advice(error: &UploadError, again: ResumeHint<'_>) -> Option<String> {
    if let Some(call) = error.call() {
        return service::advice(call);
    }
    let text = match error {
        UploadError::Transfer { source: TransferError::Damaged { .. }, .. } => {
            "the local bytes are the same each time they are read, so something between here and OSS corrupts them: a \
             proxy, a VPN, a router or a network card; try another network"
        }
        UploadError::Transfer { source: TransferError::Unstable { .. }, .. } => {
            "the file's bytes differ each time they are read: check this machine's memory and disk"
        }
        UploadError::Session(SessionError::SourceMismatch { same_length: true, .. }) => {
            "if the bytes are the same, --verify-resume compares all parts and continues; to discard the old upload \
             and start with this file, pass --restart"
        }
        UploadError::Session(SessionError::SourceMismatch { .. }) => {
            "to discard the old upload and start with this file, pass --restart"
        }
        UploadError::Session(SessionError::OtherForm { first, .. }) => {
            let typed = typed(first);
            return Some(format!(
                "to continue, {typed}; to discard the parts of that upload and start again, pass --restart"
            ));
        }
        UploadError::Transfer { source: TransferError::OtherContent { .. }, .. } => {
            "give the image that the upload was begun with; to discard its parts and start with this one, pass --restart"
        }
        UploadError::Complete(CompleteError::Checksum { .. }) => {
            "get the image again, or check what the checksum is of (--sha256-of); its parts are kept: to start with \
             another image, pass --restart"
        }
        UploadError::Session(SessionError::Adopt { count: 0, .. }) => "omit --adopt to start a new upload",
        UploadError::Session(SessionError::Adopt { .. }) => {
            "pass the id of one: --adopt=UPLOAD_ID (`ossup list oss://BUCKET` shows the ids), or abort the others: \
             `ossup abort oss://BUCKET/KEY --upload-id ID`"
        }
        UploadError::Gone { .. } => {
            "upload the file again, or discard the upload with `ossup abort oss://BUCKET/KEY`"
        }
        UploadError::Complete(CompleteError::SourceChanged { .. }) if matches!(again, ResumeHint::No) => {
            "no object was created; once the file no longer changes, run the same command again"
        }
        UploadError::Complete(CompleteError::SourceChanged { change: Change::Size, .. }) => {
            "no object was created; once the file no longer changes, start again with --restart"
        }
        UploadError::Complete(CompleteError::SourceChanged {
            change: Change::Modified | Change::Version,
            ..
        }) => {
            "no object was created; once the file no longer changes, the same command with --verify-resume \
             compares the uploaded parts and sends only those that differ"
        }
        UploadError::Complete(CompleteError::SourceChanged { .. }) => {
            "no object was created; wait until the file no longer changes: the uploaded parts are compared with it, \
             and only those that differ are sent again"
        }
        UploadError::Complete(CompleteError::Exists { .. }) => {
            "choose another key, or replace the object: the same command with --overwrite; uploaded parts are kept"
        }
        UploadError::Complete(CompleteError::Damaged { .. }) => {
            "do not import this object: delete it and upload again"
        }
        UploadError::Complete(CompleteError::Unproved { made: true, .. }) => {
            "read the object back and compare it with the file, or delete it; a gateway may strip the checksums \
             (x-oss-* headers): connect to OSS without it"
        }
        UploadError::Complete(CompleteError::Unproved { made: false, .. }) => {
            "a gateway may strip the checksums (x-oss-* headers): connect to OSS without it, and run the same command \
             again; all parts are kept; without --require-verified the object is created unverified"
        }
        UploadError::Complete(CompleteError::PartsDamaged { .. }) => {
            "data was corrupted on the way: check the network and any proxy or gateway in between"
        }
        UploadError::Complete(CompleteError::Gone { .. }) => {
            "check the object, then start again with --restart"
        }
        UploadError::Session(SessionError::State(StateError::Locked { .. })) => {
            "wait for that process to finish, or stop it"
        }
        UploadError::Session(SessionError::State(StateError::Damaged { .. })) => {
            "use the version of ossup that wrote it, or start the upload again with --restart"
        }
        UploadError::Session(SessionError::State(StateError::Io { .. })) => {
            "pass another --state-dir, or --no-resume to upload without keeping state"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns what to type for an upload of this form.
fn typed(form: &ObjectForm) -> String {
    let unpacked = form.unpacked.as_ref();
    let mut options: Vec<String> = Vec::new();
    match form.format {
        ObjectFormat::Raw => options.push("--as raw".to_owned()),
        ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 } => options.push("--as qcow2".to_owned()),
        ObjectFormat::Qcow2 { compat: Qcow2Compat::V2 } => {
            options.push("--as qcow2 --compat 0.10".to_owned())
        }
        _ if unpacked.is_none() => options.push("--as as-is".to_owned()),
        _ => {}
    }
    let member = unpacked.and_then(|unpacked| unpacked.member.as_deref());
    options.extend(member.map(|member| format!("--member {}", word(member))));
    if form.mapped {
        options.push("--bmap or --map with the same map".to_owned());
    }
    if options.is_empty() {
        return "use neither --as nor --as-is".to_owned();
    }
    format!("pass {}", options.join(" "))
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let failure = Self::from_error(error.kind().into(), &error);
        match &error {
            StateError::Locked { .. } => failure.hint("wait for that process to finish, or stop it"),
            StateError::Damaged { .. } => failure.hint(
                "use the version of ossup that wrote it, or start that upload again with \
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
        // A path that does not lead to an image is a wrong argument; one that cannot be read is not.
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
                "unmount it or stop what uses it, or upload a snapshot of it; --allow-busy reads it anyway: \
                 the object may then mix bytes from different moments",
            ),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_form_are_those_that_make_it() {
        let form = |unpacked, format| typed(&ObjectForm { unpacked, format, mapped: false });
        let member = |name: &str| Some(ossup::model::Unpacked { member: Some(name.to_owned()) });
        assert_eq!(form(None, ObjectFormat::AsIs), "pass --as as-is");
        assert_eq!(form(None, ObjectFormat::Raw), "pass --as raw");
        assert_eq!(form(Some(Default::default()), ObjectFormat::AsIs), "use neither --as nor --as-is");
        let qcow2 = ObjectFormat::Qcow2 { compat: Qcow2Compat::V2 };
        assert_eq!(form(member("a b"), qcow2), "pass --as qcow2 --compat 0.10 --member 'a b'");
        assert_eq!(form(member("x"), ObjectFormat::AsIs), "pass --member x");
    }

    #[test]
    fn the_same_command_is_advised_once() {
        let resume = || Some(format!("{SAME_COMMAND} to continue: 1 part is kept"));
        let hint = joined(Some(format!("make room, then {SAME_COMMAND}")), resume()).unwrap();
        assert_eq!(hint, "make room, then run the same command again to continue: 1 part is kept");
        let hint = joined(Some("check the clock".to_owned()), resume()).unwrap();
        assert_eq!(hint, "check the clock; run the same command again to continue: 1 part is kept");
        assert_eq!(joined(None, resume()), resume());
        assert_eq!(joined(None, None), None);
    }
}
