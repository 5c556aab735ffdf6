//! What an ImportImage asks for: disks and image, each parameter by its own rule.

use super::super::Service;
use super::super::answer::Refusal;
use super::super::call::Call;
use super::super::cloud;
use super::super::entry::Image;
use super::rules;
use ossup_core::model::{BucketName, ObjectKey};

const FORMATS: &[&str] = &["RAW", "VHD", "QCOW2", "VMDK"];
const MAX_DISKS: u32 = 17;

/// A disk as it was asked for.
#[derive(Debug)]
pub(super) struct AskedDisk {
    /// 1 is the system disk.
    pub(super) n: u32,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) format: Option<String>,
    pub(super) size_gib: Option<u64>,
}

impl Service<'_> {
    /// Reads `DiskDeviceMapping.N.*`; numbers above 17 are ignored.
    pub(super) fn asked_disks(&self) -> Result<Vec<AskedDisk>, Refusal> {
        let numbers: Vec<u32> =
            self.call.indices("DiskDeviceMapping").into_iter().filter(|n| *n <= MAX_DISKS).collect();
        if numbers.is_empty() {
            let message = "DiskDeviceMapping is mandatory.";
            return Err(Refusal::new(403, "MissingParameter.DiskDeviceMapping", message));
        }
        if numbers[0] != 1 {
            return Err(Refusal::missing("DiskDeviceMapping.1.OSSBucket"));
        }
        numbers.into_iter().map(|n| self.asked_disk(n)).collect()
    }

    fn asked_disk(&self, n: u32) -> Result<AskedDisk, Refusal> {
        let name = |field: &str| format!("DiskDeviceMapping.{n}.{field}");
        let bucket = self.call.required(&name("OSSBucket"))?;
        let key = self.call.required(&name("OSSObject"))?;
        let bucket = bucket
            .parse()
            .map_err(|_| Refusal::malformed("InvalidOSSBucket.Malformed", &name("OSSBucket")))?;
        let is_url = key.starts_with("http://") || key.starts_with("https://");
        let key = key.parse().ok().filter(|_| !is_url);
        let key = key.ok_or_else(|| Refusal::malformed("InvalidOSSObject.Malformed", &name("OSSObject")))?;
        let format = self
            .call
            .text(&name("Format"))
            .map(|_| rules::choice(self.call, &name("Format"), FORMATS, "", "InvalidImageFormat.Malformed"));
        let size = self.call.number(&name("DiskImageSize"))?.or(self.call.number(&name("DiskImSize"))?);
        if let Some(device) = self.call.text(&name("Device"))
            && !device.starts_with("/dev/xvd")
        {
            let refusal = Refusal::malformed("InvalidParameter.Malformed", &name("Device"));
            return Err(Refusal { status: 403, ..refusal });
        }
        Ok(AskedDisk { n, bucket, key, format: format.transpose()?, size_gib: size })
    }

    /// Checks all that describes the image, and gives it an id.
    pub(super) fn asked_image(&self) -> Result<Image, Refusal> {
        let call = self.call;
        let name = rules::name(call, "ImageName")?.unwrap_or_default();
        let description = rules::description(call, "Description")?.unwrap_or_default();
        let tags = rules::tags(call)?;
        let system = System::read(call)?;
        let (nvme, imds) = features(call)?;
        let detect = rules::choice(
            call,
            "DetectionStrategy",
            &["Standard"],
            "",
            "InvalidParameter.DetectionStrategy",
        )?;
        let resource_group = call.text("ResourceGroupId").unwrap_or_default().to_owned();
        if !resource_group.is_empty() && !resource_group.starts_with("rg-") {
            let message = "The resource group does not exist.";
            return Err(Refusal::new(404, "InvalidResourceGroup.NotFound", message));
        }
        if call.text("StorageLocationArn").is_some() {
            let message = "The specified storage location does not exist.";
            return Err(Refusal::new(403, "InvalidStorageLocation.NotFound", message));
        }
        Ok(Image {
            id: cloud::new_id("m", self.region()),
            region: self.region().to_owned(),
            name,
            description,
            family: String::new(),
            platform: system.platform,
            os_type: system.os_type,
            architecture: system.architecture,
            boot_mode: system.boot_mode,
            license: system.license,
            resource_group,
            nvme,
            imds,
            tags,
            disks: Vec::new(),
            detect: !detect.is_empty(),
            checked: Vec::new(),
            deprecated: false,
            created: self.now,
            shared_with: Vec::new(),
            public: false,
        })
    }
}

/// What kind of system the image is, each part fitting the others.
struct System {
    architecture: String,
    os_type: String,
    platform: String,
    boot_mode: String,
    license: String,
}

impl System {
    fn read(call: &Call) -> Result<Self, Refusal> {
        let architecture = call.text("Architecture").unwrap_or("x86_64").to_owned();
        if !["i386", "x86_64", "arm64"].contains(&architecture.as_str()) {
            return Err(Refusal::malformed("InvalidArchitecture.Malformed", "Architecture"));
        }
        let os_type =
            rules::choice(call, "OSType", &["linux", "windows"], "linux", "InvalidOSType.Malformed")?;
        let platform = rules::platform(call)?;
        if rules::is_windows(&platform) != (os_type == "windows") && call.text("Platform").is_some() {
            return Err(Refusal::malformed("InvalidPlatform.Malformed", "Platform"));
        }
        let default_boot = if architecture == "arm64" { "UEFI" } else { "BIOS" };
        let boot_mode =
            rules::choice(call, "BootMode", &["BIOS", "UEFI"], default_boot, "InvalidBootMode.Malformed")?;
        if (architecture == "arm64" && boot_mode == "BIOS") || (architecture == "i386" && boot_mode == "UEFI")
        {
            let message = "The boot mode does not support the architecture.";
            return Err(Refusal::new(400, "InvalidBootMode.NotSupport", message));
        }
        if architecture == "arm64" && rules::is_windows(&platform) {
            let message = "The platform does not support the architecture.";
            return Err(Refusal::new(403, "InvalidArchitecture.PlatformUnsupported", message));
        }
        let licenses = ["Aliyun", "BYOL"];
        let license =
            rules::choice(call, "LicenseType", &licenses, "Aliyun", "InvalidLicenseType.NotSupported")?;
        if call.text("LicenseType").is_some()
            && license == "Aliyun"
            && matches!(platform.as_str(), "RedHat" | "SUSE")
        {
            let message = "The platform can only be imported with a licence of your own.";
            return Err(Refusal::new(400, "InvalidLicenseType.BYOLOnly", message));
        }
        Ok(Self { architecture, os_type, platform, boot_mode, license })
    }
}

/// Returns `Features.NvmeSupport` and `Features.ImdsSupport`.
fn features(call: &Call) -> Result<(String, String), Refusal> {
    let nvme = ["supported", "unsupported"];
    let code = "InvalidParameter.FeaturesNvmeSupport";
    let nvme = rules::choice(call, "Features.NvmeSupport", &nvme, "unsupported", code)?;
    let code = "InvalidParameter.FeaturesImdsSupport";
    let imds = rules::choice(call, "Features.ImdsSupport", &["v1", "v2"], "v1", code)?;
    Ok((nvme, imds))
}
