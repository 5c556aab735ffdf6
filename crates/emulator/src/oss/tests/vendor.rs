//! Facts that the vendor's own tests hold, each with the test that it was read from.

use super::*;
use ossup_core::sign::{SignedFields, oss_v4};

async fn open(bench: &Bench, key: &str) -> String {
    bench.call("POST", &format!("images/{key}"), "uploads").ok().await.tag("UploadId")
}

/// Sends a request that was signed by hand, with these headers alone.
async fn raw(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:9000{path}"))
        .header("host", "127.0.0.1:9000");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&bench.emulator, request.body(ossup_core::http::empty()).unwrap()).await
}

/// Go v2, TestUploaderUploadFromTeeReader, "empty reader".
#[tokio::test]
async fn an_empty_list_of_parts_makes_an_empty_object() {
    let bench = Bench::new();
    let id = open(&bench, "a").await;
    let complete = || bench.call("POST", "images/a", &format!("uploadId={id}"));
    complete().body("").refused(400, "MalformedXML").await;
    complete().body("<CompleteMultipartUpload></CompleteMultipartUpload>").ok().await;
    let head = bench.call("HEAD", "images/a", "").ok().await;
    assert_eq!((head.header("content-length"), head.header("x-oss-hash-crc64ecma")), (Some("0"), Some("0")));
}

/// Go v2, client_integration_test.go:4829; Python v2, test_client.py `*_fail`.
#[tokio::test]
async fn that_the_bucket_is_missing_is_said_before_that_the_key_is_unknown() {
    let mut bench = Bench::new();
    bench.credentials = Some(Credentials::new("nobody", "secret"));
    for version in [SignVersion::V4, SignVersion::V1] {
        bench.version = version;
        bench.call("GET", "missing", "").refused(404, "NoSuchBucket").await;
        bench.call("PUT", "missing/a", "").refused(404, "NoSuchBucket").await;
        bench.call("PUT", "missing", "").refused(403, "InvalidAccessKeyId").await;
        bench.call("GET", "images", "").refused(403, "InvalidAccessKeyId").await;
    }
}

/// Go v2, client_integration_test.go:2236, :2343, :2577 and :3990.
#[tokio::test]
async fn each_operation_has_its_own_ec_for_an_upload_that_is_gone() {
    let bench = Bench::new();
    bench.put("images/source", b"x").await;
    let copy = Some("/images/source");
    for (method, query, source, ec) in [
        ("PUT", "partNumber=1&uploadId=A", None, "0042-00000104"),
        ("PUT", "partNumber=1&uploadId=A", copy, "0042-00000311"),
        ("DELETE", "uploadId=A", None, "0042-00000002"),
        ("GET", "uploadId=A", None, "0042-00000002"),
        ("POST", "uploadId=A", None, "0042-00000203"),
    ] {
        let mut call = bench.call(method, "images/a", query);
        if let Some(source) = source {
            call = call.header("x-oss-copy-source", source);
        }
        assert_eq!(call.refused(404, "NoSuchUpload").await.tag("EC"), ec, "{method} {query} {source:?}");
    }
}

/// Go v2, client_integration_test.go:2509.
#[tokio::test]
async fn complete_all_takes_no_list() {
    let bench = Bench::new();
    let id = open(&bench, "a").await;
    let call = bench.call("POST", "images/a", &format!("uploadId={id}")).header("x-oss-complete-all", "yes");
    let reply = call
        .body("<CompleteMultipartUpload></CompleteMultipartUpload>")
        .refused(400, "InvalidArgument")
        .await;
    assert_eq!(reply.tag("EC"), "0042-00000216");
    assert_eq!(reply.tag("Message"), "Should not speficy both complete all header and http body.");
}

