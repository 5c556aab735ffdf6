use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};

use super::Fetch;
use super::answer;
use crate::credentials::{BoxFuture, Credentials, CredentialsError};
use crate::http::{Transport, empty};

/// Where every instance finds its metadata ("Instance metadata" page).
const BASE: &str = "http://100.100.100.200";
/// The service answers from the host itself: what takes longer than this is not there.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a token of the metadata service is asked for, in seconds; the longest there is.
const TOKEN_TTL: &str = "21600";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

/// The role of the ECS instance, from its metadata service: in hardened mode, and if that is not offered and
/// allowed, in normal mode.
#[derive(Debug)]
pub(super) struct EcsRole {
    transport: Arc<dyn Transport>,
    role_name: Option<String>,
    imds_v1: bool,
}

impl EcsRole {
    pub(super) fn new(transport: Arc<dyn Transport>, role_name: Option<String>, imds_v1: bool) -> Self {
        Self { transport, role_name, imds_v1 }
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let token = match self.token().await {
            Ok(token) => Some(token),
            Err(_) if self.imds_v1 => None,
            Err(error) => return Err(error),
        };
        let role = match &self.role_name {
            Some(name) => name.clone(),
            None => {
                let names = self.get(ROLES, token.as_deref(), "the instance has no RAM role").await?;
                let name =
                    String::from_utf8_lossy(&names).lines().next().unwrap_or_default().trim().to_owned();
                if name.is_empty() {
                    return Err(failed("the instance has no RAM role", false));
                }
                name
            }
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if !role.chars().all(allowed) {
            return Err(failed("the role's name is malformed", false));
        }
        let path = format!("{ROLES}{role}");
        let body = self.get(&path, token.as_deref(), "the instance has no such RAM role").await?;
        answer::parse(&body).map_err(|reason| failed(reason, true))
    }

    async fn token(&self) -> Result<String, CredentialsError> {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{BASE}/latest/api/token"))
            .header("x-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_TTL)
            .header("content-length", "0");
        let body = self.send(request, "it answered 404 when it was asked for a token").await?;
        let token = String::from_utf8_lossy(&body).trim().to_owned();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(failed("its token is malformed", true));
        }
        Ok(token)
    }

    async fn get(
        &self,
        path: &str,
        token: Option<&str>,
        not_found: &'static str,
    ) -> Result<Bytes, CredentialsError> {
        let mut request = Request::builder().uri(format!("{BASE}{path}"));
        if let Some(token) = token {
            request = request.header("x-aliyun-ecs-metadata-token", token);
        }
        self.send(request, not_found).await
    }

    /// Sends a request. What it means that something is not there depends on what was asked for.
    async fn send(
        &self,
        request: http::request::Builder,
        not_found: &'static str,
    ) -> Result<Bytes, CredentialsError> {
        let request = request.body(empty()).map_err(|_| failed("the request is malformed", false))?;
        let exchange = answer::exchange(self.transport.as_ref(), request, TIMEOUT);
        let (status, body) =
            exchange.await.map_err(|reason| failed(format!("{reason}: is this an ECS instance?"), true))?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::NOT_FOUND => Err(failed(not_found, false)),
            _ => Err(failed(format!("it answered {}", status.as_u16()), status.is_server_error())),
        }
    }
}

impl Fetch for EcsRole {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.ask())
    }
}

fn failed(reason: impl Into<String>, transient: bool) -> CredentialsError {
    let provider = "the ECS metadata service".to_owned();
    CredentialsError { provider, reason: reason.into(), transient }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::http::{Body, TransportError, full};

    /// A metadata service, with its log of requests.
    #[derive(Debug, Default)]
    struct Metadata {
        hardened: bool,
        normal: bool,
        silent: bool,
        log: Mutex<Vec<String>>,
    }

    impl Metadata {
        fn answer(&self, request: &Request<Body>) -> (u16, &'static str) {
            let token = request.headers().get("x-aliyun-ecs-metadata-token");
            let path = request.uri().path();
            self.log.lock().unwrap().push(format!("{} {path}", request.method()));
            match (request.method().as_str(), path) {
                ("PUT", "/latest/api/token") if self.hardened => (200, "TOKEN\n"),
                ("PUT", _) => (404, ""),
                _ if token.is_none() && !self.normal => (403, ""),
                _ if token.is_some_and(|token| token != "TOKEN") => (401, ""),
                (_, ROLES) => (200, "worker\n"),
                (_, "/latest/meta-data/ram/security-credentials/worker") => (
                    200,
                    r#"{"Code":"Success","AccessKeyId":"STS.a","AccessKeySecret":"s","SecurityToken":"t",
                       "Expiration":"2026-01-01T06:00:00Z"}"#,
                ),
                _ => (404, ""),
            }
        }
    }

    impl Transport for Metadata {
        fn send(
            &self,
            request: Request<Body>,
        ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
            assert_eq!(request.uri().host(), Some("100.100.100.200"));
            let (status, body) = self.answer(&request);
            Box::pin(async move {
                if self.silent {
                    std::future::pending::<()>().await;
                }
                Ok(http::Response::builder().status(status).body(full(body)).unwrap())
            })
        }
    }

    async fn ask(
        metadata: Metadata,
        role: Option<&str>,
        imds_v1: bool,
    ) -> (Result<Credentials, CredentialsError>, Vec<String>) {
        let metadata = Arc::new(metadata);
        let provider =
            EcsRole::new(Arc::clone(&metadata) as Arc<dyn Transport>, role.map(str::to_owned), imds_v1);
        let result = provider.fetch().await;
        (result, metadata.log.lock().unwrap().clone())
    }

    #[tokio::test]
    async fn hardened_mode_comes_first() {
        let (result, log) = ask(Metadata { hardened: true, ..Metadata::default() }, None, true).await;
        assert_eq!(result.unwrap().access_key_id, "STS.a");
        assert_eq!(
            log,
            [
                "PUT /latest/api/token",
                "GET /latest/meta-data/ram/security-credentials/",
                "GET /latest/meta-data/ram/security-credentials/worker"
            ]
        );
    }

    #[tokio::test]
    async fn normal_mode_is_used_only_where_allowed() {
        let normal = || Metadata { normal: true, ..Metadata::default() };
        assert!(ask(normal(), Some("worker"), true).await.0.is_ok());
        let (result, log) = ask(normal(), Some("worker"), false).await;
        let reason = result.unwrap_err().reason;
        assert!(reason.contains("token") && !reason.contains("role"), "{reason}");
        assert_eq!(log.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_said_soon() {
        let began = tokio::time::Instant::now();
        let silent = Metadata { silent: true, ..Metadata::default() };
        let error = ask(silent, Some("worker"), false).await.0.unwrap_err();
        assert!(error.reason.contains("is this an ECS instance") && error.transient);
        assert!(began.elapsed() < Duration::from_secs(3));
        let other = Metadata { hardened: true, ..Metadata::default() };
        let error = ask(other, Some("other"), false).await.0.unwrap_err();
        assert!(error.reason.contains("no such RAM role") && !error.transient);
    }

    #[tokio::test]
    async fn a_role_s_name_leads_nowhere_else() {
        let error =
            ask(Metadata { hardened: true, ..Metadata::default() }, Some("../x"), true).await.0.unwrap_err();
        assert!(error.reason.contains("malformed"));
    }
}
