//! Which operation a request is: from method, resource, query and headers.

use http::{HeaderMap, Method};

use super::address::{Query, Target};
use super::error::OssError;

/// The operations that the emulator knows, named as in the API reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    ListBuckets,
    PutBucket,
    DeleteBucket,
    GetBucketInfo,
    GetBucketLocation,
    PutBucketEncryption,
    GetBucketEncryption,
    DeleteBucketEncryption,
    PutBucketVersioning,
    GetBucketVersioning,
    ListObjects,
    ListObjectsV2,
    ListMultipartUploads,
    DeleteMultipleObjects,
    PutObject,
    GetObject,
    HeadObject,
    GetObjectMeta,
    DeleteObject,
    CopyObject,
    AppendObject,
    InitiateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
}

impl Op {
    /// Returns the name in the API reference.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListBuckets => "ListBuckets",
            Self::PutBucket => "PutBucket",
            Self::DeleteBucket => "DeleteBucket",
            Self::GetBucketInfo => "GetBucketInfo",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::PutBucketEncryption => "PutBucketEncryption",
            Self::GetBucketEncryption => "GetBucketEncryption",
            Self::DeleteBucketEncryption => "DeleteBucketEncryption",
            Self::PutBucketVersioning => "PutBucketVersioning",
            Self::GetBucketVersioning => "GetBucketVersioning",
            Self::ListObjects => "ListObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::DeleteMultipleObjects => "DeleteMultipleObjects",
            Self::PutObject => "PutObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::GetObjectMeta => "GetObjectMeta",
            Self::DeleteObject => "DeleteObject",
            Self::CopyObject => "CopyObject",
            Self::AppendObject => "AppendObject",
            Self::InitiateMultipartUpload => "InitiateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListParts => "ListParts",
        }
    }

    /// Whether it makes an object or an upload, so that a missing bucket may be made for it.
    pub(crate) fn makes_objects(self) -> bool {
        matches!(
            self,
            Self::PutObject | Self::CopyObject | Self::AppendObject | Self::InitiateMultipartUpload
        )
    }

    /// Whether it takes in the body of its request.
    pub(crate) fn reads_body(self) -> bool {
        matches!(
            self,
            Self::PutBucket
                | Self::PutBucketEncryption
                | Self::PutBucketVersioning
                | Self::DeleteMultipleObjects
                | Self::PutObject
                | Self::AppendObject
                | Self::InitiateMultipartUpload
                | Self::UploadPart
                | Self::CompleteMultipartUpload
        )
    }

    /// Whether it only reads an object, which a `public-read` bucket allows to everyone.
    pub(crate) fn reads_object(self) -> bool {
        matches!(self, Self::GetObject | Self::HeadObject | Self::GetObjectMeta)
    }
}

/// Sub-resources that change what a request means and that the emulator does not know. Other unknown
/// parameters are ignored, as the service does.
const UNKNOWN_SUBRESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "callback",
    "callback-var",
    "cloudboxes",
    "cname",
    "comp",
    "cors",
    "group",
    "httpsConfig",
    "img",
    "inventory",
    "lifecycle",
    "link",
    "live",
    "logging",
    "metaQuery",
    "objectInfo",
    "policy",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requesterQosInfo",
    "requestPayment",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "restore",
    "stat",
    "style",
    "symlink",
    "tagging",
    "transferAcceleration",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-process",
    "x-oss-async-process",
];

/// Headers that change what a request means and that the emulator does not know.
const UNKNOWN_HEADERS: &[&str] =
    &["x-oss-callback", "x-oss-callback-var", "x-oss-multi-range-behavior", "x-oss-hash-ctx"];

