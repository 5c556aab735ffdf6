//! What a disk image is, and whether ECS can import it, from a few MiB of it.
//!
//! [`inspect`] recognises the format by the contents, looks through the tables of QCOW2 and VHD at the disk inside,
//! reads its partition table, file systems and boot evidence, and gives a [`Report`]: what the disk is, one
//! [`Finding`] for each thing that matters, and the [`Settings`] for the import request that follow.
//!
//! Everything is pure code over [`ReadAt`](ossup_core::read::ReadAt). A local file is a
//! `FileSource` of the crate `ossup`; an object is read through [`FetchedRanges`], which says what to fetch; a
//! [`PassingImage`] holds what matters of one that passes once, from a pipe. No input is trusted: every table, chain and
//! length is bounded, at most [`READ_BUDGET`] bytes are read, and what lies beyond is reported as not checked.
//!
//! [`look_inside`] reads the file systems of the disk, and tells what system is installed there.
//!
//! [`open_disk`] opens the disk inside an image for whoever wants to read all of it.
//!
//! [`request`] holds the checks of an import request that need no image.

mod boot;
#[doc(hidden)]
pub mod codec;
mod detect;
mod disk;
mod fat;
mod filesystem;
mod finding;
mod fix;
mod foreign;
mod format;
mod guest;
mod inflate;
mod inside;
mod inspect;
mod open;
mod passing;
#[cfg(test)]
mod properties;
#[doc(hidden)]
pub mod qcow2;
mod read;
mod report;
pub mod request;
mod rule;
mod size;
mod table;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod vhd;
mod windows;

pub use boot::{BootEvidence, BootsWith};
pub use detect::detect;
pub use filesystem::FileSystem;
pub use finding::{Finding, Severity, Verdict};
pub use fix::{Command, Fix, Setting, Word};
pub use format::{Archive, Compression, Format, Inner};
pub use inside::{
    Answer, BootEntry, BootFile, BootSearch, CloudInit, Driver, Drivers, FstabLine, GuestReport, GuestSystem,
    GuestVolume, Ignition, Initramfs, Kernel, OsRelease, Space, Told, WindowsBoot, WindowsDriver,
    WindowsEntry, WindowsSystem, look_inside,
};
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use inside::{
    damage::{look_at_damaged, look_at_damaged_windows},
    initramfs::fixture::look_through_initramfs,
};
pub use inspect::inspect;
pub use open::{OpenDiskError, open_disk};
pub use passing::PassingImage;
pub use report::{DiskRole, Expected, Report, Settings};
pub use rule::Rule;
pub use size::{SIZE_PROFILES, SMALLEST_DISK_SIZE, SizeProfile, disk_size_for, needed_gib};
pub use table::{Partition, PartitionKind, TableKind};
pub use windows::FetchedRanges;

/// Most bytes that an inspection reads, and that [`FetchedRanges`] holds (16 MiB).
pub const READ_BUDGET: u64 = 16 << 20;
