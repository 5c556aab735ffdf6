//! The life of a multipart upload.

use http::{Response, StatusCode};
use md5::{Digest, Md5};

use super::super::store::{Part, PartRecord, StoreError, Sums, Upload, UploadRecord};
use super::answer::{plain, quoted, set, xml};
use super::error::OssError;
use super::put::{content_md5, describe_encryption, describe_new, etag, forbids_overwrite, object_headers};
use super::receive::{self, Claims};
use super::time::iso;
use super::xml::Document;
use super::{Call, Failure, headers, page_size, url_encoding};
use ossup_core::http::Body;
use ossup_core::model::limits::{MAX_PART_SIZE, MAX_PARTS};
use ossup_core::model::{PartNumber, UploadId};
use ossup_core::sign::encode;

/// The EC of NoSuchUpload of UploadPart.
const NO_UPLOAD_FOR_PART: &str = "0042-00000104";

pub(super) async fn initiate(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    // Its body is empty, and so it may come without a length.
    receive::optional_document(body, &call.headers).await?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let url = url_encoding(&call.query)?;
    let record = UploadRecord {
        id: UploadId::new(format!("{:X}", uuid::Uuid::new_v4().simple())),
        key: key.clone(),
        initiated: call.now,
        headers: object_headers(call, bucket)?,
        sequential: call.query.has("sequential"),
    };
    let mut document = Document::new();
    document.element("InitiateMultipartUploadResult", |d| {
        if url {
            d.text("EncodingType", "url");
        }
        d.text("Bucket", bucket.name.as_str());
        d.text("Key", encoded(key.as_str(), url)).text("UploadId", record.id.as_str());
    });
    let mut response = xml(document);
    describe_encryption(response.headers_mut(), &record.headers);
    let forbid = forbids_overwrite(call, bucket) && !call.emulator.options().oss.forbid_at_complete_only;
    call.emulator
        .store()
        .create_upload(&bucket.name, record, forbid)
        .map_err(|error| OssError::of_store(error, &bucket.name))?;
    Ok(response)
}

pub(super) fn encoded(text: &str, url: bool) -> String {
    if url { encode::component(text) } else { text.to_owned() }
}

/// Returns the upload that the request names; `ec` is what the operation says if there is none.
pub(super) fn upload_of(call: &Call, ec: &'static str) -> Result<Upload, OssError> {
    let (bucket, key, id) = (call.bucket()?, call.key()?, call.query.get("uploadId").unwrap_or_default());
    call.emulator.store().upload(&bucket.name, key, &UploadId::new(id)).map_err(|error| match error {
        StoreError::NoSuchUpload => call.no_such_upload(id, ec),
        other => OssError::of_store(other, &bucket.name),
    })
}

pub(super) fn part_number(call: &Call) -> Result<PartNumber, OssError> {
    let text = call.query.get("partNumber").ok_or_else(|| {
        OssError::invalid_argument("PartNumber", "", "The part number is missing.").ec("0017-00000219")
    })?;
    text.parse().ok().and_then(PartNumber::new).ok_or_else(|| {
        OssError::invalid_argument(
            "PartNumber",
            text,
            "Part number must be an integer between 1 and 10000, inclusive.",
        )
        .ec("0017-00000220")
    })
}

/// Refuses an encryption in a request that only continues an upload.
pub(super) fn refuse_encryption(call: &Call) -> Result<(), OssError> {
    const NAMES: [&str; 3] = [
        "x-oss-server-side-encryption",
        "x-oss-server-side-encryption-key-id",
        "x-oss-server-side-data-encryption",
    ];
    match NAMES.iter().find_map(|name| Some((name, headers::text(&call.headers, name)?))) {
        None => Ok(()),
        Some((name, value)) => {
            let message = format!("{name} belongs to InitiateMultipartUpload.");
            Err(OssError::invalid_argument(name, value, message))
        }
    }
}

/// Refuses headers that belong to the object, and parts out of order where order was asked for.
pub(super) fn check_part(call: &Call, upload: &Upload, number: PartNumber) -> Result<(), OssError> {
    refuse_encryption(call)?;
    if !call.emulator.options().oss.ignore_traffic_limits {
        headers::check_traffic_limit(
            headers::text(&call.headers, "x-oss-traffic-limit"),
            call.query.get("x-oss-traffic-limit"),
        )?;
    }
    let last = upload.parts.keys().next_back().map_or(0, |last| last.get());
    if upload.record.sequential && number.get() != last && number.get() != last + 1 {
        return Err(OssError::new(400, "PartNotSequential", "The part is not the next one in order."));
    }
    Ok(())
}

