//! `~/.ossutilconfig`, in the layout of ossutil 1 (`[Credentials]`) and of ossutil 2 (`[default]`,
//! `[profile NAME]`, `[buckets NAME]`).

use super::OidcToken;
use super::ini::{self, Section, normal};
use super::profile::{
    AssumedRole, BucketEndpoint, CredentialSource, DEFAULT_PROCESS_TIMEOUT, MAX_SOURCE_DEPTH, Profile,
    ProfileError, ROLE_SECONDS, ROLE_SECONDS_RULE, Reader, text,
};
use crate::model::{AddressingStyle, Region, Secret};

const KEYS: [&str; 3] = ["accessKeyID", "accessKeySecret", "stsToken"];

/// Reads a profile; `default` if no name is given.
///
/// # Errors
///
/// When the file is not of this form, the profile is not there, or lacks a setting that its mode needs.
pub fn parse(bytes: &[u8], name: Option<&str>) -> Result<Profile, ProfileError> {
    let file = File(ini::sections(text(bytes)?)?);
    let name = name.unwrap_or("default");
    let section = file.profile(name)?;
    let reader = Reader { profile: name, get: |key: &str| section.get(key) };
    let mut profile = Profile::new(name);
    profile.region = reader.region("region")?;
    profile.endpoint = section.get("endpoint");
    profile.addressing_style = style(&reader)?;
    profile.buckets = file.buckets()?;
    profile.method = file.method(name, 0)?;
    Ok(profile)
}

struct File<'a>(Vec<Section<'a>>);

impl<'a> File<'a> {
    fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.0.iter().find(|section| section.name.eq_ignore_ascii_case(name))
    }

    /// Returns the section of a profile. A file with `[Credentials]` is one of version 1, whose `[Default]` is no
    /// profile.
    fn profile(&self, name: &str) -> Result<&Section<'a>, ProfileError> {
        let first_version = self.section("Credentials");
        let found = match (first_version, name) {
            (Some(section), "default") => Some(section),
            (Some(_), _) => None,
            (None, _) => {
                let named = self.0.iter().find(|section| after_word(section.name, "profile") == Some(name));
                named.or_else(|| (name == "default").then(|| self.section("default")).flatten())
            }
        };
        found.ok_or_else(|| ProfileError::NoProfile {
            name: name.to_owned(),
            known: if first_version.is_some() { vec!["default".to_owned()] } else { self.names() },
        })
    }

    fn names(&self) -> Vec<String> {
        let name = |section: &Section<'_>| match after_word(section.name, "profile") {
            Some(name) => Some(name.to_owned()),
            None => section.name.eq_ignore_ascii_case("default").then(|| "default".to_owned()),
        };
        self.0.iter().filter_map(name).collect()
    }

    fn buckets(&self) -> Result<Vec<BucketEndpoint>, ProfileError> {
        let mut buckets = Vec::new();
        for section in &self.0 {
            let own_style = match section.name.to_ascii_lowercase().as_str() {
                "bucket-endpoint" => Some(None),
                "bucket-cname" => Some(Some(AddressingStyle::Cname)),
                _ => None,
            };
            if let Some(style) = own_style {
                buckets.extend(section.entries.iter().filter(|(_, endpoint)| !endpoint.is_empty()).map(
                    |(bucket, endpoint)| BucketEndpoint {
                        bucket: (*bucket).to_owned(),
                        endpoint: (*endpoint).to_owned(),
                        style,
                    },
                ));
            } else if let Some(bucket) = after_word(section.name, "buckets")
                && let Some(endpoint) = section.get("endpoint")
            {
                let reader = Reader { profile: section.name, get: |key: &str| section.get(key) };
                buckets.push(BucketEndpoint { bucket: bucket.to_owned(), endpoint, style: style(&reader)? });
            }
        }
        Ok(buckets)
    }

    fn method(&self, name: &str, depth: usize) -> Result<Option<CredentialSource>, ProfileError> {
        if depth > MAX_SOURCE_DEPTH {
            return Err(ProfileError::Circle { profile: name.to_owned() });
        }
        let section = self.profile(name)?;
        let reader = Reader { profile: name, get: |key: &str| section.get(key) };
        let get = &reader.get;
        let Some(mode) = get("mode") else {
            return implied(section, &reader);
        };
        let method = match normal(&mode).as_str() {
            "ak" => reader.keys("AK", KEYS, false)?,
            "ststoken" => reader.keys("StsToken", KEYS, true)?,
            "ramrolearn" | "chainableramrolearn" => {
                let source = match get("source-profile") {
                    Some(source) => self.method(&source, depth + 1)?.ok_or(ProfileError::Missing {
                        profile: source,
                        mode: "AK",
                        setting: KEYS[0],
                    })?,
                    None => reader.keys("RamRoleArn", KEYS, get(KEYS[2]).is_some())?,
                };
                CredentialSource::AssumeRole { role: role(&reader, "RamRoleArn")?, source: Box::new(source) }
            }
            "ecsramrole" => CredentialSource::EcsRole {
                role_name: get("ecsRoleName").or_else(|| self.role_of_url()),
                imds_v1: true,
            },
            "oidcrolearn" | "oidc" => CredentialSource::Oidc {
                role: role(&reader, "oidcRoleArn")?,
                provider_arn: reader.need("oidcRoleArn", "oidcProviderArn")?,
                token: OidcToken::File(reader.need("oidcRoleArn", "oidcTokenFilePath")?.into()),
            },
            "process" => process(&reader)?,
            "credentialsuri" | "credentialuri" => {
                CredentialSource::Uri(Secret::new(reader.need("CredentialsURI", "credentialUri")?))
            }
            "anonymous" => CredentialSource::Anonymous,
            _ => return Err(ProfileError::UnsupportedMode { profile: name.to_owned(), mode }),
        };
        Ok(Some(method))
    }

    /// Version 1 may give the whole URL of the metadata service, whose last segment is the role's name.
    fn role_of_url(&self) -> Option<String> {
        let url = self.section("AkService")?.get("ecsAk")?;
        let name = url.trim_end_matches('/').rsplit('/').next()?;
        (!name.is_empty() && !name.eq_ignore_ascii_case("security-credentials")).then(|| name.to_owned())
    }
}

