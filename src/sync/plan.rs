//! What has to change for the account to be as the file says. Pure.
//!
//! The images of an entry are those that carry its tag ([`ENTRY_TAG`]), whatever their names are. Of these the one in use
//! is that whose tag [`CONTENT_TAG`] says that it is made of what the file names now. An image is made, and copied, under a
//! name that no other content has; only when it is Available in every region does it get what others find it by, in this
//! order: tags, accounts, the name that is handed over, the family, the public. After that the older ones go, as the
//! retention says.
//!
//! A plan says all that is to be done, also with images that do not exist yet. Of each entry only the changes of its
//! first [step](Step) can be made at once: what follows is planned again when they are made, by what is there then. So a
//! run that died anywhere is continued by whoever plans next.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::account::{Account, Goal, Seen};
use super::change::{Action, Change, Conflict, Reason, Step};
use super::file::{Removed, Retention};
use super::{BOOTED_TAG, CONTENT_TAG, ENTRY_TAG, TAGS_TAG, tagged};
use crate::import::CustomImage;
use crate::manage::{PruneRules, PruneScope, judge};
use crate::model::{ImageId, ImageStatus, ObjectRef, Region};

/// After which an object that was uploaded for another content is no longer somebody's work: an import takes hours.
const LEFT: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// Returns what is to be done for an entry, in the order in which it is done.
///
/// # Errors
///
/// The names that it needs and that images have which are not its own: nothing must be changed then.
pub fn plan(goal: &Goal<'_>, account: &Account) -> Result<Vec<Change>, Vec<Conflict>> {
    let planner = Planner { goal, account };
    let conflicts = planner.conflicts();
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut changes = planner.made();
    changes.extend(planner.settled());
    if changes.iter().any(|change| change.action.step() < Step::Name) {
        changes.extend(planner.reclaimed());
    }
    changes.extend(planner.retired());
    changes.extend(planner.cleaned());
    // Within a step, the order of the regions.
    changes.sort_by(|a, b| (a.action.step(), &a.region).cmp(&(b.action.step(), &b.region)));
    Ok(changes)
}

/// Returns what is to be done with images of entries that the file no longer has. `entries` are the tags of those that it
/// has, and `fleet` is what all tags begin with.
pub fn plan_removed(
    fleet: &str,
    entries: &BTreeSet<String>,
    removed: Removed,
    account: &Account,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (region, images) in &account.images {
        for seen in images {
            let Some(tag) = seen.tag(ENTRY_TAG) else { continue };
            let Some(entry) = tag.strip_prefix(fleet).and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            if entries.contains(tag) {
                continue;
            }
            let action = removal(seen, removed, Reason::NotInFile);
            changes.extend(action.map(|action| Change::new(entry, region.clone(), action)));
        }
    }
    changes
}

/// Returns how an image goes that is no longer asked for.
fn removal(seen: &Seen, removed: Removed, reason: Reason) -> Option<Action> {
    let image = seen.id().clone();
    match removed {
        Removed::Keep => None,
        _ if seen.image.status.is_pending() => None,
        Removed::Deprecate if seen.image.status == ImageStatus::Deprecated => None,
        Removed::Deprecate if !seen.image.status.is_failed() => Some(Action::Deprecate { image, reason }),
        Removed::Delete if seen.image.in_use == Some(true) => None,
        _ => Some(Action::Delete { image, reason }),
    }
}

struct Planner<'a> {
    goal: &'a Goal<'a>,
    account: &'a Account,
}

impl<'a> Planner<'a> {
    fn change(&self, region: &Region, action: Action) -> Change {
        Change::new(&self.goal.entry.key, region.clone(), action)
    }

