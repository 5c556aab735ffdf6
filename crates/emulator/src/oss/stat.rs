//! What a bucket holds, by storage class.

use std::collections::BTreeMap;

use http::Response;

use super::answer::xml;
use super::error::OssError;
use super::xml::Document;
use super::{Call, Failure};
use ossup_core::http::Body;

/// Storage classes, and how their elements begin.
const CLASSES: [(&str, &str); 5] = [
    ("Standard", "Standard"),
    ("IA", "InfrequentAccess"),
    ("Archive", "Archive"),
    ("ColdArchive", "ColdArchive"),
    ("DeepColdArchive", "DeepColdArchive"),
];

/// Unlike the service, which counts once in a while, this counts now.
pub(super) fn get_bucket_stat(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let store = call.emulator.store();
    let of_store = |error| OssError::of_store(error, &bucket.name);
    let versions = store.versions(&bucket.name).map_err(of_store)?;
    let uploads = store.uploads(&bucket.name).map_err(of_store)?;
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut markers = 0_u64;
    for version in &versions {
        let record = &version.object.record;
        if record.delete_marker {
            markers += 1;
            continue;
        }
        let (size, count) = sums.entry(record.headers.storage_class.as_str()).or_default();
        *size += record.size;
        *count += 1;
    }
    let total = sums.values().fold((0, 0), |sum, class| (sum.0 + class.0, sum.1 + class.1));
    let parts = uploads.iter().filter_map(|upload| store.upload(&bucket.name, &upload.key, &upload.id).ok());
    let parts: usize = parts.map(|upload| upload.parts.len()).sum();
    let mut document = Document::new();
    document.element("BucketStat", |d| {
        d.text("Storage", total.0.to_string()).text("ObjectCount", total.1.to_string());
        d.text("MultipartUploadCount", uploads.len().to_string())
            .text("MultipartPartCount", parts.to_string());
        d.text("LiveChannelCount", "0").text("DeleteMarkerCount", markers.to_string());
        d.text("LastModifiedTime", call.now.as_second().to_string());
        for (class, prefix) in CLASSES {
            let (size, count) = sums.get(class).copied().unwrap_or_default();
            d.text(&format!("{prefix}Storage"), size.to_string());
            if class != "Standard" {
                d.text(&format!("{prefix}RealStorage"), size.to_string());
            }
            d.text(&format!("{prefix}ObjectCount"), count.to_string());
        }
    });
    Ok(xml(document))
}
