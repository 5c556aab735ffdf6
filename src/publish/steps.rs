//! The steps after the uploads, each written down before and after it is done.

use futures::StreamExt;
use futures::stream;

use super::{Publish, PublishError, PublishReport, Published, names};
use crate::import::{CopyRequest, CustomImage, ImportError, ImportRequest, ImportTask};
use crate::model::{ClientToken, Region};
use crate::state::{ImageStep, PublishLog, PublishState};

/// Copies that are begun and followed at a time; the service runs as many of one image and queues the rest.
const PARALLEL_COPIES: usize = 5;

pub(super) struct Steps<'a> {
    pub(super) publish: &'a Publish,
    pub(super) file: &'a PublishLog,
    pub(super) flow: PublishState,
}

impl Steps<'_> {
    pub(super) fn save(&self) -> Result<(), PublishError> {
        self.file.save(&self.flow).map_err(PublishError::State)
    }

    /// Submits the import, unless an earlier run did, and follows it.
    pub(super) async fn import(&mut self) -> Result<Published, PublishError> {
        let request = self.publish.request_of(&self.flow);
        let request = request.map_err(|reason| PublishError::State(self.file.damaged(reason)))?;
        let region = request.region().clone();
        let is_new = self.flow.import.image_id.is_none();
        let task = match task_of(&self.flow.import, &region) {
            Some(task) => task,
            None => {
                let submit = submit(self.publish, &request, &self.flow);
                let task = match self.publish.until_cancelled(submit).await? {
                    Ok(task) => task,
                    Err(error) => return Err(self.given_up(PublishError::Import(error))),
                };
                note(&mut self.flow.import, &task);
                self.save()?;
                task
            }
        };
        if !self.publish.wait && (is_new && !task.adopted || self.goes_on(&task).await?) {
            return Ok(Published { task, image: None });
        }
        let mut image = match self.follow(&task).await? {
            Ok(image) => image,
            Err(error) => return Err(self.given_up(PublishError::Import(error))),
        };
        if !self.flow.import.available {
            let unreplaced = self.publish.check_unreplaced(&self.flow.objects, &task).await;
            unreplaced.map_err(|error| self.given_up(error))?;
            self.flow.import.available = true;
            self.save()?;
        }
        self.publish.restored(&region, &mut image).await?;
        Ok(Published { task, image: Some(image) })
    }

    /// Whether an import that an earlier run asked for is still at work, as far as is known. What has ended has an
    /// outcome, which is seen in one look.
    async fn goes_on(&self, task: &ImportTask) -> Result<bool, PublishError> {
        let look = self.publish.importer.image(&task.region, &task.image_id);
        let found = self.publish.until_cancelled(look).await?;
        // Who may not look, or finds nothing, learns more by following it.
        let Ok(Some(image)) = found else { return Ok(true) };
        Ok(image.status.is_pending() || (!image.status.is_failed() && image.usable == Some(false)))
    }

    /// After a permanent failure the flow is removed: the next run makes its own request.
    fn given_up(&self, error: PublishError) -> PublishError {
        let over = match &error {
            PublishError::Replaced { .. } => true,
            PublishError::Import(error) => is_over(error),
            _ => false,
        };
        match over.then(|| self.file.forget()) {
            Some(Err(state)) => PublishError::State(state),
            _ => error,
        }
    }

    async fn follow(&self, task: &ImportTask) -> Result<Result<CustomImage, ImportError>, PublishError> {
        tokio::select! {
            biased;
            () = self.publish.cancel.cancelled() => {
                Err(PublishError::Cancelled { task: Some(task.clone()) })
            }
            followed = self.publish.importer.follow(task) => Ok(followed),
        }
    }

    /// Copies the image to all regions, some at a time.
    pub(super) async fn copies(&mut self, report: &mut PublishReport) -> Result<(), PublishError> {
        let wanted = self.publish.destinations();
        for region in &wanted {
            let copy = self
                .flow
                .copies
                .entry(region.clone())
                .or_insert_with(|| ImageStep::new(ClientToken::random()));
            let Some(id) = copy.image_id.clone() else { continue };
            let look = self.publish.importer.image(region, &id);
            if let Ok(None) = self.publish.until_cancelled(look).await? {
                self.publish.gone(&id);
                *copy = ImageStep::new(ClientToken::random());
            }
        }
        self.save()?;
        // The futures hold what they need, so that each answer can be written down while others are under way.
        let copies: Vec<_> = wanted
            .into_iter()
            .map(|region| {
                let step = self.flow.copies[&region].clone();
                let (publish, request) = (self.publish, self.copy_request(report, &region));
                async move { (region.clone(), begin_copy(publish, request, &step, &region).await) }
            })
            .collect();
        let mut begun = stream::iter(copies).buffer_unordered(PARALLEL_COPIES);
        let mut tasks = Vec::new();
        while let Some((region, result)) = begun.next().await {
            match result {
                Ok(task) => {
                    note(self.flow.copies.get_mut(&region).expect("every wanted copy has a step"), &task);
                    self.save()?;
                    tasks.push(task);
                }
                Err(error) => self.failed(report, region, error)?,
            }
        }
        drop(begun);
        let publish = self.publish;
        let follows =
            tasks.into_iter().map(|task| async move { (publish.importer.follow(&task).await, task) });
        let mut followed = stream::iter(follows).buffer_unordered(PARALLEL_COPIES);
        loop {
            let next = publish.until_cancelled(followed.next()).await?;
            let Some((result, task)) = next else { return Ok(()) };
            let region = task.region.clone();
            match result {
                Ok(mut image) => {
                    publish.restored(&region, &mut image).await?;
                    self.flow.copies.get_mut(&region).expect("every wanted copy has a step").available = true;
                    self.save()?;
                    report.copies.insert(region, Published { task, image: Some(image) });
                }
                Err(error) => {
                    // A copy that failed is deleted and begun again by the next run, with another token. One that
                    // could only not be looked at goes on.
                    if is_over(&error) {
                        self.flow.copies.insert(region.clone(), ImageStep::new(ClientToken::random()));
                        self.save()?;
                    }
                    self.failed(report, region, PublishError::Import(error))?;
                }
            }
        }
    }

    fn copy_request(&self, report: &PublishReport, destination: &Region) -> CopyRequest {
        let request = &self.publish.request;
        let source = &report.import.task;
        let mut copy = CopyRequest::new(
            source.region.clone(),
            source.image_id.clone(),
            destination.clone(),
            request.name(),
        );
        if self.publish.replace.is_some() || self.flow.is_staged() {
            copy = copy.with_made_as(names::staged(request.name(), &self.flow.origin));
        }
        if let Some(text) = request.description() {
            copy = copy.with_description(text);
        }
        if let Some(encryption) = &self.publish.encryption {
            copy = copy.with_encryption(encryption.key_in(destination).map(str::to_owned));
        }
        copy.with_tags(request.tags().iter().cloned())
    }

    fn failed(
        &self,
        report: &mut PublishReport,
        region: Region,
        error: PublishError,
    ) -> Result<(), PublishError> {
        if !self.publish.keep_going || matches!(error, PublishError::Cancelled { .. }) {
            return Err(error);
        }
        report.failures.insert(region, error);
        Ok(())
    }
}

