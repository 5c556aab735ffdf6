use super::*;
use ossup_core::sign::presign_oss;

#[tokio::test]
async fn header_signatures_of_both_versions_are_verified_with_odd_keys() {
    let mut bench = Bench::new();
    for version in [SignVersion::V4, SignVersion::V1] {
        bench.version = version;
        for key in ["plain", "a b+c%d", "*'()!~", "目录/🙂", "a/../b", "?x=1&y#z", "a//b"] {
            let resource = format!("images/{key}");
            bench.call("PUT", &resource, "").header("x-oss-meta-a", "1").body("x").ok().await;
            let list = bench.call("GET", "images", "prefix=&encoding-type=url").ok().await;
            assert_eq!(list.tag("Key"), encode::component(key));
            bench.call("DELETE", &resource, "").ok().await;
        }
        let reply = {
            let wrong = Credentials::new(ACCESS_KEY_ID, "wrong");
            let right = bench.credentials.replace(wrong);
            let reply = bench.call("GET", "images", "").refused(403, "SignatureDoesNotMatch").await;
            bench.credentials = right;
            reply
        };
        assert_eq!(reply.tag("EC"), "0002-00000040");
        assert_eq!(reply.tag("OSSAccessKeyId"), ACCESS_KEY_ID);
        let octets: Vec<String> = reply.tag("StringToSignBytes").split(' ').map(str::to_owned).collect();
        assert_eq!(octets[0], if version == SignVersion::V4 { "4F" } else { "47" });
    }
}

#[tokio::test]
async fn keys_and_tokens_are_told_apart() {
    let mut bench = Bench::new();
    let end = bench.clock.now() + jiff::SignedDuration::from_secs(60);
    let temporary = Credentials::new("STS.a", "s3").with_token("token+/=").with_expiry(end);
    bench.emulator.add_credentials(temporary.clone());
    for version in [SignVersion::V4, SignVersion::V1] {
        bench.version = version;
        bench.credentials = Some(temporary.clone());
        bench.call("GET", "images", "").ok().await;
        bench.credentials = Some(Credentials::new("STS.a", "s3").with_token("other"));
        bench.call("GET", "images", "").refused(403, "InvalidSecurityToken").await;
        bench.credentials = Some(Credentials::new("STS.a", "s3"));
        bench.call("GET", "images", "").refused(403, "InvalidAccessKeyId").await;
        bench.credentials = Some(Credentials::new("nobody", "s3"));
        let reply = bench.call("GET", "images", "").refused(403, "InvalidAccessKeyId").await;
        assert_eq!(
            (reply.tag("EC").as_str(), reply.tag("OSSAccessKeyId").as_str()),
            ("0002-00000902", "nobody")
        );
    }
    bench.clock.advance(60);
    bench.credentials = Some(temporary);
    let reply = bench.call("GET", "images", "").refused(403, "SecurityTokenExpired").await;
    assert_eq!(reply.tag("EC"), "0002-00000007");
}

#[tokio::test]
async fn clocks_may_differ_by_15_minutes() {
    let mut bench = Bench::new();
    for version in [SignVersion::V4, SignVersion::V1] {
        bench.version = version;
        for (seconds, fine) in [(900, true), (-900, true), (901, false), (-901, false)] {
            let call = bench.call("GET", "images", "");
            let client = bench.clock.now() + jiff::SignedDuration::from_secs(seconds);
            let added =
                sign_oss(version, &call.request, bench.credentials.as_ref().unwrap(), &bench.region, client);
            let mut request = http::Request::builder().uri("http://127.0.0.1:9000/images/");
            for (name, value) in added {
                request = request.header(name, value);
            }
            let reply = send(&bench.emulator, request.body(ossup_core::http::empty()).unwrap()).await;
            assert_eq!(reply.status.is_success(), fine, "{seconds}: {}", reply.text());
            if !fine {
                assert_eq!(reply.tag("Code"), "RequestTimeTooSkewed");
                assert_eq!(reply.tag("MaxAllowedSkewMilliseconds"), "900000");
                assert_eq!(reply.tag("ServerTime"), "2025-01-01T00:04:05.000Z");
            }
        }
    }
}

