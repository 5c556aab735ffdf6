use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::Fetch;
use crate::clock::Clock;
use crate::credentials::{
    BoxFuture, CredentialSource, Credentials, CredentialsError, MAX_CONFIG_BYTES, aliyun,
};

/// The credentials that the aliyun CLI keeps for a user who logged in with a browser.
///
/// How the CLI exchanges the login for credentials is not documented, so that is left to the CLI: it renews what it
/// keeps whenever it is used, and here its file is read again once the old credentials have ended.
#[derive(Debug)]
pub(super) struct CloudSso {
    profile: String,
    keys: Option<Credentials>,
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl CloudSso {
    pub(super) fn new(
        profile: &str,
        keys: Option<Credentials>,
        file: Option<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { profile: profile.to_owned(), keys, file, clock }
    }

    fn current(&self) -> Result<Credentials, CredentialsError> {
        let Some(keys) = self.read()? else {
            return Err(self.failed("the CLI holds no credentials of this login", false));
        };
        match keys.expires.filter(|end| *end <= self.clock.now()) {
            Some(end) => Err(self.failed(&format!("they ended at {end}"), false)),
            None => Ok(keys),
        }
    }

    /// Reads what the CLI keeps now.
    fn read(&self) -> Result<Option<Credentials>, CredentialsError> {
        let Some(path) = &self.file else { return Ok(self.keys.clone()) };
        let unreadable =
            |error: std::io::Error| self.failed(&format!("its file cannot be read: {}", error.kind()), false);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        // The CLI may be writing it at this moment.
        let profile = aliyun::parse(&bytes, Some(&self.profile))
            .map_err(|error| self.failed(&format!("its file cannot be used: {error}"), true))?;
        match profile.method {
            Some(CredentialSource::CloudSso { keys, .. }) => Ok(keys),
            _ => Err(self.failed("it is no longer of mode CloudSSO", false)),
        }
    }

    fn failed(&self, what: &str, transient: bool) -> CredentialsError {
        let name = self.profile.escape_debug();
        CredentialsError {
            provider: format!("the CloudSSO login of the aliyun CLI (profile `{name}`)"),
            reason: format!(
                "{what}: renew them with `aliyun sts GetCallerIdentity --profile {name}`, or log in again with \
                 `aliyun configure --mode CloudSSO --profile {name}`"
            ),
            transient,
        }
    }
}

impl Fetch for CloudSso {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(std::future::ready(self.current()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::testing::Standing;

    fn at(now: &str, keys: Option<Credentials>, file: Option<PathBuf>) -> CloudSso {
        CloudSso::new("work", keys, file, Arc::new(Standing::at(now)))
    }

    #[tokio::test]
    async fn what_has_ended_is_read_again_and_the_way_out_is_the_cli_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let write = |id: &str, end: i64| {
            let profile = serde_json::json!({
                "name": "work", "mode": "CloudSSO", "cloud_sso_sign_in_url": "https://signin.example/device/login",
                "access_token": "hunter2", "access_key_id": id, "access_key_secret": "hunter2",
                "sts_token": "hunter2", "sts_expiration": end,
            });
            std::fs::write(&path, serde_json::json!({"profiles": [profile]}).to_string()).unwrap();
        };
        write("STS.a", 1_767_247_200);
        let before = at("2026-01-01T05:59:59Z", None, Some(path.clone())).fetch().await.unwrap();
        assert_eq!(before.access_key_id, "STS.a");
        let after = at("2026-01-01T06:00:00Z", None, Some(path.clone()));
        let error = after.fetch().await.unwrap_err();
        assert!(error.reason.contains("2026-01-01T06:00:00Z"), "{error}");
        assert!(error.reason.contains("`aliyun sts GetCallerIdentity --profile work`"), "{error}");
        assert!(!format!("{error} {error:?} {after:?}").contains("hunter2"));
        write("STS.b", 1_767_250_800);
        assert_eq!(after.fetch().await.unwrap().access_key_id, "STS.b");
        std::fs::write(&path, "{\"profiles\":[").unwrap();
        assert!(after.fetch().await.unwrap_err().transient, "the CLI may be writing it");
        std::fs::remove_file(&path).unwrap();
        assert!(after.fetch().await.unwrap_err().reason.contains("cannot be read"));
    }

    #[tokio::test]
    async fn a_login_that_never_gave_credentials_leads_to_the_cli() {
        let error = at("2026-01-01T00:00:00Z", None, None).fetch().await.unwrap_err();
        assert!(error.reason.contains("aliyun configure --mode CloudSSO"), "{error}");
    }
}
