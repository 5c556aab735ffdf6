//! Instances: what RunInstances refuses, how they start, speak and end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const RUN: &str =
    "RegionId=cn-hangzhou&InstanceType=ecs.g7.large&VSwitchId=vsw-emulated&SecurityGroupId=sg-emulated";

impl Fixture {
    async fn available(&self) -> String {
        let (image, _) = self.import("&ImageName=web").await;
        self.pass(200);
        image
    }

    async fn started(&self, more: &str) -> String {
        let value = self.good("RunInstances", &format!("{RUN}{more}")).await;
        value["InstanceIdSets"]["InstanceIdSet"][0].as_str().unwrap().to_owned()
    }

    async fn instances(&self, more: &str) -> Vec<Value> {
        let value = self.good("DescribeInstances", &format!("RegionId=cn-hangzhou{more}")).await;
        value["Instances"]["Instance"].as_array().unwrap().clone()
    }

    async fn said(&self, id: &str) -> String {
        let value =
            self.good("GetInstanceConsoleOutput", &format!("RegionId=cn-hangzhou&InstanceId={id}")).await;
        let said = STANDARD.decode(value["ConsoleOutput"].as_str().unwrap()).unwrap();
        String::from_utf8(said).unwrap()
    }
}

#[tokio::test]
async fn an_instance_starts_speaks_and_is_deleted() {
    let world = Fixture::new(|ecs| ecs.boot_duration = Duration::from_secs(100));
    let image = world.available().await;
    let id = world.started(&format!("&ImageId={image}&Tag.1.Key=a&Tag.1.Value=b")).await;
    let of = format!("RegionId=cn-hangzhou&InstanceId={id}");
    assert_eq!(world.instances("").await[0]["Status"], "Pending");
    assert_eq!(
        world.refused("DeleteInstance", &format!("{of}&Force=true")).await,
        (403, "IncorrectInstanceStatus.Initializing".to_owned())
    );
    assert_eq!(
        world.refused("GetInstanceConsoleOutput", &of).await,
        (405, "IncorrectInstanceStatus".to_owned())
    );
    world.pass(50);
    let half = world.said(&id).await;
    world.pass(50);
    let all = world.said(&id).await;
    assert!(!half.is_empty() && half.len() < all.len() && all.starts_with(&half), "{half}");
    assert!(all.ends_with(" login: "), "{all}");
    let tagged = world.instances(&format!("&InstanceIds=[\"{id}\"]&Tag.1.Key=a&Tag.1.Value=b")).await;
    assert_eq!(tagged[0]["Status"], "Running");
    assert!(world.instances("&Tag.1.Key=a&Tag.1.Value=c").await.is_empty());
    assert_eq!(world.refused("DeleteInstance", &of).await, (403, "IncorrectInstanceStatus".to_owned()));
    world.good("DeleteInstance", &format!("{of}&Force=true")).await;
    assert!(world.instances("").await.is_empty());
    assert_eq!(
        world.refused("DeleteInstance", &format!("{of}&Force=true")).await,
        (404, "InvalidInstanceId.NotFound".to_owned())
    );
}

#[tokio::test]
async fn it_is_released_by_itself_also_after_a_restart() {
    let world = Fixture::new(|_| {});
    let image = world.available().await;
    let at = |time: &str| format!("&ImageId={image}&AutoReleaseTime=2025-06-01T{time}Z");
    for wrong in ["12:29:00", "11:00:00", "noon", "12:45"] {
        assert_eq!(
            world.refused("RunInstances", &format!("{RUN}{}", at(wrong))).await,
            (400, "InvalidAutoReleaseTime.Malformed".to_owned()),
            "{wrong}"
        );
    }
    world.started(&at("12:45:30")).await;
    assert_eq!(world.instances("").await[0]["AutoReleaseTime"], "2025-06-01T12:45Z");
    let world = world.reopened();
    *world.clock.0.lock().unwrap() = "2025-06-01T12:44:59Z".parse().unwrap();
    assert_eq!(world.instances("").await.len(), 1);
    *world.clock.0.lock().unwrap() = "2025-06-01T12:45:00Z".parse().unwrap();
    assert!(world.instances("").await.is_empty());
}

