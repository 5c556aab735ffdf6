//! DescribeImages, ModifyImageAttribute and DeleteImage.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::clock::Millis;
use super::super::entry::{Entry, Image, Phase};
use super::super::options::EcsOptions;
use super::{no_image, page, rules, tags};
use crate::store::DEFAULT_OWNER;

const STATES: &[&str] =
    &["Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated", "ALL"];

impl Service<'_> {
    pub(super) fn describe_images(&mut self) -> Result<Value, Refusal> {
        let (number, size) = self.call.page()?;
        let wanted: Vec<&str> =
            self.call.text("Status").unwrap_or("Available").split(',').map(str::trim).collect();
        if let Some(bad) = wanted.iter().find(|state| !STATES.contains(state)) {
            let message = format!("The specified Status \"{bad}\" is not valid.");
            return Err(Refusal::new(400, "InvalidStatus", message));
        }
        let owners = ["system", "self", "others", "marketplace"];
        let owner = self.call.text("ImageOwnerAlias").unwrap_or("self");
        if !owners.contains(&owner) {
            return Err(Refusal::malformed("InvalidImageOwnerAlias.ValueNotSupported", "ImageOwnerAlias"));
        }
        let community = self.call.flag("IsPublic")?;
        if community && owner != "others" {
            let code = "InvalidImageOwnerAlias.PublicImageUnsupported";
            return Err(Refusal::malformed(code, "ImageOwnerAlias"));
        }
        let usage = self.call.text("Usage");
        if usage.is_some_and(|usage| !["instance", "none"].contains(&usage)) {
            return Err(Refusal::new(404, "InvalidUsage", "The specified Usage is not found."));
        }
        let ids: Option<Vec<&str>> = self.call.text("ImageId").map(|ids| ids.split(',').collect());
        let tags = rules::tags(self.call)?;
        self.end_dry_run()?;
        let options = self.state.options.clone();
        let mut found: Vec<(u64, String)> = Vec::new();
        for entry in self.state.entries.values() {
            let status = entry.image_status(&options);
            let matches = !entry.deleted
                && owner == "self"
                && entry.image.region == self.region()
                && (wanted.contains(&"ALL") || wanted.contains(&status))
                && ids.as_ref().is_none_or(|ids| ids.contains(&entry.image.id.as_str()))
                && self.call.text("ImageName").is_none_or(|name| match options.whole_names {
                    true => entry.image.name == name,
                    false => entry.image.name.contains(name),
                })
                && self.call.text("Architecture").is_none_or(|arch| entry.image.architecture == arch)
                && self.call.text("OSType").is_none_or(|os| entry.image.os_type == os)
                && self.call.text("ImageFamily").is_none_or(|family| entry.image.family == family)
                && usage.is_none_or(|usage| (usage == "instance") == self.state.is_used(entry))
                && tags.iter().all(|tag| entry.image.tags.contains(tag));
            if matches {
                found.push((entry.serial, entry.image.id.clone()));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        let mut shown: Vec<Value> = Vec::new();
        if let Some(name) =
            self.call.text("ImageName").filter(|_| options.fuzzy_neighbours && owner == "self")
        {
            shown.push(neighbour(&format!("x-{name}-old"), self.region()));
        }
        if let Some(name) = options.foreign_image.as_ref().filter(|_| owner == "others") {
            let name = if community { format!("{name}-community") } else { name.clone() };
            let theirs = foreign(&name, self.region(), community);
            let is_asked = ids.as_ref().is_none_or(|ids| ids.contains(&FOREIGN_ID))
                && self.call.text("ImageName").is_none_or(|wanted| name.contains(wanted))
                && self.call.text("ImageFamily").is_none();
            shown.extend(is_asked.then_some(theirs));
        }
        for (id, architecture) in SYSTEM_IMAGES.iter().filter(|_| owner == "system") {
            let is_asked = ids.as_ref().is_none_or(|ids| ids.contains(id))
                && self.call.text("Architecture").is_none_or(|wanted| wanted == *architecture)
                && self.call.text("OSType").is_none_or(|os| os == "linux")
                && self.call.text("ImageName").is_none_or(|name| id.contains(name));
            shown.extend(is_asked.then(|| system(id, architecture, self.region())));
        }
        for (_, id) in found {
            let in_use = self.state.entries.get(&id).is_some_and(|entry| self.state.is_used(entry));
            let entry = self.state.entries.get_mut(&id).expect("the id was just found");
            shown.push(image(entry, self.millis, in_use, &options));
            if matches!(entry.phase, Phase::Done { .. }) {
                entry.looks = entry.looks.saturating_add(1);
            }
        }
        let total = shown.len();
        Ok(json!({
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": total,
            "RegionId": self.region(),
            "Images": {"Image": page(shown, number, size)},
        }))
    }

    pub(super) fn modify_image_attribute(&mut self) -> Result<Value, Refusal> {
        let call = self.call;
        let mut entry = self.required_image()?.clone();
        if let Some(name) = rules::name(call, "ImageName")? {
            if name != entry.image.name && self.name_taken(&entry.image.region, &name) {
                let message = "The specified image name has already been used.";
                return Err(Refusal::new(400, "InvalidImageName.Duplicated", message));
            }
            entry.image.name = name;
        }
        if let Some(description) = rules::description(call, "Description")? {
            entry.image.description = description;
        }
        match call.text("Status") {
            None => {}
            Some("Deprecated") => {
                self.refuse_if_others_can_use(&entry)?;
                self.refuse_unless_made(&entry)?;
                entry.image.deprecated = true;
            }
            Some("Available") => {
                self.refuse_unless_made(&entry)?;
                entry.image.deprecated = false;
            }
            Some(_) => return Err(Refusal::malformed("InvalidStatus", "Status")),
        }
        let modes = ["BIOS", "UEFI", "UEFI-Preferred"];
        let image: &mut Image = &mut entry.image;
        image.boot_mode =
            rules::choice(call, "BootMode", &modes, &image.boot_mode, "InvalidBootMode.Malformed")?;
        image.license =
            rules::choice(call, "LicenseType", &["BYOL"], &image.license, "InvalidLicenseType.NotSupported")?;
        let nvme = ["supported", "unsupported"];
        let code = "InvalidParameter.FeaturesNvmeSupport";
        image.nvme = rules::choice(call, "Features.NvmeSupport", &nvme, &image.nvme, code)?;
        let code = "InvalidParameter.FeaturesImdsSupport";
        let imds = rules::choice(call, "Features.ImdsSupport", &["v1", "v2"], &image.imds, code)?;
        if image.imds == "v2" && imds == "v1" {
            return Err(Refusal::malformed(code, "Features.ImdsSupport"));
        }
        image.imds = imds;
        if let Some(family) = call.text("ImageFamily") {
            image.family = family.to_owned();
        }
        self.end_dry_run()?;
        self.state.put(entry, self.emulator.store())?;
        Ok(json!({}))
    }

    pub(super) fn delete_image(&mut self) -> Result<Value, Refusal> {
        let force = self.call.flag("Force")?;
        let mut entry = self.required_image()?.clone();
        if entry.is_pending() && !entry.is_copy() {
            return Err(Refusal::new(403, "ImageIsImporting", "The specified image is being imported."));
        }
        if entry.is_pending() || self.is_copied(&entry.image.id) {
            let message = "The specified image is being copied.";
            return Err(Refusal::new(403, "OperationDenied.ImageCopying", message));
        }
        self.refuse_if_others_can_use(&entry)?;
        if !force && self.state.is_used(&entry) {
            let message = "The specified image has been used to create instances.";
            return Err(Refusal::new(403, "ImageUsingByInstance", message));
        }
        entry.deleted = true;
        self.state.put(entry, self.emulator.store())?;
        Ok(json!({}))
    }

    /// Whether a copy of this image is being made.
    pub(super) fn is_copied(&self, id: &str) -> bool {
        use super::super::entry::Origin;
        self.state.entries.values().filter(|entry| entry.is_pending()).any(|entry| match &entry.origin {
            Origin::Copy { source, .. } => source == id,
            Origin::Import { .. } => false,
        })
    }

    /// Refuses what must be taken back from others first. For a deprecation the page has the rule and names no code.
    fn refuse_if_others_can_use(&self, entry: &Entry) -> Result<(), Refusal> {
        if entry.image.shared_with.is_empty() && !entry.image.public {
            return Ok(());
        }
        Err(Refusal::new(403, "ImageUseShared", "The specified image has been shared to others."))
    }

    fn refuse_unless_made(&self, entry: &Entry) -> Result<(), Refusal> {
        match entry.image_status(&self.state.options) {
            "Available" | "Deprecated" => Ok(()),
            _ => Err(incorrect_status()),
        }
    }

    /// Returns an image that must be Available, for copying and sharing: neither can be done with a deprecated one.
    pub(super) fn available_image(&self) -> Result<&Entry, Refusal> {
        let entry = self.image(self.call.required("ImageId")?).ok_or_else(no_image)?;
        match entry.image_status(&self.state.options) {
            "Available" => Ok(entry),
            // Its task is Finished, but the image is not yet free.
            "Creating" if !entry.is_pending() => {
                let message = "The specified image is being copied.";
                Err(Refusal::new(403, "OperationDenied.ImageCopying", message))
            }
            _ => Err(incorrect_status()),
        }
    }
}

fn incorrect_status() -> Refusal {
    let message = "The current status of the image does not support this operation.";
    Refusal::new(400, "IncorrectImageStatus", message)
}

fn image(entry: &Entry, now: Millis, in_use: bool, options: &EcsOptions) -> Value {
    let (record, percent) = (&entry.image, entry.percent(now));
    let ids_hidden = options.late_snapshot_ids && entry.is_pending() && percent < 50;
    let disks: Vec<Value> = record
        .disks
        .iter()
        .map(|disk| {
            let system = disk.device == "/dev/xvda";
            json!({
                "Device": disk.device,
                "Type": if system { "system" } else { "data" },
                "Size": disk.size_gib.to_string(),
                "SnapshotId": if ids_hidden { "" } else { disk.snapshot.as_str() },
                "Format": disk.format,
                "ImportOSSBucket": disk.bucket,
                "ImportOSSObject": disk.key,
                "Progress": if entry.is_copy() { format!("{percent}%") } else { String::new() },
                "RemainTime": 0,
                "Encrypted": disk.encryption.is_some(),
            })
        })
        .collect();
    let status = entry.image_status(options);
    let mut value = json!({
        "ImageId": record.id,
        "ImageName": record.name,
        "Description": record.description,
        "ImageFamily": record.family,
        "ImageVersion": "",
        "ResourceGroupId": record.resource_group,
        "Status": status,
        "Progress": format!("{percent}%"),
        "Size": record.disks.first().map_or(0, |disk| disk.size_gib),
        "CreationTime": record.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "OSType": record.os_type,
        "OSName": record.platform,
        "OSNameEn": record.platform,
        "Platform": record.platform,
        "Architecture": record.architecture,
        "BootMode": record.boot_mode,
        "LicenseType": record.license,
        "ImageOwnerAlias": "self",
        "ImageOwnerId": DEFAULT_OWNER.parse::<u64>().unwrap_or_default(),
        "IsCopied": entry.is_copy(),
        "IsPublic": record.public,
        "IsSubscribed": false,
        "IsSupportCloudinit": true,
        "IsSupportIoOptimized": true,
        "LoginAsNonRootSupported": false,
        "IsSelfShared": if record.shared_with.is_empty() { "" } else { "True" },
        "Usage": if in_use { "instance" } else { "none" },
        "Usable": status == "Available"
            && entry.looks >= options.looks_before_available + options.looks_before_usable,
        "Features": {"NvmeSupport": record.nvme, "ImdsSupport": record.imds},
        "Tags": {"Tag": tags::listed(&record.tags)},
        "DiskDeviceMappings": {"DiskDeviceMapping": disks},
    });
    if record.detect && status == "Available" {
        value["DetectionOptions"] = detection(entry, now, options);
    }
    value
}

/// Returns what the image check found; it ends as long after the import as a tenth of a minute.
fn detection(entry: &Entry, now: Millis, options: &EcsOptions) -> Value {
    const CHECK_MILLIS: Millis = 1000;
    let since = match entry.phase {
        Phase::Done { at } => at,
        _ => now,
    };
    if now.saturating_sub(since) < CHECK_MILLIS {
        return json!({"Status": "Processing", "Items": {"Item": []}});
    }
    let risk = json!({
        "Name": "GUESTOS.CloudInit",
        "Value": "NotInstalled",
        "RiskLevel": "High",
        "RiskCode": "CloudInit.NotInstallded",
    });
    let items = entry.image.checked.iter().map(super::check::Item::shown);
    let items: Vec<_> = items.chain(options.detection_risks.then_some(risk)).collect();
    json!({"Status": "Finished", "Items": {"Item": items}})
}

/// The images of ECS's own, and their architectures.
pub(super) const SYSTEM_IMAGES: [(&str, &str); 2] = [
    ("aliyun_3_x64_20G_alibase_emulated.vhd", "x86_64"),
    ("aliyun_3_arm64_20G_alibase_emulated.vhd", "arm64"),
];

/// Returns an image of ECS's own.
fn system(id: &str, architecture: &str, region: &str) -> Value {
    let mut value = neighbour(id, region);
    value["ImageId"] = json!(id);
    value["ImageOwnerAlias"] = json!("system");
    value["Architecture"] = json!(architecture);
    value["OSType"] = json!("linux");
    value["Platform"] = json!("Aliyun");
    value["Size"] = json!(20);
    value
}

/// The id of the image that belongs to another account.
const FOREIGN_ID: &str = "m-000000000000foreign0";

/// Returns an image of another account, which shares it with this one or has published it.
fn foreign(name: &str, region: &str, community: bool) -> Value {
    let mut value = neighbour(name, region);
    value["ImageId"] = json!(FOREIGN_ID);
    value["ImageOwnerAlias"] = json!("others");
    value["ImageOwnerId"] = json!(1_999_999_999_999_999_u64);
    value["IsPublic"] = json!(community);
    value
}

/// Returns another image whose name contains the searched one.
fn neighbour(name: &str, region: &str) -> Value {
    json!({
        "ImageId": format!("m-{:0>20}", "neighbour"),
        "ImageName": name,
        "Status": "Available",
        "Progress": "100%",
        "Size": 40,
        "RegionId": region,
        "ImageOwnerAlias": "self",
        "Tags": {"Tag": []},
        "DiskDeviceMappings": {"DiskDeviceMapping": [
            {"Device": "/dev/xvda", "Type": "system", "Size": "40", "SnapshotId": "", "Format": "RAW"}
        ]},
    })
}
