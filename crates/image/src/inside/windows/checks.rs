//! What the facts of a Windows mean on ECS.

use super::{CONFIG, CURRENT, DRIVERS, Evidence, In, VERSION, driver_file};
use crate::finding::{Finding, Findings, Severity};
use crate::inside::facts::{Answer, WindowsDriver, WindowsEntry, WindowsSystem};
use crate::inside::text::shown;
use crate::inside::volume::Reason;
use crate::report::{Expected, Report};
use crate::rule::Rule;
use crate::table::Partition;
use ossup_core::model::BootMode;

/// What the checks look at.
pub(super) struct Scene<'a> {
    pub(super) guest: &'a dyn Evidence,
    pub(super) system: &'a WindowsSystem,
    pub(super) report: &'a Report,
    pub(super) expected: &'a Expected,
}

/// A check. It fails if what it needs could not be read; what it found until then counts.
type Check = fn(&Scene<'_>, &mut Findings) -> Result<(), Reason>;

const CHECKS: &[(&str, Check)] = &[
    ("what starts Windows", boot),
    ("the disk's driver", disk_driver),
    ("other drivers", other_drivers),
    ("the registry", registry),
    ("updates", updates),
    ("the preparation of the image", sysprep),
    ("filters of the disk", filters),
    ("services", services),
    ("agents of the cloud", agents),
    ("the edition", edition),
    ("the volume", volume),
];

/// Makes all checks, and says which could not be made.
pub(super) fn run(scene: &Scene<'_>, findings: &mut Findings) {
    let mut unread: Vec<(Reason, Vec<&str>)> = Vec::new();
    for (about, check) in CHECKS {
        if let Err(reason) = check(scene, findings) {
            match unread.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, all)) => all.push(about),
                None => unread.push((reason, vec![about])),
            }
        }
    }
    for (reason, about) in unread {
        findings.info(Rule::GRead, format!("not all was checked of {}: {reason}", about.join(", ")));
    }
}

fn add(findings: &mut Findings, rule: Rule, severity: Severity, message: impl Into<String>, remedy: &str) {
    findings.push(Finding::new(rule, severity, message).fixed_by(remedy));
}

/// Returns what is known, `None` of what is not there.
fn known<T>(answer: &Answer<T>) -> Result<Option<&T>, Reason> {
    match answer {
        Answer::Found(found) => Ok(Some(found)),
        Answer::Absent => Ok(None),
        Answer::Unread(reason) => Err(reason.clone()),
    }
}

/// What is on the way from the firmware to the system, for the firmware that will start it.
fn boot(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let firmware = scene.report.settings.boot_mode.unwrap_or(BootMode::Bios);
    let (remedy, program) = match firmware {
        BootMode::Bios => (
            "in the recovery console of Windows: bootrec /fixboot, then bcdboot C:\\Windows /f BIOS",
            "winload.exe",
        ),
        _ => ("in the recovery console of Windows: bcdboot C:\\Windows /f UEFI", "winload.efi"),
    };
    let mut unread = Ok(());
    for path in scene.system.boot.iter().filter(|path| path.firmware == firmware) {
        let place = &path.place;
        match known(&path.manager) {
            Ok(Some(manager)) if manager == "/ntldr" => continue,
            Ok(Some(_)) => {}
            Ok(None) => add(
                findings,
                Rule::WBootMgr,
                Severity::Fix,
                format!("{place} holds no boot manager of Windows: {firmware} finds nothing to start there"),
                remedy,
            ),
            Err(reason) => unread = Err(reason),
        }
        match known(&path.entry) {
            Ok(Some(entry)) => {
                let looked = loader(scene, place, entry, program, remedy, findings);
                unread = unread.and(looked);
            }
            Ok(None) => add(
                findings,
                Rule::WBcd,
                Severity::Fix,
                format!("{place} holds no boot configuration data: the boot manager stops with an error"),
                remedy,
            ),
            Err(reason) => unread = Err(reason),
        }
    }
    unread
}