/// Without a mode it follows from the keys, as in version 1.
fn implied<F: Fn(&str) -> Option<String>>(
    section: &Section<'_>,
    reader: &Reader<'_, F>,
) -> Result<Option<CredentialSource>, ProfileError> {
    if KEYS.iter().any(|key| section.get(key).is_some()) {
        return reader.keys("AK", KEYS, section.get(KEYS[2]).is_some()).map(Some);
    }
    if section.get("credentialProcess").is_some() {
        return process(reader).map(Some);
    }
    Ok(section.get("credentialUri").map(|uri| CredentialSource::Uri(Secret::new(uri))))
}

fn process<F: Fn(&str) -> Option<String>>(reader: &Reader<'_, F>) -> Result<CredentialSource, ProfileError> {
    let timeout = reader.seconds("credentialProcessTimeout", 1..=600, "must be 1 to 600 (seconds)")?;
    Ok(CredentialSource::Process {
        command: Secret::new(reader.need("Process", "credentialProcess")?),
        timeout: timeout.unwrap_or(DEFAULT_PROCESS_TIMEOUT),
    })
}

fn role<F: Fn(&str) -> Option<String>>(
    reader: &Reader<'_, F>,
    mode: &'static str,
) -> Result<AssumedRole, ProfileError> {
    let mut role = AssumedRole::new(match (reader.get)("ramRoleArn") {
        Some(arn) => arn,
        None => reader.need(mode, "roleArn")?,
    });
    if let Some(name) = (reader.get)("roleSessionName") {
        role.session_name = name;
    }
    if let Some(duration) = reader.seconds("tokenTimeOut", ROLE_SECONDS, ROLE_SECONDS_RULE)? {
        role.duration = duration;
    }
    role.external_id = (reader.get)("externalId");
    role.sts_region = sts_region(reader)?;
    Ok(role)
}

/// Version 1 takes a region or the host of an STS endpoint here.
fn sts_region<F: Fn(&str) -> Option<String>>(reader: &Reader<'_, F>) -> Result<Option<Region>, ProfileError> {
    let Some(written) = (reader.get)("stsRegion") else { return Ok(None) };
    let host = written.trim_end_matches(".aliyuncs.com");
    if host == "sts" {
        return Ok(None);
    }
    let region = host.strip_prefix("sts.").unwrap_or(host);
    region.parse().map(Some).map_err(|_| {
        reader.bad("stsRegion", &written, "must be an id such as `cn-hangzhou`, or a host of STS")
    })
}

fn style<F: Fn(&str) -> Option<String>>(
    reader: &Reader<'_, F>,
) -> Result<Option<AddressingStyle>, ProfileError> {
    let Some(written) = (reader.get)("addressing-style") else { return Ok(None) };
    match written.to_ascii_lowercase().as_str() {
        "virtual" => Ok(Some(AddressingStyle::Virtual)),
        "path" => Ok(Some(AddressingStyle::Path)),
        "cname" => Ok(Some(AddressingStyle::Cname)),
        _ => Err(reader.bad("addressing-style", &written, "must be virtual, path or cname")),
    }
}

