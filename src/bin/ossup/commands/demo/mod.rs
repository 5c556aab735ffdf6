//! Upload and import on the embedded emulator, with a description of each step.

mod disk;
mod leftovers;
mod read_back;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ossup::CancellationToken;
use ossup::ErrorKind;
use ossup::event::{Event, EventSink};
use ossup::image::{DiskRole, Expected};
use ossup::import::{ImportDisk, ImportRequest, Importer};
use ossup::model::ObjectRef;
use ossup::publish::{Publish, PublishReport};
use ossup::source::FileSource;
use ossup::upload::{Upload, UploadReport};

use super::{importing, inspection, transfer};
use crate::args::values::EndpointArg;
use crate::args::{ConnectionArgs, DemoArgs, InspectionArgs, RetryArgs};
use crate::context::{Connection, Context};
use crate::failure::{self, Failure, Kind, ResumeHint};
use crate::ui::advice::Subject;
use crate::ui::{ImportsShown, Progress, bytes, counted, duration};

/// Runs the demonstration in a temporary folder, which is removed whatever happens.
pub(crate) async fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::from_error(Kind::Other, &error);
    let began = Instant::now();
    let left = leftovers::remove(&std::env::temp_dir());
    let folder = tempfile::Builder::new().prefix(leftovers::PREFIX).tempdir().map_err(cannot)?;
    let _mark = leftovers::mark(folder.path()).map_err(cannot)?;
    let say = |text: String| text.lines().for_each(|line| context.output.status(line));
    say(format!(
        "This runs upload and import on the embedded emulator: no account, no network. Everything is in {} \
         and is removed at the end.",
        folder.path().display()
    ));
    if left > 0 {
        say(format!(
            "Removed the leftovers of {}.",
            counted(left as u64, "killed demonstration", "killed demonstrations")
        ));
    }
    let image = image(args, folder.path(), context)?;
    let connection = connect(folder.path(), context)?;
    let object = object(&image)?;

    let source = FileSource::open(&image)?;
    let report = inspection::file(&source, Expected::new(DiskRole::System, image.display().to_string()))?;
    let checks =
        InspectionArgs { no_inspect: false, no_guest: false, deep: false, strict: false, force: false };
    inspection::settle(
        &image.display().to_string(),
        &Subject::file(&image),
        &report,
        &checks,
        context.output,
    )?;

    say(format!("\n2. Upload it in parts to `{object}`, and interrupt it half-way."));
    connection.prepare_bucket(&object.bucket, context.output)?;
    let length = std::fs::metadata(&image).map_err(cannot)?.len();
    interrupted_upload(&connection, &image, &object, length, context).await?;

    say("\n3. Run the same upload again: it sends only what is missing.".to_owned());
    let uploaded = upload(&connection, &image, &object, context).await?;
    say(transfer::sentence(&uploaded));

    say("\n4. Read the object back and compare it with the file, byte by byte.".to_owned());
    context.stop.or(read_back::compare(&connection.client, &object, &image, length)).await?;
    say(format!("All {length} bytes are the same."));

    say("\n5. The object's URL:".to_owned());
    let url = connection.url(&object);
    say(format!("{url} (served while `ossup emulator --data DIR` runs on a store that is kept)"));

    say("\n6. Import the object into ECS as a custom image, and wait until it is Available.".to_owned());
    let request = request(&connection, &object, &report);
    let published = context.stop.or(import(&connection, request, context)).await?;
    let id = &published.import.task.image_id;

    drop(connection);
    folder.close().map_err(cannot)?;
    say(format!("\n7. Everything is removed. That took {}.", duration(began.elapsed())));
    say(format!("\n{}", for_real(&image)));
    let json_fields =
        importing::joined(transfer::object(&uploaded, &url, None), importing::json_fields(&published));
    context.output.print(json_fields, &format!("{url}\n{id}"))
}

fn image(args: &DemoArgs, folder: &Path, context: &Context) -> Result<PathBuf, Failure> {
    if let Some(image) = &args.image {
        context.output.status("");
        context.output.status(format!("1. The image is `{}`.", image.display()));
        return crate::origin::absolute(image);
    }
    context.output.status("");
    context.output.status(format!(
        "1. Create a sparse RAW disk of {} with boot code, an active partition, ext4 and some data.",
        bytes(disk::LENGTH)
    ));
    let path = folder.join("demo.raw");
    disk::make(&path).map_err(|error| {
        let text = format!("cannot create the disk in {}", folder.display());
        Failure::from_error(Kind::Other, &error).hint(text)
    })?;
    Ok(path)
}

