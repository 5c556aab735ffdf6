use serde::{Deserialize, Serialize};

use crate::model::{
    Architecture, BootMode, ClientToken, DiskFormat, ImageId, LicenseType, ObjectRef, OsType, Region, TaskId,
};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response, TimeoutClass};

const NAME: &str = "ImportImage";

/// Makes a custom image from objects of a bucket in the same region ("ImportImage" page).
///
/// The answer comes when the task is registered; the import itself takes hours. Fields that are `None` are
/// left out and the service's default holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImportImage {
    /// The region of bucket and image.
    pub region: Region,
    /// The disks, the system disk first; at most 17.
    pub disks: Vec<ImportDisk>,
    /// The image's name, which must be new in the account and region.
    pub name: Option<String>,
    /// A description.
    pub description: Option<String>,
    /// The processor architecture; `x86_64` by default.
    pub architecture: Option<Architecture>,
    /// The operating system's family; Linux by default.
    pub os_type: Option<OsType>,
    /// The distribution, as the page lists it: `Rocky Linux`.
    pub platform: Option<String>,
    /// How the image boots; BIOS by default, UEFI on `arm64`.
    pub boot_mode: Option<BootMode>,
    /// The Windows licence to use.
    pub license: Option<LicenseType>,
    /// The RAM role that ECS takes to read the bucket.
    pub role_name: Option<String>,
    /// The resource group of the image.
    pub resource_group_id: Option<String>,
    /// Whether the service checks the image after the import (`DetectionStrategy=Standard`).
    pub detect: bool,
    /// Where the bucket lives if it is on a CloudBox.
    pub storage_location_arn: Option<String>,
    /// Whether the image has an NVMe driver in its initramfs.
    pub nvme_support: Option<bool>,
    /// Which metadata mode instances use.
    pub imds_support: Option<ImdsSupport>,
    /// The image's tags, at most 20.
    pub tags: Vec<Tag>,
    /// Names the request, so that it can be repeated.
    pub client_token: Option<ClientToken>,
    /// Only checks the request. The service then answers with an error whose code says that all is well.
    pub dry_run: bool,
}

/// One disk of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImportDisk {
    /// The object with the disk's image.
    pub object: ObjectRef,
    /// Its format; the service detects it if there is none.
    pub format: Option<DiskFormat>,
    /// The size of the resulting disk in GiB; the service detects it if there is none.
    pub size_gib: Option<u32>,
}

impl ImportDisk {
    /// Returns a disk from `object`, of detected format and size.
    pub fn new(object: ObjectRef) -> Self {
        Self { object, format: None, size_gib: None }
    }

    /// Sets the format.
    #[must_use]
    pub fn with_format(mut self, format: DiskFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the disk's size in GiB.
    #[must_use]
    pub fn with_size_gib(mut self, size: u32) -> Self {
        self.size_gib = Some(size);
        self
    }
}

/// A tag of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value, maybe empty.
    pub value: String,
}

/// Which instance metadata modes an image allows. There is no way back from `V2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImdsSupport {
    /// The normal and the hardened mode, the service's default.
    V1,
    /// Instances may be forced to the hardened mode.
    V2,
}

impl ImdsSupport {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

pub(super) fn nvme(supported: bool) -> &'static str {
    if supported { "supported" } else { "unsupported" }
}

/// Adds `Tag.1.Key`, `Tag.1.Value`, ….
pub(super) fn with_tags(params: Params, tags: &[Tag]) -> Params {
    tags.iter().zip(1..).fold(params, |params, (tag, n): (_, usize)| {
        params.with(&format!("Tag.{n}.Key"), &tag.key).with(&format!("Tag.{n}.Value"), &tag.value)
    })
}

/// What ImportImage promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportImageAnswer {
    /// The image's id; its record exists from now on.
    pub image_id: ImageId,
    /// The task that imports it.
    pub task_id: Option<TaskId>,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
}

impl ImportImage {
    /// Returns a request for `disks`, the system disk first, with the service's defaults.
    pub fn new(region: Region, disks: Vec<ImportDisk>) -> Self {
        Self {
            region,
            disks,
            name: None,
            description: None,
            architecture: None,
            os_type: None,
            platform: None,
            boot_mode: None,
            license: None,
            role_name: None,
            resource_group_id: None,
            detect: false,
            storage_location_arn: None,
            nvme_support: None,
            imds_support: None,
            tags: Vec::new(),
            client_token: None,
            dry_run: false,
        }
    }
}

