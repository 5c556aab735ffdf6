//! The one seam to the network: a request goes in, a response comes out.
//!
//! Signing, XML, retries and timeouts are above it and always real; tests and the in-process emulator stand
//! in below it.

mod transport;

pub use transport::{HttpOptions, HttpTransport, SourceFailed};

use std::fmt;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;

use crate::credentials::BoxFuture;

/// A body that is streamed, of a request or a response. Its length is exact where it is known.
pub type Body = BoxBody<Bytes, std::io::Error>;

/// Returns a body without bytes.
pub fn empty() -> Body {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}

/// Returns a body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// Carries signed requests to a server and brings back its responses.
///
/// A response of any status is `Ok`. Dropping the future drops the request and its connection.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request`, whose URI is absolute, and returns the response once its head has arrived.
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>>;

    /// Drops all pooled connections, so that the next requests resolve and connect anew.
    fn reset(&self) {}
}

/// Why no response arrived. Each kind may be tried again; what differs is the advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host's name could not be resolved.
    Resolve,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed; the certificate may be unknown.
    Tls,
    /// The connection broke, or the response was cut.
    Broken,
    /// No progress for too long.
    Timeout,
    /// The request's own body could not be read from its source.
    Source,
    /// What came back was not HTTP.
    NotHttp,
}

/// A failed attempt to get a response.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of failure.
    pub kind: TransportErrorKind,
    /// What failed, without any secret.
    pub message: String,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    /// Returns an error of `kind`.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
