use std::fmt;

use super::DiskRole;

const IMPORT_IMAGE: &str = "ImportImage page of the ECS API reference";
const INSTRUCTIONS: &str = "\"Instructions for importing images\" page of ECS";
const CONVERT: &str = "\"Convert image file format\" page of ECS";
const CUSTOMIZE: &str = "\"Customize Linux images\" page of ECS";
const COPY_IMAGE: &str = "CopyImage page of the ECS API reference";
const OSS_LIMITS: &str = "\"Limits\" page of OSS";
const QCOW2: &str = "QCOW2 specification (QEMU, docs/interop/qcow2)";
const VHD: &str = "Virtual Hard Disk Image Format Specification 1.0";
const UEFI: &str = "UEFI specification, chapter 5 (GUID partition table)";
const MBR: &str = "layout of the master boot record";
const BOOT: &str = "what BIOS and UEFI firmware start";
const EXT4: &str = "ext4 on-disk format (Linux kernel documentation)";
const SENSE: &str = "common sense";
const IMAGE_CHECK: &str = "\"Detect custom images and repair\" page of ECS";
const IMAGE_RULES: &str = "\"Linux image requirements\" page of ECS";
const VIRTIO: &str = "\"Install the virtio driver\" page of ECS";
const NVME: &str = "\"Adapt Linux custom images to NVMe-based system disks\" page of ECS";
const CLOUD_INIT: &str = "\"Install cloud-init\" page of ECS";
const VMINIT: &str = "\"Initialization tools\" page of ECS";
const COMPLIANCE: &str = "\"Image compliance tool\" page of ECS";

/// Makes the enum of checks with each one's id and source.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $source:expr;)+) => {
        /// A check, named by its id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $name,)+
        }

        impl Rule {
            /// Every check.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the id: `V-MTE`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// Returns where the rule comes from.
            pub fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)+ }
            }
        }
    };
}

