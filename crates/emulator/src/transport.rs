//! The door within the process: the emulator as a transport.

use std::error::Error as _;

use http_body::Body as _;

use super::oss::http_date;
use super::{Disconnect, Emulator};
use ossup_core::credentials::BoxFuture;
use ossup_core::http::{Body, SourceFailed, Transport, TransportError, TransportErrorKind};

impl Transport for Emulator {
    fn send(
        &self,
        mut request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            // As an HTTP library does.
            if !request.headers().contains_key(http::header::CONTENT_LENGTH) {
                match request.body().size_hint().exact() {
                    Some(length) => {
                        request.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
                    }
                    None => {
                        let chunked = http::HeaderValue::from_static("chunked");
                        request.headers_mut().insert(http::header::TRANSFER_ENCODING, chunked);
                    }
                }
            }
            let answer = self.handle(request).await.map(|mut answer| {
                // As an HTTP server does.
                if let Ok(date) = http_date(self.now()).parse() {
                    answer.headers_mut().entry(http::header::DATE).or_insert(date);
                }
                answer
            });
            answer.map_err(|cut| match cut {
                Disconnect::Reset => TransportError::new(TransportErrorKind::Broken, "the connection broke"),
                Disconnect::Body(error) if comes_from_source(&error) => {
                    TransportError::new(TransportErrorKind::Source, "the source could not be read")
                        .with_source(error)
                }
                Disconnect::Body(error) => {
                    TransportError::new(TransportErrorKind::Broken, "the connection broke").with_source(error)
                }
            })
        })
    }
}

fn comes_from_source(error: &std::io::Error) -> bool {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if error.is::<SourceFailed>() {
            return true;
        }
        cause = error.source();
    }
    error.source().is_some_and(|cause| cause.is::<SourceFailed>())
}
