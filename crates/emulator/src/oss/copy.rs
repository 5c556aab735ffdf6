//! Copies within the store: CopyObject and UploadPartCopy. They move no bytes.

use std::sync::Arc;

use http::Response;
use md5::{Digest, Md5};

use super::super::store::{
    Object, ObjectHeaders, ObjectKind, ObjectRecord, PartRecord, Segment, SegmentSource, Sums, slice,
};
use super::answer::{quoted, set, xml};
use super::error::OssError;
use super::get::check_archived;
use super::headers::{self, Condition, condition};
use super::put::{
    describe_encryption, describe_new, describe_version, etag, forbids_overwrite, object_headers, version_id,
};
use super::time::iso;
use super::upload::{add_part, check_part, part_number, upload_of};
use super::xml::Document;
use super::{Call, Failure};
use ossup_core::checksum;
use ossup_core::http::Body;
use ossup_core::model::limits::{MAX_COPY_SIZE, MAX_PART_SIZE, MAX_PUT_SIZE};
use ossup_core::model::{BucketName, ByteRange, Crc64, ObjectKey};
use ossup_core::sign::encode;

/// How many bytes are read at a time where a copy's sums are not known.
const BLOCK: usize = 256 << 10;
/// The EC of NoSuchUpload of UploadPartCopy.
const NO_UPLOAD_FOR_COPY: &str = "0042-00000311";

pub(super) async fn copy_object(call: &Call) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let (source, from) = source(call)?;
    let replace = match headers::text(&call.headers, "x-oss-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(other) => {
            let message = "The metadata directive must be COPY or REPLACE.";
            return Err(OssError::invalid_argument("x-oss-metadata-directive", other, message).into());
        }
    };
    let replace_tags = match headers::text(&call.headers, "x-oss-tagging-directive") {
        None | Some("Copy" | "COPY") => false,
        Some("Replace" | "REPLACE") => true,
        Some(other) => {
            let message = "The tagging directive must be Copy or Replace.";
            return Err(OssError::invalid_argument("x-oss-tagging-directive", other, message).into());
        }
    };
    let asked = object_headers(call, bucket)?;
    let mut object_headers = asked;
    if !replace {
        // Encryption, class and ACL are the new object's own; the rest comes along.
        object_headers.content_type.clone_from(&from.record.headers.content_type);
        object_headers.others.clone_from(&from.record.headers.others);
    }
    if !replace_tags {
        object_headers.tagging.clone_from(&from.record.headers.tagging);
    }
    check_size(&from, &object_headers, source.bucket == bucket.name)?;
    let segments = from.record.segments.clone();
    let (crc, etag) = match (from.record.kind, from.record.crc) {
        (ObjectKind::Normal, crc) => (crc, from.record.etag.clone()),
        _ => {
            let sums = sums(call, &from, &segments).await?;
            (Some(sums.crc), etag(&sums, from.record.size))
        }
    };
    let record = ObjectRecord {
        key: key.clone(),
        size: from.record.size,
        etag,
        crc,
        content_md5: from.record.content_md5.clone(),
        kind: ObjectKind::Normal,
        modified: call.now,
        headers: object_headers,
        version_id: version_id(bucket),
        delete_marker: false,
        sequence: 0,
        upload_id: None,
        segments,
    };
    let forbid = forbids_overwrite(call, bucket);
    let object = call
        .emulator
        .store()
        .put_object(&bucket.name, record, forbid)
        .map_err(|error| OssError::of_store(error, &bucket.name))?;
    let mut document = Document::new();
    document.element("CopyObjectResult", |d| {
        d.text("LastModified", iso(object.record.modified)).text("ETag", quoted(&object.record.etag));
    });
    let mut response = xml(document);
    describe_new(response.headers_mut(), &object.record.etag, object.record.crc, &object.record.headers);
    describe_source_version(response.headers_mut(), &source, &from);
    describe_version(response.headers_mut(), bucket, &object.record);
    Ok(response)
}

