//! `sync`: the file of a fleet, what has to change, and the run.

mod maker;
mod text;

use std::path::Path;
use std::sync::Arc;

use ossup::model::Region;
use ossup::sync::{Change, ChangeError, Fleet, FleetPlan, Step, SyncError, SyncFile, SyncReport, Told};
use serde_json::{Value, json};

use self::maker::Opener;
use self::text::{sentence, table};
use crate::args::SyncArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind, unwrapped};
use crate::settings::regions;
use crate::ui::{confirm, counted};

/// Makes an account as a file says, or shows what that would change.
pub(crate) async fn run(args: &SyncArgs, context: &Context) -> Result<(), Failure> {
    let Some(path) = args.file.as_ref().filter(|_| !args.schema) else {
        let schema = ossup::sync::schema();
        let text = format!("{schema:#}");
        return context.output.print(schema, &text);
    };
    let file = read(path, context)?;
    let mut connection = args.connection.clone();
    if connection.endpoint.is_none() && connection.region.is_none() {
        connection.region.clone_from(&file.region);
    }
    let opener = Opener::new(args, &connection, &file.bucket, context)?;
    refuse_other_region(&file, opener.region())?;
    let output = context.output;
    let fleet = Fleet::new(opener.importer(), file, Arc::new(opener))
        .with_told(move |told| {
            if let Told::Done(change) = told {
                output.status(sentence(change));
            }
        })
        .with_cancellation(context.stop.token());
    let plan = fleet.plan().await.map_err(|error| failed(error, context))?;
    if args.plan {
        return show(&plan, context);
    }
    let going =
        plan.changes.iter().filter(|change| change.action.step() == Step::Retire && is_loss(change)).count();
    if going > 0 && !args.yes {
        table(&plan.changes).lines().for_each(|line| output.status(line));
        let images = counted(going as u64, "image", "images");
        confirm(&format!("go on, which deprecates or deletes {images}?"), false).await?;
    }
    // Much may have changed until somebody has answered, and what nobody was asked about is not done.
    let fleet = if args.yes { fleet } else { fleet.with_agreed(&plan) };
    let report = fleet.run().await.map_err(|error| failed(error, context))?;
    finish(report, context)
}

/// Whether a change takes something away that was of use.
fn is_loss(change: &Change) -> bool {
    change.action.image().is_some()
}

/// Reads the file; paths in it are seen from its folder.
fn read(path: &Path, context: &Context) -> Result<SyncFile, Failure> {
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        Failure::from_error(Kind::Usage, error).context(format!("`{}` cannot be used", path.display()))
    };
    let bytes = (context.read)(path).map_err(|error| wrong(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
    let file = SyncFile::parse(&text, regions::meant).map_err(|error| wrong(&error))?;
    Ok(file.seen_from(path.parent().unwrap_or(Path::new(""))))
}

fn refuse_other_region(file: &SyncFile, region: &Region) -> Result<(), Failure> {
    match &file.region {
        Some(named) if named != region => {
            let text =
                format!("the file says that its bucket is in {named}, and the connection is to {region}");
            Err(Failure::new(Kind::Usage, text).hint("omit --region, or the region in the file"))
        }
        _ => Ok(()),
    }
}

/// Shows a plan.
fn show(plan: &FleetPlan, context: &Context) -> Result<(), Failure> {
    let fields = json!({"plan": true, "changes": plan.changes, "conflicts": plan.conflicts});
    context.output.text(&table(&plan.changes))?;
    if !plan.conflicts.is_empty() {
        let conflicts = plan.conflicts.clone();
        let failure = Failure::from(SyncError::Conflicts { conflicts }).with_members(fields);
        return Err(failure);
    }
    context.output.object(fields)?;
    context.output.status(match plan.changes.len() {
        0 => "everything is as the file says".to_owned(),
        count => format!("{} to make", counted(count as u64, "change", "changes")),
    });
    Ok(())
}

/// Tells what was done. Fails if an entry is not as the file says.
fn finish(mut report: SyncReport, context: &Context) -> Result<(), Failure> {
    let failures: Vec<Value> = report
        .failures
        .iter()
        .map(|(entry, error)| json!({"entry": entry, "message": crate::failure::chain(error)}))
        .collect();
    let fields = json!({"changes": report.done, "failures": failures});
    context.output.text(&table(&report.done))?;
    let Some((_, first)) = report.failures.pop_first() else {
        context.output.status("everything is as the file says");
        return context.output.object(fields);
    };
    // Only one failure can be the command's; the others are shown, and all are in the JSON.
    for (_, error) in report.failures {
        context.output.warning(Failure::from(error).line());
    }
    Err(failed(first, context).resumable(true).with_members(fields))
}

/// Returns a failure, or that a signal ended the run.
fn failed(error: SyncError, context: &Context) -> Failure {
    match error {
        SyncError::Cancelled => context
            .stop
            .failure("stopped; imports and copies that were begun go on")
            .resumable(true)
            .hint("run the same command again to continue"),
        error => error.into(),
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        let kind = error.kind().into();
        let place = error.to_string();
        match error {
            SyncError::Make { source, .. } => unwrapped(source).context(place),
            SyncError::Change { source, .. } => match *source {
                ChangeError::Make(source) => unwrapped(source).context(place),
                ChangeError::BootTest(error) => Self::from(error).context(place),
                ChangeError::Publish(error) => Self::from(error).context(place),
                ChangeError::Import(error) => Self::from(error).context(place),
                ChangeError::Manage(error) => Self::from(error).context(place),
                other => Self::from_error(kind, &other).context(place),
            },
            SyncError::Look(error) => Self::from(error),
            SyncError::NotAgreed { .. } => Self::from_error(kind, &error)
                .hint("run the same command again: it shows what would be changed now; --yes does without asking"),
            SyncError::Conflicts { .. } => Self::from_error(kind, &error)
                .hint("rename those images, or give the entry another name; an image is of a fleet by its tags alone"),
            other => Self::from_error(kind, &other),
        }
    }
}
