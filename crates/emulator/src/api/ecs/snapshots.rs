//! DescribeSnapshots and DeleteSnapshot. Snapshots outlive their images.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::{Encryption, Entry, Snapshot};
use super::{page, tags};

impl Service<'_> {
    pub(super) fn describe_snapshots(&mut self) -> Result<Value, Refusal> {
        let malformed =
            || Refusal { status: 403, ..Refusal::malformed("InvalidSnapshotIds.Malformed", "SnapshotIds") };
        let ids = self.call.ids("SnapshotIds", malformed)?;
        let (tag_key, tag_value) = (self.call.text("Tag.1.Key"), self.call.text("Tag.1.Value"));
        super::refuse_unknown(self.call, &["Tag.2.Key", "SnapshotName", "Usage", "Filter.1.Key"])?;
        self.end_dry_run()?;
        let is_tagged = |snapshot: &Snapshot| {
            tag_key.is_none_or(|wanted| {
                snapshot
                    .tags
                    .iter()
                    .any(|(key, value)| key == wanted && tag_value.is_none_or(|wanted| value == wanted))
            })
        };
        let status = self.call.text("Status").unwrap_or("all");
        if !["progressing", "accomplished", "failed", "all"].contains(&status) {
            return Err(Refusal::new(404, "InvalidStatus.NotFound", "The specified Status is not found."));
        }
        let mut found: Vec<(&Entry, &Snapshot)> = self
            .state
            .entries
            .values()
            .filter(|entry| entry.image.region == self.region())
            .filter(|entry| status == "all" || status == entry.snapshot_status())
            .flat_map(|entry| entry.snapshots.iter().map(move |snapshot| (entry, snapshot)))
            .filter(|(_, snapshot)| is_tagged(snapshot))
            .filter(|(_, snapshot)| ids.as_ref().is_none_or(|ids| ids.contains(&snapshot.id)))
            .collect();
        found
            .sort_unstable_by_key(|(entry, snapshot)| (std::cmp::Reverse(entry.serial), snapshot.id.clone()));
        let total = found.len();
        let shown: Vec<Value> =
            found.into_iter().map(|(entry, snapshot)| self.snapshot(entry, snapshot)).collect();
        let by_token = self.call.text("NextToken").is_some() || self.call.text("MaxResults").is_some();
        let (number, size) = match by_token {
            true => {
                let size = self.call.number::<usize>("MaxResults")?.unwrap_or(10);
                if !(1..=100).contains(&size) {
                    return Err(Refusal::malformed("InvalidParameter", "MaxResults"));
                }
                (self.call.number::<usize>("NextToken")?.unwrap_or(1).max(1), size)
            }
            false => self.call.page()?,
        };
        let more = by_token && number.saturating_mul(size) < total;
        Ok(json!({
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": total,
            "NextToken": if more { (number + 1).to_string() } else { String::new() },
            "Snapshots": {"Snapshot": page(shown, number, size)},
        }))
    }

    pub(super) fn delete_snapshot(&mut self) -> Result<Value, Refusal> {
        let id = self.call.required("SnapshotId")?;
        let force = self.call.flag("Force")?;
        let owner =
            self.state.entries.values().find(|entry| entry.snapshots.iter().any(|held| held.id == id));
        let mut entry = owner.cloned().ok_or_else(|| {
            Refusal::new(404, "InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist.")
        })?;
        if !entry.deleted && !force {
            let message = "The snapshot has been used to create an image.";
            return Err(Refusal::new(403, "SnapshotCreatedImage", message));
        }
        entry.snapshots.retain(|held| held.id != id);
        self.state.put(entry, self.emulator.store())?;
        Ok(json!({}))
    }

    fn snapshot(&self, entry: &Entry, snapshot: &Snapshot) -> Value {
        let status = entry.snapshot_status();
        let disk = entry.image.disks.iter().find(|disk| disk.snapshot == snapshot.id);
        let encryption = disk.and_then(|disk| disk.encryption.as_ref());
        let created = snapshot.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({
            "SnapshotId": snapshot.id,
            "SnapshotName": snapshot.name,
            "Status": status,
            "Progress": format!("{}%", entry.percent(self.millis)),
            "RemainTime": 0,
            "Usage": if entry.deleted { "none" } else { "image" },
            "SourceDiskId": "",
            "SourceDiskType": if snapshot.system { "system" } else { "data" },
            "SourceDiskSize": snapshot.size_gib.to_string(),
            "SnapshotType": "user",
            "CreationTime": created,
            "LastModifiedTime": created,
            "Encrypted": encryption.is_some(),
            "KMSKeyId": match encryption {
                Some(Encryption::Kms(key)) => key.as_str(),
                _ => "",
            },
            "Available": status == "accomplished",
            "RegionId": entry.image.region,
            "Tags": {"Tag": tags::listed(&snapshot.tags)},
        })
    }
}
