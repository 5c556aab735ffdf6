//! `image list`.

use std::io::{self, IsTerminal as _};

use futures::stream::{self, StreamExt as _};
use ossup::manage::{ImageOwner, ImageQuery, Placed};
use serde_json::{Value, json};

use super::{AT_ONCE, Place, access};
use crate::args::ImageListArgs;
use crate::commands::image::json_fields;
use crate::context::Context;
use crate::failure::{Failure, chain};
use crate::ui::{Table, counted};

/// Lists images of a region or of all.
pub(crate) async fn list(args: &ImageListArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let mut query = ImageQuery::default();
    query.owner = match (args.shared, args.public) {
        (true, _) => ImageOwner::Shared,
        (_, true) => ImageOwner::Community,
        _ => ImageOwner::Own,
    };
    query.name.clone_from(&args.name);
    query.family.clone_from(&args.family);
    query.statuses.clone_from(&args.status);
    let images = &place.images;
    let listed: Vec<_> = stream::iter(&place.regions)
        .map(|region| {
            let query = &query;
            async move { (region, images.list(region, query).await) }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut found: Vec<Placed> = Vec::new();
    let mut failed = Vec::new();
    for (region, images) in listed {
        match images {
            Ok(images) => found.extend(images.into_iter().map(|image| Placed::new(region.clone(), image))),
            Err(error) => failed.push((region, error)),
        }
    }
    let objects: Vec<Value> = found.iter().map(|placed| json_fields(&placed.region, &placed.image)).collect();
    let Some((_, first)) = failed.first() else {
        if found.is_empty() {
            context.output.status(nothing(args, &place));
        }
        return context.output.print(json!({"images": objects}), &table(&found, args.place.all_regions));
    };
    // One region that cannot be asked hides none of the others.
    let failure = Failure::from(first).with_members(json!({"images": objects}));
    if place.regions.len() == 1 {
        return Err(failure);
    }
    context.output.text(&table(&found, true))?;
    for (region, error) in &failed {
        context.output.warning(format!("{region}: {}", chain(error)));
    }
    let count = counted(place.regions.len() as u64, "region", "regions");
    Err(failure.context(format!("{} of {count} could not be listed", failed.len())))
}

fn nothing(args: &ImageListArgs, place: &Place) -> String {
    let what = match (args.shared, args.public) {
        (true, _) => "shared images",
        (_, true) => "community images",
        _ => "custom images",
    };
    let such =
        if args.name.is_some() || args.family.is_some() || !args.status.is_empty() { "such " } else { "" };
    match place.regions.as_slice() {
        [region] => format!("no {such}{what} in {region}"),
        regions => format!("no {such}{what} in {} regions", regions.len()),
    }
}

/// Returns the lines. The columns that came later stand last: programs count them.
fn table(found: &[Placed], with_region: bool) -> String {
    let mut header = vec!["IMAGE", "STATUS", "SIZE", "NAME", "FAMILY", "ACCESS"];
    header.extend(with_region.then_some("REGION"));
    let mut table = Table::new(&header);
    for Placed { region, image, .. } in found {
        let mut row = vec![
            image.image_id.to_string(),
            image.status.to_string(),
            image.size_gib.map(|size| format!("{size} GiB")).unwrap_or_default(),
            image.name.clone().unwrap_or_default(),
            image.family.clone().unwrap_or_default(),
            access(image).to_owned(),
        ];
        row.extend(with_region.then(|| region.to_string()));
        table.row(row);
    }
    table.text_for(io::stdout().is_terminal())
}
