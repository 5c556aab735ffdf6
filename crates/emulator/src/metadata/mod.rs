//! The metadata service of an instance, as `http://100.100.100.200` has it: version 1 and 2, for a guest that runs on
//! this machine.

mod tree;

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

pub use tree::InstanceMetadata;

/// The name that guests ask for. Any other could be that of a web page.
const ADDRESS: &str = "100.100.100.200";
const TOKEN: &str = "x-aliyun-ecs-metadata-token";
const TOKEN_TTL: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
/// Longest life of a token, in seconds: "User Guide, view instance metadata".
const LONGEST_TTL: u32 = 21_600;
/// Most tokens that are kept.
const MOST_TOKENS: usize = 1000;
/// Most connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);

/// Serves the metadata of one instance on a free port of the loopback address, and nothing else.
#[derive(Debug)]
pub struct MetadataService {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    metadata: InstanceMetadata,
    tokens: Mutex<HashSet<String>>,
    asked: UnboundedSender<String>,
}

impl MetadataService {
    /// Listens. The path of each request that is answered goes to `asked`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn bind(metadata: InstanceMetadata, asked: UnboundedSender<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, state: Arc::new(State { metadata, tokens: Mutex::default(), asked }) })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped, or the listener breaks.
    ///
    /// # Errors
    ///
    /// That the listener broke.
    pub async fn serve(self) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = self.listener.accept().await?;
            while connections.try_join_next().is_some() {}
            if connections.len() >= MOST_CONNECTIONS {
                connections.join_next().await;
            }
            let state = Arc::clone(&self.state);
            connections.spawn(async move {
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let answer = state.answer(request.method(), request.uri().path(), request.headers());
                    std::future::ready(Ok::<_, std::convert::Infallible>(answer))
                });
                let mut http = http1::Builder::new();
                // A guest may close its side once it has asked, and still wait for the answer.
                http.half_close(true);
                http.timer(TokioTimer::new()).header_read_timeout(IDLE);
                if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "a guest's connection ended early");
                }
            });
        }
    }
}

impl State {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if host.strip_suffix(":80").unwrap_or(host) != ADDRESS {
            return text(StatusCode::FORBIDDEN, format!("this is the metadata service of {ADDRESS}\n"));
        }
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if path == "/latest/api/token" {
            let ttl = header(TOKEN_TTL).and_then(|ttl| ttl.parse().ok());
            return match (method, ttl) {
                (&Method::PUT, Some(1..=LONGEST_TTL)) => text(StatusCode::OK, self.new_token()),
                (&Method::PUT, _) => {
                    text(StatusCode::BAD_REQUEST, format!("{TOKEN_TTL} is missing or wrong\n"))
                }
                _ => text(StatusCode::METHOD_NOT_ALLOWED, String::new()),
            };
        }
        if method != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, String::new());
        }
        if let Some(token) = header(TOKEN)
            && !self.tokens.lock().unwrap_or_else(PoisonError::into_inner).contains(token)
        {
            return text(StatusCode::UNAUTHORIZED, String::new());
        }
        match self.metadata.get(path) {
            Some(body) => {
                // The receiver may have seen enough.
                let _ = self.asked.send(path.to_owned());
                text(StatusCode::OK, body)
            }
            None => text(StatusCode::NOT_FOUND, "404 - Not Found\n".to_owned()),
        }
    }

    fn new_token(&self) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        tokens.insert(token.clone());
        token
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn state() -> (State, UnboundedReceiver<String>) {
        let (asked, seen) = unbounded_channel();
        (State { metadata: tree::example(), tokens: Mutex::default(), asked }, seen)
    }

    async fn ask(
        state: &State,
        method: Method,
        path: &str,
        header: &[(&'static str, &str)],
    ) -> (u16, String) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, http::HeaderValue::from_static(ADDRESS));
        for (name, value) in header {
            headers.insert(*name, value.parse().unwrap());
        }
        let response = state.answer(&method, path, &headers);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn both_versions_are_answered_and_a_wrong_token_is_refused() {
        let (state, mut seen) = state();
        let path = "/latest/meta-data/instance-id";
        assert_eq!(ask(&state, Method::GET, path, &[]).await, (200, "i-example".to_owned()));
        let (status, token) = ask(&state, Method::PUT, "/latest/api/token", &[(TOKEN_TTL, "180")]).await;
        assert_eq!(status, 200);
        assert_eq!(ask(&state, Method::GET, path, &[(TOKEN, &token)]).await.0, 200);
        assert_eq!(ask(&state, Method::GET, path, &[(TOKEN, "other")]).await.0, 401);
        assert_eq!(ask(&state, Method::PUT, "/latest/api/token", &[(TOKEN_TTL, "21601")]).await.0, 400);
        assert_eq!(ask(&state, Method::PUT, "/latest/api/token", &[]).await.0, 400);
        assert_eq!(ask(&state, Method::PUT, path, &[]).await.0, 405);
        assert_eq!(ask(&state, Method::GET, "/latest/meta-data/nothing", &[]).await.0, 404);
        // What was answered was seen.
        assert_eq!((seen.try_recv().unwrap(), seen.try_recv().unwrap()), (path.to_owned(), path.to_owned()));
        assert!(seen.try_recv().is_err());
    }

    #[test]
    fn a_web_page_learns_nothing() {
        let (state, _seen) = state();
        for host in ["127.0.0.1:4000", "evil.example", "100.100.100.200.evil.example", "100.100.100.200:81"] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            assert_eq!(state.answer(&Method::GET, "/latest/user-data", &headers).status(), 403, "{host}");
        }
        assert_eq!(state.answer(&Method::GET, "/latest/user-data", &HeaderMap::new()).status(), 403);
    }
}
