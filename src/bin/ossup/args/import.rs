//! Imports: `import`, `publish`, `image …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ossup::image::{DiskRole, Expected};
use ossup::manage::ImageRef;
use ossup::model::{AccountId, Architecture, BootMode, DiskFormat, LicenseType, OsType, Region, TaskId};

use super::after::FanOutArgs;
use super::boot_test::{BootTestArgs, ImageBootTestArgs};
use super::manage::{
    ImageDeleteArgs, ImageDeprecateArgs, ImageListArgs, ImagePruneArgs, ImageTagArgs, ImageUntagArgs,
    OneImageArgs,
};
use super::plan::PlanArgs;
use super::remote::{ConnectionArgs, RetryArgs};
use super::source::{ImageArg, ImageParser, SourceArgs};
use super::transfer::{InspectionArgs, TargetArgs, TransferArgs};
use super::values::{BucketUrl, DiskSize, FileOrObject, ObjectUrl, PlatformParser, Span, Tag, account};

/// Properties of the system disk. What is not given is detected from the image where possible.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Custom image")]
pub(crate) struct FactArgs {
    /// Distribution, as listed by `ossup image platforms` [default: by os-release, else Others Linux]
    #[arg(long, value_parser = PlatformParser, hide_possible_values = true)]
    pub(crate) platform: Option<String>,
    /// x86_64 (amd64), arm64 (aarch64) or i386 [default: what the system is built for]
    #[arg(long)]
    pub(crate) architecture: Option<Architecture>,
    /// BIOS, UEFI or UEFI-Preferred [default: detected from the image]
    #[arg(long)]
    pub(crate) boot_mode: Option<BootMode>,
    /// linux or windows [default: what the disk holds]
    #[arg(long)]
    pub(crate) os_type: Option<OsType>,
    /// RAW, VHD, QCOW2 or VMDK
    #[arg(long)]
    pub(crate) format: Option<DiskFormat>,
    /// Size of the system disk in GiB, at least the image's size, such as 40 or 40GiB
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk_size: Option<DiskSize>,
    /// Whether to declare that the image starts from NVMe disks [default: if its kernel certainly does]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) nvme: Option<bool>,
}

impl FactArgs {
    /// Returns what the inspection compares a disk's contents with.
    pub(crate) fn expected(&self, role: DiskRole, name: impl Into<String>) -> Expected {
        let mut expected = Expected::new(role, name);
        expected.format = self.format;
        expected.boot_mode = self.boot_mode;
        expected.architecture = self.architecture;
        expected.os_type = self.os_type;
        expected.platform.clone_from(&self.platform);
        expected.disk_size = self.disk_size.map(|size| u64::from(size.0));
        expected.nvme_support = self.nvme;
        expected
    }
}

/// Parameters of the import. What is not given is detected from the image.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Custom image")]
pub(crate) struct RequestArgs {
    /// Name of the custom image, unique in the region
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) facts: FactArgs,
    /// Description of the custom image
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Licence of a Windows system: Auto, Aliyun or BYOL
    #[arg(long)]
    pub(crate) license: Option<LicenseType>,
    /// Tag of the custom image; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<Tag>,
    /// Resource group of the custom image
    #[arg(long, value_name = "ID")]
    pub(crate) resource_group: Option<String>,
    /// RAM role that lets ECS read the bucket [default: AliyunECSImageImportDefaultRole]
    #[arg(long, value_name = "NAME")]
    pub(crate) role_name: Option<String>,
    /// Have ECS check the image after the import, and show what it found; with --strict a risk fails the command
    #[arg(long, alias = "detection")]
    pub(crate) detect: bool,
    /// Version of the metadata service (IMDS) that instances offer
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(crate) imds: Option<ImdsArg>,
    /// Resource name of the CloudBox that holds the bucket
    #[arg(long, value_name = "ARN")]
    pub(crate) storage_location: Option<String>,
    /// Create the RAM role that lets ECS read the bucket, if it is missing
    #[arg(long)]
    pub(crate) create_role: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImdsArg {
    /// Both modes
    V1,
    /// Only the hardened mode; this cannot be undone
    V2,
}

