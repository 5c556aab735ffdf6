use http::Method;

use super::xml::Element;
use crate::model::BucketName;
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// GetBucketWorm: a bucket's retention policy; without one the service answers
/// [`NO_SUCH_WORM_CONFIGURATION`](super::code::NO_SUCH_WORM_CONFIGURATION).
#[derive(Debug, Clone)]
pub struct GetBucketWorm {
    /// The bucket.
    pub bucket: BucketName,
}

/// A retention policy: objects can be neither replaced nor deleted for some days ("GetBucketWorm" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WormConfiguration {
    /// `InProgress` for a day, in which it can still be given up, then `Locked`.
    pub state: String,
    /// For how many days objects stay.
    pub days: Option<u32>,
}

impl WormConfiguration {
    /// Whether nobody can give it up any more.
    pub fn is_locked(&self) -> bool {
        self.state == "Locked"
    }
}

impl Operation for GetBucketWorm {
    type Output = WormConfiguration;

    fn name(&self) -> &'static str {
        "GetBucketWorm"
    }

    fn request(&self) -> Request {
        Request::Oss(OssRequest::bucket(Method::GET, &self.bucket).flag("worm"))
    }

    fn decode(&self, answer: &Response) -> Result<WormConfiguration, DecodeError> {
        let root = Element::root(self.name(), answer, "WormConfiguration")?;
        let days = root.text("RetentionPeriodInDays").and_then(|days| days.trim().parse().ok());
        Ok(WormConfiguration { state: root.required_value(self.name(), "State")?, days })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    #[test]
    fn the_example_of_the_page_is_read() {
        let operation = GetBucketWorm { bucket: "images".parse().unwrap() };
        assert_eq!(show(&operation), "GET images - ?worm");
        let body = "<WormConfiguration><WormId>1666E2CFB2B3418****</WormId><State>Locked</State>\
                    <RetentionPeriodInDays>1</RetentionPeriodInDays>\
                    <CreationDate>2020-10-15T15:50:32</CreationDate></WormConfiguration>";
        let worm = operation.decode(&answer(200, &[], body)).unwrap();
        assert!(worm.is_locked() && worm.days == Some(1));
        assert!(operation.decode(&answer(200, &[], "<WormConfiguration/>")).is_err());
    }
}
