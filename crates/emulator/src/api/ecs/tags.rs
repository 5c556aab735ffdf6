//! TagResources, UntagResources and ListTagResources: tags of images and snapshots that are there already.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::Entry;
use super::rules;

/// How many resources one call is about.
const PER_CALL: usize = 50;
/// How many tags a resource has at most, and how many keys one call takes off.
const PER_RESOURCE: usize = 20;

impl Service<'_> {
    /// Adds tags to resources; one whose key is there already gets the new value. All are tagged, or none.
    pub(super) fn tag_resources(&mut self) -> Result<Value, Refusal> {
        let tags = rules::tags(self.call)?;
        self.call.required("ResourceType")?;
        if tags.is_empty() {
            return Err(Refusal::missing("Tag.1.Key"));
        }
        self.change_tags(|held| {
            held.retain(|(key, _)| tags.iter().all(|(new, _)| new != key));
            held.extend(tags.iter().cloned());
            match held.len() > PER_RESOURCE {
                false => Ok(()),
                true => {
                    let message = "The quota of tags on resource is beyond permitted range.";
                    Err(Refusal::new(400, "OperationDenied.QuotaExceed", message))
                }
            }
        })
    }

    /// Takes tags off resources, by their keys or all.
    pub(super) fn untag_resources(&mut self) -> Result<Value, Refusal> {
        let keys: Vec<String> = self.call.list("TagKey").into_iter().map(str::to_owned).collect();
        let all = self.call.flag("All")? && keys.is_empty();
        if keys.len() > PER_RESOURCE {
            let message = "The Tags parameter's number is exceed , Valid : 20";
            return Err(Refusal::new(400, "NumberExceed.Tags", message));
        }
        self.change_tags(|held| {
            held.retain(|(key, _)| !all && !keys.contains(key));
            Ok(())
        })
    }

    pub(super) fn list_tag_resources(&mut self) -> Result<Value, Refusal> {
        super::refuse_unknown(self.call, &["Tag.1.Key", "TagFilter.1.TagKey", "NextToken"])?;
        let kind = self.call.required("ResourceType")?.to_owned();
        let mut listed = Vec::new();
        for id in self.resources()? {
            // What does not exist has no tags.
            let Some(mut entry) = self.tagged(&kind, &id)? else { continue };
            let tags = held(&mut entry, &id).map(std::mem::take).unwrap_or_default();
            listed.extend(tags.into_iter().map(|(key, value)| {
                json!({"ResourceType": kind, "ResourceId": id, "TagKey": key, "TagValue": value})
            }));
        }
        Ok(json!({"NextToken": "", "TagResources": {"TagResource": listed}}))
    }

    fn change_tags(
        &mut self,
        change: impl Fn(&mut Vec<(String, String)>) -> Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let kind = self.call.required("ResourceType")?.to_owned();
        // Two snapshots may be of one entry.
        let mut changed: Vec<Entry> = Vec::new();
        for id in self.resources()? {
            let known = changed.iter().position(|entry| owns(entry, &id));
            let mut entry = match known {
                Some(at) => changed.remove(at),
                None => self.tagged(&kind, &id)?.ok_or_else(|| {
                    let message = "The specified ResourceIds are not found in our records.";
                    Refusal::new(404, "InvalidResourceId.NotFound", message)
                })?,
            };
            if let Some(held) = held(&mut entry, &id) {
                change(held)?;
            }
            changed.push(entry);
        }
        for entry in changed {
            self.state.put(entry, self.emulator.store())?;
        }
        Ok(json!({}))
    }

    fn resources(&self) -> Result<Vec<String>, Refusal> {
        let ids: Vec<String> = self.call.list("ResourceId").into_iter().map(str::to_owned).collect();
        match ids.len() {
            0 => Err(Refusal::missing("ResourceId.1")),
            1..=PER_CALL => Ok(ids),
            _ => {
                let message = "The ResourceIds parameter's number is exceed , Valid : 50";
                Err(Refusal::new(400, "NumberExceed.ResourceIds", message))
            }
        }
    }

    /// Returns the entry of the region that has an image or a snapshot of this id.
    fn tagged(&self, kind: &str, id: &str) -> Result<Option<Entry>, Refusal> {
        match kind {
            "image" => Ok(self.image(id).cloned()),
            "snapshot" => {
                let mut here =
                    self.state.entries.values().filter(|entry| entry.image.region == self.region());
                Ok(here.find(|entry| entry.snapshots.iter().any(|snapshot| snapshot.id == id)).cloned())
            }
            _ => Err(Refusal::new(400, "NotImplemented", "This emulator tags only images and snapshots.")),
        }
    }
}

/// Returns tags as the answers about what has them list them.
pub(super) fn listed(tags: &[(String, String)]) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect()
}

fn owns(entry: &Entry, id: &str) -> bool {
    entry.image.id == id || entry.snapshots.iter().any(|snapshot| snapshot.id == id)
}

/// Returns the tags of an entry's image, or of one of its snapshots.
fn held<'a>(entry: &'a mut Entry, id: &str) -> Option<&'a mut Vec<(String, String)>> {
    if entry.image.id == id {
        return Some(&mut entry.image.tags);
    }
    let snapshot = entry.snapshots.iter_mut().find(|snapshot| snapshot.id == id)?;
    Some(&mut snapshot.tags)
}
