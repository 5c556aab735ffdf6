//! A part of an earlier run, compared with the content that it should have.

use std::io;

use super::error::TransferError;
use super::worker::Context;
use crate::blocks::{Content, digest, located};
use crate::model::{PartProof, PartRecord};
use crate::protocol::oss::is_md5;
use crate::session::Unproved;

/// Compares by CRC-64, or by MD5 against the part's tag where the service lists no CRC-64. Returns the part's record
/// if it is the same.
pub(super) async fn compare(
    claim: Unproved,
    content: Content,
    context: &Context,
) -> (Unproved, Result<Option<PartRecord>, TransferError>) {
    let outcome = same(&claim, content, context).await.map_err(|error| {
        let (offset, source) = located(error, claim.part.range.start);
        TransferError::Source { offset, source }
    });
    (claim, outcome)
}

async fn same(claim: &Unproved, content: Content, context: &Context) -> io::Result<Option<PartRecord>> {
    let ours = digest::crc64(content.clone(), &context.limits).await?;
    let (good, proof) = match claim.crc64 {
        Some(listed) => (listed == ours, PartProof::Crc64),
        None => (is_md5(&claim.etag, &digest::md5(content, &context.limits).await?), PartProof::Md5),
    };
    let (number, range, etag) = (claim.part.number, claim.part.range, claim.etag.clone());
    Ok(good.then_some(PartRecord { number, range, etag, crc64: ours, proof }))
}
