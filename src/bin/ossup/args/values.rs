//! Parsers of single arguments: sizes, durations, `oss://` URLs, tags, endpoints.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use ossup::image::request::PLATFORMS;
use ossup::manage::DELETION_TAG;
use ossup::model::{AccountId, BucketName, Endpoint, ImageStatus, ObjectRef, Region};
use ossup::transfer::MIN_BANDWIDTH;

/// An argument of the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadValue(String);

pub(crate) fn bad(reason: impl Into<String>) -> BadValue {
    BadValue(reason.into())
}

/// A number of bytes: `16MiB`, `1.5G`, `100000`. `K`, `M`, `G`, `T` are powers of 1024, `KB`, `MB`… of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

impl FromStr for ByteSize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(bad("expected a size such as 16MiB, 100KiB or 1GiB")),
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or_else(|| bad("the size is too large"));
        }
        let value: f64 = number.parse().map_err(|_| bad("expected a size such as 16MiB, 100KiB or 1GiB"))?;
        let bytes = value * factor as f64;
        if factor == 1 || bytes >= u64::MAX as f64 {
            return Err(bad("expected a size such as 16MiB, 100KiB or 1GiB"));
        }
        Ok(Self(bytes as u64))
    }
}

/// Bytes per second: a size, with or without `/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) u64);

impl FromStr for Rate {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ByteSize(bytes) = text.strip_suffix("/s").unwrap_or(text).parse()?;
        if bytes < MIN_BANDWIDTH {
            return Err(bad("the minimum is 64KiB/s"));
        }
        Ok(Self(bytes))
    }
}

/// A duration: `90s`, `30m`, `1h 30m`, `7d`. A bare number is refused, since its unit is ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(bad(format!("a duration needs a unit: {text}s, {text}m, {text}h or {text}d")));
        }
        let refuse = || bad("expected a duration such as 90s, 30m, 12h or 7d");
        let span: jiff::Span = text.parse().map_err(|_| refuse())?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
        Duration::try_from(signed).map(Self).map_err(|_| refuse())
    }
}

/// Parses an age. An age of zero would match an upload that has just started.
pub(crate) fn age(text: &str) -> Result<Span, BadValue> {
    match text.parse()? {
        Span(Duration::ZERO) => Err(bad(
            "this matches uploads of any age, including those running now; use an age such as 1h or 7d",
        )),
        age => Ok(age),
    }
}

/// Parses an account id: the service's consist of digits.
pub(crate) fn account(text: &str) -> Result<AccountId, BadValue> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("expected an account id (UID), a number such as 1234567890123456"));
    }
    text.parse().map_err(|error| bad(format!("{error}")))
}

/// Parses a state of an image, in any case. One that is unknown would only find nothing.
pub(crate) fn image_status() -> impl TypedValueParser<Value = ImageStatus> {
    let known = ["Waiting", "Creating", "Available", "UnAvailable", "CreateFailed", "Deprecated"];
    PossibleValuesParser::new(known).map(|text| ImageStatus::from(text.as_str()))
}

/// A size of a disk in whole GiB: `40`, `40GiB`, `1TiB`. A bare number counts GiB, as the service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskSize(pub(crate) u32);

impl FromStr for DiskSize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const GIB: u64 = 1 << 30;
        let refuse = || bad("expected a number of whole GiB, such as 40 or 40GiB");
        let gib = match text.parse::<u64>() {
            Ok(gib) => gib,
            Err(_) => match text.parse::<ByteSize>() {
                Ok(ByteSize(bytes)) if bytes.is_multiple_of(GIB) => bytes / GIB,
                _ => return Err(refuse()),
            },
        };
        u32::try_from(gib).map(Self).map_err(|_| refuse())
    }
}

/// Parses a platform. The service is case-sensitive, so the case of a listed one is corrected. Others are accepted and
/// checked later, since the list grows. Completion offers the list.
#[derive(Debug, Clone)]
pub(crate) struct PlatformParser;

