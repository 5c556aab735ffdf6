use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "ListPoliciesForRole";

/// Lists the policies that a role has ("ListPoliciesForRole" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPoliciesForRole {
    /// The role's name.
    pub role_name: String,
}

impl ListPoliciesForRole {
    /// Returns a request about the role `role_name`.
    pub fn new(role_name: impl Into<String>) -> Self {
        Self { role_name: role_name.into() }
    }
}

/// A policy of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachedPolicy {
    /// Its name.
    pub name: String,
    /// `System` or `Custom`.
    pub policy_type: Option<String>,
}

impl Operation for ListPoliciesForRole {
    type Output = Vec<AttachedPolicy>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ram(NAME, Params::new().with("RoleName", &self.role_name))
    }

    fn decode(&self, answer: &Response) -> Result<Vec<AttachedPolicy>, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |policy: &serde_json::Value| {
            Ok(AttachedPolicy {
                name: json::required(NAME, policy, "PolicyName")?,
                policy_type: json::text(policy, "PolicyType"),
            })
        };
        json::list(&value, "Policies", "Policy").into_iter().map(read).collect()
    }
}
