//! One change, made through `publish`, `import` and `manage`.

use super::account::{Account, Goal};
use super::change::{Action, Change, Reason};
use super::error::ChangeError;
use super::file::Source;
use super::maker::Order;
use super::run::Fleet;
use super::{BOOTED_TAG, CONTENT_TAG, ENTRY_TAG};
use crate::boot_test::{BootTestError, BootTester};
use crate::import::{CopyRequest, ImportError, ImportTask, Tag};
use crate::manage::{DeleteOptions, Deprecation, ManageError};
use crate::model::{ClientToken, ImageId, Region};
use crate::protocol::oss::DeleteObject;
use crate::publish::PublishError;

/// Makes a change that can be made now: the images that it is about are there.
pub(super) async fn apply(
    fleet: &Fleet,
    account: &Account,
    goal: Option<&Goal<'_>>,
    change: &Change,
) -> Result<(), ChangeError> {
    let (region, images) = (&change.region, &fleet.images);
    let options = DeleteOptions::default().with_snapshots(true).with_withdraw(true);
    match (&change.action, goal) {
        (Action::Discard { image }, _) => drop(images.delete(region, image, options.with_force(true)).await?),
        (Action::Delete { image, reason }, goal) => {
            // Another run may have chosen it since, and given it the name.
            if *reason == Reason::Spare
                && let Some(name) = goal.and_then(|goal| goal.entry.name.handed_over())
                && fleet.importer.find_image(region, name).await?.is_none_or(|now| now.image_id == *image)
            {
                return Ok(());
            }
            // No instance can use what failed.
            let options = options.with_force(*reason == Reason::Failed);
            drop(images.delete(region, image, options).await?);
        }
        (Action::Deprecate { image, .. }, _) => {
            let today = jiff::tz::Offset::UTC.to_datetime(fleet.importer.client().now()).date();
            let name = goal.and_then(|goal| goal.entry.name.handed_over()).map(str::to_owned);
            let how = Deprecation::new(today).with_replacement(name);
            drop(images.deprecate(region, image, &how).await?);
        }
        (Action::Reclaim { image, name }, _) => drop(images.rename(region, image, name).await?),
        (Action::Create { name }, Some(goal)) => create(fleet, goal, name).await?,
        (Action::BootTest { image: Some(image) }, Some(goal)) => {
            boot_test(fleet, account, goal, region, image).await?
        }
        (Action::Await { image }, Some(goal)) => wait(fleet, account, goal, region, image).await?,
        (Action::Copy { from: Some(from), name }, Some(goal)) => {
            copy(fleet, goal, region, from, name).await?
        }
        (Action::Restore { image: Some(image) }, _) => images.restore(region, image).await?,
        (Action::Tag { image: Some(image), tags }, _) => {
            if let Some(seen) = account.image(region, image) {
                // The image last: it is what the next run looks at.
                images.tag_snapshots(region, &seen.image.snapshots(), tags).await?;
                images.tag(region, &seen.image, tags, false).await?;
            }
        }
        (Action::Untag { image: Some(image), tags }, _) => {
            let keys: Vec<String> = tags.iter().map(|tag| tag.key.clone()).collect();
            if let Some(seen) = account.image(region, image) {
                images.untag_snapshots(region, &seen.image.snapshots(), &keys).await?;
                images.untag(region, &seen.image, &keys, false).await?;
            }
        }
        (Action::Unpublish { image: Some(image) }, _) => drop(images.unpublish(region, image).await?),
        (Action::Share { image: Some(image), accounts }, _) => {
            let accounts: Vec<_> = accounts.iter().cloned().collect();
            fleet.importer.share(region, image, &accounts).await?;
        }
        (Action::Unshare { image: Some(image), accounts }, _) => {
            let accounts: Vec<_> = accounts.iter().cloned().collect();
            fleet.importer.unshare(region, image, &accounts).await?;
        }
        (Action::Name { image: Some(image), name, old }, _) => {
            hand_over(fleet, region, image, name, old.as_ref()).await?;
        }
        (Action::Family { image: Some(image), family }, _) => {
            images.set_family(region, image, family).await?
        }
        (Action::Publish { image: Some(image) }, _) => drop(images.publish(region, image).await?),
        (Action::DeleteObject { object }, _) => {
            let deleted = fleet.importer.client().call(&DeleteObject { object: object.clone() }).await;
            deleted
                .map_err(|source| ChangeError::Object { object: object.clone(), source: Box::new(source) })?;
        }
        // What waits for an image that is not there: the next round knows it.
        _ => {}
    }
    Ok(())
}

/// The tags by which the next run recognises an image.
fn tags(goal: &Goal<'_>) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
    vec![tag(ENTRY_TAG, &goal.tag), tag(CONTENT_TAG, &goal.content)]
}

