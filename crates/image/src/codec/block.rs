//! What decoders of blocks have in common: bytes are gathered until all that are wanted are there, and what becomes of
//! them is handed out.

use super::Step;

/// Gathers bytes, and hands out content.
#[derive(Default)]
pub(super) struct Blocks {
    /// How many bytes are wanted next, and those that are there.
    pub(super) wanted: usize,
    pub(super) held: Vec<u8>,
    /// The current block's content, which has `length` bytes of this room.
    pub(super) content: Vec<u8>,
    pub(super) length: usize,
    /// How far it was handed out.
    pub(super) given: usize,
}

impl Blocks {
    /// Wants so many bytes first.
    pub(super) fn wanting(wanted: usize) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Wants so many bytes next.
    pub(super) fn want(&mut self, wanted: usize) {
        self.wanted = wanted;
        self.held.clear();
    }

    /// Hands out what there is, or nothing if all of it was.
    pub(super) fn give(&mut self, taken: usize, out: &mut [u8]) -> Option<Step> {
        let given = out.len().min(self.length - self.given);
        out[..given].copy_from_slice(&self.content[self.given..self.given + given]);
        let is_left = self.given < self.length;
        self.given += given;
        is_left.then_some(Step { taken, given })
    }

    /// Takes of `input` what is still wanted, and tells how much that was.
    pub(super) fn take(&mut self, input: &[u8]) -> usize {
        let more = input.len().min(self.wanted - self.held.len());
        self.held.extend_from_slice(&input[..more]);
        more
    }

    /// Whether all that is wanted is there.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() == self.wanted
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.given == self.length
    }
}
