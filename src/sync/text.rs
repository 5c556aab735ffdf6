//! The file as it is written: every key, and what may stand there. The schema for editors is made from it.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::model::{AccountId, Architecture, BootMode, DiskFormat, LicenseType, OsType, Region};

/// A fleet of images: what is to be in the account.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(title = "Fleet of images", inline))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FleetText {
    /// Name of the fleet. The images carry it as a tag, by which they are recognised: two files with the same name manage
    /// the same images.
    #[cfg_attr(feature = "cli", schemars(with = "String", regex(pattern = "^[A-Za-z0-9._-]{1,60}$")))]
    pub(super) fleet: Spanned<String>,
    /// Where objects are uploaded to: oss://BUCKET or oss://BUCKET/FOLDER/. The images are imported in its region.
    #[cfg_attr(feature = "cli", schemars(with = "String", regex(pattern = "^oss://")))]
    pub(super) bucket: Spanned<String>,
    /// Region of the bucket, if it is not set otherwise, for instance by --region.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) region: Option<Spanned<Region>>,
    /// What becomes of images of the fleet that the file no longer asks for: in regions that were taken out, and of entries
    /// that were taken out.
    pub(super) removed: Option<RemovedText>,
    /// Settings of all images that do not set them themselves. Names and sources cannot stand here.
    #[cfg_attr(feature = "cli", schemars(with = "Option<ImageText>"))]
    pub(super) defaults: Option<Spanned<ImageText>>,
    /// The images, each under a word that must not change: it is what an image is recognised by, beside the fleet.
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(with = "BTreeMap<String, ImageText>"))]
    pub(super) image: BTreeMap<Spanned<String>, Spanned<ImageText>>,
}

/// What becomes of images that the file no longer asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case")]
pub(super) enum RemovedText {
    /// They stay as they are.
    #[default]
    Keep,
    /// They are taken back from others, and deprecated.
    Deprecate,
    /// They are taken back from others, and deleted with their snapshots.
    Delete,
}

/// Who can use an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case")]
pub(super) enum VisibilityText {
    /// The account, and those of `share-with`.
    #[default]
    Private,
    /// Everybody: a community image.
    Public,
}

/// Regions: a list, or `all`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(untagged, expecting = "expected \"all\" or a list of regions such as [\"us-west-1\"]")]
pub(super) enum RegionsText {
    /// All regions of the account.
    All(AllText),
    /// These.
    These(#[cfg_attr(feature = "cli", schemars(with = "Vec<String>"))] Vec<String>),
}

/// The word for all regions.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case")]
pub(super) enum AllText {
    /// All regions of the account.
    All,
}

/// Version of the metadata service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case")]
pub(super) enum ImdsText {
    /// Both modes.
    V1,
    /// Only the hardened mode.
    V2,
}

/// Form in which a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case")]
pub(super) enum FormText {
    /// The disk inside, byte for byte.
    Raw,
    /// A QCOW2 without the zeros.
    Qcow2,
    /// The bytes of the file.
    AsIs,
    /// RAW as QCOW2 where that saves a fifth or more, the rest as it is.
    Auto,
}

/// Where an image has to boot.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(inline))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct BootTestText {
    /// Instance type, such as ecs.g7.large.
    pub(super) instance_type: String,
    /// vSwitch of the instance, in the region of the bucket.
    pub(super) vswitch: String,
    /// Security group of the instance, of the same VPC; it has to let nothing in.
    pub(super) security_group: String,
    /// The test has failed after this long, such as `20m`. By default `15m`.
    pub(super) timeout: Option<String>,
}