#[tokio::test]
async fn a_repeated_request_is_answered_with_the_same_instance() {
    let world = Fixture::new(|_| {});
    let image = world.available().await;
    let request = format!("&ImageId={image}&ClientToken=t-1");
    let id = world.started(&request).await;
    assert_eq!(world.started(&request).await, id);
    assert_eq!(world.instances("").await.len(), 1);
    assert_eq!(
        world.refused("RunInstances", &format!("{RUN}{request}&InstanceName=other")).await,
        (400, "IdempotentParameterMismatch".to_owned())
    );
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_by_the_documented_codes() {
    let world = Fixture::new(|ecs| ecs.type_without_stock = Some("ecs.g6.large".to_owned()));
    let image = world.available().await;
    let cases = [
        ("InstanceType=ecs.g7.large", "InstanceType=t2.micro", 400, "InvalidInstanceType.ValueNotSupported"),
        ("InstanceType=ecs.g7.large", "InstanceType=ecs.g8y.large", 400, "InvalidParameter.Conflict"),
        ("InstanceType=ecs.g7.large", "InstanceType=ecs.g6.large", 403, "OperationDenied.NoStock"),
        ("InstanceType=ecs.g7.large", "", 400, "MissingParameter"),
        ("vsw-emulated", "vsw-1", 404, "InvalidVSwitchId.NotFound"),
        ("sg-emulated", "sg-1", 404, "InvalidSecurityGroupId.NotFound"),
        ("sg-emulated", "sg-elsewhere", 400, "InvalidParameter.Mismatch"),
        ("RegionId", "SystemDisk.Size=4&RegionId", 404, "InvalidSystemDiskSize.LessThanImageSize"),
        ("RegionId", "UserData=%25&RegionId", 400, "InvalidUserData.Base64FormatInvalid"),
        ("RegionId", "DryRun=true&RegionId", 400, "DryRunOperation"),
        (&image, "m-1", 404, "InvalidImageId.NotFound"),
    ];
    for (good, wrong, status, code) in cases {
        let request = format!("{RUN}&ImageId={image}").replace(good, wrong);
        assert_eq!(world.refused("RunInstances", &request).await, (status, code.to_owned()), "{request}");
    }
    world.emulator.update_ecs(|ecs| ecs.instance_quota = 0);
    let request = format!("{RUN}&ImageId={image}");
    assert_eq!(world.refused("RunInstances", &request).await, (403, "QuotaExceed.ElasticQuota".to_owned()));
    assert!(world.instances("").await.is_empty());
}

#[tokio::test]
async fn an_instance_makes_its_image_one_in_use() {
    let world = Fixture::new(|_| {});
    let image = world.available().await;
    let delete = format!("RegionId=cn-hangzhou&ImageId={image}");
    let id = world.started(&format!("&ImageId={image}")).await;
    assert_eq!(world.image("cn-hangzhou", &image).await["Usage"], "instance");
    assert_eq!(world.refused("DeleteImage", &delete).await, (403, "ImageUsingByInstance".to_owned()));
    world.pass(60);
    world.good("DeleteInstance", &format!("InstanceId={id}&Force=true")).await;
    assert_eq!(world.image("cn-hangzhou", &image).await["Usage"], "none");
    world.good("DeleteImage", &delete).await;
}

#[tokio::test]
async fn what_instances_say_can_be_given() {
    let world = Fixture::new(|ecs| ecs.console = Some("one\ntwo".to_owned()));
    let image = world.available().await;
    let id = world.started(&format!("&ImageId={image}")).await;
    world.pass(60);
    assert_eq!(world.said(&id).await, "one\r\ntwo\r\n");
}

#[tokio::test]
async fn a_dry_run_can_name_an_image_of_the_services_own() {
    let world = Fixture::new(|_| {});
    let value = world
        .good("DescribeImages", "RegionId=cn-hangzhou&ImageOwnerAlias=system&OSType=linux&Architecture=arm64")
        .await;
    let listed = value["Images"]["Image"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    let id = listed[0]["ImageId"].as_str().unwrap();
    let request = RUN.replace("ecs.g7.large", "ecs.g8y.large");
    assert_eq!(
        world.refused("RunInstances", &format!("{request}&ImageId={id}&DryRun=true")).await,
        (400, "DryRunOperation".to_owned())
    );
}
