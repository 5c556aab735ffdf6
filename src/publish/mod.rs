//! From image files to custom images in every region where they are wanted.
//!
//! Upload, import, copies, tags of the snapshots, family, sharing, publication, names, deletion of the objects, in this order:
//! sharing waits until every copy is Available, so that an incomplete set is never shared, and objects are deleted last. Each step is written down
//! ([`PublishState`](crate::state::PublishState)); the same call again continues after the last one, wherever it was
//! interrupted.
//!
//! An image is returned only if it was made from the very objects that this publish uploaded or found: the
//! request carries their versions, and they are looked at again once the image is Available. Only then may they be
//! deleted.

mod begin;
mod boot_test;
mod completion;
mod encryption;
mod error;
mod finish;
mod handover;
mod names;
mod objects;
mod preflight;
mod replaced;
mod steps;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::cancel::CancellationToken;
use tokio::time::Instant;

pub use completion::Completed;
pub use encryption::Encryption;
pub use error::{Impossible, PublishError};
pub use preflight::{Preflight, Problem};
pub use replaced::{Fate, REPLACED_BY_TAG, Replaced, ReplacedImage};

use crate::boot_test::{BootTest, Verdict};
use crate::event::EventSink;
use crate::import::{CustomImage, ImportError, ImportRequest, ImportTask, Importer};
use crate::model::{AccountId, ObjectRef, OsType, Region};
use crate::state::StateDir;
use crate::upload::{Upload, UploadReport};
use completion::Completion;
use steps::Steps;

/// A publish: what is uploaded first, what is asked of ECS, and what follows the import.
#[derive(Debug, Clone)]
pub struct Publish {
    importer: Importer,
    request: ImportRequest,
    completion: Option<Completion>,
    uploads: Vec<Upload>,
    state: StateDir,
    copy_to: Vec<Region>,
    encryption: Option<Encryption>,
    family: Option<String>,
    share_with: Vec<AccountId>,
    public: bool,
    boot_test: Option<BootTest>,
    replace: Option<Replaced>,
    delete_objects: bool,
    keep_going: bool,
    wait: bool,
    events: EventSink,
    cancel: CancellationToken,
}

/// An image of a publish.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// Region, ids and request.
    pub task: ImportTask,
    /// The image as it was last seen; nothing if the run did not wait for it and it had not ended before.
    pub image: Option<CustomImage>,
}

/// The report of a publish.
#[derive(Debug)]
#[non_exhaustive]
pub struct PublishReport {
    /// The uploads, in the order in which they were given.
    pub uploads: Vec<UploadReport>,
    /// The imported image.
    pub import: Published,
    /// Whether the copies are encrypted, and have the name that was asked for in the import's place.
    pub encrypted: bool,
    /// Whether the import is seen to boot on the cloud, by this run or an earlier one.
    pub boot_tested: bool,
    /// What this run's boot test showed.
    pub verdict: Option<Verdict>,
    /// Its copies, by region.
    pub copies: BTreeMap<Region, Published>,
    /// The family that all of them are in.
    pub family: Option<String>,
    /// The accounts that all of them are shared with.
    pub shared_with: Vec<AccountId>,
    /// Whether all of them are community images.
    pub public: bool,
    /// The images that lost their names.
    pub replaced: Vec<ReplacedImage>,
    /// The objects that were deleted.
    pub deleted: Vec<ObjectRef>,
    /// What failed in which region, where the others were to go on.
    pub failures: BTreeMap<Region, PublishError>,
    /// How long this run took.
    pub took: Duration,
}

impl PublishReport {
    /// Returns the image that has the name in the import's region: the import, unless only its copies have it.
    pub fn image(&self) -> &Published {
        let copy = self.copies.get(&self.import.task.region).filter(|_| self.encrypted);
        copy.unwrap_or(&self.import)
    }

    /// Returns all images that were made: the import, then its copies.
    pub fn all(&self) -> impl Iterator<Item = &Published> {
        std::iter::once(&self.import).chain(self.copies.values())
    }

    /// Notes the names that the images have got.
    fn named_as(&mut self, slots: &[handover::Slot]) {
        for Published { task, image } in std::iter::once(&mut self.import).chain(self.copies.values_mut()) {
            let slot = slots.iter().find(|slot| slot.region == task.region && slot.image == task.image_id);
            if let (Some(image), Some(slot)) = (image, slot) {
                image.name = Some(slot.name.clone());
            }
        }
    }

