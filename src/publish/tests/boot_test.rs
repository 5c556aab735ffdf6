//! The boot test on the cloud: before anything is copied or shared, once, and without an instance that is left.

use std::collections::BTreeSet;

use super::*;
use crate::boot::Cause;
use crate::boot_test::{BOOT_TEST_TAG, BootTest, BootTestError, BootTester};
use crate::event::Event;
use crate::model::InstanceId;
use crate::protocol::ecs::{DeleteInstance, DescribeInstances, InstanceInfo};

const PANIC: &str =
    "Linux version 6.1\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
const STUCK: &str = "Linux version 6.1\nBegin: Mounting root file system ... ";

/// The instances that were seen, through all runs.
type Seen = Arc<Mutex<BTreeSet<InstanceId>>>;

fn test() -> BootTest {
    BootTest::new("ecs.g7.large", "vsw-emulated", "sg-emulated")
}

impl World {
    fn tested(&self, transport: Arc<dyn Transport>, seen: &Seen) -> Publish {
        let seen = Arc::clone(seen);
        let events = EventSink::new(move |event| {
            if let Event::BootTest { instance_id, .. } = event {
                seen.lock().unwrap().insert(instance_id);
            }
        });
        self.publish(transport).with_boot_test(test()).with_events(events)
    }

    /// As [`World::tested`], with nothing after the test but a family.
    fn only_tested(&self, transport: Arc<dyn Transport>, seen: &Seen) -> Publish {
        let (copy_to, share_with) = (Vec::new(), Vec::new());
        Publish { copy_to, share_with, ..self.tested(transport, seen) }
    }

    fn says(&self, text: &str) {
        self.emulator.update_ecs(|ecs| ecs.console = Some(text.to_owned()));
    }

    async fn instances(&self) -> Vec<InstanceInfo> {
        let importer = self.importer(self.alive());
        let mut list = DescribeInstances::of(region(REGIONS[0]), "i-1".parse().unwrap());
        list.instance_ids.clear();
        importer.client().call(&list).await.unwrap()
    }
}

fn is_failed(error: &PublishError) -> Option<&Verdict> {
    match error {
        PublishError::BootTest(BootTestError::DoesNotBoot { verdict, .. }) => Some(verdict),
        _ => None,
    }
}

