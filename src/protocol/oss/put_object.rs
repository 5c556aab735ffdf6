use bytes::Bytes;
use http::Method;

use super::{UploadedPart, crc64_header, etag_header};
use crate::model::{ObjectRef, StorageClass};
use crate::protocol::{Content, DecodeError, Operation, OssRequest, Request, Response, TimeoutClass};

/// PutObject: stores a small object in one request. Images go by multipart, whatever their size.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutObject {
    /// The object to be.
    pub object: ObjectRef,
    /// Its bytes.
    pub content: Bytes,
    /// Whether an object of that name may be replaced.
    pub overwrite: bool,
    /// The object's storage class.
    pub storage_class: StorageClass,
    /// The object's `Content-Type`; the service's default is `application/octet-stream`.
    pub content_type: Option<String>,
}

impl PutObject {
    /// Stores `content` in class Standard and replaces nothing.
    pub fn new(object: ObjectRef, content: impl Into<Bytes>) -> Self {
        Self {
            object,
            content: content.into(),
            overwrite: false,
            storage_class: StorageClass::default(),
            content_type: None,
        }
    }
}

impl Operation for PutObject {
    /// Tag and CRC-64 of the object.
    type Output = UploadedPart;

    fn name(&self) -> &'static str {
        "PutObject"
    }

    fn request(&self) -> Request {
        let mut request = OssRequest::object(Method::PUT, &self.object)
            .header_if("content-type", self.content_type.as_ref())
            .forbid_overwrite(self.overwrite)
            .header("x-oss-storage-class", self.storage_class);
        request.content = Content::Bytes(self.content.clone());
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
    use super::super::testing::{answer, object, show};
    use super::*;

    #[test]
    fn the_bytes_are_the_body() {
        let operation = PutObject::new(object("k"), "hello");
        assert_eq!(
            show(&operation),
            "PUT images k\nx-oss-forbid-overwrite: true\nx-oss-storage-class: Standard\nhello"
        );
        let put = operation.decode(&answer(200, &[("etag", "\"A\"")], "")).unwrap();
        assert_eq!(put.etag.as_str(), "\"A\"");
        assert!(operation.decode(&answer(200, &[], "")).is_err());
    }
}
