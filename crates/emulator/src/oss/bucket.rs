//! Operations on buckets and the service.

use http::{Response, StatusCode};

use super::super::store::{BucketRecord, Encryption, Versioning};
use super::answer::{plain, xml};
use super::error::OssError;
use super::headers::{self, check_acl, check_storage_class};
use super::receive;
use super::time::iso;
use super::xml::{Document, parse};
use super::{Call, Failure, page_size};
use ossup_core::http::Body;

pub(super) fn list_buckets(call: &Call) -> Result<Response<Body>, Failure> {
    let (prefix, marker) = (call.query.get("prefix"), call.query.get("marker"));
    let max = page_size(&call.query, "max-keys", 100)?;
    let mut buckets = call.emulator.store().buckets();
    let group = headers::text(&call.headers, "x-oss-resource-group-id");
    let (tag_key, tag_value) = (call.query.get("tag-key"), call.query.get("tag-value"));
    buckets.retain(|bucket| {
        let name = bucket.name.as_str();
        let tagged = tag_key.is_none_or(|key| {
            bucket.tags.iter().any(|(k, v)| k == key && tag_value.is_none_or(|value| v == value))
        });
        name.starts_with(prefix.unwrap_or_default())
            && marker.is_none_or(|marker| name > marker)
            && group.is_none_or(|group| bucket.resource_group == group)
            && tagged
    });
    let truncated = buckets.len() > max;
    buckets.truncate(max);
    let mut document = Document::new();
    document.element("ListAllMyBucketsResult", |d| {
        owner(d, buckets.first().map_or(super::super::store::DEFAULT_OWNER, |bucket| &bucket.owner));
        d.optional("Prefix", prefix).optional("Marker", marker);
        d.text("MaxKeys", max.to_string()).text("IsTruncated", truncated.to_string());
        if truncated {
            d.optional("NextMarker", buckets.last().map(|bucket| bucket.name.as_str()));
        }
        d.element("Buckets", |d| {
            for bucket in &buckets {
                d.element("Bucket", |d| {
                    d.text("CreationDate", iso(bucket.created));
                    endpoints(d, bucket);
                    d.text("Location", bucket.region.oss_id());
                    d.text("Name", bucket.name.as_str());
                    d.text("Region", bucket.region.as_str());
                    d.text("ResourceGroupId", &bucket.resource_group);
                    d.text("StorageClass", &bucket.storage_class);
                });
            }
        });
    });
    Ok(xml(document))
}

pub(super) fn owner(document: &mut Document, id: &str) {
    document.element("Owner", |d| {
        d.text("ID", id).text("DisplayName", id);
    });
}

fn endpoints(document: &mut Document, bucket: &BucketRecord) {
    let region = bucket.region.oss_id();
    document.text("ExtranetEndpoint", format!("{region}.aliyuncs.com"));
    document.text("IntranetEndpoint", format!("{region}-internal.aliyuncs.com"));
}

pub(super) async fn put_bucket(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let (name, region) = (call.bucket_name()?.clone(), call.request_region());
    let mut record = BucketRecord::new(name.clone(), region, call.now);
    record.block_public_access = call.emulator.options().block_public_access;
    record.encryption = headers::encryption_asked(&call.headers)?;
    if let Some(acl) = headers::text(&call.headers, "x-oss-acl") {
        check_acl("x-oss-acl", acl)?;
        headers::check_public(&record, acl)?;
        acl.clone_into(&mut record.acl);
    }
    if !text.is_empty() {
        let root = parse(&text, "CreateBucketConfiguration").map_err(|_| OssError::malformed_xml())?;
        if let Some(class) = root.child_text("StorageClass") {
            check_storage_class(class)?;
            class.clone_into(&mut record.storage_class);
        }
        if let Some(redundancy) = root.child_text("DataRedundancyType") {
            if !matches!(redundancy, "LRS" | "ZRS") {
                return Err(OssError::malformed_xml().into());
            }
            redundancy.clone_into(&mut record.redundancy);
        }
        if let Some(location) = root.child_text("LocationConstraint")
            && location != record.region.oss_id()
        {
            return Err(OssError::new(
                400,
                "InvalidLocationConstraint",
                "The specified location-constraint is not valid.",
            )
            .into());
        }
    }
    call.emulator.store().create_bucket(record).map_err(|error| OssError::of_store(error, &name))?;
    let mut response = plain(StatusCode::OK);
    super::answer::set(response.headers_mut(), "location", format!("/{name}"));
    Ok(response)
}

pub(super) fn delete_bucket(call: &Call) -> Result<Response<Body>, Failure> {
    let name = call.bucket_name()?;
    call.emulator.store().delete_bucket(name).map_err(|error| OssError::of_store(error, name))?;
    Ok(plain(StatusCode::NO_CONTENT))
}

