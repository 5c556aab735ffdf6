use super::get_role::{Role, role};
use crate::protocol::rpc::{self, Params};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response};

const NAME: &str = "CreateRole";

/// Makes a role ("CreateRole" page). `EntityAlreadyExists.Role` says that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateRole {
    /// The role's name: 1 to 64 letters, digits, `.` and `-`.
    pub role_name: String,
    /// The trust policy: who may assume it, as the text of a JSON document.
    pub trust_policy: String,
    /// A description.
    pub description: Option<String>,
}

impl CreateRole {
    /// Returns a request for a role that `trust_policy` lets someone assume.
    pub fn new(role_name: impl Into<String>, trust_policy: impl Into<String>) -> Self {
        Self { role_name: role_name.into(), trust_policy: trust_policy.into(), description: None }
    }

    /// Describes the role.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

impl Operation for CreateRole {
    type Output = Role;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::new()
            .with("RoleName", &self.role_name)
            .with("AssumeRolePolicyDocument", &self.trust_policy)
            .with_some("Description", self.description.as_deref());
        rpc::ram(NAME, params)
    }

    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn decode(&self, answer: &Response) -> Result<Role, DecodeError> {
        role(NAME, answer)
    }
}
