use std::io::{self, Read, Write};
use std::path::Path;

use ossup::boot_test::BootTest;
use ossup::checksum_file::Sha256;
use ossup::image::{DiskRole, Expected, Report};
use ossup::model::{BootMode, DiskFormat, ObjectRef};
use ossup::publish::PublishReport;
use ossup::source::{Change, FileSource, Source, SourceIdentity};
use serde_json::{Value, json};
use sha2::Digest;
use tempfile::NamedTempFile;

use super::boot;
use super::checked;
use super::cloud_test;
use super::import;
use super::importing::{self, Disk, Imports};
use super::inspection::{self, Depth};
use super::late;
use super::plan::{self, Planned};
use super::preflight::refuse_by_rules;
use super::transfer::{self, Prepared};
use crate::args::values::FileOrObject;
use crate::args::{
    BootModeArg, BootTestArg, BootTestArgs, FormArg, ImageArg, MachineArgs, PublishArgs, SourceArgs,
};
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind, ResumeHint};
use crate::origin::{Opened, Opening, Ready};
use crate::ui::advice::Subject;

/// An image to be uploaded, and what is known of it.
pub(super) struct Upload {
    pub(super) image: Ready,
    report: Option<Report>,
}

impl Upload {
    pub(super) fn disk(&self) -> Disk {
        let made = self.image.becomes();
        let (object, late) = (self.image.object.clone(), self.image.late().cloned());
        Disk { object, report: self.report.clone(), made, late }
    }
}

/// Uploads, imports and waits.
pub(crate) async fn run(args: &PublishArgs, context: &Context) -> Result<(), Failure> {
    let on_cloud = test_on_cloud(args)?;
    let opening = opening(args, &args.source, context);
    let opened = opening.open(&args.image).await?;
    let bucket = Some(&args.target.bucket);
    let connection = context.connect(&args.connection, &args.transfer.retry, bucket)?;

    // Everything is checked before the first byte is sent.
    let system = settled(args, context, &connection, opened).await?;
    let published = system.image.file_identity().cloned();
    let data = data_disks(args, context, &connection, &system.image.object).await?;
    let disks: Vec<Disk> = data.iter().map(DataDisk::disk).collect();
    let first = system.disk();
    let request = importing::request(&args.request, connection.client.region(), &first, &disks);
    refuse_by_rules(&request, std::iter::once(&first).chain(&disks), &[], &args.inspection, context)?;
    late::tell(&request, &first, context);
    let limit = args.waiting.timeout.map(|span| span.0);
    let mut imports = Imports::new(context, &args.connection, &connection, limit)?;
    let force = args.inspection.force;
    let publish = imports.publish(request.clone(), &args.after, context).await?;
    let publish = publish.with_boot_test(on_cloud);
    let wishes = (&args.request, &args.inspection);
    let publish = late::complete(publish, context, &connection, wishes, (&first, &disks), &imports);
    let mut publish = context
        .stop
        .or(imports.check(context, publish, args.request.create_role, force, args.plan.dry_run))
        .await?;

    let limits = transfer::limits(&args.transfer);
    if args.plan.dry_run {
        let planned = std::iter::once(system).chain(data.into_iter().filter_map(DataDisk::file));
        let planned = planned.map(|Upload { image, report }| {
            Planned::new(context, &connection, (image, report), &args.object, &args.transfer, &limits)
        });
        let planned = planned.collect::<Result<Vec<_>, _>>()?;
        let plans = plan::plan(context, &connection, &planned, &limits, args.plan).await?;
        let (request, text) = import::shown(&request);
        return plans.show(context, json!({"request": request}), &text);
    }
    if let Some(BootTestArg::Local) = args.boot.boot_test {
        boot_test(args, first.report.as_ref(), context).await?;
    }
    if let Some(path) = &args.manifest {
        manifest_aside(path)?;
    }
    let files = data.into_iter().filter_map(DataDisk::file);
    let (object, mut shown, mut all_begun) = (first.object.clone(), Vec::new(), Vec::new());
    for (index, Upload { image, .. }) in std::iter::once(system).chain(files).enumerate() {
        // Of a file as it is, the manifest's checksum is computed at the end.
        let hashed = index == 0 && args.manifest.is_some() && !image.is_file_as_it_is();
        let Prepared { upload, progress, begun } =
            transfer::prepare(context, &connection, image, &args.object, &args.transfer, &limits)?;
        publish = publish.with_upload(upload.with_content_sha256(hashed));
        shown.push(progress);
        all_begun.push(begun);
    }
    let again = if args.object.no_resume { ResumeHint::No } else { ResumeHint::Same };
    let run = imports.run(context, &publish, again).await;
    drop(shown);
    let report = match run {
        Ok(report) => report,
        Err(failure) => {
            for begun in all_begun {
                begun.end(&connection, &failure, context.output).await;
            }
            return Err(failure);
        }
    };
    if let Some(next) = importing::next_step(&report) {
        context.output.status(next);
    }
    let unread = imports.looked.unread.get().map(String::as_str);
    let mut json_fields = json_fields(&connection, &object, &report, unread);
    let mut risks = Ok(());
    if args.request.detect {
        let looked = imports.looked.report.get().map(|(report, _)| report).or(first.report.as_ref());
        let items = imports.detection(context, &report.import, looked).await?;
        json_fields = importing::joined(json_fields, checked::json_fields(items));
        risks = checked::judge_risks(&json_fields["risks"], args.inspection.strict);
    }
    if let Some(path) = &args.manifest {
        let passed = report.uploads.first().and_then(|upload| upload.content_sha256);
        write_manifest(path, &args.image, (passed, published.as_ref()), json_fields.clone())?;
    }
    context.output.text(&importing::lines(&report))?;
    match risks {
        Ok(()) => context.output.object(json_fields),
        Err(failure) => Err(failure.with_members(json_fields)),
    }
}

