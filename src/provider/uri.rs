use std::sync::Arc;
use std::time::Duration;

use super::{Fetch, answer};
use crate::credentials::{BoxFuture, Credentials, CredentialsError};
use crate::http::{Transport, empty};
use crate::model::Secret;

/// How long the address may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Credentials from an HTTP address that the user names.
#[derive(Debug)]
pub(super) struct Uri {
    transport: Arc<dyn Transport>,
    uri: Secret,
}

impl Uri {
    pub(super) fn new(transport: Arc<dyn Transport>, uri: Secret) -> Self {
        Self { transport, uri }
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        // The address is not repeated in errors: its query may hold a secret.
        let uri: http::Uri = self.uri.expose().parse().map_err(|_| failed("it is not a URL", false))?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(failed("it must start with http:// or https://", false));
        }
        let request = http::Request::get(uri).body(empty()).map_err(|_| failed("it is not a URL", false))?;
        let exchange = answer::exchange(self.transport.as_ref(), request, TIMEOUT);
        let (status, body) = exchange.await.map_err(|reason| failed(reason, true))?;
        if !status.is_success() {
            return Err(failed(format!("it answered {}", status.as_u16()), status.is_server_error()));
        }
        answer::parse(&body).map_err(|reason| failed(reason, false))
    }
}

impl Fetch for Uri {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.ask())
    }
}

fn failed(reason: impl Into<String>, transient: bool) -> CredentialsError {
    let provider = "the credentials URI".to_owned();
    CredentialsError { provider, reason: reason.into(), transient }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, TransportError, full};

    #[derive(Debug)]
    struct Fixed(u16, &'static str);

    impl Transport for Fixed {
        fn send(
            &self,
            _: http::Request<Body>,
        ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
            let response = http::Response::builder().status(self.0).body(full(self.1)).unwrap();
            Box::pin(std::future::ready(Ok(response)))
        }
    }

    async fn ask(transport: Fixed, uri: &str) -> Result<Credentials, CredentialsError> {
        Uri::new(Arc::new(transport), Secret::new(uri)).fetch().await
    }

    #[tokio::test]
    async fn an_answer_is_read_and_a_failure_shows_no_address() {
        let good = r#"{"Code":"Success","AccessKeyId":"STS.a","AccessKeySecret":"s","SecurityToken":"t"}"#;
        assert_eq!(ask(Fixed(200, good), "http://h/c?x=hunter2").await.unwrap().access_key_id, "STS.a");
        for (transport, uri, transient) in [
            (Fixed(503, ""), "http://h/?hunter2", true),
            (Fixed(404, ""), "http://h/?hunter2", false),
            (Fixed(200, "{}"), "http://h/?hunter2", false),
            (Fixed(200, good), "file:///hunter2", false),
            (Fixed(200, good), "hunter2", false),
            (Fixed(200, good), "http://hunter2 x", false),
        ] {
            let error = ask(transport, uri).await.unwrap_err();
            assert_eq!(error.transient, transient, "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