rules! {
    /// The file has no bytes.
    FEmpty = "F-EMPTY", IMPORT_IMAGE;
    /// A program or a kernel.
    FProgram = "F-PROGRAM", SENSE;
    /// The file is too small to be a disk.
    FSmall = "F-SMALL", SENSE;
    /// Nothing but zeros where a boot sector should be.
    FZero = "F-ZERO", SENSE;
    /// The object key's suffix and the contents.
    FSuffix = "F-SUFFIX", IMPORT_IMAGE;
    /// A RAW file that is mostly holes.
    FSparse = "F-SPARSE", SENSE;
    /// The virtual size and DiskImageSize.
    FSize = "F-SIZE", IMPORT_IMAGE;
    /// A virtual size of 0.
    FZeroVirt = "F-ZEROVIRT", IMPORT_IMAGE;
    /// Larger than an object can be.
    FObject = "F-OBJ48T", OSS_LIMITS;
    /// The format itself.
    FFormat = "F-FORMAT", INSTRUCTIONS;
    /// A compressed file.
    FCompressed = "F-COMPRESSED", INSTRUCTIONS;
    /// An archive.
    FArchive = "F-ARCHIVE", INSTRUCTIONS;
    /// Text where a disk should be.
    FText = "F-TEXT", SENSE;
    /// An installer ISO.
    FIso = "F-ISO", INSTRUCTIONS;
    /// The whole disk is encrypted.
    FLuks = "F-LUKS", INSTRUCTIONS;
    /// The checks ended early.
    FBudget = "F-BUDGET", SENSE;
    /// A stream's bytes passed before it was known that they matter.
    FPassed = "F-PASSED", SENSE;

    /// QCOW2 version.
    QVer = "Q-VER", QCOW2;
    /// QCOW2 backing file.
    QBack = "Q-BACK", QCOW2;
    /// QCOW2 cluster size.
    QClb = "Q-CLB", QCOW2;
    /// QCOW2 virtual size.
    QSize = "Q-SIZE", QCOW2;
    /// QCOW2 encryption.
    QCrypt = "Q-CRYPT", QCOW2;
    /// QCOW2 L1 table.
    QL1 = "Q-L1", QCOW2;
    /// QCOW2 refcount table.
    QRt = "Q-RT", QCOW2;
    /// QCOW2 internal snapshots.
    QSnap = "Q-SNAP", QCOW2;
    /// QCOW2 incompatible features.
    QInc = "Q-INC", QCOW2;
    /// QCOW2 autoclear features.
    QAuto = "Q-AUTO", QCOW2;
    /// QCOW2 refcount width.
    QRord = "Q-RORD", QCOW2;
    /// QCOW2 header length.
    QHlen = "Q-HLEN", QCOW2;
    /// QCOW2 compression type.
    QCtype = "Q-CTYPE", QCOW2;
    /// QCOW2 header extensions.
    QExt = "Q-EXT", QCOW2;
    /// QCOW2 tables that point beyond the end of the file.
    QTrunc = "Q-TRUNC", QCOW2;
    /// The disk inside a QCOW2 file.
    QInner = "Q-INNER", QCOW2;

    /// VHD footer at the end.
    VTail = "V-TAIL", VHD;
    /// VHD checksums.
    VCrc = "V-CRC", VHD;
    /// VHD disk type.
    VType = "V-TYPE", VHD;
    /// Length of a fixed VHD.
    VFixLen = "V-FIXLEN", VHD;
    /// VHD dynamic header and block table.
    VHdr = "V-HDR", VHD;
    /// VHD block size.
    VBlk = "V-BLK", IMPORT_IMAGE;
    /// VHD size against MaxTableEntries × BlockSize.
    VMte = "V-MTE", IMPORT_IMAGE;
    /// VHD size in whole MiB.
    VSize = "V-SIZE", CONVERT;
    /// VHD geometry.
    VChs = "V-CHS", VHD;
    /// VHD by qemu-img without force_size.
    VQemu = "V-QEMU", INSTRUCTIONS;
    /// VHD with a saved state.
    VSaved = "V-SAVED", VHD;
    /// VHD-based images and CopyImage.
    VCopy = "V-COPY", COPY_IMAGE;
    /// The disk inside a VHD file.
    VInner = "V-INNER", VHD;

    /// Whole sectors.
    R512 = "R-512", SENSE;
    /// Whole MiB.
    RMib = "R-MIB", CONVERT;
    /// Boot signature.
    RSig = "R-SIG", MBR;
    /// A file system without partition table.
    RBare = "R-BARE", INSTRUCTIONS;
    /// Bounds of MBR partitions.
    RMbrB = "R-MBRB", MBR;
    /// Overlapping partitions.
    ROver = "R-OVER", MBR;
    /// Chain of logical partitions.
    RExt = "R-EXT", MBR;
    /// GPT header.
    RGpt = "R-GPT", UEFI;
    /// GPT for sectors of 4096 bytes.
    R4K = "R-4K", UEFI;
    /// Backup GPT.
    RGptB = "R-GPTB", UEFI;
    /// Bounds of GPT partitions.
    RGptP = "R-GPTP", UEFI;
    /// What starts the system.
    RBoot = "R-BOOT", BOOT;
    /// The processor that the loaders are for.
    RArch = "R-ARCH", BOOT;
    /// Linux partitions.
    RRoots = "R-ROOTS", INSTRUCTIONS;
    /// LVM.
    RLvm = "R-LVM", INSTRUCTIONS;
    /// Encrypted partitions.
    RLuks = "R-LUKS", INSTRUCTIONS;
    /// An ISO with a partition table.
    RHybrid = "R-HYBRID", INSTRUCTIONS;

    /// Root file system.
    SFs = "S-FS", INSTRUCTIONS;
    /// ext4 with 64-bit block numbers.
    S64Bit = "S-64BIT", INSTRUCTIONS;
    /// ext4 with both project and quota.
    SPq = "S-PQ", EXT4;
    /// Contents against OSType.
    SWin = "S-WIN", IMPORT_IMAGE;
    /// What Customized Linux asks of the disk.
    SCustom = "S-CUSTOM", CUSTOMIZE;

    /// Image name.
    PName = "P-NAME", IMPORT_IMAGE;
    /// Image description.
    PDescription = "P-DESC", IMPORT_IMAGE;
    /// Tags.
    PTag = "P-TAG", IMPORT_IMAGE;
    /// Platform.
    PPlatform = "P-PLATFORM", IMPORT_IMAGE;
    /// OSType against platform.
    POsType = "P-OSTYPE", IMPORT_IMAGE;
    /// Boot mode against architecture.
    PBootMode = "P-BOOT", IMPORT_IMAGE;
    /// Licence.
    PLicense = "P-LICENSE", IMPORT_IMAGE;
    /// Object key as ImportImage takes it.
    PKey = "P-KEY", IMPORT_IMAGE;
    /// Number and sizes of disks.
    PDisks = "P-DISKS", IMPORT_IMAGE;

    /// An installed system.
    GRoot = "G-ROOT", IMAGE_CHECK;
    /// What could not be read inside.
    GRead = "G-READ", SENSE;
    /// The distribution against Platform.
    GOs = "G-OS", IMAGE_CHECK;
    /// The processor that the installed programs are for.
    GArch = "G-ARCH", IMAGE_CHECK;
    /// Installed kernels.
    GKernel = "G-KERNEL", IMAGE_CHECK;
    /// Drivers of the disk on ECS, at the time that the root is mounted.
    GVirtio = "G-VIRTIO", VIRTIO;
    /// Driver of the network on ECS.
    GVnet = "G-VNET", VIRTIO;
    /// Driver of disks that are attached by NVMe, at the time that the root is mounted.
    GNvme = "G-NVME", NVME;
    /// Time-out of NVMe.
    GNvmeTo = "G-NVMETO", NVME;
    /// How a password reaches the kernel.
    GFwcfg = "G-FWCFG", IMAGE_RULES;
    /// What fstab mounts.
    GFstab = "G-FSTAB", IMAGE_CHECK;
    /// Names of devices in fstab.
    GFsDev = "G-FSDEV", IMAGE_CHECK;
    /// Swap.
    GSwap = "G-SWAP", IMAGE_RULES;
    /// The root that the boot loader names.
    GGrub = "G-GRUB", IMAGE_CHECK;
    /// Names of devices in the boot loader's configuration.
    GGrubDev = "G-GRUBDEV", IMAGE_CHECK;
    /// The kernel that the boot loader names.
    GNoBoot = "G-NOBOOT", IMAGE_CHECK;
    /// Addresses by DHCP.
    GDhcp = "G-DHCP", IMAGE_CHECK;
    /// Names and hardware addresses of network interfaces.
    GNicName = "G-NICNAME", IMAGE_CHECK;
    /// Version of cloud-init.
    GCiVer = "G-CIVER", CLOUD_INIT;
    /// Data sources of cloud-init.
    GCiDs = "G-CIDS", CLOUD_INIT;
    /// Whether cloud-init runs.
    GCiOff = "G-CIOFF", CLOUD_INIT;
    /// Whether the root grows with the disk.
    GGrow = "G-GROW", IMAGE_CHECK;
    /// SSH server.
    GSshd = "G-SSHD", COMPLIANCE;
    /// SSH host keys.
    GSshKey = "G-SSHKEY", SENSE;
    /// The root account.
    GRootUser = "G-ROOTUSER", COMPLIANCE;
    /// Firewall.
    GFirewall = "G-FIREWALL", COMPLIANCE;
    /// SELinux.
    GSelinux = "G-SELINUX", IMAGE_CHECK;
    /// QEMU guest agent.
    GQga = "G-QGA", COMPLIANCE;
    /// Tools of other hypervisors.
    GTools = "G-TOOLS", SENSE;
    /// The hardware clock.
    GRtc = "G-RTC", IMAGE_CHECK;
    /// Cloud Assistant.
    GAssist = "G-ASSIST", IMAGE_CHECK;
    /// Agent of Security Center.
    GAegis = "G-AEGIS", IMAGE_CHECK;
    /// `/lib` as an absolute link.
    GLib = "G-LIB", COMPLIANCE;
    /// Free space on the root.
    GSpace = "G-SPACE", COMPLIANCE;
    /// What lies behind the root.
    GLast = "G-LAST", IMAGE_RULES;
    /// Configuration of Customized Linux.
    GCustom = "G-CUSTOM", CUSTOMIZE;
    /// Systems too old for current instance families.
    GMoc = "G-MOC", IMAGE_CHECK;
    /// UUIDs that stand twice.
    GUuid = "G-UUID", SENSE;
    /// Identities that every instance would share.
    GIdentity = "G-IDENTITY", SENSE;

    /// Driver of virtio disks in Windows, and when it is started.
    WVirtio = "W-VIRTIO", VIRTIO;
    /// Driver of the network in Windows.
    WVnet = "W-VNET", VIRTIO;
    /// Driver of NVMe disks in Windows.
    WNvme = "W-NVME", NVME;
    /// Boot manager of Windows.
    WBootMgr = "W-BOOTMGR", IMAGE_CHECK;
    /// Boot configuration data.
    WBcd = "W-BCD", IMAGE_CHECK;
    /// Loader of Windows.
    WLoader = "W-LOADER", IMAGE_CHECK;
    /// Hives of the registry.
    WHive = "W-HIVE", IMAGE_CHECK;
    /// Updates of Windows that do harm on ECS, or are needed there.
    WHotfix = "W-HOTFIX", IMAGE_CHECK;
    /// Updates of Windows that are not finished.
    WUpdate = "W-UPDATE", IMAGE_CHECK;
    /// Whether Sysprep and the installation of Windows came to an end.
    WSysprep = "W-SYSPREP", IMAGE_CHECK;
    /// Filters of the disk in Windows.
    WFilter = "W-FILTER", IMAGE_CHECK;
    /// Devices that drivers of Xen hide.
    WXen = "W-XEN", IMAGE_CHECK;
    /// Whether Windows installs devices.
    WDevices = "W-DEVICES", IMAGE_CHECK;
    /// Cloud Assistant in Windows.
    WAssist = "W-ASSIST", IMAGE_CHECK;
    /// Vminit.
    WVminit = "W-VMINIT", VMINIT;
    /// QEMU guest agent in Windows.
    WQga = "W-QGA", INSTRUCTIONS;
    /// Driver files of Windows that cannot be replaced.
    WReadOnly = "W-READONLY", INSTRUCTIONS;
    /// Client editions of Windows.
    WClient = "W-CLIENT", INSTRUCTIONS;
    /// Hibernation and fast startup.
    WHibernate = "W-HIBERNATE", SENSE;
    /// The state of the volume of Windows.
    WDirty = "W-DIRTY", SENSE;
    /// Dynamic disks.
    WDynamic = "W-DYNAMIC", SENSE;
}

