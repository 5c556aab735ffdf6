use crate::checksum_file::Sha256;
use crate::client::CallError;
use crate::model::{Crc64, ObjectRef};
use crate::source::Change;

/// Why there is no proved object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompleteError {
    /// The image is not the one that was expected. Its parts stay, and no object is made of them.
    #[error("the image's SHA-256 is {found}, and not {expected}: no object is made of it")]
    Checksum {
        /// What was asked for.
        expected: Sha256,
        /// What passed.
        found: Sha256,
    },
    /// The source is not what it was when the upload began; no object was made.
    #[error("the source changed during the upload: {change}{why}")]
    SourceChanged {
        /// What changed.
        change: Change,
        /// Why it cannot be looked at, in brackets, if it cannot.
        why: String,
    },
    /// A request failed.
    #[error("cannot complete the upload of `{object}`")]
    Call {
        /// The object.
        object: ObjectRef,
        /// Which request, and why.
        source: Box<CallError>,
    },
    /// An object of that name is there and may not be replaced.
    #[error("`{object}` exists and is not the same as the source")]
    Exists {
        /// The object.
        object: ObjectRef,
    },
    /// The upload is gone and the object is not the one that was sent.
    #[error("the upload of `{object}` no longer exists and did not make the object: {found}")]
    Gone {
        /// The object.
        object: ObjectRef,
        /// What is there instead.
        found: String,
    },
    /// The service made an object of other bytes.
    #[error("`{object}` is corrupt: the service has CRC-64 {theirs}, {ours} was sent")]
    Damaged {
        /// The object.
        object: ObjectRef,
        /// What was sent.
        ours: Crc64,
        /// What is there.
        theirs: Crc64,
    },
    /// The service reported an object as made, but not ours, and ours does not exist.
    #[error("the service reported an upload as completed, but not that of `{object}`: {found}")]
    NotMade {
        /// The object.
        object: ObjectRef,
        /// What is there instead.
        found: String,
    },
    /// Parts on the service are still not those that were sent after all repetitions. No object was made.
    #[error("{parts} parts of `{object}` are damaged on the service, also after they were sent again")]
    PartsDamaged {
        /// The object.
        object: ObjectRef,
        /// How many there are.
        parts: usize,
    },
    /// Proof was required, and there is none.
    #[error("`{object}` {}: the service returns no checksums", match made {
        true => "is there and could not be verified",
        false => "was not made, since its parts could not be verified",
    })]
    Unproved {
        /// The object.
        object: ObjectRef,
        /// Whether the object was made anyway.
        made: bool,
    },
}
