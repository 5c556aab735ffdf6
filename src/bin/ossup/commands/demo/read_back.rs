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
/// How many bytes of the file are read at a time.
const PIECE: usize = 64 << 10;
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
                let same = tokio::task::spawn_blocking(move || is_at(&file, start, &bytes));
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

/// Whether the file has these bytes from `start` on.
fn is_at(file: &File, start: u64, bytes: &[u8]) -> std::io::Result<bool> {
    let mut piece = vec![0; PIECE];
    for (at, theirs) in (start..).step_by(PIECE).zip(bytes.chunks(PIECE)) {
        let ours = &mut piece[..theirs.len()];
        file.read_exact_at(ours, at)?;
        if ours != theirs {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn any_other_byte_is_seen() {
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[&[7; 9], &bytes[..]].concat()).unwrap();
        assert!(is_at(&file, 9, &bytes).unwrap());
        for at in [0, PIECE - 1, PIECE, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_at(&file, 9, &other).unwrap(), "byte {at}");
        }
        assert!(is_at(&file, 9, &[&bytes[..], &[0]].concat()).is_err(), "the file ends before");
    }
}