fn loader(
    scene: &Scene<'_>,
    place: &str,
    entry: &WindowsEntry,
    program: &str,
    remedy: &str,
    findings: &mut Findings,
) -> Result<(), Reason> {
    if entry.device == Some(Answer::Absent) {
        let message = format!(
            "the boot configuration data on {place} start from a partition that is not on this disk: the boot manager \
             may stop with the error 0xc000000e"
        );
        add(findings, Rule::WBcd, Severity::Warn, message, remedy);
    }
    let usual = format!("/Windows/System32/{program}");
    let Some(path) = &entry.loader else {
        let message = format!("the boot configuration data on {place} have no default entry with a loader");
        add(findings, Rule::WBcd, Severity::Warn, message, remedy);
        return Ok(());
    };
    if scene.guest.has(path)? {
        let extension = &program[program.len() - 4..];
        if !path.to_ascii_lowercase().ends_with(extension) {
            let message = format!(
                "the boot configuration data on {place} start {path}, which is for the other kind of firmware: it may \
                 not start"
            );
            add(findings, Rule::WLoader, Severity::Warn, message, remedy);
        }
        return Ok(());
    }
    // Another entry may start the system, if its loader is there.
    let (severity, then) = match scene.guest.has(&usual)? {
        true => (Severity::Warn, "the boot manager may stop with an error"),
        false => (Severity::Fix, "Windows does not start"),
    };
    let message = format!("{path} is not there, which the boot configuration data on {place} start: {then}");
    add(findings, Rule::WLoader, severity, message, remedy);
    Ok(())
}

fn driver<'a>(scene: &'a Scene<'_>, name: &str) -> Option<&'a WindowsDriver> {
    scene.system.drivers.iter().find(|driver| driver.name == name)
}

/// Says why a driver does not run early enough: `start` is the latest that will do.
fn lack(driver: &WindowsDriver, start: u32) -> Result<Option<String>, Reason> {
    let name = driver.name;
    Ok(match (known(&driver.start)?, known(&driver.file)?) {
        (None, _) => Some(format!("the driver {name} is not installed")),
        (Some(_), None) => Some(format!("the file of the driver {name} is not there")),
        (Some(found), Some(_)) if *found > start => Some(format!(
            "the driver {name} is installed, but not started in time (Services\\{name} Start is {found}, not {start})"
        )),
        _ => None,
    })
}

/// The driver of virtio disks, which are what an instance has unless it attaches its disks by NVMe.
fn disk_driver(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    const REMEDY: &str = "install the virtio drivers of Alibaba Cloud in Windows before the export, then check that \
                          HKLM\\SYSTEM\\CurrentControlSet\\Services\\viostor has Start 0";
    let Some(viostor) = driver(scene, "viostor") else { return Ok(()) };
    let Some(lack) = lack(viostor, 0)? else { return Ok(()) };
    let platform = scene.expected.platform.as_deref().or(scene.system.platform).unwrap_or_default();
    // What the page on virtio drivers says of Windows 2008 and later.
    let added = platform.starts_with("Windows Server 20") && platform != "Windows Server 2003";
    let nvme = driver(scene, "stornvme").map(|driver| self::lack(driver, 0)).transpose()?.flatten().is_none();
    let (severity, then) = match (added, nvme) {
        (true, _) => {
            (Severity::Warn, "it starts on ECS only if the import adds it, as it does for this platform")
        }
        (false, true) => (Severity::Warn, "it starts only on instances that attach their disks by NVMe"),
        (false, false) => (Severity::Fix, "Windows stops with 0x7B INACCESSIBLE_BOOT_DEVICE"),
    };
    add(findings, Rule::WVirtio, severity, format!("{lack}: {then}"), REMEDY);
    Ok(())
}

