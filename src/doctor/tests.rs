//! The whole of it against the emulator: all well, permissions missing, and what stays where removing is refused.

use std::sync::Arc;

use super::*;
use crate::client::ClientOptions;
use crate::credentials::StaticCredentials;
use crate::emulator::{Emulator, EmulatorOptions, Fault, FaultPlan, FaultRule, When, testing};
use crate::model::Region;

struct World {
    _dir: tempfile::TempDir,
    emulator: Emulator,
    doctor: Doctor,
}

fn bucket() -> BucketName {
    "images".parse().unwrap()
}

fn world() -> World {
    world_with(|_| {})
}

fn world_with(change: impl FnOnce(&mut EmulatorOptions)) -> World {
    let dir = tempfile::tempdir().unwrap();
    let mut options = testing::options(dir.path());
    change(&mut options);
    let emulator = Emulator::open(options).unwrap();
    let region: Region = "cn-hangzhou".parse().unwrap();
    emulator.create_bucket(bucket(), region.clone()).unwrap();
    let options = ClientOptions::new(
        Endpoint::for_region(&region, EndpointKind::Public),
        region,
        Arc::new(StaticCredentials::new(emulator.credentials().clone())),
        Arc::new(emulator.clone()),
    );
    let client = Client::new(options);
    let doctor =
        Doctor::new(&client, Some("an access key".to_owned())).with_bucket(bucket()).with_proxied(true);
    World { _dir: dir, emulator, doctor }
}

fn denied(operation: &str, code: &str) -> FaultRule {
    let (status, code) = (403, code.to_owned());
    FaultRule::on(operation, Fault::Status { status, code, when: When::Head, retry_after: None })
}

fn of<'a>(checks: &'a [Check], id: &str) -> &'a Check {
    checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("{id}: {checks:#?}"))
}