#[tokio::test]
async fn urls_are_good_until_they_expire_and_for_what_they_were_signed() {
    let bench = Bench::new();
    bench.put("images/a b", b"hello").await;
    for version in [SignVersion::V4, SignVersion::V1] {
        let call = bench.call("GET", "images/a b", "");
        let credentials = bench.credentials.as_ref().unwrap();
        let query = presign_oss(version, &call.request, credentials, &bench.region, bench.clock.now(), 60);
        let url = uri::oss(&bench.endpoint, &call.request, &query);
        let get = |url: &str, method: &str| {
            let request = http::Request::builder().method(method).uri(url);
            request.body(ossup_core::http::empty()).unwrap()
        };
        let reply = send(&bench.emulator, get(&url, "GET")).await;
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"hello"[..]), "{}", reply.text());
        let reply = send(&bench.emulator, get(&url, "DELETE")).await;
        assert_eq!(reply.tag("Code"), "SignatureDoesNotMatch");
        let reply = send(&bench.emulator, get(&url.replace("a%20b", "b"), "GET")).await;
        assert_eq!(reply.tag("Code"), "SignatureDoesNotMatch");
        bench.clock.advance(61);
        let reply = send(&bench.emulator, get(&url, "GET")).await;
        assert_eq!((reply.status.as_u16(), reply.tag("Code").as_str()), (403, "AccessDenied"));
        assert_eq!(reply.tag("Message"), "Request has expired.");
        assert!(!reply.tag("Expires").is_empty() && !reply.tag("ServerTime").is_empty());
        bench.clock.advance(-61);
    }
}

#[tokio::test]
async fn malformed_signatures_get_the_documented_codes() {
    let bench = Bench::new();
    let scope = "20250101/cn-hangzhou/oss/aliyun_v4_request";
    let id = ACCESS_KEY_ID;
    let v4 = |rest: &str| format!("OSS4-HMAC-SHA256 Credential={id}/{rest}");
    let date = ("x-oss-date", "20250101T000405Z");
    for (authorization, header, status, code, ec) in [
        ("Basic YTpi".to_owned(), date, 400, "InvalidArgument", "0002-00000002"),
        ("OSS4-HMAC-SHA256 nonsense".to_owned(), date, 400, "InvalidArgument", "0002-00000202"),
        (v4(&format!("{scope},Signature=x")), ("x-oss-date", "now"), 403, "AccessDenied", "0002-00000502"),
        (v4(&format!("{scope},Signature=x")), ("x-none", "1"), 403, "AccessDenied", "0002-00000503"),
        (
            v4(&format!("{scope},AdditionalHeaders=,Signature=x")),
            date,
            400,
            "InvalidArgument",
            "0002-00000209",
        ),
        (
            v4(&format!("{scope},AdditionalHeaders=host;,Signature=x")),
            date,
            400,
            "InvalidArgument",
            "0002-00000210",
        ),
        (
            v4("20250102/cn-hangzhou/oss/aliyun_v4_request,Signature=x"),
            date,
            400,
            "InvalidArgument",
            "0002-00000212",
        ),
        (
            v4("20250101/cn-hangzhou/s3/aliyun_v4_request,Signature=x"),
            date,
            400,
            "InvalidArgument",
            "0002-00000213",
        ),
        (
            v4("20250101/oss-cn-hangzhou/oss/aliyun_v4_request,Signature=x"),
            date,
            400,
            "InvalidArgument",
            "0002-00000226",
        ),
        (v4(&format!("{scope}, Signature=x")), date, 403, "SignatureDoesNotMatch", "0002-00000040"),
        ("OSS a".to_owned(), date, 400, "InvalidArgument", "0002-00000202"),
        (format!("OSS {id}:x"), ("x-none", "1"), 403, "AccessDenied", "0002-00000503"),
        ("OSS2 a".to_owned(), date, 400, "NotImplemented", "0000-00000000"),
    ] {
        let request = http::Request::builder()
            .uri("http://127.0.0.1/images/")
            .header("authorization", &authorization)
            .header(header.0, header.1);
        let reply = send(&bench.emulator, request.body(ossup_core::http::empty()).unwrap()).await;
        let found = (reply.status.as_u16(), reply.tag("Code"), reply.tag("EC"));
        assert_eq!(found, (status, code.to_owned(), ec.to_owned()), "{authorization} {}", reply.text());
    }
}

#[tokio::test]
async fn malformed_urls_get_the_documented_codes() {
    let bench = Bench::new();
    let credential = format!("{ACCESS_KEY_ID}%2F20250101%2Fcn-hangzhou%2Foss%2Faliyun_v4_request");
    let v4 = |expires: &str| {
        format!(
            "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential={credential}&x-oss-date=20250101T000405Z&x-oss-signature=x{expires}"
        )
    };
    for (query, code, ec) in [
        (v4(""), "InvalidArgument", "0002-00000215"),
        (v4("&x-oss-expires=0"), "InvalidArgument", "0002-00000232"),
        (v4("&x-oss-expires=604801"), "InvalidArgument", "0002-00000232"),
        (v4("&x-oss-expires=60").replace("%2Foss%2F", "%2Fs3%2F"), "InvalidArgument", "0002-00000224"),
        (v4("&x-oss-expires=60").replace("=20250101T", "=2025-1-1T"), "InvalidArgument", "0002-00000223"),
        (v4("&x-oss-expires=60").replace("cn-hangzhou", "cn-beijing"), "InvalidArgument", "0002-00000226"),
        (v4("&x-oss-expires=60"), "SignatureDoesNotMatch", "0002-00000040"),
        ("OSSAccessKeyId=a&Signature=b".to_owned(), "AccessDenied", "0002-00000068"),
        ("OSSAccessKeyId=a&Signature=b&Expires=".to_owned(), "AccessDenied", "0002-00000068"),
        ("OSSAccessKeyId=a&Signature=b&Expires=soon".to_owned(), "AccessDenied", "0002-00000070"),
    ] {
        let request = http::Request::builder().uri(format!("http://127.0.0.1/images/k?{query}"));
        let reply = send(&bench.emulator, request.body(ossup_core::http::empty()).unwrap()).await;
        assert_eq!((reply.tag("Code"), reply.tag("EC")), (code.to_owned(), ec.to_owned()), "{query}");
    }
    let request = http::Request::builder()
        .uri("http://127.0.0.1/images/k?Expires=1")
        .header("authorization", "OSS a:b")
        .body(ossup_core::http::empty());
    let reply = send(&bench.emulator, request.unwrap()).await;
    assert_eq!((reply.status.as_u16(), reply.tag("Code").as_str()), (400, "InvalidArgument"));
}

