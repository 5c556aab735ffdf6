//! What the arguments mean, together with the environment and the configuration files.
//!
//! Precedence: flag, `OSS_*`, `ALIBABA_CLOUD_*`, `~/.ossutilconfig`, `~/.aliyun/config.json`, derived. Everything
//! outside comes in by [`Env`], so that this module is a function of its input.

mod network;
pub(crate) mod regions;
mod sources;

use std::io;
use std::path::{Path, PathBuf};

use ossup::credentials::{CredentialSource, ProfileError};
use ossup::http::InvalidProxy;
use ossup::model::{BucketName, Endpoint, EndpointKind, InvalidValue, Region};

use crate::args::values::EndpointArg;
use crate::args::{ConnectionArgs, SignVersionArg};
pub(crate) use network::Network;
pub(crate) use regions::REGIONS;
use sources::Sources;
pub(crate) use sources::profiles;

/// The region of an emulator, embedded or on a loopback address, unless another is set.
pub(crate) const EMULATOR_REGION: &str = "cn-hangzhou";

/// Where `ossup emulator` listens by default; the embedded store's URLs point there.
pub(crate) const EMULATOR_ADDRESS: &str = "127.0.0.1:9000";

/// The process's surroundings.
pub(crate) struct Env<'a> {
    /// Looks up an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The home directory.
    pub(crate) home: Option<&'a Path>,
    /// Reads a file, not more than a configuration's length.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// Where requests to OSS go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Over the network.
    Network(Endpoint),
    /// To the embedded store in this folder.
    Local(PathBuf),
}

/// Where requests to ECS, RAM and STS go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RpcTarget {
    /// To the service's own endpoints.
    Service,
    /// To this address.
    At(Endpoint),
    /// To the embedded store.
    Local,
}

/// How the services are reached, and with which credentials.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) place: Target,
    pub(crate) rpc: RpcTarget,
    pub(crate) region: Region,
    pub(crate) sign_version: SignVersionArg,
    pub(crate) network: Network,
    /// Folder for the state; without a home directory there is none.
    pub(crate) state_dir: Option<PathBuf>,
    /// Where each value came from, a line each, for `-v`.
    pub(crate) origins: Vec<String>,
    /// Warnings that stop nothing.
    pub(crate) warnings: Vec<String>,
    /// What the credentials are and where they came from.
    pub(crate) told: String,
    credentials: Result<CredentialSource, SettingsError>,
}

/// Why the settings cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the region is unknown: neither a region nor an endpoint is set")]
    NoRegion,
    #[error("cannot tell the region from endpoint `{0}`")]
    EndpointWithoutRegion(Endpoint),
    #[error("endpoint `{endpoint}` is in region {region}, but --region is {flag}")]
    RegionConflict { endpoint: Endpoint, region: Region, flag: Region },
    #[error("cannot use the endpoint from {origin}")]
    Endpoint { origin: String, source: InvalidValue },
    #[error("cannot use the proxy from {origin}")]
    Proxy { origin: String, source: InvalidProxy },
    #[error("{origin} names the embedded store, which is used only if passed as --endpoint")]
    LocalNotTyped { origin: String },
    #[error("cannot read `{path}`{why}", path = path.display())]
    Read { path: PathBuf, why: &'static str, source: io::Error },
    #[error("cannot use {origin}")]
    Profile { origin: String, source: ProfileError },
    #[error("{origin} has no credentials")]
    ProfileWithoutCredentials { origin: String },
    #[error("no credentials found; looked in {}", looked_at.join(", "))]
    NoCredentials { looked_at: Vec<String> },
    #[error("no home directory to keep the state of uploads in")]
    NoStateDir,
}

impl SettingsError {
    /// Whether the error is about the credentials and not about the usage.
    pub(crate) fn is_about_credentials(&self) -> bool {
        match self {
            Self::Profile { source, .. } => !matches!(source, ProfileError::NoProfile { .. }),
            Self::ProfileWithoutCredentials { .. } | Self::NoCredentials { .. } => true,
            _ => false,
        }
    }
}

