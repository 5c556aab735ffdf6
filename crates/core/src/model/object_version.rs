use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Crc64, ETag};

/// What distinguishes one state of an object from those before and after it.
///
/// What is not known equals nothing, not even another unknown: two objects of which too little is known are
/// different ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectVersion {
    /// Its size in bytes.
    pub size: u64,
    /// Its CRC-64; objects that were copied may have none.
    pub crc64: Option<Crc64>,
    /// Its tag.
    pub etag: Option<ETag>,
    /// When it was stored, to the second.
    pub last_modified: Option<Timestamp>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
}

impl ObjectVersion {
    /// Returns a version of which only the size is known.
    pub fn new(size: u64) -> Self {
        Self { size, crc64: None, etag: None, last_modified: None, version_id: None }
    }

    /// Whether both are surely one and the same state of the object: nobody has written it in between.
    pub fn is_same_version(&self, other: &Self) -> bool {
        !self.contradicts(other)
            && both_are(&self.last_modified, &other.last_modified)
            && (both_are(&self.etag, &other.etag) || both_are(&self.crc64, &other.crc64))
    }

    /// Whether both surely hold the same bytes, whenever they were written.
    pub fn has_same_bytes(&self, other: &Self) -> bool {
        (self.size == other.size && both_are(&self.crc64, &other.crc64)) || self.is_same_version(other)
    }

    /// Whether something that is known of both differs.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.size != other.size
            || both_differ(&self.crc64, &other.crc64)
            || both_differ(&self.etag, &other.etag)
            || both_differ(&self.last_modified, &other.last_modified)
            || both_differ(&self.version_id, &other.version_id)
    }
}

fn both_are<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one == other)
}

fn both_differ<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(crc64: Option<u64>, etag: Option<&str>, modified: Option<i64>) -> ObjectVersion {
        ObjectVersion {
            crc64: crc64.map(Crc64),
            etag: etag.map(ETag::new),
            last_modified: modified.map(|second| Timestamp::from_second(second).unwrap()),
            ..ObjectVersion::new(8)
        }
    }

    #[test]
    fn what_is_not_known_equals_nothing() {
        let nothing = version(None, None, None);
        assert!(!nothing.is_same_version(&nothing) && !nothing.has_same_bytes(&nothing));
        for one_fact in [version(None, Some("E"), None), version(None, None, Some(1))] {
            assert!(!one_fact.is_same_version(&one_fact) && !one_fact.has_same_bytes(&one_fact));
        }
        let checksum_alone = version(Some(1), None, None);
        assert!(!checksum_alone.is_same_version(&checksum_alone));
        assert!(checksum_alone.has_same_bytes(&checksum_alone));
        assert!(!checksum_alone.has_same_bytes(&nothing));
    }

    #[test]
    fn a_version_is_its_time_and_its_tag_or_checksum() {
        let whole = version(Some(1), Some("E"), Some(1));
        for same in [whole.clone(), version(None, Some("E"), Some(1)), version(Some(1), None, Some(1))] {
            assert!(whole.is_same_version(&same) && whole.has_same_bytes(&same), "{same:?}");
        }
        // The same bytes, stored again.
        let again = version(Some(1), Some("E"), Some(2));
        assert!(!whole.is_same_version(&again) && whole.has_same_bytes(&again));
        for other in [
            version(Some(2), Some("E"), Some(1)),
            version(None, Some("F"), Some(1)),
            ObjectVersion { size: 9, ..whole.clone() },
        ] {
            assert!(!whole.is_same_version(&other) && !whole.has_same_bytes(&other), "{other:?}");
            assert!(whole.contradicts(&other));
        }
        let of = |id: &str| ObjectVersion { version_id: Some(id.to_owned()), ..whole.clone() };
        assert!(of("1").is_same_version(&of("1")) && !of("1").is_same_version(&of("2")));
    }
}
