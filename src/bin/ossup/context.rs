//! What every command works with: output, the process's surroundings, signals, and how services are reached.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ossup::client::{Client, ClientOptions};
use ossup::credentials::{CredentialSource, CredentialsProvider, StaticCredentials};
use ossup::emulator::{Emulator, EmulatorOptions};
use ossup::http::{HttpTransport, Transport};
use ossup::model::{BucketName, ObjectRef, ServiceId};
use ossup::protocol::sign::{RpcSignVersion, SignVersion};
use ossup::provider::build;
use ossup::url::ObjectUrl;
use ossup::web::WebUrl;

use crate::args::{ConnectionArgs, RetryArgs, SignVersionArg};
use crate::failure::{Failure, Kind};
use crate::settings::{Env, Network, RpcTarget, Settings, SettingsError, Target, local_endpoint};
use crate::signals::Stop;
use crate::ui::{Output, retries};

/// How long to try an endpoint that is probably unreachable: of an unknown region, or inside another network.
const DOUBTFUL: Duration = Duration::from_secs(15);

/// The process, as far as commands may see it.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) stop: Stop,
    pub(crate) env: fn(&str) -> Option<String>,
    pub(crate) read: fn(&Path) -> io::Result<Vec<u8>>,
    pub(crate) home: Option<PathBuf>,
}

/// A client and what it was made from.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// What was typed, to be repeated in commands that are shown.
    pub(crate) typed: ConnectionArgs,
    /// The embedded store, if that is where requests go.
    pub(crate) local: Option<Emulator>,
}

impl Context {
    /// Returns the same, for what lives longer than a borrow.
    pub(crate) fn again(&self) -> Self {
        Self { stop: self.stop.clone(), home: self.home.clone(), ..*self }
    }

    /// Resolves the arguments, and with `-v` shows where each value came from.
    pub(crate) fn settings(
        &self,
        args: &ConnectionArgs,
        bucket: Option<&BucketName>,
    ) -> Result<Settings, SettingsError> {
        let settings = Settings::resolve(args, bucket, &self.outside())?;
        settings.origins.iter().for_each(|line| self.output.verbose(line));
        settings.warnings.iter().for_each(|line| self.output.warning(line));
        Ok(settings)
    }

    /// Returns the state directory when nothing else is known yet.
    pub(crate) fn state_dir(&self, args: &ConnectionArgs) -> Result<PathBuf, SettingsError> {
        Settings::state_dir_of(args, &self.outside()).ok_or(SettingsError::NoStateDir)
    }

    /// Prepares a client. Nothing is connected yet.
    pub(crate) fn connect(
        &self,
        args: &ConnectionArgs,
        retry: &RetryArgs,
        bucket: Option<&BucketName>,
    ) -> Result<Connection, Failure> {
        self.connect_with(args, retry, bucket, None)
    }

    /// Prepares a client with other credentials than those of the settings, which may have none.
    pub(crate) fn connect_with(
        &self,
        args: &ConnectionArgs,
        retry: &RetryArgs,
        bucket: Option<&BucketName>,
        instead: Option<CredentialSource>,
    ) -> Result<Connection, Failure> {
        let mut settings = self.settings(args, bucket)?;
        let method = match instead {
            Some(method) => method,
            None => settings.credentials()?,
        };
        let (endpoint, transport, credentials, local) = match &settings.place {
            Target::Network(endpoint) => {
                let transport = http(&settings.network)?;
                (endpoint.clone(), transport, None, None)
            }
            Target::Local(folder) => {
                let emulator = open_local(folder, &settings)?;
                // Requests are signed as for an emulator that serves this folder, so that presigned URLs work there.
                let keys: Arc<dyn CredentialsProvider> =
                    Arc::new(StaticCredentials::new(emulator.credentials().clone()));
                let transport: Arc<dyn Transport> = Arc::new(emulator.clone());
                (local_endpoint(), transport, Some(keys), Some(emulator))
            }
        };
        let anonymous = Arc::new(StaticCredentials::anonymous());
        let mut options = ClientOptions::new(endpoint, settings.region.clone(), anonymous, transport)
            .with_events(retries(self.output));
        match &settings.rpc {
            RpcTarget::Service => {}
            RpcTarget::Local => options = options.with_rpc_endpoint(local_endpoint()),
            RpcTarget::At(endpoint) if local.is_none() => {
                options = options.with_rpc_endpoint(endpoint.clone())
            }
            RpcTarget::At(_) => {
                let text =
                    "--ecs-endpoint cannot be combined with a local: endpoint, which serves ECS itself";
                return Err(Failure::new(Kind::Usage, text));
            }
        }
        if let Target::Local(folder) = &settings.place {
            // Opening has created it, so it has a canonical path.
            let path = folder.canonicalize().map_err(|error| {
                let failure = Failure::from_error(Kind::Other, &error);
                failure.context(format!("cannot use the folder `{}`", folder.display()))
            })?;
            options = options.with_service(ServiceId::of_folder(&path));
        }
        if settings.sign_version == SignVersionArg::V1 {
            options = options.with_sign_version(SignVersion::V1).with_rpc_sign_version(RpcSignVersion::V1);
        }
        if settings.is_doubtful() {
            options = options.with_first_contact(DOUBTFUL);
        }
        if let Some(timeout) = retry.retry_timeout {
            options = options.with_retry_timeout(timeout.0);
        }
        options.credentials = credentials.unwrap_or_else(|| build(&method, &options));
        Ok(Connection { client: Client::new(options), settings, typed: args.clone(), local })
    }

    /// Returns what sends requests for files on the web: over the same proxy, and with the same trust.
    pub(crate) fn web(&self, args: &ConnectionArgs, url: &WebUrl) -> Result<Arc<dyn Transport>, Failure> {
        http(&Network::of_web(args, url.is_encrypted(), &self.outside())?)
    }

    fn outside(&self) -> Env<'_> {
        Env { env: &self.env, home: self.home.as_deref(), read: &self.read }
    }
}

impl Connection {
    /// Returns an object's URL, without a signature.
    pub(crate) fn url(&self, object: &ObjectRef) -> String {
        ObjectUrl::plain(object, self.client.endpoint()).to_string()
    }

    /// Creates the bucket of the first upload to the embedded store, and says so.
    pub(crate) fn prepare_bucket(&self, bucket: &BucketName, output: Output) -> Result<(), Failure> {
        match &self.local {
            Some(local) if local.bucket(bucket).is_none() => {
                output.status(format!("the embedded store has no bucket `{bucket}` yet: creating it"));
                let made = local.create_bucket(bucket.clone(), self.client.region().clone());
                made.map_err(|error| Failure::from_error(Kind::Other, &error))
            }
            _ => Ok(()),
        }
    }
}

fn http(network: &Network) -> Result<Arc<dyn Transport>, Failure> {
    let transport =
        HttpTransport::new(network.options()).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    Ok(Arc::new(transport))
}

fn open_local(folder: &Path, settings: &Settings) -> Result<Emulator, Failure> {
    let options = EmulatorOptions::local(folder).with_region(settings.region.clone());
    Ok(Emulator::open(options)?)
}
