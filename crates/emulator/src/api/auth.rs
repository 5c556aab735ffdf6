//! Who calls: signatures of both schemes, their time and their nonce.

use jiff::{SignedDuration, Timestamp};

use super::super::keys::{KeyError, Keys};
use super::ApiRequest;
use super::answer::Refusal;
use super::call::{Call, Style};
use super::cloud::State;
use ossup_core::model::limits::MAX_CLOCK_SKEW_SECONDS;
use ossup_core::sign::{acs3, rpc_v1};

/// What a call says about its signature.
struct Claim {
    access_key: String,
    token: Option<String>,
    time: String,
    nonce: String,
    signature: String,
    string_to_sign: String,
    compute: fn(&str, &str) -> String,
}

/// Returns the access key id that a call is proven to come from.
///
/// The nonce is looked at last, so that unsigned garbage does not fill the memory of nonces.
pub(super) fn verify(
    request: &ApiRequest,
    call: &Call,
    keys: &Keys,
    state: &mut State,
) -> Result<String, Refusal> {
    let claim = match call.style {
        Style::V1 => v1(request, call)?,
        Style::Acs3 => acs3(request, call)?,
    };
    let secret =
        keys.secret(&claim.access_key, claim.token.as_deref(), request.now).map_err(|error| match error {
            KeyError::UnknownId => {
                Refusal::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
            }
            KeyError::UnknownToken => Refusal::new(
                400,
                "InvalidSecurityToken.MismatchWithAccessKey",
                "Specified SecurityToken mismatches with the AccessKey.",
            ),
            KeyError::Expired => {
                Refusal::new(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
            }
        })?;
    check_time(&claim.time, request.now)?;
    if (claim.compute)(secret.expose(), &claim.string_to_sign) != claim.signature {
        let message = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{}",
            claim.string_to_sign
        );
        return Err(Refusal::new(400, "SignatureDoesNotMatch", message));
    }
    let window = SignedDuration::from_secs(MAX_CLOCK_SKEW_SECONDS);
    state.nonces.retain(|_, seen| request.now.duration_since(*seen) < window);
    if state.nonces.insert((claim.access_key.clone(), claim.nonce), request.now).is_some() {
        return Err(Refusal::new(400, "SignatureNonceUsed", "Specified signature nonce was used already."));
    }
    Ok(claim.access_key)
}

fn v1(request: &ApiRequest, call: &Call) -> Result<Claim, Refusal> {
    let signature = call.required("Signature")?.to_owned();
    let access_key = call.required("AccessKeyId")?.to_owned();
    let nonce = call.required("SignatureNonce")?.to_owned();
    let time = call.required("Timestamp")?.to_owned();
    if call.required("SignatureMethod")? != "HMAC-SHA1" || call.required("SignatureVersion")? != "1.0" {
        return Err(incomplete("Only HMAC-SHA1 of version 1.0 is supported."));
    }
    // A name in both places counts once, with the query's value.
    let in_query = |name: &str| call.query.iter().any(|(known, _)| known == name);
    let params: Vec<(String, String)> =
        call.query.iter().chain(call.form.iter().filter(|(name, _)| !in_query(name))).cloned().collect();
    Ok(Claim {
        access_key,
        token: call.text("SecurityToken").map(str::to_owned),
        time,
        nonce,
        signature,
        string_to_sign: rpc_v1::string_to_sign(request.method.as_str(), &params),
        compute: rpc_v1::signature,
    })
}

fn acs3(request: &ApiRequest, call: &Call) -> Result<Claim, Refusal> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let required = |name: &str| header(name).ok_or_else(|| incomplete(&format!("Header {name} is missing.")));
    let authorization = acs3::Authorization::parse(required("authorization")?)
        .ok_or_else(|| incomplete("The Authorization header is malformed."))?;
    let signed: Vec<&str> = authorization.signed_headers.iter().map(String::as_str).collect();
    let must_sign = |name: &str| name == "host" || name.starts_with("x-acs-");
    let unsigned = request
        .headers
        .keys()
        .map(|name| name.as_str())
        .find(|name| must_sign(name) && !signed.contains(name));
    if let Some(name) = unsigned {
        return Err(incomplete(&format!("Header {name} is not signed.")));
    }
    if !signed.contains(&"host") {
        return Err(incomplete("Header host is not signed."));
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    if header("host").is_none() {
        // Within the process only the URI names the host.
        headers.push(("host".to_owned(), call.host.clone()));
    }
    // Our own hash of the body, whatever the header says.
    let hash = acs3::payload_hash(&request.body);
    let canonical = acs3::canonical_request(request.method.as_str(), &call.query, &headers, &signed, &hash);
    Ok(Claim {
        access_key: authorization.access_key_id,
        token: header("x-acs-security-token").map(str::to_owned),
        time: required("x-acs-date")?.to_owned(),
        nonce: required("x-acs-signature-nonce")?.to_owned(),
        signature: authorization.signature,
        string_to_sign: acs3::string_to_sign(&canonical),
        compute: acs3::signature,
    })
}

fn incomplete(message: &str) -> Refusal {
    Refusal::new(400, "IncompleteSignature", message)
}

fn check_time(text: &str, now: Timestamp) -> Result<(), Refusal> {
    // Some clients add milliseconds.
    let is_form = matches!(text.len(), 20 | 24) && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let time = is_form.then(|| text.parse::<Timestamp>().ok()).flatten();
    let Some(time) = time else {
        let message = "Specified time stamp or date value is not well formatted.";
        return Err(Refusal::new(400, "InvalidTimeStamp.Format", message));
    };
    if time.duration_since(now).as_secs().abs() > MAX_CLOCK_SKEW_SECONDS {
        let message = "Specified time stamp or date value is expired.";
        return Err(Refusal::new(400, "InvalidTimeStamp.Expired", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_seconds_or_milliseconds() {
        let now = "2025-06-01T12:00:00Z".parse().unwrap();
        let code = |text: &str| check_time(text, now).err().map(|refusal| refusal.code);
        for good in ["2025-06-01T12:00:01Z", "2025-06-01T11:59:59.123Z"] {
            assert_eq!(code(good), None, "{good}");
        }
        for bad in ["2025-06-01 12:00:01Z", "2025-06-01T12:00:01", "2025-06-01T12:00:01.1234567Z", "now"] {
            assert_eq!(code(bad).as_deref(), Some("InvalidTimeStamp.Format"), "{bad}");
        }
        assert_eq!(code("2025-06-01T12:16:00.000Z").as_deref(), Some("InvalidTimeStamp.Expired"));
    }
}
