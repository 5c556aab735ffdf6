use crate::boot::{Outcome, Verdict};
use crate::client::CallError;
use crate::model::{ImageId, InstanceId, Region};
use crate::protocol::ecs;
use crate::state::StateError;

/// Why a boot test was not passed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootTestError {
    /// A request failed.
    #[error("cannot {action}")]
    Call {
        /// What was to be done: "run an instance of m-…".
        action: String,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// The test could not be written down.
    #[error("cannot keep the state of the boot test")]
    State(#[source] StateError),
    /// The system does not come to a login.
    #[error("{}", failed(image_id, instance_type, verdict))]
    DoesNotBoot {
        /// Where the image is.
        region: Region,
        /// The image. It is kept.
        image_id: ImageId,
        /// In what it was tested.
        instance_type: String,
        /// What was seen.
        verdict: Box<Verdict>,
    },
    /// The service reads no console of such instances.
    #[error("the service has no console output of instance {instance_id} of type {instance_type}")]
    NoConsole {
        /// The instance.
        instance_id: InstanceId,
        /// Its type.
        instance_type: String,
    },
    /// The instance was released by somebody else, or by its time.
    #[error("the instance {instance_id} that tested image {image_id} is gone before it came to a login")]
    Gone {
        /// The image.
        image_id: ImageId,
        /// The instance.
        instance_id: InstanceId,
    },
    /// The service made an instance though it was asked only whether it would.
    #[error("the service made instance {instance_id} though it was only asked whether it would")]
    DryRunIgnored {
        /// The instance.
        instance_id: InstanceId,
    },
    /// There is no image to ask about an instance with.
    #[error("there is no image of ECS for this architecture to ask with")]
    Unchecked,
    /// It was stopped from outside.
    #[error("the boot test was stopped")]
    Cancelled,
}

impl BootTestError {
    pub(super) fn call(action: impl Into<String>, source: CallError) -> Self {
        Self::Call { action: action.into(), source: Box::new(source) }
    }

    /// Returns the request that failed, if that is why.
    pub fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Call { source, .. } => Some(source),
            _ => None,
        }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.call_error().is_some_and(|error| error.is(code))
    }

    pub(super) fn is_dry_run_success(&self) -> bool {
        self.is(ecs::code::DRY_RUN_OPERATION) || self.is(ecs::code::DRYRUN_SUCCESS)
    }
}

fn failed(image: &ImageId, instance_type: &str, verdict: &Verdict) -> String {
    let what = match verdict.outcome {
        Outcome::Unreachable => "comes to a login and stops",
        _ => "does not boot",
    };
    match &verdict.stop {
        Some(stop) => format!("image {image} {what} in an instance of type {instance_type}: {}", stop.cause),
        None => format!("image {image} {what} in an instance of type {instance_type}"),
    }
}
