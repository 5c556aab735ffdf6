//! Opens the sources of a fleet as `publish` and `import` open theirs.

use std::sync::{Mutex, PoisonError};

use clap::Parser;
use ossup::credentials::BoxFuture;
use ossup::image::{DiskRole, Expected};
use ossup::import::Importer;
use ossup::model::{BucketName, ObjectRef, Region};
use ossup::publish::Publish;
use ossup::sync::{Entry, Form, MakeError, Maker, Order, Source};
use ossup::transfer::Limits;
use ossup::web::{WebObject, WebUrl};

use super::super::importing::{self, Disk, Imports};
use super::super::inspection::{self, Depth};
use super::super::late;
use super::super::preflight::refuse_by_rules;
use super::super::publish::{self, DataDisk};
use super::super::transfer;
use crate::args::values::{BucketUrl, DiskSize, FileOrObject, Tag};
use crate::args::{
    Cli, Command, ConnectionArgs, FormArg, ImageArg, ImdsArg, InspectionArgs, PublishArgs, SyncArgs,
    TransferArgs,
};
use crate::context::{Connection, Context};
use crate::failure::{Failure, Kind, Wrapped};
use crate::ui::Progress;
use crate::ui::advice::Subject;

/// What opens sources, with the options of the command.
pub(super) struct Opener {
    context: Context,
    connection: Connection,
    typed: ConnectionArgs,
    transfer: TransferArgs,
    inspection: InspectionArgs,
    limits: Limits,
    importer: Importer,
    /// What shows progress, for as long as this lives.
    shown: Mutex<Vec<(Imports, Vec<Progress>)>>,
}

impl Opener {
    pub(super) fn new(
        args: &SyncArgs,
        typed: &ConnectionArgs,
        bucket: &BucketName,
        context: &Context,
    ) -> Result<Self, Failure> {
        let connection = context.connect(typed, &args.transfer.retry, Some(bucket))?;
        let imports = Imports::new(context, typed, &connection, args.waiting.timeout.map(|span| span.0))?;
        Ok(Self {
            importer: imports.importer().clone(),
            context: context.again(),
            connection,
            typed: typed.clone(),
            transfer: args.transfer.clone(),
            inspection: args.inspection.clone(),
            limits: transfer::limits(&args.transfer),
            shown: Mutex::new(vec![(imports, Vec::new())]),
        })
    }

    pub(super) fn importer(&self) -> Importer {
        self.importer.clone()
    }

    pub(super) fn region(&self) -> &Region {
        self.connection.client.region()
    }

    async fn version(&self, url: &WebUrl) -> Result<String, Failure> {
        let args = self.args("x")?;
        let options = publish::opening(&args, &args.source, &self.context).web_options(url)?;
        let object = async { Ok(WebObject::open(url.clone(), options).await?) };
        let object = self.context.stop.or(object).await?;
        let version = object.version();
        let known =
            version.etag.as_ref().filter(|etag| !etag.starts_with("W/")).or(version.last_modified.as_ref());
        let known = known.ok_or_else(|| {
            let text = format!("the server of `{url}` tells nothing by which a new file could be noticed");
            Failure::new(Kind::Usage, text).hint("give the file's `sha256`")
        })?;
        Ok(format!("{known} {}", object.length().unwrap_or_default()))
    }

    /// Returns the options of `publish` as they are for an image of this name.
    fn args(&self, name: &str) -> Result<PublishArgs, Failure> {
        let words = ["ossup", "publish", "x", "oss://xxx/", "--name", name];
        let parsed =
            Cli::try_parse_from(words).map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
        let Command::Publish(mut args) = parsed.command else { unreachable!("the command is typed above") };
        args.connection = self.typed.clone();
        args.transfer = self.transfer.clone();
        args.inspection = self.inspection.clone();
        Ok(*args)
    }

    fn args_of(&self, order: &Order<'_>) -> Result<PublishArgs, Failure> {
        let Order { entry, name, tags, bucket, folder, .. } = order;
        let mut args = self.args(name)?;
        args.target = BucketUrl { bucket: bucket.clone(), rest: folder.clone(), region: None };
        match &entry.source {
            Source::File(path) => args.image = ImageArg::File(path.clone()),
            Source::Web(url) => args.image = ImageArg::Web(url.clone()),
            _ => {}
        }
        args.source.sha256 = entry.sha256;
        args.source.form = entry.form.map(|form| match form {
            Form::Raw => FormArg::Raw,
            Form::Qcow2 => FormArg::Qcow2,
            Form::AsIs => FormArg::AsIs,
            // A newer library may know more than this does.
            _ => FormArg::Auto,
        });
        args.request.detect = entry.detect;
        for disk in &entry.data_disks {
            args.data_disk.push(match disk {
                Source::Object(object) => FileOrObject::Object(
                    object.to_string().parse().map_err(|error| Failure::from_error(Kind::Usage, &error))?,
                ),
                Source::File(path) => FileOrObject::File(path.clone()),
                other => return Err(Failure::new(Kind::Usage, format!("`{other}` cannot be a data disk"))),
            });
        }
        set_request(&mut args, entry);
        let tag = |tag: &ossup::import::Tag| Tag { key: tag.key.clone(), value: tag.value.clone() };
        args.request.tag = tags.iter().map(tag).collect();
        Ok(args)
    }

