use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the emulated OSS behaves where nobody has seen how the service does.
///
/// Off is what the vendor's documents and the tests of its clients let one assume; on is the other possibility, which
/// a client must survive too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OssOptions {
    /// A Complete that lists no parts is refused, instead of making an object of 0 bytes.
    pub refuse_empty_list: bool,
    /// The ETags that a Complete lists must be spelt as they were sent: quoted, in upper case.
    pub exact_etags: bool,
    /// Parts that were copied have no CRC-64, and so their object has none.
    pub copies_without_crc: bool,
    /// The condition of a copy that the source has changed is answered with 412 where it has not, instead of 304.
    pub copy_unmodified_412: bool,
    /// Parts are not copied from objects that were appended to.
    pub refuse_appendable_source: bool,
    /// A range that reaches beyond the end of the source is cut there, instead of ignored.
    pub clip_copy_ranges: bool,
    /// The access key is looked at before whether the bucket exists.
    pub key_before_bucket: bool,
    /// `If-None-Match` and its kin are ignored on what makes an object, instead of refused.
    pub ignore_write_conditions: bool,
    /// The ETag of a part that is encrypted by KMS or SM4 is not the MD5 of its bytes.
    pub opaque_encrypted_etags: bool,
    /// Nor is that of a part that is encrypted by AES256.
    pub opaque_aes256_etags: bool,
    /// A Complete that lists a part of 0 bytes is refused.
    pub refuse_empty_part: bool,
    /// A Complete that lists a part twice counts it once, instead of being refused.
    pub merge_repeated_parts: bool,
    /// A Complete that is repeated is answered as the first was, while the object is there.
    pub repeat_complete: bool,
    /// A Complete that may not overwrite an object ends its upload.
    pub forbidden_complete_aborts: bool,
    /// An Initiate does not look whether there is an object that may not be overwritten.
    pub forbid_at_complete_only: bool,
    /// That there is no such upload is told with the same EC by every operation.
    pub one_upload_ec: bool,
    /// What was uploaded in sequence has a Content-MD5.
    pub sequential_md5: bool,
    /// Any traffic limit is taken.
    pub ignore_traffic_limits: bool,
    /// A range of a copy without an end is ignored and the whole copied.
    pub ignore_open_ranges: bool,
    /// The ETag of a copy's `if-match` counts only in quotes.
    pub quoted_copy_conditions: bool,
}

/// A setting that does not exist, or not with that value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OssOptionError {
    /// There is no setting of that name.
    #[error("there is no setting `{name}`; there are {}", OssOptions::names().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The setting is true or false.
    #[error("`{name}` is true or false, not `{value}`")]
    Value {
        /// The setting.
        name: String,
        /// What it was to become.
        value: String,
    },
}

impl OssOptions {
    /// Returns the names of all settings.
    pub fn names() -> Vec<String> {
        Self::default().members().keys().cloned().collect()
    }

    /// Changes one setting: `exact_etags` to `true`.
    ///
    /// # Errors
    ///
    /// When there is no such setting, or it does not take the value. Nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OssOptionError> {
        let mut members = self.members();
        let member =
            members.get_mut(name).ok_or_else(|| OssOptionError::Unknown { name: name.to_owned() })?;
        let bad = || OssOptionError::Value { name: name.to_owned(), value: value.to_owned() };
        *member = Value::Bool(value.parse().map_err(|_| bad())?);
        *self = serde_json::from_value(Value::Object(members)).map_err(|_| bad())?;
        Ok(())
    }

    fn members(&self) -> serde_json::Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => unreachable!("the settings are plain data"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_name_and_what_is_none_changes_nothing() {
        let mut options = OssOptions::default();
        options.set("exact_etags", "true").unwrap();
        assert_eq!(options, OssOptions { exact_etags: true, ..OssOptions::default() });
        assert!(options.set("exact_etag", "true").unwrap_err().to_string().contains("exact_etags"));
        assert!(options.set("exact_etags", "often").is_err());
        assert!(options.exact_etags);
    }
}
