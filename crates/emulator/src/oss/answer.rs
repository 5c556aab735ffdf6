//! How answers are put together: documents, errors and the headers that all share.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER};
use http::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;

use super::error::OssError;
use super::time::http_date;
use super::xml::Document;
use ossup_core::http::{Body, empty, full};

/// Returns an answer without a body.
pub(super) fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// Returns a 200 with a document.
pub(super) fn xml(document: Document) -> Response<Body> {
    let mut response = Response::new(full(document.into_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Sets a header. Text may come from what a client stored: what no header may have becomes a `?`.
pub(super) fn set(headers: &mut HeaderMap, name: &str, value: impl AsRef<str>) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("header names here are tokens");
    let fit = |byte: u8| if byte.is_ascii_control() && byte != b'\t' { b'?' } else { byte };
    let value: Vec<u8> = value.as_ref().bytes().map(fit).collect();
    let value = HeaderValue::from_bytes(&value).expect("control characters are replaced");
    headers.insert(name, value);
}

/// Returns an ETag header's text.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// What error documents and the common headers contain about a request.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) request_id: &'a str,
    pub(super) host: &'a str,
    /// Whether the answer may have no body: HEAD.
    pub(super) bodiless: bool,
}

/// Writes an error as its answer.
pub(super) fn error(error: &OssError, subject: &Subject<'_>) -> Response<Body> {
    let mut document = Document::new();
    document.element("Error", |d| {
        d.text("Code", &error.code);
        d.text("Message", &error.message);
        d.text("RequestId", subject.request_id);
        d.text("HostId", subject.host);
        for (name, text) in &error.elements {
            d.text(name, text);
        }
        d.text("EC", error.ec);
        d.text("RecommendDoc", format!("https://api.aliyun.com/troubleshoot?q={}", error.ec));
    });
    let mut response = if subject.bodiless || error.status == StatusCode::NOT_MODIFIED {
        let mut response = plain(error.status);
        set(response.headers_mut(), "x-oss-err", STANDARD.encode(document.into_bytes()));
        response
    } else {
        let mut response = xml(document);
        *response.status_mut() = error.status;
        response
    };
    for (name, text) in &error.headers {
        set(response.headers_mut(), name, text);
    }
    set(response.headers_mut(), "x-oss-ec", error.ec);
    response
}

/// Adds the headers that all answers carry.
pub(super) fn finish(response: &mut Response<Body>, request_id: &str, now: Timestamp, took: Duration) {
    use http_body::Body as _;
    let exact = response.body().size_hint().exact();
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    if let Some(length) = exact
        && !bodiless
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    headers.insert(SERVER, HeaderValue::from_static("AliyunOSS"));
    headers.entry(DATE).or_insert_with(|| HeaderValue::from_str(&http_date(now)).expect("dates are ASCII"));
    set(headers, "x-oss-request-id", request_id);
    set(headers, "x-oss-server-time", took.as_millis().to_string());
}
