//! Versions, ACLs, tags and the other settings that clients use beside uploads.

use super::*;

async fn set_versioning(bench: &Bench, status: &str) {
    let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    bench.call("PUT", "images", "versioning").body(body).ok().await;
}

fn version(reply: &Reply) -> String {
    reply.header("x-oss-version-id").unwrap().to_owned()
}

#[tokio::test]
async fn every_version_is_kept_and_read_by_its_id() {
    let bench = Bench::new();
    bench.put("images/a", b"before").await;
    set_versioning(&bench, "Enabled").await;
    let one = version(&bench.put("images/a", b"one").await);
    let two = version(&bench.put("images/a", b"two").await);
    for (id, body) in [("null", "before"), (&one, "one"), (&two, "two")] {
        let reply = bench.call("GET", "images/a", &format!("versionId={id}")).ok().await;
        assert_eq!((reply.text().as_str(), version(&reply).as_str()), (body, id));
    }
    assert_eq!(bench.call("GET", "images/a", "").ok().await.text(), "two");
    bench.call("GET", "images/a", "versionId=CAEQnone").refused(404, "NoSuchVersion").await;
    let copy = bench.call("PUT", "images/b", "");
    let copied = copy.header("x-oss-copy-source", &format!("/images/a?versionId={one}")).ok().await;
    assert_eq!(copied.header("x-oss-copy-source-version-id"), Some(one.as_str()));
    assert_eq!(bench.call("GET", "images/b", "").ok().await.text(), "one");
}

#[tokio::test]
async fn a_deletion_is_a_marker_on_top_that_can_be_taken_away() {
    let bench = Bench::new();
    set_versioning(&bench, "Enabled").await;
    let one = version(&bench.put("images/a", b"one").await);
    let deleted = bench.call("DELETE", "images/a", "").ok().await;
    let marker = version(&deleted);
    assert_eq!(deleted.header("x-oss-delete-marker"), Some("true"));
    let gone = bench.call("GET", "images/a", "").refused(404, "NoSuchKey").await;
    assert_eq!((gone.header("x-oss-delete-marker"), version(&gone)), (Some("true"), marker.clone()));
    let of_marker = format!("versionId={marker}");
    bench.call("GET", "images/a", &of_marker).refused(405, "MethodNotAllowed").await;
    assert!(bench.call("GET", "images", "").ok().await.tags("Key").is_empty());
    let listed = bench.call("GET", "images", "versions").ok().await;
    assert_eq!(listed.tags("VersionId"), [marker.clone(), one.clone()]);
    assert_eq!(listed.tags("IsLatest"), ["true", "false"]);
    bench.call("DELETE", "images", "").refused(409, "BucketNotEmpty").await;
    let taken = bench.call("DELETE", "images/a", &of_marker).ok().await;
    assert_eq!((taken.header("x-oss-delete-marker"), version(&taken)), (Some("true"), marker));
    assert_eq!(bench.call("GET", "images/a", "").ok().await.text(), "one");
    let body = format!("<Delete><Object><Key>a</Key><VersionId>{one}</VersionId></Object></Delete>");
    let reply = bench.call("POST", "images", "delete").body(body).ok().await;
    assert_eq!((reply.tag("VersionId"), reply.tag("DeleteMarker")), (one, String::new()));
    bench.call("DELETE", "images/a", "versionId=234").refused(400, "InvalidArgument").await;
    bench.call("DELETE", "images", "").ok().await;
}

#[tokio::test]
async fn a_suspended_bucket_has_one_null_version_beside_the_others() {
    let bench = Bench::new();
    set_versioning(&bench, "Enabled").await;
    let one = version(&bench.put("images/a", b"one").await);
    set_versioning(&bench, "Suspended").await;
    assert_eq!(version(&bench.put("images/a", b"two").await), "null");
    assert_eq!(version(&bench.put("images/a", b"three").await), "null");
    let listed = bench.call("GET", "images", "versions").ok().await;
    assert_eq!(listed.tags("VersionId"), ["null".to_owned(), one]);
    assert_eq!(bench.call("GET", "images/a", "versionId=null").ok().await.text(), "three");
}

