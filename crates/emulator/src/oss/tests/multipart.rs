use super::*;
use crate::Versioning;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;
use ossup_core::checksum;

const KIB: usize = 1024;

async fn initiate(bench: &Bench, key: &str) -> String {
    bench.call("POST", &format!("images/{key}"), "uploads").ok().await.tag("UploadId")
}

async fn upload_part(bench: &Bench, key: &str, id: &str, number: u32, bytes: &[u8]) -> String {
    let query = format!("partNumber={number}&uploadId={id}");
    let call = bench.call("PUT", &format!("images/{key}"), &query).body(bytes.to_vec());
    call.ok().await.header("etag").unwrap().to_owned()
}

fn list(parts: &[(u32, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

fn complete<'a>(bench: &'a Bench, key: &str, id: &str, parts: &[(u32, &str)]) -> Sent<'a> {
    bench.call("POST", &format!("images/{key}"), &format!("uploadId={id}")).body(list(parts))
}

/// Bytes that differ from place to place.
fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i / 251) as u8 ^ (i % 251) as u8 ^ seed).collect()
}

#[tokio::test]
async fn an_object_is_made_of_parts_of_unequal_size_and_with_gaps() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase()));
    let (a, b, c) = (bytes(100 * KIB, 1), bytes(300 * KIB + 1, 2), bytes(5, 3));
    let etag_c = upload_part(&bench, "disk", &id, 10_000, &c).await;
    let etag_b = upload_part(&bench, "disk", &id, 7, &b).await;
    let etag_a = upload_part(&bench, "disk", &id, 2, &a).await;
    upload_part(&bench, "disk", &id, 4, b"left out").await;
    assert_eq!(bench.call("HEAD", "images/disk", "").send().await.status, 404);
    let bare = etag_b.trim_matches('"').to_lowercase();
    let escaped = etag_c.replace('"', "&quot;");
    let parts = [(2, etag_a.as_str()), (7, &bare), (10_000, &escaped)];
    let reply = complete(&bench, "disk", &id, &parts).ok().await;
    let whole = [a, b, c].concat();
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(&whole).to_string().as_str()));
    assert!(reply.tag("ETag").ends_with("-3&quot;"), "{}", reply.text());
    assert_eq!(reply.tag("Location"), "http://127.0.0.1:9000/images/disk");
    let reply = bench.call("GET", "images/disk", "").ok().await;
    assert!(reply.body == whole);
    assert_eq!(reply.header("x-oss-object-type"), Some("Multipart"));
    assert_eq!(reply.header("content-md5"), None);
    // Once more: the upload is over.
    let reply = complete(&bench, "disk", &id, &parts).refused(404, "NoSuchUpload").await;
    assert_eq!((reply.tag("EC").as_str(), reply.tag("UploadId")), ("0042-00000203", id));
}

#[tokio::test]
async fn what_a_part_answers_with_is_right() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    let call = bench.call("PUT", "images/disk", &format!("partNumber=1&uploadId={id}"));
    let reply = call.body("0123456789").ok().await;
    assert_eq!(reply.header("etag"), Some("\"781E5E245D69B566979B86E28D23F2C7\""));
    assert_eq!(reply.header("content-md5"), Some("eB5eJF1ptWaXm4bijSPyxw=="));
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(b"0123456789").to_string().as_str()));
    assert_eq!(reply.header("server"), Some("AliyunOSS"));
    assert_eq!(reply.header("date"), Some("Wed, 01 Jan 2025 00:04:05 GMT"));
    assert_eq!(reply.header("content-length"), Some("0"));
    let request_id = reply.header("x-oss-request-id").unwrap();
    assert!(request_id.len() == 24 && request_id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(reply.header("x-oss-server-time").unwrap().parse::<u64>().is_ok());
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_first() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    let old = upload_part(&bench, "disk", &id, 1, b"old").await;
    let new = upload_part(&bench, "disk", &id, 1, b"newer").await;
    complete(&bench, "disk", &id, &[(1, &old)]).refused(400, "InvalidPart").await;
    complete(&bench, "disk", &id, &[(1, &new)]).ok().await;
    assert_eq!(bench.call("GET", "images/disk", "").ok().await.text(), "newer");
}

