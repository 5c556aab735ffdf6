//! Who sends a request: signatures in headers and URLs, V4 and V1.

use http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::keys::{KeyError, Keys};
use super::address::Query;
use super::error::OssError;
use super::time::{iso, parse_http_date};
use ossup_core::model::limits::{MAX_CLOCK_SKEW_SECONDS, MAX_PRESIGN_SECONDS};
use ossup_core::model::{Region, Secret};
use ossup_core::sign::{SignedFields, oss_v1, oss_v4};

/// The sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The owner of a key pair.
    Known,
    /// No one in particular.
    Anonymous,
}

/// The EC of a malformed credential in a URL.
const BAD_CREDENTIAL_OF_URL: &str = "0002-00000224";

/// A request as its signature covers it.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) bucket: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) query: &'a Query,
    pub(crate) headers: &'a [(String, String)],
    /// The region that a V4 scope must name.
    pub(crate) region: &'a Region,
}

/// Returns headers as signatures want them.
pub(crate) fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// Verifies a request.
///
/// # Errors
///
/// The service's own, see the tables of the authentication pages.
pub(crate) fn verify(request: &Signed<'_>, keys: &Keys, now: Timestamp) -> Result<Caller, OssError> {
    let authorization = request.header("authorization");
    let v4_url = request.query.has("x-oss-signature-version") || request.query.has("x-oss-signature");
    let v1_url = ["OSSAccessKeyId", "Signature", "Expires"].iter().any(|name| request.query.has(name));
    match authorization {
        Some(_) if v4_url || v1_url => Err(OssError::new(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the Authorization header or the query may be signed.",
        )),
        Some(value) if value.starts_with(oss_v4::ALGORITHM) => v4_header(request, value, keys, now),
        Some(value) if value.starts_with("OSS ") => v1_header(request, value, keys, now),
        Some(value) if value.starts_with("OSS2 ") => Err(OssError::not_implemented("Authorization")),
        Some(_) => {
            Err(OssError::new(400, "InvalidArgument", "Unsupported Authorization Type").ec("0002-00000002"))
        }
        None if v4_url => v4_url_form(request, keys, now),
        None if v1_url => v1_url_form(request, keys, now),
        None => Ok(Caller::Anonymous),
    }
}

impl<'a> Signed<'a> {
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn parts(&self) -> SignedFields<'_> {
        SignedFields {
            method: self.method,
            bucket: self.bucket,
            key: self.key,
            query: &self.query.0,
            headers: self.headers,
        }
    }
}

fn v4_header(request: &Signed<'_>, value: &str, keys: &Keys, now: Timestamp) -> Result<Caller, OssError> {
    let authorization = oss_v4::Authorization::parse(value).ok_or_else(|| {
        OssError::new(400, "InvalidArgument", "The Authorization header is malformed.").ec("0002-00000202")
    })?;
    let additional = additional(authorization.additional)?;
    if request.header("x-oss-content-sha256").is_some_and(|hash| hash != oss_v4::UNSIGNED_PAYLOAD) {
        return Err(OssError::new(400, "InvalidArgument", "x-oss-content-sha256 must be UNSIGNED-PAYLOAD.")
            .ec("0002-00000214"));
    }
    let (date_text, time) = match request.header("x-oss-date") {
        Some(text) => (text.to_owned(), parse_basic(text)),
        None => {
            // The header's text is signed as it is, as the vendor's Go v1 client and ossutil do.
            let text = request.header("date").ok_or_else(no_date)?;
            (text.to_owned(), parse_http_date(text).or_else(|| parse_basic(text)))
        }
    };
    let time = time.ok_or_else(invalid_date)?;
    let id = &authorization.access_key_id;
    let secret = secret(keys, id, request.header("x-oss-security-token"), now)?;
    check_skew(time, now)?;
    check_scope(&authorization.scope, time, request.region, ["0002-00000212", "0002-00000213"])
        .map_err(|error| error.element("Authorization", value))?;
    check_v4(request, id, &secret, &authorization.scope, &date_text, &additional, &authorization.signature)
}