#[tokio::test]
async fn versions_are_listed_page_by_page_and_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let options = testing::options(dir.path()).with_clock(clock.clone());
    let mut bench = Bench::new();
    let open = || Emulator::open(options.clone()).unwrap();
    bench.emulator = open();
    bench.emulator.create_bucket(bucket("images"), bench.region.clone()).unwrap();
    set_versioning(&bench, "Enabled").await;
    let mut made = Vec::new();
    for key in ["a", "b", "b", "c"] {
        made.push(version(&bench.put(&format!("images/{key}"), b"x").await));
    }
    bench.call("DELETE", "images/b", "").ok().await;
    // The folder is free only when its emulator is gone.
    let other = tempfile::tempdir().unwrap();
    bench.emulator = Emulator::open(testing::options(other.path())).unwrap();
    bench.emulator = open();
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let page = bench.call("GET", "images", &format!("versions&max-keys=2{marker}")).ok().await;
        found.extend(page.tags("VersionId"));
        if page.tag("IsTruncated") == "false" {
            break;
        }
        let (key, version) = (page.tag("NextKeyMarker"), page.tag("NextVersionIdMarker"));
        marker = format!("&key-marker={key}&version-id-marker={version}");
    }
    assert_eq!(found.len(), 5);
    assert_eq!([&found[0], &found[2], &found[3], &found[4]], [&made[0], &made[2], &made[1], &made[3]]);
    bench.call("GET", "images/b", "").refused(404, "NoSuchKey").await;
}

#[tokio::test]
async fn an_objects_acl_counts_before_its_buckets_and_nothing_is_public_where_that_is_blocked() {
    let mut bench = Bench::new();
    bench.put("images/a", b"x").await;
    let put = bench.call("PUT", "images/a", "acl").header("x-oss-object-acl", "public-read");
    put.refused(403, "AccessDenied").await;
    bench.call("PUT", "images", "acl").header("x-oss-acl", "public-read").refused(403, "AccessDenied").await;
    let call = bench.call("PUT", "images/b", "").header("x-oss-object-acl", "public-read");
    call.refused(403, "AccessDenied").await;
    assert_eq!(bench.call("GET", "images", "publicAccessBlock").ok().await.tag("BlockPublicAccess"), "true");
    assert_eq!(bench.call("GET", "images", "bucketInfo").ok().await.tag("BlockPublicAccess"), "true");
    bench.call("DELETE", "images", "publicAccessBlock").ok().await;
    bench.call("PUT", "images", "acl").header("x-oss-acl", "public-read").ok().await;
    bench.put("images/b", b"y").await;
    bench.call("PUT", "images/a", "acl").header("x-oss-object-acl", "private").ok().await;
    assert_eq!(bench.call("GET", "images/a", "acl").ok().await.tag("Grant"), "private");
    assert_eq!(bench.call("GET", "images/b", "acl").ok().await.tag("Grant"), "default");
    let known = bench.credentials.take();
    bench.call("GET", "images/a", "").refused(403, "AccessDenied").await;
    bench.call("GET", "images/b", "").ok().await;
    bench.credentials = known;
    let block = "<PublicAccessBlockConfiguration><BlockPublicAccess>true</BlockPublicAccess></PublicAccessBlockConfiguration>";
    bench.call("PUT", "images", "publicAccessBlock").body(block).ok().await;
    bench.credentials = None;
    bench.call("GET", "images/b", "").refused(403, "AccessDenied").await;
}

