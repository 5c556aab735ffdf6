//! The codes of RAM's own ("Error codes" sections of the actions), as far as anything here depends on them.

/// There is a role of this name.
pub const ENTITY_ALREADY_EXISTS_ROLE: &str = "EntityAlreadyExists.Role";
/// The role has the policy.
pub const ENTITY_ALREADY_EXISTS_ROLE_POLICY: &str = "EntityAlreadyExists.Role.Policy";
/// There is no role of this name.
pub const ENTITY_NOT_EXIST_ROLE: &str = "EntityNotExist.Role";