#[tokio::test]
async fn an_image_that_boots_is_published_and_not_tested_again() {
    let (world, seen) = (World::new(), Seen::default());
    world.image();
    let report = world.tested(world.alive(), &seen).run().await.unwrap();
    assert!(report.boot_tested && report.verdict.is_some());
    world.assert_one_image_in_each_region().await;
    assert!(world.instances().await.is_empty());
    let again = world.tested(world.alive(), &seen).run().await.unwrap();
    assert!(again.boot_tested && again.verdict.is_none());
    assert_eq!(world.emulator.requests()["RunInstances"], 1);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_does_not_boot_is_kept_and_neither_copied_nor_shared() {
    let (world, seen) = (World::new(), Seen::default());
    world.image();
    world.says(PANIC);
    let error = world.tested(world.alive(), &seen).run().await.unwrap_err();
    let stop = is_failed(&error).unwrap().stop.as_ref().unwrap();
    assert_eq!(stop.cause, Cause::PanicNoRoot);
    assert_eq!(error.kind(), crate::ErrorKind::Image);
    assert!(world.instances().await.is_empty());
    let importer = world.importer(world.alive());
    let images = importer.images(&region(REGIONS[0])).await.unwrap();
    assert_eq!(images.len(), 1);
    assert!(importer.shared_with(&region(REGIONS[0]), &images[0].image_id).await.unwrap().is_empty());
    assert!(importer.images(&region(REGIONS[1])).await.unwrap().is_empty());

    // The same command tests it again.
    world.emulator.update_ecs(|ecs| ecs.console = None);
    world.tested(world.alive(), &seen).run().await.unwrap();
    world.assert_one_image_in_each_region().await;
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn killed_at_every_request_it_needs_one_instance_and_leaves_none() {
    for after in [false, true] {
        for dies_at in 0.. {
            let (world, seen) = (World::new(), Seen::default());
            world.image();
            let finished = world.survives(dies_at, after, |dying| world.only_tested(dying, &seen)).await;
            for left in world.instances().await {
                let ahead = left
                    .release_at
                    .unwrap()
                    .duration_since(crate::clock::Clock::now(&crate::clock::SystemClock));
                assert!((29..120).contains(&ahead.as_mins()), "{ahead:?}");
                assert!(left.tags.iter().any(|tag| tag.key == BOOT_TEST_TAG));
            }
            let report = world.only_tested(world.alive(), &seen).run().await.unwrap();
            assert!(report.boot_tested);
            assert!(world.instances().await.is_empty(), "{dies_at}, {after}");
            assert!(seen.lock().unwrap().len() <= 1, "{dies_at}, {after}: {seen:?}");
            if finished {
                break;
            }
        }
    }
}

/// Kills tests of an image at every request, each followed by another that has no state, whose result is returned.
async fn killed_without_state(world: &World) -> Vec<Result<Verdict, BootTestError>> {
    let image = world.only_tested(world.alive(), &Seen::default()).with_boot_test(None).run().await.unwrap();
    let (home, image) = (region(REGIONS[0]), image.import.task.image_id);
    let tester = |transport| BootTester::new(world.importer(transport).client().clone(), test());
    let mut results = Vec::new();
    for after in [false, true] {
        for dies_at in 0.. {
            let dead = Arc::new(Notify::new());
            let (emulator, requests) = (world.emulator.clone(), AtomicUsize::new(0));
            let dying = Dying { emulator, requests, dies_at, after, dead: Arc::clone(&dead) };
            let first = tester(Arc::new(dying));
            let finished = tokio::select! {
                biased;
                () = dead.notified() => false,
                _ = first.test(&home, &image) => true,
            };
            let left = world.instances().await.len();
            assert!(left <= 1, "{dies_at}, {after}: {left}");
            results.push(tester(world.alive()).test(&home, &image).await);
            assert!(world.instances().await.is_empty(), "{dies_at}, {after}");
            if finished {
                assert!(dies_at > 4, "a test takes more requests than {dies_at}");
                break;
            }
        }
    }
    results
}

#[tokio::test]
async fn without_state_the_instance_of_an_earlier_test_is_taken_up() {
    let world = World::new();
    world.image();
    for result in killed_without_state(&world).await {
        result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_test_that_is_killed_fails_again_and_leaves_no_instance() {
    let world = World::new();
    world.image();
    world.says(PANIC);
    for result in killed_without_state(&world).await {
        assert!(matches!(result, Err(BootTestError::DoesNotBoot { .. })), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_deletes_the_instance() {
    let (world, seen) = (World::new(), Seen::default());
    world.image();
    world.says(STUCK);
    let token = CancellationToken::new();
    let stop = token.clone();
    let events = EventSink::new(move |event| {
        if matches!(&event, Event::BootTest { text, .. } if text.starts_with("kernel started")) {
            stop.cancel();
        }
    });
    let error = world
        .tested(world.alive(), &seen)
        .with_events(events)
        .with_cancellation(token)
        .run()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Cancelled);
    assert!(world.instances().await.is_empty());
}

#[tokio::test]
async fn an_instance_that_is_gone_ends_the_test_and_another_is_made_by_the_next() {
    let (world, seen) = (World::new(), Seen::default());
    world.image();
    world.says(STUCK);
    let (client, home) = (world.importer(world.alive()).client().clone(), region(REGIONS[0]));
    let emulator = world.emulator.clone();
    let publish = world.tested(world.alive(), &seen);
    let other = async {
        loop {
            if let Some(instance) = world.instances().await.pop() {
                client.call(&DeleteInstance::forced(home.clone(), instance.instance_id)).await.unwrap();
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let error = tokio::select! {
        result = publish.run() => result.unwrap_err(),
        () = other => unreachable!(),
    };
    assert!(matches!(error, PublishError::BootTest(BootTestError::Gone { .. })), "{error:?}");
    emulator.update_ecs(|ecs| ecs.console = None);
    publish.run().await.unwrap();
    assert!(world.instances().await.is_empty());
}

#[tokio::test]
async fn who_may_not_delete_the_instance_is_told_when_it_ends() {
    let (world, seen) = (World::new(), Seen::default());
    world.image();
    let denied = Fault::Status {
        status: 403,
        code: "Forbidden.RAM".to_owned(),
        when: When::default(),
        retry_after: None,
    };
    world.emulator.set_faults(FaultPlan::of([FaultRule::on("DeleteInstance", denied)]));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let events = EventSink::new(move |event| {
        if let Event::Notice { text } = event {
            sink.lock().unwrap().push(text);
        }
    });
    let report = world.tested(world.alive(), &seen).with_events(events).run().await.unwrap();
    assert!(report.boot_tested);
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("released by itself at"), "{told}");
}

#[tokio::test]
async fn what_stands_in_the_way_of_the_instance_is_known_before_the_first_byte() {
    let world = World::new();
    world.image();
    world.emulator.update_ecs(|ecs| ecs.type_without_stock = Some("ecs.g6.large".to_owned()));
    let cases = [
        (BootTest::new("ecs.g6.large", "vsw-emulated", "sg-emulated"), "OperationDenied.NoStock"),
        (BootTest::new("t2.micro", "vsw-emulated", "sg-emulated"), "InvalidInstanceType.ValueNotSupported"),
        (BootTest::new("ecs.g7.large", "vsw-1", "sg-emulated"), "InvalidVSwitchId.NotFound"),
        (BootTest::new("ecs.g7.large", "vsw-emulated", "sg-elsewhere"), "InvalidParameter.Mismatch"),
    ];
    for (test, code) in cases {
        let publish = world.publish(world.alive()).with_boot_test(test);
        let problems = Preflight::new(&publish).with_bucket_made(true).run().await;
        let [problem @ Problem::BootTest { reason }] = &problems[..] else { panic!("{code}: {problems:?}") };
        assert!(problem.refuses() && reason.contains(code), "{reason}");
    }
    let publish = world.publish(world.alive()).with_boot_test(test());
    assert_eq!(Preflight::new(&publish).with_bucket_made(true).run().await, []);
    for operation in ["RunInstances", "GetInstanceConsoleOutput"] {
        let denied = Fault::Status {
            status: 403,
            code: "Forbidden.RAM".to_owned(),
            when: When::default(),
            retry_after: None,
        };
        world.emulator.set_faults(FaultPlan::of([FaultRule::on(operation, denied)]));
        let problems = Preflight::new(&publish).with_bucket_made(true).run().await;
        assert!(matches!(&problems[..], [Problem::BootTest { .. }]), "{operation}: {problems:?}");
    }
    world.emulator.set_faults(FaultPlan::default());
    assert!(world.instances().await.is_empty());
    let windows = publish.request.clone().with_os_type(OsType::Windows);
    let windows = Publish { request: windows, ..publish };
    assert!(matches!(windows.check(), Err(PublishError::Impossible { .. })));
}
