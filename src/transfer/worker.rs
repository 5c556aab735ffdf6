//! One part: sent, and compared with what arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::time::Instant;

use super::body::PartBody;
use super::error::TransferError;
use super::ledger::Piece;
use crate::blocks::{Content, Limits, digest, located};
use crate::client::{Call, Client, Progress};
use crate::event::EventSink;
use crate::model::{Crc64, ObjectRef, PartProof, PartRecord, UploadId};
use crate::plan::Part;
use crate::protocol::RetryClass;
use crate::protocol::oss::{self, UploadPart, is_md5};

/// After this many broken connections within one part its bytes go back, to be sent in smaller parts.
const MAX_CUTS: u32 = 2;

/// What all parts of one transfer have in common.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) object: ObjectRef,
    pub(super) upload_id: UploadId,
    pub(super) limits: Limits,
    pub(super) progress: Arc<Progress>,
    pub(super) events: EventSink,
    pub(super) content_md5: bool,
    /// Whether a part without a CRC-64 in its answer is to be proved by its MD5.
    pub(super) prove_by_md5: bool,
    /// Whether the user was warned that the network damages parts.
    pub(super) damage_told: AtomicBool,
}

/// How a part ended.
pub(super) enum Outcome {
    /// It is in.
    Done(PartRecord, Duration),
    /// It is not: the connection broke, or the network damaged it. The bytes go out again.
    Cut(TransferError),
    /// The upload cannot go on.
    Failed(TransferError),
}

/// Sends one part, for as long as the client's budget allows.
pub(super) async fn send(context: &Context, piece: Piece) -> Outcome {
    let began = Instant::now();
    let Piece { part, content } = piece;
    let body = PartBody::new(content.clone(), context.limits.clone(), context.progress.rate());
    let md5 = match context.content_md5 {
        true => match md5(context, part, content.clone()).await {
            Ok(md5) => Some(md5),
            Err(failed) => return Outcome::Failed(failed),
        },
        false => None,
    };
    let content_md5 = md5.map(|md5| BASE64_STANDARD.encode(md5));
    let (object, upload_id) = (context.object.clone(), context.upload_id.clone());
    let operation =
        UploadPart { content_md5, ..UploadPart::new(object, upload_id, part.number, part.range.len()) };
    let call = Call {
        body: Some(&body),
        part: Some(part.number),
        progress: &context.progress,
        events: &context.events,
        max_cuts: Some(MAX_CUTS),
    };
    let answer = match context.client.call_with(&operation, call).await {
        Ok(answer) => answer,
        Err(error) if error.is_source() => {
            let failure = body.failure(part.range.start);
            let (offset, source) =
                failure.unwrap_or_else(|| (part.range.start, std::io::Error::other(error)));
            return Outcome::Failed(TransferError::Source { offset, source });
        }
        Err(error) => {
            // With a digest the service itself finds the damage, and refuses the part.
            let refused = error.is(oss::code::INVALID_DIGEST) || error.is(oss::code::INVALID_CRC64);
            // What can never succeed, such as a proxy that wants a password, does not count as a broken connection.
            let network = error.is_network() && error.action != RetryClass::Never;
            let (number, range) = (part.number, part.range);
            let error = TransferError::Part { number, range, source: Box::new(error) };
            return match body.crc64().filter(|_| refused) {
                Some(ours) => damaged(context, Piece { part, content }, began, ours, error).await,
                None if network => Outcome::Cut(error),
                None => Outcome::Failed(error),
            };
        }
    };
    let ours = body.crc64().expect("the client takes no answer to a body that was not sent to its end");
    match answer.crc64 {
        // An answer without a checksum is not a mismatch; the whole object is compared at the end.
        Some(theirs) if theirs != ours => {
            let error = TransferError::Damaged { number: part.number, ours, theirs };
            damaged(context, Piece { part, content }, began, ours, error).await
        }
        theirs => {
            let md5 = match md5 {
                None if theirs.is_none() && context.prove_by_md5 => {
                    match self::md5(context, part, content).await {
                        Ok(md5) => Some(md5),
                        Err(failed) => return Outcome::Failed(failed),
                    }
                }
                md5 => md5,
            };
            // If a tag is not an MD5, a difference means nothing.
            let proof = match (theirs, md5) {
                (Some(_), _) => PartProof::Crc64,
                (None, Some(md5)) if is_md5(&answer.etag, &md5) => PartProof::Md5,
                (None, _) => PartProof::Nothing,
            };
            let (number, range, etag) = (part.number, part.range, answer.etag);
            let record = PartRecord { number, range, etag, crc64: ours, proof };
            Outcome::Done(record, began.elapsed())
        }
    }
}

/// Decides about a part that arrived damaged. If the source still gives the bytes that were read, it was the network:
/// that is ordinary where much is sent, and is handled like a broken connection.
async fn damaged(
    context: &Context,
    Piece { part, content }: Piece,
    began: Instant,
    ours: Crc64,
    error: TransferError,
) -> Outcome {
    let number = part.number;
    match digest::crc64(content, &context.limits).await {
        Err(error) => {
            let (offset, source) = located(error, part.range.start);
            Outcome::Failed(TransferError::Source { offset, source })
        }
        Ok(second) if second != ours => {
            Outcome::Failed(TransferError::Unstable { number, first: ours, second })
        }
        Ok(_) => {
            if !context.damage_told.swap(true, Ordering::Relaxed) {
                context.events.notice(format!(
                    "part {number} arrived damaged, though the file holds what was sent: the network changes bytes. \
                     Each part is compared, and sent again if that happens"
                ));
            }
            context.progress.damaged(error.to_string());
            context.client.drop_idle(began);
            Outcome::Cut(error)
        }
    }
}

/// Returns the MD5 of the part, which is read for that.
async fn md5(context: &Context, part: Part, content: Content) -> Result<[u8; 16], TransferError> {
    digest::md5(content, &context.limits).await.map_err(|error| {
        let (offset, source) = located(error, part.range.start);
        TransferError::Source { offset, source }
    })
}
