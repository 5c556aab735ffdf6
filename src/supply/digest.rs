use std::collections::BTreeMap;

use super::{Image, Known, Supplied, Supply, SupplyError};
use crate::blocks::{Content, Limits, digest, located};
use crate::checksum;
use crate::model::{ByteRange, Crc64};

/// Makes an object only for its length in bytes, its CRC-64, and what is found out about the image.
///
/// # Errors
///
/// [`SupplyError`] when what it is made of cannot be read.
pub(crate) async fn whole(mut supply: Supply, limits: &Limits) -> Result<(u64, Crc64, Image), SupplyError> {
    // Content may become known in any order.
    let mut known = BTreeMap::new();
    loop {
        match supply.next().await? {
            Supplied::Content { at, content, .. } => {
                let length = content.len();
                known.insert(at, (length, crc64(content, at, limits).await?));
            }
            Supplied::End { length, image } => {
                let crc64 =
                    known.values().fold(Crc64(0), |crc, (len, next)| checksum::combine(crc, *next, *len));
                return Ok((length, crc64, image));
            }
        }
    }
}

/// Why made content is not what it was before.
pub(crate) enum ComparisonFailed {
    /// These bytes of the object differ.
    Differs(ByteRange),
    /// What it is made of cannot be read.
    Unreadable(SupplyError),
}

/// Makes an object only to compare its parts with their checksums. The parts tile the object. `compared` is called
/// after each.
///
/// # Errors
///
/// [`ComparisonFailed`].
pub(crate) async fn compare(
    mut supply: Supply,
    parts: impl IntoIterator<Item = (ByteRange, Crc64)>,
    limits: &Limits,
    mut compared: impl FnMut(),
) -> Result<(), ComparisonFailed> {
    let mut parts: Vec<_> = parts.into_iter().collect();
    let mut known = Known::default();
    loop {
        match supply.next().await.map_err(ComparisonFailed::Unreadable)? {
            Supplied::Content { at, content, .. } => known.insert(at, content),
            Supplied::End { length, .. } => {
                let differs = parts.iter().map(|(range, _)| *range).next();
                let beyond = differs.or_else(|| known.first().map(|at| ByteRange::new(at, length)));
                return beyond.map_or(Ok(()), |range| Err(ComparisonFailed::Differs(range)));
            }
        }
        let mut left = Vec::new();
        for (range, before) in parts {
            let Some(content) = known.whole(range) else {
                left.push((range, before));
                continue;
            };
            known.release(range);
            let now = crc64(content, range.start, limits).await.map_err(ComparisonFailed::Unreadable)?;
            if now != before {
                return Err(ComparisonFailed::Differs(range));
            }
            compared();
        }
        parts = left;
    }
}

async fn crc64(content: Content, at: u64, limits: &Limits) -> Result<Crc64, SupplyError> {
    digest::crc64(content, limits).await.map_err(|error| {
        let (offset, source) = located(error, at);
        SupplyError { offset, source }
    })
}
