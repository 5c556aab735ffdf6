//! What the headers of a request say about the object that it makes, and of its conditions.

use http::HeaderMap;
use jiff::Timestamp;

use super::super::store::{BucketRecord, Encryption, ObjectHeaders};
use super::error::OssError;
use super::time::parse_http_date;
use ossup_core::sign::encode;

/// Largest user metadata in bytes, names and values together.
const MAX_METADATA: usize = 8 << 10;
const MAX_TAGS: usize = 10;
/// Standard headers that an object keeps.
const KEPT: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Returns a header's text; none if it is absent or not UTF-8.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok().map(str::trim)
}

/// Whether a header says `true`.
pub(super) fn is_true(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Returns what the request says about its object, with the bucket's defaults.
///
/// # Errors
///
/// `InvalidArgument` and its kin for values that the service does not know.
pub(super) fn object_headers(headers: &HeaderMap, bucket: &BucketRecord) -> Result<ObjectHeaders, OssError> {
    let mut others = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if KEPT.contains(&name) || name.starts_with("x-oss-meta-") {
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| OssError::new(400, "InvalidArgument", "The value of a header is not UTF-8."))?;
            others.push((name.to_owned(), value.to_owned()));
        }
    }
    let metadata = others.iter().filter(|(name, _)| name.starts_with("x-oss-meta-"));
    if metadata.map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA {
        return Err(OssError::new(400, "InvalidArgument", "The user metadata is larger than 8 KB."));
    }
    let storage_class = text(headers, "x-oss-storage-class").unwrap_or(&bucket.storage_class);
    check_storage_class(storage_class)?;
    let acl = object_acl(headers, bucket)?;
    Ok(ObjectHeaders {
        content_type: text(headers, "content-type").filter(|kind| !kind.is_empty()).map(str::to_owned),
        others,
        storage_class: storage_class.to_owned(),
        encryption: encryption_asked(headers)?.or_else(|| bucket.encryption.clone()),
        tagging: tags(text(headers, "x-oss-tagging"))?,
        acl,
    })
}

/// Longest id of a KMS key that is taken; the service's own have fewer than 50 characters, aliases up to 255.
const MAX_KEY_ID: usize = 255;

/// Returns the ACL that a request gives its object, if it does; `default` is the bucket's.
///
/// # Errors
///
/// `InvalidArgument` for one that is none, `AccessDenied` for a public one where public access is blocked.
pub(super) fn object_acl(headers: &HeaderMap, bucket: &BucketRecord) -> Result<Option<String>, OssError> {
    let Some(acl) = text(headers, "x-oss-object-acl") else { return Ok(None) };
    if acl != "default" {
        check_acl("x-oss-object-acl", acl)?;
    }
    check_public(bucket, acl)?;
    Ok(Some(acl.to_owned()))
}

/// Refuses a public ACL where public access is blocked.
pub(super) fn check_public(bucket: &BucketRecord, acl: &str) -> Result<(), OssError> {
    if bucket.block_public_access && acl.starts_with("public") {
        return Err(OssError::new(
            403,
            "AccessDenied",
            "The bucket blocks public access: a public ACL is not allowed.",
        ));
    }
    Ok(())
}

/// Returns the encryption that the headers ask for.
///
/// # Errors
///
/// As of [`encryption`].
pub(super) fn encryption_asked(headers: &HeaderMap) -> Result<Option<Encryption>, OssError> {
    encryption(
        text(headers, "x-oss-server-side-encryption"),
        text(headers, "x-oss-server-side-encryption-key-id"),
        text(headers, "x-oss-server-side-data-encryption"),
    )
}

