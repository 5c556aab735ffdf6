use jiff::Timestamp;

use super::describe_images::tags;
use super::import_image::Tag;
use crate::model::{Region, SnapshotId, SnapshotStatus};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DescribeSnapshots";
/// Largest page, and the largest list of ids.
const PAGE_SIZE: u32 = 100;

/// Lists snapshots ("DescribeSnapshots" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeSnapshots {
    /// The region.
    pub region: Region,
    /// Only these snapshots, at most 100; all if empty.
    pub snapshot_ids: Vec<SnapshotId>,
    /// Only snapshots that have a tag of this key.
    pub tag_key: Option<String>,
    /// Where a page begins, from the page before.
    pub next_token: Option<String>,
}

impl DescribeSnapshots {
    /// Returns a request about these snapshots; none means all.
    pub fn new(region: Region, snapshot_ids: Vec<SnapshotId>) -> Self {
        Self { region, snapshot_ids, tag_key: None, next_token: None }
    }

    /// Asks only for snapshots that have a tag of this key, whatever its value.
    #[must_use]
    pub fn with_tag_key(mut self, key: impl Into<String>) -> Self {
        self.tag_key = Some(key.into());
        self
    }

    /// Asks for the page that begins at `token`.
    #[must_use]
    pub fn with_next_token(mut self, token: impl Into<String>) -> Self {
        self.next_token = Some(token.into());
        self
    }
}

/// A page of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotPage {
    /// The snapshots of this page.
    pub snapshots: Vec<SnapshotInfo>,
    /// Where the next page begins, if there is one.
    pub next_token: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Its id.
    pub snapshot_id: SnapshotId,
    /// Its name.
    pub name: Option<String>,
    /// Its state; `failed` is normal while an import runs.
    pub status: SnapshotStatus,
    /// How much of it is made, in percent.
    pub progress: Option<u8>,
    /// What uses it: `image`, `disk`, `image_disk`, `none`.
    pub usage: Option<String>,
    /// The disk's size in GiB.
    pub disk_size_gib: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Operation for DescribeSnapshots {
    type Output = SnapshotPage;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        // Unlike other lists, this one is the text of a JSON array.
        let ids: Vec<String> = self.snapshot_ids.iter().map(|id| format!("\"{id}\"")).collect();
        let params = Params::in_region(&self.region)
            .with_some("SnapshotIds", (!ids.is_empty()).then(|| format!("[{}]", ids.join(","))))
            .with_some("Tag.1.Key", self.tag_key.as_deref())
            .with_some("NextToken", self.next_token.as_deref())
            .with("MaxResults", PAGE_SIZE);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<SnapshotPage, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |snapshot: &serde_json::Value| {
            Ok(SnapshotInfo {
                snapshot_id: json::required(NAME, snapshot, "SnapshotId")?,
                name: json::text(snapshot, "SnapshotName"),
                status: json::required::<String>(NAME, snapshot, "Status")?.as_str().into(),
                progress: json::percent(snapshot, "Progress"),
                usage: json::text(snapshot, "Usage"),
                disk_size_gib: json::number(snapshot, "SourceDiskSize"),
                created: json::time(snapshot, "CreationTime"),
                tags: tags(snapshot),
            })
        };
        let snapshots = json::list(&value, "Snapshots", "Snapshot").into_iter().map(read);
        Ok(SnapshotPage {
            snapshots: snapshots.collect::<Result<_, _>>()?,
            next_token: json::text(&value, "NextToken"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn ids_are_the_text_of_a_json_array() {
        let ids = vec!["s-a".parse().unwrap(), "s-b".parse().unwrap()];
        let describe = DescribeSnapshots::new("cn-hangzhou".parse().unwrap(), ids);
        let expected = ["RegionId=cn-hangzhou", r#"SnapshotIds=["s-a","s-b"]"#, "MaxResults=100"];
        assert_eq!(params(&describe), expected);
        let body = r#"{"NextToken":"","Snapshots":{"Snapshot":[{"SnapshotId":"s-a","Status":"failed",
            "Progress":"0%","SourceDiskSize":"40","Usage":"image","Tags":{"Tag":[{"TagKey":"team","TagValue":"web"}]}}]}}"#;
        let page = describe.decode(&answer(body)).unwrap();
        assert_eq!(page.next_token, None);
        assert_eq!(page.snapshots[0].status, SnapshotStatus::Failed);
        assert_eq!(page.snapshots[0].disk_size_gib, Some(40));
        assert_eq!(page.snapshots[0].tags[0].value, "web");
        let tagged = DescribeSnapshots::new("cn-hangzhou".parse().unwrap(), Vec::new()).with_tag_key("team");
        assert_eq!(params(&tagged)[1], "Tag.1.Key=team");
    }
}
