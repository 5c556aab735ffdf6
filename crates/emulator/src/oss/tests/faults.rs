use std::time::Duration;

use super::*;
use crate::{Fault, FaultPlan, FaultRule, When};
use ossup_core::checksum;
use ossup_core::http::{TransportError, TransportErrorKind};

fn with(rules: impl IntoIterator<Item = FaultRule>) -> Bench {
    let plan = FaultPlan::of(rules);
    Bench::with(|options| EmulatorOptions { verify: false, ..options.with_faults(plan) })
}

async fn exchange(
    bench: &Bench,
    method: &str,
    path: &str,
    body: &'static str,
) -> Result<Reply, TransportError> {
    let uri = format!("http://127.0.0.1/images/{path}");
    let request = http::Request::builder().method(method).uri(uri).body(full(body)).unwrap();
    let (head, mut body) = bench.emulator.send(request).await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            TransportError::new(TransportErrorKind::Broken, String::from_utf8_lossy(&bytes))
                .with_source(error)
        })?;
        bytes.extend_from_slice(&frame.into_data().unwrap());
    }
    Ok(Reply { status: head.status, headers: head.headers, body: bytes.into() })
}

async fn exists(bench: &Bench, key: &str) -> bool {
    bench.emulator.set_faults(FaultPlan::default());
    exchange(bench, "GET", key, "").await.unwrap().status == 200
}

fn status(code: &str, when: When) -> Fault {
    Fault::Status { status: 503, code: code.to_owned(), when, retry_after: Some(3) }
}

#[tokio::test]
async fn a_rule_strikes_its_part_and_attempt_alone() {
    let rule = FaultRule::on("UploadPart", status("ServiceUnavailable", When::Head))
        .with_part(7)
        .with_attempts(2, 2);
    let bench = with([rule]);
    let id = exchange(&bench, "POST", "disk?uploads", "").await.unwrap().tag("UploadId");
    for (part, expected) in [(7, 200), (6, 200), (6, 200), (7, 503), (7, 200)] {
        let reply =
            exchange(&bench, "PUT", &format!("disk?partNumber={part}&uploadId={id}"), "x").await.unwrap();
        assert_eq!(reply.status.as_u16(), expected, "{}", reply.text());
        if expected == 503 {
            assert_eq!(reply.tag("Code"), "ServiceUnavailable");
            assert_eq!(reply.header("retry-after"), Some("3"));
            assert!(reply.header("x-oss-request-id").is_some());
        }
    }
    assert_eq!(bench.emulator.faults_struck(), [1]);
    assert_eq!(bench.emulator.requests()["UploadPart"], 5);
    assert_eq!(bench.emulator.requests()["InitiateMultipartUpload"], 1);
}

#[tokio::test]
async fn a_reset_comes_before_or_after_the_commit() {
    for (when, committed) in [
        (When::Head, false),
        (When::BodyByte(3), false),
        (When::BeforeCommit, false),
        (When::AfterCommit, true),
    ] {
        let bench = with([FaultRule::on("PutObject", Fault::Reset { when })]);
        let error = exchange(&bench, "PUT", "a", "hello").await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Broken, "{when:?}");
        assert_eq!(exists(&bench, "a").await, committed, "{when:?}");
    }
    for (when, gone) in [(When::BeforeCommit, false), (When::AfterCommit, true)] {
        let bench = with([FaultRule::on("DeleteObject", Fault::Reset { when })]);
        exchange(&bench, "PUT", "a", "hello").await.unwrap();
        exchange(&bench, "DELETE", "a", "").await.unwrap_err();
        assert_eq!(exists(&bench, "a").await, !gone, "{when:?}");
    }
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_commit() {
    for (when, committed) in [(When::Head, false), (When::BeforeCommit, false), (When::AfterCommit, true)] {
        let bench = with([FaultRule::on("PutObject", status("InternalError", when))]);
        let reply = exchange(&bench, "PUT", "a", "hello").await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.tag("Code").as_str()), (503, "InternalError"), "{when:?}");
        assert_eq!(exists(&bench, "a").await, committed, "{when:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stalls_and_slow_bodies_take_their_time() {
    let stall = |when, seconds| Fault::Stall { when, seconds: Some(seconds) };
    for fault in [
        stall(When::Head, 9.0),
        stall(When::BodyByte(2), 9.0),
        stall(When::BeforeCommit, 9.0),
        stall(When::AfterCommit, 9.0),
        Fault::Slow { bytes_per_second: 1 },
    ] {
        let bench = with([FaultRule::always(fault.clone()).with_times(1)]);
        let started = tokio::time::Instant::now();
        let reply = exchange(&bench, "PUT", "a", "123456789").await.unwrap();
        assert_eq!((reply.status.as_u16(), started.elapsed().as_secs()), (200, 9), "{fault:?}");
        assert_eq!(exchange(&bench, "GET", "a", "").await.unwrap().text(), "123456789");
    }
    let bench = with([FaultRule::always(Fault::Stall { when: When::AfterCommit, seconds: None })]);
    let never = exchange(&bench, "PUT", "a", "x");
    assert!(tokio::time::timeout(Duration::from_secs(9999), never).await.is_err());
    assert!(exists(&bench, "a").await);
}

