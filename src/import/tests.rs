//! The stage against the emulator. Failures covered: answer lost before and after the service acted, tokens
//! not remembered, name taken, role missing, made just now, untrusting or out of sight, refusals verbatim,
//! damage found at once and hours later, object changed, task finished but failed, paused, forgotten, not
//! allowed to be seen, image late, not yet usable, vanished, cancelled, network gone for a while, throttling,
//! the wait's limit, copies of a busy source, copies begun before, copies that failed, sharing interrupted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::client::ClientOptions;
use crate::clock::Clock;
use crate::credentials::{BoxFuture, Credentials, StaticCredentials};
use crate::emulator::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET};
use crate::emulator::testing::{disk, put};
use crate::emulator::{EcsOptions, Emulator};
use crate::event::{Event, ImportProgress};
use crate::http::{Body, Transport, TransportError, TransportErrorKind, full};
use crate::model::{
    AccountId, Architecture, ClientToken, Endpoint, EndpointKind, ImageStatus, SnapshotStatus, TaskStatus,
};

/// The wall clock of paused tokio time.
#[derive(Debug)]
struct PausedClock {
    start: Instant,
    base: Timestamp,
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.base + SignedDuration::try_from(self.start.elapsed()).unwrap()
    }
}

/// What happens to one call on its way.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The service never sees it.
    Lost,
    /// The service acts, and its answer is lost.
    AnswerLost,
    /// It is refused with this status and code.
    Refused(u16, &'static str),
}

/// The emulator behind a network that fails as scripted: a number of times for each action.
#[derive(Debug)]
struct Network {
    emulator: Emulator,
    faults: Mutex<BTreeMap<&'static str, Vec<Fault>>>,
    calls: Mutex<BTreeMap<String, usize>>,
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let action = request.headers()["x-acs-action"].to_str().unwrap().to_owned();
            *self.calls.lock().unwrap().entry(action.clone()).or_default() += 1;
            let fault = self.faults.lock().unwrap().get_mut(action.as_str()).and_then(Vec::pop);
            let broken = || TransportError::new(TransportErrorKind::Broken, "cut");
            match fault {
                Some(Fault::Lost) => Err(TransportError::new(TransportErrorKind::Connect, "no route")),
                Some(Fault::AnswerLost) => {
                    self.emulator.send(request).await?;
                    Err(broken())
                }
                Some(Fault::Refused(status, code)) => {
                    let body = serde_json::json!({"Code": code, "Message": "scripted", "RequestId": "R"});
                    let mut response = http::Response::new(full(body.to_string()));
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok(response)
                }
                None => self.emulator.send(request).await,
            }
        })
    }
}

struct Bench {
    emulator: Emulator,
    network: Arc<Network>,
    importer: Importer,
    events: Arc<Mutex<Vec<Event>>>,
    _dir: tempfile::TempDir,
}

/// How long an import takes here.
const HOUR: Duration = Duration::from_secs(3600);

impl Bench {
    fn new(change: impl FnOnce(&mut EcsOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock =
            Arc::new(PausedClock { start: Instant::now(), base: "2025-06-01T12:00:00Z".parse().unwrap() });
        let mut options = testing::options(dir.path()).with_clock(clock.clone());
        options.ecs.base_duration = HOUR;
        change(&mut options.ecs);
        let emulator = Emulator::open(options).unwrap();
        emulator.create_bucket("images".parse().unwrap(), region()).unwrap();
        put(&emulator, "images", "disk.raw", &disk());
        let network = Arc::new(Network {
            emulator: emulator.clone(),
            faults: Mutex::default(),
            calls: Mutex::default(),
        });
        let credentials = Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET);
        let client = Client::new(
            ClientOptions::new(
                Endpoint::for_region(&region(), EndpointKind::Public),
                region(),
                Arc::new(StaticCredentials::new(credentials)),
                network.clone(),
            )
            .with_clock(clock),
        );
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = events.clone();
        let importer =
            Importer::new(client).with_events(EventSink::new(move |event| sink.lock().unwrap().push(event)));
        Self { emulator, network, importer, events, _dir: dir }
    }

    /// Has the next calls of an action fail, the first fault first.
    fn script(&self, action: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let mut faults: Vec<Fault> = faults.into_iter().collect();
        faults.reverse();
        self.network.faults.lock().unwrap().insert(action, faults);
    }

