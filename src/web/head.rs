//! What the head of a response says about a file. Pure.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use super::WebError;
use crate::model::ByteRange;

/// How much older than the response a modification time has to be, so that no second version can have the same
/// (RFC 9110, section 8.8.2.2).
const SETTLED: Duration = Duration::from_secs(60);
/// How much of a foreign text is shown, in characters.
const SHOWN: usize = 80;

/// What tells one version of a file on the web from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The entity tag with its quotes, as the server sent it; weak ones begin with `W/`.
    pub etag: Option<String>,
    /// When the file was last modified, as the server wrote it.
    pub last_modified: Option<String>,
}

impl Version {
    /// Takes what a response says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    /// Returns the entity tag if equal ones mean equal bytes.
    pub(super) fn strong_etag(&self) -> Option<&str> {
        let etag = self.etag.as_deref()?;
        (etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')).then_some(etag)
    }

    /// Whether equal versions mean equal bytes. `date` is when the response was made.
    pub(super) fn is_strong(&self, date: Timestamp) -> bool {
        let modified = || date_of(self.last_modified.as_deref()?);
        self.strong_etag().is_some()
            || modified().is_some_and(|modified| {
                date.duration_since(modified).unsigned_abs() >= SETTLED && modified < date
            })
    }

    /// Returns the header that lets a request succeed for this version alone, if there is one.
    pub(super) fn precondition(&self) -> Option<(header::HeaderName, &str)> {
        match (self.strong_etag(), &self.last_modified) {
            (Some(etag), _) => Some((header::IF_MATCH, etag)),
            (None, Some(date)) => Some((header::IF_UNMODIFIED_SINCE, date)),
            (None, None) => None,
        }
    }

    /// Returns what another response says otherwise, or that it does not say enough.
    pub(super) fn compare(&self, now: &Self) -> Result<(), Difference> {
        let opaque = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
        let differs = |what: &str, earlier: &str, now: &str| {
            Difference::Changed(format!("its {what} was {} and is {}", shown(earlier), shown(now)))
        };
        if let (Some(earlier), Some(now)) = (&self.etag, &now.etag) {
            if opaque(earlier) != opaque(now) {
                return Err(differs("ETag", earlier, now));
            }
            // The same content may have another date on another server behind the same name.
            if self.strong_etag().is_some() && earlier == now {
                return Ok(());
            }
        }
        match (&self.last_modified, &now.last_modified) {
            (Some(earlier), Some(now)) if earlier != now => Err(differs("Last-Modified", earlier, now)),
            (Some(_), Some(_)) => Ok(()),
            _ => Err(Difference::Unsaid),
        }
    }
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    Changed(String),
    /// One of them says too little.
    Unsaid,
}

impl Difference {
    pub(super) fn into_error(self, url: String) -> WebError {
        match self {
            Self::Changed(what) => WebError::Changed { url, what },
            Self::Unsaid => {
                let what = "it no longer says which version of the file it sends (ETag, Last-Modified)";
                WebError::Contradiction { url, what: what.to_owned() }
            }
        }
    }
}

/// Returns a foreign text as it may be shown: short, and without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect::<String>().replace("\\\"", "\"")
}

/// The value of a Content-Range header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The bytes that follow; nothing in a refusal.
    pub(super) range: Option<ByteRange>,
    /// The length of the whole file, if it is known.
    pub(super) length: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 0-9/100`, `bytes 0-9/*` or `bytes */100`. What contradicts itself is nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, length) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let length = match length.trim() {
            "*" => None,
            digits => Some(number(digits)?),
        };
        let range = match range.trim() {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let (first, end) = (number(first.trim())?, number(last.trim())?.checked_add(1)?);
                if first >= end || length.is_some_and(|length| end > length) {
                    return None;
                }
                Some(ByteRange::new(first, end))
            }
        };
        Some(Self { range, length })
    }

    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(header::CONTENT_RANGE)?.to_str().ok()?)
    }
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Returns the length of a body that a response states.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    number(headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim())
}

/// Returns an encoding that would have to be undone to get the file.
pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get(header::CONTENT_ENCODING)?;
    let text = String::from_utf8_lossy(encoding.as_bytes());
    let text = text.trim();
    (!text.is_empty() && !text.eq_ignore_ascii_case("identity")).then(|| shown(text))
}

/// Whether the body is declared to be a web page.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

/// Whether bytes begin like a web page. No disk image and no archive begins with `<`.
pub(super) fn begins_like_page(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.trim_ascii_start().starts_with(b"<")
}

/// How long the server asks to wait before the next request.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match number(text) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => Duration::try_from(date_of(text)?.duration_since(now)).ok(),
    }
}

/// Returns when a response was made, by the server's clock if it says so.
pub(super) fn date(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    headers.get(header::DATE).and_then(|date| date_of(date.to_str().ok()?)).unwrap_or(now)
}

fn date_of(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// Says what an answer that is no success means, and what may help.
pub(super) fn meaning(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => {
            "it asks for a user and a password, which can stand in the URL (`https://USER:PASSWORD@HOST/…`)"
        }
        403 => "it refuses this file: the link may have expired or be meant for others, so get a new one",
        404 => "it has no such file: check the URL",
        410 => "it has the file no longer: look for a newer one",
        408 | 425 => "it could not take the request in time",
        429 => "it was asked too often: wait a while",
        451 => "it may not give the file out here",
        400..=499 => "it does not accept the request",
        500..=599 => "it has a fault of its own: try again later, or another mirror",
        _ => "it is no answer to a download",
    }
}