    /// Returns the images that have the name: the copies alone if these are encrypted, else the import as well.
    pub fn named(&self) -> impl Iterator<Item = &Published> {
        let import = (!self.encrypted).then_some(&self.import);
        import.into_iter().chain(self.copies.values())
    }
}

impl Publish {
    /// Publishes what `request` asks for. The steps are kept in `state`.
    pub fn new(importer: Importer, request: ImportRequest, state: impl Into<PathBuf>) -> Self {
        Self {
            importer,
            request,
            completion: None,
            uploads: Vec::new(),
            state: StateDir::new(state),
            copy_to: Vec::new(),
            encryption: None,
            family: None,
            share_with: Vec::new(),
            public: false,
            boot_test: None,
            replace: None,
            delete_objects: false,
            keep_going: false,
            wait: true,
            events: EventSink::none(),
            cancel: CancellationToken::new(),
        }
    }

    /// Uploads an object of the request first.
    #[must_use]
    pub fn with_upload(mut self, upload: Upload) -> Self {
        self.uploads.push(upload);
        self
    }

    /// Copies the image to these regions.
    #[must_use]
    pub fn with_copies_in(mut self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.copy_to.extend(regions);
        self
    }

    /// Encrypts the image in all regions. ECS imports nothing encrypted, and encrypts only while it copies: the import
    /// gets the name with the end `-unencrypted`, and its copies, of which one is in its own region, the name itself. Only
    /// they are put into a family and shared.
    #[must_use]
    pub fn with_encryption(mut self, encryption: impl Into<Option<Encryption>>) -> Self {
        self.encryption = encryption.into();
        self
    }

    /// Puts the image and its copies into this family once all are Available.
    #[must_use]
    pub fn with_family(mut self, family: impl Into<Option<String>>) -> Self {
        self.family = family.into();
        self
    }

    /// Shares the image and its copies with these accounts once all are Available.
    #[must_use]
    pub fn with_accounts(mut self, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        self.share_with.extend(accounts);
        self
    }

    /// Makes the image and its copies community images, which everybody can use, once all are Available: after they were
    /// shared, for the service neither shares nor copies a community image.
    #[must_use]
    pub fn with_public(mut self, public: bool) -> Self {
        self.public = public;
        self
    }

    /// Lets the images take over their names from others that commands of ours made, once all are Available, shared and
    /// public, and says what becomes of those. Until then they are made under names of their own.
    ///
    /// In every region the name passes by two requests one after the other, and whatever happens, the next run begins
    /// with what is left of that.
    #[must_use]
    pub fn with_replaced(mut self, replaced: impl Into<Option<Replaced>>) -> Self {
        self.replace = replaced.into();
        self
    }

    /// Deletes the objects once everything is Available.
    #[must_use]
    pub fn with_delete_objects(mut self, delete: bool) -> Self {
        self.delete_objects = delete;
        self
    }

    /// Goes on with the other regions when one fails. Nothing is shared or deleted then.
    #[must_use]
    pub fn with_keep_going(mut self, keep_going: bool) -> Self {
        self.keep_going = keep_going;
        self
    }

    /// Returns after the submission if `false`; copying, sharing and deleting need the wait.
    #[must_use]
    pub fn with_wait(mut self, wait: bool) -> Self {
        self.wait = wait;
        self
    }

    /// Sends events to `sink`. The uploads have their own sinks.
    #[must_use]
    pub fn with_events(mut self, sink: EventSink) -> Self {
        self.events = sink;
        self
    }

