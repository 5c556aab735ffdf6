use http::Method;

use super::{crc64_header, etag_header};
use crate::model::{Crc64, ETag, ObjectRef, PartNumber, UploadId};
use crate::protocol::{Content, DecodeError, Operation, OssRequest, Request, Response, TimeoutClass};

/// UploadPart: sends one part, whose bytes the caller streams. The same number again replaces the part.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UploadPart {
    /// The object to be.
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
    /// The part's number.
    pub number: PartNumber,
    /// How many bytes follow.
    pub length: u64,
    /// The base64 of the body's MD5, if the service is to compare it.
    pub content_md5: Option<String>,
}

impl UploadPart {
    /// Sends `length` bytes as a part.
    pub fn new(object: ObjectRef, upload_id: UploadId, number: PartNumber, length: u64) -> Self {
        Self { object, upload_id, number, length, content_md5: None }
    }
}

/// What the service says about a part that it has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedPart {
    /// The part's tag, to be repeated at Complete.
    pub etag: ETag,
    /// The CRC-64 of the stored bytes, if the service gives it.
    pub crc64: Option<Crc64>,
}

impl Operation for UploadPart {
    type Output = UploadedPart;

    fn name(&self) -> &'static str {
        "UploadPart"
    }

    fn request(&self) -> Request {
        let mut request = OssRequest::object(Method::PUT, &self.object)
            .param("partNumber", self.number)
            .param("uploadId", &self.upload_id)
            .header_if("content-md5", self.content_md5.as_ref());
        request.content = Content::Stream(self.length);
        Request::Oss(request)
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Upload
    }

    fn decode(&self, answer: &Response) -> Result<UploadedPart, DecodeError> {
        let name = self.name();
        Ok(UploadedPart { etag: etag_header(name, answer)?, crc64: crc64_header(name, answer)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, number, object, show};
    use super::*;

    fn operation() -> UploadPart {
        UploadPart::new(object("k"), UploadId::new("ID"), number(7), 102_400)
    }

    #[test]
    fn number_and_upload_id_are_in_the_query() {
        let mut operation = operation();
        operation.content_md5 = Some("1B2M2Y8AsgTpgAmY7PhCfg==".to_owned());
        assert_eq!(
            show(&operation),
            "PUT images k ?partNumber=7&uploadId=ID\ncontent-md5: 1B2M2Y8AsgTpgAmY7PhCfg==\n102400 streamed bytes"
        );
    }

    #[test]
    fn the_answer_tells_the_tag_and_maybe_the_crc() {
        let tag = ("etag", "\"7265F4D211B56873A381D321F586E4A9\"");
        let full = answer(200, &[tag, ("x-oss-hash-crc64ecma", "11051210869376104954")], "");
        let part = operation().decode(&full).unwrap();
        assert_eq!(part.etag.as_str(), tag.1);
        assert_eq!(part.crc64, Some(Crc64(11_051_210_869_376_104_954)));
        assert_eq!(operation().decode(&answer(200, &[tag], "")).unwrap().crc64, None);
    }

    #[test]
    fn an_answer_without_a_tag_is_not_believed() {
        for headers in [&[][..], &[("etag", "\"\"")], &[("etag", "\"A\""), ("x-oss-hash-crc64ecma", "0x12")]]
        {
            assert!(operation().decode(&answer(200, headers, "")).is_err(), "{headers:?}");
        }
    }
}