fn other_drivers(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    /// Files that the vendor's drivers replace.
    const COMMUNITY: [&str; 5] = ["netkvm", "balloon", "vioser", "viostor", "pvpanic"];
    if let Some(lack) = driver(scene, "netkvm").map(|netkvm| lack(netkvm, 3)).transpose()?.flatten() {
        let message = format!("{lack}: without it an instance has no network");
        add(
            findings,
            Rule::WVnet,
            Severity::Warn,
            message,
            "install the virtio drivers of Alibaba Cloud in Windows",
        );
    }
    if let Some(lack) = driver(scene, "stornvme").map(|stornvme| lack(stornvme, 0)).transpose()?.flatten() {
        let message = format!("{lack}: it does not start on instances that attach their disks by NVMe");
        findings.info(Rule::WNvme, message);
    }
    let mut read_only = Vec::new();
    for name in COMMUNITY {
        let path = format!("{DRIVERS}/{name}.sys");
        if scene.guest.is_read_only(&path)? == Some(true) {
            read_only.push(format!("{name}.sys"));
        }
    }
    if !read_only.is_empty() {
        let commands: Vec<_> = read_only
            .iter()
            .map(|file| format!("attrib -r %SystemRoot%\\System32\\drivers\\{file}"))
            .collect();
        let message = format!(
            "{} in Windows\\System32\\drivers cannot be replaced, being read-only: the import cannot put its own drivers there",
            read_only.join(", ")
        );
        add(
            findings,
            Rule::WReadOnly,
            Severity::Warn,
            message,
            &format!("in Windows: {}", commands.join(" & ")),
        );
    }
    Ok(())
}

/// The hives: there, hives, and written whole.
fn registry(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    const REMEDY: &str = "put a sound copy of it back, of a backup or of Windows\\System32\\config\\RegBack";
    let mut behind = Vec::new();
    for name in ["SYSTEM", "SOFTWARE", "SAM", "SECURITY"] {
        let front = scene.guest.front(&format!("{CONFIG}/{name}"), 16)?;
        let Some(front) = front.filter(|front| front.len() == 16 && front.starts_with(b"regf")) else {
            // Windows stops without either of the first two.
            let severity = if matches!(name, "SYSTEM" | "SOFTWARE") { Severity::Fix } else { Severity::Warn };
            let then = if severity == Severity::Fix { "Windows does not start" } else { "nobody can log in" };
            let message = format!("the hive {name} of the registry is missing, or is none: {then}");
            add(findings, Rule::WHive, severity, message, REMEDY);
            continue;
        };
        if front[4..8] != front[8..12] {
            behind.push(name);
        }
    }
    if !behind.is_empty() {
        let message = format!(
            "the registry ({}) was not written whole: Windows applies its logs when it starts, and what is told here may \
             be older",
            behind.join(", ")
        );
        findings.info(Rule::WHive, message);
    }
    Ok(())
}