impl Settings {
    /// Resolves the settings of a command about `bucket`.
    ///
    /// Missing credentials are not an error yet: a URL can be printed without them.
    pub(crate) fn resolve(
        args: &ConnectionArgs,
        bucket: Option<&BucketName>,
        outside: &Env<'_>,
    ) -> Result<Self, SettingsError> {
        let mut sources = Sources::new(args, outside)?;
        let mut origins = Vec::new();
        let mut say = |line: String| origins.push(line);

        let (place, region) = match &args.endpoint {
            Some(EndpointArg::Local(folder)) => {
                say(format!("endpoint local:{} from --endpoint", folder.display()));
                let region = args.region.clone().unwrap_or_else(emulator_region);
                say(format!("region {region} from {}", flag_or("--region", args.region.is_some())));
                (Target::Local(folder.clone()), region)
            }
            _ => {
                let (endpoint, region) = endpoint_and_region(args, bucket, &mut sources, &mut say)?;
                (Target::Network(endpoint), region)
            }
        };
        let rpc = match (&args.ecs_endpoint, &place) {
            (Some(url), _) => {
                say(format!("ECS endpoint {url} from --ecs-endpoint"));
                RpcTarget::At(url.parse().map_err(|source| SettingsError::Endpoint {
                    origin: "--ecs-endpoint".to_owned(),
                    source,
                })?)
            }
            (None, Target::Local(_)) => RpcTarget::Local,
            (None, Target::Network(endpoint)) if endpoint.is_loopback() => {
                say(format!("ECS endpoint {endpoint} because the endpoint is on this machine"));
                RpcTarget::At(endpoint.clone())
            }
            _ => RpcTarget::Service,
        };
        let mut told = "credentials of the embedded store".to_owned();
        let credentials = match place {
            Target::Local(_) => Ok(CredentialSource::Anonymous),
            Target::Network(_) => sources.method().map(|(method, origin)| {
                told = format!("credentials ({}) from {origin}", method.describe());
                method
            }),
        };
        if credentials.is_ok() {
            say(told.clone());
        }
        let https =
            !matches!(&place, Target::Network(endpoint) if endpoint.scheme() == ossup::model::Scheme::Http);
        let network =
            Network::resolve(args, (https, matches!(place, Target::Network(_))), outside, &mut say)?;
        let local = match &place {
            Target::Local(folder) => Some(folder.as_path()),
            Target::Network(_) => None,
        };
        let state_dir = state_dir(args, local, outside, &mut say);
        let mut warnings = sources.into_warnings();
        if let (Target::Network(_), Some(meant)) = (&place, regions::meant(&region)) {
            warnings.push(format!("unknown region {region}: did you mean {meant}?"));
        }
        let sign_version = args.sign_version;
        Ok(Self {
            place,
            rpc,
            region,
            sign_version,
            network,
            state_dir,
            origins,
            warnings,
            told,
            credentials,
        })
    }

    /// Returns the state directory alone, for commands that know neither bucket nor region yet.
    pub(crate) fn state_dir_of(args: &ConnectionArgs, outside: &Env<'_>) -> Option<PathBuf> {
        let local = match &args.endpoint {
            Some(EndpointArg::Local(folder)) => Some(folder.as_path()),
            _ => None,
        };
        state_dir(args, local, outside, &mut |_| {})
    }

    /// Returns the source of credentials, or why there is none.
    pub(crate) fn credentials(&mut self) -> Result<CredentialSource, SettingsError> {
        std::mem::replace(&mut self.credentials, Ok(CredentialSource::Anonymous))
    }

    /// Returns the endpoint that URLs name. The embedded store's are those of an emulator that serves its folder.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match &self.place {
            Target::Network(endpoint) => endpoint.clone(),
            Target::Local(_) => local_endpoint(),
        }
    }

    /// Whether the endpoint may not be reachable from here.
    pub(crate) fn is_doubtful(&self) -> bool {
        match &self.place {
            Target::Network(endpoint) => endpoint.is_internal() || regions::meant(&self.region).is_some(),
            Target::Local(_) => false,
        }
    }

    /// Returns the state directory.
    pub(crate) fn state_dir(&self) -> Result<&Path, SettingsError> {
        self.state_dir.as_deref().ok_or(SettingsError::NoStateDir)
    }
}

/// The endpoint that requests to the embedded store name.
pub(crate) fn local_endpoint() -> Endpoint {
    format!("http://{EMULATOR_ADDRESS}").parse().expect("the address is a valid endpoint")
}

fn emulator_region() -> Region {
    EMULATOR_REGION.parse().expect("the constant is a region id")
}

