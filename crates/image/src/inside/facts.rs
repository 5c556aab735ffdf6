//! What is told of a guest: facts, with "could not be read" as an answer of its own.

use std::fmt;

use super::super::filesystem::FileSystem;
use ossup_core::model::{Architecture, BootMode};

/// What was found of something in the guest.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// It is there.
    Found(T),
    /// It is certainly not there.
    Absent,
    /// It could not be read, or was not looked at. Nothing follows from that.
    Unread(String),
}

impl<T> Answer<T> {
    /// Returns what was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Absent | Self::Unread(_) => None,
        }
    }
}

impl<T> From<Result<Option<T>, String>> for Answer<T> {
    fn from(read: Result<Option<T>, String>) -> Self {
        match read {
            Ok(Some(found)) => Self::Found(found),
            Ok(None) => Self::Absent,
            Err(reason) => Self::Unread(reason),
        }
    }
}

/// What a look inside an image found. Texts of the guest are cut to a bounded length, and have U+FFFD for what is no
/// UTF-8 and for control characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct GuestReport {
    /// The installed Linux.
    pub system: Answer<GuestSystem>,
    /// The installed Windows, if there is one; then `system` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsSystem>,
    /// The partitions, or the disk if it has none, with what was recognised there.
    pub volumes: Vec<GuestVolume>,
    /// Bytes of the disk that were read for it.
    pub read_bytes: u64,
}

impl GuestReport {
    /// Says why nothing was looked at.
    pub fn unread(reason: impl Into<String>) -> Self {
        Self { system: Answer::Unread(reason.into()), windows: None, volumes: Vec::new(), read_bytes: 0 }
    }
}

/// A place on the disk that holds a file system or something alike.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct GuestVolume {
    /// Where: `partition 2`, `the whole disk`, `logical volume vg/root`.
    pub place: String,
    /// Its device, of a logical volume: `/dev/GROUP/VOLUME`.
    pub device: Option<String>,
    /// What it holds.
    pub filesystem: FileSystem,
    /// Its UUID as `/etc/fstab` names it.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// `PARTUUID`, of a partition.
    pub partition_uuid: Option<String>,
    /// `PARTLABEL`, of a partition of a GPT.
    pub partition_label: Option<String>,
    /// What all members of the same software RAID have alike, of a member.
    pub array: Option<String>,
    /// How much is free, of a file system that is looked into.
    pub space: Option<Space>,
    /// Why it was not looked into; `None` if it was, or holds no files.
    pub unread: Option<String>,
}

/// How much of a file system is free, as it was last written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Space {
    /// Bytes of the file system.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// How many more files there can be, where that was fixed when the file system was made.
    pub free_inodes: Option<u64>,
}

impl GuestVolume {
    /// A place of which nothing but what it holds is known.
    pub(super) fn new(place: impl Into<String>, filesystem: FileSystem) -> Self {
        Self {
            place: place.into(),
            device: None,
            filesystem,
            uuid: None,
            label: None,
            partition_uuid: None,
            partition_label: None,
            array: None,
            space: None,
            unread: None,
        }
    }
}

/// An installed Linux.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct GuestSystem {
    /// Where its root is, as in [`GuestVolume::place`].
    pub root: String,
    /// What it calls itself.
    pub os: Answer<OsRelease>,
    /// The `Platform` of ImportImage that goes with exactly this id of `os-release`. A derivative has none.
    pub platform: Option<&'static str>,
    /// The program that starts first, with links resolved.
    pub init: Answer<String>,
    /// What that program, or the shell, is built for.
    pub architecture: Answer<Architecture>,
    /// Its ELF machine, where that is none of ECS.
    pub foreign_machine: Option<u16>,
    /// Kernels that have modules, the newest first.
    pub kernels: Answer<Vec<Kernel>>,
    /// Whether it is certain which kernel starts: the boot loader's default entry names one of those, or there is no other.
    pub is_kernel_certain: bool,
    /// What sets up the instance.
    pub cloud_init: Answer<CloudInit>,
    /// What sets it up instead, at its first start, where that is Ignition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignition: Option<Ignition>,
    /// The lines of `/etc/fstab`.
    pub fstab: Answer<Vec<FstabLine>>,
    /// What the boot loader's configuration starts, each different line once.
    pub boot_entries: Answer<Vec<BootEntry>>,
    /// What the boot loader looks for by itself.
    pub boot_searches: Vec<BootSearch>,
    /// Where on this disk is what the default entry resumes from, if it names that by what is written there.
    pub resume: Option<Answer<String>>,
}

