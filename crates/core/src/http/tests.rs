//! Each way in which no response arrives is recognised, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Starts a server that answers every connection's first bytes with these, and closes it.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

/// Starts a TLS server with this certificate, which refuses all requests.
fn tls(certificate: rcgen::Certificate, key: &rcgen::KeyPair) -> SocketAddr {
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut connection, &mut stream);
            if std::io::Read::read(&mut stream, &mut [0; 4096]).is_ok() {
                let _ = std::io::Write::write_all(
                    &mut stream,
                    b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
                );
            }
        }
    });
    address
}

async fn fails(options: HttpOptions, url: &str) -> TransportError {
    let transport = HttpTransport::new(options).unwrap();
    transport.send(http::Request::get(url).body(empty()).unwrap()).await.unwrap_err()
}

fn through(proxy: &str) -> HttpOptions {
    HttpOptions::default().with_proxy(proxy.parse().unwrap(), None)
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let year = rcgen::date_time_ymd;
    for (trusted, name, from, to, fault, words) in [
        (false, "localhost", 2020, 2999, CertificateFault::Issuer, "authority that is not trusted"),
        (true, "other.example", 2020, 2999, CertificateFault::Name, "is for another name"),
        (true, "localhost", 2020, 2021, CertificateFault::Expired, "has expired"),
        (true, "localhost", 2998, 2999, CertificateFault::NotYetValid, "not yet valid"),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        (leaf.not_before, leaf.not_after) = (year(from, 1, 1), year(to, 1, 1));
        let address = tls(leaf.signed_by(&key, &issuer).unwrap(), &key);
        let mut options = HttpOptions::default();
        if trusted {
            options = options.with_ca_certificates(pem.clone());
        }
        let error = fails(options, &format!("https://localhost:{}/", address.port())).await;
        assert_eq!(error.kind, TransportErrorKind::Certificate(fault), "{error:?}");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(error.host.as_deref(), Some("localhost"));
    }
}

#[tokio::test]
async fn a_response_comes_with_the_certificate_of_its_server() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let der = certified.cert.der().to_vec();
    let options = HttpOptions::default().with_ca_certificates(certified.cert.pem());
    let address = tls(certified.cert, &certified.signing_key);
    let transport = HttpTransport::new(options).unwrap();
    let get = http::Request::get(format!("https://localhost:{}/", address.port())).body(empty()).unwrap();
    let response = transport.send(get).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.extensions().get::<PeerCertificate>().unwrap().0, der);
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_recognised() {
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let error = fails(HttpOptions::default(), &format!("https://localhost:{}/", plain.port())).await;
    assert_eq!(error.kind, TransportErrorKind::Tls, "{error:?}");
    assert!(error.message.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    use TransportErrorKind::{Proxy, ProxyAuth, ProxyRefused};
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let forbids = answering(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let asks = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    let no_method = answering(b"\x05\xff").await;
    for (proxy, url, kind) in [
        (format!("http://user:secret@{closed}"), "https://oss.example/", Proxy),
        (format!("http://{closed}"), "http://oss.example/", Proxy),
        (format!("socks5h://{closed}"), "http://oss.example/", Proxy),
        ("http://proxy.invalid:3128".to_owned(), "https://oss.example/", Proxy),
        (format!("http://{forbids}"), "https://oss.example/", ProxyRefused),
        (format!("http://{asks}"), "https://oss.example/", ProxyAuth),
        (format!("http://{asks}"), "http://oss.example/", ProxyAuth),
        (format!("socks5h://{no_method}"), "http://oss.example/", ProxyAuth),
    ] {
        let error = fails(through(&proxy), url).await;
        assert_eq!(error.kind, kind, "{proxy} {url}: {error:?}");
        let shown = proxy.parse::<ProxyUrl>().unwrap().to_string();
        assert!(error.message.contains(&format!("the proxy `{shown}`")), "{error}");
        assert_eq!(error.proxy, Some(shown));
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let direct = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let proxy: ProxyUrl = "http://proxy.invalid:3128".parse().unwrap();
    let transport = HttpTransport::new(HttpOptions::default().with_proxy(proxy, None)).unwrap();
    let get = |url: String| transport.send(http::Request::get(url).body(empty()).unwrap());
    assert_eq!(get(format!("http://{direct}/")).await.unwrap().status(), 200, "loopback is never proxied");
    let error = get("http://192.0.2.1:9/".to_owned()).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Proxy);
}
