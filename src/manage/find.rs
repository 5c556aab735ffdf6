//! Which images are meant: by id, by name, by family, in one region or in many.

use std::fmt;
use std::str::FromStr;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{Images, ManageError, REGIONS_AT_ONCE};
use crate::import::CustomImage;
use crate::model::{ImageId, ImageStatus, InvalidValue, Region};
use crate::protocol::ecs::{DescribeImages, DescribeRegions, ImageOwner};

/// How an image is named. The text form is the id (`m-…`), the name, or `family:NAME`; a name that looks like one of the
/// others is written `name:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageRef {
    /// By its id.
    Id(ImageId),
    /// By its exact name. The service gives it to one image of an account in a region.
    Name(String),
    /// The image that a family points to: the newest of the region that is Available ([`family_head`]).
    Family(String),
}

impl FromStr for ImageRef {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |text: &str| match text.is_empty() {
            true => Err(InvalidValue::new("image", "must be an id (m-…), a name, or family:NAME")),
            false => Ok(text.to_owned()),
        };
        if let Some(family) = text.strip_prefix("family:") {
            return named(family).map(Self::Family);
        }
        if let Some(name) = text.strip_prefix("name:") {
            return named(name).map(Self::Name);
        }
        let is_id = |rest: &str| rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.strip_prefix("m-").is_some_and(is_id) {
            return text.parse().map(Self::Id);
        }
        named(text).map(Self::Name)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Family(family) => write!(f, "family:{family}"),
            Self::Name(name) => match name.parse::<Self>() {
                Ok(Self::Name(_)) => f.write_str(name),
                _ => write!(f, "name:{name}"),
            },
        }
    }
}

/// An image and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Where it is.
    pub region: Region,
    /// The image.
    pub image: CustomImage,
}

impl Placed {
    /// Returns an image of a region.
    pub fn new(region: Region, image: CustomImage) -> Self {
        Self { region, image }
    }
}

/// Which images are listed. By default all of the account's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageQuery {
    /// Whose.
    pub owner: ImageOwner,
    /// Only those of this name, in which `*` stands for any text.
    pub name: Option<String>,
    /// Only those of this family.
    pub family: Option<String>,
    /// Only those in these states; in any if empty.
    pub statuses: Vec<ImageStatus>,
}

impl ImageQuery {
    /// Whether an image is one of those. The service's own comparison of names is fuzzy.
    fn is_met(&self, image: &CustomImage) -> bool {
        let name = image.name.as_deref().unwrap_or_default();
        self.name.as_ref().is_none_or(|pattern| fits(pattern, name))
            && (self.statuses.is_empty() || self.statuses.contains(&image.status))
    }
}

/// Whether a text is what a pattern says, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Returns the image of these that an instance gets which is made from the family: the newest that is Available
/// ("Overview of image families" page). All have to be of one family and of one region.
pub fn family_head<'a>(images: impl IntoIterator<Item = &'a CustomImage>) -> Option<&'a CustomImage> {
    images
        .into_iter()
        .filter(|image| image.status == ImageStatus::Available)
        .max_by_key(|image| (image.created, image.image_id.as_str()))
}

impl Images {
    /// Returns the regions that the account can use, less some.
    ///
    /// # Errors
    ///
    /// When they cannot be listed; [`ManageError::NoRegion`] if one of `except` is none.
    pub async fn regions(&self, except: &[Region]) -> Result<Vec<Region>, ManageError> {
        let listed = self.call(&DescribeRegions::new(), || "list the regions".to_owned()).await?;
        let mut regions: Vec<Region> =
            listed.iter().filter_map(|region| region.region_id.parse().ok()).collect();
        if let Some(unknown) = except.iter().find(|region| !regions.contains(region)) {
            return Err(ManageError::NoRegion { region: unknown.clone() });
        }
        regions.retain(|region| !except.contains(region));
        Ok(regions)
    }