impl Operation for ImportImage {
    type Output = ImportImageAnswer;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let mut params = Params::in_region(&self.region)
            .with_some("ImageName", self.name.as_deref())
            .with_some("Description", self.description.as_deref())
            .with_some("Architecture", self.architecture)
            .with_some("OSType", self.os_type)
            .with_some("Platform", self.platform.as_deref())
            .with_some("BootMode", self.boot_mode)
            .with_some("LicenseType", self.license)
            .with_some("RoleName", self.role_name.as_deref())
            .with_some("ResourceGroupId", self.resource_group_id.as_deref())
            .with_some("DetectionStrategy", self.detect.then_some("Standard"))
            .with_some("StorageLocationArn", self.storage_location_arn.as_deref())
            .with_some("Features.NvmeSupport", self.nvme_support.map(nvme))
            .with_some("Features.ImdsSupport", self.imds_support.map(ImdsSupport::as_str))
            .with_some("ClientToken", self.client_token.as_ref())
            .with_flag("DryRun", self.dry_run);
        for (disk, n) in self.disks.iter().zip(1..) {
            let n: usize = n;
            let field = |name: &str| format!("DiskDeviceMapping.{n}.{name}");
            params = params
                .with(&field("OSSBucket"), &disk.object.bucket)
                .with(&field("OSSObject"), &disk.object.key)
                .with_some(&field("Format"), disk.format)
                .with_some(&field("DiskImageSize"), disk.size_gib);
        }
        rpc::ecs(NAME, &self.region, with_tags(params, &self.tags))
    }

    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<ImportImageAnswer, DecodeError> {
        let value = json::read(NAME, answer)?;
        // Examples printed up to 2021 call the field `ImportTaskId`.
        let task = ["TaskId", "ImportTaskId"].into_iter().find(|name| json::text(&value, name).is_some());
        Ok(ImportImageAnswer {
            image_id: json::required(NAME, &value, "ImageId")?,
            task_id: task.map(|name| json::required(NAME, &value, name)).transpose()?,
            request_id: json::text(&value, "RequestId"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn every_parameter_is_flattened_under_its_documented_name() {
        let disk = |key: &str| ImportDisk::new(format!("oss://images/{key}").parse().unwrap());
        let disks =
            vec![disk("a b.qcow2").with_format(DiskFormat::Qcow2).with_size_gib(40), disk("data.raw")];
        let mut import = ImportImage::new("cn-hangzhou".parse().unwrap(), disks);
        import.name = Some("rocky9".into());
        import.description = Some("d".into());
        import.architecture = Some(Architecture::Arm64);
        import.os_type = Some(OsType::Linux);
        import.platform = Some("Rocky Linux".into());
        import.boot_mode = Some(BootMode::Uefi);
        import.license = Some(LicenseType::Byol);
        import.role_name = Some("Role".into());
        import.resource_group_id = Some("rg-1".into());
        import.detect = true;
        import.storage_location_arn = Some("arn".into());
        import.nvme_support = Some(true);
        import.imds_support = Some(ImdsSupport::V2);
        import.tags = vec![Tag { key: "k".into(), value: String::new() }];
        import.client_token = Some("token-1".parse().unwrap());
        import.dry_run = true;
        let expected = [
            "RegionId=cn-hangzhou",
            "ImageName=rocky9",
            "Description=d",
            "Architecture=arm64",
            "OSType=linux",
            "Platform=Rocky Linux",
            "BootMode=UEFI",
            "LicenseType=BYOL",
            "RoleName=Role",
            "ResourceGroupId=rg-1",
            "DetectionStrategy=Standard",
            "StorageLocationArn=arn",
            "Features.NvmeSupport=supported",
            "Features.ImdsSupport=v2",
            "ClientToken=token-1",
            "DryRun=true",
            "DiskDeviceMapping.1.OSSBucket=images",
            "DiskDeviceMapping.1.OSSObject=a b.qcow2",
            "DiskDeviceMapping.1.Format=QCOW2",
            "DiskDeviceMapping.1.DiskImageSize=40",
            "DiskDeviceMapping.2.OSSBucket=images",
            "DiskDeviceMapping.2.OSSObject=data.raw",
            "Tag.1.Key=k",
            "Tag.1.Value=",
        ];
        assert_eq!(params(&import), expected);
        let stored = serde_json::to_string(&import).unwrap();
        assert_eq!(serde_json::from_str::<ImportImage>(&stored).unwrap(), import);
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        let disk = ImportDisk::new("oss://images/a.raw".parse().unwrap());
        let import = ImportImage::new("cn-hangzhou".parse().unwrap(), vec![disk]);
        let expected = [
            "RegionId=cn-hangzhou",
            "DiskDeviceMapping.1.OSSBucket=images",
            "DiskDeviceMapping.1.OSSObject=a.raw",
        ];
        assert_eq!(params(&import), expected);
    }

    #[test]
    fn both_spellings_of_the_task_are_read() {
        let import = ImportImage::new("cn-hangzhou".parse().unwrap(), vec![]);
        for field in ["TaskId", "ImportTaskId"] {
            let body =
                format!(r#"{{"ImageId":"m-1","RegionId":"cn-hangzhou","RequestId":"2E","{field}":"t-1"}}"#);
            let read = import.decode(&answer(&body)).unwrap();
            assert_eq!(read.task_id.unwrap().as_str(), "t-1");
            assert_eq!(read.image_id.as_str(), "m-1");
            assert_eq!(read.request_id.as_deref(), Some("2E"));
        }
        assert_eq!(import.decode(&answer("{}")).unwrap_err().reason, "lacks `ImageId`");
        let bad = import.decode(&answer(r#"{"ImageId":"m 1"}"#)).unwrap_err();
        assert_eq!(bad.to_string(), "the answer to ImportImage has a malformed `ImageId`");
    }
}
