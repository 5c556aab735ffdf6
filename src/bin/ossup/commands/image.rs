use futures::stream::{self, StreamExt, TryStreamExt};
use ossup::ErrorKind;
use ossup::image::request::{PLATFORMS, platform_os_type};
use ossup::import::{CancelOutcome, CopyRequest, CustomImage, ImportTask, Importer};
use ossup::manage::{ImageRef, Images};
use ossup::model::{AccountId, ClientToken, ImageId, Region, SnapshotId};
use serde_json::{Value, json};

use super::fan_out::refuse_unknown_regions;
use super::{checked, cloud_test, image_text, manage};
use crate::args::{
    ConnectionArgs, ImageArgs, ImageCommand, ImageCopyArgs, ImageShareArgs, ImageWaitArgs, RetryArgs,
    TaskOrImage,
};
use crate::context::Context;
use crate::failure::{Failure, Kind, chain};
use crate::ui::ImportsShown;

/// How many copies are followed at a time.
const COPIES_AT_ONCE: usize = 5;

/// Runs one of the `image` commands. A signal ends a wait and cancels nothing.
pub(crate) async fn run(command: &ImageCommand, context: &Context) -> Result<(), Failure> {
    let stop = &context.stop;
    match command {
        // When a wait is stopped, it says what continues.
        ImageCommand::Wait(args) => wait(args, context).await,
        ImageCommand::List(args) => stop.or(manage::list(args, context)).await,
        ImageCommand::Platforms => platforms(context),
        ImageCommand::Show(args) => stop.or(show(args, context)).await,
        ImageCommand::Cancel(args) => stop.or(cancel(args, context)).await,
        ImageCommand::Copy(args) => stop.or(copy(args, context)).await,
        // It deletes its instance when it is stopped.
        ImageCommand::BootTest(args) => cloud_test::run(args, context).await,
        ImageCommand::Share(args) => stop.or(share(args, context, true)).await,
        ImageCommand::Unshare(args) => stop.or(share(args, context, false)).await,
        ImageCommand::Publish(args) => stop.or(manage::publish(args, context)).await,
        ImageCommand::Unpublish(args) => stop.or(manage::unpublish(args, context)).await,
        ImageCommand::Tag(args) => stop.or(manage::tag(args, context)).await,
        ImageCommand::Untag(args) => stop.or(manage::untag(args, context)).await,
        ImageCommand::Deprecate(args) => stop.or(manage::deprecate(args, context)).await,
        ImageCommand::Restore(args) => stop.or(manage::restore(args, context)).await,
        ImageCommand::Delete(args) => stop.or(manage::delete(args, context)).await,
        ImageCommand::Prune(args) => stop.or(manage::prune(args, context)).await,
    }
}

fn importer(
    connection: &ConnectionArgs,
    retry: &RetryArgs,
    context: &Context,
) -> Result<(Importer, Region), Failure> {
    let connection = context.connect(connection, retry, None)?;
    let region = connection.client.region().clone();
    Ok((Importer::new(connection.client), region))
}

/// Lists the platforms that the service documents, each with its OS type.
fn platforms(context: &Context) -> Result<(), Failure> {
    let listed =
        PLATFORMS.iter().map(|platform| json!({"platform": platform, "os_type": platform_os_type(platform)}));
    context.output.print(json!({"platforms": listed.collect::<Vec<_>>()}), &PLATFORMS.join("\n"))
}

