//! Distinguishes calls of the RPC-style services from requests to OSS.

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::SignedDuration;

use super::api::{self, ApiRequest};
use super::faults::{InjectedError, RequestKey, Stop};
use super::{Disconnect, Emulator};
use ossup_core::http::{Body, full};

/// Largest form of a call. ImportImage with 17 disks takes a few KiB.
const MAX_FORM: usize = 1 << 20;

/// Whether a request is a call: it has an `x-acs-action` header or an `Action` parameter, or is a form.
pub(super) fn is_call(request: &Request<Body>) -> bool {
    let named = |pair: &str| pair.split('=').next() == Some("Action");
    let query = request.uri().query().unwrap_or_default();
    // OSS knows only forms of another type: PostObject's `multipart/form-data`.
    let form = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    request.headers().contains_key("x-acs-action")
        || query.split('&').any(named)
        || (form && request.method() == Method::POST && request.uri().path() == "/" && query.is_empty())
}

/// Reads a call whole and has it answered.
pub(super) async fn call(emulator: &Emulator, request: Request<Body>) -> Result<Response<Body>, Disconnect> {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Disconnect::Body)?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_FORM {
            let mut response = Response::new(full("the form is too large"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        }
        bytes.extend_from_slice(&data);
    }
    let mut request = ApiRequest {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: bytes.into(),
        request_id: uuid::Uuid::new_v4().hyphenated().to_string().to_uppercase(),
        now: emulator.now(),
    };
    let seen = RequestKey { operation: api::action(&request), key: String::new(), part: None };
    let injected = emulator.script().draw(seen);
    request.now += SignedDuration::from_secs(injected.clock_skew());
    match injected.at_head(false).await {
        Ok(()) => {}
        Err(Stop::Answer(scripted)) => return Ok(api::scripted(emulator, &request, &scripted)),
        Err(Stop::Disconnect) => return Err(Disconnect::Reset),
    }
    if injected.kills_token() {
        let expired = InjectedError {
            status: 400,
            code: "InvalidSecurityToken.Expired".to_owned(),
            message: "Specified SecurityToken is expired.".to_owned(),
            retry_after: None,
        };
        return Ok(api::scripted(emulator, &request, &expired));
    }
    let response = api::handle(emulator, &request).await;
    injected.after(response, |error| api::scripted(emulator, &request, error)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_requests_to_oss() {
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        for (method, uri, action, kind, expected) in [
            ("POST", "/", true, None, true),
            ("GET", "/?Action=DescribeImages&Version=1", false, None, true),
            ("GET", "/?RegionId=a&Action=DescribeImages", false, None, true),
            ("POST", "/", false, form, true),
            ("POST", "/images/key?uploads", false, form, false),
            ("POST", "/?delete", false, form, false),
            ("GET", "/images/?prefix=Action", false, None, false),
            ("POST", "/", false, Some("multipart/form-data"), false),
        ] {
            let mut request = Request::builder().method(method).uri(uri);
            if action {
                request = request.header("x-acs-action", "ImportImage");
            }
            if let Some(kind) = kind {
                request = request.header(CONTENT_TYPE, kind);
            }
            assert_eq!(
                is_call(&request.body(ossup_core::http::empty()).unwrap()),
                expected,
                "{method} {uri}"
            );
        }
    }
}
