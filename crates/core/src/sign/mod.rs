//! Signatures: a file per scheme. Time, nonce and credentials are arguments; nothing is looked up.
//!
//! Each file has two layers. `string_to_sign` and `signature` work on what is on the wire, decoded, and so
//! serve a verifier as well; `sign` and `presign` return what a client has to add to its request. A scheme
//! signs a [`SignedFields`] for OSS, and names, values and headers for the RPC services.

pub mod acs3;
pub mod encode;
pub mod oss_v1;
pub mod oss_v4;
pub mod rpc_v1;
#[cfg(test)]
mod vectors;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;

use crate::credentials::Credentials;
use crate::model::Region;
use crate::request::{OssRequest, RpcRequest};

/// A list of names and values; of a query or of headers.
pub type Pairs = Vec<(String, String)>;

/// The names and values of a query; `None` is a name without value, which signs like an empty value.
pub type Query = Vec<(String, Option<String>)>;

/// The OSS signature in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SignVersion {
    /// `OSS4-HMAC-SHA256`.
    #[default]
    V4,
    /// HMAC-SHA1.
    V1,
}

/// The signature of the RPC-style services in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RpcSignVersion {
    /// `ACS3-HMAC-SHA256`, in headers.
    #[default]
    Acs3,
    /// HMAC-SHA1, in the query.
    V1,
}

/// What a signature of OSS covers, as client and server both know it: all text decoded.
#[derive(Clone, Copy)]
pub struct SignedFields<'a> {
    /// HTTP method in upper case.
    pub method: &'a str,
    /// The bucket, from host, path or custom domain; none for a request to the service.
    pub bucket: Option<&'a str>,
    /// The key, not encoded.
    pub key: Option<&'a str>,
    /// The query, not encoded, in any order.
    pub query: &'a [(String, Option<String>)],
    /// The headers, names in any case, in any order; what no scheme signs may be among them.
    pub headers: &'a [(String, String)],
}

impl<'a> SignedFields<'a> {
    /// Returns the parts of `request`, with `query` and `headers` that include what signing adds.
    fn of(
        request: &'a OssRequest,
        query: &'a [(String, Option<String>)],
        headers: &'a [(String, String)],
    ) -> Self {
        Self {
            method: request.method.as_str(),
            bucket: request.bucket.as_ref().map(|bucket| bucket.as_str()),
            key: request.key.as_ref().map(|key| key.as_str()),
            query,
            headers,
        }
    }

    /// Returns `/`, `/{bucket}/` or `/{bucket}/{key}`, not encoded: the resource, whatever the URL's style.
    fn resource(&self) -> String {
        match (self.bucket, self.key) {
            (Some(bucket), key) => format!("/{bucket}/{}", key.unwrap_or_default()),
            (None, _) => "/".to_owned(),
        }
    }
}

/// Returns the headers that a signed `request` has in addition to its own.
pub fn sign_oss(
    version: SignVersion,
    request: &OssRequest,
    credentials: &Credentials,
    region: &Region,
    at: Timestamp,
) -> Pairs {
    match version {
        SignVersion::V4 => oss_v4::sign(request, credentials, &oss_v4::Scope::oss(at, region), at, &[]),
        SignVersion::V1 => oss_v1::sign(request, credentials, at),
    }
}

/// Returns the query that a URL of `request` needs, so that whoever has it can send the request until
/// `validity` seconds after `at`. The request's own headers are covered and must be sent as they are.
pub fn presign_oss(
    version: SignVersion,
    request: &OssRequest,
    credentials: &Credentials,
    region: &Region,
    at: Timestamp,
    validity: u64,
) -> Query {
    match version {
        SignVersion::V4 => {
            oss_v4::presign(request, credentials, &oss_v4::Scope::oss(at, region), at, validity, &[])
        }
        SignVersion::V1 => oss_v1::presign(request, credentials, at, validity),
    }
}

/// What goes out for a call of an RPC-style service.
#[derive(Clone)]
pub struct SignedCall {
    /// The whole query: common and business parameters.
    pub query: Pairs,
    /// Headers to add, names in lower case, without `host`.
    pub headers: Pairs,
}

/// Returns the query and the headers of a POST of `request` to `host` (with the port, if it is not the
/// scheme's) with an empty body. Without credentials the call is not signed.
///
/// `nonce` is new for every attempt.
pub fn sign_rpc(
    version: RpcSignVersion,
    request: &RpcRequest,
    host: &str,
    credentials: Option<&Credentials>,
    at: Timestamp,
    nonce: &str,
) -> SignedCall {
    match version {
        RpcSignVersion::Acs3 => SignedCall {
            query: request.params.clone(),
            headers: acs3::sign(request, host, credentials, at, nonce),
        },
        RpcSignVersion::V1 => {
            SignedCall { query: rpc_v1::sign(request, "POST", credentials, at, nonce), headers: Vec::new() }
        }
    }
}

/// Returns all values of a header joined by `,`, each trimmed; none if the header is absent.
fn header_value(headers: &[(String, String)], name: &str) -> Option<String> {
    let values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    values.map(str::to_owned).reduce(|all, next| format!("{all},{next}"))
}

/// Returns one line `name:value` for each header in `names`, which are sorted and in lower case.
fn header_lines<'a>(headers: &[(String, String)], names: impl IntoIterator<Item = &'a str>) -> String {
    let line = |name| format!("{name}:{}\n", header_value(headers, name).unwrap_or_default());
    names.into_iter().map(line).collect()
}

fn hmac_sha1(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    encode::hex(&sha2::Sha256::digest(bytes))
}

/// Returns `at` as an HTTP date: `Wed, 01 Jan 2025 00:04:05 GMT`.
pub fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads an HTTP date; nothing if it is none.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// Returns `at` as the RPC services write it, to the second: `2025-03-04T05:06:07Z`.
pub fn iso_date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_go_both_ways() {
        let at: Timestamp = "2025-01-01T00:04:05Z".parse().unwrap();
        assert_eq!(http_date(at), "Wed, 01 Jan 2025 00:04:05 GMT");
        assert_eq!(parse_http_date("Wed, 01 Jan 2025 00:04:05 GMT"), Some(at));
        for bad in ["", "20250101T000405Z", "Wed, 99 Jan 2025 00:04:05 GMT"] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }
}
