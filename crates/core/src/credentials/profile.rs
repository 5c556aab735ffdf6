use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Credentials, OidcToken};
use crate::model::{AddressingStyle, BucketName, Region, Secret};

/// Largest configuration file that is read, in bytes. Real ones have a few KiB.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;
/// How many profiles may stand behind each other by `source_profile`.
pub(super) const MAX_SOURCE_DEPTH: usize = 8;
/// How long credentials of an assumed role may last, in seconds ("AssumeRole" page).
pub(super) const ROLE_SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;
pub(super) const ROLE_SECONDS_RULE: &str = "must be 900 to 43200 (seconds)";
/// How long credentials of an assumed role last if nothing else is asked for.
pub const DEFAULT_ROLE_DURATION: Duration = Duration::from_secs(3600);
/// Session name of an assumed role if none is given; it shows up in the account's audit log.
pub const DEFAULT_SESSION_NAME: &str = "ossup";
/// How long a credential process may run if nothing else is said (ossutil's default).
pub const DEFAULT_PROCESS_TIMEOUT: Duration = Duration::from_secs(15);

/// What one source says: a profile of a configuration file, or a family of environment variables.
///
/// All of it comes from that source; sources are chosen between, never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Profile {
    /// The profile's name; for the environment, the prefix of the variables.
    pub name: String,
    /// How to get credentials; nothing if the source does not say.
    pub method: Option<CredentialSource>,
    /// The region.
    pub region: Option<Region>,
    /// The endpoint as written; it is not checked before it is used.
    pub endpoint: Option<String>,
    /// The addressing style.
    pub addressing_style: Option<AddressingStyle>,
    /// Endpoints of single buckets, which rank above `endpoint`.
    pub buckets: Vec<BucketEndpoint>,
}

impl Profile {
    /// Returns a profile that says nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns the endpoint and addressing style to use for `bucket`: its own if it has one, else the general
    /// one. A custom domain ranks above a bucket's endpoint, as in ossutil.
    pub fn endpoint_of(&self, bucket: Option<&BucketName>) -> Option<(&str, Option<AddressingStyle>)> {
        let own = |cname: bool| {
            self.buckets.iter().find(|entry| {
                Some(entry.bucket.as_str()) == bucket.map(BucketName::as_str)
                    && (entry.style == Some(AddressingStyle::Cname)) == cname
            })
        };
        match own(true).or_else(|| own(false)) {
            Some(entry) => Some((&entry.endpoint, entry.style.or(self.addressing_style))),
            None => self.endpoint.as_deref().map(|endpoint| (endpoint, self.addressing_style)),
        }
    }
}

/// The endpoint that a configuration file gives to one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEndpoint {
    /// The bucket as written.
    pub bucket: String,
    /// Its endpoint as written.
    pub endpoint: String,
    /// How the bucket is addressed there.
    pub style: Option<AddressingStyle>,
}

/// How credentials are to be had. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// A key pair that the source holds itself, with an STS token or without (modes `AK` and `StsToken`).
    Keys(Credentials),
    /// No credentials: requests are not signed.
    Anonymous,
    /// STS AssumeRole, asked with the credentials of another method (`RamRoleArn`, `ChainableRamRoleArn`).
    AssumeRole {
        /// Which role.
        role: AssumedRole,
        /// The credentials that request it.
        source: Box<CredentialSource>,
    },
    /// STS AssumeRoleWithOIDC (`OIDC`), as for pods of ACK and jobs of GitHub and GitLab.
    Oidc {
        /// Which role.
        role: AssumedRole,
        /// ARN of the identity provider.
        provider_arn: String,
        /// Where the provider's token comes from.
        token: OidcToken,
    },
    /// Temporary credentials that the aliyun CLI keeps for a user who logged in with a browser (`CloudSSO`). The CLI
    /// renews them whenever it is used; its file is read again when they have ended.
    CloudSso {
        /// The profile's name.
        profile: String,
        /// The credentials that the file held when it was read; none before the CLI has got any.
        keys: Option<Credentials>,
        /// The CLI's configuration file; without one the credentials are used until they end.
        file: Option<PathBuf>,
    },
    /// The role of the ECS instance, from its metadata service (`EcsRamRole`).
    EcsRole {
        /// The role's name; the metadata service provides it if it is not given.
        role_name: Option<String>,
        /// Whether the metadata service may be asked without a session token.
        imds_v1: bool,
    },
    /// A command that prints credentials as JSON (`Process`, `External`).
    Process {
        /// The command line, for `sh -c`. It may hold secrets.
        command: Secret,
        /// How long it may run.
        timeout: Duration,
    },
    /// An HTTP address that gives credentials as JSON (`CredentialsURI`). It may hold secrets.
    Uri(Secret),
}

