//! Submitting: the call itself, and finding out what became of one whose answer was lost.

use std::time::Duration;

use tokio::time::Instant;

use super::{CustomImage, ImportError, ImportRequest, ImportTask, Importer, MISSING_ROLE_CODES, ours};
use crate::client::CallError;
use crate::event::Event;
use crate::model::{ClientToken, Origin, Region};
use crate::protocol::ecs;

/// How long is waited before an import is tried again while a new role is not seen yet.
const ROLE_RETRY: Duration = Duration::from_secs(5);
/// The code with which the service says that another image has the name.
pub(super) const NAME_TAKEN_CODE: &str = ecs::code::INVALID_IMAGE_NAME_DUPLICATED;
/// The codes of a dry run that went well. Pages and service spell it differently.
const DRY_RUN_CODES: [&str; 2] = [ecs::code::DRYRUN_SUCCESS, ecs::code::DRY_RUN_OPERATION];

impl Importer {
    /// Has the service check the request without importing. The objects must be there already.
    ///
    /// # Errors
    ///
    /// [`ImportError`] as [`Importer::submit`] gives it, and [`ImportError::DryRunIgnored`] where an import has
    /// begun, because the region knows no dry runs.
    pub async fn dry_run(&self, request: &ImportRequest) -> Result<(), ImportError> {
        self.check(request)?;
        match self.client.call(&request.operation(None, true)).await {
            Err(error) if DRY_RUN_CODES.iter().any(|code| error.is(code)) => Ok(()),
            Err(error) if error.is(NAME_TAKEN_CODE) => {
                match self.named(request.region(), request.name()).await {
                    Ok(Some(image)) => Err(ours::taken(request.region(), request.name(), image)),
                    _ => Err(explain(request, error)),
                }
            }
            Err(error) => Err(explain(request, error)),
            Ok(answer) => {
                let mut task = ImportTask::of_image(request.region().clone(), answer.image_id);
                (task.task_id, task.request_id) = (answer.task_id, answer.request_id);
                Err(ImportError::DryRunIgnored { task })
            }
        }
    }

    /// Registers an import with the service, which then works for hours.
    ///
    /// The caller has made `token` for this import and has written it down before: with it the same call can
    /// be made again after a crash, and makes no second image. `origin` says what the image is made of
    /// ([`ImportRequest::origin`], or [`ImportRequest::origin_of_token`]) and goes with the request: an image of the
    /// same name counts as the result of an earlier call only if it carries it.
    ///
    /// # Errors
    ///
    /// [`ImportError::Refused`] without asking the service; [`ImportError::RoleMissing`],
    /// [`ImportError::NameTaken`], and [`ImportError::Call`] with the service's other refusals.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the import was registered: submit again with the same token.
    pub async fn submit(
        &self,
        request: &ImportRequest,
        token: &ClientToken,
        origin: &Origin,
    ) -> Result<ImportTask, ImportError> {
        self.check(request)?;
        let mut operation = request.operation(Some(token), false);
        ours::mark(&mut operation.tags, origin);
        let began = Instant::now();
        let mut ambiguous = false;
        let error = loop {
            let error = match self.client.call(&operation).await {
                Ok(answer) => {
                    let mut task = ImportTask::of_image(request.region().clone(), answer.image_id);
                    (task.task_id, task.request_id) = (answer.task_id, answer.request_id);
                    return Ok(self.submitted(task));
                }
                Err(error) => error,
            };
            ambiguous |= error.ambiguous();
            let unseen = is_missing_role(&error) || error.is(ecs::code::INVALID_OSS_NOT_AUTHORIZED);
            if !unseen || began.elapsed() + ROLE_RETRY > self.role_grace {
                break error;
            }
            tokio::time::sleep(ROLE_RETRY).await;
        };
        // Not every region remembers tokens, and an earlier run, maybe elsewhere, had another token.
        let taken = error.is(NAME_TAKEN_CODE);
        if (ambiguous || taken)
            && let Ok(Some(image)) = self.named(request.region(), request.name()).await
        {
            let region = request.region().clone();
            if ours::is_of(&image, origin) && !image.status.is_failed() {
                return Ok(self.adopted(&region, image).await);
            }
            if taken {
                return Err(ours::taken(&region, request.name(), image));
            }
        }
        Err(explain(request, error))
    }

    /// Returns the image that is the result of the request of this origin, under whatever name, unless it failed.
    pub(crate) async fn made(
        &self,
        region: &Region,
        origin: &Origin,
    ) -> Result<Option<ImportTask>, ImportError> {
        match self.of_origin(region, origin).await? {
            Some(image) if !image.status.is_failed() => Ok(Some(self.adopted(region, image).await)),
            _ => Ok(None),
        }
    }

    /// Returns the image that is the result of the request of this origin, under whatever name; one that can be used, if
    /// there are more.
    pub(super) async fn of_origin(
        &self,
        region: &Region,
        origin: &Origin,
    ) -> Result<Option<CustomImage>, ImportError> {
        let images = self.images(region).await?;
        let results = images.into_iter().filter(|image| ours::is_of(image, origin));
        Ok(results.min_by_key(|image| image.status.is_failed()))
    }

    async fn adopted(&self, region: &Region, image: CustomImage) -> ImportTask {
        let task_id = self.task_of_image(region, &image.image_id).await.unwrap_or_default();
        let task = ImportTask::of_image(region.clone(), image.image_id);
        self.submitted(ImportTask { task_id, adopted: true, ..task })
    }

    fn check(&self, request: &ImportRequest) -> Result<(), ImportError> {
        let findings = request.check();
        if request.is_refused() { Err(ImportError::Refused { findings }) } else { Ok(()) }
    }

    fn submitted(&self, task: ImportTask) -> ImportTask {
        self.events.emit(Event::Submitted {
            region: task.region.clone(),
            image_id: task.image_id.clone(),
            task_id: task.task_id.clone(),
        });
        task
    }
}

/// Adds to the service's refusal what can be known about it.
fn explain(request: &ImportRequest, error: CallError) -> ImportError {
    if is_missing_role(&error) {
        return ImportError::RoleMissing { source: Box::new(error) };
    }
    let object = request.disks().first().map_or_else(String::new, |disk| disk.object.to_string());
    ImportError::call(format!("import `{object}`"))(error)
}

fn is_missing_role(error: &CallError) -> bool {
    MISSING_ROLE_CODES.iter().any(|code| error.is(code))
}
