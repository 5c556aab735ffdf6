use std::ops::RangeInclusive;
use std::time::Duration;

/// How the emulated ECS, RAM and STS behave.
///
/// Everything that is off by default is something that the real service was seen to do, or may do, and that a
/// client must survive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EcsOptions {
    /// How long an import or a copy takes at least, on the emulator's own clock.
    pub base_duration: Duration,
    /// How many bytes of the object an import takes in each second; no limit if absent.
    pub bytes_per_second: Option<u64>,
    /// How many imports, and how many copies, run at once in a region; others wait.
    pub running_limit: usize,
    /// How many custom images a region may hold.
    pub image_quota: usize,
    /// Which sizes of a system disk are allowed, in GiB.
    pub system_disk_gib: RangeInclusive<u64>,
    /// Which sizes of a data disk are allowed, in GiB.
    pub data_disk_gib: RangeInclusive<u64>,
    /// Whether the suffix of the object's key is checked.
    pub check_suffix: bool,
    /// Whether objects are looked into, so that damaged ones are refused or fail.
    pub probe: bool,
    /// Whether the role that lets ECS read OSS exists from the start.
    pub import_role: bool,
    /// The code that a successful dry run answers with: `DRYRUN.SUCCESS` or `DryRunOperation`.
    pub dry_run_code: String,
    /// The field that names an import's task: `TaskId`, or `ImportTaskId` as old samples have it.
    pub task_id_field: String,
    /// The code that tells of the missing role: with one c as the service sends it, or with two.
    pub role_code: String,
    /// How long after its creation a role is not yet seen by ECS, on the emulator's own clock.
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
    /// Snapshot ids are shown in the second half of an import only.
    pub late_snapshot_ids: bool,
    /// Images imported from VHD cannot be copied.
    pub vhd_not_copyable: bool,
    /// How many of the next copies fail half-way.
    pub copies_to_fail: u32,
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
            import_role: true,
            dry_run_code: "DRYRUN.SUCCESS".to_owned(),
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
            late_snapshot_ids: false,
            vhd_not_copyable: false,
            copies_to_fail: 0,
            cancel_leaves_image: false,
        }
    }
}
