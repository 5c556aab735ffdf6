//! The block map of `bmaptool`: <https://github.com/yoctoproject/bmaptool>, `BmapCreate.py`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::verify::Checksum;
use super::{DataMap, MapError, Ranges, contradiction, malformed};
use crate::model::ByteRange;

/// Deepest element: `bmap`, `BlockMap`, `Range`.
const MAX_DEPTH: usize = 3;
/// Longest text of an element, in bytes.
const MAX_TEXT: usize = 256;

/// Reads a bmap file.
pub(super) fn parse(file: &[u8]) -> Result<DataMap, MapError> {
    let text = std::str::from_utf8(file).map_err(|_| malformed(format_args!("it is not text")))?;
    let mut elements = Elements::default();
    elements.read(text)?;
    // A file with another checksum is damaged, whatever else is wrong with it.
    let map = elements.map();
    elements.check_file(text)?;
    map
}

/// What the elements say.
#[derive(Default)]
struct Elements {
    version: Option<String>,
    image_size: Option<u64>,
    block_size: Option<u64>,
    blocks: Option<u64>,
    mapped_blocks: Option<u64>,
    checksum_kind: Option<String>,
    file_checksum: Option<String>,
    ranges: Vec<BlockRange>,
}

/// Blocks with their first and last number, and a checksum over all of them.
struct BlockRange {
    first: u64,
    last: u64,
    checksum: Option<String>,
}

impl Elements {
    fn read(&mut self, text: &str) -> Result<(), MapError> {
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut open = Vec::new();
        let (mut content, mut checksum) = (String::new(), None);
        loop {
            let event = reader.read_event();
            let event = event.map_err(|error| malformed(format_args!("not a bmap file: {error}")))?;
            match event {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    match open.len() {
                        0 if name == "bmap" && self.version.is_none() => {
                            self.version = Some(supported(attribute(&start, "version")?)?);
                        }
                        1..MAX_DEPTH => {}
                        _ => {
                            return Err(malformed(format_args!(
                                "not a bmap file: it has an element `{name}`"
                            )));
                        }
                    }
                    checksum = attribute(&start, "chksum")?;
                    content.clear();
                    open.push(name);
                }
                Event::Text(text) if content.len() + text.len() <= MAX_TEXT => content.push_str(&text),
                Event::End(_) => {
                    let depth = open.len();
                    let name = open.pop().unwrap_or_default();
                    let inside = open.last().map_or("", String::as_str);
                    self.element(depth, inside, &name, content.trim(), checksum.take())?;
                    content.clear();
                }
                // Between elements there may be any white space.
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
                Event::Eof => break,
                Event::Text(_) | Event::CData(_) | Event::DocType(_) | Event::GeneralRef(_) => {
                    return Err(malformed(format_args!("not a bmap file: it has XML that no bmap file has")));
                }
            }
        }
        if self.version.is_none() || !open.is_empty() {
            return Err(malformed(format_args!("not a whole bmap file")));
        }
        Ok(())
    }

    /// Takes an element that ends. Unknown ones are passed over: minor versions may add some.
    fn element(
        &mut self,
        depth: usize,
        inside: &str,
        name: &str,
        text: &str,
        checksum: Option<String>,
    ) -> Result<(), MapError> {
        let number = || number(name, text);
        match (depth, inside, name) {
            (2, _, "ImageSize") => once(name, &mut self.image_size, number()?),
            (2, _, "BlockSize") => once(name, &mut self.block_size, number()?),
            (2, _, "BlocksCount") => once(name, &mut self.blocks, number()?),
            (2, _, "MappedBlocksCount") => once(name, &mut self.mapped_blocks, number()?),
            (2, _, "ChecksumType") => once(name, &mut self.checksum_kind, text.to_owned()),
            (2, _, "BmapFileChecksum") => once(name, &mut self.file_checksum, text.to_owned()),
            (3, "BlockMap", "Range") => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                let (first, last) = (self::number(name, first)?, self::number(name, last)?);
                self.ranges.push(BlockRange { first, last, checksum });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Compares the file with its own checksum, which was made with zeros in its place.
    fn check_file(&self, text: &str) -> Result<(), MapError> {
        let digits = required("BmapFileChecksum", self.file_checksum.as_ref())?;
        let checksum = Checksum::parse(self.kind()?, digits)?;
        // The first place, as `bmaptool` takes it.
        let (before, behind) = text.split_once(digits.as_str()).expect("it was read from this text");
        let zeros = "0".repeat(digits.len());
        let same = checksum.is_of(&[before.as_bytes(), zeros.as_bytes(), behind.as_bytes()]);
        if same { Ok(()) } else { Err(MapError::Damaged) }
    }

    fn kind(&self) -> Result<&str, MapError> {
        required("ChecksumType", self.checksum_kind.as_ref()).map(String::as_str)
    }

    fn map(&self) -> Result<DataMap, MapError> {
        let length = *required("ImageSize", self.image_size.as_ref())?;
        let block_size = *required("BlockSize", self.block_size.as_ref())?;
        let blocks = *required("BlocksCount", self.blocks.as_ref())?;
        let mapped = *required("MappedBlocksCount", self.mapped_blocks.as_ref())?;
        if block_size == 0 || length.div_ceil(block_size) != blocks {
            return Err(contradiction(format_args!(
                "an image of {length} bytes does not have {blocks} blocks of {block_size} bytes"
            )));
        }
        let (mut data, mut checksums, mut listed) = (Ranges::default(), Vec::new(), 0);
        for BlockRange { first, last, checksum } in &self.ranges {
            if first > last || *last >= blocks {
                return Err(contradiction(format_args!(
                    "the blocks {first} to {last} are none of an image of {blocks} blocks"
                )));
            }
            // Both are inside the image: of its length, only the last block's end may lie beyond.
            let end = (last + 1).checked_mul(block_size).map_or(length, |end| end.min(length));
            let range = ByteRange::new(first * block_size, end);
            data.push(range)?;
            listed += last - first + 1;
            if let Some(digits) = checksum {
                checksums.push((range, Checksum::parse(self.kind()?, digits)?));
            }
        }
        if listed != mapped {
            return Err(contradiction(format_args!("it says {mapped} mapped blocks, and lists {listed}")));
        }
        Ok(DataMap { length, unit: 1, data: data.0, checksums })
    }
}

/// Returns the version if it can be read. 1.3 had other names for its checksums, and 2.0 is 1.4 by another number.
fn supported(version: Option<String>) -> Result<String, MapError> {
    let version = version.ok_or_else(|| malformed(format_args!("its version is missing")))?;
    let numbers = version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?)));
    match numbers {
        Some((1, 4..) | (2, _)) => Ok(version),
        _ => Err(MapError::Version(version.chars().take(20).flat_map(char::escape_debug).collect())),
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, MapError> {
    let found = start.try_get_attribute(name);
    let found = found.map_err(|error| malformed(format_args!("not a bmap file: {error}")))?;
    Ok(found.map(|attribute| attribute.value.trim().to_owned()))
}

fn number(name: &str, text: &str) -> Result<u64, MapError> {
    text.trim().parse().map_err(|_| malformed(format_args!("`{name}` holds `{text}` and not a number")))
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), MapError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(contradiction(format_args!("`{name}` is there twice"))),
    }
}

fn required<'a, T>(name: &str, value: Option<&'a T>) -> Result<&'a T, MapError> {
    value.ok_or_else(|| malformed(format_args!("not a bmap file: it lacks `{name}`")))
}

#[cfg(test)]
mod tests;