/// Go v2, client_integration_test.go:1344; Python v2, test_client.py:2780.
#[tokio::test]
async fn copies_have_the_crc_of_their_source() {
    let bench = Bench::new();
    let crc = bench.put("images/a", b"some bytes").await.header("x-oss-hash-crc64ecma").unwrap().to_owned();
    let copied = bench.call("PUT", "images/b", "").header("x-oss-copy-source", "/images/a").ok().await;
    assert_eq!(copied.header("x-oss-hash-crc64ecma"), Some(crc.as_str()));
    let id = open(&bench, "c").await;
    let part = format!("partNumber=1&uploadId={id}");
    bench.call("PUT", "images/c", &part).header("x-oss-copy-source", "/images/a").ok().await;
    let call = bench.call("POST", "images/c", &format!("uploadId={id}")).header("x-oss-complete-all", "yes");
    assert_eq!(call.ok().await.header("x-oss-hash-crc64ecma"), Some(crc.as_str()));
    let head = bench.call("HEAD", "images/c", "").ok().await;
    assert_eq!(head.header("x-oss-hash-crc64ecma"), Some(crc.as_str()));
}

/// oss2, tests/test_multipart.py:92; ali-oss-rs, src/multipart.rs:602.
#[tokio::test]
async fn an_open_range_is_copied_to_the_end() {
    let bench = Bench::new();
    bench.put("images/a", b"0123456789").await;
    let id = open(&bench, "b").await;
    let copy = |range: &'static str| {
        let call = bench.call("PUT", "images/b", &format!("partNumber=1&uploadId={id}"));
        call.header("x-oss-copy-source", "/images/a").header("x-oss-copy-source-range", range).ok()
    };
    assert_eq!(copy("bytes=4-").await.header("content-range"), Some("bytes 4-9/10"));
    let size = |reply: Reply| reply.tag("Size");
    let listed = || bench.call("GET", "images/b", &format!("uploadId={id}"));
    assert_eq!(size(listed().ok().await), "6");
    // What begins beyond the end is not a range: the whole object is copied, and the answer names none.
    assert_eq!(copy("bytes=10-").await.header("content-range"), None);
    assert_eq!(size(listed().ok().await), "10");
}

/// ali-oss, test/node/object.test.js:1829.
#[tokio::test]
async fn a_copy_of_what_did_not_change_is_304() {
    let bench = Bench::new();
    let etag = bench.put("images/a", b"x").await.header("etag").unwrap().to_owned();
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), 304),
        ("if-modified-since", "Wed, 01 Jan 2025 00:04:05 GMT", 304),
        ("if-match", "\"00\"", 412),
        ("if-unmodified-since", "Wed, 01 Jan 2025 00:04:04 GMT", 412),
    ] {
        let call = bench.call("PUT", "images/b", "").header("x-oss-copy-source", "/images/a");
        let reply = call.header(&format!("x-oss-copy-source-{name}"), value).send().await;
        assert_eq!(reply.status.as_u16(), status, "{name}");
        assert!(status != 304 || reply.body.is_empty());
    }
    bench.call("GET", "images/b", "").refused(404, "NoSuchKey").await;
}

/// Go v1, bucket_test.go:1370. On Initiate the service ignores it; here nobody is to rely on that.
#[tokio::test]
async fn conditions_on_writes_are_refused() {
    let bench = Bench::new();
    for name in ["if-modified-since", "if-none-match", "if-match"] {
        let reply = bench
            .call("PUT", "images/a", "")
            .header(name, "*")
            .body("x")
            .refused(400, "NotImplemented")
            .await;
        assert_eq!(reply.tag("Header"), name);
        bench.call("POST", "images/a", "uploads").header(name, "*").refused(400, "NotImplemented").await;
    }
    bench.call("GET", "images/a", "").refused(404, "NoSuchKey").await;
}

