//! `image delete`.

use ossup::manage::{DeleteOptions, Deleted, ImageRef, ManageError, Placed};
use ossup::model::SnapshotId;
use serde_json::{Value, json};

use super::{Place, Told, each, finish, rest_by_id, show, table};
use crate::args::ImageDeleteArgs;
use crate::context::Context;
use crate::failure::{Failure, chain};
use crate::ui::confirm;

/// Deletes an image wherever it is, with its snapshots if wanted.
pub(crate) async fn delete(args: &ImageDeleteArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let targets = match place.look(&args.image).await {
        // An earlier run may have deleted the image, and died before its snapshots.
        Err(error @ (ManageError::NotFound { .. } | ManageError::Nowhere { .. })) if args.snapshots => {
            return finish_earlier(&place, args, error, context).await;
        }
        looked => place.or_unchanged(looked)?,
    };
    confirm(&question(&targets, context), args.yes).await?;
    let options = DeleteOptions::default()
        .with_force(args.force)
        .with_snapshots(args.snapshots)
        .with_withdraw(args.withdraw);
    let images = &place.images;
    let outcomes =
        each(targets, async |placed| images.delete(&placed.region, &placed.image.image_id, options).await)
            .await;
    let left = |placed: &Placed| if args.snapshots { Vec::new() } else { placed.image.snapshots() };
    for (placed, outcome) in &outcomes {
        match outcome {
            Ok(deleted) => warn_of_kept(deleted, context),
            Err(_) => continue,
        }
        let left = left(placed);
        if !left.is_empty() {
            let ids = joined(&left);
            context.output.warning(format!("its snapshots remain and are billed until deleted: {ids}"));
        }
    }
    // One image in one region has always been told in this form.
    let single = match outcomes.as_slice() {
        [(placed, Ok(_))] if !args.place.all_regions => {
            json!({"region": placed.region, "image_id": placed.image.image_id, "deleted": true, "snapshots": left(placed)})
        }
        _ => Value::Null,
    };
    let told = Told { done: "deleted", ids: false };
    let line = |deleted: &Deleted| match deleted.snapshots.len() {
        0 => String::new(),
        _ => format!(", with {}", joined(&deleted.snapshots)),
    };
    finish(context, &told, single, &outcomes, line, members)
        .map_err(|failure| rest_by_id(failure, &args.image, &outcomes))
}

fn members(deleted: &Deleted) -> Value {
    let kept: Vec<&SnapshotId> = deleted.kept.iter().map(|(id, _)| id).collect();
    json!({"deleted": true, "deleted_snapshots": deleted.snapshots, "kept_snapshots": kept})
}

fn question(targets: &[Placed], context: &Context) -> String {
    match targets {
        [Placed { region, image, .. }] => {
            format!(
                "delete image {} ({}) in {region}?",
                image.image_id,
                image.name.as_deref().unwrap_or_default()
            )
        }
        _ => {
            show(&table(targets), context);
            format!("delete these {} images?", targets.len())
        }
    }
}

/// Deletes the snapshots that an interrupted deletion has left; fails as before if there are none. Of an image that is
/// named by its id, only its own: a name that is mistyped would mean those of any.
async fn finish_earlier(
    place: &Place,
    args: &ImageDeleteArgs,
    missing: ManageError,
    context: &Context,
) -> Result<(), Failure> {
    let mut left = Vec::new();
    for region in &place.regions {
        left.extend(place.images.left_snapshots(region).await?);
    }
    if left.is_empty() {
        return Err(missing.into());
    }
    let question = match &args.image {
        ImageRef::Id(id) => format!("{missing}: delete the snapshots that the deletion of {id} has left?"),
        _ => format!("{missing}: delete what earlier deletions have left, {}?", joined(&left)),
    };
    confirm(&question, args.yes).await?;
    let mut all = Deleted::default();
    for region in &place.regions {
        let deleted = match &args.image {
            ImageRef::Id(id) => place.images.finish_deletion(region, id).await?,
            _ => place.images.finish_deletions(region).await?,
        };
        all.snapshots.extend(deleted.snapshots);
        all.kept.extend(deleted.kept);
    }
    warn_of_kept(&all, context);
    if all.snapshots.is_empty() {
        return Err(missing.into());
    }
    let ids = joined(&all.snapshots);
    context.output.status(format!("an earlier deletion is finished; it had left {ids}"));
    let mut object = members(&all);
    object["images"] = json!([]);
    context.output.print(object, "")
}

fn warn_of_kept(deleted: &Deleted, context: &Context) {
    for (id, why) in &deleted.kept {
        context.output.warning(format!("the service keeps snapshot {id}: {}", chain(why)));
    }
}

fn joined(ids: &[SnapshotId]) -> String {
    ids.iter().map(SnapshotId::as_str).collect::<Vec<_>>().join(", ")
}