impl World {
    /// What is on the bucket: objects and open uploads.
    async fn left(&self) -> usize {
        let client = &self.doctor.client;
        let uploads = crate::session::list_uploads(client, &bucket(), "").await.unwrap().len();
        let page = oss::ListObjects::new(bucket());
        uploads + client.call(&page).await.unwrap().objects.len()
    }
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_nothing_stays() {
    let world = world();
    let checks = world.doctor.run().await;
    for check in &checks {
        assert_eq!(check.verdict, Verdict::Ok, "{check:#?}");
        assert_eq!(check.way_out, None, "{check:#?}");
    }
    for id in
        ["identity", "clock", "endpoint.public", "region", "owner", "worm", "role", "trial", "oss:PutObject"]
    {
        of(&checks, id);
    }
    // The trial showed the one, and nothing the other.
    assert_eq!(of(&checks, "oss:PutObject").facts["assumed"], false);
    assert_eq!(of(&checks, "oss:AbortMultipartUpload").facts["assumed"], true);
    assert_eq!(world.left().await, 0);
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_and_the_others_are_not() {
    for (operation, code, id, verdict) in [
        ("ListParts", "AccessDenied", "oss:ListParts", Verdict::Fail),
        ("AbortMultipartUpload", "AccessDenied", "oss:AbortMultipartUpload", Verdict::Warn),
        ("ListMultipartUploads", "AccessDenied", "oss:ListMultipartUploads", Verdict::Warn),
        ("ImportImage", "Forbidden.RAM", "ecs:ImportImage", Verdict::Fail),
        ("CopyImage", "Forbidden.RAM", "ecs:CopyImage", Verdict::Warn),
        ("CancelCopyImage", "Forbidden.RAM", "ecs:CancelCopyImage", Verdict::Warn),
        ("RunInstances", "Forbidden.RAM", "ecs:RunInstances", Verdict::Warn),
        ("DeleteInstance", "Forbidden.RAM", "ecs:DeleteInstance", Verdict::Warn),
        ("DescribeImages", "Forbidden.RAM", "ecs:DescribeImages", Verdict::Fail),
        ("DescribeTasks", "NoPermission", "ecs:DescribeTasks", Verdict::Fail),
        ("GetRole", "NoPermission", "role", Verdict::Unknown),
        ("GetBucketInfo", "AccessDenied", "bucket", Verdict::Unknown),
    ] {
        let world = world();
        world.emulator.set_faults(FaultPlan::of([denied(operation, code)]));
        let checks = world.doctor.run().await;
        assert_eq!(of(&checks, id).verdict, verdict, "{:#?}", of(&checks, id));
        let others = checks.iter().filter(|check| check.area == Area::Permissions && check.id != id);
        for other in others.filter(|check| !matches!(check.id.as_str(), "oss:DeleteObject")) {
            assert_eq!(other.verdict, Verdict::Ok, "{operation}: {other:#?}");
        }
    }
}

#[tokio::test]
async fn what_makes_the_role_is_asked_for_where_there_is_none_and_makes_nothing() {
    let world = world();
    assert!(world.doctor.run().await.iter().all(|check| !check.id.starts_with("ram:")), "it is there");
    let world = world_with(|options| options.ecs.import_role = false);
    for _ in 0..2 {
        let checks = world.doctor.run().await;
        assert_ne!(of(&checks, "role").verdict, Verdict::Ok);
        for id in ["ram:CreateRole", "ram:AttachPolicyToRole"] {
            assert_eq!(of(&checks, id).verdict, Verdict::Ok, "{:#?}", of(&checks, id));
        }
    }
    let deny = ["CreateRole", "AttachPolicyToRole"].map(|operation| denied(operation, "NoPermission"));
    world.emulator.set_faults(FaultPlan::of(deny));
    let checks = world.doctor.run().await;
    assert_eq!(of(&checks, "ram:CreateRole").verdict, Verdict::Warn);
    assert_eq!(of(&checks, "ram:AttachPolicyToRole").verdict, Verdict::Warn);
}

#[tokio::test]
async fn what_cannot_be_removed_is_named() {
    let world = world();
    world.emulator.set_faults(FaultPlan::of([denied("DeleteObject", "AccessDenied")]));
    let checks = world.doctor.run().await;
    let delete = of(&checks, "oss:DeleteObject");
    assert_eq!(delete.verdict, Verdict::Warn);
    assert!(
        delete.text.contains("oss://images/ossup-doctor/") && delete.text.contains("remains"),
        "{delete:?}"
    );
    assert_eq!(of(&checks, "trial").verdict, Verdict::Ok);
    assert_eq!(world.left().await, 1);
}

#[tokio::test]
async fn a_trial_that_fails_or_is_stopped_half_way_leaves_nothing() {
    for operation in ["UploadPart", "ListParts", "CompleteMultipartUpload", "GetObject"] {
        let world = world();
        world.emulator.set_faults(FaultPlan::of([denied(operation, "AccessDenied")]));
        let checks = world.doctor.run().await;
        assert_eq!(of(&checks, "trial").verdict, Verdict::Fail, "{operation}");
        world.emulator.set_faults(FaultPlan::default());
        assert_eq!(world.left().await, 0, "{operation}");
    }
    for operation in ["InitiateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "GetObject"] {
        let world = world();
        let (when, seconds) = (When::AfterCommit, None);
        let stall = FaultRule::on(operation, Fault::Stall { when, seconds });
        world.emulator.set_faults(FaultPlan::of([stall]));
        let stop = CancellationToken::new();
        let doctor = world.doctor.clone().with_cancellation(stop.clone());
        let bucket = bucket();
        let trial = trial::trial(&doctor, &bucket, "ossup-doctor/t/", &stop);
        let asked = async {
            while world.emulator.requests().get(operation).is_none_or(|count| *count == 0) {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (checks, ()) = tokio::join!(trial, asked);
        assert_eq!(of(&checks, "trial").verdict, Verdict::Unknown, "{operation}");
        world.emulator.set_faults(FaultPlan::default());
        assert_eq!(world.left().await, 0, "{operation}");
    }
}

#[tokio::test]
async fn credentials_that_are_refused_are_said_to_be_and_the_network_is_asked_nevertheless() {
    let world = world();
    let mut options = world.doctor.client.options().clone();
    let wrong = crate::credentials::Credentials::new("LTAInobody", "hunter2");
    options.credentials = Arc::new(StaticCredentials::new(wrong));
    let doctor = Doctor::new(&Client::new(options), Some("a wrong key".to_owned()))
        .with_bucket(bucket())
        .with_proxied(true);
    let checks = doctor.run().await;
    assert_eq!(of(&checks, "identity").verdict, Verdict::Fail);
    assert_eq!(of(&checks, "endpoint.public").verdict, Verdict::Ok);
    assert!(!format!("{checks:?}").contains("hunter2"));
    let options = world.doctor.client.options().clone();
    let without = Doctor::new(&Client::new(options), None).with_proxied(true).run().await;
    assert!(without.iter().all(|check| check.area == Area::Network), "{without:?}");
}

#[tokio::test]
async fn the_bucket_s_settings_are_judged() {
    let world = world();
    world
        .emulator
        .update_bucket(&bucket(), |record| {
            record.owner = "9".to_owned();
            record.storage_class = "Archive".to_owned();
        })
        .unwrap();
    let checks = world.doctor.clone().with_makes(false).run().await;
    assert_eq!(of(&checks, "owner").verdict, Verdict::Fail);
    assert_eq!(of(&checks, "class").verdict, Verdict::Warn);
    assert!(!checks.iter().any(|check| check.id == "trial"));
}

#[tokio::test]
async fn acceleration_that_is_not_enabled_is_said() {
    let world = world();
    let rule = denied("GetObject", "TransferAccelerationDisabled");
    world.emulator.set_faults(FaultPlan::of([rule]));
    let checks = world.doctor.run().await;
    let accelerate = of(&checks, "endpoint.accelerate");
    assert_eq!(accelerate.verdict, Verdict::Unknown);
    assert!(accelerate.text.contains("not enabled on `images`"), "{accelerate:?}");
}

#[tokio::test]
async fn a_measurement_that_is_stopped_leaves_nothing() {
    let world = world();
    let mut checks = world.doctor.run().await;
    checks.retain(|check| check.id == "endpoint.public");
    world.emulator.set_faults(FaultPlan::default());
    let stop = CancellationToken::new();
    let doctor = world.doctor.clone().with_cancellation(stop.clone());
    let asked = async {
        while world.emulator.requests().get("UploadPart").is_none_or(|count| *count == 0) {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (speed, ()) = tokio::join!(doctor.speed(Duration::from_secs(600), &checks), asked);
    assert_eq!(speed.len(), 1);
    assert_eq!(world.left().await, 0, "{speed:?}");
}

#[tokio::test]
async fn the_rate_is_measured_and_nothing_stays() {
    let world = world();
    let mut checks = world.doctor.run().await;
    // One is enough here.
    checks.retain(|check| check.id == "endpoint.public");
    let speed = world.doctor.speed(Duration::from_millis(20), &checks).await;
    assert!(
        speed.iter().any(|check| check.verdict == Verdict::Ok && check.text.contains("MiB/s")),
        "{speed:#?}"
    );
    assert_eq!(world.left().await, 0);
}
