use std::time::Duration;

use super::ImportTask;
use crate::client::CallError;
use crate::image::Finding;
use crate::model::{AccountId, ImageId, ImageStatus, Region, TaskId};
use crate::protocol::ecs;

/// The codes with which ImportImage says that the role is missing. Pages and service spell it differently.
pub const MISSING_ROLE_CODES: [&str; 2] =
    [ecs::code::NO_SET_ROLETO_ECS_SERVICE_ACOUNT, ecs::code::NO_SET_ROLETO_ECS_SERVICE_ACCOUNT];

/// Why an image was not imported, copied, shared, cancelled or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The request breaks the service's documented rules; nothing was sent.
    #[error("the import request cannot be made: {}", refusals(findings))]
    Refused {
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
    /// ECS may not read OSS: the role is missing, or its trust policy does not name ECS.
    #[error("ECS is not yet authorized to read OSS")]
    RoleMissing {
        /// The service's refusal.
        source: Box<CallError>,
    },
    /// The name belongs to an image that this request has not made, or that failed.
    #[error("the image name `{name}` is taken by {image_id} ({status})")]
    NameTaken {
        /// The name.
        name: String,
        /// Where.
        region: Region,
        /// The image that has it.
        image_id: ImageId,
        /// Its state.
        status: ImageStatus,
    },
    /// A dry run was not treated as one: an import has begun.
    #[error("the service ignored that this is a dry run and imports {}", task.image_id)]
    DryRunIgnored {
        /// The import that has begun.
        task: ImportTask,
    },
    /// A request failed.
    #[error("cannot {action}")]
    Call {
        /// What was to be done: "import `oss://…`".
        action: String,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// The import or copy failed.
    #[error("{}", failure(image_id, *percent, code.as_deref(), message.as_deref()))]
    Failed {
        /// The image, which cannot be used.
        image_id: ImageId,
        /// Its task.
        task_id: Option<TaskId>,
        /// How far it got.
        percent: Option<u8>,
        /// The service's code, verbatim.
        code: Option<String>,
        /// The service's message, verbatim.
        message: Option<String>,
    },
    /// The import or copy was cancelled.
    #[error("creating image {image_id} was cancelled")]
    Cancelled {
        /// The image.
        image_id: ImageId,
    },
    /// The image's record is gone.
    #[error("the image {image_id} no longer exists")]
    Vanished {
        /// The image.
        image_id: ImageId,
    },
    /// The wait ended; the import or copy goes on.
    #[error("image {} was not Available after {} s; the import or copy goes on", task.image_id, waited.as_secs())]
    StillRunning {
        /// By which it is followed again.
        task: ImportTask,
        /// How long was waited.
        waited: Duration,
    },
    /// There is no such task or image in the region.
    #[error("there is no task or image `{id}` in {region}")]
    Unknown {
        /// What was looked for.
        id: String,
        /// Where.
        region: Region,
    },
    /// The accounts were added, but the service does not list them.
    #[error("{image_id} is not shared with {}", list(accounts))]
    NotShared {
        /// The image.
        image_id: ImageId,
        /// The accounts that are missing.
        accounts: Vec<AccountId>,
    },
    /// The role exists, and does not trust ECS. It is not changed without being asked.
    #[error("the role `{role}` exists, but its trust policy does not name ecs.aliyuncs.com")]
    RoleTrust {
        /// The role.
        role: String,
    },
}

impl ImportError {
    pub(super) fn call(action: impl Into<String>) -> impl FnOnce(CallError) -> Self {
        let action = action.into();
        move |source| Self::Call { action, source: Box::new(source) }
    }

    /// Returns the request that failed, if that is why.
    pub fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Call { source, .. } | Self::RoleMissing { source } => Some(source),
            _ => None,
        }
    }

    /// Returns the service's code: of the refusal, or of the failed task.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Failed { code, .. } => code.as_deref(),
            _ => self.call_error()?.service()?.code.as_deref(),
        }
    }
}

fn refusals(findings: &[Finding]) -> String {
    let refusals: Vec<&str> =
        findings.iter().filter(|finding| finding.refuses()).map(|finding| finding.message.as_str()).collect();
    refusals.join("; ")
}

fn failure(image_id: &ImageId, percent: Option<u8>, code: Option<&str>, message: Option<&str>) -> String {
    let at = percent.map_or_else(String::new, |percent| format!(" at {percent} %"));
    let code = code.map_or_else(String::new, |code| format!(": `{code}`"));
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    format!("creating image {image_id} failed{at}{code}{message}")
}

fn list(accounts: &[AccountId]) -> String {
    accounts.iter().map(AccountId::as_str).collect::<Vec<_>>().join(", ")
}
