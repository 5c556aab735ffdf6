//! Open uploads on a bucket.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use ossup::client::{CallError, Client};
use ossup::model::{BucketName, ObjectRef};
use ossup::protocol::oss::{self, ListedUpload};
use ossup::session;

/// How many uploads' parts are listed at a time.
const CONCURRENCY: usize = 8;

/// An open upload and what it holds.
pub(crate) struct OpenUpload {
    pub(crate) listed: ListedUpload,
    pub(crate) parts: usize,
    pub(crate) bytes: u64,
    /// When the last part arrived, by the service's clock.
    pub(crate) last_part: Option<Timestamp>,
}

impl OpenUpload {
    /// Returns how long it has been idle, at `now` by the service's clock; `None` if the service does not say when it
    /// started.
    pub(crate) fn idle(&self, now: Timestamp) -> Option<Duration> {
        let since = self.last_part.into_iter().chain([self.listed.initiated?]).max()?;
        Some(Duration::try_from(now.duration_since(since)).unwrap_or_default())
    }
}

/// Lists each upload's parts. Uploads that end meanwhile are left out.
pub(crate) async fn measure(
    client: &Client,
    bucket: &BucketName,
    uploads: Vec<ListedUpload>,
) -> Result<Vec<OpenUpload>, CallError> {
    let measured = stream::iter(uploads).map(|listed| async {
        // A key that this program cannot represent can be shown, but not used in a request.
        let Ok(key) = listed.key.parse() else {
            return Ok(Some(OpenUpload { listed, parts: 0, bytes: 0, last_part: None }));
        };
        let object = ObjectRef::new(bucket.clone(), key);
        match session::list_parts(client, &object, &listed.upload_id).await {
            Ok(parts) => {
                let bytes = parts.iter().map(|part| part.size).sum();
                let last_part = parts.iter().filter_map(|part| part.last_modified).max();
                Ok(Some(OpenUpload { listed, parts: parts.len(), bytes, last_part }))
            }
            Err(error) if error.is(oss::code::NO_SUCH_UPLOAD) => Ok(None),
            Err(error) => Err(error),
        }
    });
    measured.buffered(CONCURRENCY).try_filter_map(|upload| async { Ok(upload) }).try_collect().await
}