impl TypedValueParser for PlatformParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        let listed = PLATFORMS.iter().find(|listed| listed.eq_ignore_ascii_case(&text));
        Ok(listed.map_or(text, |listed| (*listed).to_owned()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(PLATFORMS.iter().map(|platform| PossibleValue::new(*platform))))
    }
}

/// A tag, `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Tag {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, _)) if key.eq_ignore_ascii_case(DELETION_TAG) => {
                Err(bad("this tag says that a snapshot is to be deleted: `ossup image delete` alone sets it"))
            }
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(bad("expected a tag as KEY=VALUE")),
        }
    }
}

/// `oss://BUCKET[/REST]`. What follows the bucket is taken literally. The https:// address that the console shows is
/// accepted too: there, the rest is percent-encoded, and the host names the region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketUrl {
    pub(crate) bucket: BucketName,
    /// What follows the first `/`; empty if nothing does.
    pub(crate) rest: String,
    /// The region, if the address names one.
    pub(crate) region: Option<Region>,
}

impl FromStr for BucketUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(after) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
            return of_host(after);
        }
        let after =
            text.strip_prefix("oss://").ok_or_else(|| bad("expected oss://BUCKET or oss://BUCKET/KEY"))?;
        let (bucket, rest) = after.split_once('/').unwrap_or((after, ""));
        let bucket = bucket.parse().map_err(|error| bad(format!("{error}")))?;
        Ok(Self { bucket, rest: rest.to_owned(), region: None })
    }
}

/// Parses `BUCKET.oss-REGION.aliyuncs.com/KEY`, with or without a query.
fn of_host(text: &str) -> Result<BucketUrl, BadValue> {
    let refuse = || bad("expected oss://BUCKET/KEY, or the address that the console shows for an object");
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (host, rest) = text.split_once('/').unwrap_or((text, ""));
    let (bucket, host) = host.split_once('.').ok_or_else(refuse)?;
    let endpoint: Endpoint = host.parse().map_err(|_| refuse())?;
    let region = Some(endpoint.region().ok_or_else(refuse)?);
    let bucket = bucket.parse().map_err(|error| bad(format!("{error}")))?;
    let rest = String::from_utf8(percent_decoded(rest)).map_err(|_| refuse())?;
    Ok(BucketUrl { bucket, rest, region })
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.contains('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// Parses a bucket; its bare name is enough.
pub(crate) fn bucket(text: &str) -> Result<BucketUrl, BadValue> {
    match text.parse::<BucketName>() {
        Ok(bucket) => Ok(BucketUrl { bucket, rest: String::new(), region: None }),
        Err(_) => text.parse(),
    }
}

/// An object: `oss://BUCKET/KEY`, or its address as the console shows it, which names the region too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectUrl {
    object: ObjectRef,
    pub(crate) region: Option<Region>,
}

impl std::ops::Deref for ObjectUrl {
    type Target = ObjectRef;

    fn deref(&self) -> &ObjectRef {
        &self.object
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}

impl FromStr for ObjectUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |error: ossup::model::InvalidValue| bad(format!("{error}"));
        if !text.starts_with("http") {
            return Ok(Self { object: text.parse().map_err(invalid)?, region: None });
        }
        let BucketUrl { bucket, rest, region } = text.parse()?;
        Ok(Self { object: ObjectRef::new(bucket, rest.parse().map_err(invalid)?), region })
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oss://{}/{}", self.bucket, self.rest)
    }
}

impl BucketUrl {
    /// Whether each file's name is appended.
    pub(crate) fn is_folder(&self) -> bool {
        self.rest.is_empty() || self.rest.ends_with('/')
    }

    /// Returns the object that an image of this name becomes: a bare bucket or a trailing `/` gets the name.
    pub(crate) fn object_named(&self, name: Option<&str>) -> Result<ObjectRef, BadValue> {
        let mut key = self.rest.clone();
        if self.is_folder() {
            key += name.ok_or_else(|| {
                bad("the image has no name, or none in UTF-8: give the object key after the bucket")
            })?;
        }
        let key = key.parse().map_err(|error| bad(format!("{error}")))?;
        Ok(ObjectRef::new(self.bucket.clone(), key))
    }
}

