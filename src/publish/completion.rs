//! What is known of the objects only once they are there, for the request of the import.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{Publish, PublishError};
use crate::credentials::BoxFuture;
use crate::import::ImportRequest;
use crate::state::PublishState;

/// A request that was completed, or why nothing is to be asked of ECS.
pub type Completed = Result<ImportRequest, Box<dyn Error + Send + Sync>>;

/// Completes the request.
#[derive(Clone)]
pub(super) struct Completion(Arc<dyn Fn(ImportRequest) -> BoxFuture<'static, Completed> + Send + Sync>);

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").finish_non_exhaustive()
    }
}

impl Publish {
    /// Has the request completed once its objects are there, and before ECS is asked for anything: of a stream, what is in
    /// it is known no earlier. Region, name and objects have to stay what they are.
    ///
    /// What `complete` returns is written down before it is sent, and sent by every later run that goes on with it: none
    /// of them calls `complete` again. If it fails, nothing is asked of ECS, nothing is written down, and the objects stay.
    #[must_use]
    pub fn with_completion(
        mut self,
        complete: impl Fn(ImportRequest) -> BoxFuture<'static, Completed> + Send + Sync + 'static,
    ) -> Self {
        self.completion = Some(Completion(Arc::new(complete)));
        self
    }

    /// Returns the request as it is to be sent for objects that are there, if that is not what was asked for.
    pub(super) async fn completed(&self) -> Result<Option<String>, PublishError> {
        let Some(Completion(complete)) = &self.completion else { return Ok(None) };
        let completed = self.until_cancelled(complete(self.request.clone())).await?;
        let completed = completed.map_err(PublishError::NotCompleted)?;
        self.check_boot_testable(&completed)?;
        let text = text(&self.named_for_import(completed));
        Ok((text != self.request_text()).then_some(text))
    }

    /// Returns the request of a flow as it is sent.
    pub(super) fn request_of(&self, flow: &PublishState) -> Result<ImportRequest, String> {
        match &flow.completed {
            None => Ok(self.import_request()),
            Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }

    /// Returns what is asked of ECS, as one text.
    pub(super) fn request_text(&self) -> String {
        text(&self.import_request())
    }
}

fn text(request: &ImportRequest) -> String {
    serde_json::to_string(request).expect("a request is plain data")
}
