//! Copying an image to other regions. The copy's origin, which names the source, is what makes it happen once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::submit::NAME_TAKEN_CODE;
use super::{CustomImage, ImportError, ImportTask, Importer, Tag, ours};
use crate::client::CallError;
use crate::event::Event;
use crate::image::request as rules;
use crate::model::{ClientToken, ImageId, Origin, Region};
use crate::protocol::ecs::{self, CopyImage};

/// How long a copy of a busy source is requested again.
const BUSY_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How long a source that was Available a moment ago may still be reported in another state.
const STATUS_LIMIT: Duration = Duration::from_secs(5 * 60);

/// What image to copy, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRequest {
    operation: CopyImage,
    /// The name under which it is made, if it is to get its own only later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_as: Option<String>,
}

impl CopyRequest {
    /// Asks for a copy named `name` of `image_id` of `region` in `destination`.
    pub fn new(region: Region, image_id: ImageId, destination: Region, name: impl Into<String>) -> Self {
        let mut operation = CopyImage::new(region, image_id, destination);
        operation.name = Some(name.into());
        Self { operation, made_as: None }
    }

    /// Describes the copy.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<String>) -> Self {
        self.operation.description = Some(text.into());
        self
    }

    /// Adds tags to the copy; those of the source do not come along.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.operation.tags.extend(tags);
        self
    }

    /// Puts the copy into a resource group.
    #[must_use]
    pub fn with_resource_group(mut self, id: impl Into<String>) -> Self {
        self.operation.resource_group_id = Some(id.into());
        self
    }

    /// Encrypts the copy, with this key or the service's own.
    #[must_use]
    pub fn with_encryption(mut self, kms_key_id: Option<String>) -> Self {
        self.operation.encrypted = true;
        self.operation.kms_key_id = kms_key_id;
        self
    }

    /// Makes the copy under another name, for as long as another image has its own. It is the same copy all the same, and
    /// is found under either.
    #[must_use]
    pub fn with_made_as(mut self, name: impl Into<String>) -> Self {
        self.made_as = Some(name.into());
        self
    }

    /// Returns where the copy goes.
    pub fn destination(&self) -> &Region {
        &self.operation.destination
    }

    pub(super) fn operation(&self) -> &CopyImage {
        &self.operation
    }

    /// Returns the copy's name.
    pub fn name(&self) -> &str {
        self.operation.name.as_deref().unwrap_or_default()
    }
}

/// What was found of the copy.
enum Existing {
    None,
    /// The copy, begun earlier.
    Good(ImportTask),
    /// A failed copy, which is deleted now.
    Removed(ImageId),
    /// Another image, which the error names.
    Other(ImportError),
}

impl Importer {
    /// Begins a copy, or finds the one that an earlier call has begun.
    ///
    /// An image of exactly this name in the destination counts as the result if it carries the copy's
    /// [origin](CopyRequest::origin): so the same call again, with whatever token, makes no second one. A
    /// failed copy of that origin is deleted first. A source that is still busy is asked for again for some
    /// minutes. [`Importer::follow`] waits for the copy.
    ///
    /// # Errors
    ///
    /// [`ImportError::Refused`] without asking; [`ImportError::NameTaken`] if the name belongs to another image, such
    /// as a copy of another source; [`ImportError::Call`] for the service's other refusals.
    pub async fn copy(&self, request: &CopyRequest, token: &ClientToken) -> Result<ImportTask, ImportError> {
        let mut findings = rules::check_image_name(request.name());
        findings.extend(request.made_as.iter().flat_map(|name| rules::check_image_name(name)));
        findings.extend(request.operation.description.iter().flat_map(|text| rules::check_description(text)));
        if findings.iter().any(|finding| finding.refuses()) {
            return Err(ImportError::Refused { findings });
        }
        let origin = request.origin();
        let mut operation = CopyImage { client_token: Some(token.clone()), ..request.operation.clone() };
        if let Some(name) = &request.made_as {
            operation.name = Some(name.clone());
        }
        let marked = ours::mark(&mut operation.tags, &origin);
        match self.existing_copy(request, &origin).await? {
            // Without a tag, only the response to the token shows whose it is.
            Existing::Other(taken) if marked => return Err(taken),
            Existing::None | Existing::Other(_) => {}
            Existing::Good(task) => return Ok(task),
            // The service would answer the old token with the old image.
            Existing::Removed(failed) => operation.client_token = Some(after(token, &failed)),
        }
        let began = Instant::now();
        loop {
            let error = match self.client.call(&operation).await {
                Ok(answer) => {
                    let task = ImportTask::of_image(request.destination().clone(), answer.image_id);
                    return Ok(self.begun(ImportTask { request_id: answer.request_id, ..task }));
                }
                Err(error) => error,
            };
            let taken = error.is(NAME_TAKEN_CODE);
            // The call may have been carried out though its answer was lost.
            if error.ambiguous() || taken {
                match self.existing_copy(request, &origin).await? {
                    Existing::Other(other) if taken => return Err(other),
                    Existing::None | Existing::Other(_) => {}
                    Existing::Good(task) => return Ok(task),
                    Existing::Removed(failed) => {
                        let token = operation.client_token.as_ref().unwrap_or(token);
                        operation.client_token = Some(after(token, &failed));
                        continue;
                    }
                }
            }
            if !is_busy(&error, began.elapsed()) {
                let copy = format!("copy {} to {}", request.operation.image_id, request.destination());
                return Err(ImportError::call(copy)(error));
            }
            tokio::time::sleep(self.pace.first).await;
        }
    }

    async fn existing_copy(&self, request: &CopyRequest, origin: &Origin) -> Result<Existing, ImportError> {
        let destination = request.destination();
        let found = match request.made_as {
            // It has its own name by now, or another image has that again.
            Some(_) => self.of_origin(destination, origin).await?,
            None => self.find_image(destination, request.name()).await?,
        };
        let Some(image) = found else { return Ok(Existing::None) };
        if !ours::is_of(&image, origin) {
            return Ok(Existing::Other(ours::taken(destination, request.name(), image)));
        }
        if image.status.is_failed() {
            self.delete_image(destination, &image.image_id, false).await?;
            return Ok(Existing::Removed(image.image_id));
        }
        Ok(Existing::Good(self.begun(adopted(request, image))))
    }

    fn begun(&self, task: ImportTask) -> ImportTask {
        let (region, image_id) = (task.region.clone(), task.image_id.clone());
        self.events.emit(Event::Submitted { region, image_id, task_id: None });
        task
    }
}

/// Returns the token for what follows a failed copy: always the same, and another than the copy had.
fn after(token: &ClientToken, failed: &ImageId) -> ClientToken {
    let joined = format!("{token}.{failed}");
    // Tokens have up to 64 characters; a token of one's own making may leave no room.
    joined.parse().unwrap_or_else(|_| token.clone())
}

fn adopted(request: &CopyRequest, image: CustomImage) -> ImportTask {
    let task = ImportTask::of_image(request.destination().clone(), image.image_id);
    ImportTask { adopted: true, ..task }
}

/// Whether the source is only busy: it is being copied, or its new state is not known everywhere.
fn is_busy(error: &CallError, waited: Duration) -> bool {
    let Some(code) = error.service().and_then(|error| error.code.as_deref()) else { return false };
    match code {
        ecs::code::OPERATION_DENIED_IMAGE_COPYING | ecs::code::OPERATION_DENIED_IMAGE_COPY_CONFLICT => {
            waited < BUSY_LIMIT
        }
        ecs::code::INCORRECT_IMAGE_STATUS => waited < STATUS_LIMIT,
        _ => false,
    }
}
