use crate::finding::Findings;
use crate::read::{be32, be64, up_to};
use crate::rule::Rule;
use ossup_core::read::{ReadAt, ReadError};

const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const KNOWN: u64 = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2;
/// Bytes of a version 2 header.
const LENGTH_V2: usize = 72;
/// Smallest header of version 3.
const LENGTH_V3: usize = 104;

/// The header of a QCOW2 file, with numbers that are inside their ranges.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) backing_offset: u64,
    pub(super) backing_length: u64,
    /// 9 to 21.
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    crypt_method: u32,
    pub(super) l1_entries: u64,
    pub(super) l1_offset: u64,
    pub(super) refcount_offset: u64,
    pub(super) refcount_clusters: u64,
    pub(super) snapshots: u32,
    incompatible: u64,
    autoclear: u64,
    /// 0 to 6.
    pub(super) refcount_order: u32,
    pub(super) header_length: u64,
    pub(super) compression_type: u8,
}

impl Header {
    /// Reads the header; none if it is too broken to go on, which is then a finding.
    pub(super) fn read(file: &dyn ReadAt, findings: &mut Findings) -> Result<Option<Self>, ReadError> {
        let mut bytes = up_to(file, 0, LENGTH_V3 + 8)?;
        let there = bytes.len();
        bytes.resize(LENGTH_V3 + 8, 0);
        let v3 = be32(&bytes, 4) == 3;
        if there < if v3 { LENGTH_V3 } else { LENGTH_V2 } {
            findings.refuse(Rule::QHlen, "the file ends inside the header; truncated?");
            return Ok(None);
        }
        let header_length = if v3 { be32(&bytes, 100) } else { LENGTH_V2 as u32 };
        if v3 && (header_length < LENGTH_V3 as u32 || !header_length.is_multiple_of(8)) {
            findings
                .refuse(Rule::QHlen, format!("the header claims an impossible length of {header_length}"));
            return Ok(None);
        }
        let v3_u64 = |at| if v3 { be64(&bytes, at) } else { 0 };
        let header = Self {
            version: be32(&bytes, 4),
            backing_offset: be64(&bytes, 8),
            backing_length: be32(&bytes, 16).into(),
            cluster_bits: be32(&bytes, 20),
            size: be64(&bytes, 24),
            crypt_method: be32(&bytes, 32),
            l1_entries: be32(&bytes, 36).into(),
            l1_offset: be64(&bytes, 40),
            refcount_offset: be64(&bytes, 48),
            refcount_clusters: be32(&bytes, 56).into(),
            snapshots: be32(&bytes, 60),
            incompatible: v3_u64(72),
            autoclear: v3_u64(88),
            refcount_order: if v3 { be32(&bytes, 96) } else { 4 },
            header_length: header_length.into(),
            compression_type: if header_length > LENGTH_V3 as u32 { bytes[104] } else { 0 },
        };
        if !(9..=21).contains(&header.cluster_bits) {
            findings
                .refuse(Rule::QClb, format!("impossible cluster size of 2^{} bytes", header.cluster_bits));
            return Ok(None);
        }
        if header.refcount_order > 6 {
            findings.refuse(
                Rule::QRord,
                format!("impossible refcount width of 2^{} bits", header.refcount_order),
            );
            return Ok(None);
        }
        if header.size > 1 << 62 {
            findings.refuse(Rule::QSize, "impossible virtual size");
            return Ok(None);
        }
        Ok(Some(header))
    }

    /// Returns the bytes of a cluster.
    pub(super) fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Returns log2 of the entries of an L2 table.
    pub(super) fn l2_bits(&self) -> u32 {
        self.cluster_bits - if self.has_extended_l2() { 4 } else { 3 }
    }

    /// Returns how many L1 entries the virtual size needs.
    pub(super) fn needed_l1_entries(&self) -> u64 {
        self.size.div_ceil(1 << (self.cluster_bits + self.l2_bits()))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.crypt_method != 0
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.incompatible & DIRTY != 0
    }

    pub(super) fn is_corrupt(&self) -> bool {
        self.incompatible & CORRUPT != 0
    }

    pub(super) fn has_external_data(&self) -> bool {
        self.incompatible & EXTERNAL_DATA != 0
    }

    /// Whether the compression is another one than zlib, which today is zstd.
    pub(super) fn is_zstd(&self) -> bool {
        self.incompatible & COMPRESSION != 0
    }

    pub(super) fn has_extended_l2(&self) -> bool {
        self.incompatible & EXTENDED_L2 != 0
    }

    pub(super) fn has_unknown_features(&self) -> bool {
        self.incompatible & !KNOWN != 0
    }

    pub(super) fn has_bitmaps(&self) -> bool {
        self.autoclear & 3 != 0
    }
}
