use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use http_body_util::BodyExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use super::classify::classify;
use super::proxy::Bypass;
use super::{Body, PeerCertificate, ProxyUrl, Transport, TransportError, TransportErrorKind};
use crate::credentials::BoxFuture;

/// How long a connection may take to be made, the TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long sent bytes may stay unacknowledged by the peer before the connection counts as dead. The system
/// counts from the first packet that was lost, and on a slow line one connection may repeat packets for minutes; the
/// client's own limits, which know the progress of the others, are shorter.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(180);
/// How long an idle connection is kept. The service closes them after about a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// When TCP starts probing a silent connection.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The HTTP library hands out a response a moment before it counts the connection as free. A request that comes
/// within that moment opens one more, which costs far more than this wait.
const FREED_AFTER: Duration = Duration::from_millis(1);

/// Hosts that are never proxied: this machine, and the metadata service of ECS.
const NEVER_PROXIED: &str = "localhost,127.0.0.0/8,::1,100.100.100.200";

/// How the network is reached.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The proxy for all hosts, such as `http://proxy:3128`; none by default. Loopback addresses and the ECS
    /// metadata service are never proxied.
    pub proxy: Option<ProxyUrl>,
    /// Hosts that are not proxied, as in `NO_PROXY`: by the rules of Go's `net/http`.
    pub no_proxy: Option<String>,
    /// Certificates in PEM form that are trusted beside those of the system.
    pub ca_certificates: Option<Vec<u8>>,
}

impl HttpOptions {
    /// Sends requests through a proxy.
    #[must_use]
    pub fn with_proxy(mut self, url: ProxyUrl, no_proxy: Option<String>) -> Self {
        self.proxy = Some(url);
        self.no_proxy = no_proxy;
        self
    }

    /// Trusts more certificates, in PEM form.
    #[must_use]
    pub fn with_ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates = Some(pem.into());
        self
    }
}

const HELD: &str = "nothing panics while the lock is held";

/// HTTP/1.1 over TCP and TLS.
pub struct HttpTransport {
    proxy: Option<ProxyUrl>,
    bypass: Bypass,
    authorities: Vec<CertificateDer<'static>>,
    /// Replaced as a whole by [`Transport::reset`]; clones in use keep theirs.
    clients: RwLock<Arc<Clients>>,
    /// When the last response arrived.
    responded: Mutex<Option<Instant>>,
}

/// One client for each way: with TLS and without, since loading the system's certificates takes long enough to be
/// noticed, and through the proxy and without.
#[derive(Default)]
struct Clients([OnceLock<reqwest::Client>; 4]);

