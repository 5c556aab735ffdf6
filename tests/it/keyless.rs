//! Runs without any key of the user's own: tokens of CI systems, and a login of the aliyun CLI.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::support::{Finished, Server, World};

/// In the addresses and tokens of these tests, and nowhere in what is printed.
const SECRET: &str = "hunter2-hunter2";
const ROLE: &str = "acs:ram::1234567890123456:role/aliyunecsimageimportdefaultrole";
const PROVIDER: &str = "acs:ram::1234567890123456:oidc-provider/ci";

/// A world with an emulator whose keys its commands do not have.
fn world() -> (World, Server) {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    world.env("OSS_ACCESS_KEY_ID", "");
    world.env("OSS_ACCESS_KEY_SECRET", "");
    world.env("ALIBABA_CLOUD_ROLE_ARN", ROLE);
    world.env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", PROVIDER);
    world.file("disk.raw", 300_000, 1);
    (world, server)
}

/// The token endpoint of a job: it answers each request with these, if the request is one.
fn endpoint(status: &'static str, body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut buffer) = (String::new(), [0; 4096]);
            while !head.contains("\r\n\r\n") {
                let count = stream.read(&mut buffer).unwrap();
                head += std::str::from_utf8(&buffer[..count]).unwrap();
            }
            let bearer = format!("authorization: bearer {SECRET}");
            let asks = head.starts_with(&format!("GET /token?key={SECRET}&audience=github-actions "))
                && head.to_ascii_lowercase().contains(&bearer);
            let (status, body) = if asks { (status, body.as_str()) } else { ("400 Bad Request", "") };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn token(payload: &str) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

fn job(world: &mut World, status: &'static str, body: String) {
    let address = endpoint(status, body);
    world.env("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("http://{address}/token?key={SECRET}"));
    world.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", SECRET);
}

fn upload(world: &World) -> Finished {
    let finished = world.run(&["upload", "disk.raw", "oss://images/x", "--no-inspect", "-vv"]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!said.contains(SECRET) && !said.contains("eyJhbGciOiJSUzI1NiJ9"), "{said}");
    finished
}

#[test]
fn a_job_of_github_uploads_without_a_key() {
    let (mut world, _server) = world();
    job(&mut world, "200 OK", format!("{{\"value\":\"{}\"}}", token("{\"exp\":4102444800}")));
    let finished = upload(&world);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("OIDC endpoint of GitHub Actions"), "{finished:?}");
}

#[test]
fn an_endpoint_that_answers_anything_else_ends_it_at_once() {
    for (status, body, part) in [
        ("200 OK", SECRET.to_owned(), "not JSON"),
        ("200 OK", format!("<html>{SECRET}</html>"), "something on the way"),
        ("403 Forbidden", SECRET.to_owned(), "id-token: write"),
        ("200 OK", format!("{{\"value\":\"{}\"}}", token("{\"exp\":1767247200}")), "OIDCToken.Expired"),
    ] {
        let (mut world, _server) = world();
        job(&mut world, status, body);
        let finished = upload(&world);
        assert_eq!(finished.code, Some(4), "{finished:?}");
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
}

#[test]
fn a_token_in_a_variable_serves_and_one_that_ended_leads_out() {
    let (mut world, _server) = world();
    world.env("OSSUP_OIDC_TOKEN_VARIABLE", "OSS_ID_TOKEN");
    let finished = upload(&world);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stderr.contains("`OSS_ID_TOKEN`, which is not set"), "{finished:?}");
    world.env("OSS_ID_TOKEN", &token("{\"exp\":1767247200}"));
    let finished = upload(&world);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stderr.contains("ended at 2026-01-01T06:00:00Z and cannot be renewed"), "{finished:?}");
    world.env("OSS_ID_TOKEN", &token("{\"exp\":4102444800}"));
    assert_eq!(upload(&world).code, Some(0));
}

#[test]
fn a_login_of_the_aliyun_cli_that_ended_leads_to_the_cli() {
    let (mut world, _server) = world();
    world.env("ALIBABA_CLOUD_ROLE_ARN", "");
    world.env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "");
    std::fs::create_dir(world.path(".aliyun")).unwrap();
    let profile = serde_json::json!({
        "name": "work", "mode": "CloudSSO", "cloud_sso_sign_in_url": "https://signin.example/device/login",
        "access_token": SECRET, "access_key_id": "STS.a", "access_key_secret": SECRET, "sts_token": SECRET,
        "sts_expiration": 1_767_247_200,
    });
    let config = serde_json::json!({"current": "work", "profiles": [profile]});
    std::fs::write(world.path(".aliyun/config.json"), config.to_string()).unwrap();
    let finished = upload(&world);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stderr.contains("`aliyun sts GetCallerIdentity --profile work`"), "{finished:?}");
}
