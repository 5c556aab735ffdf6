//! Listings of objects and of open uploads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;

use super::super::store::{Object, UploadRecord};
use super::answer::{quoted, xml};
use super::error::OssError;
use super::time::iso;
use super::upload::encoded;
use super::xml::Document;
use super::{Call, Failure, page_size, url_encoding};
use ossup_core::http::Body;

/// One row of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row<'a, T> {
    Item(&'a T),
    /// All keys that share this prefix, which ends in the delimiter.
    Prefix(&'a str),
}

/// A page of a listing.
#[derive(Debug)]
pub(super) struct Page<'a, T> {
    pub(super) rows: Vec<Row<'a, T>>,
    pub(super) truncated: bool,
}

/// Cuts a page out of `items`, which are sorted by key and lie behind the marker. Groups up to `marker` have
/// been listed before.
pub(super) fn page<'a, T>(
    items: impl Iterator<Item = (&'a str, &'a T)>,
    prefix: &str,
    delimiter: &str,
    marker: &str,
    max: usize,
) -> Page<'a, T> {
    let mut rows: Vec<Row<'a, T>> = Vec::new();
    for (key, item) in items.filter(|(key, _)| key.starts_with(prefix)) {
        let group = match delimiter {
            "" => None,
            delimiter => {
                key[prefix.len()..].find(delimiter).map(|at| &key[..prefix.len() + at + delimiter.len()])
            }
        };
        let row = match group {
            Some(group) if group <= marker => continue,
            Some(group) if matches!(rows.last(), Some(Row::Prefix(last)) if *last == group) => continue,
            Some(group) => Row::Prefix(group),
            None => Row::Item(item),
        };
        if rows.len() == max {
            return Page { rows, truncated: true };
        }
        rows.push(row);
    }
    Page { rows, truncated: false }
}

pub(super) fn list_objects(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let get = |name| call.query.get(name).unwrap_or_default();
    let (prefix, delimiter, marker) = (get("prefix"), get("delimiter"), get("marker"));
    let url = url_encoding(&call.query)?;
    let max = page_size(&call.query, "max-keys", 100)?;
    let objects = objects(call)?;
    let page = object_page(&objects, prefix, delimiter, marker, max);
    let mut document = Document::new();
    document.element("ListBucketResult", |d| {
        encoding(d, url);
        d.text("Name", bucket.name.as_str()).text("Prefix", encoded(prefix, url));
        d.text("Marker", encoded(marker, url)).text("MaxKeys", max.to_string());
        d.text("Delimiter", encoded(delimiter, url)).text("IsTruncated", page.truncated.to_string());
        if page.truncated {
            d.text("NextMarker", encoded(last_key(&page), url));
        }
        object_rows(d, &page, url, Some(&bucket.owner));
    });
    Ok(xml(document))
}

pub(super) fn list_objects_v2(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let get = |name| call.query.get(name).unwrap_or_default();
    let (prefix, delimiter, start) = (get("prefix"), get("delimiter"), get("start-after"));
    let url = url_encoding(&call.query)?;
    let max = page_size(&call.query, "max-keys", 100)?;
    let token = call.query.get("continuation-token").filter(|token| !token.is_empty());
    let resumed = token.map(read_token).transpose()?;
    let marker = resumed.as_deref().unwrap_or(start);
    let fetch_owner = get("fetch-owner").eq_ignore_ascii_case("true");
    let objects = objects(call)?;
    let page = object_page(&objects, prefix, delimiter, marker, max);
    let mut document = Document::new();
    document.element("ListBucketResult", |d| {
        encoding(d, url);
        d.text("Name", bucket.name.as_str()).text("Prefix", encoded(prefix, url));
        d.text("StartAfter", encoded(start, url)).text("MaxKeys", max.to_string());
        d.text("Delimiter", encoded(delimiter, url)).text("IsTruncated", page.truncated.to_string());
        d.optional("ContinuationToken", token);
        if page.truncated {
            d.text("NextContinuationToken", URL_SAFE_NO_PAD.encode(last_key(&page)));
        }
        d.text("KeyCount", page.rows.len().to_string());
        object_rows(d, &page, url, fetch_owner.then_some(&bucket.owner));
    });
    Ok(xml(document))
}

fn read_token(token: &str) -> Result<String, OssError> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
    key.ok_or_else(|| {
        OssError::invalid_argument("continuation-token", token, "The continuation token is invalid.")
    })
}

fn objects(call: &Call) -> Result<Vec<std::sync::Arc<Object>>, OssError> {
    let name = call.bucket_name()?;
    call.emulator.store().objects(name).map_err(|error| OssError::of_store(error, name))
}

fn object_page<'a>(
    objects: &'a [std::sync::Arc<Object>],
    prefix: &str,
    delimiter: &str,
    marker: &str,
    max: usize,
) -> Page<'a, Object> {
    let first = objects.partition_point(|object| object.record.key.as_str() <= marker);
    let items = objects[first..].iter().map(|object| (object.record.key.as_str(), &**object));
    page(items, prefix, delimiter, marker, max)
}

fn last_key<'a>(page: &Page<'a, Object>) -> &'a str {
    match page.rows.last() {
        Some(Row::Item(object)) => object.record.key.as_str(),
        Some(Row::Prefix(prefix)) => prefix,
        None => "",
    }
}

pub(super) fn encoding(document: &mut Document, url: bool) {
    if url {
        document.text("EncodingType", "url");
    }
}

