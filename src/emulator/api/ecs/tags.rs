//! TagResources: tags for images that are there already.

use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::rules;

/// How many resources one call tags.
const PER_CALL: usize = 50;
/// How many tags a resource has at most.
const PER_RESOURCE: usize = 20;

impl Service<'_> {
    /// Adds tags to images; one whose key is there already gets the new value. All are tagged, or none.
    pub(super) fn tag_resources(&mut self) -> Result<Value, Refusal> {
        if self.call.required("ResourceType")? != "image" {
            return Err(Refusal::new(400, "NotImplemented", "This emulator tags only images."));
        }
        let ids = self.call.list("ResourceId");
        let tags = rules::tags(self.call)?;
        match (ids.len(), tags.len()) {
            (0, _) => return Err(Refusal::missing("ResourceId.1")),
            (_, 0) => return Err(Refusal::missing("Tag.1.Key")),
            (count, _) if count > PER_CALL => {
                let message = "The specified ResourceIds are beyond the permitted range.";
                return Err(Refusal::new(400, "NumberExceed.ResourceIds", message));
            }
            _ => {}
        }
        let mut tagged = Vec::new();
        for id in ids {
            let mut entry = self.image(id).cloned().ok_or_else(|| {
                Refusal::new(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found.")
            })?;
            let held = &mut entry.image.tags;
            held.retain(|(key, _)| tags.iter().all(|(new, _)| new != key));
            held.extend(tags.iter().cloned());
            if held.len() > PER_RESOURCE {
                let message = "The maximum number of tags of the resource is exceeded.";
                return Err(Refusal::new(403, "NumberExceed.Tags", message));
            }
            tagged.push(entry);
        }
        for entry in tagged {
            self.state.put(entry, self.emulator.store())?;
        }
        Ok(json!({}))
    }
}
