//! Operations that delete objects and versions of them.

use http::{Response, StatusCode};

use super::super::store::{NULL_VERSION, ObjectHeaders, ObjectKind, ObjectRecord};
use super::answer::{plain, set, xml};
use super::error::OssError;
use super::put::{is_version_id, version_id};
use super::upload::encoded;
use super::xml::{Document, parse};
use super::{Call, Failure, receive};
use ossup_core::http::Body;
use ossup_core::model::ObjectKey;

/// The result of a deletion.
#[derive(Debug, Default)]
struct Deleted {
    /// The version that was deleted or made; none in a bucket without versions.
    version: Option<String>,
    /// Whether that version is a delete marker.
    marker: bool,
}

/// Deletes a version for good, or the object: where versions are kept by a marker on top of them.
fn delete(call: &Call, key: &ObjectKey, version: Option<&str>) -> Result<Deleted, OssError> {
    let bucket = call.bucket()?;
    if let Some(text) = version.filter(|version| !is_version_id(version)) {
        return Err(OssError::invalid_argument("versionId", text, "Invalid version id specified"));
    }
    let store = call.emulator.store();
    let of_store = |error| OssError::of_store(error, &bucket.name);
    if bucket.versioning.is_none() {
        if version.is_none_or(|version| version == NULL_VERSION) {
            store.delete_version(&bucket.name, key, NULL_VERSION).map_err(of_store)?;
        }
        return Ok(Deleted::default());
    }
    if let Some(version) = version {
        let removed = store.delete_version(&bucket.name, key, version).map_err(of_store)?;
        let marker = removed.is_some_and(|object| object.record.delete_marker);
        return Ok(Deleted { version: Some(version.to_owned()), marker });
    }
    let record = ObjectRecord {
        key: key.clone(),
        size: 0,
        etag: String::new(),
        crc: None,
        content_md5: None,
        kind: ObjectKind::Normal,
        modified: call.now,
        headers: ObjectHeaders::default(),
        version_id: version_id(bucket),
        delete_marker: true,
        sequence: 0,
        upload_id: None,
        segments: Vec::new(),
    };
    let marker = store.put_object(&bucket.name, record, false).map_err(of_store)?;
    Ok(Deleted { version: Some(marker.record.version().to_owned()), marker: true })
}

pub(super) fn delete_object(call: &Call) -> Result<Response<Body>, Failure> {
    let version = call.query.get("versionId");
    let deleted = delete(call, call.key()?, version)?;
    let mut response = plain(StatusCode::NO_CONTENT);
    if let Some(version) = deleted.version {
        set(response.headers_mut(), "x-oss-version-id", version);
    }
    if deleted.marker {
        set(response.headers_mut(), "x-oss-delete-marker", "true");
    }
    Ok(response)
}

pub(super) async fn delete_multiple_objects(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let root = parse(&text, "Delete").map_err(|_| OssError::malformed_xml())?;
    let quiet = root.child_text("Quiet") == Some("true");
    let url = super::url_encoding(&call.query)?;
    let objects: Vec<_> = root.children_of("Object").collect();
    if objects.is_empty() || objects.len() > 1000 {
        return Err(OssError::malformed_xml().into());
    }
    // All are read before the first is deleted.
    let mut asked = Vec::new();
    for object in objects {
        let name = object.child_text("Key").ok_or_else(OssError::malformed_xml)?;
        let key: ObjectKey = name.parse().map_err(|_| super::address::invalid_object_name())?;
        let version = object.child_text("VersionId");
        if let Some(text) = version.filter(|version| !is_version_id(version)) {
            return Err(OssError::invalid_argument("VersionId", text, "Invalid version id specified").into());
        }
        asked.push((key, version));
    }
    let mut deleted = Vec::new();
    for (key, version) in asked {
        deleted.push((delete(call, &key, version)?, key, version));
    }
    let mut document = Document::new();
    document.element("DeleteResult", |d| {
        if url {
            d.text("EncodingType", "url");
        }
        for (result, key, version) in deleted.into_iter().filter(|_| !quiet) {
            d.element("Deleted", |d| {
                d.text("Key", encoded(key.as_str(), url)).optional("VersionId", version);
                if result.marker {
                    d.text("DeleteMarker", "true").optional("DeleteMarkerVersionId", result.version);
                }
            });
        }
    });
    Ok(xml(document))
}
