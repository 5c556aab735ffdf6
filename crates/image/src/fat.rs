//! What a FAT file system holds that firmware starts.
//!
//! A reader of FAT directories that is just enough for `\EFI`. Crates for FAT want a cursor that writes, and
//! follow the chains of a damaged file system without bound; here every chain ends after [`MAX_CLUSTERS`].

use super::filesystem::FileSystem;
use super::read::{array, le16, le32, up_to};
use ossup_core::model::Architecture;
use ossup_core::read::{ReadAt, ReadError};

/// Most clusters of one directory that are read.
const MAX_CLUSTERS: usize = 32;
/// Most bytes of one directory that are read.
const MAX_DIRECTORY: usize = 64 << 10;
/// Most directories below `\EFI` that are looked into.
const MAX_DIRECTORIES: usize = 8;
/// Most programs whose headers are read.
const MAX_PROGRAMS: usize = 16;
/// Fewest clusters of FAT32 (Microsoft's FAT specification).
const FAT32_CLUSTERS: u64 = 65_525;

/// Where things lie in a FAT file system, in bytes from its start.
pub(super) struct Layout {
    fat_at: u64,
    /// Start and bytes of the fixed root directory (FAT12 and FAT16), or the root's first cluster (FAT32).
    pub(super) root: Root,
    data_at: u64,
    pub(super) cluster: u64,
    clusters: u64,
    bits: u8,
}

/// Where the root directory is.
pub(super) enum Root {
    Fixed(u64, usize),
    Cluster(u32),
}

/// What a FAT file system holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bootable {
    /// Architectures for which `\EFI\BOOT` holds a loader that firmware starts by itself.
    pub(super) loaders: Vec<Architecture>,
    /// Architectures of the programs elsewhere below `\EFI`, which firmware starts only if it was configured to.
    pub(super) elsewhere: Vec<Architecture>,
    /// The root holds what a boot sector for BIOS loads.
    pub(super) bios_system: bool,
    /// Claims to be FAT32, but is too small for that, so that readers disagree about what it is.
    pub(super) undersized: bool,
}

impl Bootable {
    /// Whether firmware finds a loader by itself. ECS has no UEFI of 32 bits.
    pub(super) fn has_loader(&self) -> bool {
        self.loaders.iter().any(|architecture| *architecture != Architecture::I386)
    }
}

/// Looks for what firmware starts; none if the partition is not a FAT file system.
///
/// # Errors
///
/// When the partition cannot be read.
pub(super) fn examine(partition: &dyn ReadAt) -> Result<Option<Bootable>, ReadError> {
    if partition.length() < 512 {
        return Ok(None);
    }
    let Some(layout) = layout(&array(partition, 0)?) else { return Ok(None) };
    let root = match layout.root {
        Root::Fixed(at, length) => up_to(partition, at, length)?,
        Root::Cluster(first) => read_chain(partition, &layout, first)?,
    };
    let mut found = Bootable {
        bios_system: [b"LDLINUX SYS", b"IO      SYS", b"KERNEL  SYS", b"NTLDR      ", b"BOOTMGR    "]
            .iter()
            .any(|name| file(&root, name).is_some()),
        undersized: layout.bits == 32 && layout.clusters < FAT32_CLUSTERS,
        ..Bootable::default()
    };
    let Some(efi) = directory(&root, b"EFI        ") else { return Ok(Some(found)) };
    let efi = read_chain(partition, &layout, efi)?;
    let mut programs = 0;
    // What a stream has not brought yet ends nothing, so that it is asked for all of it in time.
    let mut unseen = None;
    let inside = entries(&efi).filter(|entry| is_directory(entry) && entry[0] != b'.');
    for entry in inside.take(MAX_DIRECTORIES) {
        let files = match read_chain(partition, &layout, first_cluster(entry)) {
            Err(error @ ReadError::Unseen { .. }) => {
                unseen = Some(error);
                continue;
            }
            files => files?,
        };
        if entry[..11].eq_ignore_ascii_case(b"BOOT       ") {
            let there = FALLBACKS.iter().filter(|(name, _)| file(&files, name).is_some());
            found.loaders = there.map(|(_, architecture)| *architecture).collect();
        }
        let is_fallback =
            |entry: &[u8]| FALLBACKS.iter().any(|(name, _)| entry[..11].eq_ignore_ascii_case(*name));
        let others = entries(&files).filter(|entry| {
            is_file(entry) && entry[8..11].eq_ignore_ascii_case(b"EFI") && !is_fallback(entry)
        });
        for program in others {
            programs += 1;
            if programs > MAX_PROGRAMS {
                return unseen.map_or(Ok(Some(found)), Err);
            }
            let architecture = match machine(partition, &layout, program) {
                Err(error @ ReadError::Unseen { .. }) => {
                    unseen = Some(error);
                    continue;
                }
                architecture => architecture?,
            };
            let Some(architecture) = architecture else { continue };
            if !found.elsewhere.contains(&architecture) {
                found.elsewhere.push(architecture);
            }
        }
    }
    unseen.map_or(Ok(Some(found)), Err)
}

