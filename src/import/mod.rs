//! Objects become custom images: submit an import, follow it to its end, copy, share, cancel, delete.
//!
//! An import takes one to four hours and goes on by itself. Everything here can be interrupted at any time and
//! resumed from the ids alone, or from the [`ClientToken`](crate::model::ClientToken) if even those were
//! lost: the caller writes the token down before it submits, and the same token never makes a second image.
//! Which image is the result of a request is settled in one place, `ours`.
//!
//! Repeating a request within one call is the client's work. What is here polls, settles lost answers by
//! looking at what is there, and decides when an import is over.

mod cancel;
mod copy_image;
mod error;
mod follow;
mod judge;
mod look;
mod ours;
mod request;
mod role;
mod share;
mod submit;
#[cfg(all(test, feature = "emulator"))]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::event::EventSink;
use crate::model::{ImageId, Region, TaskId};

pub use cancel::CancelOutcome;
pub use copy_image::CopyRequest;
pub use error::{ImportError, MISSING_ROLE_CODES};
pub use follow::Pace;
pub use ours::ORIGIN_TAG;
pub(crate) use ours::has_origin;
pub use request::ImportRequest;
pub use role::{IMPORT_POLICY, IMPORT_ROLE, RoleSetUp, RoleState, Site, authorization_url};

pub use crate::protocol::ecs::{CheckedItem, CustomImage, Detection, ImdsSupport, ImportDisk, Tag};

/// An import that the service has registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImportTask {
    /// Where the image is made.
    pub region: Region,
    /// The image; its record exists already.
    pub image_id: ImageId,
    /// The task, if it is known: copies have none.
    pub task_id: Option<TaskId>,
    /// The id of the request that registered it, to be quoted to the vendor's support.
    pub request_id: Option<String>,
    /// Whether the image was found by its origin, made by an earlier call whose answer was lost.
    pub adopted: bool,
}

impl ImportTask {
    /// Returns the task of an image whose task is not known; it is followed by the image alone.
    pub fn of_image(region: Region, image_id: ImageId) -> Self {
        Self { region, image_id, task_id: None, request_id: None, adopted: false }
    }
}

/// Imports, copies and shares images. Clones share the client.
#[derive(Debug, Clone)]
pub struct Importer {
    client: Client,
    events: EventSink,
    pace: Pace,
    wait_limit: Option<Duration>,
    role_grace: Duration,
}

impl Importer {
    /// Works through `client`, without a time limit. Services on this machine are polled very often, the real ones at
    /// [`Pace::default`].
    pub fn new(client: Client) -> Self {
        let pace = if client.options().rpc_is_local() { Pace::quick() } else { Pace::default() };
        Self { client, events: EventSink::none(), pace, wait_limit: None, role_grace: Duration::ZERO }
    }

    /// Sends events to `events`.
    #[must_use]
    pub fn with_events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Polls running imports at another pace.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Stops waiting after this time. The import goes on.
    #[must_use]
    pub fn with_wait_limit(mut self, limit: Option<Duration>) -> Self {
        self.wait_limit = limit;
        self
    }

    /// For this long an import is submitted again when ECS reports the role as missing: a new role is seen by ECS
    /// only after a while ([`RoleSetUp::grace`]).
    #[must_use]
    pub fn with_role_grace(mut self, grace: Duration) -> Self {
        self.role_grace = grace;
        self
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
