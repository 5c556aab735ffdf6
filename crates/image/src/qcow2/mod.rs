//! QCOW2: the checks of its header and tables, the disk inside, and how an object is written.

mod header;
mod layout;
pub mod write;

use super::finding::{Finding, Findings, Severity};
use super::fix::{Command, Fix};
use super::format::Format;
use super::read::{be16, be32, be64, up_to};
use super::rule::Rule;
use header::Header;
pub(super) use layout::Qcow2;
use ossup_core::read::{ReadAt, ReadError};

/// Offset inside a table entry: bits 9 to 55.
const OFFSET_MASK: u64 = 0x00FF_FFFF_FFFF_FE00;
/// Most bytes of the L1 table that are checked (2 MiB: 16 TiB of disk with usual clusters).
const MAX_L1_CHECKED: u64 = 2 << 20;
/// Largest L1 table that QEMU opens (32 MiB).
const MAX_L1: u64 = 32 << 20;
/// Unit in which tables are read.
const STEP: u64 = 64 << 10;

/// What the checks leave for the rest of the inspection.
pub(super) struct Checked {
    pub(super) virtual_size: Option<u64>,
    /// Where the disk inside is, if its tables can be followed.
    pub(super) layout: Option<Qcow2>,
}

/// Checks a file that begins as QCOW2.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn check(file: &dyn ReadAt, findings: &mut Findings) -> Result<Checked, ReadError> {
    let before = findings.0.len();
    let Some(header) = Header::read(file, findings)? else {
        return Ok(Checked { virtual_size: None, layout: None });
    };
    let checks = Checks { file, header: &header };
    checks.features(findings);
    checks.backing(findings)?;
    let sound = checks.tables(findings);
    if sound {
        checks.extensions(findings)?;
        checks.truncation(findings)?;
    }
    let opaque = header.is_encrypted() || header.has_external_data() || header.has_unknown_features();
    let refused = findings.0[before..].iter().any(|finding| finding.severity == Severity::Refuse);
    let layout = (sound && !opaque && !refused).then(|| Qcow2(header.clone()));
    Ok(Checked { virtual_size: Some(header.size), layout })
}

struct Checks<'a> {
    file: &'a dyn ReadAt,
    header: &'a Header,
}