/// Returns the boot test on the cloud, if one is asked for.
fn test_on_cloud(args: &PublishArgs) -> Result<Option<BootTest>, Failure> {
    let BootTestArgs { boot_test, instance, boot_nvme, boot_qemu } = &args.boot;
    let of_instance = [
        ("--instance-type", instance.instance_type.is_some()),
        ("--vswitch", instance.vswitch.is_some()),
        ("--security-group", instance.security_group.is_some()),
    ];
    let of_machine = [("--boot-nvme", *boot_nvme), ("--boot-qemu", boot_qemu.is_some())];
    let given = |options: &[(&'static str, bool)]| {
        options.iter().find(|(_, is_given)| *is_given).map(|(option, _)| *option)
    };
    let useless = match boot_test {
        None => given(&of_instance),
        Some(BootTestArg::Local) => given(&of_instance),
        Some(BootTestArg::Cloud) => given(&of_machine),
    };
    match (useless, boot_test) {
        (Some(option), None) => {
            Err(Failure::new(Kind::Usage, format!("{option} is of a boot test, which is not asked for"))
                .hint("add --boot-test"))
        }
        (Some(option), Some(other)) => {
            let other = if *other == BootTestArg::Local { "local" } else { "cloud" };
            Err(Failure::new(Kind::Usage, format!("{option} does nothing with --boot-test={other}")))
        }
        (None, Some(BootTestArg::Cloud)) => cloud_test::wanted(instance).map(Some),
        (None, _) => Ok(None),
    }
}

/// Opens and inspects the system disk.
pub(super) async fn system(
    args: &PublishArgs,
    context: &Context,
    connection: &Connection,
) -> Result<Upload, Failure> {
    let opened = opening(args, &args.source, context).open(&args.image).await?;
    settled(args, context, connection, opened).await
}

/// Decides on the object of the system disk, and inspects it.
async fn settled(
    args: &PublishArgs,
    context: &Context,
    connection: &Connection,
    opened: Opened,
) -> Result<Upload, Failure> {
    let named = |name: Option<&str>| {
        args.target.object_named(name).map_err(|error| Failure::from_error(Kind::Usage, &error))
    };
    let begun = |object: &ObjectRef| transfer::begun_form(connection, &args.object, object);
    let mut image = opened.settle(&opening(args, &args.source, context), named, begun).await?;
    let expected = importing::expected(&args.request, &image.name, !args.data_disk.is_empty());
    let report = image.inspect(context, expected, &args.inspection, true).await?;
    Ok(Upload { image, report })
}

/// Boots the image, as the instance would be booted that is asked for.
async fn boot_test(args: &PublishArgs, report: Option<&Report>, context: &Context) -> Result<(), Failure> {
    let ImageArg::File(path) = &args.image else {
        let text = "--boot-test needs a file: what passes once cannot be booted and sent";
        return Err(Failure::new(Kind::Usage, text).hint("download the image, and publish the file"));
    };
    let facts = &args.request.facts;
    let boot_mode = match facts.boot_mode {
        None => None,
        Some(BootMode::Bios) => Some(BootModeArg::Bios),
        Some(BootMode::Uefi) => Some(BootModeArg::Uefi),
        // It may start either way.
        Some(_) => Some(BootModeArg::Both),
    };
    let machine = MachineArgs {
        boot_mode,
        architecture: facts.architecture,
        nvme: args.boot.boot_nvme,
        qemu: args.boot.boot_qemu.clone(),
        timeout: args.boot.instance.boot_timeout,
        ..MachineArgs::default()
    };
    boot::test(path, report, &machine, context).await
}

/// Returns what was published: the object as `upload` reports it, the images, the timings.
fn json_fields(
    connection: &Connection,
    object: &ObjectRef,
    report: &PublishReport,
    unread: Option<&str>,
) -> Value {
    let url = connection.url(object);
    // An earlier run may have uploaded and deleted it.
    let uploaded = match report.uploads.first() {
        Some(uploaded) => transfer::object(uploaded, &url, unread),
        None => json!({"bucket": object.bucket, "key": object.key, "url": url, "guest_unread": unread}),
    };
    let upload_seconds: f64 = report.uploads.iter().map(|upload| upload.took.as_secs_f64()).sum();
    let total = report.took.as_secs_f64();
    let rest = json!({
        "family": report.family,
        "shared_with": report.shared_with,
        "public": report.public,
        "boot_test": report.verdict.as_ref().map(|verdict| cloud_test::members(verdict, None)),
        "deleted": report.deleted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "timings": {
            "upload_seconds": upload_seconds,
            "import_seconds": (total - upload_seconds).max(0.0),
            "total_seconds": total,
        },
    });
    importing::joined(importing::joined(uploaded, importing::json_fields(report)), rest)
}

/// A data disk: an existing object, or a file.
pub(super) enum DataDisk {
    Object(Box<Disk>),
    File(Box<Upload>),
}

impl DataDisk {
    pub(super) fn file(self) -> Option<Upload> {
        match self {
            Self::Object(_) => None,
            Self::File(upload) => Some(*upload),
        }
    }

    pub(super) fn disk(&self) -> Disk {
        match self {
            Self::Object(disk) => Disk::clone(disk),
            Self::File(upload) => upload.disk(),
        }
    }
}

/// Opens and inspects the data disks. A file goes beside the system disk.
pub(super) async fn data_disks(
    args: &PublishArgs,
    context: &Context,
    connection: &Connection,
    system: &ObjectRef,
) -> Result<Vec<DataDisk>, Failure> {
    // What was said of the system disk's content is not of theirs.
    let source = SourceArgs {
        form: args.source.form,
        as_is: args.source.as_is,
        compat: args.source.compat,
        ..SourceArgs::default()
    };
    let opening = opening(args, &source, context);
    let mut disks = Vec::new();
    let mut keys = vec![system.key.clone()];
    for disk in &args.data_disk {
        disks.push(match disk {
            FileOrObject::Object(object) => {
                let mut report = None;
                if !args.inspection.no_inspect {
                    let mut expected = Expected::new(DiskRole::Data, object.to_string());
                    expected.key = Some(object.key.as_str().to_owned());
                    let found = context
                        .stop
                        .or(inspection::object(&connection.client, object, &expected, Depth::Image))
                        .await?;
                    let subject = Subject::object(object.key.as_str());
                    inspection::settle(
                        &object.to_string(),
                        &subject,
                        &found,
                        &args.inspection,
                        context.output,
                    )?;
                    report = Some(found);
                }
                DataDisk::Object(Box::new(Disk::of_object(ObjectRef::clone(object), report)))
            }
            FileOrObject::File(path) => {
                let opened = opening.open(&ImageArg::File(path.clone())).await?;
                let beside = |name: Option<&str>| beside(system, path, name);
                let begun = |object: &ObjectRef| transfer::begun_form(connection, &args.object, object);
                let mut image = opened.settle(&opening, beside, begun).await?;
                if keys.contains(&image.object.key) {
                    let text = format!("two disks would have the key `{}`", image.object.key);
                    return Err(Failure::new(Kind::Usage, text).hint("give the files different names"));
                }
                keys.push(image.object.key.clone());
                let expected = Expected::new(DiskRole::Data, image.name.clone());
                let report = image.inspect(context, expected, &args.inspection, false).await?;
                DataDisk::File(Box::new(Upload { image, report }))
            }
        });
    }
    Ok(disks)
}

pub(super) fn opening<'a>(
    args: &'a PublishArgs,
    source: &'a SourceArgs,
    context: &'a Context,
) -> Opening<'a> {
    Opening {
        context,
        args: source,
        connection: &args.connection,
        retry: &args.transfer.retry,
        allow_busy: args.transfer.allow_busy,
        memory: args.transfer.max_memory.map(|size| size.0),
        dry_run: args.plan.dry_run,
        // Who says that it is a RAW image means that it stays one.
        default: match args.request.facts.format {
            Some(DiskFormat::Raw) => FormArg::AsIs,
            _ => FormArg::Auto,
        },
    }
}

