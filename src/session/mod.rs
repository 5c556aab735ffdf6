//! An open upload: a new one, or an old one of which some parts are in.
//!
//! A part of an earlier run counts in one of two ways: the journal has it and ListParts shows the same size and
//! tag; or its checksum equals that of the local bytes in the range that follows from its number and size, which the
//! transfer finds out. The second way needs no journal, and so also works for an upload that another machine started.

mod bucket;
mod claim;
mod confirm;
mod foresee;
mod open;

pub use bucket::{abort, list_parts, list_uploads};
pub(crate) use claim::{Belief, Claim, Unproved, claims};
pub(crate) use foresee::Foreseen;
pub(crate) use open::Opener;

use crate::client::CallError;
use crate::model::{ObjectForm, ObjectRef, PartRecord, StorageClass, UploadId};
use crate::plan::{Plan, PlanError};
use crate::source::SourceIdentity;
use crate::state::{Journal, StateDir, StateError, UploadDir};

/// Which upload is taken up that the bucket has for the key and the state does not know.
#[derive(Debug, Clone, Default)]
pub(crate) enum Adopt {
    /// None.
    #[default]
    Nothing,
    /// The only one, if the state knows none.
    TheOnlyOne,
    /// This one, whatever the state knows.
    This(UploadId),
}

/// How an upload is begun or taken up again.
#[derive(Debug, Clone)]
pub(crate) struct SessionOptions {
    pub(crate) object: ObjectRef,
    pub(crate) part_size: Option<u64>,
    pub(crate) overwrite: bool,
    pub(crate) storage_class: StorageClass,
    /// Where state is kept; without it nothing can be resumed from here.
    pub(crate) state: Option<StateDir>,
    /// Start again: abort the upload that is known.
    pub(crate) restart: bool,
    /// Which open upload of the bucket is taken up.
    pub(crate) adopt: Adopt,
    /// Compare every part with the local bytes, also those of the journal.
    pub(crate) verify: bool,
    /// Count only parts that were proved to hold the local bytes.
    pub(crate) require_verified: bool,
}

impl SessionOptions {
    /// Returns how far records of an unchanged source are believed.
    pub(crate) fn belief(&self) -> Belief {
        if self.require_verified { Belief::Proved } else { Belief::Recorded }
    }
}

/// Why no upload could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The object cannot be cut into parts as wished.
    #[error("cannot cut the source into parts")]
    Plan(#[source] PlanError),
    /// The state directory cannot be used.
    #[error("{}", match .0 {
        StateError::Locked { .. } => "the upload cannot run now",
        _ => "cannot use the state directory",
    })]
    State(#[source] StateError),
    /// A request failed.
    #[error("cannot open an upload of `{object}`")]
    Call {
        /// The object.
        object: ObjectRef,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// The key is being uploaded from another source.
    #[error("`{object}` is being uploaded from {} ({reason})", whose(first, *changed))]
    SourceMismatch {
        /// The object.
        object: ObjectRef,
        /// The source that it was begun from.
        first: Box<SourceIdentity>,
        /// Whether it is the source of that name that changed, and no other one.
        changed: bool,
        /// Whether both may be of the same length, so that a comparison of the parts can settle it.
        same_length: bool,
        /// How the two differ.
        reason: &'static str,
    },
    /// The object is being made of its source in another way, so that none of its parts would fit.
    #[error("`{object}` is being uploaded {first}, not {now}")]
    OtherForm {
        /// The object.
        object: ObjectRef,
        /// How the upload was begun.
        first: ObjectForm,
        /// What is asked for.
        now: ObjectForm,
    },
    /// There is nothing to adopt, or too much.
    #[error("the bucket has {count} open uploads of `{object}`, and `--adopt` needs exactly one")]
    Adopt {
        /// The object.
        object: ObjectRef,
        /// How many there are.
        count: usize,
    },
}

fn whose(first: &SourceIdentity, changed: bool) -> String {
    match (changed, first) {
        (true, _) => format!("{first} as it was before it changed"),
        (false, SourceIdentity::File(_)) => format!("another file, {first}"),
        (false, _) => format!("another source, {first}"),
    }
}

/// An open upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) upload_id: UploadId,
    pub(crate) plan: Plan,
    /// Parts that are in, or may be; their ranges do not overlap.
    pub(crate) claims: Vec<Claim>,
    pub(crate) overwrite: bool,
    pub(crate) journal: Option<Journal>,
    pub(crate) dir: Option<UploadDir>,
}

/// The outcome of opening.
pub(crate) enum OpenOutcome {
    /// An upload is open.
    Session(Box<Session>),
    /// The upload that the state knows is gone, and may have become the object. These are its parts, as far as the
    /// journal has them; none if they need not be the source's.
    Gone { plan: Plan, parts: Vec<PartRecord>, dir: UploadDir },
}
