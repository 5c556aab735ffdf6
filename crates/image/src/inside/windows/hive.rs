//! Hives: the files that hold the registry, and the boot configuration.
//!
//! Read cell by cell, for that of the software has 50 to 150 MiB. Of the crates, `nt-hive` and `nt_hive2` are under GPL,
//! `regf` reads whole files, and `winreg-core` makes room for as many entries as the file claims. The logs beside a hive
//! are not applied: whoever asks has to look at [`Hive::is_behind`].

use crate::inside::fields::{Fields, utf16};
use crate::inside::ntfs::File;
use crate::inside::volume::{Read, Reason, guarded};

/// Where the first cell may begin, and what offsets of cells count from.
const FRONT: u64 = 4096;
/// No cell.
const NONE: u32 = u32::MAX;
/// Most bytes of a cell that are read.
const LONGEST_CELL: usize = 1 << 20;
/// Most bytes of a key's cell: its head and its name.
const LONGEST_KEY: usize = 0x4C + 1024;
/// Most bytes of a value that are read.
const LONGEST_VALUE: usize = 64 << 10;
/// Bytes of each piece of a value that is kept in pieces.
const PIECE: usize = 16_344;
/// Most keys below one that are looked at.
const MOST_KEYS: usize = 100_000;
/// Most values of a key that are looked at.
const MOST_VALUES: usize = 2000;
/// Most names of a path.
const DEEPEST: usize = 32;
const WHAT: &str = "a hive of the registry";

/// Where a hive's bytes are.
#[derive(Debug)]
pub(super) enum Source {
    File(File),
    Bytes(Vec<u8>),
}