async fn show(args: &ImageArgs, context: &Context) -> Result<(), Failure> {
    let (importer, region) = importer(&args.connection, &args.retry, context)?;
    let task = importer.resolve(&region, &id(&importer, &region, &args.id).await?).await?;
    let image = importer.image(&region, &task.image_id).await?;
    let detail = match &task.task_id {
        Some(id) => importer.task(&region, id).await?,
        None => None,
    };
    let shared = match &image {
        Some(_) => shared_with(&importer, &region, &task.image_id, context).await?,
        None => Some(Vec::new()),
    };
    let mut object = match &image {
        Some(image) => json_fields(&region, image),
        None => json!({"region": region, "image_id": task.image_id, "status": null}),
    };
    object["task_id"] = json!(task.task_id);
    object["task_status"] = json!(detail.as_ref().map(|detail| detail.status.as_str()));
    object["task_percent"] = json!(detail.as_ref().and_then(|detail| detail.percent));
    object["shared_with"] = json!(shared);
    let failure = detail.as_ref().and_then(|detail| detail.failure());
    object["error_code"] = json!(failure.and_then(|operation| operation.error_code.as_deref()));
    object["error_message"] = json!(failure.and_then(|operation| operation.error_message.as_deref()));
    let text = image_text::rows(&object);
    context.output.print(object, &text)
}

/// Returns whom an image is shared with; nothing without the permission to see that, which is not an error.
async fn shared_with(
    importer: &Importer,
    region: &Region,
    image: &ImageId,
    context: &Context,
) -> Result<Option<Vec<AccountId>>, Failure> {
    match importer.shared_with(region, image).await {
        Ok(accounts) => Ok(Some(accounts.into_iter().collect())),
        Err(error) if error.kind() == ErrorKind::Credentials => {
            context.output.warning(format!("cannot tell whom the image is shared with: {}", chain(&error)));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn wait(args: &ImageWaitArgs, context: &Context) -> Result<(), Failure> {
    let (importer, region) = importer(&args.image.connection, &args.image.retry, context)?;
    let task = context
        .stop
        .or(async {
            let id = id(&importer, &region, &args.image.id).await?;
            Ok(importer.resolve(&region, &id).await?)
        })
        .await?;
    let shown = ImportsShown::start(context.output);
    let importer =
        importer.with_events(shown.sink()).with_wait_limit(args.waiting.timeout.map(|span| span.0));
    let image = tokio::select! {
        image = importer.follow(&task) => image?,
        () = context.stop.token().cancelled_owned() => {
            let cancel = task.task_id.as_ref().map_or(task.image_id.as_str(), |id| id.as_str());
            return Err(context.stop.failure("stopped").resumable(true).hint(format!(
                "the import continues; run the same command again to follow it; only \
                 `ossup image cancel {cancel}` stops it"
            )));
        }
    };
    drop(shown);
    let mut object = json_fields(&region, &image);
    object["task_id"] = json!(task.task_id);
    context.output.print(object, image.image_id.as_str())
}

async fn cancel(args: &ImageArgs, context: &Context) -> Result<(), Failure> {
    let (importer, region) = importer(&args.connection, &args.retry, context)?;
    let task = importer.resolve(&region, &id(&importer, &region, &args.id).await?).await?;
    let what = match &args.id {
        TaskOrImage::Task(id) => format!("task {id}"),
        TaskOrImage::Image(_) => format!("the creation of image {}", task.image_id),
    };
    match importer.cancel(&task).await? {
        CancelOutcome::Cancelled { snapshots } => {
            context.output.status(format!("{what} was cancelled; the object is untouched"));
            if !snapshots.is_empty() {
                let ids = snapshots.iter().map(SnapshotId::as_str).collect::<Vec<_>>().join(", ");
                context.output.warning(format!("snapshots remain and are billed until deleted: {ids}"));
            }
            context.output.print(
                json!({"task_id": task.task_id, "image_id": task.image_id, "cancelled": true, "snapshots": snapshots}),
                "",
            )
        }
        CancelOutcome::TooLate { image } => {
            let now = match image {
                Some(image) => format!("image {} is {}", image.image_id, image.status),
                None => "there is no image".to_owned(),
            };
            Err(Failure::new(Kind::Import, format!("{what} had already ended: {now}")))
        }
        _ => Err(Failure::new(Kind::Import, format!("the outcome of {what} is unknown"))),
    }
}

async fn copy(args: &ImageCopyArgs, context: &Context) -> Result<(), Failure> {
    let (importer, region) = importer(&args.connection, &args.retry, context)?;
    let source = Images::new(importer.client().clone()).require(&region, &args.image).await?;
    let id = source.image_id;
    let name = args.name.clone().or(source.name).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("image {id} has no name to give its copies")).hint("pass --name")
    })?;
    // Before the first copy begins: the others would be left behind.
    refuse_unknown_regions(&importer, &args.to).await?;
    let shown = ImportsShown::start(context.output);
    let importer =
        importer.with_events(shown.sink()).with_wait_limit(args.waiting.timeout.map(|span| span.0));
    let copies: Vec<(ImportTask, CustomImage)> = stream::iter(&args.to)
        .map(|destination| async {
            let request = CopyRequest::new(region.clone(), id.clone(), destination.clone(), &name);
            let task = importer.copy(&request, &ClientToken::random()).await?;
            let image = importer.follow(&task).await?;
            Ok::<_, Failure>((task, image))
        })
        .buffered(COPIES_AT_ONCE)
        .try_collect()
        .await?;
    drop(shown);
    let text: Vec<_> = copies.iter().map(|(task, _)| format!("{}\t{}", task.image_id, task.region)).collect();
    let objects: Vec<_> = copies.iter().map(|(task, image)| json_fields(&task.region, image)).collect();
    context.output.print(json!({"images": objects}), &text.join("\n"))
}