impl Checks<'_> {
    fn rewrite(&self) -> Fix {
        Fix::to_qcow2(Format::Qcow2)
    }

    fn features(&self, findings: &mut Findings) {
        let header = self.header;
        let warn = |rule, message: &str| Finding::new(rule, Severity::Warn, message).fixed_by(self.rewrite());
        if header.cluster_bits != 16 {
            let message =
                format!("clusters of {} bytes instead of the usual 65536", 1u64 << header.cluster_bits);
            findings.push(warn(Rule::QClb, &message));
        }
        if !header.size.is_multiple_of(512) {
            findings.warn(Rule::QSize, "the virtual size is not a whole number of sectors");
        }
        if header.is_encrypted() {
            findings.push(
                Finding::new(Rule::QCrypt, Severity::Refuse, "encrypted, and ECS has no key for it")
                    .fixed_by("convert it with its key to an image without encryption"),
            );
        }
        if header.is_dirty() || header.is_corrupt() {
            let word = if header.is_corrupt() { "marked as corrupt" } else { "not closed cleanly" };
            findings.fix(Rule::QInc, word, Fix::in_place(Command::new("qemu-img", "check -r all IMAGE")));
        }
        if header.has_external_data() {
            findings.push(
                Finding::new(Rule::QInc, Severity::Refuse, "the disk's data is in another file")
                    .fixed_by(self.rewrite()),
            );
        }
        if header.is_zstd() {
            findings.push(warn(Rule::QInc, "compressed with zstd, which the service may not understand"));
        }
        if header.is_zstd() != (header.compression_type == 1) || header.compression_type > 1 {
            findings.refuse(
                Rule::QCtype,
                format!("compression type {} contradicts the header's features", header.compression_type),
            );
        }
        if header.has_extended_l2() {
            findings.push(warn(Rule::QInc, "extended L2 entries, which the service may not understand"));
        }
        if header.has_unknown_features() {
            findings.refuse(Rule::QInc, "uses features that no known specification describes");
        }
        if header.has_bitmaps() {
            findings.push(warn(Rule::QAuto, "contains bitmaps or raw external data marks"));
        }
        if header.refcount_order != 4 {
            findings.push(warn(Rule::QRord, &format!("refcounts of {} bits", 1u64 << header.refcount_order)));
        }
        if header.snapshots != 0 {
            let message = format!(
                "contains {} internal snapshots; only the active state is used and the file is larger than needed",
                header.snapshots
            );
            findings.push(warn(Rule::QSnap, &message));
        }
    }

    fn backing(&self, findings: &mut Findings) -> Result<(), ReadError> {
        let header = self.header;
        if header.backing_offset == 0 {
            return Ok(());
        }
        let length = usize::try_from(header.backing_length.min(1023)).expect("at most 1023");
        let name = up_to(self.file, header.backing_offset, length);
        let message = match findings.seen("the name of the backing file", name)? {
            Some(name) => {
                let name: String =
                    String::from_utf8_lossy(&name).chars().flat_map(char::escape_debug).collect();
                format!("depends on the backing file `{name}`")
            }
            None => "depends on a backing file".to_owned(),
        };
        findings.fix(Rule::QBack, message, self.rewrite());
        Ok(())
    }

    /// Checks that the tables lie inside the file; the disk inside can be followed only then.
    fn tables(&self, findings: &mut Findings) -> bool {
        let header = self.header;
        let cluster = header.cluster();
        let inside = |offset: u64, length: u64| {
            offset != 0
                && offset.is_multiple_of(cluster)
                && offset.checked_add(length).is_some_and(|end| end <= self.file.length())
        };
        let l1 = header.l1_entries * 8;
        if header.l1_entries < header.needed_l1_entries() || l1 > MAX_L1 {
            findings.refuse(Rule::QL1, "the L1 table does not fit the virtual size");
            return false;
        }
        if l1 > 0 && !inside(header.l1_offset, l1) {
            findings.refuse(Rule::QL1, "the L1 table lies outside the file; truncated?");
            return false;
        }
        if !inside(header.refcount_offset, header.refcount_clusters * cluster) {
            findings.refuse(Rule::QRt, "the refcount table lies outside the file; truncated?");
            return false;
        }
        true
    }

    /// Reads the header's extensions: a list of type, length and data, padded to 8 bytes.
    fn extensions(&self, findings: &mut Findings) -> Result<(), ReadError> {
        const LUKS: u32 = 0x0537_BE77;
        const DATA_FILE: u32 = 0x4441_5441;
        let header = self.header;
        let end = if header.backing_offset == 0 { header.cluster() } else { header.backing_offset };
        let area = usize::try_from(end.min(header.cluster()).min(STEP)).expect("at most 64 KiB");
        let bytes = up_to(self.file, 0, area)?;
        let mut at = usize::try_from(header.header_length).unwrap_or(area);
        while let Some(start) = bytes.get(at..at.saturating_add(8)) {
            let (kind, length) = (be32(start, 0), be32(start, 4) as usize);
            match kind {
                0 => return Ok(()),
                LUKS if !header.is_encrypted() => {
                    findings.refuse(Rule::QExt, "has the header of an encrypted disk");
                }
                DATA_FILE if !header.has_external_data() => {
                    findings.refuse(Rule::QExt, "names another file for the disk's data");
                }
                _ => {}
            }
            at = at.saturating_add(8).saturating_add(length.next_multiple_of(8));
        }
        Ok(())
    }

    fn truncation(&self, findings: &mut Findings) -> Result<(), ReadError> {
        let header = self.header;
        let length = self.file.length();
        let truncated = "truncated download?";
        let leaves = findings.seen("the L1 table", self.l1_leaves_file())?;
        if leaves == Some(true) {
            findings.refuse(Rule::QTrunc, format!("L2 tables lie beyond the end of the file; {truncated}"));
        } else if !header.is_dirty() && !header.is_corrupt() {
            let last = findings.seen("the refcounts", self.last_cluster())?.flatten();
            let Some(last) = last else { return Ok(()) };
            let start = last.saturating_mul(header.cluster());
            // QEMU leaves a file in the middle of a sector only behind a table that it wrote last.
            let table_last = start <= header.l1_offset + header.l1_entries * 8 || header.snapshots != 0;
            if start >= length {
                findings.refuse(
                    Rule::QTrunc,
                    format!("cluster {last} is in use, but lies beyond the end of the file; {truncated}"),
                );
            } else if !length.is_multiple_of(512) && !table_last {
                findings.warn(Rule::QTrunc, format!("the file ends inside a sector of data; {truncated}"));
            }
        }
        Ok(())
    }

    /// Whether an L1 entry points beyond the end of the file.
    fn l1_leaves_file(&self) -> Result<bool, ReadError> {
        let header = self.header;
        let length = (header.l1_entries * 8).min(MAX_L1_CHECKED);
        for offset in (0..length).step_by(STEP as usize) {
            let step = usize::try_from((length - offset).min(STEP)).expect("at most 64 KiB");
            let table = up_to(self.file, header.l1_offset + offset, step)?;
            let leaves = |entry: &[u8]| {
                let l2 = be64(entry, 0) & OFFSET_MASK;
                l2 != 0 && l2 + header.cluster() > self.file.length()
            };
            if table.chunks_exact(8).any(leaves) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the last cluster that is in use by the refcounts. It shows how long the file must be for the price
    /// of two reads, while the L2 tables, which name the data too, may be many.
    fn last_cluster(&self) -> Result<Option<u64>, ReadError> {
        let header = self.header;
        let cluster = header.cluster();
        let table_length = (header.refcount_clusters * cluster).min(MAX_L1_CHECKED);
        let table =
            up_to(self.file, header.refcount_offset, usize::try_from(table_length).expect("at most 2 MiB"))?;
        let entries = table.chunks_exact(8).map(|entry| be64(entry, 0) & OFFSET_MASK);
        let Some((index, block_at)) = (0u64..).zip(entries).filter(|(_, offset)| *offset != 0).last() else {
            return Ok(None);
        };
        let per_block = (cluster * 8) >> header.refcount_order;
        let first = index * per_block;
        if block_at >= self.file.length() {
            return Ok(Some(block_at / cluster));
        }
        let block = up_to(self.file, block_at, usize::try_from(cluster).expect("at most 2 MiB"))?;
        let last_used = match header.refcount_order {
            4 => block.chunks_exact(2).rposition(|count| be16(count, 0) != 0),
            3.. => {
                let width = 1usize << (header.refcount_order - 3);
                block.chunks_exact(width).rposition(|count| count.iter().any(|byte| *byte != 0))
            }
            // Narrower counts share a byte; the byte's first cluster bounds the end from below.
            narrow => block.iter().rposition(|byte| *byte != 0).map(|byte| byte << (3 - narrow)),
        };
        Ok(last_used.map(|used| first + used as u64))
    }
}

#[cfg(test)]
mod tests;