/// Returns what follows `word` and white space in a section's name.
fn after_word<'a>(name: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = name.split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(word).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::credentials::Credentials;

    fn read(text: &str, name: Option<&str>) -> Profile {
        parse(text.as_bytes(), name).unwrap()
    }

    fn refusal(text: &str, name: Option<&str>) -> String {
        parse(text.as_bytes(), name).unwrap_err().to_string()
    }

    #[test]
    fn version_1_holds_one_profile() {
        let text = "[Credentials]\nlanguage=EN\nendpoint=oss-cn-hangzhou.aliyuncs.com\naccessKeyID=id\n\
                    accessKeySecret=se=cret;\n[Bucket-Endpoint]\none=oss-cn-beijing.aliyuncs.com\n\
                    [Bucket-Cname]\ntwo=img.example.com\n[Default]\nloglevel=info\n";
        let profile = read(text, None);
        assert_eq!(profile.method, Some(CredentialSource::Keys(Credentials::new("id", "se=cret;"))));
        assert_eq!(profile.endpoint.as_deref(), Some("oss-cn-hangzhou.aliyuncs.com"));
        assert_eq!(profile.buckets.len(), 2);
        assert_eq!(profile.buckets[1].style, Some(AddressingStyle::Cname));
        assert!(refusal(text, Some("prod")).contains("no profile `prod`, only `default`"));
    }

    #[test]
    fn version_1_without_a_mode_takes_the_token_if_there_is_one() {
        let text = "[Credentials]\naccessKeyID=STS.id\naccessKeySecret=s\nstsToken=t\n";
        assert_eq!(
            read(text, None).method,
            Some(CredentialSource::Keys(Credentials::new("STS.id", "s").with_token("t")))
        );
        assert_eq!(read("[Credentials]\nlanguage=EN\n", None).method, None);
        assert!(refusal("[Credentials]\naccessKeyID=id\n", None).contains("no `accessKeySecret`"));
    }

    #[test]
    fn version_1_roles() {
        let text = "[Credentials]\nmode=RamRoleArn\naccessKeyID=id\naccessKeySecret=s\nramRoleArn=arn\n\
                    roleSessionName=me\ntokenTimeOut=900\nstsRegion=sts.cn-beijing.aliyuncs.com\n";
        let Some(CredentialSource::AssumeRole { role, source }) = read(text, None).method else { panic!() };
        assert_eq!((role.arn.as_str(), role.session_name.as_str()), ("arn", "me"));
        assert_eq!(role.duration, Duration::from_secs(900));
        assert_eq!(role.sts_region.unwrap().as_str(), "cn-beijing");
        assert_eq!(*source, CredentialSource::Keys(Credentials::new("id", "s")));
        let ecs = "[Credentials]\nmode=EcsRamRole\n[AkService]\n\
                   ecsAk=http://100.100.100.200/latest/meta-data/Ram/security-credentials/worker\n";
        assert_eq!(
            read(ecs, None).method,
            Some(CredentialSource::EcsRole { role_name: Some("worker".to_owned()), imds_v1: true })
        );
    }

    const SECOND: &str = "\
# comment
[Default]
access_key_id = 'id'
ACCESS-KEY-SECRET = \"secret\"
region = cn-shanghai
addressing-style = path

[profile role]
mode = RamRoleArn
roleArn = acs:ram::1:role/r
source-profile = default
[profile oidc]
mode = oidcRoleArn
roleArn = arn
oidcProviderArn = provider
oidcTokenFilePath = /var/run/token
[profile run]
mode = Process
credentialProcess = get creds --now
credentialProcessTimeout = 30
[profile open]
mode = Anonymous
[profile sso]
mode = CloudSSO
[profile loop]
mode = RamRoleArn
roleArn = arn
source-profile = loop
[buckets images]
endpoint = oss-cn-beijing-internal.aliyuncs.com
";

    #[test]
    fn version_2_profiles_and_modes() {
        let profile = read(SECOND, None);
        assert_eq!(profile.method, Some(CredentialSource::Keys(Credentials::new("id", "secret"))));
        assert_eq!(profile.region.as_ref().unwrap().as_str(), "cn-shanghai");
        assert_eq!(profile.addressing_style, Some(AddressingStyle::Path));
        assert_eq!(profile.buckets[0].bucket, "images");

        let method = |name: &str| read(SECOND, Some(name)).method.unwrap();
        assert!(matches!(method("role"), CredentialSource::AssumeRole { source, .. }
            if *source == CredentialSource::Keys(Credentials::new("id", "secret"))));
        assert!(matches!(method("oidc"), CredentialSource::Oidc { token: OidcToken::File(path), .. }
            if path.to_str() == Some("/var/run/token")));
        assert_eq!(
            method("run"),
            CredentialSource::Process {
                command: Secret::new("get creds --now"),
                timeout: Duration::from_secs(30)
            }
        );
        assert_eq!(method("open"), CredentialSource::Anonymous);
    }

    #[test]
    fn what_cannot_be_used_is_said_by_name() {
        assert!(refusal(SECOND, Some("sso")).contains("mode `CloudSSO`"));
        assert!(refusal(SECOND, Some("loop")).contains("refers to itself"));
        assert!(refusal(SECOND, Some("none")).contains("only `default`, `role`, `oidc`"));
        assert!(
            refusal("[default]\nmode=StsToken\naccessKeyID=i\naccessKeySecret=s\n", None)
                .contains("mode StsToken but no `stsToken`")
        );
        assert!(refusal("[default]\nregion=Here!\n", None).contains("`region`"));
        assert!(
            refusal("[default]\nmode=Process\ncredentialProcess=x\ncredentialProcessTimeout=0\n", None)
                .contains("1 to 600")
        );
    }
}
