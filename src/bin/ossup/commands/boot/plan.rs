//! What to boot, with what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ossup::boot::{Accelerator, DiskBus, Firmware, Goal, Machine, firmware_places, packages, program};
use ossup::image::{Answer, BootsWith, Format, GuestSystem, Report, Rule};
use ossup::model::{Architecture, BootMode, DiskFormat};

use crate::args::{BootModeArg, MachineArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::origin::absolute;

const DEFAULT_MEMORY_MIB: u64 = 2048;
/// More than the least that QEMU's firmware takes.
const LEAST_MEMORY_MIB: u64 = 128;
const MOST_CPUS: usize = 2;
/// Longest time and patience, with KVM and with translation.
const FAST: (Duration, Duration) = (Duration::from_secs(180), Duration::from_secs(45));
const SLOW: (Duration, Duration) = (Duration::from_secs(900), Duration::from_secs(150));
/// What QEMU would have to open other files for, or cannot read.
const NOT_OPENED: [Rule; 3] = [Rule::QBack, Rule::QInc, Rule::QCrypt];

/// What the user wants of a boot.
pub(super) struct Wish<'a> {
    pub(super) machine: &'a MachineArgs,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) ssh: bool,
    pub(super) key: Option<PathBuf>,
    pub(super) prompt_is_enough: bool,
    pub(super) console: Option<PathBuf>,
}

/// One boot.
pub(super) struct Plan<'a> {
    pub(super) wish: &'a Wish<'a>,
    /// The program.
    pub(super) qemu: PathBuf,
    /// Its ports and its relay are not known yet.
    pub(super) machine: Machine,
    pub(super) mode: BootMode,
    /// The installed system, if it was read.
    pub(super) system: Option<&'a GuestSystem>,
    /// The name of the `ssh` program's folder entry, if there is one, and of `ssh-keygen`.
    pub(super) ssh: Option<(PathBuf, PathBuf)>,
}

impl<'a> Plan<'a> {
    /// Returns the boots to run, in order.
    pub(super) fn all(
        image: &Path,
        report: &'a Report,
        wish: &'a Wish<'a>,
        context: &Context,
    ) -> Result<Vec<Self>, Failure> {
        let format = match report.format {
            Format::Raw => DiskFormat::Raw,
            Format::Qcow2 => DiskFormat::Qcow2,
            Format::Vhd => DiskFormat::Vhd,
            other => {
                let text = format!("`{}` is {}, not RAW, QCOW2 or VHD", image.display(), other.name());
                return Err(Failure::new(Kind::ImageRefused, text).hint("unpack or convert it first"));
            }
        };
        if let Some(finding) = report.refusals().find(|finding| NOT_OPENED.contains(&finding.rule)) {
            let text = format!("`{}` is refused: {} [{}]", image.display(), finding.message, finding.rule);
            return Err(Failure::new(Kind::ImageRefused, text).hint("fix the image"));
        }
        let system = report.guest.as_ref().and_then(|guest| guest.system.found());
        let args = wish.machine;
        let inside = system.and_then(|system| system.architecture.found().copied());
        let architecture =
            args.architecture.or(report.settings.architecture).or(inside).unwrap_or(Architecture::X86_64);
        let qemu = find_qemu(args, architecture, context)?;
        let accelerator = accelerator(args, architecture);
        let modes = modes(args, report, architecture);
        let ssh = in_path("ssh", context).zip(in_path("ssh-keygen", context));
        let image = absolute(image)?;
        modes
            .into_iter()
            .map(|mode| {
                let firmware = match mode {
                    BootMode::Bios => Firmware::Bios,
                    _ => find_firmware(args, architecture, &qemu)?,
                };
                let machine = Machine {
                    architecture,
                    firmware,
                    image: image.clone(),
                    format,
                    bus: if args.nvme { DiskBus::Nvme } else { DiskBus::Virtio },
                    memory_mib: args
                        .memory
                        .map_or(DEFAULT_MEMORY_MIB, |size| (size.0 >> 20).max(LEAST_MEMORY_MIB)),
                    cpus: std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST_CPUS))
                        as u32,
                    accelerator,
                    data_folders: data_folders(&qemu),
                    metadata_relay: String::new(),
                    ssh_port: 0,
                    internet: args.internet,
                    uuid: uuid::Uuid::new_v4(),
                };
                Ok(Self { wish, qemu: qemu.clone(), machine, mode, system, ssh: ssh.clone() })
            })
            .collect()
    }

    /// Returns what has to be reached, and how long it may take with what runs the guest.
    pub(super) fn goal(&self, accelerator: Accelerator) -> Goal {
        let (limit, patience) = if accelerator == Accelerator::Kvm { FAST } else { SLOW };
        Goal {
            prompt_is_enough: self.wish.prompt_is_enough,
            cloud_init: self.system.is_none_or(|system| system.cloud_init != Answer::Absent),
            can_log_in: self.ssh.is_some(),
            bus: self.machine.bus,
            limit: self.wish.machine.timeout.map_or(limit, |span| span.0),
            patience,
        }
    }

    /// Returns the boot in words: `BIOS, virtio`.
    pub(super) fn title(&self) -> String {
        let bus = match self.machine.bus {
            DiskBus::Virtio => "virtio",
            DiskBus::Nvme => "NVMe",
        };
        format!("{}, {bus}", self.mode)
    }
}

