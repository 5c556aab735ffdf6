//! Reading a fleet's file: every value checked, and what is wrong told with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::file::{Entry, Form, ImportSettings, Name, Regions, Removed, Retention, Source, SyncFile};
use super::place::{FileError, Places, closest};
use super::text::{FleetText, FormText, ImageText, ImdsText, RegionsText, RemovedText, VisibilityText};
use super::{BOOTED_TAG, CONTENT_TAG, ENTRY_TAG, TAGS_TAG};
use crate::boot_test::{BootTest, LONGEST_LIMIT};
use crate::checksum_file::Sha256;
use crate::image::Finding;
use crate::image::request as rules;
use crate::import::{ORIGIN_TAG, Tag};
use crate::manage::DELETION_TAG;
use crate::model::{AccountId, BucketName, OsType, Region};
use crate::publish::REPLACED_BY_TAG;

/// Most tags of an entry: an image can have 20, of which the service's own and ours take some.
const MAX_TAGS: usize = rules::MAX_TAGS - 6;
/// Most characters of the names of a fleet and of an entry: both together are a tag's value.
const LONGEST_WORD: usize = 60;

impl SyncFile {
    /// Reads the file. `meant` suggests a region for a name that is none, as far as is known without asking.
    ///
    /// # Errors
    ///
    /// What is wrong first, with its line and column.
    pub fn parse(text: &str, meant: impl Fn(&Region) -> Option<&'static str>) -> Result<Self, FileError> {
        let places = Places(text);
        let fleet: FleetText = toml::from_str(text).map_err(|error| places.of_toml(&error))?;
        let reader = Reader { places, meant: &meant };
        reader.word("fleet", fleet.fleet.get_ref(), fleet.fleet.span())?;
        let (bucket, folder) = reader.bucket(&fleet.bucket)?;
        let region =
            fleet.region.as_ref().map(|region| reader.region(region.as_ref().as_str(), region.span()));
        let region = region.transpose()?;
        let empty = Spanned::new(0..0, toml::from_str("").expect("every key is optional"));
        let defaults = fleet.defaults.as_ref().unwrap_or(&empty);
        for (key, set) in [("name", &defaults.get_ref().name), ("source", &defaults.get_ref().source)] {
            if let Some(set) = set {
                return Err(
                    places.wrong(set.span(), format!("`{key}` is an image's own: it cannot be a default"))
                );
            }
        }
        let mut entries = Vec::new();
        let mut names: BTreeMap<Name, String> = BTreeMap::new();
        for (key, image) in fleet.image {
            let at = key.span();
            let named = image.get_ref().name.as_ref().map_or_else(|| at.clone(), Spanned::span);
            let entry = reader.entry(key.get_ref(), at, image.into_inner().or(defaults.get_ref()))?;
            if let Some(other) = names.insert(entry.name.clone(), entry.key.clone()) {
                let text = format!("the name `{}` is that of `{other}` already", entry.name);
                return Err(places.wrong(named, text));
            }
            entries.push(entry);
        }
        let removed = match fleet.removed.unwrap_or_default() {
            RemovedText::Keep => Removed::Keep,
            RemovedText::Deprecate => Removed::Deprecate,
            RemovedText::Delete => Removed::Delete,
        };
        Ok(Self { fleet: fleet.fleet.into_inner(), bucket, folder, region, removed, entries })
    }
}

struct Reader<'a> {
    places: Places<'a>,
    meant: &'a dyn Fn(&Region) -> Option<&'static str>,
}

