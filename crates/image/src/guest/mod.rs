//! The disk inside an image, for the checks and for the transfer alike: what differs between formats is where it is.

pub(super) mod recent;
mod tables;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::read::{Ready, up_to};
use ossup_core::model::ByteRange;
use ossup_core::read::{ReadAt, ReadError, check_range};
use recent::Recent;
pub(super) use tables::Tables;

/// Most bytes of unpacked clusters that are held (16 MiB, of the largest clusters eight): a reader in blocks smaller
/// than a cluster unpacks it once.
const MOST_UNPACKED: u64 = 16 << 20;
/// Most units of which one search for data looks up the place (8 GiB of a disk with clusters of 64 KiB).
const MOST_SEARCHED: usize = 1 << 17;

/// Where a format keeps its disk. It says only what its tables say; all else is the same for every format.
pub(super) trait Layout: fmt::Debug + Send + Sync {
    /// Returns the bytes of the disk.
    fn size(&self) -> u64;

    /// Finds the byte of the disk at `offset`, which lies inside it.
    fn locate(&self, file: &dyn ReadAt, tables: &Tables, offset: u64) -> Result<Stretch, ReadError>;

    /// Returns the bytes of the disk that a compressed cluster holds; 0 if there are none.
    fn packed_unit(&self) -> u64 {
        0
    }

    /// Unpacks the compressed cluster of a descriptor, all of it.
    fn unpack(&self, _file: &dyn ReadAt, _descriptor: u64, _plain: &mut [u8]) -> Result<(), ReadError> {
        Err(unreadable("it is compressed"))
    }
}

/// A stretch of the disk that is in one place, from the byte that was asked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) place: Place,
    /// The offset of the disk where it ends, behind that byte; perhaps behind the disk's end.
    pub(super) end: u64,
}

/// Where a stretch of the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it reads as zeros.
    Zero,
    /// At this offset of the file.
    At(u64),
    /// In the compressed cluster with this descriptor.
    Packed(u64),
}

/// Says why bytes cannot be found. Which bytes, the guest adds.
pub(super) fn unreadable(reason: &'static str) -> ReadError {
    ReadError::Unreadable { offset: 0, reason }
}

/// Most entries of a table that are compared with each other: 512 TiB of a disk with clusters of 64 KiB.
const MOST_COMPARED: u64 = 1 << 20;

/// Looks for an entry of a table that leads to the same place as another one, and returns its index: what a table
/// that was overwritten looks like, and how a small file would pretend to be a disk without end.
pub(super) fn repeated<const N: usize>(
    file: &dyn ReadAt,
    table_at: u64,
    entries: u64,
    place: impl Fn([u8; N]) -> Option<u64>,
) -> Result<Option<u64>, ReadError> {
    const STEP: u64 = 8 << 10;
    let entries = entries.min(MOST_COMPARED);
    let mut places = Vec::new();
    for first in (0..entries).step_by(STEP as usize) {
        let bytes = (entries - first).min(STEP) * N as u64;
        let table =
            up_to(file, table_at + first * N as u64, usize::try_from(bytes).expect("at most 64 KiB"))?;
        let found = (first..).zip(table.as_chunks::<N>().0);
        places.extend(found.filter_map(|(index, entry)| Some((place(*entry)?, index))));
    }
    places.sort_unstable();
    Ok(places.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).min())
}

/// The disk inside an image.
#[derive(Debug)]
pub(super) struct Guest<F, L> {
    file: F,
    layout: L,
    tables: Tables,
    /// Compressed clusters by their descriptor.
    unpacked: Recent,
    unpack_left: Option<AtomicU64>,
}

impl<F: ReadAt, L: Layout> Guest<F, L> {
    pub(super) fn new(file: F, layout: L) -> Self {
        let clusters = MOST_UNPACKED / layout.packed_unit().clamp(64 << 10, MOST_UNPACKED);
        let unpacked = Recent::new(usize::try_from(clusters).expect("at most 256"));
        Self { file, layout, tables: Tables::new(), unpacked, unpack_left: None }
    }

    /// Unpacks at most this many bytes: a few bytes may claim to unpack to a whole cluster.
    pub(super) fn with_unpack_limit(mut self, limit: u64) -> Self {
        self.unpack_left = Some(AtomicU64::new(limit));
        self
    }

    fn locate(&self, file: &dyn ReadAt, offset: u64) -> Result<Stretch, ReadError> {
        let stretch = self.layout.locate(file, &self.tables, offset)?;
        Ok(Stretch { end: stretch.end.min(self.layout.size()), ..stretch })
    }

    /// Finds the byte at `offset` and as many behind it, up to `end`, as can be read in one piece.
    fn run(&self, file: &dyn ReadAt, offset: u64, end: u64) -> Result<Stretch, ReadError> {
        let mut run = self.locate(file, offset)?;
        while run.end < end {
            let next = match run.place {
                Place::Zero => Place::Zero,
                Place::At(at) => Place::At(at + (run.end - offset)),
                Place::Packed(_) => break,
            };
            match self.locate(file, run.end) {
                Ok(stretch) if stretch.place == next => run.end = stretch.end,
                // Whoever goes on there learns of the error.
                Ok(_) | Err(_) => break,
            }
        }
        Ok(Stretch { end: run.end.min(end), ..run })
    }