fn flag_or(flag: &'static str, typed: bool) -> &'static str {
    if typed { flag } else { "the emulator's default" }
}

/// Region: flag, else from the endpoint's host, else from environment or profile. A region flag discards an
/// endpoint of another region that was not typed.
fn endpoint_and_region(
    args: &ConnectionArgs,
    bucket: Option<&BucketName>,
    sources: &mut Sources<'_>,
    say: &mut dyn FnMut(String),
) -> Result<(Endpoint, Region), SettingsError> {
    let flag = args.region.clone().map(|region| (region, "--region".to_owned()));
    let kind = |arg: &EndpointArg| match arg {
        EndpointArg::Public => Some(EndpointKind::Public),
        EndpointArg::Internal => Some(EndpointKind::Internal),
        EndpointArg::Accelerate => Some(EndpointKind::Accelerate),
        EndpointArg::DualStack => Some(EndpointKind::DualStack),
        EndpointArg::Local(_) | EndpointArg::Url(_) => None,
    };
    let (written, style, origin) = match &args.endpoint {
        Some(arg) => (Some(arg.clone()), None, "--endpoint".to_owned()),
        None => match sources.endpoint(bucket)? {
            Some((arg, style, origin)) => (Some(arg), style, origin),
            None => (None, None, String::new()),
        },
    };
    let typed = args.endpoint.is_some();
    let bad = |origin: &str, source| SettingsError::Endpoint { origin: origin.to_owned(), source };

    let (mut endpoint, (region, region_origin), origin) = match written {
        Some(EndpointArg::Url(url)) => {
            let endpoint: Endpoint = url.parse().map_err(|source| bad(&origin, source))?;
            match (endpoint.region(), flag) {
                (Some(region), Some((flag, _))) if typed && region != flag => {
                    return Err(SettingsError::RegionConflict { endpoint, region, flag });
                }
                (Some(region), Some((flag, flag_origin))) if region != flag => {
                    say(format!("endpoint {endpoint} from {origin} not used: it is in region {region}"));
                    let public = Endpoint::for_region(&flag, EndpointKind::Public);
                    (public, (flag, flag_origin), "the region".to_owned())
                }
                (_, Some(flag)) => (endpoint, flag, origin),
                (Some(region), None) => (endpoint, (region, "the endpoint".to_owned()), origin),
                (None, None) => {
                    let known = match sources.region()? {
                        None if endpoint.is_loopback() => {
                            Some((emulator_region(), "the emulator's default".to_owned()))
                        }
                        known => known,
                    };
                    let Some(known) = known else {
                        return Err(sources.why_not(SettingsError::EndpointWithoutRegion(endpoint)));
                    };
                    (endpoint, known, origin)
                }
            }
        }
        Some(EndpointArg::Local(_)) => return Err(SettingsError::LocalNotTyped { origin }),
        arg => {
            let region = match flag {
                Some(flag) => flag,
                None => match sources.region()? {
                    Some(known) => known,
                    None => return Err(sources.why_not(SettingsError::NoRegion)),
                },
            };
            let origin = if arg.is_some() { origin } else { "the region".to_owned() };
            let kind = arg.as_ref().and_then(kind).unwrap_or(EndpointKind::Public);
            (Endpoint::for_region(&region.0, kind), region, origin)
        }
    };
    if let Some((style, style_origin)) = match args.addressing_style {
        Some(style) => Some((style.into(), "--addressing-style")),
        None => style.map(|style| (style, origin.as_str())),
    } {
        endpoint = endpoint.with_style(style).map_err(|source| bad(style_origin, source))?;
    }
    say(format!("endpoint {endpoint} from {origin}"));
    say(format!("region {region} from {region_origin}"));
    Ok((endpoint, region))
}

fn state_dir(
    args: &ConnectionArgs,
    local: Option<&Path>,
    outside: &Env<'_>,
    say: &mut dyn FnMut(String),
) -> Option<PathBuf> {
    let env = |name: &str| (outside.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let (folder, origin) = if let Some(folder) = &args.state_dir {
        (folder.clone(), "--state-dir")
    } else if let Some(folder) = env("OSSUP_STATE_DIR") {
        (folder, "OSSUP_STATE_DIR")
    } else if let Some(folder) = local {
        // The state belongs to the store: the same bucket and key elsewhere are another object.
        (folder.join("ossup-state"), "the embedded store")
    } else if let Some(home) = env("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
        (home.join("ossup"), "XDG_STATE_HOME")
    } else {
        (outside.home?.join(".local/state/ossup"), "the home directory")
    };
    say(format!("state in {} from {origin}", folder.display()));
    Some(folder)
}

#[cfg(test)]
mod tests;
