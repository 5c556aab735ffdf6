//! ACS3-HMAC-SHA256, the signature of ECS, RAM and STS in headers ("V3 request structure and signature" page).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Pairs, encode, header_lines, hmac_sha256, iso_date, sha256_hex};
use crate::credentials::Credentials;
use crate::request::RpcRequest;

/// The algorithm's name, with which `Authorization` starts.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Returns the lower-case hex SHA-256 of a body, as `x-acs-content-sha256` carries it.
pub fn payload_hash(body: &[u8]) -> String {
    sha256_hex(body)
}

/// Returns the query as it is signed: encoded, sorted by name, `name=` where there is no value.
pub fn canonical_query(query: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = query.iter().collect();
    sorted.sort();
    encode::query(sorted.into_iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))))
}

/// Returns the canonical request. `signed` holds the names of the signed headers in lower case, in the order
/// in which `SignedHeaders` lists them.
pub fn canonical_request(
    method: &str,
    query: &[(String, String)],
    headers: &[(String, String)],
    signed: &[&str],
    payload_hash: &str,
) -> String {
    format!(
        "{method}\n/\n{}\n{}\n{}\n{payload_hash}",
        canonical_query(query),
        header_lines(headers, signed.iter().copied()),
        signed.join(";"),
    )
}

/// Returns the string to sign.
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// Returns the signature in lower-case hex. Day and region do not enter the key, unlike with OSS.
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    encode::hex(&hmac_sha256(secret.as_bytes(), string_to_sign))
}

/// Returns the headers to add to a POST of `request` to `host` with an empty body, without `host` itself.
///
/// Without credentials, or if the request is not to be signed, they name action and version alone.
pub fn sign(
    request: &RpcRequest,
    host: &str,
    credentials: Option<&Credentials>,
    at: Timestamp,
    nonce: &str,
) -> Pairs {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let hash = payload_hash(b"");
    let mut added = vec![
        header("accept", "application/json"),
        header("x-acs-action", request.action),
        header("x-acs-version", request.service.version()),
        header("x-acs-date", &iso_date(at)),
        header("x-acs-signature-nonce", nonce),
        header("x-acs-content-sha256", &hash),
    ];
    let Some(credentials) = credentials.filter(|_| request.signed) else { return added };
    if let Some(token) = &credentials.security_token {
        added.push(header("x-acs-accesskey-id", &credentials.access_key_id));
        added.push(header("x-acs-security-token", token.expose()));
    }
    let headers: Pairs = added.iter().cloned().chain([header("host", host)]).collect();
    let signed: BTreeSet<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let signed: Vec<&str> = signed.into_iter().collect();
    let canonical = canonical_request("POST", &request.params, &headers, &signed, &hash);
    let signature = signature(credentials.access_key_secret.expose(), &string_to_sign(&canonical));
    let authorization = format!(
        "{ALGORITHM} Credential={},SignedHeaders={},Signature={signature}",
        credentials.access_key_id,
        signed.join(";"),
    );
    added.push(header("authorization", &authorization));
    added
}

/// What an `Authorization` header of this scheme says, however it is spaced and ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The access key id.
    pub access_key_id: String,
    /// The names of the signed headers as given.
    pub signed_headers: Vec<String>,
    /// The signature as given.
    pub signature: String,
}

impl Authorization {
    /// Reads the header's value; nothing if a part is missing, unknown or malformed.
    pub fn parse(value: &str) -> Option<Self> {
        let (mut id, mut signed, mut signature) = (None, None, None);
        for part in value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',') {
            match part.trim().split_once('=')? {
                ("Credential", text) => id = Some(text.to_owned()),
                ("SignedHeaders", text) => signed = Some(text.split(';').map(str::to_owned).collect()),
                ("Signature", text) => signature = Some(text.to_owned()),
                _ => return None,
            }
        }
        Some(Self { access_key_id: id?, signed_headers: signed?, signature: signature? })
    }
}
