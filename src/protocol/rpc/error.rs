//! Error answers of RPC-style services, and what to do about each code ("Error codes" pages of ECS, RAM, STS).

use quick_xml::events::Event;
use serde_json::Value;

use super::{code, json};
use crate::protocol::{Response, RetryClass, ServiceError, ecs};

/// How much is quoted of an answer that is not an error document.
const MAX_QUOTE: usize = 200;
/// Largest error document that is parsed.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// What follows in a `SignatureDoesNotMatch` message is the request, session token included.
const STRING_TO_SIGN: &str = "server string to sign is:";

/// Reads an error answer (any status but 2xx), a JSON or XML document or anything else.
pub fn parse(answer: &Response) -> ServiceError {
    let body = &answer.body[..answer.body.len().min(MAX_ERROR_BYTES)];
    let mut error = from_json(body)
        .or_else(|| from_xml(body))
        .unwrap_or_else(|| ServiceError { message: quote(body), ..ServiceError::default() });
    error.status = answer.status.as_u16();
    if let Some((before, _)) = error.message.split_once(STRING_TO_SIGN) {
        error.message = before.trim_end_matches([' ', ',', ';', '.']).to_owned();
    }
    if error.request_id.is_none() {
        error.request_id = answer.header("x-acs-request-id").map(str::to_owned);
    }
    error.retry_after = retry_after(answer);
    error
}

/// Returns what to do about an error, decided on its code and status and never on its message.
pub fn action(error: &ServiceError) -> RetryClass {
    let Some(code) = error.code.as_deref() else { return by_status(error) };
    match code {
        code::SIGNATURE_NONCE_USED
        | code::INTERNAL_ERROR
        | code::UNKNOWN_ERROR
        | code::SERVICE_UNAVAILABLE => RetryClass::Retry,
        code::INVALID_TIME_STAMP_FORMAT | code::INVALID_TIME_STAMP_EXPIRED | code::ILLEGAL_TIMESTAMP => {
            RetryClass::FixClock
        }
        code::INVALID_SECURITY_TOKEN_EXPIRED
        | code::INVALID_SECURITY_TOKEN_MALFORMED
        | code::INVALID_SECURITY_TOKEN_MISMATCH_WITH_ACCESS_KEY => RetryClass::RefreshCredentials,
        // Slowly: another operation on the same resource, or the first call with this token, still runs.
        code::OPERATION_CONFLICT
        | code::INVALID_OPERATION_CONFLICT
        | code::LAST_TOKEN_PROCESSING
        | code::IDEMPOTENT_PROCESSING => RetryClass::Throttled,
        ecs::code::INVALID_OSS_BUCKET_FLOW_LIMIT => RetryClass::Throttled,
        _ if code.starts_with(code::THROTTLING) || code == code::REJECTED_THROTTLING => RetryClass::Throttled,
        _ if code.starts_with(code::SERVICE_UNAVAILABLE_PREFIX) => RetryClass::Retry,
        _ => by_status(error),
    }
}

fn by_status(error: &ServiceError) -> RetryClass {
    match error.status {
        429 => RetryClass::Throttled,
        // The vendor's SDK takes the header's presence on an error for throttling.
        _ if error.retry_after.is_some() => RetryClass::Throttled,
        408 | 500 | 502 | 503 | 504 => RetryClass::Retry,
        _ => RetryClass::Never,
    }
}

/// Returns whole seconds from `x-acs-retry-after` (milliseconds, rounded up) or `Retry-After` (seconds).
fn retry_after(answer: &Response) -> Option<u64> {
    let positive = |name| answer.header(name)?.trim().parse::<u64>().ok().filter(|value| *value > 0);
    positive("x-acs-retry-after").map(|ms| ms.div_ceil(1000)).or_else(|| positive("retry-after"))
}

fn from_json(body: &[u8]) -> Option<ServiceError> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let code = json::text(&value, "Code")?;
    let denied = value.get("AccessDeniedDetail").and_then(|detail| json::text(detail, "AuthAction"));
    Some(ServiceError {
        code: Some(code),
        message: json::text(&value, "Message").unwrap_or_default(),
        request_id: json::text(&value, "RequestId"),
        recommend: json::text(&value, "Recommend"),
        denied_action: denied,
        ..ServiceError::default()
    })
}

