use std::fmt;
use std::str::FromStr;

use super::InvalidValue;
use super::limits::MAX_KEY_BYTES;

/// A bucket's name: 3 to 63 of `a-z`, `0-9` and `-`, no `-` at either end ("Bucket naming conventions" page).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

impl BucketName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ok = (3..=63).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !ok {
            return Err(InvalidValue::new(
                format!("bucket name `{}`", text.escape_debug()),
                "must be 3 to 63 lower-case letters, digits and `-`, without `-` at either end",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for BucketName {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BucketName> for String {
    fn from(name: BucketName) -> Self {
        name.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object's key, as it is (never percent-encoded): 1 to 1023 bytes of UTF-8 that start neither with `/`
/// nor with `\` ("Object naming conventions" page).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Returns the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a segment of the key is `.` or `..`, which URL libraries would collapse.
    pub fn has_dot_segment(&self) -> bool {
        self.0.split('/').any(|segment| segment == "." || segment == "..")
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| {
            let shown: String = text.chars().take(80).collect();
            Err(InvalidValue::new(format!("object key `{}`", shown.escape_debug()), reason))
        };
        if text.is_empty() || text.len() > MAX_KEY_BYTES {
            return refuse("must be 1 to 1023 bytes of UTF-8");
        }
        if text.starts_with('/') || text.starts_with('\\') {
            return refuse("must not start with `/` or `\\`");
        }
        if text == "." || text == ".." {
            return refuse("cannot be part of a URL: choose a name that is not only dots");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object of a bucket, written `oss://BUCKET/KEY`. The key is taken literally: nothing is percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: BucketName,
    /// The key in it.
    pub key: ObjectKey,
}

impl ObjectRef {
    /// Returns the reference to `key` in `bucket`.
    pub fn new(bucket: BucketName, key: ObjectKey) -> Self {
        Self { bucket, key }
    }
}

impl FromStr for ObjectRef {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |reason: &str| InvalidValue::new(format!("`{}`", text.escape_debug()), reason);
        let rest =
            text.strip_prefix("oss://").ok_or_else(|| malformed("must have the form oss://BUCKET/KEY"))?;
        let (bucket, key) =
            rest.split_once('/').ok_or_else(|| malformed("names no object: write oss://BUCKET/KEY"))?;
        Ok(Self { bucket: bucket.parse()?, key: key.parse()? })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oss://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_taken_literally() {
        let object: ObjectRef = "oss://images/a b/%20+?#.raw".parse().unwrap();
        assert_eq!(object.bucket.as_str(), "images");
        assert_eq!(object.key.as_str(), "a b/%20+?#.raw");
        assert_eq!(object.to_string(), "oss://images/a b/%20+?#.raw");
    }

    #[test]
    fn bad_references_are_refused_with_the_reason() {
        for (bad, part) in [
            ("s3://images/a", "oss://BUCKET/KEY"),
            ("oss://images", "names no object"),
            ("oss://images/", "1 to 1023 bytes"),
            ("oss://images//a", "must not start with"),
            ("oss://Images/a", "3 to 63 lower-case"),
            ("oss://-ab/a", "3 to 63 lower-case"),
            ("oss://images/..", "only dots"),
        ] {
            let error = bad.parse::<ObjectRef>().unwrap_err().to_string();
            assert!(error.contains(part), "{bad}: {error}");
        }
        assert!("k".repeat(1024).parse::<ObjectKey>().is_err());
        assert!("k".repeat(1023).parse::<ObjectKey>().is_ok());
    }

    #[test]
    fn dot_segments_are_noticed() {
        for (key, dots) in [("a/../b", true), ("a/.", true), ("a/.b/..c", false), ("a.b", false)] {
            assert_eq!(key.parse::<ObjectKey>().unwrap().has_dot_segment(), dots, "{key}");
        }
    }
}
