//! Uploads: `upload`, `resume`, `list`, `abort`, `gc`, `inspect`, `demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ossup::image::{DiskRole, Expected};
use ossup::model::{StorageClass, UploadId};

use super::import::FactArgs;
use super::plan::PlanArgs;
use super::remote::{ConnectionArgs, RetryArgs};
use super::source::{ImageArg, ImageOrObject, ImageOrObjectParser, ImageParser, SourceArgs};
use super::values::{BucketUrl, ByteSize, ObjectUrl, Parallel, Rate, Span, age};

/// How an upload runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// Fixed part size, such as 64MiB; by default parts adapt to the link
    #[arg(long, value_name = "SIZE")]
    pub(crate) part_size: Option<ByteSize>,
    /// Parts in flight; auto adapts to the link
    #[arg(long, value_name = "auto|N", default_value = "auto")]
    pub(crate) parallel: Parallel,
    /// Maximum number of parts in flight that auto may choose; by default 64, or what memory and open files allow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) max_parallel: Option<u16>,
    /// Maximum memory for data in flight, such as 16MiB; by default 32MiB, or an eighth of the total memory; of a stream, which is held until it is acknowledged, 256MiB
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<ByteSize>,
    /// Send no faster than this, such as 50MiB/s
    #[arg(long, value_name = "RATE")]
    pub(crate) bandwidth_limit: Option<Rate>,
    /// Also send the MD5 of each part, for buckets that require it or return no CRC-64
    #[arg(long)]
    pub(crate) content_md5: bool,
    /// Fail (exit code 6) unless checksums prove that the object holds the file's bytes
    #[arg(long)]
    pub(crate) require_verified: bool,
    /// Compare every part that is already uploaded with the file
    #[arg(long)]
    pub(crate) verify_resume: bool,
    /// Read a block device even if it is mounted or otherwise in use
    #[arg(long)]
    pub(crate) allow_busy: bool,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// How the image is checked first.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Image checks")]
pub(crate) struct InspectionArgs {
    /// Skip the inspection of the image
    #[arg(long, conflicts_with_all = ["strict", "force"])]
    pub(crate) no_inspect: bool,
    /// Do not look at the system that is installed on the disk
    #[arg(long)]
    pub(crate) no_guest: bool,
    /// Of an object or a file on the web, read the initial RAM file system too, which may be some 100 MiB
    #[arg(long, conflicts_with_all = ["no_inspect", "no_guest"])]
    pub(crate) deep: bool,
    /// Refuse the image on warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Continue even if the checks refuse the image
    #[arg(long)]
    pub(crate) force: bool,
}

/// What happens to an existing object or upload.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArgs {
    /// Replace an existing object
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Storage class of the object; ECS cannot import archived ones
    #[arg(long, value_name = "CLASS", default_value_t = StorageClass::default())]
    pub(crate) storage_class: StorageClass,
    /// Abort an unfinished upload of this object and start again
    #[arg(long, conflicts_with = "adopt")]
    pub(crate) restart: bool,
    /// Continue an open upload of this object that another machine started: the only one, or the one with this id
    #[arg(long, value_name = "UPLOAD_ID", num_args = 0..=1, require_equals = true, value_parser = upload_id)]
    pub(crate) adopt: Option<Option<UploadId>>,
    /// Keep no state: an interrupted upload starts again from the beginning
    #[arg(long, conflicts_with_all = ["adopt", "restart", "verify_resume"])]
    pub(crate) no_resume: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup upload disk.qcow2 oss://images/
  ossup upload disk.raw oss://images/web/disk.raw --bandwidth-limit 50MiB/s
  ossup upload disk.raw data.raw oss://images/web/
  ossup upload disk.raw oss://images --endpoint local:/tmp/store
  ossup upload disk.raw.xz oss://images/             what is inside goes up
  ossup upload https://example.com/disk.qcow2 oss://images/
  xz -dc disk.raw.xz | ossup upload - oss://images/disk.raw
  ossup upload disk.raw oss://images --dry-run       what would be sent

