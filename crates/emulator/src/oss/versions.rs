//! The listing of versions.

use http::Response;

use super::super::store::Version;
use super::answer::{quoted, xml};
use super::bucket::owner;
use super::error::OssError;
use super::list::{Row, encoding, page, prefixes};
use super::time::iso;
use super::upload::encoded;
use super::xml::Document;
use super::{Call, Failure, page_size, url_encoding};
use ossup_core::http::Body;
use ossup_core::model::limits::MAX_KEY_BYTES;

pub(super) fn list_object_versions(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let get = |name: &'static str| {
        let text = call.query.get(name).unwrap_or_default();
        match text.len() <= MAX_KEY_BYTES {
            true => Ok(text),
            false => {
                Err(OssError::invalid_argument(name, text, "The length of the parameter exceeds the limit."))
            }
        }
    };
    let (prefix, delimiter) = (get("prefix")?, get("delimiter")?);
    let (key_marker, version_marker) = (get("key-marker")?, get("version-id-marker")?);
    if key_marker.is_empty() && !version_marker.is_empty() {
        let message = "A version-id marker cannot be specified without a key marker.";
        return Err(OssError::invalid_argument("version-id-marker", version_marker, message).into());
    }
    let url = url_encoding(&call.query)?;
    let max = page_size(&call.query, "max-keys", 100)?;
    let store = call.emulator.store();
    let versions = store.versions(&bucket.name).map_err(|error| OssError::of_store(error, &bucket.name))?;
    let key_of = |version: &Version| version.object.record.key.as_str().to_owned();
    let marked = |version: &Version| {
        key_of(version) == key_marker && version.object.record.version() == version_marker
    };
    // Behind the version that is marked, or else behind its key.
    let first = match versions.iter().position(marked) {
        Some(at) => at + 1,
        None => versions.partition_point(|version| version.object.record.key.as_str() <= key_marker),
    };
    let items = versions[first..].iter().map(|version| (version.object.record.key.as_str(), version));
    let page = page(items, prefix, delimiter, key_marker, max);
    let mut document = Document::new();
    document.element("ListVersionsResult", |d| {
        encoding(d, url);
        d.text("Name", bucket.name.as_str()).text("Prefix", encoded(prefix, url));
        d.text("KeyMarker", encoded(key_marker, url)).text("VersionIdMarker", version_marker);
        d.text("MaxKeys", max.to_string()).text("Delimiter", encoded(delimiter, url));
        d.text("IsTruncated", page.truncated.to_string());
        if page.truncated {
            let (key, version) = match page.rows.last() {
                Some(Row::Item(last)) => (last.object.record.key.as_str(), last.object.record.version()),
                Some(Row::Prefix(prefix)) => (*prefix, ""),
                None => ("", ""),
            };
            d.text("NextKeyMarker", encoded(key, url)).text("NextVersionIdMarker", version);
        }
        for row in &page.rows {
            let Row::Item(Version { object, latest }) = row else { continue };
            let record = &object.record;
            d.element(if record.delete_marker { "DeleteMarker" } else { "Version" }, |d| {
                d.text("Key", encoded(record.key.as_str(), url)).text("VersionId", record.version());
                d.text("IsLatest", latest.to_string()).text("LastModified", iso(record.modified));
                if !record.delete_marker {
                    d.text("ETag", quoted(&record.etag)).text("Type", record.kind.as_str());
                    d.text("Size", record.size.to_string());
                    d.text("StorageClass", &record.headers.storage_class);
                }
                owner(d, &bucket.owner);
            });
        }
        prefixes(d, &page, url);
    });
    Ok(xml(document))
}