impl Rule {
    /// Returns the code and HTTP status with which ImportImage refuses what breaks this rule, where its page
    /// lists one. The others show up when the import task fails, or when the instance does not boot.
    pub fn service_code(self, role: DiskRole) -> Option<(&'static str, u16)> {
        Some(match self {
            Self::FEmpty => ("InvalidOSSObject.Size", 400),
            Self::FSize if role == DiskRole::Data => ("InvalidDataDiskSize", 400),
            Self::FSize => ("InvalidImageSize", 400),
            Self::FFormat
            | Self::FCompressed
            | Self::FArchive
            | Self::FText
            | Self::FProgram
            | Self::FIso
            | Self::QVer => ("InvalidImageFormat.Malformed", 403),
            Self::FSuffix => ("UnsupportedSuffix.OSSObject", 400),
            Self::VMte => ("InvalidVHDImage.IncorrectSize", 403),
            Self::VBlk => ("InvalidBlockSize.NotSupport", 403),
            Self::VCopy => ("InvalidOperation.VhdImageUnsupported", 403),
            Self::PName => ("InvalidImageName.Malformed", 400),
            Self::PDescription => ("InvalidDescription.Malformed", 400),
            Self::PPlatform | Self::POsType => ("InvalidPlatform.Malformed", 400),
            Self::PBootMode => ("InvalidBootMode.NotSupport", 400),
            Self::PLicense => ("InvalidLicenseType.NotSupported", 400),
            Self::PKey => ("InvalidOSSObject.Malformed", 400),
            _ => return None,
        })
    }

