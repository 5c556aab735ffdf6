//! Reads a range of the source only for its checksums: to verify parts of an earlier run.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::{BlockReader, Limits};
use crate::checksum::Hasher;
use crate::model::{ByteRange, Crc64};
use crate::source::Source;

/// Returns the CRC-64 of a range.
pub(crate) async fn crc64(source: &Arc<dyn Source>, range: ByteRange, limits: &Limits) -> io::Result<Crc64> {
    let mut hasher = Hasher::new();
    each_block(source, range, limits, |bytes| hasher.update(bytes)).await?;
    Ok(hasher.value())
}

/// Returns the MD5 of a range.
pub(crate) async fn md5(source: &Arc<dyn Source>, range: ByteRange, limits: &Limits) -> io::Result<[u8; 16]> {
    let mut hasher = Md5::new();
    each_block(source, range, limits, |bytes| hasher.update(bytes)).await?;
    Ok(hasher.finalize().into())
}

async fn each_block(
    source: &Arc<dyn Source>,
    range: ByteRange,
    limits: &Limits,
    mut take: impl FnMut(&Bytes),
) -> io::Result<()> {
    let mut reader = BlockReader::new(Arc::clone(source), range, limits);
    while let Some(bytes) = poll_fn(|cx| reader.poll_next(cx)).await {
        take(&bytes?);
        // Hashing a warm file never waits; others on the runtime get their turn between blocks.
        tokio::task::yield_now().await;
    }
    Ok(())
}
