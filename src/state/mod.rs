//! What survives a run: which uploads are open, and which of their parts are in.
//!
//! One folder per upload under the state directory:
//!
//! - `checkpoint.json` says which upload it is. It is written as a whole (temporary file, sync, rename)
//!   before the first part, and again when all that is kept was compared with a source that had changed.
//! - `journal` holds a header and one record of fixed size for each acknowledged part, appended by the one process
//!   that holds the lock. A torn or damaged record is as if it were not there, and so are all of another upload: the
//!   part is then found through ListParts and verified by checksum.
//! - `lock` is locked for as long as a process drives the upload.
//!
//! A publish has one folder under `flows`, whose `flow.json` says which of its steps are done.
//!
//! A file per endpoint under `endpoints` keeps how many parts in flight filled the link to it: the next upload starts
//! there. Without it an upload only takes a little longer.
//!
//! An empty file per bucket under `buckets` keeps its name, for the shell to complete.
//!
//! The folder's name follows from service, region, bucket and key, so that any spelling of the file's path and any
//! kind of endpoint finds it again, and a store for rehearsals has its own folder. No credentials are kept. Folders
//! are 0700, files 0600.

mod buckets;
mod checkpoint;
mod dir;
mod file;
mod flow;
mod journal;
mod learnt;
mod lock;
mod record;

use std::io;
use std::path::{Path, PathBuf};

pub use checkpoint::{CHECKPOINT_VERSION, Checkpoint};
pub use dir::{OtherUpload, StateDir, StoredUpload, StoredUploads, UploadDir};
pub use flow::{BootTestStep, ImageStep, PublishLog, PublishState, StoredFlow};
pub use journal::Journal;
pub use lock::{Holder, Lock};
pub use record::{Disbelief, JournalContents};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use {dir::parse_checkpoint, record::read as read_journal};

/// What went wrong with the state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system refused an operation.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process is at the same upload or publish.
    #[error("another process is doing this already: {holder}")]
    Locked {
        /// The holder of the lock.
        holder: Holder,
    },
    /// A file is not what it should be.
    #[error("`{}` {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
}

impl StateError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
