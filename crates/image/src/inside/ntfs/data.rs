use super::Ntfs;
use super::record::{Attribute, Value};
use crate::inside::pages::View;
use crate::inside::volume::Reason;

/// Most pieces that a file lies in.
const MOST_RUNS: usize = 50_000;
/// Flags of an attribute's contents.
const COMPRESSED: u16 = 0x00FF;
const ENCRYPTED: u16 = 0x4000;

/// The contents of an attribute.
#[derive(Debug, Default)]
pub(super) struct Data {
    length: u64,
    /// Bytes that were written; the others are zero, whatever lies there.
    written: u64,
    flags: u16,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Resident(Vec<u8>),
    /// In the order of the file.
    Runs(Vec<Run>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Runs(Vec::new())
    }
}

/// Neighbouring clusters.
#[derive(Debug)]
struct Run {
    /// Where in the file they end, in bytes; they begin where the ones before end.
    end: u64,
    /// Where on the volume they begin; nowhere if all of them are zeros.
    at: Option<u64>,
}

impl Data {
    /// Adds what an attribute holds, which is all, or the next piece.
    pub(super) fn add(
        found: &mut Option<Self>,
        attribute: &Attribute<'_>,
        ntfs: &Ntfs,
    ) -> Result<(), Reason> {
        let damaged = || "the pieces of a file do not fit together".to_owned();
        match (&attribute.value, found) {
            (Value::Resident(bytes), found @ None) => {
                let length = bytes.len() as u64;
                let content = Content::Resident(bytes.to_vec());
                *found = Some(Self { length, written: length, flags: attribute.flags, content });
                Ok(())
            }
            (Value::Runs { first: 0, length, written, packed }, found @ None) => {
                let data = found.insert(Self {
                    length: *length,
                    written: *written,
                    flags: attribute.flags,
                    content: Content::default(),
                });
                data.extend(0, packed, ntfs)
            }
            (Value::Runs { first, packed, .. }, Some(data)) => data.extend(*first, packed, ntfs),
            _ => Err(damaged()),
        }
    }

    /// Adds clusters from the one with the number `first` on.
    fn extend(&mut self, first: u64, packed: &[u8], ntfs: &Ntfs) -> Result<(), Reason> {
        let damaged = || "the places of a file are damaged".to_owned();
        let Content::Runs(runs) = &mut self.content else { return Err(damaged()) };
        let mut end = runs.last().map_or(0, |run| run.end);
        if first.checked_mul(ntfs.cluster) != Some(end) {
            return Err("the pieces of a file do not fit together".to_owned());
        }
        let mut rest = packed;
        let mut place = 0_i64;
        loop {
            let (head, behind) = rest.split_first().ok_or_else(damaged)?;
            if *head == 0 {
                return Ok(());
            }
            let (lengths, places) = (usize::from(head & 0xF), usize::from(head >> 4));
            if lengths == 0 || lengths > 8 || places > 8 || behind.len() < lengths + places {
                return Err(damaged());
            }
            let (count, behind) = behind.split_at(lengths);
            let (step, behind) = behind.split_at(places);
            let bytes = number(count, false).cast_unsigned().checked_mul(ntfs.cluster).ok_or_else(damaged)?;
            end = end.checked_add(bytes).filter(|_| bytes > 0).ok_or_else(damaged)?;
            let at = match places {
                0 => None,
                _ => {
                    place = place.checked_add(number(step, true)).ok_or_else(damaged)?;
                    let at = u64::try_from(place).ok().and_then(|place| place.checked_mul(ntfs.cluster));
                    Some(at.filter(|at| *at < ntfs.view.length()).ok_or_else(damaged)?)
                }
            };
            if runs.len() == MOST_RUNS {
                return Err("a file lies in more pieces than are read".to_owned());
            }
            runs.push(Run { end, at });
            rest = behind;
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn fill(&self, view: &View, offset: u64, buffer: &mut [u8]) -> Result<(), Reason> {
        let beyond = || "what is looked for lies beyond the end of a file".to_owned();
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.length);
        let end = end.ok_or_else(beyond)?;
        let runs = match &self.content {
            Content::Resident(bytes) => {
                let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
                let bytes = range.and_then(|(from, to)| bytes.get(from..to)).ok_or_else(beyond)?;
                buffer.copy_from_slice(bytes);
                return Ok(());
            }
            Content::Runs(runs) => runs,
        };
        let mut index = runs.partition_point(|run| run.end <= offset);
        let mut done = 0;
        while done < buffer.len() {
            let run = runs.get(index).ok_or_else(beyond)?;
            let start = index.checked_sub(1).map_or(0, |before| runs[before].end);
            let now = offset + done as u64;
            let there = usize::try_from(run.end - now).unwrap_or(usize::MAX);
            let piece = there.min(buffer.len() - done);
            let part = &mut buffer[done..done + piece];
            // What was not written is not read either.
            let written = usize::try_from(self.written.saturating_sub(now)).unwrap_or(usize::MAX);
            let (part, zeros) = part.split_at_mut(written.min(piece));
            zeros.fill(0);
            match run.at {
                Some(at) => {
                    let at = at.saturating_add(now - start);
                    view.fill(at, part).map_err(|unreadable| unreadable.to_string())?;
                }
                None => part.fill(0),
            }
            done += piece;
            index += 1;
        }
        Ok(())
    }

    /// Makes a file of it, if its bytes are what they seem.
    pub(super) fn readable(self, view: &View) -> Result<File, Reason> {
        if self.flags & ENCRYPTED != 0 {
            return Err("the file is encrypted".to_owned());
        }
        if self.flags & COMPRESSED != 0 {
            return Err("the file is compressed".to_owned());
        }
        Ok(File { view: view.clone(), data: self })
    }
}

/// Reads a number of up to 8 bytes.
fn number(bytes: &[u8], signed: bool) -> i64 {
    let negative = signed && bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut all = [if negative { 0xFF } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}

/// A file that can be read at any place.
#[derive(Debug)]
pub(in crate::inside) struct File {
    view: View,
    data: Data,
}

impl File {
    pub(in crate::inside) fn length(&self) -> u64 {
        self.data.length()
    }

    /// Fills `buffer` from `offset` on.
    pub(in crate::inside) fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Reason> {
        self.data.fill(&self.view, offset, buffer)
    }

    /// Reads its front, up to `most` bytes.
    pub(in crate::inside) fn front(&self, most: usize) -> Result<Vec<u8>, Reason> {
        let mut bytes = vec![0; usize::try_from(self.length()).unwrap_or(usize::MAX).min(most)];
        self.fill(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads all of it, unless it is longer than `most` bytes.
    pub(super) fn whole(&self, most: usize) -> Result<Vec<u8>, Reason> {
        match self.length() > most as u64 {
            true => Err("a structure of NTFS is longer than one can be".to_owned()),
            false => self.front(most),
        }
    }

    pub(in crate::inside) fn view(&self) -> &View {
        &self.view
    }
}
