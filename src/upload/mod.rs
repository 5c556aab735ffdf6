//! The upload as one call: its options, its report and its errors.
//!
//! `source → plan → session → transfer → complete`. The same call again continues what an earlier one left.

mod compared;
mod confirm;
mod observed;
mod plan;
mod probe;
mod stages;
mod steady;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancellationToken;

use crate::checksum_file::Sha256;
use crate::client::Client;
use crate::complete::{CompleteError, StoredObject};
use crate::event::EventSink;
use crate::model::{ObjectForm, ObjectRef, StorageClass, UploadId};
use crate::session::{Adopt, SessionError, SessionOptions};
use crate::source::{Passage, Source, Stream};
use crate::state::StateDir;
use crate::supply::{Passages, Recipe};
use crate::transfer::{Limits, TransferError};

/// Most parts in flight while their number adapts.
pub const DEFAULT_MAX_PARALLEL: usize = 64;
/// How long requests other than parts may go on after the upload was stopped: longer than parts may.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// An upload of one source to one object.
#[derive(Debug, Clone)]
pub struct Upload {
    client: Client,
    recipe: Recipe,
    expected_sha256: Option<Sha256>,
    session: SessionOptions,
    parallel: Option<usize>,
    max_parallel: usize,
    content_md5: bool,
    in_use: bool,
    resume_only: bool,
    limits: Limits,
    events: EventSink,
    reports: Option<ReportSink>,
    cancel: CancellationToken,
}

/// Takes the report of an upload that is done.
#[derive(Clone)]
struct ReportSink(Arc<dyn Fn(&UploadReport) + Send + Sync>);

impl fmt::Debug for ReportSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportSink")
    }
}

/// The report of an upload that succeeded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UploadReport {
    /// The object.
    pub stored: StoredObject,
    /// How the object is made of the source.
    pub form: ObjectForm,
    /// Length of the image that it is made of, in bytes.
    pub image_bytes: u64,
    /// The SHA-256 of that image, if it was asked for and the image was read.
    pub content_sha256: Option<Sha256>,
    /// How many parts it was made of; 0 if it was there already.
    pub parts: usize,
    /// How many of them were not sent in this run.
    pub resumed_parts: usize,
    /// Body bytes of all attempts of this run.
    pub bytes_sent: u64,
    /// Attempts that followed a failed one.
    pub retries: u64,
    /// Whether the source was in use while it was read, so that the object may be of no single moment. Only where
    /// that was allowed, see [`Upload::with_in_use`].
    pub in_use: bool,
    /// How long this run took.
    pub took: Duration,
}

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// It could not be started or resumed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A part could not be sent.
    #[error("cannot upload `{object}`: {parts} parts are kept")]
    Transfer {
        /// The object.
        object: ObjectRef,
        /// How many parts are in, and kept for the next run.
        parts: usize,
        /// Why.
        source: TransferError,
    },
    /// The object could not be made or proved.
    #[error(transparent)]
    Complete(#[from] CompleteError),
    /// The upload that was to be resumed no longer exists, and did not become the object.
    #[error("the upload of `{object}` no longer exists")]
    Gone {
        /// The object.
        object: ObjectRef,
    },
    /// It was stopped from outside before or after parts were sent; what the service has is kept.
    #[error("the upload was stopped")]
    Cancelled,
}

impl Upload {
    /// Prepares to upload `source` to `object`. State is kept only where a directory is given.
    pub fn new(client: Client, source: Arc<dyn Source>, object: ObjectRef) -> Self {
        Self::of(client, Recipe::as_is(source), object)
    }

    /// Prepares to upload a stream to `object`. The same call with the same stream goes on with an upload that ended:
    /// what is in is compared as it passes. A stream that differs is refused.
    pub fn from_stream(client: Client, stream: Stream, object: ObjectRef) -> Self {
        Self::of(client, Recipe::of_stream(stream), object)
    }

