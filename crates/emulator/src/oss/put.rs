//! Operations that make an object in one request: PutObject and AppendObject.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Response, StatusCode};

use super::super::options::DEFAULT_KMS_KEY;
use super::super::store::{
    BucketRecord, NULL_VERSION, Object, ObjectHeaders, ObjectKind, ObjectRecord, Sums, Versioning,
};
use super::answer::{plain, quoted, set};
use super::error::OssError;
use super::receive::{self, Claims};
use super::{Call, Failure, headers};
use ossup_core::checksum;
use ossup_core::http::Body;
use ossup_core::model::Crc64;
use ossup_core::model::limits::MAX_PUT_SIZE;

/// Returns the ETag of bytes with these sums: their MD5, or what stands for it where there is none.
pub(super) fn etag(sums: &Sums, size: u64) -> String {
    match sums.md5 {
        Some(md5) => md5.iter().map(|byte| format!("{byte:02X}")).collect(),
        None => format!("{:016X}{size:016X}", sums.crc.0),
    }
}

/// What the version ids of the service, and those made here, begin with.
const VERSION_PREFIX: &str = "CAEQ";

/// Whether a text is a version id, be there such a version or not.
pub(super) fn is_version_id(text: &str) -> bool {
    let known = text == NULL_VERSION || text.starts_with(VERSION_PREFIX);
    known && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the version id of a new object of `bucket`.
pub(super) fn version_id(bucket: &BucketRecord) -> Option<String> {
    match bucket.versioning? {
        Versioning::Enabled => Some(format!("{VERSION_PREFIX}{}", uuid::Uuid::new_v4().simple())),
        Versioning::Suspended => Some(NULL_VERSION.to_owned()),
    }
}

/// Names the version of an object where its bucket keeps versions, or once did.
pub(super) fn describe_version(out: &mut HeaderMap, bucket: &BucketRecord, record: &ObjectRecord) {
    if bucket.versioning.is_some() {
        set(out, "x-oss-version-id", record.version());
    }
}

/// Returns what the request says about its object, with a KMS key that is known.
///
/// # Errors
///
/// As of [`headers::object_headers`], and `InvalidArgument` for a key that KMS does not know.
pub(super) fn object_headers(call: &Call, bucket: &BucketRecord) -> Result<ObjectHeaders, OssError> {
    let mut object = headers::object_headers(&call.headers, bucket)?;
    if let Some(encryption) = object.encryption.as_mut().filter(|encryption| encryption.algorithm == "KMS") {
        let key_id = encryption.key_id.get_or_insert_with(|| DEFAULT_KMS_KEY.to_owned());
        if key_id != DEFAULT_KMS_KEY && !call.emulator.options().kms_keys.contains(key_id) {
            return Err(OssError::invalid_argument(
                "x-oss-server-side-encryption-key-id",
                key_id,
                "The specified KMS key id is not valid.",
            )
            .ec("0005-00000208"));
        }
    }
    Ok(object)
}

/// Whether the request refuses to overwrite; buckets with versions ignore that.
pub(super) fn forbids_overwrite(call: &Call, bucket: &BucketRecord) -> bool {
    headers::is_true(&call.headers, "x-oss-forbid-overwrite") && bucket.versioning.is_none()
}

/// Adds the headers of sums, version and encryption that answers about new objects carry.
pub(super) fn describe_new(out: &mut HeaderMap, etag: &str, crc: Option<Crc64>, record: &ObjectHeaders) {
    set(out, "etag", quoted(etag));
    if let Some(crc) = crc {
        set(out, "x-oss-hash-crc64ecma", crc.to_string());
    }
    describe_encryption(out, record);
}

pub(super) fn describe_encryption(out: &mut HeaderMap, record: &ObjectHeaders) {
    if let Some(encryption) = &record.encryption {
        set(out, "x-oss-server-side-encryption", &encryption.algorithm);
        if let Some(key_id) = &encryption.key_id {
            set(out, "x-oss-server-side-encryption-key-id", key_id);
        }
        if let Some(algorithm) = &encryption.data_algorithm {
            set(out, "x-oss-server-side-data-encryption", algorithm);
        }
    }
}

pub(super) fn content_md5(sums: &Sums) -> Option<String> {
    sums.md5.map(|md5| STANDARD.encode(md5))
}

pub(super) async fn put_object(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let object_headers = object_headers(call, bucket)?;
    let forbid = forbids_overwrite(call, bucket);
    let store = call.emulator.store();
    let of_store = |error| OssError::of_store(error, &bucket.name);
    if forbid && store.object(&bucket.name, key).map_err(of_store)?.is_some() {
        // Before the body, and again with it: another request may be faster.
        return Err(OssError::file_already_exists().into());
    }
    let claims = Claims::of(&call.headers)?;
    let written = receive::store(body, store.writer(claims.want_md5()), &claims, MAX_PUT_SIZE).await?;
    let etag = etag(&written.sums, written.size);
    let record = ObjectRecord {
        key: key.clone(),
        size: written.size,
        etag: etag.clone(),
        crc: Some(written.sums.crc),
        content_md5: content_md5(&written.sums),
        kind: ObjectKind::Normal,
        modified: call.now,
        headers: object_headers,
        version_id: version_id(bucket),
        delete_marker: false,
        sequence: 0,
        upload_id: None,
        segments: written.segment.into_iter().collect(),
    };
    let object = store.put_object(&bucket.name, record, forbid).map_err(of_store)?;
    let mut response = plain(StatusCode::OK);
    let out = response.headers_mut();
    describe_new(out, &etag, object.record.crc, &object.record.headers);
    if let Some(md5) = &object.record.content_md5 {
        set(out, "content-md5", md5);
    }
    describe_version(out, bucket, &object.record);
    Ok(response)
}

pub(super) async fn append_object(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let given = call.query.get("position").unwrap_or_default();
    let position = given.parse::<u64>().map_err(|_| {
        OssError::invalid_argument("position", given, "The position must be a non-negative integer.")
    })?;
    let store = call.emulator.store();
    let of_store = |error| OssError::of_store(error, &bucket.name);
    let claims = Claims::of(&call.headers)?;
    let limit = MAX_PUT_SIZE.saturating_sub(position);
    let written = receive::store(body, store.writer(claims.want_md5()), &claims, limit).await?;
    let append = |old: Option<&Object>| {
        let length = old.map_or(0, |object| object.record.size);
        if old.is_some_and(|object| object.record.kind != ObjectKind::Appendable) {
            return Err(OssError::new(409, "ObjectNotAppendable", "The object is not appendable"));
        }
        if position != length {
            let message = "Position is not equal to file length";
            return Err(OssError::new(409, "PositionNotEqualToLength", message)
                .header("x-oss-next-append-position", length.to_string()));
        }
        // What later requests say about the object is ignored, be it right or not.
        let headers = match old {
            Some(object) => object.record.headers.clone(),
            None => object_headers(call, bucket)?,
        };
        let mut segments = old.map(|object| object.record.segments.clone()).unwrap_or_default();
        segments.extend(written.segment.clone());
        let old_crc = old.map_or(Some(Crc64(0)), |object| object.record.crc);
        let size = length + written.size;
        Ok(ObjectRecord {
            key: key.clone(),
            size,
            etag: etag(&written.sums, size),
            crc: old_crc.map(|old| checksum::combine(old, written.sums.crc, written.size)),
            content_md5: None,
            kind: ObjectKind::Appendable,
            modified: call.now,
            headers,
            // Appended objects have no versions ("AppendObject" page).
            version_id: bucket.versioning.map(|_| NULL_VERSION.to_owned()),
            delete_marker: false,
            sequence: 0,
            upload_id: None,
            segments,
        })
    };
    let object = store.update_object(&bucket.name, key, append).map_err(of_store)??;
    let (size, crc) = (object.record.size, object.record.crc);
    let mut response = plain(StatusCode::OK);
    describe_new(response.headers_mut(), &object.record.etag, crc, &object.record.headers);
    set(response.headers_mut(), "x-oss-next-append-position", size.to_string());
    describe_version(response.headers_mut(), bucket, &object.record);
    Ok(response)
}
