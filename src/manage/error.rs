use crate::client::CallError;
use crate::import::ImportError;
use crate::model::{ImageId, ImageStatus, Region};
use crate::protocol::ecs;

/// A change to images that was not made, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// A request failed.
    #[error("cannot {action}")]
    Call {
        /// What was to be done: "publish image m-…".
        action: String,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// Looking at an image, or sharing, failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The account has no such image there.
    #[error("there is no image `{image}` in {region}")]
    NotFound {
        /// As it was asked for.
        image: String,
        /// Where.
        region: Region,
    },
    /// The account has no such image in any of the regions.
    #[error("there is no image `{image}` in any of {regions} regions")]
    Nowhere {
        /// As it was asked for.
        image: String,
        /// How many regions were asked.
        regions: usize,
    },
    /// Several images of the account have the name, and nothing says which is meant.
    #[error("`{image}` in {region} is the name of several images: {}", list(found))]
    Ambiguous {
        /// As it was asked for.
        image: String,
        /// Where.
        region: Region,
        /// Which images have it.
        found: Vec<ImageId>,
    },
    /// The image belongs to another account.
    #[error("the image {image_id} in {region} belongs to another account{}", owner.as_ref().map(|id| format!(", {id}")).unwrap_or_default())]
    Foreign {
        /// The image.
        image_id: ImageId,
        /// Where it is.
        region: Region,
        /// Whose it is, if the service says so.
        owner: Option<String>,
    },
    /// There is no region of this name.
    #[error("there is no region `{region}`")]
    NoRegion {
        /// The name.
        region: Region,
    },
    /// The image's state does not allow it.
    #[error("cannot {action} image {image_id} in {region}: it is {status}")]
    Status {
        /// What was to be done: "publish".
        action: &'static str,
        /// The image.
        image_id: ImageId,
        /// Where it is.
        region: Region,
        /// Its state.
        status: ImageStatus,
    },
    /// Instances use the image.
    #[error("instances use image {image_id} in {region}")]
    InUse {
        /// The image.
        image_id: ImageId,
        /// Where it is.
        region: Region,
    },
    /// Other accounts can use the image.
    #[error("image {image_id} in {region} is {}", if *public { "public" } else { "shared with other accounts" })]
    Shared {
        /// The image.
        image_id: ImageId,
        /// Where it is.
        region: Region,
        /// Whether everybody can.
        public: bool,
    },
    /// Another image of the account has the name.
    #[error("the name `{name}` is taken in {region} by image {image_id}")]
    NameTaken {
        /// The name.
        name: String,
        /// Where.
        region: Region,
        /// Which image has it.
        image_id: ImageId,
    },
    /// The service accepted the change, and does not show it.
    #[error("the service accepted to {action} image {image_id} in {region}, but does not show it as done")]
    Unproved {
        /// What was to be done: "publish".
        action: &'static str,
        /// The image.
        image_id: ImageId,
        /// Where it is.
        region: Region,
    },
    /// Something was changed before it failed. The same call again does the rest.
    #[error("{done}, and nothing else was done")]
    Partly {
        /// What was done: "image m-… is no longer public".
        done: String,
        /// Why not the rest.
        source: Box<ManageError>,
    },
}

fn list(ids: &[ImageId]) -> String {
    ids.iter().map(ImageId::as_str).collect::<Vec<_>>().join(", ")
}

impl ManageError {
    /// Returns the request that failed, if that is why.
    pub fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Call { source, .. } => Some(source),
            Self::Import(error) => error.call_error(),
            Self::Partly { source, .. } => source.call_error(),
            _ => None,
        }
    }

    /// Whether the service, asked for a change, has no such image.
    pub(crate) fn is_not_found(&self) -> bool {
        self.call_error().is_some_and(|error| error.is(ecs::code::INVALID_IMAGE_ID_NOT_FOUND))
    }

    /// Whether a name was not given because somebody was faster, or the service has not noticed yet that it is free, or
    /// because the answer was lost: then it has to be looked at again who has it.
    pub(crate) fn may_pass(&self) -> bool {
        let passes =
            |error: &CallError| error.is(ecs::code::INVALID_IMAGE_NAME_DUPLICATED) || error.ambiguous();
        matches!(self, Self::NameTaken { .. }) || self.call_error().is_some_and(passes)
    }

    /// Adds what was done before, if anything was.
    pub(super) fn after(self, done: Vec<String>) -> Self {
        match done.is_empty() {
            true => self,
            false => Self::Partly { done: done.join("; "), source: Box::new(self) },
        }
    }
}
