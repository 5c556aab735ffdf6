use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// A region id such as `cn-hangzhou`, as V4 scopes and the ECS API use it.
///
/// OSS itself writes `oss-cn-hangzhou` in endpoints and in GetBucketLocation; parsing drops that prefix.
/// No list of regions is kept: it grows ("Regions and endpoints" page).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// Returns the id without an `oss-` prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id as OSS writes it: `oss-cn-hangzhou`.
    pub fn oss_id(&self) -> String {
        format!("oss-{}", self.0)
    }
}

impl FromStr for Region {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.strip_prefix("oss-").unwrap_or(text);
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(allowed) {
            return Err(InvalidValue::new(
                format!("region `{}`", text.escape_debug()),
                "must be an id such as `cn-hangzhou`: lower-case letters, digits and `-`",
            ));
        }
        Ok(Self(id.to_owned()))
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oss_prefix_is_dropped() {
        assert_eq!("oss-cn-hangzhou".parse::<Region>().unwrap().as_str(), "cn-hangzhou");
        assert_eq!("us-west-1".parse::<Region>().unwrap().oss_id(), "oss-us-west-1");
    }

    #[test]
    fn what_is_no_region_id_is_refused() {
        for bad in ["", "CN-HANGZHOU", "cn hangzhou", "cn/hangzhou", "oss-", "杭州"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}
