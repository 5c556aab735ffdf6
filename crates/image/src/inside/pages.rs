use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::guest::recent::Recent;
use ossup_core::read::{ReadAt, ReadError};

/// Bytes of a page.
const PAGE: u64 = 16 << 10;
/// Most bytes that are read of the disk, and thus held (12 MiB). A usual system needs less than 4 MiB.
pub(super) const MOST_READ: u64 = 12 << 20;
/// Most bytes that the readers of file systems are given in all, many of them again and again.
const MOST_SERVED: u64 = 256 << 20;
/// Most bytes that one question may take, which bounds what a reader can gather in memory for its answer.
const MOST_SERVED_AT_ONCE: u64 = 16 << 20;
/// Most reads by the readers of file systems.
const MOST_READS: u64 = 250_000;

/// Most bytes that are read of the disk for what passes (384 MiB): the largest file that is read whole, and where it lies.
const MOST_PASSING: u64 = 384 << 20;
/// Most bytes that the readers of file systems are given for what passes (2 GiB).
const MOST_PASSING_SERVED: u64 = 2 << 30;
/// Most reads for what passes.
const MOST_PASSING_READS: u64 = 1 << 20;
/// Pages of what passes that are held (4 MiB): those that tell where a file lies are read again and again.
const MOST_PASSING_HELD: usize = 256;

/// A disk through a cache of pages, with one budget for whoever reads it.
///
/// The readers of file systems turn every failure of the source into an error of their own, or into "not found": the
/// first failure is kept here, and counts more than what they say.
///
/// A large file that is read once passes through a few pages of its own, with a budget of its own
/// ([`Pages::let_pass`]).
pub(super) struct Pages {
    disk: Arc<dyn ReadAt>,
    held: RefCell<HashMap<u64, Box<[u8]>>>,
    spent: Spent,
    served_now: Cell<u64>,
    passing: Cell<bool>,
    passing_held: Recent,
    passing_spent: Spent,
    failure: RefCell<Option<String>>,
}

/// What was spent of a budget.
#[derive(Debug, Default)]
struct Spent {
    /// Bytes of the disk.
    read: Cell<u64>,
    /// Bytes that were given out, and how often.
    served: Cell<u64>,
    reads: Cell<u64>,
}

/// Takes `amount` off a budget of `most`.
fn spend(spent: &Cell<u64>, amount: u64, most: u64) -> Result<(), String> {
    match spent.get().saturating_add(amount) {
        sum if sum > most => Err("more than may be read for one disk".to_owned()),
        sum => {
            spent.set(sum);
            Ok(())
        }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("spent", &self.spent)
            .field("passing", &self.passing_spent)
            .finish_non_exhaustive()
    }
}

impl Pages {
    pub(super) fn new(disk: Arc<dyn ReadAt>) -> Rc<Self> {
        Rc::new(Self {
            disk,
            held: RefCell::default(),
            spent: Spent::default(),
            served_now: Cell::new(0),
            passing: Cell::new(false),
            passing_held: Recent::new(MOST_PASSING_HELD),
            passing_spent: Spent::default(),
            failure: RefCell::default(),
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.disk.length()
    }

    /// Returns how many bytes were read of the disk, without those that passed.
    pub(super) fn read_bytes(&self) -> u64 {
        self.spent.read.get()
    }

    /// Has what is read from here on pass, or be held again.
    pub(super) fn let_pass(&self, passing: bool) {
        self.passing.set(passing);
    }

    /// Begins a question: forgets the failure of the one before.
    pub(super) fn begin(&self) {
        self.served_now.set(0);
        self.failure.take();
    }

    /// Takes the first failure since [`Pages::begin`].
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.take()
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        let wanted = buffer.len() as u64;
        let (spent, most_reads, most_served) = match self.passing.get() {
            true => (&self.passing_spent, MOST_PASSING_READS, MOST_PASSING_SERVED),
            false => (&self.spent, MOST_READS, MOST_SERVED),
        };
        spend(&spent.reads, 1, most_reads)?;
        spend(&spent.served, wanted, most_served)?;
        spend(&self.served_now, wanted, MOST_SERVED_AT_ONCE)?;
        let end = offset.checked_add(wanted).filter(|end| *end <= self.length());
        end.ok_or_else(|| format!("{wanted} bytes at {offset} lie beyond the end"))?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let skipped = usize::try_from(at % PAGE).expect("less than a page");
            let copied = self.with_page(at - at % PAGE, |page| {
                let count = rest.len().min(page.len() - skipped);
                rest[..count].copy_from_slice(&page[skipped..skipped + count]);
                count
            })?;
            rest = &mut rest[copied..];
            at += copied as u64;
        }
        Ok(())
    }

