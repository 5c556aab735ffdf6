//! What `import`, `publish` and `demo` share: the request, the checks before it, and the run.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ossup::boot_test::BootTestError;
use ossup::image::request::platform_os_type;
use ossup::image::{DiskRole, Expected, Report};
use ossup::import::{ImdsSupport, ImportDisk, ImportRequest, Importer};
use ossup::model::{BootMode, DiskFormat, ObjectRef, OsType, Region};
use ossup::publish::{Publish, PublishError, PublishReport, Published};
use serde_json::{Value, json};

use super::{checked, cloud_test, fan_out};
use crate::args::{ConnectionArgs, FanOutArgs, ImdsArg, RequestArgs};
use crate::context::{Connection, Context};
use crate::failure::{Failure, ResumeHint, again};
use crate::origin::Late;
use crate::ui::ImportsShown;
use crate::ui::advice::Subject;

/// Minimum size of an instance's system disk in GiB ("RunInstances" page).
const SMALLEST_SYSTEM_DISK: u64 = 40;

/// How long to wait for the service's check of an image; it takes some minutes.
const DETECTION_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A disk to be imported: its object, and the inspection's report.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) object: ObjectRef,
    pub(crate) report: Option<Report>,
    /// The format in which it was made, if it was.
    pub(crate) made: Option<DiskFormat>,
    /// What is seen of it later, if not all was by now.
    pub(crate) late: Option<Late>,
}

impl Disk {
    /// Takes an object that is there.
    pub(crate) fn of_object(object: ObjectRef, report: Option<Report>) -> Self {
        Self { object, report, made: None, late: None }
    }
}

/// Returns what the user expects of the system disk, so that contradictions with its contents are found. With
/// `more_disks` what it mounts may be on another of the image's disks.
pub(crate) fn expected(args: &RequestArgs, name: &str, more_disks: bool) -> Expected {
    let mut expected = args.facts.expected(DiskRole::System, name);
    expected.more_disks = more_disks;
    // The service assumes Linux by default.
    expected.assumed_os_type = Some(OsType::Linux);
    expected
}

/// Returns the request: what was typed, else what was found.
pub(crate) fn request(args: &RequestArgs, region: &Region, system: &Disk, data: &[Disk]) -> ImportRequest {
    let found = system.report.as_ref().map(|report| &report.settings);
    let mut disk = disk(system);
    if let Some(format) = args.facts.format {
        disk = disk.with_format(format);
    }
    if let Some(size) = args.facts.disk_size {
        disk = disk.with_size_gib(size.0);
    }
    let mut request = ImportRequest::new(region.clone(), &args.name, disk);
    for data in data {
        request = request.with_data_disk(self::disk(data));
    }
    if let Some(text) = &args.description {
        request = request.with_description(text);
    }
    let platform = args.facts.platform.as_ref().or_else(|| found?.platform.as_ref());
    if let Some(platform) = platform {
        request = request.with_platform(platform);
    }
    if let Some(architecture) = args.facts.architecture.or_else(|| found?.architecture) {
        request = request.with_architecture(architecture);
    }
    // The service assumes Linux by default, whatever the platform's name implies.
    let windows = |platform: &String| platform_os_type(platform) == OsType::Windows;
    let of_platform =
        args.facts.platform.as_ref().filter(|platform| windows(platform)).map(|_| OsType::Windows);
    if let Some(os_type) = args.facts.os_type.or(of_platform).or_else(|| found?.os_type) {
        request = request.with_os_type(os_type);
    }
    // ImportImage does not accept the mode that leaves the choice to the instance.
    let boot_mode = args.facts.boot_mode.or_else(|| found?.boot_mode);
    if let Some(mode) = boot_mode.filter(|mode| *mode != BootMode::UefiPreferred) {
        request = request.with_boot_mode(mode);
    }
    if let Some(license) = args.license {
        request = request.with_license(license);
    }
    for tag in &args.tag {
        request = request.with_tag(&tag.key, &tag.value);
    }
    if let Some(role) = &args.role_name {
        request = request.with_role(role);
    }
    if let Some(group) = &args.resource_group {
        request = request.with_resource_group(group);
    }
    if let Some(arn) = &args.storage_location {
        request = request.with_storage_location(arn);
    }
    if let Some(supported) = args.facts.nvme.or_else(|| found?.nvme_support) {
        request = request.with_nvme_support(supported);
    }
    if let Some(imds) = args.imds {
        request = request.with_imds_support(match imds {
            ImdsArg::V1 => ImdsSupport::V1,
            ImdsArg::V2 => ImdsSupport::V2,
        });
    }
    request.with_detection(args.detect)
}

