//! Requests from outside, however wrong, get an answer: no panic, no way out of the data directory.

use proptest::prelude::*;

use super::*;
use ossup_core::http::Body;

/// Builds a request of any text; nothing if HTTP itself does not allow it.
fn request(
    method: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Option<http::Request<Body>> {
    let mut request = http::Request::builder().method(method).uri(format!("http://127.0.0.1{target}"));
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    request.body(full(body.to_owned())).ok()
}

/// Sends a request to an emulator that believes everyone and to one that does not.
fn answered(
    bench: &[Bench; 2],
    runtime: &tokio::runtime::Runtime,
    make: impl Fn() -> Option<http::Request<Body>>,
) {
    for bench in bench {
        let Some(request) = make() else { return };
        let reply = runtime.block_on(send(&bench.emulator, request));
        let id = reply.header("x-oss-request-id").or(reply.header("x-acs-request-id"));
        assert!(id.is_some(), "{}", reply.text());
        assert_ne!(reply.status.as_u16(), 500, "{}", reply.text());
        let data = bench.emulator.data();
        for entry in std::fs::read_dir(data).unwrap() {
            let name = entry.unwrap().file_name();
            let known = ["ossup-store.json", "blobs", "buckets", "records"];
            assert!(known.iter().any(|known| name == *known), "{name:?}");
        }
    }
}

fn benches() -> ([Bench; 2], tokio::runtime::Runtime) {
    let trusting =
        Bench::with(|options| EmulatorOptions { verify: false, auto_create_buckets: true, ..options });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    ([trusting, Bench::new()], runtime)
}

/// Paths and queries that are almost right.
fn targets() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "/",
        "images",
        "..",
        "%2e%2e",
        "%2F",
        "%00",
        "%",
        "?",
        "&",
        "=",
        "uploads",
        "uploadId=",
        "partNumber=",
        "1",
        "append",
        "position=",
        "list-type=2",
        "max-keys=",
        "marker=",
        "prefix=",
        "delete",
        "bucketInfo",
        "Expires=",
        "Signature=",
        "OSSAccessKeyId=",
        "x-oss-signature-version=OSS4-HMAC-SHA256",
        "x-oss-date=",
        "x-oss-expires=",
        "x-oss-credential=",
        "Action=",
        "encoding-type=url",
        "99999999999999",
        "continuation-token=",
        "versionId=",
        "key-marker=",
        "%E4%BD",
        "objectMeta",
    ]);
    prop::collection::vec(prop_oneof![4 => word.prop_map(str::to_owned), 1 => "[!-~]{0,6}"], 0..12)
        .prop_map(|words| format!("/{}", words.concat()))
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let name = prop::sample::select(vec![
        "host",
        "authorization",
        "date",
        "x-oss-date",
        "range",
        "content-md5",
        "content-length",
        "content-type",
        "x-oss-copy-source",
        "x-oss-copy-source-range",
        "x-oss-hash-crc64ecma",
        "x-oss-storage-class",
        "x-oss-tagging",
        "if-modified-since",
        "x-oss-security-token",
        "x-oss-traffic-limit",
        "x-oss-object-acl",
    ]);
    let value = prop_oneof![
        "[ -~]{0,20}",
        "bytes=[0-9]{0,22}-[0-9]{0,22}",
        "OSS4-HMAC-SHA256 Credential=[a-z/]{0,20},Signature=[0-9a-f]{0,8}",
        "OSS [a-z]{0,4}:[a-z]{0,4}",
        "/images/[%a-z?]{0,8}",
        "[0-9]{1,22}",
        "[a-z]{1,8}\\.oss-[a-z]{1,4}\\.aliyuncs\\.com",
        "é{0,3}",
    ];
    prop::collection::vec((name, value), 0..4)
}

#[test]
fn no_request_makes_it_panic_or_fail() {
    let (benches, runtime) = benches();
    let methods = prop::sample::select(vec!["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "X"]);
    let bodies = prop_oneof![
        Just(String::new()),
        "\\PC{0,20}",
        "<(CompleteMultipartUpload|Delete)>(<Part><PartNumber>[0-9]{0,6}</PartNumber><ETag>x</ETag></Part>){0,3}",
    ];
    proptest!(|(method in methods, target in targets(), headers in headers(), body in bodies)| {
        answered(&benches, &runtime, || request(method, &target, &headers, &body));
    });
}
