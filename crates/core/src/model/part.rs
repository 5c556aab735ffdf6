use std::fmt;
use std::str::FromStr;

use super::InvalidValue;
use super::limits::MAX_PARTS;

/// A part number as on the wire: 1 to [`MAX_PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartNumber(u16);

impl PartNumber {
    /// Returns the number, or nothing if it is not within 1 to [`MAX_PARTS`].
    pub fn new(number: u16) -> Option<Self> {
        (1..=MAX_PARTS).contains(&number).then_some(Self(number))
    }

    /// Returns the number as on the wire.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for PartNumber {
    type Error = InvalidValue;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::new(number)
            .ok_or_else(|| InvalidValue::new(format!("part number {number}"), "must be 1 to 10000"))
    }
}

impl From<PartNumber> for u16 {
    fn from(number: PartNumber) -> Self {
        number.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of bytes of the source, in bytes from its start; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte; never less than `start`.
    pub end: u64,
}

impl ByteRange {
    /// Returns the range `start..end`.
    ///
    /// # Panics
    ///
    /// If `end < start`.
    pub fn new(start: u64, end: u64) -> Self {
        assert!(start <= end, "a range ends at or after its start");
        Self { start, end }
    }

    /// Returns its length in bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What InitiateMultipartUpload returned; opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct UploadId(String);

impl UploadId {
    /// Wraps an id as the service gave it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entity tag, opaque and kept as the service sent it, usually with quotes.
#[derive(Debug, Clone, Eq, serde::Serialize, serde::Deserialize)]
pub struct ETag(String);

impl ETag {
    /// Wraps a tag as the service gave it.
    pub fn new(tag: impl Into<String>) -> Self {
        Self(tag.into())
    }

    /// Returns the tag as the service sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag without quotes.
    pub fn unquoted(&self) -> &str {
        self.0.trim_matches('"')
    }
}

/// Tags are the same with or without quotes and in either case of the hex digits: old answers differ in both.
impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.unquoted().eq_ignore_ascii_case(other.unquoted())
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.unquoted())
    }
}

/// A CRC-64/XZ value, the one of the `x-oss-hash-crc64ecma` header; shown and parsed as unsigned decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Crc64(pub u64);

impl fmt::Display for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Crc64 {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim().parse().map(Self).map_err(|_| {
            InvalidValue::new(format!("CRC-64 `{}`", text.escape_debug()), "must be an unsigned decimal")
        })
    }
}

/// CRC-64 is text in JSON: 64 bits do not survive JSON numbers everywhere.
impl serde::Serialize for Crc64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Crc64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An acknowledged part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// Its number.
    pub number: PartNumber,
    /// Its bytes of the object.
    pub range: ByteRange,
    /// The tag that the service gave.
    pub etag: ETag,
    /// The CRC-64 of the bytes, as they were read here.
    pub crc64: Crc64,
    /// How the service's bytes were proved to be these.
    pub proof: PartProof,
}

/// How a part on the service was proved to hold the local bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartProof {
    /// By nothing: the service returned only its tag, which was not compared.
    #[default]
    Nothing,
    /// The service's CRC-64 is that of the local bytes.
    Crc64,
    /// Its tag is the MD5 of the local bytes.
    Md5,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_numbers_are_1_to_10000() {
        assert_eq!(PartNumber::new(0), None);
        assert_eq!(PartNumber::new(10_001), None);
        assert_eq!(PartNumber::new(10_000).unwrap().get(), 10_000);
    }

    #[test]
    fn etags_ignore_quotes_and_case() {
        assert_eq!(ETag::new("\"4DE8075F\""), ETag::new("4de8075f"));
        assert_ne!(ETag::new("\"4DE8075F\""), ETag::new("4de80750"));
    }

    #[test]
    fn crc64_is_decimal_text() {
        let crc = Crc64(11_051_210_869_376_104_954);
        assert_eq!(serde_json::to_string(&crc).unwrap(), "\"11051210869376104954\"");
        assert_eq!("11051210869376104954".parse(), Ok(crc));
        assert!("0x99".parse::<Crc64>().is_err());
    }
}