fn v4_url_form(request: &Signed<'_>, keys: &Keys, now: Timestamp) -> Result<Caller, OssError> {
    let refuse = |ec, message: &str| OssError::new(400, "InvalidArgument", message).ec(ec);
    let query = request.query;
    if query.get("x-oss-signature-version") != Some(oss_v4::ALGORITHM) {
        return Err(refuse("0002-00000202", "x-oss-signature-version must be OSS4-HMAC-SHA256."));
    }
    let bad_credential = || refuse("0002-00000224", "x-oss-credential is malformed.");
    let credential = query.get("x-oss-credential").unwrap_or_default();
    let (id, scope) = credential.split_once('/').ok_or_else(bad_credential)?;
    let scope = oss_v4::Scope::parse(scope).ok_or_else(bad_credential)?;
    let date_text = query.get("x-oss-date").unwrap_or_default();
    let time = parse_basic(date_text).ok_or_else(|| refuse("0002-00000223", "x-oss-date is malformed."))?;
    let expires =
        query.get("x-oss-expires").ok_or_else(|| refuse("0002-00000215", "x-oss-expires is missing."))?;
    let expires = expires
        .parse::<u64>()
        .ok()
        .filter(|seconds| (1..=MAX_PRESIGN_SECONDS).contains(seconds))
        .ok_or_else(|| refuse("0002-00000232", "x-oss-expires must be 1 to 604800 seconds."))?;
    let names = query.get("x-oss-additional-headers");
    let additional = additional(names.map(|names| names.split(';').map(str::to_owned).collect()))?;
    let secret = secret(keys, id, query.get("x-oss-security-token"), now)?;
    let end =
        Timestamp::from_second(time.as_second().saturating_add_unsigned(expires)).unwrap_or(Timestamp::MAX);
    if now > end {
        return Err(expired(end, now));
    }
    if let Some(name) = additional.iter().find(|name| *name != "host" && request.header(name).is_none()) {
        return Err(OssError::invalid_argument(
            "x-oss-additional-headers",
            name,
            "A header that x-oss-additional-headers names is missing.",
        ));
    }
    check_scope(&scope, time, request.region, ["0002-00000223", BAD_CREDENTIAL_OF_URL])?;
    let signature = query.get("x-oss-signature").unwrap_or_default();
    check_v4(request, id, &secret, &scope, date_text, &additional, signature)
}

fn check_v4(
    request: &Signed<'_>,
    id: &str,
    secret: &Secret,
    scope: &oss_v4::Scope,
    date_text: &str,
    additional: &[String],
    provided: &str,
) -> Result<Caller, OssError> {
    let canonical = oss_v4::canonical_request(&request.parts(), additional);
    let text = oss_v4::string_to_sign(date_text, scope, &canonical);
    if oss_v4::signature(secret.expose(), scope, &text) == provided {
        return Ok(Caller::Known);
    }
    Err(does_not_match(id, provided, &text).element("CanonicalRequest", canonical))
}

fn v1_header(request: &Signed<'_>, value: &str, keys: &Keys, now: Timestamp) -> Result<Caller, OssError> {
    let (id, provided) = oss_v1::parse_authorization(value).ok_or_else(|| {
        OssError::new(400, "InvalidArgument", "The Authorization header is malformed.").ec("0002-00000202")
    })?;
    let date = oss_v1::date_line(request.headers);
    if date.is_empty() {
        return Err(no_date());
    }
    let time = parse_http_date(&date).or_else(|| parse_basic(&date)).ok_or_else(invalid_date)?;
    let secret = secret(keys, id, request.header("x-oss-security-token"), now)?;
    check_skew(time, now)?;
    check_v1(request, id, &secret, &date, provided)
}

fn v1_url_form(request: &Signed<'_>, keys: &Keys, now: Timestamp) -> Result<Caller, OssError> {
    let denied = |ec, message: &str| OssError::new(403, "AccessDenied", message).ec(ec);
    let query = request.query;
    let get = |name| query.get(name).unwrap_or_default();
    let (id, provided, expires) = (get("OSSAccessKeyId"), get("Signature"), get("Expires"));
    if id.is_empty() || provided.is_empty() || expires.is_empty() {
        let message =
            "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters";
        return Err(denied("0002-00000068", message));
    }
    let end = expires.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let end = end.ok_or_else(|| denied("0002-00000070", "Invalid date (should be seconds since epoch)"))?;
    let secret = secret(keys, id, query.get("security-token"), now)?;
    if now > end {
        return Err(expired(end, now));
    }
    check_v1(request, id, &secret, expires, provided)
}

