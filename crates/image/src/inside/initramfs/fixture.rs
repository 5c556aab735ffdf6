//! Archives for the tests, and a body for a fuzzer.

use super::{File, look_for};
use crate::inside::volume::Reason;

impl File for &[u8] {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Reason> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Looks through an initial RAM file system of any bytes.
pub fn look_through_initramfs(bytes: &[u8]) {
    let found = look_for(&["virtio_blk", "nvme", "never_there"], "6.1.0-28-amd64", &mut &*bytes);
    // What was jumped over is not read, and nothing is read twice.
    assert!(found.read <= bytes.len() as u64);
    assert_eq!(found.seen.len(), 3);
}

/// Makes an archive of files with these names and contents.
#[cfg(test)]
pub(in crate::inside) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files.iter().copied().chain([("TRAILER!!!", b"".as_slice())]) {
        bytes.extend(b"070701");
        let numbers = [0, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend(numbers.map(|number| format!("{number:08X}")).concat().into_bytes());
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}
