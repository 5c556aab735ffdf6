use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// How OSS keeps an object ("Storage classes" page).
///
/// ECS imports only what can be read at once: objects of the archive classes must be restored first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum StorageClass {
    /// Standard.
    #[default]
    Standard,
    /// Infrequent access.
    #[serde(rename = "IA")]
    InfrequentAccess,
    /// Archive.
    Archive,
    /// Cold archive.
    ColdArchive,
    /// Deep cold archive.
    DeepColdArchive,
}

impl StorageClass {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::InfrequentAccess, Self::Archive, Self::ColdArchive, Self::DeepColdArchive];

    /// Returns the name as on the wire: `IA`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::InfrequentAccess => "IA",
            Self::Archive => "Archive",
            Self::ColdArchive => "ColdArchive",
            Self::DeepColdArchive => "DeepColdArchive",
        }
    }
}

impl FromStr for StorageClass {
    type Err = InvalidValue;

    /// Reads a class as on the wire, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            InvalidValue::new(
                format!("storage class `{}`", text.escape_debug()),
                "must be Standard, IA, Archive, ColdArchive or DeepColdArchive",
            )
        })
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_both_ways() {
        for class in StorageClass::ALL {
            assert_eq!(class.to_string().to_lowercase().parse(), Ok(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        assert!("Glacier".parse::<StorageClass>().is_err());
    }
}
