use super::detect::detect;
use super::disk::{self, Contents};
use super::finding::{Finding, Findings, Severity};
use super::format::Format;
use super::read::{Budgeted, ReadAt, ReadError};
use super::report::{Report, Role, Settings, Wishes};
use super::rule::Rule;
use super::{READ_BUDGET, foreign, qcow2, size, vhd};
use crate::model::{DiskFormat, limits};

/// Inspects an image. Reads at most [`READ_BUDGET`] bytes.
///
/// Whatever is wrong with the image becomes a finding of the report. The same bytes and wishes give the same report.
///
/// # Errors
///
/// When `file` cannot be read, or, for [`Windows`](super::Windows), when a range must be fetched first.
pub fn inspect(file: &dyn ReadAt, wishes: &Wishes) -> Result<Report, ReadError> {
    let file = &Budgeted::new(file, READ_BUDGET);
    let mut inspection = Inspection::new(wishes);
    let format = detect(file)?;
    inspection.check_file(file.length(), format);
    match format {
        Format::Raw => inspection.raw(file)?,
        Format::Qcow2 => inspection.qcow2(file)?,
        Format::Vhd => inspection.vhd(file)?,
        Format::Iso => inspection.iso(file)?,
        other => {
            foreign::check(other, wishes, &mut inspection.findings);
            inspection.virtual_size = foreign::virtual_size(file, other)?;
        }
    }
    inspection.decide_settings(format);
    Ok(inspection.report(file.length(), format))
}

/// An inspection under way.
struct Inspection<'a> {
    wishes: &'a Wishes,
    findings: Findings,
    settings: Settings,
    contents: Contents,
    virtual_size: Option<u64>,
    /// Bytes that the resulting disk must hold, where that is more than the virtual size.
    needed_size: Option<u64>,
}

impl<'a> Inspection<'a> {
    fn new(wishes: &'a Wishes) -> Self {
        Self {
            wishes,
            findings: Findings::default(),
            settings: Settings::default(),
            contents: Contents::default(),
            virtual_size: None,
            needed_size: None,
        }
    }

    /// Checks that need the length only.
    fn check_file(&mut self, length: u64, format: Format) {
        if length > limits::MAX_OBJECT_SIZE {
            self.findings.refuse(Rule::FObject, "the file is larger than an object can be (48.8 TiB)");
        }
        // Less than one GiB is not worth a second file.
        let saved = self.wishes.allocated_size.map_or(0, |allocated| length.saturating_sub(allocated));
        let holes = saved > length / 2 && saved >= size::GIB;
        if format == Format::Raw && holes {
            let gib = |bytes: u64| bytes as f64 / size::GIB as f64;
            let allocated = self.wishes.allocated_size.unwrap_or(length);
            self.findings.push(
                Finding::new(
                    Rule::FSparse,
                    Severity::Warn,
                    format!(
                        "QCOW2 would upload about {:.1} GiB instead of {:.1} GiB",
                        gib(allocated),
                        gib(length)
                    ),
                )
                .fixed_by(convert(self.wishes, Format::Raw, "qcow2")),
            );
        }
    }

    fn raw(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        self.virtual_size = Some(file.length());
        self.examine(file, Format::Raw)?;
        disk::check_length(file.length(), &mut self.findings);
        Ok(())
    }

    fn qcow2(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let checked = qcow2::check(file, self.wishes, &mut self.findings)?;
        self.virtual_size = checked.virtual_size;
        match checked.guest {
            Some(guest) if guest.length() > 0 => self.examine(&guest, Format::Qcow2),
            _ => Ok(()),
        }
    }

    fn vhd(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let checked = vhd::check(file, self.wishes, &mut self.findings)?;
        self.virtual_size = checked.virtual_size;
        self.needed_size = checked.needed_size;
        match checked.guest {
            Some(guest) if guest.length() > 0 => self.examine(&guest, Format::Vhd),
            _ => Ok(()),
        }
    }

    /// An ISO is refused; one that also has partitions may be meant as a disk.
    fn iso(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        self.virtual_size = Some(file.length());
        let mut unused = Findings::default();
        let table = &mut self.contents.table;
        match super::table::read(file, "", table, &mut unused) {
            Err(error) if !error.is_gap() => return Err(error),
            _ => {}
        }
        if table.partitions.is_empty() {
            self.findings.refuse(
                Rule::FIso,
                "an installer ISO cannot be imported; install it into a disk image first",
            );
        } else {
            self.findings.push(
                Finding::new(
                    Rule::RHybrid,
                    Severity::Refuse,
                    "an ISO with a partition table: an installer or live system, not an installed disk",
                )
                .fixed_by("if it is meant as a disk, go on with --force"),
            );
        }
        Ok(())
    }

