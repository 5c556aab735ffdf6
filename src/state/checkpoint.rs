use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{AddressingStyle, Endpoint, ObjectRef, Region, ServiceId, StorageClass, UploadId};
use crate::plan::CutRule;
use crate::source::SourceIdentity;

/// Version of the checkpoint's and the journal's format. A reader refuses every other one: a newer `ossup`
/// wrote it, and finishing the upload with half of its facts could lose parts.
pub const CHECKPOINT_VERSION: u32 = 1;

/// Which upload a state folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`CHECKPOINT_VERSION`].
    pub version: u32,
    /// The bucket's region.
    pub region: Region,
    /// The endpoint that was used, for information; another one of the region serves as well.
    pub endpoint: String,
    /// Where the bucket's name went in a URL, which the endpoint's text does not show. Older checkpoints lack it:
    /// then it follows from the host.
    #[serde(default)]
    pub addressing_style: Option<AddressingStyle>,
    /// The service that has the upload. Older checkpoints lack it: then it follows from the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// The object that the upload makes.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
    /// The file that is uploaded.
    pub source: SourceIdentity,
    /// How it is cut into parts.
    pub cut: CutRule,
    /// Whether an existing object may be replaced.
    pub overwrite: bool,
    /// The object's storage class, in case the upload no longer exists and has to start again.
    #[serde(default)]
    pub storage_class: StorageClass,
    /// When the upload was begun.
    pub created: Timestamp,
}

impl Checkpoint {
    /// Returns the service that has the upload. That another service does not know it means nothing.
    pub fn service(&self) -> ServiceId {
        let of_endpoint =
            || self.endpoint.parse::<Endpoint>().map(|endpoint| ServiceId::of_endpoint(&endpoint));
        self.service.clone().unwrap_or_else(|| of_endpoint().unwrap_or_else(|_| ServiceId::public()))
    }
}