fn connect(folder: &Path, context: &Context) -> Result<Connection, Failure> {
    let args = ConnectionArgs {
        endpoint: Some(EndpointArg::Local(folder.join("store"))),
        state_dir: Some(folder.join("state")),
        ..ConnectionArgs::default()
    };
    context.connect(&args, &RetryArgs::default(), None)
}

fn object(image: &Path) -> Result<ObjectRef, Failure> {
    let name = image.file_name().and_then(|name| name.to_str()).unwrap_or("image");
    let usage = |error: ossup::model::InvalidValue| Failure::from_error(Kind::Usage, &error);
    Ok(ObjectRef::new("demo-images".parse().map_err(usage)?, name.parse().map_err(usage)?))
}

fn prepared(connection: &Connection, image: &Path, object: &ObjectRef) -> Result<Upload, Failure> {
    let source = FileSource::open(image)?;
    Ok(Upload::new(connection.client.clone(), Arc::new(source), object.clone())
        .with_state_dir(connection.settings.state_dir()?))
}

/// Uploads until half of the bytes are acknowledged.
async fn interrupted_upload(
    connection: &Connection,
    image: &Path,
    object: &ObjectRef,
    length: u64,
    context: &Context,
) -> Result<(), Failure> {
    let progress = Progress::start("demo", None, context.output);
    let (sink, cancel) = (progress.sink(), CancellationToken::new());
    let (acknowledged, half) = (AtomicU64::new(0), cancel.clone());
    let events = EventSink::new(move |event| {
        if let Event::PartDone { range, .. } = &event
            && acknowledged.fetch_add(range.len(), Ordering::Relaxed) + range.len() >= length / 2
        {
            half.cancel();
        }
        sink.emit(event);
    });
    let signal = context.stop.token();
    let upload = prepared(connection, image, object)?.with_events(events).with_cancellation(cancel.clone());
    let outcome = tokio::select! {
        outcome = upload.run() => outcome,
        () = signal.cancelled() => return Err(context.stop.failure("stopped")),
    };
    drop(progress);
    match outcome {
        Ok(_) => context
            .output
            .status("The upload finished before it could be interrupted: the object is complete."),
        Err(error) if error.kind() == ErrorKind::Cancelled => {
            context.output.status("Interrupted. The uploaded parts are kept and recorded.");
        }
        Err(error) => return Err(failure::upload(&error, ResumeHint::No, &context.stop)),
    }
    Ok(())
}

async fn upload(
    connection: &Connection,
    image: &Path,
    object: &ObjectRef,
    context: &Context,
) -> Result<UploadReport, Failure> {
    let progress = Progress::start("demo", None, context.output);
    let upload = prepared(connection, image, object)?
        .with_events(progress.sink())
        .with_cancellation(context.stop.token());
    let outcome = upload.run().await;
    drop(progress);
    outcome.map_err(|error| failure::upload(&error, ResumeHint::No, &context.stop))
}

fn request(connection: &Connection, object: &ObjectRef, report: &ossup::image::Report) -> ImportRequest {
    let settings = &report.settings;
    let mut disk = ImportDisk::new(object.clone());
    if let Some(format) = settings.format {
        disk = disk.with_format(format);
    }
    if let Some(size) = settings.disk_size.and_then(|size| u32::try_from(size).ok()) {
        disk = disk.with_size_gib(size);
    }
    let request = ImportRequest::new(connection.client.region().clone(), "ossup-demo", disk);
    match settings.boot_mode {
        Some(mode) => request.with_boot_mode(mode),
        None => request,
    }
}

async fn import(
    connection: &Connection,
    request: ImportRequest,
    context: &Context,
) -> Result<PublishReport, Failure> {
    let shown = ImportsShown::start(context.output);
    let importer = Importer::new(connection.client.clone()).with_events(shown.sink());
    Ok(Publish::new(importer, request, connection.settings.state_dir()?).run().await?)
}

fn for_real(image: &Path) -> String {
    let image = match image.file_name().and_then(|name| name.to_str()) {
        Some("demo.raw") | None => "IMAGE",
        Some(name) => name,
    };
    format!(
        "The same against the real service:\n  \
         export OSS_ACCESS_KEY_ID=…  OSS_ACCESS_KEY_SECRET=…\n  \
         ossup publish {image} oss://YOUR-BUCKET/ --region cn-hangzhou --name my-image"
    )
}
