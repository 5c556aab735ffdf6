use super::boot::BootsWith;
use super::detect::detect;
use super::disk::{self, Contents};
use super::finding::{Finding, Findings, Severity, Verdict};
use super::fix::{Fix, Setting};
use super::format::Format;
use super::guest::{Guest, Layout as _};
use super::read::Budgeted;
use super::report::{DiskRole, Expected, Report, Settings};
use super::rule::Rule;
use super::table::TableKind;
use super::{READ_BUDGET, foreign, qcow2, size, vhd};
use ossup_core::model::{DiskFormat, limits};
use ossup_core::read::{ReadAt, ReadError};

/// Most bytes that are unpacked for one inspection (64 MiB): a few bytes may claim to unpack to a whole cluster.
const UNPACK_BUDGET: u64 = 64 << 20;

/// Inspects an image. Reads at most [`READ_BUDGET`] bytes.
///
/// Whatever is wrong with the image becomes a finding of the report. The same bytes and expected give the same report.
///
/// # Errors
///
/// When `file` cannot be read, or, for [`FetchedRanges`](super::FetchedRanges), when a range must be fetched first.
pub fn inspect(file: &dyn ReadAt, expected: &Expected) -> Result<Report, ReadError> {
    look(file, expected, true)
}

/// Inspects an image, or what there is of one whose end is to come: then `file` claims to be endless, and nothing is
/// said of sizes, nor of what was not seen.
pub(super) fn look(file: &dyn ReadAt, expected: &Expected, ended: bool) -> Result<Report, ReadError> {
    let file = &Budgeted::new(file, READ_BUDGET);
    let mut inspection = Inspection::new(expected, ended);
    let format = detect(file)?;
    if ended {
        inspection.check_file(file.length(), format);
    }
    match format {
        Format::Raw => inspection.raw(file)?,
        Format::Qcow2 => inspection.qcow2(file)?,
        Format::Vhd => inspection.vhd(file)?,
        Format::Iso => inspection.iso(file)?,
        Format::Luks => {
            inspection.virtual_size = inspection.length_of(file);
            disk::encrypted_disk(expected.role == DiskRole::System, &mut inspection.findings);
        }
        other => {
            let findings = &mut inspection.findings;
            foreign::check(file, other, expected, findings)?;
            inspection.virtual_size =
                findings.seen("the virtual size", foreign::virtual_size(file, other))?.flatten();
        }
    }
    if ended {
        inspection.tell_missed();
    }
    inspection.decide_settings(format);
    if ended {
        inspection.check_unseen(format);
    }
    Ok(inspection.report(file.length(), format))
}

/// Describes the boot mode that follows, if one does.
fn settings_mode(settings: &Settings) -> Option<String> {
    settings.boot_mode.map(|mode| format!("BootMode is {mode}"))
}

/// What cannot be checked where nothing of the disk inside is seen.
const DISK: &str = "the disk's contents";

/// An inspection under way.
struct Inspection<'a> {
    expected: &'a Expected,
    /// Whether the end of the image is there, and with it the length.
    ended: bool,
    findings: Findings,
    settings: Settings,
    contents: Contents,
    virtual_size: Option<u64>,
    /// Whether the disk inside was looked at to the end.
    examined: bool,
    /// Bytes that the resulting disk must hold, where that is more than the virtual size.
    needed_size: Option<u64>,
}

impl<'a> Inspection<'a> {
    fn new(expected: &'a Expected, ended: bool) -> Self {
        Self {
            expected,
            ended,
            findings: Findings::default(),
            settings: Settings::default(),
            contents: Contents::default(),
            virtual_size: None,
            examined: false,
            needed_size: None,
        }
    }

    /// Returns the length where it is known.
    fn length_of(&self, file: &dyn ReadAt) -> Option<u64> {
        self.ended.then(|| file.length())
    }

