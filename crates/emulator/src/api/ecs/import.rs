//! ImportImage: the checks in their order, and what a good call makes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::cloud::{self, IMPORT_POLICY, IMPORT_ROLE};
use super::super::entry::{Disk, Entry, Failure, Image, ObjectState, Origin, Phase, Snapshot, Work};
use super::super::world;
use super::asked::AskedDisk;
use super::probe::Seen;
use super::rules;
use crate::store::{DEFAULT_OWNER, Encryption, Object};
use ossup_core::model::BucketName;

const SUFFIXES: &[&str] = &["raw", "vhd", "qcow2", "qcow", "img", "vmdk"];

impl Service<'_> {
    pub(super) fn import_image(&mut self) -> Result<Value, Refusal> {
        let disks = self.asked_disks()?;
        let mut image = self.asked_image()?;
        self.check_sizes(&disks)?;
        if let Some(answer) = self.replay()? {
            return Ok(answer);
        }
        if !image.name.is_empty() && self.name_taken(&image.region, &image.name) {
            let message = "The specified image name has already been used.";
            return Err(Refusal::new(400, "InvalidImageName.Duplicated", message));
        }
        self.check_role()?;
        let mut objects = Vec::new();
        for disk in &disks {
            self.check_bucket(&disk.bucket)?;
            let object = self.check_object(disk)?;
            let seen = self.probe(disk, &image, &object)?;
            image.checked.extend_from_slice(&seen.checked);
            objects.push((object, seen));
        }
        self.check_quota(&image.region)?;
        self.end_dry_run()?;
        if image.name.is_empty() {
            image.name.clone_from(&image.id);
        }
        self.begin(image, &disks, &objects)
    }

    fn check_sizes(&self, disks: &[AskedDisk]) -> Result<(), Refusal> {
        for disk in disks {
            let options = &self.state.options;
            let (range, code) = match disk.n {
                1 => (&options.system_disk_gib, "InvalidImageSize"),
                _ => (&options.data_disk_gib, "InvalidDataDiskSize"),
            };
            if let Some(size) = disk.size_gib.filter(|size| !range.contains(size)) {
                let (low, high) = (range.start(), range.end());
                let message =
                    format!("The disk size {size} is out of range, it must be {low} to {high} GiB.");
                return Err(Refusal::new(400, code, message));
            }
        }
        Ok(())
    }

    /// Checks that ECS may take on a role that reads the bucket.
    fn check_role(&self) -> Result<(), Refusal> {
        let name = self.call.text("RoleName").unwrap_or(IMPORT_ROLE);
        let options = &self.state.options;
        let propagation = u64::try_from(options.role_propagation.as_millis()).unwrap_or(u64::MAX);
        let role = self.state.roles.get(name).filter(|role| {
            role.trust_policy.contains("ecs.aliyuncs.com")
                && self.millis.saturating_sub(role.since) >= propagation
        });
        let Some(role) = role else {
            let message = "ECS service has no authorization to access your OSS.";
            return Err(Refusal::new(403, options.role_code.clone(), message));
        };
        let reads = |(kind, name): &(String, String)| kind == "Custom" || name == IMPORT_POLICY;
        if !role.policies.iter().any(reads) {
            let message = "The specified OSS bucket or object is not authorized to ECS.";
            return Err(Refusal::new(403, "InvalidOSS.NotAuthorized", message));
        }
        Ok(())
    }

    fn check_bucket(&self, name: &BucketName) -> Result<(), Refusal> {
        let bucket = self.store().bucket(name).filter(|bucket| bucket.owner == DEFAULT_OWNER);
        let bucket = bucket.filter(|bucket| bucket.region.as_str() == self.region()).ok_or_else(|| {
            let message = "The specified OSS bucket does not exist in this region.";
            Refusal::new(400, "InvalidOSSBucket.NotFound", message)
        })?;
        if self.refuses_encryption(bucket.encryption.as_ref()) {
            let message = "The specified OSS bucket is encrypted.";
            return Err(Refusal::new(403, "InvalidOSSBucket.EncryptUnsupported", message));
        }
        Ok(())
    }

    /// Whether an import from what is encrypted so is refused. AES256 was seen to be imported.
    fn refuses_encryption(&self, encryption: Option<&Encryption>) -> bool {
        encryption
            .is_some_and(|encryption| encryption.algorithm != "AES256" || self.state.options.refuse_aes256)
    }

    fn check_object(&self, disk: &AskedDisk) -> Result<Arc<Object>, Refusal> {
        let object = self.store().object(&disk.bucket, &disk.key)?.ok_or_else(|| {
            let message = "The specified OSS object does not exist.";
            Refusal::new(400, "InvalidOSSObject.NotFound", message)
        })?;
        if object.record.size == 0 {
            return Err(Refusal::new(400, "InvalidOSSObject.Size", "The specified OSS object is empty."));
        }
        // Also of an object that is not looked into it is plain that it is too large. Other formats hold more than
        // the disk.
        if disk.format.as_deref() == Some("RAW") {
            rules::fits(disk.n, disk.size_gib, object.record.size)?;
        }
        if object.record.headers.storage_class.ends_with("Archive") {
            let message = "The specified OSS object is archived and must be restored first.";
            return Err(Refusal::new(400, "InvalidOSSObject.NeedRestore", message));
        }
        if self.refuses_encryption(object.record.headers.encryption.as_ref()) {
            let message = "The specified OSS object is encrypted.";
            return Err(Refusal::new(403, "InvalidOSSBucket.EncryptUnsupported", message));
        }
        let file = disk.key.as_str().rsplit('/').next().unwrap_or_default();
        if let Some((_, suffix)) = file.rsplit_once('.')
            && self.state.options.check_suffix
            && !SUFFIXES.iter().any(|known| known.eq_ignore_ascii_case(suffix))
        {
            let message = "The suffix of the specified OSS object is not supported.";
            return Err(Refusal::new(400, "UnsupportedSuffix.OSSObject", message));
        }
        Ok(object)
    }

    /// Makes image, task and snapshots, in one record.
    fn begin(
        &mut self,
        mut image: Image,
        disks: &[AskedDisk],
        objects: &[(Arc<Object>, Seen)],
    ) -> Result<Value, Refusal> {
        let region = image.region.clone();
        let mut snapshots = Vec::new();
        let mut states = Vec::new();
        let mut bytes = 0_u64;
        let mut failure = self.state.options.finished_but_failed.then(|| Failure {
            percent: 40,
            code: "ImportImageFailed".to_owned(),
            message: "The import failed.".to_owned(),
        });
        for (disk, (object, seen)) in disks.iter().zip(objects) {
            let record = &object.record;
            failure = failure.or_else(|| seen.failure.clone());
            let smallest = record.size.div_ceil(1 << 30).max(5);
            let size_gib = disk.size_gib.or(seen.size_gib).unwrap_or(smallest);
            let snapshot = Snapshot {
                id: cloud::new_id("s", &region),
                name: format!("ImportImage_{}", image.name),
                size_gib,
                system: disk.n == 1,
                created: self.now,
                tags: Vec::new(),
            };
            image.disks.push(Disk {
                device: device(disk.n),
                format: seen
                    .format
                    .map(str::to_owned)
                    .or(disk.format.clone())
                    .unwrap_or_else(|| "RAW".to_owned()),
                bucket: disk.bucket.to_string(),
                key: disk.key.to_string(),
                size_gib,
                snapshot: snapshot.id.clone(),
                encryption: None,
            });
            snapshots.push(snapshot);
            bytes = bytes.saturating_add(record.size);
            states.push(ObjectState {
                bucket: disk.bucket.clone(),
                key: disk.key.clone(),
                size: record.size,
                etag: record.etag.clone(),
                modified: record.modified,
            });
        }
        let task = cloud::new_id("t", &region);
        let (image_id, task_field) = (image.id.clone(), self.state.options.task_id_field.clone());
        let mut answer = json!({"ImageId": image_id, "RegionId": region});
        answer[task_field] = json!(task);
        let work = Work { duration: self.import_millis(bytes), failure };
        let entry = Entry {
            serial: self.state.next_serial(),
            deleted: false,
            origin: Origin::Import { task, objects: states, created: self.now, finished: None },
            snapshots,
            phase: Phase::Queued { since: self.millis, work },
            token: self.token(&answer),
            looks: 0,
            image,
        };
        self.enqueue(entry)?;
        Ok(answer)
    }

    /// Takes in an entry with work to do, and starts that if there is room.
    pub(super) fn enqueue(&mut self, entry: Entry) -> Result<(), Refusal> {
        let (id, queue) = (entry.image.id.clone(), (entry.image.region.clone(), entry.is_copy()));
        let limit = self.state.options.running_limit.max(1);
        // In memory first, to see whether it starts; it is there for others only once it is on disk.
        self.state.entries.insert(id.clone(), entry);
        world::start_waiting(&mut self.state.entries, &queue, self.millis, limit);
        let entry = self.state.entries.remove(&id).expect("it was just inserted");
        Ok(self.state.put(entry, self.emulator.store())?)
    }

    fn import_millis(&self, bytes: u64) -> u64 {
        let options = &self.state.options;
        let base = u64::try_from(options.base_duration.as_millis()).unwrap_or(u64::MAX);
        let reading = options.bytes_per_second.map_or(0, |rate| bytes.saturating_mul(1000) / rate.max(1));
        base.saturating_add(reading)
    }
}

/// Returns the device of disk `n`: `/dev/xvda` for 1.
fn device(n: u32) -> String {
    let letter = char::from(b'a' + u8::try_from(n - 1).unwrap_or(25).min(25));
    format!("/dev/xvd{letter}")
}
