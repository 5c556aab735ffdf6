//! Credentials that must be asked for: a RAM role, an OIDC token, the ECS instance's role, a login by browser, a
//! process, a URI.
//!
//! [`build`] turns what a profile says into a [`CredentialsProvider`]. Whatever ends is kept, and renewed
//! once for all callers shortly before it ends, or when the service refused it. If renewing fails while the old
//! credentials are still good, they stay in use.

mod answer;
mod cloud_sso;
mod ecs_role;
mod jwt;
mod oidc;
mod process;
mod refresh;
mod sts;
#[cfg(test)]
mod testing;
mod token_endpoint;
mod uri;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, ClientOptions};
use crate::credentials::{
    AssumedRole, BoxFuture, CredentialSource, Credentials, CredentialsError, CredentialsProvider,
    StaticCredentials,
};

use cloud_sso::CloudSso;
use ecs_role::EcsRole;
use oidc::AssumedByOidc;
use process::Process;
use refresh::Refreshing;
use sts::AssumedByKeys;
use uri::Uri;

/// How long one call for credentials is retried; the caller that needs them retries the whole.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gets new credentials each time it is asked.
trait Fetch: Send + Sync + fmt::Debug {
    /// Requests credentials.
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>>;
}

/// Returns the provider for `method`.
///
/// STS is asked through the transport and at the endpoints of `options`, whose own credentials are not used.
pub fn build(method: &CredentialSource, options: &ClientOptions) -> Arc<dyn CredentialsProvider> {
    let refreshing = |fetch: Arc<dyn Fetch>| -> Arc<dyn CredentialsProvider> {
        Arc::new(Refreshing::new(fetch, Arc::clone(&options.clock)))
    };
    match method {
        CredentialSource::Keys(keys) => Arc::new(StaticCredentials::new(keys.clone())),
        CredentialSource::Anonymous => Arc::new(StaticCredentials::anonymous()),
        CredentialSource::AssumeRole { role, source } => {
            let client = sts_client(options, role, build(source, options));
            refreshing(Arc::new(AssumedByKeys::new(client, role)))
        }
        CredentialSource::Oidc { role, provider_arn, token } => {
            let client = sts_client(options, role, Arc::new(StaticCredentials::anonymous()));
            refreshing(Arc::new(AssumedByOidc::new(client, role, provider_arn, token)))
        }
        CredentialSource::CloudSso { profile, keys, file } => {
            let clock = Arc::clone(&options.clock);
            refreshing(Arc::new(CloudSso::new(profile, keys.clone(), file.clone(), clock)))
        }
        CredentialSource::EcsRole { role_name, imds_v1 } => {
            let transport = Arc::clone(&options.transport);
            refreshing(Arc::new(EcsRole::new(transport, role_name.clone(), *imds_v1)))
        }
        CredentialSource::Process { command, timeout } => {
            refreshing(Arc::new(Process::new(command.clone(), *timeout)))
        }
        CredentialSource::Uri(uri) => {
            refreshing(Arc::new(Uri::new(Arc::clone(&options.transport), uri.clone())))
        }
    }
}

fn sts_client(
    options: &ClientOptions,
    role: &AssumedRole,
    credentials: Arc<dyn CredentialsProvider>,
) -> Client {
    let mut options = options.clone().with_retry_timeout(PATIENCE);
    options.credentials = credentials;
    if let (true, Some(region), None) = (role.vpc, &role.sts_region, &options.rpc_endpoint) {
        // Inside a VPC, STS has another host than the client would choose ("STS endpoints" page).
        options.rpc_endpoint = format!("https://sts-vpc.{region}.aliyuncs.com").parse().ok();
    }
    Client::new(options)
}
