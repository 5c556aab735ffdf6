//! Images after their import, by id, name or family, in one region or in all: found first, then changed, each for itself.

mod change;
mod delete;
mod deprecate;
mod list;
mod prune;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::civil::Date;
use jiff::tz::Offset;
use ossup::manage::{ImageRef, Images, ManageError, Placed};
use ossup::model::Region;
use serde_json::{Value, json};

use crate::args::WhereArgs;
use crate::args::values::Span;
use crate::context::Context;
use crate::failure::{Failure, chain};
use crate::settings::SettingsError;
use crate::ui::{Table, counted};

pub(crate) use change::{publish, restore, tag, unpublish, untag};
pub(crate) use delete::delete;
pub(crate) use deprecate::deprecate;
pub(crate) use list::list;
pub(crate) use prune::prune;

/// How many images, or regions, are worked on at a time.
const AT_ONCE: usize = 5;
/// How long one of many regions is tried that does not answer, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(120);
/// The region of requests that are about no region, if none is configured.
const ANY_REGION: &str = "cn-hangzhou";

/// What a command works with.
struct Place {
    images: Images,
    /// Where images are looked for.
    regions: Vec<Region>,
}

/// Returns the image that is meant, of one region.
pub(super) async fn one(args: &WhereArgs, image: &ImageRef, context: &Context) -> Result<Placed, Failure> {
    let found = Place::new(args, context).await?.find(image).await?;
    Ok(found.into_iter().next().expect("what is not found is an error"))
}

impl Place {
    async fn new(args: &WhereArgs, context: &Context) -> Result<Self, Failure> {
        let mut connection = args.connection.clone();
        if args.all_regions && matches!(context.settings(&connection, None), Err(SettingsError::NoRegion)) {
            connection.region = ANY_REGION.parse().ok();
        }
        let mut retry = args.retry.clone();
        if args.all_regions && retry.retry_timeout.is_none() {
            retry.retry_timeout = Some(Span(PATIENCE));
        }
        let client = context.connect(&connection, &retry, None)?.client;
        let own = client.region().clone();
        let images = Images::new(client);
        let regions = match args.all_regions {
            true => images.regions(&args.except).await?,
            false => vec![own],
        };
        Ok(Self { images, regions })
    }

    /// Returns the images that are meant. A region that cannot be asked ends it: nothing is changed yet.
    async fn find(&self, image: &ImageRef) -> Result<Vec<Placed>, Failure> {
        self.or_unchanged(self.look(image).await)
    }

    async fn look(&self, image: &ImageRef) -> Result<Vec<Placed>, ManageError> {
        self.images.find_in(&self.regions, image).await
    }

    /// Says that nothing was changed, where one region of many cannot be asked.
    fn or_unchanged(&self, looked: Result<Vec<Placed>, ManageError>) -> Result<Vec<Placed>, Failure> {
        looked.map_err(|error| {
            let unasked = error.call_error().is_some() && self.regions.len() > 1;
            let failure = Failure::from(error);
            match unasked {
                true => failure.context("nothing was changed, because a region cannot be asked").hint(
                    "leave that region out with --except, or grant `ecs:DescribeImages` there, and run it again",
                ),
                false => failure,
            }
        })
    }

    /// Returns today by the service's clock.
    fn today(&self) -> Date {
        let client = self.images.client();
        Offset::UTC.to_datetime(client.service_time().unwrap_or_else(|| client.now())).date()
    }
}

/// What became of each image.
type Outcomes<T> = Vec<(Placed, Result<T, ManageError>)>;

/// Does the same to each image, some at a time. A failure of one ends none of the others.
async fn each<T>(targets: Vec<Placed>, act: impl AsyncFn(&Placed) -> Result<T, ManageError>) -> Outcomes<T> {
    let outcomes: Vec<_> = stream::iter(&targets).map(|placed| act(placed)).buffered(AT_ONCE).collect().await;
    targets.into_iter().zip(outcomes).collect()
}

/// Prints what became of each image, of which there is nothing to tell but that it was done.
fn finish_plain(context: &Context, done: &'static str, outcomes: &Outcomes<()>) -> Result<(), Failure> {
    finish(context, &Told { done, ids: true }, json!({}), outcomes, |()| String::new(), |()| json!({}))
}

