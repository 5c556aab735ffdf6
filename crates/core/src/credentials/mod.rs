//! Access keys: what they are and how one asks for them. Nothing here reads a file, the environment or a socket.

pub mod aliyun;
pub mod env;
mod ini;
mod oidc;
pub mod ossutil;
mod profile;
#[cfg(test)]
mod robustness;

pub use oidc::{DEFAULT_AUDIENCE, OidcToken};
pub use profile::{
    AssumedRole, BucketEndpoint, CredentialSource, DEFAULT_PROCESS_TIMEOUT, DEFAULT_ROLE_DURATION,
    DEFAULT_SESSION_NAME, MAX_CONFIG_BYTES, Profile, ProfileError,
};

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::model::Secret;

/// An access key pair, with an STS token if it is temporary. `Debug` shows the key id alone.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The access key id; ids of temporary keys start with `STS.`.
    pub access_key_id: String,
    /// The access key secret.
    pub access_key_secret: Secret,
    /// The STS token of temporary credentials.
    pub security_token: Option<Secret>,
    /// When temporary credentials end, if that is known.
    pub expires: Option<Timestamp>,
}

impl Credentials {
    /// Returns a long-lived key pair.
    pub fn new(access_key_id: impl Into<String>, access_key_secret: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            access_key_secret: Secret::new(access_key_secret),
            security_token: None,
            expires: None,
        }
    }

    /// Makes the pair a temporary one that travels with an STS token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(Secret::new(token));
        self
    }

    /// Sets when the pair expires.
    #[must_use]
    pub fn with_expiry(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Whether the pair came from STS, so that asking again can give a new one.
    pub fn is_temporary(&self) -> bool {
        self.security_token.is_some() || self.access_key_id.starts_with("STS.")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("temporary", &self.is_temporary())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Why a provider has no credentials to give. The text holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no credentials from {provider}: {reason}")]
pub struct CredentialsError {
    /// Which provider was asked: "the ECS metadata service".
    pub provider: String,
    /// What went wrong.
    pub reason: String,
    /// Whether asking again may help: the provider could not be reached, or answered that it is busy.
    pub transient: bool,
}

/// A future that owns or borrows for `'a` and may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gives credentials for one attempt of a request.
///
/// The client asks before each attempt. A provider whose credentials end keeps them and renews them for all
/// callers at once.
pub trait CredentialsProvider: Send + Sync + fmt::Debug {
    /// Returns credentials that are good now, or nothing for anonymous requests.
    ///
    /// `rejected` is what the service has just refused as expired or unknown: the provider gives others if
    /// it can, and the same again if it cannot.
    ///
    /// # Errors
    ///
    /// When no credentials can be had; the error says whether to ask again later.
    fn credentials<'a>(
        &'a self,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>>;
}

/// A provider of one fixed pair, or of none.
#[derive(Debug, Clone)]
pub struct StaticCredentials(Option<Credentials>);

impl StaticCredentials {
    /// Always gives `credentials`.
    pub fn new(credentials: Credentials) -> Self {
        Self(Some(credentials))
    }

    /// Makes requests anonymous.
    pub fn anonymous() -> Self {
        Self(None)
    }
}

impl CredentialsProvider for StaticCredentials {
    fn credentials<'a>(
        &'a self,
        _rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Credentials::new("STS.id", "hunter2").with_token("token3"));
        assert!(
            shown.contains("STS.id") && !shown.contains("hunter2") && !shown.contains("token3"),
            "{shown}"
        );
    }
}
