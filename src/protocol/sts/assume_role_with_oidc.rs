use crate::credentials::Credentials;
use crate::model::{Region, Secret};
use crate::protocol::rpc::Params;
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "AssumeRoleWithOIDC";

/// Gets temporary credentials of a role for an OIDC token, without any key ("AssumeRoleWithOIDC" page).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssumeRoleWithOidc {
    /// The region whose endpoint is called; without one the central endpoint.
    pub region: Option<Region>,
    /// The role's resource name.
    pub role_arn: String,
    /// The OIDC provider's resource name.
    pub provider_arn: String,
    /// The token, which rotates: it is read again for each call.
    pub token: Secret,
    /// A name for the session, shown in audit logs.
    pub session_name: String,
    /// How long the credentials live, in seconds.
    pub duration_seconds: Option<u32>,
}

impl AssumeRoleWithOidc {
    /// Returns a request for credentials of `role_arn`.
    pub fn new(
        role_arn: impl Into<String>,
        provider_arn: impl Into<String>,
        token: Secret,
        session_name: impl Into<String>,
    ) -> Self {
        Self {
            region: None,
            role_arn: role_arn.into(),
            provider_arn: provider_arn.into(),
            token,
            session_name: session_name.into(),
            duration_seconds: None,
        }
    }
}

impl Operation for AssumeRoleWithOidc {
    type Output = Credentials;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::new()
            .with("RoleArn", &self.role_arn)
            .with("OIDCProviderArn", &self.provider_arn)
            .with("OIDCToken", self.token.expose())
            .with("RoleSessionName", &self.session_name)
            .with_some("DurationSeconds", self.duration_seconds);
        super::request(NAME, self.region.as_ref(), params, false)
    }

    fn decode(&self, answer: &Response) -> Result<Credentials, DecodeError> {
        super::credentials(NAME, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_not_signed_and_its_debug_shows_no_token() {
        let call = AssumeRoleWithOidc::new("role", "provider", Secret::new("hunter2"), "s");
        assert!(!format!("{call:?}").contains("hunter2"));
        let Request::Rpc(request) = call.request() else { panic!("STS is called in RPC style") };
        assert!(!format!("{request:?}").contains("hunter2"));
        assert!(!request.signed);
        assert!(request.params.contains(&("OIDCToken".into(), "hunter2".into())));
    }
}
