//! The boot of an image on this machine.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ossup::model::Architecture;

use super::values::{ByteSize, Span};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup boot disk.qcow2
  ossup boot disk.qcow2 --nvme --boot-mode both
  ossup boot disk.raw --user-data config.yaml --ssh
  ossup boot disk.raw --console console.log --output json

It needs QEMU: on Debian and Ubuntu the package qemu-system-x86, and ovmf for UEFI.
The image is not written to. The guest reaches nothing but the metadata service.
Exit code 11 if it does not boot, or cannot be reached once it has.")]
pub(crate) struct BootArgs {
    /// Image: a file in RAW, QCOW2 or VHD format
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// User data of the instance, which may be secret: other users of this machine could read it while it runs
    #[arg(long, value_name = "FILE")]
    pub(crate) user_data: Option<PathBuf>,
    /// Log in by SSH once it has booted; the machine ends with the login
    #[arg(long, conflicts_with = "output")]
    pub(crate) ssh: bool,
    /// Private key to log in with, whose public key is in FILE.pub [default: a new one]
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_key: Option<PathBuf>,
    /// What has to be reached
    #[arg(long, value_enum, default_value_t = UntilArg::Ssh)]
    pub(crate) until: UntilArg,
    /// Write all that the serial console says to this file, as it comes
    #[arg(long, value_name = "FILE")]
    pub(crate) console: Option<PathBuf>,
}

/// The virtual machine.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// Attach the disk by NVMe, as newer instance families do
    #[arg(long)]
    pub(crate) nvme: bool,
    /// How to boot [default: as the inspection finds]
    #[arg(long, value_enum)]
    pub(crate) boot_mode: Option<BootModeArg>,
    /// Architecture [default: detected from the image]
    #[arg(long)]
    pub(crate) architecture: Option<Architecture>,
    /// Memory of the machine [default: 2GiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,
    /// Give up after this long [default: 3m with KVM, 15m without]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Span>,
    /// QEMU program, or the folder that it was unpacked into [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu: Option<PathBuf>,
    /// UEFI firmware: the code, with its variables beside it; `CODE` in its name is `VARS` there
    #[arg(long, value_name = "FILE")]
    pub(crate) firmware: Option<PathBuf>,
    /// Do not use KVM
    #[arg(long)]
    pub(crate) no_kvm: bool,
    /// Let the guest reach the internet, and this machine
    #[arg(long)]
    pub(crate) internet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootModeArg {
    Bios,
    Uefi,
    /// One after the other
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum UntilArg {
    /// A login prompt on the serial console
    Login,
    /// A login by SSH, and cloud-init has finished
    #[default]
    Ssh,
}
