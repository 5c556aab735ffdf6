//! The kinds of files that are distinguished.

use std::fmt;

use ossup_core::model::DiskFormat;

/// What a file's contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// No bytes at all.
    Empty,
    /// A disk's bytes, one to one: what nothing else was recognised in.
    Raw,
    /// QCOW version 2 or 3.
    Qcow2,
    /// Virtual Hard Disk.
    Vhd,
    /// VMDK with its data: sparse, stream-optimised or ESX.
    Vmdk,
    /// The text part of a VMDK, which names other files.
    VmdkDescriptor,
    /// QCOW version 1 (or one that no specification knows).
    Qcow1,
    /// QEMU enhanced disk.
    Qed,
    /// Hyper-V's VHDX.
    Vhdx,
    /// VirtualBox's VDI.
    Vdi,
    /// Parallels' HDD.
    Parallels,
    /// Apple's DMG.
    Dmg,
    /// An encrypted disk.
    Luks,
    /// An ISO 9660 file system.
    Iso,
    /// A compressed file, with what is inside if that can be seen.
    Compressed(Compression, Option<Inner>),
    /// An archive.
    Archive(Archive),
    /// A program, such as a kernel or an EFI loader.
    Executable,
    /// Text, such as an error page.
    Text,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the programs")]
pub enum Compression {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lz4,
    Lzma,
}

/// How files are packed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the programs")]
pub enum Archive {
    Zip,
    SevenZip,
    Rar,
    Tar,
}

/// What the beginning of a decompressed file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the formats")]
pub enum Inner {
    Raw,
    Qcow2,
    Vhd,
    Vmdk,
    Tar,
    Other,
}

impl Format {
    /// Returns the name in lower case, as messages and JSON carry it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
            Self::VmdkDescriptor => "vmdk-descriptor",
            Self::Qcow1 => "qcow1",
            Self::Qed => "qed",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Parallels => "parallels",
            Self::Dmg => "dmg",
            Self::Luks => "luks",
            Self::Iso => "iso",
            Self::Compressed(compression, _) => compression.name(),
            Self::Archive(archive) => archive.name(),
            Self::Executable => "executable",
            Self::Text => "text",
        }
    }

    /// Returns the format to pass to ImportImage, if it takes files of this kind.
    pub fn disk_format(self) -> Option<DiskFormat> {
        match self {
            Self::Raw => Some(DiskFormat::Raw),
            Self::Qcow2 => Some(DiskFormat::Qcow2),
            Self::Vhd => Some(DiskFormat::Vhd),
            Self::Vmdk => Some(DiskFormat::Vmdk),
            _ => None,
        }
    }

    /// Returns the name by which qemu-img knows the format, where that is another.
    pub(super) fn qemu_name(self) -> &'static str {
        match self {
            Self::Vhd => "vpc",
            Self::Qcow1 => "qcow",
            Self::VmdkDescriptor => "vmdk",
            other => other.name(),
        }
    }
}

impl Compression {
    /// Returns the name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
        }
    }
}

impl Archive {
    /// Returns the name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::SevenZip => "7z",
            Self::Rar => "rar",
            Self::Tar => "tar",
        }
    }
}

impl Inner {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vmdk => "vmdk",
            Self::Tar => "tar",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
