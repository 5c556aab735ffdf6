//! What would start the system: boot code for BIOS, loaders for UEFI, and which boot mode follows.

use super::Wishes;
use super::finding::{Finding, Findings, Severity};
use super::rule::Rule;
use super::table::{PartitionKind, Table, TableKind};
use crate::model::{Architecture, BootMode};

/// What speaks for BIOS and what for UEFI.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BootEvidence {
    /// The first 440 bytes hold something.
    pub boot_code: bool,
    /// A partition is marked active, or bootable by a legacy BIOS.
    pub active_partition: bool,
    /// There is a partition for a BIOS boot loader.
    pub bios_boot_partition: bool,
    /// There is an EFI system partition.
    pub efi_system_partition: bool,
    /// For which architectures it holds a loader that firmware starts by itself.
    pub efi_loaders: Vec<Architecture>,
    /// What follows.
    pub boots_with: BootsWith,
}

/// The firmware that can start a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootsWith {
    /// Not looked at: a data disk, or the contents cannot be seen.
    #[default]
    Unknown,
    /// No firmware.
    Nothing,
    /// BIOS only.
    Bios,
    /// UEFI only.
    Uefi,
    /// BIOS and UEFI.
    Both,
}

impl BootEvidence {
    /// Collects what the partition table shows.
    pub(super) fn of(table: &Table) -> Self {
        let has = |kind| table.partitions.iter().any(|partition| partition.kind == kind);
        let mut evidence = Self {
            boot_code: table.boot_code,
            active_partition: table.partitions.iter().any(|partition| partition.active),
            bios_boot_partition: has(PartitionKind::BiosBoot),
            efi_system_partition: has(PartitionKind::Esp),
            ..Self::default()
        };
        evidence.boots_with = evidence.conclude(table.kind);
        evidence
    }

    fn conclude(&self, kind: TableKind) -> BootsWith {
        let bios = match kind {
            TableKind::Gpt => self.bios_boot_partition || (self.boot_code && self.active_partition),
            TableKind::Mbr | TableKind::None => self.boot_code,
        };
        match (bios, self.efi_system_partition) {
            (true, true) => BootsWith::Both,
            (true, false) => BootsWith::Bios,
            (false, true) => BootsWith::Uefi,
            // Code in front of a GPT without a boot partition: some loaders keep block lists, so BIOS may work.
            (false, false) if self.boot_code => BootsWith::Bios,
            (false, false) => BootsWith::Nothing,
        }
    }
}

/// Decides the boot mode to ask for, and reports what contradicts it.
pub(super) fn decide(
    evidence: &BootEvidence,
    table: TableKind,
    wishes: &Wishes,
    findings: &mut Findings,
) -> Option<BootMode> {
    let arm = wishes.architecture == Some(Architecture::Arm64)
        || (wishes.architecture.is_none() && evidence.efi_loaders == [Architecture::Arm64]);
    if evidence.boots_with == BootsWith::Nothing {
        findings.refuse(
            Rule::RBoot,
            "nothing to boot from: neither boot code in the first sector nor an EFI partition",
        );
        return wishes.boot_mode;
    }
    if arm && !evidence.efi_system_partition {
        findings.refuse(Rule::RBoot, "arm64 boots with UEFI only, but the disk has no EFI system partition");
        return wishes.boot_mode;
    }
    match wishes.boot_mode {
        Some(BootMode::Bios) if arm => {
            findings.fix(Rule::RBoot, "arm64 boots with UEFI only", "use --boot-mode UEFI");
        }
        Some(BootMode::Uefi) if !evidence.efi_system_partition => {
            findings.push(
                Finding::new(
                    Rule::RBoot,
                    Severity::Refuse,
                    "boot mode UEFI is asked for, but the disk has no EFI system partition",
                )
                .fixed_by("leave --boot-mode out"),
            );
        }
        Some(BootMode::Bios) if evidence.boots_with == BootsWith::Uefi && !evidence.boot_code => {
            findings.push(
                Finding::new(
                    Rule::RBoot,
                    Severity::Refuse,
                    "boot mode BIOS is asked for, but the disk boots only with UEFI",
                )
                .fixed_by("use --boot-mode UEFI"),
            );
        }
        Some(_) => {}
        None => return Some(choose(evidence, table, arm, findings)),
    }
    wishes.boot_mode
}

/// Chooses a boot mode where none is asked for.
fn choose(evidence: &BootEvidence, table: TableKind, arm: bool, findings: &mut Findings) -> BootMode {
    let mode = match evidence.boots_with {
        _ if arm => BootMode::Uefi,
        BootsWith::Uefi => {
            if evidence.boot_code {
                findings.push(
                    Finding::new(
                        Rule::RBoot,
                        Severity::Warn,
                        "there is boot code, but no partition for a BIOS to go on with; UEFI is assumed",
                    )
                    .fixed_by("add --boot-mode BIOS if the disk boots so"),
                );
            }
            BootMode::Uefi
        }
        BootsWith::Both => {
            findings.info(
                Rule::RBoot,
                "boots with BIOS and with UEFI; after the import the image can be set to UEFI-Preferred",
            );
            BootMode::Bios
        }
        BootsWith::Bios | BootsWith::Nothing | BootsWith::Unknown => BootMode::Bios,
    };
    if mode == BootMode::Bios && !evidence.active_partition && !evidence.bios_boot_partition {
        let message = match table {
            TableKind::Mbr => "no partition is marked active; GRUB does not need it, Windows does",
            TableKind::Gpt => {
                "there is boot code, but neither a BIOS boot partition nor one marked for legacy BIOS"
            }
            TableKind::None => "there is boot code, but no partition",
        };
        findings.warn(Rule::RBoot, message);
    }
    findings.set(Rule::RBoot, format!("BootMode is {mode}"));
    mode
}

/// Compares the loaders' architecture with the asked one, and returns the one to ask for.
pub(super) fn decide_architecture(
    evidence: &BootEvidence,
    wishes: &Wishes,
    findings: &mut Findings,
) -> Option<Architecture> {
    let loaders = &evidence.efi_loaders;
    let arm_only = loaders.as_slice() == [Architecture::Arm64];
    match wishes.architecture {
        Some(Architecture::Arm64) if !loaders.is_empty() && !loaders.contains(&Architecture::Arm64) => {
            findings.refuse(
                Rule::RArch,
                "architecture arm64 is asked for, but the EFI partition holds x86 loaders only",
            );
        }
        Some(asked @ (Architecture::X86_64 | Architecture::I386)) if arm_only => findings.fix(
            Rule::RArch,
            format!("architecture {asked} is asked for, but the EFI partition holds an arm64 loader only"),
            "use --architecture arm64",
        ),
        None if arm_only => {
            findings
                .set(Rule::RArch, "Architecture is arm64: the EFI partition holds a loader for nothing else");
            return Some(Architecture::Arm64);
        }
        _ => {}
    }
    wishes.architecture
}