fn from_xml(body: &[u8]) -> Option<ServiceError> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = quick_xml::Reader::from_str(text);
    let mut error = ServiceError::default();
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.name().as_ref().to_owned());
                content.clear();
            }
            Event::Text(piece) => content.push_str(&piece),
            Event::CData(piece) => content.push_str(&piece),
            Event::GeneralRef(entity) => content.push_str(&resolve(&entity)?),
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let found = content.trim().to_owned();
                match names.as_slice() {
                    ["Error", "Code"] => error.code = Some(found),
                    ["Error", "Message"] => error.message = found,
                    ["Error", "RequestId"] => error.request_id = Some(found),
                    ["Error", "Recommend"] => error.recommend = Some(found),
                    ["Error", "AccessDeniedDetail", "AuthAction"] => error.denied_action = Some(found),
                    _ => {}
                }
                content.clear();
                path.pop();
                if path.is_empty() {
                    break;
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    error.code.is_some().then_some(error)
}

/// Resolves `&lt;`, `&#38;` and the like.
fn resolve(entity: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Some(character) = entity.resolve_char_ref().ok()? {
        return Some(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(entity).map(str::to_owned)
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_QUOTE)]);
    text.trim_end_matches(char::REPLACEMENT_CHARACTER).trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16, body: &str) -> Response {
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn each_code_has_its_action() {
        for (status, code, expected) in [
            (400, "MissingParameter", RetryClass::Never),
            (400, "InvalidParameter.Conflict", RetryClass::Never),
            (404, "InvalidAccessKeyId.NotFound", RetryClass::Never),
            (400, "InvalidAccessKeyId.Inactive", RetryClass::Never),
            (403, "Forbidden.AccessKeyDisabled", RetryClass::Never),
            (400, "IncompleteSignature", RetryClass::Never),
            (400, "SignatureDoesNotMatch", RetryClass::Never),
            (400, "SignatureNonceUsed", RetryClass::Retry),
            (400, "InvalidTimeStamp.Format", RetryClass::FixClock),
            (400, "InvalidTimeStamp.Expired", RetryClass::FixClock),
            (400, "IllegalTimestamp", RetryClass::FixClock),
            (400, "InvalidSecurityToken.Expired", RetryClass::RefreshCredentials),
            (400, "InvalidSecurityToken.Malformed", RetryClass::RefreshCredentials),
            (400, "InvalidSecurityToken.MismatchWithAccessKey", RetryClass::RefreshCredentials),
            (403, "Forbidden.RAM", RetryClass::Never),
            (403, "NoPermission", RetryClass::Never),
            (403, "Forbidden.RiskControl", RetryClass::Never),
            (403, "InvalidAction", RetryClass::Never),
            (404, "InvalidApi.NotFound", RetryClass::Never),
            (400, "NoSuchVersion", RetryClass::Never),
            (403, "UnsupportedHTTPMethod", RetryClass::Never),
            (404, "InvalidRegionId.NotFound", RetryClass::Never),
            (403, "RealNameAuthenticationError", RetryClass::Never),
            (400, "Account.Arrearage", RetryClass::Never),
            (400, "Throttling", RetryClass::Throttled),
            (400, "Throttling.User", RetryClass::Throttled),
            (429, "Throttling.Api", RetryClass::Throttled),
            (400, "Rejected.Throttling", RetryClass::Throttled),
            (503, "ServiceUnavailable", RetryClass::Retry),
            (503, "ServiceUnavailable.Busy", RetryClass::Retry),
            (500, "InternalError", RetryClass::Retry),
            (403, "InternalError", RetryClass::Retry),
            (400, "UnknownError", RetryClass::Retry),
            (409, "OperationConflict", RetryClass::Throttled),
            (409, "InvalidOperation.Conflict", RetryClass::Throttled),
            (403, "LastTokenProcessing", RetryClass::Throttled),
            (400, "IdempotentParameterMismatch", RetryClass::Never),
            (403, "InvalidIdempotenceParameter.Mismatch", RetryClass::Never),
            (400, "InvalidClientToken.Malformed", RetryClass::Never),
            (400, "DryRunOperation", RetryClass::Never),
            (400, "DRYRUN.SUCCESS", RetryClass::Never),
            (400, "InvalidOSSBucket.FlowLimit", RetryClass::Throttled),
            (403, "NoSetRoletoECSServiceAcount", RetryClass::Never),
            (500, "SomethingNew", RetryClass::Retry),
            (429, "SomethingNew", RetryClass::Throttled),
        ] {
            let error = parse(&answer(status, &format!("{{\"Code\":\"{code}\",\"Message\":\"m\"}}")));
            assert_eq!(error.code.as_deref(), Some(code));
            assert_eq!(action(&error), expected, "{status} {code}");
        }
    }

    #[test]
    fn answers_without_a_code_go_by_their_status() {
        for (status, expected) in [
            (400, RetryClass::Never),
            (403, RetryClass::Never),
            (408, RetryClass::Retry),
            (502, RetryClass::Retry),
        ] {
            let error = parse(&answer(status, "<html><body>Bad Gateway</body></html>"));
            assert_eq!((error.code.as_deref(), action(&error)), (None, expected), "{status}");
            assert_eq!(error.message, "<html><body>Bad Gateway</body></html>");
        }
        assert_eq!(parse(&answer(502, &"x".repeat(5000))).message.len(), MAX_QUOTE);
        assert_eq!(parse(&answer(502, "")).message, "");
    }

    #[test]
    fn json_and_xml_carry_the_same() {
        let json = r#"{"RequestId":"5B5C","HostId":"ecs.aliyuncs.com","Code":"Forbidden.RAM","Message":"a & <b>",
            "Recommend":"https://x/?a=1&b=2","AccessDeniedDetail":{"AuthAction":"ecs:ImportImage"}}"#;
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Error><RequestId>5B5C</RequestId><HostId>ecs.aliyuncs.com</HostId><Code>Forbidden.RAM</Code>
            <Message>a &amp; &lt;b&#62;</Message><Recommend><![CDATA[https://x/?a=1&b=2]]></Recommend>
            <AccessDeniedDetail><AuthAction>ecs:ImportImage</AuthAction></AccessDeniedDetail></Error>"#;
        let (json, xml) = (parse(&answer(403, json)), parse(&answer(403, xml)));
        assert_eq!(json, xml);
        assert_eq!(json.request_id.as_deref(), Some("5B5C"));
        assert_eq!(json.message, "a & <b>");
        assert_eq!(json.denied_action.as_deref(), Some("ecs:ImportImage"));
        assert_eq!(json.recommend.as_deref(), Some("https://x/?a=1&b=2"));
    }

    #[test]
    fn the_string_to_sign_is_not_repeated_for_it_holds_the_session_token() {
        let body = r#"{"Code":"SignatureDoesNotMatch","Message":"Specified signature is not matched with our calculation. server string to sign is:POST&%2F&SecurityToken%3Dhunter2"}"#;
        let error = parse(&answer(400, body));
        assert_eq!(error.message, "Specified signature is not matched with our calculation");
    }

    #[test]
    fn the_wait_that_the_service_asks_for_is_rounded_up_to_seconds() {
        for (name, value, expected) in [
            ("x-acs-retry-after", "1", Some(1)),
            ("x-acs-retry-after", "2500", Some(3)),
            ("x-acs-retry-after", "0", None),
            ("x-acs-retry-after", "-5", None),
            ("retry-after", "7", Some(7)),
        ] {
            let mut answer = answer(400, r#"{"Code":"Unheard"}"#);
            answer.headers.insert(name, value.parse().unwrap());
            let error = parse(&answer);
            assert_eq!(error.retry_after, expected, "{name}: {value}");
            let action_expected = if expected.is_some() { RetryClass::Throttled } else { RetryClass::Never };
            assert_eq!(action(&error), action_expected);
        }
    }
}
