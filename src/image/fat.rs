//! Which boot loaders an EFI system partition holds.
//!
//! A reader of FAT directories that is just enough for `\EFI\BOOT`. Crates for FAT want a cursor that writes, and
//! follow the chains of a damaged file system without bound; here every chain ends after [`MAX_CLUSTERS`].

use super::read::{ReadAt, ReadError, array, le16, le32, up_to};
use crate::model::Architecture;

/// Most clusters of one directory that are read.
const MAX_CLUSTERS: usize = 32;
/// Most bytes of one directory that are read.
const MAX_DIRECTORY: usize = 64 << 10;

/// Where things lie in a FAT file system, in bytes from its start.
struct Layout {
    fat_at: u64,
    /// Start and bytes of the fixed root directory (FAT12 and FAT16), or the root's first cluster (FAT32).
    root: Root,
    data_at: u64,
    cluster: u64,
    bits: u8,
}

enum Root {
    Fixed(u64, usize),
    Cluster(u32),
}

/// Lists the architectures for which `\EFI\BOOT` holds a loader that firmware starts by itself; none if the partition
/// is no FAT file system.
///
/// # Errors
///
/// When the partition cannot be read.
pub(super) fn loaders(partition: &dyn ReadAt) -> Result<Vec<Architecture>, ReadError> {
    if partition.length() < 512 {
        return Ok(Vec::new());
    }
    let Some(layout) = layout(&array(partition, 0)?) else { return Ok(Vec::new()) };
    let root = match layout.root {
        Root::Fixed(at, length) => up_to(partition, at, length)?,
        Root::Cluster(first) => read_chain(partition, &layout, first)?,
    };
    let Some(efi) = find(&root, b"EFI        ") else { return Ok(Vec::new()) };
    let efi = read_chain(partition, &layout, efi)?;
    let Some(boot) = find(&efi, b"BOOT       ") else { return Ok(Vec::new()) };
    let boot = read_chain(partition, &layout, boot)?;
    let names: [(&[u8; 11], Architecture); 3] = [
        (b"BOOTX64 EFI", Architecture::X86_64),
        (b"BOOTAA64EFI", Architecture::Arm64),
        (b"BOOTIA32EFI", Architecture::I386),
    ];
    Ok(names
        .iter()
        .filter(|(name, _)| find(&boot, name).is_some())
        .map(|(_, architecture)| *architecture)
        .collect())
}

/// Reads the boot sector; none if its numbers make no sense.
fn layout(sector: &[u8; 512]) -> Option<Layout> {
    let bytes = u64::from(le16(sector, 11));
    let per_cluster = u64::from(sector[13]);
    let reserved = u64::from(le16(sector, 14));
    let fats = u64::from(sector[16]);
    let root_entries = u64::from(le16(sector, 17));
    let wide = |short: u16, long: u32| if short == 0 { u64::from(long) } else { u64::from(short) };
    let total = wide(le16(sector, 19), le32(sector, 32));
    let fat_sectors = wide(le16(sector, 22), le32(sector, 36));
    if sector[510..] != [0x55, 0xAA]
        || !matches!(bytes, 512 | 1024 | 2048 | 4096)
        || !per_cluster.is_power_of_two()
    {
        return None;
    }
    let root_at = reserved + fats * fat_sectors;
    let root_sectors = (root_entries * 32).div_ceil(bytes);
    let data = root_at + root_sectors;
    let clusters = total.checked_sub(data)? / per_cluster;
    let bits = match clusters {
        0..4085 => 12,
        4085..65525 => 16,
        _ => 32,
    };
    let root = if bits == 32 {
        Root::Cluster(le32(sector, 44))
    } else {
        Root::Fixed(root_at * bytes, usize::try_from(root_entries * 32).ok()?.min(MAX_DIRECTORY))
    };
    Some(Layout { fat_at: reserved * bytes, root, data_at: data * bytes, cluster: per_cluster * bytes, bits })
}

