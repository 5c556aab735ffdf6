//! Networks that stand in the way: certificates, proxies, and credentials that a command must give.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::World;

/// What ends at once ends well before the time that a service which never answered is tried for.
const SOON: Duration = Duration::from_secs(40);

fn world() -> World {
    let mut world = World::new();
    world.env("OSS_ACCESS_KEY_ID", "id");
    world.env("OSS_ACCESS_KEY_SECRET", "secret");
    world.file("disk.raw", 300_000, 1);
    world
}

/// Serves each connection by `serve`, in the background.
fn listening(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    address
}

/// Answers the first bytes of each connection with these.
fn answering(answer: &'static str) -> SocketAddr {
    listening(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn upload(world: &World, code: i32, options: &[&str]) -> String {
    let began = Instant::now();
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--region=cn-hangzhou"];
    let stderr = world.fails(code, &[&args[..], options].concat());
    assert!(began.elapsed() < SOON, "{:?}: {stderr}", began.elapsed());
    stderr
}

#[test]
fn a_certificate_that_is_not_trusted_ends_it_soon_with_an_exit_code_of_its_own() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let address = listening(move |mut stream| {
        let _ = rustls::ServerConnection::new(Arc::clone(&config)).unwrap().complete_io(&mut stream);
    });
    let endpoint = format!("--endpoint=https://localhost:{}", address.port());
    let stderr = upload(&world(), 10, &[&endpoint]);
    assert!(stderr.contains("the certificate of `localhost`"), "{stderr}");
    assert!(stderr.contains("--ca-file") && !stderr.contains("same command again"), "{stderr}");
}

#[test]
fn https_to_a_port_that_speaks_plain_http_is_said() {
    let address = answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let stderr = upload(&world(), 5, &[&format!("--endpoint=https://localhost:{}", address.port())]);
    assert!(stderr.contains("does not speak TLS") && stderr.contains("http://"), "{stderr}");
}

#[test]
fn a_proxy_that_refuses_is_named_and_neither_oss_nor_the_keys_are_blamed() {
    let asks = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let forbids = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    for (answer, words) in [(asks, "USER:PASSWORD"), (forbids, "proxy")] {
        for scheme in ["http", "https"] {
            let proxy = format!("http://127.0.0.1:{}", answering(answer).port());
            let endpoint = format!("--endpoint={scheme}://oss-cn-hangzhou.aliyuncs.com");
            let stderr = upload(&world(), 5, &[&endpoint, &format!("--proxy={proxy}")]);
            assert!(stderr.contains(words), "{stderr}");
            assert!(!stderr.contains("key pair") && !stderr.contains("lacks the permission"), "{stderr}");
            let is_named = stderr.contains(&format!("`{}`", proxy.trim_start_matches("http://")));
            // A plain answer of status 403 shows only that it is not OSS's.
            assert!(is_named || (answer, scheme) == (forbids, "http"), "{stderr}");
        }
    }
}

#[test]
fn a_proxy_of_an_unknown_scheme_is_refused_and_never_passed_by() {
    for proxy in ["sock5://127.0.0.1:1", "htp://127.0.0.1:1", "ftp://u:hunter2@127.0.0.1:1"] {
        let stderr = upload(&world(), 2, &[&format!("--proxy={proxy}")]);
        assert!(stderr.contains("--proxy") && stderr.contains("socks5://HOST:PORT"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        let mut world = world();
        world.env("ALL_PROXY", proxy);
        assert!(upload(&world, 2, &[]).contains("ALL_PROXY"));
    }
}

#[test]
fn a_credential_process_that_fails_is_run_once_and_heard() {
    let world = World::new();
    world.file("disk.raw", 300_000, 1);
    std::fs::create_dir(world.path(".aliyun")).unwrap();
    for (command, said) in [
        ("echo run >> runs; echo the session has ended >&2; exit 3", "the session has ended"),
        ("echo run >> runs; no-such-helper", "no such command"),
    ] {
        let profile = serde_json::json!({
            "name": "default", "mode": "External", "region_id": "cn-hangzhou", "process_command": command,
        });
        let config = serde_json::json!({"current": "default", "profiles": [profile]});
        std::fs::write(world.path(".aliyun/config.json"), config.to_string()).unwrap();
        let stderr = upload(&world, 4, &["--endpoint=http://127.0.0.1:9"]);
        assert!(stderr.contains(said), "{stderr}");
        let runs = std::fs::read_to_string(world.path("runs")).unwrap();
        assert_eq!(runs, "run\n", "{stderr}");
        std::fs::remove_file(world.path("runs")).unwrap();
    }
}
