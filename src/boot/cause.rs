use std::fmt;

use super::DiskBus;
use crate::image::Rule;

/// Why a system did not come as far as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// The firmware found nothing to start.
    NoBootableDevice,
    /// GRUB did not find its own files: `grub rescue>`.
    GrubRescue,
    /// GRUB has no configuration that starts anything: `grub>`.
    GrubPrompt,
    /// The boot loader could not load what its configuration names.
    LoaderFailed,
    /// The kernel found no root file system, and has no initial RAM file system that looks for it.
    PanicNoRoot,
    /// Another kernel panic.
    Panic,
    /// The shell of the initial RAM file system: it found no root file system.
    InitramfsShell,
    /// systemd's emergency mode: something that has to be mounted is not.
    EmergencyMode,
    /// systemd's rescue mode.
    RescueMode,
    /// Nothing was said on the serial line, and nothing seen on the network.
    Silence,
    /// The boot loader was the last that was seen.
    NoKernel,
    /// The kernel was the last that was seen.
    NoRoot,
    /// The root file system was mounted, and no init program followed.
    NoInit,
    /// No login prompt and no network.
    NoLogin,
    /// A system that runs, but has no address by DHCP.
    NoAddress,
    /// cloud-init asked the metadata service for nothing.
    SourceNotTaken,
    /// cloud-init has not finished.
    CloudInitNotFinished,
    /// No SSH server answers.
    NoSsh,
    /// The SSH server does not take the key that the metadata service handed in.
    KeyRefused,
    /// The machine was switched off, or was about to start again.
    Ended,
}

impl Cause {
    /// Returns the checks whose findings explain it, the likeliest first.
    pub fn rules(self, bus: DiskBus) -> &'static [Rule] {
        match self {
            Self::NoBootableDevice => &[Rule::FZero, Rule::RBoot, Rule::GNoBoot, Rule::RArch],
            Self::GrubRescue | Self::GrubPrompt | Self::LoaderFailed | Self::NoKernel => {
                &[Rule::GGrub, Rule::GNoBoot, Rule::GUuid, Rule::GKernel, Rule::RBoot]
            }
            Self::PanicNoRoot | Self::InitramfsShell | Self::NoRoot => match bus {
                DiskBus::Virtio => {
                    &[Rule::GGrub, Rule::GVirtio, Rule::GGrubDev, Rule::GNoBoot, Rule::GUuid, Rule::GFstab]
                }
                DiskBus::Nvme => &[
                    Rule::GGrub,
                    Rule::GNvme,
                    Rule::GVirtio,
                    Rule::GGrubDev,
                    Rule::GNoBoot,
                    Rule::GUuid,
                    Rule::GFstab,
                ],
            },
            Self::EmergencyMode | Self::RescueMode => {
                &[Rule::GFstab, Rule::GFsDev, Rule::GSwap, Rule::GUuid, Rule::GSelinux]
            }
            Self::Panic | Self::NoInit => &[Rule::GArch, Rule::GRoot, Rule::GLib, Rule::GSelinux],
            Self::NoLogin | Self::Ended => {
                &[Rule::GFstab, Rule::GFsDev, Rule::GSelinux, Rule::GSpace, Rule::GArch, Rule::GLib]
            }
            Self::NoAddress => &[Rule::GVnet, Rule::GDhcp, Rule::GNicName, Rule::GCiOff, Rule::GCiDs],
            Self::SourceNotTaken => {
                &[Rule::GCiDs, Rule::GCiOff, Rule::GCiVer, Rule::GVnet, Rule::GDhcp, Rule::GNicName]
            }
            Self::CloudInitNotFinished => &[Rule::GCiVer, Rule::GSpace, Rule::GSelinux],
            Self::NoSsh => &[Rule::GSshd, Rule::GFirewall, Rule::GDhcp, Rule::GNicName, Rule::GSelinux],
            Self::KeyRefused => {
                &[Rule::GCiDs, Rule::GCiOff, Rule::GCiVer, Rule::GRootUser, Rule::GSelinux, Rule::GSpace]
            }
            Self::Silence => &[Rule::RBoot, Rule::GNoBoot, Rule::GGrub, Rule::GVirtio, Rule::RArch],
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoBootableDevice => "the firmware finds nothing to boot",
            Self::GrubRescue => "GRUB does not find its own files and stops at `grub rescue>`",
            Self::GrubPrompt => "GRUB has nothing to start and stops at `grub>`",
            Self::LoaderFailed => "the boot loader cannot load what its configuration names",
            Self::PanicNoRoot => "kernel panic: the root file system cannot be mounted",
            Self::Panic => "kernel panic",
            Self::InitramfsShell => "the initramfs does not find the root file system and stops in its shell",
            Self::EmergencyMode => "the system stops in emergency mode",
            Self::RescueMode => "the system stops in rescue mode",
            Self::Silence => "nothing is said on the serial line, and nothing is seen on the network",
            Self::NoKernel => "nothing is heard of a kernel after the boot loader",
            Self::NoRoot => "the kernel does not mount a root file system",
            Self::NoInit => "no init program is heard of after the root file system was mounted",
            Self::NoLogin => "the system starts, but there is neither a login prompt nor a network",
            Self::NoAddress => "the system runs, but takes no address by DHCP",
            Self::SourceNotTaken => "cloud-init does not ask the metadata service of ECS",
            Self::CloudInitNotFinished => "cloud-init does not finish",
            Self::NoSsh => "no SSH server answers",
            Self::KeyRefused => "the SSH server does not take the key that the metadata service hands in",
            Self::Ended => "the system switches off, or starts again, before a login",
        })
    }
}