/// Returns the operation.
///
/// # Errors
///
/// 405 for a method that no resource knows, 501 for what the emulator does not.
pub(crate) fn route(
    method: &Method,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Op, OssError> {
    if let Some(name) = UNKNOWN_SUBRESOURCES.iter().find(|name| query.has(name)) {
        return Err(OssError::not_implemented(*name));
    }
    if let Some(name) = UNKNOWN_HEADERS.iter().find(|name| headers.contains_key(**name)) {
        return Err(OssError::not_implemented(*name));
    }
    let found = match (&target.bucket, &target.key) {
        (None, _) => (method == Method::GET).then_some(Op::ListBuckets),
        (Some(_), None) => bucket_operation(method, query),
        (Some(_), Some(_)) => object_operation(method, query, headers),
    };
    found.ok_or_else(|| {
        OssError::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
            .ec("0017-00000001")
            .element("Method", method.as_str())
            .element("ResourceType", if target.key.is_some() { "OBJECT" } else { "BUCKET" })
    })
}

fn bucket_operation(method: &Method, query: &Query) -> Option<Op> {
    let found = match method.as_str() {
        "PUT" if query.has("encryption") => Op::PutBucketEncryption,
        "GET" if query.has("encryption") => Op::GetBucketEncryption,
        "DELETE" if query.has("encryption") => Op::DeleteBucketEncryption,
        "PUT" if query.has("versioning") => Op::PutBucketVersioning,
        "GET" if query.has("versioning") => Op::GetBucketVersioning,
        "GET" if query.has("bucketInfo") => Op::GetBucketInfo,
        "GET" if query.has("location") => Op::GetBucketLocation,
        "GET" if query.has("uploads") => Op::ListMultipartUploads,
        "GET" if query.get("list-type") == Some("2") => Op::ListObjectsV2,
        "GET" => Op::ListObjects,
        "POST" if query.has("delete") => Op::DeleteMultipleObjects,
        "PUT" => Op::PutBucket,
        "DELETE" => Op::DeleteBucket,
        _ => return None,
    };
    Some(found)
}

fn object_operation(method: &Method, query: &Query, headers: &HeaderMap) -> Option<Op> {
    let copies = headers.contains_key("x-oss-copy-source");
    let part = query.has("uploadId") || query.has("partNumber");
    let found = match method.as_str() {
        "POST" if query.has("uploads") => Op::InitiateMultipartUpload,
        "POST" if query.has("uploadId") => Op::CompleteMultipartUpload,
        "POST" if query.has("append") => Op::AppendObject,
        "PUT" if part && copies => Op::UploadPartCopy,
        "PUT" if part => Op::UploadPart,
        "PUT" if copies => Op::CopyObject,
        "PUT" => Op::PutObject,
        "GET" if query.has("uploadId") => Op::ListParts,
        "GET" => Op::GetObject,
        "HEAD" if query.has("objectMeta") => Op::GetObjectMeta,
        "HEAD" => Op::HeadObject,
        "DELETE" if query.has("uploadId") => Op::AbortMultipartUpload,
        "DELETE" => Op::DeleteObject,
        _ => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str, query: &str, header: Option<&'static str>) -> Result<Op, String> {
        let target =
            super::super::address::target("127.0.0.1", path, &"r-1".parse().unwrap(), &Default::default());
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header, "/b/k".parse().unwrap());
        }
        let method = method.parse().unwrap();
        route(&method, &target.unwrap(), &Query::parse(query).unwrap(), &headers)
            .map_err(|error| error.code.into_owned())
    }

    #[test]
    fn method_resource_and_query_tell_the_operation() {
        let copy = Some("x-oss-copy-source");
        for (method, path, query, header, op) in [
            ("GET", "/", "", None, Ok(Op::ListBuckets)),
            ("POST", "/", "", None, Err("MethodNotAllowed")),
            ("PUT", "/bkt", "", None, Ok(Op::PutBucket)),
            ("GET", "/bkt/", "uploads=&prefix=a", None, Ok(Op::ListMultipartUploads)),
            ("GET", "/bkt/", "list-type=2", None, Ok(Op::ListObjectsV2)),
            ("GET", "/bkt/", "acl", None, Err("NotImplemented")),
            ("POST", "/bkt/k", "uploads", None, Ok(Op::InitiateMultipartUpload)),
            ("POST", "/bkt/k", "uploads=", None, Ok(Op::InitiateMultipartUpload)),
            ("PUT", "/bkt/k", "partNumber=1&uploadId=A", None, Ok(Op::UploadPart)),
            ("PUT", "/bkt/k", "uploadId=A", copy, Ok(Op::UploadPartCopy)),
            ("PUT", "/bkt/k", "", copy, Ok(Op::CopyObject)),
            ("PUT", "/bkt/k", "", Some("x-oss-callback"), Err("NotImplemented")),
            ("POST", "/bkt/k", "uploadId=A", None, Ok(Op::CompleteMultipartUpload)),
            ("POST", "/bkt/k", "append&position=0", None, Ok(Op::AppendObject)),
            ("DELETE", "/bkt/k", "uploadId=A", None, Ok(Op::AbortMultipartUpload)),
            ("GET", "/bkt/k", "uploadId=A", None, Ok(Op::ListParts)),
            ("HEAD", "/bkt/k", "objectMeta", None, Ok(Op::GetObjectMeta)),
            ("HEAD", "/bkt/", "", None, Err("MethodNotAllowed")),
            ("GET", "/bkt/k", "unknown=1", None, Ok(Op::GetObject)),
        ] {
            assert!(op.is_err() || op.is_ok_and(|op: Op| op.name() == format!("{op:?}")));
            let op = op.map_err(str::to_owned);
            assert_eq!(of(method, path, query, header), op, "{method} {path}?{query}");
        }
    }
}
