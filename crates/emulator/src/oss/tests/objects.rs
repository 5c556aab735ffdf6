use super::*;
use crate::{BucketRecord, Encryption};
use ossup_core::checksum;

#[tokio::test]
async fn an_object_comes_back_with_what_was_said_about_it() {
    let bench = Bench::new();
    let call = bench.call("PUT", "images/a/b.raw", "").body("0123456789");
    let call =
        call.header("content-type", "x/y").header("cache-control", "no-cache").header("x-oss-meta-Who", "me");
    let call = call.header("x-oss-storage-class", "IA").header("x-oss-tagging", "a=b");
    let put = call.header("x-oss-server-side-encryption", "AES256").ok().await;
    assert_eq!(put.header("etag"), Some("\"781E5E245D69B566979B86E28D23F2C7\""));
    assert_eq!(put.header("x-oss-server-side-encryption"), Some("AES256"));
    for method in ["GET", "HEAD"] {
        let reply = bench.call(method, "images/a/b.raw", "").ok().await;
        for (name, value) in [
            ("content-type", "x/y"),
            ("cache-control", "no-cache"),
            ("x-oss-meta-who", "me"),
            ("x-oss-storage-class", "IA"),
            ("x-oss-tagging-count", "1"),
            ("x-oss-object-type", "Normal"),
            ("content-length", "10"),
            ("content-md5", "eB5eJF1ptWaXm4bijSPyxw=="),
            ("last-modified", "Wed, 01 Jan 2025 00:04:05 GMT"),
            ("x-oss-hash-crc64ecma", &checksum::of(b"0123456789").to_string()),
            ("x-oss-server-side-encryption", "AES256"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{method} {name}");
        }
        assert_eq!(reply.text(), if method == "GET" { "0123456789" } else { "" });
    }
    let meta = bench.call("HEAD", "images/a/b.raw", "objectMeta").ok().await;
    assert_eq!((meta.header("content-length"), meta.header("content-type")), (Some("10"), None));
    let query = "response-content-type=a%2Fb&response-content-disposition=x";
    let reply = bench.call("GET", "images/a/b.raw", query).ok().await;
    assert_eq!(reply.header("content-type"), Some("a/b"));
    assert_eq!(reply.header("content-disposition"), Some("x"));
    let query = "response-content-type=a%0D%0Ab";
    bench.call("GET", "images/a/b.raw", query).refused(400, "InvalidArgument").await;
}

#[tokio::test]
async fn ranges_and_conditions_are_honoured() {
    let bench = Bench::new();
    let etag = bench.put("images/a", b"0123456789").await.header("etag").unwrap().to_owned();
    let get = || bench.call("GET", "images/a", "");
    let part = get().header("range", "bytes=2-4").ok().await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("content-length"), Some("3"));
    assert_eq!(part.header("x-oss-hash-crc64ecma"), Some(checksum::of(b"0123456789").to_string().as_str()));
    let whole = get().header("range", "bytes=5-10").ok().await;
    assert_eq!((whole.status.as_u16(), whole.header("content-range")), (200, None));
    let standard = ("x-oss-range-behavior", "standard");
    let clipped = get().header("range", "bytes=5-10").header(standard.0, standard.1).ok().await;
    assert_eq!((clipped.status.as_u16(), clipped.text().as_str()), (206, "56789"));
    get().header("range", "bytes=10-").header(standard.0, standard.1).refused(416, "InvalidRange").await;
    assert_eq!(get().header("if-none-match", &etag).send().await.status, 304);
    get().header("if-match", "\"x\"").refused(412, "PreconditionFailed").await;
    let head = bench.call("HEAD", "images/a", "").header("if-match", "\"x\"").send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (412, 0));
}

#[tokio::test]
async fn a_missing_object_is_told_in_a_header_where_there_is_no_body() {
    let bench = Bench::new();
    let reply = bench.call("GET", "images/none", "").refused(404, "NoSuchKey").await;
    assert_eq!((reply.tag("EC").as_str(), reply.tag("Key").as_str()), ("0026-00000001", "none"));
    let head = bench.call("HEAD", "images/none", "").send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
    assert_eq!(head.header("x-oss-ec"), Some("0026-00000001"));
    use base64::Engine as _;
    let document =
        base64::engine::general_purpose::STANDARD.decode(head.header("x-oss-err").unwrap()).unwrap();
    assert!(String::from_utf8(document).unwrap().contains("<Code>NoSuchKey</Code>"));
    assert_eq!(bench.call("DELETE", "images/none", "").ok().await.status, 204);
}