/// An image and what becomes of it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ImageText {
    /// Name of the custom image. `{content}` in it stands for eight digits that follow from what the image is made of, so
    /// that new and old images exist side by side; without it a new image takes the name over from the old one. By default
    /// the word of the entry.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) name: Option<Spanned<String>>,
    /// What it is made of: a file, beside this one unless its path is absolute; a URL; or an object, oss://BUCKET/KEY.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) source: Option<Spanned<String>>,
    /// SHA-256 that the source has to have. Of a URL it also says when there is something new.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>", regex(pattern = "^[0-9A-Fa-f]{64}$")))]
    pub(super) sha256: Option<Spanned<String>>,
    /// Data disks: files, or objects.
    #[cfg_attr(feature = "cli", schemars(with = "Option<Vec<String>>"))]
    pub(super) data_disks: Option<Vec<Spanned<String>>>,

    /// Description of the custom image.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) description: Option<Spanned<String>>,
    /// Distribution, as `ossup image platforms` lists them. By default what the image says of itself.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) platform: Option<Spanned<String>>,
    /// Processor. By default what the system is built for.
    #[cfg_attr(feature = "cli", schemars(schema_with = "schema::architecture"))]
    pub(super) architecture: Option<Architecture>,
    /// How it boots. By default detected from the image.
    #[cfg_attr(feature = "cli", schemars(schema_with = "schema::boot_mode"))]
    pub(super) boot_mode: Option<BootMode>,
    /// Family of the operating system. By default what the disk holds.
    #[cfg_attr(feature = "cli", schemars(schema_with = "schema::os_type"))]
    pub(super) os_type: Option<OsType>,
    /// Format of the source. By default what it is.
    #[cfg_attr(feature = "cli", schemars(schema_with = "schema::format"))]
    pub(super) format: Option<DiskFormat>,
    /// Size of the system disk in GiB. By default the image's own.
    pub(super) disk_size: Option<u32>,
    /// Whether it starts from NVMe disks. By default if its kernel certainly does.
    pub(super) nvme: Option<bool>,
    /// Licence of a Windows system.
    #[cfg_attr(feature = "cli", schemars(schema_with = "schema::license"))]
    pub(super) license: Option<LicenseType>,
    /// Resource group of the custom image.
    pub(super) resource_group: Option<String>,
    /// RAM role that lets ECS read the bucket.
    pub(super) role_name: Option<String>,
    /// Version of the metadata service that instances offer.
    pub(super) imds: Option<ImdsText>,
    /// Resource name (ARN) of the CloudBox that holds the bucket.
    pub(super) storage_location: Option<String>,

    /// Form in which a file or what a URL names is sent; what is packed is unpacked unless it is `as-is`. By default `auto`. An
    /// object that is there stays as it is.
    #[serde(rename = "as")]
    pub(super) form: Option<FormText>,
    /// Whether ECS checks the image after the import; `ossup image show` has what it found.
    pub(super) detect: Option<bool>,
    /// Instance in which the image has to boot before it is copied and gets its name. Linux only.
    #[cfg_attr(feature = "cli", schemars(with = "Option<BootTestText>"))]
    pub(super) boot_test: Option<Spanned<BootTestText>>,

    /// Regions that get a copy, besides the region of the bucket.
    #[cfg_attr(feature = "cli", schemars(with = "Option<RegionsText>"))]
    pub(super) regions: Option<Spanned<RegionsText>>,
    /// Of `regions`, these are left out.
    #[cfg_attr(feature = "cli", schemars(with = "Option<Vec<String>>"))]
    pub(super) except: Option<Spanned<Vec<String>>>,
    /// Who can use it.
    pub(super) visibility: Option<VisibilityText>,
    /// Accounts that it is shared with. It is taken back from all others.
    #[cfg_attr(feature = "cli", schemars(with = "Option<Vec<String>>"))]
    pub(super) share_with: Option<Vec<Spanned<AccountId>>>,
    /// Image family that it is in, in every region.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) family: Option<Spanned<String>>,
    /// Tags of the image and of its snapshots. One that is taken out of here is taken off again; others stay as they are.
    #[cfg_attr(feature = "cli", schemars(with = "Option<BTreeMap<String, String>>"))]
    pub(super) tags: Option<Spanned<BTreeMap<String, String>>>,

    /// How many images of this entry stay in each region, the newest, with the one in use. By default all.
    #[cfg_attr(feature = "cli", schemars(with = "Option<u32>", range(min = 1)))]
    pub(super) keep: Option<Spanned<u32>>,
    /// Only images that are older go, such as `30d`.
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub(super) older_than: Option<Spanned<String>>,
    /// Images that have one of these tags stay: `KEY` or `KEY=VALUE`.
    #[cfg_attr(feature = "cli", schemars(with = "Option<Vec<String>>"))]
    pub(super) keep_tags: Option<Vec<Spanned<String>>>,
}

impl ImageText {
    /// Takes from `defaults` what is not set here.
    pub(super) fn or(self, defaults: &Self) -> Self {
        macro_rules! or {
            ($($field:ident),+ $(,)?) => {
                Self { $($field: self.$field.or_else(|| defaults.$field.clone()),)+ }
            };
        }
        or!(
            name,
            source,
            sha256,
            data_disks,
            description,
            platform,
            architecture,
            boot_mode,
            os_type,
            format,
            disk_size,
            nvme,
            license,
            resource_group,
            role_name,
            imds,
            storage_location,
            form,
            detect,
            boot_test,
            regions,
            except,
            visibility,
            share_with,
            family,
            tags,
            keep,
            older_than,
            keep_tags,
        )
    }
}

/// Returns the JSON schema of the file, for editors.
#[cfg(feature = "cli")]
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<FleetText>().to_value()
}

/// The schemas of words that the API spells in one way.
#[cfg(feature = "cli")]
mod schema {
    use schemars::{Schema, SchemaGenerator, json_schema};

    use super::{Architecture, BootMode, DiskFormat, LicenseType, OsType};

    fn words(words: impl Iterator<Item = &'static str>) -> Schema {
        let words: Vec<&str> = words.collect();
        json_schema!({"type": "string", "enum": words})
    }

    macro_rules! schemas {
        ($($name:ident: $word:ident),+ $(,)?) => {
            $(pub(super) fn $name(_: &mut SchemaGenerator) -> Schema {
                words($word::ALL.iter().map(|word| word.as_str()))
            })+
        };
    }
    schemas!(
        architecture: Architecture,
        boot_mode: BootMode,
        os_type: OsType,
        format: DiskFormat,
        license: LicenseType,
    );
}
