//! Reads an image in order, on a thread of its own, and tells what there is: data and zeros.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::maker::{Maker, Stop};
use crate::blocks::{BLOCK_SIZE, Limits, Segment, is_zero};
use crate::image::qcow2::write::CLUSTER;
use crate::model::ByteRange;
use crate::source::Source;

/// How much of a cluster is looked at first: what is data mostly shows it there.
const BEGINNING: usize = 1 << 10;
/// How much of a source is asked for ahead.
const READ_AHEAD: u64 = 4 << 20;
/// How much of a stream may pass before it is told, however little of it is data.
const MOST_PASSED: u64 = 16 << 20;

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
            let bytes = &mut block[..(end - at).min(BLOCK_SIZE as u64) as usize];
            if !look_ready(source, at, bytes, maker.looks())? {
                // To ask for what is there already costs a look at each page of it.
                if advised < at + READ_AHEAD / 2 {
                    let ahead = ByteRange::new(advised.max(at), (at + READ_AHEAD).min(end));
                    source.will_need(ahead);
                    advised = ahead.end;
                }
                source.read_at(at, bytes).map_err(io::Error::from)?;
            }
            tell(bytes, maker, |from, to| {
                Segment::Read(Arc::clone(source), ByteRange::new(at + from as u64, at + to as u64))
            })?;
            at += bytes.len() as u64;
        }
    }
    Ok(())
}

/// Fills a block so that it shows which clusters are zeros, if the bytes are ready, and tells whether they are. If nobody
/// looks at them, that is the beginning of a cluster of data alone: where a part is made of it, all of it is read.
fn look_ready(source: &Arc<dyn Source>, at: u64, block: &mut [u8], all: bool) -> io::Result<bool> {
    if all {
        return Ok(source.read_ready(at, block) == Some(block.len()));
    }
    for (at, cluster) in (at..).step_by(CLUSTER as usize).zip(block.chunks_mut(CLUSTER as usize)) {
        let length = cluster.len().min(BEGINNING);
        let beginning = &mut cluster[..length];
        if source.read_ready(at, beginning) != Some(length) {
            return Ok(false);
        }
        if is_zero(beginning) {
            source.read_at(at, cluster).map_err(io::Error::from)?;
        }
    }
    Ok(true)
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
        let Gathered { runs, data, ended } = gather(reader, block.bytes_mut());
        let held = block.freeze(data);
        let mut from = 0;
        for run in runs {
            match run {
                Run::Zeros(count) => maker.zeros(count)?,
                Run::Data(count) => {
                    let bytes = held.slice(from..from + count);
                    from += count;
                    maker.data(&bytes.clone(), Segment::Held(bytes))?;
                }
            }
        }
        maker.flush()?;
        if ended? {
            return Ok(());
        }
    }
}

/// What a stream gave.
struct Gathered {
    /// In their order, of both kinds by turns.
    runs: Vec<Run>,
    /// How many bytes of data are in the block.
    data: usize,
    /// Whether that was all.
    ended: io::Result<bool>,
}

enum Run {
    Zeros(u64),
    Data(usize),
}

/// Fills a block with what is data. Zeros take no room in it: a block that is held for a few clusters of data among
/// them would hold far more memory than the parts have bytes, until none were left to read on with.
fn gather(reader: &mut dyn Read, block: &mut [u8]) -> Gathered {
    let (mut runs, mut data, mut passed): (Vec<Run>, _, _) = (Vec::new(), 0, 0);
    let ended = loop {
        if data == block.len() || passed >= MOST_PASSED {
            break Ok(false);
        }
        let cluster = &mut block[data..][..CLUSTER as usize];
        let count = match fill(reader, cluster) {
            Ok(count) => count,
            Err(error) => break Err(error),
        };
        passed += count as u64;
        match (is_zero(&cluster[..count]), runs.last_mut()) {
            _ if count == 0 => {}
            (true, Some(Run::Zeros(before))) => *before += count as u64,
            (true, _) => runs.push(Run::Zeros(count as u64)),
            (false, before) => {
                data += count;
                match before {
                    Some(Run::Data(before)) => *before += count,
                    _ => runs.push(Run::Data(count)),
                }
            }
        }
        if count < CLUSTER as usize {
            break Ok(true);
        }
    };
    Gathered { runs, data, ended }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::mpsc;

    use super::*;
    use crate::model::Qcow2Compat;
    use crate::read::{ReadAt, ReadError};
    use crate::source::SourceIdentity;
    use crate::supply::Supplied;
    use crate::supply::convert::Conversion;
    use crate::supply::maker::Form;

    /// Bytes in memory that counts how many are read.
    #[derive(Debug)]
    struct Counted {
        bytes: Vec<u8>,
        ready: bool,
        read: AtomicU64,
    }

    impl ReadAt for Counted {
        fn length(&self) -> u64 {
            self.bytes.length()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            self.bytes.read_at(offset, buffer)
        }

        fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
            self.ready.then(|| self.read_at(offset, buffer).unwrap())?;
            Some(buffer.len())
        }
    }

    impl Source for Counted {
        fn identity(&self) -> Option<&SourceIdentity> {
            None
        }

        fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
            Ok(None)
        }
    }

    /// Returns how many bytes of a disk are read to convert it, and how long the object is.
    fn converted(bytes: &[u8], ready: bool, hash: bool) -> (u64, u64) {
        let source = Arc::new(Counted { bytes: bytes.to_vec(), ready, read: AtomicU64::new(0) });
        let (out, mut supplied) = mpsc::channel(100);
        let form = Form::Qcow2(Conversion::new(Qcow2Compat::V3));
        scan(&(Arc::clone(&source) as Arc<dyn Source>), Maker::new(form, None, hash, u64::MAX, out));
        let mut length = 0;
        while let Ok(next) = supplied.try_recv() {
            if let Supplied::End { length: end, .. } = next.unwrap() {
                length = end;
            }
        }
        (source.read.load(Ordering::Relaxed), length)
    }

    #[test]
    fn of_data_that_is_ready_the_beginning_alone_is_read_unless_somebody_looks_at_it() {
        let cluster = CLUSTER as usize;
        // Data from its beginning, at its very end, and not at all; the last one is not whole.
        let mut bytes = vec![0; 9 * cluster + 700];
        bytes[..4 * cluster].fill(7);
        bytes[5 * cluster - 1] = 7;
        bytes[9 * cluster + 1] = 7;
        let length = bytes.len() as u64;
        let (all, object) = converted(&bytes, false, false);
        assert_eq!(all, length);
        assert_eq!(converted(&bytes, true, true), (length, object));
        let beginnings = BEGINNING as u64;
        assert_eq!(converted(&bytes, true, false), (9 * beginnings + 5 * CLUSTER + 700, object));
    }
}
