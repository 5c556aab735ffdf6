use jiff::Timestamp;
use serde_json::Value;

use super::import_image::Tag;
use crate::model::{Architecture, ImageId, ImageStatus, Region, SnapshotId};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response, TimeoutClass};

const NAME: &str = "DescribeImages";
/// All states: by default only Available images are listed, and an import would be invisible.
const ALL_STATES: &str = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";
/// Largest page.
const PAGE_SIZE: u32 = 100;

/// Whose images are listed (`ImageOwnerAlias`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageOwner {
    /// The account's own.
    #[default]
    Own,
    /// ECS's own.
    System,
    /// Those that other accounts share with this one.
    Shared,
    /// Community images: those that other accounts have published. The service takes `IsPublic` for these alone.
    Community,
}

/// Lists images of a region, the account's own in any state unless told otherwise ("DescribeImages" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeImages {
    /// The region.
    pub region: Region,
    /// Only this image.
    pub image_id: Option<ImageId>,
    /// Only images whose names contain this text; the service's comparison is fuzzy.
    pub name: Option<String>,
    /// Only images of this family.
    pub family: Option<String>,
    /// Whose images.
    pub owner: ImageOwner,
    /// Only images for this architecture.
    pub architecture: Option<Architecture>,
    /// Only images in these states; in any if empty.
    pub statuses: Vec<ImageStatus>,
    /// The page, from 1.
    pub page: u32,
}

impl DescribeImages {
    /// Returns a request for all own images.
    pub fn new(region: Region) -> Self {
        Self {
            region,
            image_id: None,
            name: None,
            family: None,
            owner: ImageOwner::Own,
            architecture: None,
            statuses: Vec::new(),
            page: 1,
        }
    }

    /// Asks for one image.
    #[must_use]
    pub fn with_image_id(mut self, id: ImageId) -> Self {
        self.image_id = Some(id);
        self
    }

    /// Asks for images of a similar name. Names must be compared again: "substring" is not promised either.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Asks for images of a family. Others see a family as `acs:ACCOUNT:FAMILY`.
    #[must_use]
    pub fn with_family(mut self, family: impl Into<String>) -> Self {
        self.family = Some(family.into());
        self
    }

    /// Asks for somebody else's images.
    #[must_use]
    pub fn with_owner(mut self, owner: ImageOwner) -> Self {
        self.owner = owner;
        self
    }

    /// Asks for images for an architecture.
    #[must_use]
    pub fn with_architecture(mut self, architecture: Architecture) -> Self {
        self.architecture = Some(architecture);
        self
    }

    /// Asks for images in these states.
    #[must_use]
    pub fn with_statuses(mut self, statuses: Vec<ImageStatus>) -> Self {
        self.statuses = statuses;
        self
    }

    /// Asks for another page.
    #[must_use]
    pub fn with_page(mut self, page: u32) -> Self {
        self.page = page;
        self
    }
}

/// A page of images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImagePage {
    /// The images of this page.
    pub images: Vec<CustomImage>,
    /// How many there are on all pages.
    pub total: u64,
    /// Whether further pages may hold more.
    pub has_more: bool,
}

/// A custom image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustomImage {
    /// Its id.
    pub image_id: ImageId,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its family.
    pub family: Option<String>,
    /// Its state.
    pub status: ImageStatus,
    /// How much of it is made, in percent.
    pub progress: Option<u8>,
    /// Whether instances can be made from it already; it may follow the state `Available` by a while.
    pub usable: Option<bool>,
    /// The system disk's size in GiB.
    pub size_gib: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The operating system's family.
    pub os_type: Option<String>,
    /// The distribution.
    pub platform: Option<String>,
    /// The architecture.
    pub architecture: Option<String>,
    /// The boot mode.
    pub boot_mode: Option<String>,
    /// Whether it is a copy of another image.
    pub is_copied: bool,
    /// Whether it is a community image, which every account can use; nothing if the service does not say.
    pub is_public: Option<bool>,
    /// Whether it is shared with other accounts; nothing if the service does not say.
    pub is_shared: Option<bool>,
    /// Whether instances were made from it; nothing if the service does not say.
    pub in_use: Option<bool>,
    /// `self`, `others`, `system` or `marketplace`.
    pub owner_alias: Option<String>,
    /// The account that it belongs to.
    pub owner_id: Option<String>,
    /// Its disks.
    pub disks: Vec<DiskOfImage>,
    /// Its tags; the service adds some of its own.
    pub tags: Vec<Tag>,
    /// The result of the image check, if one was asked for.
    pub detection: Option<Detection>,
}

