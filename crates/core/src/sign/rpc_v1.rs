//! RPC V1: HMAC-SHA1 over all parameters, which travel in the query ("Request signature" page of ECS).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::{Pairs, acs3, encode, hmac_sha1, iso_date};
use crate::credentials::Credentials;
use crate::request::RpcRequest;

/// Returns all parameters but `Signature` as they are signed: encoded, sorted by name, empty values with `=`.
pub fn canonical_query(params: &[(String, String)]) -> String {
    let signed: Pairs = params.iter().filter(|(name, _)| name != "Signature").cloned().collect();
    acs3::canonical_query(&signed)
}

/// Returns the string to sign. `params` are those of the query and of a form body together.
pub fn string_to_sign(method: &str, params: &[(String, String)]) -> String {
    format!("{method}&%2F&{}", encode::component(&canonical_query(params)))
}

/// Returns the signature in base64.
pub fn signature(secret: &str, string_to_sign: &str) -> String {
    BASE64_STANDARD.encode(hmac_sha1(format!("{secret}&").as_bytes(), string_to_sign))
}

/// Returns all parameters of `request`, the common ones and `Signature` included.
///
/// Without credentials, or if the request is not to be signed, they have no signature.
pub fn sign(
    request: &RpcRequest,
    method: &str,
    credentials: Option<&Credentials>,
    at: Timestamp,
    nonce: &str,
) -> Pairs {
    let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut params = vec![
        param("Action", request.action),
        param("Version", request.service.version()),
        param("Format", "JSON"),
        param("Timestamp", &iso_date(at)),
        param("SignatureNonce", nonce),
    ];
    params.extend(request.params.iter().cloned());
    let Some(credentials) = credentials.filter(|_| request.signed) else { return params };
    params.push(param("AccessKeyId", &credentials.access_key_id));
    params.push(param("SignatureMethod", "HMAC-SHA1"));
    params.push(param("SignatureVersion", "1.0"));
    if let Some(token) = &credentials.security_token {
        params.push(param("SecurityToken", token.expose()));
    }
    let text = string_to_sign(method, &params);
    params.push(param("Signature", &signature(credentials.access_key_secret.expose(), &text)));
    params
}
