//! What the bucket has of uploads.

use std::time::Duration;

use crate::client::{Call, CallError, Client, Progress};
use crate::event::EventSink;
use crate::model::{BucketName, ObjectRef, UploadId};
use crate::protocol::Operation;
use crate::protocol::oss::{
    self, AbortMultipartUpload, ListMultipartUploads, ListParts, ListedPart, ListedUpload,
};

/// Lists the parts of an open upload, page by page, in ascending order.
///
/// # Errors
///
/// [`CallError`] with the code `NoSuchUpload` when the upload is not open any more.
pub async fn list_parts(
    client: &Client,
    object: &ObjectRef,
    upload_id: &UploadId,
) -> Result<Vec<ListedPart>, CallError> {
    parts(client, object, upload_id, &Progress::new(), &client.options().events).await
}

/// [`list_parts`], with events for retries.
pub(super) async fn parts(
    client: &Client,
    object: &ObjectRef,
    upload_id: &UploadId,
    progress: &Progress,
    events: &EventSink,
) -> Result<Vec<ListedPart>, CallError> {
    let mut parts = Vec::new();
    let mut page = ListParts::new(object.clone(), upload_id.clone());
    loop {
        let answer = client.call_with(&page, Call::new(progress, events)).await?;
        parts.extend(answer.parts);
        match answer.next {
            Some(next) => page.after = Some(next),
            None => return Ok(parts),
        }
    }
}

/// Lists the open uploads of a bucket whose keys start with `prefix`, page by page.
///
/// # Errors
///
/// What the requests give.
pub async fn list_uploads(
    client: &Client,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Vec<ListedUpload>, CallError> {
    uploads(client, bucket, prefix, &Progress::new(), &client.options().events).await
}

/// [`list_uploads`], with events for retries.
pub(super) async fn uploads(
    client: &Client,
    bucket: &BucketName,
    prefix: &str,
    progress: &Progress,
    events: &EventSink,
) -> Result<Vec<ListedUpload>, CallError> {
    let mut uploads = Vec::new();
    let mut page = ListMultipartUploads::new(bucket.clone());
    page.prefix = Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    loop {
        let answer = client.call_with(&page, Call::new(progress, events)).await?;
        uploads.extend(answer.uploads);
        match answer.next {
            Some(next) => page.after = Some(next),
            None => return Ok(uploads),
        }
    }
}

/// Aborts an upload and makes sure that its parts are gone: a part that was in flight may land after the
/// first abort ("AbortMultipartUpload" page).
///
/// # Errors
///
/// What the requests give; an upload that is gone already is none.
/// [`CallCause::PartsRemain`](crate::client::CallCause::PartsRemain) when the service still lists it after several aborts.
pub async fn abort(client: &Client, object: &ObjectRef, upload_id: &UploadId) -> Result<(), CallError> {
    const PAUSES: [u64; 3] = [0, 1, 3];
    let operation = AbortMultipartUpload { object: object.clone(), upload_id: upload_id.clone() };
    let mut parts = 0;
    for pause in PAUSES {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        match client.call(&operation).await {
            Err(error) if !error.is(oss::code::NO_SUCH_UPLOAD) => return Err(error),
            _ => {}
        }
        match list_parts(client, object, upload_id).await {
            Err(error) if error.is(oss::code::NO_SUCH_UPLOAD) => return Ok(()),
            Err(error) => return Err(error),
            Ok(listed) => parts = listed.len(),
        }
    }
    Err(CallError::kept(operation.name(), PAUSES.len() as u32, parts))
}
