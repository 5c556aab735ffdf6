//! Which key pairs and tokens are valid.

use std::sync::RwLock;

use jiff::Timestamp;

use ossup_core::credentials::Credentials;
use ossup_core::model::Secret;

/// What STS's key ids begin with: they are worth nothing without their token.
const TEMPORARY: &str = "STS.";

/// The valid key pairs; those with a token are valid with that token.
#[derive(Debug)]
pub(crate) struct Keys(RwLock<Vec<Credentials>>);

/// Why a key id and a token name no valid key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The key id is unknown, or a temporary one without its token.
    UnknownId,
    /// The token is not one of this key id.
    UnknownToken,
    /// The token's time is over.
    Expired,
}

impl Keys {
    pub(super) fn new(credentials: &[Credentials]) -> Self {
        Self(RwLock::new(credentials.to_vec()))
    }

    /// Makes a key pair valid.
    pub(crate) fn add(&self, credentials: Credentials) {
        self.0.write().expect("no panic while the lock is held").push(credentials);
    }

    /// Returns the secret that a request with this key id and token is signed with.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn secret(&self, id: &str, token: Option<&str>, now: Timestamp) -> Result<Secret, KeyError> {
        let keys = self.0.read().expect("no panic while the lock is held");
        let of_id: Vec<&Credentials> = keys.iter().filter(|key| key.access_key_id == id).collect();
        if of_id.is_empty() {
            return Err(KeyError::UnknownId);
        }
        let found = of_id.iter().find(|key| key.security_token.as_ref().map(Secret::expose) == token);
        match (found, token) {
            (_, None) if id.starts_with(TEMPORARY) => Err(KeyError::UnknownId),
            (Some(key), _) if key.expires.is_some_and(|expires| expires <= now) => Err(KeyError::Expired),
            (Some(key), _) => Ok(key.access_key_secret.clone()),
            (None, Some(_)) => Err(KeyError::UnknownToken),
            (None, None) => Err(KeyError::UnknownId),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_key_and_ends() {
        let end: Timestamp = "2025-01-01T01:00:00Z".parse().unwrap();
        let before: Timestamp = "2025-01-01T00:59:59Z".parse().unwrap();
        let keys = Keys::new(&[Credentials::new("id", "plain")]);
        keys.add(Credentials::new("STS.a", "temporary").with_token("token").with_expiry(end));
        let secret = |id, token, now| keys.secret(id, token, now).map(|secret| secret.expose().to_owned());
        assert_eq!(secret("id", None, end), Ok("plain".to_owned()));
        assert_eq!(secret("STS.a", Some("token"), before), Ok("temporary".to_owned()));
        assert_eq!(secret("STS.a", Some("token"), end), Err(KeyError::Expired));
        assert_eq!(secret("STS.a", Some("other"), before), Err(KeyError::UnknownToken));
        assert_eq!(secret("STS.a", None, before), Err(KeyError::UnknownId));
        assert_eq!(secret("id", Some("token"), before), Err(KeyError::UnknownToken));
        assert_eq!(secret("nobody", None, before), Err(KeyError::UnknownId));
        keys.add(Credentials::new("STS.a", "temporary"));
        assert_eq!(secret("STS.a", None, before), Err(KeyError::UnknownId));
    }
}