/// The loaders that firmware starts by itself (UEFI specification, "Removable media boot behavior").
const FALLBACKS: [(&[u8; 11], Architecture); 3] = [
    (b"BOOTX64 EFI", Architecture::X86_64),
    (b"BOOTAA64EFI", Architecture::Arm64),
    (b"BOOTIA32EFI", Architecture::I386),
];

/// Returns the architecture of a program by its header (PE), else by the end of its name.
fn machine(partition: &dyn ReadAt, layout: &Layout, entry: &[u8]) -> Result<Option<Architecture>, ReadError> {
    let head = match layout.at(first_cluster(entry)) {
        Some(at) => up_to(partition, at, 1024)?,
        None => Vec::new(),
    };
    if head.starts_with(b"MZ") && head.len() == 1024 {
        let at = le32(&head, 60) as usize;
        if let Some([b'P', b'E', 0, 0, low, high]) = head.get(at..at.saturating_add(6)) {
            return Ok(match u16::from_le_bytes([*low, *high]) {
                0x8664 => Some(Architecture::X86_64),
                0xAA64 => Some(Architecture::Arm64),
                0x014C => Some(Architecture::I386),
                _ => None,
            });
        }
    }
    let name = entry[..8].trim_ascii_end().to_ascii_uppercase();
    let ends =
        [(&b"X64"[..], Architecture::X86_64), (b"AA64", Architecture::Arm64), (b"IA32", Architecture::I386)];
    Ok(ends.iter().find(|(end, _)| name.ends_with(end)).map(|(_, architecture)| *architecture))
}

/// Returns which FAT a boot sector describes; none if it describes no file system.
pub(super) fn kind(sector: &[u8; 512]) -> Option<FileSystem> {
    if !matches!(sector[0], 0xEB | 0xE9) {
        return None;
    }
    layout(sector).map(|layout| match layout.bits {
        12 => FileSystem::Fat12,
        16 => FileSystem::Fat16,
        _ => FileSystem::Fat32,
    })
}

/// Reads the boot sector; none if its numbers make no sense.
pub(super) fn layout(sector: &[u8; 512]) -> Option<Layout> {
    let bytes = u64::from(le16(sector, 11));
    let per_cluster = u64::from(sector[13]);
    let reserved = u64::from(le16(sector, 14));
    let fats = u64::from(sector[16]);
    let root_entries = u64::from(le16(sector, 17));
    let wide = |short: u16, long: u32| if short == 0 { u64::from(long) } else { u64::from(short) };
    let total = wide(le16(sector, 19), le32(sector, 32));
    let short_fat = le16(sector, 22);
    let fat_sectors = wide(short_fat, le32(sector, 36));
    if sector[510..] != [0x55, 0xAA]
        || !matches!(bytes, 512 | 1024 | 2048 | 4096)
        || !per_cluster.is_power_of_two()
        || fats == 0
        || reserved == 0
    {
        return None;
    }
    let root_at = reserved + fats * fat_sectors;
    let root_sectors = (root_entries * 32).div_ceil(bytes);
    let data = root_at + root_sectors;
    let clusters = total.checked_sub(data)? / per_cluster;
    // FAT32 is recognised by its wide field, as firmware and Linux do, also small ones that mkfs was forced to make.
    let bits = match clusters {
        _ if short_fat == 0 => 32,
        0..4085 => 12,
        4085..FAT32_CLUSTERS => 16,
        _ => return None,
    };
    let root = if bits == 32 {
        Root::Cluster(le32(sector, 44))
    } else {
        Root::Fixed(root_at * bytes, usize::try_from(root_entries * 32).ok()?.min(MAX_DIRECTORY))
    };
    let (data_at, cluster) = (data * bytes, per_cluster * bytes);
    Some(Layout { fat_at: reserved * bytes, root, data_at, cluster, clusters, bits })
}

