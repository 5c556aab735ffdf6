//! Bytes from the other side, however wrong, give an error and never a panic.

use proptest::prelude::*;

use super::testing::{answer, number, object};
use super::*;
use crate::model::{ByteRange, UploadId};
use crate::protocol::{Operation, Response};

fn decode_as(operation: &impl Operation, answer: &Response) {
    if let Err(error) = operation.decode(answer) {
        assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
    }
}

fn decode_as_everything(answer: &Response) {
    let (object, id) = (object("k"), UploadId::new("ID"));
    let bucket = object.bucket.clone();
    let range = Some(ByteRange::new(1, 10));
    decode_as(&InitiateMultipartUpload::new(object.clone()), answer);
    decode_as(&UploadPart::new(object.clone(), id.clone(), number(1), 1), answer);
    let copy = UploadPartCopy::new(object.clone(), id.clone(), number(1), object.clone());
    decode_as(&UploadPartCopy { range, ..copy }, answer);
    decode_as(&CompleteMultipartUpload::new(object.clone(), id.clone(), Vec::new()), answer);
    decode_as(&AbortMultipartUpload { object: object.clone(), upload_id: id.clone() }, answer);
    decode_as(&ListParts::new(object.clone(), id), answer);
    decode_as(&ListMultipartUploads::new(bucket.clone()), answer);
    decode_as(&ListObjects::new(bucket.clone()), answer);
    decode_as(&HeadObject::new(object.clone()), answer);
    decode_as(&PutObject::new(object.clone(), ""), answer);
    decode_as(&GetObject { range, ..GetObject::new(object.clone()) }, answer);
    decode_as(&GetObject::new(object), answer);
    decode_as(&GetBucketInfo { bucket: bucket.clone() }, answer);
    decode_as(&GetBucketLocation { bucket }, answer);
    let error = parse_error(answer);
    let _ = (action(&error, true), action(&error, false));
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
}

/// Documents that are almost right: elements that the readers know, with any text, in any order.
fn near_documents() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "Part",
        "PartNumber",
        "ETag",
        "Size",
        "Upload",
        "Key",
        "UploadId",
        "IsTruncated",
        "EncodingType",
        "NextPartNumberMarker",
        "NextKeyMarker",
        "Contents",
        "Code",
        "Message",
        "ServerTime",
        "Endpoint",
        "AccessDeniedDetail",
        "AuthAction",
        "Bucket",
        "Name",
        "Location",
        "HashCrc64ecma",
    ]);
    let text = prop_oneof![
        Just("true".to_owned()),
        Just("url".to_owned()),
        Just("%4".to_owned()),
        "[0-9]{1,21}",
        "[ -~]{0,12}",
        any::<String>(),
    ];
    let leaf = (names.clone(), text).prop_map(|(name, text)| format!("<{name}>{text}</{name}>"));
    let node = leaf.prop_recursive(3, 24, 6, move |inner| {
        (names.clone(), prop::collection::vec(inner, 0..6))
            .prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
    });
    let roots = prop::sample::select(vec![
        "Error",
        "ListPartsResult",
        "ListMultipartUploadsResult",
        "ListBucketResult",
        "BucketInfo",
        "CompleteMultipartUploadResult",
        "InitiateMultipartUploadResult",
        "CopyPartResult",
    ]);
    (roots, prop::collection::vec(node, 0..6))
        .prop_map(|(root, nodes)| format!("<{root}>{}</{root}>", nodes.concat()))
}

#[test]
fn a_malformed_name_is_not_repeated_raw() {
    decode_as_everything(&answer(200, &[], "<a\u{1b}[31m></b\u{1b}[0m>"));
    decode_as_everything(&answer(200, &[], "<a\u{1b}[31m></a\u{1b}[31m>"));
    decode_as_everything(&answer(200, &[], "<r>&\u{1b};</r>"));
}

proptest! {
    #[test]
    fn random_bytes(body: Vec<u8>, status in 200u16..600, err in "[ -~]{0,40}", length in "[0-9bytes /-]{0,24}") {
        let headers = [
            ("x-oss-err", err.as_str()),
            ("content-range", &length),
            ("content-length", &length),
            ("etag", &err),
            ("retry-after", &length),
            ("x-oss-hash-crc64ecma", &length),
        ];
        let mut answer = answer(status, &headers, "");
        answer.body = body.into();
        decode_as_everything(&answer);
    }

    #[test]
    fn near_xml(body in near_documents(), cut: prop::sample::Index, status in 200u16..600) {
        decode_as_everything(&answer(status, &[], &body));
        let mut cut_short = answer(status, &[], "");
        cut_short.body = body.as_bytes()[..cut.index(body.len() + 1)].to_vec().into();
        decode_as_everything(&cut_short);
    }
}
