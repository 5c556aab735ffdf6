//! Which file system a partition holds, by its magic numbers.

use std::fmt;

use super::read::{ReadAt, ReadError, Slice, le16, le32, up_to};

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the file systems")]
pub enum FileSystem {
    Ext2,
    Ext3,
    Ext4,
    Xfs,
    Btrfs,
    Ntfs,
    Fat16,
    Fat32,
    Exfat,
    Swap,
    Ufs2,
    /// A physical volume of LVM.
    Lvm,
    /// An encrypted volume.
    Luks,
}

impl FileSystem {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "ntfs",
            Self::Fat16 => "fat16",
            Self::Fat32 => "fat32",
            Self::Exfat => "exfat",
            Self::Swap => "swap",
            Self::Ufs2 => "ufs2",
            Self::Lvm => "lvm",
            Self::Luks => "luks",
        }
    }

    /// Whether a Linux system may have its root on it.
    pub(super) fn is_linux_root(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4 | Self::Xfs | Self::Btrfs)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A file system that was recognised, with what of it the rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) filesystem: FileSystem,
    /// ext: block numbers have 64 bits.
    pub(super) wide_blocks: bool,
    /// ext: the features `project` and `quota` are both on.
    pub(super) project_and_quota: bool,
}

impl From<FileSystem> for Found {
    fn from(filesystem: FileSystem) -> Self {
        Self { filesystem, wide_blocks: false, project_and_quota: false }
    }
}

/// Covers every magic but those of btrfs and UFS2.
const HEAD: usize = 4096;
const BTRFS_AT: u64 = 65_600;
const UFS2_AT: u64 = 65_536 + 1372;

/// Looks at the `length` bytes from `start` on. Reads at most 5 KiB.
pub(super) fn probe(disk: &dyn ReadAt, start: u64, length: u64) -> Result<Option<Found>, ReadError> {
    let part = Slice::new(disk, start, length);
    let mut head = up_to(&part, 0, HEAD)?;
    head.resize(HEAD, 0);
    if let Some(found) = by_head(&head) {
        return Ok(Some(found));
    }
    if up_to(&part, BTRFS_AT, 8)? == b"_BHRfS_M" {
        return Ok(Some(FileSystem::Btrfs.into()));
    }
    if up_to(&part, UFS2_AT, 4)? == 0x1954_0119_u32.to_le_bytes() {
        return Ok(Some(FileSystem::Ufs2.into()));
    }
    Ok(None)
}

fn by_head(head: &[u8]) -> Option<Found> {
    const TABLE: [(usize, &[u8], FileSystem); 7] = [
        (0, b"LUKS\xBA\xBE", FileSystem::Luks),
        (0, b"XFSB", FileSystem::Xfs),
        (3, b"NTFS    ", FileSystem::Ntfs),
        (3, b"EXFAT   ", FileSystem::Exfat),
        (82, b"FAT32   ", FileSystem::Fat32),
        (54, b"FAT16   ", FileSystem::Fat16),
        (4086, b"SWAPSPACE2", FileSystem::Swap),
    ];
    if let Some((_, _, filesystem)) = TABLE.iter().find(|(at, magic, _)| head[*at..].starts_with(magic)) {
        return Some((*filesystem).into());
    }
    let labelled = |sector: &[u8]| sector.starts_with(b"LABELONE") && sector[24..].starts_with(b"LVM2 001");
    if head[..2048].chunks_exact(512).any(labelled) {
        return Some(FileSystem::Lvm.into());
    }
    (le16(head, 1080) == 0xEF53).then(|| ext(head))
}

/// Tells the generations of ext apart by their features (offsets from the start of the partition).
fn ext(head: &[u8]) -> Found {
    const JOURNAL: u32 = 0x4;
    const EXTENTS_64BIT_FLEX: u32 = 0x40 | 0x80 | 0x200;
    let (compatible, incompatible, read_only) = (le32(head, 1116), le32(head, 1120), le32(head, 1124));
    let filesystem = if incompatible & EXTENTS_64BIT_FLEX != 0 {
        FileSystem::Ext4
    } else if compatible & JOURNAL != 0 {
        FileSystem::Ext3
    } else {
        FileSystem::Ext2
    };
    Found {
        filesystem,
        wide_blocks: incompatible & 0x80 != 0,
        project_and_quota: read_only & 0x2100 == 0x2100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(length: usize, marks: &[(usize, &[u8])]) -> Option<Found> {
        let mut bytes = vec![0; length];
        for (at, mark) in marks {
            bytes[*at..at + mark.len()].copy_from_slice(mark);
        }
        probe(&bytes, 0, length as u64).unwrap()
    }

    #[test]
    fn each_magic_is_recognised() {
        let cases: [(usize, &[u8], FileSystem); 10] = [
            (0, b"XFSB", FileSystem::Xfs),
            (65_600, b"_BHRfS_M", FileSystem::Btrfs),
            (3, b"NTFS    ", FileSystem::Ntfs),
            (82, b"FAT32   ", FileSystem::Fat32),
            (54, b"FAT16   ", FileSystem::Fat16),
            (3, b"EXFAT   ", FileSystem::Exfat),
            (4086, b"SWAPSPACE2", FileSystem::Swap),
            (66_908, &[0x19, 0x01, 0x54, 0x19], FileSystem::Ufs2),
            (0, b"LUKS\xBA\xBE", FileSystem::Luks),
            (1080, &[0x53, 0xEF], FileSystem::Ext2),
        ];
        for (at, magic, filesystem) in cases {
            assert_eq!(with(100_000, &[(at, magic)]).unwrap().filesystem, filesystem);
        }
        assert_eq!(
            with(100_000, &[(512, b"LABELONE"), (536, b"LVM2 001")]).unwrap().filesystem,
            FileSystem::Lvm
        );
        assert_eq!(with(100_000, &[(512, b"LABELONE")]), None);
        assert_eq!(with(100, &[(0, b"XFSB")]).unwrap().filesystem, FileSystem::Xfs, "a tiny partition");
        assert_eq!(with(0, &[]), None);
    }

    #[test]
    fn ext_generations_differ_by_features() {
        let ext = |compatible: u8, incompatible: u8, read_only: u16| {
            with(
                4096,
                &[
                    (1080, &[0x53, 0xEF]),
                    (1116, &[compatible]),
                    (1120, &[incompatible]),
                    (1124, &read_only.to_le_bytes()),
                ],
            )
            .unwrap()
        };
        assert_eq!(ext(4, 2, 0).filesystem, FileSystem::Ext3);
        assert_eq!(ext(4, 0x42, 0).filesystem, FileSystem::Ext4);
        assert!(ext(4, 0xC2, 0).wide_blocks);
        assert!(ext(4, 0x42, 0x2100).project_and_quota);
        assert!(!ext(4, 0x42, 0x2000).project_and_quota);
    }

    #[test]
    fn the_next_partition_is_not_looked_into() {
        let mut bytes = vec![0; 8192];
        bytes[1080..1082].copy_from_slice(&[0x53, 0xEF]);
        assert_eq!(probe(&bytes, 0, 1000).unwrap(), None);
    }
}
