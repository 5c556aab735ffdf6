//! OSS V1: HMAC-SHA1 over the OSS headers and the sub-resources ("Include a V1 signature" page).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::{Pairs, Query, SignedFields, header_lines, header_value, hmac_sha1, http_date};
use crate::credentials::Credentials;
use crate::request::OssRequest;

/// Query names that are part of the resource, sorted bytewise; so is every name that starts with `x-oss-`.
const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "img",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
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
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];

/// Whether a query name is part of the signed resource.
pub fn is_sub_resource(name: &str) -> bool {
    name.starts_with("x-oss-") || SUB_RESOURCES.binary_search(&name).is_ok()
}

/// Returns the date of the header form: `x-oss-date`, else `date`, else nothing.
pub fn date_line(headers: &[(String, String)]) -> String {
    header_value(headers, "x-oss-date").or_else(|| header_value(headers, "date")).unwrap_or_default()
}

/// Returns the string to sign. `date` is [`date_line`] in the header form and the digits of `Expires` in the
/// URL form.
pub fn string_to_sign(parts: &SignedFields<'_>, date: &str) -> String {
    let mut names: Vec<String> = parts.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.retain(|name| name.starts_with("x-oss-"));
    names.sort();
    names.dedup();

    let mut resources: Vec<(&str, &str)> = parts
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()))
        .collect();
    resources.retain(|(name, _)| is_sub_resource(name));
    resources.sort();
    let resources = resources.into_iter().map(|(name, value)| match value {
        "" => name.to_owned(),
        value => format!("{name}={value}"),
    });
    let resources = resources.collect::<Vec<_>>().join("&");

    let header = |name| header_value(parts.headers, name).unwrap_or_default();
    format!(
        "{}\n{}\n{}\n{date}\n{}{}{}{resources}",
        parts.method,
        header("content-md5"),
        header("content-type"),
        header_lines(parts.headers, names.iter().map(String::as_str)),
        parts.resource(),
        if resources.is_empty() { "" } else { "?" },
    )
}

/// Returns the signature in base64.
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    BASE64_STANDARD.encode(hmac_sha1(secret.as_bytes(), string_to_sign))
}

/// Returns the headers to add: `date`, `authorization` and for temporary credentials the token.
pub fn sign(request: &OssRequest, credentials: &Credentials, at: Timestamp) -> Pairs {
    let mut added = vec![("date".to_owned(), http_date(at))];
    if let Some(token) = &credentials.security_token {
        added.push(("x-oss-security-token".to_owned(), token.expose().to_owned()));
    }
    let headers: Pairs = request.headers.iter().chain(&added).cloned().collect();
    let text = string_to_sign(&SignedFields::of(request, &request.query, &headers), &date_line(&headers));
    let signature = signature(credentials.access_key_secret.expose(), &text);
    added.push(("authorization".to_owned(), format!("OSS {}:{signature}", credentials.access_key_id)));
    added
}

/// Returns the query to add for a URL that is good until `validity` seconds after `at`.
pub fn presign(request: &OssRequest, credentials: &Credentials, at: Timestamp, validity: u64) -> Query {
    let expires = at.as_second().saturating_add_unsigned(validity).to_string();
    let mut added = Vec::new();
    if let Some(token) = &credentials.security_token {
        added.push(("security-token".to_owned(), Some(token.expose().to_owned())));
    }
    let query: Query = request.query.iter().chain(&added).cloned().collect();
    let text = string_to_sign(&SignedFields::of(request, &query, &request.headers), &expires);
    let signature = signature(credentials.access_key_secret.expose(), &text);
    added.push(("OSSAccessKeyId".to_owned(), Some(credentials.access_key_id.clone())));
    added.push(("Expires".to_owned(), Some(expires)));
    added.push(("Signature".to_owned(), Some(signature)));
    added
}

/// Reads an `Authorization` header of this scheme into access key id and signature.
pub fn parse_authorization(value: &str) -> Option<(&str, &str)> {
    value.strip_prefix("OSS ")?.trim().split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_sub_resources_is_sorted() {
        assert!(SUB_RESOURCES.is_sorted());
        assert!(is_sub_resource("uploadId") && is_sub_resource("x-oss-traffic-limit"));
        assert!(!is_sub_resource("max-parts") && !is_sub_resource("encoding-type"));
    }
}