    /// Lists images of a region.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn list(&self, region: &Region, query: &ImageQuery) -> Result<Vec<CustomImage>, ManageError> {
        let mut request =
            DescribeImages::new(region.clone()).with_owner(query.owner).with_statuses(query.statuses.clone());
        // What the service makes of a `*` is not known: then all are listed, and compared here.
        request.name = query.name.clone().filter(|name| !name.contains('*'));
        request.family.clone_from(&query.family);
        let mut images = self.importer.all_pages(&request).await.map_err(|source| {
            let action = format!("list the images of {region}");
            ManageError::Call { action, source: Box::new(source) }
        })?;
        images.retain(|image| query.is_met(image));
        Ok(images)
    }

    /// Returns an own image of a region, in whatever state it is; of a family, the one that it points to.
    ///
    /// # Errors
    ///
    /// When the images cannot be listed; [`ManageError::Ambiguous`] if several have the name.
    pub async fn find(&self, region: &Region, image: &ImageRef) -> Result<Option<CustomImage>, ManageError> {
        match image {
            ImageRef::Id(id) => Ok(self.importer.image(region, id).await?),
            ImageRef::Name(name) => {
                // Not as a pattern: a star in it is one.
                let query = ImageQuery { name: Some(name.clone()), ..ImageQuery::default() };
                let mut images = self.list(region, &query).await?;
                images.retain(|image| image.name.as_ref() == Some(name));
                if images.len() > 1 {
                    let (image, region) = (image.to_string(), region.clone());
                    let found = images.into_iter().map(|image| image.image_id).collect();
                    return Err(ManageError::Ambiguous { image, region, found });
                }
                Ok(images.pop())
            }
            ImageRef::Family(family) => {
                let query = ImageQuery { family: Some(family.clone()), ..ImageQuery::default() };
                let mut images = self.list(region, &query).await?;
                // The service's comparison may be fuzzy here as well.
                images.retain(|image| image.family.as_ref() == Some(family));
                Ok(family_head(&images).cloned())
            }
        }
    }

    /// Returns an own image of a region that must be there.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`]; [`ManageError::Foreign`] if another account shares it with this one or publishes it.
    pub async fn require(&self, region: &Region, image: &ImageRef) -> Result<CustomImage, ManageError> {
        if let Some(found) = self.find(region, image).await? {
            return Ok(found);
        }
        self.refuse_foreign(region, image).await?;
        Err(ManageError::NotFound { image: image.to_string(), region: region.clone() })
    }

    /// Returns the own images of these regions that are meant, in the order of the regions.
    ///
    /// # Errors
    ///
    /// When one of the regions cannot be asked; as [`Images::require`] if it is in none of them.
    pub async fn find_in(&self, regions: &[Region], image: &ImageRef) -> Result<Vec<Placed>, ManageError> {
        let found: Vec<Option<Placed>> = stream::iter(regions)
            .map(|region| async move {
                let found = self.find(region, image).await?;
                Ok::<_, ManageError>(found.map(|image| Placed::new(region.clone(), image)))
            })
            .buffered(REGIONS_AT_ONCE)
            .try_collect()
            .await?;
        let found: Vec<Placed> = found.into_iter().flatten().collect();
        match (found.is_empty(), regions) {
            (false, _) => Ok(found),
            (true, [region]) => {
                self.refuse_foreign(region, image).await?;
                Err(ManageError::NotFound { image: image.to_string(), region: region.clone() })
            }
            (true, _) => Err(ManageError::Nowhere { image: image.to_string(), regions: regions.len() }),
        }
    }

    /// Refuses an id that is another account's, so that it is not told as missing.
    async fn refuse_foreign(&self, region: &Region, image: &ImageRef) -> Result<(), ManageError> {
        let ImageRef::Id(id) = image else { return Ok(()) };
        for owner in [ImageOwner::Shared, ImageOwner::Community] {
            let list = DescribeImages::new(region.clone()).with_image_id(id.clone()).with_owner(owner);
            // Not every account may list community images; then it is simply not found.
            let Ok(page) = self.client().call(&list).await else { continue };
            if let Some(found) = page.images.into_iter().find(|found| found.image_id == *id) {
                let (image_id, region, owner) = (id.clone(), region.clone(), found.owner_id);
                return Err(ManageError::Foreign { image_id, region, owner });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_image_is_named_by_id_name_or_family() {
        let parse = |text: &str| text.parse::<ImageRef>().unwrap();
        assert_eq!(parse("m-bp1g7004ksh0oeuco5hp"), ImageRef::Id("m-bp1g7004ksh0oeuco5hp".parse().unwrap()));
        assert_eq!(parse("family:web"), ImageRef::Family("web".into()));
        for name in ["web-2026-01", "m-Web", "my:web"] {
            assert_eq!(parse(name), ImageRef::Name(name.into()));
        }
        assert_eq!(parse("name:m-1"), ImageRef::Name("m-1".into()));
        for bad in ["", "family:", "name:", "m-"] {
            assert!(bad.parse::<ImageRef>().is_err() || bad == "m-", "{bad}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web-1", false),
            ("web-*", "web-1", true),
            ("*-1", "web-1", true),
            ("w*b*1", "web-1", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("*b*b", "ab", false),
            ("web-*", "my-web-1", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "(m-|name:|family:)?[a-z0-9:._-]{1,20}") {
            if let Ok(image) = text.parse::<ImageRef>() {
                prop_assert_eq!(image.to_string().parse::<ImageRef>().unwrap(), image);
            }
        }

        #[test]
        fn a_pattern_fits_what_its_stars_are_filled_with(pieces in prop::collection::vec("[ab]{0,3}", 1..4), fill in "[ab]{0,3}") {
            prop_assert!(fits(&pieces.join("*"), &pieces.join(&fill)));
        }
    }
}
