//! What inspections of whole images conclude from contents and wishes.

use super::testing::*;
use super::*;
use crate::model::{Architecture, BootMode, DiskFormat, OsType};
use Severity::{Fix, Refuse, Warn};

fn wishes() -> Wishes {
    Wishes::new(Role::System, "disk.img")
}

fn slot(status: u8, code: u8, first: u32, sectors: u32) -> Slot {
    Slot { status, code, first, sectors }
}

/// A disk with a GPT: an EFI partition with a loader of this name if there is one, a BIOS boot partition, a root.
fn gpt(loader: Option<&[u8; 11]>, bios: bool, code: bool, legacy: bool) -> Vec<u8> {
    let mut entries = vec![(LINUX, 12288, 14335, if legacy { 4 } else { 0 })];
    if loader.is_some() {
        entries.push((ESP, 2048, 10239, 0));
    }
    if bios {
        entries.push((BIOS_BOOT, 10240, 12287, 0));
    }
    let mut disk = gpt_disk(&entries);
    if let Some(loader) = loader {
        put(&mut disk, MIB, &esp(loader));
    }
    if code {
        boot_code(&mut disk);
    }
    write_ext4(&mut disk, 6 * MIB);
    disk
}

const X64: Option<&[u8; 11]> = Some(b"BOOTX64 EFI");
const ARM: Option<&[u8; 11]> = Some(b"BOOTAA64EFI");

#[test]
fn the_boot_mode_follows_from_the_evidence() {
    use BootsWith::{Bios, Both, Nothing, Uefi};
    let mbr = |active: bool, esp: bool, code: bool| {
        let mut disk = vec![0; 8 * MIB];
        let root = slot(if active { 0x80 } else { 0 }, 0x83, 12288, 2048);
        let slots = [root, slot(0, 0xEF, 2048, 8192)];
        write_record(&mut disk, 0, &slots[..if esp { 2 } else { 1 }]);
        write_ext4(&mut disk, 6 * MIB);
        if code {
            boot_code(&mut disk);
        }
        disk
    };
    let boot = (Rule::RBoot, Warn);
    let dead = (Rule::RBoot, Refuse);
    let cases = [
        ("GPT, ESP", gpt(X64, false, false, false), Uefi, Some(BootMode::Uefi), vec![]),
        ("GPT, ESP, BIOS boot", gpt(X64, true, true, false), Both, Some(BootMode::Bios), vec![]),
        ("GPT, ESP, code and bit", gpt(X64, false, true, true), Both, Some(BootMode::Bios), vec![]),
        ("GPT, ESP, code only", gpt(X64, false, true, false), Uefi, Some(BootMode::Uefi), vec![boot]),
        ("GPT, BIOS boot", gpt(None, true, true, false), Bios, Some(BootMode::Bios), vec![]),
        ("GPT, code and bit", gpt(None, false, true, true), Bios, Some(BootMode::Bios), vec![]),
        ("GPT, code only", gpt(None, false, true, false), Bios, Some(BootMode::Bios), vec![boot]),
        ("GPT, nothing", gpt(None, false, false, false), Nothing, None, vec![dead]),
        ("MBR, active, code", mbr(true, false, true), Bios, Some(BootMode::Bios), vec![]),
        ("MBR, code", mbr(false, false, true), Bios, Some(BootMode::Bios), vec![boot]),
        ("MBR, active", mbr(true, false, false), Nothing, None, vec![dead]),
        ("MBR, ESP", mbr(false, true, false), Uefi, Some(BootMode::Uefi), vec![]),
        ("MBR, active, ESP, code", mbr(true, true, true), Both, Some(BootMode::Bios), vec![]),
    ];
    for (name, disk, boots_with, mode, findings) in cases {
        let report = report(&disk);
        assert_eq!(report.boot.boots_with, boots_with, "{name}");
        assert_eq!(report.settings.boot_mode, mode, "{name}");
        assert_eq!(broken(&report), findings, "{name}");
    }
}

#[test]
fn a_boot_mode_that_cannot_work_is_refused() {
    let with = |mode, disk: &[u8]| {
        let report = report_for(disk, &Wishes { boot_mode: Some(mode), ..wishes() });
        assert_eq!(report.settings.boot_mode, Some(mode), "what was typed stays");
        broken(&report)
    };
    let refused = [(Rule::RBoot, Refuse)];
    assert_eq!(with(BootMode::Bios, &gpt(X64, false, false, false)), refused);
    assert_eq!(with(BootMode::Bios, &gpt(X64, false, true, false)), [], "there is code that may know how");
    assert_eq!(with(BootMode::Uefi, &gpt(X64, false, false, false)), []);
    assert_eq!(with(BootMode::Uefi, &gpt(X64, true, true, false)), []);
    assert_eq!(with(BootMode::Uefi, &mbr_disk()), refused);
    assert_eq!(with(BootMode::Bios, &gpt(ARM, true, true, false)), [(Rule::RBoot, Fix)]);
}

