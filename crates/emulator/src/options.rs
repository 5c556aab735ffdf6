use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::api::EcsOptions;
use super::faults::FaultPlan;
use super::oss::OssOptions;
use ossup_core::clock::{Clock, SystemClock};
use ossup_core::credentials::Credentials;
use ossup_core::model::{BucketName, Region};

/// The region of requests whose host names none.
pub const DEFAULT_REGION: &str = "cn-hangzhou";

/// The key that KMS uses where a request names none.
pub(super) const DEFAULT_KMS_KEY: &str = "5f1d2c3b-4a59-4687-9c0d-0e5500000001";

/// How an [`Emulator`](super::Emulator) behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmulatorOptions {
    /// The directory that holds buckets, objects, open uploads and images; made if missing.
    pub data: PathBuf,
    /// The region of requests whose host names none, and of buckets made by them.
    pub region: Region,
    /// Key pairs that sign valid requests; a pair with a token is valid with exactly that token. If there are none,
    /// the data directory's own pair is valid, which is random: [`Emulator::credentials`](super::Emulator::credentials).
    pub credentials: Vec<Credentials>,
    /// Whether signatures are verified. Without it no request needs credentials.
    pub verify: bool,
    /// Whether a bucket that a first write names is made.
    pub auto_create_buckets: bool,
    /// Whether bytes are thrown away: sizes and CRCs are kept, ETags are made from the CRC, and reading an
    /// object back is refused.
    pub discard: bool,
    /// Whether new buckets refuse public ACLs, as those of the service do since 2025-10-13.
    pub block_public_access: bool,
    /// Ids of KMS keys that exist, beside the account's own.
    pub kms_keys: BTreeSet<String>,
    /// Custom domains and the bucket that each is bound to.
    pub cnames: BTreeMap<String, BucketName>,
    /// Further names that requests over TCP may have in their `Host` header. Addresses, names without dots, those of
    /// `localhost` and of the service are served always; any other could be that of a web page.
    pub hosts: Vec<String>,
    /// The clock that signatures are checked against.
    pub clock: Arc<dyn Clock>,
    /// How many seconds pass on the clock of imports and copies for each real one.
    pub speed: f64,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
    /// How OSS behaves where that is not known.
    pub oss: OssOptions,
    /// How ECS, RAM and STS behave.
    pub ecs: EcsOptions,
}

impl EmulatorOptions {
    /// Returns the options of an emulator that verifies signatures of the data directory's own key pair.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            region: DEFAULT_REGION.parse().expect("the default region is valid"),
            credentials: Vec::new(),
            verify: true,
            auto_create_buckets: false,
            discard: false,
            block_public_access: true,
            kms_keys: BTreeSet::new(),
            cnames: BTreeMap::new(),
            hosts: Vec::new(),
            clock: Arc::new(SystemClock),
            speed: 1.0,
            faults: FaultPlan::default(),
            oss: OssOptions::default(),
            ecs: EcsOptions::default(),
        }
    }

    /// Returns the options of the embedded store: no credentials, and buckets are made as they are named.
    pub fn local(data: impl Into<PathBuf>) -> Self {
        Self { verify: false, auto_create_buckets: true, ..Self::new(data) }
    }

    /// Sets the region of requests whose host names none.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Replaces the accepted key pairs.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Vec<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Throws bytes away, see [`EmulatorOptions::discard`].
    #[must_use]
    pub fn with_discard(mut self, discard: bool) -> Self {
        self.discard = discard;
        self
    }

    /// Binds a custom domain to a bucket.
    #[must_use]
    pub fn with_cname(mut self, domain: impl Into<String>, bucket: BucketName) -> Self {
        self.cnames.insert(domain.into().to_ascii_lowercase(), bucket);
        self
    }

    /// Serves requests to these host names too, see [`EmulatorOptions::hosts`].
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Replaces the clock that signatures are checked against.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Speeds up imports and copies, see [`EmulatorOptions::speed`].
    #[must_use]
    pub fn with_speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Scripts what goes wrong.
    #[must_use]
    pub fn with_faults(mut self, faults: FaultPlan) -> Self {
        self.faults = faults;
        self
    }
}
