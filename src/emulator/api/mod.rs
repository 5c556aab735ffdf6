//! The RPC-style services on the same port: ECS, RAM and STS.

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use jiff::Timestamp;

use super::Emulator;
use crate::http::{Body, full};

/// A call of an RPC-style service with its whole body.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// A UUID in upper case.
    pub(crate) request_id: String,
    /// The emulator's time, a scripted skew included.
    pub(crate) now: Timestamp,
}

/// Answers a call.
pub(crate) async fn handle(_emulator: &Emulator, request: ApiRequest) -> Response<Body> {
    let body = serde_json::json!({
        "RequestId": request.request_id,
        "Code": "InvalidAction.NotFound",
        "Message": "Specified api is not found, please check your url and method.",
    });
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