pub(super) fn get_bucket_info(call: &Call) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let mut document = Document::new();
    document.element("BucketInfo", |d| {
        d.element("Bucket", |d| {
            d.text("AccessMonitor", "Disabled");
            d.text("BlockPublicAccess", bucket.block_public_access.to_string()).text("Comment", "");
            d.text("CreationDate", iso(bucket.created)).text("CrossRegionReplication", "Disabled");
            d.text("DataRedundancyType", &bucket.redundancy);
            endpoints(d, bucket);
            d.text("Location", bucket.region.oss_id()).text("Name", bucket.name.as_str());
            d.text("ResourceGroupId", &bucket.resource_group);
            d.text("StorageClass", &bucket.storage_class).text("TransferAcceleration", "Disabled");
            owner(d, &bucket.owner);
            d.element("AccessControlList", |d| {
                d.text("Grant", &bucket.acl);
            });
            d.element("ServerSideEncryptionRule", |d| {
                let algorithm = bucket.encryption.as_ref().map_or("None", |rule| &rule.algorithm);
                d.text("SSEAlgorithm", algorithm);
                let key = bucket.encryption.as_ref().and_then(|rule| rule.key_id.as_deref());
                d.optional("KMSMasterKeyID", key);
                let data = bucket.encryption.as_ref().and_then(|rule| rule.data_algorithm.as_deref());
                d.optional("KMSDataEncryption", data);
            });
            d.optional("Versioning", bucket.versioning.map(versioning_name));
        });
    });
    Ok(xml(document))
}

/// No bucket here has a retention policy: none can be set.
pub(super) fn get_bucket_worm(call: &Call) -> Result<Response<Body>, Failure> {
    call.bucket()?;
    Err(OssError::new(404, "NoSuchWORMConfiguration", "The WORM Configuration does not exist.").into())
}

pub(super) fn get_bucket_location(call: &Call) -> Result<Response<Body>, Failure> {
    let mut document = Document::new();
    document.text("LocationConstraint", call.bucket()?.region.oss_id());
    Ok(xml(document))
}

pub(super) async fn put_bucket_encryption(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let root = parse(&text, "ServerSideEncryptionRule").map_err(|_| OssError::malformed_configuration())?;
    let rule =
        root.child("ApplyServerSideEncryptionByDefault").ok_or_else(OssError::malformed_configuration)?;
    let algorithm = rule.child_text("SSEAlgorithm").ok_or_else(OssError::malformed_configuration)?;
    let key_id = rule.child_text("KMSMasterKeyID").filter(|id| !id.is_empty());
    let encryption = headers::encryption(Some(algorithm), key_id, rule.child_text("KMSDataEncryption"))?;
    change(call, |record| record.encryption = encryption)
}

pub(super) fn get_bucket_encryption(call: &Call) -> Result<Response<Body>, Failure> {
    let Some(Encryption { algorithm, key_id, data_algorithm }) = &call.bucket()?.encryption else {
        return Err(OssError::new(
            404,
            "NoSuchServerSideEncryptionRule",
            "The server side encryption configuration does not exist.",
        )
        .into());
    };
    let mut document = Document::new();
    document.element("ServerSideEncryptionRule", |d| {
        d.element("ApplyServerSideEncryptionByDefault", |d| {
            d.text("SSEAlgorithm", algorithm).optional("KMSMasterKeyID", key_id.as_deref());
            d.optional("KMSDataEncryption", data_algorithm.as_deref());
        });
    });
    Ok(xml(document))
}

pub(super) fn delete_bucket_encryption(call: &Call) -> Result<Response<Body>, Failure> {
    change(call, |record| record.encryption = None)?;
    Ok(plain(StatusCode::NO_CONTENT))
}

pub(super) async fn put_bucket_versioning(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let root = parse(&text, "VersioningConfiguration").map_err(|_| OssError::malformed_configuration())?;
    let versioning = match root.child_text("Status") {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => return Err(OssError::malformed_configuration().into()),
    };
    change(call, |record| record.versioning = Some(versioning))
}

pub(super) fn get_bucket_versioning(call: &Call) -> Result<Response<Body>, Failure> {
    let versioning = call.bucket()?.versioning;
    let mut document = Document::new();
    document.element("VersioningConfiguration", |d| {
        d.optional("Status", versioning.map(versioning_name));
    });
    Ok(xml(document))
}

fn versioning_name(versioning: Versioning) -> &'static str {
    match versioning {
        Versioning::Enabled => "Enabled",
        Versioning::Suspended => "Suspended",
    }
}

pub(super) fn change(call: &Call, change: impl FnOnce(&mut BucketRecord)) -> Result<Response<Body>, Failure> {
    let name = call.bucket_name()?;
    call.emulator.store().update_bucket(name, change).map_err(|error| OssError::of_store(error, name))?;
    Ok(plain(StatusCode::OK))
}
