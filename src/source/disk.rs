use std::io;
use std::sync::Arc;

use super::{Source, SourceIdentity, Witness};
use crate::image::{OpenDiskError, open_disk};
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError};

/// The disk inside an image file. The bytes are the disk's; whether they changed is told by the file.
#[derive(Debug)]
pub struct DiskSource {
    disk: Arc<dyn ReadAt>,
    file: Arc<dyn Source>,
    identity: Option<SourceIdentity>,
}

impl DiskSource {
    /// Opens the disk inside a QCOW2 or VHD file; a RAW file is its own disk. Reads the file's tables, so async code
    /// calls it on a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`open_disk`] says.
    pub fn open(file: Arc<dyn Source>) -> Result<Self, OpenDiskError> {
        let disk = open_disk(Arc::clone(&file) as Arc<dyn ReadAt>)?;
        let identity = file.identity().map(|identity| of_disk(identity.clone(), identity, disk.length()));
        Ok(Self { disk, file, identity })
    }
}

/// Returns the identity of a disk of `length` bytes from its file's as it is now. The length of what is uploaded is
/// the disk's; that of a file whose own length changed is one that shows it.
fn of_disk(now: SourceIdentity, opened: &SourceIdentity, length: u64) -> SourceIdentity {
    if now.may_be_as_long(opened) { now.with_length(length) } else { now }
}

impl ReadAt for DiskSource {
    fn length(&self) -> u64 {
        self.disk.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.disk.read_at(offset, buffer)
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.disk.read_ready(offset, buffer)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
        self.disk.next_data(from)
    }

    fn will_need(&self, range: ByteRange) {
        self.disk.will_need(range);
    }

    fn done_with(&self, range: ByteRange) {
        self.disk.done_with(range);
    }
}

impl Source for DiskSource {
    fn identity(&self) -> Option<&SourceIdentity> {
        self.identity.as_ref()
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        let (now, opened) = (self.file.current_identity()?, self.file.identity());
        Ok(now.zip(opened).map(|(now, opened)| of_disk(now, opened, self.disk.length())))
    }

    fn settle(&self) {
        self.file.settle();
    }

    fn witness(&self) -> Witness {
        self.file.witness()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use super::super::FileSource;
    use super::*;
    use crate::image::testing::{dynamic_vhd, mbr_disk, qcow2};

    fn open(path: &Path) -> DiskSource {
        DiskSource::open(Arc::new(FileSource::open(path).unwrap())).unwrap()
    }

    fn difference(source: &DiskSource) -> Option<String> {
        let now = source.current_identity().unwrap().unwrap();
        now.difference(source.identity().unwrap()).map(|change| change.to_string())
    }

    #[test]
    fn the_bytes_are_the_disks_and_the_rest_is_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let disk = mbr_disk();
        for image in [disk.clone(), qcow2(&disk), dynamic_vhd(&disk)] {
            std::fs::write(&path, &image).unwrap();
            let source = open(&path);
            let mut read = vec![0; disk.len()];
            source.read_at(0, &mut read).unwrap();
            assert!(read == disk);
            let identity = source.identity().unwrap();
            assert_eq!((identity.length(), identity.path()), (Some(source.length()), Some(path.as_path())));
            assert_eq!(difference(&source), None);
            source.settle();
            assert_eq!(source.witness(), Witness::Always);
            source.will_need(ByteRange::new(0, 1 << 20));
            source.done_with(ByteRange::new(0, source.length()));
        }
    }

    #[test]
    fn an_image_file_that_changes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        let change = |how: &dyn Fn(&File)| {
            std::fs::write(&path, qcow2(&mbr_disk())).unwrap();
            let source = open(&path);
            how(&File::options().write(true).open(&path).unwrap());
            difference(&source)
        };
        let grown = change(&|file| file.set_len(9 << 20).unwrap());
        assert_eq!(grown.as_deref(), Some("its size changed"));
        let written = change(&|file| {
            file.write_all_at(b"x", 5 << 20).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        });
        assert_eq!(written.as_deref(), Some("its modification time changed"));
    }

    #[test]
    fn a_cut_image_gives_an_error_and_no_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        std::fs::write(&path, qcow2(&mbr_disk())).unwrap();
        let source = open(&path);
        File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
        let error = source.read_at(4 << 20, &mut [0; 512]).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
    }
}
