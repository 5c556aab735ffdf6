use http::Method;

use super::xml::Element;
use super::{UploadedPart, content_range, crc64_header};
use crate::model::{ByteRange, ETag, ObjectRef, PartNumber, UploadId};
use crate::protocol::sign::encode;
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response, TimeoutClass};

/// UploadPartCopy: makes a part from bytes of an object in the same region, without sending them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UploadPartCopy {
    /// The object to be.
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
    /// The part's number.
    pub number: PartNumber,
    /// The object to copy from.
    pub source: ObjectRef,
    /// Which of its bytes, at least one; all without a range.
    pub range: Option<ByteRange>,
    /// The tag that the source must still have; else the service answers `PreconditionFailed`.
    pub source_etag: Option<ETag>,
}

impl UploadPartCopy {
    /// Copies all of `source`.
    pub fn new(object: ObjectRef, upload_id: UploadId, number: PartNumber, source: ObjectRef) -> Self {
        Self { object, upload_id, number, source, range: None, source_etag: None }
    }
}

impl Operation for UploadPartCopy {
    type Output = UploadedPart;

    fn name(&self) -> &'static str {
        "UploadPartCopy"
    }

    fn request(&self) -> Request {
        let source = format!("/{}/{}", self.source.bucket, encode::path(self.source.key.as_str()));
        let range = self.range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let request = OssRequest::object(Method::PUT, &self.object)
            .param("partNumber", self.number)
            .param("uploadId", &self.upload_id)
            .header("x-oss-copy-source", source)
            .header_if("x-oss-copy-source-range", range)
            .header_if("x-oss-copy-source-if-match", self.source_etag.as_ref().map(ETag::as_str));
        Request::Oss(request)
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<UploadedPart, DecodeError> {
        let name = self.name();
        let result = Element::root(name, answer, "CopyPartResult")?;
        // The service does not refuse a range outside the source: it copies all and leaves this header out.
        if let Some(range) = self.range {
            let copied = content_range(answer).map(|(first, last, _)| (first, last));
            if copied != Some((range.start, range.end.saturating_sub(1))) {
                let reason = "does not confirm the range: other bytes than these were copied";
                return Err(DecodeError::new(name, reason));
            }
        }
        Ok(UploadedPart {
            etag: ETag::new(result.required(name, "ETag")?.trim()),
            crc64: crc64_header(name, answer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, number, object, show};
    use super::*;

    const BODY: &str = "<CopyPartResult><LastModified>2015-12-12T00:36:26.000Z</LastModified>\
        <ETag>&quot;4DE8075FB607DF4D13FBC480EA488EFA&quot;</ETag></CopyPartResult>";

    fn operation() -> UploadPartCopy {
        let source = object("base images/a+b.raw");
        let mut copy = UploadPartCopy::new(object("k"), UploadId::new("ID"), number(2), source);
        copy.range = Some(ByteRange::new(0, 102_400));
        copy
    }

    #[test]
    fn the_source_is_encoded_and_the_range_inclusive() {
        let mut operation = operation();
        operation.source_etag = Some(ETag::new("\"AB\""));
        assert_eq!(
            show(&operation),
            "PUT images k ?partNumber=2&uploadId=ID
x-oss-copy-source: /images/base%20images/a%2Bb.raw
x-oss-copy-source-range: bytes=0-102399
x-oss-copy-source-if-match: \"AB\""
        );
    }

    #[test]
    fn the_recorded_answer_gives_the_tag() {
        let answer = answer(200, &[("content-range", "bytes 0-102399/204800")], BODY);
        let part = operation().decode(&answer).unwrap();
        assert_eq!(part.etag.as_str(), "\"4DE8075FB607DF4D13FBC480EA488EFA\"");
        assert_eq!(part.crc64, None);
    }

    #[test]
    fn a_copy_of_other_bytes_is_noticed() {
        for headers in [&[][..], &[("content-range", "bytes 0-204799/204800")], &[("content-range", "junk")]]
        {
            assert!(operation().decode(&answer(200, headers, BODY)).is_err(), "{headers:?}");
        }
        let whole = UploadPartCopy { range: None, ..operation() };
        assert!(whole.decode(&answer(200, &[], BODY)).is_ok());
    }
}