#[tokio::test]
async fn the_anonymous_may_do_what_the_acl_allows_to_all() {
    let mut bench = Bench::with(|mut options| {
        options.block_public_access = false;
        options
    });
    bench.put("images/a", b"x").await;
    bench.credentials = None;
    let reply = bench.call("GET", "images/a", "").refused(403, "AccessDenied").await;
    assert_eq!(reply.tag("EC"), "0003-00000001");
    bench.call("GET", "", "").refused(403, "AccessDenied").await;
    let open = |acl: &str| {
        bench.emulator.update_bucket(&bucket("images"), |record| acl.clone_into(&mut record.acl)).unwrap();
    };
    open("public-read");
    bench.call("GET", "images/a", "").ok().await;
    bench.call("PUT", "images/a", "").refused(403, "AccessDenied").await;
    bench.call("DELETE", "images/a", "").refused(403, "AccessDenied").await;
    open("public-read-write");
    bench.call("PUT", "images/a", "").ok().await;
    bench.call("DELETE", "images/a", "").refused(403, "AccessDenied").await;
}

#[tokio::test]
async fn another_regions_endpoint_is_named() {
    let mut bench = Bench::new();
    bench.region = "cn-beijing".parse().unwrap();
    bench.endpoint = "http://oss-cn-beijing.aliyuncs.com".parse().unwrap();
    let reply = bench.call("GET", "images/a", "").refused(403, "AccessDenied").await;
    assert_eq!(reply.tag("Endpoint"), "oss-cn-hangzhou.aliyuncs.com");
    assert_eq!(reply.tag("Bucket"), "images");
    let reply = bench.call("GET", "images2/a", "").refused(404, "NoSuchBucket").await;
    assert_eq!((reply.tag("EC").as_str(), reply.tag("BucketName").as_str()), ("0015-00000101", "images2"));
    // A region in the scope that is not the host's.
    bench.endpoint = "http://oss-cn-hangzhou.aliyuncs.com".parse().unwrap();
    let reply = bench.call("GET", "images", "").refused(400, "InvalidArgument").await;
    assert_eq!(reply.tag("EC"), "0002-00000226");
    assert!(reply.tag("Authorization").starts_with("OSS4-HMAC-SHA256"));
    // Acceleration serves every region, and the scope names the bucket's.
    bench.region = "cn-hangzhou".parse().unwrap();
    bench.endpoint = "http://oss-accelerate.aliyuncs.com".parse().unwrap();
    bench.call("GET", "images", "").ok().await;
}

#[tokio::test]
async fn custom_domains_sign_the_bucket_that_they_are_bound_to() {
    let mut bench = Bench::with(|options| options.with_cname("Img.Example.com", bucket("images")));
    bench.endpoint = "http://img.example.com".parse::<Endpoint>().unwrap();
    bench.endpoint = bench.endpoint.clone().with_style(ossup_core::model::AddressingStyle::Cname).unwrap();
    bench.put("images/a", b"x").await;
    assert_eq!(bench.call("GET", "images/a", "").ok().await.text(), "x");
}

#[tokio::test]
async fn the_local_store_needs_no_credentials_and_makes_buckets_at_the_first_write() {
    let mut bench =
        Bench::with(|options| EmulatorOptions { verify: false, auto_create_buckets: true, ..options });
    bench.credentials = None;
    bench.call("GET", "fresh", "").refused(404, "NoSuchBucket").await;
    bench.call("GET", "fresh/a", "").refused(404, "NoSuchBucket").await;
    bench.call("POST", "fresh/a", "uploads").ok().await;
    assert_eq!(bench.emulator.bucket(&bucket("fresh")).unwrap().region.as_str(), "cn-hangzhou");
}
