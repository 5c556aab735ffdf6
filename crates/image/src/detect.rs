//! What a file is, by its contents and never by its name.

use super::format::{Archive, Compression, Format, Inner};
use super::inflate;
use super::read::{be32, le32, le64, up_to};
use ossup_core::read::{ReadAt, ReadError};

/// The cookie of a VHD footer, and of its copy at the front of a dynamic disk.
pub(super) const VHD_COOKIE: &[u8] = b"conectix";
/// The first line of a VMDK's descriptor, a file of its own or in the VMDK.
pub(super) const VMDK_DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";
/// Where an ISO 9660 volume descriptor says `CD001`.
const ISO_AT: u64 = 32_769;
/// How much of a compressed file is looked at, and how much it may become.
const PREVIEW: usize = 64 << 10;

/// Recognises what `file` is. The first signature that fits decides.
///
/// # Errors
///
/// When the source cannot be read.
pub fn detect(file: &dyn ReadAt) -> Result<Format, ReadError> {
    let length = file.length();
    if length == 0 {
        return Ok(Format::Empty);
    }
    let head = up_to(file, 0, 512)?;
    if let Some(format) = by_head(&head) {
        return Ok(format);
    }
    // While the end of a stream is to come, the front decides.
    let tail = match up_to(file, length.saturating_sub(512), 512) {
        Err(ReadError::Unseen { .. }) => Vec::new(),
        tail => tail?,
    };
    if head.starts_with(VHD_COOKIE) || tail.starts_with(VHD_COOKIE) || tail.get(1..).is_some_and(is_vhd) {
        return Ok(Format::Vhd);
    }
    if let Some(format) = by_container(&head) {
        return Ok(format);
    }
    if tail.starts_with(b"koly") {
        return Ok(Format::Dmg);
    }
    if head.starts_with(b"LUKS\xBA\xBE") {
        return Ok(Format::Luks);
    }
    if up_to(file, ISO_AT, 5)? == b"CD001" {
        return Ok(Format::Iso);
    }
    if let Some(compression) = by_compression(&head) {
        return Ok(Format::Compressed(compression, inside(file, compression)?));
    }
    if let Some(archive) = by_archive(&head) {
        return Ok(Format::Archive(archive));
    }
    if is_program(file, &head)? {
        return Ok(Format::Executable);
    }
    Ok(if is_text(&head) { Format::Text } else { Format::Raw })
}

/// Whether the file is a program. A kernel for x86 has a boot signature too and otherwise looks like a disk.
fn is_program(file: &dyn ReadAt, head: &[u8]) -> Result<bool, ReadError> {
    if head.starts_with(b"\x7FELF") || head.get(56..60) == Some(b"ARM\x64") {
        return Ok(true);
    }
    if head.starts_with(b"MZ") && head.len() >= 64 {
        return match up_to(file, le32(head, 60).into(), 4) {
            Err(ReadError::Unseen { .. }) => Ok(false),
            magic => Ok(magic? == b"PE\0\0"),
        };
    }
    // The header of a bzImage begins at 0x1F1 and has its magic in the next sector.
    Ok(head.get(510..512) == Some(&[0x55, 0xAA]) && up_to(file, 0x202, 4)? == b"HdrS")
}

fn is_vhd(bytes: &[u8]) -> bool {
    bytes.starts_with(VHD_COOKIE)
}

fn by_head(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"QFI\xFB") {
        let version = head.get(..8).map_or(0, |start| be32(start, 4));
        return Some(if matches!(version, 2 | 3) { Format::Qcow2 } else { Format::Qcow1 });
    }
    head.starts_with(b"QED\0").then_some(Format::Qed)
}

fn by_container(head: &[u8]) -> Option<Format> {
    const TABLE: [(&[u8], Format); 6] = [
        (b"vhdxfile", Format::Vhdx),
        (b"KDMV", Format::Vmdk),
        (b"COWD", Format::Vmdk),
        (VMDK_DESCRIPTOR, Format::VmdkDescriptor),
        (b"WithoutFreeSpace", Format::Parallels),
        (b"WithouFreSpacExt", Format::Parallels),
    ];
    if head.get(64..68) == Some(&[0x7F, 0x10, 0xDA, 0xBE]) {
        return Some(Format::Vdi);
    }
    TABLE.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, format)| *format)
}

