use super::STANDARD_INFORMATION;
use crate::inside::fields::{Fields, utf16};
use crate::inside::volume::Reason;

/// Bytes after which a structure of several sectors keeps two bytes elsewhere, to be known as written whole.
const STRIDE: usize = 512;
/// Ends the attributes of a record.
const END: u32 = 0xFFFF_FFFF;
const WHAT: &str = "a record of NTFS";

/// What describes a file, or a part of it.
#[derive(Debug)]
pub(super) struct Record {
    bytes: Vec<u8>,
    number: u64,
}

/// One thing that a record says.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u32,
    /// In UTF-16.
    name: &'a [u8],
    pub(super) flags: u16,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    /// In the record itself.
    Resident(&'a [u8]),
    /// In clusters, or some of them: which is the first, how many bytes there are in all, how many of them were
    /// written, and where they are.
    Runs { first: u64, length: u64, written: u64, packed: &'a [u8] },
}

impl Record {
    pub(super) fn new(bytes: Vec<u8>, number: u64) -> Result<Self, Reason> {
        let record = Self { bytes: repaired(bytes, b"FILE")?, number };
        match record.fields().u16(0x16)? & 1 {
            0 => Err("a record of NTFS is not in use".to_owned()),
            _ => Ok(record),
        }
    }

    fn fields(&self) -> Fields<'_> {
        Fields::new(&self.bytes, WHAT)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How often the record was used for another file.
    pub(super) fn used(&self) -> Result<u16, Reason> {
        self.fields().u16(0x10)
    }

    /// The record that this one belongs to; 0 if to none.
    pub(super) fn base(&self) -> Result<u64, Reason> {
        self.fields().u64(0x20)
    }

    pub(super) fn attributes(&self) -> Result<Vec<Attribute<'_>>, Reason> {
        let fields = self.fields();
        let mut at = usize::from(fields.u16(0x14)?);
        let mut found = Vec::new();
        loop {
            let kind = fields.u32(at)?;
            if kind == END {
                return Ok(found);
            }
            let length = fields.size(at + 4)?;
            let bytes = Fields::new(fields.slice(at, length)?, WHAT);
            // Also ends the loop, for it has 16 bytes at least.
            found.push(attribute(kind, bytes)?);
            at += length;
        }
    }

    /// The flags in the standard information.
    pub(super) fn flags(&self) -> Result<u32, Reason> {
        for attribute in self.attributes()? {
            if let (STANDARD_INFORMATION, Value::Resident(value)) = (attribute.kind, attribute.value) {
                return Fields::new(value, WHAT).u32(0x20);
            }
        }
        Err(self.fields().damaged())
    }
}

impl Attribute<'_> {
    /// Whether it is of this type and has this name, which is plain ASCII.
    pub(super) fn is(&self, kind: u32, name: &[u8]) -> bool {
        self.kind == kind && is_name(self.name, name)
    }
}

fn is_name(utf16_name: &[u8], name: &[u8]) -> bool {
    utf16(utf16_name).into_iter().eq(name.iter().map(|byte| u16::from(*byte)))
}

fn attribute<'a>(kind: u32, fields: Fields<'a>) -> Result<Attribute<'a>, Reason> {
    let name = fields.slice(usize::from(fields.u16(0xA)?), 2 * usize::from(fields.u8(9)?))?;
    let value = match fields.u8(8)? {
        0 => Value::Resident(fields.slice(usize::from(fields.u16(0x14)?), fields.size(0x10)?)?),
        _ => {
            let (first, at) = (fields.u64(0x10)?, usize::from(fields.u16(0x20)?));
            // Only the first piece says how long the whole is.
            let (length, written) = if first == 0 { (fields.u64(0x30)?, fields.u64(0x38)?) } else { (0, 0) };
            Value::Runs { first, length, written, packed: fields.rest(at)? }
        }
    };
    Ok(Attribute { kind, name, flags: fields.u16(0xC)?, value })
}

/// Returns which records hold the pieces of an attribute, by a list of attributes.
pub(super) fn listed(list: &[u8], kind: u32, name: &[u8]) -> Result<Vec<u64>, Reason> {
    let fields = Fields::new(list, "a list of attributes");
    let mut found: Vec<u64> = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let length = usize::from(fields.u16(at + 4)?);
        let entry = Fields::new(fields.slice(at, length)?, "a list of attributes");
        let its_name = entry.slice(usize::from(entry.u8(7)?), 2 * usize::from(entry.u8(6)?))?;
        let reference = entry.u64(0x10)?;
        if entry.u32(0)? == kind && is_name(its_name, name) && !found.contains(&reference) {
            found.push(reference);
        }
        at += length;
    }
    Ok(found)
}

/// Puts the last two bytes of each 512 back to where they belong.
pub(super) fn repaired(mut bytes: Vec<u8>, magic: &[u8; 4]) -> Result<Vec<u8>, Reason> {
    let fields = Fields::new(&bytes, WHAT);
    let (at, count) = (usize::from(fields.u16(4)?), usize::from(fields.u16(6)?));
    let kept = fields.slice(at, 2 * count)?.to_vec();
    let fits = bytes.starts_with(magic) && count == bytes.len() / STRIDE + 1;
    if !fits {
        return Err(fields.damaged());
    }
    let (kept, _) = kept.as_chunks::<2>();
    for (sector, own) in bytes.chunks_exact_mut(STRIDE).zip(&kept[1..]) {
        let last = &mut sector[STRIDE - 2..];
        if last != kept[0] {
            return Err("a record of NTFS was not written whole".to_owned());
        }
        last.copy_from_slice(own);
    }
    Ok(bytes)
}
