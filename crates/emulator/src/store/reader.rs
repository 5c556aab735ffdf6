use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use super::blob::Blobs;
use super::records::{Segment, SegmentSource};
use super::{Object, StoreError};
use ossup_core::model::ByteRange;

/// Reads an object's bytes at any position. The bytes stay as they are even if the object is overwritten or
/// deleted in the meantime.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    object: Arc<Object>,
    blobs: Blobs,
    /// Where each segment starts in the object.
    starts: Vec<u64>,
    /// The file that was read last, and the segment it belongs to.
    open: Mutex<Option<(usize, File)>>,
}

impl ObjectReader {
    /// Prepares to read; nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Discarded`] if the object's bytes were thrown away.
    pub(super) fn new(object: Arc<Object>, blobs: Blobs) -> Result<Self, StoreError> {
        let mut starts = Vec::with_capacity(object.record.segments.len());
        let mut start = 0;
        for segment in &object.record.segments {
            if segment.source == SegmentSource::Discarded {
                return Err(StoreError::Discarded);
            }
            starts.push(start);
            start += segment.len;
        }
        Ok(Self { object, blobs, starts, open: Mutex::default() })
    }

    /// Returns the object's size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.object.record.size
    }

    /// Reads bytes from `offset` on into `buffer` and returns how many; 0 only at the end.
    ///
    /// # Errors
    ///
    /// When the store's file cannot be read.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len() || buffer.is_empty() {
            return Ok(0);
        }
        let index = self.starts.partition_point(|start| *start <= offset) - 1;
        let segment = &self.object.record.segments[index];
        let within = offset - self.starts[index];
        let wanted = (segment.len - within).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..wanted];
        match segment.source {
            SegmentSource::Hole => buffer.fill(0),
            SegmentSource::Discarded => return Err(io::Error::other(StoreError::Discarded)),
            SegmentSource::Blob { id, offset } => {
                let mut open = self.open.lock().expect("no panic while the lock is held");
                if open.as_ref().is_none_or(|(at, _)| *at != index) {
                    *open = Some((index, self.blobs.open(id)?));
                }
                let (_, file) = open.as_ref().expect("it was just opened");
                file.read_exact_at(buffer, offset + within)?;
            }
        }
        Ok(wanted)
    }
}

/// Returns the segments that make up `range` of an object made of `segments`. No byte is moved.
pub(crate) fn slice(segments: &[Segment], range: ByteRange) -> Vec<Segment> {
    let mut slices = Vec::new();
    let mut start = 0;
    for segment in segments {
        let end = start + segment.len;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let source = match &segment.source {
                SegmentSource::Blob { id, offset } => {
                    SegmentSource::Blob { id: *id, offset: offset + (from - start) }
                }
                other => other.clone(),
            };
            let whole = from == start && to == end;
            slices.push(Segment { len: to - from, source, sums: segment.sums.filter(|_| whole) });
        }
        start = end;
    }
    slices
}