fn by_compression(head: &[u8]) -> Option<Compression> {
    const TABLE: [(&[u8], Compression); 4] = [
        (b"\x1F\x8B", Compression::Gzip),
        (b"\xFD7zXZ\0", Compression::Xz),
        (b"\x28\xB5\x2F\xFD", Compression::Zstd),
        (b"\x04\x22\x4D\x18", Compression::Lz4),
    ];
    if let Some((_, compression)) = TABLE.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*compression);
    }
    if head.starts_with(b"BZh") && head.get(3).is_some_and(|level| matches!(level, b'1'..=b'9')) {
        return Some(Compression::Bzip2);
    }
    // LZMA's old format has no magic: its first bytes are settings, then comes the size, which must be sane.
    let lzma = head.starts_with(&[0x5D, 0, 0]) && head.len() >= 13 && {
        let size = le64(head, 5);
        size == u64::MAX || size < 1 << 48
    };
    lzma.then_some(Compression::Lzma)
}

fn by_archive(head: &[u8]) -> Option<Archive> {
    const TABLE: [(&[u8], Archive); 3] = [
        (b"PK\x03\x04", Archive::Zip),
        (b"7z\xBC\xAF\x27\x1C", Archive::SevenZip),
        (b"Rar!\x1A\x07", Archive::Rar),
    ];
    if head.get(257..262) == Some(b"ustar") {
        return Some(Archive::Tar);
    }
    TABLE.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, archive)| *archive)
}

/// Whether the bytes are text: UTF-8 (which may be cut at the end) without control characters but white space.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).expect("checked up to there")
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

/// Returns what a compressed file holds, from its first block. Only gzip is decompressed.
fn inside(file: &dyn ReadAt, compression: Compression) -> Result<Option<Inner>, ReadError> {
    if compression != Compression::Gzip {
        return Ok(None);
    }
    let packed = up_to(file, 0, PREVIEW)?;
    let Some(deflated) = after_gzip_header(&packed) else { return Ok(None) };
    let mut plain = vec![0; PREVIEW];
    let written = inflate::deflate(deflated, &mut plain);
    plain.truncate(written);
    if plain.is_empty() {
        return Ok(None);
    }
    let head = &plain[..plain.len().min(512)];
    Ok(Some(match by_head(head).or_else(|| by_container(head)) {
        Some(Format::Qcow2) => Inner::Qcow2,
        Some(Format::Vmdk) => Inner::Vmdk,
        Some(_) => Inner::Other,
        None if is_vhd(head) => Inner::Vhd,
        None if by_archive(head) == Some(Archive::Tar) => Inner::Tar,
        None if by_archive(head).is_some() || by_compression(head).is_some() || is_text(head) => Inner::Other,
        None => Inner::Raw,
    }))
}

