//! Environment and configuration files in their order of precedence. Each is read when it is first needed.

use std::cell::OnceCell;
use std::io;
use std::path::PathBuf;

use ossup::credentials::{CredentialSource, Profile, ProfileError, aliyun, env, ossutil};
use ossup::model::{AddressingStyle, BucketName, Region};

use super::{Env, SettingsError};
use crate::args::ConnectionArgs;
use crate::args::values::EndpointArg;

/// The sources in their order of precedence.
pub(super) struct Sources<'a> {
    sources: Vec<Source>,
    /// Whether a flag names the first source: then only that one gives credentials.
    explicit: bool,
    outside: &'a Env<'a>,
    warnings: Vec<String>,
    /// The first error that was skipped, reported if no other source has the value.
    passed_over: Option<SettingsError>,
}

struct Source {
    origin: String,
    kind: Kind,
    profile: OnceCell<Option<Profile>>,
}

enum Kind {
    Oss,
    AlibabaCloud,
    File {
        path: PathBuf,
        /// The profile asked for.
        name: Option<String>,
        format: Format,
        /// Whether the file or its profile was asked for, so that it must be there.
        wanted: bool,
    },
    /// A profile that a flag names; the first of the files that has it.
    Named(Vec<(PathBuf, Format)>, String),
}

#[derive(Clone, Copy)]
enum Format {
    Ossutil,
    Aliyun,
    /// Whatever it looks like.
    Either,
}

impl<'a> Sources<'a> {
    pub(super) fn new(args: &ConnectionArgs, outside: &'a Env<'a>) -> Result<Self, SettingsError> {
        let set = |name: &str| (outside.env)(name).filter(|value| !value.is_empty());
        let under_home = |name: &str| outside.home.map(|home| home.join(name));
        let source = |origin: String, kind| Source { origin, kind, profile: OnceCell::new() };
        let file = |variable: &str, home: &str| match set(variable) {
            Some(path) => Some((PathBuf::from(path), true)),
            None => under_home(home).map(|path| (path, false)),
        };
        let ossutil = file("OSSUTIL_CONFIG_FILE", ".ossutilconfig");
        let enabled = set("ALIBABA_CLOUD_CLI_PROFILE_DISABLED").is_none_or(|value| value != "true");
        let aliyun = file("ALIBABA_CLOUD_CONFIG_FILE", ".aliyun/config.json").filter(|_| enabled);

        let mut sources = Vec::new();
        match (&args.config_file, &args.profile) {
            (Some(path), name) => {
                let kind = Kind::File {
                    path: path.clone(),
                    name: name.clone(),
                    format: Format::Either,
                    wanted: true,
                };
                sources.push(source(format!("`{}`", path.display()), kind));
            }
            (None, Some(name)) => {
                let files = [(&ossutil, Format::Ossutil), (&aliyun, Format::Aliyun)];
                let files: Vec<_> = files
                    .into_iter()
                    .filter_map(|(file, format)| Some((file.as_ref()?.0.clone(), format)))
                    .collect();
                sources.push(source(format!("profile `{name}`"), Kind::Named(files, name.clone())));
            }
            (None, None) => {}
        }
        let explicit = !sources.is_empty();
        sources.push(source("the environment (OSS_*)".to_owned(), Kind::Oss));
        sources.push(source("the environment (ALIBABA_CLOUD_*)".to_owned(), Kind::AlibabaCloud));
        for (file, variable, format) in
            [(ossutil, "OSSUTIL_PROFILE", Format::Ossutil), (aliyun, "ALIBABA_CLOUD_PROFILE", Format::Aliyun)]
        {
            if let Some((path, wanted)) = file {
                let name = set(variable);
                let wanted = wanted || name.is_some();
                sources
                    .push(source(format!("`{}`", path.display()), Kind::File { path, name, format, wanted }));
            }
        }
        Ok(Self { sources, explicit, outside, warnings: Vec::new(), passed_over: None })
    }

