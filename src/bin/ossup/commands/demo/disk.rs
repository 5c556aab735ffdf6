//! A disk for the demonstration: sparse, bootable as far as ECS checks, with some real data.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Length of the disk (6 GiB): more than one PutObject could take.
pub(super) const LENGTH: u64 = 6 << 30;
/// Data in it (300 MiB); the rest is holes.
const DATA: u64 = 300 << 20;
/// The data is spread over the disk in pieces of 4 MiB.
const PIECE: u64 = 4 << 20;
const SECTOR: u64 = 512;
/// First sector of the only partition.
const FIRST_SECTOR: u64 = 2048;

/// Writes the disk.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let file = File::create_new(path)?;
    file.set_len(LENGTH)?;
    let start = FIRST_SECTOR * SECTOR;
    let pieces = DATA / PIECE;
    let stride = (LENGTH - start) / pieces / PIECE * PIECE;
    let mut noise = Noise(1);
    let mut piece = vec![0; PIECE as usize];
    for index in 0..pieces {
        noise.fill(&mut piece);
        file.write_all_at(&piece, start + PIECE + index * stride)?;
    }
    file.write_all_at(&boot_record(&mut noise), 0)?;
    file.write_all_at(&superblock(LENGTH - start), start + 1024)
}

/// Returns a master boot record with boot code and one active Linux partition.
fn boot_record(noise: &mut Noise) -> [u8; 512] {
    let mut sector = [0; 512];
    noise.fill(&mut sector[..440]);
    let sectors = u32::try_from(LENGTH / SECTOR - FIRST_SECTOR).expect("the demo's disk is small");
    let first = u32::try_from(FIRST_SECTOR).expect("a small number");
    sector[446] = 0x80;
    sector[450] = 0x83;
    sector[454..458].copy_from_slice(&first.to_le_bytes());
    sector[458..462].copy_from_slice(&sectors.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Returns an ext4 superblock for a file system of `length` bytes with blocks of 4 KiB.
fn superblock(length: u64) -> [u8; 1024] {
    let mut block = [0; 1024];
    let blocks = u32::try_from(length / 4096).expect("the demo's disk is small");
    block[4..8].copy_from_slice(&blocks.to_le_bytes());
    block[24..28].copy_from_slice(&2_u32.to_le_bytes());
    block[56..58].copy_from_slice(&0xef53_u16.to_le_bytes());
    // Features: a journal; file types; extents.
    block[92..96].copy_from_slice(&0x4_u32.to_le_bytes());
    block[96..100].copy_from_slice(&0x42_u32.to_le_bytes());
    block
}

/// Bytes without a pattern (xorshift), so that nothing on the way can compress them.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use ossup::image::{BootsWith, DiskRole, Expected};
    use ossup::source::FileSource;

    use super::*;
    use crate::commands::inspection;

    #[test]
    fn the_disk_is_sparse_and_one_that_ecs_takes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        make(&path).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), LENGTH);
        assert!(metadata.blocks() * 512 < 2 * DATA, "{}", metadata.blocks());
        let source = FileSource::open(&path).unwrap();
        let report = inspection::file(&source, Expected::new(DiskRole::System, "disk.raw")).unwrap();
        assert!(!report.verdict().is_refused(), "{:?}", report.findings);
        assert_eq!(report.boot.boots_with, BootsWith::Bios);
    }
}
