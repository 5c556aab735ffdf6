use std::cmp::Ordering;
use std::collections::HashSet;

use super::data::{Data, File};
use super::record::repaired;
use super::{DIRECTORY, INDEX_ALLOCATION, INDEX_ROOT, Ntfs, REPARSE_POINT};
use crate::inside::fields::{Fields, utf16};
use crate::inside::volume::{Read, Reason};

/// The name of the index of a directory by names.
const NAMES: &[u8] = b"$I30";
/// Most bytes of a directory's root, which lies in its record.
const LONGEST_ROOT: usize = 16 << 10;
/// Most blocks of a directory.
const MOST_BLOCKS: usize = 8192;
/// Most levels of the tree of blocks.
const DEEPEST: usize = 16;
/// A name that exists beside another one, for DOS.
const DOS: u8 = 2;
const WHAT: &str = "a directory of NTFS";

/// What a directory says of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) reference: u64,
    pub(super) flags: u32,
}

impl Entry {
    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// Whether what it stands for is not in it, but where a filter of Windows says.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.flags & REPARSE_POINT != 0
    }
}

/// A directory: a tree of blocks with names in order.
pub(super) struct Index {
    root: Vec<u8>,
    blocks: Option<File>,
    /// Bytes of a block.
    block: usize,
    /// Bytes that the numbers of blocks count in.
    unit: u64,
}

/// A name in a node of the tree, and the block with those in front of it.
struct Node {
    before: Option<u64>,
    /// `None` at the end of the block.
    named: Option<Named>,
}

struct Named {
    entry: Entry,
    name: Vec<u16>,
    is_dos: bool,
}

impl Ntfs {
    pub(super) fn index(&self, directory: &Entry) -> Result<Index, Reason> {
        let record = self.record_of(directory.reference)?;
        let readable = |data: Data| data.readable(&self.view);
        let root = self.gather(&record, INDEX_ROOT, NAMES)?.ok_or("a directory has no index")?;
        let root = readable(root)?.whole(LONGEST_ROOT)?;
        let block = Fields::new(&root, WHAT).size(8)?;
        if !block.is_power_of_two() || !(512..=64 << 10).contains(&block) {
            return Err(Fields::new(&root, WHAT).damaged());
        }
        let blocks = self.gather(&record, INDEX_ALLOCATION, NAMES)?.map(readable).transpose()?;
        let unit = if self.cluster <= block as u64 { self.cluster } else { 512 };
        Ok(Index { root, blocks, block, unit })
    }
}

impl Index {
    /// Finds a name, without regard to case.
    pub(super) fn find(&self, name: &[u8]) -> Read<Entry> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        if !name.is_ascii() {
            // The order of other letters is a table of the volume, which is not read: all names are looked at.
            let wanted: Vec<_> = name.encode_utf16().map(upper).collect();
            let mut found = None;
            self.walk(|named| {
                if named.name.iter().copied().map(upper).eq(wanted.iter().copied()) {
                    found = Some(named.entry);
                }
                Ok(())
            })?;
            return Ok(found);
        }
        let mut nodes = nodes(&self.root, 0x10)?;
        for _ in 0..DEEPEST {
            let wanted = || name.bytes().map(|byte| u16::from(byte.to_ascii_uppercase()));
            let mut next = None;
            for node in nodes {
                let order = match &node.named {
                    Some(named) => wanted().cmp(named.name.iter().copied().map(upper)),
                    None => Ordering::Less,
                };
                match (order, node.named) {
                    (Ordering::Equal, Some(named)) => return Ok(Some(named.entry)),
                    (Ordering::Greater, _) => {}
                    _ => {
                        next = node.before;
                        break;
                    }
                }
            }
            let Some(block) = next else { return Ok(None) };
            nodes = self.block(block)?;
        }
        Err("a directory of NTFS is deeper than one can be".to_owned())
    }

    /// Returns the names, at most `most`.
    pub(super) fn names(&self, most: usize) -> Result<Vec<Vec<u8>>, Reason> {
        let mut names = Vec::new();
        self.walk(|named| {
            if !named.is_dos {
                names.push(String::from_utf16_lossy(&named.name).into_bytes());
            }
            match names.len() > most {
                true => Err(format!("a directory of more than {most} entries")),
                false => Ok(()),
            }
        })?;
        Ok(names)
    }

    fn walk(&self, mut visit: impl FnMut(&Named) -> Result<(), Reason>) -> Result<(), Reason> {
        let mut seen = HashSet::new();
        let mut ahead = nodes(&self.root, 0x10)?;
        while let Some(node) = ahead.pop() {
            if let Some(named) = &node.named {
                visit(named)?;
            }
            if let Some(block) = node.before {
                if seen.len() == MOST_BLOCKS || !seen.insert(block) {
                    return Err(Fields::new(&[], WHAT).damaged());
                }
                ahead.extend(self.block(block)?);
            }
        }
        Ok(())
    }

    fn block(&self, number: u64) -> Result<Vec<Node>, Reason> {
        let damaged = || Fields::new(&[], WHAT).damaged();
        let blocks = self.blocks.as_ref().ok_or_else(damaged)?;
        let mut bytes = vec![0; self.block];
        blocks.fill(number.checked_mul(self.unit).ok_or_else(damaged)?, &mut bytes)?;
        let bytes = repaired(bytes, b"INDX")?;
        match Fields::new(&bytes, WHAT).u64(0x10)? == number {
            true => nodes(&bytes, 0x18),
            false => Err(damaged()),
        }
    }
}

/// Lists what stands behind the header at `at`.
fn nodes(bytes: &[u8], at: usize) -> Result<Vec<Node>, Reason> {
    const HAS_BLOCK: u16 = 1;
    const LAST: u16 = 2;
    let fields = Fields::new(Fields::new(bytes, WHAT).rest(at)?, WHAT);
    let mut at = fields.size(0)?;
    let end = fields.size(4)?;
    let mut nodes = Vec::new();
    loop {
        let length = usize::from(fields.u16(at.checked_add(8).ok_or_else(|| fields.damaged())?)?);
        let entry = Fields::new(fields.slice(at, length)?, WHAT);
        let flags = entry.u16(0xC)?;
        let before = match flags & HAS_BLOCK {
            0 => None,
            _ => Some(entry.u64(length.checked_sub(8).ok_or_else(|| fields.damaged())?)?),
        };
        let named = match flags & LAST {
            0 => Some(Named {
                entry: Entry { reference: entry.u64(0)?, flags: entry.u32(0x10 + 0x38)? },
                name: utf16(entry.slice(0x10 + 0x42, 2 * usize::from(entry.u8(0x10 + 0x40)?))?),
                is_dos: entry.u8(0x10 + 0x41)? == DOS,
            }),
            _ => None,
        };
        let last = named.is_none();
        nodes.push(Node { before, named });
        at += length;
        if last {
            return Ok(nodes);
        }
        // An entry without a length would be the same again.
        if at >= end || length < 0x10 {
            return Err(fields.damaged());
        }
    }
}

/// Returns the capital of a letter, where that is one unit of UTF-16. None but those of ASCII become such.
fn upper(unit: u16) -> u16 {
    if unit < 0x80 {
        return u16::from((unit as u8).to_ascii_uppercase());
    }
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut capitals = letter.to_uppercase();
    match (capitals.next().map(u32::from), capitals.next()) {
        (Some(capital @ 0x80..=0xFFFF), None) => capital as u16,
        _ => unit,
    }
}
