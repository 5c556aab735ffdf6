use super::import_image::{Tag, with_tags};
use crate::model::{ImageId, Region, SnapshotId};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "TagResources";

/// What can be tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaggedIds {
    /// Custom images.
    Images(Vec<ImageId>),
    /// Snapshots.
    Snapshots(Vec<SnapshotId>),
}

impl TaggedIds {
    /// Largest number of resources that one call takes.
    pub const MAX: usize = 50;

    /// Adds kind and ids to the parameters.
    pub(super) fn with(&self, params: Params) -> Params {
        match self {
            Self::Images(ids) => params.with("ResourceType", "image").with_list("ResourceId", ids),
            Self::Snapshots(ids) => params.with("ResourceType", "snapshot").with_list("ResourceId", ids),
        }
    }
}

/// Adds tags to resources of one region ("TagResources" page). A key that a resource has already gets the new value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagResources {
    /// The resources' region.
    pub region: Region,
    /// The resources, at most [`TaggedIds::MAX`].
    pub resources: TaggedIds,
    /// The tags, at most [`Self::MAX_TAGS`].
    pub tags: Vec<Tag>,
}

impl TagResources {
    /// Largest number of tags that one call adds, and that a resource can have.
    pub const MAX_TAGS: usize = 20;

    /// Returns a request to add these tags to all of these resources.
    pub fn new(region: Region, resources: TaggedIds, tags: Vec<Tag>) -> Self {
        Self { region, resources, tags }
    }
}

impl Operation for TagResources {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = self.resources.with(Params::in_region(&self.region));
        rpc::ecs(NAME, &self.region, with_tags(params, &self.tags))
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
    fn resources_and_tags_are_numbered() {
        let ids = ["s-bp1j6qtvdm8w0z1o0", "s-bp1j6qtvdm8w0z1oP"].map(|id| id.parse().unwrap());
        let tags = vec![Tag { key: "TestKey".into(), value: String::new() }];
        let region = "cn-hangzhou".parse().unwrap();
        let tag = TagResources::new(region, TaggedIds::Snapshots(ids.to_vec()), tags);
        let expected = [
            "RegionId=cn-hangzhou",
            "ResourceType=snapshot",
            "ResourceId.1=s-bp1j6qtvdm8w0z1o0",
            "ResourceId.2=s-bp1j6qtvdm8w0z1oP",
            "Tag.1.Key=TestKey",
            "Tag.1.Value=",
        ];
        assert_eq!(params(&tag), expected);
    }
}
