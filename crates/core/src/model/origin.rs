use std::fmt;

use serde::{Deserialize, Serialize};

/// What an image was made of: the request and the objects, or the image, in a short text without secrets.
///
/// It travels in the request as a tag, so that a later process, on any machine, can distinguish the image that this
/// request made from others of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// Joins what names the request and what names its source; neither holds a `.`.
    pub fn new(request: &str, source: &str) -> Self {
        debug_assert!(!request.contains('.'), "the first `.` ends the request");
        Self(format!("{request}.{source}"))
    }

    /// Returns the text, as the tag's value has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part that names the request alone, whatever it was made of.
    pub fn request(&self) -> &str {
        self.0.split_once('.').map_or("", |(request, _)| request)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