#[tokio::test]
async fn tags_are_kept_returned_copied_and_deleted() {
    let bench = Bench::new();
    let put = bench.call("PUT", "images/a", "").header("x-oss-tagging", "k=v&l=w%20x");
    put.body("x").ok().await;
    let tags = |resource: &'static str| bench.call("GET", resource, "tagging").ok();
    assert_eq!(tags("images/a").await.tags("Value"), ["v", "w x"]);
    bench.call("PUT", "images/b", "").header("x-oss-copy-source", "/images/a").ok().await;
    assert_eq!(tags("images/b").await.tags("Key"), ["k", "l"]);
    let call = bench.call("PUT", "images/b", "").header("x-oss-copy-source", "/images/a");
    call.header("x-oss-tagging-directive", "Replace").header("x-oss-tagging", "m=n").ok().await;
    assert_eq!(tags("images/b").await.tags("Key"), ["m"]);
    let set = |tags: &str| format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
    let tag = "<Tag><Key>z</Key><Value></Value></Tag>";
    bench.call("PUT", "images/a", "tagging").body(set(tag)).ok().await;
    assert_eq!(tags("images/a").await.tags("Key"), ["z"]);
    bench.call("PUT", "images/a", "tagging").body(set(&tag.repeat(2))).refused(400, "InvalidTag").await;
    bench.call("DELETE", "images/a", "tagging").ok().await;
    assert!(tags("images/a").await.tags("Key").is_empty());
    bench.call("PUT", "images", "tagging").body(set(tag)).ok().await;
    assert_eq!(bench.call("GET", "", "tag-key=z").ok().await.tags("Name"), ["images"]);
    assert!(bench.call("GET", "", "tag-key=y").ok().await.tags("Name").is_empty());
    bench.call("DELETE", "images", "tagging").ok().await;
    assert!(tags("images").await.tags("Key").is_empty());
}

#[tokio::test]
async fn encryption_is_told_of_parts_and_copies_and_unknown_kms_keys_are_refused() {
    let bench = Bench::with(|mut options| {
        options.kms_keys.insert("known".to_owned());
        options
    });
    let kms = |resource: &'static str, query: &'static str, method: &'static str| {
        bench.call(method, resource, query).header("x-oss-server-side-encryption", "KMS")
    };
    const KEY: &str = "x-oss-server-side-encryption-key-id";
    let own = kms("images/a", "", "PUT").ok().await.header(KEY).unwrap().to_owned();
    let refused = kms("images/a", "", "PUT").header(KEY, "unknown").refused(400, "InvalidArgument").await;
    assert_eq!(refused.tag("EC"), "0005-00000208");
    let opened = kms("images/b", "uploads", "POST").header(KEY, "known");
    let opened = opened.header("x-oss-server-side-data-encryption", "SM4").ok().await;
    let part = format!("partNumber=1&uploadId={}", opened.tag("UploadId"));
    for call in [
        bench.call("PUT", "images/b", &part).body("x"),
        bench.call("PUT", "images/b", &part).header("x-oss-copy-source", "/images/a"),
    ] {
        let reply = call.ok().await;
        assert_eq!(reply.header(KEY), Some("known"));
        assert_eq!(reply.header("x-oss-server-side-data-encryption"), Some("SM4"));
    }
    let copied = kms("images/c", "", "PUT").header("x-oss-copy-source", "/images/a").ok().await;
    assert_eq!(copied.header(KEY), Some(own.as_str()));
}

#[tokio::test]
async fn what_every_vendor_suite_asks_before_it_deletes_a_bucket_is_answered() {
    let bench = Bench::new();
    let channels = bench.call("GET", "images", "live").ok().await;
    assert_eq!((channels.tag("IsTruncated").as_str(), channels.tags("Name").len()), ("false", 0));
    let versions = bench.call("GET", "images", "versions").ok().await;
    assert!(versions.tags("Key").is_empty());
    bench.put("images/a", b"12345").await;
    let stat = bench.call("GET", "images", "stat").ok().await;
    assert_eq!((stat.tag("Storage"), stat.tag("ObjectCount")), ("5".to_owned(), "1".to_owned()));
    bench.call("GET", "images", "cors").refused(404, "NoSuchCORSConfiguration").await;
    bench.call("PUT", "images", "cors").body("<CORSConfiguration/>").refused(400, "MalformedXML").await;
    let rule = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    bench.call("PUT", "images", "cors").body(rule).ok().await;
    assert_eq!(bench.call("GET", "images", "cors").ok().await.text(), rule);
}