impl CustomImage {
    /// Returns the snapshots that hold its disks, as far as they are known.
    pub fn snapshots(&self) -> Vec<SnapshotId> {
        self.disks.iter().filter_map(|disk| disk.snapshot_id.clone()).collect()
    }

    /// Returns the value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }
}

#[cfg(test)]
impl CustomImage {
    /// Returns an Available image of which nothing else is known.
    pub(crate) fn available(id: &str) -> Self {
        Self {
            image_id: id.parse().unwrap(),
            name: None,
            description: None,
            family: None,
            status: ImageStatus::Available,
            progress: None,
            usable: None,
            size_gib: None,
            created: None,
            os_type: None,
            platform: None,
            architecture: None,
            boot_mode: None,
            is_copied: false,
            is_public: None,
            is_shared: None,
            in_use: None,
            owner_alias: None,
            owner_id: None,
            disks: Vec::new(),
            tags: Vec::new(),
            detection: None,
        }
    }
}

/// A disk of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOfImage {
    /// `/dev/xvda` and so on.
    pub device: Option<String>,
    /// Its size in GiB.
    pub size_gib: Option<u64>,
    /// The snapshot that holds its content; absent early in an import.
    pub snapshot_id: Option<SnapshotId>,
    /// Its format.
    pub format: Option<String>,
    /// The bucket that it was imported from.
    pub import_bucket: Option<String>,
    /// The key that it was imported from.
    pub import_object: Option<String>,
    /// How much of it is made, in percent.
    pub progress: Option<u8>,
    /// Seconds that a copy still takes.
    pub remain_seconds: Option<u64>,
    /// Whether its content is encrypted.
    pub encrypted: Option<bool>,
}

/// What the image check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detection {
    /// Whether the check has ended.
    pub finished: bool,
    /// What was looked at, in the order of the answer.
    pub items: Vec<CheckedItem>,
}

impl Detection {
    /// Returns the items that are of high or medium risk.
    pub fn risks(&self) -> impl Iterator<Item = &CheckedItem> {
        self.items.iter().filter(|item| item.level.is_some())
    }
}

/// An item of the image check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedItem {
    /// What was checked, such as `GUESTOS.CloudInit`.
    pub name: String,
    /// What was found.
    pub value: Option<String>,
    /// `High` or `Medium` risk; `None` if all is well.
    pub level: Option<String>,
    /// The risk's code.
    pub code: Option<String>,
}

impl Operation for DescribeImages {
    type Output = ImagePage;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let statuses: Vec<&str> = self.statuses.iter().map(ImageStatus::as_str).collect();
        let statuses = if statuses.is_empty() { ALL_STATES.to_owned() } else { statuses.join(",") };
        let owner = match self.owner {
            ImageOwner::Own => "self",
            ImageOwner::System => "system",
            ImageOwner::Shared | ImageOwner::Community => "others",
        };
        let params = Params::in_region(&self.region)
            .with_some("ImageId", self.image_id.as_ref())
            .with_some("ImageName", self.name.as_deref())
            .with_some("ImageFamily", self.family.as_deref())
            .with("Status", statuses)
            .with("ImageOwnerAlias", owner)
            .with_some("Architecture", self.architecture)
            .with_flag("IsPublic", self.owner == ImageOwner::Community)
            .with("PageNumber", self.page)
            .with("PageSize", PAGE_SIZE);
        rpc::ecs(NAME, &self.region, params)
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<ImagePage, DecodeError> {
        let value = json::read(NAME, answer)?;
        let images: Vec<CustomImage> =
            json::list(&value, "Images", "Image").into_iter().map(image).collect::<Result<_, _>>()?;
        let total = json::number(&value, "TotalCount").unwrap_or(images.len() as u64);
        let has_more = !images.is_empty() && u64::from(self.page) * u64::from(PAGE_SIZE) < total;
        Ok(ImagePage { images, total, has_more })
    }
}