    /// Checks that need the length only.
    fn check_file(&mut self, length: u64, format: Format) {
        if length > limits::MAX_OBJECT_SIZE {
            self.findings.refuse(Rule::FObject, "the file is larger than an object can be (48.8 TiB)");
        }
        // Less than one GiB is not worth a second file.
        let saved = self.expected.allocated_size.map_or(0, |allocated| length.saturating_sub(allocated));
        let holes = saved > length / 2 && saved >= size::GIB;
        if format == Format::Raw && holes && self.expected.becomes.is_none() {
            let gib = |bytes: u64| bytes as f64 / size::GIB as f64;
            let allocated = self.expected.allocated_size.unwrap_or(length);
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
                .fixed_by(
                    "`ossup upload --as qcow2` sends it so, without another file; `ossup publish` does so by itself"
                        .to_owned(),
                ),
            );
        }
    }

    fn raw(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        self.virtual_size = self.length_of(file);
        self.examine(file, Format::Raw)?;
        if let Some(length) = self.virtual_size {
            disk::check_length(length, self.contents.table.kind, &mut self.findings);
        }
        Ok(())
    }

    fn qcow2(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let checked = qcow2::check(file, &mut self.findings)?;
        self.virtual_size = checked.virtual_size;
        match checked.layout {
            Some(layout) if layout.size() > 0 => {
                self.examine(&Guest::new(file, layout).with_unpack_limit(UNPACK_BUDGET), Format::Qcow2)
            }
            _ => Ok(()),
        }
    }

    fn vhd(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        let checked = vhd::check(file, &mut self.findings)?;
        self.virtual_size = checked.virtual_size;
        self.needed_size = checked.needed_size;
        match checked.layout {
            Some(layout) if layout.size() > 0 => self.examine(&Guest::new(file, layout), Format::Vhd)?,
            _ => {}
        }
        let size = self.virtual_size.unwrap_or_default().saturating_add((1 << 20) - 1) & !((1 << 20) - 1);
        let gpt = self.contents.table.kind == TableKind::Gpt;
        self.findings.fix_later(Rule::VSize, || Fix::grow(Format::Vhd, size, gpt));
        Ok(())
    }

    /// An ISO is refused; one that also has partitions may be meant as a disk, and firmware starts one with an EFI
    /// partition.
    fn iso(&mut self, file: &dyn ReadAt) -> Result<(), ReadError> {
        self.virtual_size = self.length_of(file);
        let Self { expected, settings, contents, findings, .. } = self;
        let examined = disk::examine_hybrid(file, expected, contents, settings, findings);
        match findings.seen(DISK, examined) {
            Err(error) if !error.is_gap() => return Err(error),
            _ => {}
        }
        if self.contents.table.partitions.is_empty() {
            self.findings.refuse(
                Rule::FIso,
                "an installer ISO cannot be imported; install it into a disk image first",
            );
            return Ok(());
        }
        let efi = match self.contents.boot.boots_with {
            BootsWith::Uefi | BootsWith::Both => true,
            // While it is not seen what starts it, it is not refused.
            BootsWith::Unknown => !self.findings.missed().is_empty(),
            BootsWith::Bios | BootsWith::Nothing => false,
        };
        let severity = if efi { Severity::Warn } else { Severity::Refuse };
        self.findings.push(
            Finding::new(
                Rule::RHybrid,
                severity,
                "an ISO with a partition table: an installer or live system, not an installed disk",
            )
            .fixed_by("install it into a disk image first, unless it is meant as a disk"),
        );
        if let Some(mode) = settings_mode(&self.settings) {
            self.findings.set(Rule::RBoot, mode);
        }
        Ok(())
    }

    /// Examines the disk inside. If it cannot be seen, that is reported, and the rest of the inspection stands.
    fn examine(&mut self, disk: &dyn ReadAt, format: Format) -> Result<(), ReadError> {
        let Self { expected, findings, settings, contents, .. } = self;
        let (gap, behind_end) = match format {
            Format::Vhd => (Rule::VInner, Rule::VHdr),
            _ => (Rule::QInner, Rule::QTrunc),
        };
        let examined = disk::examine(disk, format, expected, contents, settings, findings);
        match findings.seen(DISK, examined) {
            Err(ReadError::PastEnd { .. } | ReadError::Truncated { .. }) => {
                if !findings.has(behind_end) {
                    findings
                        .refuse(behind_end, "the disk's data lies beyond the end of the file; truncated?");
                }
            }
            Err(ReadError::Budget) => {
                findings.warn(
                    Rule::FBudget,
                    "not everything was checked: more than 16 MiB would have to be read",
                );
            }
            Err(ReadError::Unreadable { reason, .. }) => {
                findings.warn(gap, format!("the disk inside could not be checked: {reason}"));
            }
            Err(error) => return Err(error),
            Ok(_) => self.examined = self.findings.missed().is_empty(),
        }
        Ok(())
    }

    /// Warns of what had passed.
    fn tell_missed(&mut self) {
        let missed = self.findings.missed();
        if !missed.is_empty() {
            let message = format!(
                "not everything was checked, because it passed before it was known to matter: {}",
                missed.join(", ")
            );
            self.findings.warn(Rule::FPassed, message);
        }
    }

    /// Derives the request's parameters, and reports where the user asked for something else.
    fn decide_settings(&mut self, format: Format) {
        let expected = self.expected;
        // What is sent byte by byte is RAW for the service, whatever is in it.
        let bytes = matches!(format, Format::Iso | Format::Luks);
        let found = format.disk_format().or(bytes.then_some(DiskFormat::Raw));
        // What the object is: the image may become another format on its way.
        let found = found.map(|found| expected.becomes.unwrap_or(found));
        self.settings.format = expected.format.or(found);
        self.settings.boot_mode = self.settings.boot_mode.or(expected.boot_mode);
        self.settings.architecture = self.settings.architecture.or(expected.architecture);
        // A fixed VHD begins as a RAW disk and says what it is at its end.
        let may_be_vhd = !self.ended && format == Format::Raw && expected.becomes.is_none();
        match (expected.format, found) {
            (Some(DiskFormat::Vhd), _) if may_be_vhd => {}
            (Some(asked), Some(found)) if asked != found => self.findings.fix(
                Rule::FFormat,
                format!("format {asked} is asked for, but the contents are {found}"),
                Setting::new("--format", found.as_str()),
            ),
            (None, Some(found)) => {
                self.findings.set(Rule::FFormat, format!("Format is {found}, by the contents"));
            }
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

    /// Warns where the service is left to choose how the image boots, because its contents could not be seen.
    fn check_unseen(&mut self, format: Format) {
        let unseen = self.expected.role == DiskRole::System
            && format.disk_format().is_some()
            && !self.examined
            && !Verdict::of(&self.findings.0).is_refused()
            && self.settings.boot_mode.is_none();
        if unseen {
            self.findings.push(
                Finding::new(
                    Rule::RBoot,
                    Severity::Warn,
                    "how the image boots is not known, because its contents could not be read: the service takes BIOS \
                    and x86_64 unless others are set",
                )
                .fixed_by("import it with --boot-mode and --architecture"),
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
        let Expected { role, disk_size, platform, .. } = self.expected;
        self.settings.disk_size = Some(size::check(needed, *role, *disk_size, &mut self.findings));
        let customized = *role == DiskRole::System && platform.as_deref() == Some("Customized Linux");
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
        let Some(key) = &self.expected.key else { return };
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
            role: self.expected.role,
            file_size,
            allocated_size: self.expected.allocated_size,
            virtual_size: self.virtual_size,
            partition_table: self.contents.table.kind,
            partitions: self.contents.table.partitions,
            bare_filesystem: self.contents.bare,
            boot: self.contents.boot,
            settings: self.settings,
            guest: None,
            findings: self.findings.0,
        }
    }
}
