use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the emulated ECS, RAM and STS behave.
///
/// Everything that is off by default is something that the real service was seen to do, or may do, and that a
/// client must survive. Each can be set from text by its name ([`EcsOptions::set`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EcsOptions {
    /// How long an import or a copy takes at least, on the emulator's own clock.
    #[serde(with = "seconds")]
    pub base_duration: Duration,
    /// How many bytes of the object an import takes in each second; no limit if absent.
    pub bytes_per_second: Option<u64>,
    /// How many imports, and how many copies, run at once in a region; others wait.
    pub running_limit: usize,
    /// How many custom images a region may hold.
    pub image_quota: usize,
    /// Which sizes of a system disk are allowed, in GiB.
    #[serde(with = "range")]
    pub system_disk_gib: RangeInclusive<u64>,
    /// Which sizes of a data disk are allowed, in GiB.
    #[serde(with = "range")]
    pub data_disk_gib: RangeInclusive<u64>,
    /// Whether the suffix of the object's key is checked.
    pub check_suffix: bool,
    /// Whether objects are looked into, so that damaged ones are refused or fail.
    pub probe: bool,
    /// Whether imports from what is encrypted with AES256 are refused, as those with KMS and SM4 always are.
    pub refuse_aes256: bool,
    /// Whether the role that lets ECS read OSS exists from the start.
    pub import_role: bool,
    /// The code that a successful dry run answers with: `DryRunOperation`, or `DRYRUN.SUCCESS` as the table of errors has it.
    pub dry_run_code: String,
    /// The field that names an import's task: `TaskId`, or `ImportTaskId` as old samples have it.
    pub task_id_field: String,
    /// The code for the missing role: with one c as the service sends it, or with two.
    pub role_code: String,
    /// How long after its creation a role is not yet seen by ECS, on the emulator's own clock.
    #[serde(with = "seconds")]
    pub role_propagation: Duration,
    /// Numbers and booleans are sent as text.
    pub stringly_typed: bool,
    /// How many looks at an image show it still as Creating though its task is Finished.
    pub looks_before_available: u32,
    /// How many looks at an Available image show it as not yet usable.
    pub looks_before_usable: u32,
    /// Imports end as Finished with a failed operation at 40 % and the image CreateFailed.
    pub finished_but_failed: bool,
    /// A task that has ended is no longer known.
    pub forget_ended_tasks: bool,
    /// The middle third of an import shows its task as Paused.
    pub paused: bool,
    /// The image check, when asked for, finds risks.
    pub detection_risks: bool,
    /// Searching a name also finds images whose names contain it, first in the list.
    pub fuzzy_neighbours: bool,
    /// A search by name finds an image of exactly this name alone, and not those whose names contain it.
    pub whole_names: bool,
    /// Snapshot ids are shown in the second half of an import only.
    pub late_snapshot_ids: bool,
    /// Images imported from VHD cannot be copied.
    pub vhd_not_copyable: bool,
    /// How many of the next copies fail half-way.
    pub copies_to_fail: u32,
    /// How long an instance takes to start, on the emulator's own clock.
    #[serde(with = "seconds")]
    pub boot_duration: Duration,
    /// How many instances there may be at a time.
    pub instance_quota: usize,
    /// Of this instance type there is none to be had.
    pub type_without_stock: Option<String>,
    /// What every instance says on its serial line, instead of what its image lets expect.
    pub console: Option<String>,
    /// Instances use the images whose names contain this text.
    pub images_in_use: Option<String>,
    /// Another account shares an image of this name with this one, and publishes another: the name and `-community`.
    pub foreign_image: Option<String>,
    /// A cancelled import leaves its image behind as CreateFailed.
    pub cancel_leaves_image: bool,
}

