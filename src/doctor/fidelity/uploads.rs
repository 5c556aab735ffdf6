//! Points of uploads in parts.

use std::sync::Arc;

use http::Method;
use md5::{Digest, Md5};

use super::super::ask::Ask;
use super::lab::{Lab, etag};
use super::{Found, Point};
use crate::client::Client;
use crate::credentials::{Credentials, StaticCredentials};
use crate::model::BucketName;
use crate::protocol::oss::code;

/// The least bytes of a part that is not the last.
const PART: usize = 102_400;
/// An upload id that the service never gives.
const NO_UPLOAD: &str = "00000000000000000000000000000000";
/// The ECs of NoSuchUpload that the tests of the vendor's Go client have.
const NO_UPLOAD_ECS: [&str; 3] = ["0042-00000104", "0042-00000311", "0042-00000002"];

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "complete-empty-list",
        question: "A Complete that lists no parts, of an upload without any.",
        settle: |lab| Box::pin(empty_list(lab)),
    },
    Point {
        id: "complete-empty-part",
        question: "A Complete that lists one part of 0 bytes.",
        settle: |lab| Box::pin(empty_part(lab)),
    },
    Point {
        id: "complete-repeated-number",
        question: "A Complete that lists the same part twice.",
        settle: |lab| Box::pin(repeated_number(lab)),
    },
    Point {
        id: "complete-etag-spelling",
        question: "A Complete that lists a part's ETag in lower case and without quotes.",
        settle: |lab| Box::pin(etag_spelling(lab)),
    },
    Point {
        id: "complete-again",
        question: "A Complete that is repeated after it succeeded.",
        settle: |lab| Box::pin(complete_again(lab)),
    },
    Point {
        id: "no-such-upload-ec",
        question: "The EC of NoSuchUpload of UploadPart, UploadPartCopy and ListParts.",
        settle: |lab| Box::pin(no_such_upload(lab)),
    },
    Point {
        id: "bucket-before-key",
        question: "A GET of a bucket that does not exist, with an access key that does not exist either.",
        settle: |lab| Box::pin(bucket_before_key(lab)),
    },
    Point {
        id: "write-conditions",
        question: "A PutObject with If-None-Match: * to a key that has an object.",
        settle: |lab| Box::pin(write_conditions(lab)),
    },
    Point {
        id: "complete-forbid-overwrite",
        question: "A Complete with x-oss-forbid-overwrite, of a key that has an object: is the upload still open?",
        settle: |lab| Box::pin(forbid_overwrite(lab)),
    },
    Point {
        id: "initiate-forbid-overwrite",
        question: "An Initiate with x-oss-forbid-overwrite, of a key that has an object.",
        settle: |lab| Box::pin(initiate_forbid(lab)),
    },
    Point {
        id: "sequential-md5",
        question: "Whether an object that was uploaded in sequence (?sequential) has a Content-MD5.",
        settle: |lab| Box::pin(sequential(lab)),
    },
    Point {
        id: "traffic-limit",
        question: "An UploadPart with x-oss-traffic-limit: 645763, which is below the documented bound.",
        settle: |lab| Box::pin(traffic_limit(lab)),
    },
    Point {
        id: "encrypted-etag-aes256",
        question: "A part of an upload with x-oss-server-side-encryption: AES256: is its ETag the MD5 of its bytes, and is its CRC-64 listed?",
        settle: |lab| Box::pin(encrypted(lab, "AES256")),
    },
    Point {
        id: "encrypted-etag-kms",
        question: "The same with KMS.",
        settle: |lab| Box::pin(encrypted(lab, "KMS")),
    },
    Point {
        id: "encrypted-etag-sm4",
        question: "The same with SM4.",
        settle: |lab| Box::pin(encrypted(lab, "SM4")),
    },
];

const NOT_OPENED: &str = "no upload could be opened: is PutObject allowed, and the encryption to be had?";

async fn empty_list(lab: &Lab) -> Found {
    let upload = match lab.open("empty", &[]).await {
        Ok(upload) => upload,
        Err(seen) => return Found::open(seen.shown(), NOT_OPENED),
    };
    let seen = lab.complete("empty", &upload, &[], &[]).await;
    Found::either(
        seen.shown(),
        seen.is_ok(),
        "an object of 0 bytes is made, so `ossup` must never send an empty list; it does not",
        "an empty list is refused; the emulator's other state is `--oss refuse_empty_list`",
    )
}

async fn empty_part(lab: &Lab) -> Found {
    let upload = match lab.open("empty-part", &[]).await {
        Ok(upload) => upload,
        Err(seen) => return Found::open(seen.shown(), NOT_OPENED),
    };
    let part = lab.part("empty-part", &upload, "1", "").await;
    let seen = lab.complete("empty-part", &upload, &[("1", &etag(&part))], &[]).await;
    Found::either(
        format!("{}, then {}", part.shown(), seen.shown()),
        part.is_ok() && seen.is_ok(),
        "an object of 0 bytes can be made in parts; `ossup` refuses an empty source all the same",
        "an empty part is refused; `ossup` sends none. The emulator's other state is `--oss refuse_empty_part`",
    )
}

