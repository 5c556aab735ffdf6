//! A part of an earlier run, compared with the content that it should have.

use super::error::TransferError;
use super::worker::Context;
use crate::blocks::{Content, digest, located};
use crate::model::{PartProof, PartRecord};
use crate::protocol::oss::is_md5;
use crate::session::Claim;

/// Compares by CRC-64, or by MD5 against the part's tag where the service lists no CRC-64. Returns the part's record
/// if it is the same.
pub(super) async fn compare(
    claim: Claim,
    content: Content,
    context: &Context,
) -> (Claim, Result<Option<PartRecord>, TransferError>) {
    let outcome = match &claim {
        Claim::Proved(record) => Ok(Some(record.clone())),
        Claim::Listed { part, etag, crc64, .. } => {
            let same = async {
                let ours = digest::crc64(content.clone(), &context.limits).await?;
                let (good, proof) = match crc64 {
                    Some(listed) => (*listed == ours, PartProof::Crc64),
                    None => (is_md5(etag, &digest::md5(content, &context.limits).await?), PartProof::Md5),
                };
                let (number, range, etag) = (part.number, part.range, etag.clone());
                Ok(good.then_some(PartRecord { number, range, etag, crc64: ours, proof }))
            };
            same.await.map_err(|error| {
                let (offset, source) = located(error, part.range.start);
                TransferError::Source { offset, source }
            })
        }
    };
    (claim, outcome)
}
