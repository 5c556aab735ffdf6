use http::Method;
use jiff::Timestamp;

use super::crc64_header;
use crate::model::{Crc64, ETag, ObjectRef, ObjectVersion};
use crate::protocol::sign::parse_http_date;
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// HeadObject: what an object is, without its bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeadObject {
    /// The object.
    pub object: ObjectRef,
    /// One version of it; without one the current one.
    pub version_id: Option<String>,
}

impl HeadObject {
    /// Asks for the current version.
    pub fn new(object: ObjectRef) -> Self {
        Self { object, version_id: None }
    }
}

/// An object's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectHead {
    /// Its length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: Option<ETag>,
    /// Its CRC-64; objects that were copied may have none.
    pub crc64: Option<Crc64>,
    /// When it was stored, to the second.
    pub last_modified: Option<Timestamp>,
    /// `Normal`, `Multipart`, `Appendable` or `Symlink`.
    pub object_type: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// Its version, in a versioned bucket.
    pub version_id: Option<String>,
    /// How the service encrypts it, if it does: `AES256`, `KMS`, `SM4`.
    pub encryption: Option<String>,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
}

impl ObjectHead {
    /// Returns what distinguishes this state of the object from others.
    pub fn version(&self) -> ObjectVersion {
        let mut version = ObjectVersion::new(self.size);
        version.crc64 = self.crc64;
        version.etag.clone_from(&self.etag);
        version.last_modified = self.last_modified;
        version.version_id.clone_from(&self.version_id);
        version
    }
}

impl Operation for HeadObject {
    type Output = ObjectHead;

    fn name(&self) -> &'static str {
        "HeadObject"
    }

    fn request(&self) -> Request {
        let request = OssRequest::object(Method::HEAD, &self.object)
            .param_if("versionId", self.version_id.as_ref())
            // A compressed answer would have neither the length nor the tag.
            .header("accept-encoding", "identity");
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<ObjectHead, DecodeError> {
        let text = |name| answer.header(name).map(str::to_owned);
        let size = answer.header("content-length").and_then(|length| length.trim().parse().ok());
        Ok(ObjectHead {
            size: size.ok_or_else(|| DecodeError::new(self.name(), "lacks the `Content-Length` header"))?,
            etag: answer.header("etag").map(ETag::new),
            crc64: crc64_header(self.name(), answer)?,
            last_modified: answer.header("last-modified").and_then(parse_http_date),
            object_type: text("x-oss-object-type"),
            storage_class: text("x-oss-storage-class"),
            version_id: text("x-oss-version-id"),
            encryption: text("x-oss-server-side-encryption"),
            content_type: text("content-type"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, object, show};
    use super::*;

    #[test]
    fn the_headers_describe_the_object() {
        let mut operation = HeadObject::new(object("k"));
        assert_eq!(show(&operation), "HEAD images k\naccept-encoding: identity");
        operation.version_id = Some("v1".to_owned());
        assert_eq!(show(&operation), "HEAD images k ?versionId=v1\naccept-encoding: identity");
        let headers = [
            ("content-length", "344606"),
            ("etag", "\"fba9dede5f27731c9771645a39863328\""),
            ("last-modified", "Fri, 24 Feb 2012 06:07:48 GMT"),
            ("x-oss-object-type", "Multipart"),
            ("x-oss-storage-class", "Standard"),
            ("x-oss-hash-crc64ecma", "7"),
        ];
        let head = operation.decode(&answer(200, &headers, "")).unwrap();
        assert_eq!((head.size, head.crc64), (344_606, Some(Crc64(7))));
        assert_eq!(head.last_modified, Some("2012-02-24T06:07:48Z".parse().unwrap()));
        assert_eq!(head.object_type.as_deref(), Some("Multipart"));
        assert!(operation.decode(&answer(200, &headers[1..], "")).is_err());
    }
}
