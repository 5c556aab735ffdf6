use super::json;
use crate::protocol::{DecodeError, Response};

/// A good answer that holds nothing but the request's id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
}

impl Acknowledged {
    pub(crate) fn read(operation: &'static str, answer: &Response) -> Result<Self, DecodeError> {
        Ok(Self { request_id: json::text(&json::read(operation, answer)?, "RequestId") })
    }
}
