//! What inspections of whole images conclude from contents and expected.

use super::testing::*;
use super::*;
use Severity::{Fix, Refuse, Warn};
use ossup_core::model::{Architecture, BootMode, DiskFormat, OsType};
use ossup_core::read::{ReadAt, ReadError};

fn expected() -> Expected {
    Expected::new(DiskRole::System, "disk.img")
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
    if bios {
        put(&mut disk, 5 * MIB, b"core image");
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
        if esp {
            put(&mut disk, MIB, &testing::esp(b"BOOTX64 EFI"));
        }
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
fn bios_needs_boot_code_and_something_to_go_on_with() {
    use BootsWith::{Bios, Nothing, Uefi};
    let grub = |disk: &mut [u8], sector: u64| {
        put(disk, 0x5C, &sector.to_le_bytes());
        put(disk, 0x180, b"GRUB ");
    };
    let empty = |loader, code| {
        let mut disk = gpt(loader, true, code, false);
        disk[5 * MIB..6 * MIB].fill(0);
        disk
    };
    let report = report(&empty(X64, false));
    assert_eq!((report.boot.boots_with, report.settings.boot_mode), (Uefi, Some(BootMode::Uefi)), "no code");
    assert_eq!(broken(&report), []);
    let starts = |disk: &[u8]| testing::report(disk).boot.boots_with;
    assert_eq!(starts(&empty(X64, true)), Uefi, "code, but an empty partition");
    assert_eq!(broken(&testing::report(&empty(X64, true))), [(Rule::RBoot, Warn)]);
    assert_eq!(starts(&empty(None, true)), Nothing);
    assert_eq!(starts(&gpt(None, true, false, false)), Nothing, "a filled partition, but no code");

    let mut disk = empty(X64, true);
    grub(&mut disk, 10240);
    assert_eq!(starts(&disk), Uefi, "GRUB's core image is empty");
    put(&mut disk, 10240 * 512, b"core");
    assert_eq!(starts(&disk), BootsWith::Both);
    grub(&mut disk, 1);
    assert_eq!(starts(&disk), Uefi, "the sector of the table is no core image");
    grub(&mut disk, u64::MAX);
    assert_eq!(starts(&disk), Uefi);

    let mut disk = mbr_disk();
    disk[MIB..7 * MIB].fill(0);
    assert_eq!(starts(&disk), Nothing, "an MBR with code and an empty active partition");
    let mut disk = mbr_disk();
    grub(&mut disk, 1);
    assert_eq!(starts(&disk), Nothing, "GRUB without its core image behind the MBR");
    put(&mut disk, 512, b"core");
    assert_eq!(starts(&disk), Bios);
}

#[test]
fn a_bios_that_would_start_nothing_is_refused_where_it_is_asked_for() {
    let mut disk = gpt(X64, true, true, false);
    disk[5 * MIB..6 * MIB].fill(0);
    let expected = Expected { boot_mode: Some(BootMode::Bios), ..expected() };
    assert_eq!(broken(&report_for(&disk, &expected)), [(Rule::RBoot, Refuse)]);
}

#[test]
fn an_efi_partition_without_a_loader_is_warned_of() {
    for loader in [Some(b"GRUBX64 EFI"), Some(b"BOOTIA32EFI")] {
        let report = report(&gpt(loader, false, false, false));
        assert_eq!(report.settings.boot_mode, Some(BootMode::Uefi), "nothing else can start it");
        assert_eq!(broken(&report), [(Rule::RBoot, Warn)]);
    }
    let mut disk = gpt(X64, false, false, false);
    disk[MIB..5 * MIB].fill(0);
    assert_eq!(broken(&report(&disk)), [(Rule::RBoot, Warn)], "it is not even formatted");
    let asked = Expected { boot_mode: Some(BootMode::Uefi), ..expected() };
    assert_eq!(broken(&report_for(&disk, &asked)), [(Rule::RBoot, Warn)]);
    let disk = gpt(Some(b"GRUBX64 EFI"), true, true, false);
    let report = report(&disk);
    assert_eq!((report.boot.boots_with, broken(&report)), (BootsWith::Bios, vec![]), "BIOS does not need it");
}

#[test]
fn arm64_follows_from_other_evidence_too() {
    let report = report(&gpt(Some(b"GRUBAA64EFI"), false, false, false));
    assert_eq!(report.settings.architecture, Some(Architecture::Arm64), "a loader elsewhere");
    assert_eq!(broken(&report), [(Rule::RBoot, Warn)]);
    const ROOT_ARM64: [u8; 16] =
        [0x45, 0xB0, 0x21, 0xB9, 0xF0, 0x1D, 0xC3, 0x41, 0xAF, 0x44, 0x4C, 0x6F, 0x28, 0x0D, 0x3F, 0xAE];
    let mut disk = gpt_disk(&[(ESP, 2048, 10239, 0), (ROOT_ARM64, 12288, 14335, 0)]);
    write_ext4(&mut disk, 6 * MIB);
    let report = testing::report(&disk);
    assert_eq!(report.settings.architecture, Some(Architecture::Arm64), "the type of a partition");
    assert_eq!(report.settings.boot_mode, Some(BootMode::Uefi));
}

#[test]
fn a_loader_on_another_fat_partition_boots_with_a_warning() {
    const BASIC_DATA: [u8; 16] =
        [0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7];
    let mut disk = gpt_disk(&[(BASIC_DATA, 2048, 10239, 0), (LINUX, 12288, 14335, 0)]);
    put(&mut disk, MIB, &esp(b"BOOTX64 EFI"));
    write_ext4(&mut disk, 6 * MIB);
    let mut mbr = vec![0; 8 * MIB];
    write_record(&mut mbr, 0, &[slot(0, 0x0C, 2048, 8192), slot(0, 0x83, 12288, 2048)]);
    put(&mut mbr, MIB, &esp(b"BOOTX64 EFI"));
    write_ext4(&mut mbr, 6 * MIB);
    for disk in [&disk, &mbr] {
        let report = report(disk);
        assert_eq!((report.boot.boots_with, broken(&report)), (BootsWith::Uefi, vec![(Rule::RBoot, Warn)]));
        assert_eq!(report.settings.boot_mode, Some(BootMode::Uefi));
        let asked = Expected { boot_mode: Some(BootMode::Uefi), ..expected() };
        assert_eq!(broken(&report_for(disk, &asked)), [(Rule::RBoot, Warn)]);
    }
}

#[test]
fn a_file_system_on_the_whole_disk_is_judged_by_what_starts_it() {
    let boots = |disk: &[u8]| {
        let report = report(disk);
        (report.boot.boots_with, report.settings.boot_mode, broken(&report))
    };
    let bare = (Rule::RBare, Warn);
    let efi = esp(b"BOOTX64 EFI");
    assert_eq!(boots(&efi), (BootsWith::Uefi, Some(BootMode::Uefi), vec![bare, (Rule::RBoot, Warn)]));
    let mut extlinux = vec![0; 8 * MIB];
    write_ext4(&mut extlinux, 0);
    boot_code(&mut extlinux);
    put(&mut extlinux, 510, &[0x55, 0xAA]);
    assert_eq!(boots(&extlinux), (BootsWith::Bios, Some(BootMode::Bios), vec![bare]));
    let mut syslinux = esp(b"GRUBX64 EFI");
    put(&mut syslinux, 62, b"code");
    put(&mut syslinux, 33 * 512, b"LDLINUX SYS");
    put(&mut syslinux, 33 * 512 + 11, &[0x20]);
    put(&mut syslinux, 33 * 512 + 28, &[1]);
    assert_eq!(boots(&syslinux), (BootsWith::Bios, Some(BootMode::Bios), vec![bare]));
    assert_eq!(boots(&esp(b"GRUBX64 EFI")).2, [(Rule::RBare, Refuse)], "nothing that firmware starts");
}

#[test]
fn what_only_looks_like_a_boot_sector_is_no_system_disk() {
    let signed = |marks: &[(usize, &[u8])]| {
        let mut disk = vec![0; 2 * MIB];
        boot_code(&mut disk);
        put(&mut disk, 510, &[0x55, 0xAA]);
        for (at, bytes) in marks {
            put(&mut disk, *at, bytes);
        }
        broken(&report(&disk))
    };
    assert_eq!(signed(&[]), [(Rule::RBare, Refuse)]);
    assert_eq!(signed(&[(0x202, b"HdrS")]), [(Rule::FProgram, Refuse)], "a kernel");
    for magic in [(54, &b"FAT12   "[..]), (54, b"FAT16   "), (544, b"1SFB")] {
        assert_eq!(signed(&[magic]), [(Rule::RBare, Refuse)], "{magic:?}");
    }
    assert_eq!(signed(&[(8192, b"\x49\xE8\x95\xF9\xC5\xE9\x53\xFA")]), [(Rule::RBare, Refuse)], "HPFS");
}

#[test]
fn encrypted_disks_and_systems_are_refused() {
    let bitlocker = |disk: &mut Vec<u8>, at: usize| put(disk, at, b"\xEB\x58\x90-FVE-FS-");
    let mut whole = vec![0; 8 * MIB];
    bitlocker(&mut whole, 0);
    put(&mut whole, 82, b"FAT32   ");
    put(&mut whole, 510, &[0x55, 0xAA]);
    let report = report(&whole);
    assert_eq!(report.bare_filesystem, Some(FileSystem::Bitlocker));
    assert_eq!(broken(&report), [(Rule::FLuks, Refuse)]);
    let mut copy_only = vec![0; 8 * MIB];
    put(&mut copy_only, 0x4000, b"SKUL\xBA\xBE");
    assert_eq!(
        broken(&testing::report(&copy_only)),
        [(Rule::FLuks, Refuse)],
        "LUKS2 whose first header is lost"
    );
    let mut veracrypt = mbr_disk();
    put(&mut veracrypt, 6, b"VeraCrypt Boot Loader");
    assert_eq!(broken(&testing::report(&veracrypt)), [(Rule::FLuks, Refuse)]);

    // Windows beside its EFI and recovery partitions.
    const BASIC_DATA: [u8; 16] =
        [0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7];
    const RECOVERY: [u8; 16] =
        [0xA4, 0xBB, 0x94, 0xDE, 0xD1, 0x06, 0x40, 0x4D, 0xA1, 0x6A, 0xBF, 0xD5, 0x01, 0x79, 0xD6, 0xAC];
    let mut windows =
        gpt_disk(&[(ESP, 2048, 10239, 0), (BASIC_DATA, 10240, 13000, 0), (RECOVERY, 13001, 16000, 0)]);
    put(&mut windows, MIB, &esp(b"BOOTX64 EFI"));
    bitlocker(&mut windows, 10240 * 512);
    put(&mut windows, 13001 * 512 + 3, b"NTFS    ");
    for os_type in [None, Some(OsType::Windows)] {
        let report = report_for(&windows, &Expected { os_type, ..expected() });
        assert_eq!(broken(&report), [(Rule::RLuks, Refuse)], "{os_type:?}");
    }
    let data = Expected::new(DiskRole::Data, "data.img");
    assert_eq!(broken(&report_for(&whole, &data)), [(Rule::FLuks, Warn)], "a data disk only needs its key");
}

#[test]
fn an_encrypted_root_beside_a_boot_partition_is_refused() {
    let mut disk = vec![0; 8 * MIB];
    write_record(&mut disk, 0, &[slot(0x80, 0x83, 2048, 2048), slot(0, 0x83, 4096, 8192)]);
    boot_code(&mut disk);
    write_ext4(&mut disk, MIB);
    put(&mut disk, 2 * MIB, b"LUKS\xBA\xBE");
    assert_eq!(broken(&report(&disk)), [(Rule::RLuks, Refuse)]);
}

#[test]
fn what_cannot_be_seen_chooses_no_boot_mode() {
    let mut vmdk = vec![0; MIB];
    put(&mut vmdk, 0, b"KDMV");
    put(&mut vmdk, 12, &[0, 8]);
    put(&mut vmdk, 28, &[1]);
    put(&mut vmdk, 512, b"# Disk DescriptorFile");
    let expected = Expected { format: Some(DiskFormat::Vmdk), ..expected() };
    let report = report_for(&vmdk, &expected);
    assert_eq!((report.settings.boot_mode, report.settings.architecture), (None, None));
    assert_eq!(broken(&report), [(Rule::FFormat, Warn), (Rule::RBoot, Warn)]);
    let asked = Expected { boot_mode: Some(BootMode::Uefi), ..expected };
    assert_eq!(broken(&report_for(&vmdk, &asked)), [(Rule::FFormat, Warn)]);
}

#[test]
fn a_hybrid_iso_with_an_efi_partition_is_imported_as_a_disk() {
    let iso = |loader: &[u8; 11]| {
        let mut disk = vec![0; 8 * MIB];
        write_record(&mut disk, 0, &[slot(0x80, 0, 0, 0), slot(0, 0xEF, 2048, 8192)]);
        put(&mut disk, MIB, &esp(loader));
        put(&mut disk, 32_769, b"CD001");
        report(&disk)
    };
    let bootable = iso(b"BOOTX64 EFI");
    assert_eq!(broken(&bootable), [(Rule::RHybrid, Warn)]);
    let settings = &bootable.settings;
    assert_eq!((settings.format, settings.boot_mode), (Some(DiskFormat::Raw), Some(BootMode::Uefi)));
    assert_eq!(settings.disk_size, Some(5), "what --force sends too");
    let mut plain = vec![0; MIB];
    put(&mut plain, 32_769, b"CD001");
    let report = report(&plain);
    assert_eq!(broken(&report), [(Rule::FIso, Refuse)]);
    assert_eq!((report.settings.format, report.settings.disk_size), (Some(DiskFormat::Raw), Some(5)));
}

#[test]
fn a_windows_disk_is_refused_only_where_linux_is_asked_for() {
    let mut disk = mbr_disk();
    put(&mut disk, MIB + 1080, &[0, 0]);
    put(&mut disk, MIB + 3, b"NTFS    ");
    put(&mut disk, 450, &[7]);
    assert_eq!(broken(&report(&disk)), []);
    let info = report(&disk).findings.into_iter().find(|finding| finding.rule == Rule::SWin).unwrap();
    assert_eq!(info.severity, Severity::Info);
    assert!(info.fix.unwrap().to_string().contains("--os-type windows --platform 'Other Windows'"));
}

#[test]
fn a_part_of_a_split_vmdk_names_its_descriptor() {
    let mut extent = vec![0; MIB];
    put(&mut extent, 0, b"KDMV");
    let report = report_for(&extent, &Expected::new(DiskRole::System, "disk-s002.vmdk"));
    let finding = &report.findings[0];
    assert!(finding.message.ends_with("`disk.vmdk`"), "{}", finding.message);
}

#[test]
fn a_vhdx_with_a_log_is_repaired_first() {
    let mut vhdx = vec![0; MIB];
    put(&mut vhdx, 0, b"vhdxfile");
    let fix = |vhdx: &[u8]| report(vhdx).findings[0].fix.as_ref().unwrap().to_string();
    for (at, sequence) in [(64 << 10, 1), (128 << 10, 2)] {
        put(&mut vhdx, at, b"head");
        put(&mut vhdx, at + 8, &[sequence]);
    }
    let convert = "qemu-img convert -O qcow2 -f vhdx IMAGE NEW.qcow2";
    put(&mut vhdx, (64 << 10) + 48, &[1]);
    assert_eq!(fix(&vhdx), convert, "the older header had one");
    put(&mut vhdx, (128 << 10) + 48, &[1]);
    assert_eq!(fix(&vhdx), format!("qemu-img check -f vhdx -r all IMAGE && {convert}"));
}

#[test]
fn a_boot_mode_that_cannot_work_is_refused() {
    let with = |mode, disk: &[u8]| {
        let report = report_for(disk, &Expected { boot_mode: Some(mode), ..expected() });
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
        let report = report_for(disk, &Expected { architecture, ..expected() });
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
        let report = report_for(image, &Expected { format: Some(format), ..expected() });
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
    put(&mut vmdk, 28, &[1]);
    put(&mut vmdk, 512, b"# Disk DescriptorFile");
    assert_eq!(with(DiskFormat::Vmdk, &vmdk)[0], (Rule::FFormat, Warn), "it is a preview");
    assert_eq!(broken(&report(&vmdk)), [(Rule::FFormat, Fix)]);
    assert_eq!(report(&vmdk).virtual_size, Some(1 << 20));
}

#[test]
fn what_the_object_becomes_is_what_the_service_is_told() {
    let disk = gpt(X64, true, true, false);
    let becoming = |key: &str, becomes| {
        let expected = Expected { key: Some(key.to_owned()), becomes, ..expected() };
        inspect(&disk, &expected).unwrap()
    };
    let report = becoming("a/disk.qcow2", Some(DiskFormat::Qcow2));
    assert_eq!((report.format, report.settings.format), (Format::Raw, Some(DiskFormat::Qcow2)));
    assert_eq!(report.settings.suffix, Some(".qcow2"));
    assert!(!report.findings.iter().any(|finding| finding.rule == Rule::FSuffix));
    let report = becoming("a/disk.raw", Some(DiskFormat::Qcow2));
    assert!(report.findings.iter().any(|finding| finding.rule == Rule::FSuffix));
    let text = becoming("x", None);
    assert_eq!(text.settings.format, Some(DiskFormat::Raw));
    let page =
        inspect(&b"<html>".to_vec(), &Expected { becomes: Some(DiskFormat::Qcow2), ..expected() }).unwrap();
    assert_eq!(page.settings.format, None, "what is no disk becomes none");
}

#[test]
fn the_keys_suffix_is_compared() {
    let with = |key: &str, image: &[u8]| {
        let report = report_for(image, &Expected { key: Some(key.to_owned()), ..expected() });
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
    let data = |image: &[u8]| broken(&report_for(image, &Expected::new(DiskRole::Data, "data.img")));
    assert_eq!(data(&vec![0; 8 * MIB]), []);
    let mut bare = vec![0; 8 * MIB];
    write_ext4(&mut bare, 0);
    assert_eq!(data(&bare), []);
    assert_eq!(data(&gpt(None, false, false, false)), []);
    let gpt = gpt(None, false, false, false);
    assert_eq!(data(&gpt[..gpt.len() - MIB]), [(Rule::RGptB, Refuse)], "but it must be whole");
    assert_eq!(data(b""), [(Rule::FEmpty, Refuse)]);
    let report = report_for(&bare, &Expected::new(DiskRole::Data, "data.img"));
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
        broken(&report_for(disk, &Expected { os_type, platform, ..expected() }))
    };
    let contradiction = [(Rule::SWin, Fix)];
    assert_eq!(with(None, None, &ntfs()), [], "nothing was asked for that it contradicts");
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
    let expected = Expected { platform: Some("Customized Linux".to_owned()), ..expected() };
    let report = report_for(&mbr_disk(), &expected);
    assert_eq!(broken(&report), [(Rule::SCustom, Refuse)], "the disk is too small");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Info && finding.rule == Rule::SCustom)
    );
    let mut xfs = mbr_disk();
    put(&mut xfs, MIB, b"XFSB");
    assert_eq!(broken(&report_for(&xfs, &expected)), [(Rule::SCustom, Warn), (Rule::SCustom, Refuse)]);
}

#[test]
fn a_raw_file_is_whole() {
    let disk = mbr_disk();
    assert_eq!(broken(&report(&disk[..disk.len() - 1])), [(Rule::R512, Warn)]);
    assert_eq!(broken(&report(&disk[..disk.len() - 512])), [(Rule::RMib, Warn)]);
    let gpt = gpt(X64, false, false, false);
    assert_eq!(broken(&report(&gpt[..gpt.len() - 1])), [(Rule::RGptB, Refuse), (Rule::R512, Refuse)]);
}

/// Sets what an advice says, as its options would.
fn follow(expected: &Expected, settings: &[Setting]) -> Expected {
    let mut expected = expected.clone();
    for Setting { option, value } in settings {
        let value = value.as_deref();
        match *option {
            "--boot-mode" => expected.boot_mode = value.map(|value| value.parse().unwrap()),
            "--architecture" => expected.architecture = value.map(|value| value.parse().unwrap()),
            "--os-type" => expected.os_type = value.map(|value| value.parse().unwrap()),
            "--format" => expected.format = value.map(|value| value.parse().unwrap()),
            "--platform" => expected.platform = value.map(str::to_owned),
            "--disk-size" => expected.disk_size = value.map(|value| value.parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    expected
}

#[test]
fn every_setting_that_is_advised_helps() {
    let mut ntfs = mbr_disk();
    put(&mut ntfs, MIB + 1080, &[0, 0]);
    put(&mut ntfs, MIB + 3, b"NTFS    ");
    let mut xfs = mbr_disk();
    put(&mut xfs, MIB, b"XFSB");
    let (arm, x64, both) =
        (gpt(ARM, false, false, false), gpt(X64, false, false, false), gpt(ARM, true, true, false));
    let (bios, uefi) = (Some(BootMode::Bios), Some(BootMode::Uefi));
    let cases = [
        (mbr_disk(), Expected { boot_mode: uefi, ..expected() }),
        (x64, Expected { boot_mode: bios, ..expected() }),
        (both, Expected { boot_mode: bios, ..expected() }),
        (arm, Expected { architecture: Some(Architecture::X86_64), ..expected() }),
        (mbr_disk(), Expected { format: Some(DiskFormat::Vhd), ..expected() }),
        (mbr_disk(), Expected { os_type: Some(OsType::Windows), ..expected() }),
        (ntfs.clone(), Expected { os_type: Some(OsType::Linux), ..expected() }),
        (ntfs, Expected { platform: Some("Ubuntu".to_owned()), ..expected() }),
        (xfs, Expected { platform: Some("Customized Linux".to_owned()), ..expected() }),
        ([mbr_disk(), vec![0; 6 << 30 >> 10]].concat(), Expected { disk_size: Some(0), ..expected() }),
    ];
    for (disk, expected) in cases {
        let before = report_for(&disk, &expected);
        let advised = before.findings.iter().find_map(|finding| match &finding.fix {
            Some(super::Fix::Set(settings)) => Some((finding.rule, settings)),
            _ => None,
        });
        let (rule, settings) = advised.unwrap_or_else(|| panic!("no setting: {:?}", before.findings));
        let after = report_for(&disk, &follow(&expected, settings));
        let left = after.findings.iter().any(|left| left.rule == rule && left.severity >= Warn);
        assert!(!left, "{rule}: {:?}", after.findings);
        assert!(broken(&after).len() <= broken(&before).len(), "{rule}");
    }
}

/// A disk that goes on with zeros.
#[derive(Debug)]
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
        broken(&inspect(&disk, &Expected { allocated_size: Some(allocated), ..expected() }).unwrap())
    };
    assert_eq!(with(40 * GIB, 19 * GIB), [(Rule::FSparse, Warn)]);
    assert_eq!(with(40 * GIB, 20 * GIB), []);
    assert_eq!(with(GIB, GIB / 4), [], "so little is not worth the words");
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
            "boot_code": true, "bios_next_stage": true, "active_partition": true, "bios_boot_partition": false,
            "efi_system_partition": false, "efi_loaders": [], "other_efi_loaders": [], "marked_for": [],
            "undersized_fat32": false, "boots_with": "bios",
        },
        "settings": {
            "format": "RAW", "disk_size": 5, "boot_mode": "BIOS", "architecture": null, "suffix": ".raw",
            "os_type": null, "platform": null, "nvme_support": null,
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
