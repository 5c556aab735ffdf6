//! From image files to custom images in every region where they are wanted.
//!
//! Upload, import, copies, family, sharing, deletion of the objects, in this order: sharing waits until every copy is
//! Available, so that a half-finished set is never given away, and objects are deleted last. Each step is
//! written down ([`Flow`]); the same call again continues after the last one, wherever it was interrupted.

mod error;
mod preflight;
mod steps;
mod uploads;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::PublishError;
pub use preflight::{CHECK_LIMIT, Preflight, Problem};

use crate::event::EventSink;
use crate::import::{CustomImage, ImportRequest, ImportTask, Importer};
use crate::model::{AccountId, Crc64, ObjectRef, Region};
use crate::protocol::oss::HeadObject;
use crate::state::{Flow, StateDir};
use crate::upload::{Upload, UploadReport};
use steps::{Steps, new_token};
use uploads::upload_all;

/// A publish: what is uploaded first, what is asked of ECS, and what follows the import.
#[derive(Debug, Clone)]
pub struct Publish {
    importer: Importer,
    request: ImportRequest,
    uploads: Vec<Upload>,
    state: StateDir,
    copy_to: Vec<Region>,
    family: Option<String>,
    share_with: Vec<AccountId>,
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
    /// The image as it was last seen; nothing if it was not waited for.
    pub image: Option<CustomImage>,
}

/// What a publish came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct PublishReport {
    /// The uploads, in the order in which they were given.
    pub uploads: Vec<UploadReport>,
    /// The imported image.
    pub import: Published,
    /// Its copies, by region.
    pub copies: BTreeMap<Region, Published>,
    /// The family that all of them are in.
    pub family: Option<String>,
    /// The accounts that all of them are shared with.
    pub shared_with: Vec<AccountId>,
    /// The objects that were deleted.
    pub deleted: Vec<ObjectRef>,
    /// What failed in which region, where the others were to go on.
    pub failures: BTreeMap<Region, PublishError>,
    /// How long this run took.
    pub took: Duration,
}

impl Publish {
    /// Publishes what `request` asks for. The steps are kept in `state`.
    pub fn new(importer: Importer, request: ImportRequest, state: impl Into<PathBuf>) -> Self {
        Self {
            importer,
            request,
            uploads: Vec::new(),
            state: StateDir::new(state),
            copy_to: Vec::new(),
            family: None,
            share_with: Vec::new(),
            delete_objects: false,
            keep_going: false,
            wait: true,
            events: EventSink::none(),
            cancel: CancellationToken::new(),
        }
    }

    /// Uploads an object of the request first.
    #[must_use]
    pub fn upload(mut self, upload: Upload) -> Self {
        self.uploads.push(upload);
        self
    }

    /// Copies the image to these regions.
    #[must_use]
    pub fn copy_to(mut self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.copy_to.extend(regions);
        self
    }

    /// Puts the image and its copies into this family once all are Available.
    #[must_use]
    pub fn family(mut self, family: impl Into<Option<String>>) -> Self {
        self.family = family.into();
        self
    }

    /// Shares the image and its copies with these accounts once all are Available.
    #[must_use]
    pub fn share_with(mut self, accounts: impl IntoIterator<Item = AccountId>) -> Self {
        self.share_with.extend(accounts);
        self
    }

    /// Deletes the objects once everything is Available.
    #[must_use]
    pub fn delete_objects(mut self, delete: bool) -> Self {
        self.delete_objects = delete;
        self
    }

    /// Goes on with the other regions when one fails. Nothing is shared or deleted then.
    #[must_use]
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.keep_going = keep_going;
        self
    }

    /// Returns after the submission if `false`; copying, sharing and deleting need the wait.
    #[must_use]
    pub fn wait(mut self, wait: bool) -> Self {
        self.wait = wait;
        self
    }

    /// Tells what happens to `sink`. The uploads have sinks of their own.
    #[must_use]
    pub fn events(mut self, sink: EventSink) -> Self {
        self.events = sink;
        self
    }

    /// Ends the run when the token is cancelled. An import that was submitted goes on: it is cancelled by
    /// [`Importer::cancel`] alone.
    #[must_use]
    pub fn cancel(mut self, token: CancellationToken) -> Self {
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
        let (region, name) = (self.request.region(), self.request.name());
        let client = self.importer.client();
        let file = self.state.flow(&client.rpc_service(), region, name, client.now());
        let file = file.map_err(PublishError::State)?;
        let request = serde_json::to_string(&self.request).expect("a request is plain data");
        let known = file.load().map_err(PublishError::State)?.filter(|flow| flow.request == request);
        let mut uploads = Vec::new();
        let sources = self.uploads.iter().filter_map(Upload::source_mark).collect();
        let (mut flow, repeated) = match known {
            // The objects were deleted, which is the last step: there is nothing to upload again. Unless the files
            // are others: then the image that was made is not theirs.
            Some(flow) if !flow.deleted.is_empty() && flow.sources == sources => (flow, true),
            known => {
                uploads = upload_all(&self.uploads).await.map_err(PublishError::Upload)?;
                let objects = self.checksums(&uploads).await?;
                match known {
                    Some(flow) if flow.objects == objects => (flow, true),
                    // An image of the old objects still has the name, if it is there at all: the service tells.
                    _ => (Flow::new(request, objects, new_token()), false),
                }
            }
        };
        flow.sources = sources;
        let mut steps = Steps { publish: self, file: &file, flow, repeated };
        steps.save()?;
        let import = steps.import().await?;
        let mut report = PublishReport {
            uploads,
            import,
            copies: BTreeMap::new(),
            family: None,
            shared_with: Vec::new(),
            deleted: Vec::new(),
            failures: BTreeMap::new(),
            took: Duration::ZERO,
        };
        if self.wait {
            steps.copies(&mut report).await?;
            // Nothing is given away or deleted while a region is missing.
            if report.failures.is_empty() {
                // A family first: who the images are shared with finds them in it.
                steps.family(&mut report).await?;
                steps.share(&mut report).await?;
                steps.delete_objects(&mut report).await?;
            }
        }
        report.took = began.elapsed();
        Ok(report)
    }

    /// Describes the objects of the request by their checksums.
    async fn checksums(&self, uploads: &[UploadReport]) -> Result<String, PublishError> {
        let mut checksums: BTreeMap<String, Option<Crc64>> =
            uploads.iter().map(|report| (report.stored.object.to_string(), report.stored.crc64)).collect();
        for object in self.request.disks().iter().map(|disk| &disk.object) {
            if checksums.contains_key(&object.to_string()) {
                continue;
            }
            let operation = HeadObject::new(object.clone());
            let head = self.until_cancelled(self.importer.client().call(&operation)).await?;
            let head = head
                .map_err(|error| PublishError::Object { object: object.clone(), source: Box::new(error) })?;
            checksums.insert(object.to_string(), head.crc64);
        }
        Ok(serde_json::to_string(&checksums).expect("checksums are plain data"))
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
