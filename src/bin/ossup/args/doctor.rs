//! Whether everything works from here.

use clap::Args;

use super::remote::ConnectionArgs;
use super::values::{BucketUrl, bucket};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup doctor --region cn-hangzhou
  ossup doctor oss://images --region cn-hangzhou
  ossup doctor oss://images --region cn-hangzhou --speed
  ossup doctor oss://images --region cn-hangzhou --fidelity > report.md

Nothing is changed: what could be is asked as a dry run, or about what does not
exist. With a bucket, an object of 1 MiB under ossup-doctor/ is made, read back
and removed, unless --read-only. The exit code is that of the worst failure.")]
pub(crate) struct DoctorArgs {
    /// Bucket to ask about, and to try an upload to
    #[arg(value_name = "oss://BUCKET", value_parser = bucket)]
    pub(crate) bucket: Option<BucketUrl>,
    /// Make no object, not even for a moment
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Upload for ten seconds by each endpoint that answers, to measure its rate; nothing is kept
    #[arg(long, requires = "bucket", conflicts_with = "read_only")]
    pub(crate) speed: bool,
    /// Settle what only a real account can, and print a report for the maintainers; what it makes is small and removed
    #[arg(long, requires = "bucket", conflicts_with_all = ["read_only", "speed"])]
    pub(crate) fidelity: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}
