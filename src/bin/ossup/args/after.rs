//! What follows an import.

use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use ossup::model::{AccountId, Region};

use super::values::account;

/// What follows the import.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "After the import")]
pub(crate) struct FanOutArgs {
    /// Copy the image to these regions; `all` is every region of the account
    #[arg(long, value_name = "REGION,…|all", value_delimiter = ',')]
    pub(crate) copy_to: Vec<Destination>,
    /// Of the regions of --copy-to, leave these out
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', requires = "copy_to")]
    pub(crate) except: Vec<Region>,
    /// Encrypt the image in all regions; the unencrypted import is kept as NAME-unencrypted
    #[arg(long)]
    pub(crate) encrypt: bool,
    /// KMS key to encrypt with, in this region or in all [default: the service's own]; may be repeated
    #[arg(long, value_name = "[REGION=]ID", requires = "encrypt")]
    pub(crate) kms_key: Vec<KmsKey>,
    /// Share the image and its copies with these accounts
    #[arg(long, value_name = "ACCOUNT,…", value_delimiter = ',', value_parser = account)]
    pub(crate) share_with: Vec<AccountId>,
    /// Make the image and its copies community images, which everybody can use, once all are available
    #[arg(long)]
    pub(crate) public: bool,
    /// Put the image and its copies into this image family
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) family: Option<String>,
    /// Let the images take over their names from those that earlier commands made, once all are available
    #[arg(long)]
    pub(crate) replace: bool,
    /// What becomes of the images that are replaced
    #[arg(long, value_enum, value_name = "WHAT", requires = "replace", default_value_t)]
    pub(crate) replaced: ReplacedArg,
    /// Delete the object once every image is available
    #[arg(long)]
    pub(crate) delete_object: bool,
    /// Continue with the other regions if one fails
    #[arg(long)]
    pub(crate) keep_going: bool,
}

impl FanOutArgs {
    /// Whether anything follows, which needs the image.
    pub(crate) fn follows(&self) -> bool {
        !self.copy_to.is_empty()
            || self.encrypt
            || !self.share_with.is_empty()
            || self.public
            || self.replace
            || self.family.is_some()
            || self.delete_object
    }
}

/// What becomes of an image that is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplacedArg {
    /// It keeps everything but its name
    #[default]
    Rename,
    /// It is taken back from everybody, and deprecated
    Deprecate,
    /// It is taken back from everybody, and deleted with its snapshots unless instances use it
    Delete,
}

/// Where an image is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Every region that DescribeRegions lists.
    All,
    Region(Region),
}

impl FromStr for Destination {
    type Err = <Region as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            region => region.parse().map(Self::Region),
        }
    }
}

/// A key of KMS, maybe for one region alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KmsKey {
    pub(crate) region: Option<Region>,
    pub(crate) id: String,
}

impl FromStr for KmsKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (region, id) = match text.split_once('=') {
            Some((region, id)) => (Some(region.parse::<Region>().map_err(|error| error.to_string())?), id),
            None => (None, text),
        };
        match id {
            "" => Err("expected the id of a key, or REGION=ID".to_owned()),
            id => Ok(Self { region, id: id.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_no_region_and_a_key_may_be_of_one() {
        assert_eq!("all".parse(), Ok(Destination::All));
        assert_eq!("us-west-1".parse(), Ok(Destination::Region("us-west-1".parse().unwrap())));
        let key = |text: &str| text.parse::<KmsKey>();
        assert_eq!(key("key-1"), Ok(KmsKey { region: None, id: "key-1".to_owned() }));
        let region = "us-west-1".parse().ok();
        assert_eq!(key("us-west-1=key-2"), Ok(KmsKey { region, id: "key-2".to_owned() }));
        assert!(key("").is_err() && key("us-west-1=").is_err() && key("A B=key").is_err());
    }
}