impl GuestSystem {
    /// Returns the kernel that starts: the one that the boot loader starts by default, or the newest where that cannot
    /// be told.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.kernels.found()?.iter().find(|kernel| kernel.starts)
    }

    /// Whether the kernel sees a disk that is attached by virtio at the time that it mounts its root; `None` if that
    /// could not be told.
    pub fn is_virtio_ready(&self) -> Option<bool> {
        self.kernel()?.drivers.as_ref()?.is_virtio_ready()
    }

    /// The same for a disk that is attached by NVMe, which is what `NvmeSupport` of ImportImage declares.
    pub fn is_nvme_ready(&self) -> Option<bool> {
        self.kernel()?.drivers.as_ref()?.is_nvme_ready()
    }
}

/// An installed Windows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WindowsSystem {
    /// Where it is, as in [`GuestVolume::place`].
    pub root: String,
    /// `ProductName`, such as `Windows Server 2022 Datacenter`.
    pub product: Answer<String>,
    /// `EditionID`, such as `ServerDatacenter`.
    pub edition: Answer<String>,
    /// `CurrentBuild`, such as 20348.
    pub build: Answer<u32>,
    /// `UBR`: which cumulative update of that build. Windows older than 10 may have none.
    pub revision: Answer<u32>,
    /// `InstallationType`: `Server`, `Server Core` or `Client`.
    pub installation: Answer<String>,
    /// The `Platform` of ImportImage that goes with it. A client edition has none.
    pub platform: Option<&'static str>,
    /// What it is built for.
    pub architecture: Answer<Architecture>,
    /// What it needs on ECS.
    pub drivers: Vec<WindowsDriver>,
    /// What starts it.
    pub boot: Vec<WindowsBoot>,
}

/// A driver of Windows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WindowsDriver {
    /// Name of its service.
    pub name: &'static str,
    /// When it is started: 0 by the loader, 1 by the kernel, 2 with the services, 3 when asked for, 4 never.
    pub start: Answer<u32>,
    /// Its file.
    pub file: Answer<String>,
}

/// A partition from which firmware starts Windows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WindowsBoot {
    /// Where it is, as in [`GuestVolume::place`].
    pub place: String,
    /// The firmware that starts from there.
    pub firmware: BootMode,
    /// The boot manager.
    pub manager: Answer<String>,
    /// What the boot configuration data start if nobody chooses.
    pub entry: Answer<WindowsEntry>,
}

/// The default entry of the boot configuration data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WindowsEntry {
    /// The loader, such as `\Windows\system32\winload.efi`.
    pub loader: Option<String>,
    /// Where on this disk the partition is that it names; `None` if it names none by its identity.
    pub device: Option<Answer<String>>,
}

/// What `os-release` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct OsRelease {
    /// `ID`.
    pub id: Option<String>,
    /// `VERSION_ID`.
    pub version_id: Option<String>,
    /// `NAME`.
    pub name: Option<String>,
    /// `PRETTY_NAME`.
    pub pretty_name: Option<String>,
    /// `VARIANT_ID`.
    pub variant_id: Option<String>,
}

impl OsRelease {
    /// Returns the most telling name that there is.
    pub fn title(&self) -> &str {
        [&self.pretty_name, &self.name, &self.id].into_iter().flatten().next().map_or("Linux", String::as_str)
    }
}

