//! The end of a multipart upload: the object that it becomes.

use std::sync::Arc;

use http::Response;
use md5::{Digest, Md5};

use super::super::store::{Object, ObjectKind, ObjectRecord, Part, StoreError, Upload};
use super::answer::{quoted, xml};
use super::copy::sums;
use super::error::OssError;
use super::options::OssOptions;
use super::put::{content_md5, describe_new, describe_version, forbids_overwrite, version_id};
use super::upload::{encoded, refuse_encryption, upload_of};
use super::xml::{Document, parse};
use super::{Call, Failure, headers, receive, url_encoding};
use ossup_core::checksum;
use ossup_core::http::Body;
use ossup_core::model::limits::MIN_PART_SIZE;
use ossup_core::model::{Crc64, ETag, PartNumber};

/// The EC of NoSuchUpload of CompleteMultipartUpload.
const NO_UPLOAD_TO_COMPLETE: &str = "0042-00000203";

pub(super) async fn complete(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let (bucket, key) = (call.bucket()?, call.key()?);
    let url = url_encoding(&call.query)?;
    let oss = &call.emulator.options().oss;
    let upload = match upload_of(call, NO_UPLOAD_TO_COMPLETE) {
        Err(gone) if oss.repeat_complete && gone.code == "NoSuchUpload" => {
            let object = made_before(call).ok_or(gone)?;
            return Ok(answer(call, &object, url)?);
        }
        upload => upload?,
    };
    refuse_encryption(call)?;
    let all = headers::text(&call.headers, "x-oss-complete-all") == Some("yes");
    let parts: Vec<&Part> = if all {
        if !text.is_empty() {
            return Err(OssError::new(
                400,
                "InvalidArgument",
                "Should not speficy both complete all header and http body.",
            )
            .ec("0042-00000216")
            .into());
        }
        upload.parts.values().map(|part| &**part).collect()
    } else {
        listed(&upload, &text, oss)?
    };
    // An empty list is not refused: it makes an object of 0 bytes.
    if parts.is_empty() && oss.refuse_empty_list {
        return Err(OssError::malformed_xml().into());
    }
    check_sizes(&parts, oss.refuse_empty_part)?;
    let mut object_headers = upload.record.headers.clone();
    if let Some(acl) = headers::object_acl(&call.headers, bucket)? {
        object_headers.acl = Some(acl);
    }
    let mut record = ObjectRecord {
        key: key.clone(),
        size: parts.iter().map(|part| part.record.size).sum(),
        etag: multipart_etag(parts.iter().map(|part| part.record.etag.as_str())),
        crc: combined(&parts),
        content_md5: None,
        kind: ObjectKind::Multipart,
        modified: call.now,
        headers: object_headers,
        version_id: version_id(bucket),
        delete_marker: false,
        sequence: 0,
        upload_id: Some(upload.record.id.clone()),
        segments: parts.iter().flat_map(|part| part.record.segments.iter().cloned()).collect(),
    };
    let store = call.emulator.store();
    if upload.record.sequential && oss.sequential_md5 {
        let whole = sums(call, &store.hold(record.clone()), &record.segments).await?;
        record.content_md5 = content_md5(&whole);
    }
    let forbid = forbids_overwrite(call, bucket);
    let made = store.complete_upload(&bucket.name, &upload, record, forbid);
    if matches!(made, Err(StoreError::ObjectExists)) && oss.forbidden_complete_aborts {
        let aborted = store.abort_upload(&bucket.name, key, &upload.record.id);
        aborted.map_err(|error| OssError::of_store(error, &bucket.name))?;
    }
    let object = made.map_err(|error| match error {
        StoreError::NoSuchUpload => call.no_such_upload(upload.record.id.as_str(), NO_UPLOAD_TO_COMPLETE),
        other => OssError::of_store(other, &bucket.name),
    })?;
    Ok(answer(call, &object, url)?)
}

/// Returns the object that the upload of the request became.
fn made_before(call: &Call) -> Option<Arc<Object>> {
    let (bucket, key) = (call.bucket().ok()?, call.key().ok()?);
    let id = call.query.get("uploadId")?;
    let object = call.emulator.store().object(&bucket.name, key).ok()??;
    object.record.upload_id.as_ref().is_some_and(|made_of| made_of.as_str() == id).then_some(object)
}

