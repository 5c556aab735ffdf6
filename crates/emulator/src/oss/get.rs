//! Operations that read objects.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::StreamBody;

use super::super::store::{BucketRecord, Object, ObjectReader};
use super::answer::{plain, quoted, set};
use super::error::OssError;
use super::headers::{self, Condition, condition};
use super::time::http_date;
use super::{Call, Failure, put};
use ossup_core::http::Body;
use ossup_core::model::ByteRange;

/// How many bytes are read and sent at a time.
const BLOCK: u64 = 64 << 10;

/// Query parameters of GetObject that replace headers of its answer.
const OVERRIDES: &[(&str, &str)] = &[
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

pub(super) fn get_object(call: &Call) -> Result<Response<Body>, Failure> {
    let object = call.object()?;
    if let Some(answer) = unmet(call, &object)? {
        return Ok(answer);
    }
    let size = object.record.size;
    let standard = headers::text(&call.headers, "x-oss-range-behavior") == Some("standard");
    let range = match range(headers::text(&call.headers, "range"), size, standard) {
        Ranged::Whole => None,
        Ranged::Part(range) => Some(range),
        Ranged::Outside => {
            return Err(OssError::new(416, "InvalidRange", "The requested range cannot be satisfied.")
                .header("content-range", format!("bytes */{size}"))
                .into());
        }
    };
    check_archived(&object)?;
    let store = call.emulator.store();
    let bucket = call.bucket_name()?;
    let reader = store.reader(&object).map_err(|error| OssError::of_store(error, bucket))?;
    let span = range.unwrap_or(ByteRange::new(0, size));
    let mut response = Response::new(read(reader, span));
    let out = response.headers_mut();
    describe(out, call.bucket()?, &object);
    set(out, "content-length", span.len().to_string());
    for (parameter, header) in OVERRIDES {
        if let Some(value) = call.query.get(parameter) {
            if value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                return Err(
                    OssError::invalid_argument("response-*", "", "A header may hold no controls.").into()
                );
            }
            set(out, header, value);
        }
    }
    if range.is_some() {
        set(out, "content-range", format!("bytes {}-{}/{size}", span.start, span.end - 1));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

pub(super) fn head_object(call: &Call) -> Result<Response<Body>, Failure> {
    let object = call.object()?;
    if let Some(answer) = unmet(call, &object)? {
        return Ok(answer);
    }
    let mut response = plain(StatusCode::OK);
    describe(response.headers_mut(), call.bucket()?, &object);
    set(response.headers_mut(), "content-length", object.record.size.to_string());
    Ok(response)
}

pub(super) fn get_object_meta(call: &Call) -> Result<Response<Body>, Failure> {
    let object = call.object()?;
    let mut response = plain(StatusCode::OK);
    let out = response.headers_mut();
    describe_briefly(out, call.bucket()?, &object);
    set(out, "content-length", object.record.size.to_string());
    Ok(response)
}

/// Returns the answer to conditions that do not hold.
fn unmet(call: &Call, object: &Object) -> Result<Option<Response<Body>>, OssError> {
    match condition(&call.headers, "", &object.record.etag, object.record.modified) {
        Condition::Met => Ok(None),
        Condition::Failed(which) => Err(OssError::precondition_failed(which)),
        Condition::NotModified => {
            let mut response = plain(StatusCode::NOT_MODIFIED);
            set(response.headers_mut(), "etag", quoted(&object.record.etag));
            set(response.headers_mut(), "last-modified", http_date(object.record.modified));
            Ok(Some(response))
        }
    }
}

/// Refuses to read objects of archive classes: nothing here restores them.
pub(super) fn check_archived(object: &Object) -> Result<(), OssError> {
    if object.record.headers.storage_class.contains("Archive") {
        return Err(OssError::new(
            403,
            "InvalidObjectState",
            "The operation is not valid for the object's state.",
        )
        .element("ObjectName", object.record.key.as_str()));
    }
    Ok(())
}

fn describe_briefly(out: &mut HeaderMap, bucket: &BucketRecord, object: &Object) {
    let record = &object.record;
    set(out, "etag", quoted(&record.etag));
    set(out, "last-modified", http_date(record.modified));
    if let Some(crc) = record.crc {
        set(out, "x-oss-hash-crc64ecma", crc.to_string());
    }
    put::describe_version(out, bucket, record);
}

fn describe(out: &mut HeaderMap, bucket: &BucketRecord, object: &Object) {
    let record = &object.record;
    describe_briefly(out, bucket, object);
    set(out, "accept-ranges", "bytes");
    set(out, "content-type", record.headers.content_type.as_deref().unwrap_or("application/octet-stream"));
    set(out, "x-oss-object-type", record.kind.as_str());
    set(out, "x-oss-storage-class", &record.headers.storage_class);
    if let Some(md5) = &record.content_md5 {
        set(out, "content-md5", md5);
    }
    if record.kind.as_str() == "Appendable" {
        set(out, "x-oss-next-append-position", record.size.to_string());
    }
    if !record.headers.tagging.is_empty() {
        set(out, "x-oss-tagging-count", record.headers.tagging.len().to_string());
    }
    put::describe_encryption(out, &record.headers);
    for (name, value) in &record.headers.others {
        set(out, name, value);
    }
}

/// What a Range header asks of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranged {
    Whole,
    Part(ByteRange),
    /// Nothing of it is there.
    Outside,
}

/// Reads `bytes=a-b`, `bytes=a-` and `bytes=-n` ("GetObject" page). Without `standard` a range that is not
/// wholly within the object gives the whole object.
fn range(text: Option<&str>, size: u64, standard: bool) -> Ranged {
    let parsed = text.and_then(|text| {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first.is_empty(), last.is_empty()) {
            (true, false) => {
                let count = number(last)?;
                Some((size.checked_sub(count), size, count > 0 && size > 0))
            }
            (false, true) => Some((Some(number(first)?), size, number(first)? < size)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some((Some(first), last.saturating_add(1), first < size))
            }
            (true, true) => None,
        }
    });
    match parsed {
        None => Ranged::Whole,
        Some((_, _, false)) if standard => Ranged::Outside,
        Some((_, _, false)) => Ranged::Whole,
        Some((Some(start), end, true)) if end <= size => Ranged::Part(ByteRange::new(start, end)),
        Some((start, end, true)) if standard => {
            Ranged::Part(ByteRange::new(start.unwrap_or(0), end.min(size)))
        }
        Some(_) => Ranged::Whole,
    }
}

