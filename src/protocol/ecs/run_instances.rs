use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::import_image::{Tag, with_tags};
use crate::model::{ClientToken, ImageId, InstanceId, Region};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response, TimeoutClass};

const NAME: &str = "RunInstances";

/// Makes one pay-as-you-go instance and starts it ("RunInstances" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunInstances {
    /// The region of image and instance.
    pub region: Region,
    /// The image, also one of the service's own.
    pub image_id: ImageId,
    /// The instance type: `ecs.g7.large`.
    pub instance_type: String,
    /// The vSwitch, which implies zone and VPC.
    pub vswitch_id: String,
    /// The security group, of the same VPC.
    pub security_group_id: String,
    /// The instance's name; its id by default.
    pub name: Option<String>,
    /// Size of the system disk in GiB; the larger of 40 and the image's by default.
    pub system_disk_gib: Option<u64>,
    /// When the instance is released without being asked: half an hour to three years ahead. Seconds are cut off.
    pub release_at: Option<Timestamp>,
    /// User data, at most 32 KiB.
    pub user_data: Option<Vec<u8>>,
    /// Tags of instance, disks and network interface, at most 20.
    pub tags: Vec<Tag>,
    /// Names the request, so that it can be repeated.
    pub client_token: Option<ClientToken>,
    /// Only checks the request, the stock too; success is the error code `DryRunOperation`.
    pub dry_run: bool,
}

impl RunInstances {
    /// Returns a request for an instance of `image_id` in a vSwitch and a security group.
    pub fn new(
        region: Region,
        image_id: ImageId,
        instance_type: impl Into<String>,
        vswitch_id: impl Into<String>,
        security_group_id: impl Into<String>,
    ) -> Self {
        Self {
            region,
            image_id,
            instance_type: instance_type.into(),
            vswitch_id: vswitch_id.into(),
            security_group_id: security_group_id.into(),
            name: None,
            system_disk_gib: None,
            release_at: None,
            user_data: None,
            tags: Vec::new(),
            client_token: None,
            dry_run: false,
        }
    }
}

/// What RunInstances promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstancesRun {
    /// The instance.
    pub instance_id: InstanceId,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
}

impl Operation for RunInstances {
    type Output = InstancesRun;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region)
            .with("ImageId", &self.image_id)
            .with("InstanceType", &self.instance_type)
            .with("VSwitchId", &self.vswitch_id)
            .with("SecurityGroupId", &self.security_group_id)
            .with_some("InstanceName", self.name.as_deref())
            .with_some("SystemDisk.Size", self.system_disk_gib)
            .with_some("AutoReleaseTime", self.release_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ")))
            .with_some("UserData", self.user_data.as_ref().map(|data| STANDARD.encode(data)))
            .with_some("ClientToken", self.client_token.as_ref())
            .with_flag("DryRun", self.dry_run);
        rpc::ecs(NAME, &self.region, with_tags(params, &self.tags))
    }

    fn idempotence(&self) -> Idempotence {
        match self.client_token.is_some() || self.dry_run {
            true => Idempotence::Idempotent,
            // Without a token each attempt makes an instance.
            false => Idempotence::Once,
        }
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<InstancesRun, DecodeError> {
        let value = json::read(NAME, answer)?;
        let ids = value.get("InstanceIdSets").and_then(|sets| sets.get("InstanceIdSet"));
        let id = ids.and_then(|ids| ids.as_array()?.first()?.as_str());
        let id = id.ok_or_else(|| DecodeError::new(NAME, "lacks `InstanceIdSets`"))?;
        let instance_id = id.parse().map_err(|_| DecodeError::new(NAME, "has a malformed instance id"))?;
        Ok(InstancesRun { instance_id, request_id: json::text(&value, "RequestId") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn the_request_names_its_end_and_the_answer_the_instance() {
        let region = "cn-hangzhou".parse().unwrap();
        let mut run = RunInstances::new(region, "m-1".parse().unwrap(), "ecs.g7.large", "vsw-1", "sg-1");
        assert_eq!(run.idempotence(), Idempotence::Once);
        run.release_at = Some("2018-01-01T12:05:00Z".parse().unwrap());
        run.user_data = Some(b"echo hello ecs!".to_vec());
        run.tags = vec![Tag { key: "k".into(), value: "v".into() }];
        run.client_token = Some("123e4567-e89b-12d3-a456-426655440000".parse().unwrap());
        let expected = [
            "RegionId=cn-hangzhou",
            "ImageId=m-1",
            "InstanceType=ecs.g7.large",
            "VSwitchId=vsw-1",
            "SecurityGroupId=sg-1",
            "AutoReleaseTime=2018-01-01T12:05:00Z",
            // The page's own example.
            "UserData=ZWNobyBoZWxsbyBlY3Mh",
            "ClientToken=123e4567-e89b-12d3-a456-426655440000",
            "Tag.1.Key=k",
            "Tag.1.Value=v",
        ];
        assert_eq!(params(&run), expected);
        assert_eq!(run.idempotence(), Idempotence::Idempotent);
        let body = r#"{"RequestId":"04F0F334-1335-436C-A1D7-6C044FE73368","InstanceIdSets":{"InstanceIdSet":["i-instanceid1"]}}"#;
        assert_eq!(run.decode(&answer(body)).unwrap().instance_id.as_str(), "i-instanceid1");
        assert!(run.decode(&answer(r#"{"InstanceIdSets":{"InstanceIdSet":[]}}"#)).is_err());
    }
}