async fn share(args: &ImageShareArgs, context: &Context, share: bool) -> Result<(), Failure> {
    let (importer, region) = importer(&args.connection, &args.retry, context)?;
    let image = image_id(&importer, &region, &args.image).await?;
    if share {
        importer.share(&region, &image, &args.with).await?;
    } else {
        importer.unshare(&region, &image, &args.with).await?;
    }
    let accounts = importer.shared_with(&region, &image).await?;
    let joined = |ids: &mut dyn Iterator<Item = &AccountId>| {
        ids.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let done = if share { "shared with" } else { "no longer shared with" };
    let left = match accounts.len() {
        0 => "nobody".to_owned(),
        _ => joined(&mut accounts.iter()),
    };
    let with = joined(&mut args.with.iter());
    context.output.status(format!("image {image} in {region} is {done} {with}; now shared with: {left}"));
    let text = accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    context.output.print(json!({"region": region, "image_id": image, "shared_with": accounts}), &text)
}

pub(super) fn json_fields(region: &Region, image: &CustomImage) -> Value {
    json!({
        "region": region,
        "image_id": image.image_id,
        "name": image.name,
        "status": image.status.as_str(),
        "percent": image.progress,
        "size_gib": image.size_gib,
        "platform": image.platform,
        "os_type": image.os_type,
        "architecture": image.architecture,
        "boot_mode": image.boot_mode,
        "family": image.family,
        "description": image.description,
        "copied": image.is_copied,
        "public": image.is_public,
        "shared": image.is_shared,
        "in_use": image.in_use,
        "owner": image.owner_id,
        "created": image.created.map(|created| created.to_string()),
        "snapshots": image.snapshots(),
        "tags": image.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>(),
        "risks": image.detection.as_ref().map(|detection| {
            detection.risks().map(checked::members).collect::<Vec<_>>()
        }),
    })
}

/// Returns the id of a task or an image. An id is taken as it is: who has it need not be allowed to list images.
async fn id(importer: &Importer, region: &Region, id: &TaskOrImage) -> Result<String, Failure> {
    match id {
        TaskOrImage::Task(id) => Ok(id.to_string()),
        TaskOrImage::Image(image) => Ok(image_id(importer, region, image).await?.to_string()),
    }
}

async fn image_id(importer: &Importer, region: &Region, image: &ImageRef) -> Result<ImageId, Failure> {
    match image {
        ImageRef::Id(id) => Ok(id.clone()),
        _ => Ok(Images::new(importer.client().clone()).require(region, image).await?.image_id),
    }
}