fn check_v1(
    request: &Signed<'_>,
    id: &str,
    secret: &Secret,
    date: &str,
    provided: &str,
) -> Result<Caller, OssError> {
    let text = oss_v1::string_to_sign(&request.parts(), date);
    if oss_v1::signature(secret.expose(), &text) == provided {
        return Ok(Caller::Known);
    }
    Err(does_not_match(id, provided, &text))
}

/// Returns the additional headers' names as the canonical request holds them.
fn additional(names: Option<Vec<String>>) -> Result<Vec<String>, OssError> {
    let refuse = |ec, message: &str| Err(OssError::new(400, "InvalidArgument", message).ec(ec));
    let mut names = names.unwrap_or_default();
    match names.iter().filter(|name| name.trim().is_empty()).count() {
        0 => {}
        1 if names.len() == 1 => return refuse("0002-00000209", "AdditionalHeaders is empty."),
        _ => return refuse("0002-00000210", "AdditionalHeaders has an empty element."),
    }
    for name in &mut names {
        *name = name.trim().to_ascii_lowercase();
    }
    names.sort();
    Ok(names)
}

fn check_scope(
    scope: &oss_v4::Scope,
    time: Timestamp,
    region: &Region,
    [bad_date, bad_credential]: [&'static str; 2],
) -> Result<(), OssError> {
    let refuse = |ec, what| {
        let message = format!("Invalid signing {what} in Authorization header.");
        Err(OssError::new(400, "InvalidArgument", message).ec(ec))
    };
    if scope.date.len() != 8 || !oss_v4::date_time(time).starts_with(&scope.date) {
        return refuse(bad_date, "date");
    }
    if scope.product != "oss" {
        return refuse(bad_credential, "product");
    }
    if scope.region != region.as_str() {
        if bad_credential == BAD_CREDENTIAL_OF_URL {
            let message = "The signing region in credential is invalid.";
            return Err(OssError::new(400, "InvalidArgument", message).ec("0002-00000226"));
        }
        return refuse("0002-00000226", "region");
    }
    Ok(())
}

fn secret(keys: &Keys, id: &str, token: Option<&str>, now: Timestamp) -> Result<Secret, OssError> {
    keys.secret(id, token, now).map_err(|error| match error {
        KeyError::UnknownId => OssError::new(
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
        )
        .ec("0002-00000902")
        .element("OSSAccessKeyId", id),
        KeyError::UnknownToken => {
            OssError::new(403, "InvalidSecurityToken", "The security token you provided is invalid.")
                .ec("0002-00000006")
        }
        KeyError::Expired => token_expired(),
    })
}

pub(super) fn token_expired() -> OssError {
    OssError::new(403, "SecurityTokenExpired", "The security token you provided has expired.")
        .ec("0002-00000007")
}

fn check_skew(time: Timestamp, now: Timestamp) -> Result<(), OssError> {
    if (now.as_second() - time.as_second()).abs() <= MAX_CLOCK_SKEW_SECONDS {
        return Ok(());
    }
    Err(OssError::new(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    )
    .ec("0002-00000504")
    .element("MaxAllowedSkewMilliseconds", (MAX_CLOCK_SKEW_SECONDS * 1000).to_string())
    .element("RequestTime", iso(time))
    .element("ServerTime", iso(now)))
}

fn expired(end: Timestamp, now: Timestamp) -> OssError {
    OssError::new(403, "AccessDenied", "Request has expired.")
        .ec("0002-00000069")
        .element("Expires", iso(end))
        .element("ServerTime", iso(now))
}

fn does_not_match(id: &str, provided: &str, text: &str) -> OssError {
    let octets: Vec<String> = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    OssError::new(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and \
         signing method.",
    )
    .ec("0002-00000040")
    .element("OSSAccessKeyId", id)
    .element("SignatureProvided", provided)
    .element("StringToSign", text)
    .element("StringToSignBytes", octets.join(" "))
}

fn no_date() -> OssError {
    OssError::new(403, "AccessDenied", "OSS authentication requires a valid Date.").ec("0002-00000503")
}

fn invalid_date() -> OssError {
    OssError::new(403, "AccessDenied", "OSS authentication requires a valid Date.").ec("0002-00000502")
}

/// Reads `20250101T000405Z`.
fn parse_basic(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}
