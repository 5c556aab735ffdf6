//! VHD: the checks of its footer, header and block table, and the disk inside.

mod footer;
mod layout;

use super::detect::VHD_COOKIE;
use super::finding::{Finding, Findings, Severity};
use super::fix::{Command, Fix};
use super::read::{array, be32, up_to};
use super::rule::Rule;
use footer::{DynamicHeader, Footer, Kind};
pub(super) use layout::Vhd;
use ossup_core::read::{ReadAt, ReadError};

/// The usual block size (2 MiB).
const USUAL_BLOCK: u64 = 2 << 20;
/// Most bytes of the block table that are checked (8 MiB: twice what the largest VHD of usual blocks has).
const MAX_TABLE_CHECKED: u64 = 8 << 20;
/// Unit in which the table is read.
const STEP: u64 = 256 << 10;
/// Bytes of a footer.
const FOOTER: u64 = 512;
/// Entry of a block that is not in the file.
const UNUSED: u32 = u32::MAX;

/// What the checks leave for the rest of the inspection.
pub(super) struct Checked {
    /// The footer's current size.
    pub(super) virtual_size: Option<u64>,
    /// What a reader that believes the geometry would take, if that is more.
    pub(super) needed_size: Option<u64>,
    /// Where the disk inside is, if it can be followed.
    pub(super) layout: Option<Vhd>,
}

/// Checks a file that begins or ends as a VHD.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn check(file: &dyn ReadAt, findings: &mut Findings) -> Result<Checked, ReadError> {
    let mut checked = Checked { virtual_size: None, needed_size: None, layout: None };
    let checks = Checks { file };
    let Some(footer) = checks.footer(findings)? else { return Ok(checked) };
    checked.virtual_size = Some(footer.current_size);
    checked.needed_size = footer.geometry_size().filter(|size| *size > footer.current_size);
    checks.sizes(&footer, findings);
    checked.layout = match footer.kind {
        Kind::Fixed => checks.fixed(&footer, findings),
        Kind::Dynamic => checks.dynamic(&footer, findings)?,
        Kind::Differencing => {
            findings.fix(
                Rule::VType,
                "a differencing disk, which holds only what differs from its parent",
                "merge it with its parent in the program that made it",
            );
            None
        }
        Kind::Other(kind) => {
            findings.refuse(Rule::VType, format!("unknown disk type {kind}"));
            None
        }
    };
    Ok(checked)
}

struct Checks<'a> {
    file: &'a dyn ReadAt,
}

