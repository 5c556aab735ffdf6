//! Where an image comes from, and what becomes of it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ValueEnum};
use ossup::checksum_file::Sha256;
use ossup::model::Qcow2Compat;
use ossup::web::WebUrl;

use super::values::{ByteSize, ObjectUrl};

/// What the user named as an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageArg {
    /// `-`: standard input.
    StandardInput,
    /// A file, a block device or a pipe.
    File(PathBuf),
    /// A file on the web.
    Web(WebUrl),
}

impl ImageArg {
    /// Returns the name of the file, if it has one.
    pub(crate) fn file_name(&self) -> Option<String> {
        match self {
            Self::StandardInput => None,
            Self::File(path) => path.file_name().and_then(OsStr::to_str).map(str::to_owned),
            Self::Web(url) => url.file_name(),
        }
    }
}

/// As messages name it; a URL is shown without its secrets.
impl fmt::Display for ImageArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandardInput => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
            Self::Web(url) => url.fmt(f),
        }
    }
}

/// Whether an argument is the URL of a file on the web.
pub(crate) fn is_web(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}

/// Parses what names an image, which need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageParser;

impl TypedValueParser for ImageParser {
    type Value = ImageArg;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<ImageArg, clap::Error> {
        if value.is_empty() {
            let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
            if let Some(argument) = argument {
                error.insert(ContextKind::InvalidArg, ContextValue::String(argument.to_string()));
            }
            error.insert(ContextKind::InvalidValue, ContextValue::String(String::new()));
            return Err(error);
        }
        if value == "-" {
            return Ok(ImageArg::StandardInput);
        }
        match value.to_str().filter(|text| is_web(text)) {
            None => Ok(ImageArg::File(PathBuf::from(value))),
            // The message does not repeat the URL, which may hold a password.
            Some(text) => text.parse().map(ImageArg::Web).map_err(|error| {
                clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(command)
            }),
        }
    }
}

/// An image, or an object: what `inspect` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageOrObject {
    Image(ImageArg),
    Object(ObjectUrl),
}

impl fmt::Display for ImageOrObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Object(object) => object.to_string().fmt(f),
        }
    }
}

/// Parses what `inspect` takes. An address that the console shows is an object's; any other URL is of the web.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageOrObjectParser;

impl TypedValueParser for ImageOrObjectParser {
    type Value = ImageOrObject;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<ImageOrObject, clap::Error> {
        match value.to_str() {
            Some(text) if text.starts_with("oss://") => {
                let parser = StringValueParser::new().try_map(|text| text.parse::<ObjectUrl>());
                parser.parse_ref(command, argument, value).map(ImageOrObject::Object)
            }
            Some(text) if is_web(text) => match text.parse() {
                Ok(object) => Ok(ImageOrObject::Object(object)),
                Err(_) => ImageParser.parse_ref(command, argument, value).map(ImageOrObject::Image),
            },
            _ => ImageParser.parse_ref(command, argument, value).map(ImageOrObject::Image),
        }
    }
}

/// A small file beside an image: on this machine, or on the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SidecarArg {
    File(PathBuf),
    Web(WebUrl),
}

impl fmt::Display for SidecarArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Web(url) => url.fmt(f),
        }
    }
}

impl std::str::FromStr for SidecarArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_web(text) {
            return text.parse().map(Self::Web).map_err(|error: ossup::web::InvalidWebUrl| error.to_string());
        }
        if text.is_empty() { Err("expected a file or a URL".to_owned()) } else { Ok(Self::File(text.into())) }
    }
}

/// The object's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormArg {
    /// The disk inside, byte for byte
    Raw,
    /// A QCOW2 without the zeros
    Qcow2,
    /// The bytes of the file
    AsIs,
    /// RAW as QCOW2 where that saves a fifth or more, the rest as it is
    Auto,
}

/// A version of QCOW2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompatArg {
    /// Version 3
    #[default]
    #[value(name = "1.1")]
    V3,
    /// Version 2
    #[value(name = "0.10")]
    V2,
}

impl From<CompatArg> for Qcow2Compat {
    fn from(compat: CompatArg) -> Self {
        match compat {
            CompatArg::V3 => Self::V3,
            CompatArg::V2 => Self::V2,
        }
    }
}

/// What a checksum is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sha256Of {
    /// What is fetched, packed as it may be
    #[default]
    Fetched,
    /// The image inside
    Content,
}

