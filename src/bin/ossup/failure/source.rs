//! Failures of what an image is read from.

use std::error::Error;
use std::io;
use std::sync::Arc;

use ossup::image::OpenDiskError;
use ossup::source::InputError;
use ossup::source::map::{MapError, Mismatch};
use ossup::unpack::UnpackError;
use ossup::web::WebError;

use super::{Failure, Kind};
use crate::origin::Refused;

impl Failure {
    /// Returns the failure of a read, if something that is known stands behind it.
    pub(crate) fn of_read(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        if let Some(Refused { message, hint }) = inner.downcast_ref() {
            let failure = Self::new(Kind::ImageRefused, message);
            return Some(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
        if let Some(error) = InputError::of(error) {
            return Some((*error).into());
        }
        if let Some(error) = inner.downcast_ref::<UnpackError>() {
            return Some(error.clone().into());
        }
        if let Some(error) = inner.downcast_ref::<WebError>() {
            return Some(of_web(error));
        }
        if let Some(error) = inner.downcast_ref::<MapError>() {
            return Some(error.clone().into());
        }
        let error = inner.downcast_ref::<Mismatch>()?;
        Some(Self::from_error(Kind::Integrity, error))
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let failure = Self::from_error(Kind::Integrity, &error);
        failure.hint(match error {
            InputError::Checksum { .. } => {
                "no object is made of it: get the image again, or check which file the checksum is of (--sha256-of \
                 content is of what is unpacked)"
            }
            InputError::TooShort { .. } => {
                "no object is made of it: see why what sends the image ended, and run the same command again to continue"
            }
            InputError::Changed(_) => {
                "no object is made of it; once the file no longer changes, start again with --restart"
            }
            _ => "no object is made of it: check --expected-size, or leave --exact-size out",
        })
    }
}

impl From<UnpackError> for Failure {
    fn from(error: UnpackError) -> Self {
        // What the input said says more than that it cannot be read.
        if let UnpackError::Input { source, .. } = &error
            && let Some(failure) = Self::of_read(source)
        {
            return failure;
        }
        let kind = match &error {
            UnpackError::Input { .. } => Kind::Other,
            UnpackError::Truncated { .. }
            | UnpackError::Damaged { .. }
            | UnpackError::TrailingGarbage { .. }
            | UnpackError::ArchiveTruncated { .. }
            | UnpackError::ArchiveDamaged { .. } => Kind::Integrity,
            UnpackError::NoArchive { .. } | UnpackError::NoMember { .. } => Kind::Usage,
            _ => Kind::ImageRefused,
        };
        let failure = Self::from_error(kind, &error);
        match &error {
            UnpackError::Input { .. } => failure,
            UnpackError::Memory { .. } => failure
                .hint("pass --max-memory with at least as much; --as-is sends the packed file as it is"),
            _ => failure.hint("no object is made of it; --as-is sends the packed file as it is"),
        }
    }
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        let kind = match error {
            MapError::Damaged | MapError::OtherImage { .. } => Kind::Integrity,
            _ => Kind::Usage,
        };
        Self::from_error(kind, &error).hint("give the map of this very image, or leave it out")
    }
}

impl From<OpenDiskError> for Failure {
    fn from(error: OpenDiskError) -> Self {
        let failure = Self::from_error(Kind::ImageRefused, &error);
        failure.hint("--as as-is sends the file as it is")
    }
}

impl From<WebError> for Failure {
    fn from(error: WebError) -> Self {
        of_web(&error)
    }
}

fn of_web(error: &WebError) -> Failure {
    let kind = match error {
        WebError::Url(_) | WebError::Redirect { .. } | WebError::TooLong { .. } => Kind::Usage,
        WebError::Transport { .. } | WebError::Cut { .. } | WebError::GivenUp { .. } => Kind::Network,
        WebError::NoContinuation(_) => Kind::Network,
        WebError::Page { .. } | WebError::Encoded { .. } => Kind::ImageRefused,
        WebError::Changed { .. } => Kind::Integrity,
        _ => Kind::Other,
    };
    let failure = Failure::from_error(kind, error);
    match error {
        WebError::Status { status: 404 | 410, .. } => failure.hint("check the URL"),
        WebError::Status { status: 401 | 403, .. } => failure.hint(
            "put what the server wants into the URL (https://USER:PASSWORD@HOST/…, or a signed URL): neither is shown or \
             kept; credentials of the services are never sent there",
        ),
        WebError::Transport { .. } => failure.hint("check the host's name, the network and --proxy"),
        _ => failure,
    }
}

/// Returns the failure behind an error whose cause may be a read.
pub(super) fn behind(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        let shared = error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref);
        if let Some(failure) = shared.or_else(|| error.downcast_ref::<io::Error>()).and_then(Failure::of_read)
        {
            return Some(failure);
        }
        next = error.source();
    }
    None
}
