//! What the system knows of a block device, and of the file system of a file: who holds it, how much was written to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::Witness;

/// Opens a file to be read. Exclusively means that the system refuses a device (`ResourceBusy`) that is mounted or
/// held, and keeps others from mounting it as long as the file is open.
pub(super) fn open(path: &Path, exclusive: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if exclusive && cfg!(target_os = "linux") {
        options.custom_flags(rustix::fs::OFlags::EXCL.bits().cast_signed());
    }
    options.open(path)
}

/// Returns how far the identity of an open file shows that its content changed.
pub(super) fn witness(file: &File) -> Witness {
    let Ok(metadata) = file.metadata() else { return Witness::Never };
    if metadata.file_type().is_block_device() {
        return match written(metadata.rdev()) {
            Some(_) => Witness::WhileOpen,
            None => Witness::Never,
        };
    }
    if keeps_times(file) { Witness::Always } else { Witness::Never }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{used_by, written};

/// Whether writing through a mapping moves the times of a file; it does not where there is no disk to write to.
#[cfg(target_os = "linux")]
fn keeps_times(file: &File) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    const HUGETLBFS: u64 = 0x9584_58f6;
    // The type of the number differs between architectures.
    rustix::fs::fstatfs(file)
        .is_ok_and(|fs| ![TMPFS, RAMFS, HUGETLBFS].contains(&(fs.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn keeps_times(_file: &File) -> bool {
    true
}

#[cfg(not(target_os = "linux"))]
pub(super) fn written(_device: u64) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn used_by(_device: u64) -> String {
    "something holds it".to_owned()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};

    use super::MetadataExt;

    fn folder(device: u64) -> PathBuf {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
    }

    /// Returns a number that grows with every write to the device that reached it; nothing if the system does not
    /// count all of them.
    pub(in super::super) fn written(device: u64) -> Option<u64> {
        let folder = std::fs::canonicalize(folder(device)).ok()?;
        // What is written to the file behind a loop device passes it by.
        if folder.join("loop").exists() {
            return None;
        }
        let own = counted(&folder)?;
        // What is written to the disk itself is not counted for its partition.
        match folder.join("partition").exists() {
            true => Some(own + counted(folder.parent()?)?),
            false => own.into(),
        }
    }

    fn counted(folder: &Path) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let counts = read("queue/iostats").or_else(|| read("../queue/iostats"))?;
        if counts.trim() != "1" {
            return None;
        }
        changes(&read("stat")?)
    }

    /// Sums up what changes a device: sectors written and discarded, and the requests of both ("Block layer
    /// statistics in /sys/block/<dev>/stat").
    pub(super) fn changes(stat: &str) -> Option<u64> {
        let fields: Option<Vec<u64>> = stat.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        let fields = fields?;
        let written = fields.get(4)? + fields.get(6)?;
        Some(written + fields.get(11).unwrap_or(&0) + fields.get(13).unwrap_or(&0))
    }

    /// Describes what holds a device: where it or a part of it is mounted, or what lies on top of it.
    pub(in super::super) fn used_by(device: u64) -> String {
        let mut devices = vec![device];
        let mut holders = Vec::new();
        if let Ok(entries) = std::fs::read_dir(folder(device)) {
            for entry in entries.flatten() {
                devices.extend(std::fs::read_to_string(entry.path().join("dev")).ok().and_then(number));
            }
        }
        for device in &devices {
            if let Ok(entries) = std::fs::read_dir(folder(*device).join("holders")) {
                holders
                    .extend(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()));
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let is_ours = |number_text: &str, source: &str| {
            number(number_text.to_owned()).is_some_and(|number| devices.contains(&number))
                || std::fs::metadata(source).is_ok_and(|of| devices.contains(&of.rdev()) && of.rdev() != 0)
        };
        match mounted_at(&mounts, is_ours) {
            Some(point) => format!("it is mounted at `{point}`"),
            None if !holders.is_empty() => format!("`{}` lies on top of it", holders.join("`, `")),
            None => "another program holds it".to_owned(),
        }
    }

    fn number(text: String) -> Option<u64> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
    }

    /// Returns the first mount point whose device's number or path fits.
    pub(super) fn mounted_at(mounts: &str, fits: impl Fn(&str, &str) -> bool) -> Option<String> {
        mounts.lines().find_map(|line| {
            let (fields, source) = line.split_once(" - ")?;
            let mut fields = fields.split(' ').skip(2);
            let (number, point) = (fields.next()?, fields.nth(1)?);
            let source = source.split(' ').nth(1)?;
            fits(number, source).then(|| point.to_owned())
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::{changes, mounted_at};

    #[test]
    fn writes_and_discards_move_the_number_and_reads_do_not() {
        let stat = |read: u64, written: u64, discarded: u64| {
            let line =
                format!("{read} 0 {read} 9 {written} 0 {written} 9 0 9 9 {discarded} 0 {discarded} 9 5 5");
            changes(&line).unwrap()
        };
        assert_eq!(stat(1, 4, 2), stat(9, 4, 2));
        assert_ne!(stat(1, 4, 2), stat(1, 5, 2));
        assert_ne!(stat(1, 4, 2), stat(1, 4, 3));
        assert_eq!(changes("1 2 3 4 5 6 7 8 9 10 11"), Some(12));
        assert_eq!(changes("1 2 3"), None);
    }

    #[test]
    fn a_mount_is_found_by_number_and_by_path() {
        let mounts = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      40 22 0:31 /sub /srv/data rw - btrfs /dev/sdb rw\n";
        assert_eq!(mounted_at(mounts, |number, _| number == "254:0").as_deref(), Some("/"));
        assert_eq!(mounted_at(mounts, |_, source| source == "/dev/sdb").as_deref(), Some("/srv/data"));
        assert_eq!(mounted_at(mounts, |_, _| false), None);
    }
}
