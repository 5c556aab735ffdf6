//! Unified kernel images: a kernel with its arguments and its initial RAM file system, which firmware starts as one program.

use super::super::tree::Tree;
use super::super::volume::Read;
use super::menu::{Item, Start};
use crate::read::{le16, le32};

/// Bytes in which the headers must lie.
const HEADERS: usize = 4096;
/// Most bytes of the arguments.
const LONGEST: usize = 16 << 10;

/// Reads the entry that an image makes; `None` if it is another program.
pub(super) fn read(tree: &mut Tree, file: &str) -> Read<Item> {
    let Some(mut program) = tree.open(file)? else { return Ok(None) };
    let mut headers = vec![0; HEADERS];
    let length = program.read_at(0, &mut headers)?;
    headers.truncate(length);
    // What has no kernel in it is a loader.
    if section(&headers, b".linux").is_none() {
        return Ok(None);
    }
    let mut arguments = Vec::new();
    if let Some((at, length)) = section(&headers, b".cmdline") {
        let mut bytes = vec![0; length.min(LONGEST)];
        let length = program.read_at(at, &mut bytes)?;
        let text = bytes[..length].split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        arguments.extend(text.split_whitespace().map(str::to_owned));
    }
    let name = file.rsplit('/').next().unwrap_or(file).to_owned();
    let kernel = format!("/EFI/Linux/{name}");
    let start =
        Start { file: file.to_owned(), line: 1, kernel: Some(kernel), initrds: Vec::new(), arguments };
    Ok(Some(Item { id: Some(name.clone()), title: name, starts: vec![start], ..Item::default() }))
}

/// Returns where a section of a program (PE) is in its file, and its bytes.
fn section(headers: &[u8], name: &[u8]) -> Option<(u64, usize)> {
    let at = le32(headers.get(..64)?, 60) as usize;
    let header = headers.get(at..at.checked_add(24)?).filter(|header| header.starts_with(b"PE\0\0"))?;
    let first = at + 24 + usize::from(le16(header, 20));
    let (sections, _) = headers.get(first..)?.as_chunks::<40>();
    let mut sections = sections.iter().take(usize::from(le16(header, 6)));
    let found = sections
        .find(|section| section[..8].trim_ascii_end().split(|byte| *byte == 0).next() == Some(name))?;
    // What is loaded may be less than is stored, which is rounded up.
    let length = le32(found, 8).min(le32(found, 16)) as usize;
    Some((u64::from(le32(found, 20)), length))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::put;

    /// Makes an image with these arguments.
    pub(in super::super) fn image(arguments: &str) -> Vec<u8> {
        let mut image = vec![0; 0x600];
        put(&mut image, 0, b"MZ");
        put(&mut image, 60, &0x40_u32.to_le_bytes());
        put(&mut image, 0x40, b"PE\0\0\x64\x02\x02\0");
        put(&mut image, 0x40 + 20, &16_u16.to_le_bytes());
        for (index, (name, at, length)) in
            [(".linux", 0x200_u32, 4_u32), (".cmdline", 0x400, arguments.len() as u32)]
                .into_iter()
                .enumerate()
        {
            let section = 0x40 + 24 + 16 + index * 40;
            put(&mut image, section, name.as_bytes());
            put(&mut image, section + 8, &length.to_le_bytes());
            put(&mut image, section + 16, &0x200_u32.to_le_bytes());
            put(&mut image, section + 20, &at.to_le_bytes());
        }
        put(&mut image, 0x400, arguments.as_bytes());
        image
    }

    #[test]
    fn sections_are_found_by_name_and_only_as_far_as_they_are_loaded() {
        let image = image("root=UUID=a");
        assert_eq!(section(&image, b".cmdline"), Some((0x400, 11)));
        assert_eq!(section(&image, b".uname"), None);
        for end in 0..0xB8 {
            assert_eq!(section(&image[..end], b".cmdline"), None, "{end}");
        }
        let mut odd = image;
        put(&mut odd, 60, &[0xFF; 4]);
        assert_eq!(section(&odd, b".cmdline"), None);
    }
}
