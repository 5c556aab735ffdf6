use serde_json::Value;

use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "GetRole";

/// Looks a role up ("GetRole" page). `EntityNotExist.Role` says that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRole {
    /// The role's name.
    pub role_name: String,
}

impl GetRole {
    /// Returns a request about the role `role_name`.
    pub fn new(role_name: impl Into<String>) -> Self {
        Self { role_name: role_name.into() }
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its resource name, such as `acs:ram::123:role/name`.
    pub arn: Option<String>,
    /// The trust policy: who may assume it, as the text of a JSON document.
    pub trust_policy: Option<String>,
}

impl Role {
    /// Whether the trust policy lets `service`, such as `ecs.aliyuncs.com`, assume the role.
    pub fn trusts_service(&self, service: &str) -> bool {
        let document = self.trust_policy.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(document) = document else { return false };
        let one_or_many = |value: &Value, wanted: &str| match value {
            Value::String(text) => text == wanted,
            Value::Array(values) => values.iter().any(|value| value.as_str() == Some(wanted)),
            _ => false,
        };
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.as_slice(),
            Some(statement) => std::slice::from_ref(statement),
            None => return false,
        };
        statements.iter().any(|statement| {
            statement.get("Effect").and_then(Value::as_str) == Some("Allow")
                && statement.get("Action").is_some_and(|action| one_or_many(action, "sts:AssumeRole"))
                && statement
                    .get("Principal")
                    .and_then(|principal| principal.get("Service"))
                    .is_some_and(|services| one_or_many(services, service))
        })
    }
}

/// Reads the `Role` member that several answers carry.
pub(super) fn role(operation: &'static str, answer: &Response) -> Result<Role, DecodeError> {
    let value = json::read(operation, answer)?;
    let role = value.get("Role").ok_or_else(|| DecodeError::new(operation, "lacks `Role`"))?;
    Ok(Role {
        name: json::required(operation, role, "RoleName")?,
        arn: json::text(role, "Arn"),
        trust_policy: json::text(role, "AssumeRolePolicyDocument"),
    })
}

impl Operation for GetRole {
    type Output = Role;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ram(NAME, Params::new().with("RoleName", &self.role_name))
    }

    fn decode(&self, answer: &Response) -> Result<Role, DecodeError> {
        role(NAME, answer)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_trust_policy_tells_which_service_may_assume_the_role() {
        for (statement, trusted) in [
            (
                json!([{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["ecs.aliyuncs.com"]}}]),
                true,
            ),
            (
                json!({"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": "ecs.aliyuncs.com"}}),
                true,
            ),
            (
                json!([{"Action": "sts:AssumeRole", "Effect": "Deny", "Principal": {"Service": ["ecs.aliyuncs.com"]}}]),
                false,
            ),
            (
                json!([{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"RAM": ["acs:ram::1:root"]}}]),
                false,
            ),
            (
                json!([{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["oss.aliyuncs.com"]}}]),
                false,
            ),
            (json!("x"), false),
        ] {
            let document = json!({"Version": "1", "Statement": statement}).to_string();
            let body = json!({"Role": {"RoleName": "r", "Arn": "acs:ram::1:role/r", "AssumeRolePolicyDocument": document}});
            let answer = Response {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from(body.to_string()),
            };
            let role = GetRole::new("r").decode(&answer).unwrap();
            assert_eq!(role.trusts_service("ecs.aliyuncs.com"), trusted, "{document}");
        }
    }
}