impl CredentialSource {
    /// Returns the method in a few words, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Keys(keys) if keys.is_temporary() => {
                format!("temporary access key {}", keys.access_key_id)
            }
            Self::Keys(keys) => format!("access key {}", keys.access_key_id),
            Self::Anonymous => "no credentials (anonymous)".to_owned(),
            Self::AssumeRole { role, source } => format!("role {} by {}", role.arn, source.describe()),
            Self::Oidc { role, token, .. } => format!("role {} by {}", role.arn, token.describe()),
            Self::CloudSso { profile, .. } => {
                format!("CloudSSO login of the aliyun CLI, profile `{}`", profile.escape_debug())
            }
            Self::EcsRole { role_name: Some(name), .. } => format!("ECS instance role {name}"),
            Self::EcsRole { role_name: None, .. } => "ECS instance role".to_owned(),
            Self::Process { .. } => "credential process".to_owned(),
            Self::Uri(_) => "credentials URI".to_owned(),
        }
    }
}

/// A RAM role to be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// ARN of the role: `acs:ram::ACCOUNT:role/NAME`.
    pub arn: String,
    /// Name of the session, for the audit log.
    pub session_name: String,
    /// How long the credentials shall last; at least 900 s, at most the role's own limit ("AssumeRole" page).
    pub duration: Duration,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The region of the STS endpoint; the central one if nothing is given.
    pub sts_region: Option<Region>,
    /// Whether STS is asked by its endpoint inside a VPC; that needs a region.
    pub vpc: bool,
}

impl AssumedRole {
    /// Returns the role with default session name and duration.
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            session_name: DEFAULT_SESSION_NAME.to_owned(),
            duration: DEFAULT_ROLE_DURATION,
            external_id: None,
            sts_region: None,
            vpc: false,
        }
    }
}

/// Why a source of settings cannot be used. No text here holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file is too large to be a configuration.
    #[error("it has more than {MAX_CONFIG_BYTES} bytes and is not a configuration file")]
    TooLarge,
    /// The file is not text.
    #[error("it is not text in UTF-8")]
    NotText,
    /// A line of an INI file cannot be read. The line itself is not repeated: it may hold a secret.
    #[error("line {line} {reason}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A JSON file cannot be read.
    #[error("it is not JSON of the expected form (line {line}, column {column})")]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// The profile that was asked for is not there.
    #[error("it has no profile `{}`{}", name.escape_debug(), Known(known))]
    NoProfile {
        /// The name asked for.
        name: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// The profile's mode is none that works without a browser, or none at all.
    #[error(
        "profile `{}` has mode `{}`, which is not supported: use AK, StsToken, RamRoleArn, EcsRamRole, OIDC, \
         CloudSSO, a process or a credentials URI",
        profile.escape_debug(), mode.escape_debug()
    )]
    UnsupportedMode {
        /// The profile.
        profile: String,
        /// Its mode.
        mode: String,
    },
    /// A setting that the mode needs is missing.
    #[error("profile `{}` has mode {mode} but no `{setting}`", profile.escape_debug())]
    Missing {
        /// The profile.
        profile: String,
        /// Its mode.
        mode: &'static str,
        /// The name of the setting.
        setting: &'static str,
    },
    /// A setting has a value that cannot be meant. Secrets are not checked, so none is shown.
    #[error("`{setting}` of profile `{}` has the value `{}`: it {reason}",
        profile.escape_debug(), value.escape_debug())]
    BadValue {
        /// The profile.
        profile: String,
        /// The name of the setting.
        setting: &'static str,
        /// The value.
        value: String,
        /// What it should be, as the end of a sentence.
        reason: &'static str,
    },
    /// Profiles refer to each other in a circle, or too deep.
    #[error("profile `{}` refers to itself by its source profiles, or to more than {MAX_SOURCE_DEPTH} others",
        profile.escape_debug())]
    Circle {
        /// The profile at which reading ended.
        profile: String,
    },
    /// The variables of OIDC are set, and nothing says where the token comes from.
    #[error(
        "the environment names a role and an OIDC provider (`ALIBABA_CLOUD_OIDC_PROVIDER_ARN`) but no token: set \
         `ALIBABA_CLOUD_OIDC_TOKEN_FILE` to its file, or `OSSUP_OIDC_TOKEN_VARIABLE` to the name of the variable that \
         holds it; in GitHub Actions, grant the job `permissions: id-token: write`"
    )]
    NoOidcToken,
    /// The variable that shall hold the token does not.
    #[error("`OSSUP_OIDC_TOKEN_VARIABLE` names the variable `{}`, which is not set", name.escape_debug())]
    NoTokenVariable {
        /// The variable's name.
        name: String,
    },
    /// A variable is set whose partner is not.
    #[error("the environment has `{present}` but no `{missing}`: set both, or neither")]
    Half {
        /// The variable that is set.
        present: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
}

