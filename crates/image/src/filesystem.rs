//! Which file system a partition holds, by its magic numbers.

use std::fmt;

use super::fat;
use super::read::{Slice, le16, le32, up_to};
use ossup_core::read::{ReadAt, ReadError};

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the file systems")]
pub enum FileSystem {
    Ext2,
    Ext3,
    Ext4,
    /// The journal of an ext file system on another device.
    ExtJournal,
    Xfs,
    Btrfs,
    Ntfs,
    Fat12,
    Fat16,
    Fat32,
    Exfat,
    Hpfs,
    Befs,
    Swap,
    Ufs2,
    /// A physical volume of LVM.
    Lvm,
    /// A volume encrypted by Linux.
    Luks,
    /// A volume encrypted by Windows.
    Bitlocker,
    /// A volume of Apple's Core Storage, as FileVault encrypts it.
    CoreStorage,
    /// A volume encrypted by FreeBSD.
    Geli,
}

impl FileSystem {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::ExtJournal => "ext-journal",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "ntfs",
            Self::Fat12 => "fat12",
            Self::Fat16 => "fat16",
            Self::Fat32 => "fat32",
            Self::Exfat => "exfat",
            Self::Hpfs => "hpfs",
            Self::Befs => "befs",
            Self::Swap => "swap",
            Self::Ufs2 => "ufs2",
            Self::Lvm => "lvm",
            Self::Luks => "luks",
            Self::Bitlocker => "bitlocker",
            Self::CoreStorage => "core-storage",
            Self::Geli => "geli",
        }
    }

    /// Whether a Linux system may have its root on it.
    pub(super) fn is_linux_root(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4 | Self::Xfs | Self::Btrfs)
    }

    /// Whether its contents cannot be read without a key.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Luks | Self::Bitlocker | Self::CoreStorage | Self::Geli)
    }

    /// Whether it is FAT, which firmware reads.
    pub(super) fn is_fat(self) -> bool {
        matches!(self, Self::Fat12 | Self::Fat16 | Self::Fat32)
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

/// Covers every magic at the front, the last of which is that of UFS2.
const HEAD: usize = UFS2_AT + 4;
const UFS2_AT: usize = 65_536 + 1372;
/// Where swap space for pages of 4 to 64 KiB says what it is: ten bytes before the first page ends.
const SWAP_AT: [usize; 5] = [4096 - 10, 8192 - 10, 16_384 - 10, 32_768 - 10, 65_536 - 10];
/// Where a LUKS2 volume keeps the copy of its header, by the size of its metadata area.
const LUKS_COPY_AT: [u64; 9] =
    [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];
/// GUIDs by which BitLocker marks a volume behind another file system's boot sector: as To Go, and where only the
/// space in use is encrypted (4967D63B-2E29-4AD8-8399-F6A339E3D001, 92A84D3B-DD80-4D0E-9E4E-B1E3284EAED8).
const BITLOCKER: [[u8; 16]; 2] = [
    [0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01],
    [0x3B, 0x4D, 0xA8, 0x92, 0x80, 0xDD, 0x0E, 0x4D, 0x9E, 0x4E, 0xB1, 0xE3, 0x28, 0x4E, 0xAE, 0xD8],
];
/// Where those GUIDs are: behind a boot sector in the manner of NTFS, and of FAT32.
const BITLOCKER_AT: [usize; 2] = [160, 424];

/// Looks at the `length` bytes from `start` on. Reads at most 66 KiB where something is recognised there.
pub(super) fn probe(disk: &dyn ReadAt, start: u64, length: u64) -> Result<Option<Found>, ReadError> {
    let part = Slice::new(disk, start, length);
    let mut head = up_to(&part, 0, HEAD)?;
    head.resize(HEAD, 0);
    if let Some(found) = by_head(&head) {
        return Ok(Some(found));
    }
    // The usual places are in what was read; the rare ones are looked at once, not for each partition.
    for at in LUKS_COPY_AT.into_iter().filter(|at| start == 0 || *at < HEAD as u64) {
        if up_to(&part, at, 6)? == b"SKUL\xBA\xBE" {
            return Ok(Some(FileSystem::Luks.into()));
        }
    }
    let last = (part.length() / 512).saturating_sub(1) * 512;
    Ok((up_to(&part, last, 9)? == b"GEOM::ELI").then(|| FileSystem::Geli.into()))
}

fn by_head(head: &[u8]) -> Option<Found> {
    const TABLE: [(usize, &[u8], FileSystem); 15] = [
        (0, b"LUKS\xBA\xBE", FileSystem::Luks),
        (3, b"-FVE-FS-", FileSystem::Bitlocker),
        (88, b"CS\x01\0", FileSystem::CoreStorage),
        (0, b"XFSB", FileSystem::Xfs),
        (3, b"NTFS    ", FileSystem::Ntfs),
        (3, b"EXFAT   ", FileSystem::Exfat),
        (82, b"FAT32   ", FileSystem::Fat32),
        (54, b"FAT16   ", FileSystem::Fat16),
        (54, b"FAT12   ", FileSystem::Fat12),
        (8192, b"\x49\xE8\x95\xF9\xC5\xE9\x53\xFA", FileSystem::Hpfs),
        (544, b"1SFB", FileSystem::Befs),
        (544, b"BFS1", FileSystem::Befs),
        (32, b"BFS1", FileSystem::Befs),
        (65_600, b"_BHRfS_M", FileSystem::Btrfs),
        (UFS2_AT, &0x1954_0119_u32.to_le_bytes(), FileSystem::Ufs2),
    ];
    let guid_at = |at: &usize| BITLOCKER.iter().any(|guid| head[*at..].starts_with(guid));
    if BITLOCKER_AT.iter().any(guid_at) {
        return Some(FileSystem::Bitlocker.into());
    }
    if let Some((_, _, filesystem)) = TABLE.iter().find(|(at, magic, _)| head[*at..].starts_with(magic)) {
        return Some((*filesystem).into());
    }
    let labelled = |sector: &[u8]| sector.starts_with(b"LABELONE") && sector[24..].starts_with(b"LVM2 001");
    if head[..2048].chunks_exact(512).any(labelled) {
        return Some(FileSystem::Lvm.into());
    }
    let swap =
        |at: &usize| [b"SWAPSPACE2", b"SWAP-SPACE"].iter().any(|magic| head[*at..].starts_with(*magic));
    if SWAP_AT.iter().any(swap) {
        return Some(FileSystem::Swap.into());
    }
    if le16(head, 1080) == 0xEF53 {
        return Some(ext(head));
    }
    // FAT without that label, as DOS and some tools write it.
    fat::kind(head.first_chunk().expect("more than a sector")).map(Found::from)
}

/// Distinguishes the generations of ext by their features (offsets from the start of the partition): what ext3 does not
/// know is ext4, whatever single features it has.
fn ext(head: &[u8]) -> Found {
    const HAS_JOURNAL: u32 = 0x4;
    const IS_JOURNAL: u32 = 0x8;
    // File types, recovery, block groups in the descriptors; sparse superblocks, large files, indexed directories.
    const INCOMPATIBLE_OF_EXT3: u32 = 0x2 | 0x4 | 0x10;
    const READ_ONLY_OF_EXT3: u32 = 0x1 | 0x2 | 0x4;
    let (compatible, incompatible, read_only) = (le32(head, 1116), le32(head, 1120), le32(head, 1124));
    let filesystem = if incompatible & IS_JOURNAL != 0 {
        FileSystem::ExtJournal
    } else if incompatible & !INCOMPATIBLE_OF_EXT3 != 0 || read_only & !READ_ONLY_OF_EXT3 != 0 {
        FileSystem::Ext4
    } else if compatible & HAS_JOURNAL != 0 {
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
        let cases: [(usize, &[u8], FileSystem); 21] = [
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
            (54, b"FAT12   ", FileSystem::Fat12),
            (8192, b"\x49\xE8\x95\xF9\xC5\xE9\x53\xFA", FileSystem::Hpfs),
            (544, b"1SFB", FileSystem::Befs),
            (65_526, b"SWAPSPACE2", FileSystem::Swap),
            (16_374, b"SWAP-SPACE", FileSystem::Swap),
            (3, b"-FVE-FS-", FileSystem::Bitlocker),
            (424, &BITLOCKER[0], FileSystem::Bitlocker),
            (160, &BITLOCKER[1], FileSystem::Bitlocker),
            (88, b"CS\x01\0", FileSystem::CoreStorage),
            (0x4000, b"SKUL\xBA\xBE", FileSystem::Luks),
            (100_000 - 100_000 % 512 - 512, b"GEOM::ELI", FileSystem::Geli),
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
    fn encryption_is_seen_before_the_file_system_that_hides_it() {
        // BitLocker To Go begins as FAT32, with a file system for readers in front of what is encrypted.
        let marks: [(usize, &[u8]); 3] = [(3, b"MSWIN4.1"), (82, b"FAT32   "), (424, &BITLOCKER[0])];
        assert_eq!(with(100_000, &marks).unwrap().filesystem, FileSystem::Bitlocker);
        let marks: [(usize, &[u8]); 2] = [(3, b"-FVE-FS-"), (82, b"FAT32   ")];
        assert_eq!(with(100_000, &marks).unwrap().filesystem, FileSystem::Bitlocker);
        for filesystem in [FileSystem::Luks, FileSystem::Bitlocker, FileSystem::CoreStorage, FileSystem::Geli]
        {
            assert!(filesystem.is_encrypted(), "{filesystem}");
        }
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
        assert_eq!(ext(0, 0x02, 0x400).filesystem, FileSystem::Ext4, "checksums of metadata, but no extents");
        assert_eq!(ext(4, 0x06, 0x7).filesystem, FileSystem::Ext3, "all that ext3 knows");
        assert_eq!(ext(0, 0x08, 0).filesystem, FileSystem::ExtJournal);
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