#[tokio::test]
async fn answers_are_cut_and_damaged() {
    let bench = with([]);
    exchange(&bench, "PUT", "a", "0123456789").await.unwrap();
    let strike = |fault| bench.emulator.set_faults(FaultPlan::of([FaultRule::on("GetObject", fault)]));
    strike(Fault::TruncateResponse { bytes: 4 });
    assert_eq!(exchange(&bench, "GET", "a", "").await.unwrap_err().message, "0123");
    strike(Fault::CorruptResponse { byte: 1 });
    assert_eq!(exchange(&bench, "GET", "a", "").await.unwrap().text(), "0\u{11}23456789");
    strike(Fault::WrongCrc);
    let crc = exchange(&bench, "GET", "a", "").await.unwrap();
    let right = checksum::of(b"0123456789").0;
    assert_eq!(crc.header("x-oss-hash-crc64ecma"), Some((right ^ 1).to_string().as_str()));
    let date = Some("Thu, 01 Jan 1970 00:00:00 GMT".to_owned());
    strike(Fault::ResponseHeader { name: "Date".to_owned(), value: date.clone() });
    assert_eq!(exchange(&bench, "GET", "a", "").await.unwrap().header("date"), date.as_deref());
    strike(Fault::ResponseHeader { name: "x-oss-hash-crc64ecma".to_owned(), value: None });
    assert_eq!(exchange(&bench, "GET", "a", "").await.unwrap().header("x-oss-hash-crc64ecma"), None);
    strike(Fault::Page { status: 200 });
    let page = exchange(&bench, "GET", "a", "").await.unwrap();
    assert_eq!((page.header("content-type"), page.header("x-oss-request-id")), (Some("text/html"), None));
}

#[tokio::test]
async fn damage_on_the_way_in_shows_in_the_sums() {
    let bench = with([FaultRule::on("PutObject", Fault::CorruptRequest { byte: 0 })]);
    let reply = exchange(&bench, "PUT", "a", "abc").await.unwrap();
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(b"Abc").to_string().as_str()));
}