/// Updates that the vendor's check names, and those that are under way.
fn updates(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    /// Builds with their cumulative updates of which ECS warns: those of 11 January and of 14 June 2022. Which build and
    /// revision each is says Microsoft's page "Windows Server release information".
    const CUMULATIVE: [(u32, u32, &str); 6] = [
        (14_393, 4886, "KB5009546"),
        (17_763, 2452, "KB5009557"),
        (20_348, 469, "KB5009555"),
        (14_393, 5192, "KB5014702"),
        (17_763, 3046, "KB5014692"),
        (20_348, 768, "KB5014678"),
    ];
    const INSTALLED: u32 = 112;
    let guest = scene.guest;
    let build = known(&scene.system.build)?.copied();
    let revision = known(&scene.system.revision)?.copied();
    let mut bad: Vec<&str> = CUMULATIVE
        .iter()
        .filter(|(its, update, _)| build == Some(*its) && revision == Some(*update))
        .map(|(_, _, name)| *name)
        .collect();
    let installed =
        |name: &str| Ok::<_, Reason>(guest.package(&format!("Package_for_{name}~"))? == Some(INSTALLED));
    if build == Some(9600) {
        for name in ["KB5009624", "KB5009595", "KB5014738"] {
            if installed(name)? {
                bad.push(name);
            }
        }
    }
    if !bad.is_empty() {
        let message = format!("the update {} is installed, which ECS asks to be removed", bad.join(", "));
        add(
            findings,
            Rule::WHotfix,
            Severity::Warn,
            message,
            "install a newer cumulative update, or remove it",
        );
    }
    // Each of these makes it know signatures by SHA-2, which the drivers have.
    let signed = ["KB3033929", "KB4474419", "RollupFix"];
    if build == Some(7601)
        && !signed.iter().map(|name| installed(name)).collect::<Result<Vec<_>, _>>()?.contains(&true)
    {
        let message =
            "KB3033929 is not installed: Windows 2008 R2 does not take drivers that are signed by SHA-2";
        add(findings, Rule::WHotfix, Severity::Warn, message, "install KB3033929 or KB4474419");
    }
    let servicing = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending";
    let pending = match guest.has_key(In::Software, servicing)? {
        true => Some("a restart is pending"),
        false => guest.has("/Windows/WinSxS/pending.xml")?.then_some("Windows\\WinSxS\\pending.xml is there"),
    };
    if let Some(pending) = pending {
        let message = format!(
            "an update is not finished ({pending}): it goes on, or is taken back, at the first start"
        );
        add(
            findings,
            Rule::WUpdate,
            Severity::Warn,
            message,
            "restart Windows until all updates are installed",
        );
    }
    Ok(())
}

fn sysprep(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    const STATE: &str = "Microsoft\\Windows\\CurrentVersion\\Setup\\State";
    let state = scene.guest.text(In::Software, STATE, "ImageState")?;
    // Older Windows do not keep it.
    let Some(state) = state.filter(|state| !state.is_empty()) else { return Ok(()) };
    let complete = state == "IMAGE_STATE_COMPLETE";
    if !complete && state != "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE" {
        let message =
            format!("the image is in the state {state}: Sysprep or the installation was interrupted");
        add(
            findings,
            Rule::WSysprep,
            Severity::Warn,
            message,
            "make the image again, or run sysprep /generalize /oobe",
        );
    } else if complete && scene.guest.number(In::System, "Setup", "SystemSetupInProgress")?.unwrap_or(0) != 0
    {
        let message = "the installation of Windows is not finished (SystemSetupInProgress is not 0)";
        add(
            findings,
            Rule::WSysprep,
            Severity::Warn,
            message,
            "start it once and let the installation finish",
        );
    }
    Ok(())
}

/// Filters of the disk, each of which must be there for any disk to be seen.
fn filters(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let class = format!("{CURRENT}\\Control\\Class\\{{4d36e967-e325-11ce-bfc1-08002be10318}}");
    let Some(filters) = scene.guest.value(In::System, &class, "UpperFilters")? else { return Ok(()) };
    for name in filters.texts().into_iter().take(16).filter(|name| !name.eq_ignore_ascii_case("partmgr")) {
        if !scene.guest.has(&driver_file(scene.guest, &name)?)? {
            let name = shown(name.as_bytes());
            let message = format!(
                "UpperFilters of the disks names {name}, whose file is not there: Windows may stop with 0x7B \
                 INACCESSIBLE_BOOT_DEVICE"
            );
            let remedy = "take the name out of UpperFilters of HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\\
                          {4d36e967-e325-11ce-bfc1-08002be10318}; leave partmgr";
            add(findings, Rule::WFilter, Severity::Warn, message, remedy);
        }
    }
    Ok(())
}

