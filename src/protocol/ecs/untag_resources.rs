use super::tag_resources::TaggedIds;
use crate::model::Region;
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "UntagResources";

/// Takes tags off resources of one region ("UntagResources" page). A key that a resource does not have is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UntagResources {
    /// The resources' region.
    pub region: Region,
    /// The resources, at most [`TaggedIds::MAX`].
    pub resources: TaggedIds,
    /// The keys of the tags, at most [`Self::MAX_KEYS`]. None means none: the parameter `All` is never sent.
    pub keys: Vec<String>,
}

impl UntagResources {
    /// Largest number of keys that one call takes.
    pub const MAX_KEYS: usize = 20;

    /// Returns a request to take the tags of these keys off all of these resources.
    pub fn new(region: Region, resources: TaggedIds, keys: Vec<String>) -> Self {
        Self { region, resources, keys }
    }
}

impl Operation for UntagResources {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = self.resources.with(Params::in_region(&self.region));
        rpc::ecs(NAME, &self.region, params.with_list("TagKey", &self.keys))
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
    fn keys_are_numbered() {
        let images = TaggedIds::Images(vec!["m-bp1j6qtvdm8w0z1o0".parse().unwrap()]);
        let untag = UntagResources::new("cn-hangzhou".parse().unwrap(), images, vec!["TestKey".into()]);
        let expected = [
            "RegionId=cn-hangzhou",
            "ResourceType=image",
            "ResourceId.1=m-bp1j6qtvdm8w0z1o0",
            "TagKey.1=TestKey",
        ];
        assert_eq!(params(&untag), expected);
    }
}