    /// Returns the first source's method.
    pub(super) fn method(&self) -> Result<(CredentialSource, String), SettingsError> {
        let asked = if self.explicit { &self.sources[..1] } else { &self.sources[..] };
        for source in asked {
            if let Some(method) = self.read(source)?.and_then(|profile| profile.method.clone()) {
                return Ok((self.hardened(method), source.origin.clone()));
            }
        }
        match asked {
            [one] => Err(SettingsError::ProfileWithoutCredentials { origin: one.origin.clone() }),
            all => Err(SettingsError::NoCredentials {
                looked_at: all.iter().map(|source| source.origin.clone()).collect(),
            }),
        }
    }

    /// Applies what the environment says about the metadata service to a method from a file.
    fn hardened(&self, method: CredentialSource) -> CredentialSource {
        match method {
            CredentialSource::EcsRole { role_name, imds_v1 } => CredentialSource::EcsRole {
                role_name,
                imds_v1: imds_v1 && env::imds_v1_allowed(self.outside.env),
            },
            CredentialSource::AssumeRole { role, source } => {
                CredentialSource::AssumeRole { role, source: Box::new(self.hardened(*source)) }
            }
            other => other,
        }
    }

    /// Returns the first source's endpoint for `bucket`.
    pub(super) fn endpoint(
        &mut self,
        bucket: Option<&BucketName>,
    ) -> Result<Option<(EndpointArg, Option<AddressingStyle>, String)>, SettingsError> {
        self.first(|profile, origin| {
            let (endpoint, style) = profile.endpoint_of(bucket)?;
            // An empty one counts as none, so parsing cannot fail.
            Some((endpoint.parse().ok()?, style, origin.to_owned()))
        })
    }

    /// Returns the first source's region.
    pub(super) fn region(&mut self) -> Result<Option<(Region, String)>, SettingsError> {
        self.first(|profile, origin| Some((profile.region.clone()?, origin.to_owned())))
    }

    /// Returns why a value is missing: a file that could not be used, else `absent`.
    pub(super) fn why_not(&mut self, absent: SettingsError) -> SettingsError {
        self.passed_over.take().unwrap_or(absent)
    }

