//! A RAW disk as QCOW2: its clusters of data one behind the other, and what says where they belong.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::blocks::{Content, Segment};
use crate::image::qcow2::write::{CLUSTER, Writer};
use crate::model::{ByteRange, Qcow2Compat};
use crate::source::Made;

/// A conversion under way. It is told the disk in order, in whole clusters but for its end.
#[derive(Debug)]
pub(super) struct Conversion {
    writer: Writer,
}

impl Conversion {
    pub(super) fn new(compat: Qcow2Compat) -> Self {
        Self { writer: Writer::new(compat) }
    }

    /// Takes clusters of data, and returns where in the object they go, with the last one filled up.
    pub(super) fn data(&mut self, segment: Segment) -> io::Result<(u64, Content)> {
        let clusters = segment.len().div_ceil(CLUSTER);
        let at = self.writer.data(clusters).map_err(io::Error::other)?;
        let padding = clusters * CLUSTER - segment.len();
        let mut content = Content::from(segment);
        content.push(Segment::Zeros(padding));
        Ok((at, content))
    }

    /// Takes zeros.
    pub(super) fn zeros(&mut self, count: u64) -> io::Result<()> {
        // A cluster that is not whole ends the disk, up to which there are zeros anyway.
        self.writer.zeros(count / CLUSTER).map_err(io::Error::other)
    }

    /// Ends the disk, and returns what else the object has, the header last, and the object's length.
    pub(super) fn end(self, disk_length: u64) -> io::Result<([(u64, Content); 2], u64)> {
        let tail = self.writer.finish(disk_length).map_err(io::Error::other)?;
        let (at, length) = (tail.tables_at(), tail.object_length());
        let header = Content::from(Segment::Held(Bytes::from(tail.header())));
        // Each cluster of the tables is made when it is read: of a large disk they need not fit into memory.
        let tables = Made::new(length - at, move |at, rest| {
            let table = tail.table(at / CLUSTER);
            let inside = &table[(at % CLUSTER) as usize..];
            let count = inside.len().min(rest.len());
            rest[..count].copy_from_slice(&inside[..count]);
            count
        });
        let tables = Content::read(Arc::new(tables), ByteRange::new(0, length - at));
        Ok(([(at, tables), (0, header)], length))
    }
}