/// How long to wait.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArgs {
    /// Stop waiting after this long; what was started continues (exit code 8)
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Span>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup import oss://images/web.raw --name web --platform \"Rocky Linux\" --wait
  ossup import oss://images/disk.qcow2 --name web-2026-01 --dry-run
  ossup import oss://images/data.raw --name data-2026-01 --as-snapshot

The import runs on the service and takes hours; follow it with `ossup image wait`.")]
pub(crate) struct ImportArgs {
    /// Object to import, in a bucket of the region
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) object: ObjectUrl,
    /// Object to import as a data disk; may be repeated
    #[arg(long, value_name = "oss://BUCKET/KEY")]
    pub(crate) data_disk: Vec<ObjectUrl>,
    /// Ask the service whether it would accept the import, and print the request
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take the object for a data disk, and print the id of the snapshot that the import makes of it; waits
    #[arg(long, conflicts_with_all = ["data_disk", "dry_run"])]
    pub(crate) as_snapshot: bool,
    /// Wait until the image is available; implied by all that follows it, such as --copy-to
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) after: FanOutArgs,
    #[command(flatten)]
    pub(crate) inspection: InspectionArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup publish disk.qcow2 oss://images/ --name web-2026-01
  ossup publish disk.raw oss://images/ --name web --copy-to us-west-1,us-east-1
  xz -dc disk.raw.xz | ossup publish - oss://images/web.qcow2 --name web

A pipe does not tell whether what wrote to it failed, and `set -o pipefail` comes too late.
To be sure that no object is made then, pass --sha256, or --expected-size with --exact-size.

Interrupted? Run the same command again to continue where it stopped.")]
pub(crate) struct PublishArgs {
    /// Image: a file, a block device, a pipe, a URL, or - for standard input
    #[arg(value_parser = ImageParser)]
    pub(crate) image: ImageArg,
    /// Destination; a trailing / or a bare bucket appends the file's name
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) target: BucketUrl,
    /// Data disk; a file is uploaded too; may be repeated
    #[arg(long, value_name = "FILE|oss://BUCKET/KEY")]
    pub(crate) data_disk: Vec<FileOrObject>,
    /// Write a JSON record of what was published, with the image's SHA-256, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
    #[command(flatten)]
    pub(crate) object: TargetArgs,
    #[command(flatten)]
    pub(crate) boot: BootTestArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) after: FanOutArgs,
    #[command(flatten)]
    pub(crate) inspection: InspectionArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// List images: the account's own, shared ones, or community images
    #[command(after_help = "\
Examples:
  ossup image list --region cn-hangzhou
  ossup image list --all-regions --name \"web-*\" --status Available
  ossup image list --region cn-hangzhou --shared")]
    List(ImageListArgs),
    /// List the values that --platform accepts
    #[command(after_help = "Example:\n  ossup image platforms")]
    Platforms,
    /// Show an image or an import task
    #[command(after_help = "Example:\n  ossup image show m-bp1g7004ksh0oeuco5hp --region cn-hangzhou")]
    Show(ImageArgs),
    /// Wait until an image is available
    #[command(
        after_help = "Example:\n  ossup image wait t-bp198jigq7l0h5ac42hp --region cn-hangzhou --timeout 6h"
    )]
    Wait(ImageWaitArgs),
    /// Cancel an import or a copy
    #[command(after_help = "Example:\n  ossup image cancel t-bp198jigq7l0h5ac42hp --region cn-hangzhou")]
    Cancel(ImageArgs),
    /// Copy an image to other regions
    #[command(
        after_help = "Example:\n  ossup image copy m-bp1g7004ksh0oeuco5hp --region cn-hangzhou --to eu-central-1"
    )]
    Copy(ImageCopyArgs),
    /// Boot an image in an instance, which is deleted again
    #[command(after_help = "\