/// Returns a body that reads as it is sent.
fn read(reader: ObjectReader, range: ByteRange) -> Body {
    let reader = Arc::new(reader);
    let blocks = stream::try_unfold(range.start, move |at| {
        let reader = Arc::clone(&reader);
        async move {
            if at >= range.end {
                return Ok::<_, io::Error>(None);
            }
            // Other tasks get their turn between two reads.
            tokio::task::yield_now().await;
            let mut block = vec![0; usize::try_from(BLOCK.min(range.end - at)).expect("blocks are small")];
            let count = reader.read_at(&mut block, at)?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            block.truncate(count);
            Ok(Some((Frame::data(Bytes::from(block)), at + count as u64)))
        }
    });
    Body::new(Sized { inner: Body::new(StreamBody::new(blocks)), left: range.len() })
}

/// A body whose length is known.
struct Sized {
    inner: Body,
    left: u64,
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.left -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        std::task::Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_documented_behaviours() {
        let part = |start, end| Ranged::Part(ByteRange::new(start, end));
        for (text, size, lenient, standard) in [
            ("bytes=0-9", 100, part(0, 10), part(0, 10)),
            ("bytes=90-99", 100, part(90, 100), part(90, 100)),
            ("bytes=90-", 100, part(90, 100), part(90, 100)),
            ("bytes=-10", 100, part(90, 100), part(90, 100)),
            ("bytes=90-100", 100, Ranged::Whole, part(90, 100)),
            ("bytes=-101", 100, Ranged::Whole, part(0, 100)),
            ("bytes=100-", 100, Ranged::Whole, Ranged::Outside),
            ("bytes=100-200", 100, Ranged::Whole, Ranged::Outside),
            ("bytes=-0", 100, Ranged::Whole, Ranged::Outside),
            ("bytes=0-", 0, Ranged::Whole, Ranged::Outside),
            ("bytes=5-4", 100, Ranged::Whole, Ranged::Whole),
            ("bytes=0-1,3-4", 100, Ranged::Whole, Ranged::Whole),
            ("bytes=a-b", 100, Ranged::Whole, Ranged::Whole),
            ("lines=0-1", 100, Ranged::Whole, Ranged::Whole),
            ("bytes=0-99999999999999999999", 100, Ranged::Whole, part(0, 100)),
        ] {
            assert_eq!(range(Some(text), size, false), lenient, "{text} of {size}");
            assert_eq!(range(Some(text), size, true), standard, "{text} of {size}, standard");
        }
        assert_eq!(range(None, 100, true), Ranged::Whole);
    }
}