#[tokio::test]
async fn a_wrong_list_is_refused_and_the_upload_stays_open() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    let one = upload_part(&bench, "disk", &id, 1, &bytes(100 * KIB - 1, 1)).await;
    let two = upload_part(&bench, "disk", &id, 2, b"end").await;
    let small = complete(&bench, "disk", &id, &[(1, &one), (2, &two)]).refused(400, "EntityTooSmall").await;
    assert_eq!(small.tag("EC"), "0042-00000213");
    let order = complete(&bench, "disk", &id, &[(2, &two), (1, &one)]).refused(400, "InvalidPartOrder").await;
    assert_eq!(order.tag("EC"), "0042-00000209");
    complete(&bench, "disk", &id, &[(1, &one), (1, &one)]).refused(400, "InvalidPartOrder").await;
    complete(&bench, "disk", &id, &[(1, &one), (3, &two)]).refused(400, "InvalidPart").await;
    complete(&bench, "disk", &id, &[(1, &one), (70_000, &two)]).refused(400, "InvalidPart").await;
    complete(&bench, "disk", &id, &[(1, &two)]).refused(400, "InvalidPart").await;
    let query = format!("uploadId={id}");
    for body in [
        "",
        "<a/>",
        "<CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
    ] {
        let reply = bench.call("POST", "images/disk", &query).body(body).refused(400, "MalformedXML").await;
        assert_eq!(reply.tag("EC"), "0042-00000205");
    }
    let huge = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", " ".repeat(4 << 20));
    bench.call("POST", "images/disk", &query).body(huge).refused(400, "MalformedXML").await;
    complete(&bench, "disk", &id, &[(1, &one)]).ok().await;
}

#[tokio::test]
async fn ten_thousand_parts_complete() {
    let bench = Bench::with(|options| options.with_discard(true));
    let id = initiate(&bench, "disk").await;
    let part = bytes(100 * KIB, 1);
    let etag = upload_part(&bench, "disk", &id, 1, &part).await;
    let name: BucketName = bucket("images");
    let upload = bench
        .emulator
        .store()
        .upload(&name, &"disk".parse().unwrap(), &ossup_core::model::UploadId::new(&*id))
        .unwrap();
    let first = upload.parts.values().next().unwrap().record.clone();
    for number in 2..=10_000 {
        let number = ossup_core::model::PartNumber::new(number).unwrap();
        let record = crate::store::PartRecord { number, ..first.clone() };
        bench.emulator.store().put_part(&name, &"disk".parse().unwrap(), &upload.record.id, record).unwrap();
    }
    let parts: Vec<(u32, &str)> = (1..=10_000).map(|number| (number, etag.as_str())).collect();
    let reply = complete(&bench, "disk", &id, &parts).ok().await;
    assert!(reply.tag("ETag").ends_with("-10000&quot;"));
    let head = bench.call("HEAD", "images/disk", "").ok().await;
    assert_eq!(head.header("content-length"), Some((10_000 * 100 * KIB).to_string().as_str()));
}

#[tokio::test]
async fn complete_all_takes_every_part() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    upload_part(&bench, "disk", &id, 5, b"end").await;
    upload_part(&bench, "disk", &id, 3, &bytes(100 * KIB, 0)).await;
    let query = format!("uploadId={id}");
    let call = || bench.call("POST", "images/disk", &query).header("x-oss-complete-all", "yes");
    let reply = call().body("<CompleteMultipartUpload/>").refused(400, "InvalidArgument").await;
    assert_eq!(reply.tag("EC"), "0042-00000216");
    call().ok().await;
    let head = bench.call("HEAD", "images/disk", "objectMeta").ok().await;
    assert_eq!(head.header("content-length"), Some("102403"));
}

#[tokio::test]
async fn bad_parts_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    let call = |query: &str| bench.call("PUT", "images/disk", &format!("{query}uploadId={id}")).body("x");
    for number in ["0", "10001", "x", "-1", ""] {
        let reply = call(&format!("partNumber={number}&")).refused(400, "InvalidArgument").await;
        assert_eq!(
            (reply.tag("EC").as_str(), reply.tag("ArgumentValue").as_str()),
            ("0017-00000220", number)
        );
    }
    assert_eq!(call("").refused(400, "InvalidArgument").await.tag("EC"), "0017-00000219");
    let one = "partNumber=1&";
    call(one).header("content-md5", "eB5eJF1ptWaXm4bijSPyxw==").refused(400, "InvalidDigest").await;
    call(one).header("content-md5", "short").refused(400, "InvalidDigest").await;
    call(one).header("x-oss-hash-crc64ecma", "1").refused(400, "InvalidCRC64").await;
    call(one).header("x-oss-hash-crc64ecma", "x").refused(400, "InvalidArgument").await;
    call(one).header("x-oss-server-side-encryption", "AES256").refused(400, "InvalidArgument").await;
    call(one).header("x-oss-traffic-limit", "1").refused(400, "InvalidArgument").await;
    call(one).header("content-length", "5368709121").refused(400, "EntityTooLarge").await;
    call(one).header("content-length", "2").refused(400, "IncompleteBody").await;
    let reply =
        bench.call("PUT", "images/disk", "partNumber=1&uploadId=../../x").refused(404, "NoSuchUpload").await;
    assert_eq!(reply.tag("EC"), "0042-00000104");
    let listed = bench.call("GET", "images/disk", &format!("uploadId={id}")).ok().await;
    assert!(listed.tags("Part").is_empty());
    // What follows the announced bytes is ignored; right sums are taken.
    call(one).header("content-length", "0").ok().await;
    let crc = checksum::of(b"x").to_string();
    call(one)
        .header("x-oss-hash-crc64ecma", &crc)
        .header("content-md5", "ndTkYSaMgDT1yFZOFVxnpg==")
        .ok()
        .await;
}

