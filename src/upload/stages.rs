//! The stages in their order, and what each leaves in doubt settled before the next.

use std::sync::Arc;

use tokio::time::Instant;

use super::confirm::Confirmed;
use super::observed::Observed;
use super::{Upload, UploadError, UploadReport, steady};
use crate::client::Progress;
use crate::complete::{self, CompleteError, CompleteOutcome, Completer, StoredObject, Verified};
use crate::event::Event;
use crate::model::PartRecord;
use crate::protocol::oss;
use crate::session::{Adopt, Claim, OpenOutcome, Opener, Session, SessionError, claims};
use crate::source::Source;
use crate::supply::{Image, SupplyError};
use crate::transfer::{Control, JournalWriter, PartList, Transfer, TransferError, Transferred, Watch};

/// How often parts that the service turns out not to have are sent again before the upload fails.
const RECONCILIATIONS: usize = 2;
/// How often parts that turn out to be damaged only when they are listed are sent again: each time fewer are left.
const DAMAGED_ROUNDS: usize = 10;

/// Shown as the reason of a stall before the first part.
const ASKED_FOR: &str = "the service is asked for the upload";
/// Shown as the reason of a stall after the last part.
const PUTTING_TOGETHER: &str = "the service puts the object together";

/// What came of the stages.
pub(super) struct Driven {
    stored: StoredObject,
    /// Of how many parts the object was made, and how many of them were in before.
    parts: usize,
    resumed_parts: usize,
    /// Whether the source was in use.
    in_use: bool,
    image: Image,
}

impl Driven {
    /// The object was there.
    pub(super) fn found((stored, image): (StoredObject, Image)) -> Self {
        Self { stored, parts: 0, resumed_parts: 0, in_use: false, image }
    }
}

impl Upload {
    /// Runs the stages one after the other.
    pub(super) async fn stages(&self) -> Result<UploadReport, UploadError> {
        let began = Instant::now();
        let progress = Arc::new(Progress::new());
        let opening = Progress::new();
        tokio::select! {
            biased;
            settled = self.settle(&opening) => settled?,
            () = self.cancel.cancelled() => return Err(UploadError::Cancelled),
        }
        let opener = self.opener(&opening);
        let opened = tokio::select! {
            biased;
            opened = Watch::over(&self.client, &opening, &self.events, ASKED_FOR, opener.open()) => opened,
            () = self.cancel.cancelled() => return Err(UploadError::Cancelled),
        };
        let opened = match opened {
            Err(error) => self.resolve_existing_object(error).await.map(Err)?,
            Ok(opened) => Ok(opened),
        };
        let driven = match opened {
            Err(found) => Driven::found(found),
            Ok(OpenOutcome::Session(session)) => self.drive(*session, &progress).await?,
            Ok(OpenOutcome::Gone { plan, parts, dir }) => {
                let list = PartList::new(&plan, parts);
                let count = list.as_ref().map_or(0, |list| list.parts().len());
                match self.resolve_missing_upload(list).await? {
                    Some(found) => {
                        self.report_state_removal(dir.forget());
                        Driven { parts: count, resumed_parts: count, ..Driven::found(found) }
                    }
                    None if self.resume_only => {
                        return Err(UploadError::Gone { object: self.session.object.clone() });
                    }
                    None => {
                        self.events.notice("the earlier upload no longer exists: a new one starts");
                        match self.opener(&opening).begin_again(dir).await {
                            Ok(OpenOutcome::Session(session)) => self.drive(*session, &progress).await?,
                            Ok(OpenOutcome::Gone { .. }) => {
                                unreachable!("an upload that was just begun is open")
                            }
                            Err(error) => Driven::found(self.resolve_existing_object(error).await?),
                        }
                    }
                }
            }
        };
        if driven.stored.verified == Verified::Nothing {
            if self.session.require_verified {
                return Err(CompleteError::Unproved { object: driven.stored.object, made: true }.into());
            }
            self.events.notice("the object could not be verified: the service returned no checksums");
        }
        self.learn(&progress);
        self.remember();
        self.events.emit(Event::Completed);
        Ok(self.report(driven, &progress, began))
    }

    pub(super) fn report(&self, driven: Driven, progress: &Progress, began: Instant) -> UploadReport {
        let Driven { stored, parts, resumed_parts, in_use, image } = driven;
        UploadReport {
            stored,
            form: self.recipe.form().clone(),
            image_bytes: image.bytes,
            content_sha256: image.sha256,
            parts,
            resumed_parts,
            bytes_sent: progress.bytes_sent(),
            retries: progress.retries(),
            in_use,
            took: began.elapsed(),
        }
    }