fn modes(args: &MachineArgs, report: &Report, architecture: Architecture) -> Vec<BootMode> {
    let found = match report.settings.boot_mode {
        Some(BootMode::Bios) if architecture != Architecture::Arm64 => BootMode::Bios,
        None if report.boot.boots_with != BootsWith::Uefi && architecture != Architecture::Arm64 => {
            BootMode::Bios
        }
        _ => BootMode::Uefi,
    };
    match args.boot_mode {
        None => vec![found],
        Some(BootModeArg::Bios) => vec![BootMode::Bios],
        Some(BootModeArg::Uefi) => vec![BootMode::Uefi],
        Some(BootModeArg::Both) => vec![BootMode::Bios, BootMode::Uefi],
    }
}

/// KVM runs guests of the machine's own architecture, for who may open its device.
fn accelerator(args: &MachineArgs, architecture: Architecture) -> Accelerator {
    let own =
        std::env::consts::ARCH == if architecture == Architecture::Arm64 { "aarch64" } else { "x86_64" };
    let opens = || std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    if !args.no_kvm && own && opens() { Accelerator::Kvm } else { Accelerator::Tcg }
}

fn find_qemu(args: &MachineArgs, architecture: Architecture, context: &Context) -> Result<PathBuf, Failure> {
    let program = program(architecture);
    let found = match &args.qemu {
        Some(path) if path.is_dir() => {
            let places = ["usr/bin", "bin", ""].map(|folder| path.join(folder).join(program));
            places.into_iter().find(|place| place.is_file())
        }
        Some(path) => path.is_file().then(|| path.clone()),
        // The RHEL family has it beside the other libraries.
        None => in_path(program, context)
            .or_else(|| Some(PathBuf::from("/usr/libexec/qemu-kvm")).filter(|path| path.is_file())),
    };
    let found = found.ok_or_else(|| {
        let text = match &args.qemu {
            Some(path) => format!("there is no `{program}` at `{}`", path.display()),
            None => format!("`{program}` is not installed"),
        };
        let packages = packages(architecture);
        Failure::new(Kind::Usage, text)
            .hint(format!("install it ({packages}), or name the program with --qemu PATH"))
    })?;
    absolute(&found)
}

fn find_firmware(args: &MachineArgs, architecture: Architecture, qemu: &Path) -> Result<Firmware, Failure> {
    let found = match &args.firmware {
        Some(code) => {
            let code = absolute(code)?;
            let name = code.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let vars = code.with_file_name(name.replace("CODE", "VARS").replace("code", "vars"));
            (vars != code && vars.is_file() && code.is_file()).then_some((code, vars))
        }
        None => firmware_places(architecture, qemu.parent())
            .into_iter()
            .find(|(code, vars)| code.is_file() && vars.is_file()),
    };
    let (code, vars) = found.ok_or_else(|| {
        let packages = packages(architecture);
        let text = match &args.firmware {
            Some(path) => format!("`{}` is no UEFI firmware with variables beside it", path.display()),
            None => "there is no UEFI firmware for QEMU here".to_owned(),
        };
        Failure::new(Kind::Usage, text)
            .hint(format!("install it ({packages}), or name the code with --firmware FILE"))
    })?;
    Ok(Firmware::Uefi { code, vars })
}

/// Of a QEMU that was unpacked into a folder of its own, its files are there too, also those of other packages.
fn data_folders(qemu: &Path) -> Vec<PathBuf> {
    let share = qemu.parent().and_then(Path::parent).map(|prefix| prefix.join("share"));
    let Some(share) = share.filter(|share| share != Path::new("/usr/share")) else { return Vec::new() };
    ["qemu", "seabios"].map(|name| share.join(name)).into_iter().filter(|folder| folder.is_dir()).collect()
}

fn in_path(program: &str, context: &Context) -> Option<PathBuf> {
    let path = (context.env)("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|place| place.is_file())
}
