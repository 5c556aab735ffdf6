use std::sync::Arc;

use super::detect::detect;
use super::finding::{Finding, Findings, Severity};
use super::format::Format;
use super::guest::Guest;
use super::report::Expected;
use super::rule::Rule;
use super::{foreign, qcow2, vhd};
use ossup_core::read::{ReadAt, ReadError};

/// Why the disk inside an image cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenDiskError {
    /// The file cannot be read, or its tables lead astray.
    #[error("cannot read the tables of the image")]
    Read(#[from] ReadError),
    /// The disk inside cannot be read whole.
    #[error("the disk inside cannot be read: {}", said(finding))]
    Refused {
        /// What the file is.
        format: Format,
        /// What is wrong, and what helps.
        finding: Box<Finding>,
    },
}

fn said(finding: &Finding) -> String {
    match &finding.fix {
        Some(fix) => format!("{}; {fix}", finding.message),
        None => finding.message.clone(),
    }
}

/// Opens the disk inside an image: of QCOW2 (versions 2 and 3, also compressed) and VHD (fixed and dynamic) what a
/// virtual machine would see, of RAW, and of what is sent byte by byte like it, the file itself.
///
/// Any number of threads may read it for as long as they like; at most 17 MiB are held for it. Only its tables are
/// looked at here, not what is on the disk: that is what [`inspect`](super::inspect) does.
///
/// # Errors
///
/// When the file cannot be read, is of another format, or does not hold the whole disk: it has a backing file, is
/// encrypted, damaged or truncated.
pub fn open_disk(file: Arc<dyn ReadAt>) -> Result<Arc<dyn ReadAt>, OpenDiskError> {
    open(file, None)
}

/// Opens the disk inside an image, of which at most so many bytes are unpacked.
pub(super) fn open_limited(
    file: Arc<dyn ReadAt>,
    unpack_limit: u64,
) -> Result<Arc<dyn ReadAt>, OpenDiskError> {
    open(file, Some(unpack_limit))
}

fn open(file: Arc<dyn ReadAt>, unpack_limit: Option<u64>) -> Result<Arc<dyn ReadAt>, OpenDiskError> {
    let format = detect(&file)?;
    let mut findings = Findings::default();
    match format {
        Format::Raw | Format::Iso | Format::Luks => return Ok(file),
        Format::Qcow2 => {
            if let Some(layout) = qcow2::check(&file, &mut findings)?.layout
                && !findings.0.iter().any(stops)
            {
                layout.check_tables(&file)?;
                let guest = Guest::new(file, layout);
                return Ok(Arc::new(match unpack_limit {
                    Some(limit) => guest.with_unpack_limit(limit),
                    None => guest,
                }));
            }
        }
        Format::Vhd => {
            if let Some(layout) = vhd::check(&file, &mut findings)?.layout
                && !findings.0.iter().any(stops)
            {
                layout.check_tables(&file)?;
                return Ok(Arc::new(Guest::new(file, layout)));
            }
        }
        other => foreign::check(&file, other, &Expected::default(), &mut findings)?,
    }
    let worst = findings.0.into_iter().filter(stops).max_by_key(|finding| finding.severity);
    let finding = worst.unwrap_or_else(|| {
        Finding::new(
            Rule::FFormat,
            Severity::Refuse,
            format!("{format} is no format whose disk is read here"),
        )
        .fixed_by("convert it to QCOW2 or RAW first")
    });
    Err(OpenDiskError::Refused { format, finding: Box::new(finding) })
}

/// Whether a finding means that some of the disk is not there as it should be, and not only that the service would
/// refuse the file.
fn stops(finding: &Finding) -> bool {
    match finding.rule {
        // The size is no whole number of blocks: no matter where the disk leaves the file.
        Rule::VMte => false,
        Rule::QTrunc => true,
        _ => finding.refuses(),
    }
}

#[cfg(test)]
mod tests;