/// Returns the object for a file of this name in the folder of another object.
fn beside(system: &ObjectRef, file: &Path, name: Option<&str>) -> Result<ObjectRef, Failure> {
    let folder =
        system.key.as_str().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let name = name.ok_or_else(|| {
        Failure::new(Kind::Usage, format!("`{}` has no file name in UTF-8", file.display()))
    })?;
    let key = format!("{folder}{name}").parse().map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    Ok(ObjectRef::new(system.bucket.clone(), key))
}

/// Writes what was published, with the SHA-256 of the image.
///
/// The checksum is the one that was computed while the image passed, or else that of the file.
fn write_manifest(
    path: &Path,
    image: &ImageArg,
    (passed, published): (Option<Sha256>, Option<&SourceIdentity>),
    json_fields: Value,
) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::from_error(Kind::Other, &error)
            .hint(format!("everything is published; only `{}` is missing", path.display()))
    };
    let sha256 = match (passed, image) {
        (Some(sha256), _) => Some(sha256.to_string()),
        (None, ImageArg::File(file)) if published.is_some() => {
            Some(of_file(file, path, published).map_err(|error| match error {
                Ok(failure) => failure,
                Err(error) => failed(error),
            })?)
        }
        // The object was there, and the image, which is no file, did not pass.
        (None, _) => None,
    };
    let source = match image {
        ImageArg::File(file) => {
            std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string()
        }
        other => other.to_string(),
    };
    let record = importing::joined(
        json!({"schema": crate::ui::SCHEMA, "source": source, "sha256": sha256}),
        json_fields,
    );
    // Written to a temporary file and renamed, so that it is complete or absent.
    let missing = format!("everything is published; only `{}` is missing", path.display());
    let mut file = manifest_aside(path).map_err(|failure| failure.hint(missing))?;
    file.write_all(format!("{record:#}\n").as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Returns the checksum of a file that is still the one that was published.
fn of_file(
    image: &Path,
    manifest: &Path,
    published: Option<&SourceIdentity>,
) -> Result<String, Result<Failure, io::Error>> {
    let sha256 = sha256(image).map_err(Err)?;
    // An import takes hours, in which the next build may have been written to the same file.
    let now = FileSource::open_shared(image).ok().and_then(|source| source.identity().cloned());
    if !published.zip(now.as_ref()).is_some_and(|(then, now)| is_same_content(then, now)) {
        let text =
            format!("`{}` was changed after it was published: its SHA-256 is not known", image.display());
        let hint = format!("everything is published; only `{}` is missing", manifest.display());
        return Err(Ok(Failure::new(Kind::Other, text).hint(hint)));
    }
    Ok(sha256)
}

/// Whether a file was not written since. A device tells how much was written to it.
fn is_same_content(then: &SourceIdentity, now: &SourceIdentity) -> bool {
    match now.difference(then) {
        None => true,
        // A new link or mode, which an hour may well bring.
        Some(Change::Status) => matches!(now, SourceIdentity::File(_)),
        Some(_) => false,
    }
}

/// Creates the temporary file that becomes the manifest. If this fails, nothing needs to be started.
fn manifest_aside(path: &Path) -> Result<NamedTempFile, Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    NamedTempFile::new_in(folder).map_err(|error| {
        // The error names the temporary file, which means nothing to the user.
        let error = io::Error::from(error.kind());
        let failure = Failure::from_error(Kind::Usage, &error);
        failure.context(format!("cannot write the manifest `{}`", path.display()))
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = sha2::Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        hash.update(&block[..count]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
