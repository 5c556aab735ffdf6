//! `image prune`: the plan as a table, a question, and what became of each image.

use futures::stream::{self, StreamExt as _};
use ossup::manage::{
    Judged, ManageError, Placed, PrunePlan, PruneRules, PruneScope, Pruned, PrunedImage, Verdict,
};
use ossup::model::Region;
use serde_json::{Value, json};

use super::{AT_ONCE, Place, show, shown};
use crate::args::ImagePruneArgs;
use crate::context::Context;
use crate::failure::{Failure, chain};
use crate::ui::{Table, confirm, counted};

/// Deletes old images, and keeps the newest.
pub(crate) async fn prune(args: &ImagePruneArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let rules = rules(args);
    let (images, asked) = (&place.images, &rules);
    let planned: Vec<(&Region, Result<PrunePlan, ManageError>)> = stream::iter(&place.regions)
        .map(|region| async move { (region, images.plan_prune(region, asked).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut plans = Vec::new();
    let mut failures: Vec<(String, ManageError)> = Vec::new();
    for (region, plan) in planned {
        match plan {
            Ok(plan) => plans.push(plan),
            Err(error) => failures.push((region.to_string(), error)),
        }
    }
    let going = plans.iter().flat_map(|plan| &plan.judged).filter(|judged| judged.goes()).count();
    let left: usize = plans.iter().map(|plan| plan.left.len()).sum();
    let text = table(&plans, args.place.all_regions);
    if args.dry_run {
        let objects: Vec<Value> = plans.iter().map(|plan| region_object(plan, &[])).collect();
        let fields = json!({"dry_run": true, "regions": objects});
        context.output.status(summary(going, left, "would be"));
        return end(context, fields, &text, &place, &failures, 0);
    }
    show(&text, context);
    for (region, error) in &failures {
        context.output.warning(format!("{region} cannot be asked: {}", chain(error)));
    }
    context.output.status(summary(going, left, "would be"));
    if going + left > 0 {
        confirm("delete them?", args.yes).await?;
    }
    let told = |region: &Region, one: &PrunedImage| tell(region, one, context);
    let done: Vec<_> = stream::iter(&plans)
        .map(|plan| async move { (plan, images.prune(plan, asked, told).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut objects = Vec::new();
    let mut deleted = 0_u64;
    for (plan, outcome) in done {
        match outcome {
            Ok(outcomes) => {
                objects.push(region_object(plan, &outcomes));
                for one in outcomes {
                    match one.outcome {
                        Ok(Pruned::Deleted(_)) => deleted += 1,
                        Ok(_) => {}
                        Err(error) => {
                            failures.push((format!("image {} in {}", one.image.image_id, plan.region), error))
                        }
                    }
                }
            }
            Err(error) => {
                objects.push(region_object(plan, &[]));
                failures.push((plan.region.to_string(), error));
            }
        }
    }
    let count = counted(deleted, "image", "images");
    context.output.status(format!("{count} deleted"));
    end(context, json!({"regions": objects, "deleted": deleted}), "", &place, &failures, going)
}

fn rules(args: &ImagePruneArgs) -> PruneRules {
    let scope = match (&args.family, &args.name_prefix) {
        (Some(family), _) => PruneScope::Family(family.clone()),
        (None, prefix) => PruneScope::NamePrefix(prefix.clone().unwrap_or_default()),
    };
    let mut rules = PruneRules::new(scope, args.keep as usize);
    rules.keep_tags.clone_from(&args.keep_tag);
    rules.older_than = args.older_than.map(|span| span.0);
    rules.shared = args.shared;
    rules.public = args.public;
    rules.in_use = args.in_use;
    rules
}

/// Prints the result, and fails if anything failed: all of it is told, the first decides the exit code.
fn end(
    context: &Context,
    fields: Value,
    text: &str,
    place: &Place,
    failures: &[(String, ManageError)],
    going: usize,
) -> Result<(), Failure> {
    let Some((_, first)) = failures.first() else { return context.output.print(fields, text) };
    context.output.text(text)?;
    let failure = Failure::from(first).with_members(fields);
    if place.regions.len() == 1 && going < 2 {
        return Err(failure);
    }
    for (what, error) in failures {
        context.output.warning(format!("{what}: {}", chain(error)));
    }
    Err(failure.context(format!(
        "{} failed",
        counted(failures.len() as u64, "deletion or region", "deletions or regions")
    )))
}

fn summary(going: usize, left: usize, are: &str) -> String {
    let images = counted(going as u64, "image", "images");
    match left {
        0 => format!("{images} {are} deleted, with their snapshots"),
        _ => {
            let left = counted(left as u64, "snapshot", "snapshots");
            format!(
                "{images} {are} deleted, with their snapshots, and {left} that an earlier deletion has left"
            )
        }
    }
}

fn tell(region: &Region, one: &PrunedImage, context: &Context) {
    let image = shown(&Placed::new(region.clone(), one.image.clone()));
    match &one.outcome {
        Ok(Pruned::Deleted(deleted)) => {
            context.output.status(format!("{image}: deleted"));
            for (snapshot, why) in &deleted.kept {
                context.output.warning(format!("the service keeps snapshot {snapshot}: {}", chain(why)));
            }
        }
        Ok(Pruned::Stays(why)) => {
            context.output.warning(format!("{image}: stays, it {why}"));
        }
        Ok(_) => context.output.status(format!("{image}: already gone")),
        // Told at the end, with all others.
        Err(_) => {}
    }
}

fn table(plans: &[PrunePlan], with_region: bool) -> String {
    let mut header = vec!["IMAGE", "NAME", "STATUS", "CREATED", "WHAT", "WHY: IT"];
    if with_region {
        header.insert(0, "REGION");
    }
    let mut table = Table::new(&header);
    for plan in plans {
        for Judged { image, verdict, .. } in &plan.judged {
            let (what, why) = said(verdict);
            let mut row = vec![
                image.image_id.to_string(),
                image.name.clone().unwrap_or_default(),
                image.status.to_string(),
                image.created.map(|created| created.strftime("%Y-%m-%d").to_string()).unwrap_or_default(),
                what.to_owned(),
                why,
            ];
            if with_region {
                row.insert(0, plan.region.to_string());
            }
            table.row(row);
        }
    }
    table.text()
}

fn said(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Goes(why) => ("goes", why.to_string()),
        Verdict::Stays(why) => ("stays", why.to_string()),
    }
}

fn region_object(plan: &PrunePlan, outcomes: &[PrunedImage]) -> Value {
    let images = plan.judged.iter().map(|Judged { image, verdict, .. }| {
        let (what, why) = said(verdict);
        let outcome = outcomes.iter().find(|one| one.image.image_id == image.image_id);
        let outcome = outcome.map(|one| match &one.outcome {
            Ok(Pruned::Deleted(deleted)) => json!({"deleted": true, "deleted_snapshots": deleted.snapshots}),
            Ok(Pruned::Stays(why)) => json!({"deleted": false, "reason": why.to_string()}),
            Ok(_) => json!({"deleted": false, "reason": "is already gone"}),
            Err(error) => json!({"deleted": false, "error": chain(error)}),
        });
        json!({
            "image_id": image.image_id,
            "name": image.name,
            "status": image.status.as_str(),
            "created": image.created.map(|created| created.to_string()),
            "goes": what == "goes",
            "reason": why,
            "outcome": outcome,
        })
    });
    json!({
        "region": plan.region,
        "images": images.collect::<Vec<_>>(),
        "left_snapshots": plan.left,
    })
}