/// Adds a part to the upload that the request names.
pub(super) fn add_part(
    call: &Call,
    upload: &Upload,
    part: PartRecord,
    ec: &'static str,
) -> Result<(), OssError> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let id = &upload.record.id;
    call.emulator.store().put_part(&bucket.name, key, id, part).map_err(|error| match error {
        StoreError::NoSuchUpload => call.no_such_upload(id.as_str(), ec),
        other => OssError::of_store(other, &bucket.name),
    })
}

/// Returns the ETag of a part: the MD5 of its bytes, unless what encrypts them has a part in it.
fn part_etag(call: &Call, upload: &Upload, sums: &Sums, size: u64) -> String {
    let plain = etag(sums, size);
    let oss = &call.emulator.options().oss;
    let opaque = |algorithm: &str| match algorithm {
        "AES256" => oss.opaque_aes256_etags,
        _ => oss.opaque_encrypted_etags,
    };
    match &upload.record.headers.encryption {
        Some(encryption) if opaque(&encryption.algorithm) => {
            let digest = Md5::digest(format!("{}{plain}", encryption.algorithm));
            digest.iter().map(|byte| format!("{byte:02X}")).collect()
        }
        _ => plain,
    }
}

pub(super) async fn upload_part(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let number = part_number(call)?;
    let upload = upload_of(call, NO_UPLOAD_FOR_PART)?;
    if let Err(refused) = check_part(call, &upload, number) {
        receive::drain(body).await;
        return Err(refused.into());
    }
    let claims = Claims::of(&call.headers)?;
    let writer = call.emulator.store().writer(claims.want_md5());
    let written = receive::store(body, writer, &claims, MAX_PART_SIZE).await?;
    let part = PartRecord {
        number,
        size: written.size,
        etag: part_etag(call, &upload, &written.sums, written.size),
        crc: Some(written.sums.crc),
        modified: call.now,
        segments: written.segment.into_iter().collect(),
    };
    let mut response = plain(StatusCode::OK);
    describe_new(response.headers_mut(), &part.etag, part.crc, &upload.record.headers);
    if let Some(md5) = content_md5(&written.sums) {
        set(response.headers_mut(), "content-md5", md5);
    }
    add_part(call, &upload, part, NO_UPLOAD_FOR_PART)?;
    Ok(response)
}

pub(super) fn abort(call: &Call) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let upload = upload_of(call, "0042-00000002")?;
    let id = &upload.record.id;
    call.emulator.store().abort_upload(&bucket.name, key, id).map_err(|error| match error {
        StoreError::NoSuchUpload => call.no_such_upload(id.as_str(), "0042-00000002"),
        other => OssError::of_store(other, &bucket.name),
    })?;
    Ok(plain(StatusCode::NO_CONTENT))
}

pub(super) fn list_parts(call: &Call) -> Result<Response<Body>, Failure> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let url = url_encoding(&call.query)?;
    let max = page_size(&call.query, "max-parts", 1000)?;
    let marker = call.query.get("part-number-marker").filter(|marker| !marker.is_empty()).unwrap_or("0");
    let after: u16 = marker.parse().ok().filter(|after| *after <= MAX_PARTS).ok_or_else(|| {
        OssError::invalid_argument("part-number-marker", marker, "The marker must be 0 to 10000.")
    })?;
    let upload = upload_of(call, "0042-00000002")?;
    let mut parts: Vec<&Part> =
        upload.parts.values().map(|part| &**part).filter(|part| part.record.number.get() > after).collect();
    let truncated = parts.len() > max;
    parts.truncate(max);
    let mut document = Document::new();
    document.element("ListPartsResult", |d| {
        if url {
            d.text("EncodingType", "url");
        }
        d.text("Bucket", bucket.name.as_str()).text("Key", encoded(key.as_str(), url));
        d.text("UploadId", upload.record.id.as_str());
        d.text("StorageClass", &upload.record.headers.storage_class);
        d.text("PartNumberMarker", after.to_string());
        let next = parts.last().map_or(after, |part| part.record.number.get());
        d.text("NextPartNumberMarker", next.to_string());
        d.text("MaxParts", max.to_string()).text("IsTruncated", truncated.to_string());
        for Part { record, .. } in parts {
            d.element("Part", |d| {
                d.text("PartNumber", record.number.to_string()).text("LastModified", iso(record.modified));
                d.text("ETag", quoted(&record.etag));
                d.optional("HashCrc64ecma", record.crc.map(|crc| crc.to_string()));
                d.text("Size", record.size.to_string());
            });
        }
    });
    Ok(xml(document))
}