    /// Ends the run when the token is cancelled. An import that was submitted goes on: it is cancelled by
    /// [`Importer::cancel`] alone.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Publishes, or continues a publish that an earlier call left.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; what is done stays done, and the same call again continues.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops it. What was submitted goes on, and is found again.
    pub async fn run(&self) -> Result<PublishReport, PublishError> {
        let began = Instant::now();
        self.check()?;
        let (region, name) = (self.request.region(), self.request.name());
        let client = self.importer.client();
        let file = self.state.flow(&client.rpc_service(), region, name, client.now());
        let file = file.map_err(PublishError::State)?;
        self.close_gaps().await?;
        let (mut known, mut uploads) = (self.known_flow(&file).await?, None);
        let (mut steps, import) = loop {
            let (flow, repeated) = self.begin(known.take(), &mut uploads).await?;
            let mut steps = Steps { publish: self, file: &file, flow };
            steps.save()?;
            match steps.import().await {
                // The earlier run's image is gone although its request is answered as before.
                Err(PublishError::Import(ImportError::Vanished { image_id })) if repeated => {
                    self.gone(&image_id);
                }
                imported => break (steps, imported?),
            }
        };
        let uploads = uploads.unwrap_or_default();
        let mut report = PublishReport {
            uploads,
            import,
            encrypted: self.encryption.is_some(),
            boot_tested: false,
            verdict: None,
            copies: BTreeMap::new(),
            family: None,
            shared_with: Vec::new(),
            public: false,
            replaced: Vec::new(),
            deleted: Vec::new(),
            failures: BTreeMap::new(),
            took: Duration::ZERO,
        };
        if self.wait {
            steps.boot_test(&mut report).await?;
            steps.copies(&mut report).await?;
            // Nothing is shared or deleted while a region is missing.
            if report.failures.is_empty() {
                // The family first: the accounts that the images are shared with find them in it.
                steps.tag_snapshots(&report).await?;
                steps.family(&mut report).await?;
                steps.share(&mut report).await?;
                steps.make_public(&mut report).await?;
                steps.take_names(&mut report).await?;
                steps.retire(&mut report).await?;
                steps.delete_objects(&mut report).await?;
            }
        }
        report.took = began.elapsed();
        Ok(report)
    }

    /// Refuses what ECS never does, without asking it.
    ///
    /// # Errors
    ///
    /// [`PublishError::Impossible`].
    pub fn check(&self) -> Result<(), PublishError> {
        self.check_boot_testable(&self.request)?;
        let Some(encryption) = &self.encryption else { return Ok(()) };
        // "ModifyImageSharePermission" page, and the announcement on sharing encrypted images of July 2025.
        if self.public {
            return Err(PublishError::Impossible(Impossible::PublicEncrypted));
        }
        let has_key = |region: &Region| encryption.key_in(region).is_some();
        if !self.share_with.is_empty() && !self.destinations().iter().all(has_key) {
            return Err(PublishError::Impossible(Impossible::SharedWithoutKey));
        }
        Ok(())
    }

    /// Refuses to test what has no console.
    fn check_boot_testable(&self, request: &ImportRequest) -> Result<(), PublishError> {
        let is_windows = request.operation(None, false).os_type == Some(OsType::Windows);
        match self.boot_test.is_some() && is_windows {
            true => Err(PublishError::Impossible(Impossible::WindowsBootTest)),
            false => Ok(()),
        }
    }

    /// Whether an earlier run has begun this publish, and may have taken its names.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub fn has_begun(&self) -> Result<bool, PublishError> {
        let (region, name) = (self.request.region(), self.request.name());
        let flow = self.state.known_flow(&self.importer.client().rpc_service(), region, name);
        Ok(flow.map_err(PublishError::State)?.is_some_and(|flow| flow.request == self.request_text()))
    }

    /// Works through another importer.
    #[must_use]
    pub fn with_importer(mut self, importer: Importer) -> Self {
        self.importer = importer;
        self
    }

    /// Returns the request of the import, under the name that it gets.
    pub fn import_request(&self) -> ImportRequest {
        self.named_for_import(self.request.clone())
    }

    fn named_for_import(&self, request: ImportRequest) -> ImportRequest {
        match &self.encryption {
            Some(_) => request.with_name(names::unencrypted(self.request.name())),
            None => request,
        }
    }

    /// Returns the regions that get a copy.
    fn destinations(&self) -> BTreeSet<Region> {
        let mut regions: BTreeSet<Region> = self.copy_to.iter().cloned().collect();
        match &self.encryption {
            Some(_) => regions.insert(self.request.region().clone()),
            None => regions.remove(self.request.region()),
        };
        regions
    }

    async fn until_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, PublishError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(PublishError::Cancelled { task: None }),
            done = work => Ok(done),
        }
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests;
