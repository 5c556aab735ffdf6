use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    AddressingStyle, Endpoint, ObjectForm, ObjectRef, Region, ServiceId, StorageClass, UploadId,
};
use crate::plan::CutRule;
use crate::source::SourceIdentity;

/// Newest version of the checkpoint's format. A reader refuses every later one: a newer `ossup` wrote it, and finishing
/// the upload with half of its facts could lose parts.
pub const CHECKPOINT_VERSION: u32 = 2;
/// The version of what 0.1.0 could upload, so that it can go on: a file as it is, cut evenly.
const PLAIN: u32 = 1;
/// What is read. The versions differ only in what they may say.
pub(super) const VERSIONS: RangeInclusive<u32> = PLAIN..=CHECKPOINT_VERSION;

/// Which upload a state folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
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
    /// What is uploaded.
    pub source: SourceIdentity,
    /// How the object is made of it.
    #[serde(default, skip_serializing_if = "ObjectForm::is_as_is")]
    pub form: ObjectForm,
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
    /// Returns the version of the format that says all of this: the oldest one that does.
    pub fn version(&self) -> u32 {
        // Another rule of cutting is for newer readers alone.
        let even = matches!(self.cut, CutRule::Even { .. });
        let plain = even && matches!(self.source, SourceIdentity::File(_)) && self.form.is_as_is();
        if plain { PLAIN } else { CHECKPOINT_VERSION }
    }

    /// Returns the text of its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Versioned<'a> {
            version: u32,
            #[serde(flatten)]
            checkpoint: &'a Checkpoint,
        }
        let versioned = Versioned { version: self.version(), checkpoint: self };
        serde_json::to_vec_pretty(&versioned).expect("a checkpoint is plain data")
    }

    /// Returns the service that has the upload. That another service does not know it means nothing.
    pub fn service(&self) -> ServiceId {
        let of_endpoint =
            || self.endpoint.parse::<Endpoint>().map(|endpoint| ServiceId::of_endpoint(&endpoint));
        self.service.clone().unwrap_or_else(|| of_endpoint().unwrap_or_else(|_| ServiceId::public()))
    }
}