pub(super) async fn upload_part_copy(call: &Call) -> Result<Response<Body>, Failure> {
    let number = part_number(call)?;
    let upload = upload_of(call, NO_UPLOAD_FOR_COPY)?;
    check_part(call, &upload, number)?;
    let (source, from) = source(call)?;
    if from.record.kind == ObjectKind::Appendable && call.emulator.options().oss.refuse_appendable_source {
        let message = "The source of UploadPartCopy may not be an appendable object.";
        return Err(OssError::new(400, "InvalidRequest", message).into());
    }
    let size = from.record.size;
    // A range that is malformed or not within the object is not refused: the whole object is copied, and the
    // answer lacks Content-Range.
    let oss = &call.emulator.options().oss;
    let range = headers::text(&call.headers, "x-oss-copy-source-range")
        .filter(|text| !(oss.ignore_open_ranges && text.ends_with('-')))
        .and_then(|text| range(text, size, oss.clip_copy_ranges));
    let span = range.unwrap_or(ByteRange::new(0, size));
    if span.len() > MAX_PART_SIZE {
        return Err(OssError::entity_too_large().into());
    }
    let segments = slice(&from.record.segments, span);
    let sums = sums(call, &from, &segments).await?;
    let part = PartRecord {
        number,
        size: span.len(),
        etag: etag(&sums, span.len()),
        crc: Some(sums.crc).filter(|_| !oss.copies_without_crc),
        modified: call.now,
        segments,
    };
    let mut document = Document::new();
    document.element("CopyPartResult", |d| {
        d.text("LastModified", iso(part.modified)).text("ETag", quoted(&part.etag));
    });
    let mut response = xml(document);
    set(response.headers_mut(), "etag", quoted(&part.etag));
    describe_encryption(response.headers_mut(), &upload.record.headers);
    if let Some(range) = range {
        let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        set(response.headers_mut(), "content-range", content_range);
    }
    describe_source_version(response.headers_mut(), &source, &from);
    add_part(call, &upload, part, NO_UPLOAD_FOR_COPY)?;
    Ok(response)
}

/// What `x-oss-copy-source` names.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    bucket: BucketName,
    key: ObjectKey,
    version: Option<String>,
    /// Whether the bucket keeps versions, or once did.
    versioned: bool,
}

fn describe_source_version(out: &mut http::HeaderMap, source: &Source, from: &Object) {
    if source.versioned {
        set(out, "x-oss-copy-source-version-id", from.record.version());
    }
}

/// Reads `/{bucket}/{encoded key}[?versionId=…]`. A `+` is a space here: old clients escape as in forms.
fn parse_source(text: &str) -> Result<Source, OssError> {
    let invalid = |ec| {
        OssError::invalid_argument(
            "x-oss-copy-source",
            text,
            "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey.",
        )
        .ec(ec)
    };
    if text.is_empty() {
        return Err(invalid("0042-00000302"));
    }
    let (path, version) = match text.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (text, None),
    };
    let path = encode::decode(&path.replace('+', "%20")).ok_or_else(|| invalid("0042-00000301"))?;
    let rest = path.strip_prefix('/').ok_or_else(|| invalid("0042-00000301"))?;
    let (bucket, key) = rest.split_once('/').ok_or_else(|| invalid("0042-00000301"))?;
    Ok(Source {
        bucket: bucket.parse().map_err(|_| invalid("0042-00000301"))?,
        key: key.parse().map_err(|_| invalid("0042-00000301"))?,
        version,
        versioned: false,
    })
}

/// Returns the object to copy from, if it may be.
fn source(call: &Call) -> Result<(Source, Arc<Object>), OssError> {
    let mut source = parse_source(headers::text(&call.headers, "x-oss-copy-source").unwrap_or_default())?;
    if call.query.get("versionId").is_some_and(|version| source.version.as_deref() != Some(version)) {
        return Err(OssError::not_implemented("versionId"));
    }
    let store = call.emulator.store();
    let bucket = store.bucket(&source.bucket).ok_or_else(|| OssError::no_such_bucket(&source.bucket))?;
    if bucket.region != call.bucket()?.region {
        return Err(OssError::new(
            403,
            "AccessDenied",
            "Target object does not reside in the same data center as source object.",
        ));
    }
    source.versioned = bucket.versioning.is_some();
    let object = call.version_of(&bucket, &source.key, source.version.as_deref()).map_err(|error| {
        // A deletion has no bytes to copy.
        if error.code == "MethodNotAllowed" {
            let message = "The source of a copy request may not be a delete marker.";
            return OssError::new(400, "InvalidRequest", message);
        }
        error
    })?;
    let unquoted = |name| headers::text(&call.headers, name).is_some_and(|tag| !tag.starts_with('"'));
    if call.emulator.options().oss.quoted_copy_conditions && unquoted("x-oss-copy-source-if-match") {
        return Err(OssError::precondition_failed("x-oss-copy-source-if-match"));
    }
    match condition(&call.headers, "x-oss-copy-source-", &object.record.etag, object.record.modified) {
        Condition::Met => {}
        Condition::NotModified if call.emulator.options().oss.copy_unmodified_412 => {
            return Err(OssError::precondition_failed("x-oss-copy-source-if-none-match"));
        }
        Condition::NotModified => {
            return Err(OssError::new(304, "NotModified", "The source has not changed."));
        }
        Condition::Failed(which) => return Err(OssError::precondition_failed(which)),
    }
    check_archived(&object)?;
    Ok((source, object))
}

