//! What would start the system: boot code for BIOS, loaders for UEFI, and which boot mode follows.

mod evidence;

pub use evidence::{BootEvidence, BootsWith};

use super::Expected;
use super::finding::{Finding, Findings, Severity};
use super::fix::Setting;
use super::rule::Rule;
use super::table::TableKind;
use ossup_core::model::{Architecture, BootMode};

/// Decides the boot mode to ask for, and reports what contradicts it.
pub(super) fn decide(
    evidence: &BootEvidence,
    table: TableKind,
    expected: &Expected,
    findings: &mut Findings,
) -> Option<BootMode> {
    let arm = expected.architecture == Some(Architecture::Arm64)
        || (expected.architecture.is_none() && evidence.is_for_arm());
    let uefi = BootMode::Uefi.as_str();
    if evidence.boots_with == BootsWith::Nothing {
        findings.refuse(Rule::RBoot, evidence.why_nothing());
        return expected.boot_mode;
    }
    if arm && !evidence.may_boot_with_uefi() {
        findings.refuse(Rule::RBoot, "arm64 boots with UEFI only, but the disk has no EFI system partition");
        return expected.boot_mode;
    }
    match expected.boot_mode {
        Some(BootMode::Bios) if arm => {
            findings.fix(Rule::RBoot, "arm64 boots with UEFI only", Setting::new("--boot-mode", uefi));
        }
        Some(BootMode::Uefi) if !evidence.may_boot_with_uefi() => findings.push(
            Finding::new(
                Rule::RBoot,
                Severity::Refuse,
                "boot mode UEFI is asked for, but the disk has no EFI system partition",
            )
            .fixed_by(Setting::without("--boot-mode")),
        ),
        Some(BootMode::Bios) if evidence.boots_with == BootsWith::Uefi && evidence.bios_is_ruled_out() => {
            findings.push(
                Finding::new(
                    Rule::RBoot,
                    Severity::Refuse,
                    "boot mode BIOS is asked for, but the disk boots only with UEFI",
                )
                .fixed_by(Setting::new("--boot-mode", uefi)),
            );
        }
        Some(BootMode::Uefi) => check_loaders(evidence, findings),
        Some(_) => {}
        None => return Some(choose(evidence, table, arm, findings)),
    }
    expected.boot_mode
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
                        "there is boot code, but nothing for it to load; UEFI is assumed",
                    )
                    .fixed_by("if the disk boots with BIOS, import it with --boot-mode BIOS"),
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
    if mode == BootMode::Uefi {
        check_loaders(evidence, findings);
    } else if !evidence.active_partition && !evidence.bios_boot_partition {
        match table {
            TableKind::Mbr => findings
                .warn(Rule::RBoot, "no partition is marked active; GRUB does not need it, Windows does"),
            TableKind::Gpt => findings.warn(
                Rule::RBoot,
                "there is boot code, but neither a BIOS boot partition nor one marked for legacy BIOS",
            ),
            TableKind::None => {}
        }
    }
    findings.set(Rule::RBoot, format!("BootMode is {mode}: {}", evidence.reason(mode)));
    mode
}

/// Warns where firmware finds nothing to start, or finds it where not all firmware looks.
fn check_loaders(evidence: &BootEvidence, findings: &mut Findings) {
    if !evidence.has_fallback_loader() {
        findings.warn(
            Rule::RBoot,
            format!(
                "{}: a new instance knows no other path, so it may not start",
                if evidence.other_efi_loaders.is_empty() {
                    r"no EFI loader was found, such as \EFI\BOOT\BOOTX64.EFI"
                } else {
                    r"there are EFI loaders, but none at \EFI\BOOT\BOOTX64.EFI (arm64: BOOTAA64.EFI)"
                }
            ),
        );
    } else if !evidence.efi_system_partition {
        findings.warn(
            Rule::RBoot,
            "the EFI loader is on a FAT file system that is not marked as an EFI system partition; \
             firmware may not look there",
        );
    } else if evidence.undersized_fat32 {
        findings.warn(
            Rule::RBoot,
            "the EFI system partition is FAT32 with fewer clusters than FAT32 has; firmware may take it for FAT16",
        );
    }
}

/// Compares the loaders' architecture with the asked one, and returns the one to ask for.
pub(super) fn decide_architecture(
    evidence: &BootEvidence,
    expected: &Expected,
    findings: &mut Findings,
) -> Option<Architecture> {
    let loaders = &evidence.efi_loaders;
    let arm_only = loaders.as_slice() == [Architecture::Arm64];
    match expected.architecture {
        Some(Architecture::Arm64) if !loaders.is_empty() && !loaders.contains(&Architecture::Arm64) => {
            findings.refuse(
                Rule::RArch,
                "architecture arm64 is asked for, but the EFI partition holds x86 loaders only",
            );
        }
        Some(asked @ (Architecture::X86_64 | Architecture::I386)) if arm_only => findings.fix(
            Rule::RArch,
            format!("architecture {asked} is asked for, but the EFI partition holds an arm64 loader only"),
            Setting::new("--architecture", Architecture::Arm64.as_str()),
        ),
        None if evidence.is_for_arm() => {
            findings.set(
                Rule::RArch,
                format!("Architecture is arm64: {} for nothing else", evidence.architecture_source()),
            );
            return Some(Architecture::Arm64);
        }
        _ => {}
    }
    expected.architecture
}
