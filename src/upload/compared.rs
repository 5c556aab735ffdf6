//! Whether an object that is there, or was, is the one that would be made: then nothing need be sent.

use sha2::Digest as _;
use tokio::time::Instant;

use super::stages::Driven;
use super::{Upload, UploadError, UploadReport};
use crate::client::Progress;
use crate::complete::{self, StoredObject, Verified};
use crate::event::Event;
use crate::model::{Crc64, ObjectVersion};
use crate::protocol::oss::ObjectHead;
use crate::source::SourceIdentity::{Device, File, Stream, Web};
use crate::supply::{self, Image, SupplyError};
use crate::transfer::TransferError;

impl Upload {
    /// Returns what distinguishes the source from another one, by the object: its length, and what stands for its
    /// content. Nothing for a source that may be another one each time that it is looked at, unless it has to have a
    /// checksum.
    pub(crate) fn source_mark(&self) -> Option<(String, (u64, i128))> {
        let mark = match self.recipe.identity()? {
            File(file) => (file.length, file.modified_ns),
            Web(web) => {
                // Equal weak tags need not mean equal bytes.
                let strong = web.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
                let version = strong.or(web.last_modified.as_ref())?;
                (web.length, crate::checksum::of(version.as_bytes()).0.into())
            }
            Device(_) | Stream(_) => {
                // Of an archive any member may be meant.
                let promise = match (self.expected_sha256, self.recipe.fetched()) {
                    (Some(content), _) => format!("content {content}"),
                    (None, Some(fetched)) => {
                        let unpacked = serde_json::to_string(&self.recipe.form().unpacked);
                        format!("fetched {fetched} {}", unpacked.expect("it is plain data"))
                    }
                    (None, None) => return None,
                };
                let digest = sha2::Sha256::digest(promise);
                let (half, _) = digest.split_first_chunk().expect("there are 32 bytes");
                (0, i128::from_le_bytes(*half))
            }
        };
        Some((self.session.object.to_string(), mark))
    }

    /// Whether the source has passed, and cannot be sent any more.
    pub(crate) fn is_spent(&self) -> bool {
        self.recipe.is_spent()
    }

    /// Returns the report of an upload that need not be made: the object is there, and is the same as the source. The
    /// caller knows that it is the object that was made of a source with this one's mark, or that this one has no mark
    /// and has to be compared.
    pub(crate) async fn already_there(&self) -> Result<Option<UploadReport>, UploadError> {
        let began = Instant::now();
        let Some(head) = self.completer().head().await? else { return Ok(None) };
        let is_marked = self.source_mark().is_some();
        let found = match head.crc64 {
            // The stream that became the object had the checksum that this one has to have.
            _ if is_marked && !self.recipe.is_repeatable() => Some(self.taken(head)),
            None if is_marked && Some(head.size) == self.recipe.length() => Some(self.taken(head)),
            _ => self.object_matches_source().await?,
        };
        let Some(found) = found else { return Ok(None) };
        self.events.emit(Event::Completed);
        Ok(Some(self.reported(self.report(Driven::found(found), &Progress::new(), began))))
    }

    /// Returns an object that is known to be made of the source, unread.
    fn taken(&self, head: ObjectHead) -> (StoredObject, Image) {
        let verified = if head.crc64.is_some() { Verified::Crc64 } else { Verified::Nothing };
        let as_long = !self.recipe.converts();
        let bytes = self.recipe.image_length().or(as_long.then_some(head.size)).unwrap_or_default();
        let image = Image { bytes, sha256: self.expected_sha256 };
        (StoredObject::from_head(&self.session.object, head, verified), image)
    }

    /// Returns the object that is there if it is the same as the source. That costs one read of the source, but only if
    /// the sizes may be the same and there is a checksum to compare.
    pub(super) async fn object_matches_source(&self) -> Result<Option<(StoredObject, Image)>, UploadError> {
        let completer = self.completer();
        let Some(head) = completer.head().await? else { return Ok(None) };
        if head.crc64.is_none() || self.recipe.length().is_some_and(|length| length != head.size) {
            return Ok(None);
        }
        let what = if self.recipe.length().is_some() { "an object of the same size" } else { "an object" };
        self.events.notice(format!("{what} is there: it is compared with {}", self.recipe.noun()));
        let Some((length, crc64, image)) = self.made(head.size).await? else { return Ok(None) };
        let same = completer.same_object(length, crc64, None).await?;
        Ok(same.map(|stored| (stored, image)))
    }

    /// Whether the source is what an object of this version was made of, as far as a checksum tells. Reads it.
    pub(crate) async fn makes(&self, version: &ObjectVersion) -> Result<bool, UploadError> {
        let Some(crc64) = version.crc64 else { return Ok(false) };
        let object = &self.session.object;
        self.events
            .notice(format!("`{object}` was deleted: {} is compared with what it was", self.recipe.noun()));
        let made = self.made(version.size).await?;
        Ok(made.is_some_and(|(length, made, _)| (length, made) == (version.size, crc64)))
    }

    /// Makes the object only to know its length and its checksum; nothing if it has more than `most` bytes.
    async fn made(&self, most: u64) -> Result<Option<(u64, Crc64, Image)>, UploadError> {
        let made = async { supply::whole(self.recipe.supply()?, most, &self.limits).await };
        let made = made.await.map_err(|SupplyError { offset, source }| {
            let object = self.session.object.clone();
            UploadError::Transfer { object, parts: 0, source: TransferError::Source { offset, source } }
        })?;
        complete::check_unchanged(&self.recipe)?;
        if let Some((_, _, image)) = made {
            self.check_image(image)?;
        }
        Ok(made)
    }
}
