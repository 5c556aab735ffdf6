//! ECS: importing, copying, sharing and deleting custom images, and instances to test them.

mod asked;
pub(super) mod check;
mod console;
mod copy;
mod images;
mod import;
mod instances;
mod probe;
mod rules;
mod run_instances;
mod share;
mod snapshots;
mod tags;
mod tasks;

use serde_json::{Value, json};

use super::answer::Refusal;
use super::entry::{Entry, Token};
use super::{Service, not_implemented};

/// How long a ClientToken is remembered, on the clock of imports.
const TOKEN_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// The regions that exist, beside those that the emulator's own buckets are in.
const REGIONS: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "eu-west-1",
    "me-central-1",
    "me-east-1",
    "us-east-1",
    "us-west-1",
];

pub(super) fn answer(mut service: Service<'_>) -> Result<Value, Refusal> {
    if service.call.action == "DescribeRegions" {
        return Ok(service.describe_regions());
    }
    let action = service.call.action.clone();
    let act = match action.as_str() {
        "ImportImage" => Service::import_image,
        "DescribeImages" => Service::describe_images,
        "ModifyImageAttribute" => Service::modify_image_attribute,
        "DeleteImage" => Service::delete_image,
        "DescribeTasks" => Service::describe_tasks,
        "DescribeTaskAttribute" => Service::describe_task_attribute,
        "CancelTask" => Service::cancel_task,
        "DescribeSnapshots" => Service::describe_snapshots,
        "DeleteSnapshot" => Service::delete_snapshot,
        "CopyImage" => Service::copy_image,
        "CancelCopyImage" => Service::cancel_copy_image,
        "ModifyImageSharePermission" => Service::modify_image_share_permission,
        "TagResources" => Service::tag_resources,
        "UntagResources" => Service::untag_resources,
        "ListTagResources" => Service::list_tag_resources,
        "RunInstances" => Service::run_instances,
        "DescribeInstances" => Service::describe_instances,
        "GetInstanceConsoleOutput" => Service::get_instance_console_output,
        "DeleteInstance" => Service::delete_instance,
        "DescribeImageSharePermission" => Service::describe_image_share_permission,
        other => return Err(not_implemented(other)),
    };
    let region = service.call.text("RegionId");
    match region {
        Some(region) if service.is_region(region) => {}
        // Only these need no region.
        None if action == "DeleteSnapshot" || action == "DeleteInstance" => {}
        None => return Err(Refusal::missing("RegionId")),
        Some(_) => {
            let of_task = action.contains("Task") || action == "ImportImage";
            let message = "The specified RegionId does not exist.";
            return Err(Refusal::new(if of_task { 400 } else { 404 }, "InvalidRegionId.NotFound", message));
        }
    }
    act(&mut service)
}

impl Service<'_> {
    fn is_region(&self, region: &str) -> bool {
        REGIONS.contains(&region)
            || self.emulator.options().region.as_str() == region
            || self.store().buckets().iter().any(|bucket| bucket.region.as_str() == region)
    }

    /// Returns the region that the call is about, which [`answer`] has checked.
    fn region(&self) -> &str {
        self.call.text("RegionId").unwrap_or_default()
    }

    fn describe_regions(&self) -> Value {
        let own = self.emulator.options().region.as_str();
        let mut names: Vec<&str> = REGIONS.to_vec();
        if !names.contains(&own) {
            names.push(own);
        }
        let regions: Vec<Value> = names
            .into_iter()
            .map(|region| {
                let endpoint = format!("ecs.{region}.aliyuncs.com");
                json!({"RegionId": region, "RegionEndpoint": endpoint, "LocalName": region, "Status": "available"})
            })
            .collect();
        json!({"Regions": {"Region": regions}})
    }

    /// Returns an image of the region that is there.
    fn image(&self, id: &str) -> Option<&Entry> {
        let entry = self.state.entries.get(id)?;
        (!entry.deleted && entry.image.region == self.region()).then_some(entry)
    }

    fn required_image(&self) -> Result<&Entry, Refusal> {
        self.image(self.call.required("ImageId")?).ok_or_else(no_image)
    }

    /// Returns whether a name is taken in a region, in whatever state the image is.
    fn name_taken(&self, region: &str, name: &str) -> bool {
        let here = |entry: &&Entry| !entry.deleted && entry.image.region == region;
        self.state.entries.values().filter(here).any(|entry| entry.image.name == name)
    }

    fn check_quota(&self, region: &str) -> Result<(), Refusal> {
        let held = self.state.entries.values().filter(|entry| !entry.deleted && entry.image.region == region);
        if held.count() >= self.state.options.image_quota {
            let message = "The maximum number of custom images in the region is exceeded.";
            return Err(Refusal::new(403, "QuotaExceed.Image", message));
        }
        Ok(())
    }

    /// Checks the ClientToken and returns the answer that it was given before.
    fn replay(&self) -> Result<Option<Value>, Refusal> {
        let Some(token) = self.call.text("ClientToken") else { return Ok(None) };
        if token.len() > 64 || !token.is_ascii() {
            return Err(Refusal::malformed("InvalidClientToken.Malformed", "ClientToken"));
        }
        let of_images = self.state.entries.values().filter_map(|entry| entry.token.as_ref());
        let of_instances = self.state.instances.values().filter_map(|instance| instance.token.as_ref());
        let known = of_images.chain(of_instances).find(|known| {
            known.token == token
                && known.action == self.call.action
                && known.access_key == self.call.access_key
                && known.expires > self.millis
        });
        match known {
            Some(known) if known.fingerprint == self.call.fingerprint() => Ok(Some(known.answer.clone())),
            Some(_) => {
                let message = "The ClientToken was used with other parameters.";
                Err(Refusal::new(400, "IdempotentParameterMismatch", message))
            }
            None => Ok(None),
        }
    }

    /// Returns what to remember of this call.
    fn token(&self, answer: &Value) -> Option<Token> {
        Some(Token {
            access_key: self.call.access_key.clone(),
            action: self.call.action.clone(),
            token: self.call.text("ClientToken")?.to_owned(),
            fingerprint: self.call.fingerprint(),
            answer: answer.clone(),
            expires: self.millis + TOKEN_MILLIS,
        })
    }

    /// Ends a dry run, whose success is an error.
    fn end_dry_run(&self) -> Result<(), Refusal> {
        match self.call.flag("DryRun")? {
            true => {
                let message = "Request validation has been passed with DryRun flag set.";
                Err(Refusal::new(400, self.state.options.dry_run_code.clone(), message))
            }
            false => Ok(()),
        }
    }
}

/// Refuses parameters that would change what is done, and that are not known here.
fn refuse_unknown(call: &super::call::Call, names: &[&str]) -> Result<(), Refusal> {
    match names.iter().find(|name| call.text(name).is_some()) {
        Some(name) => {
            Err(Refusal::new(400, "NotImplemented", format!("This emulator does not know {name}.")))
        }
        None => Ok(()),
    }
}

/// Community images can be neither shared, copied nor exported; the CopyImage page has the code.
fn community_image() -> Refusal {
    Refusal::new(400, "OperationDenied.CommunityImage", "The operation is not allowed for a community image.")
}

fn no_image() -> Refusal {
    Refusal::new(404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
}

/// Returns the part of a list that a page shows.
fn page<T>(all: Vec<T>, number: usize, size: usize) -> Vec<T> {
    all.into_iter().skip((number - 1).saturating_mul(size)).take(size).collect()
}
