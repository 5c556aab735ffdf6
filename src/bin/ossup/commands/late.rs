//! What the import asks for where a disk passes once: what is in it is known once its object is there.

use std::sync::Arc;

use ossup::client::Client;
use ossup::image::{GuestReport, Report};
use ossup::import::ImportRequest;
use ossup::model::Region;
use ossup::publish::Publish;

use super::import::params;
use super::importing::{self, Disk, Imports, Looked};
use super::inspection::{self, Depth};
use super::preflight::{refuse_by_rules, warn_of_unknown_boot_mode};
use crate::args::{InspectionArgs, RequestArgs};
use crate::context::{Connection, Context};
use crate::failure::{Failure, Wrapped};
use crate::origin::Late;
use crate::ui::advice::Subject;

/// Tells what follows from the system disk for the request, unless more of it is seen later.
pub(super) fn tell(request: &ImportRequest, system: &Disk, context: &Context) {
    if system.late.is_none() {
        warn_of_unknown_boot_mode(request, system, context);
        system.report.iter().for_each(|report| inspection::tell_settings(report, context.output));
    }
}

/// Has the request of a publish completed by what is seen of its disks late, if there are such disks.
pub(super) fn complete(
    publish: Publish,
    context: &Context,
    connection: &Connection,
    (request, inspection): (&RequestArgs, &InspectionArgs),
    (system, data): (&Disk, &[Disk]),
    imports: &Imports,
) -> Publish {
    let looked = Arc::clone(&imports.looked);
    if std::iter::once(system).chain(data).all(|disk| disk.late.is_none()) {
        keep(&looked, system);
        return publish;
    }
    let seeing = Arc::new(Seeing {
        context: context.again(),
        client: connection.client.clone(),
        region: connection.client.region().clone(),
        request: request.clone(),
        inspection: inspection.clone(),
        system: system.clone(),
        data: data.to_vec(),
        looked,
    });
    publish.with_completion(move |asked| {
        let seeing = Arc::clone(&seeing);
        Box::pin(async move {
            let completed = seeing.completed(&asked).await;
            completed.map_err(|failure| Wrapped::from(failure).into())
        })
    })
}

fn keep(looked: &Looked, system: &Disk) {
    let Some(report) = &system.report else { return };
    // The first look tells as much as another.
    let _ = looked.report.set((report.clone(), Subject::object(system.object.key.as_str())));
    if let Some(reason) = inspection::unread(report) {
        let _ = looked.unread.set(reason.to_owned());
    }
}

/// Returns why nobody looked at the system on a disk that has passed.
pub(super) fn unread(late: &Late) -> Option<&str> {
    late.unread().or_else(|| inspection::unread(late.report()?))
}

/// All that a request is made of.
struct Seeing {
    context: Context,
    client: Client,
    region: Region,
    request: RequestArgs,
    inspection: InspectionArgs,
    system: Disk,
    data: Vec<Disk>,
    looked: Arc<Looked>,
}

impl Seeing {
    /// Returns the request that follows from what is there now.
    async fn completed(&self, asked: &ImportRequest) -> Result<ImportRequest, Failure> {
        let system = self.seen(&self.system).await?;
        let mut data = Vec::new();
        for disk in &self.data {
            data.push(self.seen(disk).await?);
        }
        let request = importing::request(&self.request, &self.region, &system, &data);
        let disks = std::iter::once(&system).chain(&data);
        refuse_by_rules(&request, disks, &asked.check(), &self.inspection, &self.context)?;
        if self.system.late.is_some() {
            warn_of_unknown_boot_mode(&request, &system, &self.context);
        }
        let before = params(asked);
        let more: Vec<_> = params(&request)
            .into_iter()
            .filter(|param| !before.contains(param))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !more.is_empty() {
            self.context
                .output
                .status(format!("the import asks for what the image says: {}", more.join(", ")));
        }
        if let Some(reason) = system.report.as_ref().and_then(inspection::unread) {
            self.context.output.status(format!("the system on the disk is not known: {reason}"));
        }
        keep(&self.looked, &system);
        Ok(request)
    }

    /// Returns a disk with all that can be seen of it.
    async fn seen(&self, disk: &Disk) -> Result<Disk, Failure> {
        let Some(late) = &disk.late else { return Ok(disk.clone()) };
        let mut seen = disk.clone();
        seen.report = late.report().or(disk.report.as_ref()).cloned();
        if late.unread().is_none() && late.report().is_some() {
            return Ok(seen);
        }
        let depth = Depth::of(late.looks_inside(), self.inspection.deep);
        match inspection::object(&self.client, &late.object, &late.expected, depth).await {
            Ok(report) => {
                self.judge(late, &report)?;
                seen.report = Some(report);
            }
            // That nobody can do so is no reason not to import it.
            Err(failure) => {
                let reason = format!("nobody looked into `{}`: {}", late.object, failure.line());
                match &mut seen.report {
                    Some(report) if late.looks_inside() => report.guest = Some(GuestReport::unread(reason)),
                    _ => self.context.output.status(reason),
                }
            }
        }
        Ok(seen)
    }

    /// Tells what was found in an object, and stops if it is refused.
    fn judge(&self, late: &Late, report: &Report) -> Result<(), Failure> {
        let object = &late.object;
        let subject = Subject::object(object.key.as_str());
        let (strict, force) = (self.inspection.strict, self.inspection.force);
        let judged = inspection::judge(&object.to_string(), &subject, report, strict, Some(force));
        judged.map_err(|failure| {
            failure.hint(
                "nothing is imported, and the object stays: the same command with --force imports it as it is; what is \
                 mended takes its place with --overwrite",
            )
        })?;
        inspection::warn_of_new(report, &late.told(), &subject, self.context.output);
        Ok(())
    }
}
