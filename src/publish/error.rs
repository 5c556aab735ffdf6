use crate::boot_test::BootTestError;
use crate::client::CallError;
use crate::import::{ImportError, ImportTask};
use crate::manage::ManageError;
use crate::model::{ImageId, ObjectRef, Region};
use crate::state::StateError;
use crate::upload::UploadError;

/// What ECS never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Impossible {
    /// It has no console of Windows.
    #[error("ECS shows no console of Windows instances, and a boot test is one of the console")]
    WindowsBootTest,
    /// It publishes nothing that is encrypted.
    #[error("an encrypted image cannot be public")]
    PublicEncrypted,
    /// It shares nothing that is encrypted with its own key.
    #[error("an image that is encrypted with the service's own key cannot be shared")]
    SharedWithoutKey,
}

/// Why a publish failed. What is done stays done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A file could not be uploaded.
    #[error(transparent)]
    Upload(UploadError),
    /// An image could not be imported, copied or shared.
    #[error(transparent)]
    Import(ImportError),
    /// An image could not be published, tagged, renamed or retired.
    #[error(transparent)]
    Manage(ManageError),
    /// The name is to pass to the new image, and belongs to one that no command of ours made.
    #[error(
        "the image name `{name}` in {region} belongs to {image_id}, which is not known to be made by ossup"
    )]
    NotOurs {
        /// The name.
        name: String,
        /// Where.
        region: Region,
        /// The image that has it.
        image_id: ImageId,
    },
    /// Another publish took a name away while this one gave the others to its images.
    #[error("{}", superseded(region, name, image.as_ref()))]
    Superseded {
        /// Where.
        region: Region,
        /// The name.
        name: String,
        /// The image that has it now.
        image: Option<ImageId>,
    },
    /// ECS never does what was asked for; nothing was sent.
    #[error(transparent)]
    Impossible(Impossible),
    /// The request was not completed: the image is refused, or nobody could tell. The objects are there, and ECS was asked
    /// for nothing.
    #[error(transparent)]
    NotCompleted(Box<dyn std::error::Error + Send + Sync>),
    /// The image was not seen to boot, or could not be tested.
    #[error(transparent)]
    BootTest(BootTestError),
    /// The steps could not be written down.
    #[error("cannot keep the state of the publish")]
    State(#[source] StateError),
    /// An object could not be inspected or deleted.
    #[error("cannot inspect or delete `{object}`")]
    Object {
        /// The object.
        object: ObjectRef,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// An object was written by somebody else after it was uploaded.
    #[error("{}", replaced(object, image.as_deref()))]
    Replaced {
        /// The object.
        object: ObjectRef,
        /// The image that was made in the meantime, and its region.
        image: Option<Box<(Region, ImageId)>>,
    },
    /// A stream is not what the object was made of that an image was asked for, and has passed: it cannot be sent
    /// any more.
    #[error(
        "the stream is not what `{object}` was made of, of which an image was asked for: nothing is sent"
    )]
    OtherStream {
        /// The object.
        object: ObjectRef,
    },
    /// An object is not the one that was imported, so it was not deleted.
    #[error("`{object}` is not proved to be the object that was imported: it is not deleted")]
    Kept {
        /// The object.
        object: ObjectRef,
    },
    /// It was stopped from outside.
    #[error("{}", stopped(task.as_ref()))]
    Cancelled {
        /// The import that was submitted, and goes on.
        task: Option<ImportTask>,
    },
}

fn superseded(region: &Region, name: &str, image: Option<&ImageId>) -> String {
    let now = image.map_or_else(|| "nobody has it now".to_owned(), |id| format!("image {id} has it now"));
    format!("the name `{name}` was taken from the new image in {region}: {now}")
}

fn replaced(object: &ObjectRef, image: Option<&(Region, ImageId)>) -> String {
    match image {
        Some((_, id)) => {
            format!("`{object}` was replaced while it was imported: image {id} may be made of other bytes")
        }
        None => format!("`{object}` was replaced after it was uploaded: nothing is imported"),
    }
}

fn stopped(task: Option<&ImportTask>) -> String {
    match task {
        Some(task) => format!("the wait was stopped; the import of {} goes on", task.image_id),
        None => "the publish was stopped".to_owned(),
    }
}
