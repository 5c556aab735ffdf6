use std::borrow::Cow;
use std::io;

use http::StatusCode;

use super::super::faults::InjectedError;
use super::super::store::StoreError;
use ossup_core::model::{BucketName, Region};

/// The EC of errors whose real one is published nowhere.
const UNPUBLISHED_EC: &str = "0000-00000000";

/// An error answer before it is written as XML ("Error responses" page).
#[derive(Debug)]
pub(crate) struct OssError {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) ec: &'static str,
    /// Further elements of the document.
    pub(crate) elements: Vec<(&'static str, String)>,
    /// Further headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl OssError {
    pub(crate) fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            // A fault plan may ask for any number.
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.into(),
            message: message.into(),
            ec: UNPUBLISHED_EC,
            elements: Vec::new(),
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn ec(mut self, ec: &'static str) -> Self {
        self.ec = ec;
        self
    }

    #[must_use]
    pub(crate) fn element(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.elements.push((name, text.into()));
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.headers.push((name, text.into()));
        self
    }

    pub(crate) fn invalid_argument(name: &'static str, value: &str, message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
            .element("ArgumentName", name)
            .element("ArgumentValue", value)
    }

    pub(crate) fn malformed_xml() -> Self {
        Self::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema.",
        )
        .ec("0042-00000205")
    }

    /// The document of a bucket's setting is not one.
    pub(crate) fn malformed_configuration() -> Self {
        Self::malformed_xml().ec("0015-00000231")
    }

    pub(crate) fn no_such_bucket(bucket: &BucketName) -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist.")
            .ec("0015-00000101")
            .element("BucketName", bucket.as_str())
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
            .ec("0026-00000001")
            .element("Key", key)
    }

    pub(crate) fn no_such_version(key: &str, version: &str) -> Self {
        Self::new(404, "NoSuchVersion", "The specified version does not exist.")
            .element("Key", key)
            .element("VersionId", version)
    }

    pub(crate) fn no_such_upload(id: &str, ec: &'static str) -> Self {
        Self::new(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
             aborted or completed.",
        )
        .ec(ec)
        .element("UploadId", id)
    }

    pub(crate) fn other_endpoint(bucket: &BucketName, region: &Region) -> Self {
        Self::new(
            403,
            "AccessDenied",
            "The bucket you are attempting to access must be addressed using the specified endpoint. Please \
             send all future requests to this endpoint.",
        )
        .element("Bucket", bucket.as_str())
        .element("Endpoint", format!("{}.aliyuncs.com", region.oss_id()))
    }

    pub(crate) fn file_already_exists() -> Self {
        Self::new(
            409,
            "FileAlreadyExists",
            "The object you specified already exists and can not be overwritten.",
        )
    }

    pub(crate) fn not_implemented(header: impl Into<String>) -> Self {
        Self::new(
            400,
            "NotImplemented",
            "A header or parameter you provided implies functionality that is not implemented by this \
             emulator.",
        )
        .element("Header", header)
    }

    pub(crate) fn precondition_failed(condition: &'static str) -> Self {
        Self::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
            .element("Condition", condition)
    }

    pub(crate) fn entity_too_large() -> Self {
        Self::new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
            .ec("0017-00000102")
    }

    /// `--discard` dropped the bytes that the request needs.
    pub(crate) fn discarded() -> Self {
        Self::new(
            400,
            "OperationNotSupported",
            "This emulator was started with --discard: it keeps sizes and CRCs and throws bytes away, so they \
             cannot be read.",
        )
    }

    /// Turns an error of the store about `bucket` into the answer.
    pub(crate) fn of_store(error: StoreError, bucket: &BucketName) -> Self {
        match error {
            StoreError::NoSuchBucket => Self::no_such_bucket(bucket),
            StoreError::BucketExists => {
                Self::new(409, "BucketAlreadyExists", "The requested bucket name is not available.")
                    .element("BucketName", bucket.as_str())
            }
            StoreError::BucketNotEmpty => {
                Self::new(409, "BucketNotEmpty", "The bucket has objects. Please delete them first.")
                    .element("BucketName", bucket.as_str())
            }
            StoreError::ObjectExists => Self::file_already_exists(),
            StoreError::Discarded => Self::discarded(),
            StoreError::NoSuchUpload => Self::no_such_upload("", UNPUBLISHED_EC),
            error @ (StoreError::Io { .. }
            | StoreError::NotAStore { .. }
            | StoreError::Locked { .. }
            | StoreError::Format { .. }) => Self::internal(&error),
        }
    }

    /// The error that a fault plan asks for.
    pub(crate) fn scripted(scripted: &InjectedError) -> Self {
        let error = Self::new(scripted.status, scripted.code.clone(), scripted.message.clone());
        match scripted.retry_after {
            Some(seconds) => error.header("retry-after", seconds.to_string()),
            None => error,
        }
    }

    /// The emulator itself failed, such as on a full disk.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = format!("The emulator failed: {error}");
        let mut full = error.downcast_ref::<io::Error>().is_some_and(is_full);
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            full |= error.downcast_ref::<io::Error>().is_some_and(is_full);
            cause = error.source();
        }
        match full {
            true => Self::disk_full(message),
            false => Self::new(500, "InternalError", message),
        }
    }

    /// There is no room for what was sent. The service has no such answer, and a client that takes it for a failure
    /// of the moment would send everything again and again.
    pub(crate) fn disk_full(message: String) -> Self {
        Self::new(DISK_FULL.0, DISK_FULL.1, message)
    }
}

/// Status and code of an answer for which the emulator's disk has no room.
pub(crate) const DISK_FULL: (u16, &str) = (507, "InsufficientStorage");

/// Whether a disk takes no more, now and a moment later.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_no_more_is_told_from_a_failure_of_the_moment() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write")]
        struct Failed(#[source] io::Error);
        let code = |kind: io::ErrorKind| OssError::internal(&Failed(kind.into())).code;
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge, io::ErrorKind::QuotaExceeded] {
            assert_eq!(code(kind), DISK_FULL.1, "{kind}");
            assert_eq!(OssError::internal(&io::Error::from(kind)).code, DISK_FULL.1, "{kind}");
        }
        assert_eq!(code(io::ErrorKind::Other), "InternalError");
    }
}
