//! The checks over a Windows that is told, and the whole over small disks (`.ci/windows_guest.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::damage::{Damaged, Disk, WINDOWS as DISKS};
use super::super::facts::{GuestReport, WindowsBoot, WindowsEntry};
use super::super::look as look_at;
use super::hive::{Hive, Source, Value};
use super::*;
use crate::finding::{Finding, Severity};
use crate::rule::Rule;
use crate::table::Partition;
use ossup_core::model::{BootMode, OsType};
use ossup_core::read::ReadAt;

/// A Windows in memory. All in lower case.
#[derive(Clone, Default)]
struct Told {
    files: BTreeMap<String, Vec<u8>>,
    read_only: BTreeSet<String>,
    /// By hive, path and name.
    values: BTreeMap<(bool, String, String), Vec<u8>>,
    packages: BTreeMap<String, u32>,
    dirty: bool,
    unmounted: bool,
    /// A path that cannot be read.
    unread: Option<&'static str>,
}

impl Told {
    fn file(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_lowercase(), content.to_vec());
    }

    fn without(&mut self, path: &str) {
        assert!(self.files.remove(&path.to_lowercase()).is_some(), "{path}");
    }

    fn put_number(&mut self, hive: In, path: &str, name: &str, number: u32) {
        self.set(hive, path, name, number.to_le_bytes().to_vec());
    }

    fn put_text(&mut self, hive: In, path: &str, name: &str, text: &str) {
        self.set(hive, path, name, text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }

    fn set(&mut self, hive: In, path: &str, name: &str, value: Vec<u8>) {
        self.values.insert((hive == In::System, path.to_lowercase(), name.to_lowercase()), value);
    }

    fn readable(&self, path: &str) -> Result<(), Reason> {
        match self.unread {
            Some(unread) if path.eq_ignore_ascii_case(unread) => Err("damaged".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Evidence for Told {
    fn has(&self, path: &str) -> Result<bool, Reason> {
        self.readable(path)?;
        let path = path.to_lowercase().replace('\\', "/");
        Ok(self.files.keys().any(|file| *file == path || file.starts_with(&format!("{path}/"))))
    }

    fn front(&self, path: &str, most: usize) -> Read<Vec<u8>> {
        self.readable(path)?;
        let file = self.files.get(&path.to_lowercase());
        Ok(file.map(|file| file.iter().copied().take(most).collect()))
    }

    fn is_read_only(&self, path: &str) -> Read<bool> {
        Ok(self.has(path)?.then(|| self.read_only.contains(&path.to_lowercase())))
    }

    fn has_key(&self, hive: In, path: &str) -> Result<bool, Reason> {
        let front = (hive == In::System, path.to_lowercase());
        Ok(self.values.keys().any(|(hive, path, _)| (*hive, path.clone()) == front))
    }

    fn value(&self, hive: In, path: &str, name: &str) -> Read<Value> {
        self.readable(path)?;
        let key = (hive == In::System, path.to_lowercase(), name.to_lowercase());
        Ok(self.values.get(&key).cloned().map(Value))
    }

    fn package(&self, prefix: &str) -> Read<u32> {
        Ok(self.packages.iter().find(|(name, _)| name.starts_with(prefix)).map(|(_, state)| *state))
    }

    fn volume_state(&self) -> Result<(bool, bool), Reason> {
        Ok((self.dirty, self.unmounted))
    }
}

const SERVICES: &str = "CurrentControlSet\\Services";
const CBS: &str = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing";

fn good() -> Told {
    let mut told = Told { unmounted: true, ..Told::default() };
    for name in ["SYSTEM", "SOFTWARE", "SAM", "SECURITY"] {
        told.file(&format!("{CONFIG}/{name}"), b"regf\x07\0\0\0\x07\0\0\0....");
    }
    for (name, start) in [("viostor", 0), ("netkvm", 3), ("stornvme", 0)] {
        told.file(&format!("{DRIVERS}/{name}.sys"), b"MZ");
        told.put_number(In::System, &format!("{SERVICES}\\{name}"), "Start", start);
    }
    told.file("/Windows/System32/winload.exe", b"MZ");
    told.file("/Windows/System32/winload.efi", b"MZ");
    told.file("/ProgramData/aliyun/assist/1/service.exe", b"MZ");
    told.file("/ProgramData/aliyun/vminit/vminit.exe", b"MZ");
    told.put_number(In::System, &format!("{SERVICES}\\vminit"), "Start", 2);
    told.put_text(In::Software, VERSION, "CurrentBuild", "20348");
    told.put_text(In::Software, VERSION, "ProductName", "Windows Server 2022 Datacenter");
    told.put_text(In::Software, VERSION, "InstallationType", "Server");
    told.put_number(In::Software, VERSION, "UBR", 2700);
    told.put_text(
        In::Software,
        "Microsoft\\Windows\\CurrentVersion\\Setup\\State",
        "ImageState",
        "IMAGE_STATE_COMPLETE",
    );
    told
}

fn bios() -> WindowsBoot {
    let entry = WindowsEntry {
        loader: Some("\\Windows\\system32\\winload.exe".to_owned()),
        device: Some(Answer::Found("partition 1".to_owned())),
    };
    WindowsBoot {
        place: "partition 1".to_owned(),
        firmware: BootMode::Bios,
        manager: Answer::Found("/bootmgr".to_owned()),
        entry: Answer::Found(entry),
    }
}

fn judged_with(told: &Told, boot: WindowsBoot, expected: &Expected) -> Vec<Finding> {
    let mut findings = Findings::default();
    let system = describe(told, "partition 1".to_owned(), vec![boot]);
    let mut report = DISKS[0].report.clone();
    report.settings.boot_mode = None;
    checks::run(&checks::Scene { guest: told, system: &system, report: &report, expected }, &mut findings);
    findings.0
}

fn told(findings: &[Finding]) -> Vec<(Severity, Rule)> {
    findings.iter().map(|finding| (finding.severity, finding.rule)).collect()
}

/// Judges a Windows that is good but for a change.
fn judged(change: impl Fn(&mut Told)) -> Vec<(Severity, Rule)> {
    let mut all = good();
    change(&mut all);
    told(&judged_with(&all, bios(), &Expected::default()))
}

#[test]
fn a_windows_with_all_that_ecs_wants_gives_no_finding() {
    assert_eq!(judged(|_| ()), []);
    // Sysprep leaves the installation in progress.
    let generalised = judged(|told| {
        let path = "Microsoft\\Windows\\CurrentVersion\\Setup\\State";
        told.put_text(In::Software, path, "ImageState", "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE");
        told.put_number(In::System, "Setup", "SystemSetupInProgress", 1);
    });
    assert_eq!(generalised, []);
}

#[test]
fn a_disk_driver_must_be_there_and_started_by_the_loader() {
    let absent = |told: &mut Told| {
        told.values.retain(|(_, path, _), _| !path.ends_with("\\viostor"));
        told.without(&format!("{DRIVERS}/viostor.sys"));
    };
    let late = |told: &mut Told| told.put_number(In::System, &format!("{SERVICES}\\viostor"), "Start", 3);
    let no_file = |told: &mut Told| told.without(&format!("{DRIVERS}/viostor.sys"));
    for change in [&absent as &dyn Fn(&mut Told), &late, &no_file] {
        assert_eq!(judged(change), [(Severity::Warn, Rule::WVirtio)], "the import adds it");
        let elsewhere = judged(|told| {
            change(told);
            told.put_text(In::Software, VERSION, "InstallationType", "Client");
        });
        assert_eq!(
            elsewhere,
            [(Severity::Warn, Rule::WVirtio), (Severity::Warn, Rule::WClient)],
            "NVMe is left"
        );
        let nothing = judged(|told| {
            change(told);
            told.put_text(In::Software, VERSION, "CurrentBuild", "3790");
            told.put_number(In::System, &format!("{SERVICES}\\stornvme"), "Start", 3);
        });
        assert_eq!(nothing, [(Severity::Fix, Rule::WVirtio), (Severity::Info, Rule::WNvme)]);
    }
    let mut asked = good();
    absent(&mut asked);
    asked.put_number(In::System, &format!("{SERVICES}\\stornvme"), "Start", 4);
    let expected = Expected { platform: Some("Other Windows".to_owned()), ..Expected::default() };
    assert_eq!(told(&judged_with(&asked, bios(), &expected))[0], (Severity::Fix, Rule::WVirtio));
}

#[test]
fn a_driver_that_could_not_be_looked_for_is_not_missing() {
    let unread = judged(|told| told.unread = Some("/Windows/System32/drivers/viostor.sys"));
    assert_eq!(unread, [(Severity::Info, Rule::GRead)]);
    let unread = judged(|told| told.unread = Some("CurrentControlSet\\Services\\viostor"));
    assert_eq!(unread, [(Severity::Info, Rule::GRead)]);
}

#[test]
fn the_file_of_a_driver_is_where_its_service_says() {
    let path = format!("{SERVICES}\\viostor");
    for (image, file) in [
        ("system32\\drivers\\viostor.sys", "/Windows/System32/drivers/viostor.sys"),
        ("\\SystemRoot\\System32\\drivers\\viostor.sys", "/Windows/System32/drivers/viostor.sys"),
        ("\\??\\C:\\Windows\\vio\\viostor.sys", "/Windows/vio/viostor.sys"),
        (
            "System32\\DriverStore\\FileRepository\\a\\viostor.sys",
            "/Windows/System32/DriverStore/FileRepository/a/viostor.sys",
        ),
    ] {
        let mut told = good();
        told.put_text(In::System, &path, "ImagePath", image);
        assert!(driver_file(&told, "viostor").unwrap().eq_ignore_ascii_case(file), "{image}");
    }
}

#[test]
fn each_thing_that_ecs_asks_for_is_missed_by_its_own_rule() {
    let class = "CurrentControlSet\\Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}";
    let state = "Microsoft\\Windows\\CurrentVersion\\Setup\\State";
    let service = |name: &str| format!("{SERVICES}\\{name}");
    type Change<'a> = &'a dyn Fn(&mut Told);
    let cases: [(Change<'_>, Severity, Rule); 24] = [
        (&|told| told.put_number(In::System, &service("netkvm"), "Start", 4), Severity::Warn, Rule::WVnet),
        (&|told| told.without(&format!("{DRIVERS}/netkvm.sys")), Severity::Warn, Rule::WVnet),
        (&|told| told.without(&format!("{DRIVERS}/stornvme.sys")), Severity::Info, Rule::WNvme),
        (
            &|told| told.read_only = BTreeSet::from(["/windows/system32/drivers/netkvm.sys".to_owned()]),
            Severity::Warn,
            Rule::WReadOnly,
        ),
        (&|told| told.without(&format!("{CONFIG}/SAM")), Severity::Warn, Rule::WHive),
        (&|told| told.file(&format!("{CONFIG}/SOFTWARE"), &[0; 4096]), Severity::Fix, Rule::WHive),
        (
            &|told| told.file(&format!("{CONFIG}/SYSTEM"), b"regf\x08\0\0\0\x07\0\0\0...."),
            Severity::Info,
            Rule::WHive,
        ),
        (&|told| told.put_number(In::Software, VERSION, "UBR", 469), Severity::Warn, Rule::WHotfix),
        (&|told| told.put_number(In::Software, VERSION, "UBR", 768), Severity::Warn, Rule::WHotfix),
        (
            &|told| {
                told.put_text(In::Software, VERSION, "CurrentBuild", "9600");
                told.packages.insert("Package_for_KB5009624~31bf".to_owned(), 112);
            },
            Severity::Warn,
            Rule::WHotfix,
        ),
        (&|told| told.put_text(In::Software, VERSION, "CurrentBuild", "7601"), Severity::Warn, Rule::WHotfix),
        (
            &|told| told.put_number(In::Software, &format!("{CBS}\\RebootPending"), "", 0),
            Severity::Warn,
            Rule::WUpdate,
        ),
        (&|told| told.file("/Windows/WinSxS/pending.xml", b"<"), Severity::Warn, Rule::WUpdate),
        (
            &|told| told.put_text(In::Software, state, "ImageState", "IMAGE_STATE_UNDEPLOYABLE"),
            Severity::Warn,
            Rule::WSysprep,
        ),
        (
            &|told| told.put_number(In::System, "Setup", "SystemSetupInProgress", 1),
            Severity::Warn,
            Rule::WSysprep,
        ),
        (
            &|told| told.put_text(In::System, class, "UpperFilters", "partmgr\0old filter\0"),
            Severity::Warn,
            Rule::WFilter,
        ),
        (&|told| told.put_number(In::System, &service("QEMU-GA"), "Start", 2), Severity::Warn, Rule::WQga),
        (
            &|told| told.put_text(In::System, &service("XenPCI\\Parameters"), "hide_devices", "a\0"),
            Severity::Warn,
            Rule::WXen,
        ),
        (
            &|told| told.put_number(In::System, &service("PlugPlay\\Parameters"), "DeviceInstallDisabled", 1),
            Severity::Warn,
            Rule::WDevices,
        ),
        (&|told| told.without("/ProgramData/aliyun/assist/1/service.exe"), Severity::Info, Rule::WAssist),
        (&|told| told.put_number(In::System, &service("vminit"), "Start", 4), Severity::Info, Rule::WVminit),
        (
            &|told| told.put_text(In::Software, VERSION, "InstallationType", "Client"),
            Severity::Warn,
            Rule::WClient,
        ),
        (&|told| told.file("/hiberfil.sys", b"HIBR"), Severity::Warn, Rule::WHibernate),
        (&|told| told.dirty = true, Severity::Info, Rule::WDirty),
    ];
    for (number, (change, severity, rule)) in cases.into_iter().enumerate() {
        assert_eq!(judged(change), [(severity, rule)], "case {number}");
    }
}

#[test]
fn what_has_the_name_of_a_bad_thing_but_is_none_gives_no_finding() {
    let class = "CurrentControlSet\\Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}";
    let changes: [&dyn Fn(&mut Told); 6] = [
        // A newer cumulative update has replaced the one that is asked to be removed.
        &|told| told.put_number(In::Software, VERSION, "UBR", 770),
        &|told| {
            told.put_text(In::Software, VERSION, "CurrentBuild", "9600");
            told.packages.insert("Package_for_KB5009624~31bf".to_owned(), 80);
        },
        &|told| {
            told.put_text(In::Software, VERSION, "CurrentBuild", "7601");
            told.packages.insert("Package_for_RollupFix~31bf".to_owned(), 112);
        },
        &|told| {
            told.put_text(In::System, class, "UpperFilters", "partmgr\0snapshots\0");
            told.file(&format!("{DRIVERS}/snapshots.sys"), b"MZ");
        },
        &|told| told.put_text(In::System, &format!("{SERVICES}\\XenPCI\\Parameters"), "hide_devices", "\0"),
        // What was resumed from is of no use any more.
        &|told| told.file("/hiberfil.sys", b"RSTR"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(judged(change), [], "case {number}");
    }
}

#[test]
fn the_way_from_the_firmware_to_the_system_is_judged() {
    let with = |change: &dyn Fn(&mut WindowsBoot), guest: &Told| {
        let mut boot = bios();
        change(&mut boot);
        told(&judged_with(guest, boot, &Expected::default()))
    };
    let entry =
        |loader: &str, device| Answer::Found(WindowsEntry { loader: Some(loader.to_owned()), device });
    let good = good();
    assert_eq!(with(&|boot| boot.manager = Answer::Absent, &good), [(Severity::Fix, Rule::WBootMgr)]);
    assert_eq!(with(&|boot| boot.entry = Answer::Absent, &good), [(Severity::Fix, Rule::WBcd)]);
    assert_eq!(
        with(&|boot| boot.entry = Answer::Unread("why".to_owned()), &good),
        [(Severity::Info, Rule::GRead)]
    );
    let elsewhere = &|boot: &mut WindowsBoot| {
        boot.entry = entry("\\Windows\\system32\\winload.exe", Some(Answer::Absent));
    };
    assert_eq!(with(elsewhere, &good), [(Severity::Warn, Rule::WBcd)]);
    let other_firmware =
        &|boot: &mut WindowsBoot| boot.entry = entry("\\Windows\\system32\\winload.efi", None);
    assert_eq!(with(other_firmware, &good), [(Severity::Warn, Rule::WLoader)]);
    let unusual =
        &|boot: &mut WindowsBoot| boot.entry = entry("\\Windows\\system32\\boot\\nothing.exe", None);
    assert_eq!(with(unusual, &good), [(Severity::Warn, Rule::WLoader)]);
    let mut gone = good.clone();
    gone.without("/Windows/System32/winload.exe");
    assert_eq!(with(&|_| (), &gone), [(Severity::Fix, Rule::WLoader)]);
    // What the other firmware would start does not matter.
    assert_eq!(
        with(
            &|boot| {
                boot.firmware = BootMode::Uefi;
                boot.manager = Answer::Absent;
            },
            &good
        ),
        []
    );
    // Windows 2003 has neither.
    let old = &|boot: &mut WindowsBoot| {
        boot.manager = Answer::Found("/ntldr".to_owned());
        boot.entry = Answer::Absent;
    };
    assert_eq!(with(old, &good), []);
}

#[test]
fn each_version_has_its_platform_and_a_client_none() {
    let of = |build, product: &str, installation: Option<&str>| {
        platform(Some(build), Some(&product.to_owned()), installation.map(str::to_owned).as_ref())
    };
    for (build, name) in [
        (6001, "Windows Server 2008"),
        (7601, "Windows Server 2008"),
        (9600, "Windows Server 2012"),
        (14_393, "Windows Server 2016"),
        (17_763, "Windows Server 2019"),
        (20_348, "Windows Server 2022"),
        (26_100, "Other Windows"),
    ] {
        assert_eq!(of(build, "Windows", Some("Server Core")), Some(name));
        assert_eq!(of(build, "Windows", Some("Client")), None);
        assert!(crate::request::PLATFORMS.contains(&name));
    }
    assert_eq!(of(3790, "Microsoft Windows Server 2003 R2", None), Some("Windows Server 2003"));
    assert_eq!(of(2600, "Microsoft Windows XP", None), None);
}

fn looked(disk: Arc<dyn ReadAt>, report: &Report) -> (GuestReport, Vec<Finding>) {
    let (guest, findings) = look_at(disk, &Expected::default(), report);
    (guest, findings.0)
}

#[test]
fn a_windows_on_a_disk_is_told_with_what_starts_it() {
    for (disk, place) in DISKS.iter().zip(["partition 1", "partition 2"]) {
        let (guest, findings) = looked(disk.disk.clone(), &disk.report);
        assert!(guest.read_bytes < 2 << 20, "{}", guest.read_bytes);
        assert_eq!(guest.system, Answer::Absent);
        let system = guest.windows.unwrap();
        assert_eq!(system.root, place);
        assert_eq!(system.product.found().unwrap(), "Windows Server 2022 Datacenter");
        assert_eq!((system.build, system.revision), (Answer::Found(20_348), Answer::Found(2700)));
        assert_eq!(system.platform, Some("Windows Server 2022"));
        assert_eq!(system.architecture, Answer::Found(Architecture::X86_64));
        for driver in &system.drivers {
            let start = if driver.name == "netkvm" { 3 } else { 0 };
            assert_eq!(driver.start, Answer::Found(start), "{}", driver.name);
            assert!(driver.file.found().is_some(), "{driver:?}");
        }
        let bad: Vec<_> = findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
    let (guest, findings) = looked(DISKS[0].disk.clone(), &DISKS[0].report);
    assert_eq!(findings, []);
    let [boot] = &guest.windows.unwrap().boot[..] else { panic!() };
    assert_eq!(boot.manager, Answer::Found("/bootmgr".to_owned()));
    let entry = boot.entry.found().unwrap();
    assert_eq!(entry.loader.as_deref(), Some("\\Windows\\system32\\winload.exe"));
    assert_eq!(entry.device, Some(Answer::Found("partition 1".to_owned())));
}

/// A disk with a text of it replaced wherever it stands.
fn replaced(disk: &Disk, from: &[u8], to: &[u8]) -> Arc<dyn ReadAt> {
    assert_eq!(from.len(), to.len());
    let mut bytes = vec![0; usize::try_from(disk.disk.length()).unwrap()];
    disk.disk.read_at(0, &mut bytes).unwrap();
    let places: Vec<_> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    Arc::new(bytes)
}

fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn single_defects_of_a_disk_are_found_and_nothing_else() {
    let disk = &DISKS[0];
    type Case<'a> = (&'a [u8], &'a [u8], &'a [(Severity, Rule)]);
    let cases: [Case<'_>; 4] = [
        (&utf16_bytes("bootmgr"), &utf16_bytes("bootmga"), &[(Severity::Fix, Rule::WBootMgr)]),
        (&utf16_bytes("BCD\0")[..6], &utf16_bytes("BCE"), &[(Severity::Fix, Rule::WBcd)]),
        (
            &utf16_bytes("winload.exe\0")[..22],
            &utf16_bytes("winload.exf"),
            &[(Severity::Warn, Rule::WLoader)],
        ),
        (
            &utf16_bytes("IMAGE_STATE_COMPLETE"),
            &utf16_bytes("IMAGE_STATE_COMPLETF"),
            &[(Severity::Warn, Rule::WSysprep)],
        ),
    ];
    for (from, to, expected) in cases {
        let (_, findings) = looked(replaced(disk, from, to), &disk.report);
        assert_eq!(told(&findings), expected, "{}", String::from_utf8_lossy(to));
    }
}

#[test]
fn a_dynamic_disk_is_warned_of_whatever_is_on_it() {
    let mut partition = DISKS[0].report.partitions[0].clone();
    let of = |partition: &Partition| {
        let mut findings = Findings::default();
        dynamic_disks(std::slice::from_ref(partition), &mut findings);
        told(&findings.0)
    };
    assert_eq!(of(&partition), []);
    for code in ["0x42", "AF9B60A0-1431-4F62-BC68-3311714A69AD", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"] {
        partition.type_code = code.to_owned();
        assert_eq!(of(&partition), [(Severity::Warn, Rule::WDynamic)]);
    }
}

fn hive_of(disk: &Disk, name: &str) -> Vec<u8> {
    let pages = super::super::pages::Pages::new(disk.disk.clone());
    let ntfs = Ntfs::open(&View::new(&pages, 1 << 20, 8 << 20)).unwrap();
    ntfs.file(format!("{CONFIG}/{name}").as_bytes()).unwrap().unwrap().front(1 << 20).unwrap()
}

#[test]
fn keys_and_values_are_found_in_any_case_and_long_ones_put_together() {
    let hive = Hive::open(Source::Bytes(hive_of(&DISKS[0], "SOFTWARE"))).unwrap();
    assert!(!hive.is_behind());
    let version = hive.key("microsoft\\WINDOWS nt\\currentVersion").unwrap().unwrap();
    assert_eq!(
        hive.value(&version, "PRODUCTNAME").unwrap().unwrap().text(),
        "Windows Server 2022 Datacenter"
    );
    let long = hive.value(&version, "LongValue").unwrap().unwrap();
    assert!(
        long.bytes().iter().enumerate().all(|(at, byte)| *byte == at as u8) && long.bytes().len() == 25_600
    );
    assert_eq!(hive.value(&version, "Product").unwrap(), None);
    assert!(hive.key("Microsoft\\Windows N").unwrap().is_none());
    let packages = hive.key(PACKAGES).unwrap().unwrap();
    for name in [
        "Package_for_KB5004330~",
        "Package_for_KB5008882~",
        "package_for_kb5011497~",
        "Package_for_KB5028171~",
    ] {
        assert!(hive.beginning(&packages, name).unwrap().is_some(), "{name}");
    }
    for name in ["Package_for_KB5004329~", "Package_for_KB5009624~", "Package_for_KB6~"] {
        assert!(hive.beginning(&packages, name).unwrap().is_none(), "{name}");
    }
}

#[test]
fn a_hive_that_was_not_written_whole_says_so_and_one_that_is_none_is_refused() {
    let whole = hive_of(&DISKS[0], "SYSTEM");
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        Hive::open(Source::Bytes(bytes))
    };
    assert!(with(4, 9).unwrap().is_behind());
    assert!(with(0x30, 9).unwrap().is_behind(), "the checksum");
    assert!(with(0, b'R').is_err());
    assert!(with(0x26, 0xFF).unwrap_err().contains("damaged"), "the root");
    assert!(Hive::open(Source::Bytes(whole[..600].to_vec())).is_err());
}

#[test]
fn what_cannot_be_read_of_a_windows_is_never_missing() {
    let disk = &DISKS[0];
    let pages: BTreeSet<_> = disk.telling.iter().map(|at| at >> 14 << 14).collect();
    let mut unread = 0;
    for page in pages {
        let damaged =
            Damaged { disk: disk.disk.clone(), changes: Vec::new(), unreadable: BTreeSet::from([page]) };
        let (guest, findings) = looked(Arc::new(damaged), &disk.report);
        unread += usize::from(!findings.is_empty());
        for finding in &findings {
            assert_eq!(finding.severity, Severity::Info, "page {page:#x}: {finding}");
        }
        assert!(guest.windows.is_some() || guest.system != Answer::Absent, "page {page:#x}");
    }
    assert!(unread > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_windows_cost_bounded_reads_and_no_panic(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0xFF)]), 1..7),
    ) {
        let disk = &DISKS[which];
        let changes = changes.into_iter().map(|(at, value)| (*at.get(&disk.telling), value)).collect();
        let damaged = Damaged { disk: disk.disk.clone(), changes, unreadable: BTreeSet::new() };
        let (guest, _) = looked(Arc::new(damaged), &disk.report);
        prop_assert!(guest.read_bytes <= super::super::pages::MOST_READ);
        serde_json::to_string(&guest).unwrap();
    }
}

#[test]
fn the_platform_that_is_advised_is_the_one_on_the_disk() {
    let unpacked = super::super::damage::unpacked(include_bytes!(
        "../../../../../tests/data/images/guest-windows-bios.raw.gz"
    ));
    let disk: Arc<dyn ReadAt> = unpacked.disk;
    let looked = |expected: &Expected| {
        let mut report = crate::inspect(&*disk, expected).unwrap();
        crate::look_inside(Arc::clone(&disk), expected, &mut report);
        report
    };
    let report = looked(&Expected { os_type: Some(OsType::Linux), ..Expected::default() });
    let platform = report.guest.as_ref().unwrap().windows.as_ref().unwrap().platform.unwrap();
    let advice = report.findings.iter().find(|finding| finding.rule == Rule::SWin).unwrap();
    assert_eq!(advice.severity, Severity::Fix);
    let advice = advice.fix.as_ref().unwrap().to_string();
    assert!(advice.contains(platform), "{advice}");
    // What nobody asks for is what the disk says, also where a request without it would be for Linux.
    for assumed_os_type in [None, Some(OsType::Linux)] {
        let expected = Expected { assumed_os_type, ..Expected::default() };
        let report = looked(&expected);
        assert!(report.findings.iter().all(|finding| finding.rule != Rule::SWin), "{:?}", report.findings);
        assert_eq!(report.settings.os_type, Some(OsType::Windows));
        assert_eq!(report.settings.platform.as_deref(), Some(platform));
        let unread = crate::inspect(&*disk, &expected).unwrap();
        let told = unread.findings.iter().find(|finding| finding.rule == Rule::SWin).unwrap().severity;
        assert_eq!(told == Severity::Fix, assumed_os_type.is_some(), "where it was not looked into");
    }
}