struct Known<'a>(&'a [String]);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(", and no other either");
        }
        f.write_str(", only")?;
        for (index, name) in self.0.iter().take(20).enumerate() {
            write!(f, "{} `{}`", if index == 0 { "" } else { "," }, name.escape_debug())?;
        }
        Ok(())
    }
}

/// Returns the text of a configuration file.
pub(super) fn text(bytes: &[u8]) -> Result<&str, ProfileError> {
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(ProfileError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ProfileError::NotText)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads settings of one profile and says which one is missing or wrong.
pub(super) struct Reader<'a, F> {
    pub(super) profile: &'a str,
    /// Returns the value of a setting, or nothing if it is absent or empty.
    pub(super) get: F,
}

impl<F: Fn(&str) -> Option<String>> Reader<'_, F> {
    pub(super) fn need(&self, mode: &'static str, setting: &'static str) -> Result<String, ProfileError> {
        (self.get)(setting).ok_or_else(|| ProfileError::Missing {
            profile: self.profile.to_owned(),
            mode,
            setting,
        })
    }

    pub(super) fn keys(
        &self,
        mode: &'static str,
        [id, secret, token]: [&'static str; 3],
        temporary: bool,
    ) -> Result<CredentialSource, ProfileError> {
        let keys = Credentials::new(self.need(mode, id)?, self.need(mode, secret)?);
        Ok(CredentialSource::Keys(if temporary { keys.with_token(self.need(mode, token)?) } else { keys }))
    }

    pub(super) fn bad(&self, setting: &'static str, value: &str, reason: &'static str) -> ProfileError {
        let value = value.chars().take(80).collect();
        ProfileError::BadValue { profile: self.profile.to_owned(), setting, value, reason }
    }

    pub(super) fn region(&self, setting: &'static str) -> Result<Option<Region>, ProfileError> {
        (self.get)(setting)
            .map(|value| {
                value.parse().map_err(|_| self.bad(setting, &value, "must be an id such as `cn-hangzhou`"))
            })
            .transpose()
    }

    pub(super) fn seconds(
        &self,
        setting: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        reason: &'static str,
    ) -> Result<Option<Duration>, ProfileError> {
        (self.get)(setting)
            .map(|value| {
                let seconds = value.parse().ok().filter(|seconds| bounds.contains(seconds));
                seconds.map(Duration::from_secs).ok_or_else(|| self.bad(setting, &value, reason))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_s_custom_domain_ranks_above_its_endpoint_and_the_general_one() {
        let entry = |bucket: &str, endpoint: &str, style| BucketEndpoint {
            bucket: bucket.to_owned(),
            endpoint: endpoint.to_owned(),
            style,
        };
        let profile = Profile {
            endpoint: Some("general".to_owned()),
            addressing_style: Some(AddressingStyle::Virtual),
            buckets: vec![
                entry("one", "own", None),
                entry("one", "custom", Some(AddressingStyle::Cname)),
                entry("two", "own2", None),
            ],
            ..Profile::default()
        };
        let bucket = |name: &str| name.parse::<BucketName>().unwrap();
        assert_eq!(profile.endpoint_of(Some(&bucket("one"))), Some(("custom", Some(AddressingStyle::Cname))));
        assert_eq!(profile.endpoint_of(Some(&bucket("two"))), Some(("own2", Some(AddressingStyle::Virtual))));
        let general = Some(("general", Some(AddressingStyle::Virtual)));
        assert_eq!(profile.endpoint_of(Some(&bucket("three"))), general);
        assert_eq!(profile.endpoint_of(None), general);
    }

    #[test]
    fn debug_of_a_method_shows_no_secret() {
        let method = CredentialSource::AssumeRole {
            role: AssumedRole::new("acs:ram::1:role/r"),
            source: Box::new(CredentialSource::Process {
                command: Secret::new("get --password hunter2"),
                timeout: DEFAULT_PROCESS_TIMEOUT,
            }),
        };
        assert!(!format!("{method:?}{}", method.describe()).contains("hunter2"));
        assert!(
            !format!("{:?}", CredentialSource::Uri(Secret::new("http://h/?hunter2"))).contains("hunter2")
        );
    }
}