impl Checks<'_> {
    /// Reads the footer and compares it with its copy; none if there is none to go on with.
    fn footer(&self, findings: &mut Findings) -> Result<Option<Footer>, ReadError> {
        let length = self.file.length();
        if length < FOOTER {
            findings.refuse(Rule::VTail, "the file ends inside its footer; truncated?");
            return Ok(None);
        }
        let head: [u8; 512] = array(self.file, 0)?;
        let tail: Option<[u8; 512]> = findings.seen("the footer", array(self.file, length - FOOTER))?;
        let has_copy = head.starts_with(VHD_COOKIE);
        // Until the end of a stream is there, the copy stands for it.
        let tail = tail.unwrap_or(head);
        let bytes = if tail.starts_with(VHD_COOKIE) {
            tail
        } else if has_copy {
            findings.refuse(Rule::VTail, "the footer at the end is missing; truncated download?");
            head
        } else {
            // Virtual PC wrote footers of 511 bytes before 2004; a file that lost its last byte looks the same.
            let mut old = [0; 512];
            old[..511].copy_from_slice(&tail[1..]);
            findings.push(
                Finding::new(
                    Rule::VFixLen,
                    Severity::Refuse,
                    "the footer has 511 bytes: the last byte is missing, or the writer is older than 2004",
                )
                .fixed_by(Fix::in_place(Command::new("truncate", "-s +1 IMAGE"))),
            );
            old
        };
        let footer = Footer::read(&bytes);
        if !footer.sound {
            findings.refuse(Rule::VCrc, "the VHD footer is damaged: its checksum is wrong");
            return Ok(None);
        }
        if footer.kind != Kind::Fixed && has_copy && head != bytes {
            findings.refuse(Rule::VCrc, "the VHD footer and its copy at the front differ");
        }
        Ok(Some(footer))
    }

    /// Checks the footer alone.
    fn sizes(&self, footer: &Footer, findings: &mut Findings) {
        if !footer.current_size.is_multiple_of(1 << 20) {
            findings.warn(Rule::VSize, "the virtual size is not a whole number of MiB");
        }
        if footer.geometry_differs() {
            let message =
                "the geometry gives another size than the footer; readers disagree about which counts";
            if footer.geometry_size().is_some() {
                findings.push(
                    Finding::new(Rule::VChs, Severity::Warn, message).fixed_by(Fix::vhd_by_current_size()),
                );
            } else {
                findings.info(Rule::VChs, message);
            }
        }
        if footer.creator == *b"qemu" {
            findings.push(
                Finding::new(
                    Rule::VQemu,
                    Severity::Warn,
                    "written by qemu-img without force_size: the size was rounded up to whole cylinders",
                )
                .fixed_by(footer.to_qcow2()),
            );
        }
        if footer.saved_state {
            findings.warn(Rule::VSaved, "belongs to a virtual machine in saved state");
        }
    }

    fn fixed(&self, footer: &Footer, findings: &mut Findings) -> Option<Vhd> {
        let wanted = footer.current_size.checked_add(FOOTER);
        if wanted != Some(self.file.length()) && !findings.has(Rule::VFixLen) {
            findings.refuse(
                Rule::VFixLen,
                format!(
                    "the file has {} bytes, but a fixed VHD of this size has {}; truncated?",
                    self.file.length(),
                    footer.current_size.saturating_add(FOOTER)
                ),
            );
        }
        let whole = footer.current_size <= self.file.length();
        whole.then(|| Vhd::fixed(footer.current_size))
    }

    fn dynamic(&self, footer: &Footer, findings: &mut Findings) -> Result<Option<Vhd>, ReadError> {
        let end = self.file.length();
        if footer.data_offset.checked_add(DynamicHeader::LENGTH).is_none_or(|after| after > end) {
            findings.refuse(Rule::VHdr, "the dynamic header lies outside the file; truncated?");
            return Ok(None);
        }
        let bytes = array(self.file, footer.data_offset);
        let Some(bytes) = findings.seen("the dynamic header", bytes)? else { return Ok(None) };
        let header = match DynamicHeader::read(&bytes) {
            Ok(header) => header,
            Err(reason) => {
                findings.refuse(Rule::VHdr, format!("the dynamic header is damaged: {reason}"));
                return Ok(None);
            }
        };
        if !header.block_size.is_power_of_two() || header.block_size < 512 {
            findings.refuse(Rule::VBlk, format!("impossible block size of {} bytes", header.block_size));
            return Ok(None);
        }
        if header.block_size != USUAL_BLOCK {
            findings.push(
                Finding::new(
                    Rule::VBlk,
                    Severity::Warn,
                    format!(
                        "blocks of {} bytes instead of the usual 2 MiB; the service may refuse",
                        header.block_size
                    ),
                )
                .fixed_by(footer.to_qcow2()),
            );
        }
        self.block_count(footer, &header, findings);
        if header.table_offset.checked_add(header.entries * 4).is_none_or(|after| after > end) {
            findings.refuse(Rule::VHdr, "the block table lies outside the file; truncated?");
            return Ok(None);
        }
        if let Some(block) = findings.seen("the block table", self.block_outside(&header))?.flatten() {
            findings.refuse(Rule::VHdr, format!("block {block} lies outside the file; truncated?"));
        }
        Ok(Some(Vhd::dynamic(footer.current_size, header)))
    }

    /// Checks the rule that the service refuses VHDs by: the size is a whole number of blocks, all in the table.
    fn block_count(&self, footer: &Footer, header: &DynamicHeader, findings: &mut Findings) {
        let blocks = u128::from(header.entries) * u128::from(header.block_size);
        if u128::from(footer.current_size) == blocks {
            return;
        }
        findings.fix(
            Rule::VMte,
            format!(
                "the virtual size {} is not {} × {}; the service refuses such VHDs",
                footer.current_size, header.entries, header.block_size
            ),
            footer.to_qcow2(),
        );
    }

    /// Returns the first block of the table that does not lie inside the file.
    fn block_outside(&self, header: &DynamicHeader) -> Result<Option<u64>, ReadError> {
        let end = self.file.length() - FOOTER;
        let bytes = (header.entries * 4).min(MAX_TABLE_CHECKED);
        for offset in (0..bytes).step_by(STEP as usize) {
            let step = usize::try_from((bytes - offset).min(STEP)).expect("at most 256 KiB");
            let table = up_to(self.file, header.table_offset + offset, step)?;
            let outside = |entry: &[u8]| {
                let sector = be32(entry, 0);
                sector != UNUSED && u64::from(sector) * 512 + header.bitmap() + header.block_size > end
            };
            if let Some(index) = table.chunks_exact(4).position(outside) {
                return Ok(Some(offset / 4 + index as u64));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
