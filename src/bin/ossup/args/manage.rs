//! Images after their import: options of `image list`, `publish`, `tag`, `deprecate`, `delete`, `prune` and their like.

use clap::{ArgGroup, Args};
use jiff::civil::Date;
use ossup::manage::ImageRef;
use ossup::model::{ImageStatus, Region};

use super::remote::{ConnectionArgs, RetryArgs};
use super::values::{BadValue, Span, Tag, age, bad, image_status};

/// Where images are looked for.
#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    /// Look in all regions instead of one
    #[arg(long)]
    pub(crate) all_regions: bool,
    /// Regions to leave out
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', requires = "all_regions")]
    pub(crate) except: Vec<Region>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageListArgs {
    /// Only images of this name, in which * stands for any text
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only images of this family
    #[arg(long)]
    pub(crate) family: Option<String>,
    /// Only images in these states, such as Available,Deprecated
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = image_status(), ignore_case = true)]
    pub(crate) status: Vec<ImageStatus>,
    /// The account's own images, which is the default
    #[arg(long, conflicts_with_all = ["shared", "public"])]
    pub(crate) mine: bool,
    /// Images that other accounts share with this one
    #[arg(long, conflicts_with = "public")]
    pub(crate) shared: bool,
    /// Community images, which other accounts have published
    #[arg(long)]
    pub(crate) public: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

/// One image, in one region or wherever it is.
#[derive(Debug, Args)]
pub(crate) struct OneImageArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageTagArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Tags; a key that is there already gets the new value
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) tags: Vec<Tag>,
    /// Tag the image's snapshots too
    #[arg(long)]
    pub(crate) snapshots: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageUntagArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Keys of the tags to take off
    #[arg(value_name = "KEY", required = true)]
    pub(crate) keys: Vec<String>,
    /// Take them off the image's snapshots too
    #[arg(long)]
    pub(crate) snapshots: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageDeprecateArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Image to use instead, by id or name; its name is written into the tag `Replacement image`
    #[arg(long, value_name = "IMAGE")]
    pub(crate) replaced_by: Option<ImageRef>,
    /// Day from which the image may be removed, written into the tag `Removal date`; prune waits for it
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) remove_on: Option<Date>,
    /// Write only the tags: the image stays Available, shared and public as it is
    #[arg(long)]
    pub(crate) tags_only: bool,
    /// Skip the confirmation, which is asked for if the image is shared or public
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImageDeleteArgs {
    /// Image: its id (m-…), its name, or family:NAME for the one that a family points to
    pub(crate) image: ImageRef,
    /// Delete the image's snapshots too; otherwise they stay and are billed
    #[arg(long)]
    pub(crate) snapshots: bool,
    /// Delete the image even if instances use it
    #[arg(long)]
    pub(crate) force: bool,
    /// Take the image back first, from the public and from the accounts that it is shared with
    #[arg(long)]
    pub(crate) withdraw: bool,
    /// Skip the confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").required(true).args(["family", "name_prefix"]))]
pub(crate) struct ImagePruneArgs {
    /// Look at the images of this family
    #[arg(long, value_parser = scope)]
    pub(crate) family: Option<String>,
    /// Look at the images whose names begin so
    #[arg(long, value_name = "PREFIX", value_parser = scope)]
    pub(crate) name_prefix: Option<String>,
    /// How many of the newest Available images to keep in each region
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Keep images that have this tag; may be repeated
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = kept_tag)]
    pub(crate) keep_tag: Vec<(String, Option<String>)>,
    /// Keep images that are younger than this, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(crate) older_than: Option<Span>,
    /// Delete images too that are shared with other accounts
    #[arg(long)]
    pub(crate) shared: bool,
    /// Delete images too that are public
    #[arg(long)]
    pub(crate) public: bool,
    /// Delete images too that instances use
    #[arg(long)]
    pub(crate) in_use: bool,
    /// Show what would go and what would stay, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Skip the confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

/// Parses what images are looked at. Every name begins with nothing: a variable that is not set would mean all images.
fn scope(text: &str) -> Result<String, BadValue> {
    match text.trim().is_empty() {
        true => Err(bad("it is empty, which would mean every image")),
        false => Ok(text.to_owned()),
    }
}

/// Parses `KEY` or `KEY=VALUE`.
fn kept_tag(text: &str) -> Result<(String, Option<String>), BadValue> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    match key.is_empty() {
        true => Err(bad("expected a tag as KEY or KEY=VALUE")),
        false => Ok((key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_kept_with_any_value_or_with_one() {
        assert_eq!(kept_tag("stage=prod").unwrap(), ("stage".to_owned(), Some("prod".to_owned())));
        assert_eq!(kept_tag("bootimage").unwrap(), ("bootimage".to_owned(), None));
        assert_eq!(kept_tag("stage=").unwrap(), ("stage".to_owned(), Some(String::new())));
        assert!(kept_tag("=x").is_err());
    }

    #[test]
    fn nothing_does_not_stand_for_every_image() {
        assert_eq!(scope("web-").unwrap(), "web-");
        assert!(scope("").is_err() && scope(" ").is_err());
    }
}
