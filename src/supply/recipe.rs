use std::sync::Arc;

use super::Supply;
use crate::plan::{CutRule, PlanError};
use crate::source::Source;

/// What is uploaded, and how the object is made of it. It can be followed again as long as the source is there.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    source: Arc<dyn Source>,
}

impl Recipe {
    /// The object has the bytes of the source.
    pub(crate) fn as_is(source: Arc<dyn Source>) -> Self {
        Self { source }
    }

    /// Returns what is uploaded.
    pub(crate) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Returns the same with another view of the source, through which it is read.
    pub(crate) fn through(&self, view: impl FnOnce(Arc<dyn Source>) -> Arc<dyn Source>) -> Self {
        Self { source: view(Arc::clone(&self.source)) }
    }

    /// Returns the object's length in bytes, if it is known before everything was read.
    pub(crate) fn length(&self) -> Option<u64> {
        Some(self.source.length())
    }

    /// Returns the rule by which the object is cut if it is begun now.
    ///
    /// # Errors
    ///
    /// When no plan within the limits of OSS follows.
    pub(crate) fn rule(&self, part_size: Option<u64>) -> Result<CutRule, PlanError> {
        CutRule::new(self.length().unwrap_or_default(), part_size)
    }

    /// Returns the largest part in bytes.
    pub(crate) fn most_part(&self) -> u64 {
        u64::MAX
    }

    /// Begins to make the object.
    pub(crate) fn supply(&self) -> Supply {
        Supply::whole(Arc::clone(&self.source))
    }
}
