use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response};

const NAME: &str = "AttachPolicyToRole";

/// Gives a role a policy ("AttachPolicyToRole" page). `EntityAlreadyExists.Role.Policy` says that it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachPolicyToRole {
    /// The kind of policy.
    pub policy_type: PolicyType,
    /// The policy's name.
    pub policy_name: String,
    /// The role's name.
    pub role_name: String,
}

/// The kind of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyType {
    /// Alibaba Cloud's.
    System,
    /// The account's own.
    Custom,
}

impl AttachPolicyToRole {
    /// Returns a request to attach one of Alibaba Cloud's own policies.
    pub fn system(policy_name: impl Into<String>, role_name: impl Into<String>) -> Self {
        Self { policy_type: PolicyType::System, policy_name: policy_name.into(), role_name: role_name.into() }
    }
}

impl Operation for AttachPolicyToRole {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let policy_type = match self.policy_type {
            PolicyType::System => "System",
            PolicyType::Custom => "Custom",
        };
        let params = Params::new()
            .with("PolicyType", policy_type)
            .with("PolicyName", &self.policy_name)
            .with("RoleName", &self.role_name);
        rpc::ram(NAME, params)
    }

    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