/// Opens an upload with one part and returns its id and the part's tag.
async fn one_part(lab: &Lab, key: &str) -> Result<(String, String), Found> {
    let upload = lab.open(key, &[]).await.map_err(|seen| Found::open(seen.shown(), NOT_OPENED))?;
    let part = lab.part(key, &upload, "1", vec![b'a'; PART]).await;
    if part.is_ok() {
        Ok((upload, etag(&part)))
    } else {
        Err(Found::open(part.shown(), "no part could be sent"))
    }
}

async fn repeated_number(lab: &Lab) -> Found {
    let (upload, tag) = match one_part(lab, "twice").await {
        Ok(made) => made,
        Err(found) => return found,
    };
    let seen = lab.complete("twice", &upload, &[("1", &tag), ("1", &tag)], &[]).await;
    Found::either(
        seen.shown(),
        seen.code == "InvalidPartOrder",
        "a list must ascend strictly, as that of `ossup` does",
        "`ossup` lists each part once, so nothing depends on it; the emulator's other state is `--oss merge_repeated_parts`",
    )
}

async fn etag_spelling(lab: &Lab) -> Found {
    let (upload, tag) = match one_part(lab, "spelling").await {
        Ok(made) => made,
        Err(found) => return found,
    };
    let spelt = tag.trim_matches('"').to_lowercase();
    let seen = lab.complete("spelling", &upload, &[("1", &spelt)], &[]).await;
    if !seen.is_about_it() {
        return Found::open(seen.shown(), "no answer about the tag");
    }
    Found::either(
        seen.shown(),
        seen.is_ok(),
        "tags are compared without quotes and case",
        "tags must be spelt as they came, as `ossup` sends them; the emulator's other state is `--oss exact_etags`",
    )
}

async fn complete_again(lab: &Lab) -> Found {
    let (upload, tag) = match one_part(lab, "again").await {
        Ok(made) => made,
        Err(found) => return found,
    };
    let first = lab.complete("again", &upload, &[("1", &tag)], &[]).await;
    let seen = lab.complete("again", &upload, &[("1", &tag)], &[]).await;
    Found::either(
        format!("{}, then {}", first.shown(), seen.shown()),
        first.is_ok() && seen.code == code::NO_SUCH_UPLOAD,
        "a Complete whose answer was lost has to be settled by looking at the object, as `ossup` does",
        "a repeated Complete answers something else: how `ossup` settles a lost answer still holds, as it looks at the \
         object; the emulator's other state is `--oss repeat_complete`",
    )
}

async fn no_such_upload(lab: &Lab) -> Found {
    lab.put("source", vec![b'a'; PART]).await;
    let seen = [
        lab.part("nothing", NO_UPLOAD, "1", "x").await,
        lab.copy("nothing", NO_UPLOAD, "source", &[]).await,
        lab.parts("nothing", NO_UPLOAD).await,
    ];
    let shown: Vec<String> = seen.iter().map(super::lab::Seen::shown).collect();
    let all = shown.iter().zip(NO_UPLOAD_ECS).all(|(shown, ec)| shown.ends_with(ec));
    Found::either(
        shown.join("; "),
        all,
        "as the tests of the vendor's Go client have it",
        "the ECs are others; `ossup` decides by the code alone. The emulator's other state is `--oss one_upload_ec`",
    )
}

async fn bucket_before_key(lab: &Lab) -> Found {
    let mut options = lab.client.options().clone();
    let nobody = Credentials::new("LTAIossupnobody00000000", "nobody");
    options.credentials = Arc::new(StaticCredentials::new(nobody));
    let client = Client::new(options);
    let none = format!("ossup-none-{}", uuid::Uuid::new_v4().simple());
    let none: BucketName = none[..40].trim_end_matches('-').parse().expect("it is a bucket's name");
    let key = lab.key("x");
    let seen = lab.send_by(&client, Ask::oss("GetObject", Method::GET, (&none, Some(&key)), &[])).await;
    if seen.status == 0 {
        return Found::open(seen.shown(), "a bucket that does not exist cannot be reached at all");
    }
    Found::either(
        seen.shown(),
        seen.code == code::NO_SUCH_BUCKET,
        "a wrong key shows as a missing bucket, as the hint of `ossup` says",
        "the key is looked at first: the hint at NoSuchBucket may go; the emulator's other state is `--oss key_before_bucket`",
    )
}

async fn write_conditions(lab: &Lab) -> Found {
    lab.put("there", "1").await;
    let ask =
        lab.about("PutObject", Method::PUT, "there", &[]).with_header("if-none-match", "*").with_body("22");
    let seen = lab.send(ask).await;
    let length = lab.head("there").await.header("content-length").unwrap_or("unknown").to_owned();
    if !seen.is_about_it() {
        return Found::open(seen.shown(), "no answer about the condition");
    }
    Found::either(
        format!("{}; the object then has {length} bytes", seen.shown()),
        !seen.is_ok(),
        "the condition is refused or honoured: nothing is overwritten",
        "the condition is ignored and the object overwritten: only x-oss-forbid-overwrite protects, which `ossup` uses; \
         the emulator's other state is `--oss ignore_write_conditions`",
    )
}

