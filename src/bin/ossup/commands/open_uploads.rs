//! Open uploads on a bucket.

use futures::stream::{self, StreamExt, TryStreamExt};
use ossup::client::{CallError, Client};
use ossup::model::{BucketName, ObjectRef};
use ossup::protocol::oss::ListedUpload;
use ossup::session;

/// How many uploads are asked for their parts at a time.
const CONCURRENCY: usize = 8;

/// An open upload and what it holds.
pub(crate) struct OpenUpload {
    pub(crate) listed: ListedUpload,
    pub(crate) parts: usize,
    pub(crate) bytes: u64,
}

/// Asks each upload for its parts. Those that end meanwhile are left out.
pub(crate) async fn measure(
    client: &Client,
    bucket: &BucketName,
    uploads: Vec<ListedUpload>,
) -> Result<Vec<OpenUpload>, CallError> {
    let measured = stream::iter(uploads).map(|listed| async {
        // A key that this program would not make can be shown, but not asked for.
        let Ok(key) = listed.key.parse() else { return Ok(Some(OpenUpload { listed, parts: 0, bytes: 0 })) };
        let object = ObjectRef::new(bucket.clone(), key);
        match session::list_parts(client, &object, &listed.upload_id).await {
            Ok(parts) => {
                let bytes = parts.iter().map(|part| part.size).sum();
                Ok(Some(OpenUpload { listed, parts: parts.len(), bytes }))
            }
            Err(error) if error.is("NoSuchUpload") => Ok(None),
            Err(error) => Err(error),
        }
    });
    measured.buffered(CONCURRENCY).try_filter_map(|upload| async { Ok(upload) }).try_collect().await
}
