//! The wire as pure functions: no socket, no clock, no randomness.
//!
//! An [`Operation`] builds a [`Request`] and reads an [`Response`]; [`sign`] turns a request, credentials and a
//! time into headers or a URL. The client joins the two with a transport and the retry loop.

pub mod ecs;
mod error;
pub mod oss;
pub mod ram;
pub mod rpc;
pub mod sts;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

pub use error::{DecodeError, RetryClass, ServiceError};
pub use ossup_core::request::{Content, OssRequest, Request, RpcRequest, RpcService};
pub use ossup_core::{sign, uri};

/// One operation of a service: what to send, how, and what the answer means.
pub trait Operation: Send + Sync {
    /// What a good answer holds.
    type Output: Send;

    /// Returns the operation's name in the vendor's documentation: `UploadPart`.
    fn name(&self) -> &'static str;

    /// Builds the request, unsigned. It is called for every attempt and returns the same request each time.
    fn request(&self) -> Request;

    /// Whether an attempt whose answer was lost may simply be sent again.
    fn idempotence(&self) -> Idempotence {
        Idempotence::Idempotent
    }

    /// How long an answer may take.
    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Short
    }

    /// Reads a good answer (status 2xx).
    ///
    /// # Errors
    ///
    /// When the answer is not what the operation promises: the server may not be OSS, or the answer was cut.
    fn decode(&self, answer: &Response) -> Result<Self::Output, DecodeError>;
}

/// Whether repeating a request can change more than the first attempt did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotence {
    /// Repeating is harmless.
    Idempotent,
    /// A repetition may answer differently though the first attempt took effect (Complete: `NoSuchUpload`).
    /// The client repeats it and reports that it did, and the caller finds out what happened.
    Settled,
    /// Never repeated once it may have reached the service.
    Once,
}

/// How long an attempt may take. The durations are the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutClass {
    /// A small request with a quick answer.
    Short,
    /// A body of any size: limits count time without progress.
    Upload,
    /// The service may work for minutes before it answers: Complete, UploadPartCopy.
    Long,
}

/// An answer with its whole body, which is bounded.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Response {
    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the service's id of the request, to be quoted to its support.
    pub fn request_id(&self) -> Option<&str> {
        self.header("x-oss-request-id").or_else(|| self.header("x-acs-request-id"))
    }

    /// Whether it came from something on the way, such as the page of a captive portal: no service redirects
    /// without an id of the request, or answers with a web page. Returns what it is.
    pub fn intercepted(&self) -> Option<String> {
        if self.request_id().is_some() {
            return None;
        }
        let status = self.status.as_u16();
        if matches!(status, 301..=303 | 307 | 308) {
            let host = self.header("location").and_then(|url| url.parse::<http::Uri>().ok());
            // The rest of the address may repeat what was signed.
            let host = host.and_then(|url| url.host().map(str::to_owned));
            let to = host.map(|host| format!(" to `{host}`")).unwrap_or_default();
            return Some(format!("a redirect{to} (status {status})"));
        }
        let page = self.status.is_success() && self.is_web_page() || status == 511;
        page.then(|| format!("a web page (status {status})"))
    }

    fn is_web_page(&self) -> bool {
        let begins = |text: &[u8], with: &str| {
            text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
        };
        let body = self.body.trim_ascii_start();
        self.header("content-type").is_some_and(|kind| begins(kind.as_bytes(), "text/html"))
            || begins(body, "<!doctype html")
            || begins(body, "<html")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response {
        let mut answer = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        for (name, value) in headers {
            answer.headers.insert(*name, http::HeaderValue::from_static(value));
        }
        answer
    }

    #[test]
    fn a_page_of_something_on_the_way_is_no_answer_of_the_service() {
        let to = ("location", "http://portal.example/login?next=secret");
        let redirect = answer(302, &[to], "").intercepted().unwrap();
        assert!(redirect.contains("`portal.example`") && !redirect.contains("secret"), "{redirect}");
        assert!(answer(307, &[], "").intercepted().is_some());
        assert!(
            answer(200, &[("content-type", "text/html; charset=utf-8")], "Hello").intercepted().is_some()
        );
        assert!(answer(200, &[], "\n<!DOCTYPE HTML><p>Log in").intercepted().is_some());
        assert!(answer(511, &[], "").intercepted().is_some());
        let own = ("x-oss-request-id", "5C3D");
        for (status, body) in [(302, ""), (200, "<html>"), (200, "<?xml version=\"1.0\"?><Error/>")] {
            assert_eq!(answer(status, &[own], body).intercepted(), None, "{status} {body}");
        }
        for (status, body) in [(200, ""), (304, ""), (200, "<?xml version=\"1.0\"?><a/>"), (403, "<html>")] {
            assert_eq!(answer(status, &[], body).intercepted(), None, "{status} {body}");
        }
    }
}