fn answer(call: &Call, object: &Object, url: bool) -> Result<Response<Body>, OssError> {
    let (bucket, key) = (call.bucket()?, call.key()?);
    let record = &object.record;
    let mut document = Document::new();
    document.element("CompleteMultipartUploadResult", |d| {
        if url {
            d.text("EncodingType", "url");
        }
        d.text("Location", call.object_url()).text("Bucket", bucket.name.as_str());
        d.text("Key", encoded(key.as_str(), url)).text("ETag", quoted(&record.etag));
    });
    let mut response = xml(document);
    describe_new(response.headers_mut(), &record.etag, record.crc, &record.headers);
    describe_version(response.headers_mut(), bucket, record);
    Ok(response)
}

/// Returns the parts that the document of a Complete lists.
fn listed<'a>(upload: &'a Upload, text: &[u8], oss: &OssOptions) -> Result<Vec<&'a Part>, OssError> {
    let root = parse(text, "CompleteMultipartUpload").map_err(|_| OssError::malformed_xml())?;
    let mut parts = Vec::new();
    let mut last = 0;
    for element in root.children_of("Part") {
        let number = element.child_text("PartNumber").ok_or_else(OssError::malformed_xml)?;
        let number: u64 = number.parse().map_err(|_| OssError::malformed_xml())?;
        let etag = element.child_text("ETag").ok_or_else(OssError::malformed_xml)?;
        if number == last && last != 0 && oss.merge_repeated_parts {
            continue;
        }
        if number <= last {
            return Err(OssError::new(
                400,
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts list must specified in order by part \
                 number.",
            )
            .ec("0042-00000209"));
        }
        last = number;
        let found = u16::try_from(number).ok().and_then(PartNumber::new).and_then(|n| upload.parts.get(&n));
        match found {
            Some(part)
                if ETag::new(part.record.etag.as_str()) == ETag::new(etag)
                    && (!oss.exact_etags || etag == quoted(&part.record.etag)) =>
            {
                parts.push(&**part);
            }
            _ => {
                return Err(OssError::new(
                    400,
                    "InvalidPart",
                    "One or more of the specified parts could not be found or the specified entity tag might \
                     not have matched the part's entity tag.",
                )
                .element("UploadId", upload.record.id.as_str())
                .element("PartNumber", number.to_string()));
            }
        }
    }
    Ok(parts)
}

fn check_sizes(parts: &[&Part], refuse_empty: bool) -> Result<(), OssError> {
    let Some((last, before)) = parts.split_last() else { return Ok(()) };
    let empty = Some(last).filter(|last| refuse_empty && last.record.size == 0);
    match before.iter().find(|part| part.record.size < MIN_PART_SIZE).or(empty) {
        None => Ok(()),
        Some(part) => Err(OssError::new(
            400,
            "EntityTooSmall",
            "Your proposed upload smaller than the minimum allowed size.",
        )
        .ec("0042-00000213")
        .element("ProposedSize", part.record.size.to_string())
        .element("MinSizeAllowed", MIN_PART_SIZE.to_string())
        .element("PartNumber", part.record.number.to_string())),
    }
}

/// Returns the ETag of an object made of parts with these ETags: MD5 of their text, and their count.
fn multipart_etag<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        md5.update(etag.as_bytes());
    }
    let digest: String = md5.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{digest}-{count}")
}

fn combined(parts: &[&Part]) -> Option<Crc64> {
    parts
        .iter()
        .try_fold(Crc64(0), |sum, part| Some(checksum::combine(sum, part.record.crc?, part.record.size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_of_an_object_is_the_md5_of_its_parts_etags_as_text() {
        // The example of the CompleteMultipartUpload page.
        let parts = [
            "3349DC700140D7F86A078484278075A9",
            "8EFDA8BE206636A695359836FE0A0E0A",
            "8C315065167132444177411FDA149B92",
        ];
        assert_eq!(multipart_etag(parts.into_iter()), "B864DB6A936D376F9F8D3ED3BBE540DD-3");
    }
}
