//! The command line of QEMU.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{GUEST_ADDRESS, GUEST_MAC, METADATA_ADDRESS, PRODUCT};
use crate::model::{Architecture, DiskFormat};

/// How the system disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// virtio-blk: `/dev/vda`.
    Virtio,
    /// NVMe, as newer instance families do: `/dev/nvme0n1`.
    Nvme,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// The processor itself, by KVM. QEMU falls back to translation where KVM refuses.
    Kvm,
    /// Translation by QEMU (TCG), which is some ten times slower.
    Tcg,
}

/// What starts the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    Bios,
    /// OVMF, or AAVMF for arm64.
    Uefi {
        /// The code, which is only read.
        code: PathBuf,
        /// The variables to begin with. What the guest changes is thrown away.
        vars: PathBuf,
    },
}

/// A virtual machine like an ECS instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What the system is for.
    pub architecture: Architecture,
    /// What starts the disk.
    pub firmware: Firmware,
    /// The image, which is only read: an absolute path.
    pub image: PathBuf,
    /// The image's format. QEMU is never left to guess it, since a guest can write a header into a RAW disk.
    pub format: DiskFormat,
    /// How the disk is attached.
    pub bus: DiskBus,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Processors.
    pub cpus: u32,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// Folders to look for QEMU's own files in, beside the usual ones.
    pub data_folders: Vec<PathBuf>,
    /// The command that QEMU runs for each connection to the metadata service, whose standard streams are the
    /// connection. Words of a shell, without operators.
    pub metadata_relay: String,
    /// The port of this machine's loopback address that leads to the guest's SSH server.
    pub ssh_port: u16,
    /// Whether the guest reaches the internet; and with it this machine, as `100.100.100.2`.
    pub internet: bool,
    /// Serial number and UUID of the machine.
    pub uuid: uuid::Uuid,
}

impl Machine {
    /// Returns the arguments of `qemu-system-*`.
    ///
    /// The disk is a copy-on-write overlay that QEMU makes for itself, without a name, in `TMPDIR`: nobody has to
    /// remove it. The serial line is QEMU's standard output. There is no display: GRUB then writes to the serial line too,
    /// where it can be read. A guest that starts again ends QEMU.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
        for folder in &self.data_folders {
            add("-L", folder.clone().into());
        }
        let arm = self.architecture == Architecture::Arm64;
        add("-machine", if arm { "virt" } else { "pc,graphics=off" }.into());
        if self.accelerator == Accelerator::Kvm {
            add("-accel", "kvm".into());
        }
        add("-accel", "tcg".into());
        add("-cpu", "max".into());
        add("-m", format!("{}M", self.memory_mib).into());
        add("-smp", self.cpus.to_string().into());
        add("-rtc", "base=utc".into());
        add("-display", "none".into());
        let uuid = self.uuid;
        add(
            "-smbios",
            format!("type=1,manufacturer=Alibaba Cloud,product={PRODUCT},serial={uuid},uuid={uuid}").into(),
        );
        add("-chardev", "stdio,id=console,signal=off".into());
        add("-serial", "chardev:console".into());
        if let Firmware::Uefi { code, vars } = &self.firmware {
            add("-drive", drive("if=pflash,unit=0,format=raw,readonly=on,file=", code));
            add("-drive", drive("if=pflash,unit=1,format=raw,snapshot=on,file=", vars));
        }
        add("-drive", drive(&format!("if=none,id=system,snapshot=on,{},file=", self.driver()), &self.image));
        add(
            "-device",
            match self.bus {
                DiskBus::Virtio => "virtio-blk-pci,drive=system,serial=d-ossupboot,bootindex=0",
                DiskBus::Nvme => "nvme,drive=system,serial=d-ossupboot,bootindex=0",
            }
            .into(),
        );
        add("-netdev", self.network());
        // Without a ROM the firmware has no network to boot from.
        add("-device", format!("virtio-net-pci,netdev=net,mac={GUEST_MAC},romfile=").into());
        words.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(OsString::from));
        words
    }

    fn driver(&self) -> &'static str {
        match self.format {
            DiskFormat::Qcow2 => "format=qcow2",
            // As the service reads it, whatever program made it.
            DiskFormat::Vhd => "format=vpc,force_size_calc=current_size",
            _ => "format=raw",
        }
    }

    fn network(&self) -> OsString {
        // A restricted guest gets no gateway and no name server, so that look-ups fail at once.
        let restrict = if self.internet { "off" } else { "on" };
        let relay = self.metadata_relay.replace(',', ",,");
        format!(
            "user,id=net,ipv6=off,net=100.100.100.0/24,dhcpstart={GUEST_ADDRESS},restrict={restrict},\
             guestfwd=tcp:{METADATA_ADDRESS}:80-cmd:{relay},hostfwd=tcp:127.0.0.1:{}-{GUEST_ADDRESS}:22",
            self.ssh_port
        )
        .into()
    }
}

