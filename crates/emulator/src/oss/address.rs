//! Which bucket, key and region a request is about: from its host and path.

use std::collections::BTreeMap;

use super::error::OssError;
use ossup_core::model::{BucketName, Endpoint, ObjectKey, Region};
use ossup_core::sign::encode;

/// What a request addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The Host header, for `HostId`.
    pub(crate) host: String,
    /// The region that the host names, or the emulator's own for plain addresses; none for hosts that serve
    /// a bucket wherever it is: acceleration and custom domains.
    pub(crate) region: Option<Region>,
    pub(crate) bucket: Option<BucketName>,
    pub(crate) key: Option<ObjectKey>,
    /// Whether the bucket was in the path.
    pub(crate) path_style: bool,
}

/// Reads host and raw path. `local` is the region of plain addresses, `cnames` the bound custom domains.
///
/// # Errors
///
/// The service's own for malformed names, and for path style on a public endpoint.
pub(super) fn target(
    host: &str,
    path: &str,
    local: &Region,
    cnames: &BTreeMap<String, BucketName>,
) -> Result<Target, OssError> {
    let name = without_port(host).to_ascii_lowercase();
    let path = path.strip_prefix('/').unwrap_or(path);
    let found = |region: Option<Region>, bucket: Option<BucketName>, key: &str, path_style| {
        let key = object_key(key)?;
        Ok(Target { host: host.to_owned(), region, bucket, key, path_style })
    };
    if let Some(bucket) = cnames.get(&name) {
        return found(None, Some(bucket.clone()), path, false);
    }
    if name.ends_with(".aliyuncs.com") {
        if let Some(region) = service_region(&name) {
            if !path.is_empty() {
                return Err(OssError::new(
                    403,
                    "SecondLevelDomainForbidden",
                    "The bucket you are attempting to access must be addressed using OSS third level domain.",
                ));
            }
            return found(region, None, "", false);
        }
        if let Some((bucket, endpoint)) = name.split_once('.')
            && let Some(region) = service_region(endpoint)
        {
            return found(region, Some(bucket_name(bucket)?), path, false);
        }
        return Err(OssError::new(
            403,
            "NonStandardHostForbidden",
            "The host is neither an OSS endpoint nor a bucket's domain.",
        ));
    }
    if let Some(bucket) = name.strip_suffix(".localhost") {
        return found(Some(local.clone()), Some(bucket_name(bucket)?), path, false);
    }
    // The path is cut before it is decoded: a key may hold `%2F`.
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let bucket = if bucket.is_empty() { None } else { Some(bucket_name(&decoded(bucket)?)?) };
    found(Some(local.clone()), bucket, key, true)
}

