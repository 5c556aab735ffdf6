use std::fmt;
use std::io;

use super::{Source, SourceIdentity};
use crate::read::{ReadAt, ReadError, check_range};

/// Bytes that are computed when they are read, always the same ones at a place.
pub(crate) struct Made<F> {
    length: u64,
    make: F,
}

impl<F> Made<F>
where
    F: Fn(u64, &mut [u8]) -> usize + Send + Sync + 'static,
{
    /// Takes how many bytes there are, and what fills the beginning of a buffer, which is never empty, with those from a
    /// place on, and returns how many it filled.
    pub(crate) fn new(length: u64, make: F) -> Self {
        Self { length, make }
    }
}

impl<F> fmt::Debug for Made<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<F> ReadAt for Made<F>
where
    F: Fn(u64, &mut [u8]) -> usize + Send + Sync + 'static,
{
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        let mut done = 0;
        while done < buffer.len() {
            done += (self.make)(offset + done as u64, &mut buffer[done..]);
        }
        Ok(())
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.read_at(offset, buffer).is_ok().then_some(buffer.len()).filter(|count| *count > 0)
    }
}

impl<F> Source for Made<F>
where
    F: Fn(u64, &mut [u8]) -> usize + Send + Sync + 'static,
{
    fn identity(&self) -> Option<&SourceIdentity> {
        None
    }

    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        Ok(None)
    }
}