fn disk(disk: &Disk) -> ImportDisk {
    let mut import = ImportDisk::new(disk.object.clone());
    if let Some(format) = disk.made {
        import = import.with_format(format);
    }
    if let Some(report) = &disk.report {
        if let Some(format) = report.settings.format {
            import = import.with_format(format);
        }
        if let Some(size) = report.settings.disk_size.and_then(|size| u32::try_from(size).ok()) {
            import = import.with_size_gib(size);
        }
    }
    import
}

/// What was seen of the system disk, once it was seen.
#[derive(Default)]
pub(super) struct Looked {
    /// The report, which may explain why it does not boot.
    pub(super) report: OnceLock<(Report, Subject)>,
    /// Why nobody looked at the system on it.
    pub(super) unread: OnceLock<String>,
}

/// Imports over a connection, with their progress.
pub(crate) struct Imports {
    pub(super) importer: Importer,
    shown: ImportsShown,
    connection: ConnectionArgs,
    pub(super) looked: Arc<Looked>,
    pub(super) state: PathBuf,
    /// Whether requests go to the embedded store.
    pub(super) local: bool,
}

impl Imports {
    pub(crate) fn new(
        context: &Context,
        args: &ConnectionArgs,
        connection: &Connection,
        limit: Option<Duration>,
    ) -> Result<Self, Failure> {
        let shown = ImportsShown::start(context.output);
        let importer =
            Importer::new(connection.client.clone()).with_events(shown.sink()).with_wait_limit(limit);
        let state = connection.settings.state_dir()?.to_owned();
        Ok(Self {
            importer,
            shown,
            connection: args.clone(),
            looked: Arc::default(),
            state,
            local: connection.local.is_some(),
        })
    }

    pub(crate) fn importer(&self) -> &Importer {
        &self.importer
    }

    /// Returns the publish of a request, unless what is to follow the import cannot be.
    pub(crate) async fn publish(
        &self,
        request: ImportRequest,
        after: &FanOutArgs,
        context: &Context,
    ) -> Result<Publish, Failure> {
        let copy_to = context.stop.or(fan_out::regions(&self.importer, after)).await?;
        let publish = Publish::new(self.importer.clone(), request, &self.state)
            .with_copies_in(copy_to)
            .with_encryption(fan_out::encryption(after))
            .with_accounts(after.share_with.iter().cloned())
            .with_public(after.public)
            .with_replaced(fan_out::replaced(after))
            .with_family(after.family.clone())
            .with_delete_objects(after.delete_object)
            .with_keep_going(after.keep_going)
            .with_events(self.shown.sink())
            .with_cancellation(context.stop.token());
        publish.check()?;
        Ok(publish)
    }

    /// Runs a publish. A signal ends the wait and cancels nothing.
    ///
    /// `again` says how a failed upload of it can continue.
    pub(crate) async fn run(
        &self,
        context: &Context,
        publish: &Publish,
        again: ResumeHint<'_>,
    ) -> Result<PublishReport, Failure> {
        let mut report = publish.run().await.map_err(|error| match error {
            PublishError::Cancelled { .. } => self.stopped(context),
            PublishError::Upload(error) => crate::failure::upload(&error, again, &context.stop),
            PublishError::BootTest(BootTestError::Cancelled) => {
                context.stop.failure("the boot test was stopped").resumable(true).hint(
                    "the image is there, and neither copied nor shared; run the same command again to test it",
                )
            }
            PublishError::BootTest(error) => {
                let looked = self.looked.report.get().map(|(report, subject)| (report, subject));
                cloud_test::failure(error, looked, context).resumable(true)
            }
            error => error.into(),
        })?;
        let failures: Vec<_> = report.failures.iter().map(failure_members).collect();
        let Some((region, error)) = report.failures.pop_first() else { return Ok(report) };
        let said = |region: &Region| format!("the image was not copied to {region}");
        // Only one failure can be the command's; the others are shown, and all are in the JSON.
        for (region, error) in std::mem::take(&mut report.failures) {
            context.output.warning(Failure::from(error).context(said(&region)).line());
        }
        let done = json_fields(&report);
        let done = joined(done, json!({"failures": failures}));
        Err(Failure::from(error).resumable(true).with_members(done).context(said(&region)))
    }

