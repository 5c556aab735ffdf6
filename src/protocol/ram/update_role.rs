use super::get_role::{Role, role};
use crate::protocol::rpc::{self, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "UpdateRole";

/// Replaces a role's trust policy ("UpdateRole" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateRole {
    /// The role's name.
    pub role_name: String,
    /// The new trust policy: who may assume it, as the text of a JSON document.
    pub trust_policy: String,
}

impl UpdateRole {
    /// Returns a request that lets `trust_policy` say who may assume the role.
    pub fn new(role_name: impl Into<String>, trust_policy: impl Into<String>) -> Self {
        Self { role_name: role_name.into(), trust_policy: trust_policy.into() }
    }
}

impl Operation for UpdateRole {
    type Output = Role;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::new()
            .with("RoleName", &self.role_name)
            .with("NewAssumeRolePolicyDocument", &self.trust_policy);
        rpc::ram(NAME, params)
    }

    fn decode(&self, answer: &Response) -> Result<Role, DecodeError> {
        role(NAME, answer)
    }
}