impl Source {
    fn length(&self) -> u64 {
        match self {
            Self::File(file) => file.length(),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Reason> {
        match self {
            Self::File(file) => file.fill(offset, buffer),
            Self::Bytes(bytes) => {
                let at = usize::try_from(offset).map_err(|_| damaged())?;
                buffer.copy_from_slice(Fields::new(bytes, WHAT).slice(at, buffer.len())?);
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Hive {
    source: Source,
    root: u32,
    is_behind: bool,
}

/// A key, with where its keys and values are.
#[derive(Debug, Clone)]
pub(super) struct Key {
    name: String,
    keys: (u32, u32),
    values: (u32, u32),
}

/// The contents of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value(pub(super) Vec<u8>);

impl Value {
    /// Returns a number of 32 bits.
    pub(super) fn number(&self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.first_chunk()?))
    }

    /// Returns the text, up to its end.
    pub(super) fn text(&self) -> String {
        self.texts().into_iter().next().unwrap_or_default()
    }

    /// Returns the texts of a list, without the empty ones.
    pub(super) fn texts(&self) -> Vec<String> {
        let units = utf16(&self.0);
        let texts = units.split(|unit| *unit == 0).filter(|text| !text.is_empty());
        texts.map(String::from_utf16_lossy).collect()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn damaged() -> Reason {
    Fields::new(&[], WHAT).damaged()
}

impl Hive {
    pub(super) fn open(source: Source) -> Result<Self, Reason> {
        let mut hive = Self { source, root: NONE, is_behind: false };
        let mut head = [0; 512];
        hive.asked(|hive| hive.source.fill(0, &mut head))?;
        let fields = Fields::new(&head, WHAT);
        if fields.slice(0, 4)? != b"regf" {
            return Err(format!("{WHAT} does not begin as one"));
        }
        hive.root = fields.u32(0x24)?;
        hive.is_behind = fields.u32(4)? != fields.u32(8)? || sum(&head) != fields.u32(508)?;
        hive.asked(|hive| hive.key_at(hive.root))?;
        Ok(hive)
    }

    /// Whether its logs may hold what it does not: it was not written whole, or is being written.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Finds a key by its path from the root, with backslashes, in any case.
    pub(super) fn key(&self, path: &str) -> Read<Key> {
        let root = self.asked(|hive| hive.key_at(hive.root))?;
        self.below(&root, path)
    }

    /// Finds a key by its path from another.
    fn below(&self, key: &Key, path: &str) -> Read<Key> {
        let mut key = key.clone();
        for name in path.split('\\').filter(|name| !name.is_empty()).take(DEEPEST) {
            match self.asked(|hive| hive.find(&key, name))? {
                Some(found) => key = found,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// Reads a value of a key.
    pub(super) fn value(&self, key: &Key, name: &str) -> Read<Value> {
        self.asked(|hive| hive.find_value(key, name))
    }

    /// Reads a value by the path of its key.
    pub(super) fn value_at(&self, path: &str, name: &str) -> Read<Value> {
        match self.key(path)? {
            Some(key) => self.value(&key, name),
            None => Ok(None),
        }
    }

    /// Returns a key below this one whose name begins with `prefix`, which is ASCII. The keys are in order.
    pub(super) fn beginning(&self, key: &Key, prefix: &str) -> Read<Key> {
        self.asked(|hive| {
            let keys = hive.keys(key)?;
            let (mut from, mut to) = (0, keys.len());
            while from < to {
                let middle = from.midpoint(to);
                let found = hive.key_at(keys[middle].0)?;
                let front: String = found.name.chars().take(prefix.len()).collect();
                if front.eq_ignore_ascii_case(prefix) {
                    return Ok(Some(found));
                }
                match front.to_ascii_uppercase() < prefix.to_ascii_uppercase() {
                    true => from = middle + 1,
                    false => to = middle,
                }
            }
            Ok(None)
        })
    }

    /// Asks the file; a failure of the disk counts, whatever was made of it.
    fn asked<T>(&self, ask: impl FnOnce(&Self) -> Result<T, Reason>) -> Result<T, Reason> {
        match &self.source {
            Source::File(file) => guarded(file.view(), || ask(self)),
            Source::Bytes(_) => ask(self),
        }
    }

    /// Reads a cell, at most its first `most` bytes.
    fn cell(&self, at: u32, most: usize) -> Result<Vec<u8>, Reason> {
        let at = FRONT + u64::from(at);
        let mut length = [0; 4];
        self.source.fill(at, &mut length)?;
        // The length is negative where the cell is in use, and counts itself.
        let length = i32::from_le_bytes(length).checked_neg().and_then(|length| length.checked_sub(4));
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
        let there = usize::try_from(self.source.length().saturating_sub(at + 4)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(most).min(there)];
        self.source.fill(at + 4, &mut bytes)?;
        Ok(bytes)
    }

    fn key_at(&self, at: u32) -> Result<Key, Reason> {
        const PLAIN_NAME: u16 = 0x20;
        let bytes = self.cell(at, LONGEST_KEY)?;
        let fields = Fields::new(&bytes, WHAT);
        if fields.slice(0, 2)? != b"nk" {
            return Err(fields.damaged());
        }
        let name = fields.slice(0x4C, usize::from(fields.u16(0x48)?))?;
        Ok(Key {
            name: text(name, fields.u16(2)? & PLAIN_NAME != 0),
            keys: (fields.u32(0x14)?, fields.u32(0x1C)?),
            values: (fields.u32(0x24)?, fields.u32(0x28)?),
        })
    }

    /// Lists where the keys below a key are, with what the list says of their names.
    fn keys(&self, key: &Key) -> Result<Vec<(u32, Hint)>, Reason> {
        let (count, list) = key.keys;
        if count == 0 || list == NONE {
            return Ok(Vec::new());
        }
        let bytes = self.cell(list, LONGEST_CELL)?;
        let fields = Fields::new(&bytes, WHAT);
        let mut keys = Vec::new();
        match fields.slice(0, 2)? {
            b"ri" => {
                for index in 0..usize::from(fields.u16(2)?) {
                    let part = self.cell(fields.u32(4 + 4 * index)?, LONGEST_CELL)?;
                    add_keys(Fields::new(&part, WHAT), &mut keys)?;
                    if keys.len() > MOST_KEYS {
                        return Err("a key of the registry has more keys than are read".to_owned());
                    }
                }
            }
            _ => add_keys(fields, &mut keys)?,
        }
        match usize::try_from(count).is_ok_and(|count| count == keys.len()) {
            true => Ok(keys),
            false => Err(damaged()),
        }
    }

    fn find(&self, key: &Key, name: &str) -> Read<Key> {
        let hash = hash(name);
        for (at, hint) in self.keys(key)? {
            let may_be = match hint {
                Hint::Hash(its) => its == hash,
                Hint::Front(front) => {
                    let front: Vec<u8> = front.into_iter().take_while(|byte| *byte != 0).collect();
                    name.as_bytes().get(..front.len()).is_some_and(|name| name.eq_ignore_ascii_case(&front))
                }
                Hint::None => true,
            };
            if may_be {
                let found = self.key_at(at)?;
                if found.name.eq_ignore_ascii_case(name) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn find_value(&self, key: &Key, name: &str) -> Read<Value> {
        const PLAIN_NAME: u16 = 1;
        let (count, list) = (usize::try_from(key.values.0).unwrap_or(usize::MAX), key.values.1);
        if count == 0 || list == NONE {
            return Ok(None);
        }
        if count > MOST_VALUES {
            return Err("a key of the registry has more values than are read".to_owned());
        }
        let list = self.cell(list, 4 * count)?;
        for index in 0..count {
            let at = Fields::new(&list, WHAT).u32(4 * index)?;
            let bytes = self.cell(at, LONGEST_KEY)?;
            let fields = Fields::new(&bytes, WHAT);
            if fields.slice(0, 2)? != b"vk" {
                return Err(fields.damaged());
            }
            let its_name = fields.slice(0x14, usize::from(fields.u16(2)?))?;
            if text(its_name, fields.u16(0x10)? & PLAIN_NAME != 0).eq_ignore_ascii_case(name) {
                return self.contents(fields).map(|bytes| Some(Value(bytes)));
            }
        }
        Ok(None)
    }

    /// Reads what a value holds.
    fn contents(&self, value: Fields<'_>) -> Result<Vec<u8>, Reason> {
        const IN_PLACE: u32 = 1 << 31;
        let length = value.u32(4)?;
        if length & IN_PLACE != 0 {
            return Ok(value
                .slice(8, usize::try_from(length & !IN_PLACE).unwrap_or(usize::MAX).min(4))?
                .to_vec());
        }
        let length = usize::try_from(length).map_err(|_| damaged())?;
        if length > LONGEST_VALUE {
            return Err("a value of the registry is longer than is read".to_owned());
        }
        let mut bytes = match length {
            0 => Vec::new(),
            _ => self.cell(value.u32(8)?, length)?,
        };
        let fields = Fields::new(&bytes, WHAT);
        if length > PIECE && fields.slice(0, 2)? == b"db" {
            let count = usize::from(fields.u16(2)?).min(LONGEST_VALUE / PIECE + 1);
            let list = self.cell(fields.u32(4)?, 4 * count)?;
            bytes.clear();
            for index in 0..count {
                bytes.extend(self.cell(Fields::new(&list, WHAT).u32(4 * index)?, PIECE)?);
            }
        }
        match bytes.len() < length {
            true => Err(damaged()),
            false => {
                bytes.truncate(length);
                Ok(bytes)
            }
        }
    }
}

/// What a list says of the name of a key.
#[derive(Debug, Clone, Copy)]
enum Hint {
    None,
    Hash(u32),
    /// Its first letters.
    Front([u8; 4]),
}

fn add_keys(list: Fields<'_>, keys: &mut Vec<(u32, Hint)>) -> Result<(), Reason> {
    let kind = list.slice(0, 2)?;
    for index in 0..usize::from(list.u16(2)?) {
        let (at, hint) = match kind {
            b"li" => (4 + 4 * index, Hint::None),
            b"lh" => (4 + 8 * index, Hint::Hash(list.u32(8 + 8 * index)?)),
            b"lf" => (4 + 8 * index, Hint::Front(list.u32(8 + 8 * index)?.to_le_bytes())),
            _ => return Err(list.damaged()),
        };
        keys.push((list.u32(at)?, hint));
    }
    Ok(())
}

/// Returns a name: in Latin-1 if it is plain, else in UTF-16.
fn text(bytes: &[u8], plain: bool) -> String {
    match plain {
        true => bytes.iter().map(|byte| char::from(*byte)).collect(),
        false => String::from_utf16_lossy(&utf16(bytes)),
    }
}

/// The hash of a name in lists of keys.
fn hash(name: &str) -> u32 {
    let capitals = name.encode_utf16().map(|unit| match unit {
        0x61..=0x7A => u32::from(unit) - 0x20,
        unit => u32::from(unit),
    });
    capitals.fold(0, |sum: u32, unit| sum.wrapping_mul(37).wrapping_add(unit))
}

/// The checksum of a hive's head.
fn sum(head: &[u8; 512]) -> u32 {
    let (words, _) = head[..508].as_chunks::<4>();
    match words.iter().fold(0, |sum, word| sum ^ u32::from_le_bytes(*word)) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}
