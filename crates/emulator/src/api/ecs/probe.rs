//! What ECS sees when it looks into an object: some damage is refused at once, other damage fails the task.

use std::io;
use std::sync::Arc;

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::{Failure, Image};
use super::asked::AskedDisk;
use super::check::{self, Item};
use crate::StoreError;
use crate::store::{Object, ObjectReader};
use ossup_core::read::{ReadAt, ReadError};
use ossup_image::{DiskRole, Expected, Report, Rule, inspect, look_inside};

/// How far an import gets before it notices damage.
const NOTICED_AT_PERCENT: u8 = 30;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The detected format.
    pub(super) format: Option<&'static str>,
    /// The size that the disk needs, in GiB.
    pub(super) size_gib: Option<u64>,
    /// Damage that the task will run into.
    pub(super) failure: Option<Failure>,
    /// What the image check finds, where it is asked for.
    pub(super) checked: Vec<Item>,
}

/// An object as the image checks read it.
#[derive(Debug)]
struct Stored(ObjectReader);

impl ReadAt for Stored {
    fn length(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len() as u64;
        if offset.checked_add(length).is_none_or(|end| end > self.length()) {
            return Err(ReadError::PastEnd { offset, length });
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.0.read_at(&mut buffer[filled..], offset + filled as u64);
            match read.map_err(|source| ReadError::Io { offset, length, source })? {
                0 => {
                    let source = io::ErrorKind::UnexpectedEof.into();
                    return Err(ReadError::Io { offset, length, source });
                }
                more => filled += more,
            }
        }
        Ok(())
    }
}

impl Service<'_> {
    /// Looks into the system that an object holds; nothing if its bytes were discarded, or are not to be read.
    pub(super) fn look(&self, object: &Arc<Object>) -> Result<Option<Report>, Refusal> {
        if !self.state.options.probe {
            return Ok(None);
        }
        let reader = match self.store().reader(object) {
            Ok(reader) => Arc::new(Stored(reader)),
            Err(StoreError::Discarded) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let expected = Expected::new(DiskRole::System, object.record.key.as_str());
        // What cannot be read any more, or never was an image, is taken for good.
        let Ok(mut report) = inspect(&reader, &expected) else { return Ok(None) };
        look_inside(reader, &expected, &mut report);
        Ok(Some(report))
    }

    /// Looks into an object. Objects whose bytes were discarded are taken for good.
    pub(super) fn probe(
        &self,
        disk: &AskedDisk,
        image: &Image,
        object: &Arc<Object>,
    ) -> Result<Seen, Refusal> {
        if !self.state.options.probe {
            return Ok(Seen::default());
        }
        let reader = match self.store().reader(object) {
            Ok(reader) => Arc::new(Stored(reader)),
            Err(StoreError::Discarded) => return Ok(Seen::default()),
            Err(error) => return Err(error.into()),
        };
        let role = if disk.n == 1 { DiskRole::System } else { DiskRole::Data };
        let mut expected = Expected::new(role, disk.key.as_str());
        expected.format = disk.format.as_deref().and_then(|format| format.parse().ok());
        expected.disk_size = disk.size_gib;
        expected.os_type = image.os_type.parse().ok();
        let mut report = inspect(&reader, &expected).map_err(|error| {
            Refusal::new(500, "InternalError", format!("The emulator's store failed, {error}"))
        })?;
        // The system inside never fails an import; the check that follows it tells of it.
        let findings = report.findings.clone();
        if image.detect && role == DiskRole::System {
            look_inside(reader, &expected, &mut report);
        }
        let mut failure = None;
        for finding in &findings {
            // The service refuses odd block sizes, of which the check itself only warns.
            if !finding.refuses() && finding.rule != Rule::VBlk {
                continue;
            }
            if let Some((code, status)) = finding.rule.service_code(role) {
                return Err(Refusal::new(status, code, format!("{}.", finding.message)));
            }
            failure = failure.or_else(|| {
                Some(Failure {
                    percent: NOTICED_AT_PERCENT,
                    code: "InvalidImageFormat.Malformed".to_owned(),
                    message: format!("{}.", finding.message),
                })
            });
        }
        Ok(Seen {
            format: report.format.disk_format().map(|format| format.as_str()),
            size_gib: report.settings.disk_size,
            failure,
            checked: check::items(&report),
        })
    }
}
