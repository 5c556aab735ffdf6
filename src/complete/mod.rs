//! Makes the object from its parts, and proves that it is the one that was sent.
//!
//! Complete is not idempotent: repeated after a success it answers `NoSuchUpload`. Whenever its outcome is in
//! doubt, the object itself decides: it is ours if its size and its CRC-64 are, and where no CRC-64 is listed,
//! if its tag is the one that follows from our parts. Such a tag proves the object's bytes only if each part was
//! compared with the local bytes: the tags alone are the service's own.

mod error;

use std::error::Error as _;

pub use error::CompleteError;

use crate::client::{Call, CallCause, CallError, Client, Progress};
use crate::event::{Event, EventSink};
use crate::model::{Crc64, ETag, ObjectRef, ObjectVersion};
use crate::protocol::oss::{
    self, CompleteMultipartUpload, CompletePart, HeadObject, ObjectHead, multipart_etag,
};
use crate::session::{self, Session};
use crate::source::Change;
use crate::supply::Recipe;
use crate::transfer::{JournalWriter, PartList};

/// How an object was proved to be the one that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verified {
    /// Its CRC-64 is that of the local bytes.
    Crc64,
    /// Its tag follows from the tags of its parts, and each part was compared with the local bytes.
    Etag,
    /// By nothing: the service made it, and returned no checksum of it or of one of its parts.
    Nothing,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredObject {
    /// Where.
    pub object: ObjectRef,
    /// Its size in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: Option<ETag>,
    /// Its CRC-64, if the service keeps one.
    pub crc64: Option<Crc64>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// What was proved of it. From a HEAD alone: nothing but its size.
    pub verified: Verified,
}

impl StoredObject {
    /// Returns what distinguishes this state of the object from others, as far as the response had it.
    pub fn version(&self) -> ObjectVersion {
        let mut version = ObjectVersion::new(self.size);
        (version.crc64, version.etag, version.version_id) =
            (self.crc64, self.etag.clone(), self.version_id.clone());
        version
    }

    pub(crate) fn from_head(object: &ObjectRef, head: ObjectHead, verified: Verified) -> Self {
        Self {
            object: object.clone(),
            size: head.size,
            etag: head.etag,
            crc64: head.crc64,
            version_id: head.version_id,
            verified,
        }
    }
}

/// The outcome of completing.
pub(crate) enum CompleteOutcome {
    /// The object is there.
    Stored(StoredObject),
    /// The service has other parts than were named: they are to be listed and sent again.
    PartsDiffer,
}

/// What completing works with.
pub(crate) struct Completer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) object: &'a ObjectRef,
    pub(crate) events: &'a EventSink,
}

