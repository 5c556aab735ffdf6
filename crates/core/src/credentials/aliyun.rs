//! `~/.aliyun/config.json`, the configuration of the aliyun CLI.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::profile::{
    AssumedRole, CredentialSource, MAX_SOURCE_DEPTH, Profile, ProfileError, ROLE_SECONDS, ROLE_SECONDS_RULE,
    Reader, text,
};
use super::{Credentials, OidcToken};
use crate::model::Secret;

/// How long the command of an `External` profile may run; the aliyun CLI's own limit.
const EXTERNAL_TIMEOUT: Duration = Duration::from_secs(60);
const KEYS: [&str; 3] = ["access_key_id", "access_key_secret", "sts_token"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Reads a profile; the file's current one if no name is given, else `default`.
///
/// # Errors
///
/// When the file is not of this form, the profile is not there, or lacks a setting that its mode needs.
pub fn parse(bytes: &[u8], name: Option<&str>) -> Result<Profile, ProfileError> {
    let file: File = serde_json::from_str(text(bytes)?)
        .map_err(|error| ProfileError::Json { line: error.line(), column: error.column() })?;
    let current = if file.current.is_empty() { "default" } else { &file.current };
    let name = name.unwrap_or(current);
    let fields = file.profile(name)?;
    let mut profile = Profile::new(name);
    profile.region = Reader { profile: name, get: |key: &str| field(fields, key) }.region("region_id")?;
    profile.method = file.method(name, 0)?;
    Ok(profile)
}

impl File {
    fn profile(&self, name: &str) -> Result<&serde_json::Map<String, serde_json::Value>, ProfileError> {
        self.profiles.iter().find(|fields| field(fields, "name").as_deref() == Some(name)).ok_or_else(|| {
            ProfileError::NoProfile {
                name: name.to_owned(),
                known: self.profiles.iter().filter_map(|fields| field(fields, "name")).collect(),
            }
        })
    }

    fn method(&self, name: &str, depth: usize) -> Result<Option<CredentialSource>, ProfileError> {
        if depth > MAX_SOURCE_DEPTH {
            return Err(ProfileError::Circle { profile: name.to_owned() });
        }
        let fields = self.profile(name)?;
        let reader = Reader { profile: name, get: |key: &str| field(fields, key) };
        let mode = field(fields, "mode").unwrap_or_else(|| "AK".to_owned());
        let assume = |role, source| CredentialSource::AssumeRole { role, source: Box::new(source) };
        let ecs_role =
            || CredentialSource::EcsRole { role_name: field(fields, "ram_role_name"), imds_v1: true };
        let method = match mode.as_str() {
            // `aliyun configure` writes an empty profile of this mode before anything is entered.
            "AK" if KEYS.iter().all(|key| field(fields, key).is_none()) => return Ok(None),
            "AK" => reader.keys("AK", KEYS, false)?,
            "StsToken" => reader.keys("StsToken", KEYS, true)?,
            "RamRoleArn" => assume(
                role(&reader, "RamRoleArn")?,
                reader.keys("RamRoleArn", KEYS, field(fields, "sts_token").is_some())?,
            ),
            "ChainableRamRoleArn" => {
                let source = reader.need("ChainableRamRoleArn", "source_profile")?;
                let method = self.method(&source, depth + 1)?.ok_or(ProfileError::Missing {
                    profile: source,
                    mode: "AK",
                    setting: KEYS[0],
                })?;
                assume(role(&reader, "ChainableRamRoleArn")?, method)
            }
            "EcsRamRole" => ecs_role(),
            "RamRoleArnWithRoleName" => assume(role(&reader, "RamRoleArnWithRoleName")?, ecs_role()),
            "OIDC" => CredentialSource::Oidc {
                role: role(&reader, "OIDC")?,
                provider_arn: reader.need("OIDC", "oidc_provider_arn")?,
                token: OidcToken::File(reader.need("OIDC", "oidc_token_file")?.into()),
            },
            "External" => CredentialSource::Process {
                command: Secret::new(reader.need("External", "process_command")?),
                timeout: EXTERNAL_TIMEOUT,
            },
            "CredentialsURI" => {
                CredentialSource::Uri(Secret::new(reader.need("CredentialsURI", "credentials_uri")?))
            }
            "CloudSSO" => {
                reader.need("CloudSSO", "cloud_sso_sign_in_url")?;
                CredentialSource::CloudSso { profile: name.to_owned(), keys: kept(&reader)?, file: None }
            }
            "Anonymous" => CredentialSource::Anonymous,
            _ => return Err(ProfileError::UnsupportedMode { profile: name.to_owned(), mode }),
        };
        Ok(Some(method))
    }
}

/// Returns the temporary credentials that the CLI keeps in a profile of a login by browser. The CLI writes when they end
/// in seconds since 1970, already a little early (`aliyun/aliyun-cli:config/profile.go`).
fn kept<F: Fn(&str) -> Option<String>>(reader: &Reader<'_, F>) -> Result<Option<Credentials>, ProfileError> {
    let [id, secret, token] = KEYS.map(&reader.get);
    let (Some(id), Some(secret), Some(token)) = (id, secret, token) else { return Ok(None) };
    let keys = Credentials::new(id, secret).with_token(token);
    let Some(text) = (reader.get)("sts_expiration").filter(|text| text != "0") else { return Ok(Some(keys)) };
    let end = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let bad = || reader.bad("sts_expiration", &text, "must be seconds since 1970");
    Ok(Some(keys.with_expiry(end.ok_or_else(bad)?)))
}

fn role<F: Fn(&str) -> Option<String>>(
    reader: &Reader<'_, F>,
    mode: &'static str,
) -> Result<AssumedRole, ProfileError> {
    let mut role = AssumedRole::new(reader.need(mode, "ram_role_arn")?);
    if let Some(name) = (reader.get)("ram_session_name") {
        role.session_name = name;
    }
    // 0 is what the CLI writes for "not given".
    if (reader.get)("expired_seconds").is_some_and(|seconds| seconds != "0") {
        role.duration =
            reader.seconds("expired_seconds", ROLE_SECONDS, ROLE_SECONDS_RULE)?.unwrap_or(role.duration);
    }
    role.external_id = (reader.get)("external_id");
    role.sts_region = reader.region("sts_region")?;
    Ok(role)
}

/// Returns a field's text, or a number's; nothing if it is empty.
fn field(fields: &serde_json::Map<String, serde_json::Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(profile: &str) -> Vec<u8> {
        let base = r#"{"name":"base","mode":"AK","access_key_id":"id","access_key_secret":"secret",
                       "sts_token":"","region_id":"cn-hangzhou","output_format":"json"}"#;
        format!(r#"{{"current":"base","profiles":[{base},{profile}],"meta_path":""}}"#).into_bytes()
    }

    fn method(profile: &str) -> CredentialSource {
        parse(&with(&format!(r#"{{"name":"p",{profile}}}"#)), Some("p")).unwrap().method.unwrap()
    }

    fn refusal(profile: &str) -> String {
        parse(&with(&format!(r#"{{"name":"p",{profile}}}"#)), Some("p")).unwrap_err().to_string()
    }

    #[test]
    fn the_current_profile_is_the_default() {
        let profile = parse(&with("{}"), None).unwrap();
        assert_eq!(profile.name, "base");
        assert_eq!(profile.method, Some(CredentialSource::Keys(Credentials::new("id", "secret"))));
        assert_eq!(profile.region.unwrap().as_str(), "cn-hangzhou");
    }

    #[test]
    fn every_mode_that_needs_no_browser_is_read() {
        let base = CredentialSource::Keys(Credentials::new("id", "secret"));
        assert_eq!(
            method(r#""mode":"StsToken","access_key_id":"i","access_key_secret":"s","sts_token":"t""#),
            CredentialSource::Keys(Credentials::new("i", "s").with_token("t"))
        );
        let chained = r#""mode":"ChainableRamRoleArn","source_profile":"base","ram_role_arn":"arn",
                         "ram_session_name":"me","expired_seconds":1800,"external_id":"x","sts_region":"cn-beijing""#;
        let CredentialSource::AssumeRole { role, source } = method(chained) else { panic!() };
        assert_eq!((role.duration.as_secs(), role.external_id.as_deref()), (1800, Some("x")));
        assert_eq!(*source, base);
        assert!(matches!(
            method(r#""mode":"RamRoleArn","access_key_id":"i","access_key_secret":"s","ram_role_arn":"a","expired_seconds":0"#),
            CredentialSource::AssumeRole { role, .. } if role.duration.as_secs() == 3600
        ));
        let worker = CredentialSource::EcsRole { role_name: Some("w".to_owned()), imds_v1: true };
        assert_eq!(method(r#""mode":"EcsRamRole","ram_role_name":"w""#), worker);
        assert!(matches!(
            method(r#""mode":"RamRoleArnWithRoleName","ram_role_name":"w","ram_role_arn":"a""#),
            CredentialSource::AssumeRole { source, .. } if *source == worker
        ));
        assert!(matches!(
            method(r#""mode":"OIDC","ram_role_arn":"a","oidc_provider_arn":"p","oidc_token_file":"/t""#),
            CredentialSource::Oidc { .. }
        ));
        assert_eq!(
            method(r#""mode":"External","process_command":"get it""#),
            CredentialSource::Process { command: Secret::new("get it"), timeout: EXTERNAL_TIMEOUT }
        );
        assert!(matches!(
            method(r#""mode":"CredentialsURI","credentials_uri":"http://h""#),
            CredentialSource::Uri(_)
        ));
        assert_eq!(method(r#""mode":"Anonymous""#), CredentialSource::Anonymous);
    }

    #[test]
    fn a_login_by_browser_is_used_for_as_long_as_the_cli_keeps_credentials() {
        let login = r#""mode":"CloudSSO","cloud_sso_sign_in_url":"https://signin-x.alibabacloudsso.com/device/login""#;
        let keys = |more: &str| match method(&format!("{login}{more}")) {
            CredentialSource::CloudSso { profile, keys, file: None } if profile == "p" => keys,
            other => panic!("{other:?}"),
        };
        assert_eq!(keys(""), None);
        let pair = r#","access_key_id":"STS.a","access_key_secret":"s","sts_token":"t""#;
        let known = Credentials::new("STS.a", "s").with_token("t");
        assert_eq!(keys(pair), Some(known.clone()));
        let end = "2026-01-01T06:00:00Z".parse().unwrap();
        assert_eq!(keys(&format!("{pair},\"sts_expiration\":1767247200")), Some(known.with_expiry(end)));
        assert!(refusal(&format!("{login}{pair},\"sts_expiration\":\"soon\"")).contains("since 1970"));
        assert!(refusal(r#""mode":"CloudSSO""#).contains("`cloud_sso_sign_in_url`"));
    }

    #[test]
    fn what_cannot_be_used_is_said_by_name() {
        for mode in ["OAuth", "BearerToken", "RsaKeyPair"] {
            assert!(refusal(&format!(r#""mode":"{mode}""#)).contains(&format!("mode `{mode}`")));
        }
        assert!(refusal(r#""mode":"OIDC","ram_role_arn":"a""#).contains("`oidc_provider_arn`"));
        assert!(
            refusal(r#""mode":"ChainableRamRoleArn","source_profile":"p","ram_role_arn":"a""#)
                .contains("refers to itself")
        );
        assert!(
            refusal(r#""mode":"ChainableRamRoleArn","source_profile":"q","ram_role_arn":"a""#)
                .contains("no profile `q`")
        );
        assert!(refusal(r#""access_key_id":"i""#).contains("no `access_key_secret`"));
        assert!(refusal(r#""mode":"RamRoleArn","access_key_id":"i","access_key_secret":"s","ram_role_arn":"a","expired_seconds":5"#)
            .contains("900 to 43200"));
    }

    #[test]
    fn an_empty_profile_says_nothing() {
        let file = br#"{"current":"","profiles":[{"name":"default","mode":"AK","access_key_id":""}]}"#;
        assert_eq!(parse(file, None).unwrap().method, None);
    }

    #[test]
    fn broken_json_names_the_place_and_repeats_nothing() {
        let error =
            parse(b"{\"profiles\":[\n{\"access_key_secret\": hunter2}]}", None).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }
}