    /// Waits for the service's check of the image, and shows its items and which of our checks look at the same. The image is
    /// there whatever it found. Returns the items; null if it has not ended.
    pub(crate) async fn detection(
        &self,
        context: &Context,
        import: &Published,
        report: Option<&Report>,
    ) -> Result<Value, Failure> {
        let task = &import.task;
        let detection = self.importer.detection(&task.region, &task.image_id, DETECTION_LIMIT);
        let found = context.stop.or(async { Ok(detection.await?) }).await?;
        let Some(found) = found else {
            context.output.warning(format!(
                "the image check has not finished: `ossup image show {}` shows its result",
                task.image_id
            ));
            return Ok(Value::Null);
        };
        for row in checked::table(&found, report).lines() {
            context.output.status(row);
        }
        for risk in found.risks() {
            context.output.warning(checked::said(risk, report));
        }
        if found.risks().next().is_none() {
            context.output.status("the image check found no risks");
        }
        Ok(found.items.iter().map(|item| checked::members_with_ours(item, report)).collect())
    }

    fn stopped(&self, context: &Context) -> Failure {
        let failure = context.stop.failure("stopped").resumable(true);
        match self.shown.begun().first() {
            Some((region, id)) => {
                let wait = again::image("wait", id, region, &self.connection);
                failure.hint(format!(
                    "the import continues: follow it with `{wait}`; only `ossup image cancel` stops it; \
                     run the same command again to continue here"
                ))
            }
            None => failure.hint("run the same command again to continue"),
        }
    }
}

/// Returns id and region of each image that has the name, one per line, first that of the import's region.
pub(crate) fn lines(report: &PublishReport) -> String {
    images(report)
        .map(|image| format!("{}\t{}", image.task.image_id, image.task.region))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the images that have the name, first that of the import's region.
fn images(report: &PublishReport) -> impl Iterator<Item = &Published> {
    let first = report.image();
    std::iter::once(first)
        .chain(report.named().filter(move |image| image.task.image_id != first.task.image_id))
}

/// Returns the JSON fields about images for `--output json`.
pub(crate) fn json_fields(report: &PublishReport) -> Value {
    let one = |published: &Published| {
        json!({
            "region": published.task.region,
            "image_id": published.task.image_id,
            "task_id": published.task.task_id,
            "request_id": published.task.request_id,
            "status": published.image.as_ref().map_or("Creating", |image| image.status.as_str()),
        })
    };
    let images: Vec<_> = images(report).map(one).collect();
    let unencrypted = report.encrypted.then(|| one(&report.import));
    let rest = json!({
        "images": images,
        "unencrypted": unencrypted,
        "boot_tested": report.boot_tested,
        "replaced": fan_out::fates(report),
    });
    joined(one(report.image()), rest)
}

fn failure_members((region, error): (&Region, &PublishError)) -> Value {
    json!({"region": region, "message": crate::failure::chain(error)})
}

/// Returns the command that starts an instance of the image, the last step of the documented procedure.
pub(crate) fn next_step(report: &PublishReport) -> Option<String> {
    let import = report.image();
    let size = import.image.as_ref()?.size_gib.unwrap_or(0).max(SMALLEST_SYSTEM_DISK);
    let (region, id) = (&import.task.region, &import.task.image_id);
    Some(format!(
        "to start an instance: aliyun ecs RunInstances --RegionId {region} --ImageId {id} \
         --InstanceType TYPE --VSwitchId vsw-ID --SecurityGroupId sg-ID --SystemDisk.Size {size}"
    ))
}

/// Joins two JSON objects.
pub(crate) fn joined(mut first: Value, second: Value) -> Value {
    if let (Some(json_fields), Value::Object(more)) = (first.as_object_mut(), second) {
        json_fields.extend(more);
    }
    first
}
