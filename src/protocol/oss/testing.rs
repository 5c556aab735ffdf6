//! What the tests of the operations share.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::model::{ObjectRef, PartNumber};
use crate::protocol::{Content, Operation, OssRequest, Request, Response};

pub(super) fn object(key: &str) -> ObjectRef {
    ObjectRef::new("images".parse().unwrap(), key.parse().unwrap())
}

pub(super) fn number(number: u16) -> PartNumber {
    PartNumber::new(number).unwrap()
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(super) fn oss(operation: &impl Operation) -> OssRequest {
    match operation.request() {
        Request::Oss(request) => request,
        Request::Rpc(request) => panic!("{} is not an OSS operation", request.action),
    }
}

/// Writes a request as text: method, bucket, key and query on the first line, then headers and body.
pub(super) fn show(operation: &impl Operation) -> String {
    let request = oss(operation);
    let bucket = request.bucket.map(|bucket| bucket.to_string()).unwrap_or("-".to_owned());
    let key = request.key.map(|key| key.to_string()).unwrap_or("-".to_owned());
    let query = request.query.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    });
    let query = query.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { " ?" };
    let mut lines = vec![format!("{} {bucket} {key}{mark}{query}", request.method)];
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    match request.content {
        Content::Empty => {}
        Content::Bytes(bytes) => lines.push(String::from_utf8(bytes.to_vec()).unwrap()),
        Content::Stream(length) => lines.push(format!("{length} streamed bytes")),
    }
    lines.join("\n")
}
