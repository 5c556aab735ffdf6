//! Takes up an upload, or begins one.

use std::time::Duration;

use super::{
    Adopt, Belief, Claim, OpenOutcome, Session, SessionError, SessionOptions, abort, bucket, claims,
};
use crate::client::{Call, CallError, Client, Progress};
use crate::event::{Event, EventSink};
use crate::model::{ObjectRef, PartRecord, UploadId};
use crate::plan::{CutRule, Plan};
use crate::protocol::Operation;
use crate::protocol::oss::{self, InitiateMultipartUpload, ListedPart};
use crate::source::{SourceIdentity, StreamIdentity, Witness};
use crate::state::{Checkpoint, Journal, StateError, UploadDir};
use crate::supply::Recipe;

/// What is known of the upload of an object.
type Known = Result<Option<Checkpoint>, StateError>;

/// How long the search for other uploads may take: it must not delay the upload.
const OTHERS_LIMIT: Duration = Duration::from_secs(30);

/// What is known of uploads of the key that may have been begun before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The state knows of none.
    Known,
    /// The state folder is new, on a new machine or because the old one is lost.
    Unknown,
    /// The state of one was lost or is given up.
    Lost,
}

/// Opens sessions; what one needs beside the options.
pub(crate) struct Opener<'a> {
    pub(crate) client: &'a Client,
    pub(crate) recipe: &'a Recipe,
    pub(crate) events: &'a EventSink,
    /// When the service was last heard of.
    pub(crate) progress: &'a Progress,
    pub(crate) options: &'a SessionOptions,
}

