//! OSS: one file per operation, each named after its page in the API reference.
//!
//! An operation is a struct of its inputs. It asks for keys in answers percent-encoded (`encoding-type=url`),
//! since XML cannot carry all characters that keys can hold.

mod abort;
pub mod code;
mod complete;
mod delete_object;
mod error;
mod etag;
mod get_bucket_info;
mod get_bucket_location;
mod get_bucket_worm;
mod get_object;
mod head_object;
mod initiate;
mod list_objects;
mod list_parts;
mod list_uploads;
mod put_bucket;
mod put_object;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod testing;
mod upload_part;
mod upload_part_copy;
mod xml;

pub use abort::AbortMultipartUpload;
pub use complete::{CompleteMultipartUpload, CompletePart, Completed};
pub use delete_object::DeleteObject;
pub use error::{action, parse_error};
pub use etag::{is_md5, multipart_etag};
pub use get_bucket_info::{BucketInfo, DefaultEncryption, GetBucketInfo};
pub use get_bucket_location::GetBucketLocation;
pub use get_bucket_worm::{GetBucketWorm, WormConfiguration};
pub use get_object::{GetObject, GetObjectHead};
pub use head_object::{HeadObject, ObjectHead};
pub use initiate::InitiateMultipartUpload;
pub use list_objects::{ListObjects, ListedObject, ObjectsPage};
pub use list_parts::{ListParts, ListedPart, PartsPage};
pub use list_uploads::{ListMultipartUploads, ListedUpload, UploadsMarker, UploadsPage};
pub use put_bucket::PutBucket;
pub use put_object::PutObject;
pub use upload_part::{UploadPart, UploadedPart};
pub use upload_part_copy::UploadPartCopy;

use std::fmt::Write as _;

use super::{DecodeError, Response};
use crate::model::{Crc64, ETag};

/// Reads the header's CRC-64 of what was stored; none if it is absent.
fn crc64_header(operation: &'static str, answer: &Response) -> Result<Option<Crc64>, DecodeError> {
    let text = answer.header("x-oss-hash-crc64ecma");
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| DecodeError::new(operation, "has an `x-oss-hash-crc64ecma` that is not a number"))
}

fn etag_header(operation: &'static str, answer: &Response) -> Result<ETag, DecodeError> {
    let tag = answer.header("etag").filter(|tag| !tag.trim_matches('"').is_empty());
    tag.map(ETag::new).ok_or_else(|| DecodeError::new(operation, "lacks the `ETag` header"))
}

/// The `Content-Range` of an answer: first byte, last byte, length of the whole object.
fn content_range(answer: &Response) -> Option<(u64, u64, u64)> {
    let (range, total) = answer.header("content-range")?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// How much of a text from the other side is kept for people, in characters.
const MAX_TEXT: usize = 1000;

/// The beginning of a text on one line, with control characters escaped: it may be shown on a terminal.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().take(MAX_TEXT) {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            // Bidirectional overrides and their kin can make a line read as another one.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                write!(out, "{}", c.escape_unicode()).expect("writing to a String never fails");
            }
            c => out.push(c),
        }
    }
    out
}
