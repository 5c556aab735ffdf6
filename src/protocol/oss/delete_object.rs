use http::Method;

use super::abort::expect_no_content;
use crate::model::ObjectRef;
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// DeleteObject: deletes an object; it is not an error if there is none.
#[derive(Debug, Clone)]
pub struct DeleteObject {
    /// The object.
    pub object: ObjectRef,
}

impl Operation for DeleteObject {
    type Output = ();

    fn name(&self) -> &'static str {
        "DeleteObject"
    }

    fn request(&self) -> Request {
        Request::Oss(OssRequest::object(Method::DELETE, &self.object))
    }

    fn decode(&self, answer: &Response) -> Result<(), DecodeError> {
        expect_no_content(self.name(), answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, object, show};
    use super::*;

    #[test]
    fn it_is_a_delete_that_answers_204() {
        let operation = DeleteObject { object: object("k") };
        assert_eq!(show(&operation), "DELETE images k");
        assert_eq!(operation.decode(&answer(204, &[], "")), Ok(()));
        assert!(operation.decode(&answer(200, &[], "")).is_err());
    }
}
