//! OSS V4: HMAC-SHA256 with a key that is bound to day, region and product ("Include a V4 signature" page).

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::{Pairs, Query, SignedFields, encode, header_lines, hmac_sha256, sha256_hex};
use crate::credentials::Credentials;
use crate::model::Region;
use crate::request::OssRequest;

/// The algorithm's name, as `Authorization` starts and as `x-oss-signature-version` says.
pub const ALGORITHM: &str = "OSS4-HMAC-SHA256";
/// The only payload hash that OSS takes.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const REQUEST: &str = "aliyun_v4_request";

/// What a signing key is good for; written `20250101/cn-hangzhou/oss/aliyun_v4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The day in UTC: `YYYYMMDD`.
    pub date: String,
    /// The region id, without `oss-`.
    pub region: String,
    /// `oss`; on a CloudBox `oss-cloudbox`.
    pub product: String,
}

impl Scope {
    /// Returns the scope of the product `oss` on the day of `at`.
    pub fn oss(at: Timestamp, region: &Region) -> Self {
        Self {
            date: at.strftime("%Y%m%d").to_string(),
            region: region.as_str().to_owned(),
            product: "oss".to_owned(),
        }
    }

    /// Reads what a credential has behind the key id; nothing if it has not four parts or another end.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let scope = Self { date: parts.next()?, region: parts.next()?, product: parts.next()? };
        (parts.next()? == REQUEST && parts.next().is_none()).then_some(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{REQUEST}", self.date, self.region, self.product)
    }
}