    fn of(client: Client, recipe: Recipe, object: ObjectRef) -> Self {
        let session = SessionOptions {
            object,
            part_size: None,
            overwrite: false,
            storage_class: StorageClass::default(),
            state: None,
            restart: false,
            adopt: Adopt::default(),
            verify: false,
            require_verified: false,
        };
        Self {
            client,
            recipe,
            expected_sha256: None,
            session,
            parallel: None,
            max_parallel: DEFAULT_MAX_PARALLEL,
            content_md5: false,
            in_use: false,
            resume_only: false,
            limits: Limits::default(),
            events: EventSink::none(),
            reports: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Makes the object of the source in another form. By default it has the source's bytes as they are. For
    /// [`ObjectFormat::Raw`](crate::model::ObjectFormat::Raw) the source is the disk inside an image,
    /// [`DiskSource`](crate::source::DiskSource); what is said of unpacking is only recorded, for the stream that is
    /// given is unpacked already.
    #[must_use]
    pub fn with_form(mut self, form: ObjectForm) -> Self {
        self.recipe.set_form(form);
        self
    }

    /// Has the image looked at as it passes, in its order. `make` is called for each time that it does.
    #[must_use]
    pub fn with_passage(mut self, make: impl Fn() -> Box<dyn Passage> + Send + Sync + 'static) -> Self {
        self.recipe.set_passages(Passages(Arc::new(make)));
        self
    }

    /// Makes no object unless the image has this SHA-256. A file that is sent as it is is read once more for that.
    #[must_use]
    pub fn with_expected_sha256(mut self, expected: Sha256) -> Self {
        self.recipe.hash();
        self.expected_sha256 = Some(expected);
        self
    }

    /// Reports the SHA-256 of the image. A file that is sent as it is is read once more for that.
    #[must_use]
    pub fn with_content_sha256(mut self, wanted: bool) -> Self {
        if wanted {
            self.recipe.hash();
        }
        self
    }

    /// Keeps state in this directory, so that an interrupted upload resumes by the same call.
    #[must_use]
    pub fn with_state_dir(mut self, root: impl Into<PathBuf>) -> Self {
        self.session.state = Some(StateDir::new(root));
        self
    }

    /// Fixes the size of every part but the last, in bytes.
    #[must_use]
    pub fn with_part_size(mut self, bytes: u64) -> Self {
        self.session.part_size = Some(bytes);
        self
    }

    /// Fixes the number of parts in flight; by default it follows what the link gives.
    #[must_use]
    pub fn with_parallel(mut self, parts: usize) -> Self {
        self.parallel = Some(parts);
        self
    }

    /// Bounds the number of parts in flight while it adapts; [`DEFAULT_MAX_PARALLEL`] by default.
    #[must_use]
    pub fn with_max_parallel(mut self, parts: usize) -> Self {
        self.max_parallel = parts;
        self
    }

    /// Allows an existing object to be replaced.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.session.overwrite = overwrite;
        self
    }

    /// Sets the object's storage class, Standard by default: ECS cannot import archived objects.
    #[must_use]
    pub fn with_storage_class(mut self, class: StorageClass) -> Self {
        self.session.storage_class = class;
        self
    }

    /// Aborts the upload that the state knows, and starts again.
    #[must_use]
    pub fn with_restart(mut self, restart: bool) -> Self {
        self.session.restart = restart;
        self
    }

    /// Without local state, resumes the one open upload that the bucket has for the key.
    #[must_use]
    pub fn with_adopt(mut self, adopt: bool) -> Self {
        self.session.adopt = if adopt { Adopt::TheOnlyOne } else { Adopt::Nothing };
        self
    }

    /// Resumes this open upload of the bucket instead of the one that the state knows.
    #[must_use]
    pub fn with_adopted_upload(mut self, upload_id: UploadId) -> Self {
        self.session.adopt = Adopt::This(upload_id);
        self
    }

    /// Fails with [`UploadError::Gone`] if the upload that the state knows no longer exists and did not become the
    /// object, instead of starting a new one that sends everything.
    #[must_use]
    pub fn with_resume_only(mut self, resume_only: bool) -> Self {
        self.resume_only = resume_only;
        self
    }

    /// Compares every part of an earlier run with the local bytes.
    #[must_use]
    pub fn with_verify_resume(mut self, verify: bool) -> Self {
        self.session.verify = verify;
        self
    }

    /// Sends Content-MD5 with each part, which reads each part twice.
    #[must_use]
    pub fn with_content_md5(mut self, content_md5: bool) -> Self {
        self.content_md5 = content_md5;
        self
    }

    /// Uploads a block device even while something writes to it, instead of refusing to make an object whose bytes
    /// are of no single moment. The report says if that happened.
    #[must_use]
    pub fn with_in_use(mut self, allowed: bool) -> Self {
        self.in_use = allowed;
        self
    }

    /// Fails where the object cannot be proved to hold the source's bytes ([`Verified`](crate::complete::Verified)).
    /// Parts for which the service returns no CRC-64 are read again, to compare their tags with their MD5; if that
    /// proves nothing either, no object is made.
    #[must_use]
    pub fn with_require_verified(mut self, require_verified: bool) -> Self {
        self.session.require_verified = require_verified;
        self
    }

    /// Shares memory and bandwidth with other uploads.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sends events to `sink`.
    #[must_use]
    pub fn with_events(mut self, sink: EventSink) -> Self {
        self.events = sink;
        self
    }

    /// Sends the report to `sink` as soon as the object is there. Of several uploads that run for a publish, each is
    /// reported when it is done.
    #[must_use]
    pub fn with_on_done(mut self, sink: impl Fn(&UploadReport) + Send + Sync + 'static) -> Self {
        self.reports = Some(ReportSink(Arc::new(sink)));
        self
    }

    /// Stops gently when the token is cancelled: parts in flight get a few seconds, and all parts are kept.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Returns the upload with its own token, which is also cancelled by the one that it was given.
    pub(crate) fn with_own_token(mut self) -> (Self, CancellationToken) {
        self.cancel = self.cancel.child_token();
        let token = self.cancel.clone();
        (self, token)
    }

    /// Returns the object.
    pub(crate) fn object(&self) -> &ObjectRef {
        &self.session.object
    }

    /// Returns the object's length in bytes, if it is known before everything was read.
    pub(crate) fn object_length(&self) -> Option<u64> {
        self.recipe.length()
    }

    /// Whether the number of parts in flight was given.
    pub(crate) fn has_fixed_parallel(&self) -> bool {
        self.parallel.is_some()
    }

    /// Uploads, or continues an upload that an earlier call left.
    ///
    /// # Errors
    ///
    /// [`UploadError`]; parts that are in stay in, and the same call again continues.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops at once. No request outlives it, and the journal stays valid.
    pub async fn run(&self) -> Result<UploadReport, UploadError> {
        // The transfer stops by itself, and gently; this is for requests before and after it.
        let stopped = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(CANCEL_LIMIT).await;
        };
        let report = tokio::select! {
            biased;
            result = self.stages() => result?,
            () = stopped => return Err(UploadError::Cancelled),
        };
        Ok(self.reported(report))
    }

    /// Passes the report on.
    fn reported(&self, report: UploadReport) -> UploadReport {
        if let Some(ReportSink(sink)) = &self.reports {
            sink(&report);
        }
        report
    }
}

pub use plan::{Estimate, Existing, Present, UploadPlan};
pub use probe::ProbedRate;

pub use crate::session::{abort, list_parts};
pub use crate::supply::{Forecast, WORTH_SAVING, saving};

#[cfg(all(test, feature = "emulator"))]
mod scripted;
#[cfg(all(test, feature = "emulator"))]
mod tests;