#[tokio::test]
async fn a_body_has_a_length_or_is_chunked() {
    let bench = Bench::with(|options| EmulatorOptions { verify: false, ..options });
    let request = || http::Request::builder().method("PUT").uri("http://127.0.0.1/images/a");
    let reply = bench.emulator.handle(request().body(full("x")).unwrap()).await.unwrap();
    assert_eq!(reply.status(), 411);
    let chunked = request().header("transfer-encoding", "chunked").body(full("x")).unwrap();
    assert_eq!(bench.emulator.handle(chunked).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_makes_no_object() {
    let bench = Bench::with(|options| EmulatorOptions { verify: false, ..options });
    let pieces = futures::stream::iter([
        Ok(http_body::Frame::data(Bytes::from_static(b"half"))),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    let body = ossup_core::http::Body::new(http_body_util::StreamBody::new(pieces));
    let request = http::Request::builder().method("PUT").uri("http://127.0.0.1/images/a").body(body).unwrap();
    let error = bench.emulator.send(request).await.unwrap_err();
    assert_eq!(error.kind, ossup_core::http::TransportErrorKind::Broken);
    bench.call("GET", "images/a", "").refused(404, "NoSuchKey").await;

    let failed = std::io::Error::other(ossup_core::http::SourceFailed("gone".to_owned()));
    let body = ossup_core::http::Body::new(http_body_util::StreamBody::new(futures::stream::iter([Err::<
        http_body::Frame<Bytes>,
        _,
    >(
        failed,
    )])));
    let request = http::Request::builder().method("PUT").uri("http://127.0.0.1/images/a").body(body).unwrap();
    let error = bench.emulator.send(request).await.unwrap_err();
    assert_eq!(error.kind, ossup_core::http::TransportErrorKind::Source);
}

#[tokio::test]
async fn objects_grow_by_appending_at_their_end() {
    let bench = Bench::new();
    let append = |position: &str, body: &'static str| {
        bench.call("POST", "images/log", &format!("append&position={position}")).body(body)
    };
    let reply = append("0", "one").ok().await;
    assert_eq!(reply.header("x-oss-next-append-position"), Some("3"));
    let reply = append("0", "two").refused(409, "PositionNotEqualToLength").await;
    assert_eq!(reply.header("x-oss-next-append-position"), Some("3"));
    let reply = append("3", "two").ok().await;
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(b"onetwo").to_string().as_str()));
    append("x", "two").refused(400, "InvalidArgument").await;
    let reply = bench.call("GET", "images/log", "").ok().await;
    assert_eq!((reply.text().as_str(), reply.header("x-oss-object-type")), ("onetwo", Some("Appendable")));
    bench.put("images/log", b"x").await;
    append("1", "y").refused(409, "ObjectNotAppendable").await;
}

#[tokio::test]
async fn copies_take_the_metadata_along_unless_told_otherwise() {
    let bench = Bench::new();
    let call = bench.call("PUT", "images/a", "").body("0123456789").header("x-oss-meta-a", "1");
    call.header("content-type", "x/y").ok().await;
    let copy = |directive: &str| {
        let call = bench.call("PUT", "images/b", "").header("x-oss-copy-source", "/images/a");
        call.header("x-oss-metadata-directive", directive)
    };
    let reply = copy("COPY").ok().await;
    assert_eq!(reply.tag("ETag"), "&quot;781E5E245D69B566979B86E28D23F2C7&quot;");
    let head = bench.call("HEAD", "images/b", "").ok().await;
    assert_eq!((head.header("content-type"), head.header("x-oss-meta-a")), (Some("x/y"), Some("1")));
    copy("REPLACE").header("content-type", "z/z").ok().await;
    let head = bench.call("HEAD", "images/b", "").ok().await;
    assert_eq!((head.header("content-type"), head.header("x-oss-meta-a")), (Some("z/z"), None));
    copy("MIX").refused(400, "InvalidArgument").await;
    copy("COPY").header("x-oss-forbid-overwrite", "true").refused(409, "FileAlreadyExists").await;
    assert_eq!(bench.call("GET", "images/b", "").ok().await.text(), "0123456789");
}

#[tokio::test]
async fn objects_are_listed_in_both_versions_page_by_page() {
    let bench = Bench::new();
    for key in ["a", "b/1", "b/2", "c d", "e"] {
        bench.put(&format!("images/{key}"), b"x").await;
    }
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let query = format!("max-keys=2&delimiter=/&encoding-type=url&marker={marker}");
        let page = bench.call("GET", "images", &query).ok().await;
        seen.extend(page.tags("Key"));
        seen.extend(page.tags("CommonPrefixes"));
        marker = page.tag("NextMarker");
        if page.tag("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen, ["a", "<Prefix>b%2F</Prefix>", "c%20d", "e"]);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let query =
            format!("list-type=2&max-keys=2&fetch-owner=true&start-after=a&continuation-token={token}");
        let page = bench.call("GET", "images", &query).ok().await;
        assert_eq!(page.tag("KeyCount"), page.tags("Contents").len().to_string());
        assert_eq!(page.tags("Owner").len(), page.tags("Contents").len());
        seen.extend(page.tags("Key"));
        token = page.tag("NextContinuationToken");
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["b/1", "b/2", "c d", "e"]);
    for bad in ["max-keys=0", "max-keys=1001", "list-type=2&continuation-token=%25%25"] {
        bench.call("GET", "images", bad).refused(400, "InvalidArgument").await;
    }
}

#[tokio::test]
async fn several_objects_are_deleted_at_once() {
    let bench = Bench::new();
    for key in ["a", "b", "c"] {
        bench.put(&format!("images/{key}"), b"x").await;
    }
    let body =
        "<Delete><Quiet>false</Quiet><Object><Key>a</Key></Object><Object><Key>c</Key></Object></Delete>";
    let reply = bench.call("POST", "images", "delete").body(body).ok().await;
    assert_eq!(reply.tags("Key"), ["a", "c"]);
    assert_eq!(bench.call("GET", "images", "").ok().await.tags("Key"), ["b"]);
    bench.call("POST", "images", "delete").body("<Delete/>").refused(400, "MalformedXML").await;
}

#[tokio::test]
async fn a_key_is_deleted_as_it_is_written_spaces_and_all() {
    let bench = Bench::new();
    for key in ["images/a", "images/a ", "images/ a", "images/a\n"] {
        bench.put(key, b"x").await;
    }
    let delete = |body: &'static str| bench.call("POST", "images", "delete").body(body).ok();
    delete("<Delete><Object><Key>a </Key></Object></Delete>").await;
    delete("<Delete><Object><Key>a&#10;</Key></Object></Delete>").await;
    let left = bench.call("GET", "images", "encoding-type=url").ok().await;
    assert_eq!(left.tags("Key"), ["%20a", "a"]);
    delete("<Delete><Object><Key> a</Key></Object></Delete>").await;
    assert_eq!(bench.call("GET", "images", "").ok().await.tags("Key"), ["a"]);
}

#[tokio::test]
async fn buckets_are_made_shown_listed_and_deleted() {
    let bench = Bench::with(|mut options| {
        options.block_public_access = false;
        options
    });
    let body = "<CreateBucketConfiguration><StorageClass>IA</StorageClass></CreateBucketConfiguration>";
    bench.call("PUT", "disks", "").header("x-oss-acl", "public-read").body(body).ok().await;
    bench.call("PUT", "disks", "").refused(409, "BucketAlreadyExists").await;
    bench.call("PUT", "other", "").header("x-oss-acl", "all").refused(400, "InvalidArgument").await;
    bench.call("PUT", "other", "").body("<x/>").refused(400, "MalformedXML").await;
    let info = bench.call("GET", "disks", "bucketInfo").ok().await;
    for (name, value) in [
        ("Name", "disks"),
        ("StorageClass", "IA"),
        ("Grant", "public-read"),
        ("Location", "oss-cn-hangzhou"),
        ("ExtranetEndpoint", "oss-cn-hangzhou.aliyuncs.com"),
        ("IntranetEndpoint", "oss-cn-hangzhou-internal.aliyuncs.com"),
        ("SSEAlgorithm", "None"),
        ("CreationDate", "2025-01-01T00:04:05.000Z"),
    ] {
        assert_eq!(info.tag(name), value);
    }
    let location = bench.call("GET", "disks", "location").ok().await;
    assert_eq!(location.tag("LocationConstraint"), "oss-cn-hangzhou");
    let listed = bench.call("GET", "", "").ok().await;
    assert_eq!(listed.tags("Name"), ["disks", "images"]);
    let listed = bench.call("GET", "", "max-keys=1").ok().await;
    assert_eq!(
        (listed.tags("Name"), listed.tag("NextMarker")),
        (vec!["disks".to_owned()], "disks".to_owned())
    );
    bench.put("disks/a", b"x").await;
    assert_eq!(bench.call("HEAD", "disks/a", "").ok().await.header("x-oss-storage-class"), Some("IA"));
    bench.call("DELETE", "disks", "").refused(409, "BucketNotEmpty").await;
    bench.call("DELETE", "disks/a", "").ok().await;
    bench.call("DELETE", "disks", "").ok().await;
    bench.call("GET", "disks", "bucketInfo").refused(404, "NoSuchBucket").await;
}

#[tokio::test]
async fn default_encryption_and_versioning_are_settings_of_a_bucket() {
    let bench = Bench::with(|mut options| {
        options.kms_keys.insert("k1".to_owned());
        options
    });
    bench.call("GET", "images", "encryption").refused(404, "NoSuchServerSideEncryptionRule").await;
    let rule = |algorithm: &str| {
        format!(
            "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm><KMSMasterKeyID>k1</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"
        )
    };
    let put = |text: String| bench.call("PUT", "images", "encryption").body(text);
    put(rule("ROT13")).refused(400, "InvalidEncryptionAlgorithmError").await;
    put(rule("KMS")).ok().await;
    assert_eq!(bench.call("GET", "images", "encryption").ok().await.tag("KMSMasterKeyID"), "k1");
    let reply = bench.put("images/a", b"x").await;
    assert_eq!(reply.header("x-oss-server-side-encryption"), Some("KMS"));
    assert_eq!(reply.header("x-oss-server-side-encryption-key-id"), Some("k1"));
    bench.call("DELETE", "images", "encryption").ok().await;
    assert_eq!(bench.put("images/a", b"x").await.header("x-oss-server-side-encryption"), None);
    let status =
        |text: &str| format!("<VersioningConfiguration><Status>{text}</Status></VersioningConfiguration>");
    let put = |text: &str| bench.call("PUT", "images", "versioning").body(status(text));
    put("On").refused(400, "MalformedXML").await;
    put("Enabled").ok().await;
    assert_eq!(bench.call("GET", "images", "versioning").ok().await.tag("Status"), "Enabled");
    assert_eq!(bench.call("GET", "images", "bucketInfo").ok().await.tag("Versioning"), "Enabled");
    assert!(bench.put("images/a", b"x").await.header("x-oss-version-id").is_some());
}

#[tokio::test]
async fn nothing_that_a_client_stored_breaks_later_requests() {
    let bench = Bench::with(|mut options| {
        options.kms_keys.insert("a\u{1}b\n".to_owned());
        options
    });
    let rule = |id: &str| {
        format!(
            "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>{id}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"
        )
    };
    for id in ["a&#1;b", "a&#10;b", "kéy", "a b", &"k".repeat(256)] {
        let put = bench.call("PUT", "images", "encryption").body(rule(id));
        put.refused(400, "InvalidArgument").await;
    }
    // A record that was written by other means.
    let key_id = Some("a\u{1}b\n".to_owned());
    let change = |record: &mut BucketRecord| {
        record.encryption = Some(Encryption { algorithm: "KMS".to_owned(), key_id, ..Encryption::default() });
    };
    bench.emulator.update_bucket(&"images".parse().unwrap(), change).unwrap();
    let reply = bench.put("images/a", b"x").await;
    assert_eq!(reply.header("x-oss-server-side-encryption-key-id"), Some("a?b?"));
    bench.call("HEAD", "images/a", "").ok().await;
    bench.call("POST", "images/b", "uploads").ok().await;
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let bench = Bench::new();
    assert_eq!(
        bench.call("GET", "images", "lifecycle").refused(400, "NotImplemented").await.tag("Header"),
        "lifecycle"
    );
    let call = bench.call("PUT", "images/a", "").header("x-oss-callback", "e30=");
    call.refused(400, "NotImplemented").await;
    let reply = bench.call("POST", "images/a", "").refused(405, "MethodNotAllowed").await;
    assert_eq!((reply.tag("EC").as_str(), reply.tag("Method").as_str()), ("0017-00000001", "POST"));
}

#[tokio::test]
async fn names_from_outside_never_leave_the_data_directory() {
    let bench = Bench::new();
    for key in ["../../../escaped", "a/../../../../escaped", "%2e%2e/escaped", "c:\\escaped", "a\u{0}b"] {
        bench.call("PUT", &format!("images/{key}"), "").body("x").ok().await;
        assert_eq!(bench.call("GET", &format!("images/{key}"), "").ok().await.text(), "x", "{key}");
    }
    let data = bench.emulator.data();
    let outside: Vec<_> = std::fs::read_dir(data.join("buckets")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert!(!data.parent().unwrap().join("escaped").exists());
}