    /// Sends what is missing and completes; parts that the service turns out not to have are sent again.
    async fn drive(&self, mut session: Session, progress: &Arc<Progress>) -> Result<Driven, UploadError> {
        let mut journal = JournalWriter::new(session.journal.take(), self.events.clone());
        let mut claims = std::mem::take(&mut session.claims);
        let (mut round, mut damaged, mut kept_first) = (0, 0, None);
        loop {
            let Transferred { list, kept, image } =
                self.transfer(&session, progress, claims, &mut journal).await?;
            let resumed_parts = *kept_first.get_or_insert(kept);
            self.check_image(image)?;
            let in_use = self.check_source(&list, progress).await?;
            let sent = list.parts().len();
            let driven = |stored| Driven { stored, parts: sent, resumed_parts, in_use, image };
            let confirming = self.confirm(&session, list, progress);
            let list = match Watch::over(&self.client, progress, &self.events, ASKED_FOR, confirming).await? {
                Confirmed::All(list) => list,
                Confirmed::Some(good) if damaged < DAMAGED_ROUNDS => {
                    damaged += 1;
                    let count = sent - good.len();
                    self.events
                        .notice(format!("{count} of {sent} parts arrived damaged: they are sent again"));
                    claims = good.into_iter().map(Claim::Proved).collect();
                    continue;
                }
                Confirmed::Some(good) => {
                    let (object, parts) = (self.session.object.clone(), sent - good.len());
                    return Err(CompleteError::PartsDamaged { object, parts }.into());
                }
                // It was completed or aborted in the meantime.
                Confirmed::Gone(list) => {
                    let stored = self.completer().resolve_missing_upload(&list).await?;
                    return Ok(self.finished(session, driven(stored)));
                }
            };
            if self.session.require_verified && !list.is_proved() {
                let object = self.session.object.clone();
                return Err(CompleteError::Unproved { object, made: false }.into());
            }
            let completer = self.completer();
            let completing = completer.run(&session, &list, &mut journal, progress);
            match Watch::over(&self.client, progress, &self.events, PUTTING_TOGETHER, completing).await? {
                CompleteOutcome::Stored(stored) => return Ok(self.finished(session, driven(stored))),
                CompleteOutcome::PartsDiffer if round < RECONCILIATIONS => {
                    round += 1;
                    self.events
                        .notice("the service has other parts than were sent: they are listed and sent again");
                    match self.reconcile(&session, list.parts(), progress).await? {
                        Some(listed) => claims = listed,
                        // It was completed or aborted in the meantime.
                        None => {
                            let stored = self.completer().resolve_missing_upload(&list).await?;
                            return Ok(self.finished(session, driven(stored)));
                        }
                    }
                }
                CompleteOutcome::PartsDiffer => break,
            }
        }
        let object = self.session.object.clone();
        Err(CompleteError::Gone { object, found: "the service keeps losing parts".to_owned() }.into())
    }

    /// Checks that the image is the one that was expected.
    pub(super) fn check_image(&self, image: Image) -> Result<(), CompleteError> {
        match (self.expected_sha256, image.sha256) {
            (Some(expected), Some(found)) if expected != found => {
                Err(CompleteError::Checksum { expected, found })
            }
            _ => Ok(()),
        }
    }

    /// Whether parts that are in have to be those of the content: another stream must not take the place of the one
    /// that the upload was begun with.
    fn must_match(&self) -> bool {
        let resumed = matches!(self.session.adopt, Adopt::Nothing) && !self.session.verify;
        resumed && !self.recipe.is_repeatable()
    }

    /// The object is there, so nothing is left to be resumed.
    fn finished(&self, session: Session, driven: Driven) -> Driven {
        if let Some(dir) = session.dir {
            self.report_state_removal(dir.forget());
        }
        driven
    }

    /// Emits a notice if memory or open files do not allow the parts in flight that were asked for.
    fn cap_parallelism(&self, parts: usize, most: usize) -> usize {
        if parts > most {
            self.events.notice(format!(
                "{most} parts in flight instead of {parts}: memory (--max-memory) and open files (ulimit -n) \
                 allow no more"
            ));
        }
        parts.min(most)
    }

    /// Returns how many parts in flight filled the link to this endpoint in an earlier upload.
    fn learnt(&self) -> Option<usize> {
        let client = &self.client;
        self.session.state.as_ref()?.learnt(client.endpoint(), client.region(), client.options().clock.now())
    }

    /// Keeps for the next upload how many parts in flight filled the link.
    fn learn(&self, progress: &Progress) {
        let (Some(state), Some(parallel)) = (&self.session.state, progress.fills()) else { return };
        let (endpoint, region, now) =
            (self.client.endpoint(), self.client.region(), self.client.options().clock.now());
        if let Err(error) = state.learn(endpoint, region, parallel, now) {
            self.events.notice(format!("the next upload starts no faster than this one: {error}"));
        }
    }

