//! ECS OpenAPI 2014-05-26: the actions that make, follow, copy, share and delete custom images, and those that test
//! them in an instance.

mod cancel_copy_image;
mod cancel_task;
pub mod code;
mod copy_image;
mod delete_image;
mod delete_instance;
mod delete_snapshot;
mod describe_image_share_permission;
mod describe_images;
mod describe_instances;
mod describe_regions;
mod describe_snapshots;
mod describe_task_attribute;
mod describe_tasks;
mod get_instance_console_output;
mod import_image;
mod list_tag_resources;
mod modify_image_attribute;
mod modify_image_share_permission;
mod run_instances;
mod tag_resources;
mod untag_resources;

pub use cancel_copy_image::CancelCopyImage;
pub use cancel_task::CancelTask;
pub use copy_image::{CopyImage, CopyImageResponse};
pub use delete_image::DeleteImage;
pub use delete_instance::DeleteInstance;
pub use delete_snapshot::DeleteSnapshot;
pub use describe_image_share_permission::{DescribeImageSharePermission, ImageShares};
pub use describe_images::{
    CheckedItem, CustomImage, DescribeImages, Detection, DiskOfImage, ImageOwner, ImagePage,
};
pub use describe_instances::{DescribeInstances, InstanceInfo};
pub use describe_regions::{DescribeRegions, RegionInfo};
pub use describe_snapshots::{DescribeSnapshots, SnapshotInfo, SnapshotPage};
pub use describe_task_attribute::{DescribeTaskAttribute, OperationProgress, TaskDetail};
pub use describe_tasks::{DescribeTasks, TaskInfo, TaskPage};
pub use get_instance_console_output::GetInstanceConsoleOutput;
pub use import_image::{ImdsSupport, ImportDisk, ImportImage, ImportImageAnswer, Tag};
pub use list_tag_resources::{ListTagResources, TagPage};
pub use modify_image_attribute::{ImageAvailability, ModifyImageAttribute};
pub use modify_image_share_permission::ModifyImageSharePermission;
pub use run_instances::{InstancesRun, RunInstances};
pub use tag_resources::{TagResources, TaggedIds};
pub use untag_resources::UntagResources;

#[cfg(test)]
mod tests;
