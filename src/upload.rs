//! The upload as one call: runs the stages in order and has no logic of its own.
//!
//! `source → plan → session → transfer → complete`. The same call again continues what an earlier one left.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::blocks::digest;
use crate::client::{Client, Progress};
use crate::complete::{self, CompleteError, Completed, Completer, StoredObject};
use crate::event::{Event, EventSink};
use crate::model::{ObjectRef, StorageClass};
use crate::session::{self, Opened, Opener, Session, SessionError, SessionOptions};
use crate::source::Source;
use crate::state::{PartRecord, StateDir};
use crate::transfer::{Control, Journaling, Limits, PartList, Transfer, TransferError, Watch};

/// Most parts in flight while their number adapts.
pub const DEFAULT_MAX_PARALLEL: usize = 64;
/// How often parts that the service turns out not to have are sent again before the upload fails.
const RECONCILIATIONS: usize = 2;
/// How long requests other than parts may go on after the upload was stopped: longer than parts may.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// What is waited for before the first part,
const ASKED_FOR: &str = "the service is asked for the upload";
/// and after the last.
const PUTTING_TOGETHER: &str = "the service puts the object together";

/// An upload of one source to one object.
#[derive(Debug, Clone)]
pub struct Upload {
    client: Client,
    source: Arc<dyn Source>,
    session: SessionOptions,
    parallel: Option<usize>,
    max_parallel: usize,
    content_md5: bool,
    limits: Limits,
    events: EventSink,
    cancel: CancellationToken,
}

/// What an upload came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UploadReport {
    /// The object.
    pub stored: StoredObject,
    /// How many parts it was made of; 0 if it was there already.
    pub parts: usize,
    /// How many of them were not sent in this run.
    pub resumed_parts: usize,
    /// Body bytes of all attempts of this run.
    pub bytes_sent: u64,
    /// Attempts that followed a failed one.
    pub retries: u64,
    /// How long this run took.
    pub took: Duration,
}

/// Why an upload did not come to an object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// It could not be begun or taken up again.
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
    /// It was stopped from outside before or after parts were sent; what the service has is kept.
    #[error("the upload was stopped")]
    Cancelled,
}

impl Upload {
    /// Prepares to upload `source` to `object`. State is kept only where a directory is given.
    pub fn new(client: Client, source: Arc<dyn Source>, object: ObjectRef) -> Self {
        let session = SessionOptions {
            object,
            part_size: None,
            overwrite: false,
            storage_class: StorageClass::default(),
            state: None,
            restart: false,
            adopt: false,
            verify: false,
        };
        Self {
            client,
            source,
            session,
            parallel: None,
            max_parallel: DEFAULT_MAX_PARALLEL,
            content_md5: false,
            limits: Limits::default(),
            events: EventSink::none(),
            cancel: CancellationToken::new(),
        }
    }

    /// Keeps state in this directory, so that an interrupted upload resumes by the same call.
    #[must_use]
    pub fn state_dir(mut self, root: impl Into<PathBuf>) -> Self {
        self.session.state = Some(StateDir::new(root));
        self
    }