/// How a change is told.
struct Told {
    /// What was done: "published".
    done: &'static str,
    /// Whether each image's id is printed as a result.
    ids: bool,
}

/// Prints what became of each image; fails if one of them failed. `line` and `members` tell more of a success, and
/// `fields` are what the result has beside the images.
fn finish<T>(
    context: &Context,
    told: &Told,
    fields: Value,
    outcomes: &Outcomes<T>,
    line: impl Fn(&T) -> String,
    members: impl Fn(&T) -> Value,
) -> Result<(), Failure> {
    let mut objects = Vec::new();
    let mut ids = Vec::new();
    let mut failed = Vec::new();
    for (placed, outcome) in outcomes {
        let mut object = identity(placed);
        match outcome {
            Ok(done) => {
                context.output.status(format!("{}: {}{}", shown(placed), told.done, line(done)));
                ids.push(format!("{}\t{}", placed.image.image_id, placed.region));
                if let (Some(object), Value::Object(more)) = (object.as_object_mut(), members(done)) {
                    object.extend(more);
                }
            }
            Err(error) => {
                object["error"] = json!(chain(error));
                failed.push((placed, error));
            }
        }
        objects.push(object);
    }
    let mut members = json!({"images": objects});
    if let (Some(object), Value::Object(fields)) = (members.as_object_mut(), fields) {
        object.extend(fields);
    }
    let Some((_, first)) = failed.first() else {
        let text = if told.ids { ids.join("\n") } else { String::new() };
        return context.output.print(members, &text);
    };
    let failure = Failure::from(*first).with_members(members);
    if outcomes.len() == 1 {
        return Err(failure);
    }
    for (placed, error) in &failed {
        context.output.warning(format!("{}: {}", shown(placed), chain(error)));
    }
    let count = counted(outcomes.len() as u64, "image", "images");
    Err(failure.context(format!("{} of {count} could not be {}", failed.len(), told.done)))
}

/// Says how to do the rest of what was begun: where a family was asked for and its image is gone or deprecated, the same
/// command would go on with the image before.
fn rest_by_id<T>(failure: Failure, image: &ImageRef, outcomes: &Outcomes<T>) -> Failure {
    let is_begun =
        outcomes.iter().any(|(_, outcome)| matches!(outcome, Ok(_) | Err(ManageError::Partly { .. })));
    match (image, is_begun) {
        (ImageRef::Family(_), true) => failure.hint(
            "name each image that is left by its id: the family may point to another one now, which the same command \
             would take",
        ),
        _ => failure,
    }
}

/// Returns an image for people.
fn shown(placed: &Placed) -> String {
    let name = placed.image.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("image {}{name} in {}", placed.image.image_id, placed.region)
}

fn identity(placed: &Placed) -> Value {
    json!({"region": placed.region, "image_id": placed.image.image_id, "name": placed.image.name})
}

/// Returns who can use an image, as the list of images has it.
fn access(image: &ossup::import::CustomImage) -> &'static str {
    match (image.is_public, image.is_shared) {
        (Some(true), _) => "public",
        (_, Some(true)) => "shared",
        _ => "private",
    }
}

/// Returns the images that a question is about as a table.
fn table(targets: &[Placed]) -> String {
    let mut table = Table::new(&["REGION", "IMAGE", "NAME", "STATUS", "ACCESS", "IN USE"]);
    for Placed { region, image, .. } in targets {
        table.row([
            region.to_string(),
            image.image_id.to_string(),
            image.name.clone().unwrap_or_default(),
            image.status.to_string(),
            access(image).to_owned(),
            if image.in_use == Some(true) { "yes".to_owned() } else { String::new() },
        ]);
    }
    table.text()
}

/// Shows a table that a question is about.
fn show(table: &str, context: &Context) {
    table.lines().for_each(|line| context.output.status(line));
}

/// Returns the regions of some images, each once.
fn regions_of(targets: &[Placed]) -> Vec<Region> {
    let regions: BTreeSet<&Region> = targets.iter().map(|placed| &placed.region).collect();
    regions.into_iter().cloned().collect()
}
