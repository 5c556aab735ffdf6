//! Where an image is booted before it is used, and in what.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ossup::manage::ImageRef;

use super::remote::{ConnectionArgs, RetryArgs};
use super::values::Span;

/// The boot test of a publish.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Boot test")]
pub(crate) struct BootTestArgs {
    /// Boot the image, and stop if it does not boot: `cloud`, in an instance before it is copied or shared; `local`, on
    /// this machine before it is sent, see `ossup boot` [default without a value: cloud]
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, default_missing_value = "cloud")]
    pub(crate) boot_test: Option<BootTestArg>,
    #[command(flatten)]
    pub(crate) instance: InstanceArgs,
    /// On this machine: attach the disk by NVMe, as newer instance families do
    #[arg(long, requires = "boot_test")]
    pub(crate) boot_nvme: bool,
    /// On this machine: QEMU program, or the folder that it was unpacked into [default: the one in PATH]
    #[arg(long, value_name = "PATH", requires = "boot_test")]
    pub(crate) boot_qemu: Option<PathBuf>,
}

/// The instance that a test needs. It is deleted after the test, and by the service itself after a while.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Boot test")]
pub(crate) struct InstanceArgs {
    /// Instance type, such as ecs.g7.large
    #[arg(long, value_name = "TYPE")]
    pub(crate) instance_type: Option<String>,
    /// vSwitch of the instance, in the image's region
    #[arg(long, value_name = "ID")]
    pub(crate) vswitch: Option<String>,
    /// Security group of the instance, of the same VPC; it has to let nothing in
    #[arg(long, value_name = "ID")]
    pub(crate) security_group: Option<String>,
    /// Give up after this long [default: 15m in an instance, 3m on this machine with KVM and 15m without]
    #[arg(long, value_name = "DURATION")]
    pub(crate) boot_timeout: Option<Span>,
}

/// Where an image is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootTestArg {
    /// In an instance, before the image is copied, shared or published
    Cloud,
    /// On this machine, by the QEMU that is installed, before anything is sent
    Local,
}

#[derive(Debug, Args)]
pub(crate) struct ImageBootTestArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    #[command(flatten)]
    pub(crate) instance: InstanceArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}
