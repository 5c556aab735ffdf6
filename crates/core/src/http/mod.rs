//! The one seam to the network: a request goes in, a response comes out.
//!
//! Signing, XML, retries and timeouts are above it and always real; tests and the in-process emulator stand
//! in below it.

mod body;
mod classify;
mod proxy;
#[cfg(test)]
mod tests;
mod transport;

pub use body::{Body, empty, full};
pub use proxy::{InvalidProxy, ProxyUrl};
pub use transport::{HttpOptions, HttpTransport, SourceFailed};

use std::fmt;

use bytes::Bytes;

use crate::credentials::BoxFuture;

/// The certificate that a server showed, in DER form: an extension of responses that came over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate(pub Bytes);

/// Carries signed requests to a server and brings back its responses.
///
/// A response of any status is `Ok`. Dropping the future drops the request and its connection.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request`, whose URI is absolute, and returns the response once its head has arrived.
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>>;

    /// Drops all pooled connections, so that the next requests resolve and connect again.
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
    /// The server's certificate was refused.
    Certificate(CertificateFault),
    /// The TLS handshake failed; what answers may not speak TLS at all.
    Tls,
    /// The proxy could not be reached.
    Proxy,
    /// The proxy made no connection to the host.
    ProxyRefused,
    /// The proxy wants a user and a password, or others.
    ProxyAuth,
    /// Something on the way answered in the service's place: a captive portal, a filter.
    Intercepted,
    /// The connection broke, or the response was cut.
    Broken,
    /// No progress for too long.
    Timeout,
    /// The request's own body could not be read from its source.
    Source,
    /// What came back was not HTTP.
    NotHttp,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateFault {
    /// An authority issued it that is not trusted here.
    Issuer,
    /// It is for another name.
    Name,
    /// It has expired, by the clock of this machine.
    Expired,
    /// It is not valid yet, by the clock of this machine.
    NotYetValid,
    /// Anything else.
    Other,
}

/// A failed attempt to get a response.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of failure.
    pub kind: TransportErrorKind,
    /// What failed, without any secret.
    pub message: String,
    /// The host that was asked for, where it is known.
    pub host: Option<String>,
    /// Host and port of the proxy that was used, if any.
    pub proxy: Option<String>,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    /// Returns an error of `kind`.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), host: None, proxy: None, source: None }
    }

    /// Sets the requested host.
    #[must_use]
    pub fn about(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
