//! CopyImage and CancelCopyImage. A copy has no task; its image is watched.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::cloud;
use super::super::entry::{Encryption, Entry, Failure, Image, Origin, Phase, Snapshot, Work};
use super::rules;

impl Service<'_> {
    pub(super) fn copy_image(&mut self) -> Result<Value, Refusal> {
        let destination = self.call.required("DestinationRegionId")?.to_owned();
        let name = rules::name(self.call, "DestinationImageName")?;
        let description = rules::description(self.call, "DestinationDescription")?;
        let tags = rules::tags(self.call)?;
        let encryption = self.encryption()?;
        if !self.is_region(&destination) {
            let message = "The specified destination region does not exist.";
            return Err(Refusal::new(400, "DestinationRegion.NotFound", message));
        }
        // Within a region images are copied to change how they are encrypted.
        if destination == self.region() && encryption.is_none() {
            let message = "The destination region must differ from the source region.";
            return Err(Refusal::new(403, "IncorrectDestinationRegion", message));
        }
        if let Some(answer) = self.replay()? {
            return Ok(answer);
        }
        let source = self.available_image()?.image.clone();
        if source.public {
            return Err(super::community_image());
        }
        if self.state.options.vhd_not_copyable && source.disks.iter().any(|disk| disk.format == "VHD") {
            let message = "Images that were imported from VHD cannot be copied.";
            return Err(Refusal::new(403, "InvalidOperation.VhdImageUnsupported", message));
        }
        let id = cloud::new_id("m", &destination);
        let name = name.unwrap_or_else(|| id.clone());
        if self.name_taken(&destination, &name) {
            let message = "The specified image name has already been used.";
            return Err(Refusal::new(400, "InvalidImageName.Duplicated", message));
        }
        self.check_quota(&destination)?;
        self.end_dry_run()?;
        let answer = json!({"ImageId": id});
        let origin = Origin::Copy { source: source.id.clone(), region: source.region.clone() };
        let mut image = Image {
            id,
            region: destination.clone(),
            name,
            description: description.unwrap_or_default(),
            tags,
            created: self.now,
            detect: false,
            checked: Vec::new(),
            deprecated: false,
            // A family is of one region's images; a copy is put into one by ModifyImageAttribute.
            family: String::new(),
            shared_with: Vec::new(),
            public: false,
            resource_group: self.call.text("ResourceGroupId").unwrap_or_default().to_owned(),
            ..source
        };
        let mut snapshots = Vec::new();
        for disk in &mut image.disks {
            disk.snapshot = cloud::new_id("s", &destination);
            disk.encryption.clone_from(&encryption);
            // A copy comes from a snapshot and no longer from an object.
            disk.bucket.clear();
            disk.key.clear();
            snapshots.push(Snapshot {
                id: disk.snapshot.clone(),
                name: format!("CopyImage_{}", image.name),
                size_gib: disk.size_gib,
                system: disk.device == "/dev/xvda",
                created: self.now,
                tags: Vec::new(),
            });
        }
        let duration = u64::try_from(self.state.options.base_duration.as_millis()).unwrap_or(u64::MAX);
        let left = &mut self.state.options.copies_to_fail;
        let failure = (*left > 0).then(|| Failure {
            percent: 50,
            code: "InternalError".to_owned(),
            message: "The copy failed.".to_owned(),
        });
        *left = left.saturating_sub(1);
        let entry = Entry {
            serial: self.state.next_serial(),
            deleted: false,
            origin,
            snapshots,
            phase: Phase::Queued { since: self.millis, work: Work { duration, failure } },
            token: self.token(&answer),
            looks: 0,
            image,
        };
        self.enqueue(entry)?;
        Ok(answer)
    }

    /// Returns what is to encrypt the copy.
    fn encryption(&self) -> Result<Option<Encryption>, Refusal> {
        match (self.call.flag("Encrypted")?, self.call.text("KMSKeyId")) {
            (false, None) => Ok(None),
            (true, None) => Ok(Some(Encryption::ServiceKey)),
            (false, Some(_)) => {
                let message = "The specified parameter Encrypted must be true when kmsKeyId is not empty.";
                Err(Refusal::new(400, "InvalidParameter.EncryptedIllegal", message))
            }
            // Keys have ids like UUIDs or `key-…`; which there are is not kept here.
            (true, Some(key)) if key.starts_with("key-") || key.parse::<uuid::Uuid>().is_ok() => {
                Ok(Some(Encryption::Kms(key.to_owned())))
            }
            (true, Some(_)) => {
                let message = "The specified KMSKeyId does not exist.";
                Err(Refusal::new(404, "InvalidParameter.KMSKeyId.NotFound", message))
            }
        }
    }

    pub(super) fn cancel_copy_image(&mut self) -> Result<Value, Refusal> {
        let mut entry = self.required_image()?.clone();
        if !entry.is_copy() {
            let message = "The specified image is not a copy.";
            return Err(Refusal::new(400, "ImageCreatedNotFromCopy", message));
        }
        if !entry.is_pending() {
            let message = "The current status of the image does not support this operation.";
            return Err(Refusal::new(400, "IncorrectImageStatus", message));
        }
        entry.phase = Phase::Cancelled { percent: entry.percent(self.millis) };
        entry.deleted = true;
        entry.snapshots.clear();
        self.state.put(entry, self.emulator.store())?;
        self.state.settle(self.now, self.emulator.store())?;
        Ok(json!({}))
    }
}
