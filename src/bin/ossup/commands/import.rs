use ossup::image::{DiskRole, Expected, Report};
use ossup::model::{ObjectRef, SnapshotId};
use ossup::publish::PublishReport;
use serde_json::{Map, Value, json};

use super::checked;
use super::importing::{self, Disk, Imports};
use super::inspection::{self, Depth};
use super::preflight::{refuse_by_rules, warn_of_unknown_boot_mode};
use crate::args::ImportArgs;
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind, ResumeHint, again};
use crate::ui::advice::Subject;

/// Imports objects as a custom image.
pub(crate) async fn run(args: &ImportArgs, context: &Context) -> Result<(), Failure> {
    // What follows the import needs the image.
    let wait = args.wait || args.as_snapshot || args.after.follows();
    if args.waiting.timeout.is_some() && !wait {
        let text = "--timeout has no effect without --wait";
        return Err(Failure::new(Kind::Usage, text).hint("pass --wait"));
    }
    let object = &args.object;
    let connection = context.connect(&args.connection, &args.retry, Some(&object.bucket))?;
    let prepared = context.stop.or(prepare(args, context, &connection)).await?;
    let Some((imports, publish, looked)) = prepared else { return Ok(()) };
    let report = imports.run(context, &publish.with_wait(wait), ResumeHint::Same).await?;
    let mut json_fields = importing::joined(
        json!({"bucket": object.bucket, "key": object.key, "url": connection.url(object)}),
        importing::json_fields(&report),
    );
    let mut risks = Ok(());
    if args.request.detect && wait {
        let items = imports.detection(context, &report.import, looked.as_ref()).await?;
        json_fields = importing::joined(json_fields, checked::json_fields(items));
        risks = checked::judge_risks(&json_fields["risks"], args.inspection.strict);
    }
    if args.as_snapshot {
        let id = snapshot(&report)?;
        json_fields["snapshot_id"] = id.as_str().into();
        context.output.text(id.as_str())?;
        return context.output.object(json_fields);
    }
    let task = &report.import.task;
    let text = match (&report.import.image, &task.task_id) {
        (None, Some(id)) => {
            let wait = again::image("wait", id.as_str(), task.region.as_str(), &args.connection);
            context.output.status(format!("follow the import with `{wait}`"));
            id.to_string()
        }
        (None, None) => task.image_id.to_string(),
        (Some(_), _) if report.copies.is_empty() => task.image_id.to_string(),
        (Some(_), _) => importing::lines(&report),
    };
    if let Some(next) = importing::next_step(&report) {
        context.output.status(next);
    }
    context.output.text(&text)?;
    match risks {
        Ok(()) => context.output.object(json_fields),
        Err(failure) => Err(failure.with_members(json_fields)),
    }
}

/// Returns the snapshot that the image's only disk was stored as.
fn snapshot(report: &PublishReport) -> Result<&SnapshotId, Failure> {
    let disks = report.import.image.iter().flat_map(|image| &image.disks);
    disks.filter_map(|disk| disk.snapshot_id.as_ref()).next().ok_or_else(|| {
        let image = &report.import.task.image_id;
        let text = format!("the service names no snapshot of image {image}, although it is Available");
        Failure::new(Kind::Import, text).hint(format!("`ossup image show {image}` names it once it is known"))
    })
}

/// Inspects the objects and checks what else could prevent the import. A dry run ends here.
async fn prepare(
    args: &ImportArgs,
    context: &Context,
    connection: &Connection,
) -> Result<Option<(Imports, ossup::publish::Publish, Option<Report>)>, Failure> {
    let name = args.object.to_string();
    let mut expected = importing::expected(&args.request, &name, !args.data_disk.is_empty());
    expected.key = Some(args.object.key.as_str().to_owned());
    if args.as_snapshot {
        expected.role = DiskRole::Data;
    }
    let system = look(args, context, connection, expected, &args.object).await?;
    let mut data = Vec::new();
    for object in &args.data_disk {
        let mut expected = Expected::new(DiskRole::Data, object.to_string());
        expected.key = Some(object.key.as_str().to_owned());
        data.push(look(args, context, connection, expected, object).await?);
    }
    let request = importing::request(&args.request, connection.client.region(), &system, &data);
    refuse_by_rules(&request, std::iter::once(&system).chain(&data), &[], &args.inspection, context)?;
    if !args.as_snapshot {
        warn_of_unknown_boot_mode(&request, &system, context);
    }
    system.report.iter().for_each(|report| inspection::tell_settings(report, context.output));
    let limit = args.waiting.timeout.map(|span| span.0);
    let mut imports = Imports::new(context, &args.connection, connection, limit)?;
    if args.dry_run {
        imports.importer().dry_run(&request).await?;
        context.output.status("the service would accept this import");
        let (request, text) = shown(&request);
        context.output.print(json!({"dry_run": true, "request": request}), &text)?;
        return Ok(None);
    }
    let publish = imports.publish(request, &args.after, context).await?;
    let (create_role, force) = (args.request.create_role, args.inspection.force);
    let publish = imports.check(context, publish, create_role, force, false).await?;
    Ok(Some((imports, publish, system.report)))
}

async fn look(
    args: &ImportArgs,
    context: &Context,
    connection: &Connection,
    expected: Expected,
    object: &ObjectRef,
) -> Result<Disk, Failure> {
    let report = match args.inspection.no_inspect {
        true => None,
        false => {
            let guest = expected.role == DiskRole::System && !args.inspection.no_guest;
            let depth = Depth::of(guest, args.inspection.deep);
            let report = inspection::object(&connection.client, object, &expected, depth).await?;
            let subject = Subject::object(object.key.as_str());
            inspection::settle(&object.to_string(), &subject, &report, &args.inspection, context.output)?;
            Some(report)
        }
    };
    Ok(Disk::of_object(object.clone(), report))
}

/// Returns the request as it is sent, as JSON and for people.
pub(super) fn shown(request: &ossup::import::ImportRequest) -> (Map<String, Value>, String) {
    let params = params(request);
    let lines: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (params.into_iter().map(|(name, value)| (name, value.into())).collect(), lines.join("\n"))
}

/// Returns the request's parameters as they are sent.
pub(super) fn params(request: &ossup::import::ImportRequest) -> Vec<(String, String)> {
    use ossup::protocol::{Operation, Request};
    match request.operation(None, true).request() {
        Request::Rpc(call) => call.params,
        Request::Oss(_) => Vec::new(),
    }
}