/// Returns `at` as `x-oss-date` carries it: `20250101T000405Z`.
pub fn date_time(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether a header is always signed when present; the name is in lower case.
pub fn is_signed_by_default(name: &str) -> bool {
    name.starts_with("x-oss-") || name == "content-type" || name == "content-md5"
}

/// Returns the names in `wanted` that count as additional headers of a request with `headers`: in lower case,
/// sorted, once each, without those that are signed anyway and those that the request lacks.
pub fn additional_headers(wanted: &[&str], headers: &[(String, String)]) -> Vec<String> {
    let present = |name: &String| {
        headers.iter().any(|(n, value)| n.eq_ignore_ascii_case(name) && !value.trim().is_empty())
    };
    let names = wanted.iter().map(|name| name.to_ascii_lowercase());
    let names: BTreeSet<_> = names.filter(|name| !is_signed_by_default(name) && present(name)).collect();
    names.into_iter().collect()
}

/// Returns the canonical request. `additional` holds the names of the signed additional headers, in lower
/// case and sorted: a signer takes them from [`additional_headers`], a verifier from the request.
pub fn canonical_request(parts: &SignedFields<'_>, additional: &[String]) -> String {
    let mut query: Vec<(String, String)> = parts
        .query
        .iter()
        .filter(|(name, _)| name != "x-oss-signature")
        .map(|(name, value)| {
            (encode::component(name), encode::component(value.as_deref().unwrap_or_default()))
        })
        .collect();
    query.sort();
    let query = query.into_iter().map(|(name, value)| match value.as_str() {
        "" => name,
        value => format!("{name}={value}"),
    });
    let query = query.collect::<Vec<_>>().join("&");

    let mut signed: BTreeSet<String> =
        parts.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    signed.retain(|name| is_signed_by_default(name) || additional.contains(name));
    let payload = super::header_value(parts.headers, "x-oss-content-sha256");
    format!(
        "{}\n{}\n{query}\n{}\n{}\n{}",
        parts.method,
        encode::path(&parts.resource()),
        header_lines(parts.headers, signed.iter().map(String::as_str)),
        additional.join(";"),
        payload.as_deref().unwrap_or(UNSIGNED_PAYLOAD),
    )
}

/// Returns the string to sign; `date_time` is the text of `x-oss-date`.
pub fn string_to_sign(date_time: &str, scope: &Scope, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{date_time}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// Returns the signature in lower-case hex.
pub fn signature(secret: &str, scope: &Scope, string_to_sign: &str) -> String {
    let key = hmac_sha256(format!("aliyun_v4{secret}").as_bytes(), &scope.date);
    let key = hmac_sha256(&key, &scope.region);
    let key = hmac_sha256(&key, &scope.product);
    let key = hmac_sha256(&key, REQUEST);
    encode::hex(&hmac_sha256(&key, string_to_sign))
}

/// Returns the headers to add, `authorization` among them. `additional` names headers of the request that
/// are to be signed although they need not be.
pub fn sign(
    request: &OssRequest,
    credentials: &Credentials,
    scope: &Scope,
    at: Timestamp,
    additional: &[&str],
) -> Pairs {
    let date_time = date_time(at);
    let mut added = vec![
        ("x-oss-content-sha256".to_owned(), UNSIGNED_PAYLOAD.to_owned()),
        ("x-oss-date".to_owned(), date_time.clone()),
    ];
    if let Some(token) = &credentials.security_token {
        added.push(("x-oss-security-token".to_owned(), token.expose().to_owned()));
    }
    added.retain(|(name, _)| request.headers.iter().all(|(given, _)| given != name));
    let headers: Pairs = request.headers.iter().chain(&added).cloned().collect();
    let additional = additional_headers(additional, &headers);
    let canonical = canonical_request(&SignedFields::of(request, &request.query, &headers), &additional);
    let signature = signature(
        credentials.access_key_secret.expose(),
        scope,
        &string_to_sign(&date_time, scope, &canonical),
    );
    let additional = match additional.is_empty() {
        true => String::new(),
        false => format!(",AdditionalHeaders={}", additional.join(";")),
    };
    let id = &credentials.access_key_id;
    let authorization = format!("{ALGORITHM} Credential={id}/{scope}{additional},Signature={signature}");
    added.push(("authorization".to_owned(), authorization));
    added
}

/// Returns the query to add for a URL that is good for `validity` seconds (1 to
/// [`MAX_PRESIGN_SECONDS`](crate::model::limits::MAX_PRESIGN_SECONDS)) from `at`.
pub fn presign(
    request: &OssRequest,
    credentials: &Credentials,
    scope: &Scope,
    at: Timestamp,
    validity: u64,
    additional: &[&str],
) -> Query {
    let date_time = date_time(at);
    let additional = additional_headers(additional, &request.headers);
    let mut added = vec![
        ("x-oss-signature-version".to_owned(), Some(ALGORITHM.to_owned())),
        ("x-oss-date".to_owned(), Some(date_time.clone())),
        ("x-oss-expires".to_owned(), Some(validity.to_string())),
        ("x-oss-credential".to_owned(), Some(format!("{}/{scope}", credentials.access_key_id))),
    ];
    if let Some(token) = &credentials.security_token {
        added.push(("x-oss-security-token".to_owned(), Some(token.expose().to_owned())));
    }
    if !additional.is_empty() {
        added.push(("x-oss-additional-headers".to_owned(), Some(additional.join(";"))));
    }
    let query: Query = request.query.iter().chain(&added).cloned().collect();
    let canonical = canonical_request(&SignedFields::of(request, &query, &request.headers), &additional);
    let signature = signature(
        credentials.access_key_secret.expose(),
        scope,
        &string_to_sign(&date_time, scope, &canonical),
    );
    added.push(("x-oss-signature".to_owned(), Some(signature)));
    added
}

/// What an `Authorization` header of this scheme says, however it is spaced and ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The access key id.
    pub access_key_id: String,
    /// The scope behind it.
    pub scope: Scope,
    /// The names of the additional headers as given; none if the part is absent.
    pub additional: Option<Vec<String>>,
    /// The signature as given.
    pub signature: String,
}

impl Authorization {
    /// Reads the header's value; nothing if a part is missing, unknown or malformed.
    pub fn parse(value: &str) -> Option<Self> {
        let (mut credential, mut additional, mut signature) = (None, None, None);
        for part in value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',') {
            match part.trim().split_once('=')? {
                ("Credential", text) => credential = Some(text),
                ("AdditionalHeaders", text) => {
                    additional = Some(text.split(';').map(str::to_owned).collect())
                }
                ("Signature", text) => signature = Some(text.to_owned()),
                _ => return None,
            }
        }
        let (id, scope) = credential?.split_once('/')?;
        Some(Self {
            access_key_id: id.to_owned(),
            scope: Scope::parse(scope)?,
            additional,
            signature: signature?,
        })
    }
}
