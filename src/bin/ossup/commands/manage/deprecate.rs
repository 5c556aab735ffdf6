//! `image deprecate`.

use ossup::manage::{Access, Deprecation, ImageRef, Placed};
use ossup::model::{AccountId, ImageStatus};
use serde_json::json;

use super::{Place, Told, access, each, finish, regions_of, rest_by_id, show, table};
use crate::args::ImageDeprecateArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::confirm;

/// Retires an image.
pub(crate) async fn deprecate(args: &ImageDeprecateArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let targets = place.find(&args.image).await?;
    let today = place.today();
    if let Some(day) = args.remove_on.filter(|day| *day < today) {
        return Err(Failure::new(Kind::Usage, format!("--remove-on {day} is in the past")));
    }
    let replacement = match &args.replaced_by {
        Some(image) => Some(replacement(&place, &targets, image).await?),
        None => None,
    };
    let mut how = Deprecation::new(today).with_removal(args.remove_on).with_replacement(replacement);
    if args.tags_only {
        how = how.with_tags_only();
    }
    let taken_back = |placed: &&Placed| access(&placed.image) != "private";
    if !args.tags_only && targets.iter().any(|placed| taken_back(&placed)) {
        show(&table(&targets), context);
        confirm("take these images back from everybody else, and deprecate them?", args.yes).await?;
    }
    let images = &place.images;
    let outcomes =
        each(targets, async |placed| images.deprecate(&placed.region, &placed.image.image_id, &how).await)
            .await;
    let told = Told { done: if args.tags_only { "tagged as deprecated" } else { "deprecated" }, ids: true };
    finish(
        context,
        &told,
        json!({}),
        &outcomes,
        taken_back_from,
        |access: &Access| json!({"was_public": access.public, "was_shared_with": access.accounts}),
    )
    .map_err(|failure| rest_by_id(failure, &args.image, &outcomes))
}

fn taken_back_from(access: &Access) -> String {
    let mut from: Vec<&str> = access.accounts.iter().map(AccountId::as_str).collect();
    if access.public {
        from.insert(0, "the public");
    }
    if from.is_empty() { String::new() } else { format!(", and taken back from {}", from.join(", ")) }
}

/// Returns the name of the image to use instead, which has to be there and Available in each of the regions.
async fn replacement(place: &Place, targets: &[Placed], image: &ImageRef) -> Result<String, Failure> {
    let regions = regions_of(targets);
    let found = place.images.find_in(&regions, image).await?.remove(0).image;
    let name = found.name.unwrap_or_else(|| found.image_id.to_string());
    let by_name = ImageRef::Name(name.clone());
    for region in &regions {
        let Some(found) = place.images.find(region, &by_name).await? else {
            let text = format!("there is no image `{name}` in {region} to use instead");
            let hint = format!("copy it there first, or leave the region out with --except {region}");
            return Err(Failure::new(Kind::Usage, text).hint(hint));
        };
        let is_itself = |target: &Placed| target.image.image_id == found.image_id;
        if targets.iter().any(is_itself) {
            return Err(Failure::new(Kind::Usage, format!("image {} cannot replace itself", found.image_id)));
        }
        if found.status != ImageStatus::Available {
            let text = format!(
                "image {} in {region} cannot be used instead: it is {}",
                found.image_id, found.status
            );
            return Err(Failure::new(Kind::Usage, text));
        }
    }
    Ok(name)
}
