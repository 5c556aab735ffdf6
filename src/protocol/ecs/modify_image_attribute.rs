use super::import_image::{ImdsSupport, nvme};
use crate::model::{BootMode, ImageId, LicenseType, Region};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "ModifyImageAttribute";

/// Changes what is recorded about an image ("ModifyImageAttribute" page). `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModifyImageAttribute {
    /// The image's region.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
    /// The image's family.
    pub family: Option<String>,
    /// Whether the image is withdrawn.
    pub availability: Option<ImageAvailability>,
    /// How instances boot.
    pub boot_mode: Option<BootMode>,
    /// The licence to use; only `BYOL` is accepted.
    pub license: Option<LicenseType>,
    /// Whether the image has an NVMe driver.
    pub nvme_support: Option<bool>,
    /// Which metadata modes are allowed.
    pub imds_support: Option<ImdsSupport>,
    /// Only checks the request; success is an error code.
    pub dry_run: bool,
}

/// What an owner can make of an image's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageAvailability {
    /// In use.
    Available,
    /// Withdrawn.
    Deprecated,
}

impl ModifyImageAttribute {
    /// Returns a request that changes nothing yet.
    pub fn new(region: Region, image_id: ImageId) -> Self {
        Self {
            region,
            image_id,
            name: None,
            description: None,
            family: None,
            availability: None,
            boot_mode: None,
            license: None,
            nvme_support: None,
            imds_support: None,
            dry_run: false,
        }
    }
}

impl Operation for ModifyImageAttribute {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let availability = self.availability.map(|availability| match availability {
            ImageAvailability::Available => "Available",
            ImageAvailability::Deprecated => "Deprecated",
        });
        let params = Params::in_region(&self.region)
            .with("ImageId", &self.image_id)
            .with_some("ImageName", self.name.as_deref())
            .with_some("Description", self.description.as_deref())
            .with_some("ImageFamily", self.family.as_deref())
            .with_some("Status", availability)
            .with_some("BootMode", self.boot_mode)
            .with_some("LicenseType", self.license)
            .with_some("Features.NvmeSupport", self.nvme_support.map(nvme))
            .with_some("Features.ImdsSupport", self.imds_support.map(ImdsSupport::as_str))
            .with_flag("DryRun", self.dry_run);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::params;

    #[test]
    fn only_what_changes_is_sent() {
        let mut modify = ModifyImageAttribute::new("cn-hangzhou".parse().unwrap(), "m-1".parse().unwrap());
        modify.family = Some("rocky".into());
        modify.availability = Some(ImageAvailability::Deprecated);
        modify.boot_mode = Some(BootMode::UefiPreferred);
        let expected = [
            "RegionId=cn-hangzhou",
            "ImageId=m-1",
            "ImageFamily=rocky",
            "Status=Deprecated",
            "BootMode=UEFI-Preferred",
        ];
        assert_eq!(params(&modify), expected);
    }
}