/// Go v1, auth.go:196, and `ossutil --sign-version v4`.
#[tokio::test]
async fn a_v4_signature_may_cover_the_date_header_as_it_is() {
    let bench = Bench::new();
    let scope = oss_v4::Scope::parse("20250101/cn-hangzhou/oss/aliyun_v4_request").unwrap();
    for (date, fine) in [
        ("Wed, 01 Jan 2025 00:04:05 GMT", true),
        ("Wed, 01 Jan 2025 00:04:00 GMT", true),
        ("Tue, 31 Dec 2024 23:59:05 GMT", false),
    ] {
        let headers = [("date", date), ("x-oss-content-sha256", oss_v4::UNSIGNED_PAYLOAD)];
        let pairs: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let parts =
            SignedFields { method: "GET", bucket: Some("images"), key: None, query: &[], headers: &pairs };
        let canonical = oss_v4::canonical_request(&parts, &[]);
        let signature =
            oss_v4::signature(ACCESS_KEY_SECRET, &scope, &oss_v4::string_to_sign(date, &scope, &canonical));
        let authorization = format!(
            "OSS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20250101/cn-hangzhou/oss/aliyun_v4_request,\
             Signature={signature}"
        );
        let sent = [headers[0], headers[1], ("authorization", authorization.as_str())];
        let reply = raw(&bench, "GET", "/images/", &sent).await;
        assert_eq!(reply.status.is_success(), fine, "{date}: {}", reply.text());
    }
}

/// Go v2, client_integration_test.go:4166.
#[tokio::test]
async fn a_header_that_a_url_was_signed_with_must_be_sent() {
    let bench = Bench::new();
    bench.put("images/a", b"x").await;
    let request = bench.call("GET", "images/a", "").header("email", "a@b.c").request;
    let credentials = bench.credentials.as_ref().unwrap();
    let (region, now) = (&bench.region, bench.clock.now());
    let scope = oss_v4::Scope::oss(now, region);
    let query = oss_v4::presign(&request, credentials, &scope, now, 60, &["email"]);
    let url = uri::oss(&bench.endpoint, &request, &query);
    let path = url.strip_prefix("http://127.0.0.1:9000").unwrap();
    let reply = raw(&bench, "GET", path, &[]).await;
    assert_eq!((reply.status.as_u16(), reply.tag("Code").as_str()), (400, "InvalidArgument"));
    assert_eq!(raw(&bench, "GET", path, &[("email", "a@b.c")]).await.text(), "x");
    assert_eq!(raw(&bench, "GET", path, &[("email", "c@b.a")]).await.tag("Code"), "SignatureDoesNotMatch");
}

/// Go v2, client_integration_test.go:10127.
#[tokio::test]
async fn a_bucket_setting_that_is_no_document_has_its_own_ec() {
    let bench = Bench::new();
    for setting in ["encryption", "versioning"] {
        let reply = bench.call("PUT", "images", setting).body("<a>").refused(400, "MalformedXML").await;
        assert_eq!(reply.tag("EC"), "0015-00000231");
    }
}

/// The EC page 0004-00000502.
#[tokio::test]
async fn a_traffic_limit_beyond_its_bounds_has_its_own_ec() {
    let bench = Bench::new();
    let id = open(&bench, "a").await;
    let call = bench.call("PUT", "images/a", &format!("partNumber=1&uploadId={id}"));
    let reply = call.header("x-oss-traffic-limit", "819199").body("x").refused(400, "InvalidArgument").await;
    assert_eq!(reply.tag("EC"), "0004-00000502");
}

/// Clients send it without a body and some without a length.
#[tokio::test]
async fn initiate_needs_no_content_length() {
    let bench = Bench::new();
    let request = bench.call("POST", "images/a", "uploads").request;
    let (credentials, now) = (bench.credentials.as_ref().unwrap(), bench.clock.now());
    let mut sent = http::Request::builder().method("POST").uri("http://127.0.0.1:9000/images/a?uploads");
    for (name, value) in sign_oss(SignVersion::V4, &request, credentials, &bench.region, now) {
        sent = sent.header(name, value);
    }
    let answer = bench.emulator.handle(sent.body(ossup_core::http::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
}
