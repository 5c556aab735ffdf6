//! Failures that pass through the library, where it calls back.

use std::error::Error;
use std::fmt;

use super::{Failure, Kind};

/// A failure as an error of what is around the library.
#[derive(Debug)]
pub(crate) struct Wrapped(Failure);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.line())
    }
}

impl Error for Wrapped {}

impl From<Failure> for Wrapped {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// Returns the failure that an error was made of.
pub(crate) fn unwrapped(error: Box<dyn Error + Send + Sync>) -> Failure {
    match error.downcast::<Wrapped>() {
        Ok(wrapped) => wrapped.0,
        Err(error) => Failure::new(Kind::Other, error.to_string()),
    }
}