    fn seen(&self, region: &Region) -> &'a [Seen] {
        self.account.images.get(region).map_or(&[], Vec::as_slice)
    }

    /// Returns the entry's images of a region.
    fn ours(&self, region: &Region) -> impl Iterator<Item = &'a Seen> {
        let tag = &self.goal.tag;
        self.seen(region).iter().filter(move |seen| seen.tag(ENTRY_TAG) == Some(tag))
    }

    fn holder(&self, region: &Region, name: &str) -> Option<&'a Seen> {
        self.seen(region).iter().find(|seen| seen.image.name.as_deref() == Some(name))
    }

    /// Returns the image in use, or the one that is to become it. Where two runs have made one each, all runs choose the
    /// same.
    fn current(&self, region: &Region) -> Option<&'a Seen> {
        let name = self.name();
        let of_content = |seen: &&Seen| {
            seen.tag(CONTENT_TAG) == Some(&self.goal.content) && !seen.image.status.is_failed()
        };
        self.ours(region).filter(of_content).min_by_key(|seen| {
            let named = seen.image.name.as_deref() == Some(&name);
            (!seen.is_made(), !named, seen.image.created.is_none(), seen.image.created, seen.id())
        })
    }

    /// The name of the image in use.
    fn name(&self) -> String {
        let name = &self.goal.entry.name;
        name.handed_over().map_or_else(|| self.made_as(), str::to_owned)
    }

    /// The name under which the image is made.
    fn made_as(&self) -> String {
        self.goal.entry.name.of_content(&self.goal.content)
    }

    fn conflicts(&self) -> Vec<Conflict> {
        let names = BTreeSet::from([self.name(), self.made_as()]);
        let mut conflicts = Vec::new();
        for region in &self.goal.regions {
            for name in &names {
                let Some(holder) = self.holder(region, name) else { continue };
                let is_ours = holder.tag(ENTRY_TAG) == Some(&self.goal.tag);
                // One of ours may lose the name that is handed over, but not the one that it was made with.
                let is_in_way = *name == self.made_as() && self.current(region).is_none();
                let may_have = is_ours && (!is_in_way || holder.image.status.is_failed());
                let foreign = (!may_have).then_some(holder);
                conflicts.extend(foreign.map(|seen| Conflict {
                    entry: self.goal.entry.key.clone(),
                    region: region.clone(),
                    name: name.clone(),
                    image: seen.id().clone(),
                }));
            }
        }
        conflicts
    }

    /// The images that are to be made, and what is in their way.
    fn made(&self) -> Vec<Change> {
        let (home, name) = (&self.goal.home, self.made_as());
        let mut changes = Vec::new();
        for region in &self.goal.regions {
            let current = self.current(region);
            if current.is_some_and(Seen::is_made) {
                continue;
            }
            if let Some(seen) = current {
                let image = seen.id().clone();
                changes.push(self.change(region, Action::Await { image }));
                continue;
            }
            // Whatever has the name is the entry's own, and failed: otherwise it would be the current one, or a conflict.
            if let Some(failed) = self.holder(region, &name) {
                let image = failed.id().clone();
                changes.push(self.change(region, Action::Discard { image }));
            }
            let action = match region == home {
                true => Action::Create { name: name.clone() },
                false => Action::Copy { from: self.copied_from(), name: name.clone() },
            };
            changes.push(self.change(region, action));
        }
        changes
    }

    /// The image that copies are made of, if it can be copied.
    fn copied_from(&self) -> Option<ImageId> {
        self.current(&self.goal.home).filter(|seen| seen.is_available()).map(|seen| seen.id().clone())
    }

    fn is_to_be_copied(&self) -> bool {
        self.goal.regions.iter().any(|region| *region != self.goal.home && self.current(region).is_none())
    }

    /// What the images in use still lack.
    fn settled(&self) -> Vec<Change> {
        self.goal.regions.iter().flat_map(|region| self.settled_in(region)).collect()
    }

    fn settled_in(&self, region: &Region) -> Vec<Change> {
        let (entry, current) = (self.goal.entry, self.current(region));
        let image = current.map(|seen| seen.id().clone());
        let mut changes = Vec::new();
        let mut add = |action: Action| changes.push(self.change(region, action));
        if current.is_some_and(|seen| seen.image.status == ImageStatus::Deprecated) {
            add(Action::Restore { image: image.clone() });
        }
        // One that is still being made is waited for first.
        let can_be_tested = entry.boot_test.is_some() && *region == self.goal.home;
        let is_to_be_tested =
            |seen: &Seen| seen.is_available() && seen.tag(BOOTED_TAG) != Some(&self.goal.content);
        if can_be_tested && current.is_none_or(is_to_be_tested) {
            add(Action::BootTest { image: image.clone() });
        }
        let (gone, tags) = tagged::difference(&entry.tags, current.map(|seen| &seen.image));
        if !gone.is_empty() {
            add(Action::Untag { image: image.clone(), tags: gone });
        }
        if !tags.is_empty() {
            add(Action::Tag { image: image.clone(), tags });
        }
        let none = BTreeSet::new();
        let accounts = current.map_or(&none, |seen| &seen.accounts);
        let more: BTreeSet<_> = entry.share_with.difference(accounts).cloned().collect();
        let less: BTreeSet<_> = accounts.difference(&entry.share_with).cloned().collect();
        let is_public = current.is_some_and(|seen| seen.image.is_public == Some(true));
        // The service neither shares nor copies a community image.
        let stays_public =
            entry.public && more.is_empty() && !(*region == self.goal.home && self.is_to_be_copied());
        if is_public && !stays_public {
            add(Action::Unpublish { image: image.clone() });
        }
        if !more.is_empty() {
            add(Action::Share { image: image.clone(), accounts: more.clone() });
        }
        if !less.is_empty() {
            add(Action::Unshare { image: image.clone(), accounts: less });
        }
        let name = self.name();
        if current.is_none_or(|seen| seen.image.name.as_ref() != Some(&name)) {
            let old = self.holder(region, &name).filter(|old| Some(old.id()) != image.as_ref());
            let old = old.map(|old| (old.id().clone(), self.name_after(region, old)));
            // An image that is made under its name needs none.
            if image.is_some() || old.is_some() || name != self.made_as() {
                add(Action::Name { image: image.clone(), name, old });
            }
        }
        if let Some(family) = &entry.family
            && current.is_none_or(|seen| seen.image.family.as_ref() != Some(family))
        {
            add(Action::Family { image: image.clone(), family: family.clone() });
        }
        if entry.public && !(is_public && stays_public) {
            add(Action::Publish { image });
        }
        changes
    }

    /// The name that an image gets which hands its own over: the one that it was made with, if nobody else has it.
    fn name_after(&self, region: &Region, old: &Seen) -> String {
        let made = self.goal.entry.name.of_content(old.tag(CONTENT_TAG).unwrap_or("old"));
        let id = old.id().as_str();
        match self.holder(region, &made).filter(|other| other.id() != old.id()) {
            None if made != self.made_as() => made,
            _ => self.goal.entry.name.of_content(&id[id.len().saturating_sub(8)..]),
        }
    }

    /// The images that are no longer in use.
    fn retired(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for region in self.account.images.keys() {
            if self.goal.regions.contains(region) {
                changes.extend(self.superseded(region));
                continue;
            }
            for seen in self.ours(region).filter(|seen| !self.has_kept_tag(seen)) {
                let action = removal(seen, self.goal.removed, Reason::NotInFile);
                changes.extend(action.map(|action| self.change(region, action)));
            }
        }
        changes
    }

    /// Whether an image stays for one of its tags, wherever it is.
    fn has_kept_tag(&self, seen: &Seen) -> bool {
        let keep_tags = self.goal.entry.retention.iter().flat_map(|retention| &retention.keep_tags);
        keep_tags.into_iter().any(|(key, value)| {
            seen.tag(key).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        })
    }

    fn superseded(&self, region: &Region) -> Vec<Change> {
        let current = self.current(region);
        let made_as = self.made_as();
        let old: Vec<&Seen> =
            self.ours(region).filter(|seen| current.is_none_or(|now| now.id() != seen.id())).collect();
        let going = match &self.goal.entry.retention {
            Some(retention) => going(&old, retention, self.goal),
            None => BTreeSet::new(),
        };
        let mut changes = Vec::new();
        for seen in old {
            let image = seen.id().clone();
            // What is in the way of the new one is told by it.
            let is_in_way = current.is_none() && seen.image.name.as_ref() == Some(&made_as);
            if seen.image.status.is_failed() {
                if !is_in_way {
                    changes.push(self.change(region, Action::Delete { image, reason: Reason::Failed }));
                }
            } else if going.contains(seen.id()) {
                changes.push(self.change(region, Action::Delete { image, reason: Reason::Surplus }));
            } else if self.is_spare(seen, current) {
                changes.push(self.change(region, Action::Delete { image, reason: Reason::Spare }));
            } else if self.hides_current(seen, current) {
                changes.push(self.change(region, Action::Deprecate { image, reason: Reason::Newer }));
            }
        }
        changes
    }

    /// Whether an image is one too many: of two runs at the same time, each has made one, the second when the name under
    /// which it was made had just been exchanged for that of the image in use. No run has got further with it, and nobody can
    /// have found it but by its id.
    fn is_spare(&self, seen: &Seen, current: Option<&Seen>) -> bool {
        // Retired is what is to go when all else is done: by then that one has its name.
        current.is_some_and(Seen::is_made)
            && seen.is_available()
            && seen.tag(CONTENT_TAG) == Some(&self.goal.content)
            && seen.tag(TAGS_TAG).is_none()
            && seen.image.family.is_none()
            && seen.image.is_public != Some(true)
            && seen.accounts.is_empty()
            && seen.image.in_use != Some(true)
    }

    /// Whether the family points to an older image, because it was made later: the file has gone back to what was.
    fn hides_current(&self, seen: &Seen, current: Option<&Seen>) -> bool {
        let Some(current) = current else { return false };
        let in_family =
            |image: &CustomImage| self.goal.entry.family.is_some() && image.family == self.goal.entry.family;
        seen.image.status == ImageStatus::Available
            && in_family(&seen.image)
            && (seen.image.created, seen.id().as_str()) > (current.image.created, current.id().as_str())
    }

    /// The names that nobody has, though there is an image that had it or was about to get it.
    fn reclaimed(&self) -> Vec<Change> {
        let Some(name) = self.goal.entry.name.handed_over() else { return Vec::new() };
        let heir = |region: &Region| {
            let is_old =
                |seen: &&Seen| seen.is_available() && seen.tag(CONTENT_TAG) != Some(&self.goal.content);
            let free = self.holder(region, name).is_none();
            self.ours(region)
                .filter(|_| free)
                .filter(is_old)
                .max_by_key(|seen| (seen.image.created, seen.id()))
        };
        let reclaim = |region: &Region| {
            let (image, name) = (heir(region)?.id().clone(), name.to_owned());
            Some(self.change(region, Action::Reclaim { image, name }))
        };
        self.goal.regions.iter().filter_map(reclaim).collect()
    }

    /// The objects that were uploaded: those that have become the image, and those that were left by somebody long ago.
    fn cleaned(&self) -> Vec<Change> {
        let is_over = |object: &ObjectRef, stored: Option<Timestamp>| {
            let age = stored.map(|stored| self.goal.now.duration_since(stored));
            object.key.as_str().starts_with(&self.goal.folder) || age.is_some_and(|age| age > LEFT)
        };
        let objects = self.account.objects.iter().filter(|(object, stored)| is_over(object, **stored));
        let delete = |(object, _): (&ObjectRef, _)| Action::DeleteObject { object: object.clone() };
        objects.map(|object| self.change(&self.goal.home, delete(object))).collect()
    }
}

