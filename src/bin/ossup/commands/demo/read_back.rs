//! Reads an object back and compares it with the file, byte by byte.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use ossup::client::Client;
use ossup::model::{ByteRange, ObjectRef};

use crate::commands::range::ReadRange;
use crate::failure::{Failure, Kind};

/// How many bytes one request reads.
const RANGE: u64 = 4 << 20;
/// How many requests are in flight.
const CONCURRENCY: usize = 4;

/// Fails at the first range that differs.
pub(super) async fn compare(
    client: &Client,
    object: &ObjectRef,
    image: &Path,
    length: u64,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::from_error(Kind::Other, &error);
    let file = Arc::new(File::open(image).map_err(failed)?);
    let starts = (0..length.div_ceil(RANGE)).map(|index| index * RANGE);
    stream::iter(starts)
        .map(|start| {
            let (file, object) = (Arc::clone(&file), object.clone());
            async move {
                let range = ByteRange::new(start, (start + RANGE).min(length));
                let bytes = client.call(&ReadRange::new(object.clone(), range)).await?;
                let same = tokio::task::spawn_blocking(move || {
                    let mut ours = vec![0; bytes.len()];
                    file.read_exact_at(&mut ours, start).map(|()| ours == bytes)
                });
                let same =
                    same.await.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)?;
                if same {
                    return Ok(());
                }
                Err(Failure::new(
                    Kind::Integrity,
                    format!("`{object}` differs from the file at or after byte {start}"),
                ))
            }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}
