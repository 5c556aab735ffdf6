use http::Method;

use super::xml::Element;
use crate::model::{BucketName, Region};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// GetBucketLocation: the region of a bucket.
#[derive(Debug, Clone)]
pub struct GetBucketLocation {
    /// The bucket.
    pub bucket: BucketName,
}

impl Operation for GetBucketLocation {
    type Output = Region;

    fn name(&self) -> &'static str {
        "GetBucketLocation"
    }

    fn request(&self) -> Request {
        Request::Oss(OssRequest::bucket(Method::GET, &self.bucket).flag("location"))
    }

    fn decode(&self, answer: &Response) -> Result<Region, DecodeError> {
        let location = Element::root(self.name(), answer, "LocationConstraint")?;
        let region = location.own_text().trim().parse();
        region.map_err(|_| DecodeError::new(self.name(), "names no region"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    #[test]
    fn the_documented_answer_names_the_region() {
        let operation = GetBucketLocation { bucket: "images".parse().unwrap() };
        assert_eq!(show(&operation), "GET images - ?location");
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <LocationConstraint xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">oss-cn-hangzhou</LocationConstraint>";
        let region = operation.decode(&answer(200, &[], body)).unwrap();
        assert_eq!(region.as_str(), "cn-hangzhou");
        for body in ["<LocationConstraint/>", "<LocationConstraint>Mars 1</LocationConstraint>", "<Other/>"] {
            assert!(operation.decode(&answer(200, &[], body)).is_err(), "{body}");
        }
    }
}
