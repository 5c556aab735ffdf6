//! The environment variables of OSS tools (`OSS_*`) and of Alibaba Cloud's SDKs (`ALIBABA_CLOUD_*`), by a lookup
//! that the caller gives. An empty variable counts as unset.

use std::path::PathBuf;

use super::profile::{
    AssumedRole, CredentialSource, Profile, ProfileError, ROLE_SECONDS, ROLE_SECONDS_RULE, Reader,
};
use super::{Credentials, DEFAULT_AUDIENCE, OidcToken};
use crate::model::Secret;

/// Looks up one environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Returns what the variables `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET`, `OSS_SESSION_TOKEN`,
/// `OSS_ROLE_ARN`, `OSS_ROLE_SESSION_NAME`, `OSS_REGION` and `OSS_ENDPOINT` say.
///
/// # Errors
///
/// When a variable is set whose partner is not, or the region is none.
pub fn oss(lookup: Lookup<'_>) -> Result<Profile, ProfileError> {
    let get = set(lookup);
    let mut profile = Profile::new("OSS_*");
    profile.region = Reader { profile: &profile.name, get: &get }.region("OSS_REGION")?;
    profile.endpoint = get("OSS_ENDPOINT");
    profile.method = keys(&get, ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"])?;
    if let Some(arn) = get("OSS_ROLE_ARN") {
        let source = profile
            .method
            .take()
            .ok_or(ProfileError::Half { present: "OSS_ROLE_ARN", missing: "OSS_ACCESS_KEY_ID" })?;
        let mut role = AssumedRole::new(arn);
        if let Some(name) = get("OSS_ROLE_SESSION_NAME") {
            role.session_name = name;
        }
        profile.method = Some(CredentialSource::AssumeRole { role, source: Box::new(source) });
    }
    Ok(profile)
}

/// Returns what the variables `ALIBABA_CLOUD_*` say: a key pair, a role, OIDC, the ECS instance's role or a
/// credentials URI, and `ALIBABA_CLOUD_REGION_ID`. The first of these that is set counts.
///
/// A key pair together with `ALIBABA_CLOUD_ROLE_ARN` means that the role is assumed, unless the variables of
/// OIDC are there too: a cluster sets those for every pod, and then the pair alone is what the user meant.
///
/// OIDC takes its token from the variable that `OSSUP_OIDC_TOKEN_VARIABLE` names, from
/// `ALIBABA_CLOUD_OIDC_TOKEN_FILE`, or from the endpoint of GitHub Actions (`ACTIONS_ID_TOKEN_REQUEST_URL` and
/// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, with the audience of `OSSUP_OIDC_AUDIENCE`).
///
/// # Errors
///
/// When a variable is set whose partner is not, or the region is none.
pub fn alibaba_cloud(lookup: Lookup<'_>) -> Result<Profile, ProfileError> {
    let get = set(lookup);
    let mut profile = Profile::new("ALIBABA_CLOUD_*");
    let reader = Reader { profile: &profile.name, get: &get };
    let region = reader.region("ALIBABA_CLOUD_REGION_ID")?;
    let sts_region = reader.region("ALIBABA_CLOUD_STS_REGION")?;
    let duration =
        reader.seconds("ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION", ROLE_SECONDS, ROLE_SECONDS_RULE)?;
    profile.region = region;

    let pair = keys(
        &get,
        ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"],
    )?;
    let oidc_provider = get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN");
    let role = get("ALIBABA_CLOUD_ROLE_ARN").map(|arn| {
        let mut role = AssumedRole::new(arn);
        if let Some(name) = get("ALIBABA_CLOUD_ROLE_SESSION_NAME") {
            role.session_name = name;
        }
        role.duration = duration.unwrap_or(role.duration);
        role.external_id = get("ALIBABA_CLOUD_EXTERNAL_ID");
        role.vpc = sts_region.is_some() && is_true(&get, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
        role.sts_region = sts_region;
        role
    });
    profile.method = match (pair, role, oidc_provider) {
        (Some(pair), Some(role), None) => Some(CredentialSource::AssumeRole { role, source: Box::new(pair) }),
        (Some(pair), _, _) => Some(pair),
        (None, Some(role), Some(provider_arn)) => {
            Some(CredentialSource::Oidc { role, provider_arn, token: oidc_token(&get)? })
        }
        (None, None, Some(_)) => {
            return Err(ProfileError::Half {
                present: "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
                missing: "ALIBABA_CLOUD_ROLE_ARN",
            });
        }
        (None, _, None) => asked_for(&get),
    };
    Ok(profile)
}

/// Whether `ALIBABA_CLOUD_IMDSV1_DISABLED` allows the metadata service to be asked without a session token.
pub fn imds_v1_allowed(lookup: Lookup<'_>) -> bool {
    !is_true(&set(lookup), "ALIBABA_CLOUD_IMDSV1_DISABLED")
}

/// Where the token of the identity provider comes from: the variable that `OSSUP_OIDC_TOKEN_VARIABLE` names, the file of
/// the vendor's SDKs, or the endpoint that GitHub Actions gives to a job which may ask it. The most deliberate counts.
fn oidc_token(get: &dyn Fn(&str) -> Option<String>) -> Result<OidcToken, ProfileError> {
    if let Some(name) = get("OSSUP_OIDC_TOKEN_VARIABLE") {
        let Some(token) = get(&name) else { return Err(ProfileError::NoTokenVariable { name }) };
        let origin = format!("the variable `{}`", name.escape_debug());
        return Ok(OidcToken::Given { token: Secret::new(token), origin });
    }
    if let Some(path) = get("ALIBABA_CLOUD_OIDC_TOKEN_FILE") {
        return Ok(OidcToken::File(PathBuf::from(path)));
    }
    match (get("ACTIONS_ID_TOKEN_REQUEST_URL"), get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) {
        (Some(url), Some(token)) => Ok(OidcToken::Endpoint {
            url: Secret::new(url),
            request_token: Secret::new(token),
            audience: get("OSSUP_OIDC_AUDIENCE").unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()),
        }),
        _ => Err(ProfileError::NoOidcToken),
    }
}

/// What must be asked for elsewhere: the instance's role, or a URI.
fn asked_for(get: &dyn Fn(&str) -> Option<String>) -> Option<CredentialSource> {
    if let Some(name) = get("ALIBABA_CLOUD_ECS_METADATA")
        && !is_true(get, "ALIBABA_CLOUD_ECS_METADATA_DISABLED")
    {
        let imds_v1 = !is_true(get, "ALIBABA_CLOUD_IMDSV1_DISABLED");
        return Some(CredentialSource::EcsRole { role_name: Some(name), imds_v1 });
    }
    get("ALIBABA_CLOUD_CREDENTIALS_URI").map(|uri| CredentialSource::Uri(Secret::new(uri)))
}

fn keys(
    get: &dyn Fn(&str) -> Option<String>,
    [id, secret, token]: [&'static str; 3],
) -> Result<Option<CredentialSource>, ProfileError> {
    let half = |present, missing| Err(ProfileError::Half { present, missing });
    match (get(id), get(secret), get(token)) {
        (Some(key), Some(text), Some(token)) => {
            Ok(Some(CredentialSource::Keys(Credentials::new(key, text).with_token(token))))
        }
        (Some(key), Some(text), None) => Ok(Some(CredentialSource::Keys(Credentials::new(key, text)))),
        (Some(_), None, _) => half(id, secret),
        (None, Some(_), _) => half(secret, id),
        (None, None, Some(_)) => half(token, id),
        (None, None, None) => Ok(None),
    }
}

fn is_true(get: &dyn Fn(&str) -> Option<String>, name: &str) -> bool {
    get(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}

fn set<'a>(lookup: Lookup<'a>) -> impl Fn(&str) -> Option<String> + 'a {
    move |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(pairs: &[(&str, &str)], read: impl Fn(Lookup<'_>) -> T) -> T {
        read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_pair_and_its_token_come_together() {
        let profile = with(
            &[
                ("OSS_ACCESS_KEY_ID", "id"),
                ("OSS_ACCESS_KEY_SECRET", " secret\n"),
                ("OSS_REGION", "oss-cn-beijing"),
                ("OSS_ENDPOINT", "internal"),
            ],
            oss,
        )
        .unwrap();
        assert_eq!(profile.method, Some(CredentialSource::Keys(Credentials::new("id", "secret"))));
        assert_eq!(profile.region.unwrap().as_str(), "cn-beijing");
        assert_eq!(profile.endpoint.as_deref(), Some("internal"));

        let profile = with(
            &[
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", "id"),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
                ("ALIBABA_CLOUD_SECURITY_TOKEN", "token"),
            ],
            alibaba_cloud,
        )
        .unwrap();
        assert_eq!(
            profile.method,
            Some(CredentialSource::Keys(Credentials::new("id", "secret").with_token("token")))
        );
    }

    #[test]
    fn half_a_pair_names_the_missing_variable() {
        for (variables, missing) in [
            (&[("OSS_ACCESS_KEY_ID", "id")][..], "`OSS_ACCESS_KEY_SECRET`"),
            (&[("OSS_ACCESS_KEY_SECRET", "s")][..], "`OSS_ACCESS_KEY_ID`"),
            (&[("OSS_ACCESS_KEY_ID", "id"), ("OSS_ACCESS_KEY_SECRET", "")][..], "`OSS_ACCESS_KEY_SECRET`"),
            (&[("OSS_SESSION_TOKEN", "t")][..], "`OSS_ACCESS_KEY_ID`"),
            (&[("OSS_ROLE_ARN", "acs:ram::1:role/r")][..], "`OSS_ACCESS_KEY_ID`"),
        ] {
            let error = with(variables, oss).unwrap_err().to_string();
            assert!(error.contains(&format!("no {missing}")), "{variables:?}: {error}");
        }
        let error = with(&[("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p")], alibaba_cloud).unwrap_err();
        assert!(error.to_string().contains("ALIBABA_CLOUD_ROLE_ARN"));
    }

    #[test]
    fn the_families_do_not_mix() {
        let variables = [("OSS_ACCESS_KEY_ID", "id"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")];
        assert!(with(&variables, oss).is_err());
        assert!(with(&variables, alibaba_cloud).is_err());
        assert_eq!(with(&[], oss).unwrap().method, None);
        assert_eq!(with(&[], alibaba_cloud).unwrap().method, None);
    }

    #[test]
    fn a_role_needs_a_pair_or_oidc() {
        let pair = [("ALIBABA_CLOUD_ACCESS_KEY_ID", "id"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")];
        let role = [("ALIBABA_CLOUD_ROLE_ARN", "arn"), ("ALIBABA_CLOUD_ROLE_SESSION_NAME", "me")];
        let oidc =
            [("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "provider"), ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token")];
        let read = |parts: &[&[(&str, &str)]]| with(&parts.concat(), alibaba_cloud).unwrap().method;

        let Some(CredentialSource::AssumeRole { role: assumed, source }) = read(&[&pair, &role]) else {
            panic!()
        };
        assert_eq!((assumed.arn.as_str(), assumed.session_name.as_str()), ("arn", "me"));
        assert_eq!(*source, CredentialSource::Keys(Credentials::new("id", "secret")));
        assert!(matches!(read(&[&role, &oidc]), Some(CredentialSource::Oidc { .. })));
        assert!(matches!(read(&[&pair, &role, &oidc]), Some(CredentialSource::Keys(_))));
        assert_eq!(read(&[&role]), None);
    }

    #[test]
    fn the_token_comes_from_the_variable_named_or_from_the_file_or_from_the_endpoint_of_the_job() {
        let role = [("ALIBABA_CLOUD_ROLE_ARN", "arn"), ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "provider")];
        let named = [("OSSUP_OIDC_TOKEN_VARIABLE", "OSS_ID_TOKEN"), ("OSS_ID_TOKEN", "hunter2\n")];
        let file = [("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token")];
        let job = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://run.example/t?hunter2=1"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hunter2"),
        ];
        let read = |parts: &[&[(&str, &str)]]| with(&[&[&role[..]], parts].concat().concat(), alibaba_cloud);
        let token = |parts: &[&[(&str, &str)]]| match read(parts).unwrap().method {
            Some(CredentialSource::Oidc { token, .. }) => token,
            other => panic!("{other:?}"),
        };
        assert!(matches!(token(&[&named, &file, &job]),
            OidcToken::Given { token, .. } if token.expose() == "hunter2"));
        assert_eq!(token(&[&file, &job]), OidcToken::File(PathBuf::from("/token")));
        let endpoint = |audience: &str| OidcToken::Endpoint {
            url: Secret::new(job[0].1),
            request_token: Secret::new(job[1].1),
            audience: audience.to_owned(),
        };
        assert_eq!(token(&[&job]), endpoint(DEFAULT_AUDIENCE));
        assert_eq!(token(&[&job, &[("OSSUP_OIDC_AUDIENCE", "sts")]]), endpoint("sts"));
        for parts in [&[&named[..]][..], &[&job]] {
            let method = read(parts).unwrap().method.unwrap();
            let shown = format!("{method:?} {}", method.describe());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let error = |parts: &[&[(&str, &str)]]| read(parts).unwrap_err().to_string();
        assert!(error(&[&named[..1], &file]).contains("`OSS_ID_TOKEN`, which is not set"));
        for parts in [&[][..], &[&job[..1]], &[&job[1..]]] {
            assert!(error(parts).contains("id-token: write"), "{}", error(parts));
        }
    }

    #[test]
    fn a_session_s_length_is_that_of_the_variable() {
        let role = [("ALIBABA_CLOUD_ROLE_ARN", "arn"), ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "provider")];
        let file = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token");
        let with = |seconds| {
            with(&[role[0], role[1], file, ("ALIBABA_CLOUD_ROLE_SESSION_EXPIRATION", seconds)], alibaba_cloud)
        };
        assert!(matches!(with("7200").unwrap().method,
            Some(CredentialSource::Oidc { role, .. }) if role.duration.as_secs() == 7200));
        assert!(with("60").unwrap_err().to_string().contains("900 to 43200"));
    }

    #[test]
    fn the_instance_s_role_and_the_uri_come_last() {
        let read = |pairs: &[(&str, &str)]| with(pairs, alibaba_cloud).unwrap().method;
        let metadata = ("ALIBABA_CLOUD_ECS_METADATA", "role");
        let uri = ("ALIBABA_CLOUD_CREDENTIALS_URI", "http://localhost/c");
        assert_eq!(
            read(&[metadata, uri]),
            Some(CredentialSource::EcsRole { role_name: Some("role".to_owned()), imds_v1: true })
        );
        assert_eq!(
            read(&[metadata, ("ALIBABA_CLOUD_IMDSV1_DISABLED", "true")]),
            Some(CredentialSource::EcsRole { role_name: Some("role".to_owned()), imds_v1: false })
        );
        assert!(matches!(
            read(&[metadata, uri, ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")]),
            Some(CredentialSource::Uri(_))
        ));
    }

    #[test]
    fn a_bad_region_is_refused() {
        assert!(with(&[("OSS_REGION", "Hangzhou!")], oss).unwrap_err().to_string().contains("OSS_REGION"));
    }
}
