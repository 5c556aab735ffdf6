use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::credentials::CredentialsProvider;
use crate::event::EventSink;
use crate::http::Transport;
use crate::model::{Endpoint, Region, ServiceId};
use crate::protocol::sign::{RpcSignVersion, SignVersion};
use crate::retry::{Rng, random_dice};

/// How long a request is repeated while nothing at all gets through.
pub const DEFAULT_RETRY_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a service that never answered is tried before the first call to it gives up: a mistyped host should not
/// cost the whole retry budget.
pub const DEFAULT_FIRST_CONTACT: Duration = Duration::from_secs(60);

/// What a [`Client`](super::Client) needs: the services, the credentials and the transport.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The OSS endpoint.
    pub endpoint: Endpoint,
    /// The region of the bucket and of the images; it is signed.
    pub region: Region,
    /// One endpoint for ECS, RAM and STS; by default each region's and service's own.
    pub rpc_endpoint: Option<Endpoint>,
    /// The service behind `transport` where the endpoints do not identify it, such as a store within this process.
    pub service: Option<ServiceId>,
    /// Credentials for requests.
    pub credentials: Arc<dyn CredentialsProvider>,
    /// Sends the requests.
    pub transport: Arc<dyn Transport>,
    /// The signature of OSS requests, V4 by default.
    pub sign_version: SignVersion,
    /// The signature of RPC requests, ACS3 by default.
    pub rpc_sign_version: RpcSignVersion,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness for delays.
    pub dice: Rng,
    /// How long a request is repeated while nothing gets through; [`DEFAULT_RETRY_TIMEOUT`] by default.
    pub retry_timeout: Duration,
    /// How long a service that never answered is tried; [`DEFAULT_FIRST_CONTACT`] by default.
    pub first_contact: Duration,
    /// Receives the retries of requests that belong to no upload; an upload has its own sink.
    pub events: EventSink,
}

impl ClientOptions {
    /// Returns options with the required and defaults for the rest.
    pub fn new(
        endpoint: Endpoint,
        region: Region,
        credentials: Arc<dyn CredentialsProvider>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            endpoint,
            region,
            rpc_endpoint: None,
            service: None,
            credentials,
            transport,
            sign_version: SignVersion::default(),
            rpc_sign_version: RpcSignVersion::default(),
            clock: Arc::new(SystemClock),
            dice: random_dice(),
            retry_timeout: DEFAULT_RETRY_TIMEOUT,
            first_contact: DEFAULT_FIRST_CONTACT,
            events: EventSink::none(),
        }
    }

    /// Whether ECS, RAM and STS are services on this machine, which can be asked as often as one likes.
    pub(crate) fn rpc_is_local(&self) -> bool {
        self.rpc_endpoint.as_ref().is_some_and(Endpoint::is_loopback)
    }

    /// Serves ECS, RAM and STS by one endpoint, such as the emulator's.
    #[must_use]
    pub fn with_rpc_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.rpc_endpoint = Some(endpoint);
        self
    }

    /// Sets the service that the transport leads to, whatever the endpoints are.
    #[must_use]
    pub fn with_service(mut self, service: ServiceId) -> Self {
        self.service = Some(service);
        self
    }

    /// Signs OSS requests by another version.
    #[must_use]
    pub fn with_sign_version(mut self, version: SignVersion) -> Self {
        self.sign_version = version;
        self
    }

    /// Signs ECS, RAM and STS requests by another version.
    #[must_use]
    pub fn with_rpc_sign_version(mut self, version: RpcSignVersion) -> Self {
        self.rpc_sign_version = version;
        self
    }

    /// Uses another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses another source of randomness for delays.
    #[must_use]
    pub fn with_dice(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }

    /// Sets how long a request is repeated while nothing gets through.
    #[must_use]
    pub fn with_retry_timeout(mut self, timeout: Duration) -> Self {
        self.retry_timeout = timeout;
        self
    }

    /// Sets how long a service that never answered is tried.
    #[must_use]
    pub fn with_first_contact(mut self, limit: Duration) -> Self {
        self.first_contact = limit;
        self
    }

    /// Sends the retries of requests that belong to no upload to `sink`.
    #[must_use]
    pub fn with_events(mut self, sink: EventSink) -> Self {
        self.events = sink;
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("rpc_endpoint", &self.rpc_endpoint)
            .field("service", &self.service)
            .field("credentials", &self.credentials)
            .field("transport", &self.transport)
            .field("retry_timeout", &self.retry_timeout)
            .finish_non_exhaustive()
    }
}