fn object_rows(document: &mut Document, page: &Page<'_, Object>, url: bool, owner: Option<&String>) {
    for row in &page.rows {
        let Row::Item(Object { record, .. }) = row else { continue };
        document.element("Contents", |d| {
            d.text("Key", encoded(record.key.as_str(), url)).text("LastModified", iso(record.modified));
            d.text("ETag", quoted(&record.etag)).text("Type", record.kind.as_str());
            d.text("Size", record.size.to_string()).text("StorageClass", &record.headers.storage_class);
            if let Some(owner) = owner {
                d.element("Owner", |d| {
                    d.text("ID", owner).text("DisplayName", owner);
                });
            }
        });
    }
    prefixes(document, page, url);
}

pub(super) fn prefixes<T>(document: &mut Document, page: &Page<'_, T>, url: bool) {
    for row in &page.rows {
        if let Row::Prefix(prefix) = row {
            document.element("CommonPrefixes", |d| {
                d.text("Prefix", encoded(prefix, url));
            });
        }
    }
}

pub(super) fn list_multipart_uploads(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let get = |name| call.query.get(name).unwrap_or_default();
    let (prefix, delimiter, key_marker) = (get("prefix"), get("delimiter"), get("key-marker"));
    // The id counts only together with a key.
    let id_marker = if key_marker.is_empty() { "" } else { get("upload-id-marker") };
    let url = url_encoding(&call.query)?;
    let max = page_size(&call.query, "max-uploads", 1000)?;
    let store = call.emulator.store();
    let uploads = store.uploads(&bucket.name).map_err(|error| OssError::of_store(error, &bucket.name))?;
    let behind = |upload: &UploadRecord| {
        let key = upload.key.as_str();
        key > key_marker || (key == key_marker && !id_marker.is_empty() && upload.id.as_str() > id_marker)
    };
    let items = uploads.iter().filter(|upload| behind(upload));
    let page = page(items.map(|upload| (upload.key.as_str(), &**upload)), prefix, delimiter, key_marker, max);
    let mut document = Document::new();
    document.element("ListMultipartUploadsResult", |d| {
        encoding(d, url);
        d.text("Bucket", bucket.name.as_str()).text("KeyMarker", encoded(key_marker, url));
        d.text("UploadIdMarker", id_marker);
        let (key, id) = match page.rows.last() {
            Some(Row::Item(upload)) => (upload.key.as_str(), upload.id.as_str()),
            Some(Row::Prefix(prefix)) => (*prefix, ""),
            None => ("", ""),
        };
        d.text("NextKeyMarker", encoded(key, url)).text("NextUploadIdMarker", id);
        d.text("Delimiter", encoded(delimiter, url)).text("Prefix", encoded(prefix, url));
        d.text("MaxUploads", max.to_string()).text("IsTruncated", page.truncated.to_string());
        for row in &page.rows {
            let Row::Item(upload) = row else { continue };
            d.element("Upload", |d| {
                d.text("Key", encoded(upload.key.as_str(), url)).text("UploadId", upload.id.as_str());
                d.text("StorageClass", &upload.headers.storage_class);
                d.text("Initiated", iso(upload.initiated));
            });
        }
        prefixes(d, &page, url);
    });
    Ok(xml(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(keys: &[&str], prefix: &str, delimiter: &str, marker: &str, max: usize) -> (Vec<String>, bool) {
        let items = keys.iter().filter(|key| **key > marker).map(|key| (*key, key));
        let page = page(items, prefix, delimiter, marker, max);
        let rows = page.rows.iter().map(|row| match row {
            Row::Item(key) => (**key).to_owned(),
            Row::Prefix(prefix) => format!("[{prefix}]"),
        });
        (rows.collect(), page.truncated)
    }

    #[test]
    fn keys_that_share_a_prefix_are_one_row() {
        let keys = ["a", "b/1", "b/2", "b/c/3", "c", "d/1"];
        let rows = |list: &[&str], truncated| (list.iter().map(|row| (*row).to_owned()).collect(), truncated);
        assert_eq!(shown(&keys, "", "/", "", 10), rows(&["a", "[b/]", "c", "[d/]"], false));
        assert_eq!(shown(&keys, "", "/", "", 2), rows(&["a", "[b/]"], true));
        assert_eq!(shown(&keys, "", "/", "b/", 2), rows(&["c", "[d/]"], false));
        assert_eq!(shown(&keys, "b/", "/", "", 10), rows(&["b/1", "b/2", "[b/c/]"], false));
        assert_eq!(shown(&keys, "", "", "b/1", 2), rows(&["b/2", "b/c/3"], true));
    }

    proptest! {
        #[test]
        fn pages_together_are_the_listing(
            keys in prop::collection::btree_set("[ab/]{1,5}", 0..30),
            delimiter in prop::sample::select(vec!["", "/"]),
            max in 1_usize..5,
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let (whole, _) = shown(&keys, "", delimiter, "", 1000);
            let (mut rows, mut marker) = (Vec::new(), String::new());
            loop {
                let (page, truncated) = shown(&keys, "", delimiter, &marker, max);
                prop_assert!(page.len() <= max);
                if let Some(last) = page.last() {
                    marker = last.trim_matches(['[', ']']).to_owned();
                }
                rows.extend(page);
                if !truncated {
                    break;
                }
            }
            prop_assert_eq!(rows, whole);
        }
    }
}