/// What becomes of an image on its way, and what it has to be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// Form of the object [default: as-is for upload, auto for publish]; what is packed is unpacked unless as-is is given
    #[arg(long = "as", value_name = "FORM", value_enum)]
    pub(crate) form: Option<FormArg>,
    /// Send a packed file as it is; the same as --as as-is
    #[arg(long, conflicts_with = "form")]
    pub(crate) as_is: bool,
    /// Version of a QCOW2 that is made: 1.1 (version 3) or 0.10 (version 2)
    #[arg(long, value_name = "COMPAT", value_enum, default_value = "1.1", hide_possible_values = true)]
    pub(crate) compat: CompatArg,
    /// Member of a tar archive that is the image; needed if the archive holds several
    #[arg(long, value_name = "NAME", conflicts_with = "as_is")]
    pub(crate) member: Option<String>,
    /// About how many bytes the image has, such as 40GiB, where it is a stream: a hint for the part size
    #[arg(long, value_name = "SIZE")]
    pub(crate) expected_size: Option<ByteSize>,
    /// Make no object unless the image has exactly --expected-size bytes
    #[arg(long, requires = "expected_size")]
    pub(crate) exact_size: bool,
    /// Make no object unless the image has this SHA-256
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<Sha256>,
    /// The same, with the SHA-256 that a published checksum file has for the image
    #[arg(long, value_name = "FILE|URL", conflicts_with = "sha256")]
    pub(crate) sha256_file: Option<SidecarArg>,
    /// What the SHA-256 is of: the bytes as fetched, or what is unpacked from them
    #[arg(
        long,
        value_enum,
        default_value = "fetched",
        hide_possible_values = true,
        value_name = "fetched|content"
    )]
    pub(crate) sha256_of: Sha256Of,
    /// Map of the image's data (bmap), of which the checksums are verified too
    #[arg(long, value_name = "FILE|URL", conflicts_with = "map")]
    pub(crate) bmap: Option<SidecarArg>,
    /// Map of the disk's data, from `qemu-img map --output=json`
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
}

impl SourceArgs {
    /// Returns the form that was asked for.
    pub(crate) fn wish(&self, default: FormArg) -> FormArg {
        if self.as_is { FormArg::AsIs } else { self.form.unwrap_or(default) }
    }

    /// Whether what is packed is sent as it is, and not what is inside.
    pub(crate) fn keeps_packed(&self) -> bool {
        self.as_is || self.form == Some(FormArg::AsIs)
    }
}

/// Returns the name of what is inside a packed file, from the file's.
pub(crate) fn unpacked_name(name: &str) -> &str {
    const PACKED: [&str; 8] = [".gz", ".xz", ".zst", ".zstd", ".bz2", ".lz4", ".tar", ".tgz"];
    let mut name = name;
    // At most two: `disk.tar.gz`.
    for _ in 0..2 {
        let stripped = PACKED.iter().find_map(|suffix| {
            let cut = name.len().checked_sub(suffix.len())?;
            (cut > 0 && name.is_char_boundary(cut) && name[cut..].eq_ignore_ascii_case(suffix))
                .then(|| &name[..cut])
        });
        name = stripped.unwrap_or(name);
    }
    name
}

/// Returns a name whose suffix is `.qcow2`, from that of a RAW image.
pub(crate) fn qcow2_name(name: &str) -> String {
    let path = Path::new(name);
    let known = ["raw", "img", "bin", "dd", "vhd"];
    let suffix = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    match suffix {
        Some(suffix) if suffix == "qcow2" => name.to_owned(),
        Some(suffix) if known.contains(&suffix.as_str()) => {
            format!("{}qcow2", &name[..name.len() - suffix.len()])
        }
        _ => format!("{name}.qcow2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ImageArg, clap::Error> {
        ImageParser.parse_ref(&clap::Command::new("ossup"), None, OsStr::new(text))
    }

    #[test]
    fn a_dash_is_standard_input_a_url_the_web_and_the_rest_a_file() {
        assert_eq!(parse("-").unwrap(), ImageArg::StandardInput);
        for name in ["./-", "disk.raw", "oss:/x", "http:x", "httpd.raw"] {
            assert_eq!(parse(name).unwrap(), ImageArg::File(name.into()), "{name}");
        }
        let web = parse("HTTPS://user:secret@host.example/a/disk.raw.xz?token=secret").unwrap();
        assert_eq!(web.file_name().as_deref(), Some("disk.raw.xz"));
        assert!(!format!("{web} {web:?}").contains("secret"));
        assert!(parse("").is_err());
    }

    #[test]
    fn a_url_that_is_refused_is_not_shown() {
        let error = parse("https://user:secret@/disk.raw").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn names_follow_what_is_inside() {
        for (packed, inside) in [
            ("disk.raw.zst", "disk.raw"),
            ("disk.TAR.GZ", "disk"),
            ("disk.tgz", "disk"),
            ("disk.qcow2", "disk.qcow2"),
            (".gz", ".gz"),
            ("磁盘.xz", "磁盘"),
            ("é", "é"),
        ] {
            assert_eq!(unpacked_name(packed), inside, "{packed}");
        }
        for (raw, qcow2) in [
            ("disk.raw", "disk.qcow2"),
            ("disk.IMG", "disk.qcow2"),
            ("web-1.2", "web-1.2.qcow2"),
            ("disk", "disk.qcow2"),
            ("disk.qcow2", "disk.qcow2"),
        ] {
            assert_eq!(qcow2_name(raw), qcow2, "{raw}");
        }
    }
}
