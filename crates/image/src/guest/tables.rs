use std::sync::Arc;

use super::recent::Recent;
use crate::read::{array, up_to};
use ossup_core::read::{ReadAt, ReadError};

/// Unit in which tables are read (4 KiB): with clusters of 64 KiB the entries of 32 MiB of the disk.
const SLICE: u64 = 4 << 10;
/// Most slices that are held, which is 1 MiB, however large the image: enough for 100 threads and more that read at
/// places of their own.
const MOST: usize = 256;

/// The entries of an image's tables.
#[derive(Debug)]
pub(crate) struct Tables(Recent);

impl Tables {
    pub(super) fn new() -> Self {
        Self(Recent::new(MOST))
    }

    /// Returns the `N` bytes at an offset of the file.
    pub(crate) fn entry<const N: usize>(&self, file: &dyn ReadAt, at: u64) -> Result<[u8; N], ReadError> {
        let start = at / SLICE * SLICE;
        let inside = usize::try_from(at - start).expect("less than 4 KiB");
        if inside + N > SLICE as usize {
            // Only in a table that is not aligned.
            return array(file, at);
        }
        let slice = match self.0.get(start) {
            Some(slice) => slice,
            None => {
                let slice: Arc<[u8]> = up_to(file, start, SLICE as usize)?.into();
                self.0.put(start, Arc::clone(&slice));
                slice
            }
        };
        let entry = slice.get(inside..inside + N).and_then(|entry| entry.try_into().ok());
        entry.ok_or(ReadError::PastEnd { offset: at, length: N as u64 })
    }
}

#[cfg(test)]
impl Tables {
    pub(super) fn held(&self) -> usize {
        self.0.len()
    }
}