/// A kernel with modules.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Kernel {
    /// Its release, such as `6.1.0-28-cloud-amd64`.
    pub release: String,
    /// The kernel itself, where it has the usual name.
    pub image: Answer<String>,
    /// Whether it is the one that is judged: the boot loader starts it by default, or that cannot be told and it is the
    /// newest.
    pub starts: bool,
    /// What it needs on ECS; only of the newest two, and of the one that starts.
    pub drivers: Option<Drivers>,
}

/// Where the drivers are that ECS needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Drivers {
    /// Disks.
    pub virtio_blk: Answer<Driver>,
    /// The bus of the other virtio drivers.
    pub virtio_pci: Answer<Driver>,
    /// The network.
    pub virtio_net: Answer<Driver>,
    /// Disks of the instance families that attach them by NVMe.
    pub nvme: Answer<Driver>,
    /// What hands passwords and keys of the hypervisor to programs (`qemu_fw_cfg`).
    pub fw_cfg: Answer<Driver>,
    /// The initial RAM file system, where those drivers have to be that are modules and that the root needs. It is looked
    /// at only of the kernel that starts.
    pub initramfs: Answer<Initramfs>,
}

impl Drivers {
    /// Whether a disk that is attached by virtio is seen before the root is mounted; `None` if that could not be told.
    pub fn is_virtio_ready(&self) -> Option<bool> {
        match [self.is_early("virtio_blk"), self.is_early("virtio_pci")] {
            [Some(true), Some(true)] => Some(true),
            [Some(false), _] | [_, Some(false)] => Some(false),
            _ => None,
        }
    }

    /// Whether a disk that is attached by NVMe is.
    pub fn is_nvme_ready(&self) -> Option<bool> {
        self.is_early("nvme")
    }

    /// Whether a driver of a disk is there before the root is mounted.
    pub(super) fn is_early(&self, module: &str) -> Option<bool> {
        match self.disk_drivers().into_iter().find(|(name, _)| *name == module)?.1 {
            Answer::Found(Driver::BuiltIn) => Some(true),
            Answer::Found(Driver::Module) => match &self.initramfs {
                Answer::Found(initramfs) => initramfs.has(module),
                Answer::Absent => Some(false),
                Answer::Unread(_) => None,
            },
            Answer::Absent => Some(false),
            Answer::Unread(_) => None,
        }
    }

    /// Returns the drivers that a disk needs, with their names.
    pub(super) fn disk_drivers(&self) -> [(&'static str, &Answer<Driver>); 3] {
        [("virtio_blk", &self.virtio_blk), ("virtio_pci", &self.virtio_pci), ("nvme", &self.nvme)]
    }
}

/// What an initial RAM file system holds of the drivers that a disk needs and that are modules.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Initramfs {
    /// The file.
    pub file: String,
    /// How it is compressed, by what it is and not by what a configuration says; `None` if it is not, or was not read so
    /// far.
    pub compression: Option<&'static str>,
    /// Modules that are in it.
    pub seen: Vec<&'static str>,
    /// Modules that are certainly not in it, or not for this kernel.
    pub missing: Vec<&'static str>,
    /// Whether it holds any module of this kernel.
    pub any_module: bool,
    /// Why it was not read to its end, so that there may be more in it.
    pub unread: Option<String>,
    /// Bytes that were read of it, until all was seen.
    pub read_bytes: u64,
    /// Bytes that were unpacked of it.
    pub unpacked_bytes: u64,
}

impl Initramfs {
    /// Whether a module is in it; `None` if that could not be told.
    pub(super) fn has(&self, module: &str) -> Option<bool> {
        match (self.seen.contains(&module), self.missing.contains(&module)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// How a kernel has a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// In the kernel itself.
    BuiltIn,
    /// As a module below `/lib/modules`.
    Module,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BuiltIn => "built in",
            Self::Module => "a module",
        })
    }
}

