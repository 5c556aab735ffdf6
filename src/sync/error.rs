use std::path::PathBuf;

use super::change::{Action, Change, Conflict};
use super::maker::MakeError;
use crate::boot_test::BootTestError;
use crate::client::CallError;
use crate::import::ImportError;
use crate::manage::ManageError;
use crate::model::{ObjectRef, Region};
use crate::publish::PublishError;

/// Why a fleet could not be compared with an account, or not made as its file says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Names are taken by images that the fleet did not make.
    #[error("{}", told(conflicts))]
    Conflicts {
        /// All of them.
        conflicts: Vec<Conflict>,
    },
    /// A region of the file does not exist, or the account cannot use it.
    #[error("there is no region `{region}`, which `{entry}` asks for")]
    NoRegion {
        /// The entry.
        entry: String,
        /// The region.
        region: Region,
    },
    /// A source could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An object could not be inspected, listed or deleted.
    #[error("cannot inspect or delete `{object}`")]
    Object {
        /// The object, or what its key begins with.
        object: ObjectRef,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// The sources of an entry could not be opened, or cannot be imported.
    #[error("cannot make the image of `{entry}`")]
    Make {
        /// The entry.
        entry: String,
        /// Why.
        source: MakeError,
    },
    /// A run was to do no more than what was agreed to, and has found something else to do.
    #[error("{}", not_agreed(change))]
    NotAgreed {
        /// What was not done.
        change: Box<Change>,
    },
    /// The account could not be looked at.
    #[error(transparent)]
    Look(#[from] ManageError),
    /// A change was not made.
    #[error("`{}` is not as the file says in {}", change.entry, change.region)]
    Change {
        /// What was to be done.
        change: Box<Change>,
        /// Why it was not.
        source: Box<ChangeError>,
    },
    /// Everything was done, and the account does not show it.
    #[error("`{}` is still not as the file says in {} after everything was done", change.entry, change.region)]
    Unsettled {
        /// What is still to be done.
        change: Box<Change>,
    },
    /// It was stopped from outside.
    #[error("the run was stopped; what was submitted goes on")]
    Cancelled,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A source could not be opened, or cannot be imported.
    #[error(transparent)]
    Make(MakeError),
    /// A file is another one than when it was compared with the account.
    #[error("`{}` was changed since it was compared with the account", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// The image was not seen to boot, or could not be tested. It is kept, and tested again by the next run.
    #[error(transparent)]
    BootTest(#[from] BootTestError),
    /// The upload or the import failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A copy, or sharing, failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Another change failed.
    #[error(transparent)]
    Manage(#[from] ManageError),
    /// An object could not be deleted.
    #[error("cannot delete `{object}`")]
    Object {
        /// The object.
        object: ObjectRef,
        /// Which request, and why.
        source: Box<CallError>,
    },
}

impl ChangeError {
    /// Whether another run that makes the same change may be the reason: then it is looked at again.
    pub(super) fn may_be_another_run(&self) -> bool {
        let of_import = |error: &ImportError| {
            matches!(error, ImportError::NameTaken { .. } | ImportError::Vanished { .. })
        };
        let of_manage = |error: &ManageError| {
            error.is_not_found()
                || error.may_pass()
                || matches!(error, ManageError::Status { .. } | ManageError::Unproved { .. })
        };
        match self {
            Self::Publish(PublishError::Import(error)) | Self::Import(error) => of_import(error),
            Self::Manage(ManageError::Import(error)) => of_import(error),
            Self::Manage(ManageError::Partly { source, .. }) => of_manage(source),
            Self::Manage(error) => of_manage(error),
            _ => false,
        }
    }
}

fn not_agreed(change: &Change) -> String {
    let Change { entry, region, action } = change;
    match action {
        Action::Delete { image, reason } => format!(
            "image {image} of `{entry}` in {region}, which {reason}, would be deleted, and that is not what was confirmed"
        ),
        Action::Deprecate { image, reason } => format!(
            "image {image} of `{entry}` in {region}, which {reason}, would be deprecated, and that is not what was confirmed"
        ),
        _ => format!("the sources of `{entry}` are no longer those that were confirmed"),
    }
}

fn told(conflicts: &[Conflict]) -> String {
    let text = match conflicts {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    };
    format!("{text}: nothing was changed")
}