    /// Fills the beginning of a buffer and returns how much of it that was.
    fn read_run(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let run = self.run(&self.file, offset, offset + buffer.len() as u64)?;
        let target = &mut buffer[..usize::try_from(run.end - offset).expect("no more than the buffer")];
        match run.place {
            Place::Zero => target.fill(0),
            Place::At(at) => self.file.read_at(at, target)?,
            Place::Packed(descriptor) => self.copy_packed(descriptor, offset, target)?,
        }
        Ok(target.len())
    }

    /// Copies from a compressed cluster.
    fn copy_packed(&self, descriptor: u64, offset: u64, target: &mut [u8]) -> Result<(), ReadError> {
        let unit = self.layout.packed_unit();
        if target.len() as u64 == unit {
            self.spend(unit)?;
            return self.layout.unpack(&self.file, descriptor, target);
        }
        let cluster = match self.unpacked.get(descriptor) {
            Some(cluster) => cluster,
            None => {
                self.spend(unit)?;
                let mut plain = vec![0; usize::try_from(unit).expect("at most 2 MiB")];
                self.layout.unpack(&self.file, descriptor, &mut plain)?;
                let plain: Arc<[u8]> = plain.into();
                self.unpacked.put(descriptor, Arc::clone(&plain));
                plain
            }
        };
        let inside = usize::try_from(offset % unit).expect("at most 2 MiB");
        target.copy_from_slice(&cluster[inside..inside + target.len()]);
        Ok(())
    }

    fn spend(&self, bytes: u64) -> Result<(), ReadError> {
        let Some(left) = &self.unpack_left else { return Ok(()) };
        let spent = left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| ReadError::Budget)
    }

    /// Passes on a hint for each place of the file that holds some of a range.
    fn hint(&self, range: ByteRange, give: impl Fn(ByteRange)) {
        let mut at = range.start;
        let end = range.end.min(self.layout.size());
        for _ in 0..MOST_SEARCHED {
            // Nothing is read for a hint that is not worth it, and none is given where it is not known.
            let Some(run) = (at < end).then(|| self.run(&Ready(&self.file), at, end).ok()).flatten() else {
                return;
            };
            if let Place::At(place) = run.place {
                give(ByteRange::new(place, place + (run.end - at)));
            }
            at = run.end;
        }
    }
}

/// Says which bytes of the disk cannot be read, as an error of its file says something of the file.
fn about(offset: u64) -> impl Fn(ReadError) -> ReadError {
    move |error| match error {
        ReadError::PastEnd { offset: at, .. } => ReadError::Truncated { offset, at },
        ReadError::Unreadable { reason, .. } => ReadError::Unreadable { offset, reason },
        other => other,
    }
}

impl<F: ReadAt, L: Layout> ReadAt for Guest<F, L> {
    fn length(&self) -> u64 {
        self.layout.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            done += self.read_run(position, &mut buffer[done..]).map_err(about(position))?;
        }
        Ok(())
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        check_range(self.length(), offset, buffer.len()).ok()?;
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let target = &mut buffer[done..];
            let Ok(run) = self.run(&Ready(&self.file), position, position + target.len() as u64) else {
                break;
            };
            let wanted = usize::try_from(run.end - position).expect("no more than the buffer");
            let ready = match run.place {
                Place::Zero => {
                    target[..wanted].fill(0);
                    wanted
                }
                Place::At(at) => self.file.read_ready(at, &mut target[..wanted]).unwrap_or_default(),
                // Unpacking takes so long that it counts as waiting.
                Place::Packed(_) => 0,
            };
            done += ready;
            if ready < wanted {
                break;
            }
        }
        (done > 0).then_some(done)
    }

    fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
        let size = self.length();
        let mut start = from;
        let mut searched = 0;
        let mut end = loop {
            if start >= size {
                return Ok(None);
            }
            let stretch = self.locate(&self.file, start).map_err(about(start))?;
            searched += 1;
            // After a long search it may be data: whoever reads it sees that it is not, and asks again.
            if stretch.place != Place::Zero || searched > MOST_SEARCHED {
                break stretch.end;
            }
            start = stretch.end;
        };
        while end < size && searched < MOST_SEARCHED {
            match self.locate(&self.file, end) {
                Ok(stretch) if stretch.place != Place::Zero => end = stretch.end,
                // Whoever asks for what follows learns of the error.
                Ok(_) | Err(_) => break,
            }
            searched += 1;
        }
        Ok(Some(ByteRange::new(start, end)))
    }

    fn will_need(&self, range: ByteRange) {
        self.hint(range, |range| self.file.will_need(range));
    }

    fn done_with(&self, range: ByteRange) {
        if range == ByteRange::new(0, self.length()) {
            self.file.done_with(ByteRange::new(0, self.file.length()));
        } else {
            self.hint(range, |range| self.file.done_with(range));
        }
    }
}

#[cfg(test)]
mod tests;
