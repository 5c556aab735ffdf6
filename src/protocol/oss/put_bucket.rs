use http::Method;

use crate::model::{BucketName, StorageClass};
use crate::protocol::{Content, DecodeError, Operation, OssRequest, Request, Response};

/// PutBucket: makes a private bucket in the region of the endpoint that is asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutBucket {
    /// The bucket to be.
    pub bucket: BucketName,
    /// The class of objects that name none.
    pub storage_class: StorageClass,
}

impl PutBucket {
    /// Makes a bucket of class Standard.
    pub fn new(bucket: BucketName) -> Self {
        Self { bucket, storage_class: StorageClass::default() }
    }
}

impl Operation for PutBucket {
    type Output = ();

    fn name(&self) -> &'static str {
        "PutBucket"
    }

    fn request(&self) -> Request {
        let mut request = OssRequest::bucket(Method::PUT, &self.bucket)
            .header("content-type", "application/xml")
            .header("x-oss-acl", "private");
        let class = self.storage_class;
        let body = format!(
            "<CreateBucketConfiguration><StorageClass>{class}</StorageClass></CreateBucketConfiguration>"
        );
        request.content = Content::Bytes(body.into());
        Request::Oss(request)
    }

    /// Anything with a good status will do: the answer is empty.
    fn decode(&self, _answer: &Response) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    #[test]
    fn the_bucket_is_private() {
        let operation = PutBucket::new("images".parse().unwrap());
        assert_eq!(
            show(&operation),
            "PUT images -\ncontent-type: application/xml\nx-oss-acl: private\n\
             <CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>"
        );
        assert_eq!(operation.decode(&answer(200, &[], "")), Ok(()));
    }
}
