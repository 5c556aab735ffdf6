//! Uploads: `upload`, `resume`, `list`, `abort`, `gc`, `inspect`, `demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ossup::image::{DiskRole, Expected};
use ossup::model::{StorageClass, UploadId};

use super::import::FactArgs;
use super::remote::{ConnectionArgs, RetryArgs};
use super::values::{BucketUrl, ByteSize, FileOrObject, ObjectUrl, Parallel, Rate, Span, age};

/// How an upload runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// Fixes the size of parts, such as 64MiB; by default parts adapt to the link
    #[arg(long, value_name = "SIZE")]
    pub(crate) part_size: Option<ByteSize>,
    /// Parts in flight: auto follows what the link takes
    #[arg(long, value_name = "auto|N", default_value = "auto")]
    pub(crate) parallel: Parallel,
    /// Most parts in flight that auto may choose; by default 64, or what memory and open files allow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) max_parallel: Option<u16>,
    /// Most memory for data on its way, such as 16MiB; by default 32MiB, or an eighth of what there is
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<ByteSize>,
    /// Sends no faster than this, such as 50MiB/s
    #[arg(long, value_name = "RATE")]
    pub(crate) bandwidth_limit: Option<Rate>,
    /// Sends the MD5 of each part too, for buckets that ask for it or return no CRC-64
    #[arg(long)]
    pub(crate) content_md5: bool,
    /// Fails (exit code 6) unless checksums prove that the object holds the file's bytes
    #[arg(long)]
    pub(crate) require_verified: bool,
    /// Compares every part that is already there with the file
    #[arg(long)]
    pub(crate) verify_resume: bool,
    /// Reads a block device that is mounted or otherwise in use
    #[arg(long)]
    pub(crate) allow_busy: bool,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// Whether the image is looked at first.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Image checks")]
pub(crate) struct InspectionArgs {
    /// Does not look at the image first
    #[arg(long, conflicts_with_all = ["strict", "force"])]
    pub(crate) no_inspect: bool,
    /// Refuses the image for warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Goes on although the checks refuse the image
    #[arg(long)]
    pub(crate) force: bool,
}

/// What becomes of an object or an upload that is there.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArgs {
    /// Replaces an object that exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Storage class of the object; ECS cannot import archived ones
    #[arg(long, value_name = "CLASS", default_value_t = StorageClass::default())]
    pub(crate) storage_class: StorageClass,
    /// Aborts an unfinished upload of this object and begins anew
    #[arg(long, conflicts_with = "adopt")]
    pub(crate) restart: bool,
    /// Continues an open upload of this object that another machine began: the only one, or that of an id
    #[arg(long, value_name = "UPLOAD_ID", num_args = 0..=1, require_equals = true, value_parser = upload_id)]
    pub(crate) adopt: Option<Option<UploadId>>,
    /// Keeps no state: an interrupted upload begins anew
    #[arg(long, conflicts_with_all = ["adopt", "restart", "verify_resume"])]
    pub(crate) no_resume: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup upload disk.qcow2 oss://images/
  ossup upload disk.raw oss://images/web/disk.raw --region eu-central-1 --bandwidth-limit 50MiB/s
  ossup upload disk.raw data.raw oss://images/web/
  ossup upload disk.raw oss://images --endpoint local:/tmp/store

Interrupted? The same command again sends only what is missing.")]
pub(crate) struct UploadArgs {
    /// The image, a file; several go one after the other
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Where it goes; a trailing / or a bare bucket appends the file's name
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) target: BucketUrl,
    #[command(flatten)]
    pub(crate) object: TargetArgs,
    #[command(flatten)]
    pub(crate) inspection: InspectionArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup resume                      everything that is unfinished
  ossup resume oss://images/disk.raw")]
pub(crate) struct ResumeArgs {
    /// Only the upload of this object
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) object: Option<ObjectUrl>,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup list                        uploads that this machine knows
  ossup list oss://images/web/      and all that are open on the bucket")]
pub(crate) struct ListArgs {
    /// Asks this bucket too, for keys that start with the prefix
    #[arg(value_name = "oss://BUCKET[/PREFIX]")]
    pub(crate) bucket: Option<BucketUrl>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ossup abort oss://images/disk.raw --yes")]
pub(crate) struct AbortArgs {
    /// The object of the upload
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) object: ObjectUrl,
    /// The upload, if several are open
    #[arg(long, value_name = "ID", value_parser = upload_id)]
    pub(crate) upload_id: Option<UploadId>,
    /// Does not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup gc oss://images --older-than 7d --dry-run
  ossup gc oss://images/web/ --older-than 12h --yes")]
pub(crate) struct GcArgs {
    /// The bucket; only keys that start with the prefix
    #[arg(value_name = "oss://BUCKET[/PREFIX]")]
    pub(crate) bucket: BucketUrl,
    /// Only uploads begun, and with the last part sent, longer ago than this, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(crate) older_than: Span,
    /// Shows what would be aborted, and aborts nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Does not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup inspect disk.qcow2
  ossup inspect data.raw --role data
  ossup inspect oss://images/disk.qcow2 --region cn-hangzhou --output json")]
pub(crate) struct InspectArgs {
    /// A file, or oss://BUCKET/KEY
    #[arg(value_name = "IMAGE|oss://BUCKET/KEY")]
    pub(crate) image: FileOrObject,
    /// What the disk will be in the custom image
    #[arg(long, value_enum, default_value_t = RoleArg::System)]
    pub(crate) role: RoleArg,
    /// Fails for warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) facts: FactArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// What a disk will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// The disk that boots
    System,
    /// A further disk
    Data,
}

impl InspectArgs {
    /// Returns what the contents are compared with.
    pub(crate) fn expected(&self, name: String) -> Expected {
        let role = match self.role {
            RoleArg::System => DiskRole::System,
            RoleArg::Data => DiskRole::Data,
        };
        self.facts.expected(role, name)
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup demo                        with a 6 GiB disk that it makes
  ossup demo --image disk.qcow2     with your own")]
pub(crate) struct DemoArgs {
    /// Takes this image instead of making one
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
}

fn upload_id(text: &str) -> Result<UploadId, &'static str> {
    if text.is_empty() { Err("an upload id is not empty") } else { Ok(UploadId::new(text)) }
}