/// Returns the tags of a resource as lists of resources have them.
pub(super) fn tags(value: &Value) -> Vec<Tag> {
    let tag = |tag: &Value| {
        let value = json::text(tag, "TagValue").unwrap_or_default();
        Some(Tag { key: json::text(tag, "TagKey")?, value })
    };
    json::list(value, "Tags", "Tag").into_iter().filter_map(tag).collect()
}

fn image(value: &Value) -> Result<CustomImage, DecodeError> {
    Ok(CustomImage {
        image_id: json::required(NAME, value, "ImageId")?,
        name: json::text(value, "ImageName"),
        description: json::text(value, "Description"),
        family: json::text(value, "ImageFamily"),
        status: json::required::<String>(NAME, value, "Status")?.as_str().into(),
        progress: json::percent(value, "Progress"),
        usable: json::flag(value, "Usable"),
        size_gib: json::number(value, "Size"),
        created: json::time(value, "CreationTime"),
        os_type: json::text(value, "OSType"),
        platform: json::text(value, "Platform"),
        architecture: json::text(value, "Architecture"),
        boot_mode: json::text(value, "BootMode"),
        is_copied: json::flag(value, "IsCopied").unwrap_or(false),
        is_public: json::flag(value, "IsPublic"),
        is_shared: json::flag(value, "IsSelfShared"),
        in_use: json::text(value, "Usage").map(|usage| !usage.eq_ignore_ascii_case("none")),
        owner_alias: json::text(value, "ImageOwnerAlias"),
        owner_id: json::text(value, "ImageOwnerId"),
        disks: json::list(value, "DiskDeviceMappings", "DiskDeviceMapping").into_iter().map(disk).collect(),
        tags: tags(value),
        detection: value.get("DetectionOptions").and_then(detection),
    })
}

fn disk(value: &Value) -> DiskOfImage {
    DiskOfImage {
        device: json::text(value, "Device"),
        size_gib: json::number(value, "Size"),
        snapshot_id: json::text(value, "SnapshotId").and_then(|id| id.parse().ok()),
        format: json::text(value, "Format"),
        import_bucket: json::text(value, "ImportOSSBucket"),
        import_object: json::text(value, "ImportOSSObject"),
        progress: json::percent(value, "Progress"),
        remain_seconds: json::number(value, "RemainTime"),
        encrypted: json::flag(value, "Encrypted"),
    }
}

