//! What killed demonstrations leave behind: a folder with gigabytes each.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Name of the file that a demonstration locks in its folder for as long as it runs.
const LOCK: &str = "ossup-demo.lock";
/// Prefix of the folders' names.
pub(super) const PREFIX: &str = "ossup-demo-";

/// Marks a folder as this demonstration's, until the file is dropped.
pub(super) fn mark(folder: &Path) -> io::Result<File> {
    let file = File::create_new(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

/// Removes the folders that killed demonstrations left behind, and returns how many: those of this user with a mark
/// that no process holds.
pub(super) fn remove(temporary: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(temporary) else { return 0 };
    let folders = entries.flatten().filter(|entry| {
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        named && entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_left(&entry.path())
    });
    folders.filter(|folder| std::fs::remove_dir_all(folder.path()).is_ok()).count()
}

fn is_left(folder: &Path) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    let owned = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|entry| entry.uid() == ours);
    let lock = folder.join(LOCK);
    let regular = std::fs::symlink_metadata(&lock).is_ok_and(|entry| entry.is_file());
    regular && owned(folder) && owned(&lock) && File::open(&lock).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_demonstration_left_is_removed_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = temporary.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("demo.raw"), "x").unwrap();
            folder
        };
        let left = make("ossup-demo-left");
        drop(mark(&left).unwrap());
        let running = make("ossup-demo-running");
        let held = mark(&running).unwrap();
        let users = make("ossup-demo-of-somebody");
        let other = make("something-else");
        drop(mark(&other).unwrap());
        assert_eq!(remove(temporary.path()), 1);
        assert!(!left.exists() && running.exists() && users.exists() && other.exists());
        drop(held);
    }
}