    /// Takes what is wanted of the page at `start`.
    fn with_page<T>(&self, start: u64, take: impl FnOnce(&[u8]) -> T) -> Result<T, String> {
        if !self.passing.get() {
            let mut held = self.held.borrow_mut();
            return Ok(match held.entry(start) {
                Entry::Occupied(page) => take(page.get()),
                Entry::Vacant(place) => take(place.insert(self.page(start, &self.spent, MOST_READ)?.into())),
            });
        }
        if let Some(page) = self.passing_held.get(start) {
            return Ok(take(&page));
        }
        let page: Arc<[u8]> = self.page(start, &self.passing_spent, MOST_PASSING)?.into();
        self.passing_held.put(start, page.clone());
        Ok(take(&page))
    }

    fn page(&self, start: u64, spent: &Spent, most: u64) -> Result<Vec<u8>, String> {
        let length = PAGE.min(self.length() - start);
        spend(&spent.read, length, most)?;
        let mut page = vec![0; usize::try_from(length).expect("at most a page")];
        self.disk.read_at(start, &mut page).map_err(|error| reason(&error))?;
        Ok(page)
    }
}

/// Says why bytes could not be read, with the cause.
fn reason(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What a file system lies on: a partition, or the pieces of a logical volume.
#[derive(Debug, Clone)]
pub(super) struct View {
    pages: Rc<Pages>,
    /// Where each piece begins on the disk, and its bytes, in order.
    pieces: Rc<[(u64, u64)]>,
    length: u64,
}

/// The bytes could not be read; the pages know why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes cannot be read")
    }
}

impl std::error::Error for Unreadable {}

impl View {
    pub(super) fn new(pages: &Rc<Pages>, start: u64, length: u64) -> Self {
        Self::of_pieces(pages, vec![(start, length)])
    }

    pub(super) fn of_pieces(pages: &Rc<Pages>, pieces: Vec<(u64, u64)>) -> Self {
        let length = pieces.iter().fold(0_u64, |sum, (_, length)| sum.saturating_add(*length));
        Self { pages: pages.clone(), pieces: pieces.into(), length }
    }

    /// Puts pieces of this view together; it is of one piece itself.
    pub(super) fn parts(&self, pieces: &[(u64, u64)]) -> Self {
        let first = self.pieces.first().map_or(0, |(start, _)| *start);
        let inside = pieces.iter().map(|(start, length)| {
            let length = (*length).min(self.length.saturating_sub(*start));
            (first.saturating_add(*start), length)
        });
        Self::of_pieces(&self.pages, inside.collect())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn pages(&self) -> &Rc<Pages> {
        &self.pages
    }

    /// Fills `buffer` from `offset` on.
    pub(super) fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let filled = self.fill_pieces(offset, buffer);
        filled.map_err(|why| {
            self.pages.failure.borrow_mut().get_or_insert(why);
            Unreadable
        })
    }

    fn fill_pieces(&self, offset: u64, buffer: &mut [u8]) -> Result<(), String> {
        let mut skip = offset;
        let mut rest = buffer;
        for &(start, length) in &*self.pieces {
            if rest.is_empty() {
                return Ok(());
            }
            if skip >= length {
                skip -= length;
                continue;
            }
            let count = usize::try_from(length - skip).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at_mut(count);
            self.pages.fill(start.saturating_add(skip), now)?;
            rest = later;
            skip = 0;
        }
        match rest.len() {
            0 => Ok(()),
            missing => Err(format!("{missing} bytes behind {offset} lie beyond the end of the volume")),
        }
    }

