//! `ossup doctor`: what it says, where all is well and where it is not, and that nothing stays.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Finished, Server, World, finish, signal};

fn verdicts(object: &Value) -> Vec<(String, String)> {
    let checks = object["checks"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    checks.iter().map(|check| (text(&check["id"]), text(&check["verdict"]))).collect()
}

fn faults(world: &World, rules: Value) -> String {
    std::fs::write(world.path("faults.json"), json!({"rules": rules}).to_string()).unwrap();
    format!("--faults={}", world.path("faults.json").display())
}

fn denied(operation: &str, code: &str) -> Value {
    json!({"operation": operation, "fault": {"kind": "status", "status": 403, "code": code}})
}

fn no_upload_stays_open(world: &World) {
    let open = world.json(&["list", "oss://images"]);
    assert_eq!(open["uploads"].as_array().map(Vec::len), Some(0), "{open}");
}

/// Replaces what differs from run to run.
fn steady(world: &World, server: &Server, text: &str) -> String {
    let folder = world.path("").display().to_string();
    let text = text
        .replace(folder.trim_end_matches('/'), "[DIR]")
        .replace(server.endpoint.trim_start_matches("http://"), "[HOST]")
        .replace(&server.access_key_id, "[KEY]");
    let number = |word: &str| word.trim_end_matches(',').parse::<u64>().is_ok();
    let lines = text.lines().map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        for at in 0..words.len().saturating_sub(1) {
            if number(words[at])
                && ["ms", "ms,", "ms),", "MiB", "files", "processors"].contains(&words[at + 1])
            {
                words[at] = "[N]";
            }
        }
        let line = words.join(" ");
        line.replace("([1", "([N").replace("one processor is ours", "[N] processors are ours")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn all_is_well_with_the_emulator_and_one_screen_says_so() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    let object = world.json(&["doctor", "oss://images"]);
    for (id, verdict) in verdicts(&object) {
        assert!(
            verdict == "ok" || ["memory", "open_files", "processes"].contains(&id.as_str()),
            "{id}: {verdict}"
        );
    }
    assert_eq!(object["failed"], 0);
    let text = world.ok(&["doctor", "oss://images"]).stdout;
    assert!(text.lines().count() < 40, "{text}");
    assert!(!text.contains(&server.access_key_secret), "{text}");
    no_upload_stays_open(&world);
    // What depends on the machine is left out.
    let of_machine = ["(", "files may be open", "processes and threads"];
    let shown = text.lines().filter(|line| !of_machine.iter().any(|word| line.contains(word)));
    let text: String = shown.collect::<Vec<_>>().join("\n");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("doctor", steady(&world, &server, &text)); });
}

#[test]
fn what_is_not_allowed_fails_with_the_way_out_and_its_exit_code() {
    let mut world = World::new();
    let rules = json!([denied("ListParts", "AccessDenied"), denied("ImportImage", "Forbidden.RAM")]);
    let faults = faults(&world, rules);
    let _server = Server::start(&mut world, &[&faults, "--ecs=import_role=false"]);
    let finished = world.run(&["doctor", "oss://images", "--read-only"]);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    for part in [
        "fail    oss:ListParts is not allowed",
        "fail    ecs:ImportImage is not allowed",
        "-> grant `ecs:ImportImage` to the user or role",
        "fail    ECS may not read OSS",
        "--create-role",
    ] {
        assert!(finished.stdout.contains(part), "{part}: {}", finished.stdout);
    }
    assert!(finished.stderr.contains("3 checks failed"), "{finished:?}");
    let finished = world.run(&["doctor", "oss://images", "--read-only", "--output=json"]);
    let object: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((object["failed"].as_u64(), object["error"]["exit_code"].as_u64()), (Some(3), Some(4)));
}

#[test]
fn a_bucket_that_is_not_there_and_keys_that_are_none_are_told_apart() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    let finished = world.run(&["doctor", "oss://nobody"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stdout.contains("NoSuchBucket") && finished.stdout.contains("bucket create"),
        "{finished:?}"
    );
    world.env("OSS_ACCESS_KEY_SECRET", "wrong");
    let finished = world.run(&["doctor", "oss://images"]);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stdout.contains("they are not accepted"), "{finished:?}");
}