impl Completer<'_> {
    /// Completes the upload. Whether the source is still what was sent was settled before.
    pub(crate) async fn run(
        &self,
        session: &Session,
        list: &PartList,
        journal: &mut JournalWriter,
        progress: &Progress,
    ) -> Result<CompleteOutcome, CompleteError> {
        journal.completing();
        self.events.emit(Event::Completing);
        let parts = list
            .parts()
            .iter()
            .map(|part| CompletePart { number: part.number, etag: part.etag.clone() })
            .collect();
        let operation = CompleteMultipartUpload {
            object: self.object.clone(),
            upload_id: session.upload_id.clone(),
            parts,
            overwrite: session.overwrite,
        };
        let call = Call::new(progress, self.events);
        match self.client.call_with(&operation, call).await {
            Ok(answer) => {
                if answer.callback_failed {
                    self.events.notice("the object is there, but the bucket's callback failed");
                }
                match answer.names_object {
                    true => self.proved(list, answer).await,
                    false => self.found(list).await?.map_err(|found| {
                        let object = self.object.clone();
                        CompleteError::NotMade { object, found }
                    }),
                }
                .map(CompleteOutcome::Stored)
            }
            Err(error) if error.is(oss::code::INVALID_PART) || error.is(oss::code::FILE_PART_NOT_EXIST) => {
                Ok(CompleteOutcome::PartsDiffer)
            }
            Err(error) if error.is(oss::code::NO_SUCH_UPLOAD) => {
                self.resolve_missing_upload(list).await.map(CompleteOutcome::Stored)
            }
            Err(error) if error.is(oss::code::FILE_ALREADY_EXISTS) => {
                let same = self.same_object(list.length(), list.crc64(), Some(list)).await?;
                let stored = same.ok_or_else(|| CompleteError::Exists { object: self.object.clone() })?;
                // If somebody else made it, our parts are of no use and would be billed.
                if let Err(error) = session::abort(self.client, self.object, &session.upload_id).await {
                    self.events.notice(format!(
                        "the object exists already, but the parts cannot be removed: {error}"
                    ));
                }
                Ok(CompleteOutcome::Stored(stored))
            }
            // The service may have done it, and answered what cannot be understood.
            Err(error) if matches!(error.cause, CallCause::Decode(_)) => {
                match self.same_object(list.length(), list.crc64(), Some(list)).await {
                    Ok(Some(stored)) => Ok(CompleteOutcome::Stored(stored)),
                    _ => Err(self.failed(error)),
                }
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Looks whether an upload that is gone became the object.
    pub(crate) async fn resolve_missing_upload(
        &self,
        list: &PartList,
    ) -> Result<StoredObject, CompleteError> {
        let object = self.object.clone();
        self.found(list).await?.map_err(|found| CompleteError::Gone { object, found })
    }

    /// Looks whether the object is the one of these parts, and else says what is there.
    async fn found(&self, list: &PartList) -> Result<Result<StoredObject, String>, CompleteError> {
        let Some(head) = self.head().await? else { return Ok(Err("there is no object".to_owned())) };
        let size = head.size;
        let judged = self.judge(list.length(), list.crc64(), Some(list), head);
        Ok(judged.ok_or_else(|| another(size)))
    }

    /// Returns the object if it is there and has this length and CRC-64.
    pub(crate) async fn same_object(
        &self,
        length: u64,
        crc64: Crc64,
        list: Option<&PartList>,
    ) -> Result<Option<StoredObject>, CompleteError> {
        let head = self.head().await?;
        Ok(head.and_then(|head| self.judge(length, crc64, list, head)))
    }

    /// Returns what is there under the key.
    pub(crate) async fn head(&self) -> Result<Option<ObjectHead>, CompleteError> {
        match self.client.call(&HeadObject::new(self.object.clone())).await {
            Ok(head) => Ok(Some(head)),
            Err(error) if error.service().is_some_and(|answer| answer.status == 404) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn judge(
        &self,
        length: u64,
        crc64: Crc64,
        list: Option<&PartList>,
        head: ObjectHead,
    ) -> Option<StoredObject> {
        if head.size != length {
            return None;
        }
        let verified = match (head.crc64, list) {
            (Some(theirs), _) if theirs == crc64 => Verified::Crc64,
            (None, Some(list)) if follows(head.etag.as_ref(), list) => by_tag(list),
            _ => return None,
        };
        Some(StoredObject::from_head(self.object, head, verified))
    }

    async fn proved(&self, list: &PartList, answer: oss::Completed) -> Result<StoredObject, CompleteError> {
        let mut verified = self.verified(list, answer.crc64, answer.etag.as_ref())?;
        let (mut etag, mut crc64) = (answer.etag, answer.crc64);
        if verified == Verified::Nothing {
            // What the answer does not say, the object may.
            match self.head().await {
                Ok(Some(head)) if head.size == list.length() => {
                    verified = self.verified(list, head.crc64, head.etag.as_ref())?;
                    (etag, crc64) = (head.etag.or(etag), head.crc64);
                }
                Ok(Some(head)) => {
                    let (object, found) = (self.object.clone(), another(head.size));
                    return Err(CompleteError::Gone { object, found });
                }
                Ok(None) => {
                    self.events.notice("the service completed the upload, but says that no object is there");
                }
                Err(error) => {
                    let why = error.source().map(ToString::to_string).unwrap_or_default();
                    self.events.notice(format!("the object cannot be inspected: {why}"));
                }
            }
        }
        let (object, size) = (self.object.clone(), list.length());
        Ok(StoredObject { object, size, etag, crc64, version_id: answer.version_id, verified })
    }

    /// Returns what a checksum and a tag of our object prove.
    fn verified(
        &self,
        list: &PartList,
        crc64: Option<Crc64>,
        etag: Option<&ETag>,
    ) -> Result<Verified, CompleteError> {
        match crc64 {
            Some(theirs) if theirs != list.crc64() => {
                let object = self.object.clone();
                Err(CompleteError::Damaged { object, ours: list.crc64(), theirs })
            }
            Some(_) => Ok(Verified::Crc64),
            None if follows(etag, list) => Ok(by_tag(list)),
            None => Ok(Verified::Nothing),
        }
    }

    fn failed(&self, error: CallError) -> CompleteError {
        CompleteError::Call { object: self.object.clone(), source: Box::new(error) }
    }
}

/// Describes an object that cannot be ours.
fn another(size: u64) -> String {
    format!("another object of {size} bytes is there")
}

/// Checks whether the source is the same file as when it was opened. What is only a suspicion
/// ([`Change::is_suspicion`]) is returned; every other change is an error.
pub(crate) fn check_unchanged(recipe: &Recipe) -> Result<Option<Change>, CompleteError> {
    let Some(before) = recipe.identity() else { return Ok(None) };
    let now = recipe
        .current_identity()
        .map_err(|error| CompleteError::SourceChanged { change: Change::Gone, why: format!(" ({error})") })?;
    match now.and_then(|now| now.difference(before)) {
        None => Ok(None),
        Some(change) if change.is_suspicion() => Ok(Some(change)),
        Some(change) => Err(CompleteError::SourceChanged { change, why: String::new() }),
    }
}

/// Whether an object's tag is the one that follows from the parts: it was made of them.
fn follows(etag: Option<&ETag>, list: &PartList) -> bool {
    etag.is_some_and(|etag| *etag == multipart_etag(list.parts().iter().map(|part| &part.etag)))
}

/// What a tag proves that follows from the parts.
fn by_tag(list: &PartList) -> Verified {
    if list.is_proved() { Verified::Etag } else { Verified::Nothing }
}
