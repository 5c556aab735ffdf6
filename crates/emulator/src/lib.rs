//! An embedded emulator of OSS and of the parts of ECS, RAM and STS that an import needs.
//!
//! It verifies signatures, writes its own XML and JSON, keeps its data on disk through restarts and kills,
//! and refuses what it does not know with `NotImplemented`. It shares with the client the words of
//! [`model`](ossup_core::model), checksums and the signature schemes, whose vectors come from the vendor's own
//! code; never how requests are built or answers are read.
//!
//! There are two doors: an [`Emulator`] is a [`Transport`](ossup_core::http::Transport) in process, and a [`Server`]
//! offers it over TCP. Beside them stands the [`MetadataService`] of one instance.

mod api;
mod dispatch;
mod faults;
mod keys;
mod metadata;
mod options;
mod oss;
mod server;
mod store;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
mod transport;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use ossup_core::credentials::Credentials;
use ossup_core::model::{BucketName, Region};

pub use api::{EcsOptionError, EcsOptions};
pub use faults::{Fault, FaultPlan, FaultPlanError, FaultRule, When};
pub use metadata::{InstanceMetadata, MetadataService};
pub use options::{DEFAULT_REGION, EmulatorOptions};
pub use oss::{OssOptionError, OssOptions};
pub use server::{IDLE_LIMIT, MAX_CONNECTIONS, MAX_HEAD, Server};
pub use store::{BucketRecord, Encryption, StoreError, Versioning};

use api::Cloud;
use faults::Script;
use keys::Keys;
use ossup_core::http::Body;
use store::Store;

/// The emulator. Clones are handles of the same one; its data directory is freed with the last of them.
#[derive(Debug, Clone)]
pub struct Emulator(Arc<Inner>);

/// Why a request gets no answer: its connection is cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// The emulator cuts it, as a fault plan says.
    #[error("the emulator resets the connection")]
    Reset,
    /// The request's body was cut off.
    #[error("the request's body was cut off")]
    Body(#[source] std::io::Error),
}

#[derive(Debug)]
struct Inner {
    options: EmulatorOptions,
    store: Store,
    keys: Keys,
    cloud: Cloud,
    script: Script,
}

impl Emulator {
    /// Opens the data directory, or makes it. Nothing runs until requests arrive.
    ///
    /// # Errors
    ///
    /// When the directory holds something else, another emulator has it, another version made it, or the disk refuses.
    pub fn open(mut options: EmulatorOptions) -> Result<Self, StoreError> {
        let store = Store::open(&options.data, options.discard)?;
        if options.credentials.is_empty() {
            options.credentials.push(store.credentials().clone());
        }
        let keys = Keys::new(&options.credentials);
        let cloud = Cloud::open(&options, &store)?;
        let script = Script::new(options.faults.clone());
        Ok(Self(Arc::new(Inner { options, store, keys, cloud, script })))
    }

    /// Returns the data directory.
    pub fn data(&self) -> &Path {
        &self.0.options.data
    }

    /// Returns the first of the key pairs that are valid from the start.
    pub fn credentials(&self) -> &Credentials {
        self.0.options.credentials.first().expect("without other pairs there is the store's own")
    }

    /// Returns a bucket's settings, if there is such a bucket.
    pub fn bucket(&self, name: &BucketName) -> Option<BucketRecord> {
        self.0.store.bucket(name)
    }

    /// Makes a bucket in `region`.
    ///
    /// # Errors
    ///
    /// [`StoreError::BucketExists`], or that the disk refuses.
    pub fn create_bucket(&self, name: BucketName, region: Region) -> Result<(), StoreError> {
        let mut record = BucketRecord::new(name, region, self.now());
        record.block_public_access = self.0.options.block_public_access;
        self.0.store.create_bucket(record)
    }

    /// Changes a bucket's settings: default encryption, storage class, versioning, owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchBucket`], or that the disk refuses.
    pub fn update_bucket(
        &self,
        name: &BucketName,
        change: impl FnOnce(&mut BucketRecord),
    ) -> Result<(), StoreError> {
        self.0.store.update_bucket(name, change)
    }

    /// Accepts one more key pair; one with a token is valid with that token, until it expires.
    pub fn add_credentials(&self, credentials: Credentials) {
        self.0.keys.add(credentials);
    }

    /// Answers a request as a server would.
    ///
    /// # Errors
    ///
    /// When a server would cut the connection instead of answering.
    pub async fn handle(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Disconnect> {
        if dispatch::is_call(&request) {
            return dispatch::call(self, request).await;
        }
        oss::handle(self, request, &request_id(), self.now()).await
    }

    /// Refuses a request without looking at what it asks for.
    fn refuse<B>(&self, request: &http::Request<B>, reason: String) -> http::Response<Body> {
        oss::refuse(request, reason, &request_id(), self.now())
    }

    /// Changes how ECS, RAM and STS behave from now on.
    pub fn update_ecs(&self, change: impl FnOnce(&mut EcsOptions)) {
        self.0.cloud.update(change);
    }

    /// Puts the clock of imports and copies forward.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub fn advance(&self, by: Duration) -> Result<(), StoreError> {
        self.0.cloud.advance(by, &self.0.store)
    }

    /// Replaces the injected faults. Attempts count from the start again.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.0.script.replace(plan);
    }

    /// Returns how often each rule of the fault plan applied, in the plan's order.
    pub fn faults_struck(&self) -> Vec<u64> {
        self.0.script.struck()
    }

    /// Returns how many requests of each operation arrived since the start or the last
    /// [`Emulator::set_faults`]; those that are not an operation count under an empty name.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.0.script.requests()
    }

    /// Returns the time that signatures are checked against, a scripted skew included.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.options.clock.now() + SignedDuration::from_secs(self.0.script.clock_skew())
    }

    pub(crate) fn script(&self) -> &Script {
        &self.0.script
    }

    pub(crate) fn options(&self) -> &EmulatorOptions {
        &self.0.options
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }
}

/// Returns an id as OSS gives each request.
fn request_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    id.truncate(24);
    id
}
