//! The URI on the wire. The path is ours from end to end: URL libraries would collapse and re-encode it.

use crate::model::{AddressingStyle, BucketName, Endpoint, ObjectKey, Scheme};
use crate::request::OssRequest;
use crate::sign::encode;

/// Returns the encoded path of an object, a bucket or the service at `endpoint`.
///
/// A key with a segment `.` or `..` has every `/` as `%2F`, so that no library on the way collapses it: the
/// service decodes the path before it does anything else, and the signature is the same.
pub fn oss_path(endpoint: &Endpoint, bucket: Option<&BucketName>, key: Option<&ObjectKey>) -> String {
    let key = match key {
        Some(key) if key.has_dot_segment() => encode::component(key.as_str()),
        Some(key) => encode::path(key.as_str()),
        None => String::new(),
    };
    match (endpoint.style(), bucket) {
        (AddressingStyle::Path, Some(bucket)) => format!("/{bucket}/{key}"),
        _ => format!("/{key}"),
    }
}

/// Returns the absolute URI of `request` at `endpoint`; `added` is what presigning adds to the query.
pub fn oss(endpoint: &Endpoint, request: &OssRequest, added: &[(String, Option<String>)]) -> String {
    let query = request.query.iter().chain(added);
    let query = encode::query(query.map(|(name, value)| (name.as_str(), value.as_deref())));
    format!(
        "{}://{}{}{}{query}",
        endpoint.scheme().as_str(),
        endpoint.authority(request.bucket.as_ref()),
        oss_path(endpoint, request.bucket.as_ref(), request.key.as_ref()),
        if query.is_empty() { "" } else { "?" },
    )
}

/// Returns the absolute URI of a call with `query`, which [`sign_rpc`](super::sign::sign_rpc) made, at `host`.
pub fn rpc(scheme: Scheme, host: &str, query: &[(String, String)]) -> String {
    let query = encode::query(query.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    format!("{}://{host}/?{query}", scheme.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Content;

    fn at(endpoint: &str, style: Option<AddressingStyle>, key: Option<&str>) -> String {
        let mut endpoint: Endpoint = endpoint.parse().unwrap();
        if let Some(style) = style {
            endpoint = endpoint.with_style(style).unwrap();
        }
        let request = OssRequest {
            method: http::Method::GET,
            bucket: Some("images".parse().unwrap()),
            key: key.map(|key| key.parse().unwrap()),
            query: vec![("uploads".to_owned(), None), ("prefix".to_owned(), Some("a/b".to_owned()))],
            headers: Vec::new(),
            content: Content::Empty,
        };
        oss(&endpoint, &request, &[])
    }

    #[test]
    fn the_bucket_goes_where_the_style_wants_it() {
        let query = "?uploads&prefix=a%2Fb";
        for (endpoint, style, key, expected) in [
            (
                "oss-cn-hangzhou.aliyuncs.com",
                None,
                Some("a b/c"),
                "https://images.oss-cn-hangzhou.aliyuncs.com/a%20b/c",
            ),
            ("oss-cn-hangzhou.aliyuncs.com", None, None, "https://images.oss-cn-hangzhou.aliyuncs.com/"),
            ("http://127.0.0.1:9000", None, Some("k"), "http://127.0.0.1:9000/images/k"),
            ("http://[::1]:9000", None, None, "http://[::1]:9000/images/"),
            ("img.example.com", Some(AddressingStyle::Cname), Some("k"), "https://img.example.com/k"),
        ] {
            assert_eq!(at(endpoint, style, key), format!("{expected}{query}"));
        }
    }

    #[test]
    fn keys_survive_the_url_type_of_the_http_client() {
        let keys = [
            "a/../b",
            "./a",
            "a/..",
            "a//b",
            "a b+c%20",
            "%2e%2e/x",
            "*'()!",
            "目录/😀",
            "a?b#c",
            "x;y:@&=$,[]\\^|",
        ];
        for key in keys {
            for endpoint in ["oss-cn-hangzhou.aliyuncs.com", "http://127.0.0.1:9000"] {
                let ours = at(endpoint, None, Some(key));
                assert_eq!(reqwest::Url::parse(&ours).unwrap().as_str(), ours, "{key}");
                let path = ours.split_once("://").unwrap().1.split_once('/').unwrap().1;
                let path = path.split_once('?').unwrap().0;
                let decoded = encode::decode(path).unwrap();
                assert_eq!(decoded.strip_prefix("images/").unwrap_or(&decoded), key);
            }
        }
    }
}