    /// Fixes the size of every part but the last, in bytes.
    #[must_use]
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.session.part_size = Some(bytes);
        self
    }

    /// Fixes the number of parts in flight; by default it follows what the link gives.
    #[must_use]
    pub fn parallel(mut self, parts: usize) -> Self {
        self.parallel = Some(parts);
        self
    }

    /// Bounds the number of parts in flight while it adapts; [`DEFAULT_MAX_PARALLEL`] by default.
    #[must_use]
    pub fn max_parallel(mut self, parts: usize) -> Self {
        self.max_parallel = parts;
        self
    }

    /// Allows an existing object to be replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.session.overwrite = overwrite;
        self
    }

    /// Sets the object's storage class, Standard by default: ECS cannot import archived objects.
    #[must_use]
    pub fn storage_class(mut self, class: StorageClass) -> Self {
        self.session.storage_class = class;
        self
    }

    /// Aborts the upload that the state knows, and begins anew.
    #[must_use]
    pub fn restart(mut self, restart: bool) -> Self {
        self.session.restart = restart;
        self
    }

    /// Without local state, takes up the one open upload that the bucket has for the key.
    #[must_use]
    pub fn adopt(mut self, adopt: bool) -> Self {
        self.session.adopt = adopt;
        self
    }

    /// Compares every part of an earlier run with the local bytes.
    #[must_use]
    pub fn verify_resume(mut self, verify: bool) -> Self {
        self.session.verify = verify;
        self
    }

    /// Sends Content-MD5 with each part, which reads each part twice.
    #[must_use]
    pub fn content_md5(mut self, content_md5: bool) -> Self {
        self.content_md5 = content_md5;
        self
    }

    /// Shares memory and bandwidth with other uploads.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sends events to `sink`.
    #[must_use]
    pub fn events(mut self, sink: EventSink) -> Self {
        self.events = sink;
        self
    }

    /// Stops gently when the token is cancelled: parts in flight get a few seconds, and all parts are kept.
    #[must_use]
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Returns the upload with a token of its own, which the one that it was given cancels too.
    pub(crate) fn with_own_token(mut self) -> (Self, CancellationToken) {
        self.cancel = self.cancel.child_token();
        let token = self.cancel.clone();
        (self, token)
    }

    /// Returns the source's length in bytes, if it has one.
    pub(crate) fn source_length(&self) -> Option<u64> {
        self.source.length()
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
        tokio::select! {
            biased;
            result = self.stages() => result,
            () = stopped => Err(UploadError::Cancelled),
        }
    }

    /// Returns what tells the source from another one: length and modification time, by the object.
    pub(crate) fn source_mark(&self) -> Option<(String, (u64, i128))> {
        let identity = self.source.identity()?;
        Some((self.session.object.to_string(), (identity.length, identity.modified_ns)))
    }

    async fn stages(&self) -> Result<UploadReport, UploadError> {
        let began = Instant::now();
        let progress = Arc::new(Progress::new());
        let opening = Progress::new();
        let opener = self.opener(&opening);
        let opened = tokio::select! {
            biased;
            opened = Watch::over(&self.client, &opening, &self.events, ASKED_FOR, opener.open()) => opened,
            () = self.cancel.cancelled() => return Err(UploadError::Cancelled),
        };
        let opened = match opened {
            Err(error) => self.settle_existing(error).await.map(Err)?,
            Ok(opened) => Ok(opened),
        };
        let (stored, parts, resumed_parts) = match opened {
            Err(stored) => (stored, 0, 0),
            Ok(Opened::Session(session)) => self.drive(*session, &progress).await?,
            Ok(Opened::Gone { plan, parts, dir }) => {
                let list = PartList::new(&plan, parts);
                let count = list.as_ref().map_or(0, |list| list.parts().len());
                match self.settle_gone(list).await? {
                    Some(stored) => {
                        self.forgotten(dir.forget());
                        (stored, count, count)
                    }
                    None => {
                        self.events.notice("the earlier upload is gone from the bucket: a new one begins");
                        match self.opener(&opening).begin_again(dir).await {
                            Ok(Opened::Session(session)) => self.drive(*session, &progress).await?,
                            Ok(Opened::Gone { .. }) => unreachable!("an upload that was just begun is open"),
                            Err(error) => (self.settle_existing(error).await?, 0, 0),
                        }
                    }
                }
            }
        };
        self.events.emit(Event::Completed);
        Ok(UploadReport {
            stored,
            parts,
            resumed_parts,
            bytes_sent: progress.bytes_sent(),
            retries: progress.retries(),
            took: began.elapsed(),
        })
    }

    /// Sends what is missing and completes; parts that the service turns out not to have are sent again.
    async fn drive(
        &self,
        mut session: Session,
        progress: &Arc<Progress>,
    ) -> Result<(StoredObject, usize, usize), UploadError> {
        let mut journal = Journaling::new(session.journal.take(), self.events.clone());
        let resumed = session.parts.len();
        let mut present = std::mem::take(&mut session.parts);
        for round in 0.. {
            let list = self.transfer(&session, progress, present, &mut journal).await?;
            let completer = self.completer();
            let completing = completer.run(&session, &list, &mut journal, progress);
            match Watch::over(&self.client, progress, &self.events, PUTTING_TOGETHER, completing).await? {
                Completed::Stored(stored) => {
                    if let Some(dir) = session.dir {
                        self.forgotten(dir.forget());
                    }
                    return Ok((stored, list.parts().len(), resumed));
                }
                Completed::PartsDiffer if round < RECONCILIATIONS => {
                    self.events
                        .notice("the service has other parts than were sent: they are listed and sent again");
                    match self.reconcile(&session, list.parts(), progress).await? {
                        Some(proved) => present = proved,
                        // It was completed or aborted meanwhile, by whomever.
                        None => {
                            let stored = self.completer().settle_gone(&list).await?;
                            return Ok((stored, list.parts().len(), resumed));
                        }
                    }
                }
                Completed::PartsDiffer => break,
            }
        }
        let object = self.session.object.clone();
        Err(CompleteError::Gone { object, found: "the service keeps losing parts".to_owned() }.into())
    }

    /// Says so where memory or open files do not allow the parts in flight that were asked for.
    fn bounded(&self, parts: usize, most: usize) -> usize {
        if parts > most {
            self.events.notice(format!(
                "{most} parts in flight instead of {parts}: memory (--max-memory) and open files (ulimit -n) \
                 allow no more"
            ));
        }
        parts.min(most)
    }

    async fn transfer(
        &self,
        session: &Session,
        progress: &Arc<Progress>,
        present: Vec<PartRecord>,
        journal: &mut Journaling,
    ) -> Result<PartList, UploadError> {
        let part_size = session.plan.rule().part_size;
        let most = self.limits.max_connections();
        let control = match self.parallel {
            Some(parts) => Control::fixed(self.bounded(parts, most), part_size),
            None => Control::adaptive(self.max_parallel.min(most), part_size),
        };
        let transfer = Transfer {
            client: self.client.clone(),
            object: self.session.object.clone(),
            upload_id: session.upload_id.clone(),
            source: Arc::clone(&self.source),
            plan: session.plan,
            limits: self.limits.clone(),
            control,
            progress: Arc::clone(progress),
            events: self.events.clone(),
            cancel: self.cancel.clone(),
            content_md5: self.content_md5,
        };
        let mut in_now = present.len();
        let result = transfer.run(present, journal, &mut in_now).await;
        result.or_else(|source| {
            if matches!(source, TransferError::Source { .. }) {
                // A file that was cut short cannot be read; that it changed says more.
                complete::check_unchanged(&self.source)?;
            }
            let object = self.session.object.clone();
            Err(UploadError::Transfer { object, parts: in_now, source })
        })
    }

    /// Returns the parts that the service has as they were sent; nothing if the upload is gone.
    async fn reconcile(
        &self,
        session: &Session,
        parts: &[PartRecord],
        progress: &Progress,
    ) -> Result<Option<Vec<PartRecord>>, UploadError> {
        let opener = self.opener(progress);
        let Some(listed) = opener.list(&session.upload_id).await? else { return Ok(None) };
        Ok(Some(opener.prove(&session.plan, parts, listed, false).await?))
    }

    /// Returns the object if an upload that is gone became it. Without a list of parts to go by, the file is read.
    async fn settle_gone(&self, list: Option<PartList>) -> Result<Option<StoredObject>, UploadError> {
        let Some(list) = list else { return self.same_as_source().await };
        match self.completer().settle_gone(&list).await {
            Ok(stored) => Ok(Some(stored)),
            Err(CompleteError::Gone { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// When the key is taken already: done if the object there is the same as the source, which costs one
    /// read of it; else refused.
    async fn settle_existing(&self, error: SessionError) -> Result<StoredObject, UploadError> {
        if !matches!(&error, SessionError::Call { source, .. } if source.is("FileAlreadyExists")) {
            return Err(error.into());
        }
        let object = self.session.object.clone();
        Ok(self.same_as_source().await?.ok_or(CompleteError::Exists { object })?)
    }

    /// Returns the object that is there if it is the same as the source. That costs one read of the source, but
    /// only if the sizes are the same.
    async fn same_as_source(&self) -> Result<Option<StoredObject>, UploadError> {
        let completer = self.completer();
        let Some(length) = self.source.length() else { return Ok(None) };
        if completer.head().await?.is_none_or(|head| head.size != length) {
            return Ok(None);
        }
        self.events.notice("an object of the same size is there: it is compared with the file");
        let whole = crate::model::ByteRange::new(0, length);
        let crc64 = digest::crc64(&self.source, whole, &self.limits).await.map_err(|source| {
            let object = self.session.object.clone();
            UploadError::Transfer { object, parts: 0, source: TransferError::Source { offset: 0, source } }
        })?;
        complete::check_unchanged(&self.source)?;
        Ok(completer.same_object(length, crc64, None).await?)
    }

    /// The object is there; state that cannot be removed is only untidy.
    fn forgotten(&self, result: Result<(), crate::state::StateError>) {
        if let Err(error) = result {
            self.events.notice(format!("the upload is done, but its state cannot be removed: {error}"));
        }
    }

    fn opener<'a>(&'a self, progress: &'a Progress) -> Opener<'a> {
        Opener {
            client: &self.client,
            source: &self.source,
            limits: &self.limits,
            events: &self.events,
            progress,
            options: &self.session,
        }
    }

    fn completer(&self) -> Completer<'_> {
        Completer {
            client: &self.client,
            object: &self.session.object,
            source: &self.source,
            events: &self.events,
        }
    }
}

pub use session::{abort, list_parts};

#[cfg(all(test, feature = "emulator"))]
mod scripted;
#[cfg(all(test, feature = "emulator"))]
mod tests;
