//! `sync`: a fleet of images as a file.

use std::path::PathBuf;

use clap::Args;

use super::import::WaitArgs;
use super::remote::ConnectionArgs;
use super::transfer::{InspectionArgs, TransferArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup sync images.toml --plan     what would be changed
  ossup sync images.toml
  ossup sync --schema > sync.schema.json

Interrupted? Run the same command again, on whatever machine.")]
pub(crate) struct SyncArgs {
    /// File that describes the images
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    pub(crate) file: Option<PathBuf>,
    /// Show what would be changed, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) plan: bool,
    /// Skip the confirmation that is asked for before images are deprecated or deleted
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print the JSON schema of the file
    #[arg(long, conflicts_with_all = ["file", "plan", "yes"])]
    pub(crate) schema: bool,
    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
    #[command(flatten)]
    pub(crate) inspection: InspectionArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}
