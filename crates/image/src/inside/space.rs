//! How much of a file system is free, as its superblock says: of one that was not unmounted that lags behind a little.

use super::facts::Space;
use super::pages::{Unreadable, View};
use crate::filesystem::FileSystem;
use crate::read::{be32, be64, le32, le64};

/// Reads how much is free; `None` for a file system that is not looked into.
pub(super) fn space(view: &View, filesystem: FileSystem) -> Result<Option<Space>, Unreadable> {
    Ok(match filesystem {
        FileSystem::Ext2 | FileSystem::Ext3 | FileSystem::Ext4 => of_ext(&view.head::<1024>(1024)?),
        FileSystem::Xfs => of_xfs(&view.head::<152>(0)?),
        FileSystem::Btrfs => of_btrfs(&view.head::<128>(65_536)?),
        _ => None,
    })
}

fn of_ext(superblock: &[u8]) -> Option<Space> {
    /// The feature that makes the upper halves count.
    const BITS_64: u32 = 0x80;
    let has_upper = le32(superblock, 0x60) & BITS_64 != 0;
    let blocks = |lower, upper| {
        let upper = if has_upper { le32(superblock, upper) } else { 0 };
        u64::from(upper) << 32 | u64::from(le32(superblock, lower))
    };
    let block_size = 1024_u64.checked_shl(le32(superblock, 0x18)).filter(|size| *size <= 64 << 10)?;
    let space = made(blocks(0x4, 0x150), blocks(0xC, 0x158), block_size)?;
    let inodes = le32(superblock, 0x10).min(le32(superblock, 0));
    Some(Space { free_inodes: Some(inodes.into()), ..space })
}

fn of_xfs(superblock: &[u8]) -> Option<Space> {
    // Inodes are made as they are needed.
    made(be64(superblock, 8), be64(superblock, 144), be32(superblock, 4).into())
}

fn of_btrfs(superblock: &[u8]) -> Option<Space> {
    let total = le64(superblock, 112);
    made(total, total.saturating_sub(le64(superblock, 120)), 1)
}

fn made(blocks: u64, free: u64, block_size: u64) -> Option<Space> {
    let total = blocks.checked_mul(block_size).filter(|total| *total > 0)?;
    Some(Space { total, free: free.saturating_mul(block_size).min(total), free_inodes: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext(incompatible: u8) -> Vec<u8> {
        let mut superblock = vec![0; 1024];
        superblock[0..4].copy_from_slice(&5000_u32.to_le_bytes());
        superblock[4..8].copy_from_slice(&1_000_000_u32.to_le_bytes());
        superblock[12..16].copy_from_slice(&250_000_u32.to_le_bytes());
        superblock[16..20].copy_from_slice(&4000_u32.to_le_bytes());
        superblock[0x18] = 2;
        superblock[0x60] = incompatible;
        superblock[0x150] = 1;
        superblock[0x158] = 1;
        superblock
    }

    #[test]
    fn the_upper_halves_of_ext_count_with_their_feature_only() {
        let small = Space { total: 4_096_000_000, free: 1_024_000_000, free_inodes: Some(4000) };
        assert_eq!(of_ext(&ext(0x40)), Some(small));
        let large = of_ext(&ext(0xC0)).unwrap();
        assert_eq!(large.total, (1 << 44) + 4_096_000_000);
        assert_eq!(large.free, (1 << 44) + 1_024_000_000);
    }

    #[test]
    fn xfs_counts_in_blocks_from_the_large_end_and_btrfs_in_bytes_that_are_used() {
        let mut superblock = vec![0; 152];
        superblock[4..8].copy_from_slice(&4096_u32.to_be_bytes());
        superblock[8..16].copy_from_slice(&1000_u64.to_be_bytes());
        superblock[144..152].copy_from_slice(&10_u64.to_be_bytes());
        assert_eq!(of_xfs(&superblock), Some(Space { total: 4_096_000, free: 40_960, free_inodes: None }));
        let mut superblock = vec![0; 128];
        superblock[112..120].copy_from_slice(&1000_u64.to_le_bytes());
        superblock[120..128].copy_from_slice(&900_u64.to_le_bytes());
        assert_eq!(of_btrfs(&superblock), Some(Space { total: 1000, free: 100, free_inodes: None }));
    }

    #[test]
    fn numbers_that_cannot_be_are_no_answer() {
        assert_eq!(of_ext(&[0xFF; 1024]), None);
        assert_eq!(of_xfs(&[0xFF; 152]), None);
        assert_eq!(of_btrfs(&[0; 128]), None);
        let all = of_btrfs(&[0xFF; 128]).unwrap();
        assert_eq!((all.total, all.free), (u64::MAX, 0));
    }
}
