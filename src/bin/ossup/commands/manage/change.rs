//! `image publish`, `unpublish`, `tag`, `untag` and `restore`.

use ossup::import::Tag;
use serde_json::json;

use super::{Place, Told, each, finish, finish_plain};
use crate::args::{ImageTagArgs, ImageUntagArgs, OneImageArgs};
use crate::context::Context;
use crate::failure::Failure;

/// Makes an image public.
pub(crate) async fn publish(args: &OneImageArgs, context: &Context) -> Result<(), Failure> {
    set_public(args, context, true).await
}

/// Takes an image back from the public.
pub(crate) async fn unpublish(args: &OneImageArgs, context: &Context) -> Result<(), Failure> {
    set_public(args, context, false).await
}

async fn set_public(args: &OneImageArgs, context: &Context, public: bool) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let images = &place.images;
    let outcomes = each(place.find(&args.image).await?, async |placed| {
        let id = &placed.image.image_id;
        match public {
            true => images.publish(&placed.region, id).await,
            false => images.unpublish(&placed.region, id).await,
        }
    })
    .await;
    let told = Told { done: if public { "published" } else { "unpublished" }, ids: true };
    let line = |changed: &bool| if *changed { String::new() } else { ", as it was before".to_owned() };
    finish(
        context,
        &told,
        json!({}),
        &outcomes,
        line,
        |changed| json!({"public": public, "changed": changed}),
    )
}

/// Adds tags to an image.
pub(crate) async fn tag(args: &ImageTagArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let images = &place.images;
    let tags: Vec<Tag> =
        args.tags.iter().map(|tag| Tag { key: tag.key.clone(), value: tag.value.clone() }).collect();
    let outcomes = each(place.find(&args.image).await?, async |placed| {
        images.tag(&placed.region, &placed.image, &tags, args.snapshots).await
    })
    .await;
    finish_plain(context, "tagged", &outcomes)
}

/// Takes tags off an image.
pub(crate) async fn untag(args: &ImageUntagArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let images = &place.images;
    let outcomes = each(place.find(&args.image).await?, async |placed| {
        images.untag(&placed.region, &placed.image, &args.keys, args.snapshots).await
    })
    .await;
    finish_plain(context, "untagged", &outcomes)
}

/// Makes a deprecated image Available again.
pub(crate) async fn restore(args: &OneImageArgs, context: &Context) -> Result<(), Failure> {
    let place = Place::new(&args.place, context).await?;
    let images = &place.images;
    let outcomes = each(place.find(&args.image).await?, async |placed| {
        images.restore(&placed.region, &placed.image.image_id).await
    })
    .await;
    finish_plain(context, "restored", &outcomes)
}
