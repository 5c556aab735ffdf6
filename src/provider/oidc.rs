use std::path::Path;
use std::sync::Arc;

use super::sts::{failed, seconds};
use super::token_endpoint::TokenEndpoint;
use super::{Fetch, answer, jwt};
use crate::client::{CallError, Client};
use crate::credentials::{AssumedRole, BoxFuture, Credentials, CredentialsError, OidcToken};
use crate::model::Secret;
use crate::protocol::sts::AssumeRoleWithOidc;

/// What every code of STS about a token begins with ("STS error codes" page).
const TOKEN_REFUSED: &str = "AuthenticationFail.OIDCToken.";
const EXPIRED: &str = "AuthenticationFail.OIDCToken.Expired";
const OTHER_AUDIENCE: &str = "AuthenticationFail.OIDCToken.AudienceNotMatch";
const NO_PERMISSION: &str = "AuthenticationFail.NoPermission";

/// A role for the token of an identity provider.
#[derive(Debug)]
pub(super) struct AssumedByOidc {
    client: Client,
    role: AssumedRole,
    provider_arn: String,
    token: Token,
}

/// Where each token comes from.
#[derive(Debug)]
enum Token {
    /// Read or used as it is.
    Kept(OidcToken),
    Asked(TokenEndpoint),
}

impl AssumedByOidc {
    pub(super) fn new(client: Client, role: &AssumedRole, provider_arn: &str, token: &OidcToken) -> Self {
        let token = match token.clone() {
            OidcToken::Endpoint { url, request_token, audience } => {
                let transport = Arc::clone(&client.options().transport);
                Token::Asked(TokenEndpoint::new(transport, url, request_token, audience))
            }
            kept => Token::Kept(kept),
        };
        Self { client, role: role.clone(), provider_arn: provider_arn.to_owned(), token }
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let token = match &self.token {
            Token::Asked(endpoint) => endpoint.ask().await?,
            Token::Kept(OidcToken::File(path)) => from_file(path)?,
            Token::Kept(OidcToken::Given { token, .. }) => token.clone(),
            Token::Kept(OidcToken::Endpoint { .. }) => unreachable!("an endpoint is asked"),
        };
        let claims = jwt::claims(token.expose());
        let mut operation =
            AssumeRoleWithOidc::new(&self.role.arn, &self.provider_arn, token, &self.role.session_name);
        operation.region.clone_from(&self.role.sts_region);
        operation.duration_seconds = Some(seconds(&self.role));
        self.client.call(&operation).await.map_err(|error| {
            let advice = self.advice(&error, &claims);
            let mut error = failed(error);
            if let Some(advice) = advice {
                error.reason = format!("{}; {advice}", error.reason);
            }
            error
        })
    }

    /// Returns the way out of a refusal of the token.
    fn advice(&self, error: &CallError, claims: &jwt::Claims) -> Option<String> {
        let code = error.service().and_then(|service| service.code.as_deref())?;
        let audience = claims.audience.as_deref().unwrap_or("unknown").escape_debug().to_string();
        let ended = claims.ends.map(|end| format!(" at {end}")).unwrap_or_default();
        Some(match (code, &self.token) {
            (EXPIRED, Token::Kept(OidcToken::Given { origin, .. })) => format!(
                "the token in {origin} ended{ended} and cannot be renewed: run the job again with a longer timeout, or \
                 make the role's session longer (ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION); an upload goes on where it \
                 stopped"
            ),
            (EXPIRED, Token::Kept(OidcToken::File(_))) => {
                format!("the token in the file ended{ended}, and whoever writes the file has to renew it")
            }
            (EXPIRED, _) => format!("the new token ended{ended}: check the clocks"),
            (OTHER_AUDIENCE, _) => format!(
                "the token is for the audience `{audience}`: add that to the client ids of the OIDC provider in RAM, \
                 or ask for another (OSSUP_OIDC_AUDIENCE, or `aud` of the job's token)"
            ),
            (NO_PERMISSION, _) => {
                "check the ARN of the OIDC provider, and that the role's trust policy allows this \
                 provider, the audience and the subject of the token"
                    .to_owned()
            }
            (code, _) if code.starts_with(TOKEN_REFUSED) => {
                "check the OIDC provider in RAM: its issuer, client ids and fingerprints".to_owned()
            }
            _ => return None,
        })
    }
}

impl Fetch for AssumedByOidc {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.ask())
    }
}

/// Reads the token; it rotates, so it is never kept.
fn from_file(path: &Path) -> Result<Secret, CredentialsError> {
    let refuse = |reason: String, transient| CredentialsError {
        provider: format!("the OIDC token file `{}`", path.display()),
        reason,
        transient,
    };
    match std::fs::metadata(path) {
        // A pipe would wait, and a device never end.
        Ok(metadata) if !metadata.is_file() => {
            return Err(refuse("it is no regular file".to_owned(), false));
        }
        Ok(metadata) if metadata.len() <= answer::MAX_BYTES as u64 => {}
        Ok(_) => return Err(refuse("it is too long".to_owned(), false)),
        Err(error) => return Err(refuse(format!("it cannot be read: {}", error.kind()), false)),
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| refuse(format!("it cannot be read: {}", error.kind()), true))?;
    let token = text.trim();
    if token.is_empty() { Err(refuse("it is empty".to_owned(), true)) } else { Ok(Secret::new(token)) }
}

#[cfg(all(test, feature = "emulator"))]
mod tests;
