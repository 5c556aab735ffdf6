use jiff::Timestamp;

use super::describe_images::tags;
use super::import_image::Tag;
use crate::model::{ImageId, InstanceId, InstanceStatus, Region};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DescribeInstances";
/// Largest page.
const PAGE_SIZE: u32 = 100;

/// Lists instances of a region ("DescribeInstances" page). Released ones are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeInstances {
    /// The region.
    pub region: Region,
    /// Only these instances, at most 100; all if empty.
    pub instance_ids: Vec<InstanceId>,
    /// Only instances of this image.
    pub image_id: Option<ImageId>,
    /// Only instances that have this tag.
    pub tag: Option<Tag>,
}

impl DescribeInstances {
    /// Returns a request about one instance.
    pub fn of(region: Region, id: InstanceId) -> Self {
        Self { region, instance_ids: vec![id], image_id: None, tag: None }
    }

    /// Returns a request for the instances of an image that have a tag, at most the 100 newest.
    pub fn tagged(region: Region, image_id: ImageId, tag: Tag) -> Self {
        Self { region, instance_ids: Vec::new(), image_id: Some(image_id), tag: Some(tag) }
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceInfo {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its state.
    pub status: InstanceStatus,
    /// The image that its system disk is a copy of.
    pub image_id: Option<String>,
    /// Its type.
    pub instance_type: Option<String>,
    /// When it is released without being asked.
    pub release_at: Option<Timestamp>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Operation for DescribeInstances {
    type Output = Vec<InstanceInfo>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        // As with snapshots, this list is the text of a JSON array.
        let ids: Vec<String> = self.instance_ids.iter().map(|id| format!("\"{id}\"")).collect();
        let params = Params::in_region(&self.region)
            .with_some("InstanceIds", (!ids.is_empty()).then(|| format!("[{}]", ids.join(","))))
            .with_some("ImageId", self.image_id.as_ref())
            .with_some("Tag.1.Key", self.tag.as_ref().map(|tag| tag.key.as_str()))
            .with_some("Tag.1.Value", self.tag.as_ref().map(|tag| tag.value.as_str()))
            .with("PageSize", PAGE_SIZE);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<Vec<InstanceInfo>, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |instance: &serde_json::Value| {
            Ok(InstanceInfo {
                instance_id: json::required(NAME, instance, "InstanceId")?,
                status: json::required::<String>(NAME, instance, "Status")?.as_str().into(),
                image_id: json::text(instance, "ImageId"),
                instance_type: json::text(instance, "InstanceType"),
                release_at: json::time(instance, "AutoReleaseTime"),
                tags: tags(instance),
            })
        };
        json::list(&value, "Instances", "Instance").into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn instances_are_asked_for_by_id_or_by_image_and_tag() {
        let region: Region = "cn-hangzhou".parse().unwrap();
        let one = DescribeInstances::of(region.clone(), "i-1".parse().unwrap());
        assert_eq!(params(&one), ["RegionId=cn-hangzhou", r#"InstanceIds=["i-1"]"#, "PageSize=100"]);
        let tag = Tag { key: "k".into(), value: "v".into() };
        let tagged = DescribeInstances::tagged(region, "m-1".parse().unwrap(), tag);
        let expected =
            ["RegionId=cn-hangzhou", "ImageId=m-1", "Tag.1.Key=k", "Tag.1.Value=v", "PageSize=100"];
        assert_eq!(params(&tagged), expected);
        let body = r#"{"TotalCount":1,"Instances":{"Instance":[{"InstanceId":"i-bp67acfmxazb4p****",
            "Status":"Running","ImageId":"m-1","InstanceType":"ecs.g5.large","AutoReleaseTime":"2017-12-10T04:04Z",
            "Tags":{"Tag":[{"TagKey":"k","TagValue":"v"}]}}]}}"#;
        let listed = one.decode(&answer(&body.replace("****", "xxxx"))).unwrap();
        assert_eq!(listed[0].status, InstanceStatus::Running);
        assert_eq!(listed[0].release_at, "2017-12-10T04:04:00Z".parse().ok());
        assert_eq!(listed[0].tags[0].value, "v");
    }
}