    async fn open(&self, order: Order<'_>) -> Result<Publish, Failure> {
        let (args, context, connection) = (self.args_of(&order)?, &self.context, &self.connection);
        let (first, file) = match &order.entry.source {
            Source::Object(object) => (self.object(&args, object).await?, None),
            _ => {
                let file = publish::system(&args, context, connection).await?;
                (file.disk(), Some(file))
            }
        };
        let beside = match file {
            Some(_) => first.object.clone(),
            // Files that go beside an object which is somebody's do not go into its folder.
            None => args
                .target
                .object_named(Some("disk"))
                .map_err(|error| Failure::from_error(Kind::Usage, &error))?,
        };
        let data = publish::data_disks(&args, context, connection, &beside).await?;
        let disks: Vec<Disk> = data.iter().map(DataDisk::disk).collect();
        let request = importing::request(&args.request, connection.client.region(), &first, &disks);
        refuse_by_rules(&request, std::iter::once(&first).chain(&disks), &[], &args.inspection, context)?;
        late::tell(&request, &first, context);
        let mut imports = Imports::new(context, &self.typed, connection, None)?;
        let publish = imports.publish(request, &args.after, context).await?;
        let wishes = (&args.request, &args.inspection);
        let publish = late::complete(publish, context, connection, wishes, (&first, &disks), &imports);
        let check = imports.check(context, publish, false, args.inspection.force, false);
        let mut publish = context.stop.or(check).await?.with_importer(self.importer.clone());
        let mut shown = Vec::new();
        for file in file.into_iter().chain(data.into_iter().filter_map(DataDisk::file)) {
            let prepared = transfer::prepare(
                context,
                connection,
                file.image,
                &args.object,
                &args.transfer,
                &self.limits,
            )?;
            publish = publish.with_upload(prepared.upload);
            shown.push(prepared.progress);
        }
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push((imports, shown));
        Ok(publish)
    }

    /// Inspects an object that is imported where it is.
    async fn object(&self, args: &PublishArgs, object: &ObjectRef) -> Result<Disk, Failure> {
        let name = object.to_string();
        let mut report = None;
        if !args.inspection.no_inspect {
            let mut expected: Expected =
                importing::expected(&args.request, &name, !args.data_disk.is_empty());
            expected.key = Some(object.key.as_str().to_owned());
            let guest = expected.role == DiskRole::System && !args.inspection.no_guest;
            let depth = Depth::of(guest, args.inspection.deep);
            let looked = inspection::object(&self.connection.client, object, &expected, depth);
            let found = self.context.stop.or(looked).await?;
            let subject = Subject::object(object.key.as_str());
            inspection::settle(&name, &subject, &found, &args.inspection, self.context.output)?;
            report = Some(found);
        }
        Ok(Disk::of_object(object.clone(), report))
    }
}

fn set_request(args: &mut PublishArgs, entry: &Entry) {
    let (request, import) = (&mut args.request, &entry.import);
    request.description.clone_from(&import.description);
    request.license = import.license;
    request.resource_group.clone_from(&import.resource_group);
    request.role_name.clone_from(&import.role_name);
    request.storage_location.clone_from(&import.storage_location);
    request.imds = import.imds.map(|version| if version == 2 { ImdsArg::V2 } else { ImdsArg::V1 });
    let facts = &mut request.facts;
    facts.platform.clone_from(&import.platform);
    facts.architecture = import.architecture;
    facts.boot_mode = import.boot_mode;
    facts.os_type = import.os_type;
    facts.format = import.format;
    facts.disk_size = import.disk_size.map(DiskSize);
    facts.nvme = import.nvme;
}

impl Maker for Opener {
    fn version_of<'a>(&'a self, url: &'a WebUrl) -> BoxFuture<'a, Result<String, MakeError>> {
        Box::pin(async move { here(self.version(url)).map_err(|failure| Wrapped::from(failure).into()) })
    }

    fn publish<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Publish, MakeError>> {
        Box::pin(async move { here(self.open(order)).map_err(|failure| Wrapped::from(failure).into()) })
    }
}

/// Runs what opens a source on this thread: until it is open, it cannot move to another one. Nothing is sent meanwhile.
fn here<T>(opening: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opening))
}