fn services(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let guest = scene.guest;
    if guest.has_key(In::System, &format!("{CURRENT}\\Services\\QEMU-GA"))? {
        let message = "the QEMU guest agent is installed (Services\\QEMU-GA): services of ECS may fail";
        add(findings, Rule::WQga, Severity::Warn, message, "uninstall the QEMU guest agent in Windows");
    }
    let xen = guest.value(In::System, &format!("{CURRENT}\\Services\\XenPCI\\Parameters"), "hide_devices")?;
    if xen.is_some_and(|hidden| !hidden.texts().is_empty()) {
        let message = "drivers of Xen hide devices (Services\\XenPCI\\Parameters hide_devices is not empty)";
        add(
            findings,
            Rule::WXen,
            Severity::Warn,
            message,
            "clear that value, or uninstall the drivers of Xen",
        );
    }
    for service in ["DeviceInstall", "PlugPlay"] {
        let path = format!("{CURRENT}\\Services\\{service}\\Parameters");
        if guest.number(In::System, &path, "DeviceInstallDisabled")?.unwrap_or(0) != 0 {
            let message = format!(
                "Services\\{service}\\Parameters DeviceInstallDisabled is not 0: no driver is installed for what ECS has"
            );
            add(findings, Rule::WDevices, Severity::Warn, message, "set that value to 0");
        }
    }
    Ok(())
}

fn agents(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    if !scene.guest.has("/ProgramData/aliyun/assist")? {
        findings.info(
            Rule::WAssist,
            "Cloud Assistant is not installed: commands of ECS do not work in the instance",
        );
    }
    let start = scene.guest.number(In::System, &format!("{CURRENT}\\Services\\vminit"), "Start")?;
    if start != Some(2) || !scene.guest.has("/ProgramData/aliyun/vminit/vminit.exe")? {
        let message =
            "Vminit is not installed, or does not start: host name, password and user data may not be set";
        findings.info(Rule::WVminit, message);
    }
    Ok(())
}

fn edition(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    if known(&scene.system.installation)?.is_some_and(|kind| kind == "Client") {
        let product = scene.system.product.found().map_or("Windows", String::as_str);
        let message = format!("{product} is a client edition: ECS takes Windows Server only");
        add(findings, Rule::WClient, Severity::Warn, message, "make the image of a Windows Server");
    }
    known(&scene.guest.text(In::Software, VERSION, "CurrentBuild").into()).map(drop)
}

/// Whether the volume was left as one that may be started elsewhere.
fn volume(scene: &Scene<'_>, findings: &mut Findings) -> Result<(), Reason> {
    let sleep = scene.guest.front("/hiberfil.sys", 4)?;
    if sleep.is_some_and(|front| [b"hibr", b"wake"].iter().any(|magic| front.eq_ignore_ascii_case(*magic))) {
        let message = "Windows was not shut down, but hibernated, as fast startup does too: it goes on with the memory of \
                       another machine, and what is on the disk may not be whole";
        let remedy = "in Windows: powercfg /h off, then shutdown /s /t 0";
        add(findings, Rule::WHibernate, Severity::Warn, message, remedy);
    }
    let (dirty, unmounted) = scene.guest.volume_state()?;
    if dirty || !unmounted {
        let (what, then) = match dirty {
            true => ("is marked as dirty", "it is checked at the first start, which takes time"),
            false => (
                "was not unmounted",
                "its log is applied at the first start, and what is told here may be older",
            ),
        };
        findings.info(Rule::WDirty, format!("the volume of Windows ({}) {what}: {then}", scene.system.root));
    }
    Ok(())
}

/// Warns of partitions that Windows manages as dynamic disks, whatever else is known of the disk.
pub(in crate::inside) fn dynamic_disks(partitions: &[Partition], findings: &mut Findings) {
    const TYPES: [&str; 3] =
        ["0x42", "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "AF9B60A0-1431-4F62-BC68-3311714A69AD"];
    let is_dynamic =
        |partition: &&Partition| TYPES.iter().any(|code| partition.type_code.eq_ignore_ascii_case(code));
    if let Some(partition) = partitions.iter().find(is_dynamic) {
        let message = format!(
            "partition {} belongs to a dynamic disk of Windows: it cannot be looked into, and ECS cannot resize it",
            partition.number
        );
        add(findings, Rule::WDynamic, Severity::Warn, message, "convert the disk to a basic one");
    }
}
