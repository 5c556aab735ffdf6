//! Reads content only for its checksums: to compare it with parts of an earlier run.

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::{Content, ContentReader, Limits};
use crate::checksum::Hasher;
use crate::model::Crc64;

/// Returns the CRC-64 of some content.
pub(crate) async fn crc64(content: Content, limits: &Limits) -> io::Result<Crc64> {
    let mut hasher = Hasher::new();
    update(&mut hasher, content, limits).await?;
    Ok(hasher.value())
}

/// Takes some content into a CRC-64.
pub(crate) async fn update(hasher: &mut Hasher, content: Content, limits: &Limits) -> io::Result<()> {
    each_block(content, limits, |bytes| hasher.update(bytes)).await
}

/// Returns the MD5 of some content.
pub(crate) async fn md5(content: Content, limits: &Limits) -> io::Result<[u8; 16]> {
    let mut hasher = Md5::new();
    each_block(content, limits, |bytes| hasher.update(bytes)).await?;
    Ok(hasher.finalize().into())
}

async fn each_block(content: Content, limits: &Limits, mut take: impl FnMut(&Bytes)) -> io::Result<()> {
    let mut reader = ContentReader::new(content, limits);
    while let Some(bytes) = poll_fn(|cx| reader.poll_next(cx)).await {
        take(&bytes?);
        // Hashing a warm file never waits; others on the runtime get their turn between blocks.
        tokio::task::yield_now().await;
    }
    Ok(())
}