/// Asks for the import, or finds the one that was asked for. One that is to replace an image is made under another name,
/// with another token: the same token with another name would be refused.
async fn submit(
    publish: &Publish,
    request: &ImportRequest,
    flow: &PublishState,
) -> Result<ImportTask, ImportError> {
    let importer = &publish.importer;
    if publish.replace.is_none() && !flow.is_staged() {
        return importer.submit(request, &flow.import.token, &flow.origin).await;
    }
    let staged = request.clone().with_name(names::staged(request.name(), &flow.origin));
    if let Some(task) = importer.made(request.region(), &flow.origin).await? {
        return Ok(task);
    }
    if publish.replace.is_none() {
        return importer.submit(request, &flow.import.token, &flow.origin).await;
    }
    let token = format!("{}.new", flow.import.token);
    let token = token.parse().unwrap_or_else(|_| flow.import.token.clone());
    importer.submit(&staged, &token, &flow.origin).await
}

async fn begin_copy(
    publish: &Publish,
    request: CopyRequest,
    step: &ImageStep,
    region: &Region,
) -> Result<ImportTask, PublishError> {
    if let Some(task) = task_of(step, region) {
        return Ok(task);
    }
    let copy = publish.importer.copy(&request, &step.token);
    publish.until_cancelled(copy).await?.map_err(PublishError::Import)
}

/// Whether the image that was followed will never be there.
fn is_over(error: &ImportError) -> bool {
    matches!(error, ImportError::Failed { .. } | ImportError::Cancelled { .. } | ImportError::Vanished { .. })
}

fn task_of(step: &ImageStep, region: &Region) -> Option<ImportTask> {
    let mut task = ImportTask::of_image(region.clone(), step.image_id.clone()?);
    task.task_id = step.task_id.clone();
    task.request_id = step.request_id.clone();
    Some(task)
}

fn note(step: &mut ImageStep, task: &ImportTask) {
    step.image_id = Some(task.image_id.clone());
    step.task_id = task.task_id.clone();
    step.request_id = task.request_id.clone();
}