#[test]
fn the_architecture_follows_from_the_loaders() {
    let with = |architecture, disk: &[u8]| {
        let report = report_for(disk, &Wishes { architecture, ..wishes() });
        (report.settings.architecture, report.settings.boot_mode, broken(&report))
    };
    let (arm, x86) = (gpt(ARM, false, false, false), gpt(X64, false, false, false));
    let uefi = Some(BootMode::Uefi);
    assert_eq!(with(None, &arm), (Some(Architecture::Arm64), uefi, vec![]));
    assert_eq!(with(Some(Architecture::Arm64), &arm), (Some(Architecture::Arm64), uefi, vec![]));
    assert_eq!(with(Some(Architecture::X86_64), &arm).2, [(Rule::RArch, Fix)]);
    assert_eq!(with(None, &x86), (None, uefi, vec![]));
    assert_eq!(with(Some(Architecture::Arm64), &x86).2, [(Rule::RArch, Refuse)]);
    assert_eq!(with(Some(Architecture::Arm64), &mbr_disk()).2, [(Rule::RBoot, Refuse)], "no EFI partition");
    assert_eq!(with(Some(Architecture::X86_64), &mbr_disk()).2, []);
}

#[test]
fn a_format_that_contradicts_the_contents_is_reported() {
    let with = |format, image: &[u8]| {
        let report = report_for(image, &Wishes { format: Some(format), ..wishes() });
        assert_eq!(report.settings.format, Some(format));
        broken(&report)
    };
    assert_eq!(with(DiskFormat::Raw, &mbr_disk()), []);
    assert_eq!(with(DiskFormat::Qcow2, &mbr_disk()), [(Rule::FFormat, Fix)]);
    assert_eq!(with(DiskFormat::Raw, &qcow2(&mbr_disk())), [(Rule::FFormat, Fix)]);
    assert_eq!(with(DiskFormat::Raw, &fixed_vhd(&mbr_disk()))[0], (Rule::FFormat, Fix));
    let mut vmdk = vec![0; MIB];
    put(&mut vmdk, 0, b"KDMV");
    put(&mut vmdk, 12, &[0, 8]);
    assert_eq!(with(DiskFormat::Vmdk, &vmdk), [(Rule::FFormat, Warn)], "it is a preview");
    assert_eq!(broken(&report(&vmdk)), [(Rule::FFormat, Fix)]);
    assert_eq!(report(&vmdk).virtual_size, Some(1 << 20));
}

#[test]
fn the_keys_suffix_is_compared() {
    let with = |key: &str, image: &[u8]| {
        let report = report_for(image, &Wishes { key: Some(key.to_owned()), ..wishes() });
        broken(&report).contains(&(Rule::FSuffix, Warn))
    };
    let (raw, qcow2) = (mbr_disk(), qcow2(&mbr_disk()));
    for (key, image, warned) in [
        ("a.raw", &raw, false),
        ("a.IMG", &raw, false),
        ("a/b.c/disk", &raw, false),
        ("a.qcow2", &raw, true),
        ("a.qcow2", &qcow2, false),
        ("a.img", &qcow2, true),
        ("a.bin", &raw, true),
    ] {
        assert_eq!(with(key, image), warned, "{key}");
    }
    assert_eq!(report(&qcow2).settings.suffix, Some(".qcow2"));
}

#[test]
fn a_data_disk_need_not_boot() {
    let data = |image: &[u8]| broken(&report_for(image, &Wishes::new(Role::Data, "data.img")));
    assert_eq!(data(&vec![0; 8 * MIB]), []);
    let mut bare = vec![0; 8 * MIB];
    write_ext4(&mut bare, 0);
    assert_eq!(data(&bare), []);
    assert_eq!(data(&gpt(None, false, false, false)), []);
    let gpt = gpt(None, false, false, false);
    assert_eq!(data(&gpt[..gpt.len() - MIB]), [(Rule::RGptB, Refuse)], "but it must be whole");
    assert_eq!(data(b""), [(Rule::FEmpty, Refuse)]);
    let report = report_for(&bare, &Wishes::new(Role::Data, "data.img"));
    assert_eq!((report.bare_filesystem, report.settings.boot_mode), (Some(FileSystem::Ext4), None));
}