/// An image on disk, or an object: what `inspect` and `--data-disk` take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileOrObject {
    File(PathBuf),
    Object(ObjectUrl),
}

impl FromStr for FileOrObject {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if ["oss://", "https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            return text.parse().map(Self::Object);
        }
        if text.is_empty() {
            return Err(bad("expected a file path or oss://BUCKET/KEY"));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

/// How many parts may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parallel {
    Auto,
    Fixed(usize),
}

impl FromStr for Parallel {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(count @ 1..=1024) => Ok(Self::Fixed(count)),
            _ => Err(bad("expected auto, or a number from 1 to 1024")),
        }
    }
}

/// `--endpoint`: a kind of endpoint of the region, the embedded store, or a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndpointArg {
    Public,
    Internal,
    Accelerate,
    DualStack,
    Local(PathBuf),
    Url(String),
}

impl FromStr for EndpointArg {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "public" => Self::Public,
            "internal" => Self::Internal,
            "accelerate" => Self::Accelerate,
            "dual-stack" => Self::DualStack,
            "" | "local:" => {
                return Err(bad("expected a URL, internal, accelerate, dual-stack or local:DIR"));
            }
            _ => match text.strip_prefix("local:") {
                Some(folder) => Self::Local(PathBuf::from(folder)),
                None => Self::Url(text.to_owned()),
            },
        })
    }
}