    fn calls(&self, action: &str) -> usize {
        self.network.calls.lock().unwrap().get(action).copied().unwrap_or_default()
    }

    fn progress(&self) -> Vec<ImportProgress> {
        let events = self.events.lock().unwrap();
        let progress = events.iter().filter_map(|event| match event {
            Event::Importing(progress) => Some(progress.clone()),
            _ => None,
        });
        progress.collect()
    }

    async fn submit(&self) -> ImportTask {
        submit(&self.importer, &request("rocky9"), "c-1").await.unwrap()
    }

    async fn imported(&self) -> CustomImage {
        let task = self.submit().await;
        self.importer.follow(&task).await.unwrap()
    }

    async fn images(&self) -> usize {
        self.importer.images(&region()).await.unwrap().len()
    }
}

fn region() -> Region {
    "cn-hangzhou".parse().unwrap()
}

fn token(text: &str) -> ClientToken {
    text.parse().unwrap()
}

/// Submits with a token that the image's origin names too.
async fn submit(importer: &Importer, request: &ImportRequest, of: &str) -> Result<ImportTask, ImportError> {
    importer.submit(request, &token(of), &request.origin_of_token(&token(of))).await
}

fn request(name: &str) -> ImportRequest {
    let disk = ImportDisk::new("oss://images/disk.raw".parse().unwrap());
    ImportRequest::new(region(), name, disk).with_platform("Rocky Linux").with_tag("team", "web")
}

fn copy(image: &CustomImage, to: &str) -> CopyRequest {
    CopyRequest::new(region(), image.image_id.clone(), to.parse().unwrap(), "rocky9")
}