impl HttpTransport {
    /// Prepares a transport; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// When the proxy's URL or the certificates cannot be read.
    pub fn new(options: HttpOptions) -> Result<Self, TransportError> {
        let listed = options.no_proxy.as_deref().unwrap_or_default();
        let bypass = Bypass::new(&format!("{NEVER_PROXIED},{listed}"));
        let authorities = match &options.ca_certificates {
            None => Vec::new(),
            Some(pem) => CertificateDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    TransportError::new(
                        TransportErrorKind::Tls,
                        "the CA file holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)",
                    )
                })?,
        };
        let proxy = options.proxy;
        Ok(Self { proxy, bypass, authorities, clients: RwLock::default(), responded: Mutex::default() })
    }

    /// Returns the proxy for a request, if it goes through one.
    fn proxy_for(&self, uri: &http::Uri) -> Option<&ProxyUrl> {
        let default = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { 443 } else { 80 };
        let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default));
        self.proxy.as_ref().filter(|_| !self.bypass.contains(host, port))
    }

    fn client(&self, tls: bool, proxy: Option<&ProxyUrl>) -> Result<reqwest::Client, TransportError> {
        let clients = Arc::clone(&self.clients.read().expect(HELD));
        let cell = &clients.0[usize::from(tls) + 2 * usize::from(proxy.is_some())];
        if let Some(client) = cell.get() {
            return Ok(client.clone());
        }
        let client = self.build(tls, proxy)?;
        Ok(cell.get_or_init(|| client).clone())
    }

    fn build(&self, tls: bool, proxy: Option<&ProxyUrl>) -> Result<reqwest::Client, TransportError> {
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .user_agent(concat!("ossup/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(usize::MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .dns_resolver(Arc::new(Spreading::default()))
            .tls_info(true)
            .tls_backend_preconfigured(self.tls_config(tls)?);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            builder = builder.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        }
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.to_reqwest()?);
        }
        builder.build().map_err(|error| {
            TransportError::new(TransportErrorKind::Connect, "the HTTP client cannot start")
                .with_source(error)
        })
    }

    fn tls_config(&self, used: bool) -> Result<rustls::ClientConfig, TransportError> {
        let failed = |error: rustls::Error| {
            TransportError::new(TransportErrorKind::Tls, "TLS cannot be set up").with_source(error)
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        if !used {
            return Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
        }
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
            self.authorities.iter().cloned(),
            provider,
        )
        .map_err(failed)?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport").field("proxied", &self.proxy.is_some()).finish_non_exhaustive()
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let responded = *self.responded.lock().expect(HELD);
            if let Some(responded) = responded {
                tokio::time::sleep_until(responded + FREED_AFTER).await;
            }
            let proxy = self.proxy_for(request.uri());
            let client = self.client(request.uri().scheme() == Some(&http::uri::Scheme::HTTPS), proxy)?;
            let (head, body) = request.into_parts();
            let url = head.uri.to_string();
            let host = head.uri.host().unwrap_or_default().to_owned();
            let response = client
                .request(head.method, url)
                .headers(head.headers)
                .body(reqwest::Body::wrap(body))
                .send()
                .await
                .map_err(|error| classify(error, &host, proxy))?;
            if response.status() == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                return Err(unauthenticated(&host, proxy));
            }
            *self.responded.lock().expect(HELD) = Some(Instant::now());
            let mut response =
                http::Response::from(response).map(|body| Body::new(body.map_err(io::Error::other)));
            let shown = response.extensions_mut().remove::<reqwest::tls::TlsInfo>();
            if let Some(certificate) = shown.as_ref().and_then(reqwest::tls::TlsInfo::peer_certificate) {
                let certificate = PeerCertificate(bytes::Bytes::copy_from_slice(certificate));
                response.extensions_mut().insert(certificate);
            }
            Ok(response)
        })
    }

    fn reset(&self) {
        *self.clients.write().expect(HELD) = Arc::default();
    }
}

/// The answer of a proxy that was asked without a user and password, or with wrong ones.
fn unauthenticated(host: &str, proxy: Option<&ProxyUrl>) -> TransportError {
    let name =
        proxy.map_or_else(|| format!("a proxy on the way to `{host}`"), |url| format!("the proxy `{url}`"));
    let message = format!("{name} asks for other credentials");
    let mut error = TransportError::new(TransportErrorKind::ProxyAuth, message).about(host);
    error.proxy = proxy.map(ToString::to_string);
    error
}

/// Marks an error of a request body as the source's own, so that it is not taken for the network's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceFailed(pub String);

/// Resolves names by the system and starts each answer at another address, so that connections spread over
/// all addresses of a service.
#[derive(Default)]
struct Spreading {
    turn: Arc<AtomicUsize>,
}

impl Resolve for Spreading {
    fn resolve(&self, name: Name) -> Resolving {
        let turn = Arc::clone(&self.turn);
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !addresses.is_empty() {
                let start = turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
                addresses.rotate_left(start);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::empty;

    /// On one thread what runs first is no chance: the next request is always made before the library has seen
    /// that the connection is free.
    #[tokio::test]
    async fn requests_one_after_another_share_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        let transport = HttpTransport::new(HttpOptions::default()).unwrap();
        for _ in 0..20 {
            let request = http::Request::put(format!("http://{address}/")).body(empty()).unwrap();
            transport.send(request).await.unwrap();
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 1);
    }
}