#[tokio::test]
async fn aborted_uploads_are_gone() {
    let bench = Bench::new();
    let id = initiate(&bench, "disk").await;
    upload_part(&bench, "disk", &id, 1, b"x").await;
    let query = format!("uploadId={id}");
    assert_eq!(bench.call("DELETE", "images/disk", &query).ok().await.status, 204);
    let reply = bench.call("DELETE", "images/disk", &query).refused(404, "NoSuchUpload").await;
    assert_eq!(reply.tag("EC"), "0042-00000002");
    bench.call("GET", "images/disk", &query).refused(404, "NoSuchUpload").await;
    let part = bench.call("PUT", "images/disk", &format!("partNumber=1&{query}"));
    part.body("x").refused(404, "NoSuchUpload").await;
    complete(&bench, "disk", &id, &[(1, "x")]).refused(404, "NoSuchUpload").await;
}

#[tokio::test]
async fn parts_are_listed_page_by_page() {
    let bench = Bench::new();
    let id = initiate(&bench, "a b").await;
    for number in [9, 2, 5, 4, 7] {
        upload_part(&bench, "a b", &id, number, format!("part {number}").as_bytes()).await;
    }
    let (mut seen, mut marker) = (Vec::new(), "0".to_owned());
    loop {
        let query = format!("uploadId={id}&max-parts=2&part-number-marker={marker}&encoding-type=url");
        let page = bench.call("GET", "images/a b", &query).ok().await;
        assert_eq!(page.tag("Key"), "a%20b");
        seen.extend(page.tags("PartNumber"));
        assert_eq!(page.tags("HashCrc64ecma").len(), page.tags("Part").len());
        marker = page.tag("NextPartNumberMarker");
        if page.tag("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen, ["2", "4", "5", "7", "9"]);
    for bad in ["max-parts=0", "max-parts=1001", "part-number-marker=x", "encoding-type=base64"] {
        let query = format!("uploadId={id}&{bad}");
        bench.call("GET", "images/a b", &query).refused(400, "InvalidArgument").await;
    }
}

#[tokio::test]
async fn uploads_are_listed_by_key_then_id_page_by_page() {
    let bench = Bench::new();
    let mut expected = Vec::new();
    for key in ["c", "a", "b/1", "a", "b/2"] {
        expected.push((key.to_owned(), initiate(&bench, key).await));
    }
    expected.sort();
    let (mut seen, mut key, mut id) = (Vec::new(), String::new(), String::new());
    loop {
        let query = format!("uploads&max-uploads=2&key-marker={key}&upload-id-marker={id}");
        let page = bench.call("GET", "images", &query).ok().await;
        seen.extend(page.tags("Key").into_iter().zip(page.tags("UploadId")));
        (key, id) = (page.tag("NextKeyMarker"), page.tag("NextUploadIdMarker"));
        if page.tag("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen, expected);
    let grouped = bench.call("GET", "images", "uploads=&delimiter=/&prefix=b").ok().await;
    assert!(grouped.tags("Key").is_empty());
    assert_eq!(grouped.tags("CommonPrefixes"), ["<Prefix>b/</Prefix>"]);
}

#[tokio::test]
async fn overwriting_is_forbidden_where_asked_except_with_versions() {
    let bench = Bench::new();
    bench.put("images/disk", b"first").await;
    let forbid = ("x-oss-forbid-overwrite", "true");
    let call = bench.call("POST", "images/disk", "uploads").header(forbid.0, forbid.1);
    call.refused(409, "FileAlreadyExists").await;
    let call = bench.call("PUT", "images/disk", "").header(forbid.0, forbid.1).body("x");
    call.refused(409, "FileAlreadyExists").await;
    let id = initiate(&bench, "disk").await;
    let etag = upload_part(&bench, "disk", &id, 1, b"second").await;
    let call = complete(&bench, "disk", &id, &[(1, &etag)]).header(forbid.0, forbid.1);
    call.refused(409, "FileAlreadyExists").await;
    assert_eq!(bench.call("GET", "images/disk", "").ok().await.text(), "first");
    let enable = |record: &mut crate::BucketRecord| record.versioning = Some(Versioning::Enabled);
    bench.emulator.update_bucket(&bucket("images"), enable).unwrap();
    let reply = complete(&bench, "disk", &id, &[(1, &etag)]).header(forbid.0, forbid.1).ok().await;
    let version = reply.header("x-oss-version-id").unwrap();
    bench.call("GET", "images/disk", &format!("versionId={version}")).ok().await;
    bench.call("GET", "images/disk", "versionId=other").refused(404, "NoSuchVersion").await;
}

#[tokio::test]
async fn sequential_uploads_want_their_parts_in_order() {
    let bench = Bench::new();
    let id = bench.call("POST", "images/disk", "uploads&sequential").ok().await.tag("UploadId");
    let call = |number: u32| bench.call("PUT", "images/disk", &format!("partNumber={number}&uploadId={id}"));
    call(2).refused(400, "PartNotSequential").await;
    call(1).ok().await;
    call(1).ok().await;
    call(3).refused(400, "PartNotSequential").await;
    call(2).ok().await;
}

#[tokio::test]
async fn parts_are_copied_from_ranges_of_objects() {
    let bench = Bench::new();
    let source = bytes(300 * KIB, 9);
    bench.call("PUT", "images/a b", "").body(source.clone()).ok().await;
    let id = initiate(&bench, "disk").await;
    let call = |number: u32| {
        let query = format!("partNumber={number}&uploadId={id}");
        bench.call("PUT", "images/disk", &query).header("x-oss-copy-source", "/images/a%20b")
    };
    let part = call(1).header("x-oss-copy-source-range", "bytes=1-204800").ok().await;
    assert_eq!(part.header("content-range"), Some("bytes 1-204800/307200"));
    assert_eq!(part.tag("ETag").replace("&quot;", "\""), part.header("etag").unwrap());
    let plain = bench.call("PUT", "images/other", "").body(source[1..=204_800].to_vec()).ok().await;
    assert_eq!(plain.header("etag"), part.header("etag"));
    // A range that is not within the object copies all of it.
    let all = call(2).header("x-oss-copy-source-range", "bytes=1-307200").ok().await;
    assert_eq!(all.header("content-range"), None);
    let (one, two) = (part.header("etag").unwrap(), all.header("etag").unwrap());
    let reply = complete(&bench, "disk", &id, &[(1, one), (2, two)]).ok().await;
    let whole = [&source[1..=204_800], &source].concat();
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(&whole).to_string().as_str()));
    bench.call("DELETE", "images/a b", "").ok().await;
    assert!(bench.call("GET", "images/disk", "").ok().await.body == whole);
}

#[tokio::test]
async fn bad_copy_sources_are_refused() {
    let bench = Bench::new();
    bench.put("images/a", b"x").await;
    bench.emulator.create_bucket(bucket("far-away"), "cn-beijing".parse().unwrap()).unwrap();
    let id = initiate(&bench, "disk").await;
    let call = |source: &str| {
        let query = format!("partNumber=1&uploadId={id}");
        bench.call("PUT", "images/disk", &query).header("x-oss-copy-source", source)
    };
    assert_eq!(call("").refused(400, "InvalidArgument").await.tag("EC"), "0042-00000302");
    assert_eq!(call("images/a").refused(400, "InvalidArgument").await.tag("EC"), "0042-00000301");
    call("/images/none").refused(404, "NoSuchKey").await;
    call("/nowhere/a").refused(404, "NoSuchBucket").await;
    call("/images/a?versionId=1").refused(404, "NoSuchVersion").await;
    call("/images/a").header("x-oss-copy-source-if-match", "\"0\"").refused(412, "PreconditionFailed").await;
    let reply = call("/far-away/a").refused(403, "AccessDenied").await;
    assert!(reply.tag("Message").contains("same data center"));
    let archive = bench.call("PUT", "images/cold", "").header("x-oss-storage-class", "Archive");
    archive.ok().await;
    call("/images/cold").refused(403, "InvalidObjectState").await;
}

#[tokio::test]
async fn discarding_keeps_sizes_and_crcs_and_refuses_to_read() {
    let bench = Bench::with(|options| options.with_discard(true));
    let id = initiate(&bench, "disk").await;
    let body = bytes(100 * KIB, 1);
    let one = upload_part(&bench, "disk", &id, 1, &body).await;
    let crc = checksum::of(&body);
    assert_eq!(one, format!("\"{:016X}{:016X}\"", crc.0, body.len()));
    let call = bench.call("PUT", "images/disk", &format!("partNumber=2&uploadId={id}"));
    call.body("x").header("content-md5", "eB5eJF1ptWaXm4bijSPyxw==").refused(400, "InvalidDigest").await;
    let two = upload_part(&bench, "disk", &id, 2, b"end").await;
    let reply = complete(&bench, "disk", &id, &[(1, &one), (2, &two)]).ok().await;
    let whole = [&body[..], b"end"].concat();
    assert_eq!(reply.header("x-oss-hash-crc64ecma"), Some(checksum::of(&whole).to_string().as_str()));
    let reply = bench.call("GET", "images/disk", "").refused(400, "OperationNotSupported").await;
    assert!(reply.tag("Message").contains("--discard"));
    let copy = |range: &str| {
        let call = bench.call("PUT", "images/copy", "partNumber=1&uploadId=x");
        call.header("x-oss-copy-source", "/images/disk").header("x-oss-copy-source-range", range)
    };
    copy("bytes=0-5").refused(404, "NoSuchUpload").await;
    let id = initiate(&bench, "copy").await;
    let copy = |range: &str| {
        let call = bench.call("PUT", "images/copy", &format!("partNumber=1&uploadId={id}"));
        call.header("x-oss-copy-source", "/images/disk").header("x-oss-copy-source-range", range)
    };
    copy("bytes=0-5").refused(400, "OperationNotSupported").await;
    copy("bytes=0-102399").ok().await;
}

/// What only a real account can settle, in the states that are not assumed.
#[tokio::test]
async fn an_upload_ends_otherwise_where_the_options_say_so() {
    let with = |name: &'static str| {
        Bench::with(move |mut options| {
            options.oss.set(name, "true").unwrap();
            options
        })
    };
    let bench = with("repeat_complete");
    let id = initiate(&bench, "disk").await;
    let etag = upload_part(&bench, "disk", &id, 1, b"first").await;
    let first = complete(&bench, "disk", &id, &[(1, &etag)]).ok().await;
    assert_eq!(complete(&bench, "disk", &id, &[(1, &etag)]).ok().await.text(), first.text());
    bench.put("images/disk", b"another").await;
    complete(&bench, "disk", &id, &[(1, &etag)]).refused(404, "NoSuchUpload").await;

    let bench = with("merge_repeated_parts");
    let id = initiate(&bench, "disk").await;
    let etag = upload_part(&bench, "disk", &id, 1, b"first").await;
    complete(&bench, "disk", &id, &[(1, &etag), (1, &etag)]).ok().await;
    assert_eq!(bench.call("GET", "images/disk", "").ok().await.text(), "first");

    let bench = with("forbidden_complete_aborts");
    bench.put("images/disk", b"first").await;
    let id = initiate(&bench, "disk").await;
    let etag = upload_part(&bench, "disk", &id, 1, b"second").await;
    let call = complete(&bench, "disk", &id, &[(1, &etag)]).header("x-oss-forbid-overwrite", "true");
    call.refused(409, "FileAlreadyExists").await;
    bench.call("GET", "images/disk", &format!("uploadId={id}")).refused(404, "NoSuchUpload").await;

    let bench = with("sequential_md5");
    let id = bench.call("POST", "images/disk", "uploads&sequential").ok().await.tag("UploadId");
    let (a, b) = (bytes(100 * KIB, 1), bytes(5, 2));
    let etags =
        [upload_part(&bench, "disk", &id, 1, &a).await, upload_part(&bench, "disk", &id, 2, &b).await];
    complete(&bench, "disk", &id, &[(1, &etags[0]), (2, &etags[1])]).ok().await;
    let whole = md5::Md5::digest([a, b].concat());
    let head = bench.call("HEAD", "images/disk", "").ok().await;
    assert_eq!(head.header("content-md5"), Some(STANDARD.encode(whole).as_str()));
}
