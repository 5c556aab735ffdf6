use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::{answer, jwt};
use crate::credentials::CredentialsError;
use crate::http::{Transport, empty};
use crate::model::Secret;
use crate::protocol::sign::encode;

/// How long the endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The endpoint that gives a job of GitHub Actions its ID tokens: a GET with the request token as bearer and the
/// audience in the query, answered by `{"value": TOKEN}` (`actions/toolkit:packages/core/src/oidc-utils.ts`). Each
/// token lives for some minutes; the request token serves as long as the job runs.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    transport: Arc<dyn Transport>,
    url: Secret,
    request_token: Secret,
    audience: String,
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

impl TokenEndpoint {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        url: Secret,
        request_token: Secret,
        audience: String,
    ) -> Self {
        Self { transport, url, request_token, audience }
    }

    /// Asks for a new token.
    pub(super) async fn ask(&self) -> Result<Secret, CredentialsError> {
        let request = self.request()?;
        let exchange = answer::exchange(self.transport.as_ref(), request, TIMEOUT);
        let (status, body) = exchange.await.map_err(|reason| failed(self.without_secrets(reason), true))?;
        if !status.is_success() {
            // Its text is not repeated: it may hold what was sent.
            let transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    ": the job may have ended, or lacks `permissions: id-token: write`"
                }
                _ => "",
            };
            return Err(failed(format!("it answered {}{hint}", status.as_u16()), transient));
        }
        let odd = |what: &str| {
            failed(format!("its answer {what}: something on the way may have answered in its place"), false)
        };
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| odd("is not JSON of the expected form"))?;
        let token = answer.value.trim();
        if jwt::is_token(token) { Ok(Secret::new(token)) } else { Err(odd("holds no token")) }
    }

    fn request(&self) -> Result<http::Request<crate::http::Body>, CredentialsError> {
        let url = self.url.expose();
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}audience={}", encode::component(&self.audience));
        let malformed = |_| failed("its address (`ACTIONS_ID_TOKEN_REQUEST_URL`) is not a URL", false);
        let uri: http::Uri = url.parse().map_err(malformed)?;
        let host = uri.host().unwrap_or_default();
        let allowed = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            // The request token must not travel in the clear.
            Some("http") => is_loopback(host),
            _ => false,
        };
        if !allowed {
            let reason = "its address (`ACTIONS_ID_TOKEN_REQUEST_URL`) must start with https://";
            return Err(failed(reason, false));
        }
        http::Request::get(uri)
            .header(http::header::AUTHORIZATION, format!("Bearer {}", self.request_token.expose()))
            .header(http::header::ACCEPT, "application/json")
            .body(empty())
            .map_err(|_| {
                failed(
                    "the request token (`ACTIONS_ID_TOKEN_REQUEST_TOKEN`) cannot be sent in a header",
                    false,
                )
            })
    }

    /// The network's own words do not hold them, but nothing is to depend on that.
    fn without_secrets(&self, text: String) -> String {
        [&self.url, &self.request_token].iter().fold(text, |text, secret| match secret.expose() {
            "" => text,
            secret => text.replace(secret, "[redacted]"),
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn failed(reason: impl Into<String>, transient: bool) -> CredentialsError {
    let provider = "the OIDC endpoint of GitHub Actions".to_owned();
    CredentialsError { provider, reason: reason.into(), transient }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::credentials::BoxFuture;
    use crate::http::{Body, TransportError, TransportErrorKind, full};

    /// Answers the same each time, and keeps what was asked.
    #[derive(Debug)]
    struct Fixed(u16, String, Mutex<Vec<http::request::Parts>>);

    impl Transport for Fixed {
        fn send(
            &self,
            request: http::Request<Body>,
        ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
            self.2.lock().unwrap().push(request.into_parts().0);
            let result = match self.0 {
                0 => Err(TransportError::new(TransportErrorKind::Connect, self.1.clone())),
                status => Ok(http::Response::builder().status(status).body(full(self.1.clone())).unwrap()),
            };
            Box::pin(std::future::ready(result))
        }
    }

    const URL: &str = "https://run.example/token?api-version=2.0&key=hunter2";

    async fn ask(
        status: u16,
        body: &str,
        url: &str,
        token: &str,
    ) -> (Result<Secret, CredentialsError>, Vec<http::request::Parts>) {
        let transport = Arc::new(Fixed(status, body.to_owned(), Mutex::default()));
        let (url, token) = (Secret::new(url), Secret::new(token));
        let seam = Arc::clone(&transport) as Arc<dyn Transport>;
        let result = TokenEndpoint::new(seam, url, token, "a b".to_owned()).ask().await;
        let asked = std::mem::take(&mut *transport.2.lock().unwrap());
        (result, asked)
    }

    #[tokio::test]
    async fn a_token_is_asked_for_with_the_audience_and_the_bearer() {
        let body = format!("{{\"count\":1,\"value\":\"{}\"}}", jwt::token("{}"));
        for (url, query) in [
            (URL, "api-version=2.0&key=hunter2&audience=a%20b"),
            ("https://run.example/token", "audience=a%20b"),
            ("http://127.0.0.1:1/", "audience=a%20b"),
            ("http://[::1]:1/", "audience=a%20b"),
            ("http://localhost:1/", "audience=a%20b"),
        ] {
            let (token, asked) = ask(200, &body, url, "hunter2").await;
            assert_eq!(token.unwrap().expose(), jwt::token("{}"));
            let [asked] = &asked[..] else { panic!() };
            assert_eq!((asked.method.as_str(), asked.uri.query()), ("GET", Some(query)));
            assert_eq!(asked.headers["authorization"], "Bearer hunter2");
        }
    }

    #[tokio::test]
    async fn whatever_it_answers_is_an_error_that_says_so_and_holds_no_secret() {
        for (status, body, part, transient) in [
            (200, "hunter2", "not JSON", false),
            (200, "<html>hunter2</html>", "something on the way", false),
            (200, r#"{"value":"hunter2"}"#, "holds no token", false),
            (200, r#"{"value":""}"#, "holds no token", false),
            (200, r#"{"token":"a.b.c"}"#, "not JSON of the expected form", false),
            (302, "", "it answered 302", false),
            (401, "hunter2", "id-token: write", false),
            (403, "hunter2", "id-token: write", false),
            (404, "", "it answered 404", false),
            (429, "", "it answered 429", true),
            (503, "hunter2", "it answered 503", true),
            (0, "no connection with Bearer hunter2", "[redacted]", true),
        ] {
            let (result, _) = ask(status, body, URL, "hunter2").await;
            let error = result.unwrap_err();
            assert!(error.reason.contains(part), "{error}");
            assert_eq!(error.transient, transient, "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_request_token_travels_over_https_alone() {
        let plain =
            ["http://run.example/?hunter2", "http://127.0.0.1.evil.example/", "http://localhost.evil/"];
        for url in plain.into_iter().chain(["ftp://run.example/hunter2", "hunter2", "", "https://"]) {
            let (result, asked) = ask(200, "{}", url, "hunter2").await;
            let error = result.unwrap_err();
            assert!(asked.is_empty() && !error.transient, "{url}: {error}");
            assert!(error.reason.contains("ACTIONS_ID_TOKEN_REQUEST_URL"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let (result, asked) = ask(200, "{}", URL, "hunter2\nX: y").await;
        let error = result.unwrap_err();
        assert!(asked.is_empty() && error.reason.contains("ACTIONS_ID_TOKEN_REQUEST_TOKEN"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
