use std::cmp::Reverse;
use std::fmt;

use super::boot::BootEvidence;
use super::filesystem::FileSystem;
use super::finding::{Finding, Verdict};
use super::format::Format;
use super::inside::GuestReport;
use super::request;
use super::table::{Partition, TableKind};
use ossup_core::model::{Architecture, BootMode, DiskFormat, OsType};

/// What a disk will be in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskRole {
    /// The disk that boots.
    #[default]
    System,
    /// A further disk, which need not boot nor have partitions.
    Data,
}

impl fmt::Display for DiskRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::System => "system",
            Self::Data => "data",
        })
    }
}

/// What the user asks for, so that contradictions with the contents become findings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// What the disk will be.
    pub role: DiskRole,
    /// The file's name, for commands in messages.
    pub name: String,
    /// The object key, for its suffix.
    pub key: Option<String>,
    /// Bytes that the file takes on its disk, if known; less than its length if it has holes.
    pub allocated_size: Option<u64>,
    /// Format.
    pub format: Option<DiskFormat>,
    /// The object's format, if it is made of the image in another one: what is asked of the service, and what a key's
    /// suffix says, is of the object.
    pub becomes: Option<DiskFormat>,
    /// Boot mode.
    pub boot_mode: Option<BootMode>,
    /// Architecture.
    pub architecture: Option<Architecture>,
    /// Family of operating systems.
    pub os_type: Option<OsType>,
    /// What is taken where no family is asked for: a request that says none is for Linux, unless a Windows is found on the
    /// disk, which then is asked for.
    pub assumed_os_type: Option<OsType>,
    /// Platform.
    pub platform: Option<String>,
    /// DiskImageSize in GiB.
    pub disk_size: Option<u64>,
    /// NvmeSupport.
    pub nvme_support: Option<bool>,
    /// Whether a look inside unpacks the initial RAM file system too, of which up to 256 MiB are read: for what lies on
    /// this machine, as it is by default.
    pub initramfs: bool,
    /// Whether the image has other disks too, from which the system may mount what is not on this one.
    pub more_disks: bool,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            role: DiskRole::System,
            name: "FILE".to_owned(),
            key: None,
            allocated_size: None,
            format: None,
            becomes: None,
            boot_mode: None,
            architecture: None,
            os_type: None,
            assumed_os_type: None,
            platform: None,
            disk_size: None,
            nvme_support: None,
            initramfs: true,
            more_disks: false,
        }
    }
}

impl Expected {
    /// Begins with the disk's role and the file's name.
    pub fn new(role: DiskRole, name: impl Into<String>) -> Self {
        Self { role, name: name.into(), ..Self::default() }
    }

    /// Returns the OS type that is asked for, by itself or by the platform.
    pub fn os_type(&self) -> Option<OsType> {
        self.os_type.or_else(|| self.platform.as_deref().map(request::platform_os_type))
    }
}

/// What the contents make of the request: the user's wish where there is one, else what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// `Format`.
    pub format: Option<DiskFormat>,
    /// `DiskImageSize` in GiB.
    pub disk_size: Option<u64>,
    /// `BootMode`.
    pub boot_mode: Option<BootMode>,
    /// `Architecture`.
    pub architecture: Option<Architecture>,
    /// `OSType`, of the system that was found.
    pub os_type: Option<OsType>,
    /// `Platform`, of the system that was found.
    pub platform: Option<String>,
    /// `NvmeSupport`, where it is certain.
    pub nvme_support: Option<bool>,
    /// The suffix that an object key should have, with its dot.
    pub suffix: Option<&'static str>,
}

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What the file is.
    pub format: Format,
    /// What the disk will be.
    pub role: DiskRole,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes that the file takes on its disk, if the caller knew.
    pub allocated_size: Option<u64>,
    /// Bytes of the disk inside; unknown for files that are not disks.
    pub virtual_size: Option<u64>,
    /// How the disk is divided.
    pub partition_table: TableKind,
    /// Its partitions.
    pub partitions: Vec<Partition>,
    /// A file system without partition table.
    pub bare_filesystem: Option<FileSystem>,
    /// What would start the system.
    pub boot: BootEvidence,
    /// What to ask of ImportImage.
    pub settings: Settings,
    /// What the checks found, in the order of the checks.
    pub findings: Vec<Finding>,
    /// What is installed on the disk, where [`look_inside`](super::look_inside) was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestReport>,
}

impl Report {
    /// Returns what all findings together mean.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }

    /// Returns all findings, the worst first; those that are as bad as each other in the order of the checks.
    pub fn worst_first(&self) -> Vec<&Finding> {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| Reverse(finding.severity));
        findings
    }

    /// Returns the findings that speak against the upload.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.refuses())
    }
}