impl Layout {
    /// Returns where a cluster begins; none for the two numbers that name no cluster.
    pub(super) fn at(&self, cluster: u32) -> Option<u64> {
        cluster.checked_sub(2).map(|index| self.data_at + u64::from(index) * self.cluster)
    }

    /// Returns where the table says which cluster follows, and by how many bits what is read there is to be shifted.
    pub(super) fn link(&self, cluster: u32) -> (u64, u32) {
        let number = u64::from(cluster);
        let (offset, shift) = match self.bits {
            12 => (number + number / 2, if cluster.is_multiple_of(2) { 0 } else { 4 }),
            16 => (number * 2, 0),
            _ => (number * 4, 0),
        };
        (self.fat_at + offset, shift)
    }

    /// Returns the cluster that follows, of what the table says; none at the end of the chain.
    pub(super) fn following(&self, raw: u32) -> Option<u32> {
        let (value, end) = match self.bits {
            12 => (raw & 0xFFF, 0xFF7),
            16 => (raw & 0xFFFF, 0xFFF7),
            _ => (raw & 0x0FFF_FFFF, 0x0FFF_FFF7),
        };
        (2..end).contains(&value).then_some(value)
    }
}

/// Reads a directory, cluster by cluster.
fn read_chain(partition: &dyn ReadAt, layout: &Layout, first: u32) -> Result<Vec<u8>, ReadError> {
    let mut directory = Vec::new();
    let mut cluster = first;
    for _ in 0..MAX_CLUSTERS {
        let Some(at) = layout.at(cluster) else { break };
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
    let (offset, shift) = layout.link(cluster);
    let mut entry = up_to(partition, offset, if layout.bits == 32 { 4 } else { 2 })?;
    entry.resize(4, 0);
    Ok(layout.following(le32(&entry, 0) >> shift))
}

/// Lists the entries of a directory that name something: not those deleted, labels and parts of long names.
fn entries(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    const DELETED: u8 = 0xE5;
    const VOLUME_LABEL: u8 = 0x08;
    let entries = directory.chunks_exact(32).take_while(|entry| entry[0] != 0);
    entries.filter(|entry| entry[0] != DELETED && entry[11] & VOLUME_LABEL == 0)
}

fn is_directory(entry: &[u8]) -> bool {
    entry[11] & 0x10 != 0
}

/// Whether an entry is a file that holds something.
fn is_file(entry: &[u8]) -> bool {
    !is_directory(entry) && le32(entry, 28) != 0
}

fn first_cluster(entry: &[u8]) -> u32 {
    u32::from(le16(entry, 20)) << 16 | u32::from(le16(entry, 26))
}

/// Returns the entry of the file with this short name.
fn file<'a>(directory: &'a [u8], name: &[u8; 11]) -> Option<&'a [u8]> {
    entries(directory).find(|entry| is_file(entry) && entry[..11].eq_ignore_ascii_case(name))
}