    /// Returns the item of the service's own image check that looks at the same, as its page names it. What that check
    /// decides is not published in full: the two need not agree.
    pub fn vendor_item(self) -> Option<&'static str> {
        Some(match self {
            Self::GRoot => "GUESTOS.SystemImage",
            Self::GOs => "GUESTOS.Platform",
            Self::GArch => "GUESTOS.Architecture",
            Self::GKernel => "GUESTOS.KernelVersion",
            Self::GVirtio | Self::GVnet => "GUESTOS.Virtio",
            Self::GNvme => "GUESTOS.Nvme",
            Self::GFstab | Self::GFsDev => "GUESTOS.Fstab",
            Self::GGrub | Self::GGrubDev | Self::GNoBoot => "GUESTOS.Grub",
            Self::GDhcp | Self::GNicName => "GUESTOS.Dhcp",
            Self::GCiVer | Self::GCiDs | Self::GCiOff => "GUESTOS.CloudInit",
            Self::GGrow => "GUESTOS.OnlineResizeFS",
            Self::GSelinux => "GUESTOS.Selinux",
            Self::GRtc => "GUESTOS.RtcTimeMode",
            Self::GAssist => "GUESTOS.CloudAssistant",
            Self::GAegis => "GUESTOS.SecurityCenterAgent",
            Self::GMoc => "GUESTOS.SupportMocInstanceTypes",
            Self::WVirtio | Self::WVnet => "GUESTOS.Virtio",
            Self::WNvme => "GUESTOS.Nvme",
            Self::WBootMgr => "GUESTOS.BootMgr",
            Self::WBcd => "GUESTOS.BCD",
            Self::WLoader => "GUESTOS.OSLoader",
            Self::WHive => "GUESTOS.Registry",
            Self::WHotfix => "GUESTOS.Hotfix",
            Self::WUpdate => "GUESTOS.Update",
            Self::WSysprep => "GUESTOS.Sysprep",
            Self::WFilter => "GUESTOS.Disk",
            Self::WXen => "GUESTOS.Xen",
            Self::WDevices => "GUESTOS.Server",
            Self::WAssist => "GUESTOS.CloudAssistant",
            Self::WVminit => "GUESTOS.Vminit",
            _ => return None,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_of_one_form() {
        let ids: HashSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for id in ids {
            let (family, name) = id.split_once('-').unwrap();
            assert!("FQVRSPGW".contains(family) && family.len() == 1, "{id}");
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{id}");
        }
        assert_eq!(serde_json::to_string(&Rule::VMte).unwrap(), r#""V-MTE""#);
    }
}