/// Refuses what is too large to be copied in one request ("CopyObject" page): within a bucket nothing is if its class
/// and encryption stay, else 1 GB is the limit; to another bucket 5 GB.
fn check_size(from: &Object, to: &ObjectHeaders, same_bucket: bool) -> Result<(), OssError> {
    let of = &from.record.headers;
    let changed = of.storage_class != to.storage_class || of.encryption != to.encryption;
    let limit = match (changed, same_bucket) {
        (true, _) => MAX_COPY_SIZE,
        (false, true) => u64::MAX,
        (false, false) => MAX_PUT_SIZE,
    };
    if from.record.size <= limit {
        return Ok(());
    }
    Err(OssError::new(
        400,
        "InvalidRequest",
        format!("The source object is larger than {} GB: use UploadPartCopy.", limit >> 30),
    ))
}

/// Reads `bytes=first-last` or `bytes=first-` within an object of `size`, or cut at its end.
fn range(text: &str, size: u64, clip: bool) -> Option<ByteRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { size.checked_sub(1)? } else { last.parse().ok()? };
    let last = if clip { last.min(size.checked_sub(1)?) } else { last };
    (first <= last && last < size).then(|| ByteRange::new(first, last + 1))
}

/// Returns the sums of some of an object's segments, reading only what is not known.
pub(super) async fn sums(call: &Call, object: &Arc<Object>, segments: &[Segment]) -> Result<Sums, Failure> {
    if let [Segment { sums: Some(sums), .. }] = segments {
        return Ok(*sums);
    }
    let known = segments
        .iter()
        .try_fold(Crc64(0), |crc, segment| Some(checksum::combine(crc, segment.sums?.crc, segment.len)));
    let discarded = segments.iter().any(|segment| segment.source == SegmentSource::Discarded);
    if discarded {
        return match known {
            Some(crc) => Ok(Sums { md5: None, crc }),
            None => Err(OssError::discarded().into()),
        };
    }
    let part = Arc::new(object.with_segments(segments.to_vec()));
    let reader = call.emulator.store().reader(&part).map_err(|error| OssError::internal(&error))?;
    let (mut md5, mut crc) = (Md5::new(), checksum::Hasher::new());
    let (mut block, mut at) = (vec![0; BLOCK], 0);
    loop {
        let count = reader.read_at(&mut block, at).map_err(|error| OssError::internal(&error))?;
        if count == 0 {
            return Ok(Sums { md5: Some(md5.finalize().into()), crc: crc.value() });
        }
        md5.update(&block[..count]);
        crc.update(&block[..count]);
        at += count as u64;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_in_every_spelling() {
        for (text, key, version) in [
            ("/images/a/b%20c", "a/b c", None),
            ("/images/a%2Fb+c", "a/b c", None),
            ("/images/a%2Bb?versionId=CAEQ", "a+b", Some("CAEQ")),
        ] {
            let source = parse_source(text).unwrap();
            assert_eq!((source.key.as_str(), source.version.as_deref()), (key, version), "{text}");
        }
        for (text, ec) in [
            ("", "0042-00000302"),
            ("images/a", "0042-00000301"),
            ("/images", "0042-00000301"),
            ("/images/", "0042-00000301"),
            ("/../a", "0042-00000301"),
            ("/images/%f", "0042-00000301"),
        ] {
            assert_eq!(parse_source(text).unwrap_err().ec, ec, "{text}");
        }
    }

    #[test]
    fn only_ranges_within_the_object_count() {
        assert_eq!(range("bytes=0-9", 10, false), Some(ByteRange::new(0, 10)));
        assert_eq!(range("bytes=5-99", 10, true), Some(ByteRange::new(5, 10)));
        assert_eq!(range("bytes=4-", 10, false), Some(ByteRange::new(4, 10)));
        for bad in ["bytes=0-10", "bytes=5-4", "bytes=10-", "bytes=-", "bytes=-5", "0-9", "bytes=a-b"] {
            assert_eq!(range(bad, 10, false), None, "{bad}");
        }
    }
}