/// Returns the first cluster of the directory with this short name.
fn directory(inside: &[u8], name: &[u8; 11]) -> Option<u32> {
    let found = entries(inside).find(|entry| is_directory(entry) && entry[..11].eq_ignore_ascii_case(name));
    found.map(first_cluster)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{esp, put};

    fn loaders(partition: &[u8]) -> Vec<Architecture> {
        examine(&partition.to_vec()).unwrap().unwrap_or_default().loaders
    }

    #[test]
    fn loaders_are_found_by_their_names() {
        assert_eq!(loaders(&esp(b"BOOTX64 EFI")), [Architecture::X86_64]);
        assert_eq!(loaders(&esp(b"BOOTAA64EFI")), [Architecture::Arm64]);
        assert_eq!(loaders(&esp(b"bootia32efi")), [Architecture::I386]);
        assert_eq!(loaders(&esp(b"GRUBX64 EFI")), []);
        assert_eq!(examine(&vec![0; 4096]).unwrap(), None);
        assert_eq!(examine(&vec![0; 100]).unwrap(), None);
    }

    /// Start of a cluster of [`esp`].
    fn cluster(number: usize) -> usize {
        33 * 512 + 512 + (number - 2) * 512
    }

    #[test]
    fn an_empty_loader_is_none() {
        let mut disk = esp(b"BOOTX64 EFI");
        put(&mut disk, cluster(3) + 28, &[0; 4]);
        assert_eq!(loaders(&disk), []);
    }

    #[test]
    fn programs_that_firmware_does_not_start_by_itself_say_their_architecture() {
        let elsewhere = |disk: &[u8]| examine(&disk.to_vec()).unwrap().unwrap().elsewhere;
        assert_eq!(elsewhere(&esp(b"GRUBAA64EFI")), [Architecture::Arm64], "by its name");
        assert_eq!(elsewhere(&esp(b"SYSTEM~1EFI")), []);
        let mut disk = esp(b"SYSTEM~1EFI");
        put(&mut disk, cluster(4), b"MZ");
        put(&mut disk, cluster(4) + 60, &[0x80]);
        put(&mut disk, cluster(4) + 0x80, b"PE\0\0\x64\xAA");
        assert_eq!(elsewhere(&disk), [Architecture::Arm64], "by its header");
        assert_eq!(elsewhere(&esp(b"BOOTX64 EFI")), [], "that one is where firmware looks");
    }

    #[test]
    fn a_small_fat32_is_read_as_firmware_reads_it() {
        let mut disk = esp(b"BOOTX64 EFI");
        // The same file system, its root a chain of its own: 32 sectors of table, one of root in cluster 5.
        let root: Vec<u8> = disk[33 * 512..34 * 512].to_vec();
        put(&mut disk, 17, &[0, 0]);
        put(&mut disk, 22, &[0, 0]);
        put(&mut disk, 36, &32u32.to_le_bytes());
        put(&mut disk, 44, &5u32.to_le_bytes());
        disk.copy_within(34 * 512..37 * 512, 33 * 512); // without a fixed root the clusters begin there
        put(&mut disk, 33 * 512 + 3 * 512, &root);
        for number in [2, 3, 4, 5] {
            put(&mut disk, 512 + number * 4, &0x0FFF_FFFFu32.to_le_bytes());
        }
        let found = examine(&disk).unwrap().unwrap();
        assert_eq!((found.loaders, found.undersized), (vec![Architecture::X86_64], true));
        assert_eq!(kind(disk[..512].try_into().unwrap()), Some(FileSystem::Fat32));
    }

    #[test]
    fn a_directory_of_several_clusters_is_followed_and_a_cycle_ends() {
        let mut disk = esp(b"GRUBX64 EFI");
        // \EFI\BOOT goes on in cluster 9, after 16 deleted entries.
        for entry in 0..16 {
            disk[cluster(3) + entry * 32] = 0xE5;
        }
        put(&mut disk, 512 + 3 * 2, &[9, 0]);
        put(&mut disk, 512 + 9 * 2, &[0xFF, 0xFF]);
        put(&mut disk, cluster(9), b"BOOTX64 EFI");
        put(&mut disk, cluster(9) + 28, &[2]);
        assert_eq!(loaders(&disk), [Architecture::X86_64]);
        // A chain that comes back to itself, without an end of the directory.
        put(&mut disk, 512 + 3 * 2, &[3, 0]);
        assert_eq!(loaders(&disk), []);
    }

    #[test]
    fn impossible_numbers_are_no_file_system() {
        for (at, bytes) in [(11, [0, 0]), (11, [0xFF, 0xFF]), (13, [0, 0]), (22, [0xFF, 0xFF]), (510, [0, 0])]
        {
            let mut disk = esp(b"BOOTX64 EFI");
            put(&mut disk, at, &bytes);
            assert_eq!(examine(&disk).unwrap(), None, "{at}");
        }
    }
}