/// An installed cloud-init.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CloudInit {
    /// Its version, if it says one.
    pub version: Option<String>,
    /// The folder of Python that it is in.
    pub folder: String,
    /// Whether it is started with the system.
    pub runs: Told,
    /// Whether it looks for what ECS has for the instance.
    pub finds_ecs: Told,
    /// Whether it configures the network by what it finds there.
    pub sets_up_network: Told,
}

/// Ignition, which sets up a system at its first start.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Ignition {
    /// The platform that it takes itself to be on, by its own name for that, such as `aliyun` or `qemu`.
    pub platform: Option<String>,
    /// Whether it takes the user data that ECS has for the instance.
    pub finds_ecs: Told,
}

impl CloudInit {
    /// Tells whether it will set up an instance with what ECS has for it: keys, user data, the network.
    pub fn works(&self) -> Told {
        self.runs.clone().and(&self.finds_ecs)
    }
}

/// The answer to a question of yes or no, with what a no or a "could not be read" comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It is so.
    Yes,
    /// It is not so, because of this.
    No(String),
    /// It could not be told, because of this. Nothing follows from that.
    Unread(String),
}

impl Told {
    /// Whether it is so for certain.
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }

    /// Tells whether both are so.
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Yes, other) => other.clone(),
            (no @ Self::No(_), _) => no,
            (Self::Unread(_), no @ Self::No(_)) => no.clone(),
            (unread @ Self::Unread(_), _) => unread,
        }
    }
}

/// A line of `/etc/fstab`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FstabLine {
    /// Its number, from 1 on.
    pub line: usize,
    /// What is mounted.
    pub device: String,
    /// Where.
    pub mount_point: String,
    /// The type.
    pub filesystem: String,
    /// The options.
    pub options: String,
    /// Where on this disk the device is; `None` for what is not on a disk, or is named by a device's name.
    pub place: Option<Answer<String>>,
}

/// What the boot loader's configuration starts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BootEntry {
    /// The file that says so.
    pub file: String,
    /// The number of the line in it, from 1 on.
    pub line: usize,
    /// What the loader's configuration calls it, for others to name it by.
    pub id: Option<String>,
    /// What the menu shows.
    pub title: String,
    /// Whether it is what starts by itself, which one entry is at most. Where that cannot be told it is the first.
    pub is_default: bool,
    /// The kernel.
    pub kernel: Option<BootFile>,
    /// Release of the kernel, where what is started tells it: a unified kernel image does.
    pub release: Option<String>,
    /// The initial RAM file systems, in order. That of a unified kernel image is in the image itself.
    pub initrds: Vec<BootFile>,
    /// The arguments of the kernel. What looks like a password has no value here.
    pub arguments: Vec<String>,
    /// The argument `root=`.
    pub root: Option<String>,
    /// Where on this disk that root is; `None` if there is no such argument, or it is a device's name.
    pub place: Option<Answer<String>>,
}

impl BootEntry {
    /// Returns the value of an argument of the kernel, the last if there are several: that of `console=tty0` is `tty0`,
    /// that of `quiet` is empty.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().rev().find_map(|argument| {
            let rest = argument.strip_prefix(name)?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix('=') }
        })
    }
}

/// A file system that a boot loader looks for, to read its own files or a kernel from there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BootSearch {
    /// The file that says so.
    pub file: String,
    /// The number of the line in it, from 1 on.
    pub line: usize,
    /// What is looked for, as in fstab.
    pub device: String,
    /// Where that is on this disk.
    pub place: Answer<String>,
    /// Whether it is for what starts by itself.
    pub is_needed: bool,
}

/// A file that a boot loader reads.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BootFile {
    /// As the loader names it, which may be without the `/boot` that the system has before it.
    pub name: String,
    /// Its path in the running system.
    pub path: Answer<String>,
}
