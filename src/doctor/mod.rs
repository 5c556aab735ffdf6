//! What works from here and what does not: every question that a failed run raises, asked beforehand.
//!
//! A [`Check`] is a question with its verdict and the way out. The verdicts are pure; asking is [`Doctor`]'s, and
//! changes nothing: what could is a dry run or about something that does not exist. The one exception is an object of
//! 1 MiB under a key of its own, which is made as every upload makes one, and removed again.

mod ask;
mod bucket;
mod certificate;
mod check;
mod fidelity;
mod judge;
mod machine;
mod permissions;
mod reach;
mod speed;
#[cfg(all(test, feature = "emulator"))]
mod tests;
mod trial;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancellationToken;
use futures::StreamExt as _;
use tokio::time::Instant;

pub use check::{Area, Check, Verdict};
pub use fidelity::{FIDELITY_PREFIX, Report, Settled, Stance};
pub use machine::{limits, state_dir};

use crate::client::{CallCause, CallError, Client, ClientOptions};
use crate::http::{PeerCertificate, TransportError, TransportErrorKind, empty};
use crate::import::{IMPORT_ROLE, Importer};
use crate::model::{BucketName, Endpoint, EndpointKind, ObjectKey, Scheme};
use crate::protocol::RetryClass;
use crate::protocol::oss::{self, BucketInfo, GetBucketInfo, GetBucketWorm, WormConfiguration};
use crate::protocol::sts::GetCallerIdentity;
use judge::{Answered, Seen};
use permissions::{ON_BUCKET, ON_IMAGES, ON_ROLE, Permission, Place};
use reach::reach;

/// Begins the key of everything that is made on a bucket, and of everything that is asked about.
pub const PREFIX: &str = "ossup-doctor/";
/// How long each step on the way to an endpoint may take.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// How long a request is repeated: who asks wants to know soon.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many permissions are asked for at a time.
const AT_ONCE: usize = 4;

/// What was answered about a bucket: its settings and its retention policy.
type BucketSeen = (Result<BucketInfo, CallError>, Result<WormConfiguration, CallError>);
/// Says what to do about a failed request.
type Advice = Arc<dyn Fn(&CallError) -> Option<String> + Send + Sync>;

