//! Archives of cpio in the format `newc`, which is what Linux takes.

use super::{Search, Stream};
use crate::inside::volume::Reason;

/// Bytes of a header, of which all but the magic are 13 numbers of eight hexadecimal digits.
const HEADER: usize = 110;
/// The formats `newc` and `newc` with checksums.
const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];
/// Longest name, with the zero behind it.
const LONGEST_NAME: u32 = 4096;
/// The name of what ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Takes note of the files in archives, one behind the other with zeros between, until something else comes, the end,
/// or all was seen.
pub(super) fn read_archives(stream: &mut dyn Stream, search: &mut Search<'_>) -> Result<(), Reason> {
    // Whether an archive was begun, and not ended.
    let mut is_open = false;
    loop {
        let next = stream.fill()?;
        match next.first() {
            Some(0) => {
                let zeros = next.iter().take_while(|byte| **byte == 0).count();
                stream.consume(zeros);
            }
            Some(b'0') => {
                is_open = read_entry(stream, search)?;
                if search.is_complete() {
                    return Ok(());
                }
            }
            _ if is_open => return Err("it ends in the middle of an archive".to_owned()),
            _ => return Ok(()),
        }
    }
}

/// Takes note of a file. Tells whether others may follow in the archive.
fn read_entry(stream: &mut dyn Stream, search: &mut Search<'_>) -> Result<bool, Reason> {
    let mut header = [0; HEADER];
    exactly(stream, &mut header)?;
    if !MAGIC.contains(&&header[..6]) {
        return Err("an archive in it is of another format than Linux takes, or damaged".to_owned());
    }
    let (size, name_length) = (number(&header, 6)?, number(&header, 11)?);
    if !(1..=LONGEST_NAME).contains(&name_length) {
        return Err("an archive in it is damaged: a name is longer than one can be".to_owned());
    }
    let mut name = vec![0; name_length as usize];
    exactly(stream, &mut name)?;
    // The name and what follows it are each filled up to a multiple of four bytes.
    stream.skip(u64::from((HEADER as u32 + name_length).wrapping_neg() % 4))?;
    let name = name.strip_suffix(b"\0").unwrap_or(&name);
    if name == TRAILER {
        return Ok(false);
    }
    search.note(name)?;
    if !search.is_complete() {
        stream.skip(u64::from(size).next_multiple_of(4))?;
    }
    Ok(true)
}

/// Returns one of the numbers of a header.
fn number(header: &[u8; HEADER], index: usize) -> Result<u32, Reason> {
    let digits = &header[6 + 8 * index..][..8];
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    number
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| "an archive in it is damaged: a header has something else for a number".to_owned())
}

fn exactly(stream: &mut dyn Stream, mut buffer: &mut [u8]) -> Result<(), Reason> {
    while !buffer.is_empty() {
        let next = stream.fill()?;
        if next.is_empty() {
            return Err("it ends in the middle of an archive".to_owned());
        }
        let count = next.len().min(buffer.len());
        let (now, later) = buffer.split_at_mut(count);
        now.copy_from_slice(&next[..count]);
        stream.consume(count);
        buffer = later;
    }
    Ok(())
}
