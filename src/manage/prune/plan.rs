//! Which images of a region go, and why the others stay. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::import::CustomImage;
use crate::manage::REMOVAL_DATE_TAG;
use crate::model::{ImageId, ImageStatus};

/// Which images are looked at. All others stay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneScope {
    /// Those of this family.
    Family(String),
    /// Those whose names begin so.
    NamePrefix(String),
}

/// What goes. Whatever the rules, an image that a family points to stays, and so does one that is being made, and one
/// whose tag [`REMOVAL_DATE_TAG`] names a later day.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneRules {
    /// Which images are looked at.
    pub scope: PruneScope,
    /// How many of the newest Available ones stay in each region.
    pub keep: usize,
    /// Images that have one of these tags stay: a key, with any value or with this one.
    pub keep_tags: Vec<(String, Option<String>)>,
    /// Images that are younger stay.
    pub older_than: Option<Duration>,
    /// Whether images go too that are shared with other accounts.
    pub shared: bool,
    /// Whether images go too that are public.
    pub public: bool,
    /// Whether images go too that instances use.
    pub in_use: bool,
}

impl PruneRules {
    /// Keeps the newest `keep` images of a scope, and everything that somebody else may use.
    pub fn new(scope: PruneScope, keep: usize) -> Self {
        Self {
            scope,
            keep,
            keep_tags: Vec::new(),
            older_than: None,
            shared: false,
            public: false,
            in_use: false,
        }
    }

    fn looks_at(&self, image: &CustomImage) -> bool {
        match &self.scope {
            PruneScope::Family(family) => image.family.as_ref() == Some(family),
            PruneScope::NamePrefix(prefix) => {
                image.name.as_ref().is_some_and(|name| name.starts_with(prefix))
            }
        }
    }
}

/// What becomes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes.
    Goes(Going),
    /// It stays.
    Stays(Staying),
}

/// Why an image goes. The text form ends the sentence "it goes because it …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Going {
    /// There are enough newer ones.
    Surplus,
    /// It is deprecated.
    Deprecated,
    /// It failed, and can never be used.
    Failed,
}

impl fmt::Display for Going {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surplus => "is older than those kept",
            Self::Deprecated => "is deprecated",
            Self::Failed => "failed",
        })
    }
}

/// Why an image stays. The text form ends the sentence "it stays because it …".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Staying {
    /// It is being made, or in a state that is not known.
    Pending,
    /// This family points to it.
    FamilyHead(String),
    /// It is among the newest.
    Newest,
    /// It has this tag.
    Tagged(String),
    /// Its tag [`REMOVAL_DATE_TAG`] names a later day, or none that can be read.
    Promised(String),
    /// The service does not say when it was made.
    NoAge,
    /// It is younger than asked for.
    Young,
    /// Instances use it.
    InUse,
    /// It is public.
    Public,
    /// It is shared with other accounts.
    Shared,
    /// It has another name or family than when the plan was made.
    Changed,
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("is not finished"),
            Self::FamilyHead(family) => write!(f, "is what the family `{family}` points to"),
            Self::Newest => f.write_str("is among the newest"),
            Self::Tagged(key) => write!(f, "has the tag `{key}`"),
            Self::Promised(day) => write!(f, "is promised until `{day}`"),
            Self::NoAge => f.write_str("has no known age"),
            Self::Young => f.write_str("is too young"),
            Self::InUse => f.write_str("is used by instances"),
            Self::Public => f.write_str("is public"),
            Self::Shared => f.write_str("is shared"),
            Self::Changed => f.write_str("has another name or family now"),
        }
    }
}

/// An image and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// The image.
    pub image: CustomImage,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Judged {
    /// Whether it goes.
    pub fn goes(&self) -> bool {
        matches!(self.verdict, Verdict::Goes(_))
    }
}

/// Judges the images that the rules look at, the newest first. `images` are all of the account's in one region: which of
/// them a family points to depends on the others.
pub fn judge(images: &[CustomImage], rules: &PruneRules, now: Timestamp) -> Vec<Judged> {
    let heads = heads(images);
    let mut looked_at: Vec<&CustomImage> = images.iter().filter(|image| rules.looks_at(image)).collect();
    looked_at.sort_by(|a, b| (b.created, &b.image_id).cmp(&(a.created, &a.image_id)));
    let usable = |image: &&&CustomImage| is_usable(image) && image.created.is_some();
    let newest: Vec<&ImageId> =
        looked_at.iter().filter(usable).take(rules.keep).map(|image| &image.image_id).collect();
    let verdict = |image: &CustomImage| {
        let family = image.family.as_ref().filter(|family| {
            heads.get(family.as_str()).is_some_and(|head| is_usable(image) && image.created >= *head)
        });
        if let Some(family) = family {
            return Verdict::Stays(Staying::FamilyHead(family.clone()));
        }
        if newest.contains(&&image.image_id) {
            return Verdict::Stays(Staying::Newest);
        }
        match stays(image, rules, now) {
            Some(why) => Verdict::Stays(why),
            None => Verdict::Goes(match image.status {
                ImageStatus::Deprecated => Going::Deprecated,
                ImageStatus::Available => Going::Surplus,
                _ => Going::Failed,
            }),
        }
    };
    looked_at.into_iter().map(|image| Judged { image: image.clone(), verdict: verdict(image) }).collect()
}

/// Returns why an image stays, other than for its place among the others.
fn stays(image: &CustomImage, rules: &PruneRules, now: Timestamp) -> Option<Staying> {
    if image.status.is_pending() {
        return Some(Staying::Pending);
    }
    let kept = rules.keep_tags.iter().find(|(key, value)| {
        image.tags.iter().any(|tag| tag.key == *key && value.as_ref().is_none_or(|value| tag.value == *value))
    });
    if let Some((key, _)) = kept {
        return Some(Staying::Tagged(key.clone()));
    }
    if let Some(promised) = image.tag(REMOVAL_DATE_TAG) {
        let today = Offset::UTC.to_datetime(now).date();
        if Date::strptime("%Y%m%d", promised).ok().is_none_or(|day| day > today) {
            return Some(Staying::Promised(promised.to_owned()));
        }
    }
    match (image.created, rules.older_than) {
        (None, _) => return Some(Staying::NoAge),
        (Some(created), Some(limit)) => {
            // A time in the future is no age.
            let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
            if age < limit {
                return Some(Staying::Young);
            }
        }
        (Some(_), None) => {}
    }
    if image.in_use == Some(true) && !rules.in_use {
        return Some(Staying::InUse);
    }
    if image.is_public == Some(true) && !rules.public {
        return Some(Staying::Public);
    }
    (image.is_shared == Some(true) && !rules.shared).then_some(Staying::Shared)
}

fn is_usable(image: &CustomImage) -> bool {
    image.status == ImageStatus::Available
}

/// Returns when the newest Available image of each family was made. Of images that were made at the same time the service
/// may choose any, so all of them count.
fn heads(images: &[CustomImage]) -> BTreeMap<&str, Option<Timestamp>> {
    let mut heads = BTreeMap::new();
    for image in images.iter().filter(|image| is_usable(image)) {
        if let Some(family) = image.family.as_deref() {
            let head = heads.entry(family).or_insert(image.created);
            *head = (*head).max(image.created);
        }
    }
    heads
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
