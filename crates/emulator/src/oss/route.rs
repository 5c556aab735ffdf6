//! Which operation a request is: from method, resource, query and headers.

use http::{HeaderMap, Method};

use super::address::{Query, Target};
use super::allowed;
use super::error::OssError;

macro_rules! operations {
    ($($name:ident,)*) => {
        /// The operations that the emulator knows, named as in the API reference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Op {
            $($name,)*
        }

        impl Op {
            /// All operations, in no order that means anything.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name in the API reference.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

operations! {
    ListBuckets,
    PutBucket,
    DeleteBucket,
    GetBucketInfo,
    GetBucketLocation,
    GetBucketWorm,
    PutBucketEncryption,
    GetBucketEncryption,
    DeleteBucketEncryption,
    PutBucketVersioning,
    GetBucketVersioning,
    GetBucketStat,
    PutBucketAcl,
    GetBucketAcl,
    PutBucketTags,
    GetBucketTags,
    DeleteBucketTags,
    PutBucketPublicAccessBlock,
    GetBucketPublicAccessBlock,
    DeleteBucketPublicAccessBlock,
    PutBucketCors,
    GetBucketCors,
    DeleteBucketCors,
    PutBucketLogging,
    GetBucketLogging,
    DeleteBucketLogging,
    ListLiveChannel,
    ListObjectVersions,
    ListObjects,
    ListObjectsV2,
    ListMultipartUploads,
    DeleteMultipleObjects,
    PutObject,
    GetObject,
    HeadObject,
    GetObjectMeta,
    DeleteObject,
    PutObjectACL,
    GetObjectACL,
    PutObjectTagging,
    GetObjectTagging,
    DeleteObjectTagging,
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
    /// Whether it makes an object or an upload, so that a missing bucket may be made for it.
    pub(crate) fn makes_objects(self) -> bool {
        matches!(
            self,
            Self::PutObject | Self::CopyObject | Self::AppendObject | Self::InitiateMultipartUpload
        )
    }

    /// Whether it reads the body of its request.
    pub(crate) fn reads_body(self) -> bool {
        matches!(
            self,
            Self::PutBucket
                | Self::PutBucketEncryption
                | Self::PutBucketVersioning
                | Self::PutBucketTags
                | Self::PutBucketPublicAccessBlock
                | Self::PutBucketCors
                | Self::PutBucketLogging
                | Self::PutObjectTagging
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

/// Returns the operation.
///
/// # Errors
///
/// 501's code for a parameter or a header that the operation does not know, and 405 for a method that the resource
/// does not.
pub(crate) fn route(
    method: &Method,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Op, OssError> {
    let found = match (&target.bucket, &target.key) {
        (None, _) => (method == Method::GET).then_some(Op::ListBuckets),
        (Some(_), None) => bucket_operation(method, query),
        (Some(_), Some(_)) => object_operation(method, query, headers),
    };
    // What is on no list, a sub-resource that is not known for one, is never taken for the plain operation.
    if let Some(unknown) = allowed::unknown(found, query, headers) {
        return Err(OssError::not_implemented(unknown));
    }
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
        "PUT" if query.has("acl") => Op::PutBucketAcl,
        "GET" if query.has("acl") => Op::GetBucketAcl,
        "PUT" if query.has("tagging") => Op::PutBucketTags,
        "GET" if query.has("tagging") => Op::GetBucketTags,
        "DELETE" if query.has("tagging") => Op::DeleteBucketTags,
        "PUT" if query.has("publicAccessBlock") => Op::PutBucketPublicAccessBlock,
        "GET" if query.has("publicAccessBlock") => Op::GetBucketPublicAccessBlock,
        "DELETE" if query.has("publicAccessBlock") => Op::DeleteBucketPublicAccessBlock,
        "PUT" if query.has("cors") => Op::PutBucketCors,
        "GET" if query.has("cors") => Op::GetBucketCors,
        "DELETE" if query.has("cors") => Op::DeleteBucketCors,
        "PUT" if query.has("logging") => Op::PutBucketLogging,
        "GET" if query.has("logging") => Op::GetBucketLogging,
        "DELETE" if query.has("logging") => Op::DeleteBucketLogging,
        "GET" if query.has("stat") => Op::GetBucketStat,
        "GET" if query.has("live") => Op::ListLiveChannel,
        "GET" if query.has("versions") => Op::ListObjectVersions,
        "GET" if query.has("bucketInfo") => Op::GetBucketInfo,
        "GET" if query.has("worm") => Op::GetBucketWorm,
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
        "PUT" if query.has("acl") => Op::PutObjectACL,
        "GET" if query.has("acl") => Op::GetObjectACL,
        "PUT" if query.has("tagging") => Op::PutObjectTagging,
        "GET" if query.has("tagging") => Op::GetObjectTagging,
        "DELETE" if query.has("tagging") => Op::DeleteObjectTagging,
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
            ("GET", "/bkt/", "acl", None, Ok(Op::GetBucketAcl)),
            ("DELETE", "/bkt/", "acl", None, Err("NotImplemented")),
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
            ("GET", "/bkt/k", "unknown=1", None, Err("NotImplemented")),
        ] {
            let op = op.map_err(str::to_owned);
            assert_eq!(of(method, path, query, header), op, "{method} {path}?{query}");
        }
    }
}