async fn forbid_overwrite(lab: &Lab) -> Found {
    lab.put("kept", "1").await;
    let (upload, tag) = match one_part(lab, "kept").await {
        Ok(made) => made,
        Err(found) => return found,
    };
    let forbid = [("x-oss-forbid-overwrite", "true")];
    let seen = lab.complete("kept", &upload, &[("1", &tag)], &forbid).await;
    let open = lab.parts("kept", &upload).await;
    Found::either(
        format!("{}; ListParts then {}", seen.shown(), open.shown()),
        seen.code == code::FILE_ALREADY_EXISTS && open.is_ok(),
        "the upload stays open and keeps its parts, so that it can be completed elsewhere or aborted",
        "the parts may be lost with the refusal: `ossup` looks for the object before it sends them; the emulator's other \
         state is `--oss forbidden_complete_aborts`",
    )
}

async fn initiate_forbid(lab: &Lab) -> Found {
    lab.put("forbidden", "1").await;
    match lab.open("forbidden", &[("x-oss-forbid-overwrite", "true")]).await {
        Err(seen) if !seen.is_about_it() => Found::open(seen.shown(), NOT_OPENED),
        opened => Found::either(
            opened.as_ref().map_or_else(super::lab::Seen::shown, |_| "200".to_owned()),
            opened.is_err_and(|seen| seen.code == code::FILE_ALREADY_EXISTS),
            "an object that exists is told of before a byte is sent",
            "an object that exists is told of only by Complete, after all parts: `ossup` looks for it first; the emulator's \
             other state is `--oss forbid_at_complete_only`",
        ),
    }
}

async fn sequential(lab: &Lab) -> Found {
    let query = [("uploads", None), ("sequential", None)];
    let opened = lab.send(lab.about("InitiateMultipartUpload", Method::POST, "sequential", &query)).await;
    let Some(upload) = opened.elements("UploadId").pop() else {
        return Found::open(opened.shown(), NOT_OPENED);
    };
    let part = lab.part("sequential", &upload, "1", vec![b'a'; PART]).await;
    let completed = lab.complete("sequential", &upload, &[("1", &etag(&part))], &[]).await;
    let object = lab.head("sequential").await;
    if !completed.is_ok() || !object.is_ok() {
        return Found::open(format!("{}, {}", completed.shown(), object.shown()), "no object was made");
    }
    let has = object.header("content-md5").is_some();
    Found::either(
        format!("HEAD has {} Content-MD5", word(has, "a", "no")),
        !has,
        "it has none, as other objects of parts; `ossup` does not upload in sequence",
        "it has one, as the vendor's tests say; `ossup` does not upload in sequence and asks for none. The emulator's \
         other state is `--oss sequential_md5`",
    )
}

async fn traffic_limit(lab: &Lab) -> Found {
    let upload = match lab.open("limit", &[]).await {
        Ok(upload) => upload,
        Err(seen) => return Found::open(seen.shown(), NOT_OPENED),
    };
    let query = [("partNumber", Some("1")), ("uploadId", Some(upload.as_str()))];
    let ask = lab.about("UploadPart", Method::PUT, "limit", &query);
    let seen = lab.send(ask.with_header("x-oss-traffic-limit", "645763").with_body("x")).await;
    Found::either(
        seen.shown(),
        seen.status == 400,
        "the documented bounds are enforced",
        "the bound is not enforced; `ossup` limits its own rate and sends no such header. The emulator's other state is \
         `--oss ignore_traffic_limits`",
    )
}

async fn encrypted(lab: &Lab, algorithm: &str) -> Found {
    let key = format!("encrypted-{algorithm}");
    let upload = match lab.open(&key, &[("x-oss-server-side-encryption", algorithm)]).await {
        Ok(upload) => upload,
        Err(seen) => return Found::open(seen.shown(), NOT_OPENED),
    };
    let bytes = vec![b'a'; PART];
    let part = lab.part(&key, &upload, "1", bytes.clone()).await;
    let md5: String = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
    let is_md5 = etag(&part).trim_matches('"') == md5;
    let crc = !lab.parts(&key, &upload).await.elements("HashCrc64ecma").is_empty();
    if !part.is_ok() {
        return Found::open(part.shown(), "no encrypted part could be sent");
    }
    Found::either(
        format!(
            "the ETag {} the MD5; ListParts has {} CRC-64",
            word(is_md5, "is", "is not"),
            word(crc, "a", "no")
        ),
        is_md5 && crc,
        "parts of an encrypted upload can be proved by CRC-64 and by tag",
        "the tag of an encrypted part proves nothing: only CRC-64 may be leant on; the emulator's other states are \
         `--oss opaque_encrypted_etags` and `--oss opaque_aes256_etags`",
    )
}

fn word<'a>(yes: bool, then: &'a str, otherwise: &'a str) -> &'a str {
    if yes { then } else { otherwise }
}