impl Opener<'_> {
    /// Takes up the upload of this object that the state knows, or the bucket if asked to adopt, or begins one.
    pub(crate) async fn open(&self) -> Result<OpenOutcome, SessionError> {
        // Refused before anything is touched, also when an old plan would be kept.
        let plan = self.wished()?;
        let before = self.before();
        let Some(dir) = self.lock()? else {
            return match &self.options.adopt {
                Adopt::Nothing => self.begin(None, plan, Before::Known).await,
                Adopt::TheOnlyOne => self.adopt_only_one(None, plan).await,
                Adopt::This(id) => self.adopt(None, id.clone(), plan).await,
            };
        };
        let (dir, known) = match dir.checkpoint() {
            Ok(None) => self.elsewhere(dir).await?,
            known => (dir, known),
        };
        match (known, &self.options.adopt) {
            (Ok(Some(checkpoint)), Adopt::This(id)) if checkpoint.upload_id != *id => {
                self.adopt(Some(dir), id.clone(), plan).await
            }
            (Ok(Some(checkpoint)), _) if self.options.restart => {
                self.abort(&checkpoint.upload_id).await?;
                self.begin(Some(dir), plan, Before::Lost).await
            }
            (Ok(Some(checkpoint)), _) => self.resume(dir, checkpoint, plan).await,
            (_, Adopt::This(id)) => self.adopt(Some(dir), id.clone(), plan).await,
            (Err(_), _) if self.options.restart => self.begin(Some(dir), plan, Before::Lost).await,
            (Err(error), _) => Err(SessionError::State(error)),
            (Ok(None), Adopt::TheOnlyOne) => self.adopt_only_one(Some(dir), plan).await,
            (Ok(None), Adopt::Nothing) => self.begin(Some(dir), plan, before).await,
        }
    }

    /// Returns what may have been before, as far as it can be seen without the upload's own state.
    fn before(&self) -> Before {
        match &self.options.state {
            _ if self.options.restart => Before::Lost,
            Some(state) if !state.root().exists() => Before::Unknown,
            _ => Before::Known,
        }
    }

    /// Begins a new upload in a folder whose upload is gone.
    pub(crate) async fn begin_again(&self, dir: UploadDir) -> Result<OpenOutcome, SessionError> {
        let plan = self.wished()?;
        self.begin(Some(dir), plan, Before::Lost).await
    }

    /// Returns how the object would be cut if it were begun now.
    pub(super) fn wished(&self) -> Result<Plan, SessionError> {
        let rule = self.recipe.rule(self.options.part_size).map_err(SessionError::Plan)?;
        self.plan(rule)
    }

    pub(super) fn plan(&self, rule: CutRule) -> Result<Plan, SessionError> {
        self.recipe.plan(rule).map_err(SessionError::Plan)
    }

    fn lock(&self) -> Result<Option<UploadDir>, SessionError> {
        let Some(state) = &self.options.state else { return Ok(None) };
        let now = self.client.now();
        let dir = state.lock(&self.client.service(), self.client.region(), &self.options.object, now);
        let dir = dir.map_err(SessionError::State)?;
        dir.check_writable().map_err(SessionError::State)?;
        Ok(Some(dir))
    }

    /// Looks for an upload that was begun through another name of this service, such as a custom domain or another
    /// port. Only the service can decide: the upload is its own if it knows the id. If it does not, the upload may be
    /// another service's.
    async fn elsewhere(&self, dir: UploadDir) -> Result<(UploadDir, Known), SessionError> {
        let Some(state) = &self.options.state else { return Ok((dir, Ok(None))) };
        let others = state.elsewhere(&dir, self.client.region(), &self.options.object);
        for other in others.map_err(SessionError::State)? {
            let id = &other.checkpoint.upload_id;
            let asked =
                bucket::parts(self.client, &self.options.object, id, self.progress, self.events).await;
            match asked {
                Ok(_) => {
                    let found = state.lock_other(&other, self.client.now()).map_err(SessionError::State)?;
                    dir.forget().map_err(SessionError::State)?;
                    let known = found.checkpoint();
                    return Ok((found, known));
                }
                Err(error) if error.service().is_some() => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok((dir, Ok(None)))
    }

    async fn begin(
        &self,
        dir: Option<UploadDir>,
        plan: Plan,
        before: Before,
    ) -> Result<OpenOutcome, SessionError> {
        let operation = InitiateMultipartUpload {
            overwrite: self.options.overwrite,
            storage_class: self.options.storage_class,
            metadata: self.recipe.form().metadata(self.recipe.image_length()),
            ..InitiateMultipartUpload::new(self.options.object.clone())
        };
        let upload_id = match self.call(&operation).await {
            Ok(upload_id) => upload_id,
            Err(error) => {
                // No upload is known any more, so an empty folder is all that would stay.
                if let Some(Err(error)) = dir.map(UploadDir::forget) {
                    tracing::debug!(%error, "a folder stays behind");
                }
                return Err(self.failed(error));
            }
        };
        match self.session(dir, upload_id.clone(), plan, Vec::new(), self.options.overwrite) {
            Ok(opened) => {
                self.name_others(&upload_id, before).await;
                Ok(opened)
            }
            Err(error) => {
                // An upload that nothing knows would stay on the bucket for ever. The first error matters more.
                let _ = self.abort(&upload_id).await;
                Err(error)
            }
        }
    }

    /// Reports the other open uploads of the key: their parts are billed, and after state was lost nothing knows them
    /// any more. For an ordinary new upload no request is made.
    async fn name_others(&self, ours: &UploadId, before: Before) {
        if before == Before::Known {
            return;
        }
        let failed = match tokio::time::timeout(OTHERS_LIMIT, self.open_uploads()).await {
            Ok(Ok(mut others)) => {
                others.retain(|id| id != ours);
                if !others.is_empty() {
                    let object = self.options.object.clone();
                    self.events.emit(Event::OthersOpen { object, upload_ids: others });
                }
                return;
            }
            Ok(Err(SessionError::Call { source, .. })) => source.cause.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        // Nothing shows that anything was lost: a user who may not list uploads need not be warned each time.
        match before {
            Before::Unknown => tracing::debug!(%failed, "open uploads cannot be listed"),
            _ => self
                .events
                .notice(format!("it is not known whether other uploads of this key are open: {failed}")),
        }
    }

    async fn adopt_only_one(&self, dir: Option<UploadDir>, plan: Plan) -> Result<OpenOutcome, SessionError> {
        let upload_id = self.only_open_upload().await?;
        self.adopt(dir, upload_id, plan).await
    }

    /// Returns the one open upload that the bucket has for the key.
    pub(super) async fn only_open_upload(&self) -> Result<UploadId, SessionError> {
        let mut ids = self.open_uploads().await?;
        match (ids.pop(), ids.len()) {
            (Some(upload_id), 0) => Ok(upload_id),
            (last, others) => {
                let count = others + usize::from(last.is_some());
                Err(SessionError::Adopt { object: self.options.object.clone(), count })
            }
        }
    }

    async fn adopt(
        &self,
        dir: Option<UploadDir>,
        upload_id: UploadId,
        plan: Plan,
    ) -> Result<OpenOutcome, SessionError> {
        let Some(listed) = self.list(&upload_id).await? else {
            return Err(SessionError::Adopt { object: self.options.object.clone(), count: 0 });
        };
        self.events
            .notice(format!("adopting the open upload {upload_id}: its parts are compared with the file"));
        let claims = claims(&plan, &[], listed, Belief::Nothing);
        let opened = self.session(dir, upload_id.clone(), plan, claims, self.options.overwrite)?;
        if matches!(self.options.adopt, Adopt::This(_)) {
            self.name_others(&upload_id, Before::Lost).await;
        }
        Ok(opened)
    }

    async fn resume(
        &self,
        dir: UploadDir,
        checkpoint: Checkpoint,
        wished: Plan,
    ) -> Result<OpenOutcome, SessionError> {
        let identity = self.recipe.identity();
        let belief = self.check(&checkpoint)?;
        if self.options.part_size.is_some() && wished.rule() != checkpoint.cut {
            self.events.notice("the upload was started with another part size, which it keeps");
        }
        let plan = self.plan(checkpoint.cut)?;
        let (journal, contents) = dir.journal(&checkpoint.upload_id).map_err(SessionError::State)?;
        for doubt in contents.doubts() {
            self.events.notice(doubt);
        }
        let Some(listed) = self.list(&checkpoint.upload_id).await? else {
            let parts = if belief == Belief::Nothing { Vec::new() } else { contents.parts };
            return Ok(OpenOutcome::Gone { plan, parts, dir });
        };
        let claims = claims(&plan, &contents.parts, listed, belief);
        let journal = self.record(&dir, &checkpoint.upload_id, journal, &contents.parts, &claims)?;
        if let Some(now) = identity.filter(|now| **now != checkpoint.source) {
            // What the journal has now is of the source as it is now, and so is what will be compared.
            let newer = Checkpoint { source: now.clone(), ..checkpoint.clone() };
            if let Err(error) = dir.update(&newer) {
                self.events.notice(format!("{error}: the next run compares the parts once more"));
            }
        }
        let session = Session {
            upload_id: checkpoint.upload_id,
            plan,
            claims,
            overwrite: self.options.overwrite || checkpoint.overwrite,
            journal,
            dir: Some(dir),
        };
        self.opened(&session);
        Ok(OpenOutcome::Session(Box::new(session)))
    }

    /// Checks that the source is the one that an upload was begun from, and returns how far its records are believed:
    /// not at all unless the source shows that it did not change since.
    pub(super) fn check(&self, checkpoint: &Checkpoint) -> Result<Belief, SessionError> {
        let identity = self.recipe.identity();
        // The journal speaks of the bytes that the source had. Where it may have other ones now they are compared, and
        // so are bytes that were made of it.
        let unchanged = self.recipe.witness() == Witness::Always
            && self.recipe.form().is_as_is()
            && identity.is_some_and(|now| now.difference(&checkpoint.source).is_none());
        // A time alone can be wrong, and where every part is compared it need not be asked.
        let mismatch = |now: &SourceIdentity| {
            let same_length = now.may_be_as_long(&checkpoint.source);
            now.mismatch(&checkpoint.source).filter(|_| !self.options.verify || !same_length)
        };
        if let Some((now, reason)) = identity.and_then(|now| Some((now, mismatch(now)?))) {
            return Err(SessionError::SourceMismatch {
                object: self.options.object.clone(),
                changed: now.to_string() == checkpoint.source.to_string(),
                same_length: now.may_be_as_long(&checkpoint.source),
                first: Box::new(checkpoint.source.clone()),
                reason,
            });
        }
        if *self.recipe.form() != checkpoint.form {
            let (object, now) = (self.options.object.clone(), self.recipe.form().clone());
            return Err(SessionError::OtherForm { object, first: checkpoint.form.clone(), now });
        }
        Ok(match self.options.verify || !unchanged {
            true => Belief::Nothing,
            false => self.options.belief(),
        })
    }

    /// Makes the journal hold what is proved and nothing else: a record of other bytes must not be believed by a later
    /// run that finds the source as it is now. What is compared is recorded when it is found to be the same. Records of
    /// what passes once are never believed; they stay, to tell another stream by. Returns no journal if the disk is
    /// full.
    fn record(
        &self,
        dir: &UploadDir,
        upload_id: &UploadId,
        journal: Journal,
        recorded: &[PartRecord],
        claims: &[Claim],
    ) -> Result<Option<Journal>, SessionError> {
        let proved: Vec<PartRecord> = claims.iter().filter_map(Claim::proved).cloned().collect();
        if proved == recorded || !self.recipe.is_repeatable() {
            return Ok(Some(journal));
        }
        match dir.rewrite_journal(upload_id, &proved) {
            Ok(journal) => Ok(Some(journal)),
            Err(error) => {
                dir.drop_journal().map_err(SessionError::State)?;
                self.events
                    .notice(format!("{error}: parts that get in are compared with the file next time"));
                Ok(None)
            }
        }
    }

    fn session(
        &self,
        dir: Option<UploadDir>,
        upload_id: UploadId,
        plan: Plan,
        claims: Vec<Claim>,
        overwrite: bool,
    ) -> Result<OpenOutcome, SessionError> {
        let mut journal = None;
        if let Some(dir) = &dir {
            let checkpoint = Checkpoint {
                region: self.client.region().clone(),
                endpoint: self.client.endpoint().to_string(),
                addressing_style: Some(self.client.endpoint().style()),
                service: Some(self.client.service()),
                object: self.options.object.clone(),
                upload_id: upload_id.clone(),
                source: self.identity(),
                form: self.recipe.form().clone(),
                cut: plan.rule(),
                overwrite,
                storage_class: self.options.storage_class,
                created: self.client.now(),
            };
            journal = Some(dir.begin(&checkpoint).map_err(SessionError::State)?);
        }
        let session = Session { upload_id, plan, claims, overwrite, journal, dir };
        self.opened(&session);
        Ok(OpenOutcome::Session(Box::new(session)))
    }

    /// Returns what is known of the source from one run to the next; of one without an identity only its length.
    fn identity(&self) -> SourceIdentity {
        let unknown = || SourceIdentity::Stream(StreamIdentity::new("", self.recipe.image_length()));
        self.recipe.identity().cloned().unwrap_or_else(unknown)
    }

    fn opened(&self, session: &Session) {
        let present: Vec<u64> =
            session.claims.iter().filter_map(Claim::proved).map(|part| part.range.len()).collect();
        self.events.emit(Event::Opened {
            object: self.options.object.clone(),
            upload_id: session.upload_id.clone(),
            length: session.plan.length(),
            present: present.iter().sum(),
            present_parts: present.len() as u32,
        });
    }

    /// Returns all listed parts, or nothing if the upload is gone.
    pub(crate) async fn list(&self, upload_id: &UploadId) -> Result<Option<Vec<ListedPart>>, SessionError> {
        match bucket::parts(self.client, &self.options.object, upload_id, self.progress, self.events).await {
            Ok(listed) => Ok(Some(listed)),
            Err(error) if error.is(oss::code::NO_SUCH_UPLOAD) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn open_uploads(&self) -> Result<Vec<UploadId>, SessionError> {
        let ObjectRef { bucket, key } = &self.options.object;
        let uploads = bucket::uploads(self.client, bucket, key.as_str(), self.progress, self.events).await;
        let uploads = uploads.map_err(|error| self.failed(error))?;
        let of_this_key = uploads.into_iter().filter(|open| open.key == key.as_str());
        Ok(of_this_key.map(|open| open.upload_id).collect())
    }

    async fn abort(&self, upload_id: &UploadId) -> Result<(), SessionError> {
        abort(self.client, &self.options.object, upload_id).await.map_err(|error| self.failed(error))
    }

    async fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.client.call_with(operation, Call::new(self.progress, self.events)).await
    }

    fn failed(&self, error: CallError) -> SessionError {
        SessionError::Call { object: self.options.object.clone(), source: Box::new(error) }
    }
}