/// Returns the region of an endpoint host: `Some(None)` for those that serve every region.
fn service_region(host: &str) -> Option<Option<Region>> {
    if matches!(host, "oss-accelerate.aliyuncs.com" | "oss-accelerate-overseas.aliyuncs.com") {
        return Some(None);
    }
    // `bucket.oss.aliyuncs.com` looks like a dual-stack endpoint; region ids always hold a `-`.
    let region = host.parse::<Endpoint>().ok()?.region()?;
    region.as_str().contains('-').then_some(Some(region))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn bucket_name(text: &str) -> Result<BucketName, OssError> {
    text.parse().map_err(|_| {
        OssError::new(400, "InvalidBucketName", "The specified bucket is not valid.")
            .element("BucketName", text.chars().take(80).collect::<String>())
    })
}

fn object_key(path: &str) -> Result<Option<ObjectKey>, OssError> {
    if path.is_empty() {
        return Ok(None);
    }
    decoded(path)?.parse().map(Some).map_err(|_| invalid_object_name())
}

fn decoded(text: &str) -> Result<String, OssError> {
    encode::decode(text).ok_or_else(invalid_object_name)
}

pub(super) fn invalid_object_name() -> OssError {
    OssError::new(400, "InvalidObjectName", "The specified object is not valid.")
}

/// Decoded query parameters in their order; `None` is a parameter without `=`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Query(pub(crate) Vec<(String, Option<String>)>);

impl Query {
    /// Reads a raw query. A `+` is a space: the first Python SDK sends spaces so and signs `%20`, and all
    /// clients send a plus as `%2B`.
    ///
    /// # Errors
    ///
    /// 400 for malformed escapes.
    pub(super) fn parse(raw: &str) -> Result<Self, OssError> {
        encode::decode_query(&raw.replace('+', "%20")).map(Self).ok_or_else(|| {
            OssError::new(400, "InvalidURI", "The query of the URL has a malformed percent-escape.")
        })
    }

    /// Whether the parameter is there, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// Returns the parameter's value; empty if it has none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name)?;
        Some(value.as_deref().unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Region, bucket and key.
    type Found = (Option<String>, Option<String>, Option<String>);

    fn at(host: &str, path: &str) -> Result<Found, String> {
        let local = "cn-hangzhou".parse().unwrap();
        let cnames = BTreeMap::from([("img.example.com".to_owned(), "images".parse().unwrap())]);
        let target = target(host, path, &local, &cnames).map_err(|error| error.code.into_owned())?;
        Ok((
            target.region.map(|region| region.as_str().to_owned()),
            target.bucket.map(String::from),
            target.key.map(String::from),
        ))
    }

    #[test]
    fn every_addressing_style_names_bucket_key_and_region() {
        let some = |text: &str| Some(text.to_owned());
        let here = some("cn-hangzhou");
        for (host, path, region, bucket, key) in [
            ("127.0.0.1:9000", "/", &here, None, None),
            ("127.0.0.1:9000", "/images", &here, some("images"), None),
            ("127.0.0.1:9000", "/images/", &here, some("images"), None),
            ("[::1]:9000", "/images/a%2Fb", &here, some("images"), some("a/b")),
            ("localhost:9000", "/images/a/../b", &here, some("images"), some("a/../b")),
            ("emulator", "/images/a+b%20c", &here, some("images"), some("a+b c")),
            ("images.localhost:9000", "/a//b", &here, some("images"), some("a//b")),
            ("IMG.example.com", "/a", &None, some("images"), some("a")),
            ("images.oss-cn-beijing.aliyuncs.com", "/a", &some("cn-beijing"), some("images"), some("a")),
            ("images.oss-cn-beijing-internal.aliyuncs.com", "/", &some("cn-beijing"), some("images"), None),
            (
                "images.cn-shanghai.oss.aliyuncs.com:443",
                "/a",
                &some("cn-shanghai"),
                some("images"),
                some("a"),
            ),
            ("images.oss.aliyuncs.com", "/a", &some("cn-hangzhou"), some("images"), some("a")),
            ("images.oss-accelerate.aliyuncs.com", "/a", &None, some("images"), some("a")),
            ("oss-us-west-1.aliyuncs.com", "/", &some("us-west-1"), None, None),
        ] {
            assert_eq!(at(host, path), Ok((region.clone(), bucket, key)), "{host}{path}");
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        let long = format!("/images/{}", "k".repeat(1024));
        for (host, path, code) in [
            ("127.0.0.1", "/Images/a", "InvalidBucketName"),
            ("127.0.0.1", "/../a", "InvalidBucketName"),
            ("127.0.0.1", "/a%2Fb/c", "InvalidBucketName"),
            ("127.0.0.1", "/images//a", "InvalidObjectName"),
            ("127.0.0.1", "/images/%2Fa", "InvalidObjectName"),
            ("127.0.0.1", "/images/%ff", "InvalidObjectName"),
            ("127.0.0.1", "/images/%4", "InvalidObjectName"),
            ("127.0.0.1", &long, "InvalidObjectName"),
            ("oss-cn-hangzhou.aliyuncs.com", "/images/a", "SecondLevelDomainForbidden"),
            ("www.aliyuncs.com", "/", "NonStandardHostForbidden"),
        ] {
            assert_eq!(at(host, path), Err(code.to_owned()), "{host}{path}");
        }
    }

    #[test]
    fn a_query_parameter_may_lack_its_value() {
        let query = Query::parse("uploads&max-uploads=3&prefix=a%2Fb+c%2Bd&x=").unwrap();
        assert!(query.has("uploads") && !query.has("upload"));
        assert_eq!(query.get("uploads"), Some(""));
        assert_eq!(query.get("prefix"), Some("a/b c+d"));
        assert_eq!(query.get("none"), None);
        assert_eq!(Query::parse("a=%zz").unwrap_err().code, "InvalidURI");
    }
}