/// Parses `--endpoint`. A bare word is more likely a mistyped kind than a host name.
pub(crate) fn endpoint(text: &str) -> Result<EndpointArg, BadValue> {
    let arg = text.parse()?;
    match &arg {
        EndpointArg::Url(url) if url != "localhost" && !url.contains(['.', ':', '/']) => Err(bad(
            "expected internal, accelerate, dual-stack, local:DIR, or a host; write a single-word host as http://HOST",
        )),
        _ => Ok(arg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_unless_they_say_otherwise() {
        for (text, bytes) in [
            ("100000", 100_000),
            ("100KiB", 102_400),
            ("16M", 16 << 20),
            ("1.5g", 3 << 29),
            ("5 GiB", 5 << 30),
            ("1MB", 1_000_000),
            ("2T", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "M", "-1M", "1.5", "1X", "1.2.3M", "99999999999999999999", "99999999T", "1e3"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_tag_that_has_snapshots_deleted_is_set_by_no_argument() {
        assert!("team=web".parse::<Tag>().is_ok());
        for key in [DELETION_TAG, "Ossup:Delete-With"] {
            assert!(format!("{key}=m-1").parse::<Tag>().is_err(), "{key}");
        }
    }

    #[test]
    fn rates_start_at_64_kib() {
        assert_eq!("50MiB/s".parse(), Ok(Rate(50 << 20)));
        assert_eq!("64KiB/s".parse::<Rate>(), Ok(Rate(64 << 10)));
        assert!("63K".parse::<Rate>().is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h 30m", 5400), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "-5m", "-5", "soon", "1 month", "nan"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["7", "0", "60", "1.5"] {
            let refused = text.parse::<Span>().unwrap_err().to_string();
            assert!(refused.contains(&format!("{text}d")), "{refused}");
        }
        assert_eq!(age("7d").unwrap().0, Duration::from_secs(604_800));
        assert!(age("0s").is_err() && age("0").is_err() && age("0d").is_err());
    }

    #[test]
    fn a_bare_bucket_or_a_trailing_slash_gets_the_file_s_name() {
        for (url, object) in [
            ("oss://images", "oss://images/disk one.raw"),
            ("oss://images/", "oss://images/disk one.raw"),
            ("oss://images/a/", "oss://images/a/disk one.raw"),
            ("oss://images/a%2Fb", "oss://images/a%2Fb"),
        ] {
            let url: BucketUrl = url.parse().unwrap();
            assert_eq!(url.object_named(Some("disk one.raw")).unwrap().to_string(), object);
        }
        assert!("oss://images//x".parse::<BucketUrl>().unwrap().object_named(Some("f")).is_err());
        assert!("oss://images".parse::<BucketUrl>().unwrap().object_named(None).is_err());
        for text in ["images/x", "oss://", "oss://Images/x", "oss:///x"] {
            assert!(text.parse::<BucketUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_console_s_address_of_an_object_is_understood() {
        let text = "https://images.oss-cn-hangzhou.aliyuncs.com/web/a%20b%2B.qcow2?Expires=1&Signature=x";
        let object: ObjectUrl = text.parse().unwrap();
        assert_eq!(object.to_string(), "oss://images/web/a b+.qcow2");
        assert_eq!(object.region, Some("cn-hangzhou".parse().unwrap()));
        let internal: BucketUrl = "http://images.oss-eu-central-1-internal.aliyuncs.com/".parse().unwrap();
        assert_eq!((internal.bucket.as_str(), internal.rest.as_str()), ("images", ""));
        assert_eq!(internal.region, Some("eu-central-1".parse().unwrap()));
        for text in ["https://images.example.com/x", "https://images/x", "https://", "https://a.b/%ff"] {
            assert!(text.parse::<ObjectUrl>().is_err(), "{text}");
        }
        assert_eq!("oss://images/a%20b".parse::<ObjectUrl>().unwrap().to_string(), "oss://images/a%20b");
    }

    #[test]
    fn a_bucket_may_be_named_alone() {
        for text in ["images", "oss://images", "oss://images/", "https://images.oss-cn-hangzhou.aliyuncs.com"]
        {
            assert_eq!(bucket(text).unwrap().bucket.as_str(), "images", "{text}");
        }
        assert!(bucket("Images").is_err() && bucket("images/x").is_err());
    }

    #[test]
    fn endpoints_are_kinds_folders_or_hosts() {
        assert_eq!("internal".parse(), Ok(EndpointArg::Internal));
        assert_eq!("local:/tmp/x".parse(), Ok(EndpointArg::Local(PathBuf::from("/tmp/x"))));
        assert_eq!("http://[::1]:1".parse(), Ok(EndpointArg::Url("http://[::1]:1".to_owned())));
        assert!("local:".parse::<EndpointArg>().is_err());
        for slip in ["local", "dualstack", "foo", ""] {
            assert!(endpoint(slip).is_err(), "{slip}");
        }
        for host in ["localhost", "localhost:9000", "http://oss", "oss-cn-hangzhou.aliyuncs.com", "internal"]
        {
            assert!(endpoint(host).is_ok(), "{host}");
        }
    }

    #[test]
    fn platforms_and_accounts_are_what_the_service_takes() {
        let platform = |text: &str| {
            PlatformParser.parse_ref(&clap::Command::new("test"), None, OsStr::new(text)).unwrap()
        };
        assert_eq!(platform("ubuntu"), "Ubuntu");
        assert_eq!(platform("Brand New Linux"), "Brand New Linux");
        assert_eq!(PlatformParser.possible_values().unwrap().count(), PLATFORMS.len());
        assert_eq!(account("1234567890123456").unwrap().as_str(), "1234567890123456");
        assert!(account("abc").is_err() && account("").is_err());
    }

    #[test]
    fn tags_buckets_and_parallelism() {
        assert_eq!("a=b=c".parse(), Ok(Tag { key: "a".to_owned(), value: "b=c".to_owned() }));
        assert!("=b".parse::<Tag>().is_err() && "b".parse::<Tag>().is_err());
        assert_eq!("auto".parse(), Ok(Parallel::Auto));
        assert_eq!("12".parse(), Ok(Parallel::Fixed(12)));
        assert!("0".parse::<Parallel>().is_err() && "many".parse::<Parallel>().is_err());
    }

    #[test]
    fn disk_sizes_are_whole_gib() {
        for (text, gib) in
            [("40", 40), ("40GiB", 40), ("40g", 40), ("1TiB", 1024), ("40960MiB", 40), ("0.5T", 512)]
        {
            assert_eq!(text.parse(), Ok(DiskSize(gib)), "{text}");
        }
        for bad in ["", "40.5GiB", "1500MiB", "forty", "40GB", "5000000000", "-1"] {
            assert!(bad.parse::<DiskSize>().is_err(), "{bad}");
        }
    }
}
