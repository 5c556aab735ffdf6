//! Programs for UEFI (PE), as far as their sections tell what they are.

use super::super::volume::{OpenFile, Reason};
use crate::read::{le16, le32};

/// Bytes in which the headers must lie.
const HEADERS: usize = 4096;

/// The headers of a program.
pub(in crate::inside) struct Program(Vec<u8>);

impl Program {
    pub(in crate::inside) fn of(file: &mut OpenFile<'_>) -> Result<Self, Reason> {
        let mut headers = vec![0; HEADERS];
        let length = file.read_at(0, &mut headers)?;
        headers.truncate(length);
        Ok(Self(headers))
    }

    /// Returns where a section is in the file, and its bytes.
    pub(in crate::inside) fn section(&self, name: &[u8]) -> Option<(u64, u32)> {
        let at = le32(self.0.get(..64)?, 60) as usize;
        let header = self.0.get(at..at.checked_add(24)?).filter(|header| header.starts_with(b"PE\0\0"))?;
        let first = at + 24 + usize::from(le16(header, 20));
        let (sections, _) = self.0.get(first..)?.as_chunks::<40>();
        let mut sections = sections.iter().take(usize::from(le16(header, 6)));
        let found = sections
            .find(|section| section[..8].trim_ascii_end().split(|byte| *byte == 0).next() == Some(name))?;
        // What is loaded may be less than is stored, which is rounded up.
        Some((u64::from(le32(found, 20)), le32(found, 8).min(le32(found, 16))))
    }

    /// Whether it has a kernel in it.
    pub(in crate::inside) fn is_unified(&self) -> bool {
        self.section(b".linux").is_some()
    }

    /// Whether it is a loader that starts nothing without a configuration of those that are read here: GRUB keeps its modules
    /// in a section of their own, and systemd-boot says there what it is.
    pub(in crate::inside) fn needs_configuration(&self) -> bool {
        self.section(b"mods").is_some() || (self.section(b".sdmagic").is_some() && !self.is_unified())
    }
}

#[cfg(test)]
pub(in crate::inside) mod tests {
    use super::*;
    use crate::testing::put;

    /// Makes a program with these sections.
    pub(in crate::inside) fn program(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut program = vec![0; 0x400];
        put(&mut program, 0, b"MZ");
        put(&mut program, 60, &0x40_u32.to_le_bytes());
        put(&mut program, 0x40, b"PE\0\0\x64\x02");
        put(&mut program, 0x46, &(sections.len() as u16).to_le_bytes());
        put(&mut program, 0x40 + 20, &16_u16.to_le_bytes());
        for (index, (name, bytes)) in sections.iter().enumerate() {
            let (at, stored) = (program.len(), bytes.len().next_multiple_of(0x200));
            program.extend_from_slice(bytes);
            program.resize(at + stored, 0);
            let section = 0x40 + 24 + 16 + index * 40;
            put(&mut program, section, name.as_bytes());
            for (offset, value) in [(8, bytes.len()), (16, stored), (20, at)] {
                put(&mut program, section + offset, &(value as u32).to_le_bytes());
            }
        }
        program
    }

    #[test]
    fn sections_are_found_by_name_and_only_as_far_as_they_are_loaded() {
        let image = program(&[(".linux", b"MZ.."), (".cmdline", b"root=UUID=a")]);
        let section = |bytes: &[u8], name: &[u8]| Program(bytes.to_vec()).section(name);
        assert_eq!(section(&image, b".cmdline"), Some((0x600, 11)));
        assert_eq!(section(&image, b".uname"), None);
        for end in 0..0xB8 {
            assert_eq!(section(&image[..end], b".cmdline"), None, "{end}");
        }
        let mut odd = image;
        put(&mut odd, 60, &[0xFF; 4]);
        assert_eq!(section(&odd, b".cmdline"), None);
    }

    #[test]
    fn loaders_are_known_by_a_section_that_no_other_program_has() {
        let needs = |sections: &[(&str, &[u8])]| Program(program(sections)).needs_configuration();
        assert!(needs(&[(".text", b"x"), ("mods", b"mimg")]), "GRUB");
        assert!(needs(&[(".text", b"x"), (".sdmagic", b"#### LoaderInfo: systemd-boot 255 ####")]));
        let stub: &[u8] = b"#### LoaderInfo: systemd-stub 255 ####";
        assert!(!needs(&[(".sdmagic", stub), (".linux", b"MZ")]), "a unified kernel image");
        assert!(!needs(&[(".text", b"x")]), "rEFInd, or a kernel");
    }
}
