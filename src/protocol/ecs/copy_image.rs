use serde::{Deserialize, Serialize};

use super::import_image::{Tag, with_tags};
use crate::model::{ClientToken, ImageId, Region};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response, TimeoutClass};

const NAME: &str = "CopyImage";

/// Copies a custom image to another region ("CopyImage" page). There is no task: the copy's image is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopyImage {
    /// The source's region, whose endpoint is called.
    pub region: Region,
    /// The source, which must be Available.
    pub image_id: ImageId,
    /// Where the copy goes.
    pub destination: Region,
    /// The copy's name, new in the destination.
    pub name: Option<String>,
    /// The copy's description.
    pub description: Option<String>,
    /// Whether the copy is encrypted.
    pub encrypted: bool,
    /// The key that encrypts it, of the destination region.
    pub kms_key_id: Option<String>,
    /// The copy's resource group.
    pub resource_group_id: Option<String>,
    /// The copy's tags, at most 20.
    pub tags: Vec<Tag>,
    /// Names the request, so that it can be repeated.
    pub client_token: Option<ClientToken>,
    /// Only checks the request; success is an error code.
    pub dry_run: bool,
}

impl CopyImage {
    /// Returns a request to copy `image_id` from `region` to `destination`.
    pub fn new(region: Region, image_id: ImageId, destination: Region) -> Self {
        Self {
            region,
            image_id,
            destination,
            name: None,
            description: None,
            encrypted: false,
            kms_key_id: None,
            resource_group_id: None,
            tags: Vec::new(),
            client_token: None,
            dry_run: false,
        }
    }
}

/// What CopyImage promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyImageResponse {
    /// The copy's id in the destination.
    pub image_id: ImageId,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
}

impl Operation for CopyImage {
    type Output = CopyImageResponse;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region)
            .with("ImageId", &self.image_id)
            .with("DestinationRegionId", &self.destination)
            .with_some("DestinationImageName", self.name.as_deref())
            .with_some("DestinationDescription", self.description.as_deref())
            .with_flag("Encrypted", self.encrypted)
            .with_some("KMSKeyId", self.kms_key_id.as_deref())
            .with_some("ResourceGroupId", self.resource_group_id.as_deref())
            .with_some("ClientToken", self.client_token.as_ref())
            .with_flag("DryRun", self.dry_run);
        rpc::ecs(NAME, &self.region, with_tags(params, &self.tags))
    }

    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<CopyImageResponse, DecodeError> {
        let value = json::read(NAME, answer)?;
        Ok(CopyImageResponse {
            image_id: json::required(NAME, &value, "ImageId")?,
            request_id: json::text(&value, "RequestId"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn the_destination_is_a_parameter_and_the_source_is_the_endpoint() {
        let parse = |text: &str| text.parse::<Region>().unwrap();
        let mut copy = CopyImage::new(parse("cn-hangzhou"), "m-1".parse().unwrap(), parse("cn-beijing"));
        copy.name = Some("rocky9".into());
        copy.tags = vec![Tag { key: "k".into(), value: "v".into() }];
        copy.client_token = Some("c-1".parse().unwrap());
        let expected = [
            "RegionId=cn-hangzhou",
            "ImageId=m-1",
            "DestinationRegionId=cn-beijing",
            "DestinationImageName=rocky9",
            "ClientToken=c-1",
            "Tag.1.Key=k",
            "Tag.1.Value=v",
        ];
        assert_eq!(params(&copy), expected);
        let read = copy.decode(&answer(r#"{"ImageId":"m-2","RequestId":"R"}"#)).unwrap();
        assert_eq!((read.image_id.as_str(), read.request_id.as_deref()), ("m-2", Some("R")));
    }
}