#[tokio::test]
async fn a_full_disk_has_an_answer_of_its_own_and_leaves_nothing() {
    let bench = with([FaultRule::always(Fault::DiskFull { byte: 3 })]);
    let reply = exchange(&bench, "PUT", "a", "hello").await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.tag("Code").as_str()), (507, "InsufficientStorage"));
    assert!(!exists(&bench, "a").await);
    let blobs = std::fs::read_dir(bench.emulator.data().join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

#[tokio::test]
async fn clocks_and_tokens_fail_as_scripted() {
    let bench = Bench::new();
    bench.emulator.set_faults(FaultPlan::default().with_clock_skew(3600));
    let reply = bench.call("GET", "images", "").refused(403, "RequestTimeTooSkewed").await;
    assert_eq!(reply.tag("ServerTime"), "2025-01-01T01:04:05.000Z");
    assert_eq!(reply.header("date"), Some("Wed, 01 Jan 2025 01:04:05 GMT"));
    let once = FaultRule::always(Fault::ClockSkew { seconds: -3600 }).with_times(1);
    let dead = FaultRule::always(Fault::DeadToken).with_times(1);
    bench.emulator.set_faults(FaultPlan::of([once, dead]));
    bench.call("GET", "images", "").refused(403, "RequestTimeTooSkewed").await;
    bench.call("GET", "images", "").refused(403, "SecurityTokenExpired").await;
    bench.call("GET", "images", "").ok().await;
}

#[tokio::test]
async fn dice_fall_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let rule = FaultRule::always(status("InternalError", When::Head)).with_probability(0.5);
        let bench = with([]);
        bench.emulator.set_faults(FaultPlan::of([rule]).with_seed(seed));
        let mut run = Vec::new();
        for _ in 0..64 {
            run.push(exchange(&bench, "GET", "a", "").await.unwrap().status.as_u16());
        }
        let struck = bench.emulator.faults_struck()[0];
        assert!((16..48).contains(&struck), "{struck}");
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn calls_of_the_api_fail_as_scripted() {
    let call = |bench: &Bench| {
        let request = http::Request::builder().method("POST").uri(
            "http://127.0.0.1/?Action=DescribeImages&Version=2014-05-26&RegionId=cn-hangzhou&Format=JSON",
        );
        let request = request.body(ossup_core::http::empty()).unwrap();
        let emulator = bench.emulator.clone();
        async move { emulator.send(request).await }
    };
    let on = |fault| FaultRule::on("DescribeImages", fault).with_times(1);
    let bench = with([
        on(status("Throttling", When::Head)),
        on(Fault::Reset { when: When::AfterCommit }),
        on(Fault::DeadToken),
    ]);
    let throttled = call(&bench).await.unwrap();
    assert_eq!(
        (throttled.status().as_u16(), throttled.headers()["retry-after"].to_str().unwrap()),
        (503, "3")
    );
    let body = throttled.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8(body.to_vec()).unwrap().contains("\"Code\":\"Throttling\""));
    assert_eq!(call(&bench).await.unwrap_err().kind, TransportErrorKind::Broken);
    assert_eq!(call(&bench).await.unwrap().status(), 400);
    assert_eq!(call(&bench).await.unwrap().status(), 200);
    assert_eq!(bench.emulator.requests()["DescribeImages"], 4);
}

#[test]
fn plans_are_read_from_json_and_unknown_fields_are_refused() {
    let plan = FaultPlan::from_json(
        r#"{"seed": 7, "rules": [
            {"operation": "UploadPart", "part": 7, "attempts": [2, 2],
             "fault": {"kind": "status", "status": 503, "code": "ServiceUnavailable"}},
            {"times": 1, "fault": {"kind": "reset", "when": {"body_byte": 5}}},
            {"probability": 0.5, "fault": {"kind": "stall", "when": "after_commit"}}
        ]}"#,
    )
    .unwrap();
    assert_eq!(plan.rules[0].attempts, Some((2, 2)));
    assert_eq!(plan.rules[1].fault, Fault::Reset { when: When::BodyByte(5) });
    assert_eq!(plan.rules[2].fault, Fault::Stall { when: When::AfterCommit, seconds: None });
    let again = FaultPlan::from_json(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again, plan);
    for bad in [
        "",
        r#"{"rule": []}"#,
        r#"{"rules": [{"fault": {"kind": "explode"}}]}"#,
        r#"{"rules": [{"operation": "X"}]}"#,
        r#"{"rules": [{"opration": "X", "fault": {"kind": "dead_token"}}]}"#,
    ] {
        assert!(FaultPlan::from_json(bad).is_err(), "{bad}");
    }
}
