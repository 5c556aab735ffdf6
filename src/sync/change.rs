//! One thing that has to be done, and what stands in the way of all.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::import::Tag;
use crate::model::{AccountId, ImageId, ObjectRef, Region};

/// Something that has to be done for one entry in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The entry's word.
    pub entry: String,
    /// Where.
    pub region: Region,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

impl Change {
    pub(super) fn new(entry: &str, region: Region, action: Action) -> Self {
        Self { entry: entry.to_owned(), region, action }
    }
}

/// What has to be done. An image that is not known yet is one that is made before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A failed image goes that has the name.
    Discard {
        /// The image.
        image: ImageId,
    },
    /// An older image gets the name that a run left to nobody when it died: it is long until the new one can have it.
    Reclaim {
        /// The image.
        image: ImageId,
        /// The name.
        name: String,
    },
    /// The source is uploaded, if it is no object, and imported.
    Create {
        /// The name under which the image is made.
        name: String,
    },
    /// An instance is made of the image, which has to boot; it is deleted after that.
    BootTest {
        /// The image.
        image: Option<ImageId>,
    },
    /// An image that an earlier run began is waited for.
    Await {
        /// The image.
        image: ImageId,
    },
    /// The image is copied from the region of the bucket.
    Copy {
        /// The image there, if it is made.
        from: Option<ImageId>,
        /// The name under which the copy is made.
        name: String,
    },
    /// An image that was deprecated is in use again.
    Restore {
        /// The image.
        image: Option<ImageId>,
    },
    /// Tags are set on the image and its snapshots.
    Tag {
        /// The image.
        image: Option<ImageId>,
        /// Those that it lacks.
        tags: Vec<Tag>,
    },
    /// Tags that the file no longer asks for are taken off the image and its snapshots.
    Untag {
        /// The image.
        image: Option<ImageId>,
        /// Those that an earlier run has set, and nobody has changed.
        tags: Vec<Tag>,
    },
    /// The image is taken back from the public.
    Unpublish {
        /// The image.
        image: Option<ImageId>,
    },
    /// The image is shared.
    Share {
        /// The image.
        image: Option<ImageId>,
        /// With these, too.
        accounts: BTreeSet<AccountId>,
    },
    /// The image is taken back from accounts.
    Unshare {
        /// The image.
        image: Option<ImageId>,
        /// From these.
        accounts: BTreeSet<AccountId>,
    },
    /// The image gets its name, from the image before it if that has it.
    Name {
        /// The image.
        image: Option<ImageId>,
        /// The name.
        name: String,
        /// The image that loses it, and the name that this one gets.
        old: Option<(ImageId, String)>,
    },
    /// The family points to the image.
    Family {
        /// The image.
        image: Option<ImageId>,
        /// The family.
        family: String,
    },
    /// Everybody can use the image.
    Publish {
        /// The image.
        image: Option<ImageId>,
    },
    /// An image that is not in use is retired.
    Deprecate {
        /// The image.
        image: ImageId,
        /// Why.
        reason: Reason,
    },
    /// An image that is not in use is deleted, with its snapshots.
    Delete {
        /// The image.
        image: ImageId,
        /// Why.
        reason: Reason,
    },
    /// The object that was uploaded is deleted: it has become the image.
    DeleteObject {
        /// The object.
        object: ObjectRef,
    },
}

/// The order of what is done for an entry. What is in one step can be done at the same time, in all regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// What is in the way goes, and what was retired and is wanted comes back: a deprecated image cannot be copied.
    Clear,
    /// The image is made in the region of the bucket.
    Make,
    /// It is seen to boot.
    Test,
    /// It is no longer public: otherwise it can be neither copied nor shared.
    Withdraw,
    /// It is copied, or the copy is waited for.
    Copy,
    /// It loses tags: before the note is written anew that says which of them are the file's.
    Untag,
    /// It gets its tags.
    Prepare,
    /// Accounts get it.
    Share,
    /// It gets its name.
    Name,
    /// The family points to it.
    Family,
    /// Everybody gets it.
    Publish,
    /// Older ones go.
    Retire,
}

impl Action {
    /// Returns when it is done.
    pub fn step(&self) -> Step {
        match self {
            Self::Reclaim { .. } | Self::Discard { .. } | Self::Restore { .. } => Step::Clear,
            Self::Create { .. } => Step::Make,
            Self::BootTest { .. } => Step::Test,
            Self::Await { .. } | Self::Copy { .. } => Step::Copy,
            Self::Untag { .. } => Step::Untag,
            Self::Tag { .. } => Step::Prepare,
            Self::Unpublish { .. } => Step::Withdraw,
            Self::Share { .. } | Self::Unshare { .. } => Step::Share,
            Self::Name { .. } => Step::Name,
            Self::Family { .. } => Step::Family,
            Self::Publish { .. } => Step::Publish,
            Self::Deprecate { .. } | Self::Delete { .. } | Self::DeleteObject { .. } => Step::Retire,
        }
    }

    /// Returns the image that it is about, if it is there already.
    pub fn image(&self) -> Option<&ImageId> {
        match self {
            Self::Discard { image }
            | Self::Reclaim { image, .. }
            | Self::Await { image }
            | Self::Deprecate { image, .. }
            | Self::Delete { image, .. } => Some(image),
            Self::Restore { image }
            | Self::BootTest { image }
            | Self::Tag { image, .. }
            | Self::Untag { image, .. }
            | Self::Unpublish { image }
            | Self::Share { image, .. }
            | Self::Unshare { image, .. }
            | Self::Name { image, .. }
            | Self::Family { image, .. }
            | Self::Publish { image } => image.as_ref(),
            Self::Create { .. } | Self::Copy { .. } | Self::DeleteObject { .. } => None,
        }
    }
}

/// Why an image is retired or deleted. The text form ends the sentence "it goes because it …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// There are enough newer ones.
    Surplus,
    /// It failed, and can never be used.
    Failed,
    /// Another run has made the same at the same time, and nobody has found this one yet.
    Spare,
    /// It was made later than the image in use, so that the family would point to it.
    Newer,
    /// The file asks for it no longer.
    NotInFile,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surplus => "is older than those kept",
            Self::Failed => "failed",
            Self::Spare => "is made of the same as the one in use",
            Self::Newer => "was made after the one in use",
            Self::NotInFile => "is not in the file",
        })
    }
}

/// A name that an entry needs, and that another image has. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Conflict {
    /// The entry's word.
    pub entry: String,
    /// Where.
    pub region: Region,
    /// The name.
    pub name: String,
    /// The image that has it.
    pub image: ImageId,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` needs the name `{}` in {}, which image {} has, and that is not of this fleet's making",
            self.entry, self.name, self.region, self.image
        )
    }
}
