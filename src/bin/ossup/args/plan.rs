//! What would be done, before it is.

use clap::Args;

/// Whether to show what would be done instead of doing it.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct PlanArgs {
    /// Check everything and show what would be sent and made; nothing is created, and nothing read of a pipe
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run, also measure the rate for some seconds, with parts of an upload beside the object's key that is then aborted
    #[arg(long, requires = "dry_run")]
    pub(crate) probe: bool,
}
