//! Reads an image in order, on a thread of its own, and tells what there is: data and zeros.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::maker::{Maker, Stop};
use crate::blocks::{BLOCK_SIZE, Limits, Segment, is_zero};
use crate::image::qcow2::write::CLUSTER;
use crate::model::ByteRange;
use crate::source::Source;

/// How much of a source is asked for ahead.
const READ_AHEAD: u64 = 4 << 20;

/// Tells an image that can be read at any position. Its holes are not read, and its data is referred to.
pub(super) fn scan(source: &Arc<dyn Source>, mut maker: Maker) {
    let told = walk(source, &mut maker);
    maker.conclude(told);
}

fn walk(source: &Arc<dyn Source>, maker: &mut Maker) -> Result<(), Stop> {
    let length = source.length();
    let mut block = vec![0; BLOCK_SIZE];
    let mut at = 0;
    while at < length {
        // Clusters of which a part is data are data.
        let next = source.next_data(at)?;
        let start = next.map_or(length, |data| (data.start / CLUSTER * CLUSTER).max(at));
        if start > at {
            maker.zeros(start - at)?;
        }
        at = start;
        let end = next.map_or(length, |data| data.end.next_multiple_of(CLUSTER).min(length));
        let mut advised = at;
        while at < end {
            if advised < at + READ_AHEAD / 2 {
                let ahead = ByteRange::new(advised, (at + READ_AHEAD).min(end).max(advised));
                source.will_need(ahead);
                advised = ahead.end;
            }
            let bytes = &mut block[..(end - at).min(BLOCK_SIZE as u64) as usize];
            source.read_at(at, bytes).map_err(io::Error::from)?;
            tell(bytes, maker, |from, to| {
                Segment::Read(Arc::clone(source), ByteRange::new(at + from as u64, at + to as u64))
            })?;
            at += bytes.len() as u64;
        }
    }
    Ok(())
}

/// Tells a stream. What is data is held, in blocks of the pool.
pub(super) fn pass(mut reader: Box<dyn Read + Send>, pool: &Limits, runtime: &Handle, mut maker: Maker) {
    let told = read(&mut *reader, pool, runtime, &mut maker);
    maker.conclude(told);
}

fn read(reader: &mut dyn Read, pool: &Limits, runtime: &Handle, maker: &mut Maker) -> Result<(), Stop> {
    let mut blocks = pool.waiter();
    loop {
        let mut block = runtime.block_on(std::future::poll_fn(|cx| blocks.poll_block(cx)));
        let count = fill(reader, block.bytes_mut())?;
        let bytes = block.freeze(count);
        let held = bytes.clone();
        tell(&bytes, maker, |from, to| Segment::Held(held.slice(from..to)))?;
        maker.flush()?;
        if count < BLOCK_SIZE {
            return Ok(());
        }
    }
}

/// Fills the buffer, less only at the end.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Tells a block cluster by cluster, neighbours of one kind together.
fn tell(bytes: &[u8], maker: &mut Maker, segment: impl Fn(usize, usize) -> Segment) -> Result<(), Stop> {
    let mut from = 0;
    while from < bytes.len() {
        let zero = |at: usize| is_zero(&bytes[at..(at + CLUSTER as usize).min(bytes.len())]);
        let kind = zero(from);
        let mut to = (from + CLUSTER as usize).min(bytes.len());
        while to < bytes.len() && zero(to) == kind {
            to = (to + CLUSTER as usize).min(bytes.len());
        }
        match kind {
            true => maker.zeros((to - from) as u64)?,
            false => maker.data(&bytes[from..to], segment(from, to))?,
        }
        from = to;
    }
    Ok(())
}