/// Reads headers with this value in every way, for a fuzzer.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_in_every_way(value: &[u8]) {
    let Ok(header) = header::HeaderValue::from_bytes(value) else { return };
    let names = [
        header::ETAG,
        header::LAST_MODIFIED,
        header::CONTENT_RANGE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::RETRY_AFTER,
        header::DATE,
    ];
    let headers: HeaderMap = names.into_iter().map(|name| (name, header.clone())).collect();
    let version = Version::of(&headers);
    let date = date(&headers, Timestamp::UNIX_EPOCH);
    let strong = version.is_strong(date);
    assert!(!strong || version.compare(&version) == Ok(()), "a strong version is itself: {version:?}");
    let _ =
        (version.precondition(), ContentRange::of(&headers), content_length(&headers), encoding(&headers));
    let _ = (is_page(&headers), begins_like_page(value), retry_after(&headers, date));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(etag: Option<&str>, modified: Option<&str>) -> Version {
        Version { etag: etag.map(str::to_owned), last_modified: modified.map(str::to_owned) }
    }

    const OLD: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

    #[test]
    fn content_ranges_are_read_and_contradictions_are_not() {
        let range = |range, length| Some(ContentRange { range, length });
        assert_eq!(ContentRange::parse("bytes 0-9/100"), range(Some(ByteRange::new(0, 10)), Some(100)));
        assert_eq!(ContentRange::parse("bytes 5-5/*"), range(Some(ByteRange::new(5, 6)), None));
        assert_eq!(ContentRange::parse("bytes */0"), range(None, Some(0)));
        for bad in [
            "bytes 9-0/100",
            "bytes 0-100/100",
            "bytes 0-9",
            "bytes -9/100",
            "items 0-9/100",
            "bytes +0-9/100",
            "bytes 0-18446744073709551615/*",
            "",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_versions_that_prove_equal_bytes_are_strong() {
        let date: Timestamp = "2025-01-01T00:01:00Z".parse().unwrap();
        assert!(version(Some("\"a\""), None).is_strong(date));
        assert!(version(Some("W/\"a\""), Some(OLD)).is_strong(date));
        assert!(!version(Some("W/\"a\""), None).is_strong(date));
        assert!(!version(Some("a"), None).is_strong(date));
        assert!(!version(None, None).is_strong(date));
        let soon: Timestamp = "2025-01-01T00:00:59Z".parse().unwrap();
        assert!(!version(None, Some(OLD)).is_strong(soon), "the same second may see another version");
        let before: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        assert!(!version(None, Some(OLD)).is_strong(before), "a date to come says nothing");
    }

    #[test]
    fn versions_are_compared_by_what_is_strongest() {
        let same = |a: &Version, b: &Version| a.compare(b);
        let strong = version(Some("\"a\""), Some(OLD));
        assert_eq!(same(&strong, &version(Some("\"a\""), Some("another date"))), Ok(()));
        assert_eq!(same(&strong, &version(None, Some(OLD))), Ok(()));
        assert!(matches!(same(&strong, &version(Some("\"b\""), Some(OLD))), Err(Difference::Changed(_))));
        assert!(matches!(same(&strong, &version(None, Some("another"))), Err(Difference::Changed(_))));
        assert_eq!(same(&strong, &version(None, None)), Err(Difference::Unsaid));
        let weak = version(Some("W/\"a\""), Some(OLD));
        assert_eq!(same(&weak, &weak), Ok(()));
        assert!(matches!(same(&weak, &version(Some("W/\"a\""), Some("new"))), Err(Difference::Changed(_))));
        assert_eq!(same(&strong, &version(Some("W/\"a\""), None)), Err(Difference::Unsaid));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let now: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 01 Jan 2025 00:02:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(after("Wed, 01 Jan 2020 00:02:00 GMT"), None);
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn pages_are_told_from_files() {
        for page in ["<!DOCTYPE html>", "\u{feff}\n <html>", "<!-- x --><html>"] {
            assert!(begins_like_page(page.as_bytes()), "{page}");
        }
        assert!(!begins_like_page(b"QFI\xfb") && !begins_like_page(b""));
    }

    proptest! {
        #[test]
        fn a_content_range_that_is_read_lies_inside_its_file(text in "(bytes )?[0-9*]{1,20}-?[0-9]{0,20}/[0-9*]{1,20}") {
            if let Some(read) = ContentRange::parse(&text)
                && let (Some(range), Some(length)) = (read.range, read.length) {
                prop_assert!(!range.is_empty() && range.end <= length);
            }
        }
    }
}