#[test]
fn a_system_disk_without_partitions_is_refused() {
    let mut bare = vec![0; 8 * MIB];
    write_ext4(&mut bare, 0);
    assert_eq!(broken(&report(&bare)), [(Rule::RBare, Refuse)]);
    put(&mut bare, 510, &[0x55, 0xAA]);
    assert_eq!(broken(&report(&bare)), [(Rule::RBare, Refuse)], "a signature alone is no table");
    let mut unsigned = mbr_disk();
    put(&mut unsigned, 510, &[0, 0]);
    assert_eq!(broken(&report(&unsigned)), [(Rule::RSig, Refuse)]);
    assert_eq!(broken(&report(&vec![0; 8 * MIB])), [(Rule::FZero, Refuse)]);
    let mut small = mbr_disk();
    small.truncate(MIB - 512);
    assert_eq!(broken(&report(&small))[0], (Rule::FSmall, Refuse));
}

#[test]
fn the_operating_system_is_compared() {
    let ntfs = || {
        let mut disk = mbr_disk();
        put(&mut disk, MIB + 1080, &[0, 0]);
        put(&mut disk, MIB + 3, b"NTFS    ");
        put(&mut disk, 450, &[7]);
        disk
    };
    let with = |os_type, platform: Option<&str>, disk: &[u8]| {
        let platform = platform.map(str::to_owned);
        broken(&report_for(disk, &Wishes { os_type, platform, ..wishes() }))
    };
    let contradiction = [(Rule::SWin, Fix)];
    assert_eq!(with(None, None, &ntfs()), contradiction);
    assert_eq!(with(Some(OsType::Linux), None, &ntfs()), contradiction);
    assert_eq!(with(Some(OsType::Windows), None, &ntfs()), []);
    assert_eq!(with(None, Some("Windows Server 2019"), &ntfs()), []);
    assert_eq!(with(Some(OsType::Windows), None, &mbr_disk()), contradiction);
    assert_eq!(with(Some(OsType::Linux), Some("Ubuntu"), &mbr_disk()), []);
}

#[test]
fn what_the_requirements_say_of_file_systems() {
    let with = |code: u8, marks: &[(usize, &[u8])]| {
        let mut disk = mbr_disk();
        put(&mut disk, MIB + 1080, &[0, 0]);
        put(&mut disk, 450, &[code]);
        for (at, bytes) in marks {
            put(&mut disk, MIB + at, bytes);
        }
        broken(&report(&disk))
    };
    assert_eq!(with(0x83, &[(0, b"XFSB")]), []);
    assert_eq!(with(0x83, &[(65_600, b"_BHRfS_M")]), []);
    assert_eq!(with(0x83, &[(1080, &[0x53, 0xEF]), (1120, &[0])]), [(Rule::SFs, Warn)], "ext2");
    assert_eq!(with(0x83, &[]), [(Rule::SFs, Warn)]);
    assert_eq!(with(0x0C, &[(82, b"FAT32   ")]), [(Rule::RRoots, Warn), (Rule::SFs, Warn)]);
    assert_eq!(with(0x8E, &[]), [(Rule::RLvm, Warn)]);
    assert_eq!(with(0x83, &[(512, b"LABELONE"), (536, b"LVM2 001")]), [(Rule::RLvm, Warn)]);
    assert_eq!(with(0x83, &[(0, b"LUKS\xBA\xBE")]), [(Rule::RLuks, Refuse)]);
    assert_eq!(with(0xA5, &[]), [], "FreeBSD");
    let both: (&[u8], &[u8]) = (&[0x53, 0xEF], &[0x00, 0x21]);
    assert_eq!(with(0x83, &[(1080, both.0), (1120, &[0x42]), (1124, both.1)]), [(Rule::SPq, Warn)]);
}

#[test]
fn one_encrypted_partition_among_others_is_warned_of() {
    let mut disk = vec![0; 8 * MIB];
    write_record(&mut disk, 0, &[slot(0x80, 0x83, 2048, 2048), slot(0, 0x83, 4096, 2048)]);
    boot_code(&mut disk);
    write_ext4(&mut disk, MIB);
    put(&mut disk, 2 * MIB, b"LUKS\xBA\xBE");
    assert_eq!(broken(&report(&disk)), [(Rule::RLuks, Warn)]);
}

