use ossup::emulator::StoreError;

use super::{Failure, Kind};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        // A folder that is not a store is a wrong argument; one that cannot be read or written is not.
        let (kind, hint) = match &error {
            StoreError::NotAStore { dir } => {
                let new = dir.join("ossup-store");
                (Kind::Usage, Some(format!("use a new or an empty folder, for example {}", new.display())))
            }
            StoreError::Format { .. } => (
                Kind::Usage,
                Some("use a new folder, or the version of ossup that created this one".to_owned()),
            ),
            StoreError::Locked { .. } => (Kind::Conflict, Some("stop the other process first".to_owned())),
            _ => (Kind::Other, None),
        };
        let failure = Self::from_error(kind, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