#[tokio::test(start_paused = true)]
async fn an_import_is_followed_to_its_image() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    assert!(task.task_id.is_some() && task.request_id.is_some() && !task.adopted);
    let began = Instant::now();
    let image = bench.importer.follow(&task).await.unwrap();
    assert!((3600..3700).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!((&image.image_id, &image.status), (&task.image_id, &ImageStatus::Available));
    assert_eq!(image.tags[0].key, "team");

    let progress = bench.progress();
    assert!((60..90).contains(&progress.len()), "looked {} times in an hour", progress.len());
    let first = &progress[0];
    assert_eq!(first.percent, Some(0));
    assert_eq!((&first.task, &first.image), (&Some(TaskStatus::Processing), &Some(ImageStatus::Creating)));
    assert_eq!(first.snapshot, Some(SnapshotStatus::Failed), "as the console shows it while the import runs");
    let last = progress.last().unwrap();
    assert_eq!((last.percent, &last.snapshot), (Some(100), &Some(SnapshotStatus::Accomplished)));
    assert!(progress.windows(2).all(|pair| pair[0].percent <= pair[1].percent));
    assert!(matches!(bench.events.lock().unwrap()[0], Event::Submitted { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_second_image() {
    let bench = Bench::new(|_| {});
    bench.script("ImportImage", [Fault::AnswerLost, Fault::Lost, Fault::Refused(503, "ServiceUnavailable")]);
    let task = bench.submit().await;
    assert_eq!((bench.calls("ImportImage"), bench.images().await), (4, 1));
    // The same again, in another run.
    let again = submit(&bench.importer, &request("rocky9"), "c-1").await.unwrap();
    assert_eq!((&again.image_id, &again.task_id), (&task.image_id, &task.task_id));
    assert_eq!(bench.images().await, 1);
}

#[tokio::test(start_paused = true)]
async fn where_tokens_are_not_remembered_the_image_itself_settles_it() {
    let bench = Bench::new(|_| {});
    bench.script("ImportImage", [Fault::AnswerLost, Fault::Refused(400, "InvalidImageName.Duplicated")]);
    let task = bench.submit().await;
    assert!(task.adopted && task.task_id.is_some(), "{task:?}");
    assert_eq!(bench.images().await, 1);
    bench.importer.follow(&task).await.unwrap();

    // A process that was killed between the call and its answer.
    bench.script("ImportImage", [Fault::Refused(400, "InvalidImageName.Duplicated")]);
    let again = submit(&bench.importer, &request("rocky9"), "c-1").await.unwrap();
    assert_eq!((again.adopted, again.image_id), (true, task.image_id));

    // An image of the same name from other objects is not ours.
    put(&bench.emulator, "images", "other.raw", &disk());
    let disk = ImportDisk::new("oss://images/other.raw".parse().unwrap());
    let other = ImportRequest::new(region(), "rocky9", disk);
    let error = submit(&bench.importer, &other, "c-2").await.unwrap_err();
    assert!(matches!(error, ImportError::NameTaken { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_told_with_its_owner() {
    let bench = Bench::new(|options| options.fuzzy_neighbours = true);
    let first = bench.submit().await;
    let error = submit(&bench.importer, &request("rocky9"), "c-2").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the image name `rocky9` is taken by {} (Creating)", first.image_id)
    );
    let found = bench.importer.find_image(&region(), "rocky9").await.unwrap().unwrap();
    assert_eq!(found.image_id, first.image_id);
    assert_eq!(
        bench.importer.find_image(&region(), "rocky").await.unwrap(),
        None,
        "names are compared exactly"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_against_the_rules_is_not_sent() {
    let bench = Bench::new(|_| {});
    let bad =
        request("1st").with_architecture(Architecture::Arm64).with_boot_mode(crate::model::BootMode::Bios);
    let error = submit(&bench.importer, &bad, "c-1").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("does not begin with a letter") && text.contains("UEFI only"), "{text}");
    let disk = || ImportDisk::new("oss://images/disk.raw".parse().unwrap());
    let many = (0..17).fold(request("ok"), |request, _| request.with_data_disk(disk()));
    assert!(many.is_refused());
    let huge = request("ok").with_data_disk(disk().with_size_gib(4000));
    assert!(huge.is_refused() && !request("ok").with_data_disk(disk().with_size_gib(100)).is_refused());
    assert_eq!(bench.calls("ImportImage"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_success_of_a_dry_run_is_an_error_code() {
    for code in ["DRYRUN.SUCCESS", "DryRunOperation"] {
        let bench = Bench::new(|options| options.dry_run_code = code.to_owned());
        bench.importer.dry_run(&request("rocky9")).await.unwrap();
        assert_eq!(bench.images().await, 0);
    }
    let bench = Bench::new(|options| options.import_role = false);
    let error = bench.importer.dry_run(&request("rocky9")).await.unwrap_err();
    assert!(matches!(error, ImportError::RoleMissing { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shown_verbatim() {
    let bench = Bench::new(|_| {});
    bench.script("ImportImage", [Fault::Refused(403, "UserNotInTheWhiteList")]);
    let error = submit(&bench.importer, &request("rocky9"), "c-1").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot import `oss://images/disk.raw`");
    assert_eq!(error.code(), Some("UserNotInTheWhiteList"));
    assert_eq!(error.call_error().unwrap().service().unwrap().request_id.as_deref(), Some("R"));
    put(&bench.emulator, "images", "disk.raw", &b"<html>nothing here</html>".repeat(100_000));
    let error = submit(&bench.importer, &request("rocky9"), "c-1").await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidImageFormat.Malformed"));
}

#[tokio::test(start_paused = true)]
async fn a_role_is_set_up_and_awaited() {
    for code in MISSING_ROLE_CODES {
        let bench = Bench::new(|options| {
            options.import_role = false;
            options.role_code = code.to_owned();
            options.role_propagation = Duration::from_secs(42);
        });
        assert_eq!(bench.importer.role_state(IMPORT_ROLE).await.unwrap(), RoleState::Missing);
        let error = submit(&bench.importer, &request("rocky9"), "c-1").await.unwrap_err();
        assert!(matches!(error, ImportError::RoleMissing { .. }), "{error}");
        let done = bench.importer.create_role().await.unwrap();
        assert!(done.created && done.attached);
        assert_eq!(bench.importer.role_state(IMPORT_ROLE).await.unwrap(), RoleState::Ready);
        let again = bench.importer.create_role().await.unwrap();
        assert_eq!((again.created, again.attached, again.grace()), (false, false, Duration::ZERO));
        let importer = bench.importer.clone().with_role_grace(done.grace());
        let began = Instant::now();
        submit(&importer, &request("rocky9"), "c-1").await.unwrap();
        assert!((42..60).contains(&began.elapsed().as_secs()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_of_someone_else_is_not_changed() {
    let bench = Bench::new(|options| options.import_role = false);
    let trust = r#"{"Version":"1","Statement":[]}"#;
    let create = crate::protocol::ram::CreateRole::new(IMPORT_ROLE, trust);
    bench.importer.client().call(&create).await.unwrap();
    assert_eq!(bench.importer.role_state(IMPORT_ROLE).await.unwrap(), RoleState::Untrusting);
    let error = bench.importer.create_role().await.unwrap_err();
    assert!(matches!(error, ImportError::RoleTrust { .. }), "{error}");
    bench.script("GetRole", [Fault::Refused(403, "NoPermission")]);
    assert_eq!(bench.importer.role_state(IMPORT_ROLE).await.unwrap(), RoleState::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_while_the_role_is_made_is_no_failure() {
    let bench = Bench::new(|options| options.import_role = false);
    bench.script("CreateRole", [Fault::AnswerLost]);
    bench.script("AttachPolicyToRole", [Fault::AnswerLost]);
    let done = bench.importer.create_role().await.unwrap();
    assert!(done.created && done.attached && done.grace() > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_as_the_service_tells_them() {
    let bench = Bench::new(|_| {});
    let mut unbootable = disk();
    unbootable[510] = 0;
    put(&bench.emulator, "images", "disk.raw", &unbootable);
    let task = bench.submit().await;
    let error = bench.importer.follow(&task).await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidImageFormat.Malformed"));
    assert!(error.to_string().contains(" failed at 30 %: `InvalidImageFormat.Malformed`: "), "{error}");

    // Finished, and yet it failed.
    let bench = Bench::new(|options| options.finished_but_failed = true);
    let task = bench.submit().await;
    let error = bench.importer.follow(&task).await.unwrap_err();
    assert_eq!(error.code(), Some("ImportImageFailed"));
}

#[tokio::test(start_paused = true)]
async fn every_oddity_of_the_service_is_survived() {
    let oddities: [fn(&mut EcsOptions); 11] = [
        |options| options.looks_before_available = 3,
        |options| options.looks_before_usable = 3,
        |options| options.forget_ended_tasks = true,
        |options| options.paused = true,
        |options| options.stringly_typed = true,
        |options| options.fuzzy_neighbours = true,
        |options| options.late_snapshot_ids = true,
        |options| options.task_id_field = "ImportTaskId".to_owned(),
        |options| options.detection_risks = true,
        |options| options.cancel_leaves_image = true,
        |options| {
            options.running_limit = 1;
            options.bytes_per_second = Some(1000);
        },
    ];
    for (n, oddity) in oddities.into_iter().enumerate() {
        let bench = Bench::new(oddity);
        let image = bench.imported().await;
        assert_eq!(image.status, ImageStatus::Available, "oddity {n}");
        assert_ne!(image.usable, Some(false), "oddity {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_services_own_check_is_awaited_for_a_while() {
    let bench = Bench::new(|options| options.detection_risks = true);
    let limit = Duration::from_secs(600);
    let plain = bench.imported().await;
    let found = bench.importer.detection(&region(), &plain.image_id, limit).await.unwrap();
    assert_eq!(found, None, "none was asked for");
    let checked = request("checked").with_detection(true);
    let task = submit(&bench.importer, &checked, "c-2").await.unwrap();
    bench.importer.follow(&task).await.unwrap();
    let found = bench.importer.detection(&region(), &task.image_id, limit).await.unwrap().unwrap();
    let high: Vec<_> = found.risks().filter(|risk| risk.level.as_deref() == Some("High")).collect();
    assert_eq!((high.len(), high[0].name.as_str()), (1, "GUESTOS.CloudInit"));
}

#[tokio::test(start_paused = true)]
async fn errors_on_the_way_do_not_end_the_wait() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    bench.script(
        "DescribeImages",
        [
            Fault::Lost,
            Fault::AnswerLost,
            Fault::Refused(503, "ServiceUnavailable"),
            Fault::Refused(400, "Throttling.User"),
            Fault::Refused(500, "InternalError"),
        ],
    );
    // What may not be seen is not needed.
    bench.script("DescribeTaskAttribute", [Fault::Lost, Fault::Refused(403, "Forbidden.RAM")]);
    bench.script("DescribeSnapshots", [Fault::Refused(403, "Forbidden.RAM")]);
    bench.importer.follow(&task).await.unwrap();
    assert_eq!(bench.calls("DescribeTaskAttribute"), 2, "a refused look is not repeated");
    assert_eq!(bench.calls("DescribeSnapshots"), 1);
    let told = bench.events.lock().unwrap().iter().any(|event| matches!(event, Event::Notice { .. }));
    assert!(told);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_gone_for_hours_does_not_end_the_wait() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    bench.script("DescribeImages", std::iter::repeat_n(Fault::Lost, 200));
    let began = Instant::now();
    bench.importer.follow(&task).await.unwrap();
    assert!(began.elapsed() > HOUR, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_not_allowed_ends_the_wait() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    bench.script("DescribeImages", [Fault::Refused(403, "Forbidden.RAM")]);
    let error = bench.importer.follow(&task).await.unwrap_err();
    assert_eq!(error.code(), Some("Forbidden.RAM"));
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_at_its_limit_and_can_be_taken_up_by_either_id() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    let limited = bench.importer.clone().with_wait_limit(Some(Duration::from_secs(95)));
    let error = limited.follow(&task).await.unwrap_err();
    let ImportError::StillRunning { task: left, waited } = error else { panic!("{error}") };
    assert_eq!((&left, waited.as_secs()), (&task, 95));
    let by_task = bench.importer.resolve(&region(), task.task_id.as_ref().unwrap().as_str()).await.unwrap();
    let by_image = bench.importer.resolve(&region(), task.image_id.as_str()).await.unwrap();
    for found in [by_task, by_image] {
        assert_eq!((&found.image_id, &found.task_id), (&task.image_id, &task.task_id));
    }
    bench.importer.follow(&ImportTask::of_image(region(), task.image_id)).await.unwrap();
    for unknown in ["t-nobody", "m-nobody", "x,y"] {
        let error = bench.importer.resolve(&region(), unknown).await.unwrap_err();
        assert!(matches!(error, ImportError::Unknown { .. }), "{unknown}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_import_leaves_nothing_but_its_snapshot() {
    for leaves_image in [false, true] {
        let bench = Bench::new(|options| options.cancel_leaves_image = leaves_image);
        let task = bench.submit().await;
        bench.script("CancelTask", [Fault::AnswerLost]);
        let outcome = bench.importer.cancel(&task).await.unwrap();
        let CancelOutcome::Cancelled { snapshots } = outcome else { panic!("{outcome:?}") };
        assert_eq!((snapshots.len(), bench.images().await), (1, 0));
        let error = bench.importer.follow(&task).await.unwrap_err();
        assert!(matches!(error, ImportError::Cancelled { .. }), "{error}");
        bench.importer.delete_snapshot(&region(), &snapshots[0]).await.unwrap();
        bench.importer.delete_snapshot(&region(), &snapshots[0]).await.unwrap();
        // The name is free again.
        submit(&bench.importer, &request("rocky9"), "c-2").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_may_come_too_late() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    let image = bench.importer.follow(&task).await.unwrap();
    let outcome = bench.importer.cancel(&task).await.unwrap();
    let CancelOutcome::TooLate { image: Some(found) } = outcome else { panic!("{outcome:?}") };
    assert_eq!(found.image_id, image.image_id);
    bench.importer.delete_image(&region(), &image.image_id, false).await.unwrap();
    bench.importer.delete_image(&region(), &image.image_id, false).await.unwrap();
    let error = bench.importer.follow(&ImportTask::of_image(region(), image.image_id)).await.unwrap_err();
    assert!(matches!(error, ImportError::Vanished { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_comes_too_late_deletes_no_image() {
    let bench = Bench::new(|_| {});
    let task = bench.submit().await;
    bench.importer.follow(&task).await.unwrap();
    // The first attempt is lost, so that it may have cancelled the import; but that was done before.
    bench.script("CancelTask", [Fault::AnswerLost]);
    let outcome = bench.importer.cancel(&task).await.unwrap();
    assert!(matches!(outcome, CancelOutcome::TooLate { image: Some(_) }), "{outcome:?}");
    assert_eq!(bench.images().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_another_image_is_not_taken_for_this_one() {
    let bench = Bench::new(|options| options.copies_to_fail = 1);
    let image = bench.imported().await;
    let failed = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    bench.importer.follow(&failed).await.unwrap_err();
    let other = submit(&bench.importer, &request("other"), "c-2").await.unwrap();
    let other = bench.importer.follow(&other).await.unwrap();
    // Not even a failed one of the same name is touched.
    let error = bench.importer.copy(&copy(&other, "cn-beijing"), &token("p-2")).await.unwrap_err();
    assert!(
        matches!(&error, ImportError::NameTaken { image_id, .. } if *image_id == failed.image_id),
        "{error}"
    );
    let good = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    let error = bench.importer.copy(&copy(&other, "cn-beijing"), &token("p-3")).await.unwrap_err();
    assert!(
        matches!(&error, ImportError::NameTaken { image_id, .. } if *image_id == good.image_id),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_happens_once() {
    let bench = Bench::new(|_| {});
    let image = bench.imported().await;
    let beijing: Region = "cn-beijing".parse().unwrap();
    bench.script("CopyImage", [Fault::Refused(403, "OperationDenied.ImageCopying"), Fault::AnswerLost]);
    let first = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    let again = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-2")).await.unwrap();
    assert_eq!((&again.image_id, again.adopted), (&first.image_id, true));
    let made = bench.importer.follow(&first).await.unwrap();
    assert!(made.is_copied);
    assert_eq!(bench.importer.images(&beijing).await.unwrap().len(), 1);
    let last = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-3")).await.unwrap();
    assert_eq!(last.image_id, first.image_id);
}

#[tokio::test(start_paused = true)]
async fn a_copy_whose_token_is_not_remembered_is_found_by_its_origin() {
    let bench = Bench::new(|_| {});
    let image = bench.imported().await;
    bench.script("CopyImage", [Fault::AnswerLost, Fault::Refused(400, "InvalidImageName.Duplicated")]);
    let task = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    assert!(task.adopted);
    let outcome = bench.importer.cancel(&task).await.unwrap();
    assert!(matches!(outcome, CancelOutcome::Cancelled { .. }), "{outcome:?}");
    let error = bench.importer.copy(&copy(&image, "cn-hangzhou"), &token("p-2")).await.unwrap_err();
    assert!(matches!(error, ImportError::NameTaken { .. }), "the source itself has the name: {error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_copy_is_made_again_by_the_same_call() {
    let bench = Bench::new(|options| options.copies_to_fail = 1);
    let image = bench.imported().await;
    let first = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    let error = bench.importer.follow(&first).await.unwrap_err();
    assert!(matches!(error, ImportError::Failed { percent: Some(50), .. }), "{error}");
    let second = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap();
    assert_ne!(second.image_id, first.image_id, "the old token must not bring the old answer back");
    bench.importer.follow(&second).await.unwrap();
    assert_eq!(bench.importer.images(&"cn-beijing".parse().unwrap()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stays_busy_is_given_up() {
    let bench = Bench::new(|_| {});
    let image = bench.imported().await;
    bench.script("CopyImage", std::iter::repeat_n(Fault::Refused(400, "IncorrectImageStatus"), 1000));
    let began = Instant::now();
    let error = bench.importer.copy(&copy(&image, "cn-beijing"), &token("p-1")).await.unwrap_err();
    assert_eq!(error.code(), Some("IncorrectImageStatus"));
    assert!((300..400).contains(&began.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn sharing_is_finished_by_the_same_call_and_proved() {
    let bench = Bench::new(|_| {});
    let image = bench.imported().await;
    let accounts: Vec<AccountId> = (0..23).map(|n| format!("10000000{n:02}").parse().unwrap()).collect();
    bench.script(
        "ModifyImageSharePermission",
        [Fault::AnswerLost, Fault::Refused(403, "QuotaExceed.ShareImageUser")],
    );
    let error = bench.importer.share(&region(), &image.image_id, &accounts).await.unwrap_err();
    assert_eq!(error.code(), Some("QuotaExceed.ShareImageUser"));
    bench.importer.share(&region(), &image.image_id, &accounts).await.unwrap();
    let listed = bench.importer.shared_with(&region(), &image.image_id).await.unwrap();
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), accounts);
    let calls = bench.calls("ModifyImageSharePermission");
    bench.importer.share(&region(), &image.image_id, &accounts).await.unwrap();
    assert_eq!(bench.calls("ModifyImageSharePermission"), calls, "what is shared is not shared again");
    bench.importer.unshare(&region(), &image.image_id, &accounts).await.unwrap();
    assert!(bench.importer.shared_with(&region(), &image.image_id).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_survives_being_written_down() {
    let request = request("rocky9").with_nvme_support(true).with_imds_support(ImdsSupport::V2);
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<ImportRequest>(&text).unwrap(), request);
}