#[test]
fn without_credentials_or_region_it_still_says_what_it_can() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    world.env("OSS_ACCESS_KEY_ID", "");
    world.env("OSS_ACCESS_KEY_SECRET", "");
    let finished = world.run(&["doctor"]);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stdout.contains("no credentials found"), "{finished:?}");
    assert!(finished.stdout.contains("answers in"), "{finished:?}");
    drop(server);
    world.env("OSS_ENDPOINT", "");
    world.env("OSS_REGION", "");
    let Finished { code, stdout, .. } = world.run(&["doctor"]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(
        stdout.contains("pass --region") && stdout.contains("the state of uploads is kept in"),
        "{stdout}"
    );
}

#[test]
fn an_endpoint_that_does_not_answer_is_a_matter_of_the_network() {
    let mut world = World::new();
    world.env("OSS_ACCESS_KEY_ID", "id");
    world.env("OSS_ACCESS_KEY_SECRET", "secret");
    let finished = world.run(&["doctor", "--endpoint=http://127.0.0.1:9"]);
    assert_eq!(finished.code, Some(5), "{finished:?}");
    assert!(finished.stdout.contains("fail    endpoint, in use"), "{finished:?}");
}

#[test]
fn the_embedded_store_is_looked_at_too() {
    let world = World::new();
    let object = world.json(&["doctor", &world.local()]);
    assert_eq!(object["failed"], 0, "{object}");
}

#[test]
fn what_only_a_real_account_can_settle_is_reported_in_markdown_and_nothing_stays() {
    let mut world = World::new();
    let server = Server::start(&mut world, &["--oss=exact_etags"]);
    let text = world.ok(&["doctor", "oss://images", "--fidelity"]).stdout;
    for part in
        ["| `complete-etag-spelling` | otherwise |", "| `complete-empty-list` | as assumed |", "## copy-crc"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    for secret in [&server.access_key_id, &server.access_key_secret, "oss://images"] {
        assert!(!text.contains(secret), "{text}");
    }
    no_upload_stays_open(&world);
    let object = world.json(&["doctor", "oss://images", "--fidelity"]);
    assert!(object["points"].as_array().unwrap().len() > 20 && object["remains"] == json!([]), "{object}");
    let dated = |line: &&str| !line.starts_with("ossup ");
    let text = text.lines().filter(dated).collect::<Vec<_>>().join("\n");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("fidelity", text); });
}

#[test]
fn stopped_half_way_it_removes_what_it_made() {
    let mut world = World::new();
    let stall = json!({"kind": "stall", "seconds": 20});
    let faults = faults(&world, json!([{"operation": "CompleteMultipartUpload", "fault": stall}]));
    let _server = Server::start(&mut world, &[&faults]);
    let child = world.command(&["doctor", "oss://images"]).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while world.json(&["list", "oss://images"])["uploads"].as_array().unwrap().is_empty() {
        assert!(Instant::now() < limit, "no trial began");
    }
    signal(&child, "INT");
    let finished = finish(child);
    assert_eq!(finished.code, Some(130), "{finished:?}");
    assert!(finished.stdout.contains("was stopped"), "{finished:?}");
    no_upload_stays_open(&world);
}

#[test]
fn who_issued_the_certificate_is_said_and_one_that_is_not_trusted_leads_out() {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example Inspection");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = certificate.pem();
    let chain = vec![certificate.der().clone()];
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, config) = (stream.unwrap(), std::sync::Arc::clone(&config));
            std::thread::spawn(move || {
                let mut connection = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::Stream::new(&mut connection, &mut stream);
                let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                if std::io::Read::read(&mut stream, &mut [0; 4096]).is_ok() {
                    let _ = std::io::Write::write_all(&mut stream, refusal);
                    stream.conn.send_close_notify();
                    let _ = std::io::Write::flush(&mut stream);
                }
            });
        }
    });
    let world = World::new();
    std::fs::write(world.path("ca.pem"), pem).unwrap();
    let endpoint = format!("--endpoint=https://localhost:{port}");
    let trusted = world.run(&["doctor", &endpoint, "--ca-file=ca.pem"]);
    assert!(trusted.stdout.contains("certificate by Example Inspection"), "{trusted:?}");
    let untrusted = world.run(&["doctor", &endpoint]);
    assert!(
        untrusted.stdout.contains("fail    endpoint, in use: the certificate of `localhost`"),
        "{untrusted:?}"
    );
    assert!(untrusted.stdout.contains("--ca-file"), "{untrusted:?}");
}
