//! RAM OpenAPI 2015-05-01: the role that lets ECS read the bucket.

mod attach_policy_to_role;
pub mod code;
mod create_role;
mod get_role;
mod list_policies_for_role;
mod update_role;

pub use attach_policy_to_role::{AttachPolicyToRole, PolicyType};
pub use create_role::CreateRole;
pub use get_role::{GetRole, Role};
pub use list_policies_for_role::{AttachedPolicy, ListPoliciesForRole};
pub use update_role::UpdateRole;
