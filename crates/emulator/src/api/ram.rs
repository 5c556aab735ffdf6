//! RAM: roles and their policies.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::cloud::Role;
use super::{Service, not_implemented};
use crate::store::DEFAULT_OWNER;

pub(super) fn answer(mut service: Service<'_>) -> Result<Value, Refusal> {
    match service.call.action.as_str() {
        "GetRole" => Ok(json!({"Role": shown(service.role()?)})),
        "CreateRole" => service.create_role(),
        "UpdateRole" => service.update_role(),
        "ListPoliciesForRole" => Ok(policies(service.role()?)),
        "AttachPolicyToRole" => service.attach_policy(),
        other => Err(not_implemented(other)),
    }
}

/// The vendor's own policies that are known here.
const SYSTEM_POLICIES: &[&str] = &[
    "AdministratorAccess",
    "AliyunECSFullAccess",
    "AliyunECSImageExportRolePolicy",
    "AliyunECSImageImportRolePolicy",
    "AliyunOSSFullAccess",
    "AliyunOSSReadOnlyAccess",
];

impl Service<'_> {
    fn role(&self) -> Result<&Role, Refusal> {
        let name = self.call.required("RoleName")?;
        self.state
            .roles
            .get(name)
            .ok_or_else(|| Refusal::new(404, "EntityNotExist.Role", format!("The role not exists, {name}.")))
    }

    fn create_role(&mut self) -> Result<Value, Refusal> {
        let name = self.call.required("RoleName")?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        if name.len() > 64 || !name.bytes().all(allowed) {
            let message = "The role name contains an invalid character or is too long.";
            return Err(Refusal::new(400, "InvalidParameter.RoleName.InvalidChars", message));
        }
        let trust_policy = trust_policy(self.call.required("AssumeRolePolicyDocument")?)?;
        let max_session = self.call.number::<u32>("MaxSessionDuration")?.unwrap_or(3600);
        if !(3600..=43_200).contains(&max_session) {
            return Err(Refusal::malformed("InvalidParameter.MaxSessionDuration", "MaxSessionDuration"));
        }
        if self.state.roles.contains_key(name) {
            let message = format!("The role already exists, {name}.");
            return Err(Refusal::new(409, "EntityAlreadyExists.Role", message));
        }
        let role = Role {
            name: name.to_owned(),
            trust_policy,
            description: self.call.text("Description").unwrap_or_default().to_owned(),
            policies: Vec::new(),
            created: self.now,
            since: self.millis,
            max_session,
        };
        let value = json!({"Role": shown(&role)});
        self.state.put_role(role, self.emulator.store())?;
        Ok(value)
    }

    fn update_role(&mut self) -> Result<Value, Refusal> {
        let mut role = self.role()?.clone();
        if let Some(document) = self.call.text("NewAssumeRolePolicyDocument") {
            role.trust_policy = trust_policy(document)?;
        }
        let value = json!({"Role": shown(&role)});
        self.state.put_role(role, self.emulator.store())?;
        Ok(value)
    }

    fn attach_policy(&mut self) -> Result<Value, Refusal> {
        let kind = self.call.required("PolicyType")?;
        let name = self.call.required("PolicyName")?;
        if !matches!(kind, "System" | "Custom") {
            return Err(Refusal::malformed("InvalidParameter.PolicyType", "PolicyType"));
        }
        if kind == "System" && !SYSTEM_POLICIES.contains(&name) {
            let message = format!("The policy not exists, {name}.");
            return Err(Refusal::new(404, "EntityNotExist.Policy", message));
        }
        let mut role = self.role()?.clone();
        let policy = (kind.to_owned(), name.to_owned());
        if role.policies.contains(&policy) {
            let message = format!("The role already has the policy, {name}.");
            return Err(Refusal::new(409, "EntityAlreadyExists.Role.Policy", message));
        }
        role.policies.push(policy);
        self.state.put_role(role, self.emulator.store())?;
        Ok(json!({}))
    }
}

/// Returns a trust policy that is a policy at all.
fn trust_policy(text: &str) -> Result<String, Refusal> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(document)) if document.contains_key("Statement") => Ok(text.to_owned()),
        _ => {
            let message = "The assume role policy document is malformed.";
            Err(Refusal::new(400, "MalformedPolicyDocument", message))
        }
    }
}

/// Returns a role's resource name.
pub(super) fn arn(role: &str) -> String {
    format!("acs:ram::{DEFAULT_OWNER}:role/{}", role.to_ascii_lowercase())
}

fn shown(role: &Role) -> Value {
    json!({
        "RoleName": role.name,
        "Arn": arn(&role.name),
        "Description": role.description,
        "AssumeRolePolicyDocument": role.trust_policy,
        "CreateDate": role.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "MaxSessionDuration": role.max_session,
    })
}

fn policies(role: &Role) -> Value {
    let policies: Vec<Value> = role
        .policies
        .iter()
        .map(|(kind, name)| json!({"PolicyType": kind, "PolicyName": name, "DefaultVersion": "v1"}))
        .collect();
    json!({"Policies": {"Policy": policies}})
}