A pipe does not tell whether what wrote to it failed, and `set -o pipefail` comes too late.
To be sure that no object is made then, pass --sha256, or --expected-size with --exact-size.

Interrupted? Run the same command again: it sends only what is missing.")]
pub(crate) struct UploadArgs {
    /// Image: a file, a block device, a pipe, a URL, or - for standard input; several are uploaded one after the other
    #[arg(required = true, value_name = "IMAGE", value_parser = ImageParser)]
    pub(crate) images: Vec<ImageArg>,
    /// Destination; a trailing / or a bare bucket appends the file's name
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) target: BucketUrl,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) object: TargetArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
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
  ossup resume                      all unfinished uploads
  ossup resume oss://images/disk.raw")]
pub(crate) struct ResumeArgs {
    /// Resume only the upload of this object
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
  ossup list                        uploads known to this machine
  ossup list oss://images/web/      also those open on the bucket")]
pub(crate) struct ListArgs {
    /// Also list the open uploads on this bucket, of keys that start with the prefix
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
    /// Object of the upload
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) object: ObjectUrl,
    /// Upload to abort, if several are open
    #[arg(long, value_name = "ID", value_parser = upload_id)]
    pub(crate) upload_id: Option<UploadId>,
    /// Skip the confirmation
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
    /// Bucket; with a prefix, only keys that start with it
    #[arg(value_name = "oss://BUCKET[/PREFIX]")]
    pub(crate) bucket: BucketUrl,
    /// Only uploads that started, and received their last part, longer ago than this, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(crate) older_than: Span,
    /// Show what would be aborted, and abort nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Skip the confirmation
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
  ossup inspect disk.raw --fix-script > fix.sh
  ossup inspect images/                     a table
  ossup inspect oss://images/disk.qcow2 --region cn-hangzhou --output json

Each finding has a page in the book, by the name in brackets: that of [G-FSTAB] is
docs/findings/g-fstab.md. It says what is looked at, what ECS does, and how to mend it.")]
pub(crate) struct InspectArgs {
    /// File, pipe, URL, - for standard input, or oss://BUCKET/KEY; of what is packed, what is inside is inspected; of several, or of a folder, a table is printed
    #[arg(required = true, value_name = "IMAGE|DIR|oss://BUCKET/KEY", value_parser = ImageOrObjectParser)]
    pub(crate) images: Vec<ImageOrObject>,
    /// Member of a tar archive that is the image; needed if the archive holds several
    #[arg(long, value_name = "NAME", conflicts_with = "as_is")]
    pub(crate) member: Option<String>,
    /// Inspect a packed file as it is
    #[arg(long)]
    pub(crate) as_is: bool,
    /// Role of the disk in the custom image
    #[arg(long, value_enum, default_value_t = RoleArg::System)]
    pub(crate) role: RoleArg,
    /// Do not look at the system that is installed on the disk
    #[arg(long)]
    pub(crate) no_guest: bool,
    /// Of an object or a file on the web, read the initial RAM file system too, which may be some 100 MiB
    #[arg(long, conflicts_with = "no_guest")]
    pub(crate) deep: bool,
    /// Print a shell script that mends in the guest what was found, instead of the report
    #[arg(long, conflicts_with = "no_guest")]
    pub(crate) fix_script: bool,
    /// Fail on warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) facts: FactArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// Role of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Disk that boots
    System,
    /// Additional disk
    Data,
}

impl InspectArgs {
    /// Whether the system on the disk is looked at; a data disk has none that matters.
    pub(crate) fn looks_inside(&self) -> bool {
        !self.no_guest && self.role == RoleArg::System
    }

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
  ossup demo                        with a 6 GiB disk that it creates
  ossup demo --image disk.qcow2     with your own")]
pub(crate) struct DemoArgs {
    /// Use this image instead of creating one
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
}

fn upload_id(text: &str) -> Result<UploadId, &'static str> {
    if text.is_empty() { Err("an upload id cannot be empty") } else { Ok(UploadId::new(text)) }
}