    /// Keeps the bucket's name. Nothing but what completes in a shell comes from it.
    fn remember(&self) {
        let Some(state) = &self.session.state else { return };
        if let Err(error) = state.remember_bucket(&self.session.object.bucket) {
            tracing::debug!(%error, "the name of the bucket is not remembered");
        }
    }

    async fn transfer(
        &self,
        session: &Session,
        progress: &Arc<Progress>,
        claims: Vec<Claim>,
        journal: &mut JournalWriter,
    ) -> Result<Transferred, UploadError> {
        let part_size = session.plan.rule().part_size();
        let most = self.limits.max_connections();
        let control = match self.parallel {
            Some(parts) => Control::fixed(self.cap_parallelism(parts, most), part_size),
            None => Control::adaptive(self.max_parallel.min(most), part_size).starting_at(self.learnt()),
        };
        let transfer = Transfer {
            client: self.client.clone(),
            object: self.session.object.clone(),
            upload_id: session.upload_id.clone(),
            plan: session.plan,
            limits: self.limits.clone(),
            most_part: self.recipe.most_part(),
            control,
            progress: Arc::clone(progress),
            events: self.events.clone(),
            cancel: self.cancel.clone(),
            content_md5: self.content_md5,
            prove_by_md5: self.session.require_verified,
            must_match: self.must_match(),
        };
        let observed =
            |inner| -> Arc<dyn Source> { Arc::new(Observed { inner, progress: Arc::clone(progress) }) };
        let mut acked = 0;
        let failed = |acked, source| {
            let object = self.session.object.clone();
            UploadError::Transfer { object, parts: acked, source }
        };
        let unreadable = |SupplyError { offset, source }| failed(0, TransferError::Source { offset, source });
        let supply = self.recipe.through(observed).supply().map_err(unreadable)?;
        let result = tokio::select! {
            biased;
            result = transfer.run(supply, claims, journal, &mut acked) => result,
            changed = steady::changed(&self.recipe) => Err(changed)?,
        };
        result.or_else(|source| {
            if matches!(source, TransferError::Source { .. } | TransferError::Unstable { .. }) {
                // A file that was cut short cannot be read, and one that is written to differs; that it changed says
                // more.
                complete::check_unchanged(&self.recipe)?;
            }
            Err(failed(acked, source))
        })
    }

    /// Returns the parts that the service has; nothing if the upload is gone.
    async fn reconcile(
        &self,
        session: &Session,
        parts: &[PartRecord],
        progress: &Progress,
    ) -> Result<Option<Vec<Claim>>, UploadError> {
        let Some(listed) = self.opener(progress).list(&session.upload_id).await? else { return Ok(None) };
        Ok(Some(claims(&session.plan, parts, listed, self.session.belief())))
    }

    /// Returns the object if an upload that is gone became it. Without a list of parts to go by, the file is read.
    async fn resolve_missing_upload(
        &self,
        list: Option<PartList>,
    ) -> Result<Option<(StoredObject, Image)>, UploadError> {
        let Some(list) = list else {
            // A stream that is compared has passed, and could not be sent any more.
            return if self.recipe.is_repeatable() { self.object_matches_source().await } else { Ok(None) };
        };
        match self.completer().resolve_missing_upload(&list).await {
            Ok(stored) => {
                let bytes = self.recipe.image_length().unwrap_or_default();
                Ok(Some((stored, Image { bytes, sha256: None })))
            }
            Err(CompleteError::Gone { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// When the key is taken already: done if the object there is the same as the source, which costs one
    /// read of it; else refused.
    async fn resolve_existing_object(
        &self,
        error: SessionError,
    ) -> Result<(StoredObject, Image), UploadError> {
        if !matches!(&error, SessionError::Call { source, .. } if source.is(oss::code::FILE_ALREADY_EXISTS)) {
            return Err(error.into());
        }
        let object = self.session.object.clone();
        Ok(self.object_matches_source().await?.ok_or(CompleteError::Exists { object })?)
    }

    /// The object is there; state that cannot be removed is only untidy.
    fn report_state_removal(&self, result: Result<(), crate::state::StateError>) {
        if let Err(error) = result {
            self.events.notice(format!("the upload is done, but its state cannot be removed: {error}"));
        }
    }

    pub(super) fn opener<'a>(&'a self, progress: &'a Progress) -> Opener<'a> {
        Opener {
            client: &self.client,
            recipe: &self.recipe,
            events: &self.events,
            progress,
            options: &self.session,
        }
    }

    pub(super) fn completer(&self) -> Completer<'_> {
        Completer { client: &self.client, object: &self.session.object, events: &self.events }
    }
}
