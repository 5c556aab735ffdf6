use std::path::{Path, PathBuf};

use super::{Fetch, answer};
use crate::client::{CallCause, CallError, Client};
use crate::credentials::{AssumedRole, BoxFuture, Credentials, CredentialsError};
use crate::model::Secret;
use crate::protocol::Action;
use crate::protocol::sts::{AssumeRole, AssumeRoleWithOidc};

/// A role that another pair may assume.
#[derive(Debug)]
pub(super) struct AssumedByKeys {
    client: Client,
    operation: AssumeRole,
}

impl AssumedByKeys {
    pub(super) fn new(client: Client, role: &AssumedRole) -> Self {
        let mut operation = AssumeRole::new(&role.arn, &role.session_name);
        operation.region.clone_from(&role.sts_region);
        operation.duration_seconds = Some(seconds(role));
        operation.external_id.clone_from(&role.external_id);
        Self { client, operation }
    }
}

impl Fetch for AssumedByKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { self.client.call(&self.operation).await.map_err(failed) })
    }
}

/// A role for the token of an identity provider.
#[derive(Debug)]
pub(super) struct AssumedByOidc {
    client: Client,
    role: AssumedRole,
    provider_arn: String,
    token_file: PathBuf,
}

impl AssumedByOidc {
    pub(super) fn new(client: Client, role: &AssumedRole, provider_arn: &str, token_file: &Path) -> Self {
        let (role, provider_arn, token_file) = (role.clone(), provider_arn.to_owned(), token_file.to_owned());
        Self { client, role, provider_arn, token_file }
    }

    /// Reads the token; it rotates, so it is never kept.
    fn token(&self) -> Result<Secret, CredentialsError> {
        let refuse = |reason: String, transient| CredentialsError {
            provider: format!("the OIDC token file `{}`", self.token_file.display()),
            reason,
            transient,
        };
        let length = std::fs::metadata(&self.token_file).map(|metadata| metadata.len());
        match length {
            Ok(length) if length <= answer::MAX_BYTES as u64 => {}
            Ok(_) => return Err(refuse("it is too long".to_owned(), false)),
            Err(error) => return Err(refuse(format!("it cannot be read: {}", error.kind()), false)),
        }
        let text = std::fs::read_to_string(&self.token_file)
            .map_err(|error| refuse(format!("it cannot be read: {}", error.kind()), true))?;
        let token = text.trim();
        if token.is_empty() { Err(refuse("it is empty".to_owned(), true)) } else { Ok(Secret::new(token)) }
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let mut operation = AssumeRoleWithOidc::new(
            &self.role.arn,
            &self.provider_arn,
            self.token()?,
            &self.role.session_name,
        );
        operation.region.clone_from(&self.role.sts_region);
        operation.duration_seconds = Some(seconds(&self.role));
        self.client.call(&operation).await.map_err(failed)
    }
}

impl Fetch for AssumedByOidc {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.ask())
    }
}

fn seconds(role: &AssumedRole) -> u32 {
    u32::try_from(role.duration.as_secs()).unwrap_or(u32::MAX)
}

fn failed(error: CallError) -> CredentialsError {
    // The credentials behind this call may be what failed: then that reason is the whole story.
    if let CallCause::Credentials(below) = error.cause {
        return below;
    }
    let transient = matches!(error.action, Action::Retry | Action::RetryFew | Action::Throttled);
    let request_id = error.service().and_then(|service| service.request_id.as_deref());
    let request_id = request_id.map(|id| format!(", request id {id}")).unwrap_or_default();
    CredentialsError { provider: "STS".to_owned(), reason: format!("{}{request_id}", error.cause), transient }
}
