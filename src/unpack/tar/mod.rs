//! The one member of a tar archive that is the disk image.

mod entries;
mod pax;
mod sparse;

use entries::{Entries, Entry};

use super::UnpackError;
use super::error::Names;
use super::stream::Stream;
use crate::image::{Format, detect};

/// Smallest file that is taken for a disk image without being named (64 KiB): signatures, checksums and notes are
/// smaller, disks larger.
pub const SMALLEST_IMAGE: u64 = 64 << 10;
/// How much of a file tells whether it may be an image: enough for the header of a kernel.
const HEAD: usize = 1024;

/// The content of one member. Behind its end the rest of the archive is read, for another image and for its end mark.
pub(super) struct Member {
    entries: Entries,
    name: String,
    /// The name was given, so no other member matters.
    named: Option<String>,
    head: Vec<u8>,
    given: usize,
}

/// Finds the member called `named`, or else the first file that may be a disk image. Returns it with its name and
/// size.
pub(super) fn open(
    input: Box<dyn Stream>,
    named: Option<&str>,
) -> Result<(Member, String, u64), UnpackError> {
    let mut entries = Entries::new(input);
    let mut held = Names::default();
    let mut is_first = true;
    while let Some(entry) = entries.next()? {
        if is_first && named.is_none() && entry.name.to_ascii_lowercase().ends_with(".ovf") {
            return Err(UnpackError::Ova { description: entry.name });
        }
        is_first = false;
        let head = match named {
            Some(named) if is_same(&entry.name, named) && entry.is_file => Some(Vec::new()),
            Some(named) if is_same(&entry.name, named) => {
                return Err(UnpackError::MemberIsNoFile { member: entry.name });
            }
            Some(_) => None,
            None => head_of_image(&mut entries, &entry)?,
        };
        if let Some(head) = head {
            let (name, size) = (entry.name, entry.size);
            let member =
                Member { entries, name: name.clone(), named: named.map(str::to_owned), head, given: 0 };
            return Ok((member, name, size));
        }
        held.push(&entry.name);
    }
    Err(match named {
        Some(member) => UnpackError::NoMember { member: member.to_owned(), held },
        None => UnpackError::NoImage { held },
    })
}

/// Returns the beginning of a file that may be a disk image: large enough, and neither text nor a program, such as a
/// kernel beside the image. What kind of image it is, others judge.
fn head_of_image(entries: &mut Entries, entry: &Entry) -> Result<Option<Vec<u8>>, UnpackError> {
    if !entry.is_file || entry.size < SMALLEST_IMAGE {
        return Ok(None);
    }
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        let read = entries.read(&mut head[filled..])?;
        filled += read;
        if read == 0 {
            head.truncate(filled);
        }
        if read == 0 {
            break;
        }
    }
    // Bytes in memory can be read.
    let format = detect(&head).unwrap_or(Format::Raw);
    Ok((!matches!(format, Format::Text | Format::Executable)).then_some(head))
}

/// Whether two names are of one member: `tar -C dir .` writes `./` before each.
fn is_same(name: &str, other: &str) -> bool {
    name.trim_start_matches("./") == other.trim_start_matches("./")
}

impl Member {
    /// Reads the rest of the archive: a second image would make the choice of the first a guess.
    fn prove_alone(&mut self) -> Result<(), UnpackError> {
        while let Some(entry) = self.entries.next()? {
            match &self.named {
                Some(named) if is_same(&entry.name, named) => {
                    return Err(UnpackError::MemberTwice { member: entry.name });
                }
                Some(_) => {}
                None if head_of_image(&mut self.entries, &entry)?.is_some() => {
                    let mut found = Names::default();
                    found.push(&self.name);
                    found.push(&entry.name);
                    return Err(UnpackError::SeveralImages { found });
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Stream for Member {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        let left = &self.head[self.given..];
        if !left.is_empty() {
            let length = left.len().min(out.len());
            out[..length].copy_from_slice(&left[..length]);
            self.given += length;
            return Ok(length);
        }
        let read = self.entries.read(out)?;
        if read == 0 {
            self.prove_alone()?;
        }
        Ok(read)
    }
}
