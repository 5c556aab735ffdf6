use super::import_image::Tag;
use super::tag_resources::TaggedIds;
use crate::model::Region;
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "ListTagResources";

/// Lists the tags of resources ("ListTagResources" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListTagResources {
    /// The resources' region.
    pub region: Region,
    /// The resources, at most [`TaggedIds::MAX`].
    pub resources: TaggedIds,
    /// Where a page begins, from the page before.
    pub next_token: Option<String>,
}

impl ListTagResources {
    /// Returns a request for the tags of these resources.
    pub fn new(region: Region, resources: TaggedIds) -> Self {
        Self { region, resources, next_token: None }
    }

    /// Asks for the page that begins at `token`.
    #[must_use]
    pub fn with_next_token(mut self, token: impl Into<String>) -> Self {
        self.next_token = Some(token.into());
        self
    }
}

/// A page of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagPage {
    /// Each tag with the id of the resource that has it.
    pub tags: Vec<(String, Tag)>,
    /// Where the next page begins, if there is one.
    pub next_token: Option<String>,
}

impl Operation for ListTagResources {
    type Output = TagPage;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = self.resources.with(Params::in_region(&self.region));
        rpc::ecs(NAME, &self.region, params.with_some("NextToken", self.next_token.as_deref()))
    }

    fn decode(&self, answer: &Response) -> Result<TagPage, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |tag: &serde_json::Value| {
            let (id, key) = (json::required(NAME, tag, "ResourceId")?, json::required(NAME, tag, "TagKey")?);
            Ok((id, Tag { key, value: json::text(tag, "TagValue").unwrap_or_default() }))
        };
        let tags = json::list(&value, "TagResources", "TagResource").into_iter().map(read);
        let next_token = json::text(&value, "NextToken");
        Ok(TagPage { tags: tags.collect::<Result<_, _>>()?, next_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn tags_are_read_with_their_resources() {
        let images = TaggedIds::Images(vec!["m-1".parse().unwrap()]);
        let list = ListTagResources::new("cn-hangzhou".parse().unwrap(), images).with_next_token("caeba0bb");
        let expected =
            ["RegionId=cn-hangzhou", "ResourceType=image", "ResourceId.1=m-1", "NextToken=caeba0bb"];
        assert_eq!(params(&list), expected);
        let body = r#"{"TagResources":{"TagResource":[{"ResourceType":"image","TagValue":"TestValue",
            "ResourceId":"m-1","TagKey":"TestKey"}]},"RequestId":"DE65F6B7-7566-4802-9007-96F2494AC512"}"#;
        let page = list.decode(&answer(body)).unwrap();
        let tag = Tag { key: "TestKey".into(), value: "TestValue".into() };
        assert_eq!((page.tags, page.next_token), (vec![("m-1".to_owned(), tag)], None));
        assert!(list.decode(&answer("{}")).unwrap().tags.is_empty());
    }
}
