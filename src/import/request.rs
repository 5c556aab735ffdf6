use serde::{Deserialize, Serialize};

use super::{ImdsSupport, ImportDisk, Tag};
use crate::image::request as rules;
use crate::image::{DiskRole, Finding, Verdict};
use crate::model::{Architecture, BootMode, ClientToken, LicenseType, OsType, Region};
use crate::protocol::ecs::ImportImage;

/// What image to make, and of which disks. It can be written down and read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    operation: ImportImage,
}

impl ImportRequest {
    /// Asks for an image named `name` with this system disk, in the region of the bucket.
    pub fn new(region: Region, name: impl Into<String>, system_disk: ImportDisk) -> Self {
        let mut operation = ImportImage::new(region, vec![system_disk]);
        operation.name = Some(name.into());
        Self { operation }
    }

    /// Gives the image another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.operation.name = Some(name.into());
        self
    }

    /// Adds a data disk; there may be 16.
    #[must_use]
    pub fn with_data_disk(mut self, disk: ImportDisk) -> Self {
        self.operation.disks.push(disk);
        self
    }

    /// Describes the image in 2 to 256 characters.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<String>) -> Self {
        self.operation.description = Some(text.into());
        self
    }

    /// Names the distribution as the ImportImage page does; the default is `Others Linux`.
    #[must_use]
    pub fn with_platform(mut self, platform: impl Into<String>) -> Self {
        self.operation.platform = Some(platform.into());
        self
    }

    /// Sets the processor architecture; the default is `x86_64`.
    #[must_use]
    pub fn with_architecture(mut self, architecture: Architecture) -> Self {
        self.operation.architecture = Some(architecture);
        self
    }

    /// Sets the family of the operating system; the default is Linux.
    #[must_use]
    pub fn with_os_type(mut self, os_type: OsType) -> Self {
        self.operation.os_type = Some(os_type);
        self
    }

    /// Sets how the image boots; the default is BIOS, and UEFI on `arm64`.
    #[must_use]
    pub fn with_boot_mode(mut self, mode: BootMode) -> Self {
        self.operation.boot_mode = Some(mode);
        self
    }

    /// Sets the Windows licence to use.
    #[must_use]
    pub fn with_license(mut self, license: LicenseType) -> Self {
        self.operation.license = Some(license);
        self
    }

    /// Adds a tag; there may be 20.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.operation.tags.push(Tag { key: key.into(), value: value.into() });
        self
    }

    /// Names the role that ECS reads the bucket with; the default is
    /// [`IMPORT_ROLE`](super::IMPORT_ROLE), and none other is documented to work.
    #[must_use]
    pub fn with_role(mut self, name: impl Into<String>) -> Self {
        self.operation.role_name = Some(name.into());
        self
    }

    /// Puts the image into a resource group.
    #[must_use]
    pub fn with_resource_group(mut self, id: impl Into<String>) -> Self {
        self.operation.resource_group_id = Some(id.into());
        self
    }

    /// Has the service check the image once it is there.
    #[must_use]
    pub fn with_detection(mut self, detect: bool) -> Self {
        self.operation.detect = detect;
        self
    }

    /// Sets where the bucket is if it is on a CloudBox.
    #[must_use]
    pub fn with_storage_location(mut self, arn: impl Into<String>) -> Self {
        self.operation.storage_location_arn = Some(arn.into());
        self
    }

    /// Sets whether the image has an NVMe driver in its initramfs.
    #[must_use]
    pub fn with_nvme_support(mut self, supported: bool) -> Self {
        self.operation.nvme_support = Some(supported);
        self
    }

    /// Sets which instance metadata modes are allowed.
    #[must_use]
    pub fn with_imds_support(mut self, support: ImdsSupport) -> Self {
        self.operation.imds_support = Some(support);
        self
    }

    /// Returns the region.
    pub fn region(&self) -> &Region {
        &self.operation.region
    }

    /// Returns the image's name.
    pub fn name(&self) -> &str {
        self.operation.name.as_deref().unwrap_or_default()
    }

    /// Returns the disks, the system disk first.
    pub fn disks(&self) -> &[ImportDisk] {
        &self.operation.disks
    }

    /// Returns the tags.
    pub fn tags(&self) -> &[Tag] {
        &self.operation.tags
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.operation.description.as_deref()
    }

    /// Returns how the image boots; none leaves it to the service.
    pub fn boot_mode(&self) -> Option<BootMode> {
        self.operation.boot_mode
    }

    /// Returns the name of the role that ECS reads the bucket with.
    pub fn role(&self) -> &str {
        self.operation.role_name.as_deref().unwrap_or(super::IMPORT_ROLE)
    }

    /// Checks the request against the documented rules, without asking anyone.
    pub fn check(&self) -> Vec<Finding> {
        let asked = &self.operation;
        let mut findings = rules::check_image_name(self.name());
        findings.extend(asked.description.iter().flat_map(|text| rules::check_description(text)));
        let tags: Vec<(&str, &str)> =
            asked.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
        findings.extend(rules::check_tags(&tags));
        if let Some(platform) = &asked.platform {
            findings.extend(rules::check_platform(platform, asked.os_type));
        }
        findings.extend(rules::check_boot_mode(asked.architecture, asked.boot_mode));
        findings.extend(rules::check_license(asked.os_type, asked.platform.as_deref(), asked.license));
        findings.extend(rules::check_disk_count(asked.disks.len()));
        for (disk, role) in
            asked.disks.iter().zip([DiskRole::System].into_iter().chain(std::iter::repeat(DiskRole::Data)))
        {
            findings.extend(rules::check_object_key(disk.object.key.as_str()));
            findings
                .extend(disk.size_gib.iter().flat_map(|size| rules::check_disk_size(u64::from(*size), role)));
        }
        findings
    }

    /// Whether the rules forbid the request.
    pub fn is_refused(&self) -> bool {
        Verdict::of(&self.check()).is_refused()
    }

    /// Returns the request as it is sent, to be shown or called.
    pub fn operation(&self, token: Option<&ClientToken>, dry_run: bool) -> ImportImage {
        let mut operation = self.operation.clone();
        operation.client_token = token.cloned();
        operation.dry_run = dry_run;
        operation
    }
}