Example:
  ossup image boot-test web-2026-01 --instance-type ecs.g7.large \\
      --vswitch vsw-bp1s5fnvk4gn2tws0350a --security-group sg-bp15ed6xe1yxeycg7o25

The instance is paid for as long as it lives, some minutes.
Exit code 11 if it comes to no login prompt.")]
    BootTest(ImageBootTestArgs),
    /// Share an image with other accounts
    #[command(after_help = "Example:\n  ossup image share m-bp1g7004ksh0oeuco5hp --with 1234567890123456")]
    Share(ImageShareArgs),
    /// Stop sharing an image with accounts
    #[command(after_help = "Example:\n  ossup image unshare m-bp1g7004ksh0oeuco5hp --with 1234567890123456")]
    Unshare(ImageShareArgs),
    /// Make an image public: a community image, which everybody in its region can use
    #[command(after_help = "\
Examples:
  ossup image publish web-2026-01 --region cn-hangzhou
  ossup image publish family:web --all-regions --except cn-beijing

Copy and share an image before: the service does neither with a public one.")]
    Publish(OneImageArgs),
    /// Take an image back from the public; accounts that it is shared with keep it
    #[command(after_help = "Example:\n  ossup image unpublish web-2026-01 --all-regions")]
    Unpublish(OneImageArgs),
    /// Add tags to an image
    #[command(after_help = "Example:\n  ossup image tag web-2026-01 stage=prod --snapshots --all-regions")]
    Tag(ImageTagArgs),
    /// Take tags off an image
    #[command(after_help = "Example:\n  ossup image untag web-2026-01 stage --region cn-hangzhou")]
    Untag(ImageUntagArgs),
    /// Retire an image: take it back from others and mark it as deprecated
    #[command(after_help = "\
Examples:
  ossup image deprecate web-2025-12 --replaced-by web-2026-01 --all-regions
  ossup image deprecate web-2025-12 --remove-on 2026-07-31 --tags-only
  ossup image deprecate family:web          roll back to the image before

Instances can still be made from it by its id. `ossup image restore` undoes it.")]
    Deprecate(ImageDeprecateArgs),
    /// Make a deprecated image Available again
    #[command(after_help = "Example:\n  ossup image restore web-2025-12 --all-regions")]
    Restore(OneImageArgs),
    /// Delete an image
    #[command(after_help = "\
Examples:
  ossup image delete m-bp1g7004ksh0oeuco5hp --region cn-hangzhou --yes
  ossup image delete web-2025-12 --all-regions --snapshots --withdraw")]
    Delete(ImageDeleteArgs),
    /// Delete old images, and keep the newest
    #[command(after_help = "\
Examples:
  ossup image prune --family web --keep 3 --all-regions --dry-run
  ossup image prune --name-prefix web- --keep 2 --older-than 30d --yes
  ossup image prune --family web --keep 3 --keep-tag bootimage --public

What a family points to, what is not finished, and what is promised by the tag
`Removal date` always stays.")]
    Prune(ImagePruneArgs),
}

/// A task by its id, or an image by its id, name or family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskOrImage {
    Task(TaskId),
    Image(ImageRef),
}

impl std::str::FromStr for TaskOrImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("t-") {
            return text.parse().map(Self::Task).map_err(|error| format!("{error}"));
        }
        text.parse().map(Self::Image).map_err(|error| format!("{error}"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// Task by its id (t-…), or image: its id (m-…), its name, or family:NAME
    #[arg(value_name = "TASK|IMAGE")]
    pub(crate) id: TaskOrImage,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageWaitArgs {
    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageCopyArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Regions to copy it to
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', required = true)]
    pub(crate) to: Vec<Region>,
    /// Name of the copies [default: the image's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageShareArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Ids of the accounts
    #[arg(long, value_name = "ACCOUNT,…", value_delimiter = ',', required = true, value_parser = account)]
    pub(crate) with: Vec<AccountId>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}
