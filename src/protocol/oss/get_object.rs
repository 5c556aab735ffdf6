use http::{Method, StatusCode};

use super::{content_range, crc64_header};
use crate::model::{ByteRange, Crc64, ETag, ObjectRef};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// GetObject: bytes of an object. The body is streamed past this type: [`decode`](Operation::decode) looks at
/// the head of the answer alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetObject {
    /// The object.
    pub object: ObjectRef,
    /// Which bytes, at least one; all without a range.
    pub range: Option<ByteRange>,
    /// The tag that the object must still have; else the service answers `PreconditionFailed`.
    pub etag: Option<ETag>,
}

impl GetObject {
    /// Asks for all bytes.
    pub fn new(object: ObjectRef) -> Self {
        Self { object, range: None, etag: None }
    }
}

/// What the head of an answer with an object's bytes says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetObjectHead {
    /// The bytes that follow.
    pub range: ByteRange,
    /// The length of the whole object.
    pub object_size: u64,
    /// The object's tag.
    pub etag: Option<ETag>,
    /// The CRC-64 of the whole object, also when a range of it follows.
    pub object_crc64: Option<Crc64>,
}

impl Operation for GetObject {
    type Output = GetObjectHead;

    fn name(&self) -> &'static str {
        "GetObject"
    }

    fn request(&self) -> Request {
        let range = self.range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        // Without `standard` a range outside the object gives the whole object.
        let behavior = self.range.map(|_| "standard");
        let request = OssRequest::object(Method::GET, &self.object)
            .header("accept-encoding", "identity")
            .header_if("if-match", self.etag.as_ref().map(ETag::as_str))
            .header_if("range", range)
            .header_if("x-oss-range-behavior", behavior);
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<GetObjectHead, DecodeError> {
        let name = self.name();
        let (range, object_size) = match self.range {
            Some(wanted) => {
                let got = content_range(answer).filter(|_| answer.status == StatusCode::PARTIAL_CONTENT);
                let got = got.filter(|(first, last, total)| {
                    *first == wanted.start && first <= last && *last < wanted.end && last < total
                });
                let (first, last, total) = got.ok_or_else(|| {
                    DecodeError::new(name, "brings other bytes than the range that was asked for")
                })?;
                (ByteRange::new(first, last + 1), total)
            }
            None => {
                let size = answer.header("content-length").and_then(|length| length.trim().parse().ok());
                let size = size.ok_or_else(|| DecodeError::new(name, "lacks the `Content-Length` header"))?;
                (ByteRange::new(0, size), size)
            }
        };
        Ok(GetObjectHead {
            range,
            object_size,
            etag: answer.header("etag").map(ETag::new),
            object_crc64: crc64_header(name, answer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, object, show};
    use super::*;

    fn ranged() -> GetObject {
        GetObject {
            range: Some(ByteRange::new(100, 200)),
            etag: Some(ETag::new("\"A\"")),
            ..GetObject::new(object("k"))
        }
    }

    #[test]
    fn a_range_is_asked_for_in_the_standard_way() {
        assert_eq!(show(&GetObject::new(object("k"))), "GET images k\naccept-encoding: identity");
        assert_eq!(
            show(&ranged()),
            "GET images k\naccept-encoding: identity\nif-match: \"A\"\nrange: bytes=100-199\nx-oss-range-behavior: standard"
        );
    }

    #[test]
    fn the_head_tells_which_bytes_follow() {
        let whole = answer(200, &[("content-length", "500"), ("x-oss-hash-crc64ecma", "9")], "");
        let head = GetObject::new(object("k")).decode(&whole).unwrap();
        assert_eq!((head.range, head.object_size), (ByteRange::new(0, 500), 500));
        assert_eq!(head.object_crc64, Some(Crc64(9)));
        for (content_range, end) in [("bytes 100-199/500", 200), ("bytes 100-149/150", 150)] {
            let head = ranged().decode(&answer(206, &[("content-range", content_range)], "")).unwrap();
            assert_eq!(head.range, ByteRange::new(100, end));
        }
    }

    #[test]
    fn other_bytes_than_those_asked_for_are_noticed() {
        for (status, content_range) in [
            (200, "bytes 100-199/500"),
            (206, "bytes 0-499/500"),
            (206, "bytes 100-200/500"),
            (206, "bytes 150-120/500"),
            (206, "bytes 100-199/150"),
            (206, "bytes */500"),
            (206, "bytes 100-18446744073709551615/18446744073709551615"),
        ] {
            assert!(
                ranged().decode(&answer(status, &[("content-range", content_range)], "")).is_err(),
                "{content_range}"
            );
        }
        assert!(ranged().decode(&answer(200, &[("content-length", "500")], "")).is_err());
    }
}
