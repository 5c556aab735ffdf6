//! The file as it is meant: checked, with its defaults in place.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::boot_test::BootTest;
use crate::checksum_file::Sha256;
use crate::import::Tag;
use crate::model::{
    AccountId, Architecture, BootMode, BucketName, DiskFormat, LicenseType, ObjectRef, OsType, Region,
};
use crate::web::WebUrl;

/// What stands in a name for what the image is made of.
const CONTENT: &str = "{content}";
/// Most characters of an image's name ("ImportImage" page).
const LONGEST_NAME: usize = 128;

/// A fleet of images, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncFile {
    /// The fleet's name.
    pub fleet: String,
    /// Where objects are uploaded to.
    pub bucket: BucketName,
    /// What their keys begin with: empty, or with a `/` at its end.
    pub folder: String,
    /// The bucket's region, if the file names it.
    pub region: Option<Region>,
    /// What becomes of images that are no longer asked for.
    pub removed: Removed,
    /// The images, by their words.
    pub entries: Vec<Entry>,
}

/// What becomes of images that the file no longer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed {
    /// They stay.
    Keep,
    /// They are deprecated.
    Deprecate,
    /// They are deleted.
    Delete,
}

/// An image of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The word that it stands under.
    pub key: String,
    /// How the image is named.
    pub name: Name,
    /// The system disk.
    pub source: Source,
    /// The SHA-256 that the source has to have.
    pub sha256: Option<Sha256>,
    /// The data disks: files and objects.
    pub data_disks: Vec<Source>,
    /// What is asked of ImportImage. Others make another image.
    pub import: ImportSettings,
    /// In which form a file is sent; nothing leaves it to what is best.
    pub form: Option<Form>,
    /// Whether ECS checks the image after the import.
    pub detect: bool,
    /// The instance in which the image has to boot before it is copied.
    pub boot_test: Option<BootTest>,
    /// Where it is copied to.
    pub regions: Regions,
    /// Whether it is a community image.
    pub public: bool,
    /// The accounts that it is shared with.
    pub share_with: BTreeSet<AccountId>,
    /// Its family.
    pub family: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Which of the older ones stay; nothing keeps all.
    pub retention: Option<Retention>,
}

/// Where something is made of. The text form is that of the file; a URL is shown without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file, as it is named: a path that is not absolute is seen from the folder of the fleet's file.
    File(PathBuf),
    /// A file on the web.
    Web(WebUrl),
    /// An object, which is imported where it is.
    Object(ObjectRef),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Web(url) => url.fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

/// What is asked of ImportImage, as far as it is not detected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of ImportImage, described in the schema")]
pub struct ImportSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<BootMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_type: Option<OsType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<DiskFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvme: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,
    /// 1, or 2 for the hardened mode alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imds: Option<u8>,
}

/// The form of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// The disk inside, byte for byte.
    Raw,
    /// A QCOW2 without the zeros.
    Qcow2,
    /// The bytes of the file.
    AsIs,
    /// QCOW2 where that saves much, the rest as it is.
    Auto,
}

/// Where an image is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Regions {
    /// Every region of the account, but these.
    AllBut(BTreeSet<Region>),
    /// These.
    These(BTreeSet<Region>),
}

/// Which of an entry's images stay beside the one in use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How many of the newest, with the one in use.
    pub keep: usize,
    /// Younger ones stay.
    pub older_than: Option<Duration>,
    /// Those with one of these tags stay, with any value or with this one.
    pub keep_tags: Vec<(String, Option<String>)>,
}

/// How the images of an entry are named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the name that an image gets when it is made. No image of other content has it.
    pub fn of_content(&self, content: &str) -> String {
        let short: String = content.chars().take(8).collect();
        if self.0.contains(CONTENT) {
            return self.0.replace(CONTENT, &short);
        }
        let room = LONGEST_NAME - 1 - short.chars().count();
        let begin: String = self.0.chars().take(room).collect();
        format!("{begin}-{short}")
    }

    /// Returns the name that the image in use has, if it is handed over from one to the next.
    pub fn handed_over(&self) -> Option<&str> {
        (!self.0.contains(CONTENT)).then_some(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SyncFile {
    /// Sees paths that are not absolute from this folder: that of the file.
    #[must_use]
    pub fn seen_from(mut self, folder: &Path) -> Self {
        for entry in &mut self.entries {
            for source in std::iter::once(&mut entry.source).chain(&mut entry.data_disks) {
                if let Source::File(path) = source {
                    *path = folder.join(&path);
                }
            }
        }
        self
    }

    /// Returns the value of the tag by which an entry's images are recognised.
    pub fn tag_of(&self, key: &str) -> String {
        format!("{}/{key}", self.fleet)
    }
}