    /// Examines the disk inside. Where it cannot be seen, that is said, and the rest of the inspection stands.
    fn examine(&mut self, disk: &dyn ReadAt, format: Format) -> Result<(), ReadError> {
        let Self { wishes, findings, settings, contents, .. } = self;
        let (gap, behind_end) = match format {
            Format::Vhd => (Rule::VInner, Rule::VHdr),
            _ => (Rule::QInner, Rule::QTrunc),
        };
        match disk::examine(disk, format, wishes, contents, settings, findings) {
            Err(ReadError::PastEnd { .. }) => {
                if !findings.has(behind_end) {
                    findings
                        .refuse(behind_end, "the disk's data lies behind the end of the file; truncated?");
                }
            }
            Err(ReadError::Budget) => {
                findings.warn(
                    Rule::FBudget,
                    "not everything was checked: more than 16 MiB would have to be read",
                );
            }
            Err(ReadError::Unreadable(reason)) => {
                findings.warn(gap, format!("the disk inside could not be checked: {reason}"));
            }
            other => return other,
        }
        Ok(())
    }

    /// Derives the request's parameters, and reports where the user asked for something else.
    fn decide_settings(&mut self, format: Format) {
        let wishes = self.wishes;
        let found = format.disk_format();
        self.settings.format = wishes.format.or(found);
        self.settings.boot_mode = self.settings.boot_mode.or(wishes.boot_mode);
        self.settings.architecture = self.settings.architecture.or(wishes.architecture);
        match (wishes.format, found) {
            (Some(asked), Some(found)) if asked != found => self.findings.fix(
                Rule::FFormat,
                format!("format {asked} is asked for, but the contents are {found}"),
                format!("use --format {} or leave it out", found.as_str().to_lowercase()),
            ),
            (None, Some(found)) => self.findings.set(Rule::FFormat, format!("Format is {found}")),
            _ => {}
        }
        if let Some(found) = found {
            self.check_suffix(found);
            self.check_size();
        }
        if found == Some(DiskFormat::Vhd) {
            self.findings.warn(
                Rule::VCopy,
                "images imported from VHD may not be copyable to other regions; QCOW2 and RAW are",
            );
        }
    }

    fn check_size(&mut self) {
        let Some(virtual_size) = self.virtual_size else { return };
        if virtual_size == 0 {
            self.findings.refuse(Rule::FZeroVirt, "the disk inside has no bytes");
            return;
        }
        let needed = self.needed_size.unwrap_or(virtual_size);
        let Wishes { role, disk_size, platform, .. } = self.wishes;
        self.settings.disk_size = Some(size::check(needed, *role, *disk_size, &mut self.findings));
        let customized = *role == Role::System && platform.as_deref() == Some("Customized Linux");
        if customized && virtual_size <= 5 * size::GIB {
            self.findings.refuse(Rule::SCustom, "Customized Linux needs a disk of more than 5 GiB");
        }
    }

    /// Compares the key's suffix with the contents; a key without suffix is taken as it is.
    fn check_suffix(&mut self, found: DiskFormat) {
        let right = match found {
            DiskFormat::Raw => ".raw",
            DiskFormat::Vhd => ".vhd",
            DiskFormat::Qcow2 => ".qcow2",
            DiskFormat::Vmdk => ".vmdk",
        };
        self.settings.suffix = Some(right);
        let Some(key) = &self.wishes.key else { return };
        let name = key.rsplit('/').next().unwrap_or(key);
        let Some((_, suffix)) = name.rsplit_once('.') else { return };
        let suffix = suffix.to_ascii_lowercase();
        let fits = match suffix.as_str() {
            "img" | "raw" => found == DiskFormat::Raw,
            "vhd" => found == DiskFormat::Vhd,
            "qcow2" | "qcow" => found == DiskFormat::Qcow2,
            "vmdk" => found == DiskFormat::Vmdk,
            _ => false,
        };
        if !fits {
            let shown: String = suffix.chars().take(16).flat_map(char::escape_debug).collect();
            self.findings.push(
                Finding::new(
                    Rule::FSuffix,
                    Severity::Warn,
                    format!("the key ends in `.{shown}`, but the contents are {found}; the service checks suffixes"),
                )
                .fixed_by(format!("use a key that ends in `{right}`")),
            );
        }
    }

    fn report(self, file_size: u64, format: Format) -> Report {
        Report {
            format,
            role: self.wishes.role,
            file_size,
            allocated_size: self.wishes.allocated_size,
            virtual_size: self.virtual_size,
            partition_table: self.contents.table.kind,
            partitions: self.contents.table.partitions,
            bare_filesystem: self.contents.bare,
            boot: self.contents.boot,
            settings: self.settings,
            findings: self.findings.0,
        }
    }
}

/// Returns the qemu-img command that converts the user's file.
pub(super) fn convert(wishes: &Wishes, from: Format, to: &str) -> String {
    format!("qemu-img convert -f {} -O {to} {} out.{to}", from.qemu_name(), wishes.word())
}