/// Returns the images that the retention lets go. The one in use is not among `old`, and counts.
fn going(old: &[&Seen], retention: &Retention, goal: &Goal<'_>) -> BTreeSet<ImageId> {
    let mut rules = PruneRules::new(PruneScope::NamePrefix(String::new()), retention.keep.saturating_sub(1));
    rules.keep_tags.clone_from(&retention.keep_tags);
    rules.older_than = retention.older_than;
    // Who could use them can use the new one now.
    (rules.shared, rules.public) = (true, true);
    let images: Vec<CustomImage> = old
        .iter()
        .map(|seen| {
            let mut image = seen.image.clone();
            // The entry's family points to the one in use, which is not among these; any other one may point to one of them.
            image.family = image.family.filter(|family| goal.entry.family.as_ref() != Some(family));
            image
        })
        .collect();
    // Among the newest are those that can be gone back to, also where going back has deprecated them: otherwise the
    // deprecation of an image would be the reason to delete it.
    let can_be_gone_back_to = images.iter().cloned().map(|mut image| {
        if image.status == ImageStatus::Deprecated {
            (image.status, image.family) = (ImageStatus::Available, None);
        }
        image
    });
    let mut going = going_of(&images, &rules, goal);
    // But they do not push out what was in use until now.
    let all = going_of(&can_be_gone_back_to.collect::<Vec<_>>(), &rules, goal);
    going.retain(|image| all.contains(image));
    going
}

fn going_of(images: &[CustomImage], rules: &PruneRules, goal: &Goal<'_>) -> BTreeSet<ImageId> {
    let judged = judge(images, rules, goal.now);
    judged.into_iter().filter(|judged| judged.goes()).map(|judged| judged.image.image_id).collect()
}

#[cfg(test)]
mod tests;
