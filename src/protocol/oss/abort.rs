use http::{Method, StatusCode};

use crate::model::{ObjectRef, UploadId};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// AbortMultipartUpload: closes an upload and deletes its parts.
///
/// Parts that are on their way at that moment may survive: abort again until ListParts says `NoSuchUpload`.
#[derive(Debug, Clone)]
pub struct AbortMultipartUpload {
    /// The object that will not be.
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
}

impl Operation for AbortMultipartUpload {
    type Output = ();

    fn name(&self) -> &'static str {
        "AbortMultipartUpload"
    }

    fn request(&self) -> Request {
        Request::Oss(OssRequest::object(Method::DELETE, &self.object).param("uploadId", &self.upload_id))
    }

    fn decode(&self, answer: &Response) -> Result<(), DecodeError> {
        expect_no_content(self.name(), answer)
    }
}

/// Takes 204 as the only sign that something was deleted: a 200 comes from something else than OSS.
pub(super) fn expect_no_content(operation: &'static str, answer: &Response) -> Result<(), DecodeError> {
    match answer.status {
        StatusCode::NO_CONTENT => Ok(()),
        other => Err(DecodeError::new(operation, format!("has status {} instead of 204", other.as_u16()))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, object, show};
    use super::*;

    #[test]
    fn it_is_a_delete_that_answers_204() {
        let operation = AbortMultipartUpload { object: object("k"), upload_id: UploadId::new("ID") };
        assert_eq!(show(&operation), "DELETE images k ?uploadId=ID");
        assert_eq!(operation.decode(&answer(204, &[], "")), Ok(()));
        assert!(operation.decode(&answer(200, &[], "<html/>")).is_err());
    }
}