    /// Reads up to `N` bytes from `offset` on; what lies beyond the end is zero.
    pub(super) fn head<const N: usize>(&self, offset: u64) -> Result<[u8; N], Unreadable> {
        let mut bytes = [0; N];
        let there = self.length.saturating_sub(offset).min(N as u64);
        self.fill(offset, &mut bytes[..usize::try_from(there).expect("at most N")])?;
        Ok(bytes)
    }
}

impl ext4_view::Ext4Read for View {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.fill(start_byte, dst)?)
    }
}

impl lamxfs::BlockRead for View {
    type Error = Unreadable;

    fn read_at(&mut self, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Unreadable> {
        self.fill(offset_bytes, buf)
    }
}

impl lambutter::BlockRead for View {
    type Error = Unreadable;

    fn read_at(&mut self, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Unreadable> {
        self.fill(offset_bytes, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_once_and_the_first_failure_is_kept() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        let pages = Pages::new(Arc::new(bytes.clone()));
        let view = View::of_pieces(&pages, vec![(50_000, 10), (16_380, 20), (99_990, 10)]);
        assert_eq!(view.length(), 40);
        let mut buffer = [0; 40];
        view.fill(0, &mut buffer).unwrap();
        assert_eq!(buffer[..], [&bytes[50_000..50_010], &bytes[16_380..16_400], &bytes[99_990..]].concat());
        let read = pages.read_bytes();
        view.fill(5, &mut buffer[..30]).unwrap();
        assert_eq!(pages.read_bytes(), read);
        assert_eq!(pages.failure(), None);
        assert_eq!(view.fill(30, &mut buffer[..11]), Err(Unreadable));
        assert_eq!(view.fill(u64::MAX, &mut buffer[..11]), Err(Unreadable));
        assert!(pages.failure().unwrap().contains("behind 30"));
        assert_eq!(view.head::<4>(38).unwrap()[2..], [0, 0]);
    }

    #[test]
    fn what_passes_is_not_held_and_has_a_budget_of_its_own() {
        let pages = Pages::new(Arc::new(vec![5_u8; (MOST_READ + 2 * PAGE) as usize]));
        let view = View::new(&pages, 0, pages.length());
        pages.let_pass(true);
        for at in (0..view.length()).step_by(PAGE as usize) {
            pages.begin();
            let mut byte = [0];
            assert_eq!((view.fill(at, &mut byte), byte), (Ok(()), [5]));
        }
        assert_eq!(pages.read_bytes(), 0);
        assert!(pages.held.borrow().is_empty());
        let passed = pages.passing_spent.read.get();
        assert_eq!(passed, view.length());
        view.fill(view.length() - 1, &mut [0]).unwrap();
        assert_eq!(pages.passing_spent.read.get(), passed, "the last ones are there still");
        pages.let_pass(false);
        view.fill(0, &mut [0]).unwrap();
        assert_eq!(pages.read_bytes(), PAGE);
    }

    #[test]
    fn no_more_is_read_than_the_budget_has() {
        let pages = Pages::new(Arc::new(vec![0_u8; (MOST_READ + 2 * PAGE) as usize]));
        let view = View::new(&pages, 0, pages.length());
        let ends = (0..view.length()).step_by(PAGE as usize).find(|at| view.fill(*at, &mut [0]).is_err());
        assert_eq!(ends, Some(MOST_READ));
        assert!(view.fill(0, &mut [0]).is_ok(), "what is held can still be read");
        pages.begin();
        assert!((0..64).any(|_| view.fill(0, &mut vec![0; 1 << 20]).is_err()), "one question has its bound");
        pages.begin();
        assert!(view.fill(0, &mut [0]).is_ok());
    }
}
