//! The field's words as types. Nothing here does I/O or knows a protocol.

mod custom_image;
mod endpoint;
mod form;
pub mod limits;
mod object;
mod object_version;
mod origin;
mod part;
mod region;
mod secret;
mod service;
mod storage_class;

pub use custom_image::{
    AccountId, Architecture, BootMode, ClientToken, DiskFormat, ImageId, ImageStatus, InstanceId,
    InstanceStatus, LicenseType, OsType, SnapshotId, SnapshotStatus, TaskId, TaskStatus,
};
pub use endpoint::{AddressingStyle, Endpoint, EndpointKind, Scheme};
pub use form::{ObjectForm, ObjectFormat, Qcow2Compat, Unpacked};
pub use object::{BucketName, ObjectKey, ObjectRef};
pub use object_version::ObjectVersion;
pub use origin::Origin;
pub use part::{ByteRange, Crc64, ETag, PartNumber, PartProof, PartRecord, UploadId};
pub use region::Region;
pub use secret::Secret;
pub use service::ServiceId;
pub use storage_class::StorageClass;

/// A word that does not follow the service's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {reason}")]
pub struct InvalidValue {
    /// What was given, with its kind: "bucket name `Ab`".
    pub what: String,
    /// The rule that it breaks, as the end of a sentence: "must be …".
    pub reason: String,
}

impl InvalidValue {
    /// Names the value, and the rule that it breaks.
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into() }
    }
}