/// Returns an option with a path at its end; a comma within is doubled.
fn drive(option: &str, path: &Path) -> OsString {
    let mut bytes = option.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

/// Returns the name of the program that emulates an architecture.
pub fn program(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Arm64 => "qemu-system-aarch64",
        _ => "qemu-system-x86_64",
    }
}

/// Returns the packages that have the program and its UEFI firmware, by family of distributions.
pub fn packages(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Arm64 => {
            "Debian, Ubuntu: qemu-system-arm qemu-efi-aarch64; Fedora: qemu-system-aarch64-core edk2-aarch64; \
             SUSE: qemu-arm qemu-uefi-aarch64; Arch: qemu-system-aarch64 edk2-aarch64; Alpine: qemu-system-aarch64"
        }
        _ => {
            "Debian, Ubuntu: qemu-system-x86 ovmf; Fedora: qemu-system-x86-core edk2-ovmf; RHEL family: qemu-kvm edk2-ovmf; \
             SUSE: qemu-x86 qemu-ovmf-x86_64; Arch: qemu-system-x86 edk2-ovmf; Alpine: qemu-system-x86_64 ovmf"
        }
    }
}

/// Returns where UEFI firmware lies, code and variables, best first. `beside` is the folder of the QEMU program; what was
/// unpacked into a folder of its own has the firmware there too.
pub fn firmware_places(architecture: Architecture, beside: Option<&Path>) -> Vec<(PathBuf, PathBuf)> {
    const X86: [(&str, &str); 8] = [
        ("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"),
        ("OVMF/OVMF_CODE.fd", "OVMF/OVMF_VARS.fd"),
        ("edk2/ovmf/OVMF_CODE.fd", "edk2/ovmf/OVMF_VARS.fd"),
        ("edk2/x64/OVMF_CODE.4m.fd", "edk2/x64/OVMF_VARS.4m.fd"),
        ("edk2-ovmf/x64/OVMF_CODE.fd", "edk2-ovmf/x64/OVMF_VARS.fd"),
        ("qemu/ovmf-x86_64-code.bin", "qemu/ovmf-x86_64-vars.bin"),
        ("qemu/ovmf-x86_64-4m-code.bin", "qemu/ovmf-x86_64-4m-vars.bin"),
        ("qemu/edk2-x86_64-code.fd", "qemu/edk2-i386-vars.fd"),
    ];
    const ARM: [(&str, &str); 4] = [
        ("AAVMF/AAVMF_CODE.fd", "AAVMF/AAVMF_VARS.fd"),
        ("edk2/aarch64/QEMU_EFI-pflash.raw", "edk2/aarch64/vars-template-pflash.raw"),
        ("qemu/aavmf-aarch64-code.bin", "qemu/aavmf-aarch64-vars.bin"),
        ("qemu/edk2-aarch64-code.fd", "qemu/edk2-arm-vars.fd"),
    ];
    let names: &[(&str, &str)] = if architecture == Architecture::Arm64 { &ARM } else { &X86 };
    let own = beside.filter(|folder| folder.file_name() == Some(OsStr::new("bin")));
    let own = own.and_then(Path::parent).map(|prefix| prefix.join("share"));
    let shares = own.into_iter().chain([PathBuf::from("/usr/share"), PathBuf::from("/usr/local/share")]);
    shares
        .flat_map(|share| names.iter().map(move |(code, vars)| (share.join(code), share.join(vars))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            architecture: Architecture::X86_64,
            firmware: Firmware::Bios,
            image: "/images/a,b.qcow2".into(),
            format: DiskFormat::Qcow2,
            bus: DiskBus::Virtio,
            memory_mib: 1024,
            cpus: 2,
            accelerator: Accelerator::Kvm,
            data_folders: Vec::new(),
            metadata_relay: "/usr/bin/ossup boot-relay 127.0.0.1:4000".to_owned(),
            ssh_port: 4022,
            internet: false,
            uuid: uuid::Uuid::nil(),
        }
    }

    fn line(machine: &Machine) -> String {
        let words: Vec<_> = machine.arguments().into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn the_image_is_an_overlay_s_base_and_its_format_is_never_guessed() {
        for (format, named) in [
            (DiskFormat::Raw, "format=raw,"),
            (DiskFormat::Qcow2, "format=qcow2,"),
            (DiskFormat::Vhd, "format=vpc,"),
        ] {
            let line = line(&Machine { format, ..machine() });
            assert!(line.contains(&format!("-drive if=none,id=system,snapshot=on,{named}")), "{line}");
            assert!(line.contains(",file=/images/a,,b.qcow2 "), "{line}");
        }
    }

    #[test]
    fn each_bus_and_firmware_is_another_device() {
        let bios = line(&machine());
        assert!(bios.contains("virtio-blk-pci,drive=system") && !bios.contains("pflash"), "{bios}");
        let firmware = Firmware::Uefi { code: "/f/CODE.fd".into(), vars: "/f/VARS.fd".into() };
        let uefi = line(&Machine { firmware, bus: DiskBus::Nvme, ..machine() });
        assert!(uefi.contains("nvme,drive=system") && !uefi.contains("virtio-blk"), "{uefi}");
        // Neither is written to.
        assert!(uefi.contains("if=pflash,unit=0,format=raw,readonly=on,file=/f/CODE.fd"), "{uefi}");
        assert!(uefi.contains("if=pflash,unit=1,format=raw,snapshot=on,file=/f/VARS.fd"), "{uefi}");
        let arm = line(&Machine { architecture: Architecture::Arm64, ..machine() });
        assert!(arm.starts_with("-machine virt ") && !arm.contains("graphics"), "{arm}");
    }

    #[test]
    fn the_guest_reaches_nothing_but_the_metadata_service_unless_that_is_asked_for() {
        let shut = line(&machine());
        assert!(shut.contains("restrict=on,guestfwd=tcp:100.100.100.200:80-cmd:/usr/bin/ossup boot-relay"));
        assert!(shut.contains("hostfwd=tcp:127.0.0.1:4022-100.100.100.15:22"), "{shut}");
        assert!(line(&Machine { internet: true, ..machine() }).contains("restrict=off"));
        let odd = Machine { metadata_relay: "/a,b/ossup x".to_owned(), ..machine() };
        assert!(line(&odd).contains("-cmd:/a,,b/ossup x,hostfwd="));
    }

    #[test]
    fn kvm_falls_back_to_translation() {
        assert!(line(&machine()).contains("-accel kvm -accel tcg"));
        let slow = line(&Machine { accelerator: Accelerator::Tcg, ..machine() });
        assert!(!slow.contains("kvm") && slow.contains("-accel tcg"), "{slow}");
    }

    #[test]
    fn unpacked_firmware_is_found_beside_the_program() {
        let places = firmware_places(Architecture::X86_64, Some(Path::new("/opt/qemu/usr/bin")));
        assert_eq!(places[0].0, Path::new("/opt/qemu/usr/share/OVMF/OVMF_CODE_4M.fd"));
        let usual = firmware_places(Architecture::Arm64, None);
        assert_eq!(usual[0].0, Path::new("/usr/share/AAVMF/AAVMF_CODE.fd"));
        assert_eq!(firmware_places(Architecture::Arm64, Some(Path::new("/opt/x"))), usual);
    }
}