fn detection(value: &Value) -> Option<Detection> {
    let status = json::text(value, "Status")?;
    let items = json::list(value, "Items", "Item").into_iter().filter_map(|item| {
        Some(CheckedItem {
            name: json::text(item, "Name")?,
            value: json::text(item, "Value"),
            level: json::text(item, "RiskLevel"),
            code: json::text(item, "RiskCode"),
        })
    });
    Some(Detection { finished: status.eq_ignore_ascii_case("Finished"), items: items.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    fn describe() -> DescribeImages {
        DescribeImages::new("eu-central-1".parse().unwrap())
    }

    #[test]
    fn images_that_are_being_imported_are_asked_for() {
        let sent = params(&describe().with_name("rocky9").with_page(2));
        assert_eq!(sent[1], "ImageName=rocky9");
        assert_eq!(sent[2], "Status=Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated");
        assert_eq!(sent[3..], ["ImageOwnerAlias=self", "PageNumber=2", "PageSize=100"]);
    }

    #[test]
    fn images_of_others_are_asked_for_as_the_page_says() {
        let available = vec![ImageStatus::Available, ImageStatus::Deprecated];
        let list = describe().with_family("web").with_statuses(available);
        let sent = params(&list.clone().with_owner(ImageOwner::Shared));
        assert_eq!(sent[1..4], ["ImageFamily=web", "Status=Available,Deprecated", "ImageOwnerAlias=others"]);
        assert!(!sent.iter().any(|param| param.starts_with("IsPublic")), "{sent:?}");
        let system = list.clone().with_owner(ImageOwner::System).with_architecture(Architecture::Arm64);
        let sent = params(&system);
        assert!(sent.contains(&"ImageOwnerAlias=system".to_owned()), "{sent:?}");
        assert!(sent.contains(&"Architecture=arm64".to_owned()), "{sent:?}");
        let sent = params(&list.with_owner(ImageOwner::Community));
        assert_eq!(sent[3..5], ["ImageOwnerAlias=others", "IsPublic=true"]);
    }

    #[test]
    fn who_can_use_an_image_and_who_does_is_read() {
        let read = |members: &str| {
            let body =
                format!(r#"{{"Images":{{"Image":[{{"ImageId":"m-1","Status":"Available"{members}}}]}}}}"#);
            let image = describe().decode(&answer(&body)).unwrap().images.remove(0);
            (image.is_public, image.is_shared, image.in_use)
        };
        let told =
            r#","IsPublic":"True","IsSelfShared":"False","Usage":"instance","ImageOwnerId":1234567890123456"#;
        assert_eq!(read(told), (Some(true), Some(false), Some(true)));
        assert_eq!(
            read(r#","IsPublic":false,"IsSelfShared":"","Usage":"none""#),
            (Some(false), None, Some(false))
        );
        assert_eq!(read(""), (None, None, None));
    }

    #[test]
    fn an_import_in_progress_is_read() {
        let body = r#"{"PageNumber":1,"PageSize":10,"TotalCount":"1","RegionId":"eu-central-1","Images":{"Image":[
            {"ImageId":"m-gw8abcdefghij0123456","ImageName":"rocky9","Status":"Creating","Progress":"32%","Size":"40",
             "CreationTime":"2025-03-04T05:06:10Z","IsCopied":"False","Usable":"False","Surprise":{"a":[1]},
             "Tags":{"Tag":[{"TagKey":"acs:ecs:image:osVersion","TagValue":"9"}]},
             "DetectionOptions":{"Status":"Processing","Items":{"Item":[
                {"Name":"OSVersion","Value":"Rocky Linux 9"},
                {"Name":"GUESTOS.Nvme","Value":"no","RiskLevel":"High","RiskCode":"NVMe.NotInstallded"}]}},
             "DiskDeviceMappings":{"DiskDeviceMapping":[{"Device":"/dev/xvda","Type":"system","Size":"40",
                "SnapshotId":"","Format":"QCOW2","ImportOSSBucket":"images","ImportOSSObject":"rocky9.qcow2",
                "Progress":"","RemainTime":0}]}}]}}"#;
        let page = describe().decode(&answer(body)).unwrap();
        assert_eq!((page.total, page.has_more), (1, false));
        let image = &page.images[0];
        assert_eq!(image.status, ImageStatus::Creating);
        assert_eq!((image.progress, image.size_gib, image.usable), (Some(32), Some(40), Some(false)));
        assert!(!image.is_copied && image.created.is_some());
        assert_eq!(image.tags[0].value, "9");
        let disk = &image.disks[0];
        assert_eq!(disk.snapshot_id, None);
        assert_eq!(disk.import_object.as_deref(), Some("rocky9.qcow2"));
        assert_eq!((disk.progress, disk.remain_seconds), (None, Some(0)));
        let detection = image.detection.as_ref().unwrap();
        assert!(!detection.finished);
        assert_eq!(detection.items[0].value.as_deref(), Some("Rocky Linux 9"));
        let codes: Vec<_> = detection.risks().map(|risk| risk.code.as_deref()).collect();
        assert_eq!(codes, [Some("NVMe.NotInstallded")]);
    }

    #[test]
    fn an_unknown_image_is_an_empty_list() {
        for body in [r#"{"TotalCount":0,"Images":{"Image":[]}}"#, r#"{"Images":{}}"#, "{}"] {
            let page = describe().decode(&answer(body)).unwrap();
            assert!(page.images.is_empty() && !page.has_more, "{body}");
        }
    }

    #[test]
    fn further_pages_end_with_the_total() {
        let body = r#"{"TotalCount":150,"Images":{"Image":[{"ImageId":"m-1","Status":"Available"}]}}"#;
        assert!(describe().decode(&answer(body)).unwrap().has_more);
        assert!(!describe().with_page(2).decode(&answer(body)).unwrap().has_more);
    }

    #[test]
    fn an_image_without_a_state_is_refused() {
        let body = r#"{"Images":{"Image":[{"ImageId":"m-1"}]}}"#;
        assert_eq!(describe().decode(&answer(body)).unwrap_err().reason, "lacks `Status`");
    }
}
