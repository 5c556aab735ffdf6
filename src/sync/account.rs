//! What a plan is made of: what an account has, and what an entry wants.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::file::{Entry, Removed};
use crate::import::CustomImage;
use crate::model::{AccountId, ImageId, ImageStatus, ObjectRef, Region};

/// An image, and the accounts that it is shared with as far as they were looked up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// The image.
    pub image: CustomImage,
    /// The accounts.
    pub accounts: BTreeSet<AccountId>,
}

impl Seen {
    /// Returns an image that is shared with these accounts.
    pub fn new(image: CustomImage, accounts: BTreeSet<AccountId>) -> Self {
        Self { image, accounts }
    }

    pub(super) fn id(&self) -> &ImageId {
        &self.image.image_id
    }

    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        self.image.tag(key)
    }

    pub(super) fn is_available(&self) -> bool {
        self.image.status == ImageStatus::Available && self.image.usable != Some(false)
    }

    /// Whether it is made, and can be used as soon as it is no longer deprecated.
    pub(super) fn is_made(&self) -> bool {
        self.is_available() || self.image.status == ImageStatus::Deprecated
    }
}

/// What an account has: its own images by region, and the objects of ours that are there.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// The images of the regions that were looked at.
    pub images: BTreeMap<Region, Vec<Seen>>,
    /// The objects that were uploaded for an entry's images and are still there, and when they were stored.
    pub objects: BTreeMap<ObjectRef, Option<Timestamp>>,
}

impl Account {
    /// Returns an image of a region, if it was there.
    pub(super) fn image(&self, region: &Region, id: &ImageId) -> Option<&Seen> {
        self.images.get(region)?.iter().find(|seen| seen.id() == id)
    }
}

/// What an entry wants, with everything resolved that the file leaves open.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Goal<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The value of the tag of its images.
    pub tag: String,
    /// What its image is made of.
    pub content: String,
    /// The region of the bucket, in which it is imported.
    pub home: Region,
    /// Where it is to be, home included.
    pub regions: BTreeSet<Region>,
    /// What the keys of the objects begin with that are uploaded for it.
    pub folder: String,
    /// What becomes of its images in other regions.
    pub removed: Removed,
    /// Today.
    pub now: Timestamp,
}