impl Reader<'_> {
    fn word(&self, what: &str, word: &str, at: Range<usize>) -> Result<(), FileError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if word.is_empty() || word.len() > LONGEST_WORD || !word.chars().all(allowed) {
            let text = format!(
                "{what} `{}` must be 1 to {LONGEST_WORD} letters, digits, `.`, `_` and `-`",
                word.escape_debug()
            );
            return Err(self.places.wrong(at, text));
        }
        Ok(())
    }

    fn bucket(&self, text: &Spanned<String>) -> Result<(BucketName, String), FileError> {
        let wrong = |message: String| self.places.wrong(text.span(), message);
        let rest = text.get_ref().strip_prefix("oss://");
        let rest = rest.ok_or_else(|| wrong("expected oss://BUCKET or oss://BUCKET/FOLDER/".to_owned()))?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = bucket.parse().map_err(|error| wrong(format!("{error}")))?;
        let folder = match folder {
            "" => String::new(),
            folder => format!("{}/", folder.trim_end_matches('/')),
        };
        // Whatever follows is short, so that a folder which is a key is one for all entries.
        let key = format!("{folder}x").parse::<crate::model::ObjectKey>();
        key.map_err(|error| wrong(format!("{error}")))?;
        Ok((bucket, folder))
    }

    fn region(&self, text: &str, at: Range<usize>) -> Result<Region, FileError> {
        let region: Region =
            text.parse().map_err(|error| self.places.wrong(at.clone(), format!("{error}")))?;
        match (self.meant)(&region) {
            None => Ok(region),
            Some(meant) => Err(FileError {
                meant: Some(meant.to_owned()),
                ..self.places.wrong(at, format!("unknown region `{region}`"))
            }),
        }
    }

    /// Reads the regions of a list, of which only the whole has a place: each is looked for in it.
    fn regions(&self, list: &[String], at: &Range<usize>) -> Result<BTreeSet<Region>, FileError> {
        let whole = &self.places.0[at.clone()];
        let place = |name: &str| match ["\"", "'"]
            .iter()
            .find_map(|quote| whole.find(&format!("{quote}{name}{quote}")))
        {
            Some(offset) => at.start + offset..at.start + offset + name.len() + 2,
            None => at.clone(),
        };
        list.iter().map(|name| self.region(name, place(name))).collect()
    }

    fn source(&self, text: &Spanned<String>) -> Result<Source, FileError> {
        let wrong = |error: &dyn fmt::Display| self.places.wrong(text.span(), error.to_string());
        let is = |scheme: &str| {
            text.get_ref().get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        };
        if is("oss://") {
            return text.get_ref().parse().map(Source::Object).map_err(|error| wrong(&error));
        }
        if is("http://") || is("https://") {
            return text.get_ref().parse().map(Source::Web).map_err(|error| wrong(&error));
        }
        match text.get_ref().as_str() {
            "" | "-" => Err(wrong(&"expected a file, a URL, or oss://BUCKET/KEY")),
            path => Ok(Source::File(path.into())),
        }
    }

    /// Passes on what a rule refuses.
    fn checked(&self, findings: Vec<Finding>, at: Range<usize>) -> Result<(), FileError> {
        match findings.into_iter().find(Finding::refuses) {
            Some(finding) => Err(self.places.wrong(at, finding.message)),
            None => Ok(()),
        }
    }

    fn entry(&self, key: &str, at: Range<usize>, image: ImageText) -> Result<Entry, FileError> {
        self.word("image", key, at.clone())?;
        let source = image.source.as_ref().ok_or_else(|| {
            self.places
                .wrong(at.clone(), format!("image `{key}` has no source: a file, a URL, or oss://BUCKET/KEY"))
        })?;
        let name_at = image.name.as_ref().map_or_else(|| at.clone(), Spanned::span);
        let name = Name::new(image.name.as_ref().map_or(key, |name| name.get_ref()));
        for name in [name.handed_over().map(str::to_owned), Some(name.of_content("0123456789"))] {
            self.checked(
                name.iter().flat_map(|name| rules::check_image_name(name)).collect(),
                name_at.clone(),
            )?;
        }
        let sha256 = image.sha256.as_ref().map(|text| {
            let sha256 = text.get_ref().parse::<Sha256>();
            sha256.map_err(|error| self.places.wrong(text.span(), format!("{error}")))
        });
        let sha256 = sha256.transpose()?;
        let system = self.source(source)?;
        if let (Some(text), Source::Object(_)) = (&image.sha256, &system) {
            let message =
                "an object is not read: it is recognised by its ETag, and `sha256` cannot be compared";
            return Err(self.places.wrong(text.span(), message));
        }
        let mut data_disks = Vec::new();
        for text in image.data_disks.iter().flatten() {
            let disk = self.source(text)?;
            if matches!(disk, Source::Web(_)) {
                return Err(self.places.wrong(text.span(), "a data disk is a file, or oss://BUCKET/KEY"));
            }
            data_disks.push(disk);
        }
        let regions = self.entry_regions(&image)?;
        let (tags, retention) = (self.tags(&image)?, self.retention(&image)?);
        let share_with = self.accounts(&image)?;
        let boot_test = self.boot_test(&image)?;
        let import = self.import(&image, at)?;
        let family = match image.family {
            Some(family) if family.get_ref().is_empty() => {
                return Err(self
                    .places
                    .wrong(family.span(), "a family has a name; without one, leave it out"));
            }
            family => family.map(Spanned::into_inner),
        };
        Ok(Entry {
            key: key.to_owned(),
            name,
            source: system,
            sha256,
            data_disks,
            import,
            form: image.form.map(|form| match form {
                FormText::Raw => Form::Raw,
                FormText::Qcow2 => Form::Qcow2,
                FormText::AsIs => Form::AsIs,
                FormText::Auto => Form::Auto,
            }),
            detect: image.detect == Some(true),
            boot_test,
            regions,
            public: image.visibility == Some(VisibilityText::Public),
            share_with,
            family,
            tags,
            retention,
        })
    }

    fn import(&self, image: &ImageText, at: Range<usize>) -> Result<ImportSettings, FileError> {
        if let Some(text) = &image.description {
            self.checked(rules::check_description(text.get_ref()), text.span())?;
        }
        if let Some(platform) = &image.platform
            && !rules::PLATFORMS.contains(&platform.get_ref().as_str())
        {
            let text = format!("unknown platform `{}`", platform.get_ref().escape_debug());
            let meant = closest(platform.get_ref(), rules::PLATFORMS.iter().copied()).map(str::to_owned);
            return Err(FileError { meant, ..self.places.wrong(platform.span(), text) });
        }
        let platform = image.platform.as_ref().map(|platform| platform.get_ref().clone());
        let findings = [
            platform.iter().flat_map(|platform| rules::check_platform(platform, image.os_type)).collect(),
            rules::check_boot_mode(image.architecture, image.boot_mode),
            rules::check_license(image.os_type, platform.as_deref(), image.license),
        ];
        self.checked(findings.concat(), at)?;
        Ok(ImportSettings {
            description: image.description.as_ref().map(|text| text.get_ref().clone()),
            platform,
            architecture: image.architecture,
            boot_mode: image.boot_mode,
            os_type: image.os_type,
            format: image.format,
            disk_size: image.disk_size,
            nvme: image.nvme,
            license: image.license,
            resource_group: image.resource_group.clone(),
            role_name: image.role_name.clone(),
            storage_location: image.storage_location.clone(),
            imds: image.imds.map(|imds| match imds {
                ImdsText::V1 => 1,
                ImdsText::V2 => 2,
            }),
        })
    }

    fn boot_test(&self, image: &ImageText) -> Result<Option<BootTest>, FileError> {
        let Some(text) = &image.boot_test else { return Ok(None) };
        let platform = image.platform.as_ref().map(|platform| rules::platform_os_type(platform.get_ref()));
        if image.os_type.or(platform) == Some(OsType::Windows) {
            let message = "ECS shows no console of Windows instances, and `boot-test` is one of the console";
            return Err(self.places.wrong(text.span(), message));
        }
        let wanted = text.get_ref();
        let test = BootTest::new(&wanted.instance_type, &wanted.vswitch, &wanted.security_group);
        let Some(limit) = &wanted.timeout else { return Ok(Some(test)) };
        let limit = age(limit).filter(|limit| *limit <= LONGEST_LIMIT);
        let message = || format!("expected a `timeout` of at most {} h", LONGEST_LIMIT.as_secs() / 3600);
        let limit = limit.ok_or_else(|| self.places.wrong(text.span(), message()))?;
        Ok(Some(test.with_limit(limit)))
    }

    fn entry_regions(&self, image: &ImageText) -> Result<Regions, FileError> {
        let except = match &image.except {
            Some(except) => self.regions(except.get_ref(), &except.span())?,
            None => BTreeSet::new(),
        };
        match image.regions.as_ref().map(|regions| (regions.get_ref(), regions.span())) {
            Some((RegionsText::All(_), _)) => Ok(Regions::AllBut(except)),
            Some((RegionsText::These(list), at)) => {
                let regions = self.regions(list, &at)?;
                Ok(Regions::These(regions.difference(&except).cloned().collect()))
            }
            None => Ok(Regions::These(BTreeSet::new())),
        }
    }

    fn accounts(&self, image: &ImageText) -> Result<BTreeSet<AccountId>, FileError> {
        let accounts = image.share_with.iter().flatten();
        let account = |account: &Spanned<AccountId>| {
            if account.get_ref().as_str().bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(account.get_ref().clone());
            }
            let text = "expected an account id (UID), a number such as \"1234567890123456\"";
            Err(self.places.wrong(account.span(), text))
        };
        accounts.map(account).collect()
    }

    fn tags(&self, image: &ImageText) -> Result<Vec<Tag>, FileError> {
        let Some(tags) = &image.tags else { return Ok(Vec::new()) };
        let at = tags.span();
        let pairs: Vec<(&str, &str)> =
            tags.get_ref().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.checked(rules::check_tags(&pairs), at.clone())?;
        if pairs.len() > MAX_TAGS {
            let text =
                format!("{} tags are given; {MAX_TAGS} are allowed, the others are needed", pairs.len());
            return Err(self.places.wrong(at, text));
        }
        let ours = |key: &str| {
            [ORIGIN_TAG, ENTRY_TAG, CONTENT_TAG, TAGS_TAG, BOOTED_TAG, DELETION_TAG, REPLACED_BY_TAG]
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(key))
        };
        if let Some((key, _)) = pairs.iter().find(|(key, _)| ours(key)) {
            return Err(self
                .places
                .wrong(at, format!("the tag `{key}` is one that images are recognised by")));
        }
        Ok(pairs
            .into_iter()
            .map(|(key, value)| Tag { key: key.to_owned(), value: value.to_owned() })
            .collect())
    }

    fn retention(&self, image: &ImageText) -> Result<Option<Retention>, FileError> {
        let Some(keep) = &image.keep else {
            return match &image.older_than {
                Some(text) => {
                    Err(self.places.wrong(text.span(), "`older-than` needs `keep`: how many stay at least"))
                }
                None => Ok(None),
            };
        };
        if *keep.get_ref() == 0 {
            return Err(self
                .places
                .wrong(keep.span(), "the image in use always stays: `keep` is at least 1"));
        }
        let older_than = image.older_than.as_ref().map(|text| {
            let refuse = || self.places.wrong(text.span(), "expected an age such as \"30d\" or \"12h\"");
            age(text.get_ref()).ok_or_else(refuse)
        });
        Ok(Some(Retention {
            keep: *keep.get_ref() as usize,
            older_than: older_than.transpose()?,
            keep_tags: self.keep_tags(image)?,
        }))
    }

    fn keep_tags(&self, image: &ImageText) -> Result<Vec<(String, Option<String>)>, FileError> {
        let keyless = |tag: &Spanned<String>| {
            self.places.wrong(
                tag.span(),
                "expected a tag as \"KEY\" or \"KEY=VALUE\": without a key it keeps nothing",
            )
        };
        let tag = |tag: &Spanned<String>| match tag.get_ref().split_once('=') {
            Some(("", _)) => Err(keyless(tag)),
            None if tag.get_ref().is_empty() => Err(keyless(tag)),
            Some((key, value)) => Ok((key.to_owned(), Some(value.to_owned()))),
            None => Ok((tag.get_ref().clone(), None)),
        };
        image.keep_tags.iter().flatten().map(tag).collect()
    }
}

/// Reads a length of time, of which a day has 24 hours.
fn age(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

#[cfg(test)]
mod tests;