/// Asks everything, and removes what it made.
#[derive(Clone)]
pub struct Doctor {
    client: Client,
    /// What the credentials are and where they came from; nothing where there are none.
    told: Option<String>,
    bucket: Option<BucketName>,
    proxied: bool,
    makes: bool,
    advice: Advice,
    stop: CancellationToken,
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("client", &self.client)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl Doctor {
    /// Asks by the client's endpoints, with patience of its own. `told` says what the credentials are and where they
    /// came from; without credentials only the network is asked.
    pub fn new(client: &Client, told: Option<String>) -> Self {
        let options = client.options().clone().with_retry_timeout(PATIENCE).with_first_contact(PATIENCE);
        Self {
            client: Client::new(options),
            told,
            bucket: None,
            proxied: false,
            makes: true,
            advice: Arc::new(|_| None),
            stop: CancellationToken::new(),
        }
    }

    /// Asks about this bucket too.
    #[must_use]
    pub fn with_bucket(mut self, bucket: BucketName) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Says that the way out goes through a proxy, so that a direct one need not exist.
    #[must_use]
    pub fn with_proxied(mut self, proxied: bool) -> Self {
        self.proxied = proxied;
        self
    }

    /// Whether an object of 1 MiB may be made for a moment.
    #[must_use]
    pub fn with_makes(mut self, makes: bool) -> Self {
        self.makes = makes;
        self
    }

    /// Has failed requests explained.
    #[must_use]
    pub fn with_advice(
        mut self,
        advice: impl Fn(&CallError) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.advice = Arc::new(advice);
        self
    }

    /// Stops when the token is cancelled, and removes what was made until then.
    #[must_use]
    pub fn with_cancellation(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Asks all questions about services; what was not asked because it was stopped is left out.
    pub async fn run(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(found) = self.stop.run_until_cancelled(self.ask()).await {
            checks.extend(found);
        }
        let may_make = self.makes
            && self.told.is_some()
            && !checks.iter().any(|check| check.id == "worm" && check.verdict == Verdict::Warn)
            && !checks.iter().any(|check| check.area == Area::Bucket && check.id == "bucket");
        if let (Some(bucket), true, false) = (&self.bucket, may_make, self.stop.is_cancelled()) {
            let prefix = format!("{PREFIX}{}/", uuid::Uuid::new_v4().simple());
            let tried = trial::trial(self, bucket, &prefix, &self.stop).await;
            if tried.iter().any(|check| check.id == "trial" && check.verdict == Verdict::Ok) {
                permissions::prove(&mut checks, trial::PROVES);
            }
            checks.extend(tried);
        }
        checks
    }

    /// Everything that changes nothing. What cannot be reached is not asked again.
    async fn ask(&self) -> Vec<Check> {
        let Some(told) = &self.told else { return self.network().await };
        let caller = GetCallerIdentity::new();
        let (answer, network, bucket) =
            tokio::join!(self.client.call(&caller), self.network(), self.look_at_bucket());
        let mut identity = judge::identity(&answer, told);
        if let Err(error) = &answer {
            identity.way_out = (self.advice)(error);
        }
        let unreached = |error: &CallError| error.is_network();
        let images = !answer.as_ref().is_err_and(unreached);
        let on_bucket = bucket.as_ref().is_some_and(|(info, _)| !info.as_ref().is_err_and(unreached));
        let (role, permissions) = tokio::join!(
            async { if images { Some(self.role().await) } else { None } },
            self.permissions(on_bucket, images)
        );
        let mut checks = vec![identity];
        checks.extend(network);
        // Only now a service has stated its time.
        let local = self.client.options().clock.now();
        checks.push(judge::clock(local, self.client.service_time()));
        let account = answer.ok().map(|caller| caller.account_id);
        checks.extend(bucket.map(|seen| self.judge_bucket(seen, account.as_deref())).unwrap_or_default());
        let without_role = role.as_ref().is_some_and(|role| role.verdict != Verdict::Ok);
        checks.extend(role);
        checks.extend(permissions);
        if without_role {
            checks.extend(self.judge_each(ON_ROLE.iter()).await);
        }
        checks
    }

    async fn network(&self) -> Vec<Check> {
        let asked = self.endpoints().into_iter().map(|(kind, endpoint)| async move {
            let used = endpoint == *self.client.endpoint();
            let seen = self.see(&endpoint).await;
            let mut check = judge::endpoint(kind, &endpoint, used, &seen);
            match seen.answered {
                Err(error) if used => check.way_out = (self.advice)(&unanswered(error)),
                Ok(_) if endpoint.is_accelerated() && self.told.is_some() => {
                    if let Some(disabled) = self.accelerated(endpoint).await {
                        check = disabled;
                    }
                }
                _ => {}
            }
            check
        });
        futures::future::join_all(asked).await
    }

    /// Returns the endpoints of the region by their kinds, or the one in use if it is none of the service's own.
    fn endpoints(&self) -> Vec<(&'static str, Endpoint)> {
        let used = self.client.endpoint();
        let region = self.client.region();
        let kinds = [
            ("public", EndpointKind::Public),
            ("internal", EndpointKind::Internal),
            ("dual-stack", EndpointKind::DualStack),
            ("accelerate", EndpointKind::Accelerate),
        ];
        let of_region: Vec<_> =
            kinds.into_iter().map(|(name, kind)| (name, Endpoint::for_region(region, kind))).collect();
        if of_region.iter().any(|(_, endpoint)| endpoint == used) {
            return of_region;
        }
        vec![("endpoint", used.clone())]
    }

    /// Asks whether acceleration is enabled on the bucket; returns the check if it is not.
    async fn accelerated(&self, endpoint: Endpoint) -> Option<Check> {
        let bucket = self.bucket.as_ref()?;
        let client = Client::new(ClientOptions { endpoint, ..self.client.options().clone() });
        let key: ObjectKey = format!("{PREFIX}nothing").parse().expect("it is a key");
        let ask = ask::Ask::oss("GetObject", http::Method::GET, (bucket, Some(&key)), &[]);
        let error = client.call(&ask).await.err()?;
        let text = format!("accelerate: transfer acceleration is not enabled on `{bucket}`");
        error
            .is(oss::code::TRANSFER_ACCELERATION_DISABLED)
            .then(|| Check::new(Area::Network, "endpoint.accelerate", Verdict::Unknown, text))
    }

    async fn see(&self, endpoint: &Endpoint) -> Seen {
        let port = endpoint.port().unwrap_or(if endpoint.scheme() == Scheme::Https { 443 } else { 80 });
        let in_process = self.client.options().service.is_some();
        let direct = async {
            match self.proxied || in_process {
                true => None,
                false => Some(reach(endpoint.host(), port, REACH_LIMIT).await),
            }
        };
        let (direct, answered) = tokio::join!(direct, self.knock(endpoint));
        Seen { direct, proxied: self.proxied, answered }
    }

    /// Sends a request that is not signed; that it is refused shows that the service is there.
    async fn knock(&self, endpoint: &Endpoint) -> Result<Answered, TransportError> {
        let began = Instant::now();
        let uri = format!("{}://{}/", endpoint.scheme().as_str(), endpoint.authority(self.bucket.as_ref()));
        let request = http::Request::get(uri).body(empty()).map_err(|error| {
            TransportError::new(TransportErrorKind::Resolve, "its name makes no URL").with_source(error)
        })?;
        let sent = self.client.options().transport.send(request);
        match tokio::time::timeout(2 * REACH_LIMIT, sent).await {
            Ok(answer) => {
                let (answer, took) = (answer?, began.elapsed());
                let certificate = answer.extensions().get::<PeerCertificate>();
                let issuer = certificate.and_then(|certificate| certificate::issuer(&certificate.0));
                Ok(Answered { took, issuer })
            }
            Err(_) => Err(TransportError::new(TransportErrorKind::Timeout, "it does not answer")),
        }
    }

    async fn look_at_bucket(&self) -> Option<BucketSeen> {
        let bucket = self.bucket.as_ref()?;
        let (info, worm) =
            (GetBucketInfo { bucket: bucket.clone() }, GetBucketWorm { bucket: bucket.clone() });
        Some(tokio::join!(self.client.call(&info), self.client.call(&worm)))
    }

    fn judge_bucket(&self, (info, worm): BucketSeen, account: Option<&str>) -> Vec<Check> {
        match info {
            Ok(info) => {
                let mut checks = bucket::bucket(&info, account, self.client.region());
                checks.push(bucket::worm(&worm));
                checks
            }
            Err(error) => {
                let name = self.bucket.as_ref().map(BucketName::as_str).unwrap_or_default();
                vec![bucket::unreachable(name, &error, (self.advice)(&error))]
            }
        }
    }

    async fn role(&self) -> Check {
        let state = Importer::new(self.client.clone()).role_state(IMPORT_ROLE).await;
        judge::role(state.map_err(|error| match error.call_error() {
            Some(call) => check::reason(call),
            None => error.to_string(),
        }))
    }

    async fn permissions(&self, on_bucket: bool, on_images: bool) -> Vec<Check> {
        let asked = ON_BUCKET.iter().filter(|_| on_bucket).chain(ON_IMAGES.iter().filter(|_| on_images));
        self.judge_each(asked).await
    }

    async fn judge_each(&self, asked: impl Iterator<Item = &'static Permission>) -> Vec<Check> {
        let nothing: BucketName = "ossup-doctor".parse().expect("it is a bucket's name");
        let key: ObjectKey = format!("{PREFIX}nothing").parse().expect("it is a key");
        let bucket = self.bucket.as_ref();
        let place = Place { region: self.client.region(), bucket: bucket.unwrap_or(&nothing), key: &key };
        let asked = asked.map(|permission: &Permission| {
            let request = permission.request(&place);
            async move { permission.judge(&self.client.call(&request).await) }
        });
        let asked: Vec<_> = asked.collect();
        futures::stream::iter(asked).buffered(AT_ONCE).collect().await
    }
}

/// Returns the failure of a request that was not answered, to be explained.
fn unanswered(error: TransportError) -> CallError {
    let (part, attempts, ambiguous, action) = (None, 1, false, RetryClass::Never);
    CallError { operation: "GET", part, attempts, ambiguous, cause: CallCause::Transport(error), action }
}
