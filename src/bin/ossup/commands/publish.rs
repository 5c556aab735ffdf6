use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ossup::image::{DiskRole, Expected, Report};
use ossup::model::ObjectRef;
use ossup::publish::PublishReport;
use ossup::source::{Change, FileSource, Source, SourceIdentity};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::importing::{self, Disk, Imports};
use super::preflight::{refuse_by_rules, refuse_unknown_regions, warn_of_unknown_boot_mode};
use super::{inspection, transfer};
use crate::args::PublishArgs;
use crate::args::values::FileOrObject;
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind, ResumeHint};
use crate::ui::advice::Subject;

/// A file to be uploaded, and where.
struct Upload {
    source: FileSource,
    object: ObjectRef,
    report: Option<Report>,
}

/// Uploads, imports and waits.
pub(crate) async fn run(args: &PublishArgs, context: &Context) -> Result<(), Failure> {
    let object =
        args.target.object_for(&args.image).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let source = transfer::open(&transfer::absolute(&args.image)?, &args.transfer)?;
    let connection = context.connect(&args.connection, &args.transfer.retry, Some(&object.bucket))?;

    // Everything is checked before the first byte is sent.
    let name = args.image.display().to_string();
    let expected = importing::expected(&args.request, &name, &object);
    let report = inspection::before_upload(context, &source, expected, &args.inspection)?;
    let published = source.identity().cloned();
    let system = Upload { source, object, report };
    let data = data_disks(args, context, &connection, &system.object).await?;
    let disks: Vec<Disk> = data.iter().map(DataDisk::disk).collect();
    let first = Disk { object: system.object.clone(), report: system.report.clone() };
    let request = importing::request(&args.request, connection.client.region(), &first, &disks);
    refuse_by_rules(&request, std::iter::once(&first).chain(&disks), &args.inspection, context)?;
    warn_of_unknown_boot_mode(&request, &first, context);
    let limit = args.waiting.timeout.map(|span| span.0);
    let mut imports = Imports::new(context, &args.connection, &connection, limit)?;
    let force = args.inspection.force;
    let copies = refuse_unknown_regions(imports.importer(), &args.after.copy_to);
    context.stop.or(copies).await?;
    context.stop.or(imports.check(context, &request, args.request.create_role, force)).await?;

    if let Some(path) = &args.manifest {
        manifest_aside(path)?;
    }
    let limits = transfer::limits(&args.transfer);
    let mut publish = imports.publish(request, &args.after, context);
    let files = data.into_iter().filter_map(DataDisk::file);
    let (object, mut shown) = (system.object.clone(), Vec::new());
    for Upload { source, object, .. } in std::iter::once(system).chain(files) {
        let (upload, progress) =
            transfer::prepare(context, &connection, source, &object, &args.object, &args.transfer, &limits)?;
        publish = publish.upload(upload);
        shown.push(progress);
    }
    let again = if args.object.no_resume { ResumeHint::No } else { ResumeHint::Same };
    let report = imports.run(context, &publish, again).await?;
    drop(shown);
    if let Some(next) = importing::next_step(&report.import) {
        context.output.status(next);
    }
    let mut json_fields = json_fields(&connection, &object, &report);
    if args.request.detection {
        json_fields["risks"] = imports.detection(context, &report.import).await?;
    }
    if let Some(path) = &args.manifest {
        write_manifest(path, &args.image, published.as_ref(), json_fields.clone())?;
    }
    context.output.print(json_fields, &importing::lines(&report))
}

/// Returns what was published: the object as `upload` reports it, the images, the timings.
fn json_fields(connection: &Connection, object: &ObjectRef, report: &PublishReport) -> Value {
    let url = connection.url(object);
    // An earlier run may have uploaded and deleted it.
    let uploaded = match report.uploads.first() {
        Some(uploaded) => transfer::object(uploaded, &url),
        None => json!({"bucket": object.bucket, "key": object.key, "url": url}),
    };
    let upload_seconds: f64 = report.uploads.iter().map(|upload| upload.took.as_secs_f64()).sum();
    let total = report.took.as_secs_f64();
    let rest = json!({
        "family": report.family,
        "shared_with": report.shared_with,
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
enum DataDisk {
    Object(Box<Disk>),
    File(Box<Upload>),
}

impl DataDisk {
    fn file(self) -> Option<Upload> {
        match self {
            Self::Object(_) => None,
            Self::File(upload) => Some(*upload),
        }
    }

    fn disk(&self) -> Disk {
        match self {
            Self::Object(disk) => Disk { object: disk.object.clone(), report: disk.report.clone() },
            Self::File(upload) => Disk { object: upload.object.clone(), report: upload.report.clone() },
        }
    }
}

/// Opens and inspects the data disks. A file goes beside the system disk.
async fn data_disks(
    args: &PublishArgs,
    context: &Context,
    connection: &Connection,
    system: &ObjectRef,
) -> Result<Vec<DataDisk>, Failure> {
    let mut disks = Vec::new();
    let mut keys = vec![system.key.clone()];
    for disk in &args.data_disk {
        disks.push(match disk {
            FileOrObject::Object(object) => {
                let mut report = None;
                if !args.inspection.no_inspect {
                    let mut expected = Expected::new(DiskRole::Data, object.to_string());
                    expected.key = Some(object.key.as_str().to_owned());
                    let found =
                        context.stop.or(inspection::object(&connection.client, object, &expected)).await?;
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
                DataDisk::Object(Box::new(Disk { object: ObjectRef::clone(object), report }))
            }
            FileOrObject::File(path) => {
                let object = beside(system, path)?;
                if keys.contains(&object.key) {
                    let text = format!("two disks would have the key `{}`", object.key);
                    return Err(Failure::new(Kind::Usage, text).hint("give the files different names"));
                }
                keys.push(object.key.clone());
                let source = transfer::open(&transfer::absolute(path)?, &args.transfer)?;
                let mut expected = Expected::new(DiskRole::Data, path.display().to_string());
                expected.key = Some(object.key.as_str().to_owned());
                let report = inspection::before_upload(context, &source, expected, &args.inspection)?;
                DataDisk::File(Box::new(Upload { source, object, report }))
            }
        });
    }
    Ok(disks)
}

/// Returns the object for a file in the folder of another object.
fn beside(system: &ObjectRef, file: &Path) -> Result<ObjectRef, Failure> {
    let folder =
        system.key.as_str().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("`{}` has no file name in UTF-8", file.display()))
    })?;
    let key = format!("{folder}{name}").parse().map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    Ok(ObjectRef::new(system.bucket.clone(), key))
}

/// Writes what was published, with the SHA-256 of the image.
fn write_manifest(
    path: &Path,
    image: &Path,
    published: Option<&SourceIdentity>,
    json_fields: Value,
) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::from_error(Kind::Other, &error)
            .hint(format!("everything is published; only `{}` is missing", path.display()))
    };
    let sha256 = sha256(image).map_err(failed)?;
    // An import takes hours, in which the next build may have been written to the same file.
    let now = FileSource::open_shared(image).ok().and_then(|source| source.identity().cloned());
    if !published.zip(now.as_ref()).is_some_and(|(then, now)| is_same_content(then, now)) {
        let text =
            format!("`{}` was changed after it was published: its SHA-256 is not known", image.display());
        return Err(Failure::new(Kind::Other, text)
            .hint(format!("everything is published; only `{}` is missing", path.display())));
    }
    let source = std::path::absolute(image).unwrap_or_else(|_| PathBuf::from(image));
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
    let mut hash = Sha256::new();
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
