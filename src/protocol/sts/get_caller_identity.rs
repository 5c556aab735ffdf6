use crate::model::Region;
use crate::protocol::rpc::{Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "GetCallerIdentity";

/// Returns whose the credentials are ("GetCallerIdentity" page).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetCallerIdentity {
    /// The region whose endpoint is called; without one the central endpoint.
    pub region: Option<Region>,
}

impl GetCallerIdentity {
    /// Returns the request.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The owner of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerIdentity {
    /// The account.
    pub account_id: String,
    /// The user or role within it.
    pub arn: Option<String>,
    /// `Account`, `RAMUser` or `AssumedRoleUser`.
    pub identity_type: Option<String>,
}

impl Operation for GetCallerIdentity {
    type Output = CallerIdentity;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        super::request(NAME, self.region.as_ref(), Params::new(), true)
    }

    fn decode(&self, answer: &Response) -> Result<CallerIdentity, DecodeError> {
        let value = json::read(NAME, answer)?;
        Ok(CallerIdentity {
            account_id: json::required(NAME, &value, "AccountId")?,
            arn: json::text(&value, "Arn"),
            identity_type: json::text(&value, "IdentityType"),
        })
    }
}
