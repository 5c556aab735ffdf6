//! The parameters and headers that each operation knows. One that could change the meaning of a request, and is not
//! listed here, is refused: no request is mistaken for another one.
//!
//! All parameters are listed. Of the headers, those that begin with `x-` and the conditions (`if-…`) are; the others
//! are HTTP's own, which either do not concern an operation or are read by it.

use http::HeaderMap;

use super::address::Query;
use super::route::Op;

/// Parameters that sign a URL.
const SIGNING_PARAMETERS: &[&str] = &[
    "x-oss-signature-version",
    "x-oss-signature",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-additional-headers",
    "x-oss-security-token",
    "OSSAccessKeyId",
    "Signature",
    "Expires",
    "security-token",
];

/// Headers that sign a request, or that change nothing here: every bucket's owner pays, and clients may say who
/// they are.
const COMMON_HEADERS: &[&str] = &[
    "x-oss-date",
    "x-oss-content-sha256",
    "x-oss-security-token",
    "x-oss-request-payer",
    "x-oss-user-agent",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Headers of all operations that make an object, beside `x-oss-meta-*`.
const OBJECT_HEADERS: &[&str] = &[
    "x-oss-storage-class",
    "x-oss-server-side-encryption",
    "x-oss-server-side-encryption-key-id",
    "x-oss-server-side-data-encryption",
    "x-oss-object-acl",
    "x-oss-tagging",
];

/// The conditions of reading an object.
const READ_CONDITIONS: &[&str] = &["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// The conditions of a copy.
const COPY_HEADERS: &[&str] = &[
    "x-oss-copy-source",
    "x-oss-copy-source-if-match",
    "x-oss-copy-source-if-none-match",
    "x-oss-copy-source-if-modified-since",
    "x-oss-copy-source-if-unmodified-since",
];

/// Returns the parameters of an operation.
fn parameters(op: Op) -> &'static [&'static str] {
    match op {
        Op::ListBuckets => &["prefix", "marker", "max-keys", "tag-key", "tag-value"],
        Op::PutBucket | Op::DeleteBucket => &[],
        Op::GetBucketInfo => &["bucketInfo"],
        Op::GetBucketStat => &["stat"],
        Op::PutBucketAcl | Op::GetBucketAcl => &["acl"],
        Op::PutBucketTags | Op::GetBucketTags | Op::DeleteBucketTags => &["tagging"],
        Op::PutBucketPublicAccessBlock
        | Op::GetBucketPublicAccessBlock
        | Op::DeleteBucketPublicAccessBlock => &["publicAccessBlock"],
        Op::PutBucketCors | Op::GetBucketCors | Op::DeleteBucketCors => &["cors"],
        Op::PutBucketLogging | Op::GetBucketLogging | Op::DeleteBucketLogging => &["logging"],
        Op::ListLiveChannel => &["live", "prefix", "marker", "max-keys"],
        Op::ListObjectVersions => &[
            "versions",
            "prefix",
            "delimiter",
            "key-marker",
            "version-id-marker",
            "max-keys",
            "encoding-type",
        ],
        Op::PutObjectACL | Op::GetObjectACL => &["acl", "versionId"],
        Op::PutObjectTagging | Op::GetObjectTagging | Op::DeleteObjectTagging => &["tagging", "versionId"],
        Op::GetBucketLocation => &["location"],
        Op::GetBucketWorm => &["worm"],
        Op::PutBucketEncryption | Op::GetBucketEncryption | Op::DeleteBucketEncryption => &["encryption"],
        Op::PutBucketVersioning | Op::GetBucketVersioning => &["versioning"],
        Op::ListObjects => &["prefix", "delimiter", "marker", "max-keys", "encoding-type"],
        Op::ListObjectsV2 => &[
            "list-type",
            "prefix",
            "delimiter",
            "start-after",
            "continuation-token",
            "max-keys",
            "encoding-type",
            "fetch-owner",
        ],
        Op::ListMultipartUploads => &[
            "uploads",
            "prefix",
            "delimiter",
            "key-marker",
            "upload-id-marker",
            "max-uploads",
            "encoding-type",
        ],
        Op::DeleteMultipleObjects => &["delete", "encoding-type"],
        Op::PutObject => &["x-oss-traffic-limit"],
        Op::GetObject => &[
            "versionId",
            "x-oss-traffic-limit",
            "response-content-type",
            "response-content-language",
            "response-expires",
            "response-cache-control",
            "response-content-disposition",
            "response-content-encoding",
        ],
        Op::HeadObject | Op::DeleteObject => &["versionId"],
        Op::GetObjectMeta => &["objectMeta", "versionId"],
        // It must name the version that the source header names.
        Op::CopyObject => &["versionId"],
        Op::AppendObject => &["append", "position", "x-oss-traffic-limit"],
        Op::InitiateMultipartUpload => &["uploads", "sequential", "encoding-type"],
        Op::UploadPart => &["partNumber", "uploadId", "x-oss-traffic-limit"],
        Op::UploadPartCopy => &["partNumber", "uploadId", "x-oss-traffic-limit", "versionId"],
        Op::CompleteMultipartUpload => &["uploadId", "encoding-type"],
        Op::AbortMultipartUpload => &["uploadId"],
        Op::ListParts => &["uploadId", "max-parts", "part-number-marker", "encoding-type"],
    }
}

/// Returns the headers of an operation, in groups.
fn headers(op: Op) -> &'static [&'static [&'static str]] {
    match op {
        Op::ListBuckets => &[&["x-oss-resource-group-id"]],
        Op::PutBucket => &[&[
            "x-oss-acl",
            "x-oss-server-side-encryption",
            "x-oss-server-side-encryption-key-id",
            "x-oss-server-side-data-encryption",
        ]],
        Op::PutBucketAcl => &[&["x-oss-acl"]],
        Op::PutObjectACL => &[&["x-oss-object-acl"]],
        Op::PutObject => {
            &[OBJECT_HEADERS, &["x-oss-forbid-overwrite", "x-oss-traffic-limit", "x-oss-hash-crc64ecma"]]
        }
        Op::AppendObject => &[OBJECT_HEADERS, &["x-oss-traffic-limit", "x-oss-hash-crc64ecma"]],
        Op::CopyObject => &[
            OBJECT_HEADERS,
            COPY_HEADERS,
            &["x-oss-forbid-overwrite", "x-oss-metadata-directive", "x-oss-tagging-directive"],
        ],
        Op::InitiateMultipartUpload => &[OBJECT_HEADERS, &["x-oss-forbid-overwrite"]],
        // The object's headers count only at Initiate; oss2 repeats them here and in ListParts. An encryption is
        // refused with the service's own code.
        Op::UploadPart => {
            &[OBJECT_HEADERS, &["x-oss-traffic-limit", "x-oss-hash-crc64ecma", "x-oss-complete-all"]]
        }
        Op::UploadPartCopy => {
            &[OBJECT_HEADERS, COPY_HEADERS, &["x-oss-copy-source-range", "x-oss-traffic-limit"]]
        }
        Op::ListParts => &[OBJECT_HEADERS, &["x-oss-traffic-limit"]],
        Op::CompleteMultipartUpload => &[&[
            "x-oss-complete-all",
            "x-oss-object-acl",
            "x-oss-forbid-overwrite",
            "x-oss-server-side-encryption",
            "x-oss-server-side-encryption-key-id",
            "x-oss-server-side-data-encryption",
        ]],
        Op::GetObject => &[READ_CONDITIONS, &["x-oss-traffic-limit", "x-oss-range-behavior"]],
        Op::HeadObject => &[READ_CONDITIONS, &["x-oss-traffic-limit"]],
        _ => &[],
    }
}

/// Whether the operation keeps `x-oss-meta-*`, or belongs to an upload whose Initiate kept them.
fn takes_metadata(op: Op) -> bool {
    let keeps = matches!(op, Op::PutObject | Op::AppendObject | Op::CopyObject | Op::InitiateMultipartUpload);
    keeps || matches!(op, Op::UploadPart | Op::UploadPartCopy | Op::ListParts)
}

/// Returns the name of a parameter or a header that the operation does not know. If the request has no operation,
/// only what all operations know is known.
pub(super) fn unknown(op: Option<Op>, query: &Query, sent: &HeaderMap) -> Option<String> {
    let known_parameter = |name: &str| {
        SIGNING_PARAMETERS.contains(&name) || op.is_some_and(|op| parameters(op).contains(&name))
    };
    let known_header = |name: &str| {
        !(name.starts_with("x-") || name.starts_with("if-"))
            || COMMON_HEADERS.contains(&name)
            || op.is_some_and(|op| {
                headers(op).iter().any(|group| group.contains(&name))
                    || (name.starts_with("x-oss-meta-") && takes_metadata(op))
            })
    };
    let parameter = query.0.iter().map(|(name, _)| name.as_str()).find(|name| !known_parameter(name));
    parameter
        .or_else(|| sent.keys().map(|name| name.as_str()).find(|name| !known_header(name)))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::route::route;
    use super::*;

    fn code(method: &str, path: &str, query: &str, header: Option<(&'static str, &'static str)>) -> String {
        let region = "r-1".parse().unwrap();
        let target = super::super::address::target("127.0.0.1", path, &region, &Default::default());
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let query = Query::parse(query).unwrap();
        match route(&method.parse().unwrap(), &target.unwrap(), &query, &headers) {
            Ok(op) => op.name().to_owned(),
            Err(error) => error.code.into_owned(),
        }
    }

    /// Sub-resources that the vendor's clients know and this emulator does not, and one that nobody knows.
    const FOREIGN: &[&str] = &[
        "accessPoint",
        "accessmonitor",
        "asyncFetch",
        "callback",
        "cname",
        "comp",
        "group",
        "httpsConfig",
        "inventory",
        "legalHold",
        "metaQuery",
        "objectWorm",
        "overwriteConfig",
        "policy",
        "policyStatus",
        "qosInfo",
        "regions",
        "replication",
        "requestPayment",
        "resourceGroup",
        "restore",
        "retention",
        "style",
        "tablebucket",
        "transferAcceleration",
        "userDefinedLogFieldsConfig",
        "vod",
        "website",
        "wormId",
        "x-oss-ac-source-ip",
        "x-oss-process",
        "x-oss-async-process",
        "x-oss-write-get-object-response",
    ];

    #[test]
    fn a_sub_resource_that_is_not_known_is_never_taken_for_the_plain_operation() {
        for name in FOREIGN {
            for path in ["/", "/bkt/", "/bkt/k"] {
                for method in ["GET", "PUT", "POST", "DELETE", "HEAD"] {
                    for query in
                        [(*name).to_owned(), format!("{name}=1&uploads"), format!("uploadId=A&{name}=")]
                    {
                        assert_eq!(
                            code(method, path, &query, None),
                            "NotImplemented",
                            "{method} {path}?{query}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_parameter_of_another_operation_is_refused() {
        for (method, path, query) in [
            ("GET", "/bkt/k", "partNumber=1"),
            ("DELETE", "/bkt/k", "uploadId=A&versionId=B"),
            ("PUT", "/bkt/k", "versionId=A"),
            ("DELETE", "/bkt/", "prefix=a"),
            ("PUT", "/bkt/", "encryption&versioning"),
            ("GET", "/bkt/", "list-type=3"),
            ("PUT", "/bkt/", "worm"),
            ("POST", "/bkt/", "worm"),
            ("DELETE", "/bkt/", "worm"),
            ("GET", "/bkt/k", "worm"),
        ] {
            assert_eq!(code(method, path, query, None), "NotImplemented", "{method} {path}?{query}");
        }
    }

    #[test]
    fn conditions_and_vendor_headers_are_read_or_refused() {
        for (method, query, name) in [
            ("PUT", "", "if-match"),
            ("PUT", "", "if-none-match"),
            ("PUT", "", "if-modified-since"),
            ("PUT", "", "x-oss-callback"),
            ("PUT", "", "x-oss-persistent-headers"),
            ("PUT", "", "x-amz-acl"),
            ("PUT", "", "x-oss-copy-source-if-match"),
            ("POST", "uploads", "if-none-match"),
            ("POST", "uploadId=A", "if-none-match"),
            ("POST", "uploadId=A", "x-oss-meta-a"),
            ("POST", "uploadId=A", "x-oss-callback"),
            ("DELETE", "", "if-match"),
            ("GET", "", "if-range"),
            ("GET", "", "x-oss-multi-range-behavior"),
            ("HEAD", "objectMeta", "if-match"),
        ] {
            let header = Some((name, "1"));
            assert_eq!(code(method, "/bkt/k", query, header), "NotImplemented", "{method} ?{query} {name}");
        }
        for (name, value) in [("user-agent", "x"), ("range", "bytes=0-1"), ("accept", "*/*")] {
            assert_eq!(code("GET", "/bkt/k", "", Some((name, value))), "GetObject", "{name}");
        }
    }

    #[test]
    fn every_operation_is_reached_with_its_own_parameters_alone() {
        for op in Op::ALL {
            let query = Query(parameters(*op).iter().map(|name| ((*name).to_owned(), None)).collect());
            assert_eq!(unknown(Some(*op), &query, &HeaderMap::new()), None, "{}", op.name());
        }
    }

    #[test]
    fn the_documentation_names_every_operation() {
        let text = include_str!("../../../../docs/emulator.md");
        for op in Op::ALL {
            let named = |word: &str| word == op.name();
            assert!(text.split(|c: char| !c.is_alphanumeric()).any(named), "{}", op.name());
        }
    }
}
