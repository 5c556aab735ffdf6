//! The boot test on the cloud: an instance of an image, whose console is followed to a login, and that is gone again.
//!
//! An instance is *ours*, for the test of one image, if it was made from that image and carries the tag
//! [`BOOT_TEST_TAG`] with the image's id. It is made with a ClientToken that is written down before the request, and
//! with a time at which the service releases it by itself: whatever becomes of this process, nothing runs for longer than
//! that. A test that was interrupted, at whatever request, is finished by the same call, with the instance that is there.
//!
//! What is proved is what [`Watch`](crate::boot::Watch) makes of the serial line: that the system comes to a login
//! prompt. Nothing is sent to the instance, and it gets no public address.

mod console;
mod error;
mod run;

use std::time::Duration;

use crate::cancel::CancellationToken;
use serde::{Deserialize, Serialize};

use crate::client::{CallError, Client};
use crate::event::EventSink;
use crate::image::request::platform_os_type;
use crate::model::{Architecture, ImageId, OsType, Region};
use crate::protocol::ecs::{DescribeImages, GetInstanceConsoleOutput, ImageOwner, RunInstances};
use crate::protocol::{Operation, rpc};

pub use error::BootTestError;

pub use crate::boot::Verdict;

/// The key of the tag of instances that test an image. The value is the image's id.
pub const BOOT_TEST_TAG: &str = "ossup:boot-test";

/// How long a start may take, the making of the instance included.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The longest limit: what takes longer is no start.
pub const LONGEST_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);
/// The service takes no time of release that is nearer than this ("RunInstances" page).
const NEAREST_RELEASE: Duration = Duration::from_secs(30 * 60);
/// For this long a request may be repeated as it was, so that the service knows it by its token.
const REPEATABLE: Duration = Duration::from_secs(25 * 60);
/// Between two looks at the instance.
const PAUSE: Duration = Duration::from_secs(5);
/// As [`PAUSE`], of services on this machine.
const QUICK_PAUSE: Duration = Duration::from_millis(500);

/// What an image is tested in: the type of the instance, and its place in a network of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BootTest {
    /// The instance type: `ecs.g7.large`.
    pub instance_type: String,
    /// The vSwitch, in the region of the image.
    pub vswitch: String,
    /// A security group of the same VPC. It has to let nothing in.
    pub security_group: String,
    /// How long it may take until there is a login prompt.
    pub limit: Duration,
}

impl BootTest {
    /// Returns a test with the [default](DEFAULT_LIMIT) limit.
    pub fn new(
        instance_type: impl Into<String>,
        vswitch: impl Into<String>,
        security_group: impl Into<String>,
    ) -> Self {
        Self {
            instance_type: instance_type.into(),
            vswitch: vswitch.into(),
            security_group: security_group.into(),
            limit: DEFAULT_LIMIT,
        }
    }

    /// Gives up after this time, at most [`LONGEST_LIMIT`].
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit.min(LONGEST_LIMIT);
        self
    }
}

/// Tests images over a client.
#[derive(Debug, Clone)]
pub struct BootTester {
    client: Client,
    test: BootTest,
    events: EventSink,
    cancel: CancellationToken,
    pause: Duration,
}

impl BootTester {
    /// Tests as `test` says. Services on this machine are asked very often.
    pub fn new(client: Client, test: BootTest) -> Self {
        let pause = if client.options().rpc_is_local() { QUICK_PAUSE } else { PAUSE };
        Self { client, test, events: EventSink::none(), cancel: CancellationToken::new(), pause }
    }

    /// Sends events to `events`.
    #[must_use]
    pub fn with_events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Ends a test when the token is cancelled. The instance is deleted then.
    #[must_use]
    pub fn with_cancellation(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Asks whether such an instance could be had now, without making one: the type and its stock, the network, the quota
    /// and the permissions. It names one of ECS's own images, since there may be no other yet.
    ///
    /// # Errors
    ///
    /// [`BootTestError::Call`] with the service's refusal; [`BootTestError::Unchecked`] if the question cannot be put.
    pub async fn check(
        &self,
        region: &Region,
        architecture: Option<Architecture>,
    ) -> Result<(), BootTestError> {
        let architecture = architecture.unwrap_or(Architecture::X86_64);
        let list = DescribeImages::new(region.clone()).with_owner(ImageOwner::System);
        let list = list.with_architecture(architecture);
        let images = self.call(&list, || format!("list the images of ECS in {region}")).await?.images;
        let is_linux = |name: Option<&str>| name.is_none_or(|name| platform_os_type(name) == OsType::Linux);
        let image = images.into_iter().find(|image| is_linux(image.platform.as_deref()));
        let image = image.ok_or(BootTestError::Unchecked)?;
        let mut run = self.request(region, &image.image_id);
        run.dry_run = true;
        let action = || format!("run an instance of type {} in {region}", self.test.instance_type);
        match self.call(&run, action).await {
            Err(error) if error.is_dry_run_success() => {}
            Err(error) => return Err(error),
            // Nothing promises that the flag is not ignored, and then there is an instance.
            Ok(made) => return Err(BootTestError::DryRunIgnored { instance_id: made.instance_id }),
        }
        // Who may not read the console would learn so only when the instance runs. There is none of this id.
        let nobody = "i-ossup00000000000000".parse().expect("it is an id");
        let console = GetInstanceConsoleOutput::new(region.clone(), nobody);
        match self.client.call(&console).await {
            Err(error) if is_denied(&error) => {
                Err(BootTestError::call("read the console of instances", error))
            }
            _ => Ok(()),
        }
    }

    /// Returns the request for an instance that ends by itself only if a time is added.
    fn request(&self, region: &Region, image: &ImageId) -> RunInstances {
        let BootTest { instance_type, vswitch, security_group, .. } = &self.test;
        RunInstances::new(region.clone(), image.clone(), instance_type, vswitch, security_group)
    }

    async fn call<O: Operation>(
        &self,
        operation: &O,
        action: impl FnOnce() -> String,
    ) -> Result<O::Output, BootTestError> {
        self.client.call(operation).await.map_err(|error| BootTestError::call(action(), error))
    }
}

/// Whether a permission is missing.
fn is_denied(error: &CallError) -> bool {
    let code = error.service().and_then(|answer| answer.code.as_deref()).unwrap_or_default();
    code.starts_with(rpc::code::FORBIDDEN) || code.starts_with(rpc::code::NO_PERMISSION)
}
