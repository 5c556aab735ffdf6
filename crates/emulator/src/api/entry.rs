//! What is kept of an image: its task, its snapshots, and how they show at a moment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Millis;
use super::options::EcsOptions;
use ossup_core::model::{BucketName, ObjectKey};

/// All that came of one ImportImage or CopyImage: saved as a whole, so that a kill leaves all of it or nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Orders entries by age.
    pub(super) serial: u64,
    pub(super) image: Image,
    /// Whether the image is gone; task and snapshots outlive it.
    pub(super) deleted: bool,
    pub(super) origin: Origin,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) phase: Phase,
    /// The call that made it, to be answered again.
    pub(super) token: Option<Token>,
    /// How often an image that is done was looked at.
    #[serde(skip)]
    pub(super) looks: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) family: String,
    pub(super) platform: String,
    pub(super) os_type: String,
    pub(super) architecture: String,
    pub(super) boot_mode: String,
    pub(super) license: String,
    pub(super) resource_group: String,
    pub(super) nvme: String,
    pub(super) imds: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) disks: Vec<Disk>,
    /// Whether the image check was asked for.
    pub(super) detect: bool,
    /// What it finds.
    #[serde(default)]
    pub(super) checked: Vec<super::ecs::check::Item>,
    pub(super) deprecated: bool,
    pub(super) created: Timestamp,
    pub(super) shared_with: Vec<String>,
    pub(super) public: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Disk {
    pub(super) device: String,
    pub(super) format: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) size_gib: u64,
    /// The id of its snapshot, whether that still exists or not.
    pub(super) snapshot: String,
    /// What encrypts it, if anything does.
    #[serde(default)]
    pub(super) encryption: Option<Encryption>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Encryption {
    /// The service's own key.
    ServiceKey,
    /// A key of the caller's.
    Kms(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Origin {
    Import {
        task: String,
        /// The objects as they were when the import was asked for.
        objects: Vec<ObjectState>,
        created: Timestamp,
        finished: Option<Timestamp>,
    },
    Copy {
        /// The image that it is a copy of, and its region.
        source: String,
        region: String,
    },
}

/// By what a changed object is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectState {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) size_gib: u64,
    pub(super) system: bool,
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) tags: Vec<(String, String)>,
}

/// A remembered call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) access_key: String,
    pub(super) action: String,
    pub(super) token: String,
    pub(super) fingerprint: String,
    pub(super) answer: Value,
    pub(super) expires: Millis,
}

/// Why an import fails, and how far it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) percent: u8,
    pub(super) code: String,
    pub(super) message: String,
}

/// How far the work is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    Queued { since: Millis, work: Work },
    Running { since: Millis, work: Work },
    Done { at: Millis },
    Failed { at: Millis, failure: Failure },
    Cancelled { percent: u8 },
}

/// Work that is not done yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) duration: Millis,
    /// What is already known to go wrong with it.
    pub(super) failure: Option<Failure>,
}

impl Work {
    /// Returns how long it runs: a failure ends it early.
    pub(super) fn runs(&self) -> Millis {
        match &self.failure {
            Some(failure) => self.duration * u64::from(failure.percent) / 100,
            None => self.duration,
        }
    }
}

impl Entry {
    /// Returns progress in percent at `now`; 100 only when all is done.
    pub(super) fn percent(&self, now: Millis) -> u8 {
        match &self.phase {
            Phase::Queued { .. } => 0,
            Phase::Running { since, work } => {
                let share = now.saturating_sub(*since).saturating_mul(100) / work.duration.max(1);
                u8::try_from(share.min(99)).unwrap_or(99)
            }
            Phase::Done { .. } => 100,
            Phase::Failed { failure, .. } => failure.percent,
            Phase::Cancelled { percent } => *percent,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Queued { .. } | Phase::Running { .. })
    }

    pub(super) fn is_copy(&self) -> bool {
        matches!(self.origin, Origin::Copy { .. })
    }

    /// Returns the task's id; copies have none.
    pub(super) fn task(&self) -> Option<&str> {
        match &self.origin {
            Origin::Import { task, .. } => Some(task),
            Origin::Copy { .. } => None,
        }
    }

    /// Returns the image's state as DescribeImages shows it.
    pub(super) fn image_status(&self, options: &EcsOptions) -> &'static str {
        match &self.phase {
            Phase::Queued { .. } => "Waiting",
            Phase::Running { .. } => "Creating",
            Phase::Done { .. } if self.looks < options.looks_before_available => "Creating",
            Phase::Done { .. } if self.image.deprecated => "Deprecated",
            Phase::Done { .. } => "Available",
            Phase::Failed { .. } | Phase::Cancelled { .. } => "CreateFailed",
        }
    }

    /// Returns the task's state as DescribeTasks shows it.
    pub(super) fn task_status(&self, now: Millis, options: &EcsOptions) -> &'static str {
        match &self.phase {
            Phase::Queued { .. } => "Waiting",
            Phase::Running { .. } if options.paused && (33..66).contains(&self.percent(now)) => "Paused",
            Phase::Running { .. } => "Processing",
            Phase::Done { .. } => "Finished",
            Phase::Failed { .. } if options.finished_but_failed => "Finished",
            Phase::Failed { .. } => "Failed",
            Phase::Cancelled { .. } => "Deleted",
        }
    }

    /// Returns the state of the snapshots: "failed" until all is done.
    pub(super) fn snapshot_status(&self) -> &'static str {
        match self.phase {
            Phase::Done { .. } => "accomplished",
            _ if self.is_copy() && self.is_pending() => "progressing",
            _ => "failed",
        }
    }

    pub(super) fn queue(&self) -> (String, bool) {
        (self.image.region.clone(), self.is_copy())
    }
}