/// Reads a directory, cluster by cluster.
fn read_chain(partition: &dyn ReadAt, layout: &Layout, first: u32) -> Result<Vec<u8>, ReadError> {
    let mut directory = Vec::new();
    let mut cluster = first;
    for _ in 0..MAX_CLUSTERS {
        let Some(index) = cluster.checked_sub(2) else { break };
        let at = layout.data_at + u64::from(index) * layout.cluster;
        let room = MAX_DIRECTORY - directory.len();
        let most = usize::try_from(layout.cluster).expect("at most 128 sectors of 4 KiB").min(room);
        let bytes = up_to(partition, at, most)?;
        let ended = bytes.chunks_exact(32).any(|entry| entry[0] == 0);
        let nothing = bytes.is_empty();
        directory.extend(bytes);
        if ended || nothing {
            break;
        }
        match next(partition, layout, cluster)? {
            Some(following) => cluster = following,
            None => break,
        }
    }
    Ok(directory)
}

/// Returns the cluster after `cluster`; none at the end of the chain.
fn next(partition: &dyn ReadAt, layout: &Layout, cluster: u32) -> Result<Option<u32>, ReadError> {
    let number = u64::from(cluster);
    let (offset, length) = match layout.bits {
        12 => (number + number / 2, 2),
        16 => (number * 2, 2),
        _ => (number * 4, 4),
    };
    let mut entry = up_to(partition, layout.fat_at + offset, length)?;
    entry.resize(4, 0);
    let raw = le32(&entry, 0);
    let (value, end) = match layout.bits {
        12 if cluster.is_multiple_of(2) => (raw & 0xFFF, 0xFF7),
        12 => ((raw >> 4) & 0xFFF, 0xFF7),
        16 => (raw & 0xFFFF, 0xFFF7),
        _ => (raw & 0x0FFF_FFFF, 0x0FFF_FFF7),
    };
    Ok((2..end).contains(&value).then_some(value))
}

/// Returns the first cluster of the entry with this short name.
fn find(directory: &[u8], name: &[u8; 11]) -> Option<u32> {
    const DELETED: u8 = 0xE5;
    const VOLUME_LABEL: u8 = 0x08;
    let entries = directory.chunks_exact(32).take_while(|entry| entry[0] != 0);
    let mut live = entries.filter(|entry| entry[0] != DELETED && entry[11] & VOLUME_LABEL == 0);
    let entry = live.find(|entry| entry[..11].eq_ignore_ascii_case(name))?;
    Some(u32::from(le16(entry, 20)) << 16 | u32::from(le16(entry, 26)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::{esp, put};

    #[test]
    fn loaders_are_found_by_their_names() {
        assert_eq!(loaders(&esp(b"BOOTX64 EFI")).unwrap(), [Architecture::X86_64]);
        assert_eq!(loaders(&esp(b"BOOTAA64EFI")).unwrap(), [Architecture::Arm64]);
        assert_eq!(loaders(&esp(b"bootia32efi")).unwrap(), [Architecture::I386]);
        assert_eq!(loaders(&esp(b"GRUBX64 EFI")).unwrap(), []);
        assert_eq!(loaders(&vec![0; 4096]).unwrap(), []);
        assert_eq!(loaders(&vec![0; 100]).unwrap(), []);
    }

    #[test]
    fn a_directory_of_several_clusters_is_followed_and_a_cycle_ends() {
        let mut disk = esp(b"GRUBX64 EFI");
        let cluster = |number: usize| 33 * 512 + 512 + (number - 2) * 512;
        // \EFI\BOOT goes on in cluster 9, after 16 deleted entries.
        for entry in 0..16 {
            disk[cluster(3) + entry * 32] = 0xE5;
        }
        put(&mut disk, 512 + 3 * 2, &[9, 0]);
        put(&mut disk, 512 + 9 * 2, &[0xFF, 0xFF]);
        put(&mut disk, cluster(9), b"BOOTX64 EFI");
        assert_eq!(loaders(&disk).unwrap(), [Architecture::X86_64]);
        // A chain that comes back to itself, without an end of the directory.
        put(&mut disk, 512 + 3 * 2, &[3, 0]);
        assert_eq!(loaders(&disk).unwrap(), []);
    }

    #[test]
    fn impossible_numbers_are_no_file_system() {
        for (at, bytes) in [(11, [0, 0]), (11, [0xFF, 0xFF]), (13, [0, 0]), (22, [0xFF, 0xFF]), (510, [0, 0])]
        {
            let mut disk = esp(b"BOOTX64 EFI");
            put(&mut disk, at, &bytes);
            assert_eq!(loaders(&disk).unwrap(), [], "{at}");
        }
    }
}