/// Uploads and imports. Tags, accounts, family and visibility follow when the image is there in every region.
async fn create(fleet: &Fleet, goal: &Goal<'_>, name: &str) -> Result<(), ChangeError> {
    let order = Order {
        entry: goal.entry,
        name: name.to_owned(),
        tags: tags(goal),
        bucket: fleet.file.bucket.clone(),
        folder: goal.folder.clone(),
    };
    if let Some(tester) = tester(fleet, goal) {
        // Hours later it would be too late to learn that there is no such network.
        match tester.check(&goal.home, goal.entry.import.architecture).await {
            Ok(()) | Err(BootTestError::Unchecked) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let publish = fleet.maker.publish(order).await.map_err(ChangeError::Make)?;
    // The image would be told by what the file was. From here on the upload looks whether it changes.
    if let Some(path) = fleet.files.changed(goal.entry) {
        return Err(ChangeError::FileChanged { path });
    }
    publish.run().await?;
    Ok(())
}

fn tester(fleet: &Fleet, goal: &Goal<'_>) -> Option<BootTester> {
    let test = goal.entry.boot_test.clone()?;
    Some(BootTester::new(fleet.importer.client().clone(), test))
}

/// Boots an image in an instance, and marks it as seen to boot. A run that dies before the mark is repeated, with the instance
/// that is there.
async fn boot_test(
    fleet: &Fleet,
    account: &Account,
    goal: &Goal<'_>,
    region: &Region,
    image: &ImageId,
) -> Result<(), ChangeError> {
    let Some(tester) = tester(fleet, goal) else { return Ok(()) };
    tester.test(region, image).await?;
    let booted = Tag { key: BOOTED_TAG.to_owned(), value: goal.content.clone() };
    if let Some(seen) = account.image(region, image) {
        fleet.images.tag(region, &seen.image, &[booted], false).await?;
    }
    Ok(())
}

/// Waits for an image that an earlier run began.
async fn wait(
    fleet: &Fleet,
    account: &Account,
    goal: &Goal<'_>,
    region: &Region,
    image: &ImageId,
) -> Result<(), ChangeError> {
    // Who else writes to an object that is imported where it is, is not known: a publish looks whether it has changed.
    let name = account.image(region, image).and_then(|seen| seen.image.name.as_ref());
    if let (Source::Object(_), Some(name)) = (&goal.entry.source, name)
        && *region == goal.home
    {
        match create(fleet, goal, name).await {
            // The same bytes were stored again since, so that the import is not recognised as this one.
            Err(ChangeError::Publish(PublishError::Import(ImportError::NameTaken { image_id, .. })))
                if image_id == *image => {}
            waited => return waited,
        }
    }
    fleet.importer.follow(&ImportTask::of_image(region.clone(), image.clone())).await?;
    Ok(())
}

async fn copy(
    fleet: &Fleet,
    goal: &Goal<'_>,
    region: &Region,
    from: &ImageId,
    name: &str,
) -> Result<(), ChangeError> {
    let mut request =
        CopyRequest::new(goal.home.clone(), from.clone(), region.clone(), name).with_tags(tags(goal));
    if let Some(text) = &goal.entry.import.description {
        request = request.with_description(text);
    }
    if let Some(group) = &goal.entry.import.resource_group {
        request = request.with_resource_group(group);
    }
    // The copy is found again by its origin.
    let task = fleet.importer.copy(&request, &ClientToken::random()).await?;
    fleet.importer.follow(&task).await?;
    Ok(())
}

/// Gives an image its name, and takes it from the image that has it. A run that is to end goes on until the name has arrived; one
/// that dies between the two requests leaves that to the next one's first change.
async fn hand_over(
    fleet: &Fleet,
    region: &Region,
    image: &ImageId,
    name: &str,
    old: Option<&(ImageId, String)>,
) -> Result<(), ChangeError> {
    let images = &fleet.images;
    let Some((old, other)) = old else { return Ok(images.rename(region, image, name).await.map(drop)?) };
    // It is a while since everything was looked at.
    let holder = fleet.importer.find_image(region, name).await?;
    if let Some(holder) = holder.filter(|holder| holder.image_id != *old) {
        let (name, region, image_id) = (name.to_owned(), region.clone(), holder.image_id);
        return Err(ManageError::NameTaken { name, region, image_id }.into());
    }
    {
        let _passing = fleet.pass_name().await;
        images.hand_over(region, name, (old, other), image).await?;
    }
    match images.shows_name_passed(region, name, old).await? {
        true => Ok(()),
        false => {
            let (image_id, region) = (image.clone(), region.clone());
            Err(ManageError::Unproved { action: "rename", image_id, region }.into())
        }
    }
}