/// Skips a gzip header (RFC 1952): ten bytes, then extra field, name, comment and checksum as its flags say.
fn after_gzip_header(packed: &[u8]) -> Option<&[u8]> {
    let flags = *packed.get(3)?;
    let mut rest = packed.get(10..)?;
    if flags & 4 != 0 {
        let length = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        rest = rest.get(2 + length..)?;
    }
    for bit in [8, 16] {
        if flags & bit != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & 2 != 0 { rest.get(2..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: impl Into<Vec<u8>>) -> Format {
        detect(&bytes.into()).unwrap()
    }

    fn at(length: usize, offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[offset..offset + magic.len()].copy_from_slice(magic);
        bytes
    }

    /// A kernel for x86 without the header of an EFI program.
    fn kernel() -> Vec<u8> {
        let mut bytes = at(4096, 510, &[0x55, 0xAA]);
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes
    }

    #[test]
    fn each_signature_is_recognised() {
        let cases: Vec<(Vec<u8>, Format)> = vec![
            (vec![], Format::Empty),
            (at(4096, 0, b"QFI\xFB\0\0\0\x02"), Format::Qcow2),
            (at(4096, 0, b"QFI\xFB\0\0\0\x03"), Format::Qcow2),
            (at(4096, 0, b"QFI\xFB\0\0\0\x01"), Format::Qcow1),
            (b"QFI\xFB".to_vec(), Format::Qcow1),
            (at(4096, 0, b"QED\0"), Format::Qed),
            (at(4096, 0, b"conectix"), Format::Vhd),
            (at(4096, 4096 - 512, b"conectix"), Format::Vhd),
            (at(4096, 4096 - 511, b"conectix"), Format::Vhd),
            (at(4096, 0, b"vhdxfile"), Format::Vhdx),
            (at(4096, 0, b"KDMV"), Format::Vmdk),
            (at(4096, 0, b"COWD"), Format::Vmdk),
            (at(4096, 0, b"# Disk DescriptorFile"), Format::VmdkDescriptor),
            (at(4096, 64, &[0x7F, 0x10, 0xDA, 0xBE]), Format::Vdi),
            (at(4096, 0, b"WithoutFreeSpace"), Format::Parallels),
            (at(4096, 0, b"WithouFreSpacExt"), Format::Parallels),
            (at(4096, 4096 - 512, b"koly"), Format::Dmg),
            (at(4096, 0, b"LUKS\xBA\xBE"), Format::Luks),
            (at(65536, 32769, b"CD001"), Format::Iso),
            (at(4096, 0, b"\xFD7zXZ\0"), Format::Compressed(Compression::Xz, None)),
            (at(4096, 0, b"\x28\xB5\x2F\xFD"), Format::Compressed(Compression::Zstd, None)),
            (at(4096, 0, b"BZh9"), Format::Compressed(Compression::Bzip2, None)),
            (at(4096, 0, b"\x04\x22\x4D\x18"), Format::Compressed(Compression::Lz4, None)),
            (at(4096, 0, &[0x5D, 0, 0, 0x80]), Format::Compressed(Compression::Lzma, None)),
            (at(4096, 0, b"PK\x03\x04"), Format::Archive(Archive::Zip)),
            (at(4096, 0, b"7z\xBC\xAF\x27\x1C"), Format::Archive(Archive::SevenZip)),
            (at(4096, 0, b"Rar!\x1A\x07"), Format::Archive(Archive::Rar)),
            (at(4096, 257, b"ustar"), Format::Archive(Archive::Tar)),
            (b"<?xml version=\"1.0\"?>\n<Error/>".to_vec(), Format::Text),
            ("\u{FEFF}<!DOCTYPE html>错误".as_bytes().to_vec(), Format::Text),
            (at(4096, 0, b"\x7FELF"), Format::Executable),
            (at(4096, 56, b"ARM\x64"), Format::Executable),
            (kernel(), Format::Executable),
            (at(4096, 0, b"MZ"), Format::Raw),
            (at(4096, 510, &[0x55, 0xAA]), Format::Raw),
            (vec![0; 100], Format::Raw),
        ];
        for (bytes, format) in cases {
            assert_eq!(of(bytes), format);
        }
    }

    #[test]
    fn text_that_is_cut_inside_a_character_is_text() {
        let mut text = "a".repeat(511).into_bytes();
        text.extend("错误".as_bytes());
        assert_eq!(of(text), Format::Text);
        assert_eq!(of(b"abc\x01".to_vec()), Format::Raw);
    }

    #[test]
    fn the_inside_of_gzip_is_named() {
        let gzip = |plain: &[u8]| {
            let mut bytes = vec![0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 3];
            bytes.extend(b"disk.img\0");
            bytes.extend(inflate::deflated(plain));
            bytes
        };
        let inner = |plain: &[u8]| match of(gzip(plain)) {
            Format::Compressed(Compression::Gzip, inner) => inner,
            other => panic!("{other}"),
        };
        assert_eq!(inner(&at(200_000, 0, b"QFI\xFB\0\0\0\x03")), Some(Inner::Qcow2));
        assert_eq!(inner(&at(200_000, 257, b"ustar")), Some(Inner::Tar));
        assert_eq!(inner(&at(200_000, 510, &[0x55, 0xAA])), Some(Inner::Raw));
        assert_eq!(inner(b"hello"), Some(Inner::Other));
        assert_eq!(of(vec![0x1F, 0x8B]), Format::Compressed(Compression::Gzip, None));
        assert_eq!(
            of([0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 3, 255, 255]),
            Format::Compressed(Compression::Gzip, None)
        );
    }
}
