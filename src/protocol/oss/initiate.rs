use http::Method;

use super::xml::Element;
use crate::model::{ObjectRef, StorageClass, UploadId};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// Longest upload id that is taken; the service's have 32 characters. It is part of every URL, and of the state.
const MAX_UPLOAD_ID: usize = 2048;

/// InitiateMultipartUpload: opens an upload of an object. What exists under the key stays untouched.
///
/// If the answer is lost, the upload that was opened stays behind: harmless, but its parts are billed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InitiateMultipartUpload {
    /// The object to be.
    pub object: ObjectRef,
    /// Whether an object of that name may be replaced. If not, the service refuses with `FileAlreadyExists`.
    pub overwrite: bool,
    /// The object's storage class.
    pub storage_class: StorageClass,
    /// The object's `Content-Type`; the service's default is `application/octet-stream`.
    pub content_type: Option<String>,
    /// User metadata, names without `x-oss-meta-`: letters, digits and `-`; 8 KB in all.
    pub metadata: Vec<(String, String)>,
}

impl InitiateMultipartUpload {
    /// Opens an upload that replaces nothing, of class Standard.
    pub fn new(object: ObjectRef) -> Self {
        Self {
            object,
            overwrite: false,
            storage_class: StorageClass::default(),
            content_type: None,
            metadata: Vec::new(),
        }
    }
}

impl Operation for InitiateMultipartUpload {
    type Output = UploadId;

    fn name(&self) -> &'static str {
        "InitiateMultipartUpload"
    }

    fn request(&self) -> Request {
        let mut request = OssRequest::object(Method::POST, &self.object)
            .flag("uploads")
            .param("encoding-type", "url")
            .header_if("content-type", self.content_type.as_ref())
            .forbid_overwrite(self.overwrite)
            .header("x-oss-storage-class", self.storage_class);
        for (name, value) in &self.metadata {
            request = request.header(&format!("x-oss-meta-{}", name.to_ascii_lowercase()), value);
        }
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<UploadId, DecodeError> {
        let result = Element::root(self.name(), answer, "InitiateMultipartUploadResult")?;
        let id = result.required(self.name(), "UploadId")?.trim();
        if id.len() > MAX_UPLOAD_ID {
            return Err(DecodeError::new(self.name(), format!("has an upload id of {} bytes", id.len())));
        }
        Ok(UploadId::new(id))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, object, oss, show};
    use super::*;

    #[test]
    fn the_attributes_travel_as_headers() {
        let mut operation = InitiateMultipartUpload::new(object("images/a b.raw"));
        assert_eq!(
            show(&operation),
            "POST images images/a b.raw ?uploads&encoding-type=url
x-oss-forbid-overwrite: true
x-oss-storage-class: Standard"
        );
        operation.overwrite = true;
        operation.storage_class = StorageClass::InfrequentAccess;
        operation.content_type = Some("application/octet-stream".to_owned());
        operation.metadata = vec![("Tool".to_owned(), "ossup".to_owned())];
        assert_eq!(
            oss(&operation).headers,
            [
                ("content-type", "application/octet-stream"),
                ("x-oss-storage-class", "IA"),
                ("x-oss-meta-tool", "ossup")
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_documented_answer_gives_the_upload_id() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
            <InitiateMultipartUploadResult xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">
            <Bucket>oss-example</Bucket><Key>multipart.data</Key>
            <UploadId>0004B9894A22E5B1888A1E29F8236E2D</UploadId></InitiateMultipartUploadResult>";
        let operation = InitiateMultipartUpload::new(object("multipart.data"));
        let id = operation.decode(&answer(200, &[], body)).unwrap();
        assert_eq!(id.as_str(), "0004B9894A22E5B1888A1E29F8236E2D");
    }

    #[test]
    fn an_upload_id_that_no_url_could_carry_is_refused() {
        let answered = |length: usize| {
            let id = "A".repeat(length);
            let body = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            InitiateMultipartUpload::new("oss://images/disk.raw".parse().unwrap()).decode(&answer(
                200,
                &[],
                &body,
            ))
        };
        assert!(answered(MAX_UPLOAD_ID).is_ok());
        assert!(answered(MAX_UPLOAD_ID + 1).unwrap_err().to_string().contains("2049 bytes"));
    }

    #[test]
    fn an_answer_without_an_upload_id_is_none() {
        let operation = InitiateMultipartUpload::new(object("k"));
        for body in [
            "",
            "<html></html>",
            "<InitiateMultipartUploadResult/>",
            "<InitiateMultipartUploadResult><UploadId> </UploadId></InitiateMultipartUploadResult>",
        ] {
            assert!(operation.decode(&answer(200, &[], body)).is_err(), "{body}");
        }
    }
}