#[test]
fn customized_linux_has_needs_of_its_own() {
    let wishes = Wishes { platform: Some("Customized Linux".to_owned()), ..wishes() };
    let report = report_for(&mbr_disk(), &wishes);
    assert_eq!(broken(&report), [(Rule::SCustom, Refuse)], "the disk is too small");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Info && finding.rule == Rule::SCustom)
    );
    let mut xfs = mbr_disk();
    put(&mut xfs, MIB, b"XFSB");
    assert_eq!(broken(&report_for(&xfs, &wishes)), [(Rule::SCustom, Warn), (Rule::SCustom, Refuse)]);
}

#[test]
fn a_raw_file_is_whole() {
    let disk = mbr_disk();
    assert_eq!(broken(&report(&disk[..disk.len() - 1])), [(Rule::R512, Warn)]);
    assert_eq!(broken(&report(&disk[..disk.len() - 512])), [(Rule::RMib, Warn)]);
    let gpt = gpt(X64, false, false, false);
    assert_eq!(broken(&report(&gpt[..gpt.len() - 1])), [(Rule::RGptB, Refuse), (Rule::R512, Refuse)]);
}

/// A disk that goes on with zeros.
struct Grown {
    front: Vec<u8>,
    length: u64,
}

impl ReadAt for Grown {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        buffer.fill(0);
        let start = usize::try_from(offset).unwrap().min(self.front.len());
        let count = buffer.len().min(self.front.len() - start);
        buffer[..count].copy_from_slice(&self.front[start..start + count]);
        Ok(())
    }
}

#[test]
fn holes_suggest_another_format() {
    const GIB: u64 = 1 << 30;
    let with = |length: u64, allocated: u64| {
        let disk = Grown { front: mbr_disk(), length };
        broken(&inspect(&disk, &Wishes { allocated_size: Some(allocated), ..wishes() }).unwrap())
    };
    assert_eq!(with(40 * GIB, 19 * GIB), [(Rule::FSparse, Warn)]);
    assert_eq!(with(40 * GIB, 20 * GIB), []);
    assert_eq!(with(GIB, GIB / 4), [], "so little is not worth the words");
}

#[test]
fn commands_quote_the_files_name() {
    let wishes = Wishes::new(Role::System, "my disk's\n.qcow2");
    let mut image = qcow2(&mbr_disk());
    put(&mut image, 79, &[1]);
    let report = report_for(&image, &wishes);
    let fix = report.refusals().next().unwrap().fix.clone().unwrap();
    assert_eq!(fix, "qemu-img check -r all 'my disk'\\''s\u{FFFD}.qcow2'");
    assert_eq!(Wishes::new(Role::System, "-rf").word(), "./-rf");
    assert_eq!(
        Wishes::new(Role::System, "oss://bucket/images/a b").word(),
        "'a b'",
        "an object must be fetched first"
    );
    let grown = [gpt(X64, false, false, false), vec![0; MIB]].concat();
    let fix =
        |report: Report| report.findings.into_iter().find(|finding| finding.rule == Rule::RGptB).unwrap().fix;
    assert_eq!(fix(report_for(&grown, &wishes)).unwrap(), "sgdisk -e 'my disk'\\''s\u{FFFD}.qcow2'");
    let fix = fix(testing::report(&qcow2(&grown))).unwrap();
    assert!(fix.contains("-f qcow2 -O raw disk.img disk.raw && sgdisk -e disk.raw && qemu-img"), "{fix}");
}

#[test]
fn the_json_of_a_report() {
    let mut disk = mbr_disk();
    disk.truncate(8 * MIB);
    let json = serde_json::to_value(report(&disk)).unwrap();
    let expected = serde_json::json!({
        "format": "raw",
        "role": "system",
        "file_size": 8 << 20,
        "allocated_size": null,
        "virtual_size": 8 << 20,
        "partition_table": "mbr",
        "partitions": [{
            "number": 1, "kind": "linux", "type_code": "0x83", "name": null,
            "start": 1 << 20, "length": 6 << 20, "active": true, "filesystem": "ext4",
        }],
        "bare_filesystem": null,
        "boot": {
            "boot_code": true, "active_partition": true, "bios_boot_partition": false,
            "efi_system_partition": false, "efi_loaders": [], "boots_with": "bios",
        },
        "settings": {
            "format": "RAW", "disk_size": 5, "boot_mode": "BIOS", "architecture": null, "suffix": ".raw",
        },
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&json[field], value, "{field}");
    }
    let finding = &json["findings"][0];
    assert_eq!((finding["rule"].as_str(), finding["severity"].as_str()), (Some("R-BOOT"), Some("set")));
    assert!(finding["source"].is_string() && finding["fix"].is_null());
    assert_eq!(json.as_object().unwrap().len(), expected.as_object().unwrap().len() + 1);
}
