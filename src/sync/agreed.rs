//! What somebody has agreed to, after a plan was shown.

use std::collections::BTreeSet;

use super::change::{Action, Change, Reason};
use super::run::FleetPlan;
use crate::model::{ImageId, Region};

/// What a run may do of what cannot be undone: what the plan said that somebody has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// Entries, and the names of the images that are made for them: these tell what the images are made of.
    made: BTreeSet<(String, String)>,
    /// Images that go, and whether they are deleted.
    lost: BTreeSet<(Region, ImageId, bool)>,
}

impl Agreed {
    pub(super) fn new(plan: &FleetPlan) -> Self {
        let mut agreed = Self::default();
        for change in &plan.changes {
            if let Action::Create { name } = &change.action {
                agreed.made.insert((change.entry.clone(), name.clone()));
            }
            agreed.lost.extend(loss(change));
        }
        agreed
    }

    /// Whether a change takes nothing away that was not agreed to.
    pub(super) fn allows(&self, change: &Change) -> bool {
        loss(change).is_none_or(|loss| self.lost.contains(&loss))
    }

    /// Whether a change is one that the plan had, as far as that matters to who has seen it.
    pub(super) fn expects(&self, change: &Change) -> bool {
        match &change.action {
            Action::Create { name } => self.made.contains(&(change.entry.clone(), name.clone())),
            _ => self.allows(change),
        }
    }
}

/// Returns the image that a change takes away, and whether for ever. What failed can be used by nobody, and of what is spare
/// there is another one.
fn loss(change: &Change) -> Option<(Region, ImageId, bool)> {
    let (image, deletes) = match &change.action {
        Action::Deprecate { image, .. } => (image, false),
        Action::Delete { image, reason } if !matches!(reason, Reason::Failed | Reason::Spare) => {
            (image, true)
        }
        _ => return None,
    };
    Some((change.region.clone(), image.clone(), deletes))
}