    /// Returns the warnings.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// Asks one source after the other. A default file that cannot be read is skipped with a warning here; if its
    /// credentials are needed, [`Sources::method`] fails.
    fn first<T>(&mut self, ask: impl Fn(&Profile, &str) -> Option<T>) -> Result<Option<T>, SettingsError> {
        for source in &self.sources {
            match self.read(source) {
                Ok(Some(profile)) => {
                    if let Some(found) = ask(profile, &source.origin) {
                        return Ok(Some(found));
                    }
                }
                Ok(None) => {}
                Err(error) if matches!(source.kind, Kind::File { wanted: false, .. }) => {
                    let warning = crate::failure::chain(&error);
                    if !self.warnings.contains(&warning) {
                        self.warnings.push(warning);
                    }
                    self.passed_over.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn read<'s>(&self, source: &'s Source) -> Result<Option<&'s Profile>, SettingsError> {
        if let Some(known) = source.profile.get() {
            return Ok(known.as_ref());
        }
        let failed = |cause| SettingsError::Profile { origin: source.origin.clone(), source: cause };
        let profile = match &source.kind {
            Kind::Oss => Some(env::oss(self.outside.env).map_err(failed)?),
            Kind::AlibabaCloud => Some(env::alibaba_cloud(self.outside.env).map_err(failed)?),
            Kind::File { path, name, format, wanted } => match self.file(path)? {
                None if *wanted => {
                    return Err(SettingsError::Read {
                        path: path.clone(),
                        why: "",
                        source: io::Error::new(io::ErrorKind::NotFound, "no such file"),
                    });
                }
                None => None,
                Some(bytes) => match parse(*format, &bytes, name.as_deref()) {
                    Err(ProfileError::NoProfile { .. }) if !wanted => None,
                    result => Some(kept_in(path, result.map_err(failed)?)),
                },
            },
            Kind::Named(files, name) => Some(self.named(files, name, &failed)?),
        };
        Ok(source.profile.get_or_init(|| profile).as_ref())
    }

    fn named(
        &self,
        files: &[(PathBuf, Format)],
        name: &str,
        failed: &dyn Fn(ProfileError) -> SettingsError,
    ) -> Result<Profile, SettingsError> {
        let mut others = Vec::new();
        for (path, format) in files {
            let Some(bytes) = self.file(path)? else { continue };
            match parse(*format, &bytes, Some(name)) {
                Err(ProfileError::NoProfile { known, .. }) => others.extend(known),
                result => return Ok(kept_in(path, result.map_err(failed)?)),
            }
        }
        Err(failed(ProfileError::NoProfile { name: name.to_owned(), known: others }))
    }

    fn file(&self, path: &std::path::Path) -> Result<Option<Vec<u8>>, SettingsError> {
        match (self.outside.read)(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SettingsError::Read { path: path.to_owned(), why: "", source }),
        }
    }
}

/// Returns the names of the profiles that the configuration files have; of files that cannot be read, none.
pub(crate) fn profiles(outside: &Env<'_>) -> Vec<String> {
    let file = |variable: &str, home: &str| {
        let set = (outside.env)(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        set.or_else(|| outside.home.map(|folder| folder.join(home)))
    };
    let files = [
        (file("OSSUTIL_CONFIG_FILE", ".ossutilconfig"), Format::Ossutil),
        (file("ALIBABA_CLOUD_CONFIG_FILE", ".aliyun/config.json"), Format::Aliyun),
    ];
    let names = files.into_iter().filter_map(|(path, format)| {
        let bytes = (outside.read)(&path?).ok()?;
        // No profile has no name, and the error says which there are.
        match parse(format, &bytes, Some("")) {
            Err(ProfileError::NoProfile { known, .. }) => Some(known),
            _ => None,
        }
    });
    names.flatten().collect()
}

fn parse(format: Format, bytes: &[u8], name: Option<&str>) -> Result<Profile, ProfileError> {
    match format {
        Format::Ossutil => ossutil::parse(bytes, name),
        Format::Aliyun => aliyun::parse(bytes, name),
        Format::Either if without_mark(bytes).trim_ascii_start().first() == Some(&b'{') => {
            aliyun::parse(bytes, name)
        }
        Format::Either => ossutil::parse(bytes, name),
    }
}

/// Says where the aliyun CLI keeps the credentials of a login, so that they can be read again.
fn kept_in(path: &std::path::Path, mut profile: Profile) -> Profile {
    fn with(path: &std::path::Path, method: CredentialSource) -> CredentialSource {
        match method {
            CredentialSource::CloudSso { profile, keys, file: None } => {
                CredentialSource::CloudSso { profile, keys, file: Some(path.to_owned()) }
            }
            CredentialSource::AssumeRole { role, source } => {
                CredentialSource::AssumeRole { role, source: Box::new(with(path, *source)) }
            }
            other => other,
        }
    }
    profile.method = profile.method.map(|method| with(path, method));
    profile
}

/// Returns a text without the byte order mark that Windows editors put before it.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_before_the_brace_makes_no_ini_of_json() {
        let json = r#"{"current":"default","profiles":[{"name":"default","mode":"AK","access_key_id":"a",
            "access_key_secret":"b","region_id":"cn-beijing"}]}"#;
        for text in [json.to_owned(), format!("\u{feff}{json}"), format!("\u{feff} \n{json}")] {
            let profile = parse(Format::Either, text.as_bytes(), None).unwrap();
            assert_eq!(profile.region, Some("cn-beijing".parse().unwrap()));
        }
    }
}
