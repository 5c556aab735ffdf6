//! DescribeInstances, DeleteInstance and GetInstanceConsoleOutput.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::instance::Instance;
use super::{page, rules, tags};

const TIME: &str = "%Y-%m-%dT%H:%MZ";

impl Service<'_> {
    pub(super) fn describe_instances(&mut self) -> Result<Value, Refusal> {
        super::refuse_unknown(self.call, &["NextToken", "Status", "InstanceName", "Filter.1.Key"])?;
        let (number, size) = self.call.page()?;
        let malformed = || Refusal::malformed("InvalidInstanceIds.Malformed", "InstanceIds");
        let ids = self.call.ids("InstanceIds", malformed)?;
        let tags = rules::tags(self.call)?;
        self.end_dry_run()?;
        let mut found: Vec<&Instance> = self
            .state
            .instances
            .values()
            .filter(|instance| !instance.released && instance.region == self.region())
            .filter(|instance| ids.as_ref().is_none_or(|ids| ids.contains(&instance.id)))
            .filter(|instance| self.call.text("ImageId").is_none_or(|image| instance.image == image))
            .filter(|instance| tags.iter().all(|tag| instance.tags.contains(tag)))
            .collect();
        found.sort_by(|a, b| (b.since, &b.id).cmp(&(a.since, &a.id)));
        let total = found.len();
        let shown: Vec<Value> = page(found, number, size).into_iter().map(|it| self.instance(it)).collect();
        Ok(json!({
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": total,
            "NextToken": "",
            "Instances": {"Instance": shown},
        }))
    }

    fn instance(&self, instance: &Instance) -> Value {
        let release = instance.release_at.map(|at| at.strftime(TIME).to_string());
        json!({
            "InstanceId": instance.id,
            "InstanceName": instance.name,
            "Status": instance.status(self.millis, self.state.options.boot_duration),
            "RegionId": instance.region,
            "ZoneId": format!("{}-a", instance.region),
            "ImageId": instance.image,
            "InstanceType": instance.instance_type,
            "OSType": instance.os_type,
            "InstanceChargeType": "PostPaid",
            "InstanceNetworkType": "vpc",
            "CreationTime": instance.created.strftime(TIME).to_string(),
            "AutoReleaseTime": release.unwrap_or_default(),
            "DeletionProtection": false,
            "SecurityGroupIds": {"SecurityGroupId": [instance.security_group]},
            "VpcAttributes": {"VpcId": "vpc-emulated", "VSwitchId": instance.vswitch},
            "OperationLocks": {"LockReason": []},
            "Tags": {"Tag": tags::listed(&instance.tags)},
        })
    }

    pub(super) fn delete_instance(&mut self) -> Result<Value, Refusal> {
        let force = self.call.flag("Force")?;
        let mut instance = self.known_instance()?.clone();
        match instance.status(self.millis, self.state.options.boot_duration) {
            "Pending" => {
                let message = "The specified instance status does not support this operation.";
                return Err(Refusal::new(403, "IncorrectInstanceStatus.Initializing", message));
            }
            "Stopped" => {}
            _ if force => {}
            _ => {
                let message = "The current status of the resource does not support this operation.";
                return Err(Refusal::new(403, "IncorrectInstanceStatus", message));
            }
        }
        self.end_dry_run()?;
        instance.released = true;
        self.state.put_instance(instance, self.emulator.store())?;
        Ok(json!({}))
    }

    pub(super) fn get_instance_console_output(&mut self) -> Result<Value, Refusal> {
        let instance = self.known_instance()?;
        if instance.os_type == "windows" {
            let message = "The operation is not supported for Windows instances.";
            return Err(Refusal::new(405, "NotSupported", message));
        }
        let start = self.state.options.boot_duration;
        if instance.status(self.millis, start) == "Pending" {
            let message = "The current status of the resource does not support this operation.";
            return Err(Refusal::new(405, "IncorrectInstanceStatus", message));
        }
        Ok(json!({
            "InstanceId": instance.id,
            "ConsoleOutput": STANDARD.encode(instance.said(self.millis, start)),
            "LastUpdateTime": self.now.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }))
    }

    fn known_instance(&self) -> Result<&Instance, Refusal> {
        let id = self.call.required("InstanceId")?;
        // The page of DeleteInstance knows no region.
        let is_here = |instance: &&Instance| {
            !instance.released && self.call.text("RegionId").is_none_or(|region| instance.region == region)
        };
        self.state.instances.get(id).filter(is_here).ok_or_else(|| {
            Refusal::new(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
        })
    }
}
