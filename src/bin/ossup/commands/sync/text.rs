//! Changes, for people.

use ossup::import::Tag;
use ossup::model::AccountId;
use ossup::sync::{Action, Change};

use crate::ui::Table;

/// Returns the changes as a table; nothing if there are none.
pub(super) fn table(changes: &[Change]) -> String {
    let mut table = Table::new(&["IMAGE", "REGION", "CHANGE", "WHAT"]);
    for change in changes {
        let (verb, what) = words(&change.action);
        table.row([change.entry.clone(), change.region.to_string(), verb.to_owned(), what]);
    }
    table.text()
}

/// Returns a change that is made, in one line.
pub(super) fn sentence(change: &Change) -> String {
    let (verb, what) = words(&change.action);
    format!("{} in {}: {verb} {what}", change.entry, change.region)
}

/// Returns what is done, and with what.
fn words(action: &Action) -> (&'static str, String) {
    match action {
        Action::Discard { image } => ("discard", format!("{image}, which failed")),
        Action::Reclaim { image, name } => ("name", format!("{image} `{name}`, until the new one is there")),
        Action::Create { name } => ("create", name.clone()),
        Action::BootTest { image } => ("boot test", id(image.as_ref())),
        Action::Await { image } => ("wait", image.to_string()),
        Action::Copy { name, .. } => ("copy", name.clone()),
        Action::Restore { image } => ("restore", id(image.as_ref())),
        Action::Tag { tags, .. } => {
            ("tag", joined(tags.iter().map(|Tag { key, value }| format!("{key}={value}"))))
        }
        Action::Untag { tags, .. } => {
            ("untag", joined(tags.iter().map(|Tag { key, value }| format!("{key}={value}"))))
        }
        Action::Unpublish { image } => ("unpublish", id(image.as_ref())),
        Action::Share { accounts, .. } => ("share", joined(accounts.iter().map(AccountId::to_string))),
        Action::Unshare { accounts, .. } => ("unshare", joined(accounts.iter().map(AccountId::to_string))),
        Action::Name { name, old: None, .. } => ("name", name.clone()),
        Action::Name { name, old: Some((old, other)), .. } => {
            ("replace", format!("{name}, which {old} has and leaves as {other}"))
        }
        Action::Family { family, .. } => ("family", family.clone()),
        Action::Publish { image } => ("publish", id(image.as_ref())),
        Action::Deprecate { image, reason } => ("deprecate", format!("{image}, which {reason}")),
        Action::Delete { image, reason } => ("delete", format!("{image}, which {reason}")),
        Action::DeleteObject { object } => ("delete", object.to_string()),
        // A newer library may know more than this says.
        _ => ("change", String::new()),
    }
}

fn id(image: Option<&ossup::model::ImageId>) -> String {
    image.map_or_else(|| "the new image".to_owned(), ToString::to_string)
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