/// Checks an encryption's algorithm. A key belongs to KMS and is refused elsewhere; an algorithm for the data, too, is
/// dropped there (oss2, tests/test_bucket.py and test_server_side_encryotion.py). A key id must
/// be one that may come back in headers.
pub(super) fn encryption(
    algorithm: Option<&str>,
    key_id: Option<&str>,
    data_algorithm: Option<&str>,
) -> Result<Option<Encryption>, OssError> {
    let Some(algorithm) = algorithm else { return Ok(None) };
    if !matches!(algorithm, "AES256" | "KMS" | "SM4") {
        return Err(OssError::new(
            400,
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256/KMS/SM4.",
        ));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/:.".contains(&byte);
    if let Some(id) = key_id.filter(|id| id.len() > MAX_KEY_ID || !id.bytes().all(plain)) {
        return Err(OssError::invalid_argument(
            "x-oss-server-side-encryption-key-id",
            id,
            "The KMS key id is malformed.",
        ));
    }
    let kms = algorithm == "KMS";
    if let Some(id) = key_id.filter(|id| !kms && !id.is_empty()) {
        return Err(OssError::invalid_argument(
            "KMSMasterKeyID",
            id,
            "A KMS key id requires the algorithm KMS.",
        ));
    }
    if kms && data_algorithm.is_some_and(|algorithm| algorithm != "SM4") {
        return Err(OssError::invalid_argument(
            "x-oss-server-side-data-encryption",
            data_algorithm.unwrap_or_default(),
            "The only algorithm for data beside KMS's own is SM4.",
        ));
    }
    let of_kms = |text: Option<&str>| text.filter(|_| kms).map(str::to_owned);
    Ok(Some(Encryption {
        algorithm: algorithm.to_owned(),
        key_id: of_kms(key_id),
        data_algorithm: of_kms(data_algorithm),
    }))
}

pub(super) fn check_storage_class(class: &str) -> Result<(), OssError> {
    match class {
        "Standard" | "IA" | "Archive" | "ColdArchive" | "DeepColdArchive" => Ok(()),
        other => Err(OssError::invalid_argument(
            "x-oss-storage-class",
            other,
            "The storage class you specified is invalid.",
        )),
    }
}

pub(super) fn check_acl(name: &'static str, acl: &str) -> Result<(), OssError> {
    match acl {
        "private" | "public-read" | "public-read-write" => Ok(()),
        other => Err(OssError::invalid_argument(name, other, "no such bucket access control exists")),
    }
}

/// Checks `x-oss-traffic-limit`, which the emulator otherwise ignores.
pub(super) fn check_traffic_limit(header: Option<&str>, query: Option<&str>) -> Result<(), OssError> {
    let Some(limit) = header.or(query) else { return Ok(()) };
    match limit.parse::<u64>() {
        Ok(819_200..=838_860_800) if header.is_none() || query.is_none() => Ok(()),
        _ => Err(OssError::invalid_argument(
            "x-oss-traffic-limit",
            limit,
            "The traffic limit must be 819200 to 838860800 bit/s, in the header or in the query.",
        )
        .ec("0004-00000502")),
    }
}

/// Reads tags as `x-oss-tagging` holds them.
fn tags(text: Option<&str>) -> Result<Vec<(String, String)>, OssError> {
    let invalid = || OssError::new(400, "InvalidTag", "The tag is invalid.");
    let mut tags = Vec::new();
    for tag in text.unwrap_or_default().split('&').filter(|tag| !tag.is_empty()) {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        let decoded = |text: &str| encode::decode(&text.replace('+', "%20")).ok_or_else(invalid);
        tags.push((decoded(key)?, decoded(value)?));
    }
    check_tags(&tags)?;
    Ok(tags)
}

/// Checks the tags of an object ("PutObjectTagging" page).
///
/// # Errors
///
/// `InvalidTag`.
pub(super) fn check_tags(tags: &[(String, String)]) -> Result<(), OssError> {
    let allowed = |c: char| c.is_alphanumeric() || " +-=._:/".contains(c);
    let fits = |(key, value): &(String, String)| {
        (1..=128).contains(&key.len()) && value.len() <= 256 && key.chars().chain(value.chars()).all(allowed)
    };
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    if tags.len() <= MAX_TAGS && keys.len() == tags.len() && tags.iter().all(fits) {
        return Ok(());
    }
    Err(OssError::new(400, "InvalidTag", "The tag is invalid."))
}

/// The result of the conditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// All hold.
    Met,
    /// The object is what the client has: 304.
    NotModified,
    /// The named one does not hold: 412.
    Failed(&'static str),
}

/// Evaluates `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since`, each behind `prefix`.
pub(super) fn condition(headers: &HeaderMap, prefix: &str, etag: &str, modified: Timestamp) -> Condition {
    let get = |name: &str| text(headers, &format!("{prefix}{name}"));
    let matches = |list: &str| {
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.trim_matches('"').eq_ignore_ascii_case(etag))
    };
    // Dates have no fractions of a second.
    let newer = |date: &str| parse_http_date(date).map(|date| modified.as_second() > date.as_second());
    if get("if-match").is_some_and(|list| !matches(list)) {
        return Condition::Failed("If-Match");
    }
    if get("if-unmodified-since").and_then(newer) == Some(true) {
        return Condition::Failed("If-Unmodified-Since");
    }
    if get("if-none-match").is_some_and(matches) || get("if-modified-since").and_then(newer) == Some(false) {
        return Condition::NotModified;
    }
    Condition::Met
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn conditions_compare_tags_and_whole_seconds() {
        let modified = "2025-01-01T00:04:05.900Z".parse().unwrap();
        let (same, later) = ("Wed, 01 Jan 2025 00:04:05 GMT", "Wed, 01 Jan 2025 00:04:06 GMT");
        let earlier = "Wed, 01 Jan 2025 00:04:04 GMT";
        for (name, value, expected) in [
            ("if-match", "\"ab\", \"cd\"", Condition::Met),
            ("if-match", "\"cd\"", Condition::Failed("If-Match")),
            ("if-none-match", "\"AB\"", Condition::NotModified),
            ("if-none-match", "*", Condition::NotModified),
            ("if-none-match", "\"cd\"", Condition::Met),
            ("if-modified-since", same, Condition::NotModified),
            ("if-modified-since", earlier, Condition::Met),
            ("if-unmodified-since", same, Condition::Met),
            ("if-unmodified-since", later, Condition::Met),
            ("if-unmodified-since", earlier, Condition::Failed("If-Unmodified-Since")),
            ("if-modified-since", "never", Condition::Met),
        ] {
            assert_eq!(
                condition(&headers(&[(name, value)]), "", "AB", modified),
                expected,
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn values_that_the_service_does_not_know_are_refused() {
        let bucket = BucketRecord::new(
            "images".parse().unwrap(),
            "cn-hangzhou".parse().unwrap(),
            Timestamp::UNIX_EPOCH,
        );
        let big = "x".repeat(MAX_METADATA);
        for (name, value, code) in [
            ("x-oss-storage-class", "Glacier", "InvalidArgument"),
            ("x-oss-server-side-encryption", "ROT13", "InvalidEncryptionAlgorithmError"),
            ("x-oss-object-acl", "everyone", "InvalidArgument"),
            ("x-oss-meta-big", &big, "InvalidArgument"),
            ("x-oss-tagging", "a=b&c=%21", "InvalidTag"),
        ] {
            let error = object_headers(&headers(&[(name, value)]), &bucket).unwrap_err();
            assert_eq!(error.code, code, "{name}: {value}");
        }
        let good = headers(&[("x-oss-tagging", "a=b&c=d%20e"), ("x-oss-meta-a", "1"), ("expires", "0")]);
        let kept = object_headers(&good, &bucket).unwrap();
        assert_eq!((kept.tagging.len(), kept.others.len(), kept.storage_class.as_str()), (2, 2, "Standard"));
    }

    #[test]
    fn traffic_limits_have_bounds() {
        assert!(check_traffic_limit(Some("819200"), None).is_ok());
        for (header, query) in [(Some("819199"), None), (None, Some("x")), (Some("819200"), Some("819200"))] {
            assert!(check_traffic_limit(header, query).is_err());
        }
    }
}
