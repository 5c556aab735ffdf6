//! The RAM role by which ECS reads the bucket: one of a fixed name, once for each account.

use std::time::Duration;

use super::{ImportError, Importer};
use crate::client::CallError;
use crate::protocol::ram::{self, AttachPolicyToRole, CreateRole, GetRole, ListPoliciesForRole, Role};
use crate::protocol::sign::encode;

/// The role that ECS takes on to read OSS. The name is fixed by the service.
pub const IMPORT_ROLE: &str = "AliyunECSImageImportDefaultRole";
/// The vendor's policy that the role needs: reading objects, and the location and settings of buckets.
pub const IMPORT_POLICY: &str = "AliyunECSImageImportRolePolicy";
/// How long it may take until ECS sees a new role.
const GRACE: Duration = Duration::from_secs(60);
/// The service that the role trusts.
const TRUSTED: &str = "ecs.aliyuncs.com";

/// Whether ECS may read OSS, as far as RAM shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoleState {
    /// The role is there, trusts ECS and has the policy, or another one.
    Ready,
    /// There is no such role.
    Missing,
    /// The role is there and does not trust ECS.
    Untrusting,
    /// The role has no policy.
    Powerless,
    /// The caller may not look at roles.
    Unknown,
}

/// What [`Importer::create_role`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleSetUp {
    /// Whether the role was made.
    pub created: bool,
    /// Whether the policy was attached.
    pub attached: bool,
}

impl RoleSetUp {
    /// Returns how long ECS may take to see the change, for [`Importer::with_role_grace`].
    pub fn grace(self) -> Duration {
        if self.created || self.attached { GRACE } else { Duration::ZERO }
    }
}

/// The console that an account uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Site {
    /// `aliyun.com`, mainland China.
    #[default]
    China,
    /// `alibabacloud.com`.
    International,
}

/// Returns the page on which an account's owner allows ECS to read OSS with one click.
pub fn authorization_url(site: Site) -> String {
    let domain = match site {
        Site::China => "aliyun.com",
        Site::International => "alibabacloud.com",
    };
    let request = serde_json::json!({
        "Requests": {
            "request1": {"RoleName": IMPORT_ROLE, "TemplateId": "ECSImportRole"},
            "request2": {"RoleName": "AliyunECSImageExportDefaultRole", "TemplateId": "ECSExportRole"},
        },
        "ReturnUrl": format!("https://ecs.console.{domain}/"),
        "Service": "ECS",
    });
    let request = encode::component(&request.to_string());
    format!("https://ram.console.{domain}/#/role/authorize?request={request}")
}

impl Importer {
    /// Looks whether ECS may read OSS by the role `name`, [`IMPORT_ROLE`] unless the request names another. An
    /// answer of [`RoleState::Unknown`] is not a reason to stop.
    ///
    /// # Errors
    ///
    /// When RAM cannot be reached.
    pub async fn role_state(&self, name: &str) -> Result<RoleState, ImportError> {
        let failed = |error| ImportError::call(format!("look at the role `{name}`"))(error);
        let role = match self.client.call(&GetRole::new(name)).await {
            Ok(role) => role,
            Err(error) if error.is(ram::code::ENTITY_NOT_EXIST_ROLE) => return Ok(RoleState::Missing),
            Err(error) if is_denied(&error) => return Ok(RoleState::Unknown),
            Err(error) => return Err(failed(error)),
        };
        if !role.trusts_service(TRUSTED) {
            return Ok(RoleState::Untrusting);
        }
        match self.client.call(&ListPoliciesForRole::new(name)).await {
            Ok(policies) if policies.is_empty() => Ok(RoleState::Powerless),
            Ok(_) => Ok(RoleState::Ready),
            Err(error) if is_denied(&error) => Ok(RoleState::Unknown),
            Err(error) => Err(failed(error)),
        }
    }

    /// Sets the role up: makes it if it is missing, and attaches the vendor's policy. A role that is there is
    /// never given another trust policy.
    ///
    /// # Errors
    ///
    /// [`ImportError::RoleTrust`] if the role is there and does not trust ECS; [`ImportError::Call`] if the
    /// caller may not do this, which takes `ram:GetRole`, `ram:CreateRole` and `ram:AttachPolicyToRole`.
    pub async fn create_role(&self) -> Result<RoleSetUp, ImportError> {
        let failed = |error| ImportError::call(format!("set up the role `{IMPORT_ROLE}`"))(error);
        let (role, created) = match self.client.call(&GetRole::new(IMPORT_ROLE)).await {
            Ok(role) => (role, false),
            Err(error) if error.is(ram::code::ENTITY_NOT_EXIST_ROLE) => {
                self.make_role().await.map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        if !role.trusts_service(TRUSTED) {
            return Err(ImportError::RoleTrust { role: IMPORT_ROLE.to_owned() });
        }
        let attach = AttachPolicyToRole::system(IMPORT_POLICY, IMPORT_ROLE);
        let attached = match self.client.call(&attach).await {
            Ok(_) => true,
            Err(error) if error.is(ram::code::ENTITY_ALREADY_EXISTS_ROLE_POLICY) => error.ambiguous(),
            Err(error) => return Err(failed(error)),
        };
        Ok(RoleSetUp { created, attached })
    }

    async fn make_role(&self) -> Result<(Role, bool), CallError> {
        let trust = serde_json::json!({
            "Version": "1",
            "Statement": [{
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": [TRUSTED]},
            }],
        });
        let create = CreateRole::new(IMPORT_ROLE, trust.to_string())
            .with_description("Lets ECS read OSS objects to import them as custom images");
        match self.client.call(&create).await {
            Ok(role) => Ok((role, true)),
            // Made in the meantime, by someone else or by an attempt whose answer was lost.
            Err(error) if error.is(ram::code::ENTITY_ALREADY_EXISTS_ROLE) => {
                let role = self.client.call(&GetRole::new(IMPORT_ROLE)).await?;
                Ok((role, error.ambiguous()))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_denied(error: &CallError) -> bool {
    error.service().is_some_and(|refusal| refusal.status == 403)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_to_authorize_on_names_the_role() {
        let url = authorization_url(Site::International);
        assert!(
            url.starts_with("https://ram.console.alibabacloud.com/#/role/authorize?request=%7B%22"),
            "{url}"
        );
        assert!(url.contains("AliyunECSImageImportDefaultRole") && url.contains("ECSImportRole"), "{url}");
        assert!(!url[40..].contains(['"', '{', ' ']), "{url}");
    }
}
