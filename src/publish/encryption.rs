use std::collections::BTreeMap;

use crate::model::Region;

/// With which keys of KMS the images are encrypted. Where none is named it is the service's own key, and an image that
/// this encrypts cannot be shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encryption {
    everywhere: Option<String>,
    by_region: BTreeMap<Region, String>,
}

impl Encryption {
    /// Encrypts with the service's own keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encrypts with the key of this id, in all regions for which none is named. Keys are of one region, unless they are
    /// replicated.
    #[must_use]
    pub fn with_key(mut self, id: impl Into<String>) -> Self {
        self.everywhere = Some(id.into());
        self
    }

    /// Encrypts the image of this region with the key of this id.
    #[must_use]
    pub fn with_key_in(mut self, region: Region, id: impl Into<String>) -> Self {
        self.by_region.insert(region, id.into());
        self
    }

    /// Returns the key for an image of this region; nothing is the service's own.
    pub fn key_in(&self, region: &Region) -> Option<&str> {
        self.by_region.get(region).or(self.everywhere.as_ref()).map(String::as_str)
    }
}
