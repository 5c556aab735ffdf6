use crate::credentials::Credentials;
use crate::model::Region;
use crate::protocol::rpc::Params;
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "AssumeRole";

/// Gets temporary credentials of a role that the caller may assume ("AssumeRole" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssumeRole {
    /// The region whose endpoint is called; without one the central endpoint.
    pub region: Option<Region>,
    /// The role's resource name: `acs:ram::123:role/name`.
    pub role_arn: String,
    /// A name for the session, shown in audit logs.
    pub session_name: String,
    /// How long the credentials live, in seconds: 900 and more, at most what the role allows.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's rights.
    pub policy: Option<String>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
}

impl AssumeRole {
    /// Returns a request for credentials of `role_arn`.
    pub fn new(role_arn: impl Into<String>, session_name: impl Into<String>) -> Self {
        Self {
            region: None,
            role_arn: role_arn.into(),
            session_name: session_name.into(),
            duration_seconds: None,
            policy: None,
            external_id: None,
        }
    }
}

impl Operation for AssumeRole {
    type Output = Credentials;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::new()
            .with("RoleArn", &self.role_arn)
            .with("RoleSessionName", &self.session_name)
            .with_some("DurationSeconds", self.duration_seconds)
            .with_some("Policy", self.policy.as_deref())
            .with_some("ExternalId", self.external_id.as_deref());
        super::request(NAME, self.region.as_ref(), params, true)
    }

    fn decode(&self, answer: &Response) -> Result<Credentials, DecodeError> {
        super::credentials(NAME, answer)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn the_answer_becomes_credentials_that_end() {
        let body = r#"{"RequestId":"R","AssumedRoleUser":{"Arn":"a"},"Credentials":{"AccessKeyId":"STS.id",
            "AccessKeySecret":"hunter2","SecurityToken":"token3","Expiration":"2026-01-02T03:04:05Z"}}"#;
        let answer = Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let credentials = AssumeRole::new("acs:ram::1:role/r", "s").decode(&answer).unwrap();
        assert_eq!(credentials.access_key_id, "STS.id");
        assert_eq!(credentials.access_key_secret.expose(), "hunter2");
        assert!(credentials.is_temporary());
        assert_eq!(credentials.expires.unwrap().to_string(), "2026-01-02T03:04:05Z");
        let cut =
            Response { body: Bytes::from_static(b"{\"Credentials\":{\"AccessKeyId\":\"x\"}}"), ..answer };
        let error = AssumeRole::new("a", "s").decode(&cut).unwrap_err();
        assert_eq!(error.reason, "lacks `AccessKeySecret`");
    }
}