impl Default for EcsOptions {
    fn default() -> Self {
        Self {
            base_duration: Duration::from_secs(2),
            bytes_per_second: None,
            running_limit: 5,
            image_quota: 1000,
            system_disk_gib: 1..=2048,
            data_disk_gib: 1..=2048,
            check_suffix: false,
            probe: true,
            refuse_aes256: false,
            import_role: true,
            dry_run_code: "DryRunOperation".to_owned(),
            task_id_field: "TaskId".to_owned(),
            role_code: "NoSetRoletoECSServiceAcount".to_owned(),
            role_propagation: Duration::ZERO,
            stringly_typed: false,
            looks_before_available: 0,
            looks_before_usable: 0,
            finished_but_failed: false,
            forget_ended_tasks: false,
            paused: false,
            detection_risks: false,
            fuzzy_neighbours: false,
            whole_names: false,
            late_snapshot_ids: false,
            vhd_not_copyable: false,
            copies_to_fail: 0,
            boot_duration: Duration::from_secs(5),
            instance_quota: 100,
            type_without_stock: None,
            console: None,
            images_in_use: None,
            foreign_image: None,
            cancel_leaves_image: false,
        }
    }
}

/// A setting that does not exist, or not with that value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EcsOptionError {
    /// There is no setting of that name.
    #[error("there is no setting `{name}`; there are {}", EcsOptions::names().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The setting takes other values.
    #[error("`{name}` does not take `{value}`: {reason}")]
    Value {
        /// The setting.
        name: String,
        /// What it was to become.
        value: String,
        /// Why it cannot.
        reason: String,
    },
}

impl EcsOptions {
    /// Returns the names of all settings.
    pub fn names() -> Vec<String> {
        Self::default().members().keys().cloned().collect()
    }

    /// Changes one setting: `paused` to `true`, `base_duration` to `7.5` (seconds), `system_disk_gib` to `40-500`.
    ///
    /// # Errors
    ///
    /// When there is no such setting, or it does not take the value. Nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), EcsOptionError> {
        let mut members = self.members();
        let Some(member) = members.get_mut(name) else {
            return Err(EcsOptionError::Unknown { name: name.to_owned() });
        };
        // What is not a number, boolean or null of JSON is text: no quotes have to be typed.
        *member = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let changed = serde_json::from_value(Value::Object(members));
        *self = changed.map_err(|error| EcsOptionError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(())
    }

    fn members(&self) -> serde_json::Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => unreachable!("the settings are plain data"),
        }
    }
}

/// Durations as seconds.
mod seconds {
    use super::Duration;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Ranges as `LOW-HIGH`, both included.
mod range {
    use super::RangeInclusive;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        range: &RangeInclusive<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", range.start(), range.end()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RangeInclusive<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ends = text.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        let (low, high) = ends.ok_or_else(|| D::Error::custom("a range is LOW-HIGH"))?;
        Ok(low..=high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_name_from_text() {
        let mut options = EcsOptions::default();
        for (name, value) in [
            ("paused", "true"),
            ("looks_before_usable", "3"),
            ("base_duration", "7.5"),
            ("system_disk_gib", "40-500"),
            ("dry_run_code", "DRYRUN.SUCCESS"),
            ("bytes_per_second", "1000"),
        ] {
            options.set(name, value).unwrap();
        }
        let expected = EcsOptions {
            paused: true,
            looks_before_usable: 3,
            base_duration: Duration::from_millis(7500),
            system_disk_gib: 40..=500,
            dry_run_code: "DRYRUN.SUCCESS".to_owned(),
            bytes_per_second: Some(1000),
            ..EcsOptions::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn what_is_no_setting_or_no_value_changes_nothing() {
        let mut options = EcsOptions::default();
        let unknown = options.set("pause", "true").unwrap_err();
        assert!(unknown.to_string().contains("paused"), "{unknown}");
        for (name, value) in
            [("paused", "3"), ("base_duration", "-1"), ("system_disk_gib", "40"), ("running_limit", "many")]
        {
            let error = options.set(name, value).unwrap_err();
            assert!(matches!(error, EcsOptionError::Value { .. }), "{error}");
        }
        assert_eq!(options, EcsOptions::default());
    }
}
